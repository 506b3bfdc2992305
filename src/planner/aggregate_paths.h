// What the files that make paths of HistorianAggregate share. Nobody else includes it.
#pragma once

#include "planner/aggregate.h"

namespace historian::planner {

/// An aggregation of one of our tables while its paths are made.
struct Aggregation {
    PlannerInfo *root;
    RelOptInfo *rel;     // the table
    RelOptInfo *output;  // of the query's aggregation
    const GroupPathExtraData *extra;
    Relation table;
    KeyTypes keys;
    List *restrictions;  // conditions on its rows; by a join, those too
    double rows;         // that they leave
    PathTarget *target;  // of partial aggregation
    AggregateShape shape;
    engine::ScanEstimate estimate;  // of what is read
    double group_count;
    int decided_count;  // of the conditions: those that the scan decides
    BucketLimit limit;  // of the buckets, by ORDER BY and LIMIT above it
};

/// Whether a query is one of those whose groups come from partial aggregation; whether a relation is a table to aggregate.
bool may_aggregate_query(const PlannerInfo *root, const GroupPathExtraData *extra);
bool may_aggregate_table(PlannerInfo *root, RelOptInfo *rel);

/// What partial aggregation gives: the groups, and the aggregates of the target and of HAVING with their transition values.
PathTarget *partial_target(PlannerInfo *root, const PathTarget *whole, Node *having);

/// Fills in what follows from table, restrictions and shape.
void estimate_aggregation(Aggregation *aggregation);

/// How many buckets a query wants that groups by nothing else, sorts by them and takes the first few.
BucketLimit limit_of_query(const Aggregation &aggregation);

/// A path that gives the aggregation's groups.
///
/// upper      the relation that these groups are
/// required   other tables that the restrictions speak of, or nullptr
Path *make_partial_path(const Aggregation &aggregation, RelOptInfo *upper, ParamPathInfo *required, int workers);

/// Adds a path to the query's aggregation that makes results of transition values.
void add_final_path(PlannerInfo *root, RelOptInfo *output, const GroupPathExtraData *extra, Path *partial, double group_count);

/// Adds paths for a join of one of our tables with others, by its tag: aggregates first, and joins what is left
/// (aggregate_join.cpp).
void add_join_paths_of_aggregate(PlannerInfo *root, RelOptInfo *input, RelOptInfo *output, const GroupPathExtraData *extra);

/// historian.enable_aggregate_join: whether that is done.
extern bool enable_aggregate_join;

}  // namespace historian::planner
