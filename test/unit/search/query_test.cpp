#include "search/query.h"

#include <set>

#include "reference.h"

namespace historian::test {
namespace {

using search::NodeKind;
using search::Query;
using search::QueryError;
using search::QueryFault;
using search::Wanted;

class QueryTest : public ::testing::Test {
protected:
    // The query as fully parenthesised text: words of a phrase by blanks, joined letters by +, skips by ~.
    std::string shape(const std::string &text) {
        Query query;
        const QueryError error = parse_query(text, arena_, &query);
        EXPECT_EQ(error.fault, QueryFault::none) << text;
        if (error.fault != QueryFault::none) return "error";
        std::vector<std::string> stack;
        for (const search::QueryNode &node : query.nodes) {
            if (node.kind == NodeKind::phrase) {
                stack.push_back(phrase_shape(query, query.phrases[node.count]));
                continue;
            }
            const std::size_t count = node.kind == NodeKind::negation ? 1 : node.count;
            std::string all;
            for (std::size_t i = stack.size() - count; i < stack.size(); ++i) {
                if (!all.empty()) all += node.kind == NodeKind::conjunction ? " & " : " | ";
                all += stack[i];
            }
            stack.resize(stack.size() - count);
            stack.push_back(node.kind == NodeKind::negation ? "!" + all : "(" + all + ")");
        }
        EXPECT_LE(stack.size(), 1u);
        return stack.empty() ? "nothing" : stack[0];
    }
    static std::string phrase_shape(const Query &query, const search::Phrase &phrase) {
        std::string all;
        for (std::uint32_t i = 0; i < phrase.word_count; ++i) {
            const search::QueryWord &word = query.words[phrase.word_begin + i];
            if (i > 0) all += word.skips ? "~" : word.is_joined ? "+" : "_";
            all += word.wanted == Wanted::any ? "*" : std::string(word.bytes);
        }
        return all;
    }
    QueryError error(const std::string &text) {
        Query query;
        return parse_query(text, arena_, &query);
    }

