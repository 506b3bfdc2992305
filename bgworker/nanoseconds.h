// Times of payloads: numbers of s, ms, us or ns since 1970, exactly. Pure: decimal arithmetic, no floating point.
#pragma once

#include <cstdint>
#include <string_view>

namespace historian::bgworker {

/// What numbers in time columns count.
enum class TimeUnit : std::uint8_t {
    seconds,
    milliseconds,
    microseconds,
    nanoseconds,
    text,  ///< nothing: times are written as PostgreSQL writes them, or as RFC 3339 does
};

enum class TimeFault : std::uint8_t {
    none,
    not_a_number,
    not_integral,  ///< not an integral number of nanoseconds
    out_of_range,
};

/// Converts a number of units since 1970-01-01 UTC to microseconds since 2000-01-01 UTC (PostgreSQL's timestamptz).
///
/// number   as JSON writes it: 1700000000123456789, also 1.7e18, or 1700000000.25 seconds
/// unit     not text
/// rounds   down to the microsecond: -1 ns is -1 us
/// errors   out_of_range: in nanoseconds not a 64-bit number, years 1677 to 2262; else outside what timestamptz holds
TimeFault parse_time(std::string_view number, TimeUnit unit, std::int64_t *microseconds) noexcept;

/// parse_time for nanoseconds.
TimeFault parse_nanoseconds(std::string_view number, std::int64_t *microseconds) noexcept;

/// The unit as a word of messages: "nanoseconds".
const char *time_unit_name(TimeUnit unit) noexcept;

}  // namespace historian::bgworker
