#include "engine/retention.h"

#include "engine/delete_log.h"
#include "engine/granule.h"
#include "engine/oldest_rows.h"
#include "engine/report.h"
#include "engine/row_delete.h"
#include "engine/row_slot.h"
#include "engine/scan.h"
#include "engine/segment_store.h"
#include "engine/space.h"
#include "engine/stop_points.h"
#include "engine/tid.h"
#include "engine/visibility.h"

namespace historian::engine {

using format::DirectoryEntry;
using format::EntryKind;

namespace {

[[noreturn]] void report_concurrent_change(Relation rel) {
    ereport(ERROR, errcode(ERRCODE_T_R_SERIALIZATION_FAILURE), errmsg("could not serialize access due to concurrent delete"),
            errdetail("Old rows of table \"%s\" were deleted or moved after the transaction's snapshot was taken.",
                      RelationGetRelationName(rel)),
            errhint("The transaction might succeed if retried."));
    pg_unreachable();
}

// ------------------------------------------------------------------------------------------------------- whole segments

enum class Stamp : uint8 { done, wait, gone, moved };

// Stamps an entry as dropped by us, unless somebody else has stamped it; *other is who that was.
Stamp stamp_entry(Relation rel, uint32 slot, const DirectoryEntry &seen, CommandId cid, TransactionId *other) {
    const TransactionId xid = GetCurrentTransactionId();
    Stamp result = Stamp::moved;
    edit_entry(rel, slot, EditPurpose::delete_rows, InvalidTransactionId, [&](DirectoryEntry *entry) {
        if (entry->kind != seen.kind || entry->generation != seen.generation) return false;
        const XidState state = xid_state(entry->xmax);
        *other = entry->xmax;
        const bool was_dropped = (entry->flags & format::kEntryDropped) != 0;
        if (state == XidState::committed) result = was_dropped ? Stamp::gone : Stamp::moved;
        if (state == XidState::in_progress) result = TransactionIdIsCurrentTransactionId(*other) ? Stamp::gone : Stamp::wait;
        if (state != XidState::aborted) return false;
        entry->xmax = xid;
        entry->cmax = cid;
        entry->free_after = ReadNextTransactionId();  // under the lock: who reads the entry unstamped has an xid below it
        entry->flags |= format::kEntryDropped;
        result = Stamp::done;
        return true;
    });
    return result;
}

// Another transaction that has deleted or locked rows of a segment and is not over, or invalid.
TransactionId find_running_deleter(Relation rel, uint32 slot, const DirectoryEntry &entry) {
    TransactionId running = InvalidTransactionId;
    TransactionId last = InvalidTransactionId;
    for_each_log_record(rel, slot, entry, [&](const format::DeleteRecord &record) {
        if (TransactionIdIsValid(running) || record.xid == last) return;
        last = record.xid;
        if (!TransactionIdIsCurrentTransactionId(last) && xid_state(last) == XidState::in_progress) running = last;
    });
    return running;
}

// Raises 40001 when others have deleted rows since the snapshot.
void check_log_is_seen(Relation rel, uint32 slot, const DirectoryEntry &entry, Snapshot snapshot) {
    TransactionId last = InvalidTransactionId;
    for_each_log_record(rel, slot, entry, [&](const format::DeleteRecord &record) {
        if (record.xid == last || is_lock(record) || TransactionIdIsCurrentTransactionId(record.xid)) return;
        last = record.xid;
        if (xid_state(last) == XidState::committed && !counts_for(last, record.cid, snapshot)) report_concurrent_change(rel);
    });
}

// The rows of a stamped segment that were there to be deleted: not those that others deleted before us.
uint64 count_dropped_rows(Relation rel, uint32 slot, Snapshot snapshot) {
    format::Metapage meta;
    read_metapage(rel, &meta);
    for (;;) {
        const DirectoryEntry entry = read_entry(rel, meta, slot);
        const TransactionId running = find_running_deleter(rel, slot, entry);
        if (!TransactionIdIsValid(running)) {
            MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "historian delete log", ALLOCSET_SMALL_SIZES);
            const uint32 gone_count = deleted_rows(rel, slot, entry, SnapshotSelf, context).member_count;
            MemoryContextDelete(context);
            if (IsolationUsesXactSnapshot()) check_log_is_seen(rel, slot, entry, snapshot);
            return entry.row_count - gone_count;
        }
        XactLockTableWait(running, rel, nullptr, XLTW_None);
    }
}

uint64 drop_segment(Relation rel, uint32 slot, const DirectoryEntry &entry, Snapshot snapshot, CommandId cid) {
    for (;;) {
        TransactionId other = InvalidTransactionId;
        switch (stamp_entry(rel, slot, entry, cid, &other)) {
            case Stamp::done: stop_point(StopPoint::segment_dropped); return count_dropped_rows(rel, slot, snapshot);
            case Stamp::wait: XactLockTableWait(other, rel, nullptr, XLTW_None); break;
            case Stamp::gone:
                if (IsolationUsesXactSnapshot() && !TransactionIdIsCurrentTransactionId(other)) report_concurrent_change(rel);
                return 0;
            case Stamp::moved: report_concurrent_change(rel);
        }
    }
}

// ---------------------------------------------------------------------------------------------------------- runs of rows

uint64 delete_one_row(Relation rel, ItemPointer tid, CommandId cid) {
    TM_FailureData failure;
    const RowChange change = {false, cid, InvalidSnapshot, LockWaitBlock};
    switch (change_row(rel, tid, change, &failure)) {
        case TM_Ok: return 1;
        case TM_Deleted:
            if (IsolationUsesXactSnapshot()) report_concurrent_change(rel);
            return 0;
        default: return 0;
    }
}

// Half by half where others have touched some of the rows: a run may be a million rows long, and a record each would be written.
uint64 delete_run(Relation rel, uint32 slot, RowRange rows, CommandId cid) {
    CHECK_FOR_INTERRUPTS();
    if (delete_untouched_rows(rel, slot, rows, cid)) return rows.count;
    if (rows.count == 1) {
        ItemPointerData tid;
        set_sealed_tid(&tid, slot, rows.first);
        return delete_one_row(rel, &tid, cid);
    }
    const uint32 half = rows.count / 2;
    const uint64 deleted = delete_run(rel, slot, {rows.first, half}, cid);
    return deleted + delete_run(rel, slot, {rows.first + half, rows.count - half}, cid);
}

// Which rows shall go: those whose times lie from `first` to `last`, so many at most.
struct OldTimes {
    int64 first;
    int64 last;
    uint64 left;  // counts down: rows that others have deleted meanwhile too
};

inline bool is_old(const OldTimes &old, int64 time) { return time >= old.first && time <= old.last && old.left > 0; }

// The old rows of a segment, run by run: adjacent ones of several granules are deleted by one record.
struct Trim {
    Relation rel;
    uint32 slot;
    CommandId cid;
    Granule *granule;
    int time_column;
    OldTimes *old;
    RowSet gone;   // for the snapshot, before us
    RowRange run;  // not deleted yet
    uint64 deleted;
};

void finish_run(Trim *trim) {
    if (trim->run.count > 0) trim->deleted += delete_run(trim->rel, trim->slot, trim->run, trim->cid);
    trim->run = {};
}

void take_rows(Trim *trim, uint32 first, uint32 count) {
    if (first != trim->run.first + trim->run.count) finish_run(trim);
    if (trim->run.count == 0) trim->run.first = first;
    trim->run.count += count;
    trim->old->left -= count;
}

// Row by row: some are not old, or gone already.
void trim_granule(Trim *trim) {
    const format::Granule &about = trim->granule->about;
    const int64 *times = granule_times(trim->granule);
    for (uint32 row = 0; row < about.row_count; row++) {
        Datum value = 0;
        bool is_null = false;
        if (times == nullptr) granule_value(trim->granule, trim->time_column, row, &value, &is_null);
        const int64 time = times != nullptr ? times[row] : DatumGetInt64(value);
        if (is_null || !is_old(*trim->old, time) || has_row(trim->gone, about.first_row + row)) continue;
        take_rows(trim, about.first_row + row, 1);
    }
}

uint64 trim_segment(Relation rel, uint32 slot, const DirectoryEntry &entry, OldTimes *old, Snapshot snapshot, CommandId cid) {
    MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "historian trim", ALLOCSET_DEFAULT_SIZES);
    OpenSegment segment;
    open_segment(rel, slot, entry, context, &segment);
    const KeyColumns keys = key_columns(rel);
    Trim trim = {rel, slot, cid, make_granule(rel, RelationGetDescr(rel), keys, context), keys.time - 1,
                 old, {},   {},  0};
    trim.gone = deleted_rows(rel, slot, entry, snapshot, context);
    for (uint32 g = 0; g < segment.header.granule_count; g++) {
        CHECK_FOR_INTERRUPTS();
        const format::Granule about = format::granule_at(*segment.index, g);
        if (about.time_min > about.time_max || about.time_min > old->last || about.time_max < old->first) continue;
        const bool all_old = about.time_min >= old->first && about.time_max <= old->last && about.row_count <= old->left &&
                             !about.has_null_time;
        if (all_old && !has_any(trim.gone, {about.first_row, about.row_count})) {
            take_rows(&trim, about.first_row, about.row_count);
            continue;
        }
        open_granule(trim.granule, &segment, g);
        trim_granule(&trim);
    }
    finish_run(&trim);
    MemoryContextDelete(context);
    return trim.deleted;
}

