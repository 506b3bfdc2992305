// GROUP BY a bucket of time, ORDER BY it, LIMIT n: only the first or the last n buckets are wanted, and rows that can be of no
// such bucket need not be read.
//
// A bucket never falls while time rises. So when rows of n + 1 buckets have been met, the outermost n may be wanted, and no row
// at the time of the one farthest in, or farther in than that, is of a bucket that is. The more buckets are met, the narrower the
// times of the scan become. In fact n + 2 are waited for: zero and minus zero are two buckets here and one to PostgreSQL.
#pragma once

#include "engine/server.h"

namespace historian::planner {

/// How many buckets ORDER BY and LIMIT leave.
struct BucketLimit {
    uint32 count;   // 0: all
    bool are_last;  // by time; else the first
};

/// The most for which it is done: each bucket is sorted in among them when it is met.
inline constexpr int64 kWantedBucketsMax = 10'000;

struct WantedBuckets {
    BucketLimit limit;
    int64 *times;  // a time in each of the outermost buckets met, ascending; at most limit.count + 2
    uint32 count;
};

/// Memory: the current context.
void begin_wanted_buckets(WantedBuckets *wanted, const BucketLimit &limit);

/// A row that counts was met of a bucket that was not met before. True when rows at *bound and behind it, seen from the wanted
/// ones, are not wanted.
bool meet_bucket(WantedBuckets *wanted, int64 time, int64 *bound);

/// The buckets met so far may be met once more; or the scan begins again.
inline void forget_met_buckets(WantedBuckets *wanted) { wanted->count = 0; }

}  // namespace historian::planner
