#include "engine/scan.h"

#include "engine/bulk_load.h"
#include "engine/report.h"
#include "engine/row.h"
#include "engine/row_slot.h"
#include "engine/scan_by_tag.h"
#include "engine/scan_by_time.h"
#include "engine/scan_search.h"
#include "engine/segment_cache.h"
#include "engine/tag_rows.h"
#include "engine/tid.h"
#include "engine/visibility.h"

namespace historian::engine {

using format::DirectoryEntry;
using format::EntryKind;

namespace {

// ---------------------------------------------------------------------------------------------------- what can be skipped

int compare_bytes(const void *a, uint32 a_bytes, const void *b, uint32 b_bytes) {
    const int order = memcmp(a, b, Min(a_bytes, b_bytes));
    return order != 0 ? order : (a_bytes < b_bytes ? -1 : a_bytes > b_bytes ? 1 : 0);
}

}  // namespace

bool times_overlap(const ScanFilter &filter, int64 time_min, int64 time_max) {
    return filter.time_min <= filter.time_max && filter.time_min <= time_max && time_min <= filter.time_max;
}

bool entry_may_hold(const DirectoryEntry &entry, const TagFilter &tag) {
    if (compare_bytes(tag.data, tag.byte_count, entry.tag_first, entry.tag_first_bytes) < 0) return false;
    const uint32 prefix_bytes = Min(tag.byte_count, static_cast<uint32>(format::kEntryTagBytes));
    return compare_bytes(tag.data, prefix_bytes, entry.tag_last, entry.tag_last_bytes) <= 0;
}

namespace {

bool entry_may_hold_range(const DirectoryEntry &entry, const ScanFilter &filter) {
    const TagFilter &low = filter.tag_low;
    const TagFilter &high = filter.tag_high;
    if (high.data != nullptr && compare_bytes(entry.tag_first, entry.tag_first_bytes, high.data, high.byte_count) >= 0)
        return false;
    const uint32 prefix_bytes = Min(low.byte_count, static_cast<uint32>(format::kEntryTagBytes));
    return compare_bytes(low.data, prefix_bytes, entry.tag_last, entry.tag_last_bytes) <= 0;
}

}  // namespace

bool segment_may_match(const ScanFilter &filter, const DirectoryEntry &entry) {
    if (filter.tail_only) return false;
    if (filter.by_time && !times_overlap(filter, entry.time_min, entry.time_max)) return false;
    if (!filter.by_tag && !filter.by_tag_range) return true;
    if (entry.flags & format::kEntryTagsUnknown) return false;  // every tag is NULL, and NULL equals nothing
    if (filter.by_tag_range) return entry_may_hold_range(entry, filter);
    // The tags are sorted: the first one that is not before the segment's first decides.
    uint32 low = 0;
    for (uint32 high = filter.tag_count; low < high;) {
        const uint32 middle = low + (high - low) / 2;
        const TagFilter &tag = filter.tags[middle];
        if (compare_bytes(tag.data, tag.byte_count, entry.tag_first, entry.tag_first_bytes) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < filter.tag_count && entry_may_hold(entry, filter.tags[low]);
}

namespace {

// ------------------------------------------------------------------------------------------------------------ item by item

// Whether an entry becomes an item; counts it as skipped when only the filter is against it.
bool wants_entry(TableScan *scan, const DirectoryEntry &entry) {
    const bool visible = entry_is_visible(entry, scan->snapshot);
    report_entry_conflict(scan->rel, entry, visible, scan->snapshot);
    if (!visible) return false;
    if (is_tail(entry)) return entry.used_pages > 0;
    if (scan->filter == nullptr || segment_may_match(*scan->filter, entry)) return true;
    scan->counters.segments_skipped++;
    return false;
}

bool claim_parallel_item(TableScan *scan) {
    for (;;) {
        CHECK_FOR_INTERRUPTS();
        const uint32 slot = pg_atomic_fetch_add_u32(&scan->parallel->next_slot, 1);
        if (slot >= scan->parallel->slot_limit) return false;
        scan->claimed.slot = slot;
        scan->claimed.entry = read_entry(scan->rel, scan->meta, slot);
        if (wants_entry(scan, scan->claimed.entry)) return true;
    }
}

}  // namespace

const ScanItem *next_item(TableScan *scan, bool forward) {
    if (scan->is_empty) return nullptr;
    if (scan->parallel != nullptr) return claim_parallel_item(scan) ? &scan->claimed : nullptr;
    if (forward) {
        if (scan->item_index < static_cast<int64>(scan->item_count)) scan->item_index++;
    } else {
        if (scan->item_index >= 0) scan->item_index--;
    }
    const bool inside = scan->item_index >= 0 && scan->item_index < static_cast<int64>(scan->item_count);
    return inside ? &scan->items[scan->item_index] : nullptr;
}

namespace {

const ScanItem &current_item(const TableScan *scan) {
    return scan->parallel != nullptr ? scan->claimed : scan->items[scan->item_index];
}

// ---------------------------------------------------------------------------------------------------------------- segments

}  // namespace

uint64 *granules_by_filter(TableScan *scan, const OpenSegment &segment, MemoryContext context) {
    const ScanFilter *filter = scan->filter;
    if (filter == nullptr || (!filter->by_time && filter->key_count == 0)) return nullptr;
    const uint32 count = segment.header.granule_count;
    uint64 *set = static_cast<uint64 *>(MemoryContextAllocZero(context, sizeof(uint64) * format::granule_words(count)));
    bool any = false;
    for (uint32 g = 0; g < count; g++) {
        const format::Granule about = format::granule_at(*segment.index, g);
        if (filter->by_time && !times_overlap(*filter, about.time_min, about.time_max)) continue;
        set[g / 64] |= UINT64CONST(1) << (g % 64);
        any = true;
    }
    if (!any || filter->key_count == 0) return set;
    MemoryContext old = MemoryContextSwitchTo(context);
    narrow_by_keys(scan->rel, segment, filter->keys, filter->key_count, set, scan->counters.skipped_by_keys);
    MemoryContextSwitchTo(old);
    return set;
}

TagPositions positions_in_range(const TableScan *scan, const OpenSegment &segment) {
    const format::SegmentIndex &index = *segment.index;
    const ScanFilter *filter = scan->filter;
    TagPositions positions = {format::has_null_tag(index) ? 1u : 0u, format::tag_positions(index)};
    if (filter == nullptr || !filter->by_tag_range) return positions;
    const auto position_of = [&](const TagFilter &bound, uint32 *position) {
        bool found;
        check_status(format::find_tag(index, {bound.data, bound.byte_count}, &found, position), scan->rel,
                     "find a tag in a segment");
    };
    position_of(filter->tag_low, &positions.begin);
    if (filter->tag_high.data != nullptr) position_of(filter->tag_high, &positions.end);
    positions.end = Max(positions.begin, positions.end);
    return positions;
}

namespace {

void choose_granules(TableScan *scan) {
    const OpenSegment &segment = scan->segment;
    const uint32 count = segment.header.granule_count;
    const ScanFilter *filter = scan->filter;
    MemoryContextReset(scan->choice_context);
    scan->granules = static_cast<uint32 *>(MemoryContextAlloc(scan->choice_context, sizeof(uint32) * Max(count, 1)));
    scan->granule_count = 0;
    if (filter == nullptr) {
        for (uint32 g = 0; g < count; g++) scan->granules[scan->granule_count++] = g;
        return;
    }
    const uint64 *by_filter = granules_by_filter(scan, segment, scan->choice_context);
    bool *wanted = static_cast<bool *>(MemoryContextAllocZero(scan->choice_context, Max(count, 1)));
    if (filter->by_tag_range) {
        const TagPositions positions = positions_in_range(scan, segment);
        if (positions.begin < positions.end) {
            const uint32 first = format::granules_of_tag(*segment.index, positions.begin).first;
            const uint32 last = format::granules_of_tag(*segment.index, positions.end - 1).last;
            for (uint32 g = first; g <= last && g < count; g++) wanted[g] = true;
        }
    } else if (!filter->by_tag) {
        memset(wanted, 1, count);
    }
    for (uint32 t = 0; filter->by_tag && t < filter->tag_count; t++) {
        if (!entry_may_hold(segment.entry, filter->tags[t])) continue;
        bool found = false;
        uint32 position = 0;
        check_status(format::find_tag(*segment.index, {filter->tags[t].data, filter->tags[t].byte_count}, &found, &position),
                     scan->rel, "find a tag in a segment");
        if (!found) continue;
        const format::GranuleRange range = format::granules_of_tag(*segment.index, position);
        for (uint32 g = range.first; g <= range.last && g < count; g++) wanted[g] = true;
    }
    uint64 *left = static_cast<uint64 *>(
        MemoryContextAllocZero(scan->choice_context, sizeof(uint64) * Max(format::granule_words(count), 1)));
    for (uint32 g = 0; g < count; g++) {
        if (wanted[g] && (by_filter == nullptr || has_granule(by_filter, g))) left[g / 64] |= UINT64CONST(1) << (g % 64);
    }
    narrow_by_statistics(scan, segment, left);
    for (uint32 g = 0; g < count; g++) {
        if (has_granule(left, g)) scan->granules[scan->granule_count++] = g;
    }
    scan->counters.granules_skipped += count - scan->granule_count;
}

// Of a granule of several tags the rows of the only one that the filter asks for.
RowSpan rows_of_filter_tag(const TableScan *scan, Granule *granule) {
    const TagFilter &tag = scan->filter->tags[0];
    bool found;
    uint32 position;
    check_status(format::find_tag(*granule->segment->index, {tag.data, tag.byte_count}, &found, &position), scan->rel,
                 "find a tag in a segment");
    return found ? rows_of_tag(granule, {tag.data, tag.byte_count, false}, position) : RowSpan{0, 0};
}

}  // namespace

RowSpan wanted_rows(const TableScan *scan, Granule *granule) {
    const format::Granule &about = granule->about;
    const RowSpan all = {0, about.row_count};
    const ScanFilter *filter = scan->filter;
    if (filter == nullptr) return all;
    RowSpan rows = all;
    if (about.tag_first != about.tag_last) {
        if (!filter->by_tag || filter->tag_count != 1) return all;
        rows = rows_of_filter_tag(scan, granule);
    }
    if (!filter->by_time || about.has_null_time) return rows;
    if (filter->time_min <= about.time_min && about.time_max <= filter->time_max) return rows;
    const int64 *times = granule_times(granule);
    if (times == nullptr) return rows;
    const auto first_at_least = [times, &rows](int64 bound, bool inclusive) {
        uint32 low = rows.first;
        for (uint32 high = rows.end; low < high;) {
            const uint32 middle = low + (high - low) / 2;
            if (times[middle] < bound || (!inclusive && times[middle] == bound))
                low = middle + 1;
            else
                high = middle;
        }
        return low;
    };
    return {first_at_least(filter->time_min, true), first_at_least(filter->time_max, false)};
}

namespace {

bool next_granule(TableScan *scan, bool forward) {
    scan->granule_index += forward ? 1 : -1;
    if (scan->granule_index < 0 || scan->granule_index >= static_cast<int64>(scan->granule_count)) return false;
    open_granule(scan->granule, &scan->segment, scan->granules[scan->granule_index]);
    scan->counters.granules_read++;
    const RowSpan wanted = wanted_rows(scan, scan->granule);
    scan->row_first = wanted.first;
    scan->row_end = wanted.end;
    search_granule(scan, scan->searches, scan->granule, scan->found);
    narrow_by_values(scan, scan->granule, scan->found);
    limit_rows(scan->granule, wanted, *scan->found);
    scan->row_index = forward ? static_cast<int64>(scan->row_first) - 1 : static_cast<int64>(scan->row_end);
    return true;
}

}  // namespace

void enter_segment(TableScan *scan, const ScanItem &item, bool forward) {
    use_segment(scan, item);
    scan->counters.segments_read++;
    choose_granules(scan);
    begin_searches(scan->searches, scan->choice_context);
    scan->granule_index = forward ? -1 : static_cast<int64>(scan->granule_count);
    scan->row_first = scan->row_end = 0;
    scan->row_index = forward ? 0 : -1;  // outside the empty row range: the first step opens a granule
}

// From the current row to the first possible one; false when there is none in the granule.
bool go_to_possible_row(TableScan *scan, bool forward) {
    const FoundRows &found = *scan->found;
    scan->row_index = forward ? next_possible_row(found, scan->row_index) : previous_possible_row(found, scan->row_index);
    if (scan->row_index >= static_cast<int64>(scan->row_first) && scan->row_index < static_cast<int64>(scan->row_end))
        return true;
    scan->row_index = forward ? static_cast<int64>(scan->row_end) - 1 : static_cast<int64>(scan->row_first);
    return false;
}
namespace {

bool next_sealed_row(TableScan *scan, bool forward, TupleTableSlot *slot) {
    for (;;) {
        scan->row_index += forward ? 1 : -1;
        const bool inside =
            scan->row_index >= static_cast<int64>(scan->row_first) && scan->row_index < static_cast<int64>(scan->row_end);
        if (inside) {
            const FoundRows &found = *scan->found;
            if (found.is_limited && !go_to_possible_row(scan, forward)) continue;
            const auto row = static_cast<uint32>(scan->row_index);
            if (has_row(scan->deleted, scan->granule->about.first_row + row)) continue;
            scan->row_is_certain = found.is_limited && has_bit(found.certain, row);
            const bool *needed = scan->filter != nullptr ? scan->filter->needed_columns : nullptr;
            store_sealed_row(slot, scan->granule, row, needed);
            return true;
        }
        CHECK_FOR_INTERRUPTS();
        if (!next_granule(scan, forward)) return false;
    }
}

// -------------------------------------------------------------------------------------------------------------- tail runs

}  // namespace

void enter_tail(TableScan *scan, const ScanItem &item, bool forward) {
    scan->page_index = forward ? PG_UINT32_MAX : item.entry.used_pages;
    scan->visible_count = 0;
    scan->visible_index = forward ? 0 : -1;
}

bool next_tail_row(TableScan *scan, const ScanItem &item, bool forward, TupleTableSlot *slot) {
    for (;;) {
        scan->visible_index += forward ? 1 : -1;
        if (scan->visible_index >= 0 && scan->visible_index < scan->visible_count) {
            scan->row_is_certain = false;
            store_visible_row(scan, scan->visible_index, slot);
            return true;
        }
        CHECK_FOR_INTERRUPTS();
        close_tail_page(scan);
        scan->page_index += forward ? 1 : -1;
        if (scan->page_index >= item.entry.used_pages) return false;  // also after stepping below 0
        scan->visible_count = 0;
        open_tail_page(scan, item, scan->page_index);
        scan->visible_index = forward ? -1 : scan->visible_count;
    }
}

void list_items(TableScan *scan) {
    MemoryContextReset(scan->list_context);
    scan->items = nullptr;
    scan->item_count = 0;
    scan->item_index = -1;
    forget_summaries(scan);  // newer copies of the entries tell of newer summaries
    // Once is enough: what came later is not visible to the scan's snapshot (rule R20). A parallel scan's slot limit may be
    // newer.
    if (!scan->was_restarted || scan->is_empty || scan->parallel != nullptr)
        scan->is_empty = !read_metapage(scan->rel, &scan->meta);
    if (!scan->is_empty) scan->keys = scan->granule->keys = key_columns_of(scan->meta);
    if (scan->is_empty || scan->parallel != nullptr) return;
    uint32 room = 0;
    for_each_entry(scan->rel, scan->meta, [scan, &room](uint32 slot, const DirectoryEntry &entry) {
        if (!wants_entry(scan, entry)) return;
        if (scan->item_count == room) {
            room = Max(16, room * 2);
            const Size bytes = sizeof(ScanItem) * static_cast<Size>(room);
            scan->items = static_cast<ScanItem *>(scan->items == nullptr ? MemoryContextAllocHuge(scan->list_context, bytes)
                                                                         : repalloc_huge(scan->items, bytes));
        }
        scan->items[scan->item_count++] = ScanItem{slot, entry};
    });
}

namespace {

bool is_segment_of(const OpenSegment &segment, const ScanItem &item) {
    return segment.index != nullptr && segment.slot == item.slot && segment.entry.generation == item.entry.generation;
}

void forget_segment(KeptSegment *kept) {
    kept->segment.index = nullptr;
    if (kept->context != nullptr) MemoryContextReset(kept->context);
}

// A place for one more segment: a free one while there is room, or the one whose last use is longest ago.
KeptSegment *place_for_segment(TableScan *scan) {
    const uint32 places = scan->was_restarted ? kSegmentsKeptMax : 1;
    Size bytes = 0;
    KeptSegment *oldest = nullptr;
    KeptSegment *unused = nullptr;
    for (uint32 i = 0; i < places; i++) {
        KeptSegment *kept = &scan->kept[i];
        if (kept->segment.index == nullptr) {
            if (unused == nullptr) unused = kept;
            continue;
        }
        bytes += MemoryContextMemAllocated(kept->context, false);
        if (oldest == nullptr || kept->last_use < oldest->last_use) oldest = kept;
    }
    KeptSegment *place = unused != nullptr && (oldest == nullptr || bytes < kSegmentsKeptBytesMax) ? unused : oldest;
    forget_segment(place);
    if (place->context == nullptr)
        place->context = AllocSetContextCreate(scan->context, "historian segment", ALLOCSET_DEFAULT_SIZES);
    return place;
}

}  // namespace

void use_segment(TableScan *scan, const ScanItem &item) {
    if (is_segment_of(scan->segment, item)) return;
    scan->segment.index = nullptr;
    KeptSegment *found = nullptr;
    for (KeptSegment &kept : scan->kept) {
        if (is_segment_of(kept.segment, item)) found = &kept;
    }
    if (found == nullptr) {
        found = place_for_segment(scan);
        OpenSegment segment;
        borrow_open_segment(scan->rel, item.slot, item.entry, found->context, &segment);
        found->deleted = deleted_rows(scan->rel, item.slot, item.entry, scan->snapshot, found->context);
        found->segment = segment;
    }
    found->last_use = ++scan->segment_uses;
    scan->segment = found->segment;
    scan->deleted = found->deleted;
}

ScanOrder default_order(Relation rel) { return is_log_table(rel) ? ScanOrder::newest_first : ScanOrder::stored; }

TableScan *begin_scan(Relation rel, Snapshot snapshot, const ScanFilter *filter, ParallelScan *parallel) {
    finish_bulk_load(RelationGetRelid(rel));
    MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "historian scan", ALLOCSET_DEFAULT_SIZES);
    TableScan *scan = static_cast<TableScan *>(MemoryContextAllocZero(context, sizeof(TableScan)));
    scan->rel = rel;
    scan->snapshot = snapshot;
    scan->filter = filter;
    scan->parallel = parallel;
    if (parallel == nullptr) scan->order = filter != nullptr ? filter->order : default_order(rel);
    scan->context = context;
    scan->list_context = AllocSetContextCreate(context, "historian scan entries", ALLOCSET_DEFAULT_SIZES);
    scan->choice_context = AllocSetContextCreate(context, "historian granules", ALLOCSET_SMALL_SIZES);
    scan->keys = key_columns(rel);
    scan->times_may_be_null = !TupleDescAttr(RelationGetDescr(rel), scan->keys.time - 1)->attnotnull;
    scan->granule = make_granule(rel, RelationGetDescr(rel), scan->keys, context);
    scan->searches = static_cast<SegmentSearches *>(MemoryContextAllocZero(context, sizeof(SegmentSearches)));
    scan->found = static_cast<FoundRows *>(MemoryContextAllocZero(context, sizeof(FoundRows)));
    scan->tail_buffer = InvalidBuffer;
    if (snapshot != nullptr && IsMVCCSnapshot(snapshot)) PredicateLockRelation(rel, snapshot);
    build_fingerprints(scan);
    list_items(scan);
    if (scan->order == ScanOrder::by_tag)
        scan->by_tag = make_tag_merge(scan);
    else if (scan->order != ScanOrder::stored)
        scan->by_time = make_time_merge(scan);
    return scan;
}

bool next_row(TableScan *scan, ScanDirection direction, TupleTableSlot *slot) {
    const bool forward = !ScanDirectionIsBackward(direction);
    if (scan->by_tag != nullptr) return next_row_by_tag(scan->by_tag, !forward, slot);
    if (scan->by_time != nullptr)
        return next_row_by_time(scan->by_time, (scan->order == ScanOrder::newest_first) == forward, slot);
    for (;;) {
        if (scan->in_item) {
            const ScanItem &item = current_item(scan);
            const bool found =
                is_tail(item.entry) ? next_tail_row(scan, item, forward, slot) : next_sealed_row(scan, forward, slot);
            if (found) return true;
            scan->in_item = false;
        }
        const ScanItem *item = next_item(scan, forward);
        if (item == nullptr) {
            ExecClearTuple(slot);
            return false;
        }
        scan->in_item = true;
        if (is_tail(item->entry))
            enter_tail(scan, *item, forward);
        else
            enter_segment(scan, *item, forward);
    }
}

void restart_scan(TableScan *scan) {
    close_tail_page(scan);
    scan->in_item = false;
    scan->was_restarted = true;
    build_fingerprints(scan);
    list_items(scan);
    if (scan->by_time != nullptr) restart_time_merge(scan->by_time);
    if (scan->by_tag != nullptr) restart_tag_merge(scan->by_tag);
}

void skip_tag(TableScan *scan) { skip_to_next_tag(scan->by_tag); }

void end_scan(TableScan *scan) {
    close_tail_page(scan);
    MemoryContextDelete(scan->context);
}

bool row_is_certain(const TableScan *scan) { return scan->row_is_certain; }

const ScanCounters &scan_counters(const TableScan *scan) { return scan->counters; }

void initialize_parallel_scan(Relation rel, ParallelScan *parallel) {
    format::Metapage meta;
    parallel->slot_limit = read_metapage(rel, &meta) ? meta.slot_count : 0;
    pg_atomic_init_u32(&parallel->next_slot, 0);
}

}  // namespace historian::engine
