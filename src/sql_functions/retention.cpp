// delete_before(), delete_oldest(), delete_except(): deleting by age and by number.
#include "sql_functions/retention.h"

#include "engine/bulk_load.h"
#include "engine/gate.h"
#include "engine/pages.h"
#include "engine/retention.h"
#include "table_am/callbacks.h"

extern "C" {
#include "access/table.h"
#include "catalog/pg_inherits.h"
#include "executor/spi.h"
#include "rewrite/prs2lock.h"
#include "tcop/utility.h"
#include "utils/rls.h"

PG_FUNCTION_INFO_V1(historian_delete_before);
PG_FUNCTION_INFO_V1(historian_delete_oldest);
PG_FUNCTION_INFO_V1(historian_delete_except_rows);
PG_FUNCTION_INFO_V1(historian_delete_except_keep);
}

namespace historian {

namespace {

// What to delete: rows whose time is before `before`, the oldest `rows`, or all but the newest `rows`.
enum class DeleteBy : uint8 { time, oldest, all_but_newest };
struct Deletion {
    DeleteBy by;
    TimestampTz before;
    int64 rows;
};

// Triggers, rules and row-level security are about rows: then it is an ordinary DELETE that does the work.
bool needs_every_row(Relation rel) {
    const TriggerDesc *triggers = rel->trigdesc;
    const bool has_triggers =
        triggers != nullptr &&
        (triggers->trig_delete_before_row || triggers->trig_delete_after_row || triggers->trig_delete_instead_row ||
         triggers->trig_delete_before_statement || triggers->trig_delete_after_statement || triggers->trig_delete_old_table);
    return has_triggers || rel->rd_rules != nullptr || check_enable_rls(RelationGetRelid(rel), InvalidOid, false) == RLS_ENABLED;
}

// Of a partitioned table the policies, rules and triggers of the table that is named count, and the rights on it: PostgreSQL's
// own DELETE gets them right. By segments it goes only when all partitions are ours.
bool needs_every_statement(Relation parent) {
    if (needs_every_row(parent)) return true;
    ListCell *cell;
    foreach (cell, find_all_inheritors(RelationGetRelid(parent), RowExclusiveLock, nullptr)) {
        const Oid relid = lfirst_oid(cell);
        if (get_rel_relkind(relid) != RELKIND_PARTITIONED_TABLE && !table_am::is_ours(relid)) return true;
        const Relation partition = table_open(relid, NoLock);
        const bool by_row = partition != parent && needs_every_row(partition);
        table_close(partition, NoLock);
        if (by_row) return true;
    }
    return false;
}

const char *time_column_name(Relation rel) {
    // Others are partitions beside ours, or have partitions of ours.
    const engine::KeyColumns keys = table_am::is_ours(rel)
                                        ? engine::key_columns(rel)
                                        : engine::derive_key_columns(RelationGetDescr(rel), engine::TableKind::tag);
    if (keys.time == InvalidAttrNumber) {
        ereport(ERROR, errcode(ERRCODE_WRONG_OBJECT_TYPE),
                errmsg("table \"%s\" has no column of type timestamp with time zone or timestamp", RelationGetRelationName(rel)));
    }
    return NameStr(TupleDescAttr(RelationGetDescr(rel), keys.time - 1)->attname);
}

int64 delete_by_statement(Relation rel, const Deletion &deletion) {
    const bool is_parent = rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE;
    const char *table = psprintf("%s%s", is_parent ? "" : "ONLY ",
                                 quote_qualified_identifier(get_namespace_name(RelationGetNamespace(rel)),
                                                            RelationGetRelationName(rel)));
    const char *time = quote_identifier(time_column_name(rel));
    const bool by_time = deletion.by == DeleteBy::time;
    const char *which = by_time ? psprintf("%s OPERATOR(pg_catalog.<) $1", time)
                                : psprintf("ctid OPERATOR(pg_catalog.=) ANY (SELECT ctid FROM %s ORDER BY %s %s)", table, time,
                                           deletion.by == DeleteBy::oldest ? "LIMIT $1" : "DESC OFFSET $1");
    const char *sql = psprintf("DELETE FROM %s WHERE %s", table, which);
    Oid types[] = {static_cast<Oid>(by_time ? TIMESTAMPTZOID : INT8OID)};
    Datum values[] = {by_time ? TimestampTzGetDatum(deletion.before) : Int64GetDatum(deletion.rows)};
    SPI_connect();
    if (SPI_execute_with_args(sql, 1, types, values, nullptr, false, 0) != SPI_OK_DELETE)
        elog(ERROR, "a deletion of old rows could not run: %s", sql);
    const int64 deleted = static_cast<int64>(SPI_processed);
    SPI_finish();
    return deleted;
}

}  // namespace

int64 time_of_column(Relation rel, TimestampTz time) {
    const Form_pg_attribute column = TupleDescAttr(RelationGetDescr(rel), engine::key_columns(rel).time - 1);
    if (column->atttypid != TIMESTAMPOID) return time;
    return DatumGetTimestamp(DirectFunctionCall1(timestamptz_timestamp, TimestampTzGetDatum(time)));
}

namespace {

void check_right(Relation rel, AclMode right) {
    const AclResult result = pg_class_aclcheck(RelationGetRelid(rel), GetUserId(), right);
    if (result != ACLCHECK_OK) aclcheck_error(result, OBJECT_TABLE, RelationGetRelationName(rel));
}

// Finds and deletes rows inside the gate, under a snapshot that was taken there: nothing has moved since.
template <typename Delete>
int64 delete_by_segment(Relation rel, Delete delete_them) {
    table_am::refuse_published_delete(rel);
    engine::finish_all_bulk_loads();
    engine::enter_gate(RelationGetRelid(rel));
    PushActiveSnapshot(GetTransactionSnapshot());
    const uint64 deleted = delete_them();
    PopActiveSnapshot();
    engine::exit_gate(RelationGetRelid(rel));
    count_deleted_rows(rel, deleted);
    return static_cast<int64>(deleted);
}

int64 delete_before(Relation rel, TimestampTz before) {
    return delete_by_segment(rel, [=] { return engine::delete_rows_before(rel, time_of_column(rel, before)); });
}

engine::OldestRows choose_by_count(Relation, engine::RowsByTime *rows, void *argument) {
    const Deletion *deletion = static_cast<const Deletion *>(argument);
    const uint64 row_count = engine::row_count_of(rows);
    const uint64 asked = static_cast<uint64>(deletion->rows);
    return engine::oldest_by_count(rows, deletion->by == DeleteBy::oldest ? asked : row_count > asked ? row_count - asked : 0);
}

// Counting is for tables whose order is that of time.
void refuse_count(Relation rel) {
    if (rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE) {
        ereport(ERROR, errcode(ERRCODE_WRONG_OBJECT_TYPE),
                errmsg("cannot delete a number of rows of partitioned table \"%s\"", RelationGetRelationName(rel)),
                errhint("Delete by time: delete_before(), or delete_except() with keep."));
    }
    if (table_am::is_ours(rel) && !engine::is_log_table(rel)) {
        ereport(ERROR, errcode(ERRCODE_WRONG_OBJECT_TYPE),
                errmsg("cannot delete a number of rows of tag table \"%s\"", RelationGetRelationName(rel)),
                errhint("Delete by time: delete_before(), or delete_except() with keep."));
    }
}

// A table, or a partitioned one with its partitions, which need not be ours.
int64 delete_rows(Oid relid, const Deletion &deletion, bool is_partition) {
    const Relation rel = table_open(relid, RowExclusiveLock);
    int64 deleted = 0;
    if (!is_partition) check_delete_rights(rel);  // as PostgreSQL does: rights on the table that was named
    if (deletion.by != DeleteBy::time) refuse_count(rel);
    if (rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE && !is_partition && needs_every_statement(rel)) {
        deleted = delete_by_statement(rel, deletion);
    } else if (rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE) {
        ListCell *cell;
        foreach (cell, find_inheritance_children(relid, RowExclusiveLock))
            deleted += delete_rows(lfirst_oid(cell), deletion, true);
    } else if (!table_am::is_ours(rel)) {
        if (!is_partition) {
            ereport(ERROR, errcode(ERRCODE_WRONG_OBJECT_TYPE),
                    errmsg("table \"%s\" is no tag or log table", RelationGetRelationName(rel)),
                    errhint("Such tables are made by CREATE TABLE ... USING tag or log."));
        }
        deleted = delete_by_statement(rel, deletion);
    } else if (RELATION_IS_OTHER_TEMP(rel)) {
        ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("cannot access temporary tables of other sessions"));
    } else {
        Deletion what = deletion;
        deleted = needs_every_row(rel)              ? delete_by_statement(rel, what)
                  : what.by == DeleteBy::time ? delete_before(rel, what.before)
                                              : delete_chosen_rows(rel, choose_by_count, &what);
    }
    table_close(rel, NoLock);
    return deleted;
}

int64 delete_count(DeleteBy by, Oid relid, int64 rows) {
    if (rows < 0) ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("rows must not be negative"));
    return delete_rows(relid, Deletion{by, 0, rows}, false);
}

}  // namespace

