// GROUP BY an expression of the time that never falls while time rises: time_bucket(), date_bin(), date_trunc(), Grafana's
// floor(extract(epoch from time)/300)*300, and casts and arithmetic around them. Rows in order of time then come bucket by
// bucket, and it is enough to evaluate the expression where a bucket may begin or end: a few times a bucket instead of once a
// row, by PostgreSQL's own functions, so that buckets are what they are in any other plan.
//
// Expressions that read a clock on the wall (date_trunc('day', timestamptz), casts to date) fall where the clock is put back.
// There a range of times is never taken to be one bucket: none reaches across a change of the zone's offset. Where the clock is
// read of a time that was rounded before, which may lie before the change though the time itself does not, none comes as near to
// it as that rounding reaches.
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

/// The expression with the time replaced by what evaluate_bucket() puts in.
Node *with_time_placeholder(Node *expr, Index varno, AttrNumber time);

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
