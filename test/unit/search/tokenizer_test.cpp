#include "search/tokenizer.h"

#include "reference.h"

namespace historian::test {
namespace {

using search::Link;
using search::Tokenizer;

using Strings = std::vector<std::string>;

class TokenizerTest : public ::testing::Test {
protected:
    Strings tokens(const std::string &text) {
        Strings found;
        const Status status = for_each_token(text, space_, [&](std::string_view token) { found.emplace_back(token); });
        EXPECT_TRUE(status.ok());
        return found;
    }
    Strings index_words(const std::string &text) {
        Strings found;
        const Status status = for_each_index_word(text, space_, [&](std::string_view word) { found.emplace_back(word); });
        EXPECT_TRUE(status.ok());
        return found;
    }
    // Every word, with what the tokenizer says of it, is the reference's.
    void check(const std::string &text, const std::string &what) {
        const std::vector<reference::Word> wanted = reference::words_of(text);
        Tokenizer tokenizer(text, space_);
        std::size_t i = 0;
        for (search::Word word; tokenizer.next(&word); ++i) {
            ASSERT_LT(i, wanted.size()) << what << ": one word too many: " << word.bytes;
            ASSERT_EQ(word.bytes, wanted[i].bytes) << what;
            ASSERT_EQ(word.is_letter, wanted[i].is_cjk) << what;
            ASSERT_EQ(word.link != Link::apart, wanted[i].touches) << what;
            ASSERT_EQ(word.link == Link::joined, is_joined(wanted, i)) << what;
            ASSERT_EQ(word.ends_run, word.is_letter && !is_joined(wanted, i + 1)) << what;
        }
        ASSERT_TRUE(tokenizer.status().ok());
        ASSERT_EQ(i, wanted.size()) << what;
        ASSERT_EQ(tokens(text), reference::tokens_of(text)) << what;
    }

