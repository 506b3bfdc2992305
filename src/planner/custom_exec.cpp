// Execution, through ExecScan(): it knows EvalPlanQual, which a loop of our own would answer with the whole table.
//
// The scan starts when the first row is asked for: only then do parameters of subplans and nested loops have values.
#include "planner/historian_scan.h"

#include "engine/row_slot.h"

extern "C" {
#include "executor/nodeCustom.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
}

namespace historian::planner {

namespace {

// ------------------------------------------------------------------------------------------------------------------ begin

const engine::ScanCounters *present_counters(CustomScanState *state) {
    const ScanNode *node = scan_node(state);
    return node->scan != nullptr ? &engine::scan_counters(node->scan) : nullptr;
}

Node *create_scan_state(CustomScan *plan) {
    ScanNode *node = static_cast<ScanNode *>(palloc0(sizeof(ScanNode)));
    NodeSetTag(node, T_CustomScanState);
    node->base.methods = plan->scan.plan.parallel_aware ? &kParallelExecMethods : &kExecMethods;
    node->parallel.counters = present_counters;
#if PG_VERSION_NUM >= 160000
    node->base.slotOps = &engine::kRowSlotOps;
#endif
    return reinterpret_cast<Node *>(node);
}

#if PG_VERSION_NUM < 160000
// PostgreSQL 15 gives every custom scan a plain virtual slot and compiles the expressions for it: "nothing to fetch". Ours
// fetches values when they are asked for, so slot and expressions are made again. The first ones are never run; their subplans
// are forgotten.
void use_row_slot(CustomScanState *state, EState *estate) {
    ScanState *scan = &state->ss;
    const Plan *plan = scan->ps.plan;
    ExecInitScanTupleSlot(estate, scan, RelationGetDescr(scan->ss_currentRelation), &engine::kRowSlotOps);
    scan->ps.subPlan = NIL;
    ExecAssignScanProjectionInfoWithVarno(scan, reinterpret_cast<const Scan *>(plan)->scanrelid);
    scan->ps.qual = ExecInitQual(plan->qual, &scan->ps);
}
#endif

// One flag a column, or nullptr when all are needed.
const bool *needed_columns(const Scan *plan, List *searches, TupleDesc desc) {
    Bitmapset *used = nullptr;
    pull_varattnos(reinterpret_cast<Node *>(searches), plan->scanrelid, &used);
    pull_varattnos(reinterpret_cast<Node *>(plan->plan.targetlist), plan->scanrelid, &used);
    pull_varattnos(reinterpret_cast<Node *>(plan->plan.qual), plan->scanrelid, &used);
    if (bms_is_member(0 - FirstLowInvalidHeapAttributeNumber, used)) return nullptr;  // the whole row
    bool *needed = static_cast<bool *>(palloc0(sizeof(bool) * Max(desc->natts, 1)));
    for (int i = 0; i < desc->natts; i++) needed[i] = bms_is_member(i + 1 - FirstLowInvalidHeapAttributeNumber, used);
    return needed;
}

void begin_node(CustomScanState *state, EState *estate, int) {
    ScanNode *node = scan_node(state);
#if PG_VERSION_NUM < 160000
    use_row_slot(state, estate);
#endif
    const CustomScan *plan = reinterpret_cast<const CustomScan *>(state->ss.ps.plan);
    const Relation table = state->ss.ss_currentRelation;
    node->keys = key_types(table);
    List *searches = NIL;
    ListCell *cell;
    foreach (cell, plan->custom_exprs) {
        Node *clause = static_cast<Node *>(lfirst(cell));
        add_clause(nullptr, node->keys, plan->scan.scanrelid, clause, &node->conditions);
        if (ends_in_search(node->conditions)) searches = lappend(searches, clause);
    }
    if (searches != NIL) node->searches = ExecInitQual(searches, &state->ss.ps);
    const uint32 count = node->conditions.count;
    node->expressions = static_cast<ExprState **>(palloc(sizeof(ExprState *) * Max(count, 1)));
    node->values = static_cast<ConditionValue *>(palloc0(sizeof(ConditionValue) * Max(count, 1)));
    for (uint32 i = 0; i < count; i++) node->expressions[i] = ExecInitExpr(node->conditions.items[i].value, &state->ss.ps);
    node->filter_context = AllocSetContextCreate(CurrentMemoryContext, "historian filter", ALLOCSET_SMALL_SIZES);
    node->plain_qual = state->ss.ps.qual;
    if (estate->es_epq_active == nullptr && may_specialise_qual(node)) {
        node->qual_context = AllocSetContextCreate(CurrentMemoryContext, "historian qual", ALLOCSET_SMALL_SIZES);
        node->qual_arrays = static_cast<ArrayType **>(palloc0(sizeof(ArrayType *) * count));
    }
    const ScanShape shape = shape_of_list(plan->custom_private);
    node->filter.order = shape.order;
    node->filter.tag_order = shape.tag_order;
    node->one_row_per_tag = shape.one_row_per_tag;
    node->filter.needed_columns = needed_columns(&plan->scan, searches, RelationGetDescr(table));
}

// -------------------------------------------------------------------------------------------------------------------- rows

void evaluate_filter(ScanNode *node) {
    ExprContext *expressions = node->base.ss.ps.ps_ExprContext;
    for (uint32 i = 0; i < node->conditions.count; i++) {
        node->values[i].is_known = true;
        node->values[i].value = ExecEvalExprSwitchContext(node->expressions[i], expressions, &node->values[i].is_null);
    }
    MemoryContextReset(node->filter_context);
    MemoryContext old = MemoryContextSwitchTo(node->filter_context);
    build_filter(node->keys, node->conditions, node->values, &node->filter);
    MemoryContextSwitchTo(old);
    if (node->qual_context != nullptr) specialise_qual(node);
    node->filter_is_current = true;
}

void close_scan(ScanNode *node) {
    if (node->scan == nullptr) return;
    add_counters(&node->parallel.other_counters, engine::scan_counters(node->scan));
    ExecClearTuple(node->base.ss.ss_ScanTupleSlot);
    engine::end_scan(node->scan);
    node->scan = nullptr;
}

void start_scan(ScanNode *node) {
    ScanState *scan = &node->base.ss;
    EState *estate = scan->ps.state;
    evaluate_filter(node);
    pgstat_count_heap_scan(scan->ss_currentRelation);
    if (node->scan != nullptr && node->parallel.scan_shared == node->parallel.shared) {
        engine::restart_scan(node->scan);
        return;
    }
    // A Gather that is run again after it was shut down brings new shared memory.
    close_scan(node);
    MemoryContext old = MemoryContextSwitchTo(estate->es_query_cxt);
    node->parallel.scan_shared = node->parallel.shared;
    engine::ParallelScan *parallel = node->parallel.shared != nullptr ? &node->parallel.shared->scan : nullptr;
    node->scan = engine::begin_scan(scan->ss_currentRelation, estate->es_snapshot, &node->filter, parallel);
    MemoryContextSwitchTo(old);
}

bool matches_searches(ScanNode *node, TupleTableSlot *slot) {
    ExprContext *expressions = node->base.ss.ps.ps_ExprContext;
    ResetExprContext(expressions);
    expressions->ecxt_scantuple = slot;
    return ExecQual(node->searches, expressions);
}

TupleTableSlot *next_tuple(ScanState *scan) {
    ScanNode *node = reinterpret_cast<ScanNode *>(scan);
    if (!node->filter_is_current) start_scan(node);
    TupleTableSlot *slot = scan->ss_ScanTupleSlot;
    if (node->skips_tag) engine::skip_tag(node->scan);
    node->skips_tag = false;
    while (engine::next_row(node->scan, scan->ps.state->es_direction, slot)) {
        pgstat_count_heap_getnext(scan->ss_currentRelation);
        if (node->searches == nullptr || engine::row_is_certain(node->scan) || matches_searches(node, slot)) return slot;
        InstrCountFiltered1(node, 1);
    }
    return nullptr;
}

// ExecScan() checks the qual, which holds all that the filter stands for but the searches.
bool recheck_tuple(ScanState *scan, TupleTableSlot *slot) {
    ScanNode *node = reinterpret_cast<ScanNode *>(scan);
    return node->searches == nullptr || matches_searches(node, slot);
}

TupleTableSlot *run_node(CustomScanState *state) {
    // ExecScan() takes up the qual before it asks for the first row, and starting may change the qual. EvalPlanQual may never ask
    // for one.
    ScanNode *node = scan_node(state);
    if (!node->filter_is_current && state->ss.ps.state->es_epq_active == nullptr) start_scan(node);
    TupleTableSlot *result = ExecScan(&state->ss, next_tuple, recheck_tuple);
    if (node->one_row_per_tag) node->skips_tag = !TupIsNull(result);
    return result;
}

void rescan_node(CustomScanState *state) {
    // The filter is evaluated again, and the scan restarted, when a row is asked for.
    ExecClearTuple(state->ss.ss_ScanTupleSlot);
    scan_node(state)->filter_is_current = scan_node(state)->skips_tag = false;
    ExecScanReScan(&state->ss);
}

void end_node(CustomScanState *state) { close_scan(scan_node(state)); }

constexpr CustomExecMethods make_methods(bool parallel) {
    CustomExecMethods methods = {};
    methods.CustomName = kScanName;
    methods.BeginCustomScan = begin_node;
    methods.ExecCustomScan = run_node;
    methods.EndCustomScan = end_node;
    methods.ReScanCustomScan = rescan_node;
    methods.ExplainCustomScan = explain_scan;
    if (parallel) set_parallel_methods(&methods);
    return methods;
}

}  // namespace

const CustomExecMethods kExecMethods = make_methods(false);
const CustomExecMethods kParallelExecMethods = make_methods(true);

const CustomScanMethods kScanMethods = {
    .CustomName = kScanName,
    .CreateCustomScanState = create_scan_state,
};

}  // namespace historian::planner
