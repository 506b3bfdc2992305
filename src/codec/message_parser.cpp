#include "codec/message_parser.h"

#include <array>

#include "codec/time_pattern.h"

namespace historian::codec {
namespace {

constexpr std::uint32_t kNumberDigitsMax = 18;
constexpr std::uint32_t kPointDigitsMax = 9;
constexpr std::uint32_t kHexDigitsMax = 16;
constexpr std::uint32_t kLongHexDigitsMin = 6;
constexpr std::uint32_t kDigitRunsMax = 3;

// Shorter quoted texts are mostly names, and those without a space one value, which templates do better.
constexpr std::ptrdiff_t kQuotedBytesMin = 24;

enum Class : std::uint8_t { kPlain = 0, kDigit = 1, kLetter = 2, kMinus = 3, kQuote = 4, kSlash = 5, kMark = 6 };

constexpr std::array<std::uint8_t, 256> make_classes() noexcept {
    std::array<std::uint8_t, 256> classes{};
    for (unsigned c = 0; c < 256; ++c) {
        if (c >= '0' && c <= '9') classes[c] = kDigit;
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c >= 0x80) classes[c] = kLetter;
    }
    classes['-'] = kMinus;
    classes['"'] = kQuote;
    classes['/'] = kSlash;
    classes[kHoleMark] = kMark;
    return classes;
}
constexpr std::array<std::uint8_t, 256> kClasses = make_classes();

bool is_digit(std::uint8_t letter) noexcept { return letter >= '0' && letter <= '9'; }
bool in_word(std::uint8_t letter) noexcept { return kClasses[letter] == kDigit || kClasses[letter] == kLetter; }

/// 0 to 15, or 16.
unsigned hex_value(std::uint8_t letter) noexcept {
    if (is_digit(letter)) return letter - '0';
    if (letter >= 'a' && letter <= 'f') return letter - 'a' + 10;
    return 16;
}

class Parser {
public:
    Parser(Text message, Cut cut, WordTable &words, Arena &arena, ParsedMessage *parsed) noexcept
        : begin_(reinterpret_cast<const std::uint8_t *>(message.data)),
          end_(begin_ + message.size),
          cut_(cut),
          words_(words),
          arena_(arena),
          parsed_(parsed),
          skeleton_(parsed->skeleton) {}

    ParseResult run() noexcept {
        const std::uint8_t *next = begin_;
        while (next < end_ && result_ == ParseResult::parsed) {
            if (holes_ >= kHolesMax) {
                add_word(next, end_);
                break;
            }
            switch (kClasses[*next]) {
                case kPlain: *skeleton_++ = *next++; break;
                case kDigit:
                case kLetter: next = parse_run(next); break;
                case kMinus: next = parse_minus(next); break;
                case kQuote: next = cut_ == Cut::fine ? copy(next, next + 1) : parse_quoted(next); break;
                case kSlash: next = cut_ == Cut::fine ? copy(next, next + 1) : parse_path(next); break;
                default: return ParseResult::raw;
            }
        }
        parsed_->hole_count = holes_;
        parsed_->skeleton_bytes = static_cast<std::uint32_t>(skeleton_ - parsed_->skeleton);
        return result_;
    }

private:
    const std::uint8_t *copy(const std::uint8_t *from, const std::uint8_t *to) noexcept {
        const auto size = static_cast<std::size_t>(to - from);
        std::memcpy(skeleton_, from, size);
        skeleton_ += size;
        return to;
    }

    void add_hole(HoleKind kind, std::uint16_t width, std::int64_t value, std::uint32_t digits, bool leading_zero) noexcept {
        parsed_->values[holes_] = value;
        parsed_->widths[holes_++] = static_cast<std::uint8_t>(digits | (leading_zero ? kLeadingZero : 0u));
        *skeleton_++ = kHoleMark;
        *skeleton_++ = static_cast<std::uint8_t>(kind);
        std::memcpy(skeleton_, &width, sizeof width);
        skeleton_ += sizeof width;
    }

