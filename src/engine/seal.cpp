#include "engine/seal.h"

#include "engine/delete_log.h"
#include "engine/gate.h"
#include "engine/granule.h"
#include "engine/maintenance_lock.h"
#include "engine/progress.h"
#include "engine/report.h"
#include "engine/row.h"
#include "engine/seal_carry.h"
#include "engine/seal_choice.h"
#include "engine/seal_merge.h"
#include "engine/seal_step.h"
#include "engine/segment_store.h"
#include "engine/space.h"
#include "engine/stop_points.h"
#include "engine/tail.h"
#include "engine/validate.h"
#include "engine/visibility.h"

#include <algorithm>

namespace historian::engine {

using codec::Effort;
using format::Cell;
using format::DirectoryEntry;
using format::EntryKind;
using format::Metapage;
using format::PageKind;

namespace {

// --------------------------------------------------------------------------------------------------------------- sources

void add_run(SealStep *step, CarriedSource *source) {
    const DirectoryEntry &entry = source->entry;
    for (uint32 page = 0; page < entry.used_pages; page++) {
        CHECK_FOR_INTERRUPTS();
        // Rows are copied first: what follows may raise an error or write pages, neither of which suits a locked page.
        MemoryContextReset(step->source_context);
        MemoryContext old = MemoryContextSwitchTo(step->source_context);
        HeapTuple rows[format::kTailRowsMax];
        int row_count = 0;
        for_each_tail_row(step->rel, entry, page, [&](HeapTuple tuple) {
            if (row_count < static_cast<int>(format::kTailRowsMax) && tail_row_lives(tuple->t_data))
                rows[row_count++] = heap_copytuple(tuple);
        });
        for (int i = 0; i < row_count; i++) {
            validate_row(step->rel, rows[i]);
            heap_deform_tuple(rows[i], step->desc, step->values, step->nulls);
            add_row(step, source, tail_place(page, ItemPointerGetOffsetNumber(&rows[i]->t_self)));
        }
        MemoryContextSwitchTo(old);
    }
}

void add_segment(SealStep *step, CarriedSource *source) {
    MemoryContextReset(step->source_context);
    OpenSegment segment;
    open_segment(step->rel, source->slot, source->entry, step->source_context, &segment);
    const LogState log = settled_rows(step->rel, source->slot, source->entry, InvalidTransactionId, step->source_context);
    Granule *granule = make_granule(step->rel, step->desc, step->keys, step->source_context);
    step->stays_full = source->apart && (source->entry.flags & format::kEntryFull) != 0 && log.settled.member_count == 0;
    for (uint32 g = 0; g < segment.header.granule_count; g++) {
        CHECK_FOR_INTERRUPTS();
        open_granule(granule, &segment, g);
        for (uint32 row = 0; row < granule->about.row_count; row++) {
            if (has_row(log.settled, granule->about.first_row + row)) continue;
            for (int i = 0; i < step->desc->natts; i++) granule_value(granule, i, row, &step->values[i], &step->nulls[i]);
            add_row(step, source, granule->about.first_row + row);
        }
    }
}

// ---------------------------------------------------------------------------------------------------------------- the swap

void supersede(const SealStep &step, const Choice &choice) {
    const TransactionId xid = GetCurrentTransactionId();
    const TransactionId free_after = ReadNextTransactionId();
    for (uint32 i = 0; i < choice.count; i++) {
        edit_entry(step.rel, choice.sources[i].slot, EditPurpose::supersede, InvalidTransactionId, [&](DirectoryEntry *entry) {
            entry->flags &= static_cast<uint8>(~format::kEntryDropped);
            entry->xmax = xid;
            entry->cmax = FirstCommandId;
            entry->free_after = free_after;
            return true;
        });
    }
    edit_metapage(step.rel, EditPurpose::supersede, [&](Metapage *meta) {
        meta->last_swap_xid = xid;
        meta->rows_stored += step.rows_stored;
        meta->rows_rewritten += step.outcome.rows - step.rows_stored;
    });
}

// With the gate closed, carries over what has happened to the rows meanwhile and supersedes the sources. False when that must not
// be: a statement that deletes does not end, or a source was dropped.
bool swap(SealStep *step, const Choice &choice) {
    if (!close_gate(RelationGetRelid(step->rel))) return false;
    stop_point(StopPoint::seal_gate_closed);
    if (!carry_changes(step->rel, step->carried, step->carried_count, step->segments, step->outcome.segments, step->context))
        return false;
    supersede(*step, choice);
    return true;
}

// The written segments are nobody's yet: their blocks are free again at once.
void give_up(SealStep *step) {
    for (uint32 i = 0; i < step->outcome.segments; i++) release_entry(step->rel, step->segments[i].slot, InvalidTransactionId);
    step->outcome = SealOutcome{};
    step->outcome.busy = true;
}

// For progress: an estimate where there are runs.
uint64 count_rows(Relation rel, const Choice &choice) {
    uint64 rows = 0;
    for (uint32 i = 0; i < choice.count; i++) {
        const DirectoryEntry &entry = choice.sources[i].entry;
        rows += is_tail(entry) ? rows_of_run(rel, entry) : entry.row_count;
    }
    return rows;
}

// Whether a source's rows are packed with high effort: what was packed hard stays so, unless other rows join it.
bool packs_hard(const Choice &choice, uint32 source) {
    if (choice.sources[source].apart) return is_packed_hard(choice.sources[source].entry);
    return std::all_of(choice.sources, choice.sources + choice.count,
                       [](const CarriedSource &each) { return each.apart || is_packed_hard(each.entry); });
}

// Takes the sources one after the other; gives way to DDL by leaving the rest of them for another step.
void take_in_turn(SealStep *step, Choice *choice, bool all_hard) {
    step->level = PG_UINT8_MAX;
    for (uint32 i = 0; i < choice->count; i++) {
        if (i > 0 && ddl_is_waiting(step->rel)) {
            choice->count = i;
            choice->more = true;
            break;
        }
        CarriedSource *source = &choice->sources[i];
        if (source->apart) finish_segment(step);
        step->shape.effort = all_hard || packs_hard(*choice, i) ? Effort::high : Effort::normal;
        step->stays_full = false;
        step->within_tag = source->apart && (source->entry.flags & format::kEntryTagGoesOn) != 0;
        // What was sorted by tag across segments is not any more when others come in.
        step->level = source->apart ? source->entry.level : Min(step->level, source->entry.level);
        begin_source(source, step->context);
        if (is_tail(source->entry))
            add_run(step, source);
        else
            add_segment(step, source);
        end_source(source);
        if (is_tail(source->entry)) step->rows_stored += source->taken_count;
        if (!source->apart) continue;
        finish_segment(step);
        step->level = PG_UINT8_MAX;
    }
    step->carried = choice->sources;
    step->carried_count = choice->count;
}

}  // namespace

SealOutcome seal_step(Relation rel, const SealRequest &request) {
    SealOutcome nothing = {};
    Metapage meta;
    if (!read_metapage(rel, &meta)) return nothing;
    if (!lock_maintenance(rel, request.wait)) return nothing;
    read_metapage(rel, &meta);  // the wait may have been long
    Assert(ActiveSnapshotSet());
    if (request.close_open_run && meta.active_slot != format::kNoSlot) {
        close_tail_run(rel, meta.active_slot);
        stop_point(StopPoint::seal_closed);
    }
    read_metapage(rel, &meta);
    check_key_columns(rel, meta, key_columns(rel));

    MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "historian seal", ALLOCSET_DEFAULT_SIZES);
    MemoryContext old = MemoryContextSwitchTo(context);
    Choice choice = choose_sources(rel, meta, request);
    if (choice.count == 0) choice = choose_merge(rel, meta, request);
    if (choice.count == 0) choice = choose_repack(rel, meta, request);
    SealStep step = make_step(rel, context);
    step.place_from = request.place_from;
    step.shape.effort = request.effort;
    if (choice.count > 0 && !gate_can_be_closed(RelationGetRelid(rel))) {
        // A statement that deletes is running: most probably it still will be when the work is done.
        choice.count = 0;
        step.outcome.busy = true;
    }
    if (choice.count > 0) {
        bool gives_way = false;
        begin_progress(rel, choice.by_tag ? Work::merging : Work::sealing, count_rows(rel, choice));
        if (choice.by_tag)
            gives_way = !merge_by_tag(&step, choice.sources, choice.count);
        else
            take_in_turn(&step, &choice, request.repack);
        finish_segment(&step);
        stop_point(StopPoint::seal_built);
        if (gives_way || !swap(&step, choice)) {
            give_up(&step);
            choice.count = 0;
        }
        stop_point(StopPoint::seal_before_commit);
        end_progress();
    }
    step.outcome.sources = choice.count;
    step.outcome.more = choice.more && !step.outcome.busy;
    MemoryContextSwitchTo(old);
    MemoryContextDelete(context);
    return step.outcome;
}

