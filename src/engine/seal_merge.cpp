#include "engine/seal_merge.h"

#include "engine/delete_log.h"
#include "engine/granule.h"
#include "engine/report.h"

namespace historian::engine {

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

// The next living row of a source.
struct Cursor {
    CarriedSource *source;
    OpenSegment segment;
    LogState log;
    Granule *granule;
    uint32 next_granule;
    uint32 row;  // in the granule
    bool at_end;
    TagView tag;  // in the granule's memory
};

void read_tag(Cursor *cursor) {
    const int column = cursor->granule->keys.tag - 1;
    Datum value;
    bool is_null;
    granule_value(cursor->granule, column, cursor->row, &value, &is_null);  // decodes the column if it is the first
    cursor->tag = TagView{is_null, nullptr, 0};
    if (is_null) return;
    const format::ColumnVector &vector = cursor->granule->columns[column].vector;
    const uint32 entry = vector.entry_of_row[cursor->row];
    cursor->tag.data = vector.entry_data + vector.entry_offsets[entry];
    cursor->tag.byte_count = vector.entry_offsets[entry + 1] - vector.entry_offsets[entry];
}

// Goes on to the first living row at or behind the present place.
void settle(Cursor *cursor) {
    for (;;) {
        const format::Granule &about = cursor->granule->about;
        const bool inside = cursor->granule->segment != nullptr;
        while (inside && cursor->row < about.row_count && has_row(cursor->log.settled, about.first_row + cursor->row))
            cursor->row++;
        if (inside && cursor->row < about.row_count) return read_tag(cursor);
        CHECK_FOR_INTERRUPTS();
        if (cursor->next_granule >= cursor->segment.header.granule_count) {
            cursor->at_end = true;
            return;
        }
        open_granule(cursor->granule, &cursor->segment, cursor->next_granule++);
        cursor->row = 0;
    }
}

void open_cursor(SealStep *step, CarriedSource *source, Cursor *cursor) {
    *cursor = Cursor{};
    cursor->source = source;
    open_segment(step->rel, source->slot, source->entry, step->context, &cursor->segment);
    cursor->log = settled_rows(step->rel, source->slot, source->entry, InvalidTransactionId, step->context);
    cursor->granule = make_granule(step->rel, step->desc, step->keys, step->context);
    settle(cursor);
}

// Adds the rows of one tag from a cursor; how many.
uint64 take_tag(SealStep *step, Cursor *cursor, const TagView &tag) {
    uint64 taken = 0;
    while (!cursor->at_end && compare_tags(cursor->tag, tag) == 0) {
        Granule *granule = cursor->granule;
        for (int i = 0; i < step->desc->natts; i++) granule_value(granule, i, cursor->row, &step->values[i], &step->nulls[i]);
        add_row(step, cursor->source, granule->about.first_row + cursor->row);
        taken++;
        cursor->row++;
        settle(cursor);
    }
    return taken;
}

// The smallest tag under the cursors, copied to memory of its own: cursors move on.
struct NextTag {
    bool found;
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

// Segments of equal size rather than full ones and a rest; whole tags where that is possible.
bool is_time_to_cut(const SealStep &step, uint64 rows_left, uint64 rows_of_last_tag) {
    const uint64 held = rows_in_builder(step);
    const uint64 segments = (held + rows_left + segment_rows_max - 1) / segment_rows_max;
    return segments > 1 && held + rows_of_last_tag / 2 >= (held + rows_left) / segments;
}

constexpr uint32 kTagsPerDdlCheck = 256;

}  // namespace

uint64 merge_rows_max() {
    const uint64 rows_max = UINT64CONST(16) * segment_rows_max;
    const uint64 by_memory = static_cast<uint64>(maintenance_work_mem) * 1024 / sizeof(uint64);
    return Max(UINT64CONST(2) * segment_rows_max, Min(rows_max, by_memory));
}

bool merge_by_tag(SealStep *step, CarriedSource *sources, uint32 source_count) {
    step->level = kLevelByTag;
    Cursor *cursors = static_cast<Cursor *>(palloc(sizeof(Cursor) * source_count));
    uint64 rows_left = 0;
    for (uint32 i = 0; i < source_count; i++) {
        begin_source(&sources[i], step->context);
        open_cursor(step, &sources[i], &cursors[i]);
        rows_left += sources[i].entry.row_count - cursors[i].log.settled.member_count;
    }
    NextTag next = {};
    for (uint32 tag_count = 0; find_next_tag(step, cursors, source_count, &next); tag_count++) {
        if (tag_count % kTagsPerDdlCheck == kTagsPerDdlCheck - 1 && ddl_is_waiting(step->rel)) return false;
        uint64 taken = 0;
        for (uint32 i = 0; i < source_count; i++) taken += take_tag(step, &cursors[i], next.tag);
        rows_left -= taken;
        if (is_time_to_cut(*step, rows_left, taken)) finish_segment(step);
    }
    for (uint32 i = 0; i < source_count; i++) end_source(&sources[i]);
    return true;
}

}  // namespace historian::engine
