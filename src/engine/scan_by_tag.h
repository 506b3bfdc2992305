// Reading a table in order of tag and time, in any direction of either and with NULLs at either end, without a sort: what tag
// tables are read by when a query wants that order, or one row of each tag.
//
// Tag by tag: the sources that have it, segments and rows of the tail, are merged by time. A heap of all sources by the tag at
// which they stand tells which tag is next; a heap of those that have it, by time, which row is. Segments enter the first heap
// under what the directory says of their tags, and are opened when their turn comes. Of a tag, a segment enters the second heap
// under the time of its first granule, which is decoded when its turn comes. So with LIMIT, or when only the first row of each
// tag is wanted, granules whose rows nobody asks for are never decoded, and of tags that lie apart in time one granule is open.
//
// When one tag is asked for, nothing is opened before its time has come: segments and tail pages wait under their times.
// Else the tail is read as a whole and sorted, 24 bytes a row.
//
// Invariants:
//   1. Rows have a total order: (tag, time, source, place in the source). Both directions follow it, so that a cursor can turn
//      around anywhere: everything begins again, in the other direction, behind the row that was given last.
//   2. Each source is in one of three places: the heap of tags, the list of those that have the current tag, or nowhere, done.
#pragma once

#include "engine/scan_state.h"

namespace historian::engine {

/// The state of such a scan, in the scan's memory. The scan has a filter.
struct TagMerge;
TagMerge *make_tag_merge(TableScan *scan);

/// The next row forwards or backwards; false at the end of that direction.
bool next_row_by_tag(TagMerge *merge, bool backward, TupleTableSlot *slot);

/// The next row is one of another tag.
void skip_to_next_tag(TagMerge *merge);

/// Starts again from the beginning with the scan's items as they are now.
void restart_tag_merge(TagMerge *merge);

}  // namespace historian::engine
