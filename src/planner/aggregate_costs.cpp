// Estimates and costs of HistorianAggregate.
#include "planner/aggregate_paths.h"

extern "C" {
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/restrictinfo.h"
#include "optimizer/tlist.h"
#include "utils/selfuncs.h"
#include "utils/spccache.h"
#include "utils/typcache.h"
}

namespace historian::planner {

namespace {

/// What a row costs that is summed by the column rather than by the executor, in parts of an operator's cost.
constexpr double kSummedRowShare = 0.05;

/// What adding rows of one tag to a group costs, however few, in rows that the executor handles.
constexpr double kRunRows = 10;

/// Rows of granules that statistics do not answer: those at the ends of what a query asks for, and of small granules.
constexpr double kLeftShare = 0.05;

List *clauses_of(const Aggregation &aggregation) { return extract_actual_clauses(aggregation.restrictions, false); }

engine::ScanEstimate estimate_input(const Aggregation &aggregation) {
    ConditionList conditions = {};
    ListCell *cell;
    foreach (cell, aggregation.restrictions) {
        Node *clause = reinterpret_cast<Node *>(lfirst_node(RestrictInfo, cell)->clause);
        add_clause(aggregation.root, aggregation.keys, aggregation.rel->relid, clause, &conditions);
    }
    return estimate_conditions(aggregation.root, aggregation.rel, aggregation.table, aggregation.keys, conditions,
                               aggregation.restrictions);
}

int count_decided(const Aggregation &aggregation) {
    int count = 0;
    ListCell *cell;
    foreach (cell, clauses_of(aggregation)) {
        Node *clause = static_cast<Node *>(lfirst(cell));
        const Index varno = aggregation.rel->relid;
        if (scan_decides(aggregation.keys, varno, clause) || is_about_tag(aggregation.keys, varno, clause)) count++;
    }
    return count;
}

// What it costs to check conditions row by row.
double cost_of_others(const Aggregation &aggregation) {
    QualCost cost = {};
    ListCell *cell;
    foreach (cell, clauses_of(aggregation)) {
        Node *clause = static_cast<Node *>(lfirst(cell));
        NumberComparison comparison;
        const Index varno = aggregation.rel->relid;
        if (scan_decides(aggregation.keys, varno, clause) || is_about_tag(aggregation.keys, varno, clause)) continue;
        if (is_number_comparison(clause, varno, aggregation.keys.columns.tag, &comparison)) continue;
        QualCost one;
        cost_qual_eval_node(&one, clause, aggregation.root);
        cost.startup += one.startup;
        cost.per_tuple += one.per_tuple;
    }
    return cost.per_tuple;
}

double estimate_groups(const Aggregation &aggregation) {
    const AggregateShape &shape = aggregation.shape;
    const engine::ScanEstimate &estimate = aggregation.estimate;
    const double rows = Max(aggregation.rows, 1.0);
    double buckets = 1;
    if (shape.bucket != nullptr) {
        buckets = estimate_buckets(aggregation.root, shape.bucket, aggregation.rel->relid, aggregation.keys.columns.time,
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

}  // namespace

void estimate_aggregation(Aggregation *aggregation) {
    aggregation->estimate = estimate_input(*aggregation);
    aggregation->decided_count = count_decided(*aggregation);
    aggregation->group_count = estimate_groups(*aggregation);
}

// -------------------------------------------------------------------------------------------------- ORDER BY bucket LIMIT n

namespace {

// A number of rows in LIMIT or OFFSET; -1: not known now.
int64 known_count(const Node *node) {
    if (node == nullptr) return 0;
    if (!IsA(node, Const) || reinterpret_cast<const Const *>(node)->constisnull) return -1;
    return DatumGetInt64(reinterpret_cast<const Const *>(node)->constvalue);
}

// Whether no row that is read is without a time.
bool has_times(const Aggregation &aggregation) {
    if (TupleDescAttr(RelationGetDescr(aggregation.table), aggregation.keys.columns.time - 1)->attnotnull) return true;
    ListCell *cell;
    foreach (cell, clauses_of(aggregation)) {
        ConditionList conditions = {};
        Node *clause = static_cast<Node *>(lfirst(cell));
        if (!add_clause(aggregation.root, aggregation.keys, aggregation.rel->relid, clause, &conditions)) continue;
        if (is_time_condition(conditions.items[0])) return true;
    }
    return false;
}

}  // namespace

BucketLimit limit_of_query(const Aggregation &aggregation) {
    const PlannerInfo *root = aggregation.root;
    const Query *query = root->parse;
    const AggregateShape &shape = aggregation.shape;
    constexpr BucketLimit kAll = {0, false};
    if (shape.bucket == nullptr || shape.by_tag || shape.other_count > 0 || !never_falls(shape.bucket_shape)) return kAll;
    if (!has_times(aggregation)) return kAll;
    if (query->limitCount == nullptr || query->limitOption != LIMIT_OPTION_COUNT || query->sortClause == NIL) return kAll;
    if (query->distinctClause != NIL || query->hasWindowFuncs || aggregation.extra->havingQual != nullptr) return kAll;
    const int64 count = known_count(query->limitCount);
    const int64 offset = known_count(query->limitOffset);
    if (count < 0 || count > kWantedBucketsMax || offset < 0 || offset > kWantedBucketsMax - count || count + offset == 0)
        return kAll;
    SortGroupClause *first = linitial_node(SortGroupClause, query->sortClause);
    const Node *sorted = get_sortgroupclause_expr(first, root->processed_tlist);
    if (!equal(sorted, shape.bucket)) return kAll;
    const TypeCacheEntry *type = lookup_type_cache(exprType(sorted), TYPECACHE_LT_OPR | TYPECACHE_GT_OPR);
    if (first->sortop != type->lt_opr && first->sortop != type->gt_opr) return kAll;
    return {static_cast<uint32>(count + offset), first->sortop == type->gt_opr};
}

// -------------------------------------------------------------------------------------------------------------------- costs

namespace {

double count_tags(const Aggregation &aggregation) {
    const engine::ScanEstimate &estimate = aggregation.estimate;
    if (aggregation.keys.columns.tag == InvalidAttrNumber) return 1;
    return estimate.tags > 0 ? estimate.tags : engine::estimate_tags(aggregation.table);
}

// How many rows of a tag lie together, in a segment and a granule.
double rows_of_run(const Aggregation &aggregation) {
    const engine::ScanEstimate &estimate = aggregation.estimate;
    const double per_segment = estimate.rows / count_tags(aggregation) / Max(estimate.segments, 1.0);
    return Max(1.0, Min(per_segment, static_cast<double>(format::kGranuleRowsMax)));
}

// The share of the rows that are read for some buckets at an end: of each tag a granule, and of one tag all.
double wanted_share(const Aggregation &aggregation) {
    const double runs = count_tags(aggregation) + 1;
    return Min(1.0, runs * rows_of_run(aggregation) / Max(aggregation.estimate.rows, 1.0));
}

// The share of the rows that must be decoded, since they are not whole granules of one group.
double decoded_share(const Aggregation &aggregation) {
    const engine::ScanEstimate &estimate = aggregation.estimate;
    const AggregateShape &shape = aggregation.shape;
    if (aggregation.limit.count > 0) return wanted_share(aggregation);
    if (shape.filters != NIL || shape.other_count > 0 || list_length(clauses_of(aggregation)) > aggregation.decided_count)
        return 1;
    if (rows_of_run(aggregation) < format::kGranuleRowsLonely) return 1;  // in granules of several tags
    const double granules = Max(estimate.rows / format::kGranuleRowsMax, 1.0);
    return shape.bucket == nullptr ? kLeftShare : Min(1.0, kLeftShare + aggregation.group_count / (2 * granules));
}

void cost_aggregation(const Aggregation &aggregation, Path *path) {
    const engine::ScanEstimate &estimate = aggregation.estimate;
    double random_page;
    double next_page;
    get_tablespace_page_costs(aggregation.rel->reltablespace, &random_page, &next_page);
    const double share = decoded_share(aggregation);
    const double pages =
        estimate.segments * (random_page - next_page) + next_page * (share * estimate.pages + estimate.tail_pages);
    const double whole = next_page * Max(static_cast<double>(aggregation.rel->pages), 1.0);
    const double columns = 1.0 + aggregation.shape.measure_count;
    double rows = estimate.rows * (cpu_operator_cost * kSummedRowShare * columns + cost_of_others(aggregation)) * share;
    rows += share * estimate.rows / rows_of_run(aggregation) * kRunRows * cpu_tuple_cost;
    if (path->parallel_workers > 0) rows /= parallel_divisor(path);
    path->rows = aggregation.group_count;
    path->total_cost = Min(pages, whole) + rows + aggregation.group_count * cpu_tuple_cost;
    path->startup_cost = path->total_cost;  // groups are given when all rows are read
}

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

}  // namespace

Path *make_partial_path(const Aggregation &aggregation, RelOptInfo *upper, ParamPathInfo *required, int workers) {
    CustomPath *custom = makeNode(CustomPath);
    custom->methods = &kAggregatePathMethods;
    Path *path = &custom->path;
    path->pathtype = T_CustomScan;
    path->parent = upper;
    path->pathtarget = aggregation.target;
    path->param_info = required;
    path->parallel_aware = workers > 0;
    path->parallel_safe = upper->consider_parallel;
    path->parallel_workers = workers;
    // The conditions are the table's, which the upper relation does not know.
    List *clauses = in_order_of_cost(aggregation.root, clauses_of(aggregation));
    const BucketLimit &limit = aggregation.limit;
    custom->custom_private = list_make3(makeInteger(static_cast<int>(aggregation.rel->relid)), clauses,
                                        list_make2_int(static_cast<int>(limit.count), limit.are_last ? 1 : 0));
    cost_aggregation(aggregation, path);
    return path;
}

}  // namespace historian::planner
