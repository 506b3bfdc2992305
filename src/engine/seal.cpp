#include "engine/seal.h"

#include "engine/delete_log.h"
#include "engine/gate.h"
#include "engine/granule.h"
#include "engine/maintenance_lock.h"
#include "engine/report.h"
#include "engine/row.h"
#include "engine/seal_carry.h"
#include "engine/seal_merge.h"
#include "engine/seal_step.h"
#include "engine/segment_store.h"
#include "engine/space.h"
#include "engine/stop_points.h"
#include "engine/tail.h"
#include "engine/validate.h"
#include "engine/visibility.h"

namespace historian::engine {

using format::Cell;
using format::DirectoryEntry;
using format::EntryKind;
using format::Metapage;
using format::PageKind;

namespace {

// One transaction takes sources of about four full segments, so that it ends within seconds (rule R10).
constexpr uint64 kStepRowsMax = 4 * static_cast<uint64>(format::kSegmentRowsMax);

// --------------------------------------------------------------------------------------------------------------- sources

// Calls visit(tuple) for each row of a tail page, with the page share-locked.
template <typename Visit>
void for_each_tail_row(Relation rel, const DirectoryEntry &entry, uint32 page_index, Visit visit) {
    const BlockNumber block = entry_block(entry, page_index);
    const Buffer buffer = lock_page(rel, block, PageLock::shared);
    Page page = BufferGetPage(buffer);
    const bool ours = page_is(page, PageKind::tail) && page_trailer(page)->generation == entry.generation &&
                      PageGetMaxOffsetNumber(page) <= format::kTailRowsMax;
    TailPage tail = {rel, block, page};
    for (OffsetNumber offset = FirstOffsetNumber; ours && offset <= PageGetMaxOffsetNumber(page); offset++) {
        HeapTupleData tuple = {};
        if (tail_tuple_at(&tail, offset, &tuple)) visit(&tuple);
    }
    UnlockReleaseBuffer(buffer);
    if (!ours) report_damage(rel, block, "The block does not belong to the tail run that names it.");
}

// Whether every inserter of a run's rows is over. Once true it stays true: a closed run gets no row.
bool run_is_decided(Relation rel, const DirectoryEntry &entry) {
    bool decided = true;
    TransactionId known = InvalidTransactionId;  // most rows of a page have one xmin
    for (uint32 page = 0; page < entry.used_pages && decided; page++) {
        CHECK_FOR_INTERRUPTS();
        for_each_tail_row(rel, entry, page, [&](HeapTuple tuple) {
            const TransactionId xmin = HeapTupleHeaderGetXmin(tuple->t_data);
            if (xmin == known || !TransactionIdIsNormal(xmin) || !decided) return;
            decided = xid_state(xmin) != XidState::in_progress;
            known = xmin;
        });
    }
    return decided;
}

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

// ---------------------------------------------------------------------------------------------------------------- choosing

bool is_committed_segment(const DirectoryEntry &entry) {
    return entry.kind == static_cast<uint8>(EntryKind::segment) && xid_state(entry.xmin) == XidState::committed;
}

// Only what is older than the call moves, once: where holes are too small the new place is the end of the file again, and without
// that bound steps would move the same rows for ever.
bool must_move(const DirectoryEntry &entry, const SealRequest &request) {
    if (request.move_from == InvalidBlockNumber || !TransactionIdPrecedes(entry.xmin, request.made_before)) return false;
    bool reaches = false;
    for_each_extent(
        entry, [&](const format::Extent &extent) { reaches |= extent.first_block + extent.block_count > request.move_from; });
    return reaches && is_committed_segment(entry);
}

// A step leaves at most one segment that is not full, so merging comes to an end, however few rows the limit of bytes allows.
bool is_mergeable(const DirectoryEntry &entry, const SealRequest &request) {
    return entry.row_count < request.merge_rows_below && (entry.flags & format::kEntryFull) == 0 && is_committed_segment(entry);
}

// A log of so many pages is worth dropping for its own sake, whatever share of the rows it is about.
constexpr uint32 kLogPagesMany = 64;

// Whether so many rows of a segment are deleted for good, or its log is so long and so much of it void, that it is worth writing
// again. Asks the last page of the log first, all of it only then.
bool must_shed_rows(Relation rel, uint32 slot, const DirectoryEntry &entry, const SealRequest &request) {
    if (entry.log_pages == 0 || request.rewrite_share > 1 || !TransactionIdPrecedes(entry.xmin, request.made_before) ||
        !is_committed_segment(entry))
        return false;
    const double enough = Max(1.0, request.rewrite_share * entry.row_count);
    if (entry.log_pages < kLogPagesMany && rows_named_by_log(rel, slot, entry) < enough) return false;
    MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "historian delete log", ALLOCSET_SMALL_SIZES);
    const LogState log = settled_rows(rel, slot, entry, InvalidTransactionId, context);
    MemoryContextDelete(context);
    return log.settled.member_count >= enough || (entry.log_pages >= kLogPagesMany && log.done_count >= log.record_count / 2);
}

bool is_superseded_or_doubtful(const DirectoryEntry &entry) { return xid_state(entry.xmax) != XidState::aborted; }

CarriedSource source_of(uint32 slot, const DirectoryEntry &entry) {
    CarriedSource source = {};
    source.slot = slot;
    source.entry = entry;
    return source;
}

struct Candidate {
    CarriedSource source;
    bool alone;  // worth a step without any other
};

int compare_candidates(const void *a, const void *b) {
    const CarriedSource &left = static_cast<const Candidate *>(a)->source;
    const CarriedSource &right = static_cast<const Candidate *>(b)->source;
    if (left.entry.time_min != right.entry.time_min) return left.entry.time_min < right.entry.time_min ? -1 : 1;
    return left.slot < right.slot ? -1 : 1;
}

struct Choice {
    CarriedSource *sources;
    uint32 count;
    bool more;
    bool by_tag;  // the sources hold the same tags side by side
};

// Closed runs whose rows are decided, segments that must be written again, and small ones if there are enough of them; oldest
// times first.
Choice choose_sources(Relation rel, const Metapage &meta, const SealRequest &request) {
    uint32 room = 64;
    Candidate *found = static_cast<Candidate *>(palloc(sizeof(Candidate) * room));
    uint32 count = 0;
    for_each_entry(rel, meta, [&](uint32 slot, const DirectoryEntry &entry) {
        const bool closed_run = is_tail(entry) && (entry.flags & format::kEntryTailClosed) != 0;
        const bool alone = closed_run || must_move(entry, request) || must_shed_rows(rel, slot, entry, request);
        if (!alone && !is_mergeable(entry, request)) return;
        if (is_superseded_or_doubtful(entry)) return;
        if (count == room) {
            room *= 2;
            found = static_cast<Candidate *>(repalloc_huge(found, sizeof(Candidate) * room));
        }
        found[count] = Candidate{source_of(slot, entry), alone};
        found[count++].source.apart = alone && entry.level >= kLevelByTag;
    });
    qsort(found, count, sizeof(Candidate), compare_candidates);

    Choice choice = {static_cast<CarriedSource *>(palloc(sizeof(CarriedSource) * Max(count, 1))), 0, false, false};
    uint64 rows = 0;
    bool worth_it = false;
    for (uint32 i = 0; i < count; i++) {
        const DirectoryEntry &entry = found[i].source.entry;
        if (!found[i].alone && count < Max(request.merge_count_min, 2)) continue;
        if (is_tail(entry) && !run_is_decided(rel, entry)) continue;
        const uint64 source_rows =
            is_tail(entry) ? static_cast<uint64>(entry.used_pages) * format::kTailRowsMax / 2 : entry.row_count;
        if (choice.count > 0 && rows + source_rows > kStepRowsMax) {
            choice.more = true;
            break;
        }
        rows += source_rows;
        choice.sources[choice.count++] = found[i].source;
        worth_it = worth_it || found[i].alone || choice.count > 1;
    }
    // A small segment may be left alone when the run it would have gone with is not decided.
    if (!worth_it) choice.count = 0;
    return choice;
}

// By the prefixes that entries keep: too much overlap rather than too little.
int compare_prefixes(const uint8 *a, uint32 a_bytes, const uint8 *b, uint32 b_bytes) {
    const int order = memcmp(a, b, Min(a_bytes, b_bytes));
    return order != 0 ? order : static_cast<int>(a_bytes) - static_cast<int>(b_bytes);
}

int compare_first_tags(const void *a, const void *b) {
    const DirectoryEntry &left = static_cast<const CarriedSource *>(a)->entry;
    const DirectoryEntry &right = static_cast<const CarriedSource *>(b)->entry;
    return compare_prefixes(left.tag_first, left.tag_first_bytes, right.tag_first, right.tag_first_bytes);
}

int compare_last_times(const void *a, const void *b) {
    const CarriedSource *left = static_cast<const CarriedSource *>(a);
    const CarriedSource *right = static_cast<const CarriedSource *>(b);
    if (left->entry.time_max != right->entry.time_max) return left->entry.time_max < right->entry.time_max ? -1 : 1;
    return left->slot < right->slot ? -1 : 1;
}

// Keeps those whose range of tags meets another's, sorted by their first tags; how many.
uint32 keep_overlapping(CarriedSource *sources, uint32 count) {
    qsort(sources, count, sizeof(CarriedSource), compare_first_tags);
    bool *meets = static_cast<bool *>(palloc0(Max(count, 1)));
    uint32 furthest = 0;  // of those before, the one whose last tag is the last
    for (uint32 i = 1; i < count; i++) {
        const DirectoryEntry &before = sources[furthest].entry;
        const DirectoryEntry &entry = sources[i].entry;
        if (compare_prefixes(entry.tag_first, entry.tag_first_bytes, before.tag_last, before.tag_last_bytes) <= 0)
            meets[furthest] = meets[i] = true;
        if (compare_prefixes(entry.tag_last, entry.tag_last_bytes, before.tag_last, before.tag_last_bytes) > 0) furthest = i;
    }
    uint32 kept = 0;
    for (uint32 i = 0; i < count; i++) {
        if (meets[i]) sources[kept++] = sources[i];
    }
    pfree(meets);
    return kept;
}

// Loaded and sealed segments that hold the same tags, when there are enough of them; oldest last times first, so that late points
// do not pull a segment out of its time.
Choice choose_merge(Relation rel, const Metapage &meta, const SealRequest &request) {
    uint32 room = 64;
    CarriedSource *found = static_cast<CarriedSource *>(palloc(sizeof(CarriedSource) * room));
    uint32 count = 0;
    for_each_entry(rel, meta, [&](uint32 slot, const DirectoryEntry &entry) {
        if (request.by_tag_count_min == 0 || entry.level >= kLevelByTag || entry.row_count < request.merge_rows_below) return;
        if ((entry.flags & format::kEntryTagsUnknown) != 0 || !is_committed_segment(entry) || is_superseded_or_doubtful(entry))
            return;
        if (count == room) {
            room *= 2;
            found = static_cast<CarriedSource *>(repalloc_huge(found, sizeof(CarriedSource) * room));
        }
        found[count++] = source_of(slot, entry);
    });
    Choice choice = {found, 0, false, true};
    count = keep_overlapping(found, count);
    if (count < Max(request.by_tag_count_min, 2)) return choice;
    qsort(found, count, sizeof(CarriedSource), compare_last_times);
    uint64 rows = 0;
    while (choice.count < count && (choice.count < 2 || rows + found[choice.count].entry.row_count <= merge_rows_max()))
        rows += found[choice.count++].entry.row_count;
    choice.more = choice.count < count;
    return choice;
}

// ---------------------------------------------------------------------------------------------------------------- the swap

void supersede(Relation rel, const Choice &choice) {
    const TransactionId xid = GetCurrentTransactionId();
    const TransactionId free_after = ReadNextTransactionId();
    for (uint32 i = 0; i < choice.count; i++) {
        edit_entry(rel, choice.sources[i].slot, EditPurpose::supersede, InvalidTransactionId, [&](DirectoryEntry *entry) {
            entry->flags &= static_cast<uint8>(~format::kEntryDropped);
            entry->xmax = xid;
            entry->cmax = FirstCommandId;
            entry->free_after = free_after;
            return true;
        });
    }
    edit_metapage(rel, EditPurpose::supersede, [&](Metapage *meta) { meta->last_swap_xid = xid; });
}

// With the gate closed, carries over what has happened to the rows meanwhile and supersedes the sources. False when that must not
// be: a statement that deletes does not end, or a source was dropped.
bool swap(SealStep *step, const Choice &choice) {
    if (!close_gate(RelationGetRelid(step->rel))) return false;
    stop_point(StopPoint::seal_gate_closed);
    if (!carry_changes(step->rel, choice.sources, choice.count, step->segments, step->outcome.segments, step->context))
        return false;
    supersede(step->rel, choice);
    return true;
}

// The written segments are nobody's yet: their blocks are free again at once.
void give_up(SealStep *step) {
    for (uint32 i = 0; i < step->outcome.segments; i++) release_entry(step->rel, step->segments[i].slot, InvalidTransactionId);
    step->outcome = SealOutcome{};
    step->outcome.busy = true;
}

// Takes the sources one after the other; gives way to DDL by leaving the rest of them for another step.
void take_in_turn(SealStep *step, Choice *choice) {
    step->level = PG_UINT8_MAX;
    for (uint32 i = 0; i < choice->count; i++) {
        if (i > 0 && ddl_is_waiting(step->rel)) {
            choice->count = i;
            choice->more = true;
            break;
        }
        CarriedSource *source = &choice->sources[i];
        if (source->apart) finish_segment(step);
        // What was sorted by tag across segments is not any more when others come in.
        step->level = source->apart ? source->entry.level : Min(step->level, source->entry.level);
        begin_source(source, step->context);
        if (is_tail(source->entry))
            add_run(step, source);
        else
            add_segment(step, source);
        end_source(source);
        if (!source->apart) continue;
        finish_segment(step);
        step->level = PG_UINT8_MAX;
    }
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
    SealStep step = make_step(rel, context);
    if (choice.count > 0 && !gate_can_be_closed(RelationGetRelid(rel))) {
        // A statement that deletes is running: most probably it still will be when the work is done.
        choice.count = 0;
        step.outcome.busy = true;
    }
    if (choice.count > 0) {
        bool gives_way = false;
        if (choice.by_tag)
            gives_way = !merge_by_tag(&step, choice.sources, choice.count);
        else
            take_in_turn(&step, &choice);
        finish_segment(&step);
        stop_point(StopPoint::seal_built);
        if (gives_way || !swap(&step, choice)) {
            give_up(&step);
            choice.count = 0;
        }
        stop_point(StopPoint::seal_before_commit);
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
