// Comparisons of a column of numbers with a value, checked on a decoded column at once: what PostgreSQL's operator says, for
// integers of any size, floats of any size, dates and timestamps.
#pragma once

#include "engine/server.h"
//
#include "engine/granule.h"

namespace historian::planner {

struct NumberComparison {
    AttrNumber column;
    int strategy;               // of btree: BTLessStrategyNumber to BTGreaterStrategyNumber
    format::PhysicalKind kind;  // of the column's type
    Expr *value;
    Oid value_type;
};

/// Whether a clause is such a comparison of a column of `varno`, but for the tag, which is stored as bytes; the value has no
/// column, is not volatile and has no subplan.
bool is_number_comparison(Node *clause, Index varno, AttrNumber tag, NumberComparison *comparison);

/// The value to compare with, as a number of the column's kind: an integer, or the bits of a double.
int64 compared_number(const NumberComparison &comparison, Datum value);

/// What the statistics of a granule, or its times, say about a comparison.
enum class Verdict : uint8 { some, none, all };  // of its rows may match, matches, match

/// least, greatest   of the column's values that are not NULL, as the column has them
/// has_nulls         whether some row is NULL
Verdict judge_extremes(const NumberComparison &comparison, int64 number, int64 least, int64 greatest, bool has_nulls);

/// Clears keep[i] of the rows for which the comparison is false or NULL.
///
/// rows   of the column, as many as keep has
void keep_matching(const NumberComparison &comparison, int64 number, const engine::NumberRows &rows, uint8 *keep);

}  // namespace historian::planner
