#include "sql_functions/zone_clock.h"

extern "C" {
#include "datatype/timestamp.h"
}

namespace historian {

namespace {

constexpr pg_time_t kEpochSeconds = static_cast<pg_time_t>(POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY;

pg_time_t unix_seconds(TimestampTz moment) {
    const int64 seconds = moment >= 0 ? moment / USECS_PER_SEC : -((-moment + USECS_PER_SEC - 1) / USECS_PER_SEC);
    return seconds + kEpochSeconds;
}

TimestampTz moment_of(pg_time_t seconds) { return (seconds - kEpochSeconds) * USECS_PER_SEC; }

[[noreturn]] void report_range() {
    ereport(ERROR, errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE), errmsg("timestamp out of range"));
    pg_unreachable();
}

ClockPeriod compute_period(const pg_tz *zone, TimestampTz moment) {
    const pg_time_t seconds = unix_seconds(moment);
    long before_offset = 0;
    long after_offset = 0;
    int before_is_summer = 0;
    int after_is_summer = 0;
    pg_time_t boundary = 0;
    const int result =
        pg_next_dst_boundary(&seconds, &before_offset, &before_is_summer, &boundary, &after_offset, &after_is_summer, zone);
    if (result < 0) report_range();
    const bool goes_on = result == 0 || boundary >= unix_seconds(END_TIMESTAMP - 1);
    return {moment_of(seconds), goes_on ? END_TIMESTAMP : moment_of(boundary), before_offset * USECS_PER_SEC};
}

}  // namespace

const pg_tz *find_time_zone(const text *name) {
    const char *zone_name = text_to_cstring(name);
    const pg_tz *zone = strlen(zone_name) <= TZ_STRLEN_MAX ? pg_tzset(zone_name) : nullptr;
    if (zone == nullptr || !pg_tz_acceptable(const_cast<pg_tz *>(zone))) {
        ereport(
            ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("time zone \"%s\" not recognized", zone_name),
            errhint("Zones have names such as 'Asia/Seoul': see pg_timezone_names. An origin is told by its type: timestamptz "
                    "'2000-01-01', or by name: origin => '2000-01-01'."));
    }
    return zone;
}

ClockPeriod clock_period(ZoneClock *clock, TimestampTz moment) {
    const bool is_known = clock->last.from <= moment && moment < clock->last.until;
    if (!is_known) clock->last = compute_period(clock->zone, moment);
    return clock->last;
}

Timestamp shown_time(ZoneClock *clock, TimestampTz moment) {
    const Timestamp shown = moment + clock_period(clock, moment).offset;
    if (!IS_VALID_TIMESTAMP(shown)) report_range();
    return shown;
}

TimestampTz first_moment_of(ZoneClock *clock, Timestamp shown) {
    // No clock is two days away from UTC.
    TimestampTz moment = shown - 2 * USECS_PER_DAY;
    if (!IS_VALID_TIMESTAMP(shown) || !IS_VALID_TIMESTAMP(moment)) report_range();
    ClockPeriod period = clock_period(clock, moment);
    while (shown - period.offset >= period.until) {
        if (period.until >= END_TIMESTAMP) report_range();
        moment = period.until;
        period = compute_period(clock->zone, moment);
    }
    clock->last = period;
    return Max(shown - period.offset, moment);
}

}  // namespace historian
