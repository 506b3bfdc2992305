// GROUP BY an expression of the time that never falls while time rises (bucket_shape.h). Rows in order of time then come bucket
// by bucket, and it is enough to evaluate the expression where a bucket may begin or end: a few times a bucket instead of once a
// row, by PostgreSQL's own functions, so that buckets are what they are in any other plan.
//
// Where an expression reads a clock on the wall, a range of times is never taken to be one bucket across a change of the clock's
// offset. Where the clock is read of a time that was rounded before, which may lie before the change though the time itself does
// not, no range comes as near to the change as that rounding reaches.
#pragma once

#include "planner/bucket_shape.h"

namespace historian::planner {

/// How many buckets the times [first, last] have, by the width of one in their middle; -1 when the expression has parts that only
/// execution knows.
double estimate_buckets(PlannerInfo *root, Node *expr, Index varno, AttrNumber time, int64 first, int64 last);

/// Times that are known to be in one bucket.
struct BucketRange {
    int64 first;  // both inclusive
    int64 last;
    Datum value;
    bool is_null;
};

/// The buckets that were met so far. All zeros but what begin_buckets() sets.
struct TimeBuckets {
    ExprState *expression;
    ExprContext *context;
    int16 value_length;
    bool value_by_value;
    BucketShape shape;
    MemoryContext memory;  // of the ranges and their values
    BucketRange *ranges;   // ascending, apart from one another
    uint32 count;
    uint32 room;
    uint32 last_found;
    uint32 rows_before;  // of the bucket whose end was looked for before
};

void begin_buckets(TimeBuckets *buckets, ExprState *expression, ExprContext *context, Oid value_type, const BucketShape &shape,
                   MemoryContext memory);

/// Forgets all buckets: parameters have changed.
void forget_buckets(TimeBuckets *buckets);

/// The bucket of a time; it lives until the next call of a function here.
const BucketRange *bucket_of(TimeBuckets *buckets, int64 time);

/// The end of the rows [row, end) that share the bucket of the first, whose range is set to it.
///
/// times   of rows, ascending
uint32 end_of_bucket(TimeBuckets *buckets, const int64 *times, uint32 row, uint32 end, BucketRange *bucket);

/// Whether [first, last] is one bucket, which is then set.
bool is_one_bucket(TimeBuckets *buckets, int64 first, int64 last, BucketRange *bucket);

}  // namespace historian::planner
