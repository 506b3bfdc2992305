#include "engine/retention.h"

#include "engine/delete_log.h"
#include "engine/granule.h"
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

// The old rows of a segment, run by run: adjacent ones of several granules are deleted by one record.
struct Trim {
    Relation rel;
    uint32 slot;
    CommandId cid;
    Granule *granule;
    int time_column;
    int64 bound;
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
}

// Row by row: some are not old, or gone already.
void trim_granule(Trim *trim) {
    const format::Granule &about = trim->granule->about;
    const int64 *times = granule_times(trim->granule);
    for (uint32 row = 0; row < about.row_count; row++) {
        int64 time = PG_INT64_MAX;
        if (times != nullptr) {
            time = times[row];
        } else {
            Datum value;
            bool is_null;
            granule_value(trim->granule, trim->time_column, row, &value, &is_null);
            if (!is_null) time = DatumGetInt64(value);
        }
        if (time < trim->bound && !has_row(trim->gone, about.first_row + row)) take_rows(trim, about.first_row + row, 1);
    }
}

uint64 trim_segment(Relation rel, uint32 slot, const DirectoryEntry &entry, int64 bound, Snapshot snapshot, CommandId cid) {
    MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "historian trim", ALLOCSET_DEFAULT_SIZES);
    OpenSegment segment;
    open_segment(rel, slot, entry, context, &segment);
    const KeyColumns keys = key_columns(rel);
    Trim trim = {rel,   slot, cid, make_granule(rel, RelationGetDescr(rel), keys, context), keys.time - 1,
                 bound, {},   {},  0};
    trim.gone = deleted_rows(rel, slot, entry, snapshot, context);
    for (uint32 g = 0; g < segment.header.granule_count; g++) {
        CHECK_FOR_INTERRUPTS();
        const format::Granule about = format::granule_at(*segment.index, g);
        if (about.time_min > about.time_max || about.time_min >= bound) continue;
        const bool all_old = about.time_max < bound && !about.has_null_time;
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

uint64 trim_tail(Relation rel, int64 bound, Snapshot snapshot, CommandId cid) {
    ScanFilter filter = {};
    filter.by_time = true;
    filter.time_min = PG_INT64_MIN;
    filter.time_max = bound - 1;
    filter.tail_only = true;
    const int time_column = key_columns(rel).time;
    TableScan *scan = begin_scan(rel, snapshot, &filter, nullptr);
    TupleTableSlot *slot = MakeSingleTupleTableSlot(RelationGetDescr(rel), &kRowSlotOps);
    uint64 deleted = 0;
    while (next_row(scan, ForwardScanDirection, slot)) {
        CHECK_FOR_INTERRUPTS();
        bool is_null;
        const Datum time = slot_getattr(slot, time_column, &is_null);
        if (is_null || DatumGetInt64(time) >= bound) continue;
        ItemPointerData tid = slot->tts_tid;
        deleted += delete_one_row(rel, &tid, cid);
    }
    ExecDropSingleTupleTableSlot(slot);
    end_scan(scan);
    return deleted;
}

// Deletes the first `count` rows of one time, in the order in which scans find them.
uint64 delete_ties(Relation rel, int64 time, uint64 count, Snapshot snapshot, CommandId cid) {
    ScanFilter filter = {};
    filter.order = is_log_table(rel) ? ScanOrder::oldest_first : ScanOrder::stored;
    filter.by_time = true;
    filter.time_min = filter.time_max = time;
    const int time_column = key_columns(rel).time;
    TableScan *scan = begin_scan(rel, snapshot, &filter, nullptr);
    TupleTableSlot *slot = MakeSingleTupleTableSlot(RelationGetDescr(rel), &kRowSlotOps);
    uint32 run_slot = 0;
    RowRange run = {};
    uint64 deleted = 0;
    const auto finish_run = [&] {
        if (run.count > 0) deleted += delete_run(rel, run_slot, run, cid);
        run.count = 0;
    };
    while (count > 0 && next_row(scan, ForwardScanDirection, slot)) {
        CHECK_FOR_INTERRUPTS();
        bool is_null;
        const Datum value = slot_getattr(slot, time_column, &is_null);
        if (is_null || DatumGetInt64(value) != time) continue;
        count--;
        ItemPointerData tid = slot->tts_tid;
        if (!is_sealed_tid(&tid)) {
            deleted += delete_one_row(rel, &tid, cid);
            continue;
        }
        const SealedAddress at = sealed_address(&tid);
        if (at.slot != run_slot || at.row != run.first + run.count) finish_run();
        if (run.count == 0) run.first = at.row;
        run_slot = at.slot;
        run.count++;
    }
    finish_run();
    ExecDropSingleTupleTableSlot(slot);
    end_scan(scan);
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
    uint64 deleted = trim_tail(rel, bound, snapshot, cid);
    for_each_entry(rel, meta, [&](uint32 slot, const DirectoryEntry &entry) {
        if (entry.kind != static_cast<uint8>(EntryKind::segment)) return;
        const bool visible = entry_is_visible(entry, snapshot);
        report_entry_conflict(rel, entry, visible, snapshot);
        if (!visible || entry.time_min > entry.time_max || entry.time_min >= bound) return;
        const bool is_old = entry.time_max < bound && (entry.flags & format::kEntryNullTime) == 0;
        deleted += is_old ? drop_segment(rel, slot, entry, snapshot, cid) : trim_segment(rel, slot, entry, bound, snapshot, cid);
    });
    CheckForSerializableConflictIn(rel, nullptr, InvalidBlockNumber);  // last: see append_rows()
    return deleted;
}

uint64 delete_oldest_rows(Relation rel, const OldestRows &rows) {
    const uint64 deleted = delete_rows_before(rel, rows.time);
    if (rows.tie_count == 0) return deleted;
    return deleted + delete_ties(rel, rows.time, rows.tie_count, GetActiveSnapshot(), GetCurrentCommandId(true));
}

}  // namespace historian::engine
