#include "engine/scan_by_time.h"

#include "engine/scan_search.h"

#include "engine/report.h"
#include "engine/row_slot.h"
#include "engine/segment_cache.h"
#include "engine/tail_summary.h"
#include "engine/validate.h"

#include <algorithm>

namespace historian::engine {

using format::DirectoryEntry;

namespace {

constexpr uint32 kWhole = PG_UINT32_MAX;  // a segment whose granules are not in the heap yet

// A segment that is being read, while parts of it are in the heap.
struct ReadSegment {
    OpenSegment segment;
    RowSet deleted;
    SegmentSearches searches;
    MemoryContext context;
    uint32 parts;  // in the heap
};

// An open part: rows [first, end) in rising order, `row` is the next.
struct Cursor {
    Cursor *next_free;
    int64 first;
    int64 end;
    int64 row;
    const int64 *times;  // of its rows by number; nullptr: all lie before or behind every other part
    int64 *space;        // for the times of a granule or a page
    FoundRows found;     // of a granule: by the filter's searches
    // A granule.
    Granule *granule;
    ReadSegment *segment;
    // A tail page.
    BlockNumber block;  // InvalidBlockNumber: it is a granule
    OffsetNumber offsets[format::kTailRowsMax];
};

// An entry of the heap.
struct Part {
    int64 bound;  // open: the next row's time; else the first time that it can give
    uint32 item;
    uint32 number;   // of the granule or page, or kWhole
    Cursor *cursor;  // nullptr: not open
};

struct Position {
    int64 time;
    uint32 item;
    uint32 number;
    int64 row;
};

}  // namespace

struct TimeMerge {
    TableScan *scan;
    MemoryContext context;  // all below but the free lists; reset by each start
    TupleDesc desc;         // the rows' shape as the reader sees it: ALTER TABLE reads with that of before
    bool is_started;
    bool descending;
    bool has_turned;
    Position turned_at;  // the scan has turned around at this row: those on the other side of it are wanted
    Part *heap;
    uint32 part_count;
    uint32 part_room;
    ReadSegment *segments;  // one an item
    Cursor *free_cursors;
    BlockNumber pinned;  // the block of scan->tail_buffer
};

namespace {

// ------------------------------------------------------------------------------------------------------------------- heap

// Whether a is to be given after b. Of equal times the part decides, open or not: a later part has no row before an earlier
// one's of the same time. So of many granules of one time only one is open.
struct ComesAfter {
    bool descending;
    bool operator()(const Part &a, const Part &b) const {
        if (a.bound != b.bound) return descending ? a.bound < b.bound : a.bound > b.bound;
        if (a.item != b.item) return descending ? a.item < b.item : a.item > b.item;
        return descending ? a.number < b.number : a.number > b.number;
    }
};

// Whether `a` comes strictly before `b` in the rising order of rows.
bool is_before(const Position &a, const Position &b) {
    if (a.time != b.time) return a.time < b.time;
    if (a.item != b.item) return a.item < b.item;
    if (a.number != b.number) return a.number < b.number;
    return a.row < b.row;
}

void push_part(TimeMerge *merge, const Part &part) {
    if (merge->part_count == merge->part_room) {
        merge->part_room = Max(64, merge->part_room * 2);
        const Size bytes = sizeof(Part) * static_cast<Size>(merge->part_room);
        merge->heap = static_cast<Part *>(merge->heap == nullptr ? MemoryContextAllocHuge(merge->context, bytes)
                                                                 : repalloc_huge(merge->heap, bytes));
    }
    merge->heap[merge->part_count++] = part;
    std::push_heap(merge->heap, merge->heap + merge->part_count, ComesAfter{merge->descending});
}

Part pop_part(TimeMerge *merge) {
    std::pop_heap(merge->heap, merge->heap + merge->part_count, ComesAfter{merge->descending});
    return merge->heap[--merge->part_count];
}

// Adds a part that is not open, unless all its rows lie behind the place where the scan turned around, or the filter wants none.
// has_null: it may have rows without a time, which come before all others.
void add_part(TimeMerge *merge, uint32 item, uint32 number, int64 time_min, int64 time_max, bool has_null) {
    if (has_null || time_min > time_max) time_min = PG_INT64_MIN;
    if (time_min > time_max) time_max = PG_INT64_MIN;
    if (merge->has_turned && (merge->descending ? time_min > merge->turned_at.time : time_max < merge->turned_at.time)) return;
    push_part(merge, Part{merge->descending ? time_max : time_min, item, number, nullptr});
}

// ------------------------------------------------------------------------------------------------------------------ cursors

Cursor *take_cursor(TimeMerge *merge) {
    Cursor *cursor = merge->free_cursors;
    if (cursor != nullptr) {
        merge->free_cursors = cursor->next_free;
        return cursor;
    }
    MemoryContext context = merge->scan->context;
    static_assert(format::kGranuleRowsMax >= format::kTailRowsMax);
    cursor = static_cast<Cursor *>(MemoryContextAllocZero(context, sizeof(Cursor)));
    cursor->space = static_cast<int64 *>(MemoryContextAlloc(context, sizeof(int64) * format::kGranuleRowsMax));
    cursor->granule = make_granule(merge->scan->rel, merge->desc, merge->scan->keys, context);
    return cursor;
}

void leave_segment(ReadSegment *segment) {
    if (--segment->parts > 0) return;
    MemoryContextDelete(segment->context);
    *segment = ReadSegment{};
}

void give_cursor_back(TimeMerge *merge, Cursor *cursor) {
    if (cursor->block == InvalidBlockNumber) leave_segment(cursor->segment);
    cursor->next_free = merge->free_cursors;
    merge->free_cursors = cursor;
}

// ------------------------------------------------------------------------------------------------------------------- tails

void add_tail_pages(TimeMerge *merge, uint32 item_number) {
    TableScan *scan = merge->scan;
    const ScanItem &item = scan->items[item_number];
    for (uint32 page = 0; page < item.entry.used_pages; page++) {
        CHECK_FOR_INTERRUPTS();
        int64 time_min;
        int64 time_max;
        page_times(scan, item, page, &time_min, &time_max);
        if (scan->filter != nullptr && scan->filter->by_time && !times_overlap(*scan->filter, time_min, time_max)) {
            scan->counters.tail_pages_skipped++;
            continue;
        }
        add_part(merge, item_number, page, time_min, time_max, scan->times_may_be_null);
    }
}

// Collects the visible rows of a page, sorted.
Cursor *open_page(TimeMerge *merge, const Part &part) {
    TableScan *scan = merge->scan;
    Cursor *cursor = take_cursor(merge);
    close_tail_page(scan);
    merge->pinned = InvalidBlockNumber;
    cursor->block = entry_block(scan->items[part.item].entry, part.number);
    cursor->first = cursor->row = 0;
    cursor->end = 0;
    cursor->times = cursor->space;
    if (!open_tail_page(scan, scan->items[part.item], part.number)) return cursor;
    merge->pinned = cursor->block;
    uint16 order[format::kTailRowsMax];
    int64 times[format::kTailRowsMax];
    for (int i = 0; i < scan->visible_count; i++) {
        order[i] = static_cast<uint16>(i);
        times[i] = visible_row_time(scan, i, merge->desc);
    }
    const auto by_time = [&times](uint16 a, uint16 b) { return times[a] != times[b] ? times[a] < times[b] : a < b; };
    if (!std::is_sorted(times, times + scan->visible_count)) std::sort(order, order + scan->visible_count, by_time);
    for (int i = 0; i < scan->visible_count; i++) {
        cursor->offsets[i] = scan->visible[order[i]];
        cursor->space[i] = times[order[i]];
    }
    cursor->end = scan->visible_count;
    return cursor;
}

void give_tail_row(TimeMerge *merge, const Cursor *cursor, TupleTableSlot *slot) {
    TableScan *scan = merge->scan;
    if (merge->pinned != cursor->block) {
        // VACUUM may have moved the page's rows together while nobody had it pinned: what stood under the lock since then stays.
        close_tail_page(scan);
        scan->tail_buffer = lock_page(scan->rel, cursor->block, PageLock::shared);
        LockBuffer(scan->tail_buffer, BUFFER_LOCK_UNLOCK);
        merge->pinned = cursor->block;
    }
    store_tail_row_at(scan, cursor->offsets[cursor->row], slot);
}

// ---------------------------------------------------------------------------------------------------------------- segments

// Puts a segment's granules in its place.
void part_segment(TimeMerge *merge, uint32 item_number) {
    TableScan *scan = merge->scan;
    const ScanItem &item = scan->items[item_number];
    ReadSegment *read = &merge->segments[item_number];
    MemoryContext context = AllocSetContextCreate(merge->context, "historian segment", ALLOCSET_DEFAULT_SIZES);
    borrow_open_segment(scan->rel, item.slot, item.entry, context, &read->segment);
    read->deleted = deleted_rows(scan->rel, item.slot, item.entry, scan->snapshot, context);
    read->context = context;
    begin_searches(&read->searches, context);
    read->parts = 1;  // this function's
    scan->counters.segments_read++;
    const uint64 *wanted = granules_by_filter(scan, read->segment, context);
    for (uint32 g = 0; g < read->segment.header.granule_count; g++) {
        if (wanted != nullptr && !has_granule(wanted, g)) {
            scan->counters.granules_skipped++;
            continue;
        }
        const format::Granule about = format::granule_at(*read->segment.index, g);
        const uint32 before = merge->part_count;
        add_part(merge, item_number, g, about.time_min, about.time_max, about.has_null_time);
        read->parts += merge->part_count - before;
    }
    leave_segment(read);
}

// Whether no other part has times between those of a granule.
bool stands_alone(const TimeMerge *merge, const format::Granule &about) {
    if (about.has_null_time || merge->has_turned) return false;
    if (merge->part_count == 0) return true;
    const int64 next = merge->heap[0].bound;
    return merge->descending ? next < about.time_min : next > about.time_max;
}

// Copies the times of a cursor's rows: the granule's own go when the shape of its rows changes.
void collect_times(const TimeMerge *merge, Cursor *cursor) {
    const int64 *times = granule_times(cursor->granule);
    cursor->times = cursor->space;
    if (times != nullptr) {
        memcpy(cursor->space, times, sizeof(int64) * cursor->granule->about.row_count);
        return;
    }
    for (uint32 row = 0; row < cursor->granule->about.row_count; row++) {
        Datum value;
        bool is_null;
        granule_value(cursor->granule, merge->scan->keys.time - 1, row, &value, &is_null);
        cursor->space[row] = is_null ? PG_INT64_MIN : DatumGetInt64(value);
    }
}

Cursor *open_granule_part(TimeMerge *merge, const Part &part) {
    TableScan *scan = merge->scan;
    Cursor *cursor = take_cursor(merge);
    cursor->block = InvalidBlockNumber;
    cursor->segment = &merge->segments[part.item];
    cursor->granule->keys = scan->keys;
    open_granule(cursor->granule, &cursor->segment->segment, part.number);
    scan->counters.granules_read++;
    search_granule(scan, &cursor->segment->searches, cursor->granule, &cursor->found);
    const RowSpan wanted = wanted_rows(scan, cursor->granule);
    cursor->first = wanted.first;
    cursor->end = wanted.end;
    limit_rows(cursor->granule, wanted, cursor->found);
    cursor->times = nullptr;
    if (!stands_alone(merge, cursor->granule->about)) collect_times(merge, cursor);
    return cursor;
}

// ------------------------------------------------------------------------------------------------------------------- rows

bool is_deleted(const Cursor *cursor) {
    return cursor->block == InvalidBlockNumber &&
           has_row(cursor->segment->deleted, cursor->granule->about.first_row + static_cast<uint32>(cursor->row));
}

// From a row to the first one, in the direction of the scan, that the filter's searches leave.
void pass_over(const TimeMerge *merge, Cursor *cursor) {
    const bool is_outside = cursor->row < cursor->first || cursor->row >= cursor->end;
    if (is_outside || cursor->block != InvalidBlockNumber || !cursor->found.is_limited) return;
    cursor->row =
        merge->descending ? previous_possible_row(cursor->found, cursor->row) : next_possible_row(cursor->found, cursor->row);
}

// Goes to the first row, or from the row that was given to the next; false at the cursor's end.
bool step(TimeMerge *merge, const Part &part, bool is_first) {
    Cursor *cursor = part.cursor;
    const int64 by = merge->descending ? -1 : 1;
    cursor->row = !is_first ? cursor->row + by : merge->descending ? cursor->end - 1 : cursor->first;
    for (;; cursor->row += by) {
        pass_over(merge, cursor);
        if (cursor->row < cursor->first || cursor->row >= cursor->end) return false;
        if (is_deleted(cursor)) continue;
        if (!merge->has_turned) return true;
        const Position at = {cursor->times[cursor->row], part.item, part.number, cursor->row};
        if (merge->descending ? is_before(at, merge->turned_at) : is_before(merge->turned_at, at)) return true;
    }
}

// Opens a part, or puts it back under the time of its next row, or drops it.
void advance_part(TimeMerge *merge, Part part) {
    const bool is_first = part.cursor == nullptr;
    if (is_first)
        part.cursor = is_tail(merge->scan->items[part.item].entry) ? open_page(merge, part) : open_granule_part(merge, part);
    if (!step(merge, part, is_first)) {
        give_cursor_back(merge, part.cursor);
        return;
    }
    if (part.cursor->times != nullptr) part.bound = part.cursor->times[part.cursor->row];
    push_part(merge, part);
}

int64 time_of_row(const Cursor *cursor) {
    if (cursor->times != nullptr) return cursor->times[cursor->row];
    const int64 *times = granule_times(cursor->granule);
    return times[cursor->row];  // stands_alone(): none is NULL
}

// Of records of one time, those that arrived later are to be the newer ones. What is sealed arrived before what is not; otherwise
// there is only the order of the slots, which are used again.
bool arrived_before(const ScanItem &a, const ScanItem &b) {
    if (is_tail(a.entry) != is_tail(b.entry)) return is_tail(b.entry);
    if (!is_tail(a.entry) && a.entry.time_min != b.entry.time_min) return a.entry.time_min < b.entry.time_min;
    const bool a_is_open = (a.entry.flags & format::kEntryTailClosed) == 0;
    const bool b_is_open = (b.entry.flags & format::kEntryTailClosed) == 0;
    if (is_tail(a.entry) && a_is_open != b_is_open) return b_is_open;
    return a.slot < b.slot;
}

// The same for the first part, which is open and mostly stays the first: then nothing in the heap moves.
void advance_first(TimeMerge *merge) {
    Part *first = &merge->heap[0];
    if (!step(merge, *first, false)) {
        give_cursor_back(merge, pop_part(merge).cursor);
        return;
    }
    if (first->cursor->times == nullptr) return;
    first->bound = first->cursor->times[first->cursor->row];
    const ComesAfter comes_after{merge->descending};
    const bool stays = (merge->part_count < 2 || !comes_after(*first, merge->heap[1])) &&
                       (merge->part_count < 3 || !comes_after(*first, merge->heap[2]));
    if (!stays) push_part(merge, pop_part(merge));
}

void start(TimeMerge *merge, bool descending) {
    TableScan *scan = merge->scan;
    std::sort(scan->items, scan->items + scan->item_count, arrived_before);
    // Turned around behind the last row, a scan gives it again.
    merge->has_turned = merge->is_started && merge->part_count > 0;
    if (merge->has_turned) {
        const Part &given = merge->heap[0];
        merge->turned_at = {time_of_row(given.cursor), given.item, given.number, given.cursor->row};
    }
    while (merge->part_count > 0) {
        Cursor *cursor = merge->heap[--merge->part_count].cursor;
        if (cursor == nullptr) continue;
        cursor->next_free = merge->free_cursors;
        merge->free_cursors = cursor;
    }
    MemoryContextReset(merge->context);
    merge->heap = nullptr;
    merge->part_room = 0;
    merge->segments = static_cast<ReadSegment *>(MemoryContextAllocExtended(
        merge->context, sizeof(ReadSegment) * Max(scan->item_count, 1), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO));
    merge->is_started = true;
    merge->descending = descending;
    for (uint32 i = 0; i < scan->item_count; i++) {
        const DirectoryEntry &entry = scan->items[i].entry;
        if (is_tail(entry))
            add_tail_pages(merge, i);
        else
            add_part(merge, i, kWhole, entry.time_min, entry.time_max, (entry.flags & format::kEntryNullTime) != 0);
    }
}

}  // namespace

TimeMerge *make_time_merge(TableScan *scan) {
    TimeMerge *merge = static_cast<TimeMerge *>(MemoryContextAllocZero(scan->context, sizeof(TimeMerge)));
    merge->scan = scan;
    merge->context = AllocSetContextCreate(scan->context, "historian merge by time", ALLOCSET_DEFAULT_SIZES);
    merge->pinned = InvalidBlockNumber;
    return merge;
}

bool next_row_by_time(TimeMerge *merge, bool descending, TupleTableSlot *slot) {
    merge->desc = slot->tts_tupleDescriptor;
    if (!merge->is_started || merge->descending != descending)
        start(merge, descending);
    else if (merge->part_count > 0)
        advance_first(merge);
    while (merge->part_count > 0 && merge->heap[0].cursor == nullptr) {
        CHECK_FOR_INTERRUPTS();
        const Part part = pop_part(merge);
        if (part.number == kWhole)
            part_segment(merge, part.item);
        else
            advance_part(merge, part);
    }
    if (merge->part_count == 0) {
        ExecClearTuple(slot);
        return false;
    }
    const Cursor *cursor = merge->heap[0].cursor;
    merge->scan->row_is_certain = cursor->block == InvalidBlockNumber && cursor->found.is_limited &&
                                  has_bit(cursor->found.certain, static_cast<uint32>(cursor->row));
    if (cursor->block != InvalidBlockNumber) {
        give_tail_row(merge, cursor, slot);
    } else {
        const ScanFilter *filter = merge->scan->filter;
        store_sealed_row(slot, cursor->granule, static_cast<uint32>(cursor->row),
                         filter != nullptr ? filter->needed_columns : nullptr);
    }
    return true;
}

void restart_time_merge(TimeMerge *merge) {
    merge->is_started = false;
    merge->part_count = 0;
}

void end_time_merge(TimeMerge *merge) { close_tail_page(merge->scan); }

}  // namespace historian::engine
