#include "bgworker/mapping.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "test_arena.h"

namespace historian::bgworker {
namespace {

using test::TestArena;

// What is wrong with a mapping: "column:position: what".
std::string refused(std::string_view text) {
    TestArena arena;
    Mapping mapping;
    const MappingError error = parse_mapping(text, arena, &mapping);
    if (error.what == nullptr) return "accepted";
    return std::string(error.column) + ":" + std::to_string(error.position) + ": " + error.what;
}

const MappedProperty kProperties[] = {{"unit", "degC"}, {"odd key", "1"}, {"unit", "degF"}};

// The rows of a message as text: rows by ';', cells by ',', each with its kind.
std::string mapped(std::string_view mapping_text, std::string_view payload, std::string_view topic = "plant/press/4") {
    TestArena arena;
    Mapping mapping;
    const MappingError refusal = parse_mapping(mapping_text, arena, &mapping);
    if (refusal.what != nullptr) return "refused: " + std::string(refusal.what);
    MappedMessage message;
    message.topic = topic;
    message.payload = payload;
    message.properties = kProperties;
    message.property_count = 3;
    message.arrived_at = 1'709'251'200'123'456;
    message.qos = 1;
    message.retained = true;
    Payload rows;
    const MapError error = map_message(mapping, message, arena, &rows);
    if (error.fault != MapFault::none) {
        char text[200];
        describe_map_error(error, text, sizeof text);
        EXPECT_EQ(std::string(map_error_sqlstate(error)).size(), 5u);
        return text;
    }
    std::string out;
    EXPECT_EQ(rows.name_count, mapping.column_count);
    for (std::uint32_t row = 0; row < rows.row_count; ++row) {
        EXPECT_EQ(rows.row_ends[row], (row + 1) * rows.name_count);
        if (row > 0) out += ';';
        for (std::uint32_t i = 0; i < rows.name_count; ++i) {
            const Cell &each = rows.cells[row * rows.name_count + i];
            EXPECT_EQ(each.text[each.bytes], '\0');
            if (i > 0) out += ',';
            out += "0bnsjra-"[static_cast<int>(each.kind)];
            out += std::string(each.text, each.bytes);
        }
    }
    return out;
}

// One column from an expression.
std::string value_of(std::string_view expression, std::string_view payload, std::string_view topic = "plant/press/4") {
    return mapped("{\"c\": \"" + std::string(expression) + "\"}", payload, topic);
}

TEST(Mapping, TopicPartsAndPaths) {
    EXPECT_EQ(mapped(R"({"name": "topic[2]/topic[3]", "time": "$.ts", "value": "$.v"})", R"({"v": 21.50, "ts": 17, "x": {}})"),
              "spress/4,n17,n21.50");
}
TEST(Mapping, NamesItsColumnsInOrder) {
    TestArena arena;
    Mapping mapping;
    ASSERT_EQ(parse_mapping(R"({"b": "topic", "a": 1})", arena, &mapping).what, nullptr);
    ASSERT_EQ(mapping.column_count, 2u);
    EXPECT_EQ(mapping.names[0], "b");
    EXPECT_EQ(mapping.names[1], "a");
    EXPECT_FALSE(mapping.reads_json);
}
TEST(Mapping, KeepsEveryDigit) {
    EXPECT_EQ(value_of("$.v", R"({"v": 123456789012345678901234567890.10})"), "n123456789012345678901234567890.10");
    EXPECT_EQ(value_of("$", "-0.0e400"), "n-0.0e400");
    EXPECT_EQ(mapped(R"({"c": 0.1000000000000000000000001})", ""), "n0.1000000000000000000000001");
}
TEST(Mapping, EveryKindOfValue) {
    EXPECT_EQ(value_of("$.a", R"({"a": "t\u00e9xt\n"})"), "st\u00e9xt\n");
    EXPECT_EQ(value_of("$.a", R"({"a": true})"), "btrue");
    EXPECT_EQ(value_of("$.a", R"({"a": null})"), "0");
    EXPECT_EQ(value_of("$.a", R"({"a": [1, {"b" : "\"x\\\u0001", "c":[]}]})"), R"(j[1,{"b":"\"x\\\u0001","c":[]}])");
    EXPECT_EQ(value_of("$.b/$.a", R"({"a": 1})"), "-") << "a joined text of which a part is missing";
}
TEST(Mapping, Paths) {
    const char *payload = R"({"a": {"b": [10, [20, 21], {"c": 30}]}, "odd key": 1, "q'": 2, "q\"": 3, "a": {"b": [1, 2, 3]}})";
    EXPECT_EQ(value_of("$.a.b[0]", payload), "n1") << "of two members with one name the last counts, as in jsonb";
    EXPECT_EQ(value_of("$.a.b[-1]", payload), "n3");
    EXPECT_EQ(value_of("$['odd key']", payload), "n1");
    EXPECT_EQ(value_of("$[\\\"odd key\\\"]", payload), "n1");
    EXPECT_EQ(value_of("$['q\\\\'']", payload), "n2");
    EXPECT_EQ(value_of("$['q\\\"']", payload), "n3");
    EXPECT_EQ(value_of("$['a']['b'][1]", payload), "n2");
    EXPECT_EQ(value_of("$.\uac00_1", "{\"\uac00_1\": 5}"), "n5");
    for (const char *nowhere : {"$.a.b[3]", "$.a.b[-4]", "$.a.c", "$[0]", "$.a.b.c", "$.a.b[0].c", "$.A"}) {
        EXPECT_EQ(value_of(nowhere, payload), "payload holds none of the values that the mapping asks for") << nowhere;
    }
}
TEST(Mapping, WhatIsMissingIsAbsent) {
    EXPECT_EQ(mapped(R"({"a": "$.a", "b": "$.b", "t": "topic[4]", "p": "property.x", "j": "topic[9]-topic[1]"})", R"({"b": 1})"),
              "-,n1,-,-,-");
    EXPECT_EQ(mapped(R"({"a": "$.a", "b": "topic"})", "{}"), "payload holds none of the values that the mapping asks for");
    EXPECT_EQ(mapped(R"({"a": "$.a", "b": "topic"})", R"({"a": null})"), "0,splant/press/4");
}
TEST(Mapping, TopicParts) {
    EXPECT_EQ(value_of("topic", "", "a/b"), "sa/b");
    EXPECT_EQ(value_of("topic[1]", "", "a/b"), "sa");
    EXPECT_EQ(value_of("topic[-1]", "", "a/b"), "sb");
    EXPECT_EQ(value_of("topic[-2]", "", "a/b"), "sa");
    EXPECT_EQ(value_of("topic[-3]", "", "a/b"), "-");
    EXPECT_EQ(value_of("topic[3]", "", "a/b"), "-");
    EXPECT_EQ(value_of("topic[1]", "", "/b"), "s") << "a part may be empty";
    EXPECT_EQ(value_of("topic[2]", "", "a/"), "s");
    EXPECT_EQ(value_of("topic[-1]", "", "a/"), "s");
    EXPECT_EQ(value_of("topic[1].topic[2] - topic[-1]", "", "a/b/c"), "sa.b - c");
}
TEST(Mapping, TextBetweenTerms) {
    EXPECT_EQ(value_of("topic[1]'_it''s 4'topic[2]", "", "a/b"), "sa_it's 4b");
    EXPECT_EQ(value_of("'only'", ""), "sonly");
    EXPECT_EQ(value_of("''", ""), "s");
    EXPECT_EQ(value_of("/", ""), "s/");
    EXPECT_EQ(value_of("$.a/$.b:$.c", R"({"a": 1.50, "b": true, "c": {"d": [1]}})"), R"(s1.50/true:{"d":[1]})");
    EXPECT_EQ(value_of("$.a/$.b", R"({"a": 1, "b": null})"), "-") << "null has no text";
    EXPECT_EQ(value_of("$.a'.x'", R"({"a": 1})"), "s1.x");
}
TEST(Mapping, PropertiesAndHowItCame) {
    EXPECT_EQ(value_of("property.unit", ""), "sdegF") << "the last of several";
    EXPECT_EQ(value_of("property['odd key']", ""), "s1");
    EXPECT_EQ(value_of("property.Unit", ""), "-");
    EXPECT_EQ(value_of("qos", ""), "n1");
    EXPECT_EQ(value_of("retain", ""), "btrue");
    EXPECT_EQ(value_of("arrival", ""), "a");
    EXPECT_EQ(value_of("'at 'arrival", ""), "sat 2024-03-01T00:00:00.123456Z");
}
TEST(Mapping, ThePayloadAsItIs) {
    EXPECT_EQ(value_of("payload", " 21.50\r\n"), "r21.50");
    EXPECT_EQ(value_of("payload", "on"), "ron");
    EXPECT_EQ(value_of("payload", ""), "r");
    EXPECT_EQ(value_of("payload", "{not json"), "r{not json");
    EXPECT_EQ(value_of("payload", "a \xff"), "payload is not valid UTF-8 at offset 2");
    EXPECT_EQ(value_of("payload", std::string_view("a\0b", 3)), "text at payload has a NUL character");
    EXPECT_EQ(mapped(R"({"a": "payload", "b": "$.x"})", R"({"x":1} )"), R"(r{"x":1},n1)");
}
TEST(Mapping, Constants) {
    EXPECT_EQ(mapped(R"({"a": 1, "b": true, "c": null, "d": {"const": "x\u00e9"}, "e": {"const": [1, {"a": "b"}]}})", ""),
              "n1,btrue,0,sx\u00e9,j[1,{\"a\":\"b\"}]");
    EXPECT_EQ(mapped(R"({"a": {"const": ""}, "b": {"const": null}})", ""), "s,0");
}

