// Reading a table: the visible entries, then tail pages row by row and segments granule by granule.
//
// Two readers use it: the table access method's plain scan, which wants everything, and the planner's node, which says what can
// be skipped. A filter only skips: rows that do not match may still come and are re-checked by the caller.
//
// Invariants:
//   1. The list of entries and the number of tail pages are fixed when the scan starts (rule R20), so a statement never chases
//   its own rows.
//   2. A visible entry's blocks are not reused while the snapshot lives (rule R5), so pages are read without holding anything in
//   between.
//   3. In a parallel scan each slot number is claimed by exactly one process; whether the entry there is visible follows from the
//   shared
//      snapshot alone, so no row is read twice or not at all, however the directory changes meanwhile.
#pragma once

#include "engine/server.h"
//
#include "engine/key_conditions.h"
#include "engine/pages.h"
#include "engine/value_key.h"
#include "search/query.h"

namespace historian::engine {

/// A tag that a query asks for; see tag_bytes() and tag_fingerprint().
struct TagFilter {
    const std::byte *data;
    uint32 byte_count;
    uint16 fingerprint;
};

/// The order in which rows come.
enum class ScanOrder : uint8 {
    stored,  // whatever is quickest: run after run, segment after segment
    newest_first,
    oldest_first,
    by_tag,  // tag tables: as the filter's TagOrder says
};

/// The order of rows by tag, in memcmp order of tag bytes, then time. All false: as segments are sorted.
struct TagOrder {
    bool tags_descend;
    bool null_tags_last;
    bool times_descend;
    bool null_times_last;
};

/// That of a scan which nobody tells otherwise: log tables are read newest first.
ScanOrder default_order(Relation rel);

/// text @@ search_query: the rows that cannot match are passed over.
struct RowSearch {
    uint32 column;  // from 0
    const search::Query *query;
};

/// A range of a column of numbers; rows outside, and NULLs, are passed over. The numbers are keys (value_key()): of floats such
/// that sort as PostgreSQL does.
struct ValueFilter {
    uint32 column;    // from 0
    NumberKind kind;  // of the column's type, under domains; segments may have stored it as integers of its width
    int64 low;        // inclusive, both
    int64 high;
};

/// What a scan may skip, and the order that is wanted. A parallel scan has no order.
struct ScanFilter {
    ScanOrder order;
    TagOrder tag_order;  // of ScanOrder::by_tag
    bool by_time;
    int64 time_min;  // both ends inclusive, in the unit of the time column's type; empty range: time_min > time_max
    int64 time_max;
    bool by_tag;
    const TagFilter *tags;  // sorted by bytes (memcmp, then length), distinct; none: no row can match
    uint32 tag_count;
    bool by_tag_range;         // not with by_tag; a NULL tag is in no range
    TagFilter tag_low;         // inclusive; fingerprints of bounds mean nothing
    TagFilter tag_high;        // exclusive; data == nullptr: there is no end
    const KeyCondition *keys;  // on other columns; all must hold
    uint32 key_count;
    const RowSearch *searches;  // all must match; row_is_certain() says of which rows that need not be looked at again
    uint32 search_count;
    const ValueFilter *values;  // all must hold
    uint32 value_count;
    bool tail_only;              // no segment is wanted
    const bool *needed_columns;  // one a column of the table, or nullptr for all; columns that are not needed read as NULL
};

/// What a scan read and skipped, for EXPLAIN.
struct ScanCounters {
    uint64 segments_read;
    uint64 segments_skipped;
    uint64 granules_read;
    uint64 granules_skipped;
    uint64 granules_summarized;  // answered from their statistics, not counted as read
    uint64 tail_pages_read;
    uint64 tail_pages_skipped;
    uint64 skipped_by_keys[kCountedConditionsMax];  // of granules_skipped: by the filter's conditions one by one
};

/// Shared state of a parallel scan, in dynamic shared memory.
struct ParallelScan {
    ParallelTableScanDescData base;  // must be first
    pg_atomic_uint32 next_slot;
    uint32 slot_limit;
};

struct TableScan;

/// filter: nullptr for everything; it, its tags and its columns must live as long as the scan. parallel: nullptr, or shared
/// state.
TableScan *begin_scan(Relation rel, Snapshot snapshot, const ScanFilter *filter, ParallelScan *parallel);

/// The next row in a direction (ForwardScanDirection or BackwardScanDirection) into a row slot; false and an empty slot at the
/// end.
bool next_row(TableScan *scan, ScanDirection direction, TupleTableSlot *slot);

/// Of a scan by tag: the next row is to be the first one of the tag behind that of the row that was given last.
void skip_tag(TableScan *scan);

/// Starts again from the beginning; the filter may have been changed by its owner.
void restart_scan(TableScan *scan);

void end_scan(TableScan *scan);

/// Whether the row that was given last matches all searches of the filter for sure.
bool row_is_certain(const TableScan *scan);

const ScanCounters &scan_counters(const TableScan *scan);

/// Prepares shared state; leader only.
void initialize_parallel_scan(Relation rel, ParallelScan *parallel);

/// Puts the row with this TID into the slot, materialised, if it exists and the snapshot sees it; slot: nullptr to ask only that.
bool fetch_row(Relation rel, ItemPointer tid, Snapshot snapshot, TupleTableSlot *slot);

/// Whether some row could ever have had this TID.
bool tid_is_possible(Relation rel, ItemPointer tid);

/// Estimates for the planner: blocks of the file and rows that a scan would return.
void estimate_size(Relation rel, int32 *attr_widths, BlockNumber *pages, double *rows);

/// What a scan with a filter would read, judged by the directory alone.
struct ScanEstimate {
    double segments;    // that the filter leaves
    double tail_pages;  // of all tail runs; with a filter a tenth of them: most are passed over after a glance
    double pages;       // pages of segments that would be read if every column were needed, in runs
    double tail_rows;   // about how many rows all tail runs have
    double tags;        // that are asked for one by one; 0: all, or a range
    double matching;    // rows that the conditions on tags and times leave, as far as the filter tells
    double rows;        // rows that would be looked at one by one: those of granules and tail pages that the filter leaves
    int64 time_min;     // of the segments that the filter leaves, within the filter's times; min > max: of none
    int64 time_max;
};

/// What the filter does not say but execution will know: shares of the rows that conditions with values still unknown leave.
struct UnknownFilter {
    double tag_count;   // expected number of tags asked for; 0: no such condition
    double time_share;  // 0 to 1; 1: no such condition
};

/// About how many tags the table has. What segments share is guessed from how their ranges of tags overlap.
double estimate_tags(Relation rel);

ScanEstimate estimate_scan(Relation rel, const ScanFilter &filter, const UnknownFilter &unknown);

}  // namespace historian::engine
