// The inside of a scan, shared by scan.cpp (rows as they are stored), scan_by_time.cpp (in order of time), scan_by_tag.cpp,
// tag_source.cpp and tail_rows.cpp (in order of tag and time), scan_tail.cpp, scan_sample.cpp (ANALYZE and TABLESAMPLE) and
// scan_estimate.cpp (the planner's question). Nobody else includes it.
#pragma once

#include "engine/delete_log.h"
#include "engine/granule.h"
#include "engine/scan.h"
#include "engine/space.h"

namespace historian::engine {

/// An entry that the scan will read.
struct ScanItem {
    uint32 slot;
    format::DirectoryEntry entry;
};

/// Segments whose parsed index a scan keeps when it is started again: a nested loop comes back to the same few, and parsing an
/// index takes several times as long as reading the rows of one tag. A scan that is never restarted keeps one.
inline constexpr uint32 kSegmentsKeptMax = 32;
inline constexpr Size kSegmentsKeptBytesMax = 8 * 1024 * 1024;

struct KeptSegment {  // all zeros: free
    OpenSegment segment;
    RowSet deleted;         // for the scan's snapshot
    MemoryContext context;  // holds its index and those rows
    uint64 last_use;
};

struct SummaryReader;
struct TimeMerge;
struct TagMerge;

/// Possible rows of a granule that are so few that they are decoded without the others.
inline constexpr uint32 kFewRowsMax = 1024;

struct SegmentSearches;
struct FoundRows;

struct TableScan {
    Relation rel;
    Snapshot snapshot;
    const ScanFilter *filter;
    ParallelScan *parallel;
    KeyColumns keys;
    bool is_empty;  // the table has no metapage
    bool times_may_be_null;
    ScanOrder order;
    TimeMerge *by_time;  // in order of time: scan_by_time.h
    TagMerge *by_tag;    // in order of tag and time: scan_by_tag.h
    format::Metapage meta;
    MemoryContext context;         // the scan
    MemoryContext list_context;    // the items; reset by restart
    MemoryContext choice_context;  // the chosen granules of the current segment
    ScanCounters counters;
    uint8 *fingerprints;  // a bit for each fingerprint of the filter's tags, or nullptr without tags

    ScanItem *items;  // unless parallel
    uint32 item_count;
    int64 item_index;  // the current item: -1 before the first
    ScanItem claimed;  // parallel: the current item
    bool in_item;

    // A tail run.
    SummaryReader *summaries;  // nullptr until one is read
    uint32 page_index;
    Buffer tail_buffer;  // pinned while its rows are being returned
    HeapTupleData tail_tuple;
    OffsetNumber visible[format::kTailRowsMax];
    int visible_count;
    int visible_index;

    // A segment.
    OpenSegment segment;  // the current one; index == nullptr: none. Its memory is in `kept`.
    RowSet deleted;       // of its rows
    KeptSegment kept[kSegmentsKeptMax];
    uint64 segment_uses;
    bool was_restarted;
    uint32 *granules;  // chosen ones, ascending
    uint32 granule_count;
    int64 granule_index;
    Granule *granule;
    uint32 row_first;  // rows [row_first, row_end) of the granule are wanted
    uint32 row_end;
    int64 row_index;
    SegmentSearches *searches;  // of the current segment
    FoundRows *found;           // in the granule
    bool row_is_certain;
};

/// Whether the filter's times and [time_min, time_max] have one in common.
bool times_overlap(const ScanFilter &filter, int64 time_min, int64 time_max);

/// Whether an entry, which keeps only prefixes of its first and last tag, may hold this one.
bool entry_may_hold(const format::DirectoryEntry &entry, const TagFilter &tag);

/// Whether a segment may hold rows that the filter wants.
bool segment_may_match(const ScanFilter &filter, const format::DirectoryEntry &entry);

/// Fills the items with the visible entries that the filter does not skip.
void list_items(TableScan *scan);

/// The next item in a direction, or nullptr; then enter_tail() or enter_segment(), by its kind.
const ScanItem *next_item(TableScan *scan, bool forward);

/// Turns to a tail run, whose rows next_tail_row() then gives; false at its end.
void enter_tail(TableScan *scan, const ScanItem &item, bool forward);
bool next_tail_row(TableScan *scan, const ScanItem &item, bool forward, TupleTableSlot *slot);

/// Turns to a segment: opens it and chooses `granules`, of which `granule_index` is the one before the first.
void enter_segment(TableScan *scan, const ScanItem &item, bool forward);

// ------------------------------------------------------------------------------------------------ tails (scan_tail.cpp)

/// Prepares for the filter's tags, whenever they change.
void build_fingerprints(TableScan *scan);

/// Forgets the summary page that was read last: a newer copy of its entry tells of newer summaries.
void forget_summaries(TableScan *scan);

/// The earliest and the latest time of a tail page's rows, NULLs left out; min > max when there is none.
void page_times(TableScan *scan, const ScanItem &item, uint32 page_index, int64 *time_min, int64 *time_max);

/// Whether a tail page need not be looked at: its summary says that it has nothing the filter wants.
bool summary_excludes(TableScan *scan, const ScanItem &item, uint32 page_index);

/// Pins a tail page of an entry and collects its visible rows; false when the filter skips the page.
bool open_tail_page(TableScan *scan, const ScanItem &item, uint32 page_index);

/// Unpins the tail page, if any.
void close_tail_page(TableScan *scan);

/// The row at `visible[index]` of the pinned page, into the slot; its time, of NULL the earliest.
void store_visible_row(TableScan *scan, int index, TupleTableSlot *slot);
int64 visible_row_time(TableScan *scan, int index, TupleDesc desc);

/// The tag and the time of that row; they point into the page.
struct RowKeys {
    Datum tag;
    Datum time;
    bool tag_is_null;
    bool time_is_null;
};
RowKeys visible_row_keys(TableScan *scan, int index, TupleDesc desc);

/// The row at this offset of the pinned page, into the slot.
void store_tail_row_at(TableScan *scan, OffsetNumber offset, TupleTableSlot *slot);

// ------------------------------------------------------------------------------------------------------------- segments

/// The granules that the filter's times and its conditions on other columns leave, as a set of bits; nullptr: all.
uint64 *granules_by_filter(TableScan *scan, const OpenSegment &segment, MemoryContext context);
inline bool has_granule(const uint64 *set, uint32 granule) { return ((set[granule / 64] >> (granule % 64)) & 1) != 0; }

/// The positions of a segment's tags, NULL left out, that the filter's range of tags leaves.
struct TagPositions {
    uint32 begin;
    uint32 end;
};
TagPositions positions_in_range(const TableScan *scan, const OpenSegment &segment);

/// Rows [first, end) of a granule.
struct RowSpan {
    uint32 first;
    uint32 end;
};

/// The rows that the filter leaves if it asks for one tag, or the granule has only one: these lie together, and their times
/// ascend.
RowSpan wanted_rows(const TableScan *scan, Granule *granule);

/// Opens the item's segment unless it is open already.
void use_segment(TableScan *scan, const ScanItem &item);

}  // namespace historian::engine
