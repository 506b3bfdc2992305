// Utility statements on their way through PostgreSQL: what is taken out of them or refused before, and done or checked after.
#pragma once

#include "ddl_refusals.h"
#include "table_am/options.h"

extern "C" {
#include "nodes/plannodes.h"
}

namespace historian {

/// What has to happen when the statement is over.
struct AfterStatement {
    const char *publication;   // made or altered
    const RangeVar *table;     // made, altered, attached or moved
    Oid created_in;            // its schema, if it is a new table
    const char *moved_to;      // the name of its schema, if it was moved there
    bool complete;             // whether complete_new_table() is due
    bool check_family;         // whether check_table_family() is due
    const RangeVar *attached;  // a partition, to be checked with its own partitions
    table_am::OptionChanges options;
    DroppedKey outer;  // what the statement around this one has dropped so far
};

/// Refuses what can be refused before anything is done, and takes out of the statement what PostgreSQL does not know: then the
/// result is a changed copy.
PlannedStmt *before_statement(PlannedStmt *statement, AfterStatement *after);
void after_statement(const AfterStatement &after);
/// Instead, when the statement raised an error.
void forget_statement(const AfterStatement &after);

}  // namespace historian
