// Tokenizer: UTF-8 text as words, and as the tokens that an index keeps. doc/search.md says the same to users.
//
// The rule:
//   1. The text is mapped (mapped_text.h), so that case, composition and width make no difference.
//   2. A word is a maximal run of letters, marks and digits (Unicode's general categories L*, M*, N*). Everything else separates:
//      white space and / , . : _ - @ and all other punctuation and symbols. So 10.0.0.3 is four words, a UUID five.
//   3. Where letters of the CJK blocks (is_cjk()) meet others, a word ends. Each CJK letter, with the marks after it, is a word
//      of its own that is *joined* to the CJK letter directly before it.
//   4. Tokens are the words, but of a run of joined letters the pairs of neighbours: of three letters a, b, c these are ab and
//      bc. A run of one letter is a token.
//   5. No word is too long: an index that wants a fixed size hashes the bytes.
//
// Words are what a query is compared with (match.h), so that a CJK term finds its letters wherever they stand together; tokens
// are what tokens() shows. An index keeps the tokens and the letters.
//
// Invariants:
//   1. Any bytes give words; only memory can run out.
//   2. Of ASCII text no character is looked at twice, nothing but a word longer than kWordRoom makes it allocate, and utf8proc is
//      not called.
//   3. Memory is that of the longest word (MappedText's of the longest stretch).
#pragma once

#include <string_view>

#include "codec/hash.h"
#include "search/mapped_text.h"

namespace historian::search {

/// What stands between a word and the one before it.
enum class Link : std::uint8_t {
    apart,     ///< a separator, or the beginning of the text
    touching,  ///< nothing, but one of them is no CJK letter
    joined,    ///< nothing, and both are CJK letters
};

/// Its bytes are mapped UTF-8 and stay until the next word is read.
struct Word {
    std::string_view bytes;
    std::string_view pair;  ///< the letter before and this one, of a joined letter
    bool is_letter = false;
    bool ends_run = false;  ///< of a letter: the next word is not joined
    Link link = Link::apart;

    /// What tokens() shows for this word; empty for the first of several letters.
    std::string_view token() const noexcept {
        if (link == Link::joined) return pair;
        return is_letter && !ends_run ? std::string_view() : bytes;
    }
};

/// The patterns of queries: with `as_letter` each * is a word character, and stays as it is.
enum class Asterisk : bool { separates, as_letter };

class Tokenizer {
public:
    /// Room for one text after the other. What a long word made it grow to stays until the arena goes.
    struct Space {
        explicit Space(Arena &arena) noexcept : mapped(arena), word(arena) { word.reserve(kWordRoom); }
        std::size_t room_bytes() const noexcept {
            return word.room_bytes() + mapped.characters.room_bytes() + mapped.spare.room_bytes();
        }
        MappedText::Space mapped;
        ArenaList<char> word;
    };

    Tokenizer(std::string_view text, Space &space, Asterisk asterisk = Asterisk::separates) noexcept
        : text_(text, space.mapped), word_(&space.word), asterisk_(asterisk) {}

    /// Reads the next word; false at the end, and when memory ran out (status()).
    bool next(Word *word) noexcept;

    Status status() const noexcept {
        if (text_.failed() || word_->failed()) return {StatusCode::out_of_memory, "no memory for the words of a text"};
        return Status::success();
    }

private:
    // Few words are longer.
    static constexpr std::size_t kWordRoom = 1024;

    enum class Found : std::uint8_t { word, end, other_text };
    Found next_ascii(Word *word) noexcept;
    bool next_mapped(Word *word) noexcept;
    CharacterClass class_of(Character character) const noexcept;
    void gather_letter(Word *word) noexcept;
    void gather_word(Word *word) noexcept;
    void take(Character character) noexcept;

    MappedText text_;
    ArenaList<char> *word_;
    std::size_t letter_begin_ = 0;  // the last letter is (*word_)[letter_begin_..], when after_letter_
    bool after_word_ = false;       // no separator since the last word
    bool after_letter_ = false;     // and that was a CJK letter
    Asterisk asterisk_;
};

/// The hash by which an index knows a token or letter.
inline std::uint64_t hash_token(std::string_view bytes) noexcept {
    return codec::hash_bytes({reinterpret_cast<const std::byte *>(bytes.data()), bytes.size()});
}

/// Calls visit(std::string_view) for each token of a text in order, repeated ones too.
template <typename Visit>
Status for_each_token(std::string_view text, Tokenizer::Space &space, Visit visit) noexcept {
    Tokenizer words(text, space);
    for (Word word; words.next(&word);) {
        if (!word.token().empty()) visit(word.token());
    }
    return words.status();
}

/// The same for all that an index must keep, so that each query finds its tokens (may_match(), query.h): the tokens, and the CJK
/// letters one by one.
template <typename Visit>
Status for_each_index_word(std::string_view text, Tokenizer::Space &space, Visit visit) noexcept {
    Tokenizer words(text, space);
    for (Word word; words.next(&word);) {
        if (!word.token().empty()) visit(word.token());
        if (word.is_letter && (word.link == Link::joined || !word.ends_run)) visit(word.bytes);
    }
    return words.status();
}

}  // namespace historian::search
