#include "search/mapped_text.h"

#include <utf8proc.h>

#include <utility>

namespace historian::search {

namespace {

struct Range {
    Character first;
    Character last;
};

// Letters and digits in here are CJK letters; marks and punctuation in here are what they are elsewhere.
constexpr Range kCjkRanges[] = {
    {0x1100, 0x11ff},    // Hangul Jamo
    {0x2e80, 0x2fdf},    // CJK Radicals Supplement, Kangxi Radicals
    {0x3005, 0x3007},    // iteration mark, closing mark, number zero
    {0x3021, 0x3029},    // Hangzhou numerals
    {0x3031, 0x3035},    // vertical kana repeat marks
    {0x3038, 0x303c},    // Hangzhou numerals, vertical iteration mark, masu mark
    {0x3041, 0x312f},    // Hiragana, Katakana, Bopomofo
    {0x3131, 0x318f},    // Hangul Compatibility Jamo
    {0x31a0, 0x31bf},    // Bopomofo Extended
    {0x31f0, 0x31ff},    // Katakana Phonetic Extensions
    {0x3400, 0x4dbf},    // CJK Unified Ideographs Extension A
    {0x4e00, 0x9fff},    // CJK Unified Ideographs
    {0xa960, 0xa97f},    // Hangul Jamo Extended-A
    {0xac00, 0xd7ff},    // Hangul Syllables, Hangul Jamo Extended-B
    {0xf900, 0xfaff},    // CJK Compatibility Ideographs
    {0x1aff0, 0x1b16f},  // Kana Extended-B, Kana Supplement, Kana Extended-A, Small Kana Extension
    {0x20000, 0x3ffff},  // CJK Unified Ideographs Extension B and later
};

constexpr auto kCanonical = static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE | UTF8PROC_STABLE);
constexpr auto kMapping =
    static_cast<utf8proc_option_t>(UTF8PROC_COMPAT | UTF8PROC_COMPOSE | UTF8PROC_STABLE | UTF8PROC_CASEFOLD | UTF8PROC_IGNORE);
// Unicode's longest decomposition is U+FDFA's, 18 characters.
constexpr std::size_t kDecompositionMax = 32;

bool is_mark(utf8proc_category_t category) noexcept {
    return category >= UTF8PROC_CATEGORY_MN && category <= UTF8PROC_CATEGORY_ME;
}

int combining_class(Character character) noexcept { return utf8proc_get_property(character)->combining_class; }

// Most letters of Korean, Chinese and Japanese text; all are mapped to themselves.
bool is_plain_letter(Character character) noexcept {
    return (character >= 0xac00 && character <= 0xd7a3) || (character >= 0x4e00 && character <= 0x9ffc) ||
           (character >= 0x3041 && character <= 0x3096) || (character >= 0x30a1 && character <= 0x30fa);
}

// What a character that begins a stretch is mapped to when it is alone there, without a look at any table; kNotSimple for those
// that are not as simple as most of Latin, Greek, Cyrillic and CJK text.
constexpr Character kNotSimple = -1;

Character map_simple(Character character) noexcept {
    constexpr Character to_lower = 0x20;
    if (character < 0x80) return character >= 'A' && character <= 'Z' ? character + to_lower : character;
    if (is_plain_letter(character)) return character;
    if (character >= 0x410 && character <= 0x44f) return character < 0x430 ? character + to_lower : character;
    if (character >= 0xc0 && character <= 0xff) {  // but for the signs of multiplication and division and the sharp s
        if (character == 0xd7 || character == 0xf7 || character == 0xdf) return kNotSimple;
        return character < 0xe0 ? character + to_lower : character;
    }
    if (character >= 0x391 && character <= 0x3c9) {  // but for the final sigma and letters with tonos
        if (character == 0x3a2 || character == 0x3c2 || (character > 0x3a9 && character < 0x3b1)) return kNotSimple;
        return character < 0x3b1 ? character + to_lower : character;
    }
    return kNotSimple;
}

// Whether a decomposed character never merges with, and never moves before, what stands before it. What does so has a combining
// class or is the second of a primary composite; the seconds are marks, vowels and finals of Hangul, and U+16D67.
bool parts_from_before(Character character) noexcept {
    if (character >= 0x1160 && character <= 0x11ff) return false;
    if (character >= 0x16d40 && character <= 0x16d7f) return false;
    return !is_mark(utf8proc_category(character)) && combining_class(character) == 0;
}

enum class Joint : std::uint8_t { begins_stretch, continues_stretch, vanishes };

Joint joint_of(Character character) noexcept {
    if (map_simple(character) != kNotSimple || character >= kInvalidByte) return Joint::begins_stretch;
    Character mapped[kDecompositionMax];
    const utf8proc_ssize_t count = utf8proc_decompose_char(character, mapped, kDecompositionMax, kMapping, nullptr);
    if (count == 0) return Joint::vanishes;
    // U+0345 is a mark that is mapped to a letter, U+FF9E a letter that is mapped to a mark.
    return parts_from_before(character) && parts_from_before(mapped[0]) ? Joint::begins_stretch : Joint::continues_stretch;
}

void decompose(const ArenaList<Character> &from, ArenaList<Character> &to, utf8proc_option_t options) noexcept {
    to.clear();
    for (const Character character : from.items()) {
        if (!to.reserve(kDecompositionMax)) return;
        const utf8proc_ssize_t count = utf8proc_decompose_char(character, to.end(), kDecompositionMax, options, nullptr);
        if (count > 0 && static_cast<std::size_t>(count) <= kDecompositionMax)
            to.resize(to.size() + static_cast<std::size_t>(count));
    }
}

// Sorts marks by combining class, those of one class as they were: by counting, because a hostile text may have millions.
void sort_marks(Character *marks, std::size_t count, ArenaList<Character> &spare) noexcept {
    bool sorted = true;
    for (std::size_t i = 1; i < count && sorted; ++i) sorted = combining_class(marks[i - 1]) <= combining_class(marks[i]);
    if (sorted) return;
    spare.clear();
    if (!spare.reserve(count)) return;
    std::size_t places[257] = {};
    for (std::size_t i = 0; i < count; ++i) ++places[combining_class(marks[i]) + 1];
    for (std::size_t i = 1; i < 257; ++i) places[i] += places[i - 1];
    for (std::size_t i = 0; i < count; ++i) spare.data()[places[combining_class(marks[i])]++] = marks[i];
    std::memcpy(marks, spare.data(), count * sizeof(Character));
}

// Unicode's canonical ordering (section 3.11, D109).
void order(ArenaList<Character> &characters, ArenaList<Character> &spare) noexcept {
    std::size_t begin = 0;
    for (std::size_t i = 0; i <= characters.size(); ++i) {
        if (i < characters.size() && combining_class(characters[i]) != 0) continue;
        if (i - begin > 1) sort_marks(characters.data() + begin, i - begin, spare);
        begin = i + 1;
    }
}

}  // namespace

