// Conditions of a query that let a scan skip data: which clauses they are and what they compare with.
//
// A clause is understood when the planner makes paths and once more when execution starts, from the clause itself: nothing else
// has to survive copying and plan caches.
//
// Understood, with the key column on either side, and `value` any expression without volatile functions, subplans and columns of
// the table:
//   tag = value, tag = ANY (value), and these joined by OR: for types whose equality is equality of bytes
//   tag LIKE value, tag ^@ value, starts_with(tag, value): for texts, by what the value begins with; tag <, <=, >=, > value: for
//   types whose order is that of bytes
//   time <, <=, =, >=, > value; time = ANY (value); time <@ range: value of the column's type; for timestamptz also timestamp and
//   date, for timestamp also date, whose conversion to the column's type is what PostgreSQL's operator does
//   the same of time::date, date_trunc('unit', time) and date_bin('width', time, origin)
//   of a tag table column <, <=, =, >=, > value and column = ANY (value), for columns of integers, floats, dates and times and a
//   value of such a type that both are compared as numbers
//   of a log table what key_terms.h says of other columns
// Never understood of tags and times, because equal values may differ in bytes: numeric, float, bpchar, citext, texts under a
// nondeterministic collation. Nor timestamp columns compared with timestamptz: there the column is converted, and daylight saving
// makes that conversion unsorted.
#pragma once

#include "engine/server.h"
//
#include "engine/pages.h"

#include <string_view>

extern "C" {
#include "nodes/pathnodes.h"
}

namespace historian::planner {

/// The key columns of a table as conditions see them.
struct KeyTypes {
    engine::KeyColumns columns;
    FormData_pg_attribute tag;  // the tag column
    Oid tag_type;               // its type under domains
    Oid time_type;              // timestamptz or timestamp
    bool is_log;
};

KeyTypes key_types(Relation rel);

/// Types whose default equality says yes exactly when the stored bytes are the same; of texts only under a deterministic
/// collation.
bool equality_is_of_bytes(Oid type);

/// Types whose default order is that of tag bytes; of texts only under a collation like "C".
bool order_is_of_bytes(Oid type, Oid collation);

/// What a pattern of LIKE takes literally at its begin, into `prefix`, which has room for the whole pattern; whether that is all
/// of it.
struct LikePrefix {
    uint32 byte_count;
    bool is_whole;
};
LikePrefix like_prefix(std::string_view pattern, char *prefix);

enum class Comparison : uint8 {
    tag_equal,
    tag_any,  // the value is an array
    // Ranges of tags.
    tag_begins_with,
    tag_like,
    tag_less,
    tag_at_most,
    tag_at_least,
    tag_greater,
    time_less,
    time_at_most,
    time_equal,
    time_at_least,
    time_greater,
    time_any,       // the value is an array
    time_in_range,  // the value is a range
    // On columns of numbers of a tag table.
    number_less,
    number_at_most,
    number_equal,
    number_at_least,
    number_greater,
    number_any,  // the value is an array
    // On other columns of a log table: key_terms.h.
    text_equal,
    text_any,  // the value is an array
    value_equal,
    value_any,  // the value is an array
    search,
    like,
    like_any_case,
    matches,  // a regular expression
    matches_any_case,
};

/// One comparison of a key column with a value.
struct Condition {
    Comparison comparison;
    uint32 clause;   // comparisons of one clause are joined by OR; clauses by AND
    Oid value_type;  // the type that the operator takes; of an array: of its elements
    Expr *value;
    AttrNumber column;  // of the comparisons with other columns: which
    Oid column_type;    // and its type under domains
    int64 before;       // of the comparisons with a time that is rounded (rounded_time.h): how far the time may lie before
    int64 after;        // and behind what it is rounded to
};

struct ConditionList {  // all zeros: empty
    Condition *items;   // palloc'd
    uint32 count;
    uint32 room;
    uint32 clause_count;
};

inline bool is_tag_condition(const Condition &condition) {
    return condition.comparison == Comparison::tag_equal || condition.comparison == Comparison::tag_any;
}

inline bool is_tag_range_condition(const Condition &condition) {
    return condition.comparison >= Comparison::tag_begins_with && condition.comparison <= Comparison::tag_greater;
}

inline bool is_time_condition(const Condition &condition) {
    return condition.comparison >= Comparison::time_less && condition.comparison <= Comparison::time_in_range;
}

inline bool is_number_condition(const Condition &condition) {
    return condition.comparison >= Comparison::number_less && condition.comparison <= Comparison::number_any;
}

inline bool is_key_condition(const Condition &condition) { return condition.comparison >= Comparison::text_equal; }

/// Whether the last clause of a list is one search, `column @@ query`: the scan finds its rows, and says of which the clause need
/// not be checked again, so that the node and not its qual has it.
inline bool ends_in_search(const ConditionList &list) {
    return list.count > 0 && list.items[list.count - 1].comparison == Comparison::search &&
           (list.count == 1 || list.items[list.count - 2].clause != list.items[list.count - 1].clause);
}

/// Adds the comparisons of a clause to the list; false, and nothing added, when the clause cannot skip data.
///
/// root  nullptr at execution
bool add_clause(PlannerInfo *root, const KeyTypes &keys, Index varno, Node *clause, ConditionList *list);

}  // namespace historian::planner
