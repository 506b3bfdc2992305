// Conditions on columns that a table is not sorted by, as programs over the keys of segments (engine/key_conditions.h).
//
// Understood of a log table, for a column and a value as in conditions.h:
//   text @@ search_query                    the words that the query cannot do without
//   text = value, text = ANY (value)        the words of the value
//   text LIKE, ILIKE, ~, ~* pattern         the words that stand whole in what the pattern takes literally
//   column = value, column = ANY (value)    of types whose equality is equality of bytes; of numbers also their range
// and these joined by OR, of several columns too.
//
// A program may only exclude what cannot match: what it does not understand is "any granule".
#pragma once

#include "engine/key_conditions.h"
#include "planner/conditions.h"
#include "planner/scan_filter.h"
#include "search/query.h"

namespace historian::planner {

/// What a column and an operator come to; false when no key tells anything about them.
///
/// comparison   output: text_equal, text_any, value_equal, value_any, search, like, like_any_case, matches, matches_any_case
bool classify_key_comparison(const Condition &condition, Oid op, Oid collation, bool is_array, Comparison *comparison);

/// A program in the making; all zeros: empty.
struct StepList {
    engine::KeyStep *steps;  // palloc'd
    uint32 count;
    uint32 room;
};

/// Whether a condition with a constant excludes anything at all: LIKE '%x%' does not, having no whole word. (Of lists it is taken
/// for granted: they may be long.)
bool says_something(const Condition &condition);

/// Adds the steps that leave one set for a condition whose value is known.
void append_key_steps(const Condition &condition, const ConditionValue &value, StepList *list);

/// The query of a search_query, with all its memory in the current memory context.
const search::Query *parse_search(Datum value);

/// Joins the last sets.
void append_disjunction(uint32 count, StepList *list);

}  // namespace historian::planner
