// Which segments are merged by tag: those that lie over one another.
//
// A segment is a box: a range of tags by a range of times. What a query costs is how many boxes it meets, so merging looks for
// the point that most boxes cover, and makes one layer of disjoint boxes of those around it.
//
//     above level 0   small ones, so that deletions leave no crumbs (of level 0 these are choose_sources()'s);
//     any level       those with short runs of a tag, whatever their times: all tags for a short time is wide where queries are
//                     narrow, and a tag that reports seldom is to be together too;
//                     any, where tags and times meet: late points over the points of their time.
//
// What was merged is a level higher, and only boxes of one level are merged: each row is written once a level. Boxes of a month
// (late points) and of an hour are apart too: else each box of late points would have all hours of its month written again. So a
// point is covered by fewer boxes than by_tag_count_min a level and class of time span, short runs not yet merged aside.
#include "codec/arena.h"
#include "engine/report.h"
#include "engine/seal_choice.h"
#include "engine/seal_merge.h"
#include "engine/segment_store.h"
#include "format/overlap.h"
#include "format/segment.h"

#include <algorithm>

namespace historian::engine {

using format::Box;
using format::DirectoryEntry;

namespace {

// What was rewritten so often stays as it is, so that merging ends whatever it is given. Loads come nowhere near; a hundred
// rounds of DELETE and compact(), which rewrites for a single row, may.
constexpr uint8 kLevelMax = 24;

// Time spans of one class differ eightfold at most.
uint8 span_class(const DirectoryEntry &entry) {
    if (entry.level == 0 || entry.time_min >= entry.time_max) return 0;
    const uint64 span = static_cast<uint64>(entry.time_max) - static_cast<uint64>(entry.time_min);
    return static_cast<uint8>((63 - __builtin_clzll(span)) / 3);
}

struct Pool {
    CarriedSource *members;
    uint32 count;
};

// ------------------------------------------------------------------------------------------------------------------ boxes

// The first bytes of a tag.
struct TagEdge {
    const uint8 *bytes;
    uint32 byte_count;
};

bool operator<(const TagEdge &a, const TagEdge &b) {
    const int order = memcmp(a.bytes, b.bytes, Min(a.byte_count, b.byte_count));
    return order != 0 ? order < 0 : a.byte_count < b.byte_count;
}

TagEdge first_tag(const DirectoryEntry &entry) { return {entry.tag_first, entry.tag_first_bytes}; }
TagEdge last_tag(const DirectoryEntry &entry) { return {entry.tag_last, entry.tag_last_bytes}; }

bool has_times(const DirectoryEntry &entry) { return entry.time_min <= entry.time_max; }

// Where most of a segment lies in time. Loads of points in order touch, and delays make them overlap a little: by less than an
// eighth of a segment it lies over no other.
struct TimeSpan {
    int64 first;
    int64 last;
};

TimeSpan span_of(const DirectoryEntry &entry) {
    if (entry.level > 0) return {entry.time_min, entry.time_max};
    const uint64 margin = (static_cast<uint64>(entry.time_max) - static_cast<uint64>(entry.time_min)) / 16;
    return {static_cast<int64>(static_cast<uint64>(entry.time_min) + margin),
            static_cast<int64>(static_cast<uint64>(entry.time_max) - margin)};
}

// All edges of a pool's boxes, sorted: an edge's place among them is its coordinate.
struct Edges {
    TagEdge *tags;
    int64 *times;
    uint32 tag_count;
    uint32 time_count;
};

Edges edges_of(const Pool &pool) {
    Edges edges = {static_cast<TagEdge *>(palloc_extended(sizeof(TagEdge) * 2 * pool.count, MCXT_ALLOC_HUGE)),
                   static_cast<int64 *>(palloc_extended(sizeof(int64) * 2 * pool.count, MCXT_ALLOC_HUGE)), 0, 0};
    for (uint32 i = 0; i < pool.count; i++) {
        const DirectoryEntry &entry = pool.members[i].entry;
        edges.tags[edges.tag_count++] = first_tag(entry);
        edges.tags[edges.tag_count++] = last_tag(entry);
        if (!has_times(entry)) continue;
        edges.times[edges.time_count++] = span_of(entry).first;
        edges.times[edges.time_count++] = span_of(entry).last;
    }
    std::sort(edges.tags, edges.tags + edges.tag_count);
    std::sort(edges.times, edges.times + edges.time_count);
    return edges;
}

// From 1 on; 0 is the NULL tag.
uint32 rank_of(const Edges &edges, const TagEdge &tag) {
    return static_cast<uint32>(std::lower_bound(edges.tags, edges.tags + edges.tag_count, tag) - edges.tags) + 1;
}

uint32 rank_of(const Edges &edges, int64 time) {
    return static_cast<uint32>(std::lower_bound(edges.times, edges.times + edges.time_count, time) - edges.times);
}

// Above level 0 a tag that two segments share by the end of the one and the beginning of the other does not make them overlap: a
// merge may have parted it there, and would again. The same goes for a time that two segments of one tag share. Nor do tags
// overlap for certain of which the directory knows nothing but the first 64 bytes, and these are the same.
Box box_of(const Edges &edges, const DirectoryEntry &entry, bool by_time) {
    constexpr Box kEmpty = {1, 0, 0, 0};
    Box box;
    box.x_first = (entry.flags & format::kEntryNullTag) != 0 ? 0 : rank_of(edges, first_tag(entry));
    box.x_last = rank_of(edges, last_tag(entry));
    const bool one_tag = box.x_first == box.x_last;
    if (entry.level > 0 && !one_tag) {
        box.x_last--;
        if ((entry.flags & format::kEntryTagGoesOn) != 0) box.x_first++;
    } else if (entry.level > 0 && (!by_time || !has_times(entry) || entry.tag_first_bytes == format::kEntryTagBytes)) {
        return kEmpty;
    }
    if (!by_time) return box;
    box.y_first = has_times(entry) ? rank_of(edges, span_of(entry).first) : 0;
    box.y_last = has_times(entry) ? rank_of(edges, span_of(entry).last) : edges.time_count;
    if (entry.level == 0 || !one_tag) return box;
    if (box.y_first == box.y_last) return kEmpty;
    box.y_last--;
    return box;
}

// --------------------------------------------------------------------------------------------------------------- grouping

void sort_by_last_time(CarriedSource *sources, uint32 count) {
    std::sort(sources, sources + count, [](const CarriedSource &left, const CarriedSource &right) {
        if (left.entry.time_max != right.entry.time_max) return left.entry.time_max < right.entry.time_max;
        return left.slot < right.slot;
    });
}

// A step has one granule of each source in memory, which is mostly some kilobytes, and 4 MB of wide rows at worst.
constexpr uint32 kGroupCountMax = 128;

// The compressed bytes that a step may take: wide rows are few and many bytes, and a step is to end within seconds.
constexpr uint64 kGroupBytesMax = UINT64CONST(512) * 1024 * 1024;

// As many as one step may take, two at least; the oldest first.
Choice take_group(CarriedSource *sources, uint32 count) {
    Choice choice = {sources, 0, false, true};
    uint64 rows = 0;
    uint64 bytes = 0;
    for (; choice.count < Min(count, kGroupCountMax); choice.count++) {
        const DirectoryEntry &entry = sources[choice.count].entry;
        rows += entry.row_count;
        bytes += entry.byte_count;
        if (choice.count >= 2 && (rows > merge_rows_max() || bytes > kGroupBytesMax)) break;
    }
    choice.more = choice.count < count;
    return choice;
}

// Whether merging leaves fewer segments, and so comes to an end.
bool becomes_fewer(const Choice &choice) {
    uint64 rows = 0;
    for (uint32 i = 0; i < choice.count; i++) rows += choice.sources[i].entry.row_count;
    const auto full = static_cast<uint64>(segment_rows_max);
    return rows + full <= full * choice.count;
}

// The boxes over the deepest point, if they are enough, then those that lie within the range that they cover together.
Choice group_at_deepest(const Pool &pool, bool by_time, uint32 count_min) {
    const Choice none = {};
    if (pool.count < count_min) return none;
    const Edges edges = edges_of(pool);
    Box *boxes = static_cast<Box *>(palloc_extended(sizeof(Box) * pool.count, MCXT_ALLOC_HUGE));
    for (uint32 i = 0; i < pool.count; i++) boxes[i] = box_of(edges, pool.members[i].entry, by_time);
    Arena arena = arena_in(CurrentMemoryContext);
    format::DeepestPoint point;
    const Status status = format::find_deepest({boxes, pool.count}, arena, &point);
    if (!status.ok()) ereport(ERROR, errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory"), errdetail("%s.", status.message));
    if (point.depth < count_min) return none;

    Box range = {UINT32_MAX, 0, UINT32_MAX, 0};
    for (uint32 i = 0; i < pool.count; i++) {
        if (!format::covers(boxes[i], point.x, point.y)) continue;
        range = {Min(range.x_first, boxes[i].x_first), Max(range.x_last, boxes[i].x_last), Min(range.y_first, boxes[i].y_first),
                 Max(range.y_last, boxes[i].y_last)};
    }
    const auto lies_within = [&](const Box &box) {
        return box.x_first >= range.x_first && box.x_last <= range.x_last && box.y_first >= range.y_first &&
               box.y_last <= range.y_last && box.x_first <= box.x_last;
    };
    CarriedSource *group = static_cast<CarriedSource *>(palloc_extended(sizeof(CarriedSource) * pool.count, MCXT_ALLOC_HUGE));
    uint32 count = 0;
    for (uint32 i = 0; i < pool.count; i++) {
        if (format::covers(boxes[i], point.x, point.y)) group[count++] = pool.members[i];
    }
    sort_by_last_time(group, count);
    const uint32 at_point = count;
    for (uint32 i = 0; i < pool.count; i++) {
        if (!format::covers(boxes[i], point.x, point.y) && lies_within(boxes[i])) group[count++] = pool.members[i];
    }
    sort_by_last_time(group + at_point, count - at_point);
    return take_group(group, count);
}

template <typename Predicate>
Pool those_that(const Pool &pool, Predicate is_wanted) {
    Pool some = {static_cast<CarriedSource *>(palloc_extended(sizeof(CarriedSource) * pool.count, MCXT_ALLOC_HUGE)), 0};
    for (uint32 i = 0; i < pool.count; i++) {
        if (is_wanted(pool.members[i].entry)) some.members[some.count++] = pool.members[i];
    }
    return some;
}

// Among segments of one level and class.
Choice choose_among(const Pool &pool, const SealRequest &request) {
    const uint32 count_min = Max(request.by_tag_count_min, 2);
    if (pool.count < count_min) return Choice{};
    const Pool small = those_that(pool, [&](const DirectoryEntry &entry) {
        return entry.level > 0 && entry.row_count < request.merge_rows_below && (entry.flags & format::kEntryFull) == 0;
    });
    sort_by_last_time(small.members, small.count);
    Choice choice = small.count >= count_min ? take_group(small.members, small.count) : Choice{};
    if (!becomes_fewer(choice)) choice = Choice{};
    // A run of a granule's rows gains nothing by being longer: a query that reads it reads whole granules anyway.
    const Pool short_runs = those_that(pool, [](const DirectoryEntry &entry) { return entry.short_run_count > 0; });
    if (choice.count == 0) choice = group_at_deepest(short_runs, false, count_min);
    if (choice.count == 0) choice = group_at_deepest(pool, true, count_min);
    return choice;
}

// Segments in force whose tags are known; of level 0 those that are not left to choose_sources().
Pool list_pool(Relation rel, const format::Metapage &meta, const SealRequest &request) {
    uint32 room = 64;
    Pool pool = {static_cast<CarriedSource *>(palloc(sizeof(CarriedSource) * room)), 0};
    for_each_entry(rel, meta, [&](uint32 slot, const DirectoryEntry &entry) {
        if (!is_committed_segment(entry) || is_superseded_or_doubtful(entry)) return;
        if ((entry.flags & format::kEntryTagsUnknown) != 0) return;
        if (entry.level == 0 ? entry.row_count < request.merge_rows_below : entry.level >= kLevelMax) return;
        if (pool.count == room) {
            room *= 2;
            pool.members = static_cast<CarriedSource *>(repalloc_huge(pool.members, sizeof(CarriedSource) * room));
        }
        pool.members[pool.count++] = source_of(slot, entry);
    });
    return pool;
}

bool same_kind(const CarriedSource &a, const CarriedSource &b) {
    return a.entry.level == b.entry.level && span_class(a.entry) == span_class(b.entry);
}

}  // namespace

Choice choose_merge(Relation rel, const format::Metapage &meta, const SealRequest &request) {
    Choice choice = {};
    if (request.by_tag_count_min == 0) return choice;
    const Pool all = list_pool(rel, meta, request);
    std::sort(all.members, all.members + all.count, [](const CarriedSource &a, const CarriedSource &b) {
        if (a.entry.level != b.entry.level) return a.entry.level < b.entry.level;
        return span_class(a.entry) < span_class(b.entry);
    });
    for (uint32 first = 0; first < all.count && choice.count == 0;) {
        uint32 end = first + 1;
        while (end < all.count && same_kind(all.members[first], all.members[end])) end++;
        choice = choose_among({all.members + first, end - first}, request);
        first = end;
    }
    return choice;
}

}  // namespace historian::engine
