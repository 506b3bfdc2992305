// Aggregation of a tag table that is joined with other tables by its tag:
//
//     SELECT m.line, time_bucket('1 hour', s.time), avg(s.value)
//     FROM sensor AS s JOIN machines AS m ON m.name = s.name WHERE m.hall = 3 GROUP BY 1, 2
//
// All points of a tag join with the same rows of the other tables. So it is enough to join one row of transition values for each
// tag (and bucket, if the query has one) instead of all points, and to let Finalize Aggregate add up what the join gives: a row
// of the others that joins stands for all points of the tag, two such rows count them twice, as they should.
//
//     Finalize HashAggregate                        Finalize HashAggregate
//       ->  Nested Loop                               ->  Hash Join
//             ->  Seq Scan on machines                      ->  HistorianAggregate on sensor: every tag
//             ->  HistorianAggregate on sensor              ->  Hash
//                   Tag Filter: (name = m.name)                   ->  Seq Scan on machines
//
// Conditions: inner joins only, or a semijoin with the others as a whole; of the tag table the conditions of the join speak of
// nothing but the tag, and all aggregates are of its columns alone. Every tag is aggregated at once only where no point of a tag
// that the join leaves out can raise an error, but for sums of floats that overflow.
#include "planner/aggregate_paths.h"
#include "planner/planner.h"

extern "C" {
#include "executor/nodeHash.h"
#include "nodes/makefuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/restrictinfo.h"
#include "optimizer/tlist.h"
#include "parser/parsetree.h"
#include "utils/selfuncs.h"
}

