#include "engine/scan_batches.h"

#include "engine/report.h"

#include <algorithm>

namespace historian::engine {

struct BatchScan {
    TableScan *scan;
    const ScanItem *item;
    bool is_in_granule;
    uint32 next_row;  // of the granule
    uint8 tag_space[8];
    bool wants_tags;
    // The tag of the last granule that has only one.
    MemoryContext tag_context;
    const format::SegmentIndex *tag_index;  // of its segment; nullptr: none yet
    uint32 tag_position;
    TagBytes tag;
};

namespace {

// ------------------------------------------------------------------------------------------------------------- the filter

int compare_to(const TagFilter &tag, const TagBytes &other) {
    const int order = memcmp(tag.data, other.data, Min(tag.byte_count, other.byte_count));
    return order != 0 ? order : tag.byte_count < other.byte_count ? -1 : tag.byte_count > other.byte_count;
}

bool wants_tag(const ScanFilter *filter, bool is_null, const TagBytes &tag) {
    if (filter == nullptr || !filter->by_tag) return true;
    if (is_null) return false;
    uint32 low = 0;
    for (uint32 high = filter->tag_count; low < high;) {
        const uint32 middle = low + (high - low) / 2;
        if (compare_to(filter->tags[middle], tag) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < filter->tag_count && compare_to(filter->tags[low], tag) == 0;
}

bool wants_time(const ScanFilter *filter, bool is_null, int64 time) {
    if (filter == nullptr || !filter->by_time) return true;
    return !is_null && filter->time_min <= time && time <= filter->time_max;
}

// -------------------------------------------------------------------------------------------------------------------- tail

// Whether the row in the slot is one that the filter asks for; fills in the batch.
bool take_tail_row(BatchScan *batches, TupleTableSlot *slot, RowBatch *batch) {
    const TableScan *scan = batches->scan;
    *batch = RowBatch{};
    bool is_null;
    const Datum time = slot_getattr(slot, scan->keys.time, &is_null);
    if (!wants_time(scan->filter, is_null, DatumGetInt64(time))) return false;
    batch->no_time_count = is_null ? 1 : 0;
    batch->rows = {0, 1};
    if (scan->keys.tag == InvalidAttrNumber) return true;
    const Datum tag = slot_getattr(slot, scan->keys.tag, &batch->tag_is_null);
    const Form_pg_attribute column = TupleDescAttr(RelationGetDescr(scan->rel), scan->keys.tag - 1);
    if (!batch->tag_is_null) batch->tag = tag_bytes(tag, column, batches->tag_space);
    return wants_tag(scan->filter, batch->tag_is_null, batch->tag);
}

// ----------------------------------------------------------------------------------------------------------------- granules

// Whether a range of times was left out since segments and granules were chosen.
bool is_out_of_time(const TableScan *scan, int64 time_min, int64 time_max) {
    return scan->filter->by_time && !times_overlap(*scan->filter, time_min, time_max);
}

bool open_next_granule(BatchScan *batches) {
    TableScan *scan = batches->scan;
    for (;;) {
        if (++scan->granule_index >= static_cast<int64>(scan->granule_count)) return false;
        const format::Granule about = format::granule_at(*scan->segment.index, scan->granules[scan->granule_index]);
        if (!is_out_of_time(scan, about.time_min, about.time_max)) break;
        scan->counters.granules_skipped++;
    }
    open_granule(scan->granule, &scan->segment, scan->granules[scan->granule_index]);
    scan->counters.granules_read++;
    search_granule(scan, scan->searches, scan->granule, scan->found);
    batches->is_in_granule = true;
    batches->next_row = 0;
    return true;
}

// The tag of the granule, which has only one.
void read_only_tag(BatchScan *batches, RowBatch *batch) {
    const TableScan *scan = batches->scan;
    const format::SegmentIndex *index = scan->segment.index;
    const uint32 position = scan->granule->about.tag_first;
    batch->tag_is_null = position == 0 && format::has_null_tag(*index);
    if (batch->tag_is_null || !batches->wants_tags) return;
    if (batches->tag_index != index || batches->tag_position != position) {
        batches->tag_index = nullptr;
        MemoryContextReset(batches->tag_context);
        Arena arena = arena_in(batches->tag_context);
        format::TagList list;
        check_status(format::tags_at(*index, position, 1, arena, &list), scan->rel, "read a tag of a segment");
        batches->tag = {list.data + list.offsets[0], static_cast<uint32>(list.offsets[1] - list.offsets[0])};
        batches->tag_index = index;
        batches->tag_position = position;
    }
    batch->tag = batches->tag;
}

// The rows of the same tag from next_row on; wanted: whether the filter asks for the tag.
RowSpan next_run(BatchScan *batches, RowBatch *batch, bool *wanted) {
    const TableScan *scan = batches->scan;
    Granule *granule = scan->granule;
    const uint32 count = granule->about.row_count;
    const uint32 first = batches->next_row;
    *wanted = true;
    if (scan->keys.tag == InvalidAttrNumber) return {first, count};
    if (granule->about.tag_first == granule->about.tag_last) {
        read_only_tag(batches, batch);  // granules of one tag were chosen by it
        return {first, count};
    }
    const format::ColumnVector &tags = granule_column(granule, scan->keys.tag - 1).vector;
    batch->tag_is_null = tags.nulls != nullptr && tags.nulls[first] != 0;
    const uint32 entry = tags.entry_of_row[first];
    if (!batch->tag_is_null) {
        const uint64 begin = tags.entry_offsets[entry];
        batch->tag = {tags.entry_data + begin, static_cast<uint32>(tags.entry_offsets[entry + 1] - begin)};
    }
    *wanted = wants_tag(scan->filter, batch->tag_is_null, batch->tag);
    const auto is_same = [&](uint32 row) {
        const bool is_null = tags.nulls != nullptr && tags.nulls[row] != 0;
        return is_null == batch->tag_is_null && (is_null || tags.entry_of_row[row] == entry);
    };
    uint32 end = first + 1;
    while (end < count && is_same(end)) end++;
    return {first, end};
}

// The rows of a run whose times the filter wants; no_time_count: how many of the first ones have none.
RowSpan rows_in_time(const TableScan *scan, Granule *granule, RowSpan run, uint32 *no_time_count) {
    const ScanFilter *filter = scan->filter;
    const format::Granule &about = granule->about;
    *no_time_count = 0;
    const bool by_time = filter != nullptr && filter->by_time;
    const bool has_all = !by_time || (filter->time_min <= about.time_min && about.time_max <= filter->time_max);
    if (has_all && !about.has_null_time) return run;
    const format::ColumnVector &times = granule_column(granule, scan->keys.time - 1).vector;
    uint32 first = run.first;
    if (times.nulls != nullptr) {
        while (first < run.end && times.nulls[first] != 0) first++;
    }
    if (!by_time) {
        *no_time_count = first - run.first;
        return run;
    }
    const auto row_at_least = [&](int64 bound, bool inclusive) {
        uint32 low = first;
        for (uint32 high = run.end; low < high;) {
            const uint32 middle = low + (high - low) / 2;
            if (times.numbers[middle] < bound || (!inclusive && times.numbers[middle] == bound))
                low = middle + 1;
            else
                high = middle;
        }
        return low;
    };
    const uint32 begin = row_at_least(filter->time_min, true);
    return {begin, Max(begin, row_at_least(filter->time_max, false))};
}

// The granule's next batch; false at its end.
bool next_in_granule(BatchScan *batches, RowBatch *batch) {
    TableScan *scan = batches->scan;
    Granule *granule = scan->granule;
    const uint32 count = granule->about.row_count;
    while (batches->next_row < count) {
        *batch = RowBatch{};
        bool wanted;
        const RowSpan run = next_run(batches, batch, &wanted);
        batches->next_row = run.end;
        if (!wanted) continue;
        batch->rows = rows_in_time(scan, granule, run, &batch->no_time_count);
        if (batch->rows.first == batch->rows.end) continue;
        batch->granule = granule;
        const RowSpan rows = batch->rows;
        batch->has_deleted = scan->deleted.words != nullptr &&
                             has_any(scan->deleted, {granule->about.first_row + rows.first, rows.end - rows.first});
        batch->has_searches = scan->found->is_limited;
        batch->is_whole = rows.first == 0 && rows.end == count && !batch->has_deleted;
        return true;
    }
    return false;
}

}  // namespace

BatchScan *begin_batches(Relation rel, Snapshot snapshot, const ScanFilter *filter, ParallelScan *parallel, bool wants_tags) {
    Assert(filter->order == ScanOrder::stored);
    BatchScan *batches = static_cast<BatchScan *>(palloc0(sizeof(BatchScan)));
    batches->scan = begin_scan(rel, snapshot, filter, parallel);
    batches->wants_tags = wants_tags;
    batches->tag_context = AllocSetContextCreate(CurrentMemoryContext, "historian tag", ALLOCSET_SMALL_SIZES);
    return batches;
}

bool next_batch(BatchScan *batches, TupleTableSlot *slot, RowBatch *batch) {
    TableScan *scan = batches->scan;
    for (;;) {
        if (batches->is_in_granule) {
            if (next_in_granule(batches, batch)) return true;
            batches->is_in_granule = false;
        }
        CHECK_FOR_INTERRUPTS();
        if (batches->item == nullptr) {
            batches->item = next_item(scan, true);
            if (batches->item == nullptr) return false;
            const format::DirectoryEntry &entry = batches->item->entry;
            if (!is_tail(entry) && is_out_of_time(scan, entry.time_min, entry.time_max)) {
                scan->counters.segments_skipped++;
                batches->item = nullptr;
                continue;
            }
            if (is_tail(entry))
                enter_tail(scan, *batches->item, true);
            else
                enter_segment(scan, *batches->item, true);
            batches->tag_index = nullptr;
        }
        if (!is_tail(batches->item->entry)) {
            if (!open_next_granule(batches)) batches->item = nullptr;
        } else if (!next_tail_row(scan, *batches->item, true, slot)) {
            batches->item = nullptr;
        } else if (take_tail_row(batches, slot, batch)) {
            return true;
        }
    }
}

bool batch_has_row(const BatchScan *batches, const RowBatch &batch, uint32 row) {
    return !has_row(batches->scan->deleted, batch.granule->about.first_row + row);
}

const FoundRows &found_rows(const BatchScan *batches) { return *batches->scan->found; }

const format::GranuleStatistics *batch_statistics(BatchScan *batches, const RowBatch &batch, uint32 column,
                                                  format::PhysicalKind kind) {
    const OpenSegment &segment = *batch.granule->segment;
    if (column >= segment.header.column_count) return nullptr;  // added after the segment was made
    // Floats of a domain are summarised as the integers that they are stored as; so are those of a column that was of a domain.
    if (format::column_type(*segment.index, column).kind != kind) return nullptr;
    const std::span<const format::GranuleStatistics> all = granule_statistics(batches->scan->rel, segment, column);
    return all.empty() ? nullptr : &all[batch.granule->number];
}

void count_as_summarized(BatchScan *batches) {
    batches->scan->counters.granules_read--;
    batches->scan->counters.granules_summarized++;
}

void order_batches(BatchScan *batches, BatchOrder order) {
    TableScan *scan = batches->scan;
    if (order == BatchOrder::stored || scan->parallel != nullptr || scan->is_empty) return;
    // Of fresh rows, which are the newest, the entry does not tell the times.
    const bool is_newest = order == BatchOrder::newest_first;
    std::sort(scan->items, scan->items + scan->item_count, [is_newest](const ScanItem &a, const ScanItem &b) {
        if (is_tail(a.entry) || is_tail(b.entry)) return is_newest ? !is_tail(b.entry) : !is_tail(a.entry);
        return is_newest ? a.entry.time_max > b.entry.time_max : a.entry.time_min < b.entry.time_min;
    });
}

void restart_batches(BatchScan *batches) {
    batches->item = nullptr;
    batches->is_in_granule = false;
    restart_scan(batches->scan);
}

void end_batches(BatchScan *batches) { end_scan(batches->scan); }

const ScanCounters &batch_counters(const BatchScan *batches) { return scan_counters(batches->scan); }

}  // namespace historian::engine
