#include "planner/bucket_shape.h"

#include "planner/our_functions.h"
#include "planner/rounded_time.h"

#include <cmath>

extern "C" {
#include "nodes/makefuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "utils/fmgroids.h"
#include "utils/numeric.h"
}

namespace historian::planner {

namespace {

constexpr BucketShape kFalls = {false, nullptr, 0};
constexpr BucketShape kRises = {true, nullptr, 0};

// PostgreSQL's operators have functions; these are looked at by their functions too.
struct Call {
    Oid function;
    List *arguments;
};

bool is_call(Node *node, Call *call) {
    if (IsA(node, FuncExpr)) {
        *call = {reinterpret_cast<FuncExpr *>(node)->funcid, reinterpret_cast<FuncExpr *>(node)->args};
        return true;
    }
    if (!IsA(node, OpExpr)) return false;
    *call = {get_opcode(reinterpret_cast<OpExpr *>(node)->opno), reinterpret_cast<OpExpr *>(node)->args};
    return true;
}

bool is_fixed(Node *node) { return !contain_var_clause(node) && !contain_volatile_functions(node) && !contain_subplans(node); }

// A number that is known now to be greater than zero, and finite.
bool is_positive(Node *node) {
    if (!IsA(node, Const) || reinterpret_cast<Const *>(node)->constisnull) return false;
    const Const *constant = reinterpret_cast<const Const *>(node);
    switch (constant->consttype) {
        case INT4OID: return DatumGetInt32(constant->constvalue) > 0;
        case INT8OID: return DatumGetInt64(constant->constvalue) > 0;
        case FLOAT8OID: return DatumGetFloat8(constant->constvalue) > 0 && !std::isinf(DatumGetFloat8(constant->constvalue));
        case NUMERICOID: {
            const Numeric number = DatumGetNumeric(constant->constvalue);
            if (numeric_is_nan(number) || numeric_is_inf(number)) return false;
            return DatumGetBool(DirectFunctionCall2(numeric_gt, constant->constvalue, DirectFunctionCall1(int4_numeric, 0)));
        }
        default: return false;
    }
}

bool is_text_constant(Node *node, const char *wanted) {
    if (!IsA(node, Const) || reinterpret_cast<Const *>(node)->constisnull) return false;
    return pg_strcasecmp(TextDatumGetCString(reinterpret_cast<Const *>(node)->constvalue), wanted) == 0;
}

// The zone that a constant names.
pg_tz *zone_of(Node *node) {
    if (!IsA(node, Const) || reinterpret_cast<Const *>(node)->constisnull) return nullptr;
    return pg_tzset(TextDatumGetCString(reinterpret_cast<Const *>(node)->constvalue));
}

BucketShape shape_of(Node *node, Index varno, AttrNumber time);

bool is_column(Node *node, Index varno, AttrNumber time) {
    if (!IsA(node, Var)) return false;
    const Var *var = reinterpret_cast<const Var *>(node);
    return var->varno == static_cast<int>(varno) && var->varattno == time && var->varlevelsup == 0;
}

// What reads a clock of the time, or of a time rounded by a width that is known.
BucketShape by_clock(Node *read, Index varno, AttrNumber time, pg_tz *clock) {
    if (clock == nullptr) return kFalls;
    if (is_column(read, varno, time)) return {true, clock, 0};
    const BucketShape inner = shape_of(read, varno, time);
    RoundedTime rounded;
    if (!inner.rises || !is_rounded_time(read, &rounded) || !is_column(rounded.time, varno, time)) return kFalls;
    if (inner.clock == nullptr) return {true, clock, Max(rounded.before, rounded.after)};
    if (inner.clock != clock) return kFalls;
    // Rounded to days or more by the same clock it depends on the clock's date alone.
    return {true, clock, rounded.after > USECS_PER_DAY ? 0 : rounded.after};
}

// Functions of one argument that never fall while it rises.
bool rises_with_argument(Oid function) {
    switch (function) {
        case F_FLOOR_NUMERIC:
        case F_CEIL_NUMERIC:
        case F_CEILING_NUMERIC:
        case F_FLOOR_FLOAT8:
        case F_CEIL_FLOAT8:
        case F_CEILING_FLOAT8:
        case F_TRUNC_NUMERIC:
        case F_TRUNC_FLOAT8:
        case F_ROUND_NUMERIC:
        case F_ROUND_FLOAT8:
        case F_TO_TIMESTAMP_FLOAT8:
        case F_FLOAT8_NUMERIC:
        case F_FLOAT8_INT4:
        case F_FLOAT8_INT8:
        case F_INT4_NUMERIC:
        case F_INT8_NUMERIC:
        case F_INT4_FLOAT8:
        case F_INT8_FLOAT8:
        case F_INT8_INT4:
        case F_INT4_INT8:
        case F_NUMERIC_INT4:
        case F_NUMERIC_INT8:
        case F_NUMERIC_FLOAT8:
        case F_DATE_TIMESTAMP:
        case F_TIMESTAMP_DATE: return true;
        default: return false;
    }
}

// Functions whose result rises with the first argument when the second is fixed and positive, or is any number.
bool scales(Oid function) {
    switch (function) {
        case F_NUMERIC_MUL:
        case F_NUMERIC_DIV:
        case F_FLOAT8MUL:
        case F_FLOAT8DIV:
        case F_INT4MUL:
        case F_INT4DIV:
        case F_INT8MUL:
        case F_INT8DIV:
        case F_INT84MUL:
        case F_INT84DIV: return true;
        default: return false;
    }
}

bool shifts(Oid function) {
    switch (function) {
        case F_NUMERIC_ADD:
        case F_NUMERIC_SUB:
        case F_FLOAT8PL:
        case F_FLOAT8MI:
        case F_INT4PL:
        case F_INT4MI:
        case F_INT8PL:
        case F_INT8MI: return true;
        default: return false;
    }
}

bool commutes(Oid function) {
    return function == F_NUMERIC_MUL || function == F_FLOAT8MUL || function == F_INT4MUL || function == F_INT8MUL;
}

BucketShape shape_of_call(const Call &call, Index varno, AttrNumber time) {
    const int count = list_length(call.arguments);
    Node *first = count > 0 ? static_cast<Node *>(linitial(call.arguments)) : nullptr;
    Node *second = count > 1 ? static_cast<Node *>(lsecond(call.arguments)) : nullptr;
    Node *third = count > 2 ? static_cast<Node *>(lthird(call.arguments)) : nullptr;
    switch (call.function) {
        case F_DATE_BIN_INTERVAL_TIMESTAMP_TIMESTAMP:
        case F_DATE_BIN_INTERVAL_TIMESTAMPTZ_TIMESTAMPTZ:
            return is_fixed(first) && is_fixed(third) ? shape_of(second, varno, time) : kFalls;
        case F_DATE_TRUNC_TEXT_TIMESTAMP: return is_fixed(first) ? shape_of(second, varno, time) : kFalls;
        case F_DATE_TRUNC_TEXT_TIMESTAMPTZ: return is_fixed(first) ? by_clock(second, varno, time, session_timezone) : kFalls;
        case F_DATE_TRUNC_TEXT_TIMESTAMPTZ_TEXT: return is_fixed(first) ? by_clock(second, varno, time, zone_of(third)) : kFalls;
        case F_EXTRACT_TEXT_TIMESTAMP:
        case F_EXTRACT_TEXT_TIMESTAMPTZ:
        case F_DATE_PART_TEXT_TIMESTAMP:
        case F_DATE_PART_TEXT_TIMESTAMPTZ: return is_text_constant(first, "epoch") ? shape_of(second, varno, time) : kFalls;
        case F_TIMEZONE_TEXT_TIMESTAMPTZ: return by_clock(second, varno, time, zone_of(first));
        case F_DATE_TIMESTAMPTZ:
        case F_TIMESTAMP_TIMESTAMPTZ: return by_clock(first, varno, time, session_timezone);
        default: break;
    }
    if (count == 1 && rises_with_argument(call.function)) return shape_of(first, varno, time);
    if (count == 2 && scales(call.function)) {
        if (is_positive(second)) return shape_of(first, varno, time);
        return commutes(call.function) && is_positive(first) ? shape_of(second, varno, time) : kFalls;
    }
    if (count == 2 && shifts(call.function) && is_fixed(second)) return shape_of(first, varno, time);
    if (count >= 2 && is_our_function(call.function, "time_bucket")) {
        // That of a zone never runs backwards.
        for (int i = 2; i < count; i++) {
            if (!is_fixed(static_cast<Node *>(list_nth(call.arguments, i)))) return kFalls;
        }
        return is_fixed(first) ? shape_of(second, varno, time) : kFalls;
    }
    return kFalls;
}

BucketShape shape_of(Node *node, Index varno, AttrNumber time) {
    while (node != nullptr && IsA(node, RelabelType)) node = reinterpret_cast<Node *>(reinterpret_cast<RelabelType *>(node)->arg);
    if (node == nullptr) return kFalls;
    if (IsA(node, Var)) return is_column(node, varno, time) ? kRises : kFalls;
    Call call;
    return is_call(node, &call) ? shape_of_call(call, varno, time) : kFalls;
}

struct Placeholder {
    Index varno;
    AttrNumber time;
};

Node *replace_time(Node *node, void *argument) {
    if (node == nullptr) return nullptr;
    const Placeholder *which = static_cast<const Placeholder *>(argument);
    if (IsA(node, Var)) {
        const Var *var = reinterpret_cast<const Var *>(node);
        if (var->varno != static_cast<int>(which->varno) || var->varattno != which->time)
            elog(ERROR, "a bucket of another column");
        CaseTestExpr *placeholder = makeNode(CaseTestExpr);
        placeholder->typeId = var->vartype;
        placeholder->typeMod = var->vartypmod;
        placeholder->collation = var->varcollid;
        return reinterpret_cast<Node *>(placeholder);
    }
    return mutate_expression(node, replace_time, argument);
}

}  // namespace

BucketShape bucket_shape(Node *expr, Index varno, AttrNumber time) { return shape_of(expr, varno, time); }

Node *with_time_placeholder(Node *expr, Index varno, AttrNumber time) {
    Placeholder which = {varno, time};
    return replace_time(expr, &which);
}

}  // namespace historian::planner
