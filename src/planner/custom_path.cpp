// Paths: a whole scan, a parallel one, and scans that take tags or times from other tables of a join.
#include "planner/historian_scan.h"
#include "planner/planner.h"
#include "table_am/callbacks.h"

extern "C" {
#include "nodes/makefuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/prep.h"
#include "optimizer/restrictinfo.h"
#include "utils/typcache.h"
}

namespace historian::planner {

bool enable_scan = true;

namespace {

set_rel_pathlist_hook_type previous_set_rel_pathlist = nullptr;

/// The most sets of outer tables that get a path: each costs planning time, and joins rarely offer more.
constexpr int kOuterSetsMax = 8;

// Only of clauses that may be asked before those of row-level security and security-barrier views: EXPLAIN shows what they skip,
// and that tells about rows that the user must not see. (As PostgreSQL does for an index, match_clause_to_index.)
ConditionList conditions_of(const ScannedTable &scanned, List *clauses) {
    ConditionList conditions = {};
    ListCell *cell;
    foreach (cell, clauses) {
        RestrictInfo *clause = lfirst_node(RestrictInfo, cell);
        if (clause->pseudoconstant || !restriction_is_securely_promotable(clause, scanned.rel)) continue;
        add_clause(scanned.root, scanned.keys, scanned.rel->relid, reinterpret_cast<Node *>(clause->clause), &conditions);
    }
    return conditions;
}

}  // namespace

CustomPath *make_path(const ScannedTable &scanned, Relids required_outer, int workers) {
    RelOptInfo *rel = scanned.rel;
    CustomPath *custom = makeNode(CustomPath);
    custom->methods = &kPathMethods;
    custom->flags = CUSTOMPATH_SUPPORT_PROJECTION | CUSTOMPATH_SUPPORT_BACKWARD_SCAN;
    Path *path = &custom->path;
    path->pathtype = T_CustomScan;
    path->parent = rel;
    path->pathtarget = rel->reltarget;
    path->param_info = get_baserel_parampathinfo(scanned.root, rel, required_outer);
    path->parallel_aware = workers > 0;
    path->parallel_safe = rel->consider_parallel;
    path->parallel_workers = workers;
    ScanShape shape = {};
    shape.order = workers > 0 ? engine::ScanOrder::stored : engine::default_order(scanned.table);
    custom->custom_private = shape_to_list(shape);
    return custom;
}

namespace {

List *clauses_of_path(const ScannedTable &scanned, const Path *path) {
    List *clauses = list_copy(scanned.rel->baserestrictinfo);
    return path->param_info != nullptr ? list_concat(clauses, path->param_info->ppi_clauses) : clauses;
}

engine::ScanEstimate estimate_path(const ScannedTable &scanned, const Path *path) {
    List *clauses = clauses_of_path(scanned, path);
    return estimate_conditions(scanned.root, scanned.rel, scanned.table, scanned.keys, conditions_of(scanned, clauses), clauses);
}

// -------------------------------------------------------------------------------------------------------------- join paths

// Whether a member of an equivalence class is the column in question.
bool member_is_column(PlannerInfo *, RelOptInfo *rel, EquivalenceClass *, EquivalenceMember *member, void *argument) {
    const AttrNumber column = *static_cast<const AttrNumber *>(argument);
    Node *node = reinterpret_cast<Node *>(member->em_expr);
    while (node != nullptr && IsA(node, RelabelType)) node = reinterpret_cast<Node *>(reinterpret_cast<RelabelType *>(node)->arg);
    if (node == nullptr || !IsA(node, Var)) return false;
    const Var *var = reinterpret_cast<const Var *>(node);
    return var->varno == static_cast<int>(rel->relid) && var->varattno == column;
}

// The other tables that a join clause takes its value from.
Relids outer_tables_of(const ScannedTable &scanned, const RestrictInfo *clause) {
    Relids outer = bms_del_member(bms_copy(clause->clause_relids), scanned.rel->relid);
#if PG_VERSION_NUM >= 160000
    outer = bms_del_members(outer, scanned.root->outer_join_rels);
#endif
    return outer;
}

// Adds the outer tables of the clauses that can skip data, each set once.
List *collect_outer_sets(const ScannedTable &scanned, List *clauses, bool must_be_movable, List *sets) {
    ListCell *cell;
    foreach (cell, clauses) {
        RestrictInfo *clause = lfirst_node(RestrictInfo, cell);
        if (list_length(sets) >= kOuterSetsMax) break;
        if (clause->pseudoconstant || !restriction_is_securely_promotable(clause, scanned.rel)) continue;
        if (must_be_movable && !join_clause_is_movable_to(clause, scanned.rel)) continue;
        ConditionList conditions = {};
        if (!add_clause(scanned.root, scanned.keys, scanned.rel->relid, reinterpret_cast<Node *>(clause->clause), &conditions))
            continue;
        if (is_number_condition(conditions.items[0])) continue;  // every granule would be read once for each value
        Relids outer = outer_tables_of(scanned, clause);
        outer = bms_add_members(outer, scanned.rel->lateral_relids);
        bool is_new = !bms_is_empty(outer) && !bms_equal(outer, scanned.rel->lateral_relids);
        ListCell *known;
        foreach (known, sets) is_new = is_new && !bms_equal(outer, static_cast<Relids>(lfirst(known)));
        if (is_new) sets = lappend(sets, outer);
    }
    return sets;
}

void add_join_paths(const ScannedTable &scanned) {
    List *sets = NIL;
    // One call a column: each answers for the first equivalence class that it finds.
    AttrNumber columns[] = {scanned.keys.columns.tag, scanned.keys.columns.time};
    for (AttrNumber &column : columns) {
        if (!scanned.rel->has_eclass_joins || column == InvalidAttrNumber) continue;
        List *implied = generate_implied_equalities_for_column(scanned.root, scanned.rel, member_is_column, &column, nullptr);
        sets = collect_outer_sets(scanned, implied, false, sets);
    }
    sets = collect_outer_sets(scanned, scanned.rel->joininfo, true, sets);
    ListCell *cell;
    foreach (cell, sets) {
        CustomPath *path = make_path(scanned, static_cast<Relids>(lfirst(cell)), 0);
        const engine::ScanEstimate estimate = estimate_path(scanned, &path->path);
        ParamPathInfo *info = path->path.param_info;
        if (!scanned.is_log)
            info->ppi_rows = Min(scanned.rel->rows, rows_of_clauses(scanned, estimate, clauses_of_path(scanned, &path->path)));
        cost_scan(scanned.root, scanned.rel, &path->path, estimate);
        add_path(scanned.rel, &path->path);
    }
}

// -------------------------------------------------------------------------------------------------------- order of time

// The order of time that a scan of a log table gives, as the planner knows orders; NIL when nobody asks for it, or where NULLs
// would stand elsewhere than ORDER BY puts them.
List *time_pathkeys(const ScannedTable &scanned, ScanDirection direction) {
    const Form_pg_attribute column = TupleDescAttr(RelationGetDescr(scanned.table), scanned.keys.columns.time - 1);
    if (!column->attnotnull) return NIL;
    const Oid order = lookup_type_cache(column->atttypid, TYPECACHE_LT_OPR)->lt_opr;
    const Oid wanted = ScanDirectionIsForward(direction) ? order : get_commutator(order);
    Var *var = makeVar(static_cast<int>(scanned.rel->relid), column->attnum, column->atttypid, column->atttypmod, InvalidOid, 0);
    return build_expression_pathkey(scanned.root, reinterpret_cast<Expr *>(var),
#if PG_VERSION_NUM < 160000
                                    nullptr,
#endif
                                    wanted, scanned.rel->relids, false);
}

// Without ORDER BY records come newest first. That is a promise to people who look at a table, not to joins, aggregates and
// sorts: these may read in parallel, where there is no order.
bool shows_records(const PlannerInfo *root) {
    const Query *query = root->parse;
    return query->sortClause == NIL && query->groupClause == NIL && query->distinctClause == NIL && !query->hasAggs &&
           !query->hasWindowFuncs && query->setOperations == nullptr && list_length(query->jointree->fromlist) == 1;
}

// Beside the scan in the usual order, newest first, one in the opposite order, when that is of use.
void add_oldest_first(const ScannedTable &scanned, const engine::ScanEstimate &estimate) {
    List *pathkeys = time_pathkeys(scanned, ForwardScanDirection);
    if (pathkeys == NIL || !pathkeys_contained_in(pathkeys, scanned.root->query_pathkeys)) return;
    CustomPath *path = make_path(scanned, scanned.rel->lateral_relids, 0);
    path->path.pathkeys = pathkeys;
    ScanShape shape = {};
    shape.order = engine::ScanOrder::oldest_first;
    path->custom_private = shape_to_list(shape);
    cost_scan(scanned.root, scanned.rel, &path->path, estimate);
    add_path(scanned.rel, &path->path);
}

// ------------------------------------------------------------------------------------------------------------------- hook

// The sequential scan reads all that this node reads, in the same order, and more: it is not even compared.
List *without_sequential_scans(List *paths) {
    List *kept = NIL;
    ListCell *cell;
    foreach (cell, paths) {
        if (static_cast<Path *>(lfirst(cell))->pathtype != T_SeqScan) kept = lappend(kept, lfirst(cell));
    }
    return kept;
}

void add_paths(const ScannedTable &scanned) {
    RelOptInfo *rel = scanned.rel;
    if (scanned.is_log) {
        rel->pathlist = without_sequential_scans(rel->pathlist);
        rel->partial_pathlist = without_sequential_scans(rel->partial_pathlist);
    }
    CustomPath *path = make_path(scanned, rel->lateral_relids, 0);
    const engine::ScanEstimate estimate = estimate_path(scanned, &path->path);
    // The directory knows tags and times better than a sample of the rows, and of rows that came since.
    if (!scanned.is_log && bms_is_empty(rel->lateral_relids))
        rel->rows = rows_of_clauses(scanned, estimate, rel->baserestrictinfo);
    cost_scan(scanned.root, rel, &path->path, estimate);
    if (scanned.is_log) {
        path->path.pathkeys = time_pathkeys(scanned, BackwardScanDirection);
        add_oldest_first(scanned, estimate);
    }
    add_path(rel, &path->path);
    if (!scanned.is_log) add_tag_order_paths(scanned, estimate);
    add_join_paths(scanned);
    if (scanned.is_log && shows_records(scanned.root)) {
        rel->partial_pathlist = NIL;
        return;
    }
    if (!rel->consider_parallel || !bms_is_empty(rel->lateral_relids)) return;
    // A segment is read by one process: more processes than segments find nothing to do.
    const int wanted = compute_parallel_worker(rel, estimate.pages + estimate.tail_pages, -1, max_parallel_workers_per_gather);
    const int workers = Min(wanted, static_cast<int>(Min(estimate.segments, 1024.0)));
    if (workers > 0) {
        CustomPath *partial = make_path(scanned, nullptr, workers);
        cost_scan(scanned.root, rel, &partial->path, estimate);
        add_partial_path(rel, &partial->path);
    }
}

// WHERE CURRENT OF is for a TID scan alone, which says what is wrong with it. Up to version 17 its cost is far below any other.
bool is_of_cursor(const RelOptInfo *rel) {
    ListCell *cell;
    foreach (cell, rel->baserestrictinfo) {
        if (IsA(lfirst_node(RestrictInfo, cell)->clause, CurrentOfExpr)) return true;
    }
    return false;
}

bool may_scan(const PlannerInfo *root, RelOptInfo *rel, Index rti, const RangeTblEntry *entry) {
    if (!enable_scan || IS_DUMMY_REL(rel) || entry->rtekind != RTE_RELATION || entry->inh || entry->tablesample != nullptr)
        return false;
    if (rel->reloptkind != RELOPT_BASEREL && rel->reloptkind != RELOPT_OTHER_MEMBER_REL) return false;
    if (!table_am::is_ours(entry->relid) || is_of_cursor(rel)) return false;
    const PlanRowMark *mark = get_plan_rowmark(root->rowMarks, rti);
    return mark == nullptr || mark->markType >= ROW_MARK_REFERENCE;
}

void on_set_rel_pathlist(PlannerInfo *root, RelOptInfo *rel, Index rti, RangeTblEntry *entry) {
    if (previous_set_rel_pathlist != nullptr) previous_set_rel_pathlist(root, rel, rti, entry);
    if (!may_scan(root, rel, rti, entry)) return;
    const Relation table = table_open(entry->relid, NoLock);  // locked since the query was parsed or its plan looked at
    add_paths({root, rel, table, key_types(table), engine::is_log_table(table)});
    table_close(table, NoLock);
}

}  // namespace

void install_planner_hooks() {
    DefineCustomBoolVariable("historian.enable_scan", "Whether the planner may read tag and log tables by HistorianScan.",
                             "Off: by sequential scans, which read everything. For comparisons.", &enable_scan, true, PGC_USERSET,
                             GUC_EXPLAIN, nullptr, nullptr, nullptr);
    install_order_settings();
    RegisterCustomScanMethods(&kScanMethods);
    previous_set_rel_pathlist = set_rel_pathlist_hook;
    set_rel_pathlist_hook = on_set_rel_pathlist;
}

}  // namespace historian::planner
