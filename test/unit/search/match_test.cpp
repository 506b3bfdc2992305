#include "search/match.h"

#include <set>

#include "reference.h"

namespace historian::test {
namespace {

using search::Matcher;
using search::Query;
using search::QueryFault;
using search::Tokenizer;

// A query, compiled, for many texts.
class Compiled {
public:
    explicit Compiled(const std::string &text) {
        EXPECT_EQ(parse_query(text, arena_, &query_).fault, QueryFault::none) << text;
        EXPECT_TRUE(Matcher::create(query_, arena_, &matcher_).ok());
    }
    bool matches(const std::string &text, std::size_t words_at_a_time = 1000) {
        Tokenizer tokenizer(text, space_);
        matcher_->begin();
        while (matcher_->read(tokenizer, words_at_a_time)) {
        }
        EXPECT_TRUE(tokenizer.status().ok());
        return matcher_->finish();
    }
    const Query &query() const { return query_; }

private:
    TestArena arena_;
    Tokenizer::Space space_{arena_};
    Query query_;
    Matcher *matcher_ = nullptr;
};

bool matches(const std::string &text, const std::string &query) { return Compiled(query).matches(text); }

TEST(Match, WholeWordsInAnyOrder) {
    EXPECT_TRUE(matches("102: Error", "error 102"));
    EXPECT_FALSE(matches("errors 102", "error 102"));
    EXPECT_FALSE(matches("", "error"));
    EXPECT_FALSE(matches("error", ""));
    EXPECT_FALSE(matches("...", "..."));
}

TEST(Match, OperatorsMeanWhatTheySay) {
    EXPECT_TRUE(matches("disk full", "disk | tape"));
    EXPECT_TRUE(matches("disk full", "disk -empty"));
    EXPECT_FALSE(matches("disk full", "disk -full"));
    EXPECT_TRUE(matches("disk full", "-empty"));
    EXPECT_TRUE(matches("", "-empty"));
    EXPECT_TRUE(matches("a d", "a (b | -c) -(e f)"));
    EXPECT_FALSE(matches("a d e f", "a (b | -c) -(e f)"));
}

TEST(Match, PhrasesAreNeighboursInOrder) {
    EXPECT_TRUE(matches("from 10.0.0.3:22", "10.0.0.3"));
    EXPECT_TRUE(matches("10 / 0 0 - 3", "10.0.0.3"));
    EXPECT_FALSE(matches("10.0.3.0", "10.0.0.3"));
    EXPECT_FALSE(matches("10.0.0.31", "10.0.0.3"));
    EXPECT_TRUE(matches("a a a b", "\"a a b\""));
    EXPECT_TRUE(matches("a b a b c", "\"a b c\""));
    EXPECT_FALSE(matches("a b x c", "\"a b c\""));
    EXPECT_TRUE(matches("err err", "\"err* err\""));
    EXPECT_FALSE(matches("err", "\"err* err\""));
    EXPECT_TRUE(matches("x err errno", "\"err err*\""));
    EXPECT_TRUE(matches("failed at noon port", "\"failed at * port\""));
}

TEST(Match, CjkTermsAreFoundInsideRuns) {
    EXPECT_TRUE(matches("대한민국", "대한"));
    EXPECT_TRUE(matches("대한민국", "민국"));
    EXPECT_TRUE(matches("대한민국", "한"));
    EXPECT_TRUE(matches("대한민국", "한민국"));
    EXPECT_FALSE(matches("대한 민국", "한민"));
    EXPECT_FALSE(matches("대한 한민", "대한민"));
    EXPECT_FALSE(matches("대한민국", "\"대한 민국\""));
    EXPECT_TRUE(matches("대한 민국", "\"대한 민국\""));
    EXPECT_TRUE(matches("Machbaseは円柱状のDBMSです", "Machbase DBMS"));
    EXPECT_TRUE(matches("Machbaseは円柱状のDBMSです", "DBMSです"));
    EXPECT_FALSE(matches("Machbaseは円柱状のDBMSます", "DBMSです"));
    EXPECT_TRUE(matches("\u1103\u1162\u1112\u1161\u11ab", "대한"));
}

TEST(Match, PatternsAreComparedWithWholeWords) {
    EXPECT_TRUE(matches("aaa bbb1", "bbb*"));
    EXPECT_TRUE(matches("bcd/cdf1ad", "*cd*"));
    EXPECT_FALSE(matches("bbb1", "bbb"));
    EXPECT_TRUE(matches("database", "*base"));
    EXPECT_FALSE(matches("databases", "*base"));
    EXPECT_TRUE(matches("a1z2z", "a*z"));
    EXPECT_FALSE(matches("a z", "a*z"));
    EXPECT_TRUE(matches("az", "a*z"));
    EXPECT_FALSE(matches("a", "a*a"));
    EXPECT_TRUE(matches("x", "*"));
    EXPECT_TRUE(matches("한", "*"));
    EXPECT_FALSE(matches("...", "*"));
    EXPECT_TRUE(matches("대한민국", "대*국"));
    EXPECT_TRUE(matches("대국", "대*국"));
    EXPECT_FALSE(matches("대한 민국", "대*국"));
    EXPECT_FALSE(matches("abc", "*대*"));
    EXPECT_TRUE(matches("abcabd", "a*b*abd"));
}

TEST(Match, OneMatcherServesManyTexts) {
    Compiled compiled("\"a b\" | c");
    EXPECT_FALSE(compiled.matches("a"));
    EXPECT_FALSE(compiled.matches("b"));  // not right behind the a of the text before
    EXPECT_TRUE(compiled.matches("a b"));
    EXPECT_FALSE(compiled.matches("b a"));
    EXPECT_TRUE(compiled.matches("c"));
    EXPECT_TRUE(compiled.matches("x x x a b", 1));
}

TEST(Match, ThousandsOfWordsAreFast) {
    std::string any;
    std::string all;
    for (int i = 0; i < 5000; ++i) {
        any += (i > 0 ? " | word" : "word") + std::to_string(i);
        all += " word" + std::to_string(i);
    }
    Compiled any_of(any);
    Compiled all_of(all);
    for (int i = 0; i < 2000; ++i) EXPECT_TRUE(any_of.matches("one of them is word" + std::to_string(i)));
    EXPECT_FALSE(any_of.matches("word5000"));
    EXPECT_TRUE(all_of.matches(all));
    EXPECT_FALSE(all_of.matches(all.substr(0, all.size() - 1)));
}

TEST(Match, ADeepQueryIsDecided) {
    std::string deep = "a";
    for (int i = 0; i < 3000; ++i) deep = "b | -(" + deep + ")";
    EXPECT_TRUE(matches("b", deep));
    EXPECT_TRUE(matches("a", deep));
    EXPECT_FALSE(matches("x", deep));
    EXPECT_TRUE(matches("x", "x -(" + deep + ")"));
}

// A query as a tree, written as text with as few parentheses as it needs, and what the reference thinks of it.
struct Tree {
    enum { term, all, any, none } kind = term;
    std::string text;
    std::vector<Tree> operands;
};

Tree random_tree(std::mt19937_64 &random, int depth) {
    static const std::string blanks[] = {" ", " ", "　", "\t"};
    Tree tree;
    if (depth == 0 || random() % 3 == 0) {
        std::string text;
        for (const char c : reference::random_text(random, 3)) {
            const bool is_inside = (c & 0xc0) == 0x80;  // of a character
            if (random() % (is_inside ? 64 : 6) == 0) text += "*";
            text += c;
        }
        if (random() % 4 == 0) text += "*";
        // White space cuts a term, a leading - negates it, words such as OR do not come up.
        tree.text = '"' + text + '"';
        const bool has_blank = text.find(' ') != std::string::npos || text.find("　") != std::string::npos;
        if (!has_blank && !text.empty() && text[0] != '-' && random() % 2 == 0) tree.text = text;
        return tree;
    }
    const int kind = static_cast<int>(random() % 3);
    tree.kind = kind == 0 ? Tree::all : kind == 1 ? Tree::any : Tree::none;
    for (std::size_t count = kind == 2 ? 1 : 2 + random() % 2; count > 0; --count) {
        tree.operands.push_back(random_tree(random, depth - 1));
    }
    for (const Tree &operand : tree.operands) {
        const bool needs_group = tree.kind == Tree::none ? operand.kind != Tree::term && operand.kind != Tree::none
                                                         : tree.kind == Tree::all && operand.kind == Tree::any;
        const std::string text = needs_group || random() % 8 == 0 ? "(" + operand.text + ")" : operand.text;
        if (tree.kind == Tree::none) {
            tree.text = "NOT " + text;
        } else if (tree.text.empty()) {
            tree.text = text;
        } else {
            tree.text += (tree.kind == Tree::all ? blanks[random() % 4] : random() % 2 == 0 ? "|" : " OR ") + text;
        }
    }
    return tree;
}

enum class Truth { no, yes, without_words };

Truth judge(const Tree &tree, const std::vector<reference::Word> &text) {
    if (tree.kind == Tree::term) {
        std::string term = tree.text;
        if (term.size() > 1 && term.front() == '"') term = term.substr(1, term.size() - 2);
        const std::vector<reference::Word> words = reference::term_of(term);
        if (words.empty()) return Truth::without_words;
        return has_phrase(text, words) ? Truth::yes : Truth::no;
    }
    bool has_words = false;
    bool has_yes = false;
    bool has_no = false;
    for (const Tree &operand : tree.operands) {
        const Truth truth = judge(operand, text);
        has_words |= truth != Truth::without_words;
        has_yes |= truth == Truth::yes;
        has_no |= truth == Truth::no;
    }
    if (!has_words) return Truth::without_words;
    const bool value = tree.kind == Tree::all ? !has_no : tree.kind == Tree::any ? has_yes : has_no;
    return value ? Truth::yes : Truth::no;
}

TEST(Match, RandomQueriesAreAnsweredAsByTheReference) {
    const std::uint64_t seed = std::random_device{}();
    std::mt19937_64 random{seed};
    int found = 0;
    for (int i = 0; i < 20000; ++i) {
        const Tree tree = random_tree(random, static_cast<int>(random() % 3));
        Compiled compiled(tree.text);
        for (int j = 0; j < 5; ++j) {
            const std::string text = reference::random_text(random, 10);
            const bool wanted = judge(tree, reference::words_of(text)) == Truth::yes;
            ASSERT_EQ(compiled.matches(text, 1 + random() % 4), wanted)
                << "seed " << seed << ", query " << tree.text << ", text " << text;
            found += wanted;
            // Whatever the index would be asked, it may not rule out a text that matches.
            std::set<std::uint64_t> index;
            TestArena arena;
            Tokenizer::Space space(arena);
            EXPECT_TRUE(
                for_each_index_word(text, space, [&](std::string_view word) { index.insert(search::hash_token(word)); }).ok());
            if (wanted) {
                ASSERT_TRUE(may_match(compiled.query(), [&](std::uint64_t hash) { return index.contains(hash); }))
                    << "seed " << seed << ", query " << tree.text << ", text " << text;
            }
        }
    }
    EXPECT_GT(found, 10000);
}

}  // namespace
}  // namespace historian::test