int64 delete_chosen_rows(Relation rel, ChooseRows choose, void *argument) {
    const bool row_by_row = needs_every_row(rel);
    engine::OldestRows chosen = {};
    const int64 deleted = delete_by_segment(rel, [&, argument, choose, rel] {
        MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "historian oldest rows", ALLOCSET_DEFAULT_SIZES);
        chosen = choose(rel, engine::rows_by_time(rel, context), argument);
        MemoryContextDelete(context);
        return row_by_row || chosen.row_count == 0 ? 0 : engine::delete_oldest_rows(rel, chosen);
    });
    if (!row_by_row || chosen.row_count == 0) return deleted;
    return delete_by_statement(rel, Deletion{DeleteBy::oldest, 0, static_cast<int64>(chosen.row_count)});
}

void check_delete_rights(Relation rel) {
    check_right(rel, ACL_DELETE);
    check_right(rel, ACL_SELECT);
}

TimestampTz time_ago(const Interval *keep) {
    const TimestampTz now = GetCurrentTransactionStartTimestamp();
    const TimestampTz before = DatumGetTimestampTz(
        DirectFunctionCall2(timestamptz_mi_interval, TimestampTzGetDatum(now), IntervalPGetDatum(keep)));
    if (before > now) ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("keep must not be negative"));
    return before;
}

}  // namespace historian