uint64 trim_tail(Relation rel, OldTimes *old, Snapshot snapshot, CommandId cid) {
    ScanFilter filter = {};
    filter.by_time = true;
    filter.time_min = old->first;
    filter.time_max = old->last;
    filter.tail_only = true;
    const int time_column = key_columns(rel).time;
    TableScan *scan = begin_scan(rel, snapshot, &filter, nullptr);
    TupleTableSlot *slot = MakeSingleTupleTableSlot(RelationGetDescr(rel), &kRowSlotOps);
    uint64 deleted = 0;
    while (old->left > 0 && next_row(scan, ForwardScanDirection, slot)) {
        CHECK_FOR_INTERRUPTS();
        bool is_null;
        const Datum time = slot_getattr(slot, time_column, &is_null);
        if (is_null || !is_old(*old, DatumGetInt64(time))) continue;
        old->left--;
        ItemPointerData tid = slot->tts_tid;
        deleted += delete_one_row(rel, &tid, cid);
    }
    ExecDropSingleTupleTableSlot(slot);
    end_scan(scan);
    return deleted;
}

// ------------------------------------------------------------------------------------------------------------------ ties

struct Holder {  // a segment that may hold rows of the time in question
    uint32 slot;
    DirectoryEntry entry;
};

// What arrived first: the segment that begins earlier.
int compare_holders(const void *a, const void *b) {
    const Holder *first = static_cast<const Holder *>(a);
    const Holder *second = static_cast<const Holder *>(b);
    if (first->entry.time_min != second->entry.time_min) return first->entry.time_min < second->entry.time_min ? -1 : 1;
    return first->slot < second->slot ? -1 : 1;
}

