// Which rows of a table are its oldest: found by number, or by the blocks that they take.
//
// The table is cut into pieces with a first and a last time and a count: a segment, as its directory entry and delete log tell;
// or, where the answer lies in it, its granules; and stretches of tail rows. Only where it lies in a granule its times are
// decoded. So the oldest half of a table that came in order is found from its directory and one granule.
//
// Invariants:
//   1. The caller is inside the gate, and the active snapshot is newer than its coming in (rule R8), until it has deleted the
//      rows: so what was counted is what is deleted, but for rows that others delete meanwhile.
//   2. Rows without a time are neither counted nor ever among the oldest.
#pragma once

#include "engine/server.h"

namespace historian::engine {

/// The oldest rows: all whose time is before `time`, and `tie_count` of those whose time it is, in the order in which scans find
/// them. In the unit of the time column's type.
struct OldestRows {
    int64 time;
    uint64 tie_count;
    uint64 row_count;  // of both
};

/// The one of two that takes more.
inline OldestRows more_of(const OldestRows &a, const OldestRows &b) {
    const bool takes_b = b.time > a.time || (b.time == a.time && b.tie_count > a.tie_count);
    return takes_b ? b : a;
}

/// A table's rows by their times; see rows_by_time().
struct RowsByTime;

/// Counts what the active snapshot sees; everything lives in memory of `context`.
RowsByTime *rows_by_time(Relation rel, MemoryContext context);

/// All rows that have a time.
uint64 row_count_of(const RowsByTime *rows);

/// The bytes of the blocks in force: of segments, by the share of their rows that is not deleted; of the tail; of the directory
/// and the map, which no deletion makes smaller. Not those of free blocks and of what only old snapshots need.
uint64 byte_count_of(const RowsByTime *rows);

/// The oldest `count` rows; all when there are fewer.
OldestRows oldest_by_count(RowsByTime *rows, uint64 count);

/// As many of the oldest as take at least `byte_count` bytes, and no more.
OldestRows oldest_by_bytes(RowsByTime *rows, uint64 byte_count);

/// Those whose time is before `bound`.
OldestRows oldest_before(RowsByTime *rows, int64 bound);

}  // namespace historian::engine
