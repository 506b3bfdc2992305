// What the files of the node share. Nobody else includes it.
#pragma once

#include "engine/scan.h"
#include "planner/conditions.h"
#include "planner/scan_filter.h"

extern "C" {
#include "access/parallel.h"
#include "commands/explain.h"
#include "nodes/extensible.h"
#include "nodes/pathnodes.h"
#include "nodes/plannodes.h"
}

namespace historian::planner {

/// The name of the node in EXPLAIN and in serialised plans.
inline constexpr char kScanName[] = "HistorianScan";

/// How a plan's node reads: what a path decides beside its conditions. It lives in custom_private, as integers.
struct ScanShape {
    engine::ScanOrder order;
    engine::TagOrder tag_order;  // of ScanOrder::by_tag
    bool shows_tag;              // by_tag: the rows may be of several tags
    bool one_row_per_tag;        // by_tag: after a row that passed the qual comes one of another tag
};
List *shape_to_list(const ScanShape &shape);
ScanShape shape_of_list(List *list);

extern const CustomPathMethods kPathMethods;
extern const CustomScanMethods kScanMethods;
extern const CustomExecMethods kExecMethods;
extern const CustomExecMethods kParallelExecMethods;

// ------------------------------------------------------------------------------------------------------------------ paths

/// One of our tables while its paths are made.
struct ScannedTable {
    PlannerInfo *root;
    RelOptInfo *rel;
    Relation table;
    KeyTypes keys;
    bool is_log;
};

/// A path without costs; of one that is not parallel the shape may be changed afterwards.
CustomPath *make_path(const ScannedTable &scanned, Relids required_outer, int workers);

/// Adds paths of a tag table in the order that the query wants, and such that give one row of each tag. `estimate` is that of
/// the path that reads everything in no order.
void add_tag_order_paths(const ScannedTable &scanned, const engine::ScanEstimate &estimate);

// ------------------------------------------------------------------------------------------------------------------ costs

/// What the conditions of a path leave to be read; conditions that are known while planning are looked up in the directory.
engine::ScanEstimate estimate_conditions(PlannerInfo *root, RelOptInfo *rel, Relation table, const KeyTypes &keys,
                                         const ConditionList &conditions, List *clauses);

/// The rows that some clauses leave: of those on tags and times what the estimate says, of others what PostgreSQL guesses.
double rows_of_clauses(const ScannedTable &scanned, const engine::ScanEstimate &estimate, List *clauses);

/// By how much workers divide what a path does; as PostgreSQL has it, the leader helps less the more there are.
double parallel_divisor(const Path *path);

/// Fills rows, startup_cost and total_cost of a path whose param_info and parallel_workers are set.
void cost_scan(PlannerInfo *root, RelOptInfo *rel, Path *path, const engine::ScanEstimate &estimate);

/// The same for a path in order of tag and time, from what the path in no order costs.
void cost_ordered_scan(const ScannedTable &scanned, Path *path, const ScanShape &shape, const engine::ScanEstimate &estimate);

// -------------------------------------------------------------------------------------------------------------- execution

constexpr int kCounterCount = sizeof(engine::ScanCounters) / sizeof(uint64);

/// The node's share of a parallel query's dynamic shared memory.
struct SharedScan {
    engine::ParallelScan scan;
    pg_atomic_uint64 counters[kCounterCount];  // what workers read and skipped, in the order of ScanCounters
};

/// What a node keeps of a parallel query.
struct ParallelPart {
    SharedScan *shared;                   // while the shared memory is there
    SharedScan *scan_shared;              // what the present scan was started with; may be gone
    engine::ScanCounters other_counters;  // of workers, collected when the shared memory goes, and of scans that were ended
    bool counters_are_shared;             // worker: its counters were added to the shared ones
    const engine::ScanCounters *(*counters)(CustomScanState *state);  // of the present scan; nullptr: there is none
};

/// How a node that reads a table begins.
struct ParallelNode {
    CustomScanState base;  // must be first
    ParallelPart parallel;
};

/// Execution state of the node.
struct ScanNode {
    CustomScanState base;  // must be first
    ParallelPart parallel;
    KeyTypes keys;
    ConditionList conditions;  // of plan->custom_exprs
    ExprState **expressions;   // one a condition
    ConditionValue *values;
    MemoryContext filter_context;  // what the filter points to; reset when it is built again
    engine::ScanFilter filter;
    bool filter_is_current;
    bool one_row_per_tag;
    bool skips_tag;              // one row per tag: the last row has passed the qual, the next is one of another tag
    ExprState *searches;         // the clauses that the qual does not have; nullptr: none
    ExprState *plain_qual;       // the qual as the plan has it
    MemoryContext qual_context;  // the specialised qual; nullptr when there is nothing to specialise
    ArrayType **qual_arrays;     // one a condition: the array that the qual was specialised for, or nullptr
    uint64 hashed_elements;      // of all specialised quals so far
    engine::TableScan *scan;     // nullptr until the first row is asked for
};

inline ScanNode *scan_node(CustomScanState *state) { return reinterpret_cast<ScanNode *>(state); }

/// Whether the qual compares tags with an array that only execution knows.
bool may_specialise_qual(const ScanNode *node);

/// Makes the node's qual again with the values of its conditions if that makes it faster.
void specialise_qual(ScanNode *node);

/// The methods of a ParallelNode in a parallel query.
Size estimate_shared_scan(CustomScanState *state, ParallelContext *context);
void initialize_shared_scan(CustomScanState *state, ParallelContext *context, void *place);
void reinitialize_shared_scan(CustomScanState *state, ParallelContext *context, void *place);
void attach_shared_scan(CustomScanState *state, shm_toc *toc, void *place);
void share_counters(CustomScanState *state);
constexpr void set_parallel_methods(CustomExecMethods *methods) {
    methods->EstimateDSMCustomScan = estimate_shared_scan;
    methods->InitializeDSMCustomScan = initialize_shared_scan;
    methods->ReInitializeDSMCustomScan = reinitialize_shared_scan;
    methods->InitializeWorkerCustomScan = attach_shared_scan;
    methods->ShutdownCustomScan = share_counters;
}

/// What was read and skipped by all scans of a ParallelNode, for EXPLAIN.
engine::ScanCounters all_counters(CustomScanState *state);

/// Adds counters to a sum.
void add_counters(engine::ScanCounters *sum, const engine::ScanCounters &counters);

void explain_scan(CustomScanState *state, List *ancestors, ExplainState *explain);

/// The conditions among `clauses` that skip data, and with ANALYZE what was read and skipped.
void explain_conditions(CustomScanState *state, const KeyTypes &keys, List *clauses, const engine::ScanCounters &counters,
                        List *ancestors, ExplainState *explain);

/// Clauses joined by AND under a label, as EXPLAIN shows a filter.
void show_clauses(const char *label, CustomScanState *state, List *clauses, List *ancestors, ExplainState *explain);

/// Splits the clauses that skip data by what they are about.
struct SplitClauses {
    List *tag;
    List *time;
    List *numbers;  // of other columns of a tag table
    List *keys;     // of a log table
};
SplitClauses split_clauses(const KeyTypes &keys, Index varno, List *clauses);

}  // namespace historian::planner
