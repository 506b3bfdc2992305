// New log tables get their column _arrival_time, unless it is there: CREATE TABLE ... USING log, or under
// default_table_access_method = 'log', so that clients that know nothing of us need nothing more.
#pragma once

#include "engine/server.h"

extern "C" {
#include "nodes/parsenodes.h"
}

namespace historian {

/// Whether a CREATE TABLE makes a log table whose columns are to be looked at: not of partitions and typed tables, which have the
/// columns of their parent or type.
bool makes_log_table(const CreateStmt *create);

/// Adds `_arrival_time timestamptz NOT NULL DEFAULT clock_timestamp()` as the last column of the statement, unless the table has
/// such a column from itself, from LIKE or from a parent. What the column lacks of default and NOT NULL it gets.
void complete_arrival_time(CreateStmt *create);

/// Of CREATE TABLE AS and CREATE MATERIALIZED VIEW: lets the query give clock_timestamp() as its last column _arrival_time,
/// unless it has such a column, whose times may be NULL.
///
/// returns  whether the column was added: complete_new_table() gives it its default and NOT NULL when the table is there
bool add_arrival_time(CreateTableAsStmt *create);
void complete_new_table(Oid relid);

}  // namespace historian
