// The planner's node HistorianAggregate: reads and aggregates a table in one, granule by granule.
//
// It gives what PostgreSQL's own partial aggregation gives, one row of transition values a group (or several of one group), and
// PostgreSQL's Finalize Aggregate above it, which also joins what parallel workers found, makes the results: so HAVING, final
// functions and types are PostgreSQL's own. A granule whose rows all belong to one group is answered from its statistics;
// otherwise the columns that are aggregated are decoded and summed at once.
//
// Life of a query:
//   1. aggregate_path.cpp offers a path when it understands what is grouped and aggregated (aggregate_shape.cpp): by nothing, by
//      tag, by a bucket of time (bucket_shape.h, time_buckets.h), by other columns (row_codes.h), or by several of these. Where
//      the table is joined with others by its tag, aggregate_join.cpp offers one below the join. What they cost says
//      aggregate_costs.cpp, which also looks whether ORDER BY and LIMIT leave but some buckets (wanted_buckets.h);
//   2. aggregate_plan.cpp turns it into a plan, whose custom_scan_tlist has the groups, the partial aggregates, and behind them
//      the columns of the table that its expressions speak of;
//   3. aggregate_exec.cpp takes batch after batch (engine/scan_batches.h), leaves out the rows that do not match (row_filter.h),
//      cuts the others by bucket and adds them to their groups (aggregate_groups.h); aggregate_states.cpp makes the transition
//      values.
//
// Invariant: all conditions of the query are checked: on tags and times by the scan, exactly; the others by the row filter.
#pragma once

#include "engine/scan_batches.h"
#include "planner/aggregate_groups.h"
#include "planner/historian_scan.h"
#include "planner/row_filter.h"
#include "planner/time_buckets.h"
#include "planner/wanted_buckets.h"

namespace historian::planner {

/// The name of the node in EXPLAIN and in serialised plans.
inline constexpr char kAggregateName[] = "HistorianAggregate";

extern const CustomPathMethods kAggregatePathMethods;
extern const CustomScanMethods kAggregateScanMethods;
extern const CustomExecMethods kAggregateExecMethods;
extern const CustomExecMethods kParallelAggregateExecMethods;

/// What a transition value is made of, named for PostgreSQL's transition functions.
enum class StateKind : uint8 {
    row_count,     // count(*)
    value_count,   // count(column)
    integer_sum,   // bigint: sum(smallint), sum(integer)
    integer_pair,  // bigint[]: avg(smallint), avg(integer)
    wide_sum,      // serialised: sum(bigint), avg(bigint)
    wide_squares,  // serialised: variance and its kin of smallint and integer
    float8_sum,
    float4_sum,
    float_triple,  // float8[]: avg, variance and their kin of both kinds of floats
    min,
    max,
    all_true,
    any_true,
    first,  // first(column, time)
    last,
    time_of_min,  // first(time, column)
    time_of_max,
};

enum class OutputKind : uint8 { tag, bucket, other, constant, aggregate };

/// A column of what the node gives.
struct OutputColumn {
    OutputKind kind;
    StateKind state;  // aggregate
    uint32 measure;   // aggregate: which of the shape's
    Oid types[2];     // of the arguments, for first and last
    uint32 other;     // a column grouped by: which of the shape's
    const Const *constant;
};

/// What a query groups and aggregates.
struct AggregateShape {
    OutputColumn *columns;
    uint32 column_count;
    Measure *measures;  // what is to be found of each group
    uint32 measure_count;
    List *filters;  // of FILTER clauses, distinct: a measure names one by its place
    Node *bucket;   // nullptr: none
    BucketShape bucket_shape;
    bool by_tag;
    const FormData_pg_attribute **others;  // columns that are grouped by, but the tag
    uint32 other_count;
};

/// Understands expressions: of a path's target, or the first of a plan's custom_scan_tlist. False when some is not of a kind that
/// the node can do.
bool understand_shape(const KeyTypes &keys, TupleDesc desc, Index varno, List *exprs, AggregateShape *shape);

/// Whether buckets of this shape rise with the time for ever: whether the clock that they are read from is never put back.
bool never_falls(const BucketShape &shape);

/// What a plan's custom_private keeps of the ORDER BY and LIMIT above it.
BucketLimit limit_of_plan(const CustomScan *plan);

/// The expressions of what a plan's node gives, without the columns behind them.
List *given_exprs(const CustomScan *plan);

/// Expressions of a plan's custom_exprs with the table's columns instead of places in custom_scan_tlist.
List *restored_exprs(const CustomScan *plan, List *exprs);

/// The transition value of an output column from what was found; memory: the current context.
Datum transition_value(const OutputColumn &column, const Measure &measure, const MeasureState &found, bool *is_null);

}  // namespace historian::planner
