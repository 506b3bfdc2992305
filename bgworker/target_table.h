// A table as the rows of messages meet it: its columns, how cells find them, and the INSERTs that take many rows at once.
//
// Rows enter by ordinary statements over arrays: defaults, generated columns, constraints, triggers, partitions, rights, all as
// usual (or by a shorter way to the same end: direct_insert.h). A statement names the columns that its rows bring, and those that
// would be null without it, so that rows of differing columns can share one; there is a statement for each such set of columns.
#pragma once

#include "bgworker/server.h"
//
#include "bgworker/payload.h"
#include "bgworker/subscriptions.h"

namespace historian::bgworker {

struct TargetColumn {
    const char *name;
    AttrNumber number;
    Oid type;
    int32 typmod;
    Oid sent_type;  ///< the array's element: type, or text when type has no array that unnest leaves whole
    int16 sent_length;
    bool sent_by_value;
    char sent_align;
    bool may_default;    ///< a row without the column may get something else than null there
    bool takes_arrival;  ///< a row without it gets the time at which its message arrived
    Oid io_param;
    FmgrInfo input;
};

/// An INSERT of some of a table's columns.
struct InsertStatement {
    InsertStatement *next;
    const bool *sent;    ///< by column: whether it is named
    const int *columns;  ///< those that are, in the table's order
    int column_count;
    SPIPlanPtr plan;
};

/// A table that is locked until the transaction ends.
struct TargetTable {
    Oid table;
    const char *qualified_name;  ///< as SQL
    const char *display_name;
    int column_count;
    int positional_count;  ///< the first of them: those that a row without names brings
    TargetColumn *columns;
    int time_column;       ///< the first of timestamps; -1: there is none
    TableShape shape;      ///< their names, UTF-8
    bool sends_nulls;      ///< the owner may insert into all columns, so nulls may be named too
    InsertStatement *statements;
    uint64 statements_generation;
};

/// Opens the table that a topic names, for rows; the memory is the current context's. Needs a transaction and SPI.
///
/// A topic is chosen by whoever may publish, so it reaches only tables in the subscription's schema whose owner has the rights of
/// the subscription's owner: nobody else's triggers and defaults run as the latter.
///
/// name     UTF-8, with a schema
/// returns  nullptr, with *refusal saying why, when there is nothing of that name or it may not be written by messages
/// errors   those of PostgreSQL: no USAGE on the schema, ...
TargetTable *open_topic_target(const Subscription &subscription, const TopicTable &name, const char **refusal, int *sqlstate);

/// The same for the table that the subscription's owner chose, whoever owns it.
TargetTable *open_fixed_target(Oid table, const char **refusal, int *sqlstate);

/// The INSERT of the columns for which `sent` is true; prepared when it is new.
const InsertStatement *find_statement(TargetTable *target, const bool *sent);

}  // namespace historian::bgworker
