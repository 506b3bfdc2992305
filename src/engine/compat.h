// Differences between PostgreSQL 15 and later, in one place.
#pragma once

// RelFileNode (15) became RelFileLocator (16).
#if PG_VERSION_NUM >= 160000
#define HISTORIAN_LOCATOR(rel) ((rel)->rd_locator)
using FileLocator = RelFileLocator;
#else
#define HISTORIAN_LOCATOR(rel) ((rel)->rd_node)
using FileLocator = RelFileNode;
#endif

namespace historian {

/// The subtransaction that gave a table its present file, if it is of this transaction.
inline SubTransactionId new_file_subid(Relation rel) {
#if PG_VERSION_NUM >= 160000
    return rel->rd_newRelfilelocatorSubid;
#else
    return rel->rd_newRelfilenodeSubid;
#endif
}

/// Which block a buffer of WAL replay belongs to.
inline void xlog_block_locator(XLogReaderState *record, uint8 block_id, FileLocator *locator) {
    XLogRecGetBlockTag(record, block_id, locator, nullptr, nullptr);
}

/// Cancels standby queries whose snapshots still see what xid (and older) removed.
inline void resolve_standby_conflict(TransactionId xid, FileLocator locator) {
#if PG_VERSION_NUM >= 160000
    ResolveRecoveryConflictWithSnapshot(xid, false, locator);
#else
    ResolveRecoveryConflictWithSnapshot(xid, locator);
#endif
}

/// Adds one zeroed block to the end of the main fork; the caller holds the extension lock.
inline void extend_by_one_block(Relation rel) {
#if PG_VERSION_NUM >= 160000
    ReleaseBuffer(ExtendBufferedRel(BMR_REL(rel), MAIN_FORKNUM, nullptr, EB_SKIP_EXTENSION_LOCK));
#else
    ReleaseBuffer(ReadBufferExtended(rel, MAIN_FORKNUM, P_NEW, RBM_NORMAL, nullptr));
#endif
}

inline void report_vacuum(Relation rel, double live_rows, double dead_rows) {
#if PG_VERSION_NUM >= 180000
    pgstat_report_vacuum(RelationGetRelid(rel), rel->rd_rel->relisshared, static_cast<PgStat_Counter>(live_rows),
                         static_cast<PgStat_Counter>(dead_rows), GetCurrentTimestamp());
#else
    pgstat_report_vacuum(RelationGetRelid(rel), rel->rd_rel->relisshared, static_cast<PgStat_Counter>(live_rows),
                         static_cast<PgStat_Counter>(dead_rows));
#endif
}

/// The relation's present file.
inline FileLocator file_of(Relation rel) {
#if PG_VERSION_NUM >= 160000
    return rel->rd_locator;
#else
    return rel->rd_node;
#endif
}

inline bool is_same_file(const FileLocator &a, const FileLocator &b) {
#if PG_VERSION_NUM >= 160000
    return RelFileLocatorEquals(a, b);
#else
    return RelFileNodeEquals(a, b);
#endif
}

/// Tells the statistics of `count` deleted rows.
inline void count_deleted_rows(Relation rel, uint64 count) {
    if (count == 0 || !pgstat_should_count_relation(rel)) return;
    pgstat_count_heap_delete(rel);  // makes the transaction's record
    rel->pgstat_info->trans->tuples_deleted += static_cast<PgStat_Counter>(count - 1);
}

/// What VACUUM may freeze.
struct VacuumCutoff {
    TransactionId oldest_xmin;
    TransactionId freeze_limit;
    MultiXactId oldest_multi;
};

inline VacuumCutoff vacuum_cutoff(Relation rel, VacuumParams *params) {
    VacuumCutoff cutoff;
#if PG_VERSION_NUM >= 160000
    VacuumCutoffs cutoffs;
#if PG_VERSION_NUM >= 190000
    vacuum_get_cutoffs(rel, *params, &cutoffs);
#else
    vacuum_get_cutoffs(rel, params, &cutoffs);
#endif
    cutoff.oldest_xmin = cutoffs.OldestXmin;
    cutoff.freeze_limit = cutoffs.FreezeLimit;
    cutoff.oldest_multi = cutoffs.OldestMxact;
#else
    MultiXactId multi_limit;
    vacuum_set_xid_limits(rel, params->freeze_min_age, params->freeze_table_age, params->multixact_freeze_min_age,
                          params->multixact_freeze_table_age, &cutoff.oldest_xmin, &cutoff.oldest_multi, &cutoff.freeze_limit,
                          &multi_limit);
#endif
    // old_snapshot_threshold may push those limits past live snapshots (it raises "snapshot too old" on heap pages; we do not).
    const TransactionId oldest = GetOldestNonRemovableTransactionId(rel);
    if (TransactionIdPrecedes(oldest, cutoff.oldest_xmin)) cutoff.oldest_xmin = oldest;
    if (TransactionIdPrecedes(oldest, cutoff.freeze_limit)) cutoff.freeze_limit = oldest;
    return cutoff;
}

inline void vacuum_delay_point_compat() {
#if PG_VERSION_NUM >= 180000
    vacuum_delay_point(false);
#else
    vacuum_delay_point();
#endif
}

inline void update_relation_statistics(Relation rel, BlockNumber blocks, double rows, TransactionId frozen_xid,
                                       MultiXactId min_multi) {
    vac_update_relstats(rel, blocks, rows, 0,
#if PG_VERSION_NUM >= 180000
                        0,
#endif
                        false, frozen_xid, min_multi, nullptr, nullptr, false);
}

/// Prepares a set-returning function that fills a tuplestore. is_scalar: with one column, so that its type is no row type.
inline void init_materialized_result(FunctionCallInfo call, bool is_scalar = false) {
#if PG_VERSION_NUM >= 160000
    InitMaterializedSRF(call, is_scalar ? MAT_SRF_USE_EXPECTED_DESC : 0);
#else
    SetSingleFuncCall(call, is_scalar ? SRF_SINGLE_USE_EXPECTED : 0);
#endif
}

/// What the backend with this index, from 0, tells of itself.
inline const LocalPgBackendStatus *local_backend_status(int index) {
#if PG_VERSION_NUM >= 160000
    return pgstat_get_local_beentry_by_index(index + 1);
#else
    return pgstat_fetch_stat_local_beentry(index + 1);
#endif
}

/// Whether this process is a background worker.
inline bool is_background_worker() {
#if PG_VERSION_NUM >= 170000
    return AmBackgroundWorkerProcess();
#else
    return IsBackgroundWorker;
#endif
}

/// Whether this session holds the lock. (Later versions can also ask for stronger ones.)
inline bool holds_lock_by(bool (*ask)(const LOCKTAG *, LOCKMODE), const LOCKTAG *tag, LOCKMODE mode) { return ask(tag, mode); }
inline bool holds_lock_by(bool (*ask)(const LOCKTAG *, LOCKMODE, bool), const LOCKTAG *tag, LOCKMODE mode) {
    return ask(tag, mode, false);
}
inline bool holds_lock(const LOCKTAG *tag, LOCKMODE mode) { return holds_lock_by(LockHeldByMe, tag, mode); }

/// Whether another transaction is over, asked without waiting for it.
inline bool is_over_without_waiting(TransactionId xid) {
#if PG_VERSION_NUM >= 180000
    return ConditionalXactLockTableWait(xid, false);
#else
    return ConditionalXactLockTableWait(xid);
#endif
}

/// Tells the workers of a parallel scan which table it is about.
inline void name_relation(ParallelTableScanDesc parallel, Relation rel) {
#if PG_VERSION_NUM >= 180000
    parallel->phs_locator = rel->rd_locator;
#else
    parallel->phs_relid = RelationGetRelid(rel);
#endif
}

/// Whether the role owns the table.
inline bool owns_table(Oid relid, Oid role) {
#if PG_VERSION_NUM >= 160000
    return object_ownercheck(RelationRelationId, relid, role);
#else
    return pg_class_ownercheck(relid, role);
#endif
}

/// expression_tree_walker() and expression_tree_mutator(), whose callbacks have no parameters in version 15's eyes.
using TreeWalker = bool (*)(Node *, void *);
inline bool walk_expression(Node *node, TreeWalker walker, void *argument) {
#if PG_VERSION_NUM >= 160000
    return expression_tree_walker(node, walker, argument);
#else
    return expression_tree_walker(node, reinterpret_cast<bool (*)()>(reinterpret_cast<void *>(walker)), argument);
#endif
}
using TreeMutator = Node *(*)(Node *, void *);
inline Node *mutate_expression(Node *node, TreeMutator mutator, void *argument) {
#if PG_VERSION_NUM >= 160000
    return expression_tree_mutator(node, mutator, argument);
#else
    return expression_tree_mutator(node, reinterpret_cast<Node *(*)()>(reinterpret_cast<void *>(mutator)), argument);
#endif
}

/// Whether a column's values are made when they are read: rows do not store them.
inline bool is_virtual(const FormData_pg_attribute &column) {
#if PG_VERSION_NUM >= 180000
    return column.attgenerated == ATTRIBUTE_GENERATED_VIRTUAL;
#else
    (void)column;
    return false;
#endif
}

/// What REFRESH of the materialized view that is made here will run.
inline void set_view_query(IntoClause *into, Query *query) {
#if PG_VERSION_NUM >= 180000
    into->viewQuery = query;
#else
    into->viewQuery = reinterpret_cast<Node *>(query);
#endif
}

/// The index of a table's primary key, unless that is deferrable.
inline Oid primary_key_index(Relation rel) {
#if PG_VERSION_NUM >= 180000
    return RelationGetPrimaryKeyIndex(rel, false);
#else
    return RelationGetPrimaryKeyIndex(rel);
#endif
}

/// The columns that a query groups by, redundant ones left out where the version does so.
inline List *grouping_clauses(const PlannerInfo *root) {
#if PG_VERSION_NUM >= 160000
    return root->processed_groupClause;
#else
    return root->parse->groupClause;
#endif
}

}  // namespace historian
