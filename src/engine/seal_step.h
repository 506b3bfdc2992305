// One step of seal or merge in the making: rows go in, segments come out. Shared by seal.cpp, which takes sources one after the
// other, and seal_merge.cpp, which takes them tag by tag.
#pragma once

#include "engine/server.h"
//
#include "engine/granule.h"
#include "engine/pages.h"
#include "engine/seal.h"
#include "engine/seal_carry.h"
#include "engine/segment_shape.h"
#include "engine/segment_store.h"

namespace historian::engine {

struct SealStep {
    Relation rel;
    TupleDesc desc;
    KeyColumns keys;
    MemoryContext context;          // the step
    MemoryContext segment_context;  // the segment being built
    MemoryContext source_context;   // the page or granule being read
    SegmentShape shape;
    format::Cell *cells;
    Datum *values;  // the row to add next: desc->natts of them
    bool *nulls;
    Arena *arena;
    format::SegmentBuilder *builder;
    uint8 level;             // of the segments written
    BlockNumber place_from;  // where they lie, or beyond
    bool within_tag;         // the row to add next is not the first of its tag
    bool tag_goes_on;        // that was so for the first row in the builder
    bool stays_full;         // what is being written is a full segment, moved: full by the limits of its time
    CarriedSource *carried;  // where the rows came from: a source may be here once for each window of time
    uint32 carried_count;
    WrittenSegment *segments;
    uint32 segment_room;
    uint64 next_ddl_check;  // of a merge: outcome.rows at which to ask
    bool gives_way;         // DDL waits: the step is to be given up
    uint64 rows_stored;     // of outcome.rows those that came from the tail
    SealOutcome outcome;
};

SealStep make_step(Relation rel, MemoryContext context);

/// Adds the row in values and nulls, which is at this place of its source; writes a segment when the builder is full.
void add_row(SealStep *step, CarriedSource *source, uint32 place);

/// Adjacent rows of one tag in an open granule whose columns can be copied as they are (see copied_columns()).
struct GranuleRows {
    const Granule *granule;
    std::span<const format::ColumnVector *const> columns;
    format::Cell tag;
    uint32 first;  // in the granule
    uint32 count;
};

/// Adds them, as add_row() would one by one, all but the first within their tag.
void add_rows(SealStep *step, CarriedSource *source, const GranuleRows &rows);

/// The decoded columns of an open granule, one a column of the table, in `columns` (desc->natts of them). False when one of them
/// is not in the segment: it was added later.
bool copied_columns(Granule *granule, const format::ColumnVector **columns);

/// Rows in the builder.
uint32 rows_in_builder(const SealStep &step);

/// Writes what the builder holds, if anything, as a segment.
void finish_segment(SealStep *step);

/// Whether another session waits for the table exclusively, and everybody else behind it (rule R10).
bool ddl_is_waiting(Relation rel);

}  // namespace historian::engine
