#include "engine/tag_source.h"

#include "engine/report.h"
#include "engine/row.h"
#include "engine/segment_cache.h"
#include "engine/tag_rows.h"

namespace historian::engine {

namespace {

/// Tags of a segment that are written out at a time.
constexpr uint32 kNamesAtATime = 128;

/// Open granules of several tags are kept for the next tag while no more than these are open.
constexpr uint32 kOpenGranulesMax = 256;

// ---------------------------------------------------------------------------------------------------------------- granules

TagGranule *take_granule(SourceSetup *setup) {
    GranulePool *pool = &setup->granules;
    TableScan *scan = setup->scan;
    pool->lent_count++;
    if (pool->idle_count > 0) return pool->idle[--pool->idle_count];
    TagGranule *made = static_cast<TagGranule *>(MemoryContextAllocZero(scan->context, sizeof(TagGranule)));
    made->granule = make_granule(scan->rel, setup->desc, scan->keys, scan->context);
    return made;
}

void give_granule_back(SourceSetup *setup, TagSource *source) {
    if (source->open == nullptr) return;
    GranulePool *pool = &setup->granules;
    pool->lent_count--;
    if (pool->idle_count == pool->idle_room) {
        pool->idle_room = Max(8, pool->idle_room * 2);
        const Size bytes = sizeof(TagGranule *) * pool->idle_room;
        pool->idle = static_cast<TagGranule **>(pool->idle == nullptr ? MemoryContextAlloc(setup->scan->context, bytes)
                                                                      : repalloc(pool->idle, bytes));
    }
    pool->idle[pool->idle_count++] = source->open;
    source->open = nullptr;
}

void open_part(SourceSetup *setup, TagSource *source) {
    const auto number = static_cast<uint32>(source->part);
    if (source->open != nullptr && source->open->granule->number == number) return;
    if (source->open == nullptr) source->open = take_granule(setup);
    Granule *granule = source->open->granule;
    granule->keys = setup->scan->keys;
    open_granule(granule, &source->segment, number);
    setup->scan->counters.granules_read++;
    source->open->found.is_limited = false;
    narrow_by_values(setup->scan, granule, &source->open->found);
}

// -------------------------------------------------------------------------------------------------------------------- tags

// The key of the tag at a position.
TagKey tag_at(SourceSetup *setup, TagSource *source, uint32 position) {
    if (source->has_null_tag && position == 0) return {nullptr, 0, true};
    if (source->is_tail) return source->tail.tags[position];
    TagNames *names = &source->names;
    if (names->count == 0 || position < names->first || position >= names->first + names->count) {
        if (names->context == nullptr)
            names->context = AllocSetContextCreate(source->memory, "historian tags", ALLOCSET_SMALL_SIZES);
        MemoryContextReset(names->context);
        const uint32 lowest = source->has_null_tag ? 1 : 0;
        const uint32 all = format::tag_positions(*source->segment.index);
        // Backwards the tags before this one are asked for next.
        const uint32 back = setup->order.tags_descend ? Min(kNamesAtATime - 1, position - lowest) : 0;
        names->first = position - back;
        names->count = Min(kNamesAtATime, all - names->first);
        // A filter's tags lie apart.
        if (setup->scan->filter->by_tag) {
            names->first = position;
            names->count = 1;
        }
        Arena arena = arena_in(names->context);
        check_status(format::tags_at(*source->segment.index, names->first, names->count, arena, &names->list), setup->scan->rel,
                     "list the tags of a segment");
    }
    const uint64 *offsets = names->list.offsets + (position - names->first);
    return {names->list.data + offsets[0], static_cast<uint32>(offsets[1] - offsets[0]), false};
}

// The first position that is not before a tag; whether it is that tag.
uint32 find_position(SourceSetup *setup, const TagSource *source, const TagKey &tag, bool *found) {
    uint32 position = 0;
    if (!source->is_tail) {
        check_status(format::find_tag(*source->segment.index, {tag.data, tag.byte_count}, found, &position), setup->scan->rel,
                     "find a tag in a segment");
        return position;
    }
    uint32 low = source->has_null_tag ? 1 : 0;
    for (uint32 high = source->tail.tag_count; low < high;) {
        const uint32 middle = low + (high - low) / 2;
        if (compare_bytes(source->tail.tags[middle], tag) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *found = low < source->tail.tag_count && compare_bytes(source->tail.tags[low], tag) == 0;
    return low;
}

bool stand_at(SourceSetup *setup, TagSource *source, int64 position) {
    source->position = position;
    source->tag = tag_at(setup, source, static_cast<uint32>(position));
    return true;
}

// The filter's tags, from `index` on in the scan's direction: the first that the segment has.
bool find_filter_tag(SourceSetup *setup, TagSource *source, int64 index) {
    const ScanFilter *filter = setup->scan->filter;
    const int64 by = setup->order.tags_descend ? -1 : 1;
    for (; index >= 0 && index < static_cast<int64>(filter->tag_count); index += by) {
        const TagFilter &tag = filter->tags[index];
        if (!entry_may_hold(source->segment.entry, tag)) continue;
        bool found;
        const uint32 position = find_position(setup, source, {tag.data, tag.byte_count, false}, &found);
        if (!found) continue;
        source->filter_index = index;
        return stand_at(setup, source, position);
    }
    return false;
}

// Where in the filter's tags to begin.
int64 first_filter_index(const SourceSetup *setup) {
    const ScanFilter *filter = setup->scan->filter;
    const bool descend = setup->order.tags_descend;
    int64 low = 0;
    int64 high = filter->tag_count;
    if (!setup->has_turned) return descend ? high - 1 : 0;
    const TagKey &from = setup->turned_at.tag;
    while (low < high) {  // to the first tag at or, when descending, behind the one where the scan has turned around
        const int64 middle = low + (high - low) / 2;
        const int order = compare_bytes({filter->tags[middle].data, filter->tags[middle].byte_count, false}, from);
        if (order < 0 || (descend && order == 0))
            low = middle + 1;
        else
            high = middle;
    }
    return descend ? low - 1 : low;
}

bool is_inside(const TagSource *source, int64 position) { return position >= source->tags_begin && position < source->tags_end; }

// Begins with the NULL tag, or with the others.
bool first_of_all(SourceSetup *setup, TagSource *source) {
    const int64 first = setup->order.tags_descend ? static_cast<int64>(source->tags_end) - 1 : source->tags_begin;
    if (source->wants_null_tag && !setup->order.null_tags_last) return stand_at(setup, source, 0);
    if (is_inside(source, first)) return stand_at(setup, source, first);
    return source->wants_null_tag && stand_at(setup, source, 0);
}

bool next_of_all(SourceSetup *setup, TagSource *source, int64 next) {
    if (is_inside(source, next)) return stand_at(setup, source, next);
    return source->wants_null_tag && setup->order.null_tags_last && stand_at(setup, source, 0);
}

bool first_tag(SourceSetup *setup, TagSource *source) {
    if (!source->is_tail && setup->scan->filter->by_tag) return find_filter_tag(setup, source, first_filter_index(setup));
    if (!setup->has_turned) return first_of_all(setup, source);
    const TagKey &from = setup->turned_at.tag;
    if (from.is_null) {
        if (!setup->order.null_tags_last) return first_of_all(setup, source);
        return source->wants_null_tag && stand_at(setup, source, 0);
    }
    bool found;
    const int64 position = find_position(setup, source, from, &found);
    return next_of_all(setup, source, setup->order.tags_descend && !found ? position - 1 : position);
}

// ------------------------------------------------------------------------------------------------------------------- parts

bool is_pass_of_nulls(const SourceSetup *setup, const TagSource *source) {
    return source->is_second_pass == setup->order.null_times_last;
}

// Whether a part may have rows of the current pass, and the bounds of their times.
struct PartTimes {
    bool has_rows;
    TimeKey first;  // in the scan's direction
    TimeKey last;
};

PartTimes times_of_part(const SourceSetup *setup, const TagSource *source) {
    const ScanFilter *filter = setup->scan->filter;
    PartTimes times = {false, {0, true}, {0, true}};
    int64 time_min;
    int64 time_max;
    bool has_null;
    if (source->is_tail) {
        const uint32 begin = source->position == 0 ? 0 : source->tail.ends[source->position - 1];
        const uint32 end = source->tail.ends[source->position];
        has_null = source->tail.rows[begin].time_is_null;
        uint32 first = begin;  // without NULL: they come first, and are few
        while (first < end && source->tail.rows[first].time_is_null) first++;
        time_min = first < end ? source->tail.rows[first].time : PG_INT64_MAX;
        time_max = first < end ? source->tail.rows[end - 1].time : PG_INT64_MIN;
    } else {
        const auto number = static_cast<uint32>(source->part);
        if (source->wanted != nullptr && !has_granule(source->wanted, number)) return times;
        const format::Granule about = format::granule_at(*source->segment.index, number);
        has_null = about.has_null_time;
        time_min = about.time_min;
        time_max = about.time_max;
    }
    if (is_pass_of_nulls(setup, source)) {
        times.has_rows = has_null && !filter->by_time;
        return times;
    }
    times.has_rows = time_min <= time_max && (!filter->by_time || times_overlap(*filter, time_min, time_max));
    times.first = {setup->order.times_descend ? time_max : time_min, false};
    times.last = {setup->order.times_descend ? time_min : time_max, false};
    return times;
}

// Goes to the next part that may have rows, without opening it.
bool find_part(SourceSetup *setup, TagSource *source) {
    const bool descend = setup->order.times_descend;
    source->has_row = false;
    for (;;) {
        source->part += descend ? -1 : 1;
        if (source->part < source->part_first || source->part > source->part_last) {
            if (source->is_second_pass) return false;
            source->is_second_pass = true;
            source->part = descend ? source->part_last + 1 : source->part_first - 1;
            continue;
        }
        const PartTimes times = times_of_part(setup, source);
        if (!times.has_rows) continue;
        if (source->may_have_turned && compare_times(setup->order, times.last, setup->turned_at.time) < 0) continue;
        source->bound = times.first;
        return true;
    }
}

// -------------------------------------------------------------------------------------------------------------------- rows

TimeKey time_at(const SourceSetup *setup, const TagSource *source, int64 row) {
    if (source->is_tail) return {source->tail.rows[row].time, source->tail.rows[row].time_is_null};
    const format::ColumnVector &times = granule_column(source->open->granule, setup->scan->keys.time - 1).vector;
    if (times.nulls != nullptr && times.nulls[row] != 0) return {0, true};
    return {times.numbers[row], false};
}

// Of a granule of several tags the rows of the only one that is asked for are decoded, in both passes.
void decode_only_tag(const SourceSetup *setup, const TagSource *source) {
    const ScanFilter *filter = setup->scan->filter;
    Granule *granule = source->open->granule;
    if (!filter->by_tag || filter->tag_count > 1 || granule->about.tag_first == granule->about.tag_last) return;
    if (granule->few == nullptr && source->first < source->end)
        read_row_span(granule, static_cast<uint32>(source->first), static_cast<uint32>(source->end));
}

// The rows of the tag in the part, of the current pass.
void find_rows(SourceSetup *setup, TagSource *source) {
    const ScanFilter *filter = setup->scan->filter;
    bool may_have_null = true;
    if (source->is_tail) {
        source->first = source->position == 0 ? 0 : source->tail.ends[source->position - 1];
        source->end = source->tail.ends[source->position];
    } else {
        open_part(setup, source);
        may_have_null = source->open->granule->about.has_null_time;
        const RowSpan rows = rows_of_tag(source->open->granule, source->tag, static_cast<uint32>(source->position));
        source->first = rows.first;
        source->end = rows.end;
        decode_only_tag(setup, source);
    }
    const auto time = [&](int64 row) { return time_at(setup, source, row); };
    const int64 timed = may_have_null
                            ? first_row_behind(source->first, source->end, [&](int64 row) { return !time(row).is_null; })
                            : source->first;
    if (is_pass_of_nulls(setup, source)) {
        source->end = timed;
        return;
    }
    source->first = timed;
    if (!filter->by_time) return;
    source->first = first_row_behind(source->first, source->end, [&](int64 row) { return time(row).time >= filter->time_min; });
    source->end = first_row_behind(source->first, source->end, [&](int64 row) { return time(row).time > filter->time_max; });
}

// Whether the current row lies behind the one where the scan has turned around.
bool is_behind_turn(SourceSetup *setup, const TagSource *source) {
    if (!source->may_have_turned) return true;
    const RowPlace &at = setup->turned_at;
    int order = compare_times(setup->order, time_at(setup, source, source->row), at.time);
    if (order != 0) return order > 0;
    order = source->number != at.source ? (source->number > at.source ? 1 : -1)
                                        : (place_of_row(source) > at.row) - (place_of_row(source) < at.row);
    return setup->order.times_descend ? order < 0 : order > 0;
}

// From the current row to the first one, in the direction of time, that the filter's ranges of values leave.
void pass_over(const SourceSetup *setup, TagSource *source) {
    if (source->is_tail || !source->open->found.is_limited || source->row < source->first || source->row >= source->end) return;
    const FoundRows &found = source->open->found;
    source->row = setup->order.times_descend ? previous_possible_row(found, source->row) : next_possible_row(found, source->row);
}

bool is_deleted(const TagSource *source) {
    return !source->is_tail &&
           has_row(source->deleted, source->open->granule->about.first_row + static_cast<uint32>(source->row));
}

// The same set without granules whose statistics exclude them, when many are read.
uint64 *granules_by_values(SourceSetup *setup, TagSource *source, uint64 *wanted) {
    const ScanFilter *filter = setup->scan->filter;
    if (filter->value_count == 0 || filter->by_tag) return wanted;
    if (wanted == nullptr) {
        const Size bytes = sizeof(uint64) * format::granule_words(source->segment.header.granule_count);
        wanted = static_cast<uint64 *>(MemoryContextAlloc(source->memory, bytes));
        memset(wanted, 0xFF, bytes);
    }
    narrow_by_statistics(setup->scan, source->segment, wanted);
    return wanted;
}

}  // namespace

bool open_segment_source(SourceSetup *setup, TagSource *source) {
    TableScan *scan = setup->scan;
    const ScanItem &item = scan->items[source->item];
    source->memory = AllocSetContextCreate(setup->context, "historian segment", ALLOCSET_SMALL_SIZES);
    source->is_open = true;
    borrow_open_segment(scan->rel, item.slot, item.entry, source->memory, &source->segment);
    source->deleted = deleted_rows(scan->rel, item.slot, item.entry, scan->snapshot, source->memory);
    source->wanted = granules_by_values(setup, source, granules_by_filter(scan, source->segment, source->memory));
    scan->counters.segments_read++;
    source->has_null_tag = format::has_null_tag(*source->segment.index);
    source->wants_null_tag = source->has_null_tag && !scan->filter->by_tag_range;
    const TagPositions positions = positions_in_range(scan, source->segment);
    source->tags_begin = positions.begin;
    source->tags_end = positions.end;
    return first_tag(setup, source);
}

bool open_tail_source(SourceSetup *setup, TagSource *source, const TailRows &rows) {
    source->is_open = source->is_tail = true;
    source->tail = rows;
    source->has_null_tag = source->wants_null_tag = rows.tag_count > 0 && rows.tags[0].is_null;
    source->tags_begin = source->has_null_tag ? 1 : 0;
    source->tags_end = rows.tag_count;
    return first_tag(setup, source);
}

bool next_tag(SourceSetup *setup, TagSource *source) {
    const bool descend = setup->order.tags_descend;
    if (!source->is_tail && setup->scan->filter->by_tag)
        return find_filter_tag(setup, source, source->filter_index + (descend ? -1 : 1));
    const bool at_null = source->has_null_tag && source->position == 0;
    if (!at_null) return next_of_all(setup, source, source->position + (descend ? -1 : 1));
    if (setup->order.null_tags_last) return false;
    const int64 first = descend ? static_cast<int64>(source->tags_end) - 1 : source->tags_begin;
    return is_inside(source, first) && stand_at(setup, source, first);
}

bool begin_tag(SourceSetup *setup, TagSource *source) {
    source->part_first = source->part_last = 0;
    if (!source->is_tail) {
        const format::GranuleRange range = format::granules_of_tag(*source->segment.index, static_cast<uint32>(source->position));
        source->part_first = range.first;
        source->part_last = Min(range.last, source->segment.header.granule_count - 1);
    }
    source->is_second_pass = false;
    source->part = setup->order.times_descend ? source->part_last + 1 : source->part_first - 1;
    source->may_have_turned = setup->has_turned && compare_tags(setup->order, source->tag, setup->turned_at.tag) == 0;
    return find_part(setup, source);
}

bool advance_in_tag(SourceSetup *setup, TagSource *source) {
    const int64 by = setup->order.times_descend ? -1 : 1;
    if (source->has_row) {
        source->row += by;
    } else {
        find_rows(setup, source);
        source->row = by < 0 ? source->end - 1 : source->first;
    }
    for (;; source->row += by) {
        pass_over(setup, source);
        if (source->row < source->first || source->row >= source->end) break;
        if (is_deleted(source) || !is_behind_turn(setup, source)) continue;
        source->has_row = true;
        return true;
    }
    return find_part(setup, source);
}

TimeKey time_of_row(SourceSetup *setup, const TagSource *source) { return time_at(setup, source, source->row); }

int64 place_of_row(const TagSource *source) {
    return source->is_tail ? source->row : static_cast<int64>(source->open->granule->about.first_row) + source->row;
}

void end_tag(SourceSetup *setup, TagSource *source) {
    if (source->open == nullptr) return;
    const bool is_shared = source->open->granule->about.tag_first != source->open->granule->about.tag_last;
    if (!is_shared || setup->granules.lent_count > kOpenGranulesMax) give_granule_back(setup, source);
}

void close_source(SourceSetup *setup, TagSource *source) {
    give_granule_back(setup, source);
    if (source->memory != nullptr) MemoryContextDelete(source->memory);
    source->memory = nullptr;
    source->is_open = source->has_row = false;
}

}  // namespace historian::engine
