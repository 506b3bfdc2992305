// set_retention() and drop_retention(): what is to be kept of a table. retention_run.cpp does it.
//
// Policies are rows of historian.retention, which only the extension's owner may touch: these functions run as their caller, who
// must own the table, and only the statements on our own tables run as the extension's owner.
#include "sql_functions/retention_policy.h"

#include "sql_functions/retention.h"
#include "table_am/callbacks.h"

extern "C" {
#include "access/genam.h"
#include "access/table.h"
#include "executor/spi.h"
#include "tcop/utility.h"
#include "utils/fmgroids.h"

PG_FUNCTION_INFO_V1(historian_set_retention);
PG_FUNCTION_INFO_V1(historian_drop_retention);
}

namespace historian {

namespace {

constexpr char kSchema[] = "historian";
constexpr int64 kSizeMin = 1024 * 1024;  // a tail run alone may take half of that
constexpr int64 kEveryMin_us = USECS_PER_SEC;

Oid policy_table(const char *name) {
    const Oid schema = get_namespace_oid(kSchema, true);
    return OidIsValid(schema) ? get_relname_relid(name, schema) : InvalidOid;
}

Oid extension_owner() {
    HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(policy_table("retention")));
    if (!HeapTupleIsValid(tuple)) elog(ERROR, "historian.retention does not exist");
    const Oid owner = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple))->relowner;
    ReleaseSysCache(tuple);
    return owner;
}

[[noreturn]] void report_value(const char *what, const char *should_be) {
    ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s of a retention policy must be %s", what, should_be));
    pg_unreachable();
}

// -------------------------------------------------------------------------------------------------------------- the table

void check_table(Oid relid, bool has_rows) {
    const Relation rel = table_open(relid, AccessShareLock);
    const char *name = RelationGetRelationName(rel);
    if (!owns_table(relid, GetUserId())) aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, name);
    if (rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE) {
        ereport(ERROR, errcode(ERRCODE_WRONG_OBJECT_TYPE),
                errmsg("partitioned table \"%s\" cannot have a retention policy", name),
                errhint("Set one on each partition, or drop old partitions."));
    }
    if (!table_am::is_ours(rel)) {
        ereport(ERROR, errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("table \"%s\" is no tag or log table", name),
                errhint("Such tables are made by CREATE TABLE ... USING tag or log."));
    }
    if (rel->rd_rel->relkind != RELKIND_RELATION || RelationUsesLocalBuffers(rel)) {
        ereport(ERROR, errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("table \"%s\" cannot have a retention policy", name),
                errdetail("It is temporary, or a materialized view."));
    }
    if (has_rows && !engine::is_log_table(rel)) {
        ereport(ERROR, errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("cannot keep a number of rows of tag table \"%s\"", name),
                errhint("Use keep or size."));
    }
    table_close(rel, NoLock);
}

// ------------------------------------------------------------------------------------------------------------- the values

void check_keep(const Interval *keep) {
    if (time_ago(keep) >= GetCurrentTransactionStartTimestamp()) report_value("keep", "positive");
}

void check_every(const Interval *every) {
    const TimestampTz now = GetCurrentTransactionStartTimestamp();
    const TimestampTz next = DatumGetTimestampTz(
        DirectFunctionCall2(timestamptz_pl_interval, TimestampTzGetDatum(now), IntervalPGetDatum(every)));
    if (next < now + kEveryMin_us) report_value("every", "at least 1 second");
}

int64 check_size(const text *size) {
    const int64 bytes = DatumGetInt64(DirectFunctionCall1(pg_size_bytes, PointerGetDatum(size)));
    if (bytes < kSizeMin) report_value("size", "at least 1 MB");
    return bytes;
}

Oid table_argument(FunctionCallInfo fcinfo, const char *function) {
    if (PG_ARGISNULL(0)) ereport(ERROR, errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("%s needs a table", function));
    return PG_GETARG_OID(0);
}

// Runs a statement on our own tables; how many rows it was about.
struct OwnStatement {
    const char *sql;
    int count;
    Oid *types;
    Datum *values;
    const char *nulls;
};

