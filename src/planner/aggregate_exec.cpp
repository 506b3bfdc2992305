// Execution of HistorianAggregate: batch after batch into groups, then group after group out.
#include "planner/aggregate.h"

#include "engine/row_slot.h"
#include "planner/aggregate_measures.h"

extern "C" {
#include "executor/nodeHash.h"
#include "nodes/makefuncs.h"
}

namespace historian::planner {

using engine::RowBatch;
using format::GranuleStatistics;

namespace {

struct AggregateNode {
    CustomScanState base;  // must be first
    ParallelPart parallel;
    KeyTypes keys;
    AggregateShape shape;
    // The scan.
    ConditionList conditions;  // that skip data
    ExprState **expressions;   // one a condition
    ConditionValue *values;
    MemoryContext filter_context;  // what scan_filter points to
    engine::ScanFilter scan_filter;
    List *clauses;            // of the query
    engine::BatchScan *scan;  // nullptr until the first row is asked for
    TupleTableSlot *slot;     // of the table's rows
    // Rows.
    RowFilter filter;
    RowFilter *measure_filters;  // of FILTER clauses
    ExprContext *row_context;
    RowMask mask;
    RowMask *filter_masks;  // one a FILTER clause
    RowMask null_mask;
    uint32 kept_rows[format::kGranuleRowsMax];  // by places among those that count
    int64 kept_times[format::kGranuleRowsMax];
    // Groups.
    TimeBuckets buckets;
    MemoryContext bucket_context;
    bool null_bucket_is_known;
    bool null_bucket_is_null;
    Datum null_bucket;
    GroupTable groups;
    MemoryContext group_context;
    bool is_read;       // nothing more comes from the scan
    bool is_current;    // parameters have been looked at
    uint32 next_group;  // to be given
};

AggregateNode *aggregate_node(CustomScanState *state) { return reinterpret_cast<AggregateNode *>(state); }

// ------------------------------------------------------------------------------------------------------------------ begin

const engine::ScanCounters *present_counters(CustomScanState *state) {
    const AggregateNode *node = aggregate_node(state);
    return node->scan != nullptr ? &engine::batch_counters(node->scan) : nullptr;
}

Node *create_state(CustomScan *plan) {
    AggregateNode *node = static_cast<AggregateNode *>(palloc0(sizeof(AggregateNode)));
    NodeSetTag(node, T_CustomScanState);
    node->base.methods = plan->scan.plan.parallel_aware ? &kParallelAggregateExecMethods : &kAggregateExecMethods;
    node->parallel.counters = present_counters;
    return reinterpret_cast<Node *>(node);
}

void begin_groups_of(AggregateNode *node, MemoryContext parent) {
    const AggregateShape &shape = node->shape;
    node->group_context = AllocSetContextCreate(parent, "historian groups", ALLOCSET_DEFAULT_SIZES);
    GroupShape groups = {shape.measure_count, shape.by_tag, shape.bucket != nullptr, 0, true};
    if (shape.bucket != nullptr) get_typlenbyval(exprType(shape.bucket), &groups.bucket_length, &groups.bucket_by_value);
    begin_groups(&node->groups, groups, node->group_context);
}

void begin_node(CustomScanState *state, EState *estate, int) {
    AggregateNode *node = aggregate_node(state);
    const CustomScan *plan = reinterpret_cast<const CustomScan *>(state->ss.ps.plan);
    const Relation table = state->ss.ss_currentRelation;
    const Index varno = plan->scan.scanrelid;
    node->keys = key_types(table);
    if (!understand_shape(node->keys, RelationGetDescr(table), varno, given_exprs(plan), &node->shape))
        ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("the plan does not fit the table any more"));
    PlanState *planstate = &state->ss.ps;
    node->slot = ExecInitExtraTupleSlot(estate, RelationGetDescr(table), &engine::kRowSlotOps);
    node->row_context = CreateExprContext(estate);

