// Which expressions of the time never fall while time rises: time_bucket(), date_bin(), date_trunc(), Grafana's
// floor(extract(epoch from time)/300)*300, and casts and arithmetic around them.
//
// Those that read a clock on the wall (date_trunc('day', timestamptz), casts to date) fall where the clock is put back; what is
// said of them names that clock.
#pragma once

#include "engine/server.h"

extern "C" {
#include "pgtime.h"
}

namespace historian::planner {

/// What of an expression is known.
struct BucketShape {
    bool rises;    // it never falls while time rises, but where `clock` is put back
    pg_tz *clock;  // nullptr: it reads no clock on the wall
    int64 reach;   // how far, in microseconds, what the clock is read of may be from the time
};

/// Whether an expression with the time column `varno`.`time` as its only column is such a one.
BucketShape bucket_shape(Node *expr, Index varno, AttrNumber time);

/// The expression with a placeholder for the time, which TimeBuckets fills in.
Node *with_time_placeholder(Node *expr, Index varno, AttrNumber time);

}  // namespace historian::planner
