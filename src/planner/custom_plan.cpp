// From path to plan. All clauses but searches become the node's qual; those that skip data, searches too, stand in custom_exprs,
// so that the planner fixes their variables and parameters as it does for the qual.
#include "planner/historian_scan.h"

#include <initializer_list>

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
    scan->custom_private = path->custom_private;  // the shape
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

List *shape_to_list(const ScanShape &shape) {
    List *list = list_make1_int(static_cast<int>(shape.order));
    const engine::TagOrder &order = shape.tag_order;
    for (const bool flag : {order.tags_descend, order.null_tags_last, order.times_descend, order.null_times_last, shape.shows_tag,
                            shape.one_row_per_tag})
        list = lappend_int(list, flag ? 1 : 0);
    return list;
}

ScanShape shape_of_list(List *list) {
    const auto flag = [list](int place) { return list_nth_int(list, place) != 0; };
    ScanShape shape = {};
    shape.order = static_cast<engine::ScanOrder>(linitial_int(list));
    shape.tag_order = {flag(1), flag(2), flag(3), flag(4)};
    shape.shows_tag = flag(5);
    shape.one_row_per_tag = flag(6);
    return shape;
}

const CustomPathMethods kPathMethods = {
    .CustomName = kScanName,
    .PlanCustomPath = plan_path,
    .ReparameterizeCustomPathByChild = nullptr,  // the path keeps no expressions of its own
};

}  // namespace historian::planner
