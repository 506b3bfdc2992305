// delete_before(): deleting by age.
#include "engine/retention.h"
#include "engine/bulk_load.h"
#include "engine/gate.h"
#include "engine/pages.h"
#include "table_am/callbacks.h"

extern "C" {
#include "access/table.h"
#include "catalog/pg_inherits.h"
#include "executor/spi.h"
#include "rewrite/prs2lock.h"
#include "tcop/utility.h"
#include "utils/rls.h"

PG_FUNCTION_INFO_V1(historian_delete_before);
}

namespace historian {

namespace {

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

int64 delete_by_statement(Relation rel, TimestampTz before) {
    const bool is_parent = rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE;
    const char *sql =
        psprintf("DELETE FROM %s%s WHERE %s < $1", is_parent ? "" : "ONLY ",
                 quote_qualified_identifier(get_namespace_name(RelationGetNamespace(rel)), RelationGetRelationName(rel)),
                 quote_identifier(time_column_name(rel)));
    Oid types[] = {TIMESTAMPTZOID};
    Datum values[] = {TimestampTzGetDatum(before)};
    SPI_connect();
    if (SPI_execute_with_args(sql, 1, types, values, nullptr, false, 0) != SPI_OK_DELETE)
        elog(ERROR, "delete_before could not run: %s", sql);
    const int64 deleted = static_cast<int64>(SPI_processed);
    SPI_finish();
    return deleted;
}

int64 delete_by_segment(Relation rel, TimestampTz before) {
    const Form_pg_attribute column = TupleDescAttr(RelationGetDescr(rel), engine::key_columns(rel).time - 1);
    int64 bound = before;
    if (column->atttypid == TIMESTAMPOID)
        bound = DatumGetTimestamp(DirectFunctionCall1(timestamptz_timestamp, TimestampTzGetDatum(before)));
    table_am::refuse_published_delete(rel);
    engine::finish_all_bulk_loads();
    engine::enter_gate(RelationGetRelid(rel));
    PushActiveSnapshot(GetTransactionSnapshot());  // taken inside the gate: nothing has moved since
    const uint64 deleted = engine::delete_rows_before(rel, bound);
    PopActiveSnapshot();
    engine::exit_gate(RelationGetRelid(rel));
    count_deleted_rows(rel, deleted);
    return static_cast<int64>(deleted);
}

void check_right(Relation rel, AclMode right) {
    const AclResult result = pg_class_aclcheck(RelationGetRelid(rel), GetUserId(), right);
    if (result != ACLCHECK_OK) aclcheck_error(result, OBJECT_TABLE, RelationGetRelationName(rel));
}

// A table, or a partitioned one with its partitions, which need not be ours.
int64 delete_before(Oid relid, TimestampTz before, bool is_partition) {
    const Relation rel = table_open(relid, RowExclusiveLock);
    int64 deleted = 0;
    if (!is_partition) {  // as PostgreSQL does: rights on the table that was named
        check_right(rel, ACL_DELETE);
        check_right(rel, ACL_SELECT);
    }
    if (rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE && !is_partition && needs_every_statement(rel)) {
        deleted = delete_by_statement(rel, before);
    } else if (rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE) {
        ListCell *cell;
        foreach (cell, find_inheritance_children(relid, RowExclusiveLock))
            deleted += delete_before(lfirst_oid(cell), before, true);
    } else if (!table_am::is_ours(rel)) {
        if (!is_partition) {
            ereport(ERROR, errcode(ERRCODE_WRONG_OBJECT_TYPE),
                    errmsg("table \"%s\" is no tag or log table", RelationGetRelationName(rel)),
                    errhint("Such tables are made by CREATE TABLE ... USING tag or log."));
        }
        deleted = delete_by_statement(rel, before);
    } else if (RELATION_IS_OTHER_TEMP(rel)) {
        ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("cannot access temporary tables of other sessions"));
    } else {
        deleted = needs_every_row(rel) ? delete_by_statement(rel, before) : delete_by_segment(rel, before);
    }
    table_close(rel, NoLock);
    return deleted;
}

}  // namespace

}  // namespace historian

// delete_before(regclass, timestamptz): how many rows whose time is earlier were deleted.
extern "C" PGDLLEXPORT Datum historian_delete_before(PG_FUNCTION_ARGS) {
    PreventCommandIfReadOnly("delete_before()");
    PreventCommandIfParallelMode("delete_before()");
    PG_RETURN_INT64(historian::delete_before(PG_GETARG_OID(0), PG_GETARG_TIMESTAMPTZ(1), false));
}
