// Callbacks that store rows.
#include "engine/bulk_load.h"
#include "engine/gate.h"
#include "engine/row.h"
#include "engine/row_delete.h"
#include "engine/row_slot.h"
#include "engine/scan.h"
#include "engine/tail.h"
#include "table_am/callbacks.h"

namespace historian::table_am {

namespace {

// Rows of one call, formed and stored; everything allocated on the way goes with this context, which lives as long as the
// backend.
MemoryContext insert_context() {
    static MemoryContext context = nullptr;
    if (context == nullptr) context = AllocSetContextCreate(TopMemoryContext, "historian insert", ALLOCSET_DEFAULT_SIZES);
    return context;
}

constexpr int kRowsPerAppend = 1024;

// Our WAL records cannot be decoded into rows yet: a subscriber would miss them, and nothing would say so.
void refuse_published_table(Relation rel, bool is_delete) {
    if (likely(!RelationIsLogicallyLogged(rel))) return;
    PublicationDesc publications;
    RelationBuildPublicationDesc(rel, &publications);
    if (is_delete ? !publications.pubactions.pubdelete : !publications.pubactions.pubinsert) return;
    ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
            is_delete ? errmsg("cannot delete from table \"%s\" while it is published", RelationGetRelationName(rel))
                      : errmsg("cannot insert into table \"%s\" while it is published", RelationGetRelationName(rel)),
            errdetail("Logical replication of tag and log tables is not supported: subscribers would miss the change."),
            errhint("Publish the other tables by name, or without insert and delete (WITH (publish = 'truncate'))."));
}

// Rows formed but not yet on a page, with the slots whose TIDs they will give.
struct PendingRows {
    engine::TailRow *rows;
    TupleTableSlot **slots;
    int count;
    int count_max;
};

void note_stored(Relation rel, TupleTableSlot *slot, CommandId cid) {
    slot->tts_tableOid = RelationGetRelid(rel);
    if (!engine::is_row_slot(slot)) return;
    engine::RowSlot *row = reinterpret_cast<engine::RowSlot *>(slot);  // so that RETURNING xmin tells the truth
    row->xmin = GetCurrentTransactionId();
    row->cmin = cid;
}

void append_pending(Relation rel, PendingRows *pending, CommandId cid) {
    if (pending->count == 0) return;
    engine::append_rows(rel, pending->rows, pending->count, cid);
    for (int i = 0; i < pending->count; i++) {
        pending->slots[i]->tts_tid = pending->rows[i].tuple->t_self;
        note_stored(rel, pending->slots[i], cid);
    }
    pending->count = 0;
}

void insert_rows(Relation rel, TupleTableSlot **slots, int slot_count, CommandId cid) {
    const TupleDesc desc = RelationGetDescr(rel);
    const engine::KeyColumns keys = engine::key_columns(rel);
    const TransactionId xid = GetCurrentTransactionId();
    PendingRows pending = {nullptr, nullptr, 0, Min(slot_count, kRowsPerAppend)};
    pending.rows = static_cast<engine::TailRow *>(palloc(sizeof(engine::TailRow) * pending.count_max));
    pending.slots = static_cast<TupleTableSlot **>(palloc(sizeof(TupleTableSlot *) * pending.count_max));
    Datum *values = static_cast<Datum *>(palloc(sizeof(Datum) * desc->natts));
    for (int i = 0; i < slot_count; i++) {
        TupleTableSlot *slot = slots[i];
        slot_getallattrs(slot);
        memcpy(values, slot->tts_values, sizeof(Datum) * desc->natts);
        engine::flatten_values(desc, values, slot->tts_isnull);
        const Size bytes = heap_compute_data_size(desc, values, slot->tts_isnull);
        const Size header_bytes = MAXALIGN(SizeofHeapTupleHeader + BITMAPLEN(desc->natts));
        if (header_bytes + bytes > format::kTailRowBytesMax) {
            engine::store_large_row(rel, slot, cid, &slot->tts_tid);
            note_stored(rel, slot, cid);
            continue;
        }
        pending.rows[pending.count] =
            engine::form_tail_row(desc, keys, values, slot->tts_isnull, xid, cid, RelationGetRelid(rel));
        pending.slots[pending.count++] = slot;
        if (pending.count == pending.count_max) append_pending(rel, &pending, cid);
    }
    append_pending(rel, &pending, cid);
}

}  // namespace

