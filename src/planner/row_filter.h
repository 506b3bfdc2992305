// The conditions of a query that the scan does not decide: comparisons of numbers, checked on decoded columns; and all others,
// checked by PostgreSQL's expressions on the rows that are left.
#pragma once

#include "engine/scan_batches.h"
#include "planner/conditions.h"
#include "planner/number_comparisons.h"

namespace historian::planner {

/// One byte a row of a granule: 1 = wanted.
struct RowMask {
    uint8 keep[format::kGranuleRowsMax];
};

/// What the clauses about the tag said of the tag that was met last.
struct TagVerdict {
    bool is_known;
    bool tag_is_null;
    bool matches;
    std::byte *tag;
    uint32 tag_bytes;
    uint32 tag_room;
};

/// A list of clauses joined by AND.
struct RowFilter {
    NumberComparison *comparisons;
    ExprState **values;  // of the comparisons
    int64 *numbers;      // their values, once known
    uint32 comparison_count;
    bool never;         // a value is NULL: no row matches
    ExprState *by_tag;  // clauses about the tag alone: looked at once a batch; nullptr: none
    TagVerdict tag_verdict;
    ExprState *others;    // nullptr: none
    ExprState *searches;  // which the scan may have found already
    ExprState *all;       // everything, for single rows
    bool is_empty;
};

/// clauses  of the scanned relation `varno`; those on tags and times that the scan decides are left out before
void begin_filter(RowFilter *filter, const KeyTypes &keys, List *clauses, Index varno, PlanState *parent);

/// Takes the values of parameters and stable functions; before the first row and after each rescan.
void evaluate_filter_values(RowFilter *filter, ExprContext *context);

/// Whether the batch's tag is wanted, by the clauses that are about nothing else. The batch has its tag.
///
/// slot   a row slot, for the expressions
bool tag_matches(RowFilter *filter, const engine::RowBatch &batch, TupleTableSlot *slot, ExprContext *context);

/// What is known of all rows of a batch that is a whole granule without deleted rows, and whose tag matches, before it is
/// decoded.
Verdict judge_whole(const RowFilter &filter, engine::BatchScan *scan, const engine::RowBatch &batch);

/// Clears mask->keep[row] for rows of the batch that do not match.
///
/// found  what the scan's searches found of the granule, if the filter holds these searches; or nullptr
/// slot   a row slot, for the expressions
void narrow_mask(RowFilter *filter, const engine::RowBatch &batch, const engine::FoundRows *found, TupleTableSlot *slot,
                 ExprContext *context, RowMask *mask);

/// Whether a single row matches.
bool row_matches(const RowFilter &filter, TupleTableSlot *slot, ExprContext *context);

/// Whether a clause says the same of all rows of a tag.
bool is_about_tag(const KeyTypes &keys, Index varno, Node *clause);

/// Whether the scan's filter decides a clause exactly: it is about tags, or about times but for lists of them.
bool scan_decides(const KeyTypes &keys, Index varno, Node *clause);

}  // namespace historian::planner