TEST(Mapping, UnitsOfTimes) {
    const auto time = [](const char *unit, const char *payload) {
        return mapped(std::string(R"({"t": {"path": "$.t", "unit": ")") + unit + "\"}}", payload);
    };
    EXPECT_EQ(time("s", R"({"t": 1700000000})"), "s2023-11-14T22:13:20.000000Z");
    EXPECT_EQ(time("s", R"({"t": 1700000000.1234567})"), "s2023-11-14T22:13:20.123456Z");
    EXPECT_EQ(time("ms", R"({"t": 1700000000123})"), "s2023-11-14T22:13:20.123000Z");
    EXPECT_EQ(time("us", R"({"t": 1700000000123456})"), "s2023-11-14T22:13:20.123456Z");
    EXPECT_EQ(time("ns", R"({"t": 1700000000123456789})"), "s2023-11-14T22:13:20.123456Z");
    EXPECT_EQ(time("s", R"({"t": 1.7E9})"), "s2023-11-14T22:13:20.000000Z");
    EXPECT_EQ(time("s", R"({"t": 170000000000e-2})"), "s2023-11-14T22:13:20.000000Z");
    EXPECT_EQ(time("ms", R"({"t": "1700000000123"})"), "s2023-11-14T22:13:20.123000Z") << "a number in a string";
    EXPECT_EQ(time("ms", R"({"t": -1})"), "s1969-12-31T23:59:59.999000Z");
    EXPECT_EQ(time("ms", R"({"t": "2024-01-01 00:00:00+01"})"), "s2024-01-01 00:00:00+01") << "other texts stay";
    EXPECT_EQ(time("s", R"({"t": 0})"), "s1970-01-01T00:00:00.000000Z");
    EXPECT_EQ(time("s", R"({"t": 951782400})"), "s2000-02-29T00:00:00.000000Z");
    EXPECT_EQ(time("s", R"({"t": null, "u": 1})"), "0");
    EXPECT_EQ(time("s", R"({"t": 1e30})"), "s1e30 s since 1970");
    EXPECT_EQ(time("s", R"({"t": 1e99999})"), "s1e99999 s since 1970");
    EXPECT_EQ(time("ms", ("{\"t\": " + std::string(100, '9') + "}").c_str()), "s" + std::string(60, '9') + "... ms since 1970");
    EXPECT_EQ(mapped(R"({"t": {"path": "topic[-1]", "unit": "s"}})", "", "a/1700000000"), "s2023-11-14T22:13:20.000000Z");
    EXPECT_EQ(mapped(R"({"t": {"path": "payload", "unit": "s"}})", "1700000000\n"), "s2023-11-14T22:13:20.000000Z");
    for (const char *text : {"01", "1.", ".5", "+1", "1e", "0x1", "-", "1 2", "NaN"}) {
        EXPECT_EQ(mapped(R"({"t": {"path": "payload", "unit": "s"}})", text), std::string("r") + text) << "is no number";
    }
    EXPECT_EQ(time("s", R"({"t": 253402300799})"), "s9999-12-31T23:59:59.000000Z");
    EXPECT_EQ(time("s", R"({"t": 253402300800})"), "s253402300800 s since 1970");
    EXPECT_EQ(time("s", R"({"t": -62135596800})"), "s0001-01-01T00:00:00.000000Z");
    EXPECT_EQ(time("s", R"({"t": -62135596801})"), "s-62135596801 s since 1970");
    EXPECT_EQ(mapped(R"({"t": {"path": "topic[9]", "unit": "s"}})", ""), "-");
}