void tuple_insert(Relation rel, TupleTableSlot *slot, CommandId cid, int, BulkInsertStateData *bulk_state) {
    refuse_published_table(rel, false);
    MemoryContext old = MemoryContextSwitchTo(insert_context());
    if (engine::may_bulk_load(rel, bulk_state, true)) {
        engine::bulk_load_rows(rel, &slot, 1, cid);
    } else {
        insert_rows(rel, &slot, 1, cid);
    }
    MemoryContextSwitchTo(old);
    MemoryContextReset(insert_context());
    pgstat_count_heap_insert(rel, 1);
}

void multi_insert(Relation rel, TupleTableSlot **slots, int slot_count, CommandId cid, int, BulkInsertStateData *bulk_state) {
    refuse_published_table(rel, false);
    MemoryContext old = MemoryContextSwitchTo(insert_context());
    if (engine::may_bulk_load(rel, bulk_state, false)) {
        engine::bulk_load_rows(rel, slots, slot_count, cid);
    } else {
        insert_rows(rel, slots, slot_count, cid);
    }
    MemoryContextSwitchTo(old);
    MemoryContextReset(insert_context());
    pgstat_count_heap_insert(rel, slot_count);
}

void refuse_published_delete(Relation rel) { refuse_published_table(rel, true); }

TM_Result tuple_delete(Relation rel, ItemPointer tid, CommandId cid, Snapshot, Snapshot crosscheck, bool wait,
                       TM_FailureData *failure, bool) {
    refuse_published_table(rel, true);
    if (!engine::is_inside_gate(RelationGetRelid(rel))) report_apply_refused(RelationGetRelationName(rel));
    const engine::RowChange change = {false, cid, crosscheck, wait ? LockWaitBlock : LockWaitSkip};
    MemoryContext old = MemoryContextSwitchTo(insert_context());
    const TM_Result result = engine::change_row(rel, tid, change, failure);
    MemoryContextSwitchTo(old);
    MemoryContextReset(insert_context());
    if (result == TM_Ok) pgstat_count_heap_delete(rel);
    return result == TM_WouldBlock ? TM_BeingModified : result;
}

// Called for BEFORE ROW DELETE triggers and foreign-key checks (FOR KEY SHARE); FOR UPDATE and its like, written by a user, are
// refused before they come here. Every mode is the one exclusive lock (rule R18).
TM_Result tuple_lock(Relation rel, ItemPointer tid, Snapshot snapshot, TupleTableSlot *slot, CommandId cid, LockTupleMode,
                     LockWaitPolicy wait_policy, uint8, TM_FailureData *failure) {
    *failure = TM_FailureData{};  // callers read `traversed` also when all is well
    failure->ctid = *tid;
    // Logical replication locks what it is about to update or delete, which is refused then.
    if (!engine::is_inside_gate(RelationGetRelid(rel))) {
        ItemPointerData wanted = *tid;
        return engine::fetch_row(rel, &wanted, snapshot, slot) ? TM_Ok : TM_Deleted;
    }
    const engine::RowChange change = {true, cid, InvalidSnapshot, wait_policy};
    ItemPointerData row = *tid;  // may be the slot's own: fetching a row clears the slot first
    MemoryContext old = MemoryContextSwitchTo(insert_context());
    const TM_Result result = engine::change_row(rel, &row, change, failure);
    MemoryContextSwitchTo(old);
    MemoryContextReset(insert_context());
    if (result == TM_Ok && !engine::fetch_row(rel, &row, SnapshotAny, slot)) return TM_Deleted;
    return result;
}

void finish_bulk_insert(Relation rel, int) { engine::finish_bulk_load(RelationGetRelid(rel)); }

}  // namespace historian::table_am
