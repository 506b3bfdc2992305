// Rows on their way into groups: whole granules by what is known of them, rows of granules column by column, rows of the tail one
// by one.
#include "planner/aggregate_measures.h"
#include "planner/aggregate_node.h"

namespace historian::planner {

using engine::RowBatch;
using format::GranuleStatistics;

namespace {

// ---------------------------------------------------------------------------------------------------------- whole granules

// Whether a measure of a whole granule is known without decoding it; adds it then to a state, if there is one.
bool add_known(AggregateNode *node, const RowBatch &batch, const Measure &measure, MeasureState *state) {
    const format::Granule &about = batch.granule->about;
    if (measure.column == InvalidAttrNumber || measure.is_tag) {
        if (state != nullptr) state->row_count += about.row_count;
        if (state != nullptr && measure.is_tag && !batch.tag_is_null) state->integers.count += about.row_count;
        return true;
    }
    if (measure.column == node->keys.columns.time) {
        if (about.has_null_time || measure.wanted.sum) return false;
        if (state != nullptr)
            format::add_integer_sums(state->integers,
                                     format::IntegerSums{about.row_count, {}, {}, about.time_min, about.time_max});
        return true;
    }
    const GranuleStatistics *statistics = engine::batch_statistics(node->scan, batch, measure.column - 1, measure.kind);
    if (statistics == nullptr || !do_statistics_suffice(measure, about, *statistics)) return false;
    if (state != nullptr) add_granule_to(measure, about, *statistics, state);
    return true;
}

// No row at this time or behind it is wanted, seen from the buckets that are.
void narrow_times(AggregateNode *node, int64 bound) {
    engine::ScanFilter *filter = &node->scan_filter;
    if (!filter->by_time) {
        filter->time_min = PG_INT64_MIN;
        filter->time_max = PG_INT64_MAX;
        filter->by_time = true;
    }
    if (node->wanted.limit.are_last)
        filter->time_min = Max(filter->time_min, Min(bound, PG_INT64_MAX - 1) + 1);
    else
        filter->time_max = Min(filter->time_max, Max(bound, PG_INT64_MIN + 1) - 1);
}

// The group of a key, which is that of rows of a bucket.
Group *group_in_bucket(AggregateNode *node, const GroupKey &key, const BucketRange &bucket) {
    const uint32 count = node->groups.group_count;
    Group *group = group_of(&node->groups, key);
    if (!node->narrows || bucket.is_null || node->groups.group_count == count) return group;
    int64 bound;
    const int64 time = node->wanted.limit.are_last ? bucket.last : bucket.first;
    if (meet_bucket(&node->wanted, time, &bound)) narrow_times(node, bound);
    return group;
}

GroupKey key_of(const AggregateNode *node, const RowBatch &batch, const BucketRange &bucket) {
    GroupKey key = {};
    if (node->shape.by_tag) {
        key.tag_is_null = batch.tag_is_null;
        key.tag = batch.tag;
    }
    if (node->shape.bucket != nullptr) {
        key.bucket = bucket.value;
        key.bucket_is_null = bucket.is_null;
    }
    return key;
}

// Adds a batch that is a whole granule of one group by what is known of it; false when it must be decoded.
bool add_whole(AggregateNode *node, const RowBatch &batch) {
    const AggregateShape &shape = node->shape;
    if (!batch.is_whole || batch.has_searches) return false;
    const Verdict verdict = judge_whole(node->filter, node->scan, batch);
    if (verdict == Verdict::none) {
        engine::count_as_summarized(node->scan);
        return true;
    }
    if (verdict == Verdict::some || shape.filters != NIL || shape.other_count > 0) return false;
    for (uint32 i = 0; i < shape.measure_count; i++) {
        if (!add_known(node, batch, shape.measures[i], nullptr)) return false;
    }
    BucketRange bucket = {};
    const format::Granule &about = batch.granule->about;
    const bool is_one = shape.bucket == nullptr ||
                        (!about.has_null_time && is_one_bucket(&node->buckets, about.time_min, about.time_max, &bucket));
    if (!is_one) return false;
    Group *group = group_in_bucket(node, key_of(node, batch, bucket), bucket);
    for (uint32 i = 0; i < shape.measure_count; i++) add_known(node, batch, shape.measures[i], &group->measures[i]);
    engine::count_as_summarized(node->scan);
    return true;
}

// ------------------------------------------------------------------------------------------------------------ decoded rows

// The rows of a batch that count at all, and for each FILTER clause; false when all of them do, and the mask is not set.
bool mask_rows(AggregateNode *node, const RowBatch &batch) {
    const uint32 first = batch.rows.first;
    const uint32 end = batch.rows.end;
    const bool is_masked = batch.has_deleted || batch.has_searches || !node->filter.is_empty;
    const uint32 filter_count = list_length(node->shape.filters);
    if (!is_masked && filter_count == 0) return false;
    uint8 *keep = node->mask.keep;
    memset(keep + first, 1, end - first);
    const engine::FoundRows *found = batch.has_searches ? &engine::found_rows(node->scan) : nullptr;
    if (batch.has_deleted) {
        for (uint32 row = first; row < end; row++) keep[row] = engine::batch_has_row(node->scan, batch, row);
    }
    if (found != nullptr) engine::keep_bits(found->possible, batch.rows, keep);
    narrow_mask(&node->filter, batch, found, node->slot, node->row_context, &node->mask);
    for (uint32 i = 0; i < filter_count; i++) {
        memcpy(node->filter_masks[i].keep + first, keep + first, end - first);
        narrow_mask(&node->measure_filters[i], batch, nullptr, node->slot, node->row_context, &node->filter_masks[i]);
    }
    return true;
}

uint32 count_kept(const uint8 *keep, uint32 count) {
    uint32 kept = 0;
    for (uint32 i = 0; i < count; i++) kept += keep[i];
    return kept;
}

// Adds rows of which only their number and whether they have a tag counts.
void add_count(const Measure &measure, const RowBatch &batch, uint64 count, MeasureState *state) {
    state->row_count += count;
    if (measure.is_tag && !batch.tag_is_null) state->integers.count += count;
}

bool wants_times(const Measure &measure) { return measure.wants_ends || measure.wants_extreme_times; }

// A measure's columns in the order of codes.
MeasuredRows gathered_rows(AggregateNode *node, const RowBatch &batch, engine::RowSpan span, const Measure &measure,
                           bool is_masked) {
    GroupedRows *grouped = node->grouped;
    const uint16 *order = grouped->codes.order;
    const uint32 count = grouped->codes.starts[grouped->codes.count];
    MeasuredRows rows = {};
    rows.numbers = engine::number_rows(batch.granule, measure.column - 1, span.first, span.end);
    for (uint32 i = 0; i < count; i++) grouped->numbers[i] = rows.numbers.numbers[order[i]];
    rows.numbers.numbers = grouped->numbers;
    if (rows.numbers.nulls != nullptr) {
        for (uint32 i = 0; i < count; i++) grouped->nulls[i] = rows.numbers.nulls[order[i]];
        rows.numbers.nulls = grouped->nulls;
    }
    if (wants_times(measure)) {
        rows.times = engine::number_rows(batch.granule, node->keys.columns.time - 1, span.first, span.end);
        for (uint32 i = 0; i < count; i++) grouped->times[i] = rows.times.numbers[order[i]];
        rows.times.numbers = grouped->times;
        if (rows.times.nulls != nullptr) {
            for (uint32 i = 0; i < count; i++) grouped->null_times[i] = rows.times.nulls[order[i]];
            rows.times.nulls = grouped->null_times;
        }
    }
    if (is_masked && measure.filter >= 0) rows.keep = grouped->keep;
    return rows;
}

// The part of gathered rows that has one code.
MeasuredRows part_of(MeasuredRows rows, uint32 first, uint32 count) {
    for (engine::NumberRows *column : {&rows.numbers, &rows.times}) {
        column->row_count = count;
        if (column->numbers != nullptr) column->numbers += first;
        if (column->nulls != nullptr) column->nulls += first;
    }
    if (rows.keep != nullptr) rows.keep += first;
    return rows;
}

// The group of each code, by the values of its first row.
void find_groups(AggregateNode *node, const RowBatch &batch, uint32 first, const BucketRange &bucket) {
    GroupedRows *grouped = node->grouped;
    GroupKey key = key_of(node, batch, bucket);
    key.others = grouped->key;
    for (uint32 code = 0; code < grouped->codes.count; code++) {
        const uint32 start = grouped->codes.starts[code];
        if (start == grouped->codes.starts[code + 1]) continue;
        for (uint32 i = 0; i < node->shape.other_count; i++) {
            engine::granule_value(batch.granule, node->shape.others[i]->attnum - 1, first + grouped->codes.order[start],
                                  &grouped->key[i].value, &grouped->key[i].isnull);
        }
        grouped->groups[code] = group_of(&node->groups, key);
    }
}

// Adds rows of one tag and one bucket to the groups that their values of other columns say.
void add_grouped_rows(AggregateNode *node, const RowBatch &batch, engine::RowSpan span, bool is_masked,
                      const BucketRange &bucket) {
    GroupedRows *grouped = node->grouped;
    RowCodes *codes = &grouped->codes;
    const uint32 count = span.end - span.first;
    begin_codes(codes, count);
    for (uint32 i = 0; i < node->shape.other_count; i++)
        add_column_to_codes(codes, batch.granule, node->shape.others[i]->attnum - 1, span.first, span.end);
    sort_by_codes(codes, count, is_masked ? node->mask.keep + span.first : nullptr);
    find_groups(node, batch, span.first, bucket);
    for (uint32 i = 0; i < node->shape.measure_count; i++) {
        const Measure &measure = node->shape.measures[i];
        if (measure.filter >= 0) {
            const uint8 *keep = node->filter_masks[measure.filter].keep + span.first;
            for (uint32 row = 0; row < codes->starts[codes->count]; row++) grouped->keep[row] = keep[codes->order[row]];
        }
        const bool is_count = measure.column == InvalidAttrNumber || measure.is_tag;
        MeasuredRows rows = {};
        if (!is_count) rows = gathered_rows(node, batch, span, measure, is_masked);
        for (uint32 code = 0; code < codes->count; code++) {
            const uint32 start = codes->starts[code];
            const uint32 code_count = codes->starts[code + 1] - start;
            if (code_count == 0) continue;
            MeasureState *state = &grouped->groups[code]->measures[i];
            if (is_count)
                add_count(measure, batch, measure.filter < 0 ? code_count : count_kept(grouped->keep + start, code_count), state);
            else
                add_rows_to(measure, part_of(rows, start, code_count), node->null_mask.keep, state);
        }
    }
}

// Adds rows [first, end) of the batch, which are of one group.
void add_rows(AggregateNode *node, const RowBatch &batch, uint32 first, uint32 end, bool is_masked, const BucketRange &bucket) {
    const uint32 count = end - first;
    const uint32 row_count = is_masked ? count_kept(node->mask.keep + first, count) : count;
    if (row_count == 0) return;
    if (node->shape.other_count > 0) return add_grouped_rows(node, batch, {first, end}, is_masked, bucket);
    Group *group = group_in_bucket(node, key_of(node, batch, bucket), bucket);
    for (uint32 i = 0; i < node->shape.measure_count; i++) {
        const Measure &measure = node->shape.measures[i];
        MeasureState *state = &group->measures[i];
        const uint8 *keep = nullptr;
        if (is_masked) keep = (measure.filter < 0 ? node->mask.keep : node->filter_masks[measure.filter].keep) + first;
        if (measure.column == InvalidAttrNumber || measure.is_tag) {
            add_count(measure, batch, measure.filter < 0 ? row_count : count_kept(keep, count), state);
            continue;
        }
        MeasuredRows rows = {engine::number_rows(batch.granule, measure.column - 1, first, end), {}, keep};
        if (wants_times(measure)) rows.times = engine::number_rows(batch.granule, node->keys.columns.time - 1, first, end);
        add_rows_to(measure, rows, node->null_mask.keep, state);
    }
}

// The bucket of rows without a time.
BucketRange null_bucket(AggregateNode *node) {
    if (!node->null_bucket_is_known) {
        ExprContext *context = node->buckets.context;
        context->caseValue_datum = 0;
        context->caseValue_isNull = true;
        const Datum value = ExecEvalExprSwitchContext(node->buckets.expression, context, &node->null_bucket_is_null);
        MemoryContext old = MemoryContextSwitchTo(node->base.ss.ps.state->es_query_cxt);
        if (!node->null_bucket_is_null)
            node->null_bucket = datumCopy(value, node->buckets.value_by_value, node->buckets.value_length);
        MemoryContextSwitchTo(old);
        node->null_bucket_is_known = true;
    }
    return {0, 0, node->null_bucket, node->null_bucket_is_null};
}

// Only rows that count have a bucket: of others, a deleted one with an infinite time, say, the expression may be an error.
void add_masked_rows(AggregateNode *node, const RowBatch &batch, uint32 first, const int64 *times) {
    uint32 count = 0;
    for (uint32 row = first; row < batch.rows.end; row++) {
        node->kept_rows[count] = row;
        node->kept_times[count] = times[row];
        count += node->mask.keep[row];
    }
    for (uint32 place = 0; place < count;) {
        BucketRange bucket;
        const uint32 end = end_of_bucket(&node->buckets, node->kept_times, place, count, &bucket);
        add_rows(node, batch, node->kept_rows[place], node->kept_rows[end - 1] + 1, true, bucket);
        place = end;
    }
}

}  // namespace

void begin_grouped_rows(AggregateNode *node) {
    node->grouped = static_cast<GroupedRows *>(palloc0(sizeof(GroupedRows)));
    node->grouped->key = static_cast<NullableDatum *>(palloc0(sizeof(NullableDatum) * node->shape.other_count));
}

void add_granule(AggregateNode *node, const RowBatch &batch) {
    if (!tag_matches(&node->filter, batch, node->slot, node->row_context) || add_whole(node, batch)) return;
    const bool is_masked = mask_rows(node, batch);
    if (node->shape.bucket == nullptr) return add_rows(node, batch, batch.rows.first, batch.rows.end, is_masked, BucketRange{});
    uint32 row = batch.rows.first + batch.no_time_count;
    if (batch.no_time_count > 0) add_rows(node, batch, batch.rows.first, row, is_masked, null_bucket(node));
    if (row == batch.rows.end) return;
    const int64 *times = engine::granule_column(batch.granule, node->keys.columns.time - 1).vector.numbers;
    if (is_masked) return add_masked_rows(node, batch, row, times);
    while (row < batch.rows.end) {
        BucketRange bucket;
        const uint32 end = end_of_bucket(&node->buckets, times, row, batch.rows.end, &bucket);
        add_rows(node, batch, row, end, is_masked, bucket);
        row = end;
    }
}

// ----------------------------------------------------------------------------------------------------------- rows of the tail

namespace {

// A column of one row, as of a granule's.
struct TailNumber {
    int64 number;
    uint8 is_null;
};

engine::NumberRows tail_number(AggregateNode *node, AttrNumber column, TailNumber *value) {
    bool is_null;
    value->number = static_cast<int64>(slot_getattr(node->slot, column, &is_null));
    value->is_null = is_null;
    return {format::PhysicalKind::reserved, &value->number, is_null ? &value->is_null : nullptr, 1};
}

}  // namespace

void add_tail_row(AggregateNode *node, const RowBatch &batch) {
    TupleTableSlot *slot = node->slot;
    if (!row_matches(node->filter, slot, node->row_context)) return;
    BucketRange bucket = {};
    if (node->shape.bucket != nullptr) {
        bool is_null;
        const Datum time = slot_getattr(slot, node->keys.columns.time, &is_null);
        bucket = is_null ? null_bucket(node) : *bucket_of(&node->buckets, DatumGetInt64(time));
    }
    GroupKey key = key_of(node, batch, bucket);
    if (node->grouped != nullptr) key.others = node->grouped->key;
    for (uint32 i = 0; i < node->shape.other_count; i++)
        node->grouped->key[i].value = slot_getattr(slot, node->shape.others[i]->attnum, &node->grouped->key[i].isnull);
    Group *group = group_in_bucket(node, key, bucket);
    for (uint32 i = 0; i < node->shape.measure_count; i++) {
        const Measure &measure = node->shape.measures[i];
        if (measure.filter >= 0 && !row_matches(node->measure_filters[measure.filter], slot, node->row_context)) continue;
        MeasureState *state = &group->measures[i];
        if (measure.column == InvalidAttrNumber || measure.is_tag) {
            add_count(measure, batch, 1, state);
            continue;
        }
        TailNumber value;
        TailNumber time;
        add_rows_to(measure,
                    {tail_number(node, measure.column, &value), tail_number(node, node->keys.columns.time, &time), nullptr},
                    node->null_mask.keep, state);
    }
}

}  // namespace historian::planner
