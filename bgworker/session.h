// The session of a background worker: settings that no ALTER ROLE or ALTER DATABASE may change under it, and who it is.
#pragma once

#include <type_traits>

#include "bgworker/server.h"

namespace historian::bgworker {

/// Overrides, once and outside a transaction, what the role's and the database's settings may have made unfit for a worker.
///
/// lock_timeout_ms   0: wait for ever
void pin_session_settings(int lock_timeout_ms);

/// Begins a transaction that is READ COMMITTED and read write, with an active snapshot.
///
/// activity   what pg_stat_activity shows as the query
void begin_transaction(const char *activity);

/// Ends it.
void commit_transaction();

/// Ends it durably: an asynchronous commit, whoever set it, becomes a local flush. After this the rows survive any crash of the
/// server.
void commit_durably();

/// How long commit_durably() takes here, in microseconds: what it took lately counts most.
int64 commit_microseconds();

/// After an error was caught: aborts the transaction and forgets the error.
void abort_transaction();

/// The role that owns the tables of the schema historian.
Oid historian_owner();

/// Runs `use` as that role. Only for our own statements, all names in them qualified: the session belongs to somebody else.
/// An error inside needs no care: the abort of the transaction or subtransaction gives the role back.
template <typename Use>
void as_historian_owner(Use use) {
    static_assert(std::is_trivially_destructible_v<Use>, "ereport() would skip its destructor");
    Oid user;
    int security_context;
    GetUserIdAndSecContext(&user, &security_context);
    SetUserIdAndSecContext(historian_owner(), security_context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
    use();
    SetUserIdAndSecContext(user, security_context);
}

/// A statement of ours that is prepared once, for the life of the session. Needs SPI.
///
/// kept   where the plan stays: a static of the caller's, nullptr at first
SPIPlanPtr prepare_once(SPIPlanPtr *kept, const char *statement, Oid *types, int type_count);

/// Reloads the configuration files when that was asked for.
void reload_settings_if_asked();

}  // namespace historian::bgworker
