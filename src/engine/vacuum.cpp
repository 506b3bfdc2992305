#include "engine/vacuum.h"

#include "engine/delete_log.h"
#include "engine/maintenance_lock.h"
#include "engine/pages.h"
#include "engine/report.h"
#include "engine/seal.h"
#include "engine/space.h"
#include "engine/validate.h"
#include "engine/visibility.h"

namespace historian::engine {

using format::DirectoryEntry;
using format::EntryKind;
using format::is_tail;
using format::Metapage;
using format::PageKind;

namespace {

struct Vacuum {
    Relation rel;
    VacuumCutoff cutoff;
    TransactionId oldest_left;  // no xid older than this is left in the table
    double live_rows;
    double dead_rows;  // that some snapshot may still see
    double removed_rows;
    uint32 frozen_pages;
    uint32 frozen_entries;
    uint32 frozen_log_pages;
};

void note_xid(Vacuum *vacuum, TransactionId xid) {
    if (TransactionIdIsNormal(xid) && TransactionIdPrecedes(xid, vacuum->oldest_left)) vacuum->oldest_left = xid;
}

bool is_old(const Vacuum *vacuum, TransactionId xid) {
    return TransactionIdIsNormal(xid) && TransactionIdPrecedes(xid, vacuum->cutoff.freeze_limit);
}

// One tail row: what becomes of it. Rows dead to all go (rule R11: pruned before freezing); of the others, old xids that are over
// are replaced.
struct RowFate {
    bool prune;
    bool freeze_xmin;
    bool clear_xmax;
    TransactionId conflict_xid;  // the newest xid whose standby snapshots could tell the difference
};

void note_newer(TransactionId *newest, TransactionId xid) {
    if (TransactionIdIsNormal(xid) && (!TransactionIdIsValid(*newest) || TransactionIdFollows(xid, *newest))) *newest = xid;
}

RowFate judge_row(Vacuum *vacuum, HeapTuple tuple, Buffer buffer) {
    const HeapTupleHeader header = tuple->t_data;
    const TransactionId xmin = HeapTupleHeaderGetXmin(header);
    const TransactionId xmax = HeapTupleHeaderGetRawXmax(header);  // whatever the hint bits say: they may be lost in a crash
    RowFate fate = {};
    const HTSV_Result state = HeapTupleSatisfiesVacuum(tuple, vacuum->cutoff.oldest_xmin, buffer);
    if (state == HEAPTUPLE_DEAD) {
        fate.prune = true;
        if (xid_state(xmin) == XidState::committed) fate.conflict_xid = xmax;
        return fate;
    }
    if (state == HEAPTUPLE_RECENTLY_DEAD)
        vacuum->dead_rows++;
    else
        vacuum->live_rows++;
    if (!HeapTupleHeaderXminFrozen(header) && is_old(vacuum, xmin) && xid_state(xmin) == XidState::committed) {
        fate.freeze_xmin = true;
        fate.conflict_xid = xmin;
    } else if (!HeapTupleHeaderXminFrozen(header)) {
        note_xid(vacuum, xmin);
    }
    // The deleter of a live row failed, or only locked it and is over.
    if (state == HEAPTUPLE_LIVE && is_old(vacuum, xmax) && xid_state(xmax) != XidState::in_progress)
        fate.clear_xmax = true;
    else
        note_xid(vacuum, xmax);
    return fate;
}

void stage_row(PageEdit &edit, int page_index, Page page, ItemId item_id, const RowFate &fate) {
    if (fate.prune) {
        // The row's bytes stay where they are, so the line pointer goes on naming them: wal_consistency_checking masks their
        // hint bits.
        ItemIdData dead = *item_id;
        ItemIdMarkDead(&dead);
        edit.patch(page_index, reinterpret_cast<char *>(item_id) - static_cast<char *>(page), &dead, sizeof(dead));
        return;
    }
    HeapTupleHeaderData header;
    memcpy(&header, PageGetItem(page, item_id), SizeofHeapTupleHeader);
    if (fate.freeze_xmin) header.t_infomask |= HEAP_XMIN_FROZEN;
    if (fate.clear_xmax) {
        header.t_infomask = (header.t_infomask & ~HEAP_XMAX_BITS) | HEAP_XMAX_INVALID;
        header.t_infomask2 &= ~HEAP_KEYS_UPDATED;
        HeapTupleHeaderSetXmax(&header, InvalidTransactionId);
    }
    edit.patch(page_index, ItemIdGetOffset(item_id), &header, SizeofHeapTupleHeader);
}

// Stages what happens to the rows of one page; *conflict_xid: see RowFate. False: nothing to do.
bool stage_page(Vacuum *vacuum, PageEdit &edit, int page_index, Buffer buffer, TransactionId *conflict_xid) {
    const BlockNumber block = BufferGetBlockNumber(buffer);
    Page page = BufferGetPage(buffer);
    bool changed = false;
    TailPage tail = {vacuum->rel, block, page};
    for (OffsetNumber offset = FirstOffsetNumber; offset <= PageGetMaxOffsetNumber(page); offset++) {
        HeapTupleData row;
        if (!tail_tuple_at(&tail, offset, &row)) continue;
        const ItemId item_id = PageGetItemId(page, offset);
        const RowFate fate = judge_row(vacuum, &row, buffer);
        if (!fate.prune && !fate.freeze_xmin && !fate.clear_xmax) continue;
        changed = true;
        vacuum->removed_rows += fate.prune;
        note_newer(conflict_xid, fate.conflict_xid);
        stage_row(edit, page_index, page, item_id, fate);
    }
    return changed;
}

void vacuum_tail_page(Vacuum *vacuum, const DirectoryEntry &entry, uint32 page_index) {
    const BlockNumber block = entry_block(entry, page_index);
    const Buffer buffer = lock_page(vacuum->rel, block, PageLock::exclusive);
    Page page = BufferGetPage(buffer);
    const bool ours = page_is(page, PageKind::tail) && page_trailer(page)->generation == entry.generation;
    if (ours) {
        PageEdit edit(vacuum->rel, EditPurpose::freeze);
        TransactionId conflict_xid = InvalidTransactionId;
        if (stage_page(vacuum, edit, edit.add_page(buffer), buffer, &conflict_xid)) {
            edit.set_conflict(conflict_xid);
            edit.commit();
            vacuum->frozen_pages++;
        }
    }
    UnlockReleaseBuffer(buffer);
    // Its rows' xids are not known, so relfrozenxid must not pass them.
    if (!ours) report_damage(vacuum->rel, block, "The block does not belong to the tail run that names it.");
}

// A segment's log: old records of transactions that are over become everybody's, or void.
void freeze_records(Vacuum *vacuum, uint32 slot, const DirectoryEntry &entry) {
    vacuum->frozen_log_pages += freeze_log(vacuum->rel, slot, entry, [vacuum](const format::DeleteRecord &record) {
        const XidState state = is_old(vacuum, record.xid) ? xid_state(record.xid) : XidState::in_progress;
        if (state == XidState::in_progress) {
            note_xid(vacuum, record.xid);
            return RecordFate::keep;
        }
        return state == XidState::committed && !is_lock(record) ? RecordFate::freeze : RecordFate::clear;
    });
}

// A superseded entry, and all its rows, go as a whole later; its xids count until then.
void note_superseded(Vacuum *vacuum, uint32 slot, const DirectoryEntry &entry) {
    note_xid(vacuum, entry.xmin);
    note_xid(vacuum, entry.xmax);
    note_xid(vacuum, entry.free_after);
    vacuum->dead_rows += entry.row_count;
    if (!is_tail(entry)) freeze_records(vacuum, slot, entry);
}

// The oldest xid of a superseded run's rows counts too: old snapshots still judge them.
void note_run_xids(Vacuum *vacuum, const DirectoryEntry &entry) {
    const double live = vacuum->live_rows;
    const double dead = vacuum->dead_rows;
    for (uint32 page = 0; page < entry.used_pages; page++) {
        vacuum_delay_point_compat();
        vacuum_tail_page(vacuum, entry, page);
    }
    vacuum->dead_rows = dead + (vacuum->live_rows - live);
    vacuum->live_rows = live;
}

// Rows deleted for good wait in the segment until merging leaves them out; they are dead rows only while a snapshot sees them.
void count_rows(Vacuum *vacuum, uint32 slot, const DirectoryEntry &entry) {
    MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "historian delete log", ALLOCSET_SMALL_SIZES);
    const LogState log = settled_rows(vacuum->rel, slot, entry, vacuum->cutoff.oldest_xmin, context);
    vacuum->live_rows += entry.row_count - log.settled.member_count;
    if (!log.all_before_oldest) vacuum->dead_rows += log.settled.member_count;
    MemoryContextDelete(context);
}

// An old xmin becomes frozen; the xmax of a seal, merge or delete that failed goes.
DirectoryEntry freeze_entry(Vacuum *vacuum, uint32 slot, const DirectoryEntry &entry) {
    const bool xmax_is_dead = TransactionIdIsValid(entry.xmax);  // the caller knows that it is over and did not commit
    const bool xmin_is_old = is_old(vacuum, entry.xmin) && xid_state(entry.xmin) == XidState::committed;
    if (!xmax_is_dead && !xmin_is_old) return entry;
    DirectoryEntry frozen = entry;
    edit_entry(vacuum->rel, slot, EditPurpose::freeze, xmin_is_old ? entry.xmin : InvalidTransactionId, [&](DirectoryEntry *now) {
        // delete_before() may stamp it at any time.
        if (xmax_is_dead && now->xmax == entry.xmax) {
            now->xmax = now->free_after = InvalidTransactionId;
            now->cmax = FirstCommandId;
            now->flags &= static_cast<uint8>(~format::kEntryDropped);
        }
        if (xmin_is_old) now->xmin = FrozenTransactionId;
        frozen = *now;
        return true;
    });
    vacuum->frozen_entries++;
    return frozen;
}

void freeze_segment(Vacuum *vacuum, uint32 slot, const DirectoryEntry &entry) {
    const DirectoryEntry frozen = freeze_entry(vacuum, slot, entry);
    note_xid(vacuum, frozen.xmin);
    note_xid(vacuum, frozen.xmax);
    freeze_records(vacuum, slot, entry);
    count_rows(vacuum, slot, entry);
}

void freeze_run(Vacuum *vacuum, uint32 slot, const DirectoryEntry &entry) {
    freeze_entry(vacuum, slot, entry);
    for (uint32 page = 0; page < entry.used_pages; page++) {
        vacuum_delay_point_compat();
        vacuum_tail_page(vacuum, entry, page);
    }
}

void freeze_entries(Vacuum *vacuum, const Metapage &meta) {
    for (uint32 slot = 0; slot < meta.slot_count; slot++) {
        const DirectoryEntry entry = read_entry(vacuum->rel, meta, slot);
        if (entry.kind == static_cast<uint8>(EntryKind::free)) continue;
        if (xid_state(entry.xmax) != XidState::aborted) {
            note_superseded(vacuum, slot, entry);
            if (is_tail(entry)) note_run_xids(vacuum, entry);
        } else if (is_tail(entry)) {
            freeze_run(vacuum, slot, entry);
        } else if (entry.kind == static_cast<uint8>(EntryKind::segment) && xid_state(entry.xmin) == XidState::committed) {
            freeze_segment(vacuum, slot, entry);
        } else {
            note_xid(vacuum, entry.xmin);
        }
    }
}

// Statements that delete ask whether their snapshot sees the newest seal or merge: what everybody sees is forgotten, before its
// xid can mean another transaction (rule R11).
void forget_old_swap(Vacuum *vacuum, const Metapage &meta) {
    const TransactionId last_swap = meta.last_swap_xid;
    if (!TransactionIdIsNormal(last_swap)) return;
    if (!TransactionIdPrecedes(last_swap, vacuum->cutoff.oldest_xmin)) return note_xid(vacuum, last_swap);
    edit_metapage(vacuum->rel, EditPurpose::freeze, [last_swap](Metapage *now) {
        if (now->last_swap_xid == last_swap) now->last_swap_xid = InvalidTransactionId;
    });
}

// VACUUM (TRUNCATE false) and the storage parameter vacuum_truncate keep the file's length.
bool may_truncate(const VacuumParams *params) { return params->truncate != VACOPTVALUE_DISABLED; }

}  // namespace

