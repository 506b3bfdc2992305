// Functions that round a time down, date_trunc(), date_bin(), time_bucket() and the cast to date: a comparison of what they give
// with a value says of the time itself in which range it is, a little wider than need be.
//
//     date_trunc('hour', time) = t      t <= time < t + 1 hour
//     time::date >= d                   midnight of d <= time
//
// Where days begin in the session's time zone a day is added on both sides: of two midnights PostgreSQL takes one, and in some
// zones a day once came twice. date_bin() of early releases rounds times before its origin up: a bin is added there.
#pragma once

#include "engine/server.h"

extern "C" {
#include "nodes/primnodes.h"
}

namespace historian::planner {

struct RoundedTime {
    Node *time;    // what is rounded
    int64 before;  // microseconds: the time is never more than these before what it is rounded to
    int64 after;   // nor these or more behind it
};

/// Whether a node is such a function with a width that is known.
bool is_rounded_time(Node *node, RoundedTime *rounded);

}  // namespace historian::planner
