// Paths of tag tables that are sorted by (tag, time), or by time where one tag is asked for; and those that give the first row of
// each tag, for DISTINCT ON (tag) and the like.
//
// Sorted means as tags are: by their bytes. Where a type's order is another one, of texts under most collations, a path has no
// order to offer; but one row of each tag can still be had, and is then sorted by whoever wants it so.
#include "planner/historian_scan.h"
#include "planner/planner.h"

extern "C" {
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/tlist.h"
#include "utils/guc.h"
#include "utils/typcache.h"
}

namespace historian::planner {

bool enable_ordered_scan = true;
bool enable_last_point = true;

namespace {

/// The order of the tail's rows is kept in memory, 24 bytes a row: beyond these, a sort that may spill to disk is better.
constexpr double kTailRowsMax = 10'000'000;

bool descends(const PathKey *key) {
#if PG_VERSION_NUM >= 180000
    return key->pk_cmptype == COMPARE_GT;
#else
    return key->pk_strategy == BTGreaterStrategyNumber;
#endif
}

Oid usual_family(Oid type) { return lookup_type_cache(type, TYPECACHE_BTREE_OPFAMILY)->btree_opf; }

// A column of the table in an equivalence class, under the usual meaning of equality.
bool class_has_column(const ScannedTable &scanned, EquivalenceClass *equivalence, AttrNumber number, Oid type) {
    const Form_pg_attribute column = TupleDescAttr(RelationGetDescr(scanned.table), number - 1);
    if (equivalence->ec_has_volatile) return false;
    const Oid family = usual_family(type);
    if (!OidIsValid(family) || !list_member_oid(equivalence->ec_opfamilies, family)) return false;
    Var *var =
        makeVar(static_cast<int>(scanned.rel->relid), number, column->atttypid, column->atttypmod, column->attcollation, 0);
    return find_ec_member_matching_expr(equivalence, reinterpret_cast<Expr *>(var), scanned.rel->relids) != nullptr;
}

bool is_tag_key(const ScannedTable &scanned, const PathKey *key) {
    return class_has_column(scanned, key->pk_eclass, scanned.keys.columns.tag, scanned.keys.tag_type);
}
bool is_time_key(const ScannedTable &scanned, const PathKey *key) {
    return key->pk_opfamily == usual_family(scanned.keys.time_type) &&
           class_has_column(scanned, key->pk_eclass, scanned.keys.columns.time, scanned.keys.time_type);
}

bool is_sorted_as_tags(const ScannedTable &scanned, const PathKey *key) {
    return key->pk_opfamily == usual_family(scanned.keys.tag_type) &&
           order_is_of_bytes(scanned.keys.tag_type, key->pk_eclass->ec_collation);
}

// Whether equal tags are equal bytes for DISTINCT and GROUP BY.
bool is_grouped_as_tags(const ScannedTable &scanned, const PathKey *key) {
    const Oid collation = key->pk_eclass->ec_collation;
    if (!equality_is_of_bytes(scanned.keys.tag_type)) return false;
    return !OidIsValid(collation) || get_collation_isdeterministic(collation);
}

void set_tag_order(const PathKey *key, ScanShape *shape) {
    shape->tag_order.tags_descend = descends(key);
    shape->tag_order.null_tags_last = !key->pk_nulls_first;
}
void set_time_order(const PathKey *key, ScanShape *shape) {
    shape->tag_order.times_descend = descends(key);
    shape->tag_order.null_times_last = !key->pk_nulls_first;
}

// As ORDER BY tag, time without further words.
ScanShape usual_shape() {
    ScanShape shape = {};
    shape.order = engine::ScanOrder::by_tag;
    shape.tag_order = {false, true, false, true};
    shape.shows_tag = true;
    return shape;
}

// Whether the rows that the conditions leave have one tag.
bool has_one_tag(const ScannedTable &scanned) {
    ListCell *cell;
    foreach (cell, scanned.rel->baserestrictinfo) {
        RestrictInfo *clause = lfirst_node(RestrictInfo, cell);
        ConditionList one = {};
        if (clause->pseudoconstant) continue;
        if (!add_clause(scanned.root, scanned.keys, scanned.rel->relid, reinterpret_cast<Node *>(clause->clause), &one)) continue;
        if (one.count == 1 && one.items[0].comparison == Comparison::tag_equal) return true;
    }
    return false;
}

// ------------------------------------------------------------------------------------------------------------------- order

// As much of a wanted order as a scan can give; NIL: nothing of it. Fills the shape.
List *offered_pathkeys(const ScannedTable &scanned, List *wanted, bool one_tag, ScanShape *shape) {
    *shape = usual_shape();
    shape->shows_tag = !one_tag;
    List *offered = NIL;
    ListCell *cell;
    foreach (cell, wanted) {
        PathKey *key = lfirst_node(PathKey, cell);
        if (offered == NIL && is_tag_key(scanned, key) && (one_tag || is_sorted_as_tags(scanned, key))) {
            set_tag_order(key, shape);
            offered = lappend(offered, key);
            continue;
        }
        if ((offered != NIL || one_tag) && is_time_key(scanned, key)) {
            set_time_order(key, shape);
            offered = lappend(offered, key);
        }
        break;
    }
    return offered;
}

List *pathkey_of_column(const ScannedTable &scanned, AttrNumber number) {
    const Form_pg_attribute column = TupleDescAttr(RelationGetDescr(scanned.table), number - 1);
    const Oid type = getBaseType(column->atttypid);
    Var *var =
        makeVar(static_cast<int>(scanned.rel->relid), number, column->atttypid, column->atttypmod, column->attcollation, 0);
    return build_expression_pathkey(scanned.root, reinterpret_cast<Expr *>(var),
#if PG_VERSION_NUM < 160000
                                    nullptr,
#endif
                                    lookup_type_cache(type == VARCHAROID ? TEXTOID : type, TYPECACHE_LT_OPR)->lt_opr,
                                    scanned.rel->relids, false);
}

// For merge joins: by tag and time, in the direction that they all take.
List *usual_pathkeys(const ScannedTable &scanned) {
    const KeyTypes &keys = scanned.keys;
    if (!order_is_of_bytes(keys.tag_type, keys.tag.attcollation)) return NIL;
    List *by_tag = pathkey_of_column(scanned, keys.columns.tag);
    return by_tag == NIL ? NIL : list_concat(by_tag, pathkey_of_column(scanned, keys.columns.time));
}

void add_ordered_path(const ScannedTable &scanned, const ScanShape &shape, List *pathkeys, const engine::ScanEstimate &estimate) {
    CustomPath *path = make_path(scanned, scanned.rel->lateral_relids, 0);
    path->path.pathkeys = pathkeys;
    path->custom_private = shape_to_list(shape);
    if (shape.one_row_per_tag) path->flags &= ~static_cast<uint32>(CUSTOMPATH_SUPPORT_BACKWARD_SCAN);
    cost_ordered_scan(scanned, &path->path, shape, estimate);
    add_path(scanned.rel, &path->path);
}

// -------------------------------------------------------------------------------------------------------- one row of each tag

bool speaks_only_of_tag(const ScannedTable &scanned, Node *node) {
    Bitmapset *columns = nullptr;
    pull_varattnos(node, scanned.rel->relid, &columns);
    columns = bms_del_member(columns, scanned.keys.columns.tag - FirstLowInvalidHeapAttributeNumber);
    return bms_is_empty(columns);
}

// Of the members of an equivalence class those that are the same in all rows of a tag, and those that are not.
struct MemberCounts {
    uint32 of_tag;
    uint32 of_row;
};
MemberCounts count_members(const ScannedTable &scanned, const EquivalenceClass *equivalence) {
    MemberCounts counts = {0, 0};
    ListCell *cell;
    foreach (cell, equivalence->ec_members) {
        const EquivalenceMember *member = lfirst_node(EquivalenceMember, cell);
        if (member->em_is_child) continue;
        if (speaks_only_of_tag(scanned, reinterpret_cast<Node *>(member->em_expr)))
            counts.of_tag++;
        else
            counts.of_row++;
    }
    return counts;
}

// Whether the table is joined with others by nothing but its tag, so that all its rows of a tag join with the same rows.
bool is_joined_by_tag(const ScannedTable &scanned) {
    const PlannerInfo *root = scanned.root;
    const Index relid = scanned.rel->relid;
    if (root->join_info_list != NIL || root->placeholder_list != NIL || root->hasLateralRTEs) return false;
    if (scanned.rel->reloptkind != RELOPT_BASEREL) return false;  // of a partition the equivalence classes do not tell
    ListCell *cell;
    foreach (cell, scanned.rel->joininfo) {
        Node *clause = reinterpret_cast<Node *>(lfirst_node(RestrictInfo, cell)->clause);
        if (!speaks_only_of_tag(scanned, clause) || contain_volatile_functions(clause)) return false;
    }
    foreach (cell, root->eq_classes) {
        const EquivalenceClass *equivalence = lfirst_node(EquivalenceClass, cell);
        const bool joins = bms_is_member(static_cast<int>(relid), equivalence->ec_relids) &&
                           bms_membership(equivalence->ec_relids) == BMS_MULTIPLE;
        if (joins && count_members(scanned, equivalence).of_row > 0) return false;
    }
    return true;
}

// Whether what is sorted or grouped by is the same in all rows of a tag that are joined with the same rows.
bool is_same_in_tag(const ScannedTable &scanned, const PathKey *key) {
    return !key->pk_eclass->ec_has_volatile && count_members(scanned, key->pk_eclass).of_tag > 0;
}

bool is_alone(const ScannedTable &scanned) { return bms_membership(scanned.root->all_baserels) == BMS_SINGLETON; }

// Whether all rows that the table gives go into one DISTINCT or GROUP BY, in which rows of one tag, joined with the same rows of
// other tables, become one row.
bool keeps_one_row_per_tag(const ScannedTable &scanned) {
    const PlannerInfo *root = scanned.root;
    const Query *query = root->parse;
    if (query->commandType != CMD_SELECT || query->hasAggs || query->hasWindowFuncs || query->hasTargetSRFs) return false;
    if (query->groupingSets != NIL || query->rowMarks != NIL || query->setOperations != nullptr) return false;
    if (!is_alone(scanned) && !is_joined_by_tag(scanned)) return false;
    List *grouping = query->groupClause != NIL ? query->groupClause : query->distinctClause;
    List *pathkeys = query->groupClause != NIL ? root->group_pathkeys : root->distinct_pathkeys;
    if (grouping == NIL || !grouping_is_sortable(grouping)) return false;
    if (contain_volatile_functions(reinterpret_cast<Node *>(root->processed_tlist))) return false;
    ListCell *cell;
    foreach (cell, pathkeys) {  // columns that are constant have none
        const PathKey *key = lfirst_node(PathKey, cell);
        const bool is_usable =
            is_alone(scanned) ? is_tag_key(scanned, key) && is_grouped_as_tags(scanned, key) : is_same_in_tag(scanned, key);
        if (!is_usable) return false;
    }
    return true;
}

// Which row of a tag is wanted: the first by ORDER BY, which may name the tag and then the time, and nothing behind them; in a
// join also what is the same in all rows of a tag. False when it names more.
bool choose_row_of_tag(const ScannedTable &scanned, ScanShape *shape) {
    *shape = usual_shape();
    shape->one_row_per_tag = true;
    if (scanned.root->parse->groupClause != NIL) return true;  // one is like the other
    bool has_time = false;
    ListCell *cell;
    foreach (cell, scanned.root->sort_pathkeys) {
        const PathKey *key = lfirst_node(PathKey, cell);
        if (!is_alone(scanned) && is_same_in_tag(scanned, key)) continue;
        if (has_time) return false;
        if (is_time_key(scanned, key)) {
            set_time_order(key, shape);
            has_time = true;
        } else if (is_tag_key(scanned, key)) {
            set_tag_order(key, shape);
        } else {
            return false;
        }
    }
    return true;
}

void add_last_point_path(const ScannedTable &scanned, bool one_tag, const engine::ScanEstimate &estimate) {
    ScanShape shape;
    if (!keeps_one_row_per_tag(scanned) || !choose_row_of_tag(scanned, &shape)) return;
    ScanShape sorted;
    List *wanted = scanned.root->query_pathkeys;
    List *pathkeys = offered_pathkeys(scanned, wanted, one_tag, &sorted);
    if (pathkeys != NIL) {
        shape.tag_order.tags_descend = sorted.tag_order.tags_descend;
        shape.tag_order.null_tags_last = sorted.tag_order.null_tags_last;
    }
    shape.shows_tag = !one_tag;
    add_ordered_path(scanned, shape, pathkeys, estimate);
}

}  // namespace

void add_tag_order_paths(const ScannedTable &scanned, const engine::ScanEstimate &estimate) {
    if (!enable_ordered_scan && !enable_last_point) return;
    if (!bms_is_empty(scanned.rel->lateral_relids)) return;
    const bool one_tag = has_one_tag(scanned);
    if (!one_tag && estimate.tail_rows > kTailRowsMax) return;
    if (enable_last_point) add_last_point_path(scanned, one_tag, estimate);
    if (!enable_ordered_scan) return;
    ScanShape shape;
    List *offered = offered_pathkeys(scanned, scanned.root->query_pathkeys, one_tag, &shape);
    if (offered != NIL) return add_ordered_path(scanned, shape, offered, estimate);
    if (one_tag || !has_useful_pathkeys(scanned.root, scanned.rel)) return;
    offered = truncate_useless_pathkeys(scanned.root, scanned.rel, usual_pathkeys(scanned));
    if (offered != NIL) add_ordered_path(scanned, usual_shape(), offered, estimate);
}

void install_order_settings() {
    DefineCustomBoolVariable("historian.enable_ordered_scan", "Whether the planner may read tag tables in order of tag and time.",
                             "Off: what wants that order is sorted. For comparisons.", &enable_ordered_scan, true, PGC_USERSET,
                             GUC_EXPLAIN, nullptr, nullptr, nullptr);
    DefineCustomBoolVariable("historian.enable_last_point",
                             "Whether the planner may read one row of each tag, for DISTINCT ON and the like.",
                             "Off: all rows are read. For comparisons.", &enable_last_point, true, PGC_USERSET, GUC_EXPLAIN,
                             nullptr, nullptr, nullptr);
}

}  // namespace historian::planner
