#include "planner/time_buckets.h"

#include <algorithm>

extern "C" {
#include "optimizer/optimizer.h"
}

namespace historian::planner {

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
    begin_buckets(&buckets, expression, GetPerTupleExprContext(estate), exprType(expr), {true, nullptr, 0}, estate->es_query_cxt);
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
