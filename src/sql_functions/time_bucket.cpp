// time_bucket(): the start of the bucket that a time falls into; the arithmetic of buckets.
#include "sql_functions/time_bucket.h"

extern "C" {
#include "datatype/timestamp.h"
#include "utils/date.h"
#include "utils/datetime.h"

PG_FUNCTION_INFO_V1(historian_time_bucket);
PG_FUNCTION_INFO_V1(historian_time_bucket_date);
PG_FUNCTION_INFO_V1(historian_time_bucket_zone);
PG_FUNCTION_INFO_V1(historian_time_bucket_int4);
PG_FUNCTION_INFO_V1(historian_time_bucket_int8);
}

namespace historian {

namespace {

constexpr int64 kFirstMonday = 2 * USECS_PER_DAY;  // 2000-01-03

[[noreturn]] void report_range() {
    ereport(ERROR, errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE), errmsg("timestamp out of range"));
    pg_unreachable();
}

[[noreturn]] void report_not_positive() {
    ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("bucket_width must be greater than zero"));
    pg_unreachable();
}

int64 valid_time(int64 time) {
    if (!IS_VALID_TIMESTAMP(time)) report_range();
    return time;
}

// The greatest start + k * width, k a whole number, that is not greater than value. False when it is no int64.
bool floor_to(int64 value, int64 width, int64 start, int64 *floor) {
    __int128 rest = static_cast<__int128>(value % width) - start % width;
    if (rest < 0) rest += width;
    if (rest < 0) rest += width;
    if (rest >= width) rest -= width;
    return !__builtin_sub_overflow(value, static_cast<int64>(rest), floor);
}

int32 months_of(int64 time) {
    const int64 days = time >= 0 ? time / USECS_PER_DAY : -((-time + USECS_PER_DAY - 1) / USECS_PER_DAY);
    int year, month, day;
    j2date(static_cast<int>(days) + POSTGRES_EPOCH_JDATE, &year, &month, &day);
    return year * MONTHS_PER_YEAR + month - 1;
}

// As timestamp + interval has it: the 31st becomes the last day of a shorter month.
int64 add_months(int64 time, int64 months) {
    if (months != static_cast<int32>(months)) report_range();
    Interval interval = {};
    interval.month = static_cast<int32>(months);
    return DatumGetTimestamp(DirectFunctionCall2(timestamp_pl_interval, TimestampGetDatum(time), IntervalPGetDatum(&interval)));
}

int64 floor_to_months(int64 time, int32 width, int64 origin) {
    int64 floor;
    const int32 origin_month = months_of(origin);
    if (!floor_to(months_of(time), width, origin_month, &floor)) report_range();
    const int64 start = add_months(origin, floor - origin_month);
    return start <= time ? start : add_months(origin, floor - origin_month - width);
}

// The bucket's start, and the start of the next one, among times that know of no clock.
int64 plain_start(const Buckets &buckets, int64 time) {
    if (buckets.width.months != 0) return floor_to_months(time, buckets.width.months, buckets.origin);
    int64 start;
    if (!floor_to(time, buckets.width.microseconds, buckets.origin, &start)) report_range();
    return valid_time(start);
}

int64 plain_next(const Buckets &buckets, int64 start) {
    int64 next;
    if (buckets.width.months != 0) {
        const int64 months = static_cast<int64>(months_of(start)) - months_of(buckets.origin) + buckets.width.months;
        return add_months(buckets.origin, months);
    }
    if (__builtin_add_overflow(start, buckets.width.microseconds, &next)) report_range();
    return valid_time(next);
}

bool is_shorter_than_day(const BucketWidth &width) { return width.months == 0 && width.microseconds < USECS_PER_DAY; }

// ------------------------------------------------------------------------------------------------- by a clock, short buckets

int64 short_start(const Buckets &buckets, TimestampTz time) {
    for (;;) {
        const int64 offset = clock_period(buckets.clock, time).offset;
        const Timestamp shown = plain_start(buckets, valid_time(time + offset));
        const TimestampTz start = valid_time(shown - offset);
        ClockPeriod period = clock_period(buckets.clock, start);
        if (time < period.until) return start;
        // The clock was put forward or back since: at `change` for the last time.
        TimestampTz change = period.until;
        int64 offset_before = period.offset;
        while ((period = clock_period(buckets.clock, change)).until <= time) {
            change = period.until;
            offset_before = period.offset;
        }
        if (shown >= change + offset_before) return change;  // it jumped past the start
        time = change - 1;                                   // it has shown no start since
    }
}

