#include "engine/vacuum.h"

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
using format::Metapage;
using format::PageKind;

namespace {

struct Vacuum {
    Relation rel;
    VacuumCutoff cutoff;
    TransactionId oldest_left;  // no xid older than this is left in the table
    double live_rows;
    double dead_rows;
    uint32 frozen_pages;
    uint32 frozen_entries;
};

void note_xid(Vacuum *vacuum, TransactionId xid) {
    if (TransactionIdIsNormal(xid) && TransactionIdPrecedes(xid, vacuum->oldest_left)) vacuum->oldest_left = xid;
}

bool is_old(const Vacuum *vacuum, TransactionId xid) {
    return TransactionIdIsNormal(xid) && TransactionIdPrecedes(xid, vacuum->cutoff.freeze_limit);
}

// One tail row: what becomes of it. Rows of aborted inserters go (rule R11: pruned before freezing); old committed ones are
// frozen.
enum class RowFate { keep, freeze, prune };

RowFate judge_row(Vacuum *vacuum, HeapTupleHeader tuple) {
    const TransactionId xmin = HeapTupleHeaderGetXmin(tuple);
    const XidState state = HeapTupleHeaderXminFrozen(tuple) ? XidState::committed : xid_state(xmin);
    if (state == XidState::aborted) {
        vacuum->dead_rows++;
        return RowFate::prune;
    }
    vacuum->live_rows++;
    if (state == XidState::committed && is_old(vacuum, xmin)) return RowFate::freeze;
    note_xid(vacuum, xmin);
    return RowFate::keep;
}

// Stages what happens to the rows of one page; the newest xid frozen is what standby snapshots must be past. False: nothing to
// do.
bool stage_page(Vacuum *vacuum, PageEdit &edit, int page_index, Buffer buffer, TransactionId *newest_frozen) {
    const BlockNumber block = BufferGetBlockNumber(buffer);
    Page page = BufferGetPage(buffer);
    bool changed = false;
    TailPage tail = {vacuum->rel, block, page};
    for (OffsetNumber offset = FirstOffsetNumber; offset <= PageGetMaxOffsetNumber(page); offset++) {
        HeapTupleData row;
        if (!tail_tuple_at(&tail, offset, &row)) continue;
        const ItemId item_id = PageGetItemId(page, offset);
        HeapTupleHeader tuple = row.t_data;
        const RowFate fate = judge_row(vacuum, tuple);
        if (fate == RowFate::keep) continue;
        changed = true;
        if (fate == RowFate::freeze) {
            const TransactionId xmin = HeapTupleHeaderGetXmin(tuple);
            if (!TransactionIdIsValid(*newest_frozen) || TransactionIdFollows(xmin, *newest_frozen)) *newest_frozen = xmin;
            const uint16 infomask = tuple->t_infomask | HEAP_XMIN_FROZEN;
            edit.patch(page_index, ItemIdGetOffset(item_id) + offsetof(HeapTupleHeaderData, t_infomask), &infomask,
                       sizeof(infomask));
        } else {
            // The row's bytes stay where they are, so the line pointer goes on naming them: wal_consistency_checking masks their
            // hint bits.
            ItemIdData dead = *item_id;
            ItemIdMarkDead(&dead);
            edit.patch(page_index, reinterpret_cast<char *>(item_id) - static_cast<char *>(page), &dead, sizeof(dead));
        }
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
        TransactionId newest_frozen = InvalidTransactionId;
        if (stage_page(vacuum, edit, edit.add_page(buffer), buffer, &newest_frozen)) {
            edit.set_conflict(newest_frozen);
            edit.commit();
            vacuum->frozen_pages++;
        }
    }
    UnlockReleaseBuffer(buffer);
    // Its rows' xids are not known, so relfrozenxid must not pass them.
    if (!ours) report_damage(vacuum->rel, block, "The block does not belong to the tail run that names it.");
}

// A superseded entry, and all its rows, go as a whole later; its xids count until then.
void note_superseded(Vacuum *vacuum, const DirectoryEntry &entry) {
    note_xid(vacuum, entry.xmin);
    note_xid(vacuum, entry.xmax);
    note_xid(vacuum, entry.free_after);
    vacuum->dead_rows += entry.row_count;
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

void freeze_segment(Vacuum *vacuum, uint32 slot, const DirectoryEntry &entry) {
    vacuum->live_rows += entry.row_count;
    const bool xmax_is_dead = TransactionIdIsValid(entry.xmax) && xid_state(entry.xmax) == XidState::aborted;
    const bool xmin_is_old = is_old(vacuum, entry.xmin) && xid_state(entry.xmin) == XidState::committed;
    DirectoryEntry frozen = entry;
    if (xmax_is_dead) frozen.xmax = frozen.free_after = InvalidTransactionId;
    if (xmin_is_old) frozen.xmin = FrozenTransactionId;
    if (xmax_is_dead || xmin_is_old) {
        write_entry(vacuum->rel, slot, frozen, EditPurpose::freeze, xmin_is_old ? entry.xmin : InvalidTransactionId);
        vacuum->frozen_entries++;
    }
    note_xid(vacuum, frozen.xmin);
    note_xid(vacuum, frozen.xmax);
}

void freeze_run(Vacuum *vacuum, uint32 slot, const DirectoryEntry &entry) {
    if (TransactionIdIsValid(entry.xmax)) {  // the seal that stamped it failed
        Assert((entry.flags & format::kEntryTailClosed) != 0);
        DirectoryEntry cleared = entry;
        cleared.xmax = cleared.free_after = InvalidTransactionId;
        write_entry(vacuum->rel, slot, cleared, EditPurpose::freeze, InvalidTransactionId);
    }
    for (uint32 page = 0; page < entry.used_pages; page++) {
        vacuum_delay_point_compat();
        vacuum_tail_page(vacuum, entry, page);
    }
}

void freeze_entries(Vacuum *vacuum, const Metapage &meta) {
    for (uint32 slot = 0; slot < meta.slot_count; slot++) {
        const DirectoryEntry entry = read_entry(vacuum->rel, meta, slot);
        if (entry.kind == static_cast<uint8>(EntryKind::free)) continue;
        const bool is_tail = entry.kind == static_cast<uint8>(EntryKind::tail);
        if (xid_state(entry.xmax) != XidState::aborted) {
            note_superseded(vacuum, entry);
            if (is_tail) note_run_xids(vacuum, entry);
        } else if (is_tail) {
            freeze_run(vacuum, slot, entry);
        } else if (entry.kind == static_cast<uint8>(EntryKind::segment) && xid_state(entry.xmin) == XidState::committed) {
            freeze_segment(vacuum, slot, entry);
        } else {
            note_xid(vacuum, entry.xmin);
        }
    }
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
    const uint32 freed = release_unneeded(rel);
    Metapage meta;
    if (read_metapage(rel, &meta)) freeze_entries(&vacuum, meta);
    const BlockNumber returned = may_truncate(params) ? shrink_file(rel) : 0;
    unlock_maintenance(rel);

    const BlockNumber blocks = RelationGetNumberOfBlocks(rel);
    update_relation_statistics(rel, blocks, vacuum.live_rows, vacuum.oldest_left, vacuum.cutoff.oldest_multi);
    report_vacuum(rel, vacuum.live_rows, vacuum.dead_rows);
    pgstat_progress_end_command();
    ereport((params->options & VACOPT_VERBOSE) != 0 ? INFO : DEBUG2,
            errmsg("vacuumed table \"%s\": freed %u entries, froze %u entries and %u tail pages", RelationGetRelationName(rel),
                   freed, vacuum.frozen_entries, vacuum.frozen_pages),
            errdetail(
                "%.0f live rows, %.0f rows kept for old snapshots or deleted, %u blocks, %u blocks returned; relfrozenxid is %u.",
                vacuum.live_rows, vacuum.dead_rows, blocks, returned, vacuum.oldest_left));
}

}  // namespace historian::engine
