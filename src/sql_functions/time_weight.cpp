// time_weighted_avg(value, time [, method]), counter_delta(value, time) and counter_rate(value, time): what becomes of values
// between their times.
//
// Both fold points in order of time into a few numbers. Points of equal times are one step of the fold: their mean for
// time_weighted_avg, from the least to the greatest for counters; so the result does not depend on the order of rows.
#include "sql_functions/aggregate_call.h"
#include "sql_functions/points.h"

#include <cmath>

extern "C" {
#include "utils/float.h"

PG_FUNCTION_INFO_V1(historian_time_weight_step);
PG_FUNCTION_INFO_V1(historian_time_weighted_avg_final);
PG_FUNCTION_INFO_V1(historian_counter_step);
PG_FUNCTION_INFO_V1(historian_counter_delta_final);
PG_FUNCTION_INFO_V1(historian_counter_rate_final);
}

namespace historian {

namespace {

double seconds_between(TimestampTz from, TimestampTz to) {
    return (static_cast<double>(to) - static_cast<double>(from)) / USECS_PER_SEC;
}

enum class Method : uint8 { linear, locf };

// The integral of the value over time. The points of the last time that was seen wait for what else that time brings.
struct TimeWeight {
    Method method;
    bool has_infinity;
    TimestampTz first_time;
    TimestampTz last_time;
    double sum_at_last_time;
    int64 count_at_last_time;  // 0: nothing was added yet
    double value_before;       // the mean at the time before, if there is one
    TimestampTz time_before;
    double integral;  // until time_before, value seconds

    double mean_at_last_time() const { return sum_at_last_time / static_cast<double>(count_at_last_time); }

    double integral_of_last_step() const {
        const double value = method == Method::locf ? value_before : value_before / 2 + mean_at_last_time() / 2;
        return value * seconds_between(time_before, last_time);
    }

    void add(const Point &point) {
        has_infinity = has_infinity || std::isinf(point.value);
        if (count_at_last_time == 0) first_time = last_time = point.time;
        if (point.time != last_time) {
            if (last_time != first_time) integral += integral_of_last_step();
            value_before = mean_at_last_time();
            time_before = last_time;
            last_time = point.time;
            sum_at_last_time = 0;
            count_at_last_time = 0;
        }
        sum_at_last_time += point.value;
        count_at_last_time++;
    }

    double average() const {
        if (last_time == first_time) return mean_at_last_time();
        return (integral + integral_of_last_step()) / seconds_between(first_time, last_time);
    }
};

// The sum of increases; a decrease is a counter that began again from 0.
struct Counter {
    bool is_empty;
    bool has_infinity;
    TimestampTz first_time;
    TimestampTz last_time;
    double least_at_last_time;
    double greatest_at_last_time;
    double value_before;  // the greatest at the time before, if there is one
    double delta;         // until then

    static double increase(double from, double to) { return to < from ? to : to - from; }

    double delta_at_last_time() const {
        const double within = greatest_at_last_time == least_at_last_time ? 0 : greatest_at_last_time - least_at_last_time;
        return last_time == first_time ? within : increase(value_before, least_at_last_time) + within;
    }

    void add(const Point &point) {
        has_infinity = has_infinity || std::isinf(point.value);
        if (is_empty || point.time != last_time) {
            if (is_empty) {
                first_time = point.time;
            } else {
                delta += delta_at_last_time();
                value_before = greatest_at_last_time;
            }
            is_empty = false;
            last_time = point.time;
            least_at_last_time = greatest_at_last_time = point.value;
            return;
        }
        if (float8_cmp_internal(point.value, least_at_last_time) < 0) least_at_last_time = point.value;
        if (float8_cmp_internal(point.value, greatest_at_last_time) > 0) greatest_at_last_time = point.value;
    }

