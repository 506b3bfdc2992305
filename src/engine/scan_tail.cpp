// The tail in a scan: which pages of a run the filter leaves, and their visible rows.
#include "engine/report.h"
#include "engine/row_slot.h"
#include "engine/scan_state.h"
#include "engine/tail_summary.h"
#include "engine/validate.h"
#include "format/page_summary.h"

namespace historian::engine {

using format::PageKind;
using format::TailSpecial;

void build_fingerprints(TableScan *scan) {
    if (scan->filter == nullptr || !scan->filter->by_tag) {
        scan->fingerprints = nullptr;
        return;
    }
    constexpr Size kBytes = (PG_UINT16_MAX + 1) / 8;
    if (scan->fingerprints == nullptr) scan->fingerprints = static_cast<uint8 *>(MemoryContextAlloc(scan->context, kBytes));
    memset(scan->fingerprints, 0, kBytes);
    for (uint32 i = 0; i < scan->filter->tag_count; i++) {
        const uint16 fingerprint = scan->filter->tags[i].fingerprint;
        scan->fingerprints[fingerprint / 8] |= static_cast<uint8>(1u << (fingerprint % 8));
    }
}

namespace {

bool fingerprint_matches(const TableScan *scan, uint16 fingerprint) {
    return scan->fingerprints == nullptr || (scan->fingerprints[fingerprint / 8] >> (fingerprint % 8)) & 1;
}

bool any_fingerprint_matches(const TableScan *scan, Page page) {
    if (scan->fingerprints == nullptr) return true;
    const uint16 *fingerprints = tail_special(page)->fingerprints;
    const uint32 count = Min(PageGetMaxOffsetNumber(page), format::kTailRowsMax);
    if (scan->filter->tag_count == 1) {
        // The compiler vectorises this: most pages of the tail are passed over here.
        const uint16 wanted = scan->filter->tags[0].fingerprint;
        uint16 found = 0;
        for (uint32 i = 0; i < count; i++) found |= static_cast<uint16>(fingerprints[i] == wanted);
        return found != 0;
    }
    for (uint32 i = 0; i < count; i++) {
        if (fingerprint_matches(scan, fingerprints[i])) return true;
    }
    return false;
}

// The page's summary, which exists.
const format::PageSummary &summary_of(TableScan *scan, const ScanItem &item, uint32 page_index) {
    if (scan->summaries == nullptr)
        scan->summaries = static_cast<SummaryReader *>(MemoryContextAllocZero(scan->context, sizeof(SummaryReader)));
    return read_summary(scan->summaries, scan->rel, item.slot, item.entry, page_index);
}

// More tags than these are looked for on the pages themselves: hardly a page has none of them.
constexpr uint32 kSummaryTagsMax = 16;

}  // namespace

bool summary_excludes(TableScan *scan, const ScanItem &item, uint32 page_index) {
    const ScanFilter *filter = scan->filter;
    const bool by_tag = filter != nullptr && filter->by_tag && filter->tag_count <= kSummaryTagsMax;
    if (!by_tag && (filter == nullptr || !filter->by_time)) return false;
    if (!has_summary(item.entry, page_index)) return false;
    const format::PageSummary &summary = summary_of(scan, item, page_index);
    if (filter->by_time && !times_overlap(*filter, summary.time_min, summary.time_max)) return true;
    if (!by_tag) return false;
    for (uint32 i = 0; i < filter->tag_count; i++) {
        if (may_hold(summary, filter->tags[i].fingerprint)) return false;
    }
    return true;
}

namespace {

Buffer lock_tail_page(TableScan *scan, const ScanItem &item, uint32 page_index) {
    const BlockNumber block = entry_block(item.entry, page_index);
    const Buffer buffer = lock_page(scan->rel, block, PageLock::shared);
    Page page = BufferGetPage(buffer);
    if (!page_is(page, PageKind::tail) || page_trailer(page)->generation != item.entry.generation ||
        page_trailer(page)->slot != item.slot) {
        UnlockReleaseBuffer(buffer);
        report_damage(scan->rel, block, "The block does not belong to the tail run that names it.");
    }
    return buffer;
}

}  // namespace

void forget_summaries(TableScan *scan) {
    if (scan->summaries != nullptr) *scan->summaries = {};
}

bool open_tail_page(TableScan *scan, const ScanItem &item, uint32 page_index) {
    if (summary_excludes(scan, item, page_index)) {
        scan->visible_count = 0;
        scan->counters.tail_pages_skipped++;
        return false;
    }
    const Buffer buffer = lock_tail_page(scan, item, page_index);
    const BlockNumber block = BufferGetBlockNumber(buffer);
    Page page = BufferGetPage(buffer);
    const TailSpecial *special = tail_special(page);
    const ScanFilter *filter = scan->filter;
    const bool skip = (filter != nullptr && filter->by_time && !times_overlap(*filter, special->time_min, special->time_max)) ||
                      !any_fingerprint_matches(scan, page);
    scan->visible_count = 0;
    if (skip) {
        UnlockReleaseBuffer(buffer);
        scan->counters.tail_pages_skipped++;
        return false;
    }
    scan->counters.tail_pages_read++;
    scan->tail_buffer = buffer;
    HeapTupleData *tuple = &scan->tail_tuple;
    TailPage tail = {scan->rel, block, page};
    for (OffsetNumber offset = FirstOffsetNumber; offset <= PageGetMaxOffsetNumber(page); offset++) {
        if (offset > format::kTailRowsMax || !fingerprint_matches(scan, special->fingerprints[offset - 1])) continue;
        if (!tail_tuple_at(&tail, offset, tuple)) continue;
        const bool visible = HeapTupleSatisfiesVisibility(tuple, scan->snapshot, buffer);
        HeapCheckForSerializableConflictOut(visible, scan->rel, tuple, buffer, scan->snapshot);
        if (!visible) continue;
        validate_row(scan->rel, tuple);
        scan->visible[scan->visible_count++] = offset;
    }
    LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
    return true;
}

void close_tail_page(TableScan *scan) {
    if (BufferIsValid(scan->tail_buffer)) ReleaseBuffer(scan->tail_buffer);
    scan->tail_buffer = InvalidBuffer;
    scan->visible_count = 0;
}

namespace {

// Points scan->tail_tuple to a row of the pinned page.
void find_row(TableScan *scan, OffsetNumber offset) {
    Page page = BufferGetPage(scan->tail_buffer);
    const ItemId item_id = PageGetItemId(page, offset);
    HeapTupleData *tuple = &scan->tail_tuple;
    tuple->t_data = reinterpret_cast<HeapTupleHeader>(PageGetItem(page, item_id));
    tuple->t_len = ItemIdGetLength(item_id);
    ItemPointerSet(&tuple->t_self, BufferGetBlockNumber(scan->tail_buffer), offset);
}

}  // namespace

void store_tail_row_at(TableScan *scan, OffsetNumber offset, TupleTableSlot *slot) {
    find_row(scan, offset);
    store_tail_row(slot, scan->tail_tuple, nullptr);
}

void store_visible_row(TableScan *scan, int index, TupleTableSlot *slot) { store_tail_row_at(scan, scan->visible[index], slot); }

int64 visible_row_time(TableScan *scan, int index, TupleDesc desc) {
    find_row(scan, scan->visible[index]);
    bool is_null;
    const Datum time = heap_getattr(&scan->tail_tuple, scan->keys.time, desc, &is_null);
    return is_null ? PG_INT64_MIN : DatumGetInt64(time);
}

RowKeys visible_row_keys(TableScan *scan, int index, TupleDesc desc) {
    find_row(scan, scan->visible[index]);
    RowKeys keys = {};
    keys.tag = heap_getattr(&scan->tail_tuple, scan->keys.tag, desc, &keys.tag_is_null);
    keys.time = heap_getattr(&scan->tail_tuple, scan->keys.time, desc, &keys.time_is_null);
    return keys;
}

void page_times(TableScan *scan, const ScanItem &item, uint32 page_index, int64 *time_min, int64 *time_max) {
    if (has_summary(item.entry, page_index)) {
        const format::PageSummary &summary = summary_of(scan, item, page_index);
        *time_min = summary.time_min;
        *time_max = summary.time_max;
        return;
    }
    const Buffer buffer = lock_tail_page(scan, item, page_index);
    const TailSpecial *special = tail_special(BufferGetPage(buffer));
    *time_min = special->time_min;
    *time_max = special->time_max;
    UnlockReleaseBuffer(buffer);
}

}  // namespace historian::engine
