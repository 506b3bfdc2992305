// A message's rows: its bytes, decompressed where they are compressed, read in the format that the message, its topic or its
// subscription names, or by the subscription's mapping.
#pragma once

#include "bgworker/mqtt_connection.h"
#include "bgworker/row_buffer.h"
#include "bgworker/server.h"
#include "bgworker/subscriptions.h"

namespace historian::bgworker {

struct MessageRows {
    std::string_view bytes;  ///< what was parsed
    Payload payload;
    MessageTimes times;
    const Mapping *mapping;  ///< that it was read with; nullptr: none
    const ReceivedMessage *message;
};

/// Why a message is too large to be read: a phrase in the current context; nullptr when it is not.
const char *find_size_fault(const ReceivedMessage &message);

/// The bytes of a message, decompressed into `context` where they are compressed.
///
/// returns  nullptr, or why that is not possible: a phrase
/// errors   53200, which is not the message's fault
const char *read_message_bytes(const ReceivedMessage &message, MemoryContext context, std::string_view *bytes, int *sqlstate);

/// Reads a message for `target`.
///
/// context  where rows live
/// returns  nullptr, or why there are none: a phrase in the current context
/// errors   53200, which is not the message's fault
const char *read_message(const Subscription &subscription, const ReceivedMessage &message, const TopicTable &topic,
                         const TargetTable &target, MemoryContext context, MessageRows *rows, int *sqlstate);

/// An errcode() from five characters.
inline int pack_sqlstate(const char *text) { return MAKE_SQLSTATE(text[0], text[1], text[2], text[3], text[4]); }

/// A time zone of PostgreSQL's tables by its name, or nullptr.
pg_tz *find_time_zone(std::string_view name);

/// One row of a message as a payload of its own; memory is the current context's.
std::string_view write_message_row(const MessageRows &rows, uint32 row);

}  // namespace historian::bgworker
