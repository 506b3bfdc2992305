#include "bgworker/retention.h"

#include "bgworker/session.h"

extern "C" {
#include "storage/lmgr.h"
}

namespace historian::bgworker {

namespace {

constexpr int kDueMax = 1024;        // more wait for the next look
constexpr int kShrinkStepsMax = 64;  // a step writes about four segments; the next run goes on
// One who deletes and does not commit must not keep this worker from its other work.
constexpr const char *kLockTimeout = "1s";

Oid due[kDueMax];

/// Runs `work` in a transaction of its own; nullptr, or the message of the error that ended it, in the caller's memory.
template <typename Work>
char *try_transaction(const char *activity, Work work) {
    static_assert(std::is_trivially_destructible_v<Work>, "ereport() would skip its destructor");
    MemoryContext context = CurrentMemoryContext;
    char *volatile message = nullptr;
    PG_TRY();
    {
        begin_transaction(activity);
        set_config_option("lock_timeout", kLockTimeout, PGC_SUSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
        SPI_connect();
        work();
        SPI_finish();
        commit_transaction();
    }
    PG_CATCH();
    {
        MemoryContextSwitchTo(context);
        ErrorData *error = CopyErrorData();
        abort_transaction();
        MemoryContextSwitchTo(context);
        message = pstrdup(error->message);
        FreeErrorData(error);
    }
    PG_END_TRY();
    MemoryContextSwitchTo(context);
    return message;
}

/// Fills `due`; how many. 0 where the extension is of a version without policies.
int list_due_policies() {
    const Oid schema = get_namespace_oid("historian", true);
    if (!OidIsValid(schema) || !OidIsValid(get_relname_relid("retention_state", schema))) return 0;
    // A run of the future is one of before the clock was set back.
    SPI_execute("SELECT relation FROM historian.retention_state"
                " WHERE next_run <= pg_catalog.now() OR last_run > pg_catalog.now() ORDER BY next_run",
                true, kDueMax);
    for (uint64 i = 0; i < SPI_processed; i++) {
        bool is_null;
        due[i] = DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &is_null));
    }
    return static_cast<int>(SPI_processed);
}

/// The one number that a query about a table gives; NULL is `otherwise`.
int64 ask(const char *query, Oid relid, int64 otherwise) {
    Oid types[] = {REGCLASSOID};
    Datum values[] = {ObjectIdGetDatum(relid)};
    SPI_execute_with_args(query, 1, types, values, nullptr, false, 1);
    if (SPI_processed != 1 || SPI_tuptable == nullptr) return otherwise;
    bool is_null;
    const Datum result = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null);
    return is_null ? otherwise : DatumGetInt64(result);
}

/// The policy may go meanwhile, by a DROP TABLE: whoever holds the table's lock keeps it.
void note_error(Oid relid, const char *message) {
    if (!ConditionalLockRelationOid(relid, AccessShareLock)) return;
    const char *name = get_rel_name(relid);
    if (name == nullptr) return;
    ereport(WARNING, errmsg("could not run the retention policy of table \"%s\": %s", name, message));
    Oid types[] = {REGCLASSOID, TEXTOID};
    Datum values[] = {ObjectIdGetDatum(relid), CStringGetTextDatum(message)};
    SPI_execute_with_args("INSERT INTO historian.retention_run (relation, last_run, last_error)"
                          " SELECT p.relation, pg_catalog.now(), $2 FROM historian.retention AS p"
                          " WHERE p.relation OPERATOR(pg_catalog.=) $1"
                          " ON CONFLICT (relation) DO UPDATE SET last_run = excluded.last_run, last_error = excluded.last_error",
                          lengthof(types), types, values, nullptr, false, 0);
}

void log_failure(const char *doing, Oid relid, const char *message) {
    ereport(WARNING, errmsg("could not %s table with OID %u: %s", doing, relid, message));  // its name takes a transaction
}

/// Space of segments that were deleted is given back step by step; what snapshots still need, at a later run.
void shrink_table(Oid relid) {
    int64 moved = 1;
    for (int step = 0; step < kShrinkStepsMax && moved > 0; step++) {
        CHECK_FOR_INTERRUPTS();
        const char *query = step == 0 ? "SELECT historian.shrink_step($1, true)" : "SELECT historian.shrink_step($1, false)";
        if (const char *message = try_transaction("shrink a table", [&moved, query, relid] { moved = ask(query, relid, -1); })) {
            log_failure("shrink", relid, message);
            return;
        }
    }
    if (moved != 0) return;
    const char *message = try_transaction("note that a table is dense", [relid] {
        if (!ConditionalLockRelationOid(relid, AccessShareLock)) return;
        ask("UPDATE historian.retention_run SET shrink_waits = false WHERE relation OPERATOR(pg_catalog.=) $1", relid, 0);
    });
    if (message != nullptr) log_failure("shrink", relid, message);
}

void run_policy(Oid relid) {
    int64 shrinks = 0;
    const char *message = try_transaction("run a retention policy", [&shrinks, relid] {
        ask("SELECT historian.run_retention($1)", relid, 0);
        shrinks = ask("SELECT count(*) FROM historian.retention_state WHERE relation OPERATOR(pg_catalog.=) $1 AND shrink_waits",
                      relid, 0);
    });
    if (message != nullptr) {
        message = try_transaction("note a failure", [relid, message] { note_error(relid, message); });
        if (message != nullptr) log_failure("note the failure of", relid, message);
    } else if (shrinks > 0) {
        shrink_table(relid);
    }
}

}  // namespace

void run_due_policies() {
    int count = 0;
    MemoryContext context = AllocSetContextCreate(TopMemoryContext, "historian retention", ALLOCSET_SMALL_SIZES);
    MemoryContext old = MemoryContextSwitchTo(context);
    const char *message = try_transaction("look for retention policies", [&count] { count = list_due_policies(); });
    if (message != nullptr) ereport(WARNING, errmsg("could not look for retention policies: %s", message));
    for (int i = 0; message == nullptr && i < count; i++) {
        CHECK_FOR_INTERRUPTS();
        run_policy(due[i]);
    }
    MemoryContextSwitchTo(old);
    MemoryContextDelete(context);
}

}  // namespace historian::bgworker
