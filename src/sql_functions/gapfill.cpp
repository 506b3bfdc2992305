// time_buckets(), locf() and interpolate(): gaps between buckets, filled.
//
// Three parts that nest anywhere, for three things that are apart: which buckets there should be (a set-returning function, the
// left side of a LEFT JOIN), what a missing one takes from before (an aggregate, used as a window function), and what it takes
// from both sides (a window function). doc/time-series-functions.md says why there is no form that must stand in one place.
#include "sql_functions/time_bucket.h"

#include <cmath>

extern "C" {
#include "nodes/nodeFuncs.h"
#include "nodes/supportnodes.h"
#include "optimizer/optimizer.h"
#include "utils/float.h"
#include "windowapi.h"

PG_FUNCTION_INFO_V1(historian_time_buckets);
PG_FUNCTION_INFO_V1(historian_time_buckets_support);
PG_FUNCTION_INFO_V1(historian_locf_step);
PG_FUNCTION_INFO_V1(historian_interpolate_time);
PG_FUNCTION_INFO_V1(historian_interpolate_number);
}

namespace historian {

namespace {

// ------------------------------------------------------------------------------------------------------------- time_buckets

enum Argument : int { kWidth, kFrom, kTo, kZone, kOrigin };

struct Progress {
    Buckets buckets;
    ZoneClock clock;
    TimestampTz next;
    TimestampTz to;
};

void check_finite(TimestampTz time, const char *name) {
    if (!TIMESTAMP_NOT_FINITE(time)) return;
    ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s of time_buckets must be finite", name));
}

// False when there is nothing to give.
bool begin_buckets(FunctionCallInfo fcinfo, Progress *progress) {
    if (PG_ARGISNULL(kWidth) || PG_ARGISNULL(kFrom) || PG_ARGISNULL(kTo)) return false;
    const TimestampTz from = PG_GETARG_TIMESTAMPTZ(kFrom);
    progress->to = PG_GETARG_TIMESTAMPTZ(kTo);
    progress->buckets.width = read_width(PG_GETARG_INTERVAL_P(kWidth));
    progress->buckets.origin = default_origin(progress->buckets.width);
    check_finite(from, "from_");
    check_finite(progress->to, "to_");
    if (!PG_ARGISNULL(kZone)) {
        progress->clock.zone = find_time_zone(PG_GETARG_TEXT_PP(kZone));
        progress->buckets.clock = &progress->clock;
    }
    if (!PG_ARGISNULL(kOrigin)) {
        const TimestampTz origin = PG_GETARG_TIMESTAMPTZ(kOrigin);
        check_finite(origin, "origin");
        progress->buckets.origin = progress->buckets.clock == nullptr ? origin : shown_time(&progress->clock, origin);
    }
    progress->next = bucket_start(progress->buckets, from);
    return from < progress->to;
}

// How many rows a call gives, as far as the planner can know its arguments; false when it cannot.
bool estimate_row_count(PlannerInfo *root, const List *arguments, double *row_count) {
    Datum values[kTo + 1];
    for (int i = kWidth; i <= kTo; i++) {
        const Node *node = estimate_expression_value(root, static_cast<Node *>(list_nth(arguments, i)));
        if (!IsA(node, Const)) return false;
        const Const *constant = reinterpret_cast<const Const *>(node);
        *row_count = 0;
        if (constant->constisnull) return true;
        values[i] = constant->constvalue;
    }
    const Interval *width = DatumGetIntervalP(values[kWidth]);
    const double microseconds = static_cast<double>(width->time) + static_cast<double>(width->day) * USECS_PER_DAY +
                                static_cast<double>(width->month) * DAYS_PER_MONTH * USECS_PER_DAY;
    const TimestampTz from = DatumGetTimestampTz(values[kFrom]);
    const TimestampTz to = DatumGetTimestampTz(values[kTo]);
    if (microseconds <= 0 || TIMESTAMP_NOT_FINITE(from) || TIMESTAMP_NOT_FINITE(to)) return false;
    if (from < to) *row_count = std::ceil((static_cast<double>(to) - static_cast<double>(from)) / microseconds);
    return true;
}

// -------------------------------------------------------------------------------------------------------------- interpolate

struct TimedValue {
    double time;
    double value;
};

// What is known of a partition at its present row.
struct Neighbours {
    bool has_before;
    TimedValue before;
    bool has_after;
    TimedValue after;
    int64 after_position;  // none further than this was looked at
};

double time_of(Datum time, bool is_timestamp) {
    if (!is_timestamp) return DatumGetFloat8(time);
    const TimestampTz moment = DatumGetTimestampTz(time);
    return TIMESTAMP_NOT_FINITE(moment) ? get_float8_nan() : static_cast<double>(moment);
}

enum class Found : uint8 { end, nothing, point };

// The row so many after the present one.
Found look_at(WindowObject window, int distance, bool is_timestamp, TimedValue *found) {
    bool is_null;
    bool is_out;
    const Datum value = WinGetFuncArgInPartition(window, 0, distance, WINDOW_SEEK_CURRENT, false, &is_null, &is_out);
    if (is_out) return Found::end;
    if (is_null) return Found::nothing;
    const Datum time = WinGetFuncArgInPartition(window, 1, distance, WINDOW_SEEK_CURRENT, false, &is_null, &is_out);
    if (is_null) return Found::nothing;
    *found = {time_of(time, is_timestamp), DatumGetFloat8(value)};
    return std::isfinite(found->time) ? Found::point : Found::nothing;
}

// The next row with a value; each row is looked at once in all.
bool find_after(WindowObject window, int64 position, bool is_timestamp, Neighbours *neighbours) {
    if (neighbours->has_after && neighbours->after_position > position) return true;
    neighbours->has_after = false;
    for (int64 at = Max(neighbours->after_position, position) + 1;; at++) {
        CHECK_FOR_INTERRUPTS();
        const Found found = look_at(window, static_cast<int>(at - position), is_timestamp, &neighbours->after);
        if (found == Found::end) return false;
        neighbours->after_position = at;
        neighbours->has_after = found == Found::point;
        if (neighbours->has_after) return true;
    }
}

double between(const TimedValue &before, const TimedValue &after, double time) {
    if (after.time == before.time) return before.value;
    const double share = (time - before.time) / (after.time - before.time);
    if (share < 0 || share > 1) {
        ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("rows of interpolate must be in order of time"),
                errhint("Write OVER (ORDER BY time), or OVER (PARTITION BY name ORDER BY time)."));
    }
    const double difference = after.value - before.value;
    if (std::isfinite(difference)) return before.value + difference * share;
    return before.value * (1 - share) + after.value * share;
}

Datum interpolate(FunctionCallInfo fcinfo, bool is_timestamp) {
    WindowObject window = PG_WINDOW_OBJECT();
    Neighbours *neighbours = static_cast<Neighbours *>(WinGetPartitionLocalMemory(window, sizeof(Neighbours)));
    const int64 position = WinGetCurrentPosition(window);
    WinSetMarkPosition(window, position);
    bool value_is_null;
    bool time_is_null;
    const Datum value = WinGetFuncArgCurrent(window, 0, &value_is_null);
    const Datum time = WinGetFuncArgCurrent(window, 1, &time_is_null);
    const double at = time_is_null ? get_float8_nan() : time_of(time, is_timestamp);
    if (!value_is_null) {
        if (std::isfinite(at)) {
            neighbours->has_before = true;
            neighbours->before = {at, DatumGetFloat8(value)};
        }
        PG_RETURN_DATUM(value);
    }
    const bool has_neighbours =
        std::isfinite(at) && neighbours->has_before && find_after(window, position, is_timestamp, neighbours);
    if (!has_neighbours) PG_RETURN_NULL();
    PG_RETURN_FLOAT8(between(neighbours->before, neighbours->after, at));
}

}  // namespace

}  // namespace historian

