// The tail: fresh rows, one by one, on pages of a tail run until they are sealed.
//
// A run is a directory entry with up to eight extents that double in size, so that a table with ten rows takes few pages and one
// with a million rows few entries. At any time a run has at most one open page, its newest: opening the next page closes the one
// before, in one WAL record. So "is this page closed?", asked under the page's exclusive lock, decides whether a row may go there
// (rule R2).
//
// The states of a run
//     open      entry without kEntryTailClosed; rows go to its last used page
//     closed    entry with kEntryTailClosed, last page closed: no row is ever added; waits to be sealed
//     sealed    xmax is set: the rows live in a segment; old snapshots still read the run
#pragma once

#include "engine/server.h"
//
#include "engine/pages.h"
#include "engine/wal.h"

#include <iterator>
#include <numeric>

namespace historian::engine {

/// Pages of a run's extents, one after the other; a table of few rows has a tail of one page.
inline constexpr uint32 kTailExtentPages[] = {1, 3, 12, 32, 72, 200, 600, 1120};
static_assert(std::size(kTailExtentPages) == format::kEntryExtentsMax);

/// Of a whole run: about 200,000 narrow rows, 16 MB.
inline constexpr uint32 kTailRunPagesMax = std::accumulate(std::begin(kTailExtentPages), std::end(kTailExtentPages), 0u);
static_assert(kTailRunPagesMax == 2040);

/// Adds rows to the tail; each tuple's t_self becomes its TID. Rows that no tail page takes must not be passed
/// (kTailRowBytesMax).
void append_rows(Relation rel, const TailRow *rows, int row_count, CommandId cid);

/// About how many rows a run has, dead ones included: as if all its pages were like the first.
uint64 rows_of_run(Relation rel, const format::DirectoryEntry &entry);

/// Called when rows have filled a run, which can be sealed once their transaction is over; nullptr: nobody wants to know.
extern void (*on_full_run)();

/// Closes an open run; false when it is closed already, has no rows, or is no tail any more.
bool close_tail_run(Relation rel, uint32 slot);

}  // namespace historian::engine
