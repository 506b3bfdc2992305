// MappedText: UTF-8 text as the characters that search compares, one after the other.
//
// The mapping is Unicode's caseless match for identifiers (The Unicode Standard, section 3.13, D147): NFD, then NFKC_Casefold. So
// upper and lower case, composed and decomposed, full-width and half-width forms, ligatures and superscripts become equal, and
// characters that nobody sees (soft hyphen, zero-width space, variation selectors) vanish.
//
// A byte that is no part of valid UTF-8 stands for itself. PostgreSQL refuses such bytes but in databases of encoding SQL_ASCII.
//
// How it stays small: the text is mapped in stretches, each a character and those after it that the mapping could move before it
// or merge into it, which are marks and parts of Hangul syllables. Mapping the stretches one by one is mapping the whole.
//
// Invariants:
//   1. Any bytes are safe; the mapping of a text does not depend on where it lies or what was read before.
//   2. Memory is that of the longest stretch, however long the text is; time is linear.
#pragma once

#include <cstdint>
#include <string_view>

#include "search/arena_list.h"

namespace historian::search {

/// A Unicode code point, or kInvalidByte + a byte that is no part of valid UTF-8.
using Character = std::int32_t;
inline constexpr Character kInvalidByte = 0x110000;

enum class CharacterClass : std::uint8_t {
    separator,  ///< everything that is not below: white space, punctuation, symbols, control characters, unassigned
    word,       ///< letters and digits (general categories L*, N*) outside the CJK blocks, and invalid bytes
    mark,       ///< general categories M*: part of the word or letter before it
    letter,     ///< a letter or digit of the CJK blocks (is_cjk())
};

/// Of a mapped character.
CharacterClass classify(Character character) noexcept;

/// The blocks whose writing puts no space between words: Han, Hiragana, Katakana, Bopomofo, Hangul.
bool is_cjk(Character character) noexcept;

/// White space of any script, as it may stand between the terms of a query: ASCII's, and U+0085, U+00A0, U+3000 and the like.
bool is_white_space(Character character) noexcept;

/// The first character of [at, end), which is not empty, and where the next one begins.
Character read_character(const unsigned char *at, const unsigned char *end, const unsigned char **next) noexcept;

/// The bytes of a mapped character: UTF-8, or the invalid byte itself. Room for 4 bytes; returns how many they are.
std::size_t write_character(Character character, char *room) noexcept;

/// The version of Unicode's tables, such as "14.0.0". Two versions may cut and map a text differently where it has characters
/// that are new in one of them: what was built by one must not be trusted by the other.
const char *unicode_version() noexcept;

class MappedText {
public:
    /// Room for stretches, for any number of texts, one after the other.
    struct Space {
        explicit Space(Arena &arena) noexcept : characters(arena), spare(arena) {}
        ArenaList<Character> characters;
        ArenaList<Character> spare;
    };

    MappedText(std::string_view text, Space &space) noexcept
        : next_(reinterpret_cast<const unsigned char *>(text.data())), end_(next_ + text.size()), space_(&space) {
        space.characters.clear();
    }

    /// The character that comes next; false at the end and when memory ran out (failed()).
    bool peek(Character *character) noexcept {
        while (mapped_ == space_->characters.size()) {
            if (!map_stretch()) return false;
        }
        *character = space_->characters[mapped_];
        return true;
    }
    /// Goes past the character that peek() gave.
    void pass() noexcept { ++mapped_; }

    /// Whether characters are mapped that were not passed yet. If not, the rest of the text is what is between next() and end().
    bool is_waiting() const noexcept { return mapped_ != space_->characters.size(); }
    const unsigned char *next() const noexcept { return next_; }
    const unsigned char *end() const noexcept { return end_; }
    /// Goes on at a place between next() and end(), while nothing is waiting. The place must be where a stretch may begin: at an
    /// ASCII character, say.
    void skip_to(const unsigned char *place) noexcept { next_ = place; }

    bool failed() const noexcept { return space_->characters.failed() || space_->spare.failed(); }

private:
    bool map_stretch() noexcept;
    bool map_gathered() noexcept;

    const unsigned char *next_;
    const unsigned char *end_;
    std::size_t mapped_ = 0;  // of space_->characters: how many were passed
    Space *space_;
};

}  // namespace historian::search
