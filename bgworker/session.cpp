#include "bgworker/session.h"

namespace historian::bgworker {

namespace {

int64 usual_commit_microseconds = 0;

void pin(const char *name, const char *value) { SetConfigOption(name, value, PGC_SUSET, PGC_S_SESSION); }

}  // namespace

void pin_session_settings(int lock_timeout_ms) {
    char lock_timeout[16];
    snprintf(lock_timeout, sizeof lock_timeout, "%d", lock_timeout_ms);
    pin("default_transaction_isolation", "read committed");
    pin("default_transaction_read_only", "off");
    pin("default_transaction_deferrable", "off");
    pin("statement_timeout", "0");
    pin("lock_timeout", lock_timeout);
    pin("idle_in_transaction_session_timeout", "0");
#if PG_VERSION_NUM >= 170000
    pin("transaction_timeout", "0");
#endif
}

void begin_transaction(const char *activity) {
    pgstat_report_activity(STATE_RUNNING, activity);
    SetCurrentStatementStartTimestamp();
    StartTransactionCommand();
    // A trigger of an earlier batch may have changed the defaults of the session.
    XactIsoLevel = XACT_READ_COMMITTED;
    XactReadOnly = false;
    PushActiveSnapshot(GetTransactionSnapshot());
}

void commit_transaction() {
    PopActiveSnapshot();
    CommitTransactionCommand();
    pgstat_report_activity(STATE_IDLE, nullptr);
}

void commit_durably() {
    PopActiveSnapshot();
    // Not by the setting: a deferred trigger runs inside CommitTransactionCommand and could set it again.
    ForceSyncCommit();
    const TimestampTz begin = GetCurrentTimestamp();
    CommitTransactionCommand();
    usual_commit_microseconds += (GetCurrentTimestamp() - begin - usual_commit_microseconds) / 4;
    pgstat_report_activity(STATE_IDLE, nullptr);
}

int64 commit_microseconds() { return Max(usual_commit_microseconds, int64{0}); }

void abort_transaction() {
    // Also out of a subtransaction whose own clean-up failed: what stayed open would swallow the next COMMIT.
    AbortOutOfAnyTransaction();
    FlushErrorState();
    pgstat_report_activity(STATE_IDLE, nullptr);
}

Oid historian_owner() {
    const Oid schema = get_namespace_oid("historian", true);
    const Oid table = OidIsValid(schema) ? get_relname_relid("mqtt_subscription", schema) : InvalidOid;
    HeapTuple tuple = OidIsValid(table) ? SearchSysCache1(RELOID, ObjectIdGetDatum(table)) : nullptr;
    if (!HeapTupleIsValid(tuple)) {
        ereport(ERROR, errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("extension \"historian\" is not installed in this database"),
                errhint("Run CREATE EXTENSION historian."));
    }
    const Oid owner = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple))->relowner;
    ReleaseSysCache(tuple);
    return owner;
}

SPIPlanPtr prepare_once(SPIPlanPtr *kept, const char *statement, Oid *types, int type_count) {
    if (*kept != nullptr) return *kept;
    SPIPlanPtr plan = SPI_prepare(statement, type_count, types);
    if (plan == nullptr) elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
    SPI_keepplan(plan);
    return *kept = plan;
}

void reload_settings_if_asked() {
    if (!ConfigReloadPending) return;
    ConfigReloadPending = false;
    ProcessConfigFile(PGC_SIGHUP);
}

}  // namespace historian::bgworker
