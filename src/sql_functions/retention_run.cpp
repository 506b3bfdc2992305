// historian.run_retention(): what the maintenance worker calls for a table whose policy is due. Its transaction is the worker's
// own.
//
// It deletes as the table's owner, in a security-restricted operation like autovacuum's and REFRESH MATERIALIZED VIEW's: the
// table's triggers get no rights but the owner's, and cannot leave anything behind for the worker's own role to run.
#include "sql_functions/retention.h"

#include "engine/pages.h"
#include "settings.h"
#include "table_am/callbacks.h"

extern "C" {
#include "access/table.h"
#include "executor/spi.h"

PG_FUNCTION_INFO_V1(historian_run_retention);
}

namespace historian {

namespace {

// Of a small table one record may be a large share.
constexpr uint64 kWarnRowsMin = 1000;

// A row of historian.retention, and what the run before has left in historian.retention_run.
struct Policy {
    const Interval *keep;    // nullptr: not limited
    int64 rows;              // 0: not limited
    int64 bytes;             // 0: not limited
    TimestampTz held_until;  // 0: not held
};

// This run, and what it leaves for the next.
struct Run {
    Policy policy;
    TimestampTz held_until;
    const char *warning;  // nullptr: none
};

bool read_policy(Oid relid, Policy *policy) {
    Oid types[] = {OIDOID};
    Datum values[] = {ObjectIdGetDatum(relid)};
    SPI_execute_with_args("SELECT p.keep, p.rows, p.size, r.held_until FROM historian.retention AS p"
                          " LEFT JOIN historian.retention_run AS r ON r.relation OPERATOR(pg_catalog.=) p.relation"
                          " WHERE p.relation OPERATOR(pg_catalog.=) $1",
                          1, types, values, nullptr, false, 1);
    if (SPI_processed == 0) return false;
    Datum fields[4];
    bool is_null[4];
    for (int i = 0; i < 4; i++) fields[i] = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, i + 1, &is_null[i]);
    policy->keep = is_null[0] ? nullptr : DatumGetIntervalP(fields[0]);
    policy->rows = is_null[1] ? 0 : DatumGetInt64(fields[1]);
    policy->bytes = is_null[2] ? 0 : DatumGetInt64(fields[2]);
    policy->held_until = is_null[3] ? 0 : DatumGetTimestampTz(fields[3]);
    return true;
}

engine::OldestRows oldest_by_policy(Relation rel, engine::RowsByTime *rows, const Policy &policy) {
    engine::OldestRows oldest = {PG_INT64_MIN, 0, 0};
    if (policy.keep != nullptr)
        oldest = engine::oldest_before(rows, time_of_column(rel, time_ago(policy.keep)));
    const uint64 row_count = engine::row_count_of(rows);
    const uint64 rows_kept = static_cast<uint64>(policy.rows);
    if (policy.rows > 0 && row_count > rows_kept) {
        oldest = engine::more_of(oldest, engine::oldest_by_count(rows, row_count - rows_kept));
    }
    const uint64 byte_count = engine::byte_count_of(rows);
    const uint64 bytes_kept = static_cast<uint64>(policy.bytes);
    if (policy.bytes > 0 && byte_count > bytes_kept)
        oldest = engine::more_of(oldest, engine::oldest_by_bytes(rows, byte_count - bytes_kept));
    return oldest;
}

// Says beforehand when much is to go: a policy that was set too tight, or a clock that jumped ahead, can be stopped then.
bool is_held(Relation rel, const engine::OldestRows &oldest, uint64 row_count, Run *run) {
    const double share = static_cast<double>(oldest.row_count) / Max(row_count, 1);
    if (oldest.row_count < kWarnRowsMin || share <= retention_warn_share) return false;
    const TimestampTz now = GetCurrentTransactionStartTimestamp();
    if (run->policy.held_until != 0 && run->policy.held_until <= now) return false;
    run->held_until = run->policy.held_until != 0
                          ? run->policy.held_until
                          : TimestampTzPlusMilliseconds(now, static_cast<int64>(retention_warn_delay_s) * 1000);
    run->warning = psprintf("%s %llu of %llu rows", retention_warn_delay_s > 0 ? "is about to delete" : "deletes",
                            static_cast<unsigned long long>(oldest.row_count), static_cast<unsigned long long>(row_count));
    if (run->policy.held_until == 0) {
        ereport(WARNING, errcode(ERRCODE_WARNING),
                errmsg("the retention policy of table \"%s\" %s", RelationGetRelationName(rel), run->warning),
                retention_warn_delay_s > 0 ? errdetail("It does so at %s.", timestamptz_to_str(run->held_until)) : 0,
                retention_warn_delay_s > 0 ? errhint("set_retention() changes the policy, drop_retention() ends it.") : 0);
    }
    return retention_warn_delay_s > 0;
}

engine::OldestRows choose_by_policy(Relation rel, engine::RowsByTime *rows, void *argument) {
    Run *run = static_cast<Run *>(argument);
    MemoryContext context = MemoryContextSwitchTo(CurTransactionContext);  // the warning outlives this
    const engine::OldestRows oldest = oldest_by_policy(rel, rows, run->policy);
    const bool held = is_held(rel, oldest, engine::row_count_of(rows), run);
    MemoryContextSwitchTo(context);
    return held ? engine::OldestRows{PG_INT64_MIN, 0, 0} : oldest;
}

int64 run_as_owner(Relation rel, Run *run) {
    if (!table_am::is_ours(rel)) {
        ereport(ERROR, errcode(ERRCODE_WRONG_OBJECT_TYPE),
                errmsg("table \"%s\" is no tag or log table any more", RelationGetRelationName(rel)),
                errhint("drop_retention() ends its policy."));
    }
    if (run->policy.rows > 0 && !engine::is_log_table(rel)) {
        ereport(ERROR, errcode(ERRCODE_WRONG_OBJECT_TYPE),
                errmsg("cannot keep a number of rows of tag table \"%s\"", RelationGetRelationName(rel)),
                errhint("Use keep or size."));
    }
    Oid user;
    int security_context;
    GetUserIdAndSecContext(&user, &security_context);
    const int nest_level = NewGUCNestLevel();
    SetUserIdAndSecContext(rel->rd_rel->relowner, security_context | SECURITY_RESTRICTED_OPERATION);
    check_delete_rights(rel);
    const int64 deleted = delete_chosen_rows(rel, choose_by_policy, run);
    AtEOXact_GUC(false, nest_level);
    SetUserIdAndSecContext(user, security_context);
    return deleted;
}

void note_run(Oid relid, const Run &run, int64 deleted) {
    Oid types[] = {OIDOID, INT8OID, TIMESTAMPTZOID, TEXTOID};
    Datum values[] = {ObjectIdGetDatum(relid), Int64GetDatum(deleted), TimestampTzGetDatum(run.held_until),
                      run.warning != nullptr ? CStringGetTextDatum(run.warning) : 0};
    const bool waits = run.held_until > GetCurrentTransactionStartTimestamp();
    const char nulls[] = {' ', ' ', waits ? ' ' : 'n', run.warning != nullptr ? ' ' : 'n', '\0'};
    SPI_execute_with_args("INSERT INTO historian.retention_run AS r"
                          " (relation, last_run, last_rows_deleted, total_rows_deleted, held_until, warning, shrink_waits)"
                          " VALUES ($1, pg_catalog.now(), $2, $2, $3, $4, $2 OPERATOR(pg_catalog.>) 0)"
                          " ON CONFLICT (relation) DO UPDATE SET last_run = excluded.last_run,"
                          " last_rows_deleted = excluded.last_rows_deleted, held_until = excluded.held_until,"
                          " total_rows_deleted = r.total_rows_deleted OPERATOR(pg_catalog.+) excluded.total_rows_deleted,"
                          " warning = excluded.warning, last_error = NULL,"
                          " shrink_waits = r.shrink_waits OR excluded.shrink_waits",
                          lengthof(types), types, values, nulls, false, 0);
}

}  // namespace

}  // namespace historian

// historian.run_retention(regclass): how many rows the table's policy has deleted; NULL when there is none, or DDL goes first.
extern "C" PGDLLEXPORT Datum historian_run_retention(PG_FUNCTION_ARGS) {
    using namespace historian;
    const Oid relid = PG_GETARG_OID(0);
    Run run = {};
    if (!ConditionalLockRelationOid(relid, RowExclusiveLock)) PG_RETURN_NULL();
    const Relation rel = try_relation_open(relid, NoLock);
    if (rel == nullptr) PG_RETURN_NULL();
    SPI_connect();
    const bool has_policy = read_policy(relid, &run.policy);
    const int64 deleted = has_policy ? run_as_owner(rel, &run) : 0;
    if (has_policy) note_run(relid, run, deleted);
    SPI_finish();
    relation_close(rel, NoLock);
    if (!has_policy) PG_RETURN_NULL();
    PG_RETURN_INT64(deleted);
}