int64 short_next(const Buckets &buckets, TimestampTz start) {
    ClockPeriod period = clock_period(buckets.clock, start);
    Timestamp shown = plain_next(buckets, plain_start(buckets, valid_time(start + period.offset)));
    while (shown - period.offset >= period.until) {
        const TimestampTz change = period.until;
        const Timestamp shown_before = change + period.offset;
        period = clock_period(buckets.clock, change);
        const Timestamp shown_after = valid_time(change + period.offset);
        if (shown >= shown_before && shown <= shown_after) return change;
        shown = plain_start(buckets, shown_after);
        if (shown < shown_after) shown = plain_next(buckets, shown);
    }
    return valid_time(shown - period.offset);
}

// -------------------------------------------------------------------------------------------------- by a clock, long buckets

int64 long_next(const Buckets &buckets, Timestamp shown_start, TimestampTz start) {
    TimestampTz next;
    do {
        shown_start = plain_next(buckets, shown_start);
        next = first_moment_of(buckets.clock, shown_start);
    } while (next <= start);  // a day that a calendar leaves out
    return next;
}

int64 long_start(const Buckets &buckets, TimestampTz time) {
    const Timestamp shown = plain_start(buckets, shown_time(buckets.clock, time));
    const TimestampTz start = first_moment_of(buckets.clock, shown);
    if (time < clock_period(buckets.clock, start).until) return start;
    // The next one has begun already if the clock was put back to before its start since: by less than a day.
    const Timestamp soon = shown_time(buckets.clock, time) + USECS_PER_DAY;
    if (IS_VALID_TIMESTAMP(soon) && plain_start(buckets, soon) > shown) {
        const TimestampTz next = long_next(buckets, shown, start);
        if (next <= time) return next;
    }
    return start;
}

}  // namespace

int64 default_origin(const BucketWidth &width) { return width.months != 0 ? 0 : kFirstMonday; }

BucketWidth read_width(const Interval *interval) {
#ifdef INTERVAL_NOT_FINITE
    if (INTERVAL_NOT_FINITE(interval)) {
        ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("bucket_width must be finite"));
    }
#endif
    if (interval->month != 0) {
        if (interval->day != 0 || interval->time != 0) {
            ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("bucket_width cannot mix months with days or times"),
                    errhint("Use months and years alone, or days, hours and less alone."));
        }
        if (interval->month < 0) report_not_positive();
        return {interval->month, 0};
    }
    int64 microseconds;
    if (__builtin_mul_overflow(static_cast<int64>(interval->day), USECS_PER_DAY, &microseconds) ||
        __builtin_add_overflow(microseconds, interval->time, &microseconds)) {
        report_range();
    }
    if (microseconds <= 0) report_not_positive();
    return {0, microseconds};
}

int64 bucket_start(const Buckets &buckets, int64 time) {
    if (buckets.clock == nullptr) return plain_start(buckets, time);
    return is_shorter_than_day(buckets.width) ? short_start(buckets, time) : long_start(buckets, time);
}

int64 next_bucket_start(const Buckets &buckets, int64 start) {
    if (buckets.clock == nullptr) return plain_next(buckets, start);
    if (is_shorter_than_day(buckets.width)) return short_next(buckets, start);
    return long_next(buckets, plain_start(buckets, shown_time(buckets.clock, start)), start);
}

namespace {

int64 finite_origin(int64 origin) {
    if (TIMESTAMP_NOT_FINITE(origin)) {
        ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("origin must be finite"));
    }
    return origin;
}

// What a call site keeps between rows.
struct ZoneMemory {
    const text *name;
    ZoneClock clock;
};

ZoneClock *clock_of(FunctionCallInfo fcinfo, const text *name) {
    ZoneMemory *memory = static_cast<ZoneMemory *>(fcinfo->flinfo->fn_extra);
    const bool is_same = memory != nullptr && VARSIZE_ANY_EXHDR(memory->name) == VARSIZE_ANY_EXHDR(name) &&
                         memcmp(VARDATA_ANY(memory->name), VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name)) == 0;
    if (!is_same) {
        const pg_tz *zone = find_time_zone(name);
        fcinfo->flinfo->fn_extra = nullptr;
        if (memory != nullptr) {
            pfree(const_cast<text *>(memory->name));
            pfree(memory);
        }
        memory = static_cast<ZoneMemory *>(MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(ZoneMemory)));
        MemoryContext context = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);
        memory->name = cstring_to_text_with_len(VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name));
        MemoryContextSwitchTo(context);
        memory->clock.zone = zone;
        fcinfo->flinfo->fn_extra = memory;
    }
    return &memory->clock;
}

