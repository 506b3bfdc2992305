// Callbacks that read rows.
#include "engine/row_slot.h"
#include "table_am/callbacks.h"
#include "table_am/plain_scan.h"

namespace historian::table_am {

const TupleTableSlotOps *slot_callbacks(Relation) { return &engine::kRowSlotOps; }

TableScanDesc scan_begin(Relation rel, Snapshot snapshot, int key_count, ScanKeyData *, ParallelTableScanDesc parallel,
                         uint32 flags) {
    if (key_count > 0) {
        ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                errmsg("scan keys are not supported on table \"%s\"", RelationGetRelationName(rel)));
    }
    if (snapshot != nullptr && snapshot->snapshot_type == SNAPSHOT_DIRTY) {
        // Who looks with such a snapshot (logical replication, for the row to change) waits for the transactions that the scan
        // notes here, and does not initialise them. We show rows of finished transactions only: there is nobody to wait for.
        snapshot->xmin = InvalidTransactionId;
        snapshot->xmax = InvalidTransactionId;
        snapshot->speculativeToken = 0;
    }
    PlainScan *scan = static_cast<PlainScan *>(palloc0(sizeof(PlainScan)));
    scan->base.rs_rd = rel;
    scan->base.rs_snapshot = snapshot;
    scan->base.rs_flags = flags;
    scan->base.rs_parallel = parallel;
    RelationIncrementReferenceCount(rel);
    // ANALYZE brings no snapshot: it judges row by row.
    scan->scan = engine::begin_scan(rel, snapshot != nullptr ? snapshot : SnapshotAny, nullptr,
                                    reinterpret_cast<engine::ParallelScan *>(parallel));
    if ((flags & SO_TYPE_SEQSCAN) != 0) pgstat_count_heap_scan(rel);
    return &scan->base;
}

void scan_end(TableScanDesc base) {
    PlainScan *scan = plain_scan(base);
    engine::end_scan(scan->scan);
    RelationDecrementReferenceCount(base->rs_rd);
    if ((base->rs_flags & SO_TEMP_SNAPSHOT) != 0) UnregisterSnapshot(base->rs_snapshot);
    pfree(scan);
}

void scan_rescan(TableScanDesc base, ScanKeyData *, bool, bool, bool, bool) {
    engine::restart_scan(plain_scan(base)->scan);
    plain_scan(base)->next_sample_block = 0;
    if ((base->rs_flags & SO_TYPE_SEQSCAN) != 0) pgstat_count_heap_scan(base->rs_rd);
}

bool scan_getnextslot(TableScanDesc base, ScanDirection direction, TupleTableSlot *slot) {
    if (!engine::next_row(plain_scan(base)->scan, direction, slot)) return false;
    pgstat_count_heap_getnext(base->rs_rd);
    return true;
}

Size parallelscan_estimate(Relation) { return sizeof(engine::ParallelScan); }

Size parallelscan_initialize(Relation rel, ParallelTableScanDesc parallel) {
    name_relation(parallel, rel);
    parallel->phs_syncscan = false;
    engine::initialize_parallel_scan(rel, reinterpret_cast<engine::ParallelScan *>(parallel));
    return sizeof(engine::ParallelScan);
}

void parallelscan_reinitialize(Relation, ParallelTableScanDesc parallel) {
    pg_atomic_write_u32(&reinterpret_cast<engine::ParallelScan *>(parallel)->next_slot, 0);
}

bool tuple_fetch_row_version(Relation rel, ItemPointer tid, Snapshot snapshot, TupleTableSlot *slot) {
    if (!engine::fetch_row(rel, tid, snapshot, slot)) return false;
    slot->tts_tableOid = RelationGetRelid(rel);
    return true;
}

bool tuple_tid_valid(TableScanDesc scan, ItemPointer tid) { return engine::tid_is_possible(scan->rs_rd, tid); }

bool tuple_satisfies_snapshot(Relation rel, TupleTableSlot *slot, Snapshot snapshot) {
    return engine::fetch_row(rel, &slot->tts_tid, snapshot, nullptr);
}

}  // namespace historian::table_am