    node->clauses = restored_exprs(plan, linitial_node(List, plan->custom_exprs));
    List *others = NIL;
    ListCell *cell;
    foreach (cell, node->clauses) {
        Node *clause = static_cast<Node *>(lfirst(cell));
        add_clause(nullptr, node->keys, varno, clause, &node->conditions);
        if (!scan_decides(node->keys, varno, clause)) others = lappend(others, clause);
    }
    const uint32 count = node->conditions.count;
    node->expressions = static_cast<ExprState **>(palloc(sizeof(ExprState *) * Max(count, 1)));
    for (uint32 i = 0; i < count; i++) node->expressions[i] = ExecInitExpr(node->conditions.items[i].value, planstate);
    node->values = static_cast<ConditionValue *>(palloc0(sizeof(ConditionValue) * Max(count, 1)));
    node->filter_context = AllocSetContextCreate(estate->es_query_cxt, "historian filter", ALLOCSET_SMALL_SIZES);
    begin_filter(&node->filter, node->keys, others, varno, planstate);

    const uint32 filter_count = list_length(node->shape.filters);
    node->measure_filters = static_cast<RowFilter *>(palloc0(sizeof(RowFilter) * Max(filter_count, 1)));
    node->filter_masks = static_cast<RowMask *>(palloc(sizeof(RowMask) * Max(filter_count, 1)));
    uint32 number = 0;
    foreach (cell, node->shape.filters) {
        List *arms = make_ands_implicit(static_cast<Expr *>(lfirst(cell)));
        begin_filter(&node->measure_filters[number++], node->keys, arms, varno, planstate);
    }

    begin_groups_of(node, estate->es_query_cxt);
    if (node->shape.bucket == nullptr) return;
    node->bucket_context = AllocSetContextCreate(estate->es_query_cxt, "historian buckets", ALLOCSET_DEFAULT_SIZES);
    List *bucket = restored_exprs(plan, lthird_node(List, plan->custom_exprs));
    ExprState *expression = ExecInitExpr(static_cast<Expr *>(linitial(bucket)), planstate);
    begin_buckets(&node->buckets, expression, CreateExprContext(estate), exprType(node->shape.bucket),
                  node->shape.bucket_shape, node->bucket_context);
}

// ------------------------------------------------------------------------------------------------------------------- start

void evaluate_parameters(AggregateNode *node) {
    ExprContext *context = node->base.ss.ps.ps_ExprContext;
    for (uint32 i = 0; i < node->conditions.count; i++) {
        node->values[i].is_known = true;
        node->values[i].value = ExecEvalExprSwitchContext(node->expressions[i], context, &node->values[i].is_null);
    }
    MemoryContextReset(node->filter_context);
    MemoryContext old = MemoryContextSwitchTo(node->filter_context);
    build_filter(node->keys, node->conditions, node->values, &node->scan_filter);
    // The session's time zone may be another one than when the plan was begun.
    if (node->shape.bucket != nullptr) {
        const Index varno = reinterpret_cast<const CustomScan *>(node->base.ss.ps.plan)->scan.scanrelid;
        node->buckets.shape = bucket_shape(node->shape.bucket, varno, node->keys.columns.time);
    }
    MemoryContextSwitchTo(old);
    node->scan_filter.order = engine::ScanOrder::stored;
    evaluate_filter_values(&node->filter, context);
    for (int i = 0; i < list_length(node->shape.filters); i++) evaluate_filter_values(&node->measure_filters[i], context);
    node->is_current = true;
}

void close_scan(AggregateNode *node) {
    ExecClearTuple(node->slot);
    if (node->scan == nullptr) return;
    add_counters(&node->parallel.other_counters, engine::batch_counters(node->scan));
    engine::end_batches(node->scan);
    node->scan = nullptr;
}

void start_scan(AggregateNode *node) {
    EState *estate = node->base.ss.ps.state;
    evaluate_parameters(node);
    pgstat_count_heap_scan(node->base.ss.ss_currentRelation);
    ParallelPart *part = &node->parallel;
    if (node->scan != nullptr && part->scan_shared == part->shared) {
        engine::restart_batches(node->scan);
        return;
    }
    // A Gather that is run again after it was shut down brings new shared memory.
    close_scan(node);
    MemoryContext old = MemoryContextSwitchTo(estate->es_query_cxt);
    const Relation table = node->base.ss.ss_currentRelation;
    part->scan_shared = part->shared;
    engine::ParallelScan *shared = part->shared != nullptr ? &part->shared->scan : nullptr;
    node->scan = engine::begin_batches(table, estate->es_snapshot, &node->scan_filter, shared, node->shape.by_tag);
    MemoryContextSwitchTo(old);
}

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
    if (verdict == Verdict::some || shape.filters != NIL) return false;
    for (uint32 i = 0; i < shape.measure_count; i++) {
        if (!add_known(node, batch, shape.measures[i], nullptr)) return false;
    }
    BucketRange bucket = {};
    const format::Granule &about = batch.granule->about;
    const bool is_one = shape.bucket == nullptr ||
                        (!about.has_null_time && is_one_bucket(&node->buckets, about.time_min, about.time_max, &bucket));
    if (!is_one) return false;
    Group *group = group_of(&node->groups, key_of(node, batch, bucket));
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
    if (found != nullptr) {
        for (uint32 row = first; row < end; row++) keep[row] &= engine::has_bit(found->possible, row);
    }
    narrow_mask(node->filter, batch, found, node->slot, node->row_context, &node->mask);
    for (uint32 i = 0; i < filter_count; i++) {
        memcpy(node->filter_masks[i].keep + first, keep + first, end - first);
        narrow_mask(node->measure_filters[i], batch, nullptr, node->slot, node->row_context, &node->filter_masks[i]);
    }
    return true;
}

