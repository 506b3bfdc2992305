#include "bgworker/topic.h"

#include <cstring>

#include "bgworker/payload.h"

namespace historian::bgworker {

namespace {

constexpr std::string_view kAppendPrefix = "db/append/";
constexpr std::string_view kWritePrefix = "db/write/";
constexpr std::string_view kMetricsPrefix = "db/metrics/";
constexpr std::size_t kTopicBytesMax = 65535;

bool is_letter(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}
bool is_name_character(char c) noexcept { return is_letter(c) || (c >= '0' && c <= '9') || c == '$'; }

/// Takes one identifier from the front of *rest, as the SQL scanner would.
const char *take_identifier(std::string_view *rest, char *name) noexcept {
    const bool quoted = !rest->empty() && rest->front() == '"';
    bool closed = !quoted;
    std::size_t bytes = 0;
    std::size_t at = quoted ? 1 : 0;
    for (; at < rest->size(); ++at) {
        char c = (*rest)[at];
        if (quoted && c == '"') {
            if (at + 1 >= rest->size() || (*rest)[at + 1] != '"') {
                closed = true;
                ++at;
                break;
            }
            ++at;  // a doubled quote is one quote of the name
        }
        if (!quoted && !(bytes == 0 ? is_letter(c) : is_name_character(c))) break;
        if (!quoted && c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
        if (c == '\0') return "topic has a NUL character";
        if (bytes + 1 >= kNameRoom) return "topic has a name longer than 63 bytes";
        name[bytes++] = c;
    }
    name[bytes] = '\0';
    if (!closed) return "topic has an unterminated quoted name";
    if (bytes == 0) return "topic has no table name where one is expected";
    rest->remove_prefix(at);
    return nullptr;
}

bool copy_part(std::string_view part, char *out, std::size_t room) noexcept {
    if (part.size() >= room || part.find('\0') != std::string_view::npos) return false;
    if (!part.empty()) std::memcpy(out, part.data(), part.size());
    out[part.size()] = '\0';
    return true;
}

const char *parse_port(std::string_view text, std::uint16_t *port) noexcept {
    unsigned value = 0;
    if (text.empty() || text.size() > 5) return "its port is not a number from 1 to 65535";
    for (const char c : text) {
        if (c < '0' || c > '9') return "its port is not a number from 1 to 65535";
        value = value * 10 + static_cast<unsigned>(c - '0');
    }
    if (value < 1 || value > 65535) return "its port is not a number from 1 to 65535";
    *port = static_cast<std::uint16_t>(value);
    return nullptr;
}

bool take_prefix(std::string_view *text, std::string_view prefix) noexcept {
    if (text->substr(0, prefix.size()) != prefix) return false;
    text->remove_prefix(prefix.size());
    return true;
}

/// Splits user[:password] off the front.
const char *take_credentials(std::string_view *rest, BrokerAddress *out) noexcept {
    const std::size_t end = rest->rfind('@');
    if (end == std::string_view::npos) return nullptr;
    const std::string_view credentials = rest->substr(0, end);
    const std::size_t colon = credentials.find(':');
    const std::string_view password = colon == std::string_view::npos ? std::string_view{} : credentials.substr(colon + 1);
    if (!copy_part(credentials.substr(0, colon), out->username, sizeof out->username)) return "its user name is too long";
    if (!copy_part(password, out->password, sizeof out->password)) return "its password is too long";
    rest->remove_prefix(end + 1);
    return nullptr;
}

}  // namespace

const char *parse_table_topic(std::string_view topic, TopicTable *out) noexcept {
    *out = TopicTable{};
    out->is_metrics = take_prefix(&topic, kMetricsPrefix);
    if (!out->is_metrics && !take_prefix(&topic, kAppendPrefix) && !take_prefix(&topic, kWritePrefix)) {
        return "topic does not have the form db/append/TABLE, db/write/TABLE or db/metrics/TABLE";
    }
    if (const char *fault = take_identifier(&topic, out->table)) return fault;
    if (!topic.empty() && topic.front() == '.') {
        topic.remove_prefix(1);
        std::memcpy(out->schema, out->table, sizeof out->schema);
        if (const char *fault = take_identifier(&topic, out->table)) return fault;
    }
    for (char *part : {out->format, out->compression}) {
        if (topic.empty() || topic.front() != ':') break;
        topic.remove_prefix(1);
        const std::string_view word = topic.substr(0, topic.find(':'));
        if (!copy_part(word, part, kFormatRoom)) return "topic has too long a format or compression after the table's name";
        topic.remove_prefix(word.size());
    }
    return topic.empty() ? nullptr : "topic has characters after the table's name";
}

const char *validate_topic_filter(std::string_view filter) noexcept {
    if (filter.empty()) return "it is empty";
    if (filter.size() > kTopicBytesMax) return "it is longer than 65535 bytes";
    if (filter.find('\0') != std::string_view::npos) return "it has a NUL character";
    if (find_invalid_utf8(filter) != std::string_view::npos) return "it is not valid UTF-8";
    for (std::size_t at = 0; at < filter.size(); ++at) {
        const bool level_begins = at == 0 || filter[at - 1] == '/';
        const bool level_ends = at + 1 == filter.size() || filter[at + 1] == '/';
        if (filter[at] == '+' && !(level_begins && level_ends)) return "\"+\" does not stand alone in its level";
        if (filter[at] == '#' && !(level_begins && at + 1 == filter.size())) return "\"#\" is not the whole last level";
    }
    return nullptr;
}

const char *parse_broker_url(std::string_view url, BrokerAddress *out) noexcept {
    constexpr std::string_view kPlain = "mqtt://";
    constexpr std::string_view kTls = "mqtts://";
    *out = BrokerAddress{};
    out->tls = url.substr(0, kTls.size()) == kTls;
    if (!out->tls && url.substr(0, kPlain.size()) != kPlain) return "it does not begin with mqtt:// or mqtts://";
    url.remove_prefix(out->tls ? kTls.size() : kPlain.size());
    if (!url.empty() && url.back() == '/') url.remove_suffix(1);
    if (const char *fault = take_credentials(&url, out)) return fault;

    std::string_view host = url;
    std::string_view rest;
    if (!url.empty() && url.front() == '[') {  // an IPv6 address
        const std::size_t end = url.find(']');
        if (end == std::string_view::npos) return "its host has no closing \"]\"";
        host = url.substr(1, end - 1);
        rest = url.substr(end + 1);
    } else if (const std::size_t colon = url.find(':'); colon != std::string_view::npos) {
        host = url.substr(0, colon);
        rest = url.substr(colon);
    }
    if (host.empty()) return "it names no host";
    if (!copy_part(host, out->host, sizeof out->host)) return "its host is too long";
    for (const char c : host) {
        const bool control = static_cast<unsigned char>(c) <= ' ' || c == '\x7f';
        if (control || c == '/' || c == '?' || c == '#') return "its host has characters that a host cannot have";
    }
    out->port = out->tls ? 8883 : 1883;
    if (rest.empty()) return nullptr;
    if (rest.front() != ':') return "its port is not a number from 1 to 65535";
    return parse_port(rest.substr(1), &out->port);
}

}  // namespace historian::bgworker