// Each returns how many rows were deleted.

// delete_before(regclass, timestamptz)
extern "C" PGDLLEXPORT Datum historian_delete_before(PG_FUNCTION_ARGS) {
    using namespace historian;
    PreventCommandIfReadOnly("delete_before()");
    PreventCommandIfParallelMode("delete_before()");
    PG_RETURN_INT64(delete_rows(PG_GETARG_OID(0), Deletion{DeleteBy::time, PG_GETARG_TIMESTAMPTZ(1), 0}, false));
}

// delete_oldest(regclass, bigint)
extern "C" PGDLLEXPORT Datum historian_delete_oldest(PG_FUNCTION_ARGS) {
    using namespace historian;
    PreventCommandIfReadOnly("delete_oldest()");
    PreventCommandIfParallelMode("delete_oldest()");
    PG_RETURN_INT64(delete_count(DeleteBy::oldest, PG_GETARG_OID(0), PG_GETARG_INT64(1)));
}

// delete_except(regclass, bigint)
extern "C" PGDLLEXPORT Datum historian_delete_except_rows(PG_FUNCTION_ARGS) {
    using namespace historian;
    PreventCommandIfReadOnly("delete_except()");
    PreventCommandIfParallelMode("delete_except()");
    PG_RETURN_INT64(delete_count(DeleteBy::all_but_newest, PG_GETARG_OID(0), PG_GETARG_INT64(1)));
}

// delete_except(regclass, interval)
extern "C" PGDLLEXPORT Datum historian_delete_except_keep(PG_FUNCTION_ARGS) {
    using namespace historian;
    PreventCommandIfReadOnly("delete_except()");
    PreventCommandIfParallelMode("delete_except()");
    PG_RETURN_INT64(delete_rows(PG_GETARG_OID(0), Deletion{DeleteBy::time, time_ago(PG_GETARG_INTERVAL_P(1)), 0}, false));
}
