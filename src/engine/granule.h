// One granule of a segment, decoded column by column as its values are asked for.
#pragma once

#include "engine/server.h"
//
#include "engine/pages.h"
#include "engine/segment_store.h"

namespace historian::engine {

/// One decoded column, with Datums made for those values that are passed by reference.
struct GranuleColumn {  // all zeros: not loaded yet
    bool loaded;
    bool is_missing;  // the segment does not store it: every row has missing_value
    bool missing_is_null;
    Datum missing_value;
    bool is_partial;  // of the few rows alone
    bool chunk_is_read;
    format::OpenChunk chunk;
    format::ColumnVector vector;
    Datum *entry_datums;  // one an entry of the vector, 0 = not made yet; nullptr for numbers
    bool *entry_made;
};

struct Granule {
    Relation rel;
    TupleDesc desc;
    KeyColumns keys;
    const OpenSegment *segment;
    uint32 number;
    format::Granule about;
    MemoryContext parent;   // of the granule itself
    MemoryContext context;  // all that is decoded; reset by open_granule()
    Arena arena;            // in the context
    const uint32 *few;      // if not nullptr: columns are decoded for these rows alone
    uint32 few_count;
    GranuleColumn *columns;  // desc->natts of them
};

/// What becomes of a granule's memory when another one is opened: kept for that one (1 MB of address space or more), or given
/// back.
enum class GranuleMemory { kept, given_back };

/// Memory for granules of a table; `parent` owns it. desc: the rows' shape as the reader sees it.
Granule *make_granule(Relation rel, TupleDesc desc, const KeyColumns &keys, MemoryContext parent,
                      GranuleMemory memory = GranuleMemory::kept);

/// Reads on as rows of another shape: ALTER TABLE reads with the descriptor of before. Values taken so far are gone.
void reshape_granule(Granule *granule, TupleDesc desc);

/// Only these rows will be asked for, ascending, until the next open_granule(); the numbers must live as long.
inline void read_few_rows(Granule *granule, const uint32 *rows, uint32 count) {
    granule->few = rows;
    granule->few_count = count;
}

/// Turns to a granule; values taken from the one before are gone.
void open_granule(Granule *granule, const OpenSegment *segment, uint32 number);

/// A column (from 0), decoded; it lives until the next open_granule().
const GranuleColumn &granule_column(Granule *granule, int column);

/// Adjacent rows of a column of numbers.
struct NumberRows {
    format::PhysicalKind kind;
    const int64 *numbers;  // one a row; a NULL's is some number
    const uint8 *nulls;    // one byte a row, 1 = NULL; nullptr when no row is NULL
    uint32 row_count;
};

/// Rows [first, end) of a column (from 0) whose type is passed by value and is not the tag; they live until the next
/// open_granule().
NumberRows number_rows(Granule *granule, int column, uint32 first, uint32 end);

/// The same for rows [first, end).
void read_row_span(Granule *granule, uint32 first, uint32 end);

/// The chunk of a column that its segment has.
format::OpenChunk *granule_chunk(Granule *granule, int column);

/// The value of a column (from 0) in a row (from 0, within the granule); it lives until the next open_granule().
void granule_value(Granule *granule, int column, uint32 row, Datum *value, bool *is_null);

/// The times of a granule's rows, for narrowing to a time range; nullptr when some are NULL.
const int64 *granule_times(Granule *granule);

}  // namespace historian::engine
