// The planner's question: how much a filter leaves. One pass over the directory, which planning a query does anyway for the
// table's size.
#include "engine/scan.h"
#include "engine/scan_state.h"
#include "engine/segment_cache.h"
#include "engine/visibility.h"
#include "format/key_filter.h"

#include <algorithm>

extern "C" {
#include "optimizer/plancat.h"
}

namespace historian::engine {

using format::DirectoryEntry;
using format::EntryKind;

namespace {

int compare_to_prefix(const TagFilter &tag, const uint8 *prefix, uint32 prefix_bytes) {
    const uint32 tag_bytes = Min(tag.byte_count, format::kEntryTagBytes);
    const int order = memcmp(tag.data, prefix, Min(tag_bytes, prefix_bytes));
    return order != 0 ? order : static_cast<int>(tag_bytes) - static_cast<int>(prefix_bytes);
}

// How many of the filter's tags lie between the entry's first and last; the filter's tags are sorted.
double tags_in_entry(const ScanFilter &filter, const DirectoryEntry &entry) {
    const auto count_before = [&filter](const uint8 *prefix, uint32 prefix_bytes, int order) {
        uint32 low = 0;
        for (uint32 high = filter.tag_count; low < high;) {
            const uint32 middle = low + (high - low) / 2;
            if (compare_to_prefix(filter.tags[middle], prefix, prefix_bytes) < order)
                low = middle + 1;
            else
                high = middle;
        }
        return low;
    };
    const uint32 before = count_before(entry.tag_first, entry.tag_first_bytes, 0);
    const uint32 until = count_before(entry.tag_last, entry.tag_last_bytes, 1);
    return Min(static_cast<double>(until - before), static_cast<double>(Max(entry.tag_count, 1)));
}

// The share of an entry's time that the filter wants, as if its rows were spread evenly.
double time_share_of_entry(const ScanFilter &filter, const DirectoryEntry &entry) {
    const double first = Max(static_cast<double>(filter.time_min), static_cast<double>(entry.time_min));
    const double last = Min(static_cast<double>(filter.time_max), static_cast<double>(entry.time_max));
    const double whole = static_cast<double>(entry.time_max) - static_cast<double>(entry.time_min);
    return whole <= 0 ? 1.0 : Max(0.0, Min(1.0, (last - first) / whole));
}

/// Segments whose filter is asked while planning; the share that it leaves is taken for that of the others too.
constexpr uint32 kProbedSegmentsMax = 64;

/// Keys that are looked up while planning.
constexpr uint64 kProbedKeysMax = 10'000;

/// What looking through a granule costs, in rows, when its templates answer a search.
constexpr double kSearchedShare = 0.1;

struct Probe {
    double granules;  // of the segments asked
    double left;      // that the conditions on other columns leave
    uint32 segments;
};

// Asks the filter of a segment, which planning's execution will ask again: what is read now is kept for then.
void probe_segment(Relation rel, uint32 slot, const DirectoryEntry &entry, const ScanFilter &filter, Probe *probe) {
    MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "historian probe", ALLOCSET_SMALL_SIZES);
    OpenSegment segment;
    borrow_open_segment(rel, slot, entry, context, &segment);
    const uint32 count = segment.header.granule_count;
    MemoryContext old = MemoryContextSwitchTo(context);
    uint64 *granules = static_cast<uint64 *>(palloc0(sizeof(uint64) * format::granule_words(count)));
    uint64 skipped[kCountedConditionsMax] = {};
    for (uint32 g = 0; g < count; g++) granules[g / 64] |= UINT64CONST(1) << (g % 64);
    narrow_by_keys(rel, segment, filter.keys, filter.key_count, granules, skipped);
    for (uint32 w = 0; w < format::granule_words(count); w++) probe->left += pg_popcount64(granules[w]);
    probe->granules += count;
    probe->segments++;
    MemoryContextSwitchTo(old);
    MemoryContextDelete(context);
}

// How many segments are asked: with long lists, few.
uint32 segments_to_probe(const ScanFilter &filter) {
    uint64 keys = 1;
    for (uint32 i = 0; i < filter.key_count; i++) keys += filter.keys[i].step_count;
    return static_cast<uint32>(Min(Max(kProbedKeysMax / keys, 1), kProbedSegmentsMax));
}

// The share of their granules that conditions on other columns leave.
double share_left(const Probe &probe) { return probe.granules > 0 ? probe.left / probe.granules : 1.0; }

void add_segment(const ScanFilter &filter, const UnknownFilter &unknown, const DirectoryEntry &entry, ScanEstimate *estimate) {
    const double rows = entry.row_count;
    const double tags = Max(entry.tag_count, 1);
    const double rows_per_tag = rows / tags;
    double wanted_tags = filter.by_tag ? tags_in_entry(filter, entry) : tags;
    if (unknown.tag_count > 0) wanted_tags = Min(wanted_tags, unknown.tag_count);
    const double time_share = (filter.by_time ? time_share_of_entry(filter, entry) : 1.0) * unknown.time_share;
    const double granule_rows = Min(rows, format::kGranuleRowsMax);
    double read;
    if (rows_per_tag >= format::kGranuleRowsLonely) {
        // Granules of one tag: its rows are in time order, at least one granule of each tag is decoded.
        const double one_granule = Min(rows_per_tag, granule_rows);
        read = wanted_tags * Max(one_granule, rows_per_tag * time_share);
    } else {
        // Granules of several tags cover nearly all the segment's time.
        read = Min(rows, wanted_tags * granule_rows);
    }
    read = Min(rows, read);
    estimate->segments++;
    estimate->rows += read;
    // The first page and the index come always.
    estimate->pages += Min(static_cast<double>(entry.used_pages), 2.0 + entry.used_pages * read / Max(rows, 1.0));
}

/// Of the tail's tags nothing is known; a table without segments is taken to have these.
constexpr double kTagsGuess = 200;

struct Bound {  // of a segment's tags, as far as the directory keeps it
    uint8 bytes[format::kEntryTagBytes];
    uint32 byte_count;
    double tags;
};

bool is_before(const Bound &a, const Bound &b) {
    const int order = memcmp(a.bytes, b.bytes, Min(a.byte_count, b.byte_count));
    return order != 0 ? order < 0 : a.byte_count < b.byte_count;
}

void set_bound(Bound *bound, const uint8 *bytes, uint32 byte_count, uint32 tags) {
    memcpy(bound->bytes, bytes, byte_count);
    bound->byte_count = byte_count;
    bound->tags = tags;
}

}  // namespace

