// What EXPLAIN says of the node: the conditions that skip data and, with ANALYZE, how much was read and skipped.
#include "planner/historian_scan.h"

extern "C" {
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/ruleutils.h"
#if PG_VERSION_NUM >= 180000
#include "commands/explain_format.h"
#include "commands/explain_state.h"
#endif
}

namespace historian::planner {

SplitClauses split_clauses(const KeyTypes &keys, Index varno, List *clauses) {
    SplitClauses split = {};
    ListCell *cell;
    foreach (cell, clauses) {
        Node *clause = static_cast<Node *>(lfirst(cell));
        ConditionList conditions = {};
        if (!add_clause(nullptr, keys, varno, clause, &conditions)) continue;
        if (is_tag_condition(conditions.items[0]) || is_tag_range_condition(conditions.items[0]))
            split.tag = lappend(split.tag, clause);
        else if (is_number_condition(conditions.items[0]))
            split.numbers = lappend(split.numbers, clause);
        else if (is_key_condition(conditions.items[0]))
            split.keys = lappend(split.keys, clause);
        else
            split.time = lappend(split.time, clause);
    }
    return split;
}

void show_clauses(const char *label, CustomScanState *state, List *clauses, List *ancestors, ExplainState *explain) {
    if (clauses == NIL) return;
    List *context = set_deparse_context_plan(explain->deparse_cxt, state->ss.ps.plan, ancestors);
    Node *all = reinterpret_cast<Node *>(make_ands_explicit(clauses));
    ExplainPropertyText(label, deparse_expression(all, context, explain->verbose, false), explain);  // as "Filter" is shown
}

namespace {

// Each clause on its own, with the granules that it let the scan pass over.
void show_key_clauses(CustomScanState *state, List *clauses, const engine::ScanCounters &counters, List *ancestors,
                      ExplainState *explain) {
    List *context = set_deparse_context_plan(explain->deparse_cxt, state->ss.ps.plan, ancestors);
    uint32 number = 0;
    ListCell *cell;
    foreach (cell, clauses) {
        const char *text = deparse_expression(static_cast<Node *>(lfirst(cell)), context, explain->verbose, false);
        const bool is_counted = explain->analyze && number < engine::kCountedConditionsMax;
        const auto skipped = static_cast<unsigned long long>(is_counted ? counters.skipped_by_keys[number] : 0);
        if (is_counted && explain->format == EXPLAIN_FORMAT_TEXT) text = psprintf("%s, granules skipped=%llu", text, skipped);
        ExplainPropertyText("Key Filter", text, explain);
        if (is_counted && explain->format != EXPLAIN_FORMAT_TEXT)
            ExplainPropertyUInteger(psprintf("Key Filter %u Granules Skipped", number + 1), nullptr, skipped, explain);
        number++;
    }
}

void show_counter(const char *what, uint64 read, uint64 skipped, ExplainState *explain) {
    const auto read_count = static_cast<unsigned long long>(read);
    const auto skipped_count = static_cast<unsigned long long>(skipped);
    if (explain->format == EXPLAIN_FORMAT_TEXT) {
        ExplainPropertyText(what, psprintf("read=%llu skipped=%llu", read_count, skipped_count), explain);
    } else {
        ExplainPropertyUInteger(psprintf("%s Read", what), nullptr, read, explain);
        ExplainPropertyUInteger(psprintf("%s Skipped", what), nullptr, skipped, explain);
    }
}

// The order as ORDER BY would say it.
void show_order(const ScanShape &shape, const KeyTypes &keys, Relation table, ExplainState *explain) {
    if (shape.order != engine::ScanOrder::by_tag) return;
    const TupleDesc desc = RelationGetDescr(table);
    const auto column = [desc](AttrNumber number, bool descends, bool nulls_last) {
        const char *name = quote_identifier(NameStr(TupleDescAttr(desc, number - 1)->attname));
        return psprintf("%s%s%s", name, descends ? " DESC" : "",
                        descends != nulls_last ? ""
                        : nulls_last           ? " NULLS LAST"
                                               : " NULLS FIRST");
    };
    const engine::TagOrder &order = shape.tag_order;
    List *columns = NIL;
    if (shape.shows_tag) columns = lappend(columns, column(keys.columns.tag, order.tags_descend, order.null_tags_last));
    columns = lappend(columns, column(keys.columns.time, order.times_descend, order.null_times_last));
    ExplainPropertyList("Order", columns, explain);
    if (shape.one_row_per_tag) ExplainPropertyBool("One Row per Tag", true, explain);
}

}  // namespace

void explain_conditions(CustomScanState *state, const KeyTypes &keys, List *clauses, const engine::ScanCounters &counters,
                        List *ancestors, ExplainState *explain) {
    const CustomScan *plan = reinterpret_cast<const CustomScan *>(state->ss.ps.plan);
    const SplitClauses split = split_clauses(keys, plan->scan.scanrelid, clauses);
    show_clauses("Tag Filter", state, split.tag, ancestors, explain);
    show_clauses("Time Filter", state, split.time, ancestors, explain);
    show_clauses("Value Filter", state, split.numbers, ancestors, explain);
    show_key_clauses(state, split.keys, counters, ancestors, explain);
    if (!explain->analyze) return;
    show_counter("Segments", counters.segments_read, counters.segments_skipped, explain);
    show_counter("Granules", counters.granules_read, counters.granules_skipped, explain);
    show_counter("Tail Pages", counters.tail_pages_read, counters.tail_pages_skipped, explain);
}

void explain_scan(CustomScanState *state, List *ancestors, ExplainState *explain) {
    const ScanNode *node = scan_node(state);
    const CustomScan *plan = reinterpret_cast<const CustomScan *>(state->ss.ps.plan);
    show_order(shape_of_list(plan->custom_private), node->keys, state->ss.ss_currentRelation, explain);
    explain_conditions(state, node->keys, plan->custom_exprs, all_counters(state), ancestors, explain);
}

}  // namespace historian::planner
