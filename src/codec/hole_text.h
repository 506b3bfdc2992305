// A hole's value as the text that it was cut from.
//
// Invariant: every value of every type but `word` has a text of at most kHoleBytesMax bytes; values that were never cut from a
// text (corrupt bytes) get some text.
#pragma once

#include <cstring>

#include "codec/templates.h"
#include "codec/time_pattern.h"

namespace historian::codec {

inline constexpr std::uint32_t kHoleBytesMax = kTimeBytesMax;

namespace hole_text {

inline constexpr char kDigitPairs[] =
    "0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849505152535455565758596061"
    "6263"
    "646566676869707172737475767778798081828384858687888990919293949596979899";

/// The last `count` digits of a number.
inline std::uint8_t *write_padded(std::uint64_t value, std::uint32_t count, std::uint8_t *text) noexcept {
    std::uint8_t *end = text + count;
    while (count >= 2) {
        std::memcpy(text + count - 2, kDigitPairs + 2 * (value % 100), 2);
        value /= 100;
        count -= 2;
    }
    if (count == 1) *text = static_cast<std::uint8_t>('0' + value % 10);
    return end;
}

inline std::uint32_t count_digits(std::uint64_t value) noexcept {
    std::uint32_t digits = 1;
    for (std::uint64_t power = 10; value >= power; power *= 10) {
        if (++digits == 20) break;
    }
    return digits;
}

inline std::uint8_t *write_sign(std::int64_t value, std::uint64_t *size, std::uint8_t *text) noexcept {
    *size = static_cast<std::uint64_t>(value);
    if (value < 0) {
        *text++ = '-';
        *size = 0 - *size;
    }
    return text;
}

inline std::uint8_t *write_number(std::int64_t value, std::uint8_t *text) noexcept {
    std::uint64_t size = 0;
    text = write_sign(value, &size, text);
    return write_padded(size, count_digits(size), text);
}

inline std::uint8_t *write_decimal(std::int64_t value, std::uint32_t digits, std::uint8_t *text) noexcept {
    std::uint64_t size = 0;
    text = write_sign(value, &size, text);
    // All digits and at least one before the point; then the fraction moves to make room for it.
    std::uint32_t count = count_digits(size);
    if (count <= digits) count = digits + 1;
    std::uint8_t *end = write_padded(size, count, text);
    std::memmove(end - digits + 1, end - digits, digits);
    end[-static_cast<std::ptrdiff_t>(digits)] = '.';
    return end + 1;
}

inline std::uint8_t *write_hex(std::uint64_t value, std::uint32_t count, const char *letters, std::uint8_t *text) noexcept {
    for (std::uint32_t i = count; i-- > 0; value >>= 4) text[i] = static_cast<std::uint8_t>(letters[value & 15]);
    return text + count;
}

inline std::uint32_t count_hex_digits(std::uint64_t value) noexcept {
    std::uint32_t digits = 1;
    while (value >>= 4) ++digits;
    return digits;
}

}  // namespace hole_text

/// Not for words.
///
/// text      output, kHoleBytesMax bytes of room
/// returns   where the text ends
inline std::uint8_t *write_hole(HoleType type, std::int64_t value, std::uint8_t *text) noexcept {
    using namespace hole_text;
    constexpr char kLower[] = "0123456789abcdef";
    constexpr char kUpper[] = "0123456789ABCDEF";
    const auto bits = static_cast<std::uint64_t>(value);
    switch (type.kind) {
        case HoleKind::number: return write_number(value, text);
        case HoleKind::padded: return write_padded(bits, type.width, text);
        case HoleKind::decimal: return write_decimal(value, type.width, text);
        case HoleKind::hex_lower: return write_hex(bits, type.width == 0 ? count_hex_digits(bits) : type.width, kLower, text);
        case HoleKind::hex_upper: return write_hex(bits, type.width == 0 ? count_hex_digits(bits) : type.width, kUpper, text);
        case HoleKind::time: return text + write_time(type.width, value, text);
        case HoleKind::uuid_high:
            text = write_hex(bits >> 32, 8, kLower, text);
            *text++ = '-';
            text = write_hex(bits >> 16, 4, kLower, text);
            *text++ = '-';
            text = write_hex(bits, 4, kLower, text);
            *text++ = '-';
            return text;
        case HoleKind::uuid_low:
            text = write_hex(bits >> 48, 4, kLower, text);
            *text++ = '-';
            return write_hex(bits, 12, kLower, text);
        case HoleKind::mac:
            for (unsigned pair = 6; pair-- > 0;) {
                text = write_hex(bits >> (8 * pair), 2, kLower, text);
                if (pair != 0) *text++ = ':';
            }
            return text;
        default: return text;
    }
}

}  // namespace historian::codec
