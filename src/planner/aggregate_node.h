// The inside of HistorianAggregate, shared by aggregate_exec.cpp and aggregate_rows.cpp. Nobody else includes it.
#pragma once

#include "planner/aggregate.h"
#include "planner/row_codes.h"
#include "planner/wanted_buckets.h"

namespace historian::planner {

/// Rows of a granule that are grouped by other columns than the tag: their codes, and their numbers in the order of these.
struct GroupedRows {
    RowCodes codes;
    NullableDatum *key;                      // one a column
    Group *groups[format::kGranuleRowsMax];  // one a code
    int64 numbers[format::kGranuleRowsMax];
    int64 times[format::kGranuleRowsMax];
    uint8 nulls[format::kGranuleRowsMax];
    uint8 null_times[format::kGranuleRowsMax];
    uint8 keep[format::kGranuleRowsMax];
};

struct AggregateNode {
    CustomScanState base;  // must be first
    ParallelPart parallel;
    KeyTypes keys;
    AggregateShape shape;
    // The scan.
    ConditionList conditions;  // that skip data
    ExprState **expressions;   // one a condition
    ConditionValue *values;
    MemoryContext filter_context;  // what scan_filter points to
    engine::ScanFilter scan_filter;
    List *clauses;            // of the query
    engine::BatchScan *scan;  // nullptr until the first row is asked for
    TupleTableSlot *slot;     // of the table's rows
    // Rows.
    RowFilter filter;
    RowFilter *measure_filters;  // of FILTER clauses
    ExprContext *row_context;
    RowMask mask;
    RowMask *filter_masks;  // one a FILTER clause
    RowMask null_mask;
    uint32 kept_rows[format::kGranuleRowsMax];  // by places among those that count
    int64 kept_times[format::kGranuleRowsMax];
    // Groups.
    TimeBuckets buckets;
    WantedBuckets wanted;  // of ORDER BY and LIMIT
    bool narrows;          // as wanted buckets are met, the scan's times become narrower
    MemoryContext bucket_context;
    bool null_bucket_is_known;
    bool null_bucket_is_null;
    Datum null_bucket;
    GroupTable groups;
    MemoryContext group_context;
    GroupedRows *grouped;  // nullptr unless other columns are grouped by
    bool is_read;          // nothing more comes from the scan
    bool is_current;       // parameters have been looked at
    uint32 next_group;     // to be given
};

/// Memory for grouping by other columns; when execution begins.
void begin_grouped_rows(AggregateNode *node);

/// Adds the batch, of a granule, to the groups.
void add_granule(AggregateNode *node, const engine::RowBatch &batch);

/// Adds the row of the tail that is in the node's slot.
void add_tail_row(AggregateNode *node, const engine::RowBatch &batch);

}  // namespace historian::planner