    const std::uint8_t *add_word(const std::uint8_t *from, const std::uint8_t *to) noexcept {
        // The marks that stand for a text must not become text.
        if (std::memchr(from, kHoleMark, static_cast<std::size_t>(to - from)) != nullptr) {
            result_ = ParseResult::raw;
            return to;
        }
        const std::uint32_t number =
            words_.intern(reinterpret_cast<const std::byte *>(from), static_cast<std::uint32_t>(to - from), arena_);
        if (number == NumberTable::kNone) {
            result_ = ParseResult::out_of_memory;
            return to;
        }
        add_hole(HoleKind::word, 0, number, 0, false);
        return to;
    }

    const std::uint8_t *parse_quoted(const std::uint8_t *quote) noexcept {
        const std::uint8_t *close = quote + 1;
        bool has_space = false;
        while (close < end_ && *close != '"') {
            has_space |= *close == ' ';
            close += *close == '\\' && close + 1 < end_ ? 2 : 1;
        }
        if (close >= end_ || close - quote <= kQuotedBytesMin || !has_space) return copy(quote, quote + 1);
        *skeleton_++ = '"';
        add_word(quote + 1, close);
        *skeleton_++ = '"';
        return close + 1;
    }

    const std::uint8_t *parse_path(const std::uint8_t *slash) noexcept {
        if (slash > begin_ && in_word(slash[-1])) return copy(slash, slash + 1);
        const std::uint8_t *stop = slash + 1;
        while (stop < end_ && std::memchr(" \"'),:;]", *stop, 8) == nullptr) ++stop;
        return stop - slash > 1 ? add_word(slash, stop) : copy(slash, stop);
    }

    /// A sign, when digits of a number follow that does not continue something before.
    const std::uint8_t *parse_minus(const std::uint8_t *minus) noexcept {
        const std::uint8_t *digits = minus + 1;
        if (digits < end_ && is_digit(*digits) && (minus == begin_ || std::memchr(" =(,:[", minus[-1], 6) != nullptr)) {
            const std::uint8_t *stop = digits;
            while (stop < end_ && is_digit(*stop)) ++stop;
            if (stop == end_ || !in_word(*stop)) {
                const std::uint8_t *after = parse_digits(digits, stop, true);
                if (after != nullptr) return after;
            }
        }
        *skeleton_++ = '-';
        return digits;
    }

    /// A whole number or a decimal; nullptr when a sign cannot stay with it.
    const std::uint8_t *parse_digits(const std::uint8_t *from, const std::uint8_t *to, bool negative) noexcept {
        const auto count = static_cast<std::uint32_t>(to - from);
        const bool leading_zero = *from == '0' && count > 1;
        if (count > kNumberDigitsMax) return negative ? nullptr : add_word(from, to);
        std::int64_t value = 0;
        for (const std::uint8_t *digit = from; digit < to; ++digit) value = value * 10 + (*digit - '0');
        const std::uint8_t *stop = decimal_end(from, to);
        if (stop != nullptr && !leading_zero) {
            for (const std::uint8_t *digit = to + 1; digit < stop; ++digit) value = value * 10 + (*digit - '0');
            if (negative && value == 0) return nullptr;
            add_hole(HoleKind::decimal, static_cast<std::uint16_t>(stop - to - 1), negative ? -value : value, 0, false);
            return stop;
        }
        if (negative && *from == '0') return nullptr;
        add_hole(HoleKind::number, 0, negative ? -value : value, count, leading_zero);
        return to;
    }