// Deletes so many of the rows of one time; those that came first.
uint64 delete_ties(Relation rel, const format::Metapage &meta, int64 time, uint64 count, Snapshot snapshot, CommandId cid) {
    OldTimes old = {time, time, count};
    uint32 holder_count = 0;
    uint32 room = 16;
    Holder *holders = static_cast<Holder *>(palloc(sizeof(Holder) * room));
    for_each_entry(rel, meta, [&](uint32 slot, const DirectoryEntry &entry) {
        if (entry.kind != static_cast<uint8>(EntryKind::segment) || !entry_is_visible(entry, snapshot)) return;
        if (entry.time_min > time || entry.time_max < time) return;
        if (holder_count == room) holders = static_cast<Holder *>(repalloc_huge(holders, sizeof(Holder) * (room *= 2)));
        holders[holder_count++] = {slot, entry};
    });
    qsort(holders, holder_count, sizeof(Holder), compare_holders);
    uint64 deleted = 0;
    for (uint32 i = 0; i < holder_count && old.left > 0; i++)
        deleted += trim_segment(rel, holders[i].slot, holders[i].entry, &old, snapshot, cid);
    pfree(holders);
    deleted += trim_tail(rel, &old, snapshot, cid);
    CheckForSerializableConflictIn(rel, nullptr, InvalidBlockNumber);
    return deleted;
}

}  // namespace

uint64 delete_rows_before(Relation rel, int64 bound) {
    format::Metapage meta;
    if (bound == PG_INT64_MIN || !read_metapage(rel, &meta)) return 0;
    Snapshot snapshot = GetActiveSnapshot();
    const CommandId cid = GetCurrentCommandId(true);
    PredicateLockRelation(rel, snapshot);
    OldTimes old = {PG_INT64_MIN, bound - 1, PG_UINT64_MAX};
    uint64 deleted = trim_tail(rel, &old, snapshot, cid);
    for_each_entry(rel, meta, [&](uint32 slot, const DirectoryEntry &entry) {
        if (entry.kind != static_cast<uint8>(EntryKind::segment)) return;
        const bool visible = entry_is_visible(entry, snapshot);
        report_entry_conflict(rel, entry, visible, snapshot);
        if (!visible || entry.time_min > entry.time_max || entry.time_min >= bound) return;
        const bool all_old = entry.time_max < bound && (entry.flags & format::kEntryNullTime) == 0;
        deleted += all_old ? drop_segment(rel, slot, entry, snapshot, cid) : trim_segment(rel, slot, entry, &old, snapshot, cid);
    });
    CheckForSerializableConflictIn(rel, nullptr, InvalidBlockNumber);  // last: see append_rows()
    return deleted;
}

uint64 delete_oldest_rows(Relation rel, const OldestRows &rows) {
    const uint64 deleted = delete_rows_before(rel, rows.time);
    format::Metapage meta;
    if (rows.tie_count == 0 || !read_metapage(rel, &meta)) return deleted;
    return deleted + delete_ties(rel, meta, rows.time, rows.tie_count, GetActiveSnapshot(), GetCurrentCommandId(true));
}

}  // namespace historian::engine