uint32 count_kept(const uint8 *keep, uint32 count) {
    uint32 kept = 0;
    for (uint32 i = 0; i < count; i++) kept += keep[i];
    return kept;
}

bool wants_times(const Measure &measure) { return measure.wants_ends || measure.wants_extreme_times; }

// Adds rows [first, end) of the batch, which are of one group.
void add_rows(AggregateNode *node, const RowBatch &batch, uint32 first, uint32 end, bool is_masked, const BucketRange &bucket) {
    const uint32 count = end - first;
    const uint32 row_count = is_masked ? count_kept(node->mask.keep + first, count) : count;
    if (row_count == 0) return;
    Group *group = group_of(&node->groups, key_of(node, batch, bucket));
    for (uint32 i = 0; i < node->shape.measure_count; i++) {
        const Measure &measure = node->shape.measures[i];
        MeasureState *state = &group->measures[i];
        const uint8 *keep = nullptr;
        if (is_masked) keep = (measure.filter < 0 ? node->mask.keep : node->filter_masks[measure.filter].keep) + first;
        if (measure.column == InvalidAttrNumber || measure.is_tag) {
            const uint64 kept = measure.filter < 0 ? row_count : count_kept(keep, count);
            state->row_count += kept;
            if (measure.is_tag && !batch.tag_is_null) state->integers.count += kept;
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

void add_granule(AggregateNode *node, const RowBatch &batch) {
    if (add_whole(node, batch)) return;
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

void add_tail_row(AggregateNode *node, const RowBatch &batch) {
    TupleTableSlot *slot = node->slot;
    if (!row_matches(node->filter, slot, node->row_context)) return;
    BucketRange bucket = {};
    if (node->shape.bucket != nullptr) {
        bool is_null;
        const Datum time = slot_getattr(slot, node->keys.columns.time, &is_null);
        bucket = is_null ? null_bucket(node) : *bucket_of(&node->buckets, DatumGetInt64(time));
    }
    Group *group = group_of(&node->groups, key_of(node, batch, bucket));
    for (uint32 i = 0; i < node->shape.measure_count; i++) {
        const Measure &measure = node->shape.measures[i];
        if (measure.filter >= 0 && !row_matches(node->measure_filters[measure.filter], slot, node->row_context)) continue;
        MeasureState *state = &group->measures[i];
        if (measure.column == InvalidAttrNumber || measure.is_tag) {
            state->row_count++;
            if (measure.is_tag && !batch.tag_is_null) state->integers.count++;
            continue;
        }
        TailNumber value;
        TailNumber time;
        add_rows_to(measure,
                    {tail_number(node, measure.column, &value), tail_number(node, node->keys.columns.time, &time), nullptr},
                    node->null_mask.keep, state);
    }
}

// --------------------------------------------------------------------------------------------------------------------- rows

// Reads until the groups take as much memory as a hash table may: what comes then makes groups of its own, which Finalize
// Aggregate joins with these.
void read_groups(AggregateNode *node) {
    const Size bytes_max = get_hash_memory_limit();
    RowBatch batch;
    uint32 seen = 0;
    while (engine::next_batch(node->scan, node->slot, &batch)) {
        if (batch.granule != nullptr)
            add_granule(node, batch);
        else
            add_tail_row(node, batch);
        if (node->groups.group_count < seen + 1024) continue;
        seen = node->groups.group_count;
        if (MemoryContextMemAllocated(node->group_context, false) > bytes_max) return;
    }
    ExecClearTuple(node->slot);
    node->is_read = true;
}

TupleTableSlot *give_group(AggregateNode *node, const Group &group) {
    const AggregateShape &shape = node->shape;
    ExprContext *context = node->base.ss.ps.ps_ExprContext;
    TupleTableSlot *slot = node->base.ss.ss_ScanTupleSlot;
    ResetExprContext(context);
    ExecClearTuple(slot);
    MemoryContext old = MemoryContextSwitchTo(context->ecxt_per_tuple_memory);
    memset(slot->tts_isnull, 1, slot->tts_tupleDescriptor->natts);
    memset(slot->tts_values, 0, sizeof(Datum) * slot->tts_tupleDescriptor->natts);
    for (uint32 i = 0; i < shape.column_count; i++) {
        const OutputColumn &column = shape.columns[i];
        Datum *value = &slot->tts_values[i];
        bool *is_null = &slot->tts_isnull[i];
        switch (column.kind) {
            case OutputKind::tag:
                *is_null = group.key.tag_is_null;
                if (*is_null) break;
                *value = engine::datum_of_bytes(&node->keys.tag, true, group.key.tag.data, group.key.tag.byte_count);
                break;
            case OutputKind::bucket:
                *is_null = group.key.bucket_is_null;
                *value = group.key.bucket;
                break;
            case OutputKind::constant:
                *is_null = column.constant->constisnull;
                *value = column.constant->constvalue;
                break;
            case OutputKind::aggregate:
                *value = transition_value(column, shape.measures[column.measure], group.measures[column.measure], is_null);
                break;
        }
    }
    MemoryContextSwitchTo(old);
    ExecStoreVirtualTuple(slot);
    if (node->base.ss.ps.ps_ProjInfo == nullptr) return slot;
    context->ecxt_scantuple = slot;
    return ExecProject(node->base.ss.ps.ps_ProjInfo);
}

TupleTableSlot *run_node(CustomScanState *state) {
    AggregateNode *node = aggregate_node(state);
    if (!node->is_current) start_scan(node);
    for (;;) {
        if (node->next_group < node->groups.group_count) return give_group(node, *node->groups.groups[node->next_group++]);
        if (node->is_read) return nullptr;
        if (node->groups.group_count > 0) forget_groups(&node->groups);
        node->next_group = 0;
        read_groups(node);
    }
}

void rescan_node(CustomScanState *state) {
    AggregateNode *node = aggregate_node(state);
    ExecClearTuple(state->ss.ss_ScanTupleSlot);
    ExecClearTuple(node->slot);
    forget_groups(&node->groups);
    if (node->shape.bucket != nullptr) forget_buckets(&node->buckets);
    node->null_bucket_is_known = node->is_current = node->is_read = false;
    node->next_group = 0;
}

void end_node(CustomScanState *state) { close_scan(aggregate_node(state)); }

void explain_node(CustomScanState *state, List *ancestors, ExplainState *explain) {
    const AggregateNode *node = aggregate_node(state);
    const engine::ScanCounters counters = all_counters(state);
    show_clauses("Filter", state, node->clauses, ancestors, explain);
    explain_conditions(state, node->keys, node->clauses, counters, ancestors, explain);
    if (explain->analyze) ExplainPropertyUInteger("Granules Summarized", nullptr, counters.granules_summarized, explain);
}

constexpr CustomExecMethods make_methods(bool parallel) {
    CustomExecMethods methods = {};
    methods.CustomName = kAggregateName;
    methods.BeginCustomScan = begin_node;
    methods.ExecCustomScan = run_node;
    methods.EndCustomScan = end_node;
    methods.ReScanCustomScan = rescan_node;
    methods.ExplainCustomScan = explain_node;
    if (parallel) set_parallel_methods(&methods);
    return methods;
}

}  // namespace

const CustomExecMethods kAggregateExecMethods = make_methods(false);
const CustomExecMethods kParallelAggregateExecMethods = make_methods(true);

const CustomScanMethods kAggregateScanMethods = {
    .CustomName = kAggregateName,
    .CreateCustomScanState = create_state,
};

}  // namespace historian::planner
