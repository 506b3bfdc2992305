#include "bgworker/option_lists.h"

#include <cstring>

namespace historian::bgworker {

namespace {

// A client id may have 65535 bytes by the standard; brokers draw the line at a few hundred. A number may be added to it.
constexpr std::size_t kClientIdBytesMax = 200;

std::string_view trim(std::string_view text) noexcept {
    constexpr std::string_view kBlanks = " \t\r\n";
    const std::size_t begin = text.find_first_not_of(kBlanks);
    if (begin == std::string_view::npos) return text.substr(0, 0);
    return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

bool begins_with(std::string_view text, std::string_view prefix) noexcept { return text.substr(0, prefix.size()) == prefix; }

bool begins_url(std::string_view text) noexcept {
    const std::string_view url = trim(text);
    return begins_with(url, "mqtt://") || begins_with(url, "mqtts://");
}

/// Cuts *rest at the comma at `at`, or takes all of it.
void take_element(std::string_view *rest, std::size_t at, std::string_view *element) noexcept {
    *element = trim(rest->substr(0, at));
    *rest = at == std::string_view::npos ? std::string_view{} : rest->substr(at + 1);
}

bool take_broker_url(std::string_view *rest, std::string_view *url) noexcept {
    if (rest->data() == nullptr) return false;
    std::size_t at = rest->find(',');
    while (at != std::string_view::npos && !begins_url(rest->substr(at + 1))) at = rest->find(',', at + 1);
    take_element(rest, at, url);
    return true;
}

/// Credentials are kept once: takes them over from a URL, or finds that they differ.
bool merge_credentials(const BrokerAddress &from, BrokerAddress *into) noexcept {
    if (from.username[0] == '\0' && from.password[0] == '\0') return true;
    if (into->username[0] == '\0' && into->password[0] == '\0') {
        std::memcpy(into->username, from.username, sizeof into->username);
        std::memcpy(into->password, from.password, sizeof into->password);
        return true;
    }
    return std::strcmp(from.username, into->username) == 0 && std::strcmp(from.password, into->password) == 0;
}

}  // namespace

const char *parse_broker_list(std::string_view text, BrokerList *out) noexcept {
    out->count = 0;
    std::string_view url;
    while (take_broker_url(&text, &url)) {
        if (out->count == kBrokerCountMax) return "it names more than 16 brokers";
        BrokerAddress *broker = &out->brokers[out->count];
        if (const char *fault = parse_broker_url(url, broker)) return fault;
        if (std::strchr(broker->host, ',') != nullptr) return "its host has characters that a host cannot have";
        if (out->count == 0) out->tls = broker->tls;
        if (broker->tls != out->tls) return "some of its brokers use TLS and some do not";
        if (out->count > 0 && !merge_credentials(*broker, &out->brokers[0])) {
            return "its brokers have different user names or passwords";
        }
        ++out->count;
    }
    return out->count == 0 ? "it is empty" : nullptr;
}
static_assert(kBrokerCountMax == 16, "the text above says so");

bool take_topic_filter(std::string_view *rest, std::string_view *filter) noexcept {
    if (rest->data() == nullptr) return false;
    take_element(rest, rest->find(','), filter);
    return true;
}

const char *validate_topic_list(std::string_view list) noexcept {
    unsigned count = 0;
    std::string_view filter;
    while (take_topic_filter(&list, &filter)) {
        if (++count > kTopicCountMax) return "it has more than 64 filters";
        if (const char *fault = validate_topic_filter(filter)) return fault;
    }
    return nullptr;
}
static_assert(kTopicCountMax == 64, "the text above says so");

bool is_shared_filter(std::string_view filter) noexcept { return begins_with(filter, "$share/"); }

const char *validate_client_id(std::string_view id) noexcept {
    if (id.empty()) return "it is empty";
    if (id.size() > kClientIdBytesMax) return "it is longer than 200 bytes";
    for (const char c : id) {
        if (c <= ' ' || c > '~') return "it has characters other than visible ones of ASCII";
    }
    return nullptr;
}

}  // namespace historian::bgworker
