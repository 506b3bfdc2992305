// Who sees which directory entry. Tail rows are judged one by one by PostgreSQL's own HeapTupleSatisfiesVisibility.
//
// The rule (DESIGN, snapshot rule): an entry is visible iff its xmin is visible and its xmax is not. "Is it over?" is always
// asked of the process array first and of pg_xact second (rule R3): a transaction that waits for a standby is committed in
// pg_xact and still running.
#pragma once

#include "engine/server.h"
//
#include "format/page_layout.h"

namespace historian::engine {

enum class XidState : uint8 { in_progress, committed, aborted };

/// The state of a transaction, our own included (in_progress). Frozen is committed, invalid is aborted.
XidState xid_state(TransactionId xid);

/// Whether what transaction xid did by its command cid counts for a snapshot. For those that are not MVCC: committed, or our own.
bool counts_for(TransactionId xid, CommandId cid, Snapshot snapshot);

/// Whether a scan under this snapshot shall return the entry's rows (of a tail: shall look at its rows).
bool entry_is_visible(const format::DirectoryEntry &entry, Snapshot snapshot);

/// Tells PostgreSQL that a SERIALIZABLE reader does not see what this transaction did; xids of subtransactions and of
/// transactions that are long over are welcome.
void report_unseen(Relation rel, TransactionId xid, Snapshot snapshot);

/// The same for an entry that a reader skips because it was made, or reads though it was dropped, by others after its snapshot.
void report_entry_conflict(Relation rel, const format::DirectoryEntry &entry, bool visible, Snapshot snapshot);

}  // namespace historian::engine
