// Any bytes as a query, then a NUL, then any bytes as a text: no crash; the answer does not depend on how much is read at a time
// or on the text before; what a query finds, its negation does not; the index's words never rule out what is found.
#include <set>
#include <string>

#include "fuzz_input.h"
#include "search/match.h"

using namespace historian;
using namespace historian::fuzz;
using namespace historian::search;

namespace {

bool match(Matcher *matcher, std::string_view text, Tokenizer::Space &space, std::size_t words_max) {
    Tokenizer words(text, space);
    matcher->begin();
    while (matcher->read(words, words_max)) {
    }
    check(words.status().ok(), "memory suffices");
    return matcher->finish();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    const std::string_view input(reinterpret_cast<const char *>(data), size);
    const std::size_t query_size = std::min(input.find('\0'), size);
    const ExactBytes query_bytes({reinterpret_cast<const std::byte *>(data), query_size});
    const std::string_view query_text(reinterpret_cast<const char *>(query_bytes.span().data()), query_size);
    const std::string_view text = input.substr(std::min(query_size + 1, size));
    TestArena arena(kArenaBytes);

    Query query;
    const QueryError error = parse_query(query_text, arena, &query);
    check(error.offset <= query_size, "an error is inside the query");
    check(error.fault != QueryFault::out_of_memory, "memory suffices");
    if (error.fault != QueryFault::none) return 0;

    Matcher *matcher;
    check(Matcher::create(query, arena, &matcher).ok(), "memory suffices");
    Tokenizer::Space space(arena);
    const bool found = match(matcher, text, space, 1000);
    (void)match(matcher, query_text, space, 2);
    check(match(matcher, text, space, 1) == found, "one word at a time gives the same");

    std::set<std::uint64_t> index;
    check(for_each_index_word(text, space, [&](std::string_view word) { index.insert(hash_token(word)); }).ok(),
          "memory suffices");
    const bool may = may_match(query, [&](std::uint64_t hash) { return index.contains(hash); });
    check(may || !found, "the index rules out nothing that is found");

    const std::string negated = "NOT (" + std::string(query_text) + ")";
    Query negation;
    if (parse_query(negated, arena, &negation).fault != QueryFault::none) return 0;  // too long
    check(negation.nodes.empty() == query.nodes.empty(), "a query without words has no negation");
    check(Matcher::create(negation, arena, &matcher).ok(), "memory suffices");
    if (!query.nodes.empty()) check(match(matcher, text, space, 1000) != found, "a text matches a query or its negation");
    return 0;
}
