// The gate (rule R8): while a statement that deletes or locks rows runs, no row of the table moves.
//
// Statements hold it in share mode from before their snapshot is final (ExecutorStart) to after their triggers (ExecutorEnd);
// seal and merge hold it exclusively from their last look at the sources to their commit, which takes milliseconds. INSERT and
// SELECT never take it.
//
// It is an object lock on the table's pg_class row with a sub-object number that no column has, like the maintenance lock: it
// shows in pg_locks and takes part in deadlock detection.
#pragma once

#include "engine/server.h"

namespace historian::engine {

/// Waits for the gate in share mode; each call needs an exit_gate() in the same resource owner, or the end of the transaction.
void enter_gate(Oid relid);
void exit_gate(Oid relid);

/// Whether this backend is inside.
bool is_inside_gate(Oid relid);

/// Closes the gate until the transaction ends; waits for those inside at most kGateWaitMs.
///
/// returns  false when they take longer: nothing may move now
bool close_gate(Oid relid);

/// Whether it could be closed now: tried by closing it for a moment, because one short statement after the other may be inside,
/// which asking alone would never get past.
bool gate_can_be_closed(Oid relid);

/// Long enough for ordinary statements to leave, short enough not to hold up those that queue behind (they wait no longer).
inline constexpr int kGateWaitMs = 100;

}  // namespace historian::engine
