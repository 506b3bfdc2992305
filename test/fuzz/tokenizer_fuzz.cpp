// Any bytes as a text: no crash; every word is made of the text's characters, and cutting a word again gives that word; the
// tokens are the same before and after separators, and all are among the index's words.
#include <set>
#include <string>

#include "fuzz_input.h"
#include "search/tokenizer.h"

using namespace historian;
using namespace historian::fuzz;
using search::Tokenizer;

namespace {

std::vector<std::string> tokens_of(std::string_view text, Tokenizer::Space &space) {
    std::vector<std::string> tokens;
    const Status status = for_each_token(text, space, [&](std::string_view token) { tokens.emplace_back(token); });
    check(status.ok(), "memory suffices");
    return tokens;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    const ExactBytes bytes({reinterpret_cast<const std::byte *>(data), size});
    const std::string_view text(reinterpret_cast<const char *>(bytes.span().data()), size);
    TestArena arena(kArenaBytes);
    Tokenizer::Space space(arena);

    const std::vector<std::string> tokens = tokens_of(text, space);
    const std::string framed = "\n" + std::string(text) + "\n";
    check(tokens_of(framed, space) == tokens, "separators around a text change nothing");
    const std::string twice = std::string(text) + "\n" + std::string(text);
    check(tokens_of(twice, space).size() == 2 * tokens.size(), "a separator parts two texts");

    std::set<std::string> index_words;
    check(for_each_index_word(text, space, [&](std::string_view word) { index_words.emplace(word); }).ok(), "memory suffices");
    for (const std::string &token : tokens) check(index_words.contains(token), "an index has every token");

    Tokenizer words(text, space);
    std::size_t count = 0;
    bool follows_letter = false;
    for (search::Word word; words.next(&word); ++count) {
        check(!word.bytes.empty(), "a word has bytes");
        check(word.link != search::Link::joined || (follows_letter && word.is_letter), "only letters are joined, to letters");
        check(word.link != search::Link::joined || word.pair.ends_with(word.bytes), "a pair ends with its letter");
        follows_letter = word.is_letter && !word.ends_run;
    }
    check(words.status().ok(), "memory suffices");
    check(count >= tokens.size(), "each token is of a word");
    return 0;
}
