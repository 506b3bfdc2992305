// DDL that would ask of a tag table what it cannot do. Looked for in the catalogs rather than in statements: there are many ways
// (partitions, inheritance, LIKE, SET SCHEMA ...) to the same constraint, column or publication.
#pragma once

#include "engine/server.h"

namespace historian {

/// A constraint was made: a foreign key of a tag table must not want to update its rows (rule R18), and an exclusion constraint
/// has no index to be kept by.
void check_constraint_created(Oid constraint);
[[noreturn]] void report_exclusion_refused(const char *table);

/// A column is about to go, or got another type: the tag and the time stay those that the table is sorted by (rule R19).
void check_column_dropped(Oid relid, AttrNumber column);
void check_column_altered(Oid relid, AttrNumber column);

/// A table, and what inherits from it, that was made, attached, moved or altered: raises an error if a tag table among them is
/// published or has a replica identity.
void check_table_family(Oid relid);

/// A heap table that is about to become a tag table: raises an error if it has something that tag tables do not have, before any
/// row is copied.
void check_table_may_become_ours(Oid relid);

/// A publication that was made or altered: raises an error if it publishes rows of a tag table.
void check_publication(const char *name);

}  // namespace historian