    /// Where "digits.digits" ends, unless it is part of more, like an address or a version; nullptr otherwise.
    const std::uint8_t *decimal_end(const std::uint8_t *from, const std::uint8_t *to) const noexcept {
        if (end_ - to < 2 || *to != '.' || !is_digit(to[1]) || to - from > static_cast<std::ptrdiff_t>(kPointDigitsMax))
            return nullptr;
        if (from > begin_ && from[-1] == '.') return nullptr;
        const std::uint8_t *stop = to + 1;
        while (stop < end_ && is_digit(*stop)) ++stop;
        if (stop - to - 1 > static_cast<std::ptrdiff_t>(kPointDigitsMax)) return nullptr;
        return end_ - stop > 1 && *stop == '.' && is_digit(stop[1]) ? nullptr : stop;
    }

    /// A run of letters and digits.
    const std::uint8_t *parse_run(const std::uint8_t *from) noexcept {
        const std::uint8_t *to = from;
        bool has_digit = false;
        bool has_letter = false;
        for (; to < end_; ++to) {
            const std::uint8_t kind = kClasses[*to];
            if (kind == kDigit)
                has_digit = true;
            else if (kind == kLetter)
                has_letter = true;
            else
                break;
        }
        if (to < end_) {
            // Times, addresses and uuids go on after the run.
            const std::uint8_t *stop = parse_pattern(from, to, has_digit);
            if (stop != nullptr) return stop;
        }
        if (!has_digit) return copy(from, to);
        if (!has_letter) return parse_digits(from, to, false);
        return parse_mixed(from, to);
    }

    const std::uint8_t *parse_pattern(const std::uint8_t *from, const std::uint8_t *to, bool has_digit) noexcept {
        const std::ptrdiff_t size = to - from;
        if (size == 2 && *to == ':') {
            if (const std::uint8_t *stop = parse_mac(from)) return stop;
        }
        if (size == 8 && *to == '-') {
            if (const std::uint8_t *stop = parse_uuid(from)) return stop;
        }
        const bool time_begins =
            has_digit ? (*to == ':' && size == 2) || (*to == '-' && size == 4) || (*to == '/' && (size == 4 || size == 2))
                      : *to == ' ' && size == 3;
        if (!time_begins) return nullptr;
        const FoundTime found = find_time(from, end_);
        if (found.byte_count == 0) return nullptr;
        add_hole(HoleKind::time, found.format, found.value, 0, false);
        return from + found.byte_count;
    }

    /// Six pairs with five colons.
    const std::uint8_t *parse_mac(const std::uint8_t *from) noexcept {
        if (end_ - from < 17) return nullptr;
        std::int64_t value = 0;
        for (unsigned i = 0; i < 17; ++i) {
            if (i % 3 == 2) {
                if (from[i] != ':') return nullptr;
                continue;
            }
            const unsigned digit = hex_value(from[i]);
            if (digit > 15) return nullptr;
            value = value << 4 | digit;
        }
        const std::uint8_t *stop = from + 17;
        if (stop < end_ && (in_word(*stop) || *stop == ':')) return nullptr;
        add_hole(HoleKind::mac, 0, value, 0, false);
        return stop;
    }

    const std::uint8_t *parse_uuid(const std::uint8_t *from) noexcept {
        if (end_ - from < 36 || holes_ + 2 > kHolesMax) return nullptr;
        std::uint64_t halves[2] = {};
        for (unsigned i = 0; i < 36; ++i) {
            if (i == 8 || i == 13 || i == 18 || i == 23) {
                if (from[i] != '-') return nullptr;
                continue;
            }
            const unsigned digit = hex_value(from[i]);
            if (digit > 15) return nullptr;
            halves[i > 18] = halves[i > 18] << 4 | digit;
        }
        if (from + 36 < end_ && in_word(from[36])) return nullptr;
        add_hole(HoleKind::uuid_high, 0, static_cast<std::int64_t>(halves[0]), 0, false);
        add_hole(HoleKind::uuid_low, 0, static_cast<std::int64_t>(halves[1]), 0, false);
        return from + 36;
    }

