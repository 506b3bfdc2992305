#include "planner/wanted_buckets.h"

#include <algorithm>

namespace historian::planner {

void begin_wanted_buckets(WantedBuckets *wanted, const BucketLimit &limit) {
    *wanted = WantedBuckets{};
    wanted->limit = limit;
    wanted->times = static_cast<int64 *>(palloc(sizeof(int64) * (Size{limit.count} + 3)));
}

bool meet_bucket(WantedBuckets *wanted, int64 time, int64 *bound) {
    int64 *times = wanted->times;
    int64 *place = std::upper_bound(times, times + wanted->count, time);
    memmove(place + 1, place, sizeof(int64) * static_cast<Size>(times + wanted->count - place));
    *place = time;
    wanted->count++;
    const uint32 most = wanted->limit.count + 2;
    if (wanted->count > most) {
        if (wanted->limit.are_last) memmove(times, times + 1, sizeof(int64) * most);
        wanted->count = most;
    }
    if (wanted->count < most) return false;
    *bound = wanted->limit.are_last ? times[0] : times[most - 1];
    return true;
}

}  // namespace historian::planner
