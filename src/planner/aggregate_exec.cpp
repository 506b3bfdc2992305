// Execution of HistorianAggregate: batch after batch into groups, then group after group out.
#include "planner/aggregate_node.h"

#include "engine/row_slot.h"

extern "C" {
#include "executor/nodeHash.h"
#include "nodes/makefuncs.h"
#if PG_VERSION_NUM >= 180000
#include "commands/explain_format.h"
#include "commands/explain_state.h"
#endif
}

namespace historian::planner {

using engine::RowBatch;

namespace {

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
    GroupShape groups = {shape.measure_count, shape.by_tag, shape.bucket != nullptr, 0, true, shape.other_count, shape.others};
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
    if (node->shape.other_count > 0) begin_grouped_rows(node);
    if (node->shape.bucket == nullptr) return;
    node->bucket_context = AllocSetContextCreate(estate->es_query_cxt, "historian buckets", ALLOCSET_DEFAULT_SIZES);
    List *bucket = restored_exprs(plan, lthird_node(List, plan->custom_exprs));
    ExprState *expression = ExecInitExpr(static_cast<Expr *>(linitial(bucket)), planstate);
    begin_buckets(&node->buckets, expression, CreateExprContext(estate), exprType(node->shape.bucket), node->shape.bucket_shape,
                  node->bucket_context);
    begin_wanted_buckets(&node->wanted, limit_of_plan(plan));
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
    // Points without a time have a bucket, NULL, which narrower times would leave out.
    const TupleDesc desc = RelationGetDescr(node->base.ss.ss_currentRelation);
    const bool has_times = node->scan_filter.by_time || TupleDescAttr(desc, node->keys.columns.time - 1)->attnotnull;
    node->narrows = node->wanted.limit.count > 0 && has_times && never_falls(node->buckets.shape);
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

bool wants_tags(const AggregateNode *node) {
    bool wanted = node->shape.by_tag || node->filter.by_tag != nullptr;
    for (int i = 0; i < list_length(node->shape.filters); i++) wanted |= node->measure_filters[i].by_tag != nullptr;
    return wanted;
}

// The wanted buckets first: then little else is read.
engine::BatchOrder wanted_order(const AggregateNode *node) {
    if (!node->narrows) return engine::BatchOrder::stored;
    return node->wanted.limit.are_last ? engine::BatchOrder::newest_first : engine::BatchOrder::oldest_first;
}

void start_scan(AggregateNode *node) {
    EState *estate = node->base.ss.ps.state;
    evaluate_parameters(node);
    pgstat_count_heap_scan(node->base.ss.ss_currentRelation);
    ParallelPart *part = &node->parallel;
    if (node->scan != nullptr && part->scan_shared == part->shared) {
        engine::restart_batches(node->scan);
        engine::order_batches(node->scan, wanted_order(node));
        return;
    }
    // A Gather that is run again after it was shut down brings new shared memory.
    close_scan(node);
    MemoryContext old = MemoryContextSwitchTo(estate->es_query_cxt);
    const Relation table = node->base.ss.ss_currentRelation;
    part->scan_shared = part->shared;
    engine::ParallelScan *shared = part->shared != nullptr ? &part->shared->scan : nullptr;
    node->scan = engine::begin_batches(table, estate->es_snapshot, &node->scan_filter, shared, wants_tags(node));
    MemoryContextSwitchTo(old);
    engine::order_batches(node->scan, wanted_order(node));
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
            case OutputKind::other:
                *is_null = group.key.others[column.other].isnull;
                *value = group.key.others[column.other].value;
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
        forget_met_buckets(&node->wanted);
        node->next_group = 0;
        read_groups(node);
    }
}

void rescan_node(CustomScanState *state) {
    AggregateNode *node = aggregate_node(state);
    ExecClearTuple(state->ss.ss_ScanTupleSlot);
    ExecClearTuple(node->slot);
    forget_groups(&node->groups);
    forget_met_buckets(&node->wanted);
    if (node->shape.bucket != nullptr) forget_buckets(&node->buckets);
    const bool has_copy = node->null_bucket_is_known && !node->null_bucket_is_null && !node->buckets.value_by_value;
    if (has_copy) pfree(DatumGetPointer(node->null_bucket));
    node->null_bucket_is_known = node->is_current = node->is_read = false;
    node->next_group = 0;
}

void end_node(CustomScanState *state) { close_scan(aggregate_node(state)); }

void explain_node(CustomScanState *state, List *ancestors, ExplainState *explain) {
    const AggregateNode *node = aggregate_node(state);
    const engine::ScanCounters counters = all_counters(state);
    show_clauses("Filter", state, node->clauses, ancestors, explain);
    explain_conditions(state, node->keys, node->clauses, counters, ancestors, explain);
    const BucketLimit limit = limit_of_plan(reinterpret_cast<const CustomScan *>(state->ss.ps.plan));
    if (limit.count > 0)
        ExplainPropertyUInteger(limit.are_last ? "Last Buckets" : "First Buckets", nullptr, limit.count, explain);
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
