// What becomes of deletions and row locks when rows move: the last step of seal and merge before the sources are superseded.
//
// While a step reads its sources and builds segments, others go on deleting. Rows whose deleter had committed when they were read
// were left out; what has happened to the others since, or was still in progress then, is found by a second look with the gate
// closed (nobody is inside, so it is the last word) and noted in the new segments' delete logs, under the same xid and command.
//
// Why that is right. Deleter T, mover X. T committed before the second look: T left the process array before X does, so a
// snapshot that sees X sees T. T is in progress: its own snapshots see what they saw, later commands see X and T's own record,
// T's rollback makes the record void like the stamp on the source.
#pragma once

#include "engine/server.h"
//
#include "engine/delete_log.h"

namespace historian::engine {

/// Rows that were taken from a source one after the other: the source's n-th row taken became the step's arrival-th.
struct TakenRun {
    uint32 n;
    uint32 arrival;  // a step has far fewer rows than would not fit
};

/// A source of a step and the rows that were taken from it, in order.
struct CarriedSource {
    uint32 slot;
    format::DirectoryEntry entry;  // as chosen
    bool apart;                    // its rows stay a segment of their own
    RowSet taken;                  // of a segment: its rows; of a run: tail_place() of its rows
    uint32 *taken_before;          // per word of `taken`: rows in the words before it
    uint32 taken_count;
    TakenRun *runs;  // ascending
    uint32 run_count;
    uint32 run_room;
    MemoryContext context;
};

/// The number of a tail row within its run.
constexpr uint32 tail_place(uint32 page_index, OffsetNumber offset) noexcept { return page_index * 256 + offset; }
static_assert(format::kTailRowsMax < 256);

/// A segment that the step wrote.
struct WrittenSegment {
    uint32 slot;
    uint64 first_taken;  // which of the step's rows it begins with
    uint32 row_count;
    uint32 *row_of_arrival;
};

/// Prepares a source: nothing taken yet.
void begin_source(CarriedSource *source, MemoryContext context);

/// Notes that `count` adjacent rows from a place on, behind all places before, become the step's arrival-th and following.
void take_rows(CarriedSource *source, uint32 place, uint32 count, uint64 arrival);

/// All rows are taken.
void end_source(CarriedSource *source);

/// Whether a tail row, whose inserter is known to be over, is to be taken: it was inserted, and not deleted by one who committed.
bool tail_row_lives(HeapTupleHeader tuple);

/// Notes in the written segments' logs what has happened to the taken rows. The gate is closed.
///
/// returns  false when a source is not in force any more: the step must be given up
bool carry_changes(Relation rel, const CarriedSource *sources, uint32 source_count, const WrittenSegment *segments,
                   uint32 segment_count, MemoryContext context);

}  // namespace historian::engine