bool is_cjk(Character character) noexcept {
    if (character < kCjkRanges[0].first) return false;
    for (const Range &range : kCjkRanges) {
        if (character <= range.last) return character >= range.first;
    }
    return false;
}

CharacterClass classify(Character character) noexcept {
    if (is_plain_letter(character)) return CharacterClass::letter;
    if (character >= kInvalidByte || (character >= 0x80 && map_simple(character) == character)) return CharacterClass::word;
    const utf8proc_category_t category = utf8proc_category(character);
    if (is_mark(category)) return CharacterClass::mark;
    if (category < UTF8PROC_CATEGORY_LU || category > UTF8PROC_CATEGORY_NO) return CharacterClass::separator;
    return is_cjk(character) ? CharacterClass::letter : CharacterClass::word;
}

bool is_white_space(Character character) noexcept {
    if ((character >= '\t' && character <= '\r') || character == ' ' || character == 0x85) return true;
    if (character < 0x80 || character >= kInvalidByte) return false;
    const utf8proc_category_t category = utf8proc_category(character);
    return category >= UTF8PROC_CATEGORY_ZS && category <= UTF8PROC_CATEGORY_ZP;
}

Character read_character(const unsigned char *at, const unsigned char *end, const unsigned char **next) noexcept {
    if (*at < 0x80) {
        *next = at + 1;
        return *at;
    }
    // Three bytes, as most CJK letters have: the lead bytes for which every pair of continuations is a character.
    if (*at >= 0xe1 && *at <= 0xec && end - at >= 3 && (at[1] & 0xc0) == 0x80 && (at[2] & 0xc0) == 0x80) {
        *next = at + 3;
        return (*at & 0x0f) << 12 | (at[1] & 0x3f) << 6 | (at[2] & 0x3f);
    }
    Character character;
    const utf8proc_ssize_t bytes = utf8proc_iterate(at, end - at, &character);
    if (bytes > 0) {
        *next = at + bytes;
        return character;
    }
    *next = at + 1;
    return kInvalidByte + *at;
}

