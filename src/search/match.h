// Matcher: does a text match a query? One pass over the text, exact, without any index.
//
// Every word of the text is looked up among the words that the query wants: by its first byte and length, which rules out most,
// then in a hash table; so a query of thousands of words costs little more than one of a single word. Patterns are tried in turn.
//
// For each wanted word the matcher keeps where in the text it was last found as the end of the first words of its phrase: the
// next wanted word continues the phrase if it is found right behind. Wanted words are looked at from the last to the first of a
// phrase, so that none is continued by the word that it was found at. A phrase that is complete decides its node of the query;
// nodes decide those above them; when the root is decided the rest of the text is not read.
//
// Invariants:
//   1. Matching allocates nothing but room for long words; a matcher may be used for any number of texts, one after the other.
//   2. The answer is what doc/search.md says, for any bytes.
#pragma once

#include "search/query.h"

namespace historian::search {

class Matcher {
public:
    /// query    must stay as long as the matcher, and so must the arena's memory
    /// errors   out_of_memory
    static Status create(const Query &query, Arena &arena, Matcher **matcher) noexcept;

    /// Begins a text.
    void begin() noexcept;

    /// Reads on in it, at most this many words, so that a caller can look after other things between. Returns whether the answer
    /// needs more.
    bool read(Tokenizer &text, std::size_t words_max) noexcept;

    /// The answer, after read() has returned false; it ends the text.
    bool finish() noexcept;

private:
    explicit Matcher(const Query &query) noexcept : query_(&query) {}

    static constexpr std::uint32_t kNone = UINT32_MAX;

    // A wanted word that is no pattern; those with the same bytes hang together, the last of the query first.
    struct Slot {
        std::uint64_t hash;
        std::uint32_t first = kNone;
    };
    struct WantedWord {
        std::uint64_t found_at = 0;  // number of the word in the text
        std::uint32_t next = kNone;  // the one before it with the same bytes
        std::uint32_t phrase;
    };
    enum class Decision : std::uint8_t { open, no, yes };
    struct NodeState {
        std::uint32_t open_count;
        Decision decision;
    };

    Status prepare(Arena &arena) noexcept;
    void prepare_word(std::uint32_t index) noexcept;
    std::uint32_t *slot_of(std::string_view bytes) const noexcept;
    void look_at(const Word &word) noexcept;
    void find(std::uint32_t index, const Word &word) noexcept;
    bool continues(std::uint32_t index, const Word &word) const noexcept;
    void decide(std::uint32_t node, bool value) noexcept;
    bool conclude() noexcept;
    bool is_decided() const noexcept;

    const Query *query_;
    WantedWord *wanted_ = nullptr;           // one for each of query_->words
    std::uint32_t *patterns_ = nullptr;      // the indexes of patterns and of "any", the last first
    std::uint32_t *phrase_nodes_ = nullptr;  // the node of each phrase
    NodeState *states_ = nullptr;
    NodeState *first_states_ = nullptr;  // before anything is found
    bool answer_when_nothing_ = false;   // is found in a text: the most frequent case
    bool has_found_ = false;             // something in this text
    Slot *slots_ = nullptr;
    std::size_t slot_mask_ = 0;
    std::size_t pattern_count_ = 0;
    std::uint64_t word_number_ = 0;  // counts on from text to text, with a gap between
    std::uint64_t run_begin_ = 0;    // number of the first letter of the run of CJK letters that is being read
    // Bit n of [b]: a word of n bytes (63: or more) that begins with byte b is wanted.
    std::uint64_t lengths_[256] = {};
};

/// Whether a word is one that a pattern describes.
///
/// pattern   bytes, with * for any bytes
bool matches_pattern(std::string_view word, std::string_view pattern) noexcept;

}  // namespace historian::search
