// Single rows by their TIDs: for triggers, foreign-key checks and TID scans.
#include "engine/delete_log.h"
#include "engine/granule_cache.h"
#include "engine/pages.h"
#include "engine/report.h"
#include "engine/row_slot.h"
#include "engine/scan.h"
#include "engine/space.h"
#include "engine/tid.h"
#include "engine/validate.h"
#include "engine/visibility.h"

namespace historian::engine {

using format::DirectoryEntry;
using format::EntryKind;
using format::PageKind;

namespace {

// Under SnapshotAny the caller fetches again a row that its statement has read, for a trigger or because another table's row
// changed under it: the statement's own snapshot keeps the row, though its entry may be superseded by now.
bool may_fetch_from(const DirectoryEntry &entry, Snapshot snapshot) {
    return snapshot->snapshot_type == SNAPSHOT_ANY || entry_is_visible(entry, snapshot);
}

// Whether a tail page belongs to a run whose rows the snapshot reads there: not in a segment that replaced it, and not a page
// freed since.
bool may_fetch_from_page(Relation rel, Page page, Snapshot snapshot) {
    format::Metapage meta;
    const format::PageTrailer *trailer = page_trailer(page);
    if (!read_metapage(rel, &meta) || trailer->slot >= meta.slot_count) return false;
    const DirectoryEntry entry = read_entry(rel, meta, trailer->slot);
    return is_tail(entry) && entry.generation == trailer->generation && may_fetch_from(entry, snapshot);
}

bool fetch_sealed_row(Relation rel, SealedAddress address, Snapshot snapshot, TupleTableSlot *slot) {
    format::Metapage meta;
    if (!read_metapage(rel, &meta) || address.slot >= meta.slot_count) return false;
    const DirectoryEntry entry = read_entry(rel, meta, address.slot);
    if (entry.kind != static_cast<uint8>(EntryKind::segment) || address.row >= entry.row_count) return false;
    if (!may_fetch_from(entry, snapshot)) return false;
    TupleDesc desc = slot != nullptr ? slot->tts_tupleDescriptor : RelationGetDescr(rel);
    CachedSegment *segment = borrow_segment(rel, address.slot, entry, key_columns_of(meta), desc);
    const bool asks_log = snapshot->snapshot_type != SNAPSHOT_ANY && entry.log_pages > 0;
    bool found =
        !asks_log || !row_is_deleted(rel, {address.slot, entry, first_log_page_for(segment, address.row)}, address.row, snapshot);
    if (found && slot != nullptr) {
        uint32 row_in_granule;
        Granule *granule = granule_with_row(segment, address.row, &row_in_granule);
        found = granule != nullptr;
        if (found) {
            store_sealed_row(slot, granule, row_in_granule, nullptr);
            ExecMaterializeSlot(slot);
        }
    }
    give_back_segment();
    return found;
}

bool fetch_tail_row(Relation rel, ItemPointer tid, Snapshot snapshot, TupleTableSlot *slot) {
    const BlockNumber block = ItemPointerGetBlockNumber(tid);
    const OffsetNumber offset = ItemPointerGetOffsetNumber(tid);
    if (block >= RelationGetNumberOfBlocks(rel)) return false;
    const Buffer buffer = lock_page(rel, block, PageLock::shared);
    Page page = BufferGetPage(buffer);
    bool visible = false;
    if (page_is(page, PageKind::tail) && offset >= FirstOffsetNumber && offset <= PageGetMaxOffsetNumber(page) &&
        ItemIdIsNormal(PageGetItemId(page, offset)) && may_fetch_from_page(rel, page, snapshot)) {
        HeapTupleData tuple = {};
        TailPage tail = {rel, block, page};
        tail_tuple_at(&tail, offset, &tuple);
        visible = HeapTupleSatisfiesVisibility(&tuple, snapshot, buffer);
        HeapCheckForSerializableConflictOut(visible, rel, &tuple, buffer, snapshot);
        if (visible) validate_row(rel, &tuple);
        if (visible && slot != nullptr) {
            store_tail_row(slot, tuple, nullptr);
            ExecMaterializeSlot(slot);
        }
    }
    UnlockReleaseBuffer(buffer);
    return visible;
}

}  // namespace

bool tid_is_possible(Relation rel, ItemPointer tid) {
    if (!ItemPointerIsValid(tid)) return false;
    format::Metapage meta;
    if (!read_metapage(rel, &meta)) return false;
    return is_sealed_tid(tid) ? sealed_address(tid).slot < meta.slot_count
                              : ItemPointerGetBlockNumber(tid) < RelationGetNumberOfBlocks(rel);
}

bool fetch_row(Relation rel, ItemPointer tid, Snapshot snapshot, TupleTableSlot *slot) {
    if (slot != nullptr) ExecClearTuple(slot);
    if (!ItemPointerIsValid(tid)) return false;
    return is_sealed_tid(tid) ? fetch_sealed_row(rel, sealed_address(tid), snapshot, slot)
                              : fetch_tail_row(rel, tid, snapshot, slot);
}

}  // namespace historian::engine
