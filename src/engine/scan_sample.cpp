#include "engine/scan_sample.h"

#include "engine/report.h"
#include "engine/row_slot.h"
#include "engine/scan_state.h"
#include "engine/visibility.h"

extern "C" {
#include "optimizer/plancat.h"
}

namespace historian::engine {

using format::EntryKind;
using format::Extent;

namespace {

// ANALYZE wants 30,000 rows (default_statistics_target = 100). Decoding a granule for a few rows is dear, but a small table must
// not be judged by 32 rows because it is compressed into one block.
constexpr uint32 kSampledRows = 30'000;
constexpr uint32 kSampledRowsPerBlockMin = 32;

struct OwnedExtent {
    Extent extent;
    uint32 item;
    uint32 first_page;  // of the extent, within the entry
};

int compare_extents(const void *a, const void *b) {
    const uint32 left = static_cast<const OwnedExtent *>(a)->extent.first_block;
    const uint32 right = static_cast<const OwnedExtent *>(b)->extent.first_block;
    return left < right ? -1 : left > right;
}

bool is_tail(const ScanItem &item) { return item.entry.kind == static_cast<uint8>(EntryKind::tail); }

}  // namespace

struct BlockSample {
    TableScan *scan;
    OwnedExtent *extents;  // sorted by block
    uint32 extent_count;
    uint64 rows_per_block_max;  // of segments
    const ScanItem *item;

    // A tail page: offsets of the page. A segment page: rows of the segment, each standing for `weight`.
    bool in_tail;
    OffsetNumber offset;
    uint64 row;
    uint64 row_end;
    double step;
    uint32 sampled;
    uint32 sample_count;
    double weight;

