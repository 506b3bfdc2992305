// What tag tables refuse, one message each.
#include "table_am/callbacks.h"

extern "C" {
#include "replication/logicalworker.h"
}

namespace historian::table_am {

void report_update_refused(const char *table) {
    ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("cannot update table \"%s\"", table),
            errdetail("Points are written once."),
            errhint("Insert a corrected point; the newest one can be chosen when reading."));
    pg_unreachable();
}

// The one caller of tuple_delete besides the executor is the worker that applies changes of a logical publication, which does not
// come through the gate (engine/gate.h).
void report_apply_refused(const char *table) {
    ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
            errmsg("cannot delete from table \"%s\" by logical replication", table),
            errdetail("A subscription may insert into a tag or log table and truncate it, but the publisher sends deletes."),
            errhint("Publish without them: ALTER PUBLICATION ... SET (publish = 'insert, truncate')."));
    pg_unreachable();
}

void report_row_lock_refused(const char *table) {
    ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("cannot lock rows of table \"%s\"", table),
            errdetail("Points are written once and never updated."), errhint("Leave out FOR UPDATE or FOR SHARE."));
    pg_unreachable();
}

void report_on_conflict_refused(const char *table) {
    ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("ON CONFLICT is not supported on table \"%s\"", table),
            errdetail("The table has no unique constraint that a row could conflict with."), errhint("Leave out ON CONFLICT."));
    pg_unreachable();
}

void report_index_refused(const char *table, bool unique) {
    ereport(
        ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
        unique ? errmsg("unique indexes and primary keys are not supported on table \"%s\"", table)
               : errmsg("indexes are not supported on table \"%s\"", table),
        errdetail("The table is sorted by its tag and time, or by arrival time, and skips what a query on them does not need."),
        unique ? errhint("Leave out PRIMARY KEY and UNIQUE.")
               : errhint("Query by these columns; keep others to look up in a heap table."));
    pg_unreachable();
}

TM_Result refuse_update(Relation rel, ItemPointer, TupleTableSlot *, CommandId, Snapshot, Snapshot, bool, TM_FailureData *,
                        LockTupleMode *,
#if PG_VERSION_NUM >= 160000
                        TU_UpdateIndexes *) {
#else
                        bool *) {
#endif
    // A subscription comes here without a statement: what to do about it is to be done at the publisher.
    if (IsLogicalWorker()) {
        ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("cannot update table \"%s\"", RelationGetRelationName(rel)),
                errdetail("Points are written once, but the publisher sends updates."),
                errhint("Publish without them: ALTER PUBLICATION ... SET (publish = 'insert, truncate')."));
    }
    report_update_refused(RelationGetRelationName(rel));
}

void refuse_speculative_insert(Relation rel, TupleTableSlot *, CommandId, int, BulkInsertStateData *, uint32) {
    report_on_conflict_refused(RelationGetRelationName(rel));
}

void refuse_complete_speculative(Relation rel, TupleTableSlot *, uint32, bool) {
    report_on_conflict_refused(RelationGetRelationName(rel));
}

void refuse_latest_tid(TableScanDesc scan, ItemPointer) {
    ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
            errmsg("WHERE CURRENT OF is not supported on table \"%s\"", RelationGetRelationName(scan->rs_rd)),
            errdetail("Rows move when they are sealed."), errhint("Name the rows by tag and time."));
}

IndexFetchTableData *refuse_index_fetch_begin(Relation rel) { report_index_refused(RelationGetRelationName(rel), false); }

void ignore_index_fetch(IndexFetchTableData *) {}

bool refuse_index_fetch_tuple(IndexFetchTableData *fetch, ItemPointer, Snapshot, TupleTableSlot *, bool *, bool *) {
    report_index_refused(RelationGetRelationName(fetch->rel), false);
}

// Must neither raise an error nor call a row dead: either would poison the table for good.
TransactionId ignore_index_deletes(Relation, TM_IndexDeleteOp *state) {
    state->ndeltids = 0;
    return InvalidTransactionId;
}

double refuse_index_build(Relation rel, Relation, IndexInfo *info, bool, bool, bool, BlockNumber, BlockNumber, IndexBuildCallback,
                          void *, TableScanDesc) {
    report_index_refused(RelationGetRelationName(rel), info->ii_Unique);
}

void refuse_index_validate(Relation rel, Relation, IndexInfo *info, Snapshot, ValidateIndexState *) {
    report_index_refused(RelationGetRelationName(rel), info->ii_Unique);
}

void refuse_toast_slice(Relation toast_rel, Oid, int32, int32, int32, varlena *) {
    elog(ERROR, "table \"%s\" has no TOAST table", RelationGetRelationName(toast_rel));
}

}  // namespace historian::table_am