namespace {

// Whether nobody reads an entry any more, and the newest xid whose effects standby queries may still look for in it.
struct Need {
    bool is_over;
    TransactionId conflict_xid;
};

// A segment whose rows are all deleted is not over: new snapshots go on listing it. Merging supersedes it first.
Need need_for(const DirectoryEntry &entry, TransactionId oldest) {
    const XidState maker = xid_state(entry.xmin);
    const bool unfinished = entry.kind == static_cast<uint8>(EntryKind::building) && maker != XidState::in_progress;
    if (maker == XidState::aborted || unfinished) return {true, InvalidTransactionId};
    const bool superseded = TransactionIdIsValid(entry.xmax) && xid_state(entry.xmax) == XidState::committed;
    return {superseded && TransactionIdPrecedesOrEquals(entry.free_after, oldest), entry.xmax};
}

}  // namespace

Released release_unneeded(Relation rel) {
    Released released = {};
    Metapage meta;
    if (!read_metapage(rel, &meta)) return released;
    const TransactionId oldest = GetOldestNonRemovableTransactionId(rel);
    for (uint32 slot = 0; slot < meta.slot_count; slot++) {
        const DirectoryEntry entry = read_entry(rel, meta, slot);
        if (entry.kind == static_cast<uint8>(EntryKind::free)) continue;
        CHECK_FOR_INTERRUPTS();
        stop_point(StopPoint::release_seen);
        const Need need = need_for(entry, oldest);
        if (!need.is_over) {
            released.kept += xid_state(entry.xmax) == XidState::committed;
            continue;
        }
        // Its maker may have finished the entry and committed after we read it and before we asked. Now that the maker is over,
        // only holders of the maintenance lock change the entry: if it still is what we judged, it stays that.
        const DirectoryEntry now = read_entry(rel, meta, slot);
        if (memcmp(&now, &entry, sizeof(entry)) != 0) continue;
        release_entry(rel, slot, need.conflict_xid);
        released.freed++;
    }
    return released;
}

}  // namespace historian::engine
