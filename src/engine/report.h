// The one place where a Status of the pure layers becomes a PostgreSQL error.
#pragma once

#include "engine/server.h"
//
#include "codec/status.h"
#include "format/page_layout.h"

namespace historian::engine {

/// Raises an error for a Status that is not ok; returns otherwise.
///
/// doing    what could not be done, for errmsg: "read segment 7"; a lower-case phrase
/// errors   XX001 truncated, corrupt; 0A000 unsupported; 53200 out_of_memory; 54000 too_large; XX000 no_room
void check_status(Status status, Relation rel, const char *doing);

/// The same where no table is concerned: "search a text".
void check_status(Status status, const char *doing);

/// Raises XX001: something on a page of rel cannot be.
[[noreturn]] void report_damage(Relation rel, BlockNumber block, const char *detail);

}  // namespace historian::engine
