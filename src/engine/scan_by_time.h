// Reading a table in order of time, in either direction, without a sort: what log tables are read by.
//
// A segment's granules are sorted by time, a tail page's few rows are sorted when it is opened, and each of them is known by its
// earliest and latest time before it is opened. So the rows come from a heap of *parts*: segments, granules and tail pages, each
// under the first time that it can give. Taken from the heap, a segment is replaced by its granules, a part that was not opened
// yet is opened and put back under the time of its first row, and one that is open gives rows until another part is first. Parts
// whose times nobody asks for, because a LIMIT ends the query before, are never opened. Records arrive nearly in order, so that
// one or two parts are open at a time.
//
// Invariants:
//   1. Rows have a total order: (time, part, place in the part); a NULL counts as -infinity. Both directions follow it, so that
//      a cursor can turn around anywhere: the heap is made again, without what lies behind the cursor.
//   2. A part is never opened before the row that is given next is known to be in it or beside it in time.
#pragma once

#include "engine/scan_state.h"

namespace historian::engine {

/// The state of such a scan, in the scan's memory.
struct TimeMerge;
TimeMerge *make_time_merge(TableScan *scan);

/// The next row in the direction of falling or rising time into a row slot; false at the end of that direction.
bool next_row_by_time(TimeMerge *merge, bool descending, TupleTableSlot *slot);

/// Starts again from the beginning with the scan's items as they are now.
void restart_time_merge(TimeMerge *merge);

/// Unpins what is pinned.
void end_time_merge(TimeMerge *merge);

}  // namespace historian::engine
