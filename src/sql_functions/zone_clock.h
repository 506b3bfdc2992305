// What the clock of a time zone shows, and when: the part of calendar arithmetic that knows about clocks put forward and back.
//
// A moment is a timestamptz, a shown time a timestamp: both microseconds since 2000-01-01, of UTC and of the clock.
#pragma once

#include "engine/server.h"

extern "C" {
#include "pgtime.h"
}

namespace historian {

/// Moments from <= t < until at which the clock is ahead of UTC by the same offset. from need not be when that began.
struct ClockPeriod {
    TimestampTz from;
    TimestampTz until;
    int64 offset;  // microseconds east of Greenwich
};

/// A zone, and the period that was asked for last: rows come in some order of time.
struct ZoneClock {
    const pg_tz *zone;
    ClockPeriod last;
};

/// The zone of that name, for as long as the session lasts. Errors: 22023 no such zone; abbreviations are none.
const pg_tz *find_time_zone(const text *name);

/// The period of a moment. clock->last is it, too.
ClockPeriod clock_period(ZoneClock *clock, TimestampTz moment);

/// The time that the clock shows at a finite moment. Errors: 22008 out of range.
Timestamp shown_time(ZoneClock *clock, TimestampTz moment);

/// The first moment at which the clock shows a time or has jumped past it. Errors: 22008 out of range.
TimestampTz first_moment_of(ZoneClock *clock, Timestamp shown);

}  // namespace historian
