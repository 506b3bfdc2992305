// Buckets of time: which one a time falls into, and which one comes next.
//
// A bucket begins at origin + k * width, for whole numbers k. With a time zone, width and origin are those of its clock:
//
//   - shorter than a day, a bucket begins whenever the clock shows origin + k * width, or jumps past it. So there are two buckets
//     of an hour between two and three o'clock in the night that has this hour twice;
//   - of a day or more, it begins the first time that the clock does so. So each day is one bucket, of 23 to 25 hours.
//
// Invariants, whatever clocks do:
//   1. start <= time < next(start): buckets do not overlap and leave no gap.
//   2. A later time never has an earlier bucket.
#pragma once

#include "engine/server.h"
//
#include "sql_functions/zone_clock.h"

namespace historian {

/// Months, or microseconds; the other is 0.
struct BucketWidth {
    int32 months;
    int64 microseconds;
};

struct Buckets {
    BucketWidth width;
    int64 origin;      // of the clock, when there is one
    ZoneClock *clock;  // nullptr: times without a zone, or of UTC
};

/// The first Monday of 2000, so that weeks begin on Mondays; the first of January for months.
int64 default_origin(const BucketWidth &width);

/// Errors: 22023 not positive or infinite, 0A000 months mixed with days or times, 22008 out of range.
BucketWidth read_width(const Interval *interval);

/// The start of the bucket of a finite time. Errors: 22008 out of range.
int64 bucket_start(const Buckets &buckets, int64 time);

/// The start of the bucket after the one that begins there. Errors: 22008 out of range.
int64 next_bucket_start(const Buckets &buckets, int64 start);

}  // namespace historian
