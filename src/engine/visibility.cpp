#include "engine/visibility.h"

namespace historian::engine {

using format::DirectoryEntry;
using format::EntryKind;

XidState xid_state(TransactionId xid) {
    if (xid == FrozenTransactionId || xid == BootstrapTransactionId) return XidState::committed;
    if (!TransactionIdIsValid(xid)) return XidState::aborted;
    if (TransactionIdIsInProgress(xid)) return XidState::in_progress;
    return TransactionIdDidCommit(xid) ? XidState::committed : XidState::aborted;
}

namespace {

// Whether the effects of xid, made by its command cid, count for an MVCC snapshot.
bool counts_for_mvcc(TransactionId xid, CommandId cid, Snapshot snapshot) {
    if (xid == FrozenTransactionId) return true;
    if (!TransactionIdIsValid(xid)) return false;
    if (TransactionIdIsCurrentTransactionId(xid)) return cid < snapshot->curcid;
    if (XidInMVCCSnapshot(xid, snapshot)) return false;
    return TransactionIdDidCommit(xid);
}

// The same for SnapshotSelf and SnapshotDirty: everything committed or our own.
bool counts_now(TransactionId xid) {
    if (TransactionIdIsValid(xid) && TransactionIdIsCurrentTransactionId(xid)) return true;
    return xid_state(xid) == XidState::committed;
}

bool is_readable(const DirectoryEntry &entry) {
    return entry.kind == static_cast<uint8>(EntryKind::tail) || entry.kind == static_cast<uint8>(EntryKind::segment);
}

}  // namespace

bool entry_is_visible(const DirectoryEntry &entry, Snapshot snapshot) {
    if (!is_readable(entry)) return false;
    switch (snapshot->snapshot_type) {
        case SNAPSHOT_MVCC:
        case SNAPSHOT_HISTORIC_MVCC:
            // An entry is superseded by seal and merge only, which are no commands of a user's transaction: xmax needs no command
            // id.
            return counts_for_mvcc(entry.xmin, entry.cmin, snapshot) && !counts_for_mvcc(entry.xmax, FirstCommandId, snapshot);
        case SNAPSHOT_SELF:
        case SNAPSHOT_DIRTY:
        case SNAPSHOT_TOAST: return counts_now(entry.xmin) && !counts_now(entry.xmax);
        case SNAPSHOT_ANY:
        case SNAPSHOT_NON_VACUUMABLE:
            // ANALYZE. Each row exactly once: neither the copy that a move in progress makes, nor the one left behind for old
            // snapshots. And never an entry of another transaction in progress: it is freed as soon as that transaction fails.
            return counts_now(entry.xmin) && xid_state(entry.xmax) != XidState::committed;
    }
    return false;
}

void report_entry_conflict(Relation rel, const DirectoryEntry &entry, bool visible, Snapshot snapshot) {
    if (!IsolationIsSerializable() || !CheckForSerializableConflictOutNeeded(rel, snapshot)) return;
    if (!visible && TransactionIdIsNormal(entry.xmin) && !TransactionIdIsCurrentTransactionId(entry.xmin)) {
        CheckForSerializableConflictOut(rel, entry.xmin, snapshot);
    }
}

}  // namespace historian::engine