    TestArena arena_;
};

TEST_F(QueryTest, TermsAreJoinedByAnd) {
    EXPECT_EQ(shape("Error 102"), "(error & 102)");
    EXPECT_EQ(shape("a AND b"), "(a & b)");
    EXPECT_EQ(shape("a　b\u00a0c\td"), "(a & b & c & d)");  // ideographic and no-break space
}

TEST_F(QueryTest, NotBindsStrongerThanAndAndThatThanOr) {
    EXPECT_EQ(shape("a b OR c d"), "((a & b) | (c & d))");
    EXPECT_EQ(shape("a | b | c"), "(a | b | c)");
    EXPECT_EQ(shape("a|b"), "(a | b)");
    EXPECT_EQ(shape("NOT a b"), "(!a & b)");
    EXPECT_EQ(shape("a -b"), "(a & !b)");
    EXPECT_EQ(shape("a (b | c)"), "(a & (b | c))");
    EXPECT_EQ(shape("NOT (a | b) c"), "(!(a | b) & c)");
    EXPECT_EQ(shape("-(a b)"), "!(a & b)");
    EXPECT_EQ(shape("-\"a b\""), "!a_b");
    EXPECT_EQ(shape("NOT NOT a"), "a");
    EXPECT_EQ(shape("NOT -a"), "a");
    EXPECT_EQ(shape("((((a))))"), "a");
}

TEST_F(QueryTest, OperatorsAreUpperCaseAndOutsideQuotes) {
    EXPECT_EQ(shape("a or b"), "(a & or & b)");
    EXPECT_EQ(shape("not a"), "(not & a)");
    EXPECT_EQ(shape("Or"), "or");
    EXPECT_EQ(shape("\"OR\""), "or");
    EXPECT_EQ(shape("ORANGE"), "orange");
    EXPECT_EQ(shape("a \"b | c\""), "(a & b_c)");
}

TEST_F(QueryTest, TermsOfSeveralWordsArePhrases) {
    EXPECT_EQ(shape("10.0.0.3"), "10_0_0_3");
    EXPECT_EQ(shape("error-102"), "error_102");
    EXPECT_EQ(shape("\"Connection refused\" x"), "(connection_refused & x)");
    EXPECT_EQ(shape("대한민국"), "대+한+민+국");
    EXPECT_EQ(shape("DBMSです"), "dbms_で+す");
    EXPECT_EQ(shape("\"대한 민국\""), "대+한_민+국");
}

TEST_F(QueryTest, AsterisksBelongToWords) {
    EXPECT_EQ(shape("err* *base a*z *mid*"), "(err* & *base & a*z & *mid*)");
    EXPECT_EQ(shape("\"failed at 10.0.0.*\""), "failed_at_10_0_0_*");
    EXPECT_EQ(shape("*"), "*");
    EXPECT_EQ(shape("\"a * b\""), "a_*_b");
    EXPECT_EQ(shape("대한*"), "대+한");
    EXPECT_EQ(shape("*대한"), "대+한");
    EXPECT_EQ(shape("대*국"), "대~국");
    EXPECT_EQ(shape("대**국"), "대~국");
    EXPECT_EQ(shape("\"대* 국\""), "대_국");
    EXPECT_EQ(shape("\"대 * 국\""), "대_*_국");
    EXPECT_EQ(shape("abc*대"), "abc*_대");
    EXPECT_EQ(shape("대*abc"), "대_*abc");
    EXPECT_EQ(shape("ｅｒｒ＊"), "err*");
}

TEST_F(QueryTest, TermsWithoutAWordAreLeftOut) {
    EXPECT_EQ(shape(""), "nothing");
    EXPECT_EQ(shape("  "), "nothing");
    EXPECT_EQ(shape("... - --"), "nothing");
    EXPECT_EQ(shape("NOT ..."), "nothing");
    EXPECT_EQ(shape("()"), "nothing");
    EXPECT_EQ(shape("\"\""), "nothing");
    EXPECT_EQ(shape("a & b"), "(a & b)");
    EXPECT_EQ(shape("a | ..."), "a");
    EXPECT_EQ(shape("a -(... | ;)"), "a");
    EXPECT_EQ(shape("main()"), "main");
    EXPECT_EQ(shape("- 5"), "5");
    EXPECT_EQ(shape("--verbose"), "verbose");
    EXPECT_EQ(shape("a -> b"), "(a & b)");
    EXPECT_EQ(shape("(a -)"), "a");
}

TEST_F(QueryTest, SyntaxErrorsNameTheirPlace) {
    const auto expect = [&](const char *text, QueryFault fault, std::size_t offset) {
        EXPECT_EQ(error(text).fault, fault) << text;
        EXPECT_EQ(error(text).offset, offset) << text;
    };
    expect("a \"b", QueryFault::open_quote, 2);
    expect("a (b (c)", QueryFault::open_group, 2);
    expect("a) b", QueryFault::unopened_group, 1);
    expect("OR a", QueryFault::missing_operand, 0);
    expect("| a", QueryFault::missing_operand, 0);
    expect("a OR", QueryFault::missing_operand, 2);
    expect("a OR OR b", QueryFault::missing_operand, 5);
    expect("a (b |)", QueryFault::missing_operand, 5);
    expect("NOT", QueryFault::missing_operand, 0);
    expect("a AND", QueryFault::missing_operand, 2);
    expect("AND a", QueryFault::missing_operand, 0);
    expect("a NOT OR b", QueryFault::missing_operand, 2);
    expect("(NOT) a", QueryFault::missing_operand, 1);
    expect(std::string(search::kQueryBytesMax + 1, 'x').c_str(), QueryFault::too_long, search::kQueryBytesMax);
}

TEST_F(QueryTest, DepthAndSizeHaveNoLimitButBytes) {
    EXPECT_EQ(shape(std::string(400000, '(') + "a" + std::string(400000, ')')), "a");
    std::string nested = "a";
    std::string many;
    for (int i = 0; i < 20000; ++i) {
        nested = "b -(" + nested + ")";
        many += "word" + std::to_string(i) + (i % 3 == 0 ? " | " : " ");
        if (i > 2000) nested = "a";
    }
    Query query;
    EXPECT_EQ(parse_query(nested, arena_, &query).fault, QueryFault::none);
    EXPECT_EQ(parse_query(many, arena_, &query).fault, QueryFault::none);
    EXPECT_EQ(query.phrases.size(), 20000u);
}

TEST_F(QueryTest, WithoutMemoryThereIsAnError) {
    const std::string text = "a (b | \"c 대한\") " + std::string(50000, 'x');
    for (std::size_t bytes = 0; bytes < 400000; bytes = 2 * bytes + 1) {
        TestArena small(bytes);
        Query query;
        const QueryFault fault = parse_query(text, small, &query).fault;
        EXPECT_TRUE(fault == QueryFault::none || fault == QueryFault::out_of_memory);
    }
}

TEST_F(QueryTest, AnIndexIsAskedForTokens) {
    const auto asked = [&](const std::string &text) {
        Query query;
        EXPECT_EQ(parse_query(text, arena_, &query).fault, QueryFault::none);
        return std::multiset<std::uint64_t>(query.token_hashes.begin(), query.token_hashes.end());
    };
    const auto hashes = [](const std::vector<std::string> &tokens) {
        std::multiset<std::uint64_t> all;
        for (const std::string &token : tokens) all.insert(search::hash_token(token));
        return all;
    };
    EXPECT_EQ(asked("error 10.7"), hashes({"error", "10", "7"}));
    EXPECT_EQ(asked("대한민국"), hashes({"대한", "한민", "민국"}));
    EXPECT_EQ(asked("한"), hashes({"한"}));
    EXPECT_EQ(asked("대*국"), hashes({"대", "국"}));
    EXPECT_EQ(asked("대한*국어"), hashes({"대한", "국어"}));
    EXPECT_EQ(asked("err* * -x"), hashes({"x"}));  // the x is asked for in vain: NOT may match anyway
}

TEST_F(QueryTest, MayMatchIsFalseOnlyWhenNothingCan) {
    const auto may = [&](const std::string &text, const std::vector<std::string> &present) {
        Query query;
        EXPECT_EQ(parse_query(text, arena_, &query).fault, QueryFault::none);
        return may_match(query, [&](std::uint64_t hash) {
            for (const std::string &token : present) {
                if (search::hash_token(token) == hash) return true;
            }
            return false;
        });
    };
    EXPECT_TRUE(may("a b", {"a", "b"}));
    EXPECT_FALSE(may("a b", {"a"}));
    EXPECT_TRUE(may("a | b", {"b"}));
    EXPECT_FALSE(may("a | b", {}));
    EXPECT_TRUE(may("a | err*", {}));
    EXPECT_FALSE(may("a err*", {}));
    EXPECT_TRUE(may("NOT a", {"a"}));
    EXPECT_TRUE(may("NOT (a b)", {"a", "b"}));
    EXPECT_FALSE(may("b NOT a", {"a"}));
    EXPECT_FALSE(may("(a | b) (c | d)", {"a", "b"}));
    EXPECT_TRUE(may("(a | b) (c | d)", {"b", "d"}));
    EXPECT_FALSE(may("", {"a"}));
    EXPECT_FALSE(may("...", {"a"}));
}

}  // namespace
}  // namespace historian::test
