// What aggregates over points in order of time keep: the points themselves, unless the query brings them in order.
//
// An aggregate sees its rows in any order, and a late point may fall between any two that came before; so all of a group's
// points are kept, 16 bytes each, and sorted when the result is asked for, unless they came sorted. Written with ORDER BY time,
// as in time_weighted_avg(value, time ORDER BY time), PostgreSQL sorts (on disk if it must), and points are folded one by one
// into a few numbers.
#pragma once

#include "engine/server.h"

namespace historian {

struct Point {
    TimestampTz time;
    double value;
};

/// By time, then by value; NaN is the greatest, as in ORDER BY.
bool is_earlier(const Point &a, const Point &b);

/// The points of a group.
struct Points {
    MemoryContext context;
    Point *points;
    Size count;
    Size room;
    bool is_sorted;
};

void init_points(Points *points, MemoryContext context);
void add_point(Points *points, const Point &point);

/// Brings them into order. Harmless when rows follow: what the points mean stays the same.
void sort_points(Points *points);

/// Whether the aggregate is called with ORDER BY this argument (from 0) first, ascending.
bool is_ordered_by(FunctionCallInfo fcinfo, int argument);

/// Raises 22023 when the time is infinite.
void check_finite_time(TimestampTz time, const char *aggregate);

}  // namespace historian