TEST(Mapping, AnArrayBecomesRows) {
    const char *mapping = R"({"n": "$.values[*].n", "t": "$.ts", "v": "$.values[*].v"})";
    EXPECT_EQ(mapped(mapping, R"({"values": [{"n": "a", "v": 1}, {"v": 2, "n": "b"}], "ts": 9})"), "sa,n9,n1;sb,n9,n2");
    EXPECT_EQ(mapped(mapping, R"({"values": [{"n": "a"}, {"n": "b", "v": 2}, {"v": 3}, {}, 7, null], "ts": 9})"),
              "sa,n9,-;sb,n9,n2;-,n9,n3;-,n9,-;-,n9,-;-,n9,-")
        << "what one element lacks is not taken from another";
    EXPECT_EQ(mapped(mapping, R"({"values": [], "ts": 9})"), "") << "no element, no row";
    EXPECT_EQ(mapped(mapping, R"({"ts": 9})"), "payload has nothing at $.values[*]");
    EXPECT_EQ(mapped(mapping, R"({"values": {"n": "a"}})"), "payload has no array at $.values[*]");
    EXPECT_EQ(mapped(mapping, R"({"values": null})"), "payload has no array at $.values[*]");
    EXPECT_EQ(value_of("$[*]", "[1,2,3]"), "n1;n2;n3");
    EXPECT_EQ(value_of("$[*][1]", "[[1,2],[3,4]]"), "n2;n4");
    EXPECT_EQ(value_of("topic[1]-$[*]", "[1,2]"), "splant-1;splant-2");
}
TEST(Mapping, ArraysInArrays) {
    const char *mapping = R"({"l": "$.lines[*].id", "m": "$.lines[*].points[*].m", "t": "$.t",
                              "x": "$.lines[*].id/$.lines[*].points[*].m"})";
    EXPECT_EQ(mapped(mapping, R"({"lines": [{"id": 1, "points": [{"m": "a"}, {"m": "b"}]}, {"points": [{"m": "c"}]}], "t": 5})"),
              "n1,sa,n5,s1/a;n1,sb,n5,s1/b;-,sc,n5,-");
    EXPECT_EQ(mapped(mapping, R"({"lines": [{"id": 1}, {"id": 2, "points": [{"m": "c"}]}, {"points": []}], "t": 5})"),
              "n2,sc,n5,s2/c")
        << "a line without points has no row";
    EXPECT_EQ(mapped(mapping, R"({"lines": [{"id": 1, "points": 3}]})"), "payload has no array at $.lines[*].points[*]");
}
TEST(Mapping, AnObjectBecomesRows) {
    EXPECT_EQ(mapped(R"({"name": "topic[2].key", "value": "$.values.*", "time": "$.ts"})",
                     R"({"ts": 7, "values": {"temp": 21.5, "hum": 40, "ok": null}})"),
              "spress.temp,n21.5,n7;spress.hum,n40,n7;spress.ok,0,n7");
    EXPECT_EQ(mapped(R"({"k": "key", "v": "$.*[*].v"})", R"({"a": [{"v": 1}, {"v": 2}], "b": [{"v": 3}]})"), "sa,n1;sa,n2;sb,n3");
    EXPECT_EQ(mapped(R"({"k": "key", "v": "$[*].*"})", R"([{"a": 1, "b": 2}, {"a": 3}])"), "sa,n1;sb,n2;sa,n3");
    EXPECT_EQ(mapped(R"({"n": "key", "t": "$.ts", "u": "topic[1]/$.unit", "v": "$.*"})",
                     R"({"temp": 1, "ts": 9, "hum": 2, "unit": "C"})"),
              "stemp,n9,splant/C,n1;shum,n9,splant/C,n2")
        << "what other columns name is no row of its own";
    EXPECT_EQ(mapped(R"({"n": "key", "t": "$.ts", "v": "$.*"})", R"({"ts": 9})"), "") << "nor is there any when it is alone";
    EXPECT_EQ(value_of("$.*", "[1]"), "payload has no object at $.*");
    EXPECT_EQ(value_of("key/$.*", R"({"\u0000": 1})"), "text at payload has a NUL character");
}

