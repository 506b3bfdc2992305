#include "engine/row_slot.h"

#include "engine/tid.h"

namespace historian::engine {

namespace {

RowSlot *row_slot(TupleTableSlot *slot) { return reinterpret_cast<RowSlot *>(slot); }

void forget_row(RowSlot *row) {
    row->tail_tuple = nullptr;
    row->granule = nullptr;
}

void slot_init(TupleTableSlot *) {}

void slot_release(TupleTableSlot *) {}

void slot_clear(TupleTableSlot *slot) {
    forget_row(row_slot(slot));
    TTSOpsVirtual.clear(slot);
    ItemPointerSetInvalid(&slot->tts_tid);
}

void fetch_tail_values(TupleTableSlot *slot, RowSlot *row) {
    heap_deform_tuple(row->tail_tuple, slot->tts_tupleDescriptor, slot->tts_values, slot->tts_isnull);
    slot->tts_nvalid = slot->tts_tupleDescriptor->natts;
}

void slot_getsomeattrs(TupleTableSlot *slot, int natts) {
    RowSlot *row = row_slot(slot);
    if (row->tail_tuple != nullptr) {
        fetch_tail_values(slot, row);
    } else if (row->granule != nullptr) {
        for (int i = slot->tts_nvalid; i < natts; i++) {
            if (row->needed != nullptr && !row->needed[i]) {
                slot->tts_values[i] = 0;
                slot->tts_isnull[i] = true;
            } else {
                granule_value(row->granule, i, row->row, &slot->tts_values[i], &slot->tts_isnull[i]);
            }
        }
        slot->tts_nvalid = natts;
    } else {
        elog(ERROR, "getsomeattrs was called on a slot without a row");
    }
}

Datum slot_getsysattr(TupleTableSlot *slot, int attnum, bool *isnull) {
    RowSlot *row = row_slot(slot);
    *isnull = false;
    switch (attnum) {
        case SelfItemPointerAttributeNumber: return PointerGetDatum(&slot->tts_tid);
        case TableOidAttributeNumber: return ObjectIdGetDatum(slot->tts_tableOid);
        case MinTransactionIdAttributeNumber: return TransactionIdGetDatum(row->xmin);
        case MinCommandIdAttributeNumber: return CommandIdGetDatum(row->cmin);
        case MaxTransactionIdAttributeNumber: return TransactionIdGetDatum(InvalidTransactionId);
        case MaxCommandIdAttributeNumber: return CommandIdGetDatum(FirstCommandId);
        default: elog(ERROR, "invalid system attribute number %d", attnum);
    }
}

void fetch_all(TupleTableSlot *slot) {
    if (slot->tts_nvalid < slot->tts_tupleDescriptor->natts) slot_getallattrs(slot);
}

void slot_materialize(TupleTableSlot *slot) {
    fetch_all(slot);
    forget_row(row_slot(slot));
    TTSOpsVirtual.materialize(slot);
}

void slot_copyslot(TupleTableSlot *target, TupleTableSlot *source) {
    forget_row(row_slot(target));
    TTSOpsVirtual.copyslot(target, source);
    target->tts_tid = source->tts_tid;
    target->tts_tableOid = source->tts_tableOid;
    if (!is_row_slot(source)) return;
    row_slot(target)->xmin = row_slot(source)->xmin;
    row_slot(target)->cmin = row_slot(source)->cmin;
}

HeapTuple slot_copy_heap_tuple(TupleTableSlot *slot) {
    fetch_all(slot);
    HeapTuple tuple = heap_form_tuple(slot->tts_tupleDescriptor, slot->tts_values, slot->tts_isnull);
    tuple->t_self = slot->tts_tid;  // ANALYZE sorts its sample by it
    tuple->t_tableOid = slot->tts_tableOid;
    return tuple;
}

#if PG_VERSION_NUM >= 180000
MinimalTuple slot_copy_minimal_tuple(TupleTableSlot *slot, Size extra) {
    fetch_all(slot);
    return heap_form_minimal_tuple(slot->tts_tupleDescriptor, slot->tts_values, slot->tts_isnull, extra);
}
#else
MinimalTuple slot_copy_minimal_tuple(TupleTableSlot *slot) {
    fetch_all(slot);
    return heap_form_minimal_tuple(slot->tts_tupleDescriptor, slot->tts_values, slot->tts_isnull);
}
#endif

#if PG_VERSION_NUM >= 170000
bool slot_is_current_xact_tuple(TupleTableSlot *slot) { return TransactionIdIsCurrentTransactionId(row_slot(slot)->xmin); }
#endif

}  // namespace

const TupleTableSlotOps kRowSlotOps = {
    .base_slot_size = sizeof(RowSlot),
    .init = slot_init,
    .release = slot_release,
    .clear = slot_clear,
    .getsomeattrs = slot_getsomeattrs,
    .getsysattr = slot_getsysattr,
#if PG_VERSION_NUM >= 170000
    .is_current_xact_tuple = slot_is_current_xact_tuple,
#endif
    .materialize = slot_materialize,
    .copyslot = slot_copyslot,
    .get_heap_tuple = nullptr,
    .get_minimal_tuple = nullptr,
    .copy_heap_tuple = slot_copy_heap_tuple,
    .copy_minimal_tuple = slot_copy_minimal_tuple,
};

void store_tail_row(TupleTableSlot *slot, const HeapTupleData &tuple, const bool *needed) {
    ExecClearTuple(slot);
    RowSlot *row = row_slot(slot);
    row->tail_space = tuple;
    row->tail_tuple = &row->tail_space;
    row->needed = needed;
    row->xmin = HeapTupleHeaderGetXmin(tuple.t_data);
    row->cmin = HeapTupleHeaderGetRawCommandId(tuple.t_data);
    slot->tts_flags &= ~TTS_FLAG_EMPTY;
    slot->tts_nvalid = 0;
    slot->tts_tid = tuple.t_self;
    slot->tts_tableOid = tuple.t_tableOid;
}

void store_sealed_row(TupleTableSlot *slot, Granule *granule, uint32 number, const bool *needed) {
    if (TTS_SHOULDFREE(slot)) ExecClearTuple(slot);  // otherwise it holds nothing of its own, and all that is cleared is set here
    if (unlikely(granule->desc != slot->tts_tupleDescriptor)) reshape_granule(granule, slot->tts_tupleDescriptor);
    RowSlot *row = row_slot(slot);
    row->tail_tuple = nullptr;
    row->granule = granule;
    row->row = number;
    row->needed = needed;
    row->xmin = granule->segment->entry.xmin;
    row->cmin = granule->segment->entry.cmin;
    slot->tts_flags &= ~TTS_FLAG_EMPTY;
    slot->tts_nvalid = 0;
    set_sealed_tid(&slot->tts_tid, granule->segment->slot, granule->about.first_row + number);
    slot->tts_tableOid = RelationGetRelid(granule->rel);
}

}  // namespace historian::engine
