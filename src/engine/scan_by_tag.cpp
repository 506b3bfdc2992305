#include "engine/scan_by_tag.h"

#include "engine/report.h"
#include "engine/row_slot.h"
#include "engine/tag_source.h"

#include <algorithm>

namespace historian::engine {

using format::DirectoryEntry;

struct TagMerge {
    SourceSetup setup;
    bool is_started;
    bool backward;
    bool is_one_tag;
    bool has_row;  // the first of `by_time` stands at the row that was given last
    MemoryContext tail_context;
    bool tail_is_read;
    TailRows tail;
    TagSource *sources;
    uint32 source_count;
    uint32 source_room;
    TagSource **by_tag;  // a heap
    uint32 by_tag_count;
    TagSource **current;  // those that have the current tag
    uint32 current_count;
    TagSource **by_time;  // a heap of these
    uint32 by_time_count;
    BlockNumber pinned;  // the block of scan->tail_buffer
    std::byte *turned_tag;
    uint32 turned_tag_room;
};

namespace {

// ------------------------------------------------------------------------------------------------------------------- heaps

struct TagComesAfter {
    const TagOrder *order;
    bool operator()(const TagSource *a, const TagSource *b) const {
        const int compared = compare_tags(*order, a->tag, b->tag);
        return compared != 0 ? compared > 0 : a->number > b->number;
    }
};

struct TimeComesAfter {
    const TagOrder *order;
    bool operator()(const TagSource *a, const TagSource *b) const {
        const int compared = compare_times(*order, a->bound, b->bound);
        if (compared != 0) return compared > 0;
        return order->times_descend ? a->number < b->number : a->number > b->number;
    }
};

template <typename ComesAfter>
void push(TagSource **heap, uint32 *count, TagSource *source, ComesAfter comes_after) {
    heap[(*count)++] = source;
    std::push_heap(heap, heap + *count, comes_after);
}

template <typename ComesAfter>
TagSource *pop(TagSource **heap, uint32 *count, ComesAfter comes_after) {
    std::pop_heap(heap, heap + *count, comes_after);
    return heap[--*count];
}

void push_by_tag(TagMerge *merge, TagSource *source) {
    push(merge->by_tag, &merge->by_tag_count, source, TagComesAfter{&merge->setup.order});
}
void push_by_time(TagMerge *merge, TagSource *source) {
    push(merge->by_time, &merge->by_time_count, source, TimeComesAfter{&merge->setup.order});
}
TagSource *pop_by_tag(TagMerge *merge) { return pop(merge->by_tag, &merge->by_tag_count, TagComesAfter{&merge->setup.order}); }
TagSource *pop_by_time(TagMerge *merge) {
    return pop(merge->by_time, &merge->by_time_count, TimeComesAfter{&merge->setup.order});
}

// ----------------------------------------------------------------------------------------------------------------- sources

TagSource *add_source(TagMerge *merge, uint32 item) {
    if (merge->source_count == merge->source_room) {
        merge->source_room = Max(16, merge->source_room * 2);
        const Size bytes = sizeof(TagSource) * static_cast<Size>(merge->source_room);
        merge->sources = static_cast<TagSource *>(merge->sources == nullptr ? MemoryContextAllocHuge(merge->setup.context, bytes)
                                                                            : repalloc_huge(merge->sources, bytes));
    }
    TagSource *source = &merge->sources[merge->source_count];
    *source = TagSource{};
    source->number = merge->source_count++;
    source->item = item;
    return source;
}

// Of one tag a source waits under the first time that it can have in the order of the scan.
//
// has_null   it may have rows without a time
void set_times(const TagMerge *merge, TagSource *source, int64 time_min, int64 time_max, bool has_null) {
    const SourceSetup &setup = merge->setup;
    const TagOrder &order = setup.order;
    const TimeKey null = {0, true};
    const TimeKey first = {order.times_descend ? time_max : time_min, false};
    const TimeKey last = {order.times_descend ? time_min : time_max, false};
    const bool only_null = time_min > time_max;
    const bool wants_null = has_null && !setup.scan->filter->by_time;
    source->bound = only_null || (wants_null && !order.null_times_last) ? null : first;
    source->is_passed = setup.has_turned && compare_times(order, only_null || (wants_null && order.null_times_last) ? null : last,
                                                          setup.turned_at.time) < 0;
}

// None of the segment's tags comes before this one; false when the directory keeps too little of them to say so.
bool first_tag_of_entry(const TagMerge *merge, const DirectoryEntry &entry, TagKey *tag) {
    const TagOrder &order = merge->setup.order;
    *tag = {nullptr, 0, true};
    if (entry.flags & format::kEntryTagsUnknown) return true;
    if ((entry.flags & format::kEntryNullTag) && !order.null_tags_last) return true;
    const uint8 *bytes = order.tags_descend ? entry.tag_last : entry.tag_first;
    *tag = {reinterpret_cast<const std::byte *>(bytes), order.tags_descend ? entry.tag_last_bytes : entry.tag_first_bytes, false};
    return !order.tags_descend || tag->byte_count < format::kEntryTagBytes;
}

// Of one tag: a source a page, which waits under the page's times.
void add_tail_pages(TagMerge *merge, uint32 item_number) {
    TableScan *scan = merge->setup.scan;
    const ScanItem &item = scan->items[item_number];
    for (uint32 page = 0; page < item.entry.used_pages; page++) {
        CHECK_FOR_INTERRUPTS();
        if (summary_excludes(scan, item, page)) {
            scan->counters.tail_pages_skipped++;
            continue;
        }
        int64 time_min;
        int64 time_max;
        page_times(scan, item, page, &time_min, &time_max);
        if (scan->filter->by_time && !times_overlap(*scan->filter, time_min, time_max)) {
            scan->counters.tail_pages_skipped++;
            continue;
        }
        TagSource *source = add_source(merge, item_number);
        source->is_tail = true;
        source->page = page;
        set_times(merge, source, time_min, time_max, scan->times_may_be_null);
    }
}

void add_sources(TagMerge *merge) {
    TableScan *scan = merge->setup.scan;
    for (uint32 i = 0; i < scan->item_count; i++) {
        const DirectoryEntry &entry = scan->items[i].entry;
        if (is_tail(entry)) {
            if (merge->is_one_tag) add_tail_pages(merge, i);
            continue;
        }
        TagSource *source = add_source(merge, i);
        if (merge->is_one_tag) {
            const bool has_null = (entry.flags & format::kEntryNullTime) != 0;
            set_times(merge, source, entry.time_min, entry.time_max, has_null);
        }
    }
    if (!merge->is_one_tag && merge->tail.tag_count > 0) add_source(merge, 0)->is_tail = true;
}

// Reads and sorts the tail, once: turned around, a scan finds the same rows.
void read_tail(TagMerge *merge) {
    TableScan *scan = merge->setup.scan;
    MemoryContextReset(merge->tail_context);
    TailCollector *collector = start_collecting(scan, merge->setup.desc, merge->tail_context);
    for (uint32 i = 0; i < scan->item_count; i++) {
        if (!is_tail(scan->items[i].entry)) continue;
        for (uint32 page = 0; page < scan->items[i].entry.used_pages; page++) {
            CHECK_FOR_INTERRUPTS();
            collect_tail_page(collector, i, page);
        }
    }
    close_tail_page(scan);
    merge->pinned = InvalidBlockNumber;
    merge->tail = sort_collected(collector);
    merge->tail_is_read = true;
}

// Opens a source, and stands at its first tag; false when it has none.
bool open_source(TagMerge *merge, TagSource *source) {
    SourceSetup *setup = &merge->setup;
    if (!source->is_tail) return open_segment_source(setup, source);
    if (!merge->is_one_tag) return open_tail_source(setup, source, merge->tail);
    source->memory = AllocSetContextCreate(setup->context, "historian tail page", ALLOCSET_SMALL_SIZES);
    TailCollector *collector = start_collecting(setup->scan, setup->desc, source->memory);
    collect_tail_page(collector, source->item, source->page);
    merge->pinned = InvalidBlockNumber;
    return open_tail_source(setup, source, sort_collected(collector));
}

// -------------------------------------------------------------------------------------------------------------------- tags

void open_by_tag(TagMerge *merge, TagSource *source) {
    if (open_source(merge, source))
        push_by_tag(merge, source);
    else
        close_source(&merge->setup, source);
}

void put_into_heap(TagMerge *merge, TagSource *source) {
    if (source->is_tail || !first_tag_of_entry(merge, merge->setup.scan->items[source->item].entry, &source->tag))
        open_by_tag(merge, source);
    else
        push_by_tag(merge, source);
}

// From the current tag to the next one that some source has; false at the end.
bool go_to_next_tag(TagMerge *merge) {
    SourceSetup *setup = &merge->setup;
    for (uint32 i = 0; i < merge->current_count; i++) {
        TagSource *source = merge->current[i];
        if (!source->is_open) continue;
        end_tag(setup, source);
        if (!merge->is_one_tag && next_tag(setup, source))
            push_by_tag(merge, source);
        else
            close_source(setup, source);
    }
    merge->current_count = merge->by_time_count = 0;
    while (merge->by_tag_count > 0) {
        TagSource *source = merge->by_tag[0];
        if (merge->current_count > 0 && compare_tags(setup->order, source->tag, merge->current[0]->tag) != 0) break;
        pop_by_tag(merge);
        if (!source->is_open) {
            CHECK_FOR_INTERRUPTS();
            open_by_tag(merge, source);
            continue;
        }
        merge->current[merge->current_count++] = source;
        if (begin_tag(setup, source)) push_by_time(merge, source);
    }
    return merge->current_count > 0;
}

// Of one tag all sources are current; they are opened when their time comes.
void begin_only_tag(TagMerge *merge) {
    for (uint32 i = 0; i < merge->source_count; i++) {
        merge->current[merge->current_count++] = &merge->sources[i];
        if (!merge->sources[i].is_passed) push_by_time(merge, &merge->sources[i]);
    }
}

// -------------------------------------------------------------------------------------------------------------------- rows

// The first source has no row yet: opens what comes next of it.
void open_first(TagMerge *merge) {
    SourceSetup *setup = &merge->setup;
    CHECK_FOR_INTERRUPTS();
    TagSource *source = pop_by_time(merge);
    if (!source->is_open) {
        if (open_source(merge, source) && begin_tag(setup, source))
            push_by_time(merge, source);
        else
            close_source(setup, source);
        return;
    }
    if (!advance_in_tag(setup, source)) return;
    if (source->has_row && merge->by_time_count > 0) source->bound = time_of_row(setup, source);
    push_by_time(merge, source);
}

// From the row that was given to the next of the same source, which mostly stays the first.
void advance_first(TagMerge *merge) {
    SourceSetup *setup = &merge->setup;
    TagSource *source = merge->by_time[0];
    if (merge->by_time_count == 1) {
        if (!advance_in_tag(setup, source)) merge->by_time_count = 0;
        return;
    }
    if (!advance_in_tag(setup, source)) {
        pop_by_time(merge);
        return;
    }
    if (source->has_row) source->bound = time_of_row(setup, source);
    const TimeComesAfter comes_after{&setup->order};
    const bool stays =
        !comes_after(source, merge->by_time[1]) && (merge->by_time_count < 3 || !comes_after(source, merge->by_time[2]));
    if (!stays) push_by_time(merge, pop_by_time(merge));
}

// Remembers the row that was given last.
void remember_place(TagMerge *merge) {
    SourceSetup *setup = &merge->setup;
    TagSource *source = merge->by_time[0];
    RowPlace *place = &setup->turned_at;
    *place = {source->tag, time_of_row(setup, source), source->number, place_of_row(source)};
    if (place->tag.is_null) return;
    if (place->tag.byte_count > merge->turned_tag_room || merge->turned_tag == nullptr) {
        merge->turned_tag_room = Max(place->tag.byte_count, 64);
        merge->turned_tag = static_cast<std::byte *>(MemoryContextAlloc(setup->scan->context, merge->turned_tag_room));
    }
    memcpy(merge->turned_tag, place->tag.data, place->tag.byte_count);
    place->tag.data = merge->turned_tag;
}

void start(TagMerge *merge, bool backward) {
    SourceSetup *setup = &merge->setup;
    TableScan *scan = setup->scan;
    const ScanFilter *filter = scan->filter;
    // Turned around behind the last row, a scan gives it again.
    setup->has_turned = merge->is_started && merge->has_row;
    if (setup->has_turned) remember_place(merge);
    for (uint32 i = 0; i < merge->source_count; i++) {
        if (merge->sources[i].is_open) close_source(setup, &merge->sources[i]);
    }
    MemoryContextReset(setup->context);
    merge->sources = nullptr;
    merge->source_count = merge->source_room = 0;
    merge->by_tag_count = merge->by_time_count = merge->current_count = 0;
    setup->order = backward ? reversed(filter->tag_order) : filter->tag_order;
    merge->is_started = true;
    merge->backward = backward;
    merge->is_one_tag = filter->by_tag && filter->tag_count <= 1;
    if (!merge->is_one_tag && !merge->tail_is_read) read_tail(merge);
    add_sources(merge);
    const Size bytes = sizeof(TagSource *) * static_cast<Size>(Max(merge->source_count, 1));
    merge->by_tag = static_cast<TagSource **>(MemoryContextAllocHuge(setup->context, bytes));
    merge->by_time = static_cast<TagSource **>(MemoryContextAllocHuge(setup->context, bytes));
    merge->current = static_cast<TagSource **>(MemoryContextAllocHuge(setup->context, bytes));
    if (merge->is_one_tag) return begin_only_tag(merge);
    for (uint32 i = 0; i < merge->source_count; i++) put_into_heap(merge, &merge->sources[i]);
}

void give_tail_row(TagMerge *merge, const TagSource *source, TupleTableSlot *slot) {
    TableScan *scan = merge->setup.scan;
    const TailAddress &address = source->tail.rows[source->row];
    const BlockNumber block = entry_block(scan->items[address.item].entry, address.page);
    if (merge->pinned != block) {
        // VACUUM may have moved the page's rows together while nobody had it pinned: what stood under the lock since then stays.
        close_tail_page(scan);
        scan->tail_buffer = lock_page(scan->rel, block, PageLock::shared);
        LockBuffer(scan->tail_buffer, BUFFER_LOCK_UNLOCK);
        merge->pinned = block;
    }
    store_tail_row_at(scan, address.offset, slot);
}

}  // namespace

TagMerge *make_tag_merge(TableScan *scan) {
    TagMerge *merge = static_cast<TagMerge *>(MemoryContextAllocZero(scan->context, sizeof(TagMerge)));
    merge->setup.scan = scan;
    merge->setup.context = AllocSetContextCreate(scan->context, "historian merge by tag", ALLOCSET_DEFAULT_SIZES);
    merge->tail_context = AllocSetContextCreate(scan->context, "historian tail rows", ALLOCSET_DEFAULT_SIZES);
    merge->pinned = InvalidBlockNumber;
    return merge;
}

bool next_row_by_tag(TagMerge *merge, bool backward, TupleTableSlot *slot) {
    ExecClearTuple(slot);  // the row of the last call
    merge->setup.desc = slot->tts_tupleDescriptor;
    if (merge->setup.scan->is_empty) return false;
    if (!merge->is_started || merge->backward != backward)
        start(merge, backward);
    else if (merge->has_row && merge->by_time_count > 0)
        advance_first(merge);
    merge->has_row = false;
    for (;;) {
        while (merge->by_time_count > 0 && !merge->by_time[0]->has_row) open_first(merge);
        if (merge->by_time_count > 0) break;
        if (!go_to_next_tag(merge)) return false;
    }
    merge->has_row = true;
    const TagSource *source = merge->by_time[0];
    merge->setup.scan->row_is_certain = false;
    if (source->is_tail)
        give_tail_row(merge, source, slot);
    else
        store_sealed_row(slot, source->open->granule, static_cast<uint32>(source->row),
                         merge->setup.scan->filter->needed_columns);
    return true;
}

void skip_to_next_tag(TagMerge *merge) { merge->by_time_count = 0; }

void restart_tag_merge(TagMerge *merge) {
    // Granules that are lent lie in the scan's memory: they come back when the sources are closed.
    merge->is_started = merge->has_row = merge->tail_is_read = false;
    merge->tail = TailRows{};
    merge->pinned = InvalidBlockNumber;
}

}  // namespace historian::engine
