// Units: a template's text (codec/templates.h) cut where words cannot go on, whatever stands in its holes.
//
// A unit ends at each ASCII character that separates words, and where a plain CJK letter meets an ASCII letter, a digit or the
// value of a hole that is no word: none of these ever merges with what stands before it. So a unit's words are those of the whole
// message that stand there, and each word of a message stands in one unit.
//
//     "client <> connected from 10.<>.<>:<>"   client  <>  connected  from  10  <>  <>  <>
//     "sensor<>us 온도 <>도"                     sensor<>us  온도  <>  도
//
// A unit without holes whose bytes are ASCII is one word.
#pragma once

#include <array>
#include <string_view>

#include "codec/templates.h"
#include "search/arena_list.h"

namespace historian::format {

/// Which letters and digits words may have: a bit for each of ASCII's, in lower case, and one for all other characters.
using LetterSet = std::uint64_t;

inline constexpr LetterSet kLowerCase = (LetterSet{1} << 26) - 1;
inline constexpr LetterSet kDigits = ((LetterSet{1} << 10) - 1) << 26;
inline constexpr LetterSet kAboveAscii = LetterSet{1} << 36;
inline constexpr LetterSet kAllLetters = kLowerCase | kDigits | kAboveAscii;

/// None for a character that separates words.
constexpr LetterSet letter_set_of(char byte) noexcept {
    if (byte >= 'a' && byte <= 'z') return LetterSet{1} << (byte - 'a');
    if (byte >= 'A' && byte <= 'Z') return LetterSet{1} << (byte - 'A');
    if (byte >= '0' && byte <= '9') return LetterSet{1} << (26 + byte - '0');
    return static_cast<unsigned char>(byte) >= 0x80 ? kAboveAscii : LetterSet{0};
}

constexpr LetterSet letter_set_of(std::string_view text) noexcept {
    LetterSet letters = 0;
    for (const char byte : text) letters |= letter_set_of(byte);
    return letters;
}

struct MessageUnit {
    LetterSet letters = 0;    // of the words that stand in it, whatever its holes' values are
    std::uint32_t begin = 0;  // bytes of the template's text
    std::uint32_t end = 0;
    std::uint32_t hole_at = 0;     // where its first hole is
    std::uint16_t hole_first = 0;  // that hole's place among those of the template
    std::uint8_t hole_count = 0;   // a template has at most as many as a text has bytes; 255: or more
    bool has_word_hole : 1 = false;
    bool has_value_hole : 1 = false;  // a hole of another kind, whose text is ASCII
    bool has_ascii : 1 = false;       // a fixed letter or digit
    bool has_cjk : 1 = false;         // a plain CJK letter
    bool has_other : 1 = false;       // any other character or byte above ASCII

    bool is_fixed() const noexcept { return hole_count == 0; }
    bool is_one_word() const noexcept { return hole_count == 0 && !has_cjk && !has_other; }
    /// Whether it can be without any word.
    bool may_be_wordless() const noexcept { return !has_ascii && !has_cjk && !has_value_hole; }
};

class DictionaryRuns;

/// The units of a model's templates, each template cut when it is first asked for. Lives in its arena; no destructor.
class MessageUnits {
public:
    /// model   must live as long as the units
    /// arena   for the units and for what is cut later; must live as long
    /// errors  out_of_memory
    static Status create(const codec::TemplateModel &model, Arena &arena, MessageUnits **units) noexcept;

    /// errors  out_of_memory
    Status cut(std::uint32_t number) noexcept;
    /// Of a template that was cut.
    std::span<const MessageUnit> of(std::uint32_t number) const noexcept { return units_[number]; }

    /// One more is searched; how many were before.
    std::uint32_t count_granule() noexcept { return granule_count_++; }

    /// errors  out_of_memory
    Status make_runs() noexcept;
    /// Of the words that stand in holes; nullptr: not made yet.
    const DictionaryRuns *runs() const noexcept { return runs_; }

private:
    MessageUnits(const codec::TemplateModel &model, Arena &arena) noexcept : model_(model), arena_(arena), cut_(arena) {}

    const codec::TemplateModel &model_;
    Arena &arena_;
    search::ArenaList<MessageUnit> cut_;             // of the template at hand
    std::span<const MessageUnit> *units_ = nullptr;  // one a template's number; without data: not cut yet
    const DictionaryRuns *runs_ = nullptr;
    std::uint32_t granule_count_ = 0;
};

/// Whether the word behind one in unit `from` can be in unit `to`, of one template.
bool can_follow(std::span<const MessageUnit> units, std::size_t from, std::size_t to) noexcept;

/// In a template's text, in place of a hole.
inline constexpr char kHoleByte = 1;

/// What a byte of a template's text is. `above`: of a character above ASCII.
enum class ByteKind : std::uint8_t { separator, alphanumeric, above, hole };

constexpr std::array<ByteKind, 256> make_byte_kinds() noexcept {
    std::array<ByteKind, 256> kinds{};
    for (unsigned c = 0; c < 256; ++c) {
        const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (c >= 0x80) kinds[c] = ByteKind::above;
        if (is_letter || (c >= '0' && c <= '9')) kinds[c] = ByteKind::alphanumeric;
    }
    kinds[static_cast<unsigned char>(kHoleByte)] = ByteKind::hole;
    return kinds;
}
inline constexpr std::array<ByteKind, 256> kByteKinds = make_byte_kinds();

inline ByteKind kind_of(char byte) noexcept { return kByteKinds[static_cast<unsigned char>(byte)]; }

/// Whether a byte that is no hole separates words.
inline bool is_separator(char byte) noexcept {
    const ByteKind kind = kind_of(byte);
    return kind == ByteKind::separator || kind == ByteKind::hole;
}

/// An ASCII letter in lower case; any other byte as it is.
inline char to_lower(char byte) noexcept { return static_cast<char>(byte >= 'A' && byte <= 'Z' ? byte + ('a' - 'A') : byte); }

inline std::string_view characters_of(std::span<const std::byte> bytes) noexcept {
    return {reinterpret_cast<const char *>(bytes.data()), bytes.size()};
}

}  // namespace historian::format
