// Paths of HistorianAggregate: it stands for scan and partial aggregation, with a Finalize Aggregate above.
#include "planner/aggregate_paths.h"
#include "planner/planner.h"
#include "table_am/callbacks.h"

extern "C" {
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/planner.h"
#include "optimizer/prep.h"
#include "optimizer/restrictinfo.h"
#include "optimizer/tlist.h"
#include "parser/parsetree.h"
}

namespace historian::planner {

bool enable_aggregate = true;
bool enable_aggregate_join = true;

// As make_partial_grouping_target() in backend/optimizer/plan/planner.c.
PathTarget *partial_target(PlannerInfo *root, const PathTarget *whole, Node *having) {
    PathTarget *partial = create_empty_pathtarget();
    List *others = NIL;
    int number = 0;
    ListCell *cell;
    foreach (cell, whole->exprs) {
        Expr *expr = static_cast<Expr *>(lfirst(cell));
        const Index group = whole->sortgrouprefs != nullptr ? whole->sortgrouprefs[number] : 0;
        if (group != 0 && get_sortgroupref_clause_noerr(group, grouping_clauses(root)) != nullptr)
            add_column_to_pathtarget(partial, expr, group);
        else
            others = lappend(others, expr);
        number++;
    }
    if (having != nullptr) others = lappend(others, having);
    List *parts = pull_var_clause(reinterpret_cast<Node *>(others),
                                  PVC_INCLUDE_AGGREGATES | PVC_RECURSE_WINDOWFUNCS | PVC_INCLUDE_PLACEHOLDERS);
    add_new_columns_to_pathtarget(partial, parts);
    foreach (cell, partial->exprs) {
        if (!IsA(lfirst(cell), Aggref)) continue;
        Aggref *aggref = static_cast<Aggref *>(copyObjectImpl(lfirst(cell)));
        mark_partial_aggref(aggref, AGGSPLIT_INITIAL_SERIAL);
        lfirst(cell) = aggref;
    }
    return set_pathtarget_cost_width(root, partial);
}

namespace {

create_upper_paths_hook_type previous_create_upper_paths = nullptr;

// All conditions must be ones that may be asked before those of row-level security, for EXPLAIN tells of what they skip.
bool are_usable(RelOptInfo *rel) {
    ListCell *cell;
    foreach (cell, rel->baserestrictinfo) {
        RestrictInfo *info = lfirst_node(RestrictInfo, cell);
        Node *clause = reinterpret_cast<Node *>(info->clause);
        if (info->pseudoconstant || !restriction_is_securely_promotable(info, rel) || contain_subplans(clause)) return false;
    }
    return true;
}

}  // namespace

bool may_aggregate_query(const PlannerInfo *root, const GroupPathExtraData *extra) {
    const Query *query = root->parse;
    if (!enable_aggregate || !enable_scan || query->groupingSets != NIL || query->hasTargetSRFs) return false;
    if (root->hasNonPartialAggs || root->hasNonSerialAggs || extra->patype == PARTITIONWISE_AGGREGATE_PARTIAL) return false;
    return query->groupClause != NIL || query->hasAggs;
}

bool may_aggregate_table(PlannerInfo *root, RelOptInfo *rel) {
    if (rel->reloptkind != RELOPT_BASEREL || rel->rtekind != RTE_RELATION || IS_DUMMY_REL(rel)) return false;
    const RangeTblEntry *entry = planner_rt_fetch(rel->relid, root);
    if (!bms_is_empty(rel->lateral_relids) || entry->inh || entry->tablesample != nullptr) return false;
    return table_am::is_ours(entry->relid) && are_usable(rel);
}

void add_final_path(PlannerInfo *root, RelOptInfo *output, const GroupPathExtraData *extra, Path *partial, double group_count) {
    AggClauseCosts costs = {};
    get_agg_clause_costs(root, AGGSPLIT_FINAL_DESERIAL, &costs);
    List *having = reinterpret_cast<List *>(extra->havingQual);
    List *groups = grouping_clauses(root);
    AggStrategy strategy = groups == NIL ? AGG_PLAIN : AGG_HASHED;
    if (groups != NIL && !(enable_hashagg && grouping_is_hashable(groups))) {
        if (!grouping_is_sortable(groups)) return;
        strategy = AGG_SORTED;
        // Without keys all rows are of one group, by constants.
        if (root->group_pathkeys != NIL)
            partial = reinterpret_cast<Path *>(create_sort_path(root, partial->parent, partial, root->group_pathkeys, -1.0));
    }
    AggPath *path = create_agg_path(root, output, partial, output->reltarget, strategy, AGGSPLIT_FINAL_DESERIAL, groups, having,
                                    &costs, group_count);
    add_path(output, &path->path);
}

namespace {

// Alone, and by workers, whose groups a Gather brings together.
void add_paths(const Aggregation &aggregation) {
    PlannerInfo *root = aggregation.root;
    RelOptInfo *output = aggregation.output;
    RelOptInfo *upper = fetch_upper_rel(root, UPPERREL_PARTIAL_GROUP_AGG, aggregation.rel->relids);
    upper->consider_parallel = aggregation.rel->consider_parallel && output->consider_parallel;
    upper->reltarget = aggregation.target;
    Path *alone = make_partial_path(aggregation, upper, nullptr, 0);
    add_final_path(root, output, aggregation.extra, alone, aggregation.group_count);
    if (!upper->consider_parallel) return;
    const double pages = aggregation.estimate.pages + aggregation.estimate.tail_pages;
    const int wanted = compute_parallel_worker(aggregation.rel, pages, -1, max_parallel_workers_per_gather);
    const int workers = Min(wanted, static_cast<int>(Min(aggregation.estimate.segments, 1024.0)));
    if (workers == 0) return;
    Path *partial = make_partial_path(aggregation, upper, nullptr, workers);
    double rows = partial->rows * (workers + 1);
    Path *gathered = reinterpret_cast<Path *>(create_gather_path(root, upper, partial, upper->reltarget, nullptr, &rows));
    add_final_path(root, output, aggregation.extra, gathered, aggregation.group_count);
}

void on_create_upper_paths(PlannerInfo *root, UpperRelationKind stage, RelOptInfo *input, RelOptInfo *output, void *extra) {
    if (previous_create_upper_paths != nullptr) previous_create_upper_paths(root, stage, input, output, extra);
    const auto *grouping = static_cast<const GroupPathExtraData *>(extra);
    if (stage != UPPERREL_GROUP_AGG || !may_aggregate_query(root, grouping)) return;
    if (input->reloptkind == RELOPT_JOINREL && enable_aggregate_join) add_join_paths_of_aggregate(root, input, output, grouping);
    if (!may_aggregate_table(root, input)) return;
    const Relation table = table_open(planner_rt_fetch(input->relid, root)->relid, NoLock);  // locked since the query was parsed
    Aggregation aggregation = {};
    aggregation.root = root;
    aggregation.rel = input;
    aggregation.output = output;
    aggregation.extra = grouping;
    aggregation.table = table;
    aggregation.keys = key_types(table);
    aggregation.restrictions = input->baserestrictinfo;
    aggregation.rows = input->rows;
    aggregation.target = partial_target(root, output->reltarget, grouping->havingQual);
    List *exprs = aggregation.target->exprs;
    if (understand_shape(aggregation.keys, RelationGetDescr(table), input->relid, exprs, &aggregation.shape)) {
        estimate_aggregation(&aggregation);
        aggregation.limit = limit_of_query(aggregation);
        add_paths(aggregation);
    }
    table_close(table, NoLock);
}

}  // namespace

void install_aggregate_hooks() {
    DefineCustomBoolVariable("historian.enable_aggregate",
                             "Whether the planner may aggregate tag and log tables by HistorianAggregate.",
                             "Off: rows are aggregated one by one. For comparisons.", &enable_aggregate, true, PGC_USERSET,
                             GUC_EXPLAIN, nullptr, nullptr, nullptr);
    DefineCustomBoolVariable("historian.enable_aggregate_join",
                             "Whether the planner may aggregate a tag table by tag before it is joined with other tables.",
                             "Off: rows are joined first. For comparisons.", &enable_aggregate_join, true, PGC_USERSET,
                             GUC_EXPLAIN, nullptr, nullptr, nullptr);
    RegisterCustomScanMethods(&kAggregateScanMethods);
    previous_create_upper_paths = create_upper_paths_hook;
    create_upper_paths_hook = on_create_upper_paths;
}

}  // namespace historian::planner
