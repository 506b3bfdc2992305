#include "bgworker/topic.h"

#include <string>

#include <gtest/gtest.h>

namespace historian::bgworker {
namespace {

// schema|table, or what is wrong.
std::string table_of(std::string_view topic) {
    TopicTable name;
    if (const char *fault = parse_table_topic(topic, &name)) return fault;
    return std::string(name.schema) + "|" + name.table;
}

TEST(Topic, NamesATable) {
    EXPECT_EQ(table_of("db/append/sensor"), "|sensor");
    EXPECT_EQ(table_of("db/append/plant.sensor_1$x"), "plant|sensor_1$x");
    EXPECT_EQ(table_of("db/append/\xec\x84\xbc\xec\x84\x9c"), "|\xec\x84\xbc\xec\x84\x9c");
}
TEST(Topic, FoldsAsSqlDoes) {
    EXPECT_EQ(table_of("db/append/SENSOR"), "|sensor");
    EXPECT_EQ(table_of("db/append/\"Sensor\""), "|Sensor");
    EXPECT_EQ(table_of("db/append/\"A.b\".\"c\"\"d\""), "A.b|c\"d");
    EXPECT_EQ(table_of("db/append/\"x; DROP TABLE y\""), "|x; DROP TABLE y");
}
TEST(Topic, RejectsTheRest) {
    for (const char *bad : {"",
                            "db/append",
                            "db/append/",
                            "DB/append/sensor",
                            "x/db/append/sensor",
                            "db/append/1x",
                            "db/append/a b",
                            "db/append/a;b",
                            "db/append/a.b.c",
                            "db/append/a.",
                            "db/append/.a",
                            "db/append/a/b",
                            "db/append/\"a",
                            "db/append/\"\"",
                            "db/append/\"a\"b",
                            "db/append/a:json:gzip:x",
                            "db/append/:json",
                            "db/append/a--",
                            "db/append/a'b",
                            "db/append/\"a\"\""}) {
        EXPECT_EQ(table_of(bad).find('|'), std::string::npos) << bad;
    }
}
// table|format|compression, or what is wrong.
std::string format_of(std::string_view topic) {
    TopicTable name;
    if (const char *fault = parse_table_topic(topic, &name)) return fault;
    return std::string(name.table) + "|" + name.format + "|" + name.compression + (name.is_metrics ? "|metrics" : "");
}
TEST(Topic, NamesAFormat) {
    EXPECT_EQ(format_of("db/append/sensor:csv"), "sensor|csv|");
    EXPECT_EQ(format_of("db/append/\"a:b\":csv:gzip"), "a:b|csv|gzip");
    EXPECT_EQ(format_of("db/write/sensor"), "sensor||");
    EXPECT_EQ(format_of("db/write/plant.sensor::zstd"), "sensor||zstd");
    EXPECT_EQ(format_of("db/append/sensor:"), "sensor||");
    EXPECT_EQ(format_of("db/metrics/sensor"), "sensor|||metrics");
    EXPECT_EQ(format_of("db/append/sensor:csv:gzip:x"), "topic has characters after the table's name");
    EXPECT_EQ(format_of("db/append/sensor:" + std::string(16, 'x')),
              "topic has too long a format or compression after the table's name");
}
TEST(Topic, LimitsNames) {
    EXPECT_EQ(table_of("db/append/" + std::string(63, 'x')), "|" + std::string(63, 'x'));
    EXPECT_EQ(table_of("db/append/" + std::string(64, 'x')), "topic has a name longer than 63 bytes");
    EXPECT_EQ(table_of("db/append/\"" + std::string(64, 'x') + "\""), "topic has a name longer than 63 bytes");
    EXPECT_EQ(table_of(std::string("db/append/\"a\0b\"", 15)), "topic has a NUL character");
}

TEST(TopicFilter, TakesValidOnes) {
    for (const char *good : {"#", "+", "a", "/", "a/+/b", "+/+", "db/append/#", "$share/group/db/append/#", "a//b", "/#"}) {
        EXPECT_EQ(validate_topic_filter(good), nullptr) << good;
    }
}
TEST(TopicFilter, RejectsOthers) {
    for (const char *bad : {"", "a#", "#/a", "a/#/b", "a+", "+a/b", "a/b+/c", "\xff"})
        EXPECT_NE(validate_topic_filter(bad), nullptr) << bad;
    EXPECT_NE(validate_topic_filter(std::string(65536, 'a')), nullptr);
    EXPECT_EQ(validate_topic_filter(std::string(65535, 'a')), nullptr);
    EXPECT_NE(validate_topic_filter(std::string_view("a\0b", 3)), nullptr);
}

// tls|user|password|host|port, or what is wrong.
std::string address_of(std::string_view url) {
    BrokerAddress address;
    if (const char *fault = parse_broker_url(url, &address)) return fault;
    return std::string(address.tls ? "tls|" : "tcp|") + address.username + "|" + address.password + "|" + address.host + "|" +
           std::to_string(address.port);
}

TEST(BrokerUrl, TakesItsParts) {
    EXPECT_EQ(address_of("mqtt://host"), "tcp|||host|1883");
    EXPECT_EQ(address_of("mqtts://host/"), "tls|||host|8883");
    EXPECT_EQ(address_of("mqtt://10.0.0.1:1884"), "tcp|||10.0.0.1|1884");
    EXPECT_EQ(address_of("mqtt://[::1]:1884"), "tcp|||::1|1884");
    EXPECT_EQ(address_of("mqtt://user@host"), "tcp|user||host|1883");
    EXPECT_EQ(address_of("mqtts://us:p@ss:word@host:1"), "tls|us|p@ss:word|host|1");
}
TEST(BrokerUrl, RejectsOthers) {
    for (const char *bad : {"", "host", "http://host", "MQTT://host", "mqtt://", "mqtt://:1883", "mqtt://host:", "mqtt://host:0",
                            "mqtt://host:65536", "mqtt://host:x", "mqtt://host:1883:1", "mqtt://[::1", "mqtt://[::1]x",
                            "mqtt://ho st", "mqtt://host/path", "mqtt://u@"}) {
        EXPECT_EQ(address_of(bad).find('|'), std::string::npos) << bad;
    }
    EXPECT_NE(address_of("mqtt://" + std::string(300, 'h')), "");
    EXPECT_EQ(address_of("mqtt://" + std::string(300, 'h')).find('|'), std::string::npos);
}

}  // namespace
}  // namespace historian::bgworker
