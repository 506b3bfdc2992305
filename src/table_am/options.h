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
};

inline constexpr int kOptionCount = 2;

/// What a statement sets (text) or resets (nullptr).
struct OptionChanges {
    bool is_changed[kOptionCount];
    const char *texts[kOptionCount];
    bool any;
};

/// Whether a list of DefElem has options of ours; and takes them out of it, checked, into changes. Errors: 22023.
bool has_options(const List *definitions);
List *take_options(List *definitions, bool is_reset, OptionChanges *changes);

/// Changes the options of a table that the current role owns. Errors: 42809 no tag table, 42501.
void change_options(Oid relid, const OptionChanges &changes);

/// A table's options; the defaults if nothing is set.
TableOptions read_options(Oid relid);

/// Names, and texts as they were set (nullptr: not set), for historian_options().
const char *option_name(int option);
void read_option_texts(Oid relid, const char **texts);

/// Once, when the library loads.
void register_option_labels();

}  // namespace historian::table_am
