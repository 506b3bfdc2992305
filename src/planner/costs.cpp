// Costs of HistorianScan. Rows are PostgreSQL's own estimate; what is read for them is counted in the directory.
#include "planner/historian_scan.h"

#include "format/segment.h"

#include <cmath>

extern "C" {
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/restrictinfo.h"

#include "utils/spccache.h"
}

namespace historian::planner {

using engine::ScanEstimate;

namespace {

// An array whose length is not known yet, as PostgreSQL's own estimate_array_length() guesses.
constexpr double kArrayLengthGuess = 10;

// The value of a condition if planning can know it: constants, bound parameters, stable functions (for estimates only).
ConditionValue planned_value(PlannerInfo *root, Expr *expr) {
    ConditionValue value = {};
    const Node *node = estimate_expression_value(root, reinterpret_cast<Node *>(expr));
    if (!IsA(node, Const)) return value;
    const Const *constant = reinterpret_cast<const Const *>(node);
    return {true, constant->constisnull, constant->constvalue};
}

double tags_of_unknown(const Condition &condition) {
    if (condition.comparison == Comparison::tag_equal) return 1;
    const Node *value = reinterpret_cast<const Node *>(condition.value);
    return IsA(value, ArrayExpr) ? list_length(reinterpret_cast<const ArrayExpr *>(value)->elements) : kArrayLengthGuess;
}

// The share of the rows that some of the clauses leave, by PostgreSQL's estimate: those for which is_wanted(condition).
template <typename IsWanted>
double share_of_clauses(PlannerInfo *root, RelOptInfo *rel, const KeyTypes &keys, List *clauses, IsWanted is_wanted) {
    List *wanted = NIL;
    ListCell *cell;
    foreach (cell, clauses) {
        RestrictInfo *clause = lfirst_node(RestrictInfo, cell);
        ConditionList one = {};
        if (!add_clause(root, keys, rel->relid, reinterpret_cast<Node *>(clause->clause), &one)) continue;
        if (is_wanted(one.items[0])) wanted = lappend(wanted, clause);
    }
    return wanted == NIL ? 1.0 : clauselist_selectivity(root, wanted, rel->relid, JOIN_INNER, nullptr);
}

/// What a row that a condition on values passes over costs, of what one costs that is given.
constexpr double kPassedOverShare = 0.03;

// The share of a row's bytes that the query's columns are; a scan that needs none reads no column at all.
double share_of_columns(RelOptInfo *rel, Relation table) {
    Bitmapset *used = nullptr;
    pull_varattnos(reinterpret_cast<Node *>(rel->reltarget->exprs), rel->relid, &used);
    ListCell *cell;
    foreach (cell, rel->baserestrictinfo) {
        pull_varattnos(reinterpret_cast<Node *>(lfirst_node(RestrictInfo, cell)->clause), rel->relid, &used);
    }
    if (bms_is_member(0 - FirstLowInvalidHeapAttributeNumber, used)) return 1.0;
    double all = 0;
    double needed = 0;
    const TupleDesc desc = RelationGetDescr(table);
    for (int i = 0; i < desc->natts; i++) {
        const Form_pg_attribute column = TupleDescAttr(desc, i);
        if (column->attisdropped) continue;
        const double width = column->attlen > 0 ? column->attlen : get_typavgwidth(column->atttypid, column->atttypmod);
        all += width;
        if (bms_is_member(i + 1 - FirstLowInvalidHeapAttributeNumber, used)) needed += width;
    }
    return all > 0 ? needed / all : 1.0;
}

}  // namespace

double parallel_divisor(const Path *path) {
    double divisor = path->parallel_workers;
    if (parallel_leader_participation) divisor += Max(0.0, 1.0 - 0.3 * path->parallel_workers);
    return divisor;
}

ScanEstimate estimate_conditions(PlannerInfo *root, RelOptInfo *rel, Relation table, const KeyTypes &keys,
                                 const ConditionList &conditions, List *clauses) {
    engine::ScanFilter filter = {};
    ConditionValue *values = static_cast<ConditionValue *>(palloc0(sizeof(ConditionValue) * Max(conditions.count, 1)));
    engine::UnknownFilter unknown = {0, 1.0};
    for (uint32 i = 0; i < conditions.count; i++) {
        const Condition &condition = conditions.items[i];
        values[i] = planned_value(root, condition.value);
        if (!values[i].is_known && is_tag_condition(condition)) unknown.tag_count += tags_of_unknown(condition);
    }
    build_filter(keys, conditions, values, &filter);
    unknown.time_share = share_of_clauses(root, rel, keys, clauses, [root](const Condition &condition) {
        return is_time_condition(condition) && !planned_value(root, condition.value).is_known;
    });
    ScanEstimate estimate = engine::estimate_scan(table, filter, unknown);
    // Columns lie apart, so pages of columns that nobody asks for are not read. A fifth is index and headers.
    const double share = share_of_columns(rel, table);
    estimate.pages *= 0.2 + 0.8 * share;
    estimate.rows *= 0.5 + 0.5 * share;  // a row costs half for itself, half for decoding its columns
    // Rows that a condition on values passes over cost next to nothing, and granules that have none are not read.
    const double kept = share_of_clauses(root, rel, keys, clauses, is_number_condition);
    estimate.pages *= kept;
    estimate.rows *= kPassedOverShare + (1 - kPassedOverShare) * kept;
    return estimate;
}

double rows_of_clauses(const ScannedTable &scanned, const ScanEstimate &estimate, List *clauses) {
    List *others = NIL;
    ListCell *cell;
    foreach (cell, clauses) {
        RestrictInfo *clause = lfirst_node(RestrictInfo, cell);
        ConditionList one = {};
        const bool understood =
            add_clause(scanned.root, scanned.keys, scanned.rel->relid, reinterpret_cast<Node *>(clause->clause), &one);
        const bool is_known_range =
            understood && is_tag_range_condition(one.items[0]) && planned_value(scanned.root, one.items[0].value).is_known;
        if (understood && (is_known_range || is_tag_condition(one.items[0]) || is_time_condition(one.items[0]))) continue;
        others = lappend(others, clause);
    }
    const Selectivity selectivity =
        clauselist_selectivity(scanned.root, others, static_cast<int>(scanned.rel->relid), JOIN_INNER, nullptr);
    return clamp_row_est(estimate.matching * selectivity);
}

void cost_scan(PlannerInfo *root, RelOptInfo *rel, Path *path, const ScanEstimate &estimate) {
    double random_page;
    double next_page;
    get_tablespace_page_costs(rel->reltablespace, &random_page, &next_page);
    QualCost qual = rel->baserestrictcost;
    path->rows = rel->rows;
    if (path->param_info != nullptr) {
        QualCost joined;
        cost_qual_eval(&joined, path->param_info->ppi_clauses, root);
        qual.startup += joined.startup;
        qual.per_tuple += joined.per_tuple;
        path->rows = path->param_info->ppi_rows;
    }
    // Runs of pages: a seek for each segment, unless reading everything between is cheaper; what tells where rows are is not read
    // again by each query.
    const double whole = next_page * Max(static_cast<double>(rel->pages) - format::kFixedBlocks, 1.0);
    const double pages = estimate.segments * (random_page - next_page) + next_page * (estimate.pages + estimate.tail_pages);
    double cpu = estimate.rows * (cpu_tuple_cost + qual.per_tuple);
    double rows = path->rows;
    if (path->parallel_workers > 0) {
        const double divisor = parallel_divisor(path);
        cpu /= divisor;
        rows = clamp_row_est(rows / divisor);
    }
    path->rows = rows;
    path->startup_cost = qual.startup + path->pathtarget->cost.startup;
    path->total_cost = path->startup_cost + Min(whole, pages) + cpu + path->pathtarget->cost.per_tuple * rows;
}

namespace {

// Reading a segment's index, in pages.
constexpr double kIndexPages = 4;

// Decoding a row of a granule that is not given to anybody, against giving one.
constexpr double kDecodedShare = 0.1;

double log2_of(double value) { return std::log2(Max(value, 2.0)); }

// A scan that gives one row of each tag decodes a granule a tag, or more while no row of the tag passes.
void cost_one_row_per_tag(const ScannedTable &scanned, Path *path, const ScanEstimate &estimate) {
    const double all_rows = Max(estimate.rows, 1.0);
    const double tags = Min(estimate.tags > 0 ? estimate.tags : engine::estimate_tags(scanned.table), all_rows);
    const double rows = clamp_row_est(Min(tags, scanned.rel->rows));
    const double rows_per_tag = all_rows / tags;
    const double granule = Min(rows_per_tag / Max(estimate.segments, 1.0), static_cast<double>(format::kGranuleRowsMax));
    const double looked_at = Min(all_rows / Max(scanned.rel->rows, 1.0), rows_per_tag);
    const double decoded = Min(Max(granule, looked_at), rows_per_tag);
    const double per_tag = looked_at * (cpu_tuple_cost + scanned.rel->baserestrictcost.per_tuple) +
                           decoded * kDecodedShare * cpu_tuple_cost +
                           2 * cpu_operator_cost * log2_of(estimate.segments) * Max(estimate.segments, 1.0);
    path->rows = rows;
    path->total_cost = path->startup_cost + tags * per_tag + path->pathtarget->cost.per_tuple * rows;
}

}  // namespace

void cost_ordered_scan(const ScannedTable &scanned, Path *path, const ScanShape &shape, const ScanEstimate &estimate) {
    cost_scan(scanned.root, scanned.rel, path, estimate);
    double random_page;
    double next_page;
    get_tablespace_page_costs(scanned.rel->reltablespace, &random_page, &next_page);
    const double compare = 2 * cpu_operator_cost;
    double startup = path->startup_cost;
    if (shape.shows_tag) {
        // All segments are opened to know their tags, and the tail is sorted, before the first row comes.
        startup += estimate.segments * kIndexPages * next_page;
        startup += estimate.tail_rows * cpu_operator_cost * log2_of(estimate.tail_rows);
    } else {
        startup += kIndexPages * next_page;
    }
    startup += Min(estimate.rows, static_cast<double>(format::kGranuleRowsMax)) * kDecodedShare * cpu_tuple_cost;
    path->total_cost += startup - path->startup_cost + path->rows * compare * log2_of(estimate.segments);
    path->startup_cost = startup;
    if (shape.one_row_per_tag) cost_one_row_per_tag(scanned, path, estimate);
}

}  // namespace historian::planner
