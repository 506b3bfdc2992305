// Deleting and locking single rows, in the tail and in segments.
//
// A tail row's header is stamped as heap does it. A sealed row is noted in its segment's delete log. Both by the rules of
// PostgreSQL's heap_delete(): who comes second waits for the first one's transaction, and deletes if that rolls back.
//
// Invariants:
//   1. The caller is inside the gate (gate.h), so the row stays where its address says until the call returns.
//   2. There is one kind of row lock, exclusive, and never a multixact (rules R11, R18): a later stamp of the same transaction
//      replaces an earlier one.
#pragma once

#include "engine/server.h"
//
#include "engine/delete_log.h"

namespace historian::engine {

struct RowChange {
    bool lock_only;
    CommandId cid;
    Snapshot crosscheck;  // also must see the row, or InvalidSnapshot
    LockWaitPolicy wait;  // for others that have deleted or locked the row
};

/// Deletes or locks the row with this TID.
///
/// returns  as heap_delete(); TM_WouldBlock with LockWaitSkip
/// errors   40001 the row was moved since the transaction's snapshot; 55P03 with LockWaitError; 55000 the row is not visible
TM_Result change_row(Relation rel, ItemPointer tid, const RowChange &change, TM_FailureData *failure);

/// Deletes adjacent rows of a segment with one record, if nobody has deleted or locked any of them: the caller knows that its
/// snapshot sees them.
///
/// returns  false, with nothing done, when somebody has: they are to be looked at one by one
/// errors   as change_row()
bool delete_untouched_rows(Relation rel, uint32 slot, RowRange rows, CommandId cid);

/// Forgets what this transaction has learnt of the delete logs: the table's storage is being emptied.
void forget_delete_logs();

/// Hooks into the end of transactions; once, when the library loads.
void register_row_delete_callbacks();

}  // namespace historian::engine
