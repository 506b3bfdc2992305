#include "planner/scan_filter.h"

#include "engine/row.h"
#include "engine/value_key.h"
#include "planner/array_elements.h"
#include "planner/key_terms.h"

extern "C" {
#include "common/int.h"
#include "utils/date.h"
#include "utils/rangetypes.h"
#include "utils/typcache.h"
}

namespace historian::planner {

using engine::ScanFilter;
using engine::TagFilter;

namespace {

// ------------------------------------------------------------------------------------------------------------------- tags

struct TagSet {
    TagFilter *tags;
    uint32 count;
    uint32 room;
};

int compare_tags(const void *a, const void *b) {
    const TagFilter *left = static_cast<const TagFilter *>(a);
    const TagFilter *right = static_cast<const TagFilter *>(b);
    const int order = memcmp(left->data, right->data, Min(left->byte_count, right->byte_count));
    if (order != 0) return order;
    return left->byte_count < right->byte_count ? -1 : left->byte_count > right->byte_count;
}

void add_tag(TagSet *set, const engine::TagBytes &tag) {
    if (set->count == set->room) {
        set->room = Max(8, set->room * 2);
        const Size bytes = sizeof(TagFilter) * set->room;
        set->tags = static_cast<TagFilter *>(set->tags == nullptr ? palloc(bytes) : repalloc(set->tags, bytes));
    }
    auto *copy = static_cast<std::byte *>(palloc(Max(tag.byte_count, 1)));
    memcpy(copy, tag.data, tag.byte_count);
    set->tags[set->count++] = TagFilter{copy, tag.byte_count, engine::tag_fingerprint(tag)};
}

int64 integer_of(Datum value, Oid type) {
    return type == INT2OID ? DatumGetInt16(value) : type == INT4OID ? DatumGetInt32(value) : DatumGetInt64(value);
}

// A value that the operator takes, as the tag column would store it; an integer that the column cannot hold equals none of its
// values.
void add_tag_value(const KeyTypes &keys, Oid value_type, Datum value, TagSet *set) {
    FormData_pg_attribute column = keys.tag;
    if (keys.tag_type == INT2OID || keys.tag_type == INT4OID || keys.tag_type == INT8OID) {
        const int64 number = integer_of(value, value_type);
        const int64 largest = column.attlen == 2 ? PG_INT16_MAX : column.attlen == 4 ? PG_INT32_MAX : PG_INT64_MAX;
        if (number > largest || number < -largest - 1) return;
        value = static_cast<Datum>(number);
    }
    if (column.attlen == -1) value = PointerGetDatum(PG_DETOAST_DATUM_PACKED(value));
    uint8 space[8];
    add_tag(set, engine::tag_bytes(value, &column, space));
}

void sort_tags(TagSet *set) {
    if (set->count < 2) return;
    qsort(set->tags, set->count, sizeof(TagFilter), compare_tags);
    uint32 kept = 1;
    for (uint32 i = 1; i < set->count; i++) {
        if (compare_tags(&set->tags[kept - 1], &set->tags[i]) != 0) set->tags[kept++] = set->tags[i];
    }
    set->count = kept;
}

// Keeps in `set` what is in `other` too; both sorted.
void intersect_tags(TagSet *set, const TagSet &other) {
    uint32 kept = 0;
    uint32 right = 0;
    for (uint32 left = 0; left < set->count; left++) {
        while (right < other.count && compare_tags(&other.tags[right], &set->tags[left]) < 0) right++;
        if (right < other.count && compare_tags(&other.tags[right], &set->tags[left]) == 0) set->tags[kept++] = set->tags[left];
    }
    set->count = kept;
}

// ---------------------------------------------------------------------------------------------------------- ranges of tags

struct TagRange {
    TagFilter low;
    TagFilter high;  // exclusive; data == nullptr: there is no end
};

int compare_bounds(const TagFilter &a, const TagFilter &b) { return compare_tags(&a, &b); }

void raise_low(TagRange *range, const TagFilter &low) {
    if (compare_bounds(low, range->low) > 0) range->low = low;
}
void lower_high(TagRange *range, const TagFilter &high) {
    if (range->high.data == nullptr || compare_bounds(high, range->high) < 0) range->high = high;
}

// A copy of a tag, or the first byte string behind it: with a zero byte more.
TagFilter bound_at(const void *data, uint32 byte_count, bool is_behind) {
    auto *copy = static_cast<std::byte *>(palloc0(byte_count + 1));
    memcpy(copy, data, byte_count);
    return {copy, byte_count + (is_behind ? 1 : 0), 0};
}

// Tags that begin so end before the same bytes with the last one raised; those with the greatest byte have no end there.
void narrow_to_prefix(TagRange *range, const char *prefix, uint32 byte_count) {
    raise_low(range, bound_at(prefix, byte_count, false));
    while (byte_count > 0 && static_cast<uint8>(prefix[byte_count - 1]) == 0xFF) byte_count--;
    if (byte_count == 0) return;
    TagFilter high = bound_at(prefix, byte_count, false);
    auto *last = const_cast<std::byte *>(high.data) + byte_count - 1;
    *last = static_cast<std::byte>(static_cast<uint8>(*last) + 1);
    lower_high(range, high);
}

void narrow_by_pattern(const Condition &condition, Datum value, TagRange *range) {
    const text *pattern = DatumGetTextPP(value);
    const std::string_view characters{VARDATA_ANY(pattern), static_cast<size_t>(VARSIZE_ANY_EXHDR(pattern))};
    if (condition.comparison == Comparison::tag_begins_with)
        return narrow_to_prefix(range, characters.data(), static_cast<uint32>(characters.size()));
    char *prefix = static_cast<char *>(palloc(characters.size() + 1));
    const LikePrefix literal = like_prefix(characters, prefix);
    if (!literal.is_whole) return narrow_to_prefix(range, prefix, literal.byte_count);
    raise_low(range, bound_at(prefix, literal.byte_count, false));
    lower_high(range, bound_at(prefix, literal.byte_count, true));
}

void narrow_tag_range(const KeyTypes &keys, const Condition &condition, Datum value, TagRange *range) {
    if (condition.comparison == Comparison::tag_like || condition.comparison == Comparison::tag_begins_with)
        return narrow_by_pattern(condition, value, range);
    TagSet set = {};
    add_tag_value(keys, condition.value_type, value, &set);
    if (set.count == 0) return;  // an integer outside of the column's type: every row is checked
    const TagFilter &tag = set.tags[0];
    switch (condition.comparison) {
        case Comparison::tag_less: return lower_high(range, tag);
        case Comparison::tag_at_most: return lower_high(range, bound_at(tag.data, tag.byte_count, true));
        case Comparison::tag_at_least: return raise_low(range, tag);
        case Comparison::tag_greater: return raise_low(range, bound_at(tag.data, tag.byte_count, true));
        default: return;
    }
}

// Drops the tags of a set that lie outside.
void intersect_range(TagSet *set, const TagRange &range) {
    uint32 kept = 0;
    for (uint32 i = 0; i < set->count; i++) {
        const TagFilter &tag = set->tags[i];
        const bool is_inside =
            compare_bounds(tag, range.low) >= 0 && (range.high.data == nullptr || compare_bounds(tag, range.high) < 0);
        if (is_inside) set->tags[kept++] = tag;
    }
    set->count = kept;
}

// ------------------------------------------------------------------------------------------------------------------- time

constexpr int64 kTimeFirst = PG_INT64_MIN;  // -infinity
constexpr int64 kTimeLast = PG_INT64_MAX;   // infinity

struct TimeRange {
    int64 first;  // both ends inclusive; first > last: empty
    int64 last;
};

constexpr TimeRange kAllTimes = {kTimeFirst, kTimeLast};
constexpr TimeRange kNoTime = {kTimeLast, kTimeFirst};

TimeRange times_from(int64 time, bool inclusive) {
    if (inclusive) return {time, kTimeLast};
    return time == kTimeLast ? kNoTime : TimeRange{time + 1, kTimeLast};
}

TimeRange times_until(int64 time, bool inclusive) {
    if (inclusive) return {kTimeFirst, time};
    return time == kTimeFirst ? kNoTime : TimeRange{kTimeFirst, time - 1};
}

TimeRange intersect_times(TimeRange a, TimeRange b) { return {Max(a.first, b.first), Min(a.last, b.last)}; }

// The value in the unit and zone of the time column, as PostgreSQL's operator converts it. One that lies outside all times is put
// between them and infinity, where no time is.
int64 converted_time(const KeyTypes &keys, Oid value_type, Datum value) {
    int overflow = 0;
    int64 time;
    if (value_type == keys.time_type)
        time = DatumGetTimestampTz(value);
    else if (value_type == TIMESTAMPOID)
        time = timestamp2timestamptz_opt_overflow(DatumGetTimestamp(value), &overflow);
    else if (keys.time_type == TIMESTAMPTZOID)
        time = date2timestamptz_opt_overflow(DatumGetDateADT(value), &overflow);
    else
        time = date2timestamp_opt_overflow(DatumGetDateADT(value), &overflow);
    return overflow > 0 ? kTimeLast - 1 : overflow < 0 ? kTimeFirst + 1 : time;
}

TimeRange times_of_range(Datum value) {
    const RangeType *range = DatumGetRangeTypeP(value);
    TypeCacheEntry *about = lookup_type_cache(RangeTypeGetOid(range), TYPECACHE_RANGE_INFO);
    RangeBound lower;
    RangeBound upper;
    bool is_empty;
    range_deserialize(about, range, &lower, &upper, &is_empty);
    if (is_empty) return kNoTime;
    const TimeRange from = lower.infinite ? kAllTimes : times_from(DatumGetTimestampTz(lower.val), lower.inclusive);
    const TimeRange until = upper.infinite ? kAllTimes : times_until(DatumGetTimestampTz(upper.val), upper.inclusive);
    return intersect_times(from, until);
}

// From the earliest to the latest of an array.
TimeRange times_of_array(const KeyTypes &keys, Oid value_type, Datum value) {
    TimeRange range = kNoTime;
    for_each_element(value, [&keys, value_type, &range](Datum element) {
        const int64 time = converted_time(keys, value_type, element);
        range = {Min(range.first, time), Max(range.last, time)};
    });
    return range;
}

TimeRange compared_times(const KeyTypes &keys, const Condition &condition, Datum value) {
    if (condition.comparison == Comparison::time_in_range) return times_of_range(value);
    if (condition.comparison == Comparison::time_any) return times_of_array(keys, condition.value_type, value);
    const int64 time = converted_time(keys, condition.value_type, value);
    switch (condition.comparison) {
        case Comparison::time_less: return times_until(time, false);
        case Comparison::time_at_most: return times_until(time, true);
        case Comparison::time_equal: return {time, time};
        case Comparison::time_at_least: return times_from(time, true);
        case Comparison::time_greater: return times_from(time, false);
        default: return kAllTimes;
    }
}

int64 moved_time(int64 time, int64 by) {
    int64 moved;
    if (pg_add_s64_overflow(time, by, &moved)) return by < 0 ? kTimeFirst : kTimeLast;
    return moved;
}

// Of a time that is rounded the range that it can be in.
TimeRange times_of(const KeyTypes &keys, const Condition &condition, Datum value) {
    TimeRange times = compared_times(keys, condition, value);
    if (times.first > times.last) return times;
    if (times.first != kTimeLast) times.first = moved_time(times.first, -condition.before);
    if (times.last != kTimeFirst) times.last = moved_time(times.last, condition.after);
    return times;
}

// The tags of conditions [first, end), which are one clause; false when a value is not known.
bool tags_of_clause(const KeyTypes &keys, const ConditionList &conditions, const ConditionValue *values, uint32 first, uint32 end,
                    TagSet *set) {
    for (uint32 i = first; i < end; i++) {
        if (!values[i].is_known) return false;
    }
    for (uint32 i = first; i < end; i++) {
        if (values[i].is_null) continue;
        const Condition &condition = conditions.items[i];
        const Oid type = condition.value_type;
        if (condition.comparison == Comparison::tag_equal)
            add_tag_value(keys, type, values[i].value, set);
        else
            for_each_element(values[i].value, [&keys, type, set](Datum element) { add_tag_value(keys, type, element, set); });
    }
    sort_tags(set);
    return true;
}

// ----------------------------------------------------------------------------------------------------------------- values

struct ValueList {
    engine::ValueFilter *items;
    uint32 count;
    uint32 room;
};

// The smallest and the greatest key that equals a value: of zero, two.
struct KeyRange {
    int64 low;
    int64 high;
};

KeyRange keys_of_number(Oid type, Datum value) {
    if (type == FLOAT4OID || type == FLOAT8OID) {
        const double number = type == FLOAT4OID ? DatumGetFloat4(value) : DatumGetFloat8(value);
        if (number == 0) return {-1, 0};
        return {engine::float_key(number), engine::float_key(number)};
    }
    const int64 number = type == INT2OID                      ? DatumGetInt16(value)
                         : type == INT4OID || type == DATEOID ? DatumGetInt32(value)
                                                              : DatumGetInt64(value);
    return {number, number};
}

constexpr KeyRange kNoKey = {PG_INT64_MAX, PG_INT64_MIN};

KeyRange keys_of_condition(const Condition &condition, Datum value) {
    if (condition.comparison == Comparison::number_any) {
        KeyRange all = kNoKey;
        for_each_element(value, [&all, &condition](Datum element) {
            const KeyRange one = keys_of_number(condition.value_type, element);
            all = {Min(all.low, one.low), Max(all.high, one.high)};
        });
        return all;
    }
    const KeyRange keys = keys_of_number(condition.value_type, value);
    switch (condition.comparison) {
        case Comparison::number_less: return keys.low == PG_INT64_MIN ? kNoKey : KeyRange{PG_INT64_MIN, keys.low - 1};
        case Comparison::number_at_most: return {PG_INT64_MIN, keys.high};
        case Comparison::number_at_least: return {keys.low, PG_INT64_MAX};
        case Comparison::number_greater: return keys.high == PG_INT64_MAX ? kNoKey : KeyRange{keys.high + 1, PG_INT64_MAX};
        default: return keys;
    }
}

void add_value_filter(const Condition &condition, const ConditionValue &value, ValueList *list) {
    if (!value.is_known) return;
    const KeyRange keys = value.is_null ? kNoKey : keys_of_condition(condition, value.value);
    const auto column = static_cast<uint32>(condition.column - 1);
    for (uint32 i = 0; i < list->count; i++) {
        engine::ValueFilter *filter = &list->items[i];
        if (filter->column != column) continue;
        filter->low = Max(filter->low, keys.low);
        filter->high = Min(filter->high, keys.high);
        return;
    }
    if (list->count == list->room) {
        list->room = Max(4, list->room * 2);
        const Size bytes = sizeof(engine::ValueFilter) * list->room;
        list->items = static_cast<engine::ValueFilter *>(list->items == nullptr ? palloc(bytes) : repalloc(list->items, bytes));
    }
    const engine::NumberKind kind = condition.column_type == FLOAT4OID   ? engine::NumberKind::float4
                                    : condition.column_type == FLOAT8OID ? engine::NumberKind::float8
                                                                         : engine::NumberKind::integer;
    list->items[list->count++] = {column, kind, keys.low, keys.high};
}

// Programs of clauses on other columns.
struct KeyList {
    engine::KeyCondition *items;
    uint32 count;
    uint32 room;
};

// Conditions [first, end) are one clause; a value that is not known leaves it out.
void add_key_clause(const ConditionList &conditions, const ConditionValue *values, uint32 first, uint32 end, KeyList *list) {
    for (uint32 i = first; i < end; i++) {
        if (!values[i].is_known) return;
    }
    StepList steps = {};
    for (uint32 i = first; i < end; i++) append_key_steps(conditions.items[i], values[i], &steps);
    append_disjunction(end - first, &steps);
    if (list->count == list->room) {
        list->room = Max(4, list->room * 2);
        const Size bytes = sizeof(engine::KeyCondition) * list->room;
        list->items = static_cast<engine::KeyCondition *>(list->items == nullptr ? palloc(bytes) : repalloc(list->items, bytes));
    }
    list->items[list->count++] = {steps.steps, steps.count};
}

struct SearchList {
    engine::RowSearch *items;
    uint32 count;
    uint32 room;
};

void add_search(const Condition &condition, const ConditionValue &value, SearchList *list) {
    if (condition.comparison != Comparison::search || !value.is_known || value.is_null) return;
    if (list->count == list->room) {
        list->room = Max(4, list->room * 2);
        const Size bytes = sizeof(engine::RowSearch) * list->room;
        list->items = static_cast<engine::RowSearch *>(list->items == nullptr ? palloc(bytes) : repalloc(list->items, bytes));
    }
    list->items[list->count++] = {static_cast<uint32>(condition.column - 1), parse_search(value.value)};
}

}  // namespace

void build_filter(const KeyTypes &keys, const ConditionList &conditions, const ConditionValue *values, ScanFilter *filter) {
    TagSet all = {};
    TimeRange times = kAllTimes;
    TagRange range = {bound_at("", 0, false), {}};
    filter->by_tag = filter->by_time = filter->by_tag_range = false;
    KeyList keys_of_others = {};
    SearchList searches = {};
    ValueList ranges = {};
    for (uint32 i = 0; i < conditions.count;) {
        uint32 end = i + 1;
        while (end < conditions.count && conditions.items[end].clause == conditions.items[i].clause) end++;
        if (is_tag_condition(conditions.items[i])) {
            TagSet set = {};
            if (tags_of_clause(keys, conditions, values, i, end, &set)) {
                if (filter->by_tag)
                    intersect_tags(&all, set);
                else
                    all = set;
                filter->by_tag = true;
            }
        } else if (is_tag_range_condition(conditions.items[i])) {
            if (values[i].is_known && values[i].is_null) lower_high(&range, bound_at("", 0, false));
            if (values[i].is_known && !values[i].is_null) narrow_tag_range(keys, conditions.items[i], values[i].value, &range);
            filter->by_tag_range = filter->by_tag_range || values[i].is_known;
        } else if (is_number_condition(conditions.items[i])) {
            if (end == i + 1) add_value_filter(conditions.items[i], values[i], &ranges);
        } else if (is_key_condition(conditions.items[i])) {
            add_key_clause(conditions, values, i, end, &keys_of_others);
            if (end == i + 1) add_search(conditions.items[i], values[i], &searches);
        } else if (values[i].is_known) {
            times = intersect_times(times, values[i].is_null ? kNoTime : times_of(keys, conditions.items[i], values[i].value));
            filter->by_time = true;
        }
        i = end;
    }
    if (filter->by_tag && filter->by_tag_range) {
        intersect_range(&all, range);
        filter->by_tag_range = false;
    }
    filter->tag_low = range.low;
    filter->tag_high = range.high;
    filter->tags = all.tags;
    filter->tag_count = all.count;
    filter->keys = keys_of_others.items;
    filter->key_count = keys_of_others.count;
    filter->values = ranges.items;
    filter->value_count = ranges.count;
    filter->searches = searches.items;
    filter->search_count = searches.count;
    filter->time_min = times.first;
    filter->time_max = times.last;
}

}  // namespace historian::planner
