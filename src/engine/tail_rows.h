// Rows of the tail in order of tag and time, by their addresses: 24 bytes a row, the rows stay on their pages. Tags that rows
// share are kept once.
#pragma once

#include "engine/scan_state.h"
#include "engine/tag_order.h"

namespace historian::engine {

struct TailAddress {
    int64 time;
    uint32 tag;  // its place among the tags
    uint32 item;
    uint32 page;
    OffsetNumber offset;
    bool time_is_null;
};
static_assert(sizeof(TailAddress) == 24);

struct TailRows {  // all zeros: none
    TagKey *tags;  // sorted as in segments: NULL first
    uint32 *ends;  // one a tag: where its rows end
    uint32 tag_count;
    TailAddress *rows;  // sorted by tag, time (NULL first), address
    uint32 row_count;
};

/// Collects rows; all zeros: empty. Everything is in memory of `context`.
struct TailCollector;
TailCollector *start_collecting(TableScan *scan, TupleDesc desc, MemoryContext context);

/// Adds the visible rows of one page that the filter leaves.
void collect_tail_page(TailCollector *collector, uint32 item, uint32 page);

TailRows sort_collected(TailCollector *collector);

}  // namespace historian::engine
