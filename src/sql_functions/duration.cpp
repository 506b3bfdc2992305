// duration(): a range of times that is told by how long it is and where it ends or begins.
//
//     duration(span)                  [now - span, now]
//     duration(span, before => t)     [t - span, t]            duration(before => t)          all until t
//     duration(span, after => t)      [t, t + span]            duration(after => t)           all from t on
//     duration(from_ => a, to_ => b)  [a, b], or [b, a]
//
// Both ends are inclusive. now is the transaction's start, as in SQL. t, a and b are times, or intervals: so long ago.
//
// It is one function whose times are of type anycompatible: overloads for times and intervals would leave a plain literal
// undecided. Such a literal comes as text and is read here.
#include "engine/server.h"

extern "C" {
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/rangetypes.h"
#include "utils/typcache.h"

PG_FUNCTION_INFO_V1(historian_duration);
}

namespace historian {

namespace {

enum Argument : int { kSpan, kBefore, kAfter, kFrom, kTo, kArgumentCount };
constexpr const char *kArgumentNames[kArgumentCount] = {"span", "before", "after", "from_", "to_"};

TimestampTz add_interval(TimestampTz time, const Interval *interval) {
    return DatumGetTimestampTz(
        DirectFunctionCall2(timestamptz_pl_interval, TimestampTzGetDatum(time), IntervalPGetDatum(interval)));
}

TimestampTz subtract_interval(TimestampTz time, const Interval *interval) {
    return DatumGetTimestampTz(
        DirectFunctionCall2(timestamptz_mi_interval, TimestampTzGetDatum(time), IntervalPGetDatum(interval)));
}

[[noreturn]] void report_negative(Argument argument) {
    ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s must not be negative", kArgumentNames[argument]),
            errhint("A range in the future is told by a time: duration('1 hour', after => now())."));
    pg_unreachable();
}

// -------------------------------------------------------------------------------------------------------------- literals

bool is_time(const char *text) {
    char buffer[MAXDATELEN + MAXDATEFIELDS];
    char *fields[MAXDATEFIELDS];
    int field_types[MAXDATEFIELDS];
    int field_count;
    if (ParseDateTime(text, buffer, sizeof(buffer), fields, field_types, MAXDATEFIELDS, &field_count) != 0) return false;
    int type;
    struct pg_tm parts;
    fsec_t microseconds;
    int zone;
#if PG_VERSION_NUM >= 160000
    DateTimeErrorExtra extra;
    return DecodeDateTime(fields, field_types, field_count, &type, &parts, &microseconds, &zone, &extra) == 0;
#else
    return DecodeDateTime(fields, field_types, field_count, &type, &parts, &microseconds, &zone) == 0;
#endif
}

bool is_interval(const char *text) {
    char buffer[256];  // as interval_in() has it
    char *fields[MAXDATEFIELDS];
    int field_types[MAXDATEFIELDS];
    int field_count;
    int type;
    struct pg_itm_in parts = {};
    int fault = ParseDateTime(text, buffer, sizeof(buffer), fields, field_types, MAXDATEFIELDS, &field_count);
    if (fault == 0) fault = DecodeInterval(fields, field_types, field_count, INTERVAL_FULL_RANGE, &type, &parts);
    if (fault != DTERR_BAD_FORMAT) return true;  // or one that is too long: interval_in() says so
    return DecodeISO8601Interval(const_cast<char *>(text), &type, &parts) != DTERR_BAD_FORMAT;
}

// '2014-06' and '10:00' are intervals to PostgreSQL, too: who writes that here means a month, and a time of the day.
bool has_unit(const char *text) { return text[strcspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")] != '\0'; }

// A literal is a time if it can be one, an interval if it has a unit. So '20140601' is a day, not 20 million seconds.
bool literal_is_time(const char *text, Argument argument) {
    if (is_time(text)) return true;
    if (has_unit(text) && is_interval(text)) return false;
    ereport(ERROR, errcode(ERRCODE_INVALID_DATETIME_FORMAT),
            errmsg("invalid input for %s of duration: \"%s\"", kArgumentNames[argument], text),
            errdetail("It is neither a time nor an interval with its unit."),
            errhint("Write a time as '2014-06-01 12:00', an interval as '1 hour'."));
    pg_unreachable();
}

// ------------------------------------------------------------------------------------------------------------- arguments

struct Moment {
    bool is_given;
    TimestampTz time;
};

Moment so_long_ago(Argument argument, TimestampTz now, const Interval *interval) {
    const TimestampTz time = subtract_interval(now, interval);
    if (time > now) report_negative(argument);
    return {true, time};
}

Moment moment_of_text(Argument argument, TimestampTz now, const char *text) {
    if (literal_is_time(text, argument)) {
        return {true, DatumGetTimestampTz(DirectFunctionCall3(timestamptz_in, CStringGetDatum(text),
                                                              ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)))};
    }
    const Datum interval =
        DirectFunctionCall3(interval_in, CStringGetDatum(text), ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
    return so_long_ago(argument, now, DatumGetIntervalP(interval));
}

Moment read_moment(FunctionCallInfo fcinfo, Argument argument, TimestampTz now) {
    if (PG_ARGISNULL(argument)) return {};
    const Datum value = PG_GETARG_DATUM(argument);
    const Oid type = get_fn_expr_argtype(fcinfo->flinfo, argument);
    switch (OidIsValid(type) ? getBaseType(type) : InvalidOid) {
        case TIMESTAMPTZOID: return {true, DatumGetTimestampTz(value)};
        case TIMESTAMPOID: return {true, DatumGetTimestampTz(DirectFunctionCall1(timestamp_timestamptz, value))};
        case DATEOID: return {true, DatumGetTimestampTz(DirectFunctionCall1(date_timestamptz, value))};
        case INTERVALOID: return so_long_ago(argument, now, DatumGetIntervalP(value));
        case TEXTOID:
        case VARCHAROID:
        case BPCHAROID: return moment_of_text(argument, now, TextDatumGetCString(value));
        default:
            ereport(ERROR, errcode(ERRCODE_DATATYPE_MISMATCH),
                    errmsg("%s of duration must be a time or an interval, not %s", kArgumentNames[argument],
                           format_type_be(type)));
            pg_unreachable();
    }
}

// ----------------------------------------------------------------------------------------------------------------- ranges

Datum make_times(Moment first, Moment last) {
    RangeBound lower = {TimestampTzGetDatum(first.time), !first.is_given, first.is_given, true};
    RangeBound upper = {TimestampTzGetDatum(last.time), !last.is_given, last.is_given, false};
    TypeCacheEntry *type = lookup_type_cache(TSTZRANGEOID, TYPECACHE_RANGE_INFO);
#if PG_VERSION_NUM >= 160000
    return RangeTypePGetDatum(make_range(type, &lower, &upper, false, nullptr));
#else
    return RangeTypePGetDatum(make_range(type, &lower, &upper, false));
#endif
}

[[noreturn]] void report_combination(const char *what) {
    ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("duration cannot combine %s", what),
            errhint("Its forms are (span), (span, before), (span, after), (before), (after) and (from_, to_)."));
    pg_unreachable();
}

void check_finite(Argument argument, TimestampTz time) {
    if (!TIMESTAMP_NOT_FINITE(time)) return;
    ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
            errmsg("%s of duration must be finite when there is a span", kArgumentNames[argument]));
}

Datum times_of_span(TimestampTz now, const Interval *span, Moment before, Moment after) {
    const Argument anchor = after.is_given ? kAfter : kBefore;
    const TimestampTz time = after.is_given ? after.time : before.is_given ? before.time : now;
    check_finite(anchor, time);
    const TimestampTz other = after.is_given ? add_interval(time, span) : subtract_interval(time, span);
    if (after.is_given ? other < time : other > time) report_negative(kSpan);
    return after.is_given ? make_times({true, time}, {true, other}) : make_times({true, other}, {true, time});
}

// The range; 0 when nothing is given.
Datum compute_duration(FunctionCallInfo fcinfo, TimestampTz now) {
    const Moment before = read_moment(fcinfo, kBefore, now);
    const Moment after = read_moment(fcinfo, kAfter, now);
    const Moment from = read_moment(fcinfo, kFrom, now);
    const Moment to = read_moment(fcinfo, kTo, now);
    const bool has_span = !PG_ARGISNULL(kSpan);
    if (before.is_given && after.is_given) report_combination("before with after");
    if (from.is_given || to.is_given) {
        if (has_span || before.is_given || after.is_given) report_combination("from_ and to_ with span, before or after");
        const bool is_turned = from.is_given && to.is_given && from.time > to.time;
        return is_turned ? make_times(to, from) : make_times(from, to);
    }
    if (has_span) return times_of_span(now, PG_GETARG_INTERVAL_P(kSpan), before, after);
    if (!before.is_given && !after.is_given) return 0;
    return make_times(after, before);
}

// The last answer, for a filter that asks row by row, and what it depends on besides the arguments.
struct Answer {
    TimestampTz now;
    const pg_tz *zone;
    int date_order;
    int interval_style;
    Datum range;
};

bool arguments_are_stable(FunctionCallInfo fcinfo) {
    bool stable = true;
    for (int i = 0; i < kArgumentCount; i++) stable = stable && get_fn_expr_arg_stable(fcinfo->flinfo, i);
    return stable;
}

}  // namespace

}  // namespace historian

// duration(span interval, before anycompatible, after anycompatible, from_ anycompatible, to_ anycompatible): tstzrange
extern "C" PGDLLEXPORT Datum historian_duration(PG_FUNCTION_ARGS) {
    using namespace historian;
    const TimestampTz now = GetCurrentTransactionStartTimestamp();
    Answer *last = static_cast<Answer *>(fcinfo->flinfo->fn_extra);
    if (last != nullptr && last->now == now && last->zone == session_timezone && last->date_order == DateOrder &&
        last->interval_style == IntervalStyle) {
        PG_RETURN_DATUM(last->range);
    }
    const Datum range = compute_duration(fcinfo, now);
    if (range == 0) PG_RETURN_NULL();
    if (!arguments_are_stable(fcinfo)) PG_RETURN_DATUM(range);
    MemoryContext context = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);
    fcinfo->flinfo->fn_extra = last = static_cast<Answer *>(palloc(sizeof(Answer)));
    *last = {now, session_timezone, DateOrder, IntervalStyle, datumCopy(range, false, -1)};
    MemoryContextSwitchTo(context);
    PG_RETURN_DATUM(last->range);
}
