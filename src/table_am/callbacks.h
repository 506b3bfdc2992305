// The callbacks of the table access method, one file a subject. Thin: each turns PostgreSQL's call into one of the engine's.
#pragma once

#include "engine/server.h"
//
#include "engine/scan.h"
#include "engine/scan_sample.h"

#include <optional>

namespace historian::table_am {

/// Whether a relation is one of our tables.
bool is_ours(Relation rel);
bool is_ours(Oid relid);

/// What a table keeps, or would keep under an access method; none when it is not ours.
std::optional<engine::TableKind> kind_of_table(Oid relid);
std::optional<engine::TableKind> kind_of_access_method(Oid access_method);

/// As in CREATE TABLE ... USING.
const char *access_method_name(engine::TableKind kind);

/// An access method's callbacks: see access_methods.cpp.
const TableAmRoutine *routine_of(engine::TableKind kind);

// ------------------------------------------------------------------------------------------------ reading (reads.cpp)

const TupleTableSlotOps *slot_callbacks(Relation rel);
TableScanDesc scan_begin(Relation rel, Snapshot snapshot, int key_count, ScanKeyData *keys, ParallelTableScanDesc parallel,
                         uint32 flags);
void scan_end(TableScanDesc scan);
void scan_rescan(TableScanDesc scan, ScanKeyData *keys, bool set_params, bool allow_strat, bool allow_sync, bool allow_pagemode);
bool scan_getnextslot(TableScanDesc scan, ScanDirection direction, TupleTableSlot *slot);
Size parallelscan_estimate(Relation rel);
Size parallelscan_initialize(Relation rel, ParallelTableScanDesc parallel);
void parallelscan_reinitialize(Relation rel, ParallelTableScanDesc parallel);
bool tuple_fetch_row_version(Relation rel, ItemPointer tid, Snapshot snapshot, TupleTableSlot *slot);
bool tuple_tid_valid(TableScanDesc scan, ItemPointer tid);
bool tuple_satisfies_snapshot(Relation rel, TupleTableSlot *slot, Snapshot snapshot);

// --------------------------------------------------------------------------------------------- sampling (samples.cpp)

#if PG_VERSION_NUM >= 170000
bool scan_analyze_next_block(TableScanDesc scan, ReadStream *stream);
#else
bool scan_analyze_next_block(TableScanDesc scan, BlockNumber block, BufferAccessStrategy strategy);
#endif
bool scan_analyze_next_tuple(TableScanDesc scan, TransactionId oldest_xmin, double *live_rows, double *dead_rows,
                             TupleTableSlot *slot);
bool scan_sample_next_block(TableScanDesc scan, SampleScanState *state);
bool scan_sample_next_tuple(TableScanDesc scan, SampleScanState *state, TupleTableSlot *slot);

// ---------------------------------------------------------------------------------------------- writing (writes.cpp)

void tuple_insert(Relation rel, TupleTableSlot *slot, CommandId cid, int options, BulkInsertStateData *bulk_state);
void multi_insert(Relation rel, TupleTableSlot **slots, int slot_count, CommandId cid, int options,
                  BulkInsertStateData *bulk_state);
void finish_bulk_insert(Relation rel, int options);
TM_Result tuple_delete(Relation rel, ItemPointer tid, CommandId cid, Snapshot snapshot, Snapshot crosscheck, bool wait,
                       TM_FailureData *failure, bool changing_part);
TM_Result tuple_lock(Relation rel, ItemPointer tid, Snapshot snapshot, TupleTableSlot *slot, CommandId cid, LockTupleMode mode,
                     LockWaitPolicy wait_policy, uint8 flags, TM_FailureData *failure);

/// Refuses to delete from a table whose deletions a publication should pass on (writes.cpp).
void refuse_published_delete(Relation rel);

// -------------------------------------------------------------------------------------------- whole tables (tables.cpp)

/// Raises an error when a table, of any access method, has not the columns that this kind is sorted by.
void require_key_columns(Relation rel, engine::TableKind kind);
void relation_set_new_file(Relation rel, const FileLocator *locator, char persistence, TransactionId *freeze_xid,
                           MultiXactId *min_multi);
void relation_nontransactional_truncate(Relation rel);
void relation_copy_data(Relation rel, const FileLocator *locator);
void relation_copy_for_cluster(Relation old_rel, Relation new_rel, Relation old_index, bool use_sort, TransactionId oldest_xmin,
                               TransactionId *xid_cutoff, MultiXactId *multi_cutoff, double *live, double *vacuumed,
                               double *recently_dead);
void relation_vacuum(Relation rel, VacuumParams *params, BufferAccessStrategy strategy);
uint64 relation_size(Relation rel, ForkNumber fork);
bool relation_needs_toast_table(Relation rel);
void relation_estimate_size(Relation rel, int32 *attr_widths, BlockNumber *pages, double *rows, double *all_visible_fraction);

// ---------------------------------------------------------------------------------------- refused (unsupported.cpp)

#if PG_VERSION_NUM >= 160000
TM_Result refuse_update(Relation rel, ItemPointer tid, TupleTableSlot *slot, CommandId cid, Snapshot snapshot,
                        Snapshot crosscheck, bool wait, TM_FailureData *failure, LockTupleMode *mode,
                        TU_UpdateIndexes *update_indexes);
#else
TM_Result refuse_update(Relation rel, ItemPointer tid, TupleTableSlot *slot, CommandId cid, Snapshot snapshot,
                        Snapshot crosscheck, bool wait, TM_FailureData *failure, LockTupleMode *mode, bool *update_indexes);
#endif
void refuse_speculative_insert(Relation rel, TupleTableSlot *slot, CommandId cid, int options, BulkInsertStateData *bulk_state,
                               uint32 token);
void refuse_complete_speculative(Relation rel, TupleTableSlot *slot, uint32 token, bool succeeded);
void refuse_latest_tid(TableScanDesc scan, ItemPointer tid);
IndexFetchTableData *refuse_index_fetch_begin(Relation rel);
void ignore_index_fetch(IndexFetchTableData *fetch);
bool refuse_index_fetch_tuple(IndexFetchTableData *fetch, ItemPointer tid, Snapshot snapshot, TupleTableSlot *slot,
                              bool *call_again, bool *all_dead);
TransactionId ignore_index_deletes(Relation rel, TM_IndexDeleteOp *state);
double refuse_index_build(Relation rel, Relation index, IndexInfo *info, bool allow_sync, bool any_visible, bool progress,
                          BlockNumber start, BlockNumber count, IndexBuildCallback callback, void *callback_state,
                          TableScanDesc scan);
void refuse_index_validate(Relation rel, Relation index, IndexInfo *info, Snapshot snapshot, ValidateIndexState *state);
void refuse_toast_slice(Relation toast_rel, Oid value, int32 attr_size, int32 slice_offset, int32 slice_length, varlena *result);

/// The messages, for hooks that refuse earlier.
[[noreturn]] void report_update_refused(const char *table);
[[noreturn]] void report_apply_refused(const char *table);
[[noreturn]] void report_row_lock_refused(const char *table);
[[noreturn]] void report_on_conflict_refused(const char *table);
[[noreturn]] void report_index_refused(const char *table, bool unique);

}  // namespace historian::table_am
