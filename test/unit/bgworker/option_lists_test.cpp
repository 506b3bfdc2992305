#include "bgworker/option_lists.h"

#include <string>

#include <gtest/gtest.h>

namespace historian::bgworker {
namespace {

// host:port of each broker, credentials of the first, or what is wrong.
std::string brokers_of(std::string_view text) {
    BrokerList list;
    if (const char *fault = parse_broker_list(text, &list)) return fault;
    std::string said = list.tls ? "tls" : "plain";
    for (unsigned i = 0; i < list.count; ++i) {
        said += std::string(" ") + list.brokers[i].host + ":" + std::to_string(list.brokers[i].port);
    }
    if (list.brokers[0].username[0] != '\0') said += std::string(" ") + list.brokers[0].username + "/" + list.brokers[0].password;
    return said;
}

std::string filters_of(std::string_view rest) {
    std::string said;
    std::string_view filter;
    while (take_topic_filter(&rest, &filter)) said += "<" + std::string(filter) + ">";
    return said;
}

TEST(BrokerList, ReadsOneOrSeveral) {
    EXPECT_EQ(brokers_of("mqtt://a"), "plain a:1883");
    EXPECT_EQ(brokers_of("mqtts://a,mqtts://b:1"), "tls a:8883 b:1");
    EXPECT_EQ(brokers_of(" mqtt://a ,\n mqtt://[::1]:2/ "), "plain a:1883 ::1:2");
}
TEST(BrokerList, TakesCommasOfPasswords) {
    EXPECT_EQ(brokers_of("mqtt://u:p,q@a,mqtt://b"), "plain a:1883 b:1883 u/p,q");
}
TEST(BrokerList, TakesCredentialsOfAnyUrl) {
    EXPECT_EQ(brokers_of("mqtt://a,mqtt://u:p@b,mqtt://u:p@c"), "plain a:1883 b:1883 c:1883 u/p");
    EXPECT_EQ(brokers_of("mqtt://u:p@a,mqtt://u:x@b"), "its brokers have different user names or passwords");
}
TEST(BrokerList, RejectsTheRest) {
    EXPECT_EQ(brokers_of(""), "it does not begin with mqtt:// or mqtts://");
    EXPECT_EQ(brokers_of("mqtt://a,"), "its host has characters that a host cannot have");
    EXPECT_EQ(brokers_of("mqtt://a,b"), "its host has characters that a host cannot have");
    EXPECT_EQ(brokers_of("mqtt://a,mqtts://b"), "some of its brokers use TLS and some do not");
    std::string many = "mqtt://a";
    for (int i = 1; i < 16; ++i) many += ",mqtt://a";
    EXPECT_EQ(brokers_of(many).substr(0, 8), "plain a:");
    EXPECT_EQ(brokers_of(many + ",mqtt://a"), "it names more than 16 brokers");
}

TEST(TopicList, SplitsAtCommas) {
    EXPECT_EQ(filters_of("a/#"), "<a/#>");
    EXPECT_EQ(filters_of(" a/b c , $share/g/+ "), "<a/b c><$share/g/+>");
    EXPECT_EQ(filters_of(""), "<>");
    EXPECT_EQ(filters_of("a,"), "<a><>");
}
TEST(TopicList, ValidatesEachFilter) {
    EXPECT_EQ(validate_topic_list("a/#,+/b"), nullptr);
    EXPECT_STREQ(validate_topic_list("a,,b"), "it is empty");
    EXPECT_STREQ(validate_topic_list("a,#/b"), "\"#\" is not the whole last level");
}

TEST(ClientId, HoldsVisibleCharacters) {
    EXPECT_EQ(validate_client_id("plant-7/db"), nullptr);
    EXPECT_STREQ(validate_client_id(""), "it is empty");
    EXPECT_NE(validate_client_id("a b"), nullptr);
    EXPECT_NE(validate_client_id("caf\xc3\xa9"), nullptr);
    EXPECT_NE(validate_client_id(std::string(201, 'x')), nullptr);
}

}  // namespace
}  // namespace historian::bgworker