// time_buckets(bucket_width interval, from_ timestamptz, to_ timestamptz, timezone text, origin timestamptz) SETOF timestamptz
extern "C" PGDLLEXPORT Datum historian_time_buckets(PG_FUNCTION_ARGS) {
    using namespace historian;
    FuncCallContext *call;
    if (SRF_IS_FIRSTCALL()) {
        call = SRF_FIRSTCALL_INIT();
        MemoryContext context = MemoryContextSwitchTo(call->multi_call_memory_ctx);
        Progress *progress = static_cast<Progress *>(palloc0(sizeof(Progress)));
        if (begin_buckets(fcinfo, progress)) call->user_fctx = progress;
        MemoryContextSwitchTo(context);
    }
    call = SRF_PERCALL_SETUP();
    Progress *progress = static_cast<Progress *>(call->user_fctx);
    if (progress == nullptr || progress->next >= progress->to) SRF_RETURN_DONE(call);
    const TimestampTz bucket = progress->next;
    progress->next = next_bucket_start(progress->buckets, bucket);
    SRF_RETURN_NEXT(call, TimestampTzGetDatum(bucket));
}

// historian.time_buckets_support(internal) internal: the planner's estimate
extern "C" PGDLLEXPORT Datum historian_time_buckets_support(PG_FUNCTION_ARGS) {
    using namespace historian;
    Node *request = reinterpret_cast<Node *>(PG_GETARG_POINTER(0));
    if (!IsA(request, SupportRequestRows)) PG_RETURN_POINTER(nullptr);
    SupportRequestRows *rows = reinterpret_cast<SupportRequestRows *>(request);
    const bool is_known =
        is_funcclause(rows->node) && estimate_row_count(rows->root, reinterpret_cast<FuncExpr *>(rows->node)->args, &rows->rows);
    PG_RETURN_POINTER(is_known ? request : nullptr);
}

// historian.locf_step(anyelement, anyelement): strict, so NULLs leave the state as it is
extern "C" PGDLLEXPORT Datum historian_locf_step(PG_FUNCTION_ARGS) { PG_RETURN_DATUM(PG_GETARG_DATUM(1)); }

// interpolate(value double precision, time timestamptz)
extern "C" PGDLLEXPORT Datum historian_interpolate_time(PG_FUNCTION_ARGS) { return historian::interpolate(fcinfo, true); }

// interpolate(value double precision, time double precision)
extern "C" PGDLLEXPORT Datum historian_interpolate_number(PG_FUNCTION_ARGS) { return historian::interpolate(fcinfo, false); }
