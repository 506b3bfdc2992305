#include "planner/conditions.h"

#include "planner/key_terms.h"
#include "planner/rounded_time.h"

extern "C" {
#include "catalog/pg_operator.h"
#include "catalog/pg_opfamily.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "utils/fmgroids.h"
#include "utils/pg_locale.h"
#include "utils/typcache.h"
}

namespace historian::planner {

KeyTypes key_types(Relation rel) {
    KeyTypes keys = {};
    keys.columns = engine::key_columns(rel);
    keys.is_log = engine::is_log_table(rel);
    const TupleDesc desc = RelationGetDescr(rel);
    if (keys.columns.tag != InvalidAttrNumber) {
        keys.tag = *TupleDescAttr(desc, keys.columns.tag - 1);
        keys.tag_type = getBaseType(keys.tag.atttypid);
    }
    if (keys.columns.time != InvalidAttrNumber) keys.time_type = TupleDescAttr(desc, keys.columns.time - 1)->atttypid;
    return keys;
}

bool equality_is_of_bytes(Oid type) {
    switch (type) {
        case TEXTOID:
        case VARCHAROID:
        case BYTEAOID:
        case UUIDOID:
        case INT2OID:
        case INT4OID:
        case INT8OID:
        case OIDOID:
        case BOOLOID:
        case CHAROID:
        case DATEOID:
        case TIMEOID:
        case TIMESTAMPOID:
        case TIMESTAMPTZOID:
        case MACADDROID:
        case MACADDR8OID: return true;
        default: return type_is_enum(type);
    }
}

namespace {

bool collation_is_c(Oid collation) {
#if PG_VERSION_NUM >= 180000
    return pg_newlocale_from_collation(collation)->collate_is_c;
#else
    return lc_collate_is_c(collation);
#endif
}

}  // namespace

// Not: oid and "char", which count as unsigned; enums, ordered by their catalog.
bool order_is_of_bytes(Oid type, Oid collation) {
    switch (type) {
        case TEXTOID:
        case VARCHAROID: return OidIsValid(collation) && collation_is_c(collation);
        case BYTEAOID:
        case UUIDOID:
        case INT2OID:
        case INT4OID:
        case INT8OID:
        case BOOLOID:
        case DATEOID:
        case TIMEOID:
        case TIMESTAMPOID:
        case TIMESTAMPTZOID:
        case MACADDROID:
        case MACADDR8OID: return true;
        default: return false;
    }
}

LikePrefix like_prefix(std::string_view pattern, char *prefix) {
    LikePrefix literal = {0, true};
    for (size_t at = 0; at < pattern.size(); at++) {
        if (pattern[at] == '%' || pattern[at] == '_') return {literal.byte_count, false};
        if (pattern[at] == '\\' && at + 1 < pattern.size()) at++;
        prefix[literal.byte_count++] = pattern[at];
    }
    return literal;
}

namespace {

bool is_integer(Oid type) { return type == INT2OID || type == INT4OID || type == INT8OID; }

bool is_text(Oid type) { return type == TEXTOID || type == VARCHAROID; }

// What a type's operators take: varchar has none of its own, enums share theirs.
Oid operator_type(Oid type) { return type == VARCHAROID ? TEXTOID : type_is_enum(type) ? ANYENUMOID : type; }

// Column or value, under relabellings that change no byte (varchar to text, domains).
const Var *column_of(Node *node, Index varno) {
    while (node != nullptr && IsA(node, RelabelType)) node = reinterpret_cast<Node *>(reinterpret_cast<RelabelType *>(node)->arg);
    if (node == nullptr || !IsA(node, Var)) return nullptr;
    const Var *var = reinterpret_cast<const Var *>(node);
    return var->varno == static_cast<int>(varno) && var->varlevelsup == 0 && var->varattno > 0 ? var : nullptr;
}

bool is_usable_value(PlannerInfo *root, Index varno, Node *value) {
    return !bms_is_member(static_cast<int>(varno), pull_varnos(root, value)) && !contain_subplans(value) &&
           !contain_volatile_functions(value);
}

void append_condition(ConditionList *list, Condition condition) {
    if (list->count == list->room) {
        list->room = Max(8, list->room * 2);
        const Size bytes = sizeof(Condition) * list->room;
        list->items = static_cast<Condition *>(list->items == nullptr ? palloc(bytes) : repalloc(list->items, bytes));
    }
    condition.clause = list->clause_count;
    list->items[list->count++] = condition;
}

void append_condition(ConditionList *list, Comparison comparison, Oid value_type, Node *value) {
    Condition condition = {};
    condition.comparison = comparison;
    condition.value_type = value_type;
    condition.value = reinterpret_cast<Expr *>(value);
    append_condition(list, condition);
}

// ------------------------------------------------------------------------------------------------------------ tag and time

struct OperatorCall {
    Oid op;
    Oid collation;
    const Var *column;
    Node *value;
    bool is_array;               // column op ANY (value)
    const RoundedTime *rounded;  // of the column; nullptr: the column itself is compared
};

// The operator's strategy and the type of its right side, in the btree family of the column's type; 0 when it is not of that
// family.
int strategy_in_family(Oid op, Oid type, Oid *left_type, Oid *right_type) {
    const TypeCacheEntry *about = lookup_type_cache(type, TYPECACHE_BTREE_OPFAMILY);
    if (!OidIsValid(about->btree_opf) || !op_in_opfamily(op, about->btree_opf)) return InvalidStrategy;
    int strategy;
    get_op_opfamily_properties(op, about->btree_opf, false, &strategy, left_type, right_type);
    return strategy;
}

// LIKE '%x' says nothing of where a tag begins.
bool says_how_tags_begin(Comparison comparison, const Node *value) {
    if (!IsA(value, Const)) return true;
    const Const *constant = reinterpret_cast<const Const *>(value);
    if (constant->constisnull) return true;
    const text *pattern = DatumGetTextPP(constant->constvalue);
    const std::string_view characters{VARDATA_ANY(pattern), static_cast<size_t>(VARSIZE_ANY_EXHDR(pattern))};
    if (comparison == Comparison::tag_begins_with) return !characters.empty();
    char *prefix = static_cast<char *>(palloc(characters.size() + 1));
    const LikePrefix literal = like_prefix(characters, prefix);
    pfree(prefix);
    return literal.byte_count > 0 || literal.is_whole;
}

bool add_tag_pattern(Comparison comparison, Node *value, ConditionList *list) {
    if (exprType(value) != TEXTOID || !says_how_tags_begin(comparison, value)) return false;
    append_condition(list, comparison, TEXTOID, value);
    return true;
}

bool add_tag_condition(const KeyTypes &keys, const OperatorCall &call, ConditionList *list) {
    if (!equality_is_of_bytes(keys.tag_type)) return false;
    if (is_text(keys.tag_type) && (!OidIsValid(call.collation) || !get_collation_isdeterministic(call.collation))) return false;
    if (is_text(keys.tag_type) && !call.is_array) {
        if (call.op == OID_TEXT_LIKE_OP) return add_tag_pattern(Comparison::tag_like, call.value, list);
        if (get_opcode(call.op) == F_STARTS_WITH) return add_tag_pattern(Comparison::tag_begins_with, call.value, list);
    }
    Oid left_type;
    Oid right_type;
    const int strategy = strategy_in_family(call.op, keys.tag_type, &left_type, &right_type);
    if (strategy == InvalidStrategy) return false;
    const Oid wanted = operator_type(keys.tag_type);
    if (left_type != wanted || (right_type != wanted && !(is_integer(wanted) && is_integer(right_type)))) return false;
    if (strategy == BTEqualStrategyNumber) {
        append_condition(list, call.is_array ? Comparison::tag_any : Comparison::tag_equal, right_type, call.value);
        return true;
    }
    if (call.is_array || !order_is_of_bytes(keys.tag_type, call.collation)) return false;
    constexpr Comparison kByStrategy[] = {Comparison::tag_less, Comparison::tag_at_most, Comparison::tag_equal,
                                          Comparison::tag_at_least, Comparison::tag_greater};
    append_condition(list, kByStrategy[strategy - 1], right_type, call.value);
    return true;
}

bool converts_exactly(Oid value_type, Oid time_type) {
    return value_type == time_type || value_type == DATEOID || (value_type == TIMESTAMPOID && time_type == TIMESTAMPTZOID);
}

// A comparison of the time, or of what it is rounded to.
bool add_time_comparison(const KeyTypes &keys, const OperatorCall &call, ConditionList *list) {
    Oid left_type;
    Oid right_type;
    if (call.op == OID_RANGE_ELEM_CONTAINED_OP && !call.is_array) {
        const Oid range_type = keys.time_type == TIMESTAMPTZOID ? TSTZRANGEOID : TSRANGEOID;
        if (exprType(call.value) != range_type) return false;
        append_condition(list, Comparison::time_in_range, range_type, call.value);
        return true;
    }
    const int strategy = strategy_in_family(call.op, keys.time_type, &left_type, &right_type);
    if (strategy == InvalidStrategy || !converts_exactly(right_type, keys.time_type)) return false;
    const bool is_date = call.rounded != nullptr && left_type == DATEOID && right_type == DATEOID;
    if (left_type != keys.time_type && !is_date) return false;
    if (call.is_array) {
        if (strategy != BTEqualStrategyNumber) return false;
        append_condition(list, Comparison::time_any, right_type, call.value);
        return true;
    }
    static_assert(BTLessStrategyNumber == 1 && BTGreaterStrategyNumber == 5);
    constexpr Comparison kByStrategy[] = {Comparison::time_less, Comparison::time_at_most, Comparison::time_equal,
                                          Comparison::time_at_least, Comparison::time_greater};
    append_condition(list, kByStrategy[strategy - 1], right_type, call.value);
    return true;
}

bool add_time_condition(const KeyTypes &keys, const OperatorCall &call, ConditionList *list) {
    if (!add_time_comparison(keys, call, list)) return false;
    if (call.rounded == nullptr) return true;
    list->items[list->count - 1].before = call.rounded->before;
    list->items[list->count - 1].after = call.rounded->after;
    return true;
}

bool add_key_condition(const OperatorCall &call, ConditionList *list) {
    Condition condition = {};
    condition.column = call.column->varattno;
    condition.column_type = getBaseType(call.column->vartype);
    condition.value = reinterpret_cast<Expr *>(call.value);
    if (!classify_key_comparison(condition, call.op, call.collation, call.is_array, &condition.comparison)) return false;
    Oid left_type;
    op_input_types(call.op, &left_type, &condition.value_type);
    if (condition.comparison != Comparison::search && !says_something(condition)) return false;
    append_condition(list, condition);
    return true;
}

bool is_float(Oid type) { return type == FLOAT4OID || type == FLOAT8OID; }

bool is_stored_as_number(Oid type) {
    return is_integer(type) || is_float(type) || type == DATEOID || type == TIMEOID || type == TIMESTAMPOID ||
           type == TIMESTAMPTZOID;
}

bool add_number_condition(const OperatorCall &call, ConditionList *list) {
    Condition condition = {};
    condition.column = call.column->varattno;
    condition.column_type = getBaseType(call.column->vartype);
    condition.value = reinterpret_cast<Expr *>(call.value);
    const Oid type = condition.column_type;
    Oid left_type;
    if (!is_stored_as_number(type)) return false;
    const int strategy = strategy_in_family(call.op, type, &left_type, &condition.value_type);
    if (strategy == InvalidStrategy || left_type != type) return false;
    const Oid right = condition.value_type;
    if (right != type && !(is_integer(type) && is_integer(right)) && !(is_float(type) && is_float(right))) return false;
    if (call.is_array && strategy != BTEqualStrategyNumber) return false;
    constexpr Comparison kByStrategy[] = {Comparison::number_less, Comparison::number_at_most, Comparison::number_equal,
                                          Comparison::number_at_least, Comparison::number_greater};
    condition.comparison = call.is_array ? Comparison::number_any : kByStrategy[strategy - 1];
    append_condition(list, condition);
    return true;
}

bool add_call(PlannerInfo *root, const KeyTypes &keys, Index varno, const OperatorCall &call, ConditionList *list) {
    if (!is_usable_value(root, varno, call.value)) return false;
    if (call.rounded != nullptr && call.column->varattno != keys.columns.time) return false;
    if (call.column->varattno == keys.columns.tag) return add_tag_condition(keys, call, list);
    if (call.column->varattno == keys.columns.time) return add_time_condition(keys, call, list);
    return keys.is_log ? add_key_condition(call, list) : add_number_condition(call, list);
}

// The column on one side of an operator, or the one that is rounded there.
const Var *operand_column(Node *node, Index varno, RoundedTime *space, const RoundedTime **rounded) {
    *rounded = nullptr;
    const Var *column = column_of(node, varno);
    if (column != nullptr || !is_rounded_time(node, space)) return column;
    *rounded = space;
    return column_of(space->time, varno);
}

bool add_operator(PlannerInfo *root, const KeyTypes &keys, Index varno, const OpExpr *expr, ConditionList *list) {
    if (list_length(expr->args) != 2) return false;
    Node *left = static_cast<Node *>(linitial(expr->args));
    Node *right = static_cast<Node *>(lsecond(expr->args));
    RoundedTime space;
    const RoundedTime *rounded;
    const Var *column = operand_column(left, varno, &space, &rounded);
    if (column != nullptr)
        return add_call(root, keys, varno, {expr->opno, expr->inputcollid, column, right, false, rounded}, list);
    column = operand_column(right, varno, &space, &rounded);
    if (column == nullptr) return false;
    const Oid commuted = get_commutator(expr->opno);
    if (!OidIsValid(commuted)) return false;
    return add_call(root, keys, varno, {commuted, expr->inputcollid, column, left, false, rounded}, list);
}

bool add_any(PlannerInfo *root, const KeyTypes &keys, Index varno, const ScalarArrayOpExpr *expr, ConditionList *list) {
    if (!expr->useOr || list_length(expr->args) != 2) return false;
    RoundedTime space;
    const RoundedTime *rounded;
    const Var *column = operand_column(static_cast<Node *>(linitial(expr->args)), varno, &space, &rounded);
    if (column == nullptr) return false;
    Node *array = static_cast<Node *>(lsecond(expr->args));
    return add_call(root, keys, varno, {expr->opno, expr->inputcollid, column, array, true, rounded}, list);
}

// starts_with(tag, value)
bool add_function(PlannerInfo *root, const KeyTypes &keys, Index varno, const FuncExpr *expr, ConditionList *list) {
    if (expr->funcid != F_STARTS_WITH || !is_text(keys.tag_type)) return false;
    const Var *column = column_of(static_cast<Node *>(linitial(expr->args)), varno);
    Node *value = static_cast<Node *>(lsecond(expr->args));
    if (column == nullptr || column->varattno != keys.columns.tag || !is_usable_value(root, varno, value)) return false;
    if (!OidIsValid(expr->inputcollid) || !get_collation_isdeterministic(expr->inputcollid)) return false;
    return add_tag_pattern(Comparison::tag_begins_with, value, list);
}

bool add_arm(PlannerInfo *root, const KeyTypes &keys, Index varno, Node *node, ConditionList *list) {
    if (node != nullptr && IsA(node, OpExpr)) return add_operator(root, keys, varno, reinterpret_cast<OpExpr *>(node), list);
    if (node != nullptr && IsA(node, ScalarArrayOpExpr))
        return add_any(root, keys, varno, reinterpret_cast<ScalarArrayOpExpr *>(node), list);
    if (node != nullptr && IsA(node, FuncExpr)) return add_function(root, keys, varno, reinterpret_cast<FuncExpr *>(node), list);
    return false;
}

// Arms that all ask for tags make a set of tags, and arms of other columns a set of granules; a set of time ranges would not fit
// a filter.
bool add_or(PlannerInfo *root, const KeyTypes &keys, Index varno, const BoolExpr *expr, ConditionList *list) {
    const uint32 count = list->count;
    ListCell *cell;
    foreach (cell, expr->args) {
        const bool understood = add_arm(root, keys, varno, static_cast<Node *>(lfirst(cell)), list);
        const bool is_first = list->count == count + 1;
        const Condition *last = understood ? &list->items[list->count - 1] : nullptr;
        if (last != nullptr && is_tag_condition(*last) && (is_first || is_tag_condition(list->items[count]))) continue;
        if (last != nullptr && is_key_condition(*last) && (is_first || is_key_condition(list->items[count]))) continue;
        list->count = count;
        return false;
    }
    return true;
}

}  // namespace

bool add_clause(PlannerInfo *root, const KeyTypes &keys, Index varno, Node *clause, ConditionList *list) {
    const bool understood = is_orclause(clause) ? add_or(root, keys, varno, reinterpret_cast<BoolExpr *>(clause), list)
                                                : add_arm(root, keys, varno, clause, list);
    if (understood) list->clause_count++;
    return understood;
}

}  // namespace historian::planner
