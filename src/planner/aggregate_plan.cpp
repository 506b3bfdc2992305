// From path to plan of HistorianAggregate. Behind the columns that the node gives, custom_scan_tlist has the table's columns that
// its expressions speak of: PostgreSQL turns every column of custom_exprs into a place in that list, and execution turns them
// back.
#include "planner/aggregate.h"

extern "C" {
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/tlist.h"
#include "parser/parsetree.h"
}

namespace historian::planner {

namespace {

// The table's columns in expressions. Those of other tables, in conditions of a join, will be parameters.
List *columns_in(List *exprs, Index varno) {
    List *columns = NIL;
    ListCell *cell;
    foreach (cell, pull_var_clause(reinterpret_cast<Node *>(exprs), PVC_RECURSE_AGGREGATES)) {
        if (lfirst_node(Var, cell)->varno == static_cast<int>(varno)) columns = lappend(columns, lfirst(cell));
    }
    return columns;
}

Plan *plan_path(PlannerInfo *root, RelOptInfo *, CustomPath *path, List *target_list, List *, List *) {
    const auto relid = static_cast<Index>(intVal(linitial(path->custom_private)));
    List *clauses = static_cast<List *>(lsecond(path->custom_private));
    const Relation table = table_open(planner_rt_fetch(relid, root)->relid, NoLock);
    const KeyTypes keys = key_types(table);
    AggregateShape shape;
    const bool understood = understand_shape(keys, RelationGetDescr(table), relid, path->path.pathtarget->exprs, &shape);
    table_close(table, NoLock);
    if (!understood) elog(ERROR, "an aggregation that was understood is no more");

    CustomScan *scan = makeNode(CustomScan);
    scan->methods = &kAggregateScanMethods;
    scan->flags = path->flags;
    scan->scan.scanrelid = relid;
    scan->scan.plan.targetlist = target_list;
    List *bucket = NIL;
    if (shape.bucket != nullptr) bucket = list_make1(with_time_placeholder(shape.bucket, relid, keys.columns.time));
    scan->custom_exprs = list_make3(copyObjectImpl(clauses), copyObjectImpl(shape.filters), bucket);
    ListCell *cell;
    foreach (cell, target_list) {
        const TargetEntry *entry = lfirst_node(TargetEntry, cell);
        Expr *expr = static_cast<Expr *>(copyObjectImpl(entry->expr));
        scan->custom_scan_tlist = lappend(scan->custom_scan_tlist, makeTargetEntry(expr, entry->resno, entry->resname, false));
    }
    List *limit = static_cast<List *>(lthird(path->custom_private));
    scan->custom_private = list_make3_int(list_length(target_list), linitial_int(limit), lsecond_int(limit));
    foreach (cell, columns_in(list_concat(list_copy(clauses), shape.filters), relid)) {
        Expr *column = static_cast<Expr *>(lfirst(cell));
        if (tlist_member(column, scan->custom_scan_tlist) != nullptr) continue;
        const auto number = static_cast<AttrNumber>(list_length(scan->custom_scan_tlist) + 1);
        scan->custom_scan_tlist = lappend(scan->custom_scan_tlist, makeTargetEntry(column, number, nullptr, true));
    }
    return &scan->scan.plan;
}

// Turns places in custom_scan_tlist back into what stands there.
Node *restore_columns(Node *node, void *target_list) {
    if (node == nullptr) return nullptr;
    if (IsA(node, Var) && reinterpret_cast<Var *>(node)->varno == INDEX_VAR) {
        const AttrNumber number = reinterpret_cast<Var *>(node)->varattno;
        const TargetEntry *entry = list_nth_node(TargetEntry, static_cast<List *>(target_list), number - 1);
        return reinterpret_cast<Node *>(entry->expr);
    }
    return mutate_expression(node, restore_columns, target_list);
}

}  // namespace

BucketLimit limit_of_plan(const CustomScan *plan) {
    return {static_cast<uint32>(lsecond_int(plan->custom_private)), lthird_int(plan->custom_private) != 0};
}

List *given_exprs(const CustomScan *plan) {
    const int count = linitial_int(plan->custom_private);
    List *exprs = NIL;
    for (int i = 0; i < count; i++) exprs = lappend(exprs, list_nth_node(TargetEntry, plan->custom_scan_tlist, i)->expr);
    return exprs;
}

List *restored_exprs(const CustomScan *plan, List *exprs) {
    return reinterpret_cast<List *>(restore_columns(reinterpret_cast<Node *>(exprs), plan->custom_scan_tlist));
}

const CustomPathMethods kAggregatePathMethods = {
    .CustomName = kAggregateName,
    .PlanCustomPath = plan_path,
    .ReparameterizeCustomPathByChild = nullptr,
};

}  // namespace historian::planner
