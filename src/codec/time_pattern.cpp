#include "codec/time_pattern.h"

#include <cstring>

namespace historian::codec {
namespace {

constexpr std::uint16_t kFractionMask = 0x0f;
constexpr std::uint16_t kComma = 1u << 4;
constexpr std::uint16_t kLetterT = 1u << 5;
constexpr std::uint16_t kHasTime = 1u << 6;
constexpr unsigned kDateShift = 8;
constexpr std::uint16_t kFormatMask = 0x77f;
constexpr std::uint32_t kFractionDigitsMax = 9;

enum Date : std::uint16_t { kNoDate = 0, kIso = 1, kSlashed = 2, kWeb = 3, kSyslog = 4 };

// With nanoseconds, years to 2199 stay below 2^63.
constexpr int kYearMin = 1970;
constexpr int kYearMax = 2199;

constexpr char kMonths[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
constexpr std::uint64_t kPowers[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000};

bool is_digit(std::uint8_t letter) noexcept { return letter >= '0' && letter <= '9'; }

/// The number that count digits make, or -1 when they are not digits.
int read_digits(const std::uint8_t *text, int count) noexcept {
    int value = 0;
    for (int i = 0; i < count; ++i) {
        if (!is_digit(text[i])) return -1;
        value = value * 10 + (text[i] - '0');
    }
    return value;
}

int find_month(const std::uint8_t *text) noexcept {
    for (int month = 0; month < 12; ++month) {
        if (std::memcmp(kMonths + 3 * month, text, 3) == 0) return month;
    }
    return -1;
}

/// Appends hh:mm:ss and a fraction to what was found; false when there is none.
bool find_clock(const std::uint8_t *text, const std::uint8_t *end, FoundTime *found) noexcept {
    if (end - text < 8 || text[2] != ':' || text[5] != ':') return false;
    const int hour = read_digits(text, 2);
    const int minute = read_digits(text + 3, 2);
    const int second = read_digits(text + 6, 2);
    if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59) return false;
    const std::uint8_t *next = text + 8;
    // Six pairs with colons are something else.
    if (next < end && (is_digit(*next) || (*next == ':' && end - next > 1 && is_digit(next[1])))) return false;
    std::int64_t value = ((found->value * 24 + hour) * 60 + minute) * 60 + second;
    std::uint32_t digits = 0;
    if (end - next > 1 && (*next == '.' || *next == ',')) {
        while (digits <= kFractionDigitsMax && next + 1 + digits < end && is_digit(next[1 + digits])) ++digits;
    }
    if (digits > kFractionDigitsMax) return false;
    for (std::uint32_t i = 0; i < digits; ++i) value = value * 10 + (next[1 + i] - '0');
    const bool comma = digits != 0 && *next == ',';
    found->format = static_cast<std::uint16_t>(found->format | kHasTime | digits | (comma ? kComma : 0u));
    found->value = value;
    found->byte_count += 8 + (digits == 0 ? 0 : 1 + digits);
    return true;
}

std::int64_t day_number(int year, int month, int day) noexcept {
    return (static_cast<std::int64_t>(year - kYearMin) * 12 + month) * 31 + day - 1;
}

FoundTime find_iso(const std::uint8_t *text, const std::uint8_t *end) noexcept {
    const int year = read_digits(text, 4);
    const int month = read_digits(text + 5, 2);
    const int day = read_digits(text + 8, 2);
    if (year < kYearMin || year > kYearMax || text[7] != text[4] || month < 1 || month > 12 || day < 1 || day > 31) return {};
    if (end - text > 10 && is_digit(text[10])) return {};
    FoundTime date{10, static_cast<std::uint16_t>((text[4] == '-' ? kIso : kSlashed) << kDateShift),
                   day_number(year, month - 1, day)};
    if (end - text < 19 || (text[10] != ' ' && text[10] != 'T')) return date;
    FoundTime both = date;
    if (!find_clock(text + 11, end, &both)) return date;
    both.byte_count += 1;
    if (text[10] == 'T') both.format |= kLetterT;
    return both;
}

FoundTime find_web(const std::uint8_t *text, const std::uint8_t *end) noexcept {
    const int day = read_digits(text, 2);
    const int month = find_month(text + 3);
    const int year = read_digits(text + 7, 4);
    if (day < 1 || day > 31 || month < 0 || year < kYearMin || year > kYearMax || text[11] != ':') return {};
    FoundTime found{12, kWeb << kDateShift, day_number(year, month, day)};
    return find_clock(text + 12, end, &found) ? found : FoundTime{};
}

FoundTime find_syslog(const std::uint8_t *text, const std::uint8_t *end) noexcept {
    const int month = find_month(text);
    const int day = text[4] == ' ' ? read_digits(text + 5, 1) : read_digits(text + 4, 2);
    if (month < 0 || day < 1 || day > 31 || text[4] == '0') return {};
    FoundTime found{7, kSyslog << kDateShift, month * 31 + day - 1};
    return find_clock(text + 7, end, &found) ? found : FoundTime{};
}

std::uint8_t *write_digits(std::uint64_t value, std::uint32_t count, std::uint8_t *text) noexcept {
    for (std::uint32_t i = count; i-- > 0;) {
        text[i] = static_cast<std::uint8_t>('0' + value % 10);
        value /= 10;
    }
    return text + count;
}

std::uint8_t *write_month(std::uint64_t month, std::uint8_t *text) noexcept {
    std::memcpy(text, kMonths + 3 * month, 3);
    return text + 3;
}

std::uint8_t *write_date(std::uint16_t format, std::uint64_t days, std::uint8_t *text) noexcept {
    const std::uint64_t day = days % 31 + 1;
    const std::uint64_t month = days / 31 % 12;
    const std::uint64_t year = days / 372 + kYearMin;
    switch (format >> kDateShift) {
        case kIso:
        case kSlashed: {
            const std::uint8_t mark = format >> kDateShift == kIso ? '-' : '/';
            text = write_digits(year, 4, text);
            *text++ = mark;
            text = write_digits(month + 1, 2, text);
            *text++ = mark;
            return write_digits(day, 2, text);
        }
        case kWeb:
            text = write_digits(day, 2, text);
            *text++ = '/';
            text = write_month(month, text);
            *text++ = '/';
            text = write_digits(year, 4, text);
            *text++ = ':';
            return text;
        case kSyslog:
            text = write_month(month, text);
            *text++ = ' ';
            text = write_digits(day, 2, text);
            if (day < 10) text[-2] = ' ';
            *text++ = ' ';
            return text;
        default: return text;
    }
}

}  // namespace

FoundTime find_time(const std::uint8_t *text, const std::uint8_t *end) noexcept {
    const std::ptrdiff_t left = end - text;
    if (left < 8) return {};
    if (!is_digit(text[0])) return left >= 15 && text[3] == ' ' && text[6] == ' ' ? find_syslog(text, end) : FoundTime{};
    if (left >= 10 && (text[4] == '-' || text[4] == '/')) return find_iso(text, end);
    if (left >= 20 && text[2] == '/' && text[6] == '/') return find_web(text, end);
    FoundTime found;
    return text[2] == ':' && find_clock(text, end, &found) ? found : FoundTime{};
}

bool is_time_format(std::uint64_t format) noexcept {
    const bool has_time = (format & kHasTime) != 0;
    const auto date = static_cast<std::uint16_t>(format >> kDateShift & 7);
    if ((format & ~std::uint64_t{kFormatMask}) != 0 || (format & kFractionMask) > kFractionDigitsMax || date > kSyslog)
        return false;
    return has_time || date == kIso || date == kSlashed;
}

std::uint32_t write_time(std::uint16_t format, std::int64_t value, std::uint8_t *text) noexcept {
    std::uint8_t *next = text;
    const std::uint32_t digits = format & kFractionMask;
    const bool has_time = (format & kHasTime) != 0;
    const auto number = static_cast<std::uint64_t>(value);
    const std::uint64_t seconds = has_time ? number / kPowers[digits] : 0;
    const std::uint64_t days = has_time ? seconds / 86400 : number;
    const std::uint16_t date = format >> kDateShift;
    if (date != kNoDate) next = write_date(format, days, next);
    if (!has_time) return static_cast<std::uint32_t>(next - text);
    if (date == kIso || date == kSlashed) *next++ = (format & kLetterT) != 0 ? 'T' : ' ';
    next = write_digits(seconds / 3600 % 24, 2, next);
    *next++ = ':';
    next = write_digits(seconds / 60 % 60, 2, next);
    *next++ = ':';
    next = write_digits(seconds % 60, 2, next);
    if (digits != 0) {
        *next++ = (format & kComma) != 0 ? ',' : '.';
        next = write_digits(number % kPowers[digits], digits, next);
    }
    return static_cast<std::uint32_t>(next - text);
}

}  // namespace historian::codec
