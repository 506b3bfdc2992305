// Groups in the making: what an aggregation has found of each so far.
#pragma once

#include "engine/row.h"
#include "engine/scan_batches.h"
#include "format/slice_sums.h"

namespace historian::planner {

/// What is to be found of the rows of a group.
struct Measure {
    AttrNumber column;  // InvalidAttrNumber: the rows alone
    format::PhysicalKind kind;
    bool is_tag;  // the column is the tag: only whether it is NULL counts
    int filter;   // only rows for which this FILTER clause holds; -1: all
    format::WantedSums wanted;
    bool wants_ends;           // the values of the first and the last row by time
    bool wants_extreme_times;  // the times of the least and the greatest value
};

inline bool is_float_kind(format::PhysicalKind kind) {
    return kind == format::PhysicalKind::float4 || kind == format::PhysicalKind::float8;
}

/// A number of a column of numbers, as a Datum.
struct Number {
    Datum datum;
    bool is_null;
};

/// The values at the first and at the last time.
struct Ends {
    bool is_known;  // false: no row has a time
    int64 first_time;
    int64 last_time;
    Number first;
    Number last;
};

/// What was found of it. All zeros: nothing.
struct MeasureState {
    uint64 row_count;  // of rows, NULL or not
    format::IntegerSums integers;
    format::FloatSums floats;
    Ends ends;
    Number time_of_min;
    Number time_of_max;
};

/// A group: its tag, its bucket and its values of other columns, as far as the query groups by them.
struct GroupKey {
    bool tag_is_null;
    bool bucket_is_null;
    engine::TagBytes tag;
    Datum bucket;
    const NullableDatum *others;
};

struct Group {
    uint64 hash;
    GroupKey key;
    MeasureState *measures;
};

/// How keys look.
struct GroupShape {
    uint32 measure_count;
    bool by_tag;
    bool by_bucket;
    int16 bucket_length;
    bool bucket_by_value;
    uint32 other_count;
    const FormData_pg_attribute *const *others;  // the columns
};

struct GroupTable {
    GroupShape shape;
    MemoryContext memory;  // all below
    Group **places;        // by hash; a power of two of them; nullptr: free
    uint32 place_count;
    Group **groups;  // in the order in which they came
    uint32 group_count;
};

void begin_groups(GroupTable *table, const GroupShape &shape, MemoryContext memory);

/// The group of a key, which is copied when it is new.
Group *group_of(GroupTable *table, const GroupKey &key);

/// Forgets all groups.
void forget_groups(GroupTable *table);

}  // namespace historian::planner