namespace historian::planner {

namespace {

/// Tables of a join; with more, planning would take longer than it could save.
constexpr int kJoinedTablesMax = 12;

// A join that is made after one of its tables was aggregated.
struct Join {
    Aggregation of_table;  // the aggregation below
    RelOptInfo *joined;
    RelOptInfo *others;   // all tables but ours
    Path *others_path;    // each of their rows once, for a semijoin
    List *clauses;        // RestrictInfos between ours and the others
    PathTarget *target;   // of the join: groups and transition values
    double result_count;  // of the groups of the query
};

bool speaks_only_of_tag(const Aggregation &aggregation, Node *node) {
    Bitmapset *columns = nullptr;
    pull_varattnos(node, aggregation.rel->relid, &columns);
    const int tag = aggregation.keys.columns.tag - FirstLowInvalidHeapAttributeNumber;
    int member = -1;
    while ((member = bms_next_member(columns, member)) >= 0) {
        if (member != tag) return false;
    }
    return true;
}

// ----------------------------------------------------------------------------------------------------------------- the join

// All conditions between the table and the others; false when one of them may not be asked of a tag as a whole.
bool find_clauses(Join *join) {
    PlannerInfo *root = join->of_table.root;
    RelOptInfo *table = join->of_table.rel;
    List *clauses = generate_join_implied_equalities(root, join->joined->relids, join->others->relids, table
#if PG_VERSION_NUM >= 160000
                                                     ,
                                                     nullptr
#endif
    );
    ListCell *cell;
    foreach (cell, table->joininfo) {
        RestrictInfo *clause = lfirst_node(RestrictInfo, cell);
        if (bms_is_subset(clause->required_relids, join->joined->relids)) clauses = list_append_unique_ptr(clauses, clause);
    }
    foreach (cell, clauses) {
        RestrictInfo *clause = lfirst_node(RestrictInfo, cell);
        Node *node = reinterpret_cast<Node *>(clause->clause);
        if (clause->pseudoconstant || contain_volatile_functions(node) || contain_subplans(node)) return false;
        if (!restriction_is_securely_promotable(clause, table) || !speaks_only_of_tag(join->of_table, node)) return false;
    }
    join->clauses = clauses;
    return true;
}

// The other tables, joined among themselves, and a path to them that gives each row as often as the query's join does.
bool find_others(Join *join) {
    PlannerInfo *root = join->of_table.root;
    const Relids relids = bms_difference(join->joined->relids, join->of_table.rel->relids);
    int relid;
    join->others = bms_get_singleton_member(relids, &relid) ? find_base_rel(root, relid) : find_join_rel(root, relids);
    if (join->others == nullptr || IS_DUMMY_REL(join->others) || !bms_is_empty(join->others->lateral_relids)) return false;
    Path *path = join->others->cheapest_total_path;
    if (path == nullptr || PATH_REQ_OUTER(path) != nullptr) return false;
    ListCell *cell;
    foreach (cell, root->join_info_list) {
        SpecialJoinInfo *special = lfirst_node(SpecialJoinInfo, cell);
        const bool is_ours = special->jointype == JOIN_SEMI && bms_equal(special->syn_righthand, relids) &&
                             bms_is_subset(special->min_lefthand, join->of_table.rel->relids);
        if (!is_ours || list_length(root->join_info_list) > 1) return false;
#if PG_VERSION_NUM >= 190000
        return false;
#else
        path = reinterpret_cast<Path *>(create_unique_path(root, join->others, path, special));
        if (path == nullptr) return false;
#endif
    }
    join->others_path = path;
    return true;
}

// ---------------------------------------------------------------------------------------------------------------- the target

// Whether the other tables give these columns.
bool give_columns(const RelOptInfo *others, Node *node) {
    List *columns = pull_var_clause(node, PVC_RECURSE_AGGREGATES | PVC_RECURSE_WINDOWFUNCS | PVC_RECURSE_PLACEHOLDERS);
    ListCell *cell;
    foreach (cell, columns) {
        const Var *var = lfirst_node(Var, cell);
        if (bms_is_member(var->varno, others->relids) && !list_member(others->reltarget->exprs, var)) return false;
    }
    return true;
}

Var *tag_column(const Aggregation &aggregation) {
    const FormData_pg_attribute &tag = aggregation.keys.tag;
    return makeVar(static_cast<int>(aggregation.rel->relid), tag.attnum, tag.atttypid, tag.atttypmod, tag.attcollation, 0);
}

// Shares out what the join gives: the tag, groups by other columns of the table and aggregates come from below, all else is made
// of the tag and of the others' columns. False when that cannot be.
bool share_out_target(Join *join) {
    Aggregation *below = &join->of_table;
    PlannerInfo *root = below->root;
    join->target = partial_target(root, below->output->reltarget, below->extra->havingQual);
    below->target = create_empty_pathtarget();
    add_new_column_to_pathtarget(below->target, reinterpret_cast<Expr *>(tag_column(*below)));
    ListCell *cell;
    foreach (cell, join->target->exprs) {
        Node *expr = static_cast<Node *>(lfirst(cell));
        if (contain_volatile_functions(expr) || contain_subplans(expr) || !give_columns(join->others, expr)) return false;
        if (!IsA(expr, Aggref) && speaks_only_of_tag(*below, expr)) continue;
        if (!bms_is_subset(pull_varnos(root, expr), below->rel->relids)) return false;
        add_new_column_to_pathtarget(below->target, reinterpret_cast<Expr *>(expr));
    }
    foreach (cell, join->clauses) {
        if (!give_columns(join->others, reinterpret_cast<Node *>(lfirst_node(RestrictInfo, cell)->clause))) return false;
    }
    set_pathtarget_cost_width(root, below->target);
    return understand_shape(below->keys, RelationGetDescr(below->table), below->rel->relid, below->target->exprs, &below->shape);
}

// ------------------------------------------------------------------------------------------------------------------- paths

void fill_join(const Join &join, JoinPath *path, NodeTag type, Path *outer, Path *inner, List *clauses) {
    path->path.pathtype = type;
    path->path.parent = join.joined;
    path->path.pathtarget = join.target;
    path->path.parallel_safe = join.joined->consider_parallel && outer->parallel_safe && inner->parallel_safe;
    path->jointype = JOIN_INNER;
    path->outerjoinpath = outer;
    path->innerjoinpath = inner;
    path->joinrestrictinfo = clauses;
#if PG_VERSION_NUM >= 180000
    path->path.disabled_nodes = outer->disabled_nodes + inner->disabled_nodes;
#endif
}

// Adds costs of the rows that a join gives, and makes results of them.
void finish_join(const Join &join, JoinPath *path, double rows) {
    if (path->path.pathtype == T_NestLoop && !enable_nestloop) {
#if PG_VERSION_NUM >= 180000
        path->path.disabled_nodes++;
#else
        path->path.startup_cost += disable_cost;
        path->path.total_cost += disable_cost;
#endif
    }
    path->path.rows = clamp_row_est(rows);
    path->path.total_cost += path->path.rows * (cpu_tuple_cost + join.target->cost.per_tuple);
    path->path.startup_cost += join.target->cost.startup;
    const double results = Min(join.result_count, path->path.rows);
    add_final_path(join.of_table.root, join.of_table.output, join.of_table.extra, &path->path, results);
}

// How many rows of the others a group is joined with.
double rows_per_group(const Join &join) { return join.joined->rows / Max(join.of_table.rel->rows, 1.0); }

// For each row of the others the table is aggregated by the tags that it says.
void add_nested_loop(const Join &join, RelOptInfo *upper) {
    Aggregation below = join.of_table;
    List *left = NIL;
    below.restrictions = list_copy(below.rel->baserestrictinfo);
    ListCell *cell;
    foreach (cell, join.clauses) {
        RestrictInfo *clause = lfirst_node(RestrictInfo, cell);
        ConditionList conditions = {};
        const bool chooses_tags =
            add_clause(below.root, below.keys, below.rel->relid, reinterpret_cast<Node *>(clause->clause), &conditions) &&
            is_tag_condition(conditions.items[0]);
        if (chooses_tags)
            below.restrictions = lappend(below.restrictions, clause);
        else
            left = lappend(left, clause);
    }
    if (list_length(left) == list_length(join.clauses)) return;
    const double share = 1.0 / engine::estimate_tags(below.table);
    below.rows = clamp_row_est(below.rel->rows * share);
    estimate_aggregation(&below);
    ParamPathInfo *required = get_baserel_parampathinfo(below.root, below.rel, join.others->relids);
    Path *inner = make_partial_path(below, upper, required, 0);
    NestPath *path = makeNode(NestPath);
    fill_join(join, &path->jpath, T_NestLoop, join.others_path, inner, left);
    const double runs = Max(join.others_path->rows, 1.0);
    path->jpath.path.startup_cost = join.others_path->startup_cost;
    path->jpath.path.total_cost = join.others_path->total_cost + runs * inner->total_cost;
    finish_join(join, &path->jpath, runs * inner->rows);
}

// Whether FILTER and the bucket can be asked of points that the join would leave out, and raise no error: comparisons can, and
// buckets but for those that are cast to integers, whose range a time may leave.
bool may_see_all_tags(const Aggregation &below) {
    ListCell *cell;
    foreach (cell, below.shape.filters) {
        Node *clause = static_cast<Node *>(lfirst(cell));
        NumberComparison comparison;
        const Index varno = below.rel->relid;
        const bool is_comparison = is_number_comparison(clause, varno, below.keys.columns.tag, &comparison);
        if (!is_comparison && !scan_decides(below.keys, varno, clause)) return false;
    }
    return below.shape.bucket == nullptr || exprType(below.shape.bucket) != INT4OID;
}

// The table is aggregated once, by every tag. The others are looked up by hash, or are few.
void add_single_pass(const Join &join, RelOptInfo *upper) {
    Aggregation below = join.of_table;
    if (!may_see_all_tags(below)) return;
    below.restrictions = below.rel->baserestrictinfo;
    below.rows = below.rel->rows;
    estimate_aggregation(&below);
    Path *outer = make_partial_path(below, upper, nullptr, 0);
    Path *inner = join.others_path;
    const double rows = outer->rows * rows_per_group(join);
    List *hashed = NIL;
    ListCell *cell;
    foreach (cell, join.clauses) {
        RestrictInfo *clause = lfirst_node(RestrictInfo, cell);
        const bool is_between = clause->can_join && OidIsValid(clause->hashjoinoperator) &&
                                ((bms_is_subset(clause->left_relids, outer->parent->relids) &&
                                  bms_is_subset(clause->right_relids, inner->parent->relids)) ||
                                 (bms_is_subset(clause->right_relids, outer->parent->relids) &&
                                  bms_is_subset(clause->left_relids, inner->parent->relids)));
        if (is_between) hashed = lappend(hashed, clause);
    }
    const double bytes = inner->rows * (inner->pathtarget->width + MAXALIGN(SizeofHeapTupleHeader) + sizeof(void *));
    if (hashed != NIL && enable_hashjoin && bytes < static_cast<double>(get_hash_memory_limit())) {
        HashPath *path = makeNode(HashPath);
        fill_join(join, &path->jpath, T_HashJoin, outer, inner, join.clauses);
        path->path_hashclauses = hashed;
        path->num_batches = 1;
        path->inner_rows_total = inner->rows;
        const double hashing = cpu_operator_cost * list_length(hashed);
        path->jpath.path.startup_cost = outer->startup_cost + inner->total_cost + inner->rows * (hashing + cpu_tuple_cost);
        path->jpath.path.total_cost =
            path->jpath.path.startup_cost + outer->total_cost - outer->startup_cost + outer->rows * hashing;
        finish_join(join, &path->jpath, rows);
        return;
    }
    NestPath *path = makeNode(NestPath);
    Path *again = inner->rows > 1 ? reinterpret_cast<Path *>(create_material_path(inner->parent, inner)) : inner;
    fill_join(join, &path->jpath, T_NestLoop, outer, again, join.clauses);
    QualCost asked;
    cost_qual_eval(&asked, join.clauses, join.of_table.root);
    path->jpath.path.startup_cost = outer->startup_cost + inner->startup_cost;
    path->jpath.path.total_cost = outer->total_cost + inner->total_cost +
                                  outer->rows * (inner->rows > 1 ? inner->rows * cpu_operator_cost : inner->total_cost) +
                                  outer->rows * inner->rows * (asked.per_tuple + cpu_tuple_cost);
    finish_join(join, &path->jpath, rows);
}

double count_results(const Join &join) {
    PlannerInfo *root = join.of_table.root;
    if (grouping_clauses(root) == NIL) return 1;
    List *groups = get_sortgrouplist_exprs(grouping_clauses(root), root->processed_tlist);
    return estimate_num_groups(root, groups, join.joined->rows, nullptr, nullptr);
}

// If this table of the join is one whose aggregation can go below it.
void add_paths_for_table(PlannerInfo *root, RelOptInfo *joined, RelOptInfo *table_rel, RelOptInfo *output,
                         const GroupPathExtraData *extra) {
    if (!may_aggregate_table(root, table_rel)) return;
    const Relation table =
        table_open(planner_rt_fetch(table_rel->relid, root)->relid, NoLock);  // locked since the query was parsed
    Join join = {};
    join.joined = joined;
    Aggregation *below = &join.of_table;
    below->root = root;
    below->rel = table_rel;
    below->output = output;
    below->extra = extra;
    below->table = table;
    below->keys = key_types(table);
    const bool is_possible =
        below->keys.columns.tag != InvalidAttrNumber && find_others(&join) && find_clauses(&join) && share_out_target(&join);
    if (is_possible) {
        RelOptInfo *upper = fetch_upper_rel(root, UPPERREL_PARTIAL_GROUP_AGG, table_rel->relids);
        upper->consider_parallel = table_rel->consider_parallel && output->consider_parallel;
        upper->reltarget = below->target;
        join.result_count = count_results(join);
        add_nested_loop(join, upper);
        add_single_pass(join, upper);
    }
    table_close(table, NoLock);
}

}  // namespace

void add_join_paths_of_aggregate(PlannerInfo *root, RelOptInfo *input, RelOptInfo *output, const GroupPathExtraData *extra) {
    if (root->hasPseudoConstantQuals || root->placeholder_list != NIL || root->hasLateralRTEs || IS_DUMMY_REL(input)) return;
    if (bms_num_members(input->relids) > kJoinedTablesMax) return;
    int relid = -1;
    while ((relid = bms_next_member(input->relids, relid)) >= 0) {
        RelOptInfo *rel = root->simple_rel_array[relid];
        if (rel != nullptr) add_paths_for_table(root, input, rel, output, extra);
    }
}

}  // namespace historian::planner
