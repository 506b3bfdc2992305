// SQL queries that a function makes of the names of a table's columns, and runs with the rights of its caller.
//
// Every name in them is quoted and qualified, operators too: no search_path changes their meaning.
#pragma once

#include "engine/pages.h"
#include "table_am/callbacks.h"

#include <initializer_list>

namespace historian {

// --------------------------------------------------------------------------------------------------------------- the table

/// Whether it is a table of this kind, or a partitioned table of such tables and no others.
bool consists_of(Relation rel, engine::TableKind kind);

/// With its schema.
const char *quoted_name(Relation rel);

/// Of the table t: a bare name in ORDER BY would be that of a result's column first.
const char *quoted_column(TupleDesc desc, AttrNumber column);

/// The number of the column of that name, or an error.
AttrNumber find_column(Relation rel, const char *name);

/// The operator that a type calls equal, as OPERATOR(schema.=).
const char *equality_of(Oid type);

/// As a cast names it. Without a length: "character" alone would be that of one character.
const char *quoted_type(Oid type);

/// The quoted names of a tag table, ready for a query FROM name AS t.
struct TagTable {
    const char *name;  ///< with its schema
    const char *tag;
    const char *tag_type;
    const char *tag_equals;
    const char *time;
    bool has_time_zone;
    const char *value;  ///< nullptr when nobody asked, or when there is none and it may be missing
};

enum class WantedValue : uint8 { none, required, if_there_is_one };

/// Describes a tag table for the rest of the transaction, or raises an error. The lock is kept, so that the query finds the table
/// as it is described.
///
/// value_column  nullptr: the first column of numbers but the tag and the time
TagTable describe_tag_table(Oid relid, WantedValue wanted, const char *value_column);

// ------------------------------------------------------------------------------------------------------------- the arguments

void require_arguments(FunctionCallInfo fcinfo, std::initializer_list<const char *> names);
const char *name_argument(FunctionCallInfo fcinfo, int argument);
const char *text_argument(FunctionCallInfo fcinfo, int argument, const char *if_null);

/// Where this extension's own functions are: the schema of the function that runs.
const char *own_schema(FunctionCallInfo fcinfo);

// ----------------------------------------------------------------------------------------------------------------- the query

struct Parameters {
    Oid types[8];
    Datum values[8];
    char nulls[8];
    int count;
};

/// Adds one, and returns its number.
int add_parameter(Parameters *parameters, FunctionCallInfo fcinfo, int argument, Oid type);

/// AND column = ANY (names), when there are names.
const char *names_condition(const char *column, Oid type, FunctionCallInfo fcinfo, int argument, Parameters *parameters);
const char *names_condition(const TagTable &table, FunctionCallInfo fcinfo, int argument, Parameters *parameters);

/// The query's rows become the function's, thousand by thousand.
Datum run_query(FunctionCallInfo fcinfo, const char *query, Parameters *parameters, bool is_scalar = false);

}  // namespace historian
