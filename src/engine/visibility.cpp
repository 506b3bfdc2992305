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

bool is_mvcc(Snapshot snapshot) {
    return snapshot->snapshot_type == SNAPSHOT_MVCC || snapshot->snapshot_type == SNAPSHOT_HISTORIC_MVCC;
}

}  // namespace

bool counts_for(TransactionId xid, CommandId cid, Snapshot snapshot) {
    return is_mvcc(snapshot) ? counts_for_mvcc(xid, cid, snapshot) : counts_now(xid);
}

bool entry_is_visible(const DirectoryEntry &entry, Snapshot snapshot) {
    if (!is_readable(entry)) return false;
    if (snapshot->snapshot_type == SNAPSHOT_ANY || snapshot->snapshot_type == SNAPSHOT_NON_VACUUMABLE) {
        // ANALYZE. Each row exactly once: neither the copy that a move in progress makes, nor the one left behind for old
        // snapshots. And never an entry of another transaction in progress: it is freed as soon as that transaction fails.
        return counts_now(entry.xmin) && xid_state(entry.xmax) != XidState::committed;
    }
    return counts_for(entry.xmin, entry.cmin, snapshot) && !counts_for(entry.xmax, entry.cmax, snapshot);
}

void report_unseen(Relation rel, TransactionId xid, Snapshot snapshot) {
    if (!TransactionIdIsNormal(xid) || TransactionIdIsCurrentTransactionId(xid)) return;
    // pg_subtrans knows only what is younger than every snapshot of ours; what is older conflicts with nobody.
    if (TransactionIdPrecedes(xid, TransactionXmin)) return;
    xid = SubTransGetTopmostTransaction(xid);
    if (TransactionIdPrecedes(xid, TransactionXmin)) return;
    CheckForSerializableConflictOut(rel, xid, snapshot);
}

void report_entry_conflict(Relation rel, const DirectoryEntry &entry, bool visible, Snapshot snapshot) {
    if (!IsolationIsSerializable() || !CheckForSerializableConflictOutNeeded(rel, snapshot)) return;
    if (!visible) report_unseen(rel, entry.xmin, snapshot);
    if (visible && (entry.flags & format::kEntryDropped) != 0) report_unseen(rel, entry.xmax, snapshot);
}

}  // namespace historian::engine
