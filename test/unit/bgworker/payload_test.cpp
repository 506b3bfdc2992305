#include "bgworker/payload.h"

#include "bgworker/parsed_payload.h"

namespace historian::bgworker {
namespace {

TEST(Payload, OneRow) { EXPECT_EQ(parsed(R"(["a", 17, -1.50e+3, true, false, null])"), "sa,n17,n-1.50e+3,btrue,bfalse,0"); }
TEST(Payload, SeveralRows) { EXPECT_EQ(parsed(R"([["a",1],["b",2] , []])"), "sa,n1;sb,n2;"); }
TEST(Payload, KeepsNumbersAsWritten) {
    EXPECT_EQ(parsed("[123456789012345678901234567890, 0.10, 1E5, -0, 1e400]"),
              "n123456789012345678901234567890,n0.10,n1E5,n-0,n1e400");
}
TEST(Payload, DecodesEscapes) {
    EXPECT_EQ(parsed(R"(["\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00"])"), "s\"\\/\b\f\n\r\t\u00e9\U0001F600");
}
TEST(Payload, KeepsEmptyStrings) { EXPECT_EQ(parsed(R"(["",""])"), "s,s"); }
TEST(Payload, NestedValuesStayJson) {
    EXPECT_EQ(parsed(R"(["a", {"k" : [1, "x\ty", {}], "\u0001" : null}, [ ]])"),
              "sa,j{\"k\":[1,\"x\\u0009y\",{}],\"\\u0001\":null},j[]");
}
TEST(Payload, RowsMayHoldJson) { EXPECT_EQ(parsed(R"([[[1,2],{"a":1}]])"), "j[1,2],j{\"a\":1}"); }
TEST(Payload, LongStringsInPieces) {
    const std::string text(100'000, 'x');
    EXPECT_EQ(parsed("[\"" + text + "\\n" + text + "\"]"), "s" + text + "\n" + text);
}

TEST(Payload, RejectsNothing) { EXPECT_EQ(parsed(""), "payload holds no value"); }
TEST(Payload, RejectsNoValue) {
    EXPECT_EQ(parsed("[]"), "payload holds no value");
    EXPECT_EQ(parsed(" "), "payload is not valid JSON at offset 1");
}
TEST(Payload, RejectsOtherJson) {
    for (const char *other : {"\"a\"", "null", "true"}) {
        EXPECT_EQ(parsed(other).substr(0, 41), "payload is not a JSON array or object at ") << other;
    }
}
TEST(Payload, RejectsMixedForms) {
    EXPECT_EQ(parsed("[[1],2]").substr(0, 38), "payload mixes rows and single values a");
    EXPECT_EQ(parsed("[[1],{}]").substr(0, 38), "payload mixes rows and single values a");
    EXPECT_EQ(parsed("{\"rows\":[[1],2],\"columns\":[\"a\"]}").substr(0, 3), "row") << "a column, perhaps";
    EXPECT_EQ(parsed("{\"columns\":[\"a\"],\"rows\":[[1],2]}").substr(0, 38), "payload mixes rows and single values a");
    EXPECT_EQ(parsed("[1,[2]]"), "n1,j[2]") << "an array after a value is a cell";
}
TEST(Payload, RejectsMalformedJson) {
    for (const char *bad : {"[", "[1", "[1,]", "[01]", "[1]x", "[1][2]", "[\"a]", "[+1]", "[1.]", "[nul]", "[\"\\x\"]",
                            "[\"\\ud800\"]", "[\"a\nb\"]", "]", "[NaN]", "['a']", "//x\n[1]", "[1e]"}) {
        EXPECT_EQ(parsed(bad).substr(0, 32), "payload is not valid JSON at off") << bad;
    }
}
TEST(Payload, RejectsInvalidUtf8) {
    for (const char *bad :
         {"[\"\xff\"]", "[\"\xc0\x80\"]", "[\"\xed\xa0\x80\"]", "[\"\xf4\x90\x80\x80\"]", "[\"\xe2\x82\"]", "[\"\x80\"]"}) {
        EXPECT_EQ(parsed(bad), "payload is not valid UTF-8 at offset 2") << bad;
    }
    EXPECT_EQ(parsed("[{\"\xff\":1}]"), "payload is not valid UTF-8 at offset 3");
}
TEST(Payload, RejectsNulInText) {
    EXPECT_EQ(parsed(R"(["a\u0000b"])").substr(0, 42), "payload has a NUL character in a string at");
    EXPECT_EQ(parsed(R"([["a\u0000"]])").substr(0, 42), "payload has a NUL character in a string at");
    EXPECT_EQ(parsed(R"([["a", {"k":"\u0000"}]])"), R"(sa,j{"k":"\u0000"})") << "inside json it is an escape again";
}
TEST(Payload, LimitsNesting) {
    const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
    EXPECT_EQ(parsed(nested(kPayloadDepthMax)).front(), 'j');
    EXPECT_EQ(parsed(nested(kPayloadDepthMax + 1)).substr(0, 42), "payload is nested deeper than 32 levels at");
    EXPECT_EQ(parsed(nested(1'000'000)).substr(0, 42), "payload is nested deeper than 32 levels at");
}
TEST(Payload, LimitsCells) {
    std::string many = "[0";
    for (std::uint32_t i = 0; i < kCellCountMax; ++i) many += ",0";
    EXPECT_EQ(parsed(many + "]"), "payload has more than 4194304 values");
}
TEST(Payload, SurvivesEveryLackOfMemory) {
    const std::string text = R"([["abc", 1, {"k":[1,2,"x"]}],["def", 2.5, null]])";
    for (std::size_t limit = 0; limit < 200'000; limit += 4096) {
        Blocks blocks;
        blocks.limit(limit);
        Arena arena(Blocks::grow, &blocks);
        Payload payload;
        const PayloadFault fault = parse_payload(text, {}, arena, &payload).fault;
        EXPECT_TRUE(fault == PayloadFault::none || fault == PayloadFault::out_of_memory);
    }
}
TEST(Payload, EveryPrefixIsAnError) {
    const std::string text = R"([["a\u00e9", 1.5e3, {"k":[true,null]}],["b", -2, "\ud83d\ude00"]])";
    for (std::size_t bytes = 0; bytes < text.size(); ++bytes) {
        EXPECT_EQ(parsed(std::string_view(text).substr(0, bytes)).substr(0, 8), "payload ") << bytes;
    }
}
TEST(Payload, EveryFaultHasWordsAndSqlstate) {
    for (int fault = 0; fault <= static_cast<int>(PayloadFault::out_of_memory); ++fault) {
        char text[200] = "";
        describe_payload_error({static_cast<PayloadFault>(fault), 7}, text, sizeof text);
        EXPECT_NE(text[0], '\0');
        EXPECT_EQ(std::string(payload_error_sqlstate(static_cast<PayloadFault>(fault))).size(), 5u);
    }
    char cut[8];
    describe_payload_error({PayloadFault::malformed, 7}, cut, sizeof cut);
    EXPECT_STREQ(cut, "payload");
}

}  // namespace
}  // namespace historian::bgworker
