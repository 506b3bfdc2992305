// The launcher: the one static worker, which keeps the others running.
#pragma once

#include "bgworker/server.h"

namespace historian::bgworker {

/// Registers the launcher and reserves its shared memory; called once from _PG_init, while shared_preload_libraries is processed.
void register_workers();

/// Sends the workers of a database away, waits up to 5 s for them, and keeps new ones out for the next 10 s.
void stop_database_workers(Oid database);

/// Does that for DROP DATABASE, CREATE DATABASE ... TEMPLATE, ALTER DATABASE RENAME and SET TABLESPACE, which need a database for
/// themselves, and nothing for other commands. Called from the ProcessUtility hook before the command is run.
void make_way_for_command(const Node *command);

/// Makes the launcher look at the current database when the transaction commits: the extension or its subscriptions changed.
void wake_workers_at_commit();

/// Makes the database's maintenance worker look for work when the transaction is over: it filled a tail run.
void note_full_run();

}  // namespace historian::bgworker
