// Options of one table: WITH (historian.x = ...) and ALTER TABLE ... SET (historian.x = ...).
//
// They are kept as the table's security label of provider "historian", "seal_interval=30s; compact=off": PostgreSQL's own
// reloptions take no names of extensions, while pg_dump, ALTER TABLE that rewrites, CREATE DATABASE and DROP TABLE treat labels
// as they should. A label may be set directly, as pg_restore does, and then says the same.
//
// A new option: a line in the table of options.cpp, a field here, and its use.
#pragma once

#include "engine/server.h"

extern "C" {
#include "nodes/parsenodes.h"
}

namespace historian::table_am {

struct TableOptions {
    int seal_interval_s;  // 0: the setting of that name decides
    bool compact;         // whether the background worker merges segments
    const char *search;   // columns of a log table whose words are indexed, as a list of names; nullptr: all that can be
};

inline constexpr int kOptionCount = 3;

/// What a statement sets (text) or resets (nullptr).
struct OptionChanges {
    bool is_changed[kOptionCount];
    const char *texts[kOptionCount];
    bool any;
};

/// Whether a list of DefElem has options of ours; and takes them out of it, checked, into changes. Errors: 22023.
bool has_options(const List *definitions);
List *take_options(List *definitions, bool is_reset, OptionChanges *changes);

/// Changes the options of a table that the current role owns. Errors: 42809 no table of ours, or the option is for others; 42703
/// no such column; 42501.
void change_options(Oid relid, const OptionChanges &changes);

/// A table's options; the defaults if nothing is set.
TableOptions read_options(Oid relid);

/// Whether the words of a text column of a log table are to be indexed.
bool searches_column(Relation rel, Form_pg_attribute column);

/// Names, and texts as they were set (nullptr: not set), for historian_options().
const char *option_name(int option);
void read_option_texts(Oid relid, const char **texts);

/// Once, when the library loads.
void register_option_labels();

}  // namespace historian::table_am
