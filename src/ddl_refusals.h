// DDL that would ask of a tag table what it cannot do. Looked for in the catalogs rather than in statements: there are many ways
// (partitions, inheritance, LIKE, SET SCHEMA ...) to the same constraint, column or publication.
#pragma once

#include "engine/server.h"
//
#include "engine/pages.h"

namespace historian {

/// A constraint was made: a foreign key of a tag table must not want to update its rows (rule R18), and an exclusion constraint
/// has no index to be kept by.
void check_constraint_created(Oid constraint);
[[noreturn]] void report_exclusion_refused(const char *table);

/// A column got another type: the tag and the time stay those that the table is sorted by (rule R19).
void check_column_altered(Oid relid, AttrNumber column);

/// A column is about to go. The table may go as well, later in the same statement (DROP SCHEMA, DROP OWNED), and then all is
/// well: a tag or time column is noted, and looked at when the statement is over.
struct DroppedKey {
    Oid relid;  // InvalidOid: none
    NameData table;
    NameData column;
};
void note_column_dropped(Oid relid, AttrNumber column);
/// Gives what is noted of the statement that runs, and puts another one's in its place.
DroppedKey exchange_dropped_key(const DroppedKey &other);
void check_dropped_key(const DroppedKey &dropped);

/// A table, and what inherits from it, that was made, attached, moved or altered: raises an error if a tag table among them is
/// published or has a replica identity.
void check_table_family(Oid relid);

/// A heap table that is about to become a tag table: raises an error if it has something that tag tables do not have, before any
/// row is copied.
void check_table_may_become_ours(Oid relid, engine::TableKind kind);

/// A publication that was made or altered: raises an error if it publishes rows of a tag table.
void check_publication(const char *name);

}  // namespace historian
