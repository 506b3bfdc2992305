#include "planner/time_buckets.h"

#include "planner/our_functions.h"
#include "planner/rounded_time.h"

#include <algorithm>
#include <cmath>

extern "C" {
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "utils/fmgroids.h"
#include "utils/numeric.h"
}

namespace historian::planner {

// ------------------------------------------------------------------------------------------------------------------- shape

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

namespace {

// A value that an expression gave.
struct Value {
    Datum value;
    bool is_null;
};

Value evaluate(TimeBuckets *buckets, int64 time) {
    Value given;
    buckets->context->caseValue_datum = Int64GetDatum(time);
    buckets->context->caseValue_isNull = false;
    given.value = ExecEvalExprSwitchContext(buckets->expression, buckets->context, &given.is_null);
    return given;
}

bool is_same_value(const TimeBuckets *buckets, const BucketRange &range, Value value) {
    if (range.is_null || value.is_null) return range.is_null == value.is_null;
    return datumIsEqual(range.value, value.value, buckets->value_by_value, buckets->value_length);
}

/// Buckets that are told apart when their number is estimated.
constexpr int64 kEstimatedBucketsMax = 1'000'000;

// A time behind which the expression has another value than at `time`, by steps further and further, then nearer and nearer; or
// `last`.
int64 end_of_value(TimeBuckets *buckets, int64 time, int64 last, int64 precision) {
    const BucketRange at_time = *bucket_of(buckets, time);
    int64 same = time;
    int64 other = last;
    for (int64 step = precision; same < last; step *= 2) {
        const int64 tried = step < last - same ? same + step : last;
        if (!is_same_value(buckets, at_time, evaluate(buckets, tried))) {
            other = tried;
            break;
        }
        same = tried;
    }
    while (other - same > precision) {
        const int64 tried = same + (other - same) / 2;
        if (is_same_value(buckets, at_time, evaluate(buckets, tried)))
            same = tried;
        else
            other = tried;
    }
    return other;
}

struct TriedTimes {
    int64 first;
    int64 last;
};

// Times to find the width of a bucket by: those of the rows as far as they are of 1970 to 2037, where no expression is an error
// because of its time; else as long a period of these years. An estimate must not be an error where the query is none.
TriedTimes times_to_try(int64 first, int64 last) {
    constexpr int64 kFirst = -30 * 365 * USECS_PER_DAY;
    constexpr int64 kLast = 37 * 365 * USECS_PER_DAY;
    const TriedTimes inside = {Max(first, kFirst), Min(last, kLast)};
    if (inside.first < inside.last) return inside;
    const double span = static_cast<double>(last) - static_cast<double>(first);
    return {0, span < kLast ? last - first : kLast};
}

bool contains_parameter(Node *node, void *) {
    if (node == nullptr) return false;
    if (IsA(node, Param)) return true;
    return walk_expression(node, contains_parameter, nullptr);
}

}  // namespace

double estimate_buckets(PlannerInfo *root, Node *expr, Index varno, AttrNumber time, int64 first, int64 last) {
    if (first >= last || TIMESTAMP_NOT_FINITE(first) || TIMESTAMP_NOT_FINITE(last)) return 1;
    const double span = static_cast<double>(last) - static_cast<double>(first);
    const TriedTimes tried = times_to_try(first, last);
    Node *known = estimate_expression_value(root, with_time_placeholder(expr, varno, time));
    if (contains_parameter(known, nullptr)) return -1;
    EState *estate = CreateExecutorState();
    MemoryContext old = MemoryContextSwitchTo(estate->es_query_cxt);
    TimeBuckets buckets;
    ExprState *expression = ExecInitExpr(reinterpret_cast<Expr *>(known), nullptr);
    begin_buckets(&buckets, expression, GetPerTupleExprContext(estate), exprType(expr), kRises, estate->es_query_cxt);
    const int64 middle = tried.first + (tried.last - tried.first) / 2;
    const int64 precision = Max((tried.last - tried.first) / kEstimatedBucketsMax, 1);
    const int64 begin = end_of_value(&buckets, middle, tried.last, precision);
    const int64 end = end_of_value(&buckets, begin, tried.last, precision);
    MemoryContextSwitchTo(old);
    FreeExecutorState(estate);
    const int64 width = end < tried.last ? end - begin : Max(begin - middle, tried.last - begin);
    return 1 + span / static_cast<double>(Max(width, precision));
}

// ----------------------------------------------------------------------------------------------------------------- buckets

namespace {

/// Ranges that are kept: buckets of a second for 18 hours. When there are more, all are forgotten and met again.
constexpr uint32 kRangesMax = 1 << 16;

// Whether the clock's offset from UTC changes in (first, last], or as near to them as its shape says.
bool clock_changes(const BucketShape &shape, int64 first, int64 last) {
    if (shape.clock == nullptr) return false;
    if (TIMESTAMP_NOT_FINITE(first) || TIMESTAMP_NOT_FINITE(last)) return true;
    const pg_time_t reach = shape.reach / USECS_PER_SEC + 1;
    const pg_time_t from = timestamptz_to_time_t(first) - reach;
    const pg_time_t until = timestamptz_to_time_t(last) + reach;
    long offset_before;
    long offset_after;
    int is_dst_before;
    int is_dst_after;
    pg_time_t change;
    const int found =
        pg_next_dst_boundary(&from, &offset_before, &is_dst_before, &change, &offset_after, &is_dst_after, shape.clock);
    return found < 0 || (found > 0 && change <= until);
}

// How many ranges begin at or before a time.
uint32 ranges_until(TimeBuckets *buckets, int64 time) {
    // Times mostly go on from where the last one was.
    const uint32 hint = buckets->last_found;
    if (hint < buckets->count && buckets->ranges[hint].first <= time &&
        (hint + 1 == buckets->count || time < buckets->ranges[hint + 1].first))
        return hint + 1;
    uint32 low = 0;
    for (uint32 high = buckets->count; low < high;) {
        const uint32 middle = low + (high - low) / 2;
        if (buckets->ranges[middle].first <= time)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

BucketRange *insert_range(TimeBuckets *buckets, uint32 place, const BucketRange &range) {
    MemoryContext old = MemoryContextSwitchTo(buckets->memory);
    if (buckets->count == buckets->room) {
        buckets->room = Max(64, buckets->room * 2);
        const Size bytes = sizeof(BucketRange) * buckets->room;
        void *ranges = buckets->ranges == nullptr ? palloc(bytes) : repalloc(buckets->ranges, bytes);
        buckets->ranges = static_cast<BucketRange *>(ranges);
    }
    BucketRange *inserted = &buckets->ranges[place];
    memmove(inserted + 1, inserted, sizeof(BucketRange) * (buckets->count - place));
    *inserted = range;
    if (!range.is_null) inserted->value = datumCopy(range.value, buckets->value_by_value, buckets->value_length);
    buckets->count++;
    MemoryContextSwitchTo(old);
    return inserted;
}

}  // namespace

void begin_buckets(TimeBuckets *buckets, ExprState *expression, ExprContext *context, Oid value_type, const BucketShape &shape,
                   MemoryContext memory) {
    *buckets = TimeBuckets{};
    buckets->expression = expression;
    buckets->context = context;
    buckets->shape = shape;
    buckets->memory = memory;
    get_typlenbyval(value_type, &buckets->value_length, &buckets->value_by_value);
}

void forget_buckets(TimeBuckets *buckets) {
    MemoryContextReset(buckets->memory);
    buckets->ranges = nullptr;
    buckets->count = buckets->room = buckets->last_found = 0;
}

namespace {

void forget_too_many(TimeBuckets *buckets) {
    if (buckets->count >= kRangesMax) forget_buckets(buckets);
}

// The range of a time, which is made when it is not known.
const BucketRange *known_bucket(TimeBuckets *buckets, int64 time) {
    const uint32 place = ranges_until(buckets, time);
    if (place > 0 && time <= buckets->ranges[place - 1].last) {
        buckets->last_found = place - 1;
        return &buckets->ranges[place - 1];
    }
    const Value value = evaluate(buckets, time);
    BucketRange *found = nullptr;
    if (place > 0) {
        BucketRange *before = &buckets->ranges[place - 1];
        if (is_same_value(buckets, *before, value) && !clock_changes(buckets->shape, before->last, time)) {
            before->last = time;
            found = before;
        }
    }
    if (found == nullptr && place < buckets->count) {
        BucketRange *after = &buckets->ranges[place];
        if (is_same_value(buckets, *after, value) && !clock_changes(buckets->shape, time, after->first)) {
            after->first = time;
            found = after;
        }
    }
    if (found == nullptr) found = insert_range(buckets, place, BucketRange{time, time, value.value, value.is_null});
    ResetExprContext(buckets->context);
    buckets->last_found = static_cast<uint32>(found - buckets->ranges);
    return found;
}

}  // namespace

const BucketRange *bucket_of(TimeBuckets *buckets, int64 time) {
    forget_too_many(buckets);
    return known_bucket(buckets, time);
}

bool is_one_bucket(TimeBuckets *buckets, int64 first, int64 last, BucketRange *bucket) {
    forget_too_many(buckets);
    const BucketRange *of_first = known_bucket(buckets, first);
    if (last <= of_first->last) {
        *bucket = *of_first;
        return true;
    }
    const BucketRange *of_last = known_bucket(buckets, last);
    *bucket = *of_last;
    return of_last->first <= first;
}

uint32 end_of_bucket(TimeBuckets *buckets, const int64 *times, uint32 row, uint32 end, BucketRange *bucket) {
    forget_too_many(buckets);
    *bucket = *known_bucket(buckets, times[row]);
    // Behind what is known to be this bucket rows are tried further and further off, then nearer and nearer.
    uint32 known = row + 1;  // rows before are in it
    uint32 beyond = end;     // rows from here on are not
    bool is_first_try = true;
    // Buckets of steady periods have as many rows as the one before: then two tries are enough.
    for (uint32 step = Max(buckets->rows_before, 2) - 1; known < beyond;) {
        if (times[known] <= bucket->last) {
            known = static_cast<uint32>(std::upper_bound(times + known, times + beyond, bucket->last) - times);
            continue;
        }
        const uint32 tried = Min(known + step - 1, beyond - 1);
        const BucketRange *of_tried = known_bucket(buckets, times[tried]);
        const bool is_same = of_tried->first <= times[row];
        if (is_same) {
            *bucket = *of_tried;
            known = tried + 1;
        } else {
            beyond = tried;
        }
        if (!is_first_try)
            step = is_same ? step * 2 : Max(1, step / 4);
        else
            step = is_same ? 1 : Max(1, step / 2);
        is_first_try = false;
    }
    buckets->rows_before = known - row;
    return known;
}

}  // namespace historian::planner
