#include "engine/contents.h"

#include "engine/delete_log.h"
#include "engine/row.h"
#include "engine/segment_store.h"
#include "engine/space.h"
#include "engine/validate.h"
#include "engine/visibility.h"

namespace historian::engine {

using format::DirectoryEntry;
using format::PageKind;

namespace {

// One row's columns, used for row after row.
struct RowSpace {
    TupleDesc desc;
    Datum *values;
    bool *nulls;
};

// Tail rows are flat (flatten_values()) and match their checksum, so no value is elsewhere or compressed.
uint64 raw_bytes_of_row(const RowSpace &space, HeapTuple tuple) {
    heap_deform_tuple(tuple, space.desc, space.values, space.nulls);
    const int stored = Min(static_cast<int>(HeapTupleHeaderGetNatts(tuple->t_data)), space.desc->natts);
    uint64 bytes = 0;
    for (int i = 0; i < stored; i++) {
        if (!space.nulls[i]) bytes += value_bytes(space.values[i], TupleDescAttr(space.desc, i));
    }
    return bytes;
}

bool is_dead_for_good(HeapTuple tuple, Buffer buffer) {
    TransactionId dead_after;
    const HTSV_Result state = HeapTupleSatisfiesVacuumHorizon(tuple, buffer, &dead_after);
    return state == HEAPTUPLE_DEAD || state == HEAPTUPLE_RECENTLY_DEAD;
}

void add_tail_page(Relation rel, uint32 slot, const DirectoryEntry &entry, uint32 page_index, const RowSpace &space,
                   Contents *contents) {
    const BlockNumber block = entry_block(entry, page_index);
    const Buffer buffer = lock_page(rel, block, PageLock::shared);
    Page page = BufferGetPage(buffer);
    const format::PageTrailer *trailer = page_trailer(page);
    if (!page_is(page, PageKind::tail) || trailer->slot != slot || trailer->generation != entry.generation ||
        trailer->sequence != page_index || PageGetMaxOffsetNumber(page) > format::kTailRowsMax) {
        report_damage(rel, block, "The block does not belong to the tail run that names it.");
    }
    TailPage tail = {rel, block, page};
    for (OffsetNumber offset = FirstOffsetNumber; offset <= PageGetMaxOffsetNumber(page); offset++) {
        HeapTupleData tuple;
        if (!tail_tuple_at(&tail, offset, &tuple) || is_dead_for_good(&tuple, buffer)) continue;
        validate_row(rel, &tuple);
        contents->tail_rows++;
        contents->raw_bytes += raw_bytes_of_row(space, &tuple);
    }
    UnlockReleaseBuffer(buffer);
}

void add_run(Relation rel, uint32 slot, const DirectoryEntry &entry, Contents *contents) {
    const TupleDesc desc = RelationGetDescr(rel);
    const RowSpace space = {desc, static_cast<Datum *>(palloc(sizeof(Datum) * desc->natts)),
                            static_cast<bool *>(palloc(sizeof(bool) * desc->natts))};
    for (uint32 page = 0; page < entry.used_pages; page++) {
        CHECK_FOR_INTERRUPTS();
        add_tail_page(rel, slot, entry, page, space, contents);
    }
}

}  // namespace

void add_contents(Relation rel, uint32 slot, const DirectoryEntry &entry, Snapshot snapshot, Contents *contents) {
    if (!entry_is_visible(entry, snapshot)) return;
    CHECK_FOR_INTERRUPTS();
    MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "historian contents", ALLOCSET_SMALL_SIZES);
    MemoryContext old = MemoryContextSwitchTo(context);
    if (format::is_tail(entry)) {
        add_run(rel, slot, entry, contents);
    } else {
        format::SegmentHeader header;
        read_segment_header(rel, slot, entry, &header);
        contents->sealed_rows += header.row_count;
        contents->raw_bytes += header.raw_bytes;
        contents->deleted_rows += settled_rows(rel, slot, entry, InvalidTransactionId, context).settled.member_count;
    }
    MemoryContextSwitchTo(old);
    MemoryContextDelete(context);
}

}  // namespace historian::engine
