// Query: what `text @@ search('...')` asks for, parsed. doc/search.md says the same to users.
//
// The syntax:
//     query         conjunction { ("OR" | "|") conjunction }
//     conjunction   factor { ["AND"] factor }
//     factor        { "NOT" | "-" } (term | '"' any text '"' | "(" [query] ")")
//     term          characters other than white space ( ) " |
//
//   1. AND, OR, NOT are operators in upper case only. A - is one when it begins a term and neither white space nor another -
//      follows; anywhere else it separates words like any punctuation.
//   2. A term, and the text in quotes, is cut into words (tokenizer.h). They must follow one another in the text, nothing but
//      separators between them; CJK letters that are joined here must be joined there, and those apart, apart.
//   3. A * stands for any characters of one word, or for none: err* *base a*z *mid*. Between CJK letters it stands for any
//      letters of their run; beside one, at the edge, it changes nothing, since a CJK term is found inside longer runs anyway. It
//      never reaches from CJK letters to others. A * alone is any word.
//   4. A term without a word is left out, and so are operators and parentheses that are left without operands. A query in which
//      nothing is left matches no text.
//
// A query is kept as its text: so it is dumped and restored as it was written, and understood by the tables of the Unicode
// version that reads it.
//
// Invariants:
//   1. Any bytes give a query or a QueryError, in time and memory linear in their number; nothing recurses.
//   2. Nodes stand behind their operands; the last one is the root.
#pragma once

#include <span>
#include <string_view>

#include "search/tokenizer.h"

namespace historian::search {

// Some hundred thousand words; compiling takes about 100 bytes of memory for one of the query.
inline constexpr std::size_t kQueryBytesMax = std::size_t{1} << 20;

enum class Wanted : std::uint8_t {
    word,     ///< these bytes
    pattern,  ///< a word that the bytes describe, with a *
    any,      ///< any word
};

/// One word of a phrase.
struct QueryWord {
    std::string_view bytes;
    Wanted wanted = Wanted::word;
    bool is_letter = false;  ///< a CJK letter
    bool is_joined = false;  ///< to the CJK letter before it, in this phrase
    bool skips = false;      ///< a joined letter: any letters of the run may stand between
};

/// Words that follow one another, and the hashes of the tokens that an index has for every text with them (hash_token()).
struct Phrase {
    std::uint32_t word_begin = 0;  ///< words[word_begin .. word_begin + word_count)
    std::uint32_t word_count = 0;
    std::uint32_t token_begin = 0;  ///< token_hashes[token_begin .. token_begin + token_count); none: the index cannot tell
    std::uint32_t token_count = 0;
};

enum class NodeKind : std::uint8_t { phrase, conjunction, disjunction, negation };

struct QueryNode {
    std::uint32_t parent = 0;  ///< index of a later node; the root's is its own
    std::uint32_t count = 0;   ///< operands; of a phrase: its index
    NodeKind kind = NodeKind::phrase;
};

/// All memory is the arena's that it was parsed in. No node: the query matches no text.
struct Query {
    std::span<const QueryNode> nodes;
    std::span<const Phrase> phrases;
    std::span<const QueryWord> words;
    std::span<const std::uint64_t> token_hashes;
    bool *scratch = nullptr;  ///< a value for each node
};

enum class QueryFault : std::uint8_t {
    none,
    too_long,         ///< more than kQueryBytesMax bytes
    open_quote,       ///< a quote that is not closed
    open_group,       ///< a parenthesis that is not closed
    unopened_group,   ///< a closing parenthesis without an opening one
    missing_operand,  ///< an operator without a term where one must be
    out_of_memory,
};

struct QueryError {
    QueryFault fault = QueryFault::none;
    std::size_t offset = 0;  ///< byte of the text: the quote, parenthesis or operator
};

/// text    UTF-8; need not stay
/// query   output; on an error not to be used
QueryError parse_query(std::string_view text, Arena &arena, Query *query) noexcept;

/// Says what a query's nodes are worth, given what its phrases are worth.
///
/// phrase_value(const Phrase &)   asked for a phrase only when the answer matters to its parent
/// negate(bool)                   what NOT makes of a value
template <typename PhraseValue, typename Negate>
bool evaluate(const Query &query, PhraseValue phrase_value, Negate negate) {
    if (query.nodes.empty()) return false;
    bool *values = query.scratch;
    for (std::size_t i = 0; i < query.nodes.size(); ++i) values[i] = query.nodes[i].kind == NodeKind::conjunction;
    for (std::size_t i = 0; i < query.nodes.size(); ++i) {
        const QueryNode &node = query.nodes[i];
        const NodeKind above = query.nodes[node.parent].kind;
        if (node.kind == NodeKind::phrase) {
            const bool is_settled = node.parent != i && ((above == NodeKind::conjunction && !values[node.parent]) ||
                                                         (above == NodeKind::disjunction && values[node.parent]));
            if (is_settled) continue;
            values[i] = phrase_value(query.phrases[node.count]);
        }
        if (node.parent == i) break;
        if (above == NodeKind::conjunction) values[node.parent] = values[node.parent] && values[i];
        if (above == NodeKind::disjunction) values[node.parent] = values[node.parent] || values[i];
        if (above == NodeKind::negation) values[node.parent] = negate(values[i]);
    }
    return values[query.nodes.size() - 1];
}

/// Whether a set of texts may hold one that matches, going by an index of what for_each_index_word() gives for them. False is
/// certain; true is not.
///
/// may_contain(std::uint64_t token_hash)   false only when no text of the set has a token or letter of that hash
template <typename MayContain>
bool may_match(const Query &query, MayContain may_contain) {
    const auto phrase_value = [&](const Phrase &phrase) {
        for (const std::uint64_t hash : query.token_hashes.subspan(phrase.token_begin, phrase.token_count)) {
            if (!may_contain(hash)) return false;
        }
        return true;
    };
    return evaluate(query, phrase_value, [](bool) { return true; });
}

}  // namespace historian::search
