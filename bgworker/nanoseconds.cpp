#include "bgworker/nanoseconds.h"

#include <charconv>
#include <limits>

namespace historian::bgworker {

namespace {

constexpr std::int64_t kMicrosecondsFrom1970To2000 = 946'684'800'000'000;

// What timestamptz holds, in microseconds since 2000: from 4713 BC on, and before the year 294277.
constexpr std::int64_t kMicrosecondsMin = -211'813'488'000'000'000;
constexpr std::int64_t kMicrosecondsEnd = 9'223'371'331'200'000'000;

// Digits of its last nanosecond.
constexpr int kDigitCountMax = 22;

bool is_digit(char character) noexcept { return character >= '0' && character <= '9'; }

/// A JSON number taken apart: digits * 10^exponent.
struct Decimal {
    bool negative = false;
    unsigned __int128 digits = 0;  ///< at most kDigitCountMax + 1 significant ones, no trailing zero counted
    int digit_count = 0;           ///< significant digits gathered
    long exponent = 0;
    bool too_many_digits = false;
};

/// Adds a digit; zeros at the end are held back as exponent, so that 1700.000e15 keeps few digits.
void add_digit(Decimal *decimal, char digit, bool after_point, long *held_zeros) noexcept {
    if (after_point) --decimal->exponent;
    if (digit == '0') {
        if (decimal->digit_count > 0) ++*held_zeros;
        return;
    }
    if (decimal->digit_count + *held_zeros >= kDigitCountMax + 1) {
        decimal->too_many_digits = true;
        return;
    }
    for (; *held_zeros > 0; --*held_zeros, ++decimal->digit_count) decimal->digits *= 10;
    decimal->digits = decimal->digits * 10 + static_cast<unsigned>(digit - '0');
    ++decimal->digit_count;
}

/// Reads a number as JSON writes it; false when it is not one.
bool read_decimal(std::string_view number, Decimal *decimal) noexcept {
    std::size_t at = 0;
    long held_zeros = 0;
    if (at < number.size() && number[at] == '-') decimal->negative = true, ++at;
    const std::size_t first_digit = at;
    for (; at < number.size() && is_digit(number[at]); ++at) add_digit(decimal, number[at], false, &held_zeros);
    if (at == first_digit) return false;
    if (at < number.size() && number[at] == '.') {
        for (++at; at < number.size() && is_digit(number[at]); ++at) add_digit(decimal, number[at], true, &held_zeros);
    }
    decimal->exponent += held_zeros;
    if (at < number.size() && (number[at] == 'e' || number[at] == 'E')) {
        ++at;
        bool negative = false;
        if (at < number.size() && (number[at] == '+' || number[at] == '-')) negative = number[at++] == '-';
        long exponent = 0;
        for (; at < number.size() && is_digit(number[at]); ++at) {
            if (exponent < 1'000'000) exponent = exponent * 10 + (number[at] - '0');
        }
        decimal->exponent += negative ? -exponent : exponent;
    }
    return at == number.size();
}

int digits_to_nanoseconds(TimeUnit unit) noexcept {
    switch (unit) {
        case TimeUnit::seconds: return 9;
        case TimeUnit::milliseconds: return 6;
        case TimeUnit::microseconds: return 3;
        default: return 0;
    }
}

/// The commonest way to write a time, figures only: the same as below, in fewer steps.
bool parse_integral_nanoseconds(std::string_view number, std::int64_t *microseconds) noexcept {
    std::int64_t nanoseconds;
    const char *end = number.data() + number.size();
    const std::from_chars_result result = std::from_chars(number.data(), end, nanoseconds);
    if (result.ec != std::errc{} || result.ptr != end) return false;
    *microseconds = nanoseconds / 1000 - (nanoseconds % 1000 < 0) - kMicrosecondsFrom1970To2000;
    return true;
}

}  // namespace

TimeFault parse_time(std::string_view number, TimeUnit unit, std::int64_t *microseconds) noexcept {
    if (unit == TimeUnit::nanoseconds && parse_integral_nanoseconds(number, microseconds)) return TimeFault::none;
    Decimal decimal;
    if (!read_decimal(number, &decimal)) return TimeFault::not_a_number;
    decimal.exponent += digits_to_nanoseconds(unit);
    if (decimal.digit_count == 0) decimal.exponent = 0;
    if (decimal.exponent < 0) return TimeFault::not_integral;
    if (decimal.too_many_digits || decimal.digit_count + decimal.exponent > kDigitCountMax) return TimeFault::out_of_range;
    for (; decimal.exponent > 0; --decimal.exponent) decimal.digits *= 10;

    const auto magnitude_max = static_cast<unsigned __int128>(std::numeric_limits<std::int64_t>::max()) + decimal.negative;
    if (unit == TimeUnit::nanoseconds && decimal.digits > magnitude_max) return TimeFault::out_of_range;
    // -(m / 1000) rounded towards minus infinity is -ceil(m / 1000).
    const auto thousands = static_cast<__int128>(decimal.digits / 1000);
    const __int128 from_1970 = decimal.negative ? -(thousands + (decimal.digits % 1000 != 0)) : thousands;
    const __int128 from_2000 = from_1970 - kMicrosecondsFrom1970To2000;
    if (from_2000 < kMicrosecondsMin || from_2000 >= kMicrosecondsEnd) return TimeFault::out_of_range;
    *microseconds = static_cast<std::int64_t>(from_2000);
    return TimeFault::none;
}

TimeFault parse_nanoseconds(std::string_view number, std::int64_t *microseconds) noexcept {
    return parse_time(number, TimeUnit::nanoseconds, microseconds);
}

const char *time_unit_name(TimeUnit unit) noexcept {
    switch (unit) {
        case TimeUnit::seconds: return "seconds";
        case TimeUnit::milliseconds: return "milliseconds";
        case TimeUnit::microseconds: return "microseconds";
        case TimeUnit::nanoseconds: return "nanoseconds";
        case TimeUnit::text: break;
    }
    return "text";
}

}  // namespace historian::bgworker