    /// Letters and digits together.
    const std::uint8_t *parse_mixed(const std::uint8_t *from, const std::uint8_t *to) noexcept {
        const auto size = static_cast<std::uint32_t>(to - from);
        bool lower = true;
        bool upper = true;
        std::uint32_t changes = 0;
        std::uint32_t runs = is_digit(*from) ? 1 : 0;
        std::uint32_t longest = 0;
        std::uint32_t length = 0;
        for (const std::uint8_t *letter = from; letter < to; ++letter) {
            const bool digit = is_digit(*letter);
            lower &= digit || (*letter >= 'a' && *letter <= 'f');
            upper &= digit || (*letter >= 'A' && *letter <= 'F');
            if (letter > from && digit != is_digit(letter[-1])) {
                ++changes;
                runs += digit;
            }
            length = digit ? length + 1 : 0;
            longest = length > longest ? length : longest;
        }
        const std::uint32_t hex_holes = (size + kHexDigitsMax - 1) / kHexDigitsMax;
        if ((lower || upper) && (size >= kLongHexDigitsMin || changes >= 2) && holes_ + hex_holes <= kHolesMax) {
            return add_hex(from, to, lower ? HoleKind::hex_lower : HoleKind::hex_upper);
        }
        if (size > 2 && size <= 2 + kHexDigitsMax && from[0] == '0' && from[1] == 'x' && is_lower_hex(from + 2, to)) {
            return add_hex(copy(from, from + 2), to, HoleKind::hex_lower);
        }
        if (runs > kDigitRunsMax || longest > kNumberDigitsMax || holes_ + runs > kHolesMax) return add_word(from, to);
        while (from < to) {
            const std::uint8_t *stop = from;
            while (stop < to && is_digit(*stop) == is_digit(*from)) ++stop;
            if (is_digit(*from))
                add_number(from, stop);
            else
                copy(from, stop);
            from = stop;
        }
        return to;
    }

    void add_number(const std::uint8_t *from, const std::uint8_t *to) noexcept {
        std::int64_t value = 0;
        for (const std::uint8_t *digit = from; digit < to; ++digit) value = value * 10 + (*digit - '0');
        add_hole(HoleKind::number, 0, value, static_cast<std::uint32_t>(to - from), *from == '0' && to - from > 1);
    }

    static bool is_lower_hex(const std::uint8_t *from, const std::uint8_t *to) noexcept {
        for (; from < to; ++from) {
            if (hex_value(*from) > 15) return false;
        }
        return true;
    }

    const std::uint8_t *add_hex(const std::uint8_t *from, const std::uint8_t *to, HoleKind kind) noexcept {
        while (from < to) {
            const std::uint8_t *stop = to - from > static_cast<std::ptrdiff_t>(kHexDigitsMax) ? from + kHexDigitsMax : to;
            std::uint64_t value = 0;
            for (const std::uint8_t *digit = from; digit < stop; ++digit) {
                value = value << 4 | static_cast<unsigned>(is_digit(*digit) ? *digit - '0' : (*digit & 0x0f) + 9);
            }
            add_hole(kind, 0, static_cast<std::int64_t>(value), static_cast<std::uint32_t>(stop - from),
                     *from == '0' && stop - from > 1);
            from = stop;
        }
        return to;
    }

    const std::uint8_t *begin_;
    const std::uint8_t *end_;
    Cut cut_;
    WordTable &words_;
    Arena &arena_;
    ParsedMessage *parsed_;
    std::uint8_t *skeleton_;
    std::uint32_t holes_ = 0;
    ParseResult result_ = ParseResult::parsed;
};

}  // namespace

ParseResult parse_message(Text message, Cut cut, WordTable &words, Arena &arena, ParsedMessage *parsed) noexcept {
    if (message.size > kParsedBytesMax) return ParseResult::raw;
    return Parser{message, cut, words, arena, parsed}.run();
}

}  // namespace historian::codec