    TestArena arena_;
    Tokenizer::Space space_{arena_};
};

TEST_F(TokenizerTest, LettersAndDigitsAreWordsAndTheRestSeparates) {
    EXPECT_EQ(tokens("Error 102: pump/7 failed_at 10.0.0.3"),
              (Strings{"error", "102", "pump", "7", "failed", "at", "10", "0", "0", "3"}));
    EXPECT_EQ(tokens("0xDEAD user@host.example -5.5e3"), (Strings{"0xdead", "user", "host", "example", "5", "5e3"}));
    EXPECT_EQ(tokens("550e8400-e29b-41d4-a716-446655440000"), (Strings{"550e8400", "e29b", "41d4", "a716", "446655440000"}));
    EXPECT_EQ(tokens(""), Strings{});
    EXPECT_EQ(tokens(" ,.;:!?*_-()[]{}\"'\\|/\n\t"), Strings{});
}

TEST_F(TokenizerTest, RunsOfCjkLettersBecomePairs) {
    EXPECT_EQ(tokens("대한민국"), (Strings{"대한", "한민", "민국"}));
    EXPECT_EQ(tokens("한 국어"), (Strings{"한", "국어"}));
    EXPECT_EQ(tokens("Machbaseは円柱状のDBMSです"), (Strings{"machbase", "は円", "円柱", "柱状", "状の", "dbms", "です"}));
    EXPECT_EQ(tokens("서버3호기"), (Strings{"서버", "3", "호기"}));
}

TEST_F(TokenizerTest, AnIndexHasTheLettersToo) {
    EXPECT_EQ(index_words("한 국어 abc"), (Strings{"한", "국", "국어", "어", "abc"}));
}

TEST_F(TokenizerTest, CaseWidthAndCompositionMakeNoDifference) {
    EXPECT_EQ(tokens("ＥＲＲＯＲ １０２"), tokens("error 102"));
    EXPECT_EQ(tokens("\u1103\u1162\u1112\u1161\u11ab"), tokens("대한"));
    EXPECT_EQ(tokens("ｶﾞｽ"), tokens("ガス"));
    EXPECT_EQ(tokens("cafe\u0301 CAFÉ"), (Strings{"café", "café"}));
    EXPECT_EQ(tokens("Straße STRASSE"), (Strings{"strasse", "strasse"}));
    EXPECT_EQ(tokens("soft\u00adware"), (Strings{"software"}));
}

TEST_F(TokenizerTest, MarksBelongToWhatIsBeforeThem) {
    EXPECT_EQ(tokens("=\u0338x"), (Strings{"x"}));  // U+2260, not equal to, is no letter
    EXPECT_EQ(tokens(" \u0338x"), (Strings{"\u0338x"}));
    EXPECT_EQ(tokens("漢\u0301字"), (Strings{"漢\u0301字"}));
}

TEST_F(TokenizerTest, NfcAndNfdAreEqualWhereAMarkBecomesALetter) {
    // alpha, ypogegrammeni, dot below: NFC moves the dot behind the iota that the ypogegrammeni becomes, unless NFD comes first.
    EXPECT_EQ(tokens("\u03b1\u0323\u0345"), tokens("\u1fb3\u0323"));
    EXPECT_EQ(tokens("\u03b1\u0345\u0301"), tokens("\u03b1\u0301\u0345"));
}

TEST_F(TokenizerTest, BytesThatAreNotUtf8AreLetters) {
    EXPECT_EQ(tokens("caf\xe9 \xff\xfe"), (Strings{"caf\xe9", "\xff\xfe"}));
    EXPECT_EQ(tokens("\xe3\x81 x"), (Strings{"\xe3\x81", "x"}));
}

TEST_F(TokenizerTest, WordsOfAnyLengthAreWhole) {
    for (const std::size_t length : {1023u, 1024u, 1025u, 5000u, 1000000u}) {
        const std::string word(length, 'x');
        EXPECT_EQ(tokens("a " + std::string(length, 'X') + " b"), (Strings{"a", word, "b"}));
        EXPECT_EQ(tokens(word), (Strings{word}));
        EXPECT_EQ(tokens(word + "é"), (Strings{word + "é"}));
        EXPECT_EQ(tokens("é" + word), (Strings{"é" + word}));
    }
}

TEST_F(TokenizerTest, MillionsOfMarksAreSortedInLinearTime) {
    std::string text = "a";
    for (int i = 0; i < 300000; ++i) text += i % 2 == 0 ? "\u0301" : "\u0323";
    const Strings found = tokens(text);
    ASSERT_EQ(found.size(), 1u);
    EXPECT_TRUE(found[0].starts_with("ạ\u0323\u0323")) << found[0].substr(0, 20);
    EXPECT_TRUE(found[0].ends_with("\u0301\u0301"));
}

TEST_F(TokenizerTest, MillionsOfInvisibleCharactersTakeNoMemory) {
    std::string text = "a";
    for (int i = 0; i < 1000000; ++i) text += "\u200b";
    TestArena small(1 << 20);
    Tokenizer::Space space(small);
    std::size_t count = 0;
    EXPECT_TRUE(for_each_token(text + "b", space, [&](std::string_view token) { count += token == "ab"; }).ok());
    EXPECT_EQ(count, 1u);
}

TEST_F(TokenizerTest, WithoutMemoryThereIsAStatus) {
    for (std::size_t bytes = 0; bytes < 400000; bytes = 2 * bytes + 1) {
        TestArena small(bytes);
        Tokenizer::Space space(small);
        const Status status = for_each_token("x 대한 " + std::string(100000, 'x'), space, [](std::string_view) {});
        EXPECT_TRUE(status.ok() || status.code == StatusCode::out_of_memory);
    }
}

// Every character is cut as the reference cuts it, alone and between others.
TEST_F(TokenizerTest, EveryCharacterIsMappedAsUnicodeSays) {
    for (std::int32_t code = 0; code < 0x110000; ++code) {
        if (code >= 0xd800 && code < 0xe000) continue;
        if (code >= 0x30000 && code < 0xe0000) continue;  // a few assigned ideographs, as in plane 2
        std::string character;
        reference::append(character, code);
        check("e" + character + "\u0301 " + character + "한" + character + "か" + character, "U+" + std::to_string(code));
        if (HasFatalFailure()) return;
    }
}

TEST_F(TokenizerTest, RandomTextsAreCutAsByTheReference) {
    const std::uint64_t seed = std::random_device{}();
    std::mt19937_64 random{seed};
    for (int i = 0; i < 100000; ++i) {
        const std::string text = reference::random_text(random, 12);
        check(text, "seed " + std::to_string(seed) + ", text \"" + text + "\"");
        if (HasFatalFailure()) return;
    }
}

TEST_F(TokenizerTest, RandomTextsAreCutAlikeComposedAndDecomposed) {
    const std::uint64_t seed = std::random_device{}();
    std::mt19937_64 random{seed};
    for (int i = 0; i < 20000; ++i) {
        const std::string text = reference::random_text(random, 12);
        for (const utf8proc_option_t form : {UTF8PROC_COMPOSE, UTF8PROC_DECOMPOSE}) {
            utf8proc_uint8_t *changed = nullptr;
            const auto options = static_cast<utf8proc_option_t>(form | UTF8PROC_STABLE);
            const auto *source = reinterpret_cast<const utf8proc_uint8_t *>(text.data());
            const utf8proc_ssize_t size = utf8proc_map(source, static_cast<utf8proc_ssize_t>(text.size()), &changed, options);
            if (size < 0) continue;  // not UTF-8
            const std::string form_text(reinterpret_cast<char *>(changed), static_cast<std::size_t>(size));
            std::free(changed);
            ASSERT_EQ(tokens(form_text), tokens(text)) << "seed " << seed;
        }
    }
}

}  // namespace
}  // namespace historian::test
