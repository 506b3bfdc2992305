#include "hooks.h"

#include "bgworker/launcher.h"
#include "ddl_refusals.h"
#include "ddl_statements.h"
#include "engine/bulk_load.h"
#include "engine/gate.h"
#include "engine/pages.h"
#include "engine/stop_points.h"
#include "sql_functions/retention_policy.h"
#include "table_am/callbacks.h"

extern "C" {
#include "access/parallel.h"
#include "access/table.h"
#include "catalog/pg_constraint.h"
#include "commands/defrem.h"
#include "nodes/plannodes.h"
#include "parser/parsetree.h"
#include "tcop/utility.h"
}

namespace historian {

namespace {

ExecutorStart_hook_type previous_executor_start = nullptr;
ExecutorRun_hook_type previous_executor_run = nullptr;
ExecutorFinish_hook_type previous_executor_finish = nullptr;
ExecutorEnd_hook_type previous_executor_end = nullptr;
ProcessUtility_hook_type previous_process_utility = nullptr;
object_access_hook_type previous_object_access = nullptr;

// ------------------------------------------------------------------------------------------------------------ statements

const char *range_table_name(const PlannedStmt *statement, Index rti) {
    return get_rel_name(rt_fetch(rti, statement->rtable)->relid);
}

bool is_our_table(const PlannedStmt *statement, Index rti) {
    const RangeTblEntry *entry = rt_fetch(rti, statement->rtable);
    return entry->rtekind == RTE_RELATION && table_am::is_ours(entry->relid);
}

// Calls visit(modify) for each ModifyTable: of the statement itself and of its WITH clauses.
template <typename Visit>
void for_each_modify_table(const PlannedStmt *statement, Visit visit) {
    if (statement->commandType == CMD_SELECT && !statement->hasModifyingCTE) return;
    const auto visit_plan = [&visit](const Plan *plan) {
        if (plan != nullptr && IsA(plan, ModifyTable)) visit(reinterpret_cast<const ModifyTable *>(plan));
    };
    visit_plan(statement->planTree);
    ListCell *cell;
    foreach (cell, statement->subplans) visit_plan(static_cast<const Plan *>(lfirst(cell)));
}

bool merges_by_update(const ModifyTable *modify) {
    ListCell *list_cell;
    foreach (list_cell, modify->mergeActionLists) {
        ListCell *cell;
        foreach (cell, static_cast<const List *>(lfirst(list_cell))) {
            if (lfirst_node(MergeAction, cell)->commandType == CMD_UPDATE) return true;
        }
    }
    return false;
}

void check_modify_table(const PlannedStmt *statement, const ModifyTable *modify) {
    const bool updates = modify->operation == CMD_UPDATE || (modify->operation == CMD_MERGE && merges_by_update(modify));
    const bool may_conflict = modify->operation == CMD_INSERT && modify->onConflictAction != ONCONFLICT_NONE;
    if (!updates && !may_conflict) return;
    ListCell *cell;
    foreach (cell, modify->resultRelations) {
        const Index rti = lfirst_int(cell);
        if (!is_our_table(statement, rti)) continue;
        const char *name = range_table_name(statement, rti);
        if (updates) table_am::report_update_refused(name);
        table_am::report_on_conflict_refused(name);
    }
}

// What tag tables refuse is refused for any number of rows, none included: people find out at the first try.
void check_statement(const PlannedStmt *statement) {
    for_each_modify_table(statement, [statement](const ModifyTable *modify) { check_modify_table(statement, modify); });
    ListCell *cell;
    foreach (cell, statement->rowMarks) {
        const PlanRowMark *mark = lfirst_node(PlanRowMark, cell);
        // FOR KEY SHARE is what foreign-key checks run; ROW_MARK_REFERENCE and COPY are no locks.
        if (mark->isParent || mark->markType >= ROW_MARK_KEYSHARE) continue;
        if (is_our_table(statement, mark->rti)) table_am::report_row_lock_refused(range_table_name(statement, mark->rti));
    }
}

// Calls visit(relid) for each table of ours that a statement may delete from or lock rows of: those whose gate it holds (rule
// R8).
template <typename Visit>
void for_each_gated_table(const PlannedStmt *statement, Visit visit) {
    for_each_modify_table(statement, [&](const ModifyTable *modify) {
        if (modify->operation != CMD_DELETE && modify->operation != CMD_MERGE) return;
        ListCell *cell;
        foreach (cell, modify->resultRelations) {
            if (is_our_table(statement, lfirst_int(cell))) visit(rt_fetch(lfirst_int(cell), statement->rtable)->relid);
        }
    });
    ListCell *cell;
    foreach (cell, statement->rowMarks) {
        const PlanRowMark *mark = lfirst_node(PlanRowMark, cell);
        if (mark->isParent || mark->markType != ROW_MARK_KEYSHARE || !is_our_table(statement, mark->rti)) continue;
        visit(rt_fetch(mark->rti, statement->rtable)->relid);
    }
}

// Whether rows were moved that the snapshot still sees in their old place.
bool was_swapped_since(Oid relid, Snapshot snapshot) {
    const Relation rel = table_open(relid, NoLock);  // locked since the statement was planned
    format::Metapage meta;
    const bool swapped = engine::read_metapage(rel, &meta) && TransactionIdIsNormal(meta.last_swap_xid) &&
                         XidInMVCCSnapshot(meta.last_swap_xid, snapshot);
    table_close(rel, NoLock);
    return swapped;
}

// A READ COMMITTED statement takes its snapshot before it comes here; if rows were moved since, it takes another one instead of
// failing (rule R8). Nothing was read yet, and nothing moves any more. Statements that share a snapshot with an earlier one (of a
// rule, of an SQL function) come to see newer rows than that one by this, which is rare: only after a seal or merge that ended in
// between.
void renew_snapshot(QueryDesc *query) {
    const bool may_renew = !IsolationUsesXactSnapshot() && query->crosscheck_snapshot == InvalidSnapshot && ActiveSnapshotSet() &&
                           query->snapshot == GetActiveSnapshot() && IsMVCCSnapshot(query->snapshot);
    if (!may_renew) return;
    UnregisterSnapshot(query->snapshot);
    PopActiveSnapshot();
    PushCopiedSnapshot(GetTransactionSnapshot());
    UpdateActiveSnapshotCommandId();
    query->snapshot = RegisterSnapshot(GetActiveSnapshot());
}

void enter_gates(QueryDesc *query) {
    bool swapped = false;
    for_each_gated_table(query->plannedstmt, [&](Oid relid) {
        engine::stop_point(engine::StopPoint::delete_at_gate);
        engine::enter_gate(relid);
        swapped = swapped || was_swapped_since(relid, query->snapshot);
    });
    if (swapped) renew_snapshot(query);
}

// Rows that a statement of this backend still holds back become visible to what its triggers and functions run (rule R16).
// Parallel workers may call functions that read other tables than the statement names.
void show_waiting_rows(const PlannedStmt *statement) {
    if (statement->parallelModeNeeded)
        engine::finish_all_bulk_loads();
    else
        engine::finish_bulk_loads_of(statement->relationOids);
}

void on_executor_start(QueryDesc *query, int flags) {
    show_waiting_rows(query->plannedstmt);
    if ((flags & EXEC_FLAG_EXPLAIN_ONLY) == 0) check_statement(query->plannedstmt);
    // During recovery PostgreSQL is about to refuse the statement. In a read-only transaction it allows temporary tables.
    if ((flags & EXEC_FLAG_EXPLAIN_ONLY) == 0 && !IsParallelWorker() && !RecoveryInProgress()) enter_gates(query);
    if (previous_executor_start != nullptr)
        previous_executor_start(query, flags);
    else
        standard_ExecutorStart(query, flags);
}

// Whether a statement inserts rows that nobody asks for before it is over, and more than one of them. Of a table that has row
// triggers, other rules apply: may_bulk_load().
bool inserts_unseen_rows(const PlannedStmt *statement) {
    if (statement->commandType != CMD_INSERT || statement->hasModifyingCTE || !IsA(statement->planTree, ModifyTable))
        return false;
    const auto *modify = reinterpret_cast<const ModifyTable *>(statement->planTree);
    if (modify->returningLists != NIL || modify->onConflictAction != ONCONFLICT_NONE) return false;
    const Plan *source = outerPlan(statement->planTree);
    const bool is_single_row = IsA(source, Result) && outerPlan(source) == nullptr;
    return !is_single_row;
}

// Runs a part of a statement; rows may wait meanwhile, or not.
template <typename Part>
void run_part(engine::RowsMayWait rows_may_wait, Part part) {
    const engine::RowsMayWait outer = engine::rows_may_wait;
    engine::rows_may_wait = rows_may_wait;
    PG_TRY();
    { part(); }
    PG_FINALLY();
    { engine::rows_may_wait = outer; }
    PG_END_TRY();
}

// Stores what the statement held back; the time and the WAL of it are the statement's.
void finish_inserting(const QueryDesc *query) {
    if (query->totaltime != nullptr) InstrStartNode(query->totaltime);
    engine::finish_all_bulk_loads();
    if (query->totaltime != nullptr) InstrStopNode(query->totaltime, 0);
}

// `rest` is execute_once in PostgreSQL before 18.
template <typename... Rest>
void on_executor_run(QueryDesc *query, ScanDirection direction, uint64 count, Rest... rest) {
    show_waiting_rows(query->plannedstmt);  // a cursor was opened long ago
    const bool inserts = inserts_unseen_rows(query->plannedstmt);
    run_part(inserts ? engine::RowsMayWait::insert : engine::RowsMayWait::no, [&] {
        if (previous_executor_run != nullptr)
            previous_executor_run(query, direction, count, rest...);
        else
            standard_ExecutorRun(query, direction, count, rest...);
        if (inserts) finish_inserting(query);
    });
}

// WITH clauses that insert are run to their end here, and AFTER triggers.
void on_executor_finish(QueryDesc *query) {
    run_part(engine::RowsMayWait::no, [query] {
        if (previous_executor_finish != nullptr)
            previous_executor_finish(query);
        else
            standard_ExecutorFinish(query);
    });
}

// The AFTER triggers are over. After an error the end of the transaction opens the gates.
void on_executor_end(QueryDesc *query) {
    const bool is_inside = (query->estate->es_top_eflags & EXEC_FLAG_EXPLAIN_ONLY) == 0 && !IsParallelWorker();
    const PlannedStmt *statement = query->plannedstmt;
    if (previous_executor_end != nullptr)
        previous_executor_end(query);
    else
        standard_ExecutorEnd(query);
    if (is_inside) for_each_gated_table(statement, [](Oid relid) { engine::exit_gate(relid); });
}

// --------------------------------------------------------------------------------------------------------------- utility

// Whether the table's own order serves what the index is for: (tag), (time), (tag, time), without conditions or expressions.
bool order_serves_index(Oid relid, const IndexStmt *index) {
    if (index->unique || index->primary || index->isconstraint || index->whereClause != nullptr) return false;
    if (strcmp(index->accessMethod, "btree") != 0 && strcmp(index->accessMethod, "brin") != 0) return false;
    const Relation rel = RelationIdGetRelation(relid);
    const engine::KeyColumns keys = engine::key_columns(rel);
    bool serves = list_length(index->indexParams) <= 2;
    AttrNumber previous = InvalidAttrNumber;
    ListCell *cell;
    foreach (cell, index->indexParams) {
        const IndexElem *element = lfirst_node(IndexElem, cell);
        const AttrNumber column = element->name != nullptr ? get_attnum(relid, element->name) : InvalidAttrNumber;
        const bool is_key = column != InvalidAttrNumber && (column == keys.tag || column == keys.time);
        serves = serves && is_key && column != previous && (previous == InvalidAttrNumber || column == keys.time);
        previous = column;
    }
    RelationClose(rel);
    return serves;
}

// True when CREATE INDEX has nothing to do; tools that always send one go on.
bool skip_create_index(const IndexStmt *index) {
    if (index->relation == nullptr) return false;
    const Oid relid = RangeVarGetRelid(index->relation, ShareLock, true);
    if (!OidIsValid(relid) || !table_am::is_ours(relid)) return false;
    const char *name = get_rel_name(relid);
    const bool is_log = table_am::kind_of_table(relid) == engine::TableKind::log;
    if (index->excludeOpNames != NIL) report_exclusion_refused(name);
    if (!order_serves_index(relid, index)) table_am::report_index_refused(name, index->unique || index->primary);
    if (!owns_table(relid, GetUserId())) aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, name);
    ereport(
        NOTICE, errmsg("index on table \"%s\" is not needed, skipping", name),
        errdetail(is_log ? "The table is sorted by arrival time already." : "The table is clustered by tag and time already."));
    return true;
}

void on_process_utility(PlannedStmt *statement, const char *query, bool read_only_tree, ProcessUtilityContext context,
                        ParamListInfo params, QueryEnvironment *environment, DestReceiver *receiver,
                        QueryCompletion *completion) {
    const Node *utility = statement->utilityStmt;
    bgworker::make_way_for_command(utility);
    if (IsA(utility, IndexStmt) && skip_create_index(reinterpret_cast<const IndexStmt *>(utility))) return;
    const ProcessUtility_hook_type next =
        previous_process_utility != nullptr ? previous_process_utility : standard_ProcessUtility;
    AfterStatement after;
    statement = before_statement(statement, &after);
    const engine::RowsMayWait outer = engine::rows_may_wait;
    engine::rows_may_wait = IsA(utility, CopyStmt) ? engine::RowsMayWait::copy : engine::RowsMayWait::no;
    PG_TRY();
    {
        next(statement, query, read_only_tree, context, params, environment, receiver, completion);
        if (engine::rows_may_wait == engine::RowsMayWait::copy) engine::finish_all_bulk_loads();
        engine::rows_may_wait = outer;
    }
    PG_CATCH();
    {
        engine::rows_may_wait = outer;
        forget_statement(after);
        PG_RE_THROW();
    }
    PG_END_TRY();
    after_statement(after);
}

void on_object_access(ObjectAccessType access, Oid class_id, Oid object_id, int sub_id, void *argument) {
    if (previous_object_access != nullptr) previous_object_access(access, class_id, object_id, sub_id, argument);
    if (access == OAT_POST_CREATE && class_id == ConstraintRelationId) check_constraint_created(object_id);
    if (access == OAT_DROP && class_id == RelationRelationId && sub_id == 0) forget_retention(object_id);
    if (class_id != RelationRelationId || sub_id <= 0) return;
    if (access == OAT_DROP) note_column_dropped(object_id, static_cast<AttrNumber>(sub_id));
    if (access == OAT_POST_ALTER) check_column_altered(object_id, static_cast<AttrNumber>(sub_id));
}

}  // namespace

void install_hooks() {
    previous_executor_start = ExecutorStart_hook;
    ExecutorStart_hook = on_executor_start;
    previous_executor_run = ExecutorRun_hook;
    ExecutorRun_hook = on_executor_run;
    previous_executor_finish = ExecutorFinish_hook;
    ExecutorFinish_hook = on_executor_finish;
    previous_executor_end = ExecutorEnd_hook;
    ExecutorEnd_hook = on_executor_end;
    previous_process_utility = ProcessUtility_hook;
    ProcessUtility_hook = on_process_utility;
    previous_object_access = object_access_hook;
    object_access_hook = on_object_access;
}

}  // namespace historian
