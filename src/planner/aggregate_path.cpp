// Paths of HistorianAggregate: it stands for scan and partial aggregation, with a Finalize Aggregate above.
#include "planner/aggregate.h"
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
#include "utils/selfuncs.h"
#include "utils/spccache.h"
}

namespace historian::planner {

bool enable_aggregate = true;

namespace {

create_upper_paths_hook_type previous_create_upper_paths = nullptr;

/// What a row costs that is summed by the column rather than by the executor, in parts of an operator's cost.
constexpr double kSummedRowShare = 0.05;

/// Rows of granules that statistics do not answer: those at the ends of what a query asks for, and of small granules.
constexpr double kLeftShare = 0.05;

// An aggregation of one of our tables while its paths are made.
struct Aggregation {
    PlannerInfo *root;
    RelOptInfo *input;
    RelOptInfo *output;
    const GroupPathExtraData *extra;
    Relation table;
    KeyTypes keys;
    PathTarget *target;  // of partial aggregation
    AggregateShape shape;
    double group_count;
    int decided_count;  // of the conditions: those that the scan decides
};

// What partial aggregation gives: the groups, and the aggregates of the target and of HAVING with their transition values. (As
// make_partial_grouping_target() in backend/optimizer/plan/planner.c.)
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

bool may_aggregate(PlannerInfo *root, RelOptInfo *input, const GroupPathExtraData *extra) {
    const Query *query = root->parse;
    if (!enable_aggregate || !enable_scan || input->reloptkind != RELOPT_BASEREL || input->rtekind != RTE_RELATION ||
        IS_DUMMY_REL(input) || !bms_is_empty(input->lateral_relids))
        return false;
    const RangeTblEntry *entry = planner_rt_fetch(input->relid, root);
    if (entry->inh || entry->tablesample != nullptr || !table_am::is_ours(entry->relid)) return false;
    if (query->groupingSets != NIL || query->hasTargetSRFs || root->hasNonPartialAggs || root->hasNonSerialAggs) return false;
    return (query->groupClause != NIL || query->hasAggs) && extra->patype != PARTITIONWISE_AGGREGATE_PARTIAL && are_usable(input);
}

List *clauses_of(RelOptInfo *rel) { return extract_actual_clauses(rel->baserestrictinfo, false); }

// The conditions with the cheap ones first, as order_qual_clauses() of backend/optimizer/plan/createplan.c has them: what guards
// another condition against errors in other plans does so here.
List *in_order_of_cost(PlannerInfo *root, List *clauses) {
    double *costs = static_cast<double *>(palloc(sizeof(double) * Max(list_length(clauses), 1)));
    for (int i = 0; i < list_length(clauses); i++) {
        void *clause = list_nth(clauses, i);
        QualCost cost;
        cost_qual_eval_node(&cost, static_cast<Node *>(clause), root);
        int place = i;
        for (; place > 0 && costs[place - 1] > cost.per_tuple; place--) {
            costs[place] = costs[place - 1];
            lfirst(list_nth_cell(clauses, place)) = list_nth(clauses, place - 1);
        }
        costs[place] = cost.per_tuple;
        lfirst(list_nth_cell(clauses, place)) = clause;
    }
    return clauses;
}

engine::ScanEstimate estimate_input(const Aggregation &aggregation) {
    ConditionList conditions = {};
    ListCell *cell;
    foreach (cell, aggregation.input->baserestrictinfo) {
        Node *clause = reinterpret_cast<Node *>(lfirst_node(RestrictInfo, cell)->clause);
        add_clause(aggregation.root, aggregation.keys, aggregation.input->relid, clause, &conditions);
    }
    return estimate_conditions(aggregation.root, aggregation.input, aggregation.table, aggregation.keys, conditions,
                               aggregation.input->baserestrictinfo);
}

int count_decided(const Aggregation &aggregation) {
    int count = 0;
    ListCell *cell;
    foreach (cell, clauses_of(aggregation.input)) {
        Node *clause = static_cast<Node *>(lfirst(cell));
        const Index varno = aggregation.input->relid;
        if (scan_decides(aggregation.keys, varno, clause) || is_about_tag(aggregation.keys, varno, clause)) count++;
    }
    return count;
}

// What it costs to check conditions row by row.
double cost_of_others(const Aggregation &aggregation) {
    QualCost cost = {};
    ListCell *cell;
    foreach (cell, clauses_of(aggregation.input)) {
        Node *clause = static_cast<Node *>(lfirst(cell));
        NumberComparison comparison;
        const Index varno = aggregation.input->relid;
        if (scan_decides(aggregation.keys, varno, clause) || is_about_tag(aggregation.keys, varno, clause)) continue;
        if (is_number_comparison(clause, varno, aggregation.keys.columns.tag, &comparison)) continue;
        QualCost one;
        cost_qual_eval_node(&one, clause, aggregation.root);
        cost.startup += one.startup;
        cost.per_tuple += one.per_tuple;
    }
    return cost.per_tuple;
}

double estimate_groups(const Aggregation &aggregation, const engine::ScanEstimate &estimate) {
    const AggregateShape &shape = aggregation.shape;
    const double rows = Max(aggregation.input->rows, 1.0);
    double buckets = 1;
    if (shape.bucket != nullptr) {
        buckets = estimate_buckets(aggregation.root, shape.bucket, aggregation.input->relid, aggregation.keys.columns.time,
                                   estimate.time_min, estimate.time_max);
        if (buckets < 0) buckets = estimate_num_groups(aggregation.root, list_make1(shape.bucket), rows, nullptr, nullptr);
    }
    double tags = 1;
    if (shape.by_tag) tags = estimate.tags > 0 ? estimate.tags : engine::estimate_tags(aggregation.table);
    double others = 1;
    if (shape.other_count > 0) {
        List *columns = NIL;
        for (uint32 i = 0; i < shape.column_count; i++) {
            if (shape.columns[i].kind == OutputKind::other)
                columns = lappend(columns, list_nth(aggregation.target->exprs, static_cast<int>(i)));
        }
        others = estimate_num_groups(aggregation.root, columns, rows, nullptr, nullptr);
    }
    return clamp_row_est(Min(rows, buckets * tags * others));
}

// The share of the rows that must be decoded, since they are not whole granules of one group.
double decoded_share(const Aggregation &aggregation, const engine::ScanEstimate &estimate) {
    const AggregateShape &shape = aggregation.shape;
    if (shape.filters != NIL || shape.other_count > 0 || list_length(clauses_of(aggregation.input)) > aggregation.decided_count)
        return 1;
    const double granules = Max(estimate.rows / format::kGranuleRowsMax, 1.0);
    return shape.bucket == nullptr ? kLeftShare : Min(1.0, kLeftShare + aggregation.group_count / (2 * granules));
}

void cost_path(const Aggregation &aggregation, const engine::ScanEstimate &estimate, Path *path) {
    double random_page;
    double next_page;
    get_tablespace_page_costs(aggregation.input->reltablespace, &random_page, &next_page);
    const double share = decoded_share(aggregation, estimate);
    const double pages =
        estimate.segments * (random_page - next_page) + next_page * (share * estimate.pages + estimate.tail_pages);
    const double whole = next_page * Max(static_cast<double>(aggregation.input->pages), 1.0);
    const double columns = 1.0 + aggregation.shape.measure_count;
    double rows = estimate.rows * (cpu_operator_cost * kSummedRowShare * columns + cost_of_others(aggregation)) * share;
    if (path->parallel_workers > 0) rows /= parallel_divisor(path);
    path->rows = aggregation.group_count;
    path->total_cost = Min(pages, whole) + rows + aggregation.group_count * cpu_tuple_cost;
    path->startup_cost = path->total_cost;  // groups are given when all rows are read
}

Path *make_partial_path(const Aggregation &aggregation, RelOptInfo *rel, const engine::ScanEstimate &estimate, int workers) {
    CustomPath *custom = makeNode(CustomPath);
    custom->methods = &kAggregatePathMethods;
    Path *path = &custom->path;
    path->pathtype = T_CustomScan;
    path->parent = rel;
    path->pathtarget = aggregation.target;
    path->parallel_aware = workers > 0;
    path->parallel_safe = rel->consider_parallel;
    path->parallel_workers = workers;
    // The conditions are the input's, which the upper relation does not know.
    List *clauses = in_order_of_cost(aggregation.root, clauses_of(aggregation.input));
    custom->custom_private = list_make2(makeInteger(static_cast<int>(aggregation.input->relid)), clauses);
    cost_path(aggregation, estimate, path);
    return path;
}

void add_final_path(const Aggregation &aggregation, Path *partial) {
    PlannerInfo *root = aggregation.root;
    AggClauseCosts costs = {};
    get_agg_clause_costs(root, AGGSPLIT_FINAL_DESERIAL, &costs);
    List *having = reinterpret_cast<List *>(aggregation.extra->havingQual);
    List *groups = grouping_clauses(root);
    AggStrategy strategy = groups == NIL ? AGG_PLAIN : AGG_HASHED;
    if (groups != NIL && !(enable_hashagg && grouping_is_hashable(groups))) {
        if (!grouping_is_sortable(groups)) return;
        strategy = AGG_SORTED;
        // Without keys all rows are of one group, by constants.
        if (root->group_pathkeys != NIL)
            partial = reinterpret_cast<Path *>(create_sort_path(root, partial->parent, partial, root->group_pathkeys, -1.0));
    }
    AggPath *path = create_agg_path(root, aggregation.output, partial, aggregation.output->reltarget, strategy,
                                    AGGSPLIT_FINAL_DESERIAL, groups, having, &costs, aggregation.group_count);
    add_path(aggregation.output, &path->path);
}

// Alone, and by workers, whose groups a Gather brings together.
void add_paths(Aggregation &aggregation) {
    PlannerInfo *root = aggregation.root;
    const engine::ScanEstimate estimate = estimate_input(aggregation);
    aggregation.group_count = estimate_groups(aggregation, estimate);
    RelOptInfo *rel = fetch_upper_rel(root, UPPERREL_PARTIAL_GROUP_AGG, aggregation.input->relids);
    rel->consider_parallel = aggregation.input->consider_parallel && aggregation.output->consider_parallel;
    rel->reltarget = aggregation.target;
    add_final_path(aggregation, make_partial_path(aggregation, rel, estimate, 0));
    if (!rel->consider_parallel) return;
    const double pages = estimate.pages + estimate.tail_pages;
    const int wanted = compute_parallel_worker(aggregation.input, pages, -1, max_parallel_workers_per_gather);
    const int workers = Min(wanted, static_cast<int>(Min(estimate.segments, 1024.0)));
    if (workers == 0) return;
    Path *partial = make_partial_path(aggregation, rel, estimate, workers);
    double rows = partial->rows * (workers + 1);
    add_final_path(aggregation, reinterpret_cast<Path *>(create_gather_path(root, rel, partial, rel->reltarget, nullptr, &rows)));
}

void on_create_upper_paths(PlannerInfo *root, UpperRelationKind stage, RelOptInfo *input, RelOptInfo *output, void *extra) {
    if (previous_create_upper_paths != nullptr) previous_create_upper_paths(root, stage, input, output, extra);
    const auto *grouping = static_cast<const GroupPathExtraData *>(extra);
    if (stage != UPPERREL_GROUP_AGG || !may_aggregate(root, input, grouping)) return;
    const Relation table = table_open(planner_rt_fetch(input->relid, root)->relid, NoLock);  // locked since the query was parsed
    Aggregation aggregation = {root, input, output, grouping, table, key_types(table), nullptr, {}, 1, 0};
    aggregation.target = partial_target(root, output->reltarget, grouping->havingQual);
    List *exprs = aggregation.target->exprs;
    if (understand_shape(aggregation.keys, RelationGetDescr(table), input->relid, exprs, &aggregation.shape)) {
        aggregation.decided_count = count_decided(aggregation);
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
    RegisterCustomScanMethods(&kAggregateScanMethods);
    previous_create_upper_paths = create_upper_paths_hook;
    create_upper_paths_hook = on_create_upper_paths;
}

}  // namespace historian::planner
