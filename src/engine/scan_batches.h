// Reading a table in batches, for aggregates: rows of a granule as columns, rows of the tail one by one.
//
// Unlike a scan by rows, which gives more rows than its filter asks for and leaves it to the caller to look at each again, this
// one gives exactly the rows that the filter's tags and times say. What the filter says of other columns and searches only skips.
#pragma once

#include "engine/row.h"
#include "engine/scan_search.h"
#include "format/granule_statistics.h"

namespace historian::engine {

/// Rows of one tag, in the order of time: those without a time first.
struct RowBatch {
    Granule *granule;      // nullptr: one row of the tail, in the slot
    RowSpan rows;          // of the granule; those that are deleted included
    uint32 no_time_count;  // the first so many of them have no time
    bool is_whole;         // they are all of the granule's, and none is deleted: its statistics are theirs
    bool has_deleted;      // batch_has_row() tells
    bool has_searches;     // found_rows() tells
    bool tag_is_null;
    TagBytes tag;  // of tables with tags, if it is wanted; it lives until the next batch
};

/// Opaque; lives in the memory context that was current when it was begun.
struct BatchScan;

/// In which order segments are read, as far as their rows do not overlap; a parallel scan has no order.
enum class BatchOrder : uint8 { stored, newest_first, oldest_first };

/// filter, parallel   as of begin_scan(); the filter's order must be that of storage. Its times may become narrower between two
///                    batches: the next one is of these.
/// wants_tags         whether the batches' tags will be asked for
BatchScan *begin_batches(Relation rel, Snapshot snapshot, const ScanFilter *filter, ParallelScan *parallel, bool wants_tags);

/// The next batch; false at the end.
///
/// slot   a row slot, for rows of the tail
bool next_batch(BatchScan *scan, TupleTableSlot *slot, RowBatch *batch);

/// Whether a row of the batch's granule is not deleted.
bool batch_has_row(const BatchScan *scan, const RowBatch &batch, uint32 row);

/// What the filter's searches leave of the batch's granule.
const FoundRows &found_rows(const BatchScan *scan);

/// The statistics of a column (from 0) of the batch's granule, as numbers of a kind; nullptr when there are none. They live until
/// the next batch.
const format::GranuleStatistics *batch_statistics(BatchScan *scan, const RowBatch &batch, uint32 column,
                                                  format::PhysicalKind kind);

/// For EXPLAIN: the batch, which was whole, was answered without decoding its granule.
void count_as_summarized(BatchScan *scan);

/// Before the first batch, and before it after each restart.
void order_batches(BatchScan *scan, BatchOrder order);

void restart_batches(BatchScan *scan);
void end_batches(BatchScan *scan);
const ScanCounters &batch_counters(const BatchScan *scan);

}  // namespace historian::engine
