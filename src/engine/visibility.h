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

/// Whether a scan under this snapshot shall return the entry's rows (of a tail: shall look at its rows).
bool entry_is_visible(const format::DirectoryEntry &entry, Snapshot snapshot);

/// The xids that a SERIALIZABLE reader must report as a conflict when it skips, or reads despite being superseded, an entry.
void report_entry_conflict(Relation rel, const format::DirectoryEntry &entry, bool visible, Snapshot snapshot);

}  // namespace historian::engine
