#include "planner/row_filter.h"

#include "engine/row_slot.h"

extern "C" {
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
}

namespace historian::planner {

using engine::RowBatch;

bool scan_decides(const KeyTypes &keys, Index varno, Node *clause) {
    ConditionList conditions = {};
    if (!add_clause(nullptr, keys, varno, clause, &conditions)) return false;
    for (uint32 i = 0; i < conditions.count; i++) {
        const Condition &condition = conditions.items[i];
        const bool is_exact = condition.comparison != Comparison::time_any && condition.before == 0 && condition.after == 0;
        if (!is_tag_condition(condition) && !(is_time_condition(condition) && is_exact)) return false;
    }
    return true;
}

namespace {

// Whether a clause is `column @@ search_query`, which a scan can look for.
bool is_search(const KeyTypes &keys, Index varno, Node *clause) {
    ConditionList conditions = {};
    return add_clause(nullptr, keys, varno, clause, &conditions) && ends_in_search(conditions);
}

}  // namespace

bool is_about_tag(const KeyTypes &keys, Index varno, Node *clause) {
    if (keys.columns.tag == InvalidAttrNumber || contain_volatile_functions(clause)) return false;
    Bitmapset *used = nullptr;
    pull_varattnos(clause, varno, &used);
    int member;
    return bms_get_singleton_member(used, &member) && member == keys.columns.tag - FirstLowInvalidHeapAttributeNumber;
}

void begin_filter(RowFilter *filter, const KeyTypes &keys, List *clauses, Index varno, PlanState *parent) {
    *filter = RowFilter{};
    const uint32 room = Max(list_length(clauses), 1);
    filter->comparisons = static_cast<NumberComparison *>(palloc(sizeof(NumberComparison) * room));
    filter->values = static_cast<ExprState **>(palloc(sizeof(ExprState *) * room));
    filter->numbers = static_cast<int64 *>(palloc(sizeof(int64) * room));
    List *by_tag = NIL;
    List *others = NIL;
    List *searches = NIL;
    ListCell *cell;
    foreach (cell, clauses) {
        Node *clause = static_cast<Node *>(lfirst(cell));
        NumberComparison *comparison = &filter->comparisons[filter->comparison_count];
        if (is_number_comparison(clause, varno, keys.columns.tag, comparison))
            filter->values[filter->comparison_count++] = ExecInitExpr(comparison->value, parent);
        else if (is_about_tag(keys, varno, clause))
            by_tag = lappend(by_tag, clause);
        else if (is_search(keys, varno, clause))
            searches = lappend(searches, clause);
        else
            others = lappend(others, clause);
    }
    // Without the node, whose own tuples look otherwise than the table's rows.
    filter->by_tag = ExecInitQual(by_tag, nullptr);
    filter->others = ExecInitQual(others, nullptr);
    filter->searches = ExecInitQual(searches, nullptr);
    filter->all = ExecInitQual(clauses, nullptr);
    filter->is_empty = clauses == NIL;
}

void evaluate_filter_values(RowFilter *filter, ExprContext *context) {
    filter->never = false;
    filter->tag_verdict.is_known = false;
    for (uint32 i = 0; i < filter->comparison_count; i++) {
        bool is_null;
        const Datum value = ExecEvalExprSwitchContext(filter->values[i], context, &is_null);
        if (is_null)
            filter->never = true;
        else
            filter->numbers[i] = compared_number(filter->comparisons[i], value);
    }
}

bool row_matches(const RowFilter &filter, TupleTableSlot *slot, ExprContext *context) {
    if (filter.all == nullptr) return true;
    ResetExprContext(context);
    context->ecxt_scantuple = slot;
    return ExecQual(filter.all, context);
}

Verdict judge_whole(const RowFilter &filter, engine::BatchScan *scan, const RowBatch &batch) {
    if (filter.is_empty) return Verdict::all;
    if (filter.never) return Verdict::none;
    Verdict all = filter.others == nullptr && filter.searches == nullptr ? Verdict::all : Verdict::some;
    for (uint32 i = 0; i < filter.comparison_count; i++) {
        const NumberComparison &comparison = filter.comparisons[i];
        const format::GranuleStatistics *statistics =
            engine::batch_statistics(scan, batch, comparison.column - 1, comparison.kind);
        Verdict one = Verdict::some;
        if (statistics != nullptr && statistics->is_known) {
            const bool has_nulls = statistics->value_count < batch.granule->about.row_count;
            one = statistics->value_count == 0
                      ? Verdict::none
                      : judge_extremes(comparison, filter.numbers[i], statistics->min, statistics->max, has_nulls);
        }
        if (one == Verdict::none) return Verdict::none;
        if (one == Verdict::some) all = Verdict::some;
    }
    return all;
}

bool tag_matches(RowFilter *filter, const RowBatch &batch, TupleTableSlot *slot, ExprContext *context) {
    if (filter->by_tag == nullptr) return true;
    TagVerdict *last = &filter->tag_verdict;
    const uint32 bytes = batch.tag_is_null ? 0 : batch.tag.byte_count;
    if (last->is_known && last->tag_is_null == batch.tag_is_null && last->tag_bytes == bytes &&
        (bytes == 0 || memcmp(last->tag, batch.tag.data, bytes) == 0))
        return last->matches;
    last->is_known = false;
    if (last->tag == nullptr || last->tag_room < bytes) {
        last->tag_room = Max(bytes * 2, 64);
        last->tag = static_cast<std::byte *>(MemoryContextAlloc(GetMemoryChunkContext(filter->comparisons), last->tag_room));
    }
    if (bytes > 0) memcpy(last->tag, batch.tag.data, bytes);
    last->tag_bytes = bytes;
    last->tag_is_null = batch.tag_is_null;
    ResetExprContext(context);
    engine::store_sealed_row(slot, batch.granule, batch.rows.first, nullptr);
    context->ecxt_scantuple = slot;
    last->matches = ExecQual(filter->by_tag, context);
    last->is_known = true;
    return last->matches;
}

void narrow_mask(RowFilter *filter, const RowBatch &batch, const engine::FoundRows *found, TupleTableSlot *slot,
                 ExprContext *context, RowMask *mask) {
    const uint32 first = batch.rows.first;
    const uint32 end = batch.rows.end;
    if (filter->never || !tag_matches(filter, batch, slot, context)) {
        memset(mask->keep + first, 0, end - first);
        return;
    }
    for (uint32 i = 0; i < filter->comparison_count; i++) {
        const NumberComparison &comparison = filter->comparisons[i];
        const engine::NumberRows rows = engine::number_rows(batch.granule, comparison.column - 1, first, end);
        keep_matching(comparison, filter->numbers[i], rows, mask->keep + first);
    }
    const bool all_certain = found != nullptr && engine::all_certain(*found);
    if (filter->others == nullptr && (filter->searches == nullptr || all_certain)) return;
    context->ecxt_scantuple = slot;
    for (uint32 row = first; row < end; row++) {
        if (mask->keep[row] == 0) continue;
        const bool is_found = found != nullptr && engine::has_bit(found->certain, row);
        ExprState *searches = is_found ? nullptr : filter->searches;
        if (filter->others == nullptr && searches == nullptr) continue;
        ResetExprContext(context);
        engine::store_sealed_row(slot, batch.granule, row, nullptr);
        if (!ExecQual(filter->others, context) || !ExecQual(searches, context)) mask->keep[row] = 0;
    }
}

}  // namespace historian::planner
