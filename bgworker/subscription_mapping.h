// The mapping of a subscription: checked when it is given, read when its worker starts, asked for each message (mapping.h).
#pragma once

#include "bgworker/server.h"
//
#include "bgworker/mapping.h"
#include "bgworker/mqtt_connection.h"

namespace historian::bgworker {

/// Raises an error unless the mapping can be read and fits the columns of the table.
///
/// text    as jsonb writes it, in the database's encoding
/// errors  22023 the mapping itself, 42703 no such column, 428C9 a column that is computed, 42804 a unit where no time is
void check_mapping(Oid target, const char *text);

/// Reads a mapping into `context`; raises 22023 when it cannot be read.
const Mapping *read_mapping(const char *text, MemoryContext context);

/// The rows of a message. Returns nullptr, or why there are none: a phrase in the current context.
///
/// payload  of the message, decompressed
const char *map_received(const Mapping &mapping, const ReceivedMessage &message, std::string_view payload, Arena &arena,
                         Payload *rows, int *sqlstate);

/// A payload that the mapping makes into one row of the message only; data() is nullptr when memory is short.
std::string_view write_received_row(const Mapping &mapping, const ReceivedMessage &message, std::string_view payload, uint32 row,
                                    Arena &arena);

}  // namespace historian::bgworker