std::size_t write_character(Character character, char *room) noexcept {
    if (character >= kInvalidByte) {
        *room = static_cast<char>(character - kInvalidByte);
        return 1;
    }
    return static_cast<std::size_t>(utf8proc_encode_char(character, reinterpret_cast<utf8proc_uint8_t *>(room)));
}

const char *unicode_version() noexcept { return utf8proc_unicode_version(); }

// Maps the next stretch into space_->characters, which may become empty; false at the end and when memory ran out.
bool MappedText::map_stretch() noexcept {
    ArenaList<Character> &characters = space_->characters;
    characters.clear();
    mapped_ = 0;
    if (next_ == end_ || failed()) return false;
    const unsigned char *after;
    Character character = read_character(next_, end_, &after);
    const Character mapped = map_simple(character);
    const unsigned char *unused;
    if (mapped != kNotSimple && (after == end_ || joint_of(read_character(after, end_, &unused)) == Joint::begins_stretch)) {
        next_ = after;
        characters.push(mapped);
        return !failed();
    }
    if (character >= kInvalidByte) {
        next_ = after;
        characters.push(character);
        return !failed();
    }
    // Of characters that vanish one in a row is kept, since marks do not move past it; so a million of them take no memory.
    bool drops_vanishing = true;
    for (; next_ != end_; next_ = after) {
        character = read_character(next_, end_, &after);
        const Joint joint = joint_of(character);
        if (character >= kInvalidByte || (joint == Joint::begins_stretch && characters.size() != 0)) break;
        if (joint != Joint::vanishes || !drops_vanishing) characters.push(character);
        drops_vanishing = joint == Joint::vanishes;
    }
    return map_gathered();
}

// Maps the characters that map_stretch() gathered. One alone is in canonical order; of several, NFD puts a mark that casefolding
// turns into a letter (U+0345) to its place first.
bool MappedText::map_gathered() noexcept {
    ArenaList<Character> &characters = space_->characters;
    ArenaList<Character> &spare = space_->spare;
    if (characters.size() > 1) {
        decompose(characters, spare, kCanonical);
        order(spare, characters);
        std::swap(characters, spare);
    }
    decompose(characters, spare, kMapping);
    order(spare, characters);
    std::swap(characters, spare);
    if (failed()) {
        characters.clear();
        return false;
    }
    const auto composed = static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE);
    const utf8proc_ssize_t count =
        utf8proc_normalize_utf32(characters.data(), static_cast<utf8proc_ssize_t>(characters.size()), composed);
    characters.resize(count < 0 ? 0 : static_cast<std::size_t>(count));
    return true;
}

}  // namespace historian::search