uint64 run_own_statement(const OwnStatement &statement) {
    Oid user;
    int security_context;
    SPI_connect();
    GetUserIdAndSecContext(&user, &security_context);
    SetUserIdAndSecContext(extension_owner(), security_context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
    SPI_execute_with_args(statement.sql, statement.count, statement.types, statement.values, statement.nulls, false, 0);
    SetUserIdAndSecContext(user, security_context);
    const uint64 row_count = SPI_processed;
    SPI_finish();
    return row_count;
}

void delete_policy_rows(const char *table_name, Oid relid) {
    const Oid table = policy_table(table_name);
    if (!OidIsValid(table) || table == relid) return;
    const Relation rel = table_open(table, RowExclusiveLock);
    ScanKeyData key;
    ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
    SysScanDesc scan = systable_beginscan(rel, primary_key_index(rel), true, nullptr, 1, &key);
    HeapTuple tuple = systable_getnext(scan);
    if (HeapTupleIsValid(tuple)) simple_heap_delete(rel, &tuple->t_self);
    systable_endscan(scan);
    table_close(rel, NoLock);
}

}  // namespace

void forget_retention(Oid relid) {
    if (!table_am::is_ours(relid)) return;
    delete_policy_rows("retention", relid);
    delete_policy_rows("retention_run", relid);
}

}  // namespace historian

// set_retention(relation regclass, keep interval, rows bigint, size text, every interval, shrink boolean)
extern "C" PGDLLEXPORT Datum historian_set_retention(PG_FUNCTION_ARGS) {
    using namespace historian;
    PreventCommandIfReadOnly("set_retention()");
    const Oid relid = table_argument(fcinfo, "set_retention");
    const bool has_keep = !PG_ARGISNULL(1);
    const bool has_rows = !PG_ARGISNULL(2);
    const bool has_size = !PG_ARGISNULL(3);
    const bool has_every = !PG_ARGISNULL(4);
    check_table(relid, has_rows);
    if (!has_keep && !has_rows && !has_size) {
        ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("a retention policy needs keep, rows or size"),
                errhint("drop_retention() ends a policy."));
    }
    if (has_keep) check_keep(PG_GETARG_INTERVAL_P(1));
    if (has_rows && PG_GETARG_INT64(2) <= 0) report_value("rows", "positive");
    const int64 size = has_size ? check_size(PG_GETARG_TEXT_PP(3)) : 0;
    if (has_every) check_every(PG_GETARG_INTERVAL_P(4));
    Oid types[] = {OIDOID, INTERVALOID, INT8OID, INT8OID, INTERVALOID, BOOLOID};
    Datum values[] = {ObjectIdGetDatum(relid), PG_GETARG_DATUM(1), PG_GETARG_DATUM(2), Int64GetDatum(size), PG_GETARG_DATUM(4),
                      BoolGetDatum(!PG_ARGISNULL(5) && PG_GETARG_BOOL(5))};
    const auto mark = [](bool is_given) { return is_given ? ' ' : 'n'; };
    const char nulls[] = {' ', mark(has_keep), mark(has_rows), mark(has_size), mark(has_every), ' ', '\0'};
    run_own_statement({"INSERT INTO historian.retention AS p (relation, keep, rows, size, every, shrink)"
                       " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (relation) DO UPDATE SET keep = excluded.keep,"
                       " rows = excluded.rows, size = excluded.size, every = excluded.every, shrink = excluded.shrink,"
                       " set_at = excluded.set_at",
                       lengthof(types), types, values, nulls});
    // What the policy before was about to do, or could not do, is not this one's.
    run_own_statement({"UPDATE historian.retention_run SET held_until = NULL, warning = NULL, last_error = NULL"
                       " WHERE relation OPERATOR(pg_catalog.=) $1",
                       1, types, values, nullptr});
    PG_RETURN_VOID();
}

// drop_retention(relation regclass)
extern "C" PGDLLEXPORT Datum historian_drop_retention(PG_FUNCTION_ARGS) {
    using namespace historian;
    PreventCommandIfReadOnly("drop_retention()");
    const Oid relid = table_argument(fcinfo, "drop_retention");
    const char *name = get_rel_name(relid);
    if (name == nullptr) ereport(ERROR, errcode(ERRCODE_UNDEFINED_TABLE), errmsg("relation with OID %u does not exist", relid));
    if (!owns_table(relid, GetUserId())) aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, name);
    Oid types[] = {OIDOID};
    Datum values[] = {ObjectIdGetDatum(relid)};
    run_own_statement(
        {"DELETE FROM historian.retention_run WHERE relation OPERATOR(pg_catalog.=) $1", 1, types, values, nullptr});
    if (run_own_statement({"DELETE FROM historian.retention WHERE relation OPERATOR(pg_catalog.=) $1", 1, types, values,
                           nullptr}) == 0) {
        ereport(ERROR, errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("table \"%s\" has no retention policy", name));
    }
    PG_RETURN_VOID();
}
