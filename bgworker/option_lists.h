// Options of a subscription that are lists in one text: its brokers, its topic filters. Pure.
#pragma once

#include <cstddef>
#include <string_view>

#include "bgworker/topic.h"

namespace historian::bgworker {

// More than a cluster has nodes; each is tried in turn, for up to half a minute.
inline constexpr unsigned kBrokerCountMax = 16;
// One SUBSCRIBE carries them all.
inline constexpr unsigned kTopicCountMax = 64;

/// The brokers of a subscription, in the order in which they are tried.
struct BrokerList {
    unsigned count = 0;
    bool tls = false;  ///< all of them, or none
    BrokerAddress brokers[kBrokerCountMax];
};

/// Reads URLs separated by commas; blanks around them are left away.
///
/// text     a comma separates only where mqtt:// or mqtts:// follows, so that passwords may have commas. Credentials are the same
///          in all URLs that have any, and come back in the first broker.
/// returns  nullptr, or what is wrong: a lower-case phrase without the URLs, which may hold a password
const char *parse_broker_list(std::string_view text, BrokerList *out) noexcept;

/// Takes the next topic filter off a list separated by commas, without the blanks around it; false when none is left.
///
/// rest  its data() is nullptr after the last one
bool take_topic_filter(std::string_view *rest, std::string_view *filter) noexcept;

/// nullptr when each filter of the list may stand in a SUBSCRIBE, or what is wrong.
const char *validate_topic_list(std::string_view list) noexcept;

/// True for `$share/GROUP/FILTER`, which several sessions share.
bool is_shared_filter(std::string_view filter) noexcept;

/// nullptr when every broker takes the text for a client id, or what is wrong.
const char *validate_client_id(std::string_view id) noexcept;

}  // namespace historian::bgworker
