// lttb(time, value, threshold): so many points of a group that a line through them looks like the line through all.
//
// Largest Triangle Three Buckets: Steinarsson, "Downsampling Time Series for Visual Representation", University of Iceland, 2013,
// section 4.2. The first and the last point are kept; the others are parted into threshold - 2 buckets of equal numbers of
// points, and each bucket gives the point that spans the largest triangle with the point kept before and the mean of the next
// bucket.
#include "sql_functions/aggregate_call.h"
#include "sql_functions/points.h"

#include <cmath>

extern "C" {
#include "utils/array.h"
#include "utils/typcache.h"

PG_FUNCTION_INFO_V1(historian_lttb_step);
PG_FUNCTION_INFO_V1(historian_lttb_final);
}

namespace historian {

namespace {

struct State {
    int32 threshold;
    Points points;
};

// Where bucket `index` of the inner points begins; bucket_count ends the last one.
Size bucket_begin(Size point_count, Size bucket_count, Size index) {
    return 1 + static_cast<Size>(static_cast<unsigned __int128>(point_count - 2) * index / bucket_count);
}

struct Mean {
    double time;  // microseconds after the first point
    double value;
};

double time_after(const Point *points, Size i) {
    return static_cast<double>(points[i].time) - static_cast<double>(points[0].time);
}

Mean mean_of(const Point *points, Size begin, Size end) {
    Mean mean = {0, 0};
    const double share = 1.0 / static_cast<double>(end - begin);  // first, so that no sum overflows
    for (Size i = begin; i < end; i++) {
        mean.time += time_after(points, i) * share;
        mean.value += points[i].value * share;
    }
    return mean;
}

// Twice the area of the triangle. Values are scaled so that no product overflows.
double area(const Point *points, Size a, Size b, const Mean &c, double scale) {
    const double a_time = time_after(points, a);
    const double a_value = points[a].value * scale;
    return std::fabs((a_time - c.time) * (points[b].value * scale - a_value) -
                     (a_time - time_after(points, b)) * (c.value * scale - a_value));
}

// Writes the indexes of threshold points; there are more points than that, in order.
void choose(const Point *points, Size point_count, Size threshold, Size *chosen) {
    double greatest = 0;
    for (Size i = 0; i < point_count; i++) greatest = Max(greatest, std::fabs(points[i].value));
    const double scale = greatest > 1e100 ? 1e-200 : 1;
    const Size bucket_count = threshold - 2;
    chosen[0] = 0;
    for (Size bucket = 0; bucket < bucket_count; bucket++) {
        CHECK_FOR_INTERRUPTS();
        const Size begin = bucket_begin(point_count, bucket_count, bucket);
        const Size end = bucket_begin(point_count, bucket_count, bucket + 1);
        const bool is_last = bucket + 1 == bucket_count;
        const Size next_end = is_last ? point_count : bucket_begin(point_count, bucket_count, bucket + 2);
        const Mean next = mean_of(points, end, next_end);
        double largest = -1;
        for (Size i = begin; i < end; i++) {
            const double candidate = area(points, chosen[bucket], i, next, scale);
            if (candidate <= largest) continue;
            largest = candidate;
            chosen[bucket + 1] = i;
        }
    }
    chosen[threshold - 1] = point_count - 1;
}

// An array of the type time_value, which the function's own result names.
Datum make_array(FunctionCallInfo fcinfo, const Point *points, const Size *chosen, Size count) {
    const Oid element_type = get_element_type(get_fn_expr_rettype(fcinfo->flinfo));
    TupleDesc desc = lookup_rowtype_tupdesc(element_type, -1);
    Datum *elements = static_cast<Datum *>(MemoryContextAllocHuge(CurrentMemoryContext, count * sizeof(Datum)));
    for (Size i = 0; i < count; i++) {
        const Point &point = points[chosen == nullptr ? i : chosen[i]];
        Datum values[2] = {TimestampTzGetDatum(point.time), Float8GetDatum(point.value)};
        bool nulls[2] = {};
        elements[i] = HeapTupleGetDatum(heap_form_tuple(desc, values, nulls));
    }
    ReleaseTupleDesc(desc);
    return PointerGetDatum(construct_array(elements, static_cast<int>(count), element_type, -1, false, TYPALIGN_DOUBLE));
}

}  // namespace

}  // namespace historian

// historian.lttb_step(internal, time timestamptz, value double precision, threshold integer) internal
extern "C" PGDLLEXPORT Datum historian_lttb_step(PG_FUNCTION_ARGS) {
    using namespace historian;
    MemoryContext context = aggregate_context(fcinfo);
    State *state = PG_ARGISNULL(0) ? nullptr : reinterpret_cast<State *>(PG_GETARG_POINTER(0));
    const int32 threshold = PG_ARGISNULL(3) ? 0 : PG_GETARG_INT32(3);
    if (threshold < 2) {
        ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("threshold of lttb must be at least 2"));
    }
    if (state != nullptr && state->threshold != threshold) {
        ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                errmsg("threshold of lttb must be the same for all rows of a group"));
    }
    const bool can_be_drawn = !PG_ARGISNULL(1) && !PG_ARGISNULL(2) && std::isfinite(PG_GETARG_FLOAT8(2));
    if (!can_be_drawn) {
        if (state == nullptr) PG_RETURN_NULL();
        PG_RETURN_POINTER(state);
    }
    check_finite_time(PG_GETARG_TIMESTAMPTZ(1), "lttb");
    if (state == nullptr) {
        state = static_cast<State *>(MemoryContextAlloc(context, sizeof(State)));
        state->threshold = threshold;
        init_points(&state->points, context);
    }
    add_point(&state->points, Point{PG_GETARG_TIMESTAMPTZ(1), PG_GETARG_FLOAT8(2)});
    PG_RETURN_POINTER(state);
}

// historian.lttb_final(internal) time_value[]: NULL when there is no point
extern "C" PGDLLEXPORT Datum historian_lttb_final(PG_FUNCTION_ARGS) {
    using namespace historian;
    if (PG_ARGISNULL(0)) PG_RETURN_NULL();
    State *state = reinterpret_cast<State *>(PG_GETARG_POINTER(0));
    sort_points(&state->points);
    const Point *points = state->points.points;
    const Size count = state->points.count;
    const Size threshold = static_cast<Size>(state->threshold);
    if (count <= threshold) return make_array(fcinfo, points, nullptr, count);
    Size *chosen = static_cast<Size *>(MemoryContextAllocHuge(CurrentMemoryContext, threshold * sizeof(Size)));
    choose(points, count, threshold, chosen);
    return make_array(fcinfo, points, chosen, threshold);
}
