#include "engine/tail_rows.h"

#include "codec/hash.h"
#include "engine/row.h"

#include <algorithm>

namespace historian::engine {

struct TailCollector {
    TableScan *scan;
    TupleDesc desc;
    MemoryContext context;
    TailAddress *rows;  // their tags: places among `tags`
    uint32 row_count;
    uint32 row_room;
    TagKey *tags;  // as they came
    uint32 tag_count;
    uint32 tag_room;
    uint32 *places;  // of tags, by hash: place + 1, or 0; a power of two, more than twice as many as tags
    uint32 place_count;
};

namespace {

uint64 hash_tag(const TagKey &tag) { return tag.is_null ? 0 : codec::hash_bytes({tag.data, tag.byte_count}); }

bool is_same(const TagKey &a, const TagKey &b) { return a.is_null == b.is_null && (a.is_null || compare_bytes(a, b) == 0); }

// The place in the table where a tag is, or would be.
uint32 *find_place(TailCollector *collector, const TagKey &tag) {
    uint32 at = static_cast<uint32>(hash_tag(tag)) & (collector->place_count - 1);
    while (collector->places[at] != 0 && !is_same(collector->tags[collector->places[at] - 1], tag))
        at = (at + 1) & (collector->place_count - 1);
    return &collector->places[at];
}

template <typename T>
T *grown(MemoryContext context, T *items, uint32 *room) {
    *room = Max(256, *room * 2);
    const Size bytes = sizeof(T) * static_cast<Size>(*room);
    return static_cast<T *>(items == nullptr ? MemoryContextAllocHuge(context, bytes) : repalloc_huge(items, bytes));
}

void grow_tags(TailCollector *collector) {
    collector->tags = grown(collector->context, collector->tags, &collector->tag_room);
    if (collector->places != nullptr) pfree(collector->places);
    collector->place_count = collector->tag_room * 4;
    collector->places = static_cast<uint32 *>(MemoryContextAllocExtended(
        collector->context, sizeof(uint32) * static_cast<Size>(collector->place_count), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO));
    for (uint32 i = 0; i < collector->tag_count; i++) *find_place(collector, collector->tags[i]) = i + 1;
}

// The number of a tag, which is copied when it is new.
uint32 number_of_tag(TailCollector *collector, const TagKey &tag) {
    if (collector->tag_count == collector->tag_room) grow_tags(collector);
    uint32 *place = find_place(collector, tag);
    if (*place == 0) {
        TagKey copy = tag;
        if (!tag.is_null) {
            auto *bytes = static_cast<std::byte *>(MemoryContextAlloc(collector->context, Max(tag.byte_count, 1)));
            memcpy(bytes, tag.data, tag.byte_count);
            copy.data = bytes;
        }
        collector->tags[collector->tag_count++] = copy;
        *place = collector->tag_count;
    }
    return *place - 1;
}

// The fingerprints have let most of the other tags' rows out already.
bool is_wanted(const ScanFilter *filter, const TagKey &tag) {
    if (filter->by_tag_range) {
        const TagKey low = {filter->tag_low.data, filter->tag_low.byte_count, false};
        const TagKey high = {filter->tag_high.data, filter->tag_high.byte_count, false};
        return !tag.is_null && compare_bytes(low, tag) <= 0 && (high.data == nullptr || compare_bytes(tag, high) < 0);
    }
    if (!filter->by_tag) return true;
    uint32 low = 0;
    for (uint32 high = filter->tag_count; low < high && !tag.is_null;) {
        const uint32 middle = low + (high - low) / 2;
        const int order = compare_bytes({filter->tags[middle].data, filter->tags[middle].byte_count, false}, tag);
        if (order == 0) return true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

bool is_before(const TailAddress &a, const TailAddress &b) {
    if (a.tag != b.tag) return a.tag < b.tag;
    if (a.time_is_null != b.time_is_null) return a.time_is_null;
    if (a.time != b.time) return a.time < b.time;
    if (a.item != b.item) return a.item < b.item;
    if (a.page != b.page) return a.page < b.page;
    return a.offset < b.offset;
}

void add_row(TailCollector *collector, const RowKeys &keys, const TagKey &tag, TailAddress row) {
    row.tag = number_of_tag(collector, tag);
    row.time = keys.time_is_null ? 0 : DatumGetInt64(keys.time);
    row.time_is_null = keys.time_is_null;
    if (collector->row_count == collector->row_room)
        collector->rows = grown(collector->context, collector->rows, &collector->row_room);
    collector->rows[collector->row_count++] = row;
}

}  // namespace

TailCollector *start_collecting(TableScan *scan, TupleDesc desc, MemoryContext context) {
    TailCollector *collector = static_cast<TailCollector *>(MemoryContextAllocZero(context, sizeof(TailCollector)));
    collector->scan = scan;
    collector->desc = desc;
    collector->context = context;
    return collector;
}

void collect_tail_page(TailCollector *collector, uint32 item, uint32 page) {
    TableScan *scan = collector->scan;
    close_tail_page(scan);
    if (!open_tail_page(scan, scan->items[item], page)) return;
    const Form_pg_attribute column = TupleDescAttr(collector->desc, scan->keys.tag - 1);
    for (int i = 0; i < scan->visible_count; i++) {
        const RowKeys keys = visible_row_keys(scan, i, collector->desc);
        TagKey tag = {nullptr, 0, keys.tag_is_null};
        uint8 space[8];
        Datum flat = keys.tag;
        if (!tag.is_null) {
            if (column->attlen == -1) flat = PointerGetDatum(PG_DETOAST_DATUM_PACKED(keys.tag));
            const TagBytes bytes = tag_bytes(flat, column, space);
            tag.data = bytes.data;
            tag.byte_count = bytes.byte_count;
        }
        if (is_wanted(scan->filter, tag)) add_row(collector, keys, tag, {0, 0, item, page, scan->visible[i], false});
        if (flat != keys.tag) pfree(DatumGetPointer(flat));
    }
}

TailRows sort_collected(TailCollector *collector) {
    const uint32 count = collector->tag_count;
    TailRows sorted = {};
    if (count == 0) return sorted;
    MemoryContext context = collector->context;
    const TagKey *tags = collector->tags;
    const auto make_array = [context](Size bytes) { return MemoryContextAllocHuge(context, bytes); };
    uint32 *order = static_cast<uint32 *>(make_array(sizeof(uint32) * count));
    uint32 *rank = static_cast<uint32 *>(make_array(sizeof(uint32) * count));
    for (uint32 i = 0; i < count; i++) order[i] = i;
    std::sort(order, order + count, [tags](uint32 a, uint32 b) { return compare_tags(TagOrder{}, tags[a], tags[b]) < 0; });
    sorted.tags = static_cast<TagKey *>(make_array(sizeof(TagKey) * count));
    sorted.ends = static_cast<uint32 *>(make_array(sizeof(uint32) * count));
    sorted.tag_count = count;
    for (uint32 i = 0; i < count; i++) {
        sorted.tags[i] = tags[order[i]];
        rank[order[i]] = i;
    }
    sorted.rows = collector->rows;
    sorted.row_count = collector->row_count;
    for (uint32 i = 0; i < sorted.row_count; i++) sorted.rows[i].tag = rank[sorted.rows[i].tag];
    std::sort(sorted.rows, sorted.rows + sorted.row_count, is_before);
    for (uint32 i = 0; i < sorted.row_count; i++) sorted.ends[sorted.rows[i].tag] = i + 1;
    return sorted;
}

}  // namespace historian::engine