TEST(Mapping, RefusesWhatItDoesNotKnow) {
    EXPECT_EQ(refused(""), ":0: it is not valid JSON");
    EXPECT_EQ(refused("{"), ":0: it is not valid JSON");
    EXPECT_EQ(refused("[]"), ":0: it is not a JSON object of columns and expressions");
    EXPECT_EQ(refused("{}"), ":0: it names no column");
    EXPECT_EQ(refused(R"({"a": 1, "a": 2})"), "a:0: it is mapped twice");
    EXPECT_EQ(refused(R"({"": 1})"), ":0: it has no name");
    EXPECT_EQ(refused(R"({"a": []})"), "a:0: a list is no expression; {\"const\": [...]} stands for a constant one");
    EXPECT_EQ(refused(R"({"a": {}})"), "a:0: its object needs either path or const");
    EXPECT_EQ(refused(R"({"a": {"path": "$", "const": 1}})"), "a:0: its object needs either path or const");
    EXPECT_EQ(refused(R"({"a": {"path": "$", "units": "s"}})"), "a:0: its object has a key other than path, unit and const");
    EXPECT_EQ(refused(R"({"a": {"path": 1}})"), "a:0: its path is not a string");
    EXPECT_EQ(refused(R"({"a": {"path": "$", "unit": "min"}})"), "a:0: its unit is not s, ms, us or ns");
    EXPECT_EQ(refused(R"({"a": {"path": "$", "unit": 1}})"), "a:0: its unit is not s, ms, us or ns");
    EXPECT_EQ(refused(R"({"a": {"const": 1, "unit": "s"}})"), "a:0: a constant has no unit");
    for (const char *expression : {"arrival", "qos", "retain", "$.a$.b", "'text'"}) {
        EXPECT_EQ(refused(R"({"a": {"path": ")" + std::string(expression) + R"(", "unit": "s"}})"),
                  "a:0: a unit needs one path, property, part of the topic, or payload");
    }
    EXPECT_EQ(refused(R"({"a": {"const": "\u0000"}})"), "a:0: its constant holds a NUL character");
}
TEST(Mapping, RefusesBadExpressionsWithTheirPosition) {
    const auto at = [](const char *expression) { return refused("{\"c\": \"" + std::string(expression) + "\"}"); };
    EXPECT_EQ(at(""), "c:1: expression is empty; two single quotes stand for an empty text");
    EXPECT_EQ(at("pump"), "c:1: unknown word; text must stand in single quotes, and a path begins with $");
    EXPECT_EQ(at("topic[1]/topics"), "c:10: unknown word; text must stand in single quotes, and a path begins with $");
    EXPECT_EQ(at("topic2"), "c:1: unknown word; text must stand in single quotes, and a path begins with $");
    EXPECT_EQ(at("$.a-b"), "c:5: unknown word; text must stand in single quotes, and a path begins with $");
    EXPECT_EQ(at("topic/7"), "c:7: text must stand in single quotes");
    EXPECT_EQ(at("topic\uac00"), "c:6: text must stand in single quotes");
    EXPECT_EQ(at("'\uac00'x"), "c:4: unknown word; text must stand in single quotes, and a path begins with $");
    EXPECT_EQ(at("'open"), "c:1: quoted text does not end");
    EXPECT_EQ(at("topic[0]"), "c:7: parts of a topic count from 1, or from -1 at its end");
    EXPECT_EQ(at("topic[*]"), "c:7: a number, * or a quoted name must follow the bracket");
    EXPECT_EQ(at("topic[1"), "c:8: ] is missing");
    EXPECT_EQ(at("topic[1234567890123]"), "c:7: number is too large");
    EXPECT_EQ(at("property"), "c:9: property needs a name: property.unit or property[\"unit\"]");
    EXPECT_EQ(at("property.9"), "c:10: a name that begins with a digit must be written [\"...\"]");
    EXPECT_EQ(at("property[1]"), "c:10: a number, * or a quoted name must follow the bracket");
    EXPECT_EQ(at("$."), "c:3: a name must follow the dot");
    EXPECT_EQ(at("$..a"), "c:3: a name must follow the dot");
    EXPECT_EQ(at("$.1"), "c:3: a name that begins with a digit must be written [\"...\"]");
    EXPECT_EQ(at("$[a]"), "c:3: a number, * or a quoted name must follow the bracket");
    EXPECT_EQ(at("$[-0]"), "c:3: -0 is no place");
    EXPECT_EQ(at("$[0:2]"), "c:4: ] is missing");
    EXPECT_EQ(at("$[?(@.a)]"), "c:3: a number, * or a quoted name must follow the bracket");
    EXPECT_EQ(at("$['a]"), "c:3: quoted name does not end");
    EXPECT_EQ(at("$['a\\\\n']"), "c:5: \\ may stand before a quote or another \\ only");
    EXPECT_EQ(at("$[*"), "c:4: ] is missing");
    EXPECT_EQ(at("$[*][*][*][*][*]"), "c:1: path has more than four [*] and .*");
    EXPECT_EQ(at("key"), "c:0: key needs a path with .* in some column");
    EXPECT_EQ(at("a\\u0000"), "c:2: expression holds a NUL character");
}
TEST(Mapping, RefusesIndependentArrays) {
    EXPECT_EQ(refused(R"({"a": "$.x[*].v", "b": "$.y[*].v"})"), "b:0: its [*] or .* is not that of the other columns");
    EXPECT_EQ(refused(R"({"a": "$.x[*][*].v", "b": "$.x[0][*].v"})"), "b:0: its [*] or .* is not that of the other columns");
    EXPECT_EQ(refused(R"({"a": "$.x[*]", "b": "$.x.*"})"), "b:0: its [*] or .* is not that of the other columns");
    EXPECT_EQ(refused(R"({"a": "$.x[*].y", "b": "$.x.y", "c": "$.x[*].z[*]", "d": "$.x[*].u[0]"})"), "accepted");
    EXPECT_EQ(refused(R"({"a": "$.x[*].y", "b": "$.x[0].y"})"),
              "b:0: its path goes by number into the array whose elements become rows");
    EXPECT_EQ(refused(R"({"a": "$.x[*].y[*]", "b": "$.x[*].y[0]"})"),
              "b:0: its path goes by number into the array whose elements become rows");
    EXPECT_EQ(refused(R"({"a": "$.x[-1][*]", "b": "$.x[1].y"})"),
              "b:0: its path counts from the other end of an array that rows come from");
    EXPECT_EQ(refused(R"({"a": "$.x[-1][*].z[0]", "b": "$.x[-2].y", "c": "$.x[-1][*].z[-1]"})"), "accepted");
}
TEST(Mapping, OneRowOfAMessage) {
    const auto row_of = [](const char *mapping_text, std::string_view payload, std::uint32_t row) {
        TestArena arena;
        Mapping mapping;
        EXPECT_EQ(parse_mapping(mapping_text, arena, &mapping).what, nullptr);
        return std::string(write_mapped_row(mapping, {"a/b", payload}, row, arena));
    };
    const char *lines = R"({"l": [{"i": 1, "p": [{"v": 10}, {"v": 11}]}, {"i": 2}, {"i": 3, "p": [{"v": 12}]}], "t": [7, 8]})";
    const char *mapping = R"({"i": "$.l[*].i", "v": "$.l[*].p[*].v", "t": "$.t[0]"})";
    EXPECT_EQ(row_of(mapping, lines, 0), R"({"l":[{"i":1,"p":[{"v":10}]}],"t":[7,8]})");
    EXPECT_EQ(row_of(mapping, lines, 1), R"({"l":[{"i":1,"p":[{"v":11}]}],"t":[7,8]})");
    EXPECT_EQ(row_of(mapping, lines, 2), R"({"l":[{"i":3,"p":[{"v":12}]}],"t":[7,8]})");
    EXPECT_EQ(row_of(mapping, lines, 3), "");
    EXPECT_EQ(row_of(R"({"n": "key", "t": "$.ts", "v": "$.*"})", R"({"a": 1, "ts": 9, "b": 2})", 1), R"({"ts":9,"b":2})");
    EXPECT_EQ(row_of(R"({"v": "$.v"})", R"({"v":  1} )", 0), R"({"v":  1} )") << "a message of one row stays as it is";
    EXPECT_EQ(row_of(R"({"v": "payload"})", "no json", 0), "no json");
    EXPECT_EQ(row_of(R"({"v": "$[*]"})", "no json", 0), "");
}

