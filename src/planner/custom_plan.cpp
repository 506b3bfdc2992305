// From path to plan. All clauses but searches become the node's qual; those that skip data, searches too, stand in custom_exprs,
// so that the planner fixes their variables and parameters as it does for the qual.
#include "planner/historian_scan.h"

extern "C" {
#include "optimizer/optimizer.h"
#include "optimizer/restrictinfo.h"
#include "parser/parsetree.h"
}

namespace historian::planner {

namespace {

Plan *plan_path(PlannerInfo *root, RelOptInfo *rel, CustomPath *path, List *target_list, List *clauses, List *) {
    const RangeTblEntry *entry = planner_rt_fetch(rel->relid, root);
    const Relation table = table_open(entry->relid, NoLock);
    const KeyTypes keys = key_types(table);
    table_close(table, NoLock);
    CustomScan *scan = makeNode(CustomScan);
    scan->methods = &kScanMethods;
    scan->flags = path->flags;
    scan->custom_private = path->custom_private;  // the order
    scan->scan.scanrelid = rel->relid;
    scan->scan.plan.targetlist = target_list;
    ConditionList conditions = {};
    ListCell *cell;
    foreach (cell, clauses) {
        RestrictInfo *info = lfirst_node(RestrictInfo, cell);
        if (info->pseudoconstant) continue;
        Node *clause = reinterpret_cast<Node *>(info->clause);
        const bool understood =
            restriction_is_securely_promotable(info, rel) && add_clause(root, keys, rel->relid, clause, &conditions);
        if (understood) scan->custom_exprs = lappend(scan->custom_exprs, static_cast<Node *>(copyObjectImpl(clause)));
        if (!understood || !ends_in_search(conditions)) scan->scan.plan.qual = lappend(scan->scan.plan.qual, clause);
    }
    return &scan->scan.plan;
}

}  // namespace

const CustomPathMethods kPathMethods = {
    .CustomName = kScanName,
    .PlanCustomPath = plan_path,
    .ReparameterizeCustomPathByChild = nullptr,  // the path keeps no expressions of its own
};

}  // namespace historian::planner