// Of n segments over one range, each is taken to have the same tags: it counts for the n-th part of its own.
double estimate_tags(Relation rel) {
    format::Metapage meta;
    if (!read_metapage(rel, &meta)) return 1;
    Bound *firsts = nullptr;  // one a segment
    Bound *lasts = nullptr;
    uint32 count = 0;
    uint32 room = 0;
    for_each_entry(rel, meta, [&](uint32, const DirectoryEntry &entry) {
        if (entry.kind != static_cast<uint8>(EntryKind::segment) || TransactionIdIsValid(entry.xmax) || entry.tag_count == 0)
            return;
        if (count == room) {
            room = Max(64, room * 2);
            const Size bytes = sizeof(Bound) * static_cast<Size>(room);
            firsts =
                static_cast<Bound *>(firsts == nullptr ? palloc_extended(bytes, MCXT_ALLOC_HUGE) : repalloc_huge(firsts, bytes));
            lasts =
                static_cast<Bound *>(lasts == nullptr ? palloc_extended(bytes, MCXT_ALLOC_HUGE) : repalloc_huge(lasts, bytes));
        }
        set_bound(&firsts[count], entry.tag_first, entry.tag_first_bytes, entry.tag_count);
        set_bound(&lasts[count], entry.tag_last, entry.tag_last_bytes, entry.tag_count);
        count++;
    });
    if (count == 0) return kTagsGuess;
    std::sort(firsts, firsts + count, is_before);
    std::sort(lasts, lasts + count, is_before);
    // A sweep over the ends: between two of them the same segments lie over one another.
    double tags = 0;
    for (uint32 i = 0; i < count; i++) {
        const auto begun = static_cast<double>(std::upper_bound(firsts, firsts + count, lasts[i], is_before) - firsts);
        const double over = Max(begun - i, 1.0);  // segments that hold this one's last tag
        tags += lasts[i].tags / over;
    }
    pfree(firsts);
    pfree(lasts);
    return Max(tags, 1.0);
}

ScanEstimate estimate_scan(Relation rel, const ScanFilter &filter, const UnknownFilter &unknown) {
    ScanEstimate estimate = {};
    format::Metapage meta;
    if (!read_metapage(rel, &meta)) return estimate;
    const int32 width = get_rel_data_width(rel, nullptr) + MAXALIGN(SizeofHeapTupleHeader) + sizeof(ItemIdData);
    const double rows_per_page =
        Max(1.0, Min(static_cast<double>(format::kTailRowsMax), static_cast<double>(format::kTailRowBytesMax) / width));
    ScanEstimate sealed = {};
    Probe probe = {};
    const uint32 probed_max = filter.key_count > 0 ? segments_to_probe(filter) : 0;
    for_each_entry(rel, meta, [&](uint32 slot, const DirectoryEntry &entry) {
        if (TransactionIdIsValid(entry.xmax)) return;  // almost always superseded for good
        if (entry.kind == static_cast<uint8>(EntryKind::tail)) {
            // Pages of other tags and times are passed over, and so are the rows of other tags on the others.
            const double share = filter.by_tag || filter.by_time ? 0.1 : 1.0;
            estimate.tail_pages += entry.used_pages * share;
            estimate.tail_rows += entry.used_pages * rows_per_page;
            estimate.rows += entry.used_pages * rows_per_page * share;
        } else if (entry.kind == static_cast<uint8>(EntryKind::segment) && segment_may_match(filter, entry)) {
            add_segment(filter, unknown, entry, &sealed);
            const bool is_there = xid_state(entry.xmin) == XidState::committed;
            if (is_there && probe.segments < probed_max) probe_segment(rel, slot, entry, filter, &probe);
        }
    });
    const double share = share_left(probe);
    estimate.segments = sealed.segments;
    estimate.pages = sealed.pages * share;
    estimate.rows += sealed.rows * share * (filter.search_count > 0 ? kSearchedShare : 1.0);
    return estimate;
}

}  // namespace historian::engine