void vacuum_table(Relation rel, VacuumParams *params, BufferAccessStrategy) {
    pgstat_progress_start_command(PROGRESS_COMMAND_VACUUM, RelationGetRelid(rel));
    Vacuum vacuum = {};
    vacuum.rel = rel;
    vacuum.cutoff = vacuum_cutoff(rel, params);
    vacuum.oldest_left = vacuum.cutoff.oldest_xmin;

    lock_maintenance(rel, true);
    const uint32 freed = release_unneeded(rel).freed;
    Metapage meta;
    if (read_metapage(rel, &meta)) {
        freeze_entries(&vacuum, meta);
        forget_old_swap(&vacuum, meta);
    }
    const BlockNumber returned = may_truncate(params) ? shrink_file(rel, 1) : 0;
    unlock_maintenance(rel);

    const BlockNumber blocks = RelationGetNumberOfBlocks(rel);
    update_relation_statistics(rel, blocks, vacuum.live_rows, vacuum.oldest_left, vacuum.cutoff.oldest_multi);
    report_vacuum(rel, vacuum.live_rows, vacuum.dead_rows);
    pgstat_progress_end_command();
    ereport(
        (params->options & VACOPT_VERBOSE) != 0 ? INFO : DEBUG2,
        errmsg("vacuumed table \"%s\": freed %u entries, froze %u entries, %u tail pages and %u delete log pages",
               RelationGetRelationName(rel), freed, vacuum.frozen_entries, vacuum.frozen_pages, vacuum.frozen_log_pages),
        errdetail(
            "%.0f live rows, %.0f dead rows kept for old snapshots, %.0f dead rows removed from the tail, %u blocks, %u blocks "
            "returned; relfrozenxid is %u.",
            vacuum.live_rows, vacuum.dead_rows, vacuum.removed_rows, blocks, returned, vacuum.oldest_left));
}

}  // namespace historian::engine
