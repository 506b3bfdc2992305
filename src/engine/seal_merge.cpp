#include "engine/seal_merge.h"

#include "engine/delete_log.h"
#include "engine/granule.h"
#include "engine/report.h"
#include "engine/seal_choice.h"
#include "format/time_windows.h"

#include <algorithm>

namespace historian::engine {

using format::DirectoryEntry;
using format::TimeWindow;

namespace {

struct TagView {
    bool is_null;  // comes before every tag
    const std::byte *data;
    uint64 byte_count;
};

int compare_tags(const TagView &a, const TagView &b) {
    if (a.is_null || b.is_null) return static_cast<int>(b.is_null) - static_cast<int>(a.is_null);
    const int order = memcmp(a.data, b.data, Min(a.byte_count, b.byte_count));
    return order != 0 ? order : (a.byte_count < b.byte_count ? -1 : a.byte_count > b.byte_count ? 1 : 0);
}

// The next living row of a source whose time is in a window.
struct Cursor {
    CarriedSource *source;
    OpenSegment segment;
    LogState log;
    Granule *granule;
    const TimeWindow *window;
    uint32 next_granule;
    uint32 row;          // in the granule
    bool in_granule;     // a granule is open
    const int64 *times;  // of its rows, unless some are NULL
    bool may_copy;       // its rows can be copied by columns, as far as is known
    bool has_columns;    // they are here
    const format::ColumnVector **columns;
    bool at_end;
    TagView tag;  // in the granule's memory
};

// Of the cursor's row; NULLs come first.
int64 time_of(const Cursor *cursor) {
    if (cursor->times != nullptr) return cursor->times[cursor->row];
    Datum time;
    bool is_null;
    granule_value(cursor->granule, cursor->granule->keys.time - 1, cursor->row, &time, &is_null);
    return is_null ? PG_INT64_MIN : DatumGetInt64(time);
}

void read_tag(Cursor *cursor) {
    const int column = cursor->granule->keys.tag - 1;
    cursor->tag = TagView{true, nullptr, 0};
    if (column < 0) return;  // log tables: as if all tags were NULL
    Datum value;
    bool is_null;
    granule_value(cursor->granule, column, cursor->row, &value, &is_null);  // decodes the column if it is the first
    if (is_null) return;
    cursor->tag.is_null = false;
    const format::ColumnVector &vector = cursor->granule->columns[column].vector;
    const uint32 entry = vector.entry_of_row[cursor->row];
    cursor->tag.data = vector.entry_data + vector.entry_offsets[entry];
    cursor->tag.byte_count = vector.entry_offsets[entry + 1] - vector.entry_offsets[entry];
}

bool is_wanted(const Cursor *cursor) {
    if (has_row(cursor->log.settled, cursor->granule->about.first_row + cursor->row)) return false;
    if (is_all(*cursor->window)) return true;
    const int64 at = time_of(cursor);
    return meets(*cursor->window, at, at);
}

// Goes on to the first wanted row at or behind the present place.
void settle(Cursor *cursor) {
    for (;;) {
        const uint32 row_count = cursor->in_granule ? cursor->granule->about.row_count : 0;
        while (cursor->row < row_count && !is_wanted(cursor)) cursor->row++;
        if (cursor->row < row_count) return read_tag(cursor);
        CHECK_FOR_INTERRUPTS();
        cursor->row = 0;
        cursor->in_granule = false;
        if (cursor->next_granule >= cursor->segment.header.granule_count) {
            cursor->at_end = true;
            return;
        }
        const uint32 next = cursor->next_granule++;
        const format::Granule about = format::granule_at(*cursor->segment.index, next);
        if (!about.has_null_time && !meets(*cursor->window, about.time_min, about.time_max)) continue;
        open_granule(cursor->granule, &cursor->segment, next);
        cursor->in_granule = true;
        cursor->times = granule_times(cursor->granule);
        cursor->may_copy = cursor->times != nullptr && !has_any(cursor->log.settled, {about.first_row, about.row_count});
        cursor->has_columns = false;
    }
}

void open_cursor(SealStep *step, const CarriedSource &source, Cursor *cursor) {
    *cursor = Cursor{};
    open_segment(step->rel, source.slot, source.entry, step->context, &cursor->segment);
    cursor->log = settled_rows(step->rel, source.slot, source.entry, InvalidTransactionId, step->context);
    cursor->granule = make_granule(step->rel, step->desc, step->keys, step->context);
    cursor->columns = static_cast<const format::ColumnVector **>(palloc(sizeof(format::ColumnVector *) * step->desc->natts));
}

// Turns to the first row of another window; the rows go to `source` from now on.
void start_window(Cursor *cursor, CarriedSource *source, const TimeWindow *window) {
    cursor->source = source;
    cursor->window = window;
    cursor->next_granule = 0;
    cursor->row = 0;
    cursor->in_granule = false;
    cursor->at_end = false;
    settle(cursor);
}

bool is_at_tag(const Cursor &cursor, const TagView &tag) { return !cursor.at_end && compare_tags(cursor.tag, tag) == 0; }

constexpr uint64 kRowsPerDdlCheck = 65'536;

// Whether DDL waits for the table: asked now and then, and the last answer remembered.
bool gives_way(SealStep *step) {
    if (step->outcome.rows >= step->next_ddl_check) {
        step->next_ddl_check = step->outcome.rows + kRowsPerDdlCheck;
        step->gives_way = ddl_is_waiting(step->rel);
    }
    return step->gives_way;
}

// Whether the rows of the cursor's granule are copied. Their columns are decoded when the first of them is wanted.
bool copies_rows(Cursor *cursor) {
    if (!cursor->may_copy || cursor->has_columns) return cursor->may_copy;
    return cursor->may_copy = cursor->has_columns = copied_columns(cursor->granule, cursor->columns);
}

// The end of the rows that begin with the cursor's row, are of its tag and its window and not behind a time; they are copied.
uint32 end_of_run(const Cursor *cursor, int64 last_time) {
    const uint32 row_count = cursor->granule->about.row_count;
    const int64 last = Min(last_time, cursor->window->last);
    const int tag = cursor->granule->keys.tag;
    const format::ColumnVector *tags = tag != InvalidAttrNumber ? cursor->columns[tag - 1] : nullptr;
    const auto has_same_tag = [tags, row = cursor->row](uint32 other) {
        if (tags->nulls != nullptr && tags->nulls[row] != tags->nulls[other]) return false;
        return tags->entry_of_row[row] == tags->entry_of_row[other];
    };
    if (tags == nullptr || has_same_tag(row_count - 1)) {
        const int64 *first = cursor->times + cursor->row;
        return static_cast<uint32>(std::upper_bound(first, cursor->times + row_count, last) - cursor->times);
    }
    uint32 end = cursor->row + 1;
    while (cursor->times[end] <= last && has_same_tag(end)) end++;
    return end;
}

format::Cell tag_cell(const TagView &tag) {
    format::Cell cell;
    cell.is_null = tag.is_null;
    cell.data = tag.data;
    cell.byte_count = static_cast<uint32>(tag.byte_count);
    return cell;
}

// Adds a cursor's rows of one tag that are not behind a time, unless the step gives way; how many.
uint64 take_until(SealStep *step, Cursor *cursor, const TagView &tag, int64 last_time) {
    uint64 taken = 0;
    while (is_at_tag(*cursor, tag) && time_of(cursor) <= last_time && !gives_way(step)) {
        Granule *granule = cursor->granule;
        uint32 count = 1;
        if (copies_rows(cursor)) {
            count = end_of_run(cursor, last_time) - cursor->row;
            const std::span columns(cursor->columns, static_cast<Size>(step->desc->natts));
            add_rows(step, cursor->source, {granule, columns, tag_cell(tag), cursor->row, count});
        } else {
            for (int i = 0; i < step->desc->natts; i++) granule_value(granule, i, cursor->row, &step->values[i], &step->nulls[i]);
            add_row(step, cursor->source, granule->about.first_row + cursor->row);
        }
        step->within_tag = true;
        taken += count;
        cursor->row += count;
        settle(cursor);
    }
    return taken;
}

// Adds the rows of one tag, by time: a tag of more rows than a segment has becomes segments of disjoint times. How many.
//
// heap    room for all cursors
uint64 take_tag(SealStep *step, Cursor *cursors, uint32 cursor_count, const TagView &tag, Cursor **heap) {
    const auto is_later = [](const Cursor *a, const Cursor *b) { return time_of(a) > time_of(b); };
    uint64 taken = 0;
    uint32 count = 0;
    for (uint32 i = 0; i < cursor_count; i++) {
        if (is_at_tag(cursors[i], tag)) heap[count++] = &cursors[i];
    }
    std::make_heap(heap, heap + count, is_later);
    step->within_tag = false;
    while (count > 0 && !step->gives_way) {
        std::pop_heap(heap, heap + count, is_later);
        Cursor *first = heap[count - 1];
        taken += take_until(step, first, tag, count > 1 ? time_of(heap[0]) : PG_INT64_MAX);
        if (is_at_tag(*first, tag))
            std::push_heap(heap, heap + count, is_later);
        else
            count--;
    }
    step->within_tag = false;
    return taken;
}

// The smallest tag under the cursors, copied to memory of its own: cursors move on.
struct NextTag {
    TagView tag;
    std::byte *space;
    uint64 room;
};

bool find_next_tag(SealStep *step, const Cursor *cursors, uint32 count, NextTag *next) {
    const Cursor *first = nullptr;
    for (uint32 i = 0; i < count; i++) {
        if (cursors[i].at_end) continue;
        if (first == nullptr || compare_tags(cursors[i].tag, first->tag) < 0) first = &cursors[i];
    }
    if (first == nullptr) return false;
    next->tag = first->tag;
    if (first->tag.is_null) return true;
    if (first->tag.byte_count > next->room) {
        next->room = first->tag.byte_count * 2;
        next->space = static_cast<std::byte *>(MemoryContextAllocHuge(step->context, next->room));
    }
    if (first->tag.byte_count > 0) memcpy(next->space, first->tag.data, first->tag.byte_count);
    next->tag.data = next->space;
    return true;
}

// Segments of equal size rather than full ones and a rest, and not quite full: a full one ends within a tag.
bool is_time_to_cut(const SealStep &step, uint64 rows_left, uint64 rows_of_last_tag) {
    const uint64 held = rows_in_builder(step);
    if (held + rows_left <= static_cast<uint64>(segment_rows_max)) return false;
    const uint64 rows_aimed_at = segment_rows_max - segment_rows_max / 16;
    const uint64 segments = (held + rows_left + rows_aimed_at - 1) / rows_aimed_at;
    return held + rows_of_last_tag / 2 >= (held + rows_left) / segments;
}

// Adds the rows of the window that the cursors stand in; about so many. False when DDL waits for the table.
bool merge_window(SealStep *step, Cursor *cursors, uint32 cursor_count, uint64 row_count) {
    uint64 rows_left = row_count;
    NextTag next = {};
    Cursor **heap = static_cast<Cursor **>(palloc(sizeof(Cursor *) * cursor_count));
    while (!step->gives_way && find_next_tag(step, cursors, cursor_count, &next)) {
        const uint64 taken = take_tag(step, cursors, cursor_count, next.tag, heap);
        rows_left -= Min(rows_left, taken);
        if (is_time_to_cut(*step, rows_left, taken)) finish_segment(step);
    }
    return !step->gives_way;
}

// ------------------------------------------------------------------------------------------------------------ late points

constexpr uint32 kSampledGranules = 64;  // of a source
constexpr uint32 kSampledRows = 256;     // of a granule

// Appends times of some rows of a source; how many.
uint32 sample_times(Cursor *cursor, int64 *sample) {
    uint32 count = 0;
    const uint32 granule_count = cursor->segment.header.granule_count;
    const uint32 granule_step = Max(granule_count / kSampledGranules, 1u);
    for (uint32 g = 0; g < granule_count; g += granule_step) {
        CHECK_FOR_INTERRUPTS();
        open_granule(cursor->granule, &cursor->segment, g);
        const int64 *times = granule_times(cursor->granule);
        const uint32 row_step = Max(cursor->granule->about.row_count / kSampledRows, 1u);
        for (uint32 row = 0; times != nullptr && row < cursor->granule->about.row_count; row += row_step)
            sample[count++] = times[row];
    }
    return count;
}

// The windows to merge by, each by itself; how many.
uint32 choose_windows(Cursor *cursors, uint32 cursor_count, TimeWindow *windows) {
    // Twice of both: the steps are rounded down.
    const Size room = static_cast<Size>(cursor_count) * (2 * kSampledGranules * 2 * kSampledRows + 2);
    int64 *sample = static_cast<int64 *>(palloc_extended(sizeof(int64) * room, MCXT_ALLOC_HUGE));
    Size count = 0;
    for (uint32 i = 0; i < cursor_count; i++) {
        const DirectoryEntry &entry = cursors[i].segment.entry;
        if (entry.time_min > entry.time_max) continue;
        sample[count++] = entry.time_min;
        sample[count++] = entry.time_max;
        count += sample_times(&cursors[i], sample + count);
    }
    const uint32 window_count = format::part_times({sample, count}, windows);
    pfree(sample);
    return window_count;
}

}  // namespace

uint64 merge_rows_max() {
    const uint64 rows_max = UINT64CONST(16) * segment_rows_max;
    const uint64 by_memory = static_cast<uint64>(maintenance_work_mem) * 1024 / sizeof(uint64);
    return Max(UINT64CONST(2) * segment_rows_max, Min(rows_max, by_memory));
}

bool merge_by_tag(SealStep *step, const CarriedSource *sources, uint32 source_count) {
    Cursor *cursors = static_cast<Cursor *>(palloc(sizeof(Cursor) * source_count));
    uint64 row_count = 0;
    const auto was_packed_hard = [](const CarriedSource &source) { return is_packed_hard(source.entry); };
    if (std::all_of(sources, sources + source_count, was_packed_hard)) step->shape.effort = codec::Effort::high;
    for (uint32 i = 0; i < source_count; i++) {
        open_cursor(step, sources[i], &cursors[i]);
        row_count += sources[i].entry.row_count - cursors[i].log.settled.member_count;
        step->level = Max(step->level, sources[i].entry.level + 1);
    }
    // What was merged before was parted then, and is chosen among its like.
    TimeWindow windows[format::kTimeWindowsMax] = {};
    const uint32 window_count = step->level == 1 ? choose_windows(cursors, source_count, windows) : 1;
    step->carried = static_cast<CarriedSource *>(palloc(sizeof(CarriedSource) * source_count * window_count));
    for (uint32 w = 0; w < window_count; w++) {
        for (uint32 i = 0; i < source_count; i++) {
            CarriedSource *carried = &step->carried[step->carried_count++];
            *carried = sources[i];
            begin_source(carried, step->context);
            start_window(&cursors[i], carried, &windows[w]);
        }
        if (!merge_window(step, cursors, source_count, static_cast<uint64>(windows[w].share * static_cast<double>(row_count))))
            return false;
        finish_segment(step);
    }
    for (uint32 i = 0; i < step->carried_count; i++) end_source(&step->carried[i]);
    return true;
}

}  // namespace historian::engine
