#include "bgworker/parsed_payload.h"

#include <gtest/gtest.h>

namespace historian::bgworker {
namespace {

const ParseContext kAny;
const ParseContext kNdjson = in_format(PayloadFormat::ndjson);

TEST(KeyedPayload, OneObject) {
    EXPECT_EQ(parsed(R"({"name": "a", "time": 17, "value": null, "on": true, "more": {"k": [1, "x"]}})"),
              "name=sa,time=n17,value=0,on=btrue,more=j{\"k\":[1,\"x\"]}");
}
TEST(KeyedPayload, ArrayOfObjects) {
    EXPECT_EQ(parsed(R"([{"a":1,"b":2},{"a":3,"b":4}])"), "a=n1,b=n2;a=n3,b=n4");
}
TEST(KeyedPayload, RowsMayDiffer) {
    EXPECT_EQ(parsed(R"([{"a":1},{"b":2},{"c":3,"a":4}])"), "a=n1,b=-,c=-;a=-,b=n2,c=-;a=n4,b=-,c=n3");
    EXPECT_EQ(parsed(R"([{"a":1,"b":2},{"b":3,"a":4}])"), "a=n1,b=n2;a=n4,b=n3") << "another order";
}
TEST(KeyedPayload, OfTwoWithOneNameTheLastCounts) { EXPECT_EQ(parsed(R"({"a":1,"b":2,"a":3})"), "a=n3,b=n2"); }
TEST(KeyedPayload, NamesAreDecoded) { EXPECT_EQ(parsed(R"({"\u00e9\"":1,"":2})"), "\u00e9\"=n1,=n2"); }
TEST(KeyedPayload, ObjectsAtFirstMayBeCells) {
    EXPECT_EQ(parsed(R"([{"a":1}, "x", 2])"), "j{\"a\":1},sx,n2") << "one row that begins with json";
    EXPECT_EQ(parsed(R"([{"a":1}, [2]])"), "j{\"a\":1},j[2]");
    EXPECT_EQ(parsed(R"([[{"a":1}]])"), "j{\"a\":1}") << "a row of an object alone";
}
TEST(KeyedPayload, RejectsNulInNames) {
    EXPECT_EQ(parsed(R"({"a\u0000":1})").substr(0, 42), "payload has a NUL character in a string at");
}
TEST(KeyedPayload, LimitsNames) {
    std::string many = "{";
    for (std::uint32_t i = 0; i <= kNameCountMax; ++i) many += (i > 0 ? ",\"c" : "\"c") + std::to_string(i) + "\":0";
    EXPECT_EQ(parsed(many + "}"), "payload names more than 1600 columns");
}
TEST(KeyedPayload, LimitsTheGapsBetweenCells) {
    // 1600 names and 6000 rows of one cell: 9.6 million cells when each row has all of them.
    std::string rows = "[{";
    for (std::uint32_t i = 0; i < kNameCountMax; ++i) rows += (i > 0 ? ",\"c" : "\"c") + std::to_string(i) + "\":0";
    rows += "}";
    for (int i = 0; i < 6000; ++i) rows += ",{\"c7\":1}";
    EXPECT_EQ(parsed(rows + "]"), "payload has more than 4194304 values");
}

TEST(Document, ColumnsAndRows) {
    EXPECT_EQ(parsed(R"({"data":{"columns":["a","b"],"rows":[["x",1],["y",2]]}})"), "a=sx,b=n1;a=sy,b=n2");
    EXPECT_EQ(parsed(R"({"columns":["a","b"],"rows":[["x",1]]})"), "a=sx,b=n1");
    EXPECT_EQ(parsed(R"({"rows":[["x",[1]]],"columns":["a","b"]})"), "a=sx,b=j[1]") << "in any order";
    EXPECT_EQ(parsed(R"({"data":{"rows":[["x",1],["y",2]]}})"), "sx,n1;sy,n2") << "without columns in the table's order";
    EXPECT_EQ(parsed(R"({"columns":["a","b"],"rows":[["x"],["y",1,2]]})"), "a=sx;a=sy,b=n1,n2") << "not one cell a name";
    EXPECT_EQ(parsed(R"({"data":{"columns":["a"],"rows":[]}})"), "payload holds no value");
}
TEST(Document, WhatIsNoneIsARow) {
    EXPECT_EQ(parsed(R"({"data":5})"), "data=n5");
    EXPECT_EQ(parsed(R"({"data":{"k":5}})"), "data=j{\"k\":5}");
    EXPECT_EQ(parsed(R"({"data":{"rows":[[1]]},"name":"x"})"), "data=j{\"rows\":[[1]]},name=sx");
    EXPECT_EQ(parsed(R"({"name":"x","data":{"rows":[[1]]}})"), "name=sx,data=j{\"rows\":[[1]]}");
    EXPECT_EQ(parsed(R"({"rows":7})"), "rows=n7");
    EXPECT_EQ(parsed(R"({"columns":["a"]})"), "columns=j[\"a\"]");
    EXPECT_EQ(parsed(R"({"columns":[1],"rows":[[1]]})"), "columns=j[1],rows=j[[1]]");
    EXPECT_EQ(parsed(R"([{"rows":[[1]]}])"), "rows=j[[1]]");
}

TEST(Ndjson, OneObjectALine) {
    EXPECT_EQ(parsed("{\"a\":1}\n{\"a\":2,\"b\":\"x\"}\r\n\n  {\"b\":\"y\"}", kNdjson), "a=n1,b=-;a=n2,b=sx;a=-,b=sy");
    EXPECT_EQ(parsed("{\"data\":{\"rows\":[[1]]}}", kNdjson), "data=j{\"rows\":[[1]]}") << "never a document";
}
TEST(Ndjson, IsFoundWithoutBeingNamed) {
    EXPECT_EQ(parsed("{\"a\":1}\n{\"a\":2}\n"), "a=n1;a=n2");
    EXPECT_EQ(parsed("{\"a\":\n1}\n"), "a=n1") << "one object over two lines";
    EXPECT_EQ(parsed("{\"a\":1}\n{\"a\":2}\n", in_format(PayloadFormat::json)), "payload is not valid JSON at offset 8");
}
TEST(Ndjson, ABadLineSpoilsNoOther) {
    EXPECT_EQ(parsed("{\"a\":1}\n{\"a\":}\n{\"a\":3}", kNdjson), "a=n1;[payload is not valid JSON at offset 13];a=n3");
    EXPECT_EQ(parsed("{\"a\":1} x\n{\"a\":2}", kNdjson), "[payload is not valid JSON at offset 8];a=n2");
    EXPECT_EQ(parsed("[1]\n7\n{\"a\":2}", kNdjson).substr(0, 55), "[payload has a line that is not a JSON object at offset");
    EXPECT_EQ(parsed("{\"a\":\"\xff\"}\n{\"a\":2}", kNdjson), "[payload is not valid UTF-8 at offset 6];a=n2");
    EXPECT_EQ(parsed("{\"a\":1,\"b\":2,", kNdjson), "[payload is not valid JSON at offset 13]");
}
TEST(Ndjson, RejectsNothing) { EXPECT_EQ(parsed("\n \n", kNdjson), "payload holds no value"); }

TEST(RowPayload, IsReadAsTheWhole) {
    EXPECT_EQ(rows_again(R"([["a\n\u0001",1.50,true,null,{"k":"\""}],["b"]])", kAny),
              R"(["a\u000a\u0001",1.50,true,null,{"k":"\""}]|["b"])");
    EXPECT_EQ(rows_again(R"([{"a":1},{"b":"x"}])", kAny), R"({"a":1}|{"b":"x"})");
    EXPECT_EQ(rows_again(R"({"columns":["a","b"],"rows":[[1,2],[3]]})", kAny), R"({"a":1,"b":2}|[3])");
    EXPECT_EQ(rows_again(R"([[[1],2],[{"a":1}],[]])", kAny), R"([[[1],2]]|[[{"a":1}]]|[[]])") << "alone another form";
    EXPECT_EQ(rows_again(R"([{"rows":[[1]]},{"a":2}])", kAny), R"([{"rows":[[1]]}]|{"a":2})");
    EXPECT_EQ(rows_again("{\"a\": 1}\n{\"b\":}\n", kNdjson), "{\"a\": 1}|{\"b\":}");
}

}  // namespace
}  // namespace historian::bgworker