TEST(Mapping, RejectsWhatIsNotJson) {
    EXPECT_EQ(value_of("$.a", ""), "payload holds no value");
    EXPECT_EQ(value_of("$.a", "{\"a\":"), "payload is not valid JSON at offset 5");
    EXPECT_EQ(value_of("$.a", "{\"a\":1} x"), "payload is not valid JSON at offset 8");
    EXPECT_EQ(value_of("$.a", "{\"a\":\"\xff\"}"), "payload is not valid UTF-8 at offset 6");
    EXPECT_EQ(value_of("$.a", "{\"\xc0\x80\":1}"), "payload is not valid UTF-8 at offset 2");
    EXPECT_EQ(value_of("$.a", std::string(100'000, '[')).substr(0, 42), "payload is nested deeper than 32 levels at");
    EXPECT_EQ(value_of("$.a", R"({"a": "x\u0000"})"), "text at $.a has a NUL character");
    EXPECT_EQ(value_of("$.a/$.b", R"({"a": 1, "b": "x\u0000"})"), "text at $.b has a NUL character");
    EXPECT_EQ(value_of("$.a", R"({"a": 1, "b": "x\u0000"})"), "n1") << "what is not asked for does not matter";
    EXPECT_EQ(value_of("$.a", R"({"a": ["\u0000"]})"), R"(j["\u0000"])") << "inside json it is an escape again";
}
TEST(Mapping, LongTextsInPieces) {
    const std::string text(100'000, 'x');
    EXPECT_EQ(value_of("$.a", "{\"a\": \"" + text + "\\n" + text + "\"}"), "s" + text + "\n" + text);
    EXPECT_EQ(value_of("$['" + text + "\xc3\xa9']", "{\"" + text + "\\u00e9\": 1}"), "n1");
}
TEST(Mapping, RepeatedTextIsLimited) {
    // 40 kB around an array of 10,000 elements would be 400 MB of rows.
    std::string payload = "{\"device\": \"" + std::string(40'000, 'd') + "\", \"v\": [0";
    for (int i = 1; i < 10'000; ++i) payload += ",0";
    payload += "]}";
    const char *too_much = "rows of the payload repeat too much text: more than 64 MB";
    EXPECT_EQ(mapped(R"({"d": "$.device", "v": "$.v[*]"})", payload), too_much);
    EXPECT_EQ(mapped(R"({"d": "$.device/$.v[*]"})", payload), too_much);
    EXPECT_NE(mapped(R"({"v": "$.v[*]"})", payload).substr(0, 5), "rows ");
}
TEST(Mapping, CellsAreLimited) {
    std::string payload = "[0";
    for (std::uint32_t i = 1; i < kCellCountMax / 2; ++i) payload += ",0";
    payload += "]";
    EXPECT_EQ(mapped(R"({"a": "$[*]", "b": 1, "c": 2})", payload), "rows of the payload have more than 4194304 values");
    std::string more = "[0";
    for (std::uint32_t i = 0; i < kCellCountMax; ++i) more += ",0";
    EXPECT_EQ(value_of("$[0]", more + "]"), "payload has more than 4194304 values");
}
TEST(Mapping, SurvivesEveryLackOfMemory) {
    const std::string text = R"({"a\u00e9": "$.a[*].b", "b": "topic[1]'x'$.c", "c": {"const": [1, 2]}, "d": "$['e\\']f']"})";
    const std::string payload = R"({"a": [{"b": "x\u00e9"}, {"b": [1, "2"]}], "c": 3})";
    for (std::size_t limit = 0; limit < 200'000; limit += 4096) {
        TestArena parsed_in;
        TestArena parsed_in_little(limit);
        Mapping mapping;
        (void)parse_mapping(text, parsed_in_little, &mapping);
        ASSERT_EQ(parse_mapping(text, parsed_in, &mapping).what, nullptr);
        TestArena arena(limit);
        Payload rows;
        const MapError error = map_message(mapping, {"a/b", payload}, arena, &rows);
        const bool lacked = error.fault == MapFault::out_of_memory || error.payload.fault == PayloadFault::out_of_memory;
        EXPECT_TRUE(error.fault == MapFault::none || lacked);
    }
}
TEST(Mapping, EveryFaultHasWordsAndSqlstate) {
    for (int fault = 0; fault <= static_cast<int>(MapFault::out_of_memory); ++fault) {
        char text[200] = "";
        const MapError error{static_cast<MapFault>(fault), "$.a", {PayloadFault::malformed, 7}};
        describe_map_error(error, text, sizeof text);
        EXPECT_NE(text[0], '\0');
        EXPECT_EQ(std::string(map_error_sqlstate(error)).size(), 5u);
    }
}

}  // namespace
}  // namespace historian::bgworker