    // Virtual blocks.
    uint32 *first_virtual_block;  // item_count + 1 of them
    uint32 virtual_first_row;
};

BlockSample *begin_block_sample(TableScan *scan) {
    BlockSample *sample = static_cast<BlockSample *>(MemoryContextAllocZero(scan->context, sizeof(BlockSample)));
    sample->scan = scan;
    uint32 count = 0;
    for (uint32 i = 0; i < scan->item_count; i++) count += scan->items[i].entry.extent_count;
    sample->extents = static_cast<OwnedExtent *>(MemoryContextAllocHuge(scan->context, sizeof(OwnedExtent) * Max(count, 1)));
    for (uint32 i = 0; i < scan->item_count; i++) {
        uint32 first_page = 0;
        for (uint32 e = 0; e < scan->items[i].entry.extent_count; e++) {
            const Extent extent = scan->items[i].entry.extents[e];
            sample->extents[sample->extent_count++] = OwnedExtent{extent, i, first_page};
            first_page += extent.block_count;
        }
    }
    qsort(sample->extents, sample->extent_count, sizeof(OwnedExtent), compare_extents);
    uint64 block_count = 0;
    for (uint32 i = 0; i < sample->extent_count; i++) block_count += sample->extents[i].extent.block_count;
    sample->rows_per_block_max = Max(kSampledRowsPerBlockMin, kSampledRows / Max(block_count, 1));
    return sample;
}

namespace {

const OwnedExtent *find_owner(const BlockSample *sample, BlockNumber block) {
    uint32 low = 0;
    for (uint32 high = sample->extent_count; low < high;) {
        const uint32 middle = low + (high - low) / 2;
        if (sample->extents[middle].extent.first_block <= block)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0) return nullptr;
    const OwnedExtent *owner = &sample->extents[low - 1];
    return block - owner->extent.first_block < owner->extent.block_count ? owner : nullptr;
}

// Turns the scan's granule to the one that holds a row of the open segment, and stores the row.
void store_segment_row(TableScan *scan, uint32 row, TupleTableSlot *slot) {
    Granule *granule = scan->granule;
    const bool open = granule->segment == &scan->segment && scan->granule_index >= 0 && row >= granule->about.first_row &&
                      row - granule->about.first_row < granule->about.row_count;
    if (!open) {
        uint32 low = 0;
        for (uint32 high = scan->segment.header.granule_count; low < high;) {  // the first granule that begins beyond the row
            const uint32 middle = low + (high - low) / 2;
            if (format::granule_at(*scan->segment.index, middle).first_row <= row)
                low = middle + 1;
            else
                high = middle;
        }
        if (low == 0)
            report_damage(scan->rel, scan->segment.entry.extents[0].first_block, "No granule holds the segment's first row.");
        open_granule(granule, &scan->segment, low - 1);
        scan->granule_index = low - 1;
        if (row - granule->about.first_row >= granule->about.row_count) {
            report_damage(scan->rel, scan->segment.entry.extents[0].first_block,
                          "The granules do not hold all rows of the segment.");
        }
    }
    store_sealed_row(slot, granule, row - granule->about.first_row, nullptr);
}

void turn_to_segment(BlockSample *sample, const ScanItem &item) {
    TableScan *scan = sample->scan;
    if (scan->segment.index == nullptr || scan->segment.slot != item.slot) scan->granule_index = -1;
    use_segment(scan, item);
}

bool sample_segment_page(BlockSample *sample, const ScanItem &item, uint32 page) {
    const uint64 rows = item.entry.row_count;
    const uint64 pages = item.entry.used_pages;
    if (page >= pages) return false;
    sample->row = rows * page / pages;
    sample->row_end = rows * (page + 1) / pages;
    const uint64 share = sample->row_end - sample->row;
    if (share == 0) return false;
    turn_to_segment(sample, item);
    sample->sample_count = static_cast<uint32>(Min(share, sample->rows_per_block_max));
    sample->step = static_cast<double>(share) / sample->sample_count;
    sample->weight = sample->step;
    return true;
}

}  // namespace

bool sample_block(BlockSample *sample, BlockNumber block) {
    TableScan *scan = sample->scan;
    close_tail_page(scan);
    sample->item = nullptr;
    sample->sampled = 0;
    const OwnedExtent *owner = find_owner(sample, block);
    if (owner == nullptr) return false;
    const ScanItem &item = scan->items[owner->item];
    const uint32 page = owner->first_page + (block - owner->extent.first_block);
    sample->in_tail = is_tail(item);
    if (sample->in_tail) {
        if (page >= item.entry.used_pages || !open_tail_page(scan, item, page)) return false;
        sample->offset = 0;
    } else if (!sample_segment_page(sample, item, page)) {
        return false;
    }
    sample->item = &item;
    return true;
}

namespace {

// The scan runs under SnapshotAny: every row of the page is in `visible`, and is judged here.
bool next_sampled_tail_row(BlockSample *sample, TransactionId oldest_xmin, double *live_rows, double *dead_rows,
                           TupleTableSlot *slot) {
    TableScan *scan = sample->scan;
    while (sample->offset < scan->visible_count) {
        store_visible_row(scan, sample->offset++, slot);
        HeapTupleData *tuple = &scan->tail_tuple;
        LockBuffer(scan->tail_buffer, BUFFER_LOCK_SHARE);
        const HTSV_Result state = HeapTupleSatisfiesVacuum(tuple, oldest_xmin, scan->tail_buffer);
        LockBuffer(scan->tail_buffer, BUFFER_LOCK_UNLOCK);
        // As for heap: rows that other transactions are inserting are not counted, those that others are deleting are alive.
        const bool inserted_by_us =
            state == HEAPTUPLE_INSERT_IN_PROGRESS && TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(tuple->t_data));
        const bool deleted_by_others = state == HEAPTUPLE_DELETE_IN_PROGRESS &&
                                       !TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetRawXmax(tuple->t_data));
        if (state == HEAPTUPLE_LIVE || inserted_by_us || deleted_by_others) {
            *live_rows += 1;
            return true;
        }
        if (state != HEAPTUPLE_INSERT_IN_PROGRESS) *dead_rows += 1;
    }
    ExecClearTuple(slot);
    return false;
}

}  // namespace

bool next_sampled_row(BlockSample *sample, TransactionId oldest_xmin, double *live_rows, double *dead_rows,
                      TupleTableSlot *slot) {
    if (sample->item != nullptr && sample->in_tail) return next_sampled_tail_row(sample, oldest_xmin, live_rows, dead_rows, slot);
    while (sample->item != nullptr && sample->sampled < sample->sample_count) {
        const uint64 place = sample->row + static_cast<uint64>(sample->step * sample->sampled++);
        const uint32 row = static_cast<uint32>(Min(place, sample->row_end - 1));
        if (has_row(sample->scan->deleted, row)) {
            *dead_rows += sample->weight;
            continue;
        }
        store_segment_row(sample->scan, row, slot);
        *live_rows += sample->weight;
        return true;
    }
    ExecClearTuple(slot);
    return false;
}