template <typename Integer>
Integer integer_bucket(Integer width, Integer value, Integer offset) {
    if (width <= 0) report_not_positive();
    int64 floor;
    if (!floor_to(value, width, offset, &floor) || floor != static_cast<Integer>(floor)) {
        ereport(ERROR, errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
                errmsg("%s out of range", sizeof(Integer) == sizeof(int32) ? "integer" : "bigint"));
    }
    return static_cast<Integer>(floor);
}

}  // namespace

}  // namespace historian

// time_bucket(bucket_width interval, ts timestamptz | timestamp [, origin])
extern "C" PGDLLEXPORT Datum historian_time_bucket(PG_FUNCTION_ARGS) {
    using namespace historian;
    const int64 time = PG_GETARG_INT64(1);
    Buckets buckets = {read_width(PG_GETARG_INTERVAL_P(0)), 0, nullptr};
    buckets.origin = PG_NARGS() > 2 ? finite_origin(PG_GETARG_INT64(2)) : default_origin(buckets.width);
    if (TIMESTAMP_NOT_FINITE(time)) PG_RETURN_INT64(time);
    PG_RETURN_INT64(bucket_start(buckets, time));
}

// time_bucket(bucket_width interval, ts date [, origin date])
extern "C" PGDLLEXPORT Datum historian_time_bucket_date(PG_FUNCTION_ARGS) {
    using namespace historian;
    const DateADT date = PG_GETARG_DATEADT(1);
    Buckets buckets = {read_width(PG_GETARG_INTERVAL_P(0)), 0, nullptr};
    if (buckets.width.microseconds % USECS_PER_DAY != 0) {
        ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("bucket_width must be a whole number of days for a date"),
                errhint("Cast the date to timestamp."));
    }
    buckets.origin = default_origin(buckets.width);
    if (PG_NARGS() > 2) {
        buckets.origin = finite_origin(DatumGetTimestamp(DirectFunctionCall1(date_timestamp, PG_GETARG_DATUM(2))));
    }
    if (DATE_NOT_FINITE(date)) PG_RETURN_DATEADT(date);
    const int64 start = bucket_start(buckets, DatumGetTimestamp(DirectFunctionCall1(date_timestamp, PG_GETARG_DATUM(1))));
    PG_RETURN_DATUM(DirectFunctionCall1(timestamp_date, TimestampGetDatum(start)));
}

// time_bucket(bucket_width interval, ts timestamptz, timezone text [, origin timestamptz]): not strict, origin may be NULL
extern "C" PGDLLEXPORT Datum historian_time_bucket_zone(PG_FUNCTION_ARGS) {
    using namespace historian;
    if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2)) PG_RETURN_NULL();
    const TimestampTz time = PG_GETARG_TIMESTAMPTZ(1);
    Buckets buckets = {read_width(PG_GETARG_INTERVAL_P(0)), 0, clock_of(fcinfo, PG_GETARG_TEXT_PP(2))};
    buckets.origin = default_origin(buckets.width);
    if (!PG_ARGISNULL(3)) buckets.origin = shown_time(buckets.clock, finite_origin(PG_GETARG_TIMESTAMPTZ(3)));
    if (TIMESTAMP_NOT_FINITE(time)) PG_RETURN_TIMESTAMPTZ(time);
    PG_RETURN_TIMESTAMPTZ(bucket_start(buckets, time));
}

// time_bucket(bucket_width, ts, "offset") of integers
extern "C" PGDLLEXPORT Datum historian_time_bucket_int4(PG_FUNCTION_ARGS) {
    PG_RETURN_INT32(historian::integer_bucket<int32>(PG_GETARG_INT32(0), PG_GETARG_INT32(1), PG_GETARG_INT32(2)));
}

extern "C" PGDLLEXPORT Datum historian_time_bucket_int8(PG_FUNCTION_ARGS) {
    PG_RETURN_INT64(historian::integer_bucket<int64>(PG_GETARG_INT64(0), PG_GETARG_INT64(1), PG_GETARG_INT64(2)));
}