    double sum() const { return delta + delta_at_last_time(); }
};

// ---------------------------------------------------------------------------------------------------------------- the states

template <typename Fold>
struct State {
    Fold empty;       // with what the call says of it
    bool is_ordered;  // rows come in order: `fold` takes them at once, and `points` stays empty
    Fold fold;
    Points points;
};

template <typename Fold>
State<Fold> *make_state(FunctionCallInfo fcinfo, MemoryContext context, const Fold &empty) {
    State<Fold> *state = static_cast<State<Fold> *>(MemoryContextAllocZero(context, sizeof(State<Fold>)));
    state->empty = state->fold = empty;
    state->is_ordered = is_ordered_by(fcinfo, 1);
    init_points(&state->points, context);
    return state;
}

template <typename Fold>
void add(State<Fold> *state, const Point &point) {
    if (state->is_ordered) {
        state->fold.add(point);
    } else {
        add_point(&state->points, point);
    }
}

// All points folded. Of points that are kept, each time anew: a window asks again and again.
template <typename Fold>
Fold finish(State<Fold> *state) {
    if (state->is_ordered) return state->fold;
    sort_points(&state->points);
    Fold fold = state->empty;
    for (Size i = 0; i < state->points.count; i++) {
        CHECK_FOR_INTERRUPTS();
        fold.add(state->points.points[i]);
    }
    return fold;
}

template <typename Fold>
State<Fold> *state_of(FunctionCallInfo fcinfo) {
    return PG_ARGISNULL(0) ? nullptr : reinterpret_cast<State<Fold> *>(PG_GETARG_POINTER(0));
}

bool is_point(FunctionCallInfo fcinfo) { return !PG_ARGISNULL(1) && !PG_ARGISNULL(2); }

Datum pass_on(const void *state, FunctionCallInfo fcinfo) {
    if (state == nullptr) PG_RETURN_NULL();
    PG_RETURN_POINTER(state);
}

// An infinite result of finite values is an overflow, as in PostgreSQL's own aggregates.
Datum checked_result(double result, bool may_be_infinite) {
    if (std::isinf(result) && !may_be_infinite) float_overflow_error();
    PG_RETURN_FLOAT8(result);
}

Method read_method(FunctionCallInfo fcinfo) {
    if (PG_NARGS() < 4) return Method::linear;
    const char *name = PG_ARGISNULL(3) ? "" : text_to_cstring(PG_GETARG_TEXT_PP(3));
    if (strcmp(name, "linear") == 0) return Method::linear;
    if (strcmp(name, "locf") == 0) return Method::locf;
    ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("method of time_weighted_avg must be \"linear\" or \"locf\""),
            errdetail("linear joins values by lines; locf keeps each value until the next one."));
    pg_unreachable();
}

}  // namespace

}  // namespace historian

// historian.time_weight_step(internal, value double precision, time timestamptz [, method text]) internal
extern "C" PGDLLEXPORT Datum historian_time_weight_step(PG_FUNCTION_ARGS) {
    using namespace historian;
    MemoryContext context = aggregate_context(fcinfo);
    State<TimeWeight> *state = state_of<TimeWeight>(fcinfo);
    const bool is_new = state == nullptr;
    const Method method = is_new || PG_NARGS() > 3 ? read_method(fcinfo) : state->empty.method;
    if (!is_new && method != state->empty.method) {
        ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                errmsg("method of time_weighted_avg must be the same for all rows of a group"));
    }
    if (!is_point(fcinfo)) return pass_on(state, fcinfo);
    check_finite_time(PG_GETARG_TIMESTAMPTZ(2), "time_weighted_avg");
    if (is_new) {
        TimeWeight empty = {};
        empty.method = method;
        state = make_state(fcinfo, context, empty);
    }
    add(state, Point{PG_GETARG_TIMESTAMPTZ(2), PG_GETARG_FLOAT8(1)});
    PG_RETURN_POINTER(state);
}

// historian.time_weighted_avg_final(internal) double precision
extern "C" PGDLLEXPORT Datum historian_time_weighted_avg_final(PG_FUNCTION_ARGS) {
    using namespace historian;
    State<TimeWeight> *state = state_of<TimeWeight>(fcinfo);
    if (state == nullptr) PG_RETURN_NULL();
    const TimeWeight weight = finish(state);
    return checked_result(weight.average(), weight.has_infinity);
}

// historian.counter_step(internal, value double precision, time timestamptz) internal
extern "C" PGDLLEXPORT Datum historian_counter_step(PG_FUNCTION_ARGS) {
    using namespace historian;
    MemoryContext context = aggregate_context(fcinfo);
    State<Counter> *state = state_of<Counter>(fcinfo);
    if (!is_point(fcinfo)) return pass_on(state, fcinfo);
    check_finite_time(PG_GETARG_TIMESTAMPTZ(2), "a counter");
    if (state == nullptr) {
        Counter empty = {};
        empty.is_empty = true;
        state = make_state(fcinfo, context, empty);
    }
    add(state, Point{PG_GETARG_TIMESTAMPTZ(2), PG_GETARG_FLOAT8(1)});
    PG_RETURN_POINTER(state);
}

// historian.counter_delta_final(internal) double precision
extern "C" PGDLLEXPORT Datum historian_counter_delta_final(PG_FUNCTION_ARGS) {
    using namespace historian;
    State<Counter> *state = state_of<Counter>(fcinfo);
    if (state == nullptr) PG_RETURN_NULL();
    const Counter counter = finish(state);
    return checked_result(counter.sum(), counter.has_infinity);
}

// historian.counter_rate_final(internal) double precision: NULL of a single time
extern "C" PGDLLEXPORT Datum historian_counter_rate_final(PG_FUNCTION_ARGS) {
    using namespace historian;
    State<Counter> *state = state_of<Counter>(fcinfo);
    if (state == nullptr) PG_RETURN_NULL();
    const Counter counter = finish(state);
    if (counter.last_time == counter.first_time) PG_RETURN_NULL();
    return checked_result(counter.sum() / seconds_between(counter.first_time, counter.last_time), counter.has_infinity);
}
