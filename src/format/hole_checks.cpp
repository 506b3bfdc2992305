#include "format/hole_checks.h"

#include <algorithm>
#include <cstring>

#include "codec/hole_text.h"

namespace historian::format {
namespace {

using codec::HoleKind;
using search::QueryWord;
using search::Wanted;

/// Sets of dictionary words that one wanted word has at most, one for each fixed text beside a hole: real models have a few.
constexpr std::size_t kSetsMax = 256;

/// Their bytes: one a word of the dictionary each, and a query has up to some dozen words.
constexpr std::size_t kSetBytesMax = std::size_t{4} << 20;

/// Longer texts go through the tokenizer; hardly a value is as long.
constexpr std::size_t kPatternTextMax = 128;

constexpr std::uint64_t kSizeMax = std::uint64_t{1} << 63;

bool is_digit(char letter) noexcept { return letter >= '0' && letter <= '9'; }
bool is_hex_digit(char letter) noexcept { return is_digit(letter) || (letter >= 'a' && letter <= 'f'); }
bool is_above_ascii(char byte) noexcept { return static_cast<unsigned char>(byte) >= 0x80; }
bool is_ascii(std::string_view text) noexcept { return std::none_of(text.begin(), text.end(), is_above_ascii); }

/// Whether fixed text is these bytes of a word, but for case.
bool is_same(std::string_view fixed, const char *word) noexcept {
    for (std::size_t i = 0; i < fixed.size(); ++i) {
        if (to_lower(fixed[i]) != word[i]) return false;
    }
    return true;
}

/// The part of a word between the fixed text around a hole; false when the word does not begin and end so, or nothing is between.
bool cut_middle(std::string_view word, std::string_view prefix, std::string_view suffix, std::string_view *middle) noexcept {
    if (word.size() <= prefix.size() + suffix.size()) return false;
    if (!is_same(prefix, word.data()) || !is_same(suffix, word.data() + word.size() - suffix.size())) return false;
    *middle = word.substr(prefix.size(), word.size() - prefix.size() - suffix.size());
    return true;
}

bool read_digits(std::string_view digits, std::uint64_t *value) noexcept {
    if (digits.size() > 19 || !std::all_of(digits.begin(), digits.end(), is_digit)) return false;
    *value = 0;
    for (const char digit : digits) *value = *value * 10 + static_cast<std::uint64_t>(digit - '0');
    return true;
}

/// A number as it is written: no zero before others.
bool read_number(std::string_view digits, std::uint64_t *value) noexcept {
    return (digits.size() == 1 || digits[0] != '0') && read_digits(digits, value) && *value <= kSizeMax;
}

std::uint64_t power_of_ten(std::uint32_t exponent) noexcept {
    std::uint64_t power = 1;
    for (; exponent > 0; --exponent) power *= 10;
    return power;
}

std::int64_t negated(std::uint64_t size) noexcept { return static_cast<std::int64_t>(0 - size); }

bool fits(const QueryWord &wanted, std::string_view bytes, bool is_letter) noexcept {
    if (wanted.wanted == Wanted::any) return true;
    if (wanted.wanted == Wanted::pattern) return !is_letter && search::matches_pattern(bytes, wanted.bytes);
    return bytes == wanted.bytes;
}

/// Whether one of the words of a text of ASCII is this one.
bool ascii_has_word(std::string_view text, std::string_view word) noexcept {
    for (std::size_t at = 0; at + word.size() <= text.size();) {
        if (is_separator(text[at])) {
            ++at;
            continue;
        }
        std::size_t length = 0;
        while (length < word.size() && to_lower(text[at + length]) == word[length]) ++length;
        const bool ends = at + length == text.size() || is_separator(text[at + length]);
        if (length == word.size() && ends) return true;
        at += length;
        while (at < text.size() && !is_separator(text[at])) ++at;
    }
    return false;
}

/// The same for a pattern.
bool ascii_has_pattern(std::string_view text, std::string_view pattern) noexcept {
    for (std::size_t at = 0; at < text.size(); ++at) {
        char room[kPatternTextMax];
        std::size_t length = 0;
        for (; at < text.size() && !is_separator(text[at]); ++at) {
            room[length++] = to_lower(text[at]);
        }
        if (length != 0 && search::matches_pattern({room, length}, pattern)) return true;
    }
    return false;
}

}  // namespace

WordFinder::WordFinder(const codec::TemplateModel &model, const MessageUnits &units, const QueryWord &word, Arena &arena) noexcept
    : model_(&model),
      units_(&units),
      arena_(&arena),
      space_(arena),
      text_(arena),
      candidates_(arena),
      sets_(arena),
      word_(word),
      letters_(word.wanted == Wanted::any ? LetterSet{0} : letter_set_of(word.bytes)),
      is_ascii_(word.wanted == Wanted::word && is_ascii(word.bytes)) {}

Status WordFinder::status() const noexcept {
    const bool failed = failed_ || text_.failed() || candidates_.failed() || sets_.failed() || space_.word.failed() ||
                        space_.mapped.characters.failed() || space_.mapped.spare.failed();
    return failed ? Status{StatusCode::out_of_memory, "no memory to search messages"} : Status::success();
}

bool WordFinder::text_has_word(std::string_view text) noexcept {
    if (word_.wanted == Wanted::word && is_ascii(text)) return is_ascii_ && ascii_has_word(text, word_.bytes);
    if (word_.wanted == Wanted::pattern && text.size() <= kPatternTextMax && is_ascii(text))
        return ascii_has_pattern(text, word_.bytes);
    search::Tokenizer words(text, space_);
    for (search::Word next; words.next(&next);) {
        if (fits(word_, next.bytes, next.is_letter)) return true;
    }
    return false;
}

bool WordFinder::value_has_word(const HoleCheck &check, std::string_view value) noexcept {
    if (check.prefix.empty() && check.suffix.empty()) return text_has_word(value);
    text_.clear();
    text_.append(check.prefix.data(), check.prefix.size());
    text_.append(value.data(), value.size());
    text_.append(check.suffix.data(), check.suffix.size());
    return !text_.failed() && text_has_word({text_.data(), text_.size()});
}

namespace {

/// A unit's text for the tokenizer: with the sign before it that a mark could merge with. U+0338 makes = a sign of its own, and
/// no word.
std::uint32_t context_begin(const MessageUnit &unit, std::string_view text) noexcept {
    const bool merges = unit.begin > 0 && text[unit.begin - 1] >= '<' && text[unit.begin - 1] <= '>';
    return merges ? unit.begin - 1 : unit.begin;
}

}  // namespace

Presence WordFinder::look_at(const MessageUnit &unit, std::uint32_t number) noexcept {
    const std::string_view text = characters_of(codec::template_text(*model_, number));
    if (unit.is_one_word()) {
        const std::string_view fixed = text.substr(unit.begin, unit.end - unit.begin);
        if (word_.wanted == Wanted::word) {
            return fixed.size() == word_.bytes.size() && is_same(fixed, word_.bytes.data()) ? Presence::fixed : Presence::no;
        }
        return text_has_word(fixed) ? Presence::fixed : Presence::no;
    }
    if (unit.is_fixed()) {
        const std::uint32_t begin = context_begin(unit, text);
        return text_has_word(text.substr(begin, unit.end - begin)) ? Presence::fixed : Presence::no;
    }
    if (word_.wanted == Wanted::any) return Presence::maybe;
    if (unit.hole_count > 1 || (unit.has_other && !unit.has_word_hole)) return Presence::maybe;
    checks_ = nullptr;
    return find_in_value(unit, number);
}

void WordFinder::add_checks(const MessageUnit &unit, std::uint32_t number, WordChecks &checks) noexcept {
    if (last_of_column_ == nullptr) {
        const std::uint32_t column_count = codec::column_count(*model_);
        last_of_column_ = arena_->array<std::uint32_t>(column_count);
        failed_ |= last_of_column_ == nullptr;
        if (failed_) return;
        std::fill_n(last_of_column_, column_count, UINT32_MAX);
    }
    checks_ = &checks;
    find_in_value(unit, number);
}

// Of a unit with one hole.
Presence WordFinder::find_in_value(const MessageUnit &unit, std::uint32_t number) noexcept {
    const std::string_view text = characters_of(codec::template_text(*model_, number));
    HoleCheck check;
    check.column = codec::template_columns(*model_, number)[unit.hole_first];
    const codec::HoleType type = codec::hole_type(*model_, check.column);
    const std::string_view suffix = text.substr(unit.hole_at + 1, unit.end - unit.hole_at - 1);
    template_ = number;
    found_ = false;
    if (type.kind == HoleKind::word) {
        const std::uint32_t begin = context_begin(unit, text);
        check_dictionary(check, text.substr(begin, unit.hole_at - begin), suffix);
        return Presence::depends;
    }
    const std::string_view prefix = text.substr(unit.begin, unit.hole_at - unit.begin);
    const bool is_pattern = word_.wanted == Wanted::pattern;
    if (!is_pattern && !is_ascii_) return Presence::no;
    if (is_pattern) {
        check.test = HoleTest::written;
        check.prefix = prefix;
        check.suffix = suffix;
        add(check);
        return Presence::depends;
    }
    switch (type.kind) {
        case HoleKind::number: check_number(check, prefix, suffix); break;
        case HoleKind::decimal: check_decimal(check, type.width, prefix, suffix); break;
        case HoleKind::padded: check_padded(check, type.width, prefix, suffix); break;
        case HoleKind::hex_lower:
        case HoleKind::hex_upper: check_hex(check, type.width, prefix, suffix); break;
        default: check_written(check, type, prefix, suffix); break;
    }
    return found_ ? Presence::depends : Presence::no;
}

// prefix, digits and suffix; of a number below zero: prefix, minus, digits and suffix, where the minus separates.
void WordFinder::check_number(HoleCheck check, std::string_view prefix, std::string_view suffix) noexcept {
    std::string_view middle;
    std::uint64_t value = 0;
    if (cut_middle(word_.bytes, {}, suffix, &middle) && read_number(middle, &value) && value != 0) {
        check.test = HoleTest::equal;
        check.a = check.b = negated(value);
        add(check);
    }
    if (cut_middle(word_.bytes, prefix, suffix, &middle) && read_number(middle, &value) && value < kSizeMax) {
        check.test = HoleTest::equal;
        check.a = check.b = static_cast<std::int64_t>(value);
        add(check);
    }
    if (!prefix.empty() && prefix.size() == word_.bytes.size() && is_same(prefix, word_.bytes.data())) {
        check.test = HoleTest::below_zero;
        add(check);
    }
}

// The point separates, and so does the minus.
void WordFinder::check_decimal(HoleCheck check, std::uint32_t digits, std::string_view prefix, std::string_view suffix) noexcept {
    const std::uint64_t unit = power_of_ten(digits);
    std::string_view middle;
    std::uint64_t value = 0;
    check.test = HoleTest::within;
    if (cut_middle(word_.bytes, prefix, {}, &middle) && read_number(middle, &value) && value <= (kSizeMax - 1) / unit) {
        check.a = static_cast<std::int64_t>(value * unit);
        check.b = static_cast<std::int64_t>(std::min(value * unit + (unit - 1), kSizeMax - 1));
        add(check);
    }
    if (read_number(word_.bytes, &value) && value <= kSizeMax / unit && (value != 0 || unit > 1)) {
        check.a = negated(std::min(value * unit + (unit - 1), kSizeMax));
        check.b = negated(std::max<std::uint64_t>(value * unit, 1));
        add(check);
    }
    if (!prefix.empty() && prefix.size() == word_.bytes.size() && is_same(prefix, word_.bytes.data())) {
        check.test = HoleTest::below_zero;
        add(check);
    }
    if (cut_middle(word_.bytes, {}, suffix, &middle) && middle.size() == digits && read_digits(middle, &value)) {
        check.test = HoleTest::fraction;
        check.a = static_cast<std::int64_t>(unit);
        check.b = static_cast<std::int64_t>(value);
        add(check);
    }
}

void WordFinder::check_padded(HoleCheck check, std::uint32_t digits, std::string_view prefix, std::string_view suffix) noexcept {
    std::string_view middle;
    std::uint64_t value = 0;
    if (!cut_middle(word_.bytes, prefix, suffix, &middle) || middle.size() != digits || !read_digits(middle, &value)) return;
    check.a = check.b = static_cast<std::int64_t>(value);
    add(check);
}

void WordFinder::check_hex(HoleCheck check, std::uint32_t digits, std::string_view prefix, std::string_view suffix) noexcept {
    std::string_view middle;
    if (!cut_middle(word_.bytes, prefix, suffix, &middle)) return;
    if (middle.size() > 16 || !std::all_of(middle.begin(), middle.end(), is_hex_digit)) return;
    if (digits == 0 ? middle.size() > 1 && middle[0] == '0' : middle.size() != digits) return;
    std::uint64_t value = 0;
    for (const char digit : middle) value = value << 4 | static_cast<unsigned>(is_digit(digit) ? digit - '0' : digit - 'a' + 10);
    check.a = check.b = static_cast<std::int64_t>(value);
    add(check);
}

// Whether one of the words around some value of this type has the word's form: digits where it has digits. All values of a type
// have the same form, but for the day in a time, which may have one digit.
void WordFinder::check_written(HoleCheck check, codec::HoleType type, std::string_view prefix, std::string_view suffix) noexcept {
    constexpr std::int64_t kTenthDay = std::int64_t{9} * 86400;
    check.test = HoleTest::written;
    check.prefix = prefix;
    check.suffix = suffix;
    std::int64_t sample = 0;
    for (int round = 0; round < 2; ++round) {
        std::uint8_t hole[codec::kHoleBytesMax];
        const std::uint8_t *end = codec::write_hole(type, sample, hole);
        text_.clear();
        text_.append(prefix.data(), prefix.size());
        text_.append(reinterpret_cast<const char *>(hole), static_cast<std::size_t>(end - hole));
        text_.append(suffix.data(), suffix.size());
        if (text_.failed()) return;
        const std::string_view text{text_.data(), text_.size()};
        for (std::size_t at = 0; at < text.size(); ++at) {
            const std::size_t begin = at;
            while (at < text.size() && !is_separator(text[at])) ++at;
            if (at - begin != word_.bytes.size() || at == begin) continue;
            const auto may_be = [&](std::size_t i) {
                const bool in_hole = begin + i >= prefix.size() && begin + i < text.size() - suffix.size();
                if (!in_hole) return to_lower(text[begin + i]) == word_.bytes[i];
                if (type.kind == HoleKind::time) return is_digit(text[begin + i]) == is_digit(word_.bytes[i]);
                return is_hex_digit(word_.bytes[i]);
            };
            std::size_t i = 0;
            while (i < word_.bytes.size() && may_be(i)) ++i;
            if (i == word_.bytes.size()) return add(check);
        }
        if (type.kind != HoleKind::time) return;
        sample = kTenthDay * static_cast<std::int64_t>(power_of_ten(type.width & 0x0f));
    }
}

void WordFinder::check_dictionary(HoleCheck check, std::string_view prefix, std::string_view suffix) noexcept {
    check.test = HoleTest::dictionary;
    check.prefix = prefix;
    check.suffix = suffix;
    found_ = true;
    if (checks_ == nullptr) return;
    check.set = dictionary_set(prefix, suffix);
    add(check);
}

// A word that goes on from a value into the fixed text beside it takes all of that text, which no separator is in. False: each
// word of the dictionary is to be looked at, because the wanted one may stand in the fixed text, if the value has a separator
// beside it, or is empty.
bool WordFinder::find_candidates(std::string_view prefix, std::string_view suffix) noexcept {
    using Place = DictionaryRuns::Place;
    candidates_.clear();
    if (!is_ascii_ || !is_ascii(prefix) || !is_ascii(suffix)) return false;
    while (!prefix.empty() && is_separator(prefix.front())) prefix.remove_prefix(1);
    const auto is_word = [&](std::string_view fixed) {
        return fixed.size() == word_.bytes.size() && is_same(fixed, word_.bytes.data());
    };
    const bool are_joined = word_.bytes.size() == prefix.size() + suffix.size() && word_.bytes.size() > 0 &&
                            is_same(prefix, word_.bytes.data()) && is_same(suffix, word_.bytes.data() + prefix.size());
    if (is_word(prefix) || is_word(suffix) || are_joined) return false;
    const auto take = [&](std::string_view run, Place place) {
        const std::span<const std::uint32_t> found = units_->runs()->find(run, place);
        candidates_.append(found.data(), found.size());
    };
    const std::string_view word = word_.bytes;
    take(word, Place::inner);
    std::string_view rest;
    if (cut_middle(word, prefix, {}, &rest)) take(rest, Place::begin);
    if (cut_middle(word, {}, suffix, &rest)) take(rest, Place::end);
    if (cut_middle(word, prefix, suffix, &rest)) take(rest, Place::whole);
    candidates_.append(units_->runs()->others().data(), units_->runs()->others().size());
    return !candidates_.failed();
}

const DictionarySet *WordFinder::dictionary_set(std::string_view prefix, std::string_view suffix) noexcept {
    const bool has_runs = units_->runs() != nullptr;
    if (has_runs && find_candidates(prefix, suffix) && candidates_.size() == 0) {
        if (no_set_ == nullptr && (no_set_ = make_set({}, {})) != nullptr) leave_empty(no_set_);
        return no_set_;
    }
    for (const DictionarySet *set : sets_.items()) {
        if (set->prefix == prefix && set->suffix == suffix) return set;
    }
    const std::size_t set_bytes = std::size_t{codec::word_count(*model_)} + 1;
    if (sets_.size() >= std::min(kSetsMax, kSetBytesMax / set_bytes)) return nullptr;
    DictionarySet *set = make_set(prefix, suffix);
    if (set == nullptr) return nullptr;
    if (has_runs) complete(set);
    sets_.push(set);
    return set;
}

/// Not complete; nullptr when there is no memory.
DictionarySet *WordFinder::make_set(std::string_view prefix, std::string_view suffix) noexcept {
    const std::size_t bytes = std::size_t{codec::word_count(*model_)} + 1;
    auto *set = arena_->array<DictionarySet>(1);
    auto *fits = arena_->array<std::uint8_t>(bytes);
    failed_ |= set == nullptr || fits == nullptr;
    if (failed_) return nullptr;
    std::memset(fits, DictionarySet::kUnknown, bytes);
    fits[0] = 0;
    return new (set) DictionarySet{prefix, suffix, fits};
}

/// Complete, without any word.
void WordFinder::leave_empty(DictionarySet *set) noexcept {
    std::memset(set->fits, 0, std::size_t{codec::word_count(*model_)} + 1);
    set->is_complete = true;
}

void WordFinder::complete(DictionarySet *set) noexcept {
    HoleCheck between;
    between.prefix = set->prefix;
    between.suffix = set->suffix;
    const std::uint32_t count = codec::word_count(*model_);
    const auto look_at = [&](std::uint32_t number) {
        set->fits[number] = value_has_word(between, characters_of(codec::word_text(*model_, number)));
        set->any_fits |= set->fits[number] != 0;
    };
    if (find_candidates(set->prefix, set->suffix)) {
        leave_empty(set);
        for (const std::uint32_t number : candidates_.items()) look_at(number);
    } else {
        for (std::uint32_t number = 1; number <= count; ++number) look_at(number);
    }
    set->is_complete = true;
}

void WordFinder::complete_dictionary_sets() noexcept {
    for (DictionarySet *set : sets_.items()) {
        if (!set->is_complete) complete(set);
    }
}

void WordFinder::add(const HoleCheck &check) noexcept {
    found_ = true;
    if (checks_ == nullptr) return;
    search::ArenaList<HoleCheck> &checks = checks_->checks;
    std::uint32_t at = last_of_column_[check.column];
    for (; at != UINT32_MAX; at = checks[at].next_of_column) {
        const HoleCheck &other = checks[at];
        if (other.test == check.test && other.a == check.a && other.b == check.b && other.prefix == check.prefix &&
            other.suffix == check.suffix) {
            break;
        }
    }
    if (at == UINT32_MAX) {
        at = static_cast<std::uint32_t>(checks.size());
        checks.push(check);
        if (checks.failed()) {
            failed_ = true;
            return;
        }
        checks[at].next_of_column = last_of_column_[check.column];
        last_of_column_[check.column] = at;
    }
    checks_->added.push(at);
    failed_ |= checks_->added.failed();
    // A template's units are looked at one after the other.
    HoleCheck &known = checks[at];
    if (known.first_use != UINT32_MAX && checks_->uses[known.first_use].template_number == template_) return;
    const auto use = static_cast<std::uint32_t>(checks_->uses.size());
    checks_->uses.push({template_, known.first_use});
    failed_ |= checks_->uses.failed();
    known.first_use = use;
    known.use_count += 1;
}

}  // namespace historian::format
