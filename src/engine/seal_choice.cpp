#include "engine/seal_choice.h"

#include "engine/delete_log.h"
#include "engine/segment_store.h"
#include "engine/tail.h"
#include "engine/visibility.h"

namespace historian::engine {

using format::DirectoryEntry;
using format::EntryKind;
using format::Metapage;

bool is_committed_segment(const DirectoryEntry &entry) {
    return entry.kind == static_cast<uint8>(EntryKind::segment) && xid_state(entry.xmin) == XidState::committed;
}

bool is_superseded_or_doubtful(const DirectoryEntry &entry) { return xid_state(entry.xmax) != XidState::aborted; }

namespace {

// One transaction takes sources of about four full segments, so that it ends within seconds (rule R10).
constexpr uint64 kStepRowsMax = 4 * static_cast<uint64>(format::kSegmentRowsMax);

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
    return entry.level == 0 && entry.row_count < request.merge_rows_below && (entry.flags & format::kEntryFull) == 0 &&
           is_committed_segment(entry);
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

}  // namespace

Choice choose_sources(Relation rel, const Metapage &meta, const SealRequest &request) {
    uint32 room = 64;
    Candidate *found = static_cast<Candidate *>(palloc(sizeof(Candidate) * room));
    uint32 count = 0;
    uint32 joining = 0;  // those that go into segments together
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
        // What is large stays by itself: joined with others it would be cut in the middle of their times, and lie over them.
        found[count].source.apart = alone && !closed_run && !is_mergeable(entry, request);
        joining += found[count++].source.apart ? 0 : 1;
    });
    qsort(found, count, sizeof(Candidate), compare_candidates);

    Choice choice = {};
    choice.sources = static_cast<CarriedSource *>(palloc(sizeof(CarriedSource) * Max(count, 1)));
    uint64 rows = 0;
    bool worth_it = false;
    for (uint32 i = 0; i < count; i++) {
        const DirectoryEntry &entry = found[i].source.entry;
        if (!found[i].alone && joining < Max(request.merge_count_min, 2)) continue;
        if (is_tail(entry) && !run_is_decided(rel, entry)) continue;
        const uint64 source_rows = is_tail(entry) ? rows_of_run(rel, entry) : entry.row_count;
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

// Rows may be wide, and whoever waits for the maintenance lock waits for all of them (rule R10).
static constexpr uint32 kRepackedMax = 4;

Choice choose_repack(Relation rel, const Metapage &meta, const SealRequest &request) {
    Choice choice = {};
    if (!request.repack) return choice;
    choice.sources = static_cast<CarriedSource *>(palloc(sizeof(CarriedSource) * kRepackedMax));
    uint64 rows = 0;
    for_each_entry(rel, meta, [&](uint32 slot, const DirectoryEntry &entry) {
        if (choice.more || is_packed_hard(entry) || !is_committed_segment(entry) || is_superseded_or_doubtful(entry) ||
            !TransactionIdPrecedes(entry.xmin, request.made_before))
            return;
        choice.more = choice.count == kRepackedMax || (choice.count > 0 && rows + entry.row_count > kStepRowsMax);
        if (choice.more) return;
        rows += entry.row_count;
        choice.sources[choice.count] = source_of(slot, entry);
        choice.sources[choice.count++].apart = true;
    });
    return choice;
}

}  // namespace historian::engine
