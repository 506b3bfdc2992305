// Topics: from `db/append/TABLE:csv:gzip` to a table's name and a format; topic filters; broker addresses. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace historian::bgworker {

// PostgreSQL's NAMEDATALEN: bytes of a name with its NUL.
inline constexpr std::size_t kNameRoom = 64;

// Longer than each name of a format or a compression.
inline constexpr std::size_t kFormatRoom = 16;

/// A table as a topic names it; the names are folded as SQL folds them.
struct TopicTable {
    char schema[kNameRoom] = "";  ///< empty: the subscription's own schema
    char table[kNameRoom] = "";
    char format[kFormatRoom] = "";       ///< as written; empty: none named
    char compression[kFormatRoom] = "";  ///< the same
    bool is_metrics = false;             ///< db/metrics/: line protocol
};

/// Reads `db/append/TABLE[:FORMAT[:COMPRESSION]]`, where TABLE may be SCHEMA.TABLE; db/write/ means the same, db/metrics/ line
/// protocol.
///
/// TABLE    as in SQL: unquoted names are folded to lower case (ASCII letters), "Quoted" ones are kept, "" inside is one quote
/// returns  nullptr, or what is wrong: a lower-case phrase. That the format exists is not asked
const char *parse_table_topic(std::string_view topic, TopicTable *out) noexcept;

/// nullptr when filter may stand in a SUBSCRIBE (MQTT 5, section 4.7), or what is wrong.
const char *validate_topic_filter(std::string_view filter) noexcept;

/// Where a broker listens: mqtt://[user[:password]@]host[:port] or mqtts://...
struct BrokerAddress {
    char host[256] = "";
    char username[256] = "";  ///< from the URL; empty when absent
    char password[256] = "";
    std::uint16_t port = 0;
    bool tls = false;
};

/// Reads a broker's URL; returns nullptr, or what is wrong.
const char *parse_broker_url(std::string_view url, BrokerAddress *out) noexcept;

}  // namespace historian::bgworker