uint32 count_virtual_blocks(BlockSample *sample) {
    TableScan *scan = sample->scan;
    if (sample->first_virtual_block == nullptr) {
        const Size count = static_cast<Size>(scan->item_count) + 1;
        sample->first_virtual_block = static_cast<uint32 *>(MemoryContextAllocHuge(scan->context, sizeof(uint32) * count));
    }
    uint32 total = 0;
    for (uint32 i = 0; i < scan->item_count; i++) {
        sample->first_virtual_block[i] = total;
        const format::DirectoryEntry &entry = scan->items[i].entry;
        total += is_tail(scan->items[i]) ? entry.used_pages : (entry.row_count + kVirtualBlockRows - 1) / kVirtualBlockRows;
    }
    sample->first_virtual_block[scan->item_count] = total;
    return total;
}

uint32 open_virtual_block(BlockSample *sample, uint32 virtual_block) {
    TableScan *scan = sample->scan;
    close_tail_page(scan);
    uint32 i = 0;
    for (uint32 high = scan->item_count; i < high;) {  // the last item that begins at or before the block
        const uint32 middle = i + (high - i) / 2;
        if (sample->first_virtual_block[middle + 1] <= virtual_block)
            i = middle + 1;
        else
            high = middle;
    }
    if (i >= scan->item_count) return 0;
    const ScanItem &item = scan->items[i];
    const uint32 part = virtual_block - sample->first_virtual_block[i];
    sample->in_tail = is_tail(item);
    if (sample->in_tail) {
        open_tail_page(scan, item, part);
        return static_cast<uint32>(scan->visible_count);
    }
    turn_to_segment(sample, item);
    sample->virtual_first_row = part * kVirtualBlockRows;
    return Min(item.entry.row_count - sample->virtual_first_row, kVirtualBlockRows);
}

bool virtual_block_row(BlockSample *sample, uint32 offset, TupleTableSlot *slot) {
    TableScan *scan = sample->scan;
    if (sample->in_tail) {
        if (offset < 1 || static_cast<int>(offset) > scan->visible_count) return false;
        store_visible_row(scan, static_cast<int>(offset) - 1, slot);
        return true;
    }
    const uint32 row = sample->virtual_first_row + offset - 1;
    if (row >= scan->segment.entry.row_count || has_row(scan->deleted, row)) return false;
    store_segment_row(scan, row, slot);
    return true;
}

namespace {

// About how many rows of a segment are deleted. The log of a segment whose maker failed may be freed at any moment.
double rows_gone(Relation rel, uint32 slot, const format::DirectoryEntry &entry) {
    if (entry.log_pages == 0 || xid_state(entry.xmin) == XidState::aborted) return 0;
    return static_cast<double>(Min(rows_named_by_log(rel, slot, entry), static_cast<uint64>(entry.row_count)));
}

}  // namespace

void estimate_size(Relation rel, int32 *attr_widths, BlockNumber *pages, double *rows) {
    *pages = RelationGetNumberOfBlocks(rel);
    *rows = 0;
    format::Metapage meta;
    if (!read_metapage(rel, &meta)) return;
    const int32 width = get_rel_data_width(rel, attr_widths) + MAXALIGN(SizeofHeapTupleHeader) + sizeof(ItemIdData);
    const double rows_per_page =
        Min(static_cast<double>(format::kTailRowsMax), static_cast<double>(format::kTailRowBytesMax) / width);
    for_each_entry(rel, meta, [rel, rows, rows_per_page](uint32 slot, const format::DirectoryEntry &entry) {
        if (TransactionIdIsValid(entry.xmax)) return;  // almost always superseded for good
        if (entry.kind == static_cast<uint8>(EntryKind::segment))
            *rows += entry.row_count - rows_gone(rel, slot, entry);
        else if (entry.kind == static_cast<uint8>(EntryKind::tail))
            *rows += entry.used_pages * Max(rows_per_page, 1.0);
    });
}

}  // namespace historian::engine
