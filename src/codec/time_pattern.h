// Times inside messages: a date, a time of day, or both, as one number.
//
// A format (HoleType::width of HoleKind::time) is made of
//     bits 0-3   digits of the fraction, 0 to 9; 0: no fraction
//     bit 4      the fraction begins with a comma, not a point
//     bit 5      a "T", not a space, stands between date and time (iso, slashed)
//     bit 6      there is a time of day: hh:mm:ss and the fraction
//     bits 8-10  date: 0 none, 1 iso 2026-01-31, 2 slashed 2026/01/31, 3 web 31/Jan/2026: (as in web servers' logs),
//                4 syslog "Jan 31 " (a day below 10 has a space before it)
//
// The number is mixed-radix and knows no calendar: ((((year - 1970) * 12 + month) * 31 + day) * 24 + hour) * 60 + ... to the last
// digit of the fraction; month and day count from 0; syslog has no year. So any text of a format has one number and any number
// has one text, of format_bytes() bytes.
#pragma once

#include <cstddef>
#include <cstdint>

namespace historian::codec {

inline constexpr std::uint32_t kTimeBytesMax = 32;

struct FoundTime {
    std::uint32_t byte_count = 0;  // 0: there is none
    std::uint16_t format = 0;
    std::int64_t value = 0;
};

/// Whether text begins with a time; `end` is where the message ends.
FoundTime find_time(const std::uint8_t *text, const std::uint8_t *end) noexcept;

/// Whether this is a format at all.
bool is_time_format(std::uint64_t format) noexcept;

/// text      output, kTimeBytesMax bytes of room
/// returns   bytes written
std::uint32_t write_time(std::uint16_t format, std::int64_t value, std::uint8_t *text) noexcept;

}  // namespace historian::codec
