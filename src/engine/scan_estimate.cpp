// The planner's question: how much a filter leaves. One pass over the directory, which planning a query does anyway for the
// table's size.
#include "engine/report.h"
#include "engine/scan.h"
#include "engine/scan_state.h"
#include "engine/segment_cache.h"
#include "engine/tail_summary.h"
#include "engine/visibility.h"
#include "format/key_filter.h"
#include "format/version.h"

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

// The share of the rows between two times that the filter wants, as if they were spread evenly.
double time_share(const ScanFilter &filter, int64 time_min, int64 time_max) {
    if (!filter.by_time) return 1.0;
    if (!times_overlap(filter, time_min, time_max)) return 0.0;
    const double first = Max(static_cast<double>(filter.time_min), static_cast<double>(time_min));
    const double last = Min(static_cast<double>(filter.time_max), static_cast<double>(time_max));
    const double whole = static_cast<double>(time_max) - static_cast<double>(time_min);
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

/// The shares of the table's tags and of its times that conditions leave whose values are not known.
struct UnknownShares {
    double tag_share;
    double time_share;
};

// ------------------------------------------------------------------------------------------------------- rows of some tags

/// Segments whose index is asked how many rows the filter's tags have; what they have more or less than an average tag is taken
/// for that of the others too.
constexpr uint32 kCountedSegmentsMax = 32;

/// Tags of a list, or granules of a range of tags, that are looked at in a segment.
constexpr uint32 kCountedTagsMax = 32;
constexpr uint32 kCountedGranulesMax = 512;

struct TagCount {
    uint32 segments;
    double expected;  // rows, as if all tags of a segment had as many
    double counted;
};

// Rows of the tags at positions [begin, end) in the filter's times.
double count_rows(const OpenSegment &segment, const ScanFilter &filter, uint32 begin, uint32 end) {
    const format::SegmentIndex &index = *segment.index;
    const uint32 first = format::granules_of_tag(index, begin).first;
    const uint32 last = format::granules_of_tag(index, end - 1).last;
    const uint32 step = (last - first) / kCountedGranulesMax + 1;
    double rows = 0;
    for (uint32 g = first; g <= last && g < segment.header.granule_count; g += step) {
        const format::Granule about = format::granule_at(index, g);
        const double tags = about.tag_last - about.tag_first + 1;
        const double wanted = Min(about.tag_last + 1, end) - Max(about.tag_first, begin);
        rows += step * about.row_count * wanted / tags * time_share(filter, about.time_min, about.time_max);
    }
    return rows;
}

// What the index of a segment says that the filter's tags have; execution will ask it again, so it is kept.
double rows_of_tags(Relation rel, uint32 slot, const DirectoryEntry &entry, const ScanFilter &filter) {
    MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "historian count", ALLOCSET_SMALL_SIZES);
    OpenSegment segment;
    borrow_open_segment(rel, slot, entry, context, &segment);
    const auto position_of = [&](const TagFilter &tag, bool *found) {
        uint32 position;
        check_status(format::find_tag(*segment.index, {tag.data, tag.byte_count}, found, &position), rel,
                     "find a tag in a segment");
        return position;
    };
    double rows = 0;
    bool found;
    if (filter.by_tag_range) {
        const uint32 begin = position_of(filter.tag_low, &found);
        const uint32 all = format::tag_positions(*segment.index);
        const uint32 end = filter.tag_high.data == nullptr ? all : position_of(filter.tag_high, &found);
        if (begin < end) rows = count_rows(segment, filter, begin, end);
    } else {
        const uint32 step = filter.tag_count / kCountedTagsMax + 1;
        for (uint32 t = 0; t < filter.tag_count; t += step) {
            const uint32 position = position_of(filter.tags[t], &found);
            if (found) rows += step * count_rows(segment, filter, position, position + 1);
        }
    }
    MemoryContextDelete(context);
    return rows;
}

/// Of the tail's tags nothing is known; a table without segments is taken to have these.
constexpr double kTagsGuess = 200;

/// The share of rows that a range of tags leaves when nothing is known.
constexpr double kRangeGuess = 0.1;

/// Pages of the tail whose rows are looked at for their tags.
constexpr uint32 kSampledPagesMax = 8;

// Rows of a run in the filter's times, by the summaries of its pages.
double tail_rows_in_time(Relation rel, uint32 slot, const DirectoryEntry &entry, const ScanFilter &filter, double rows_per_page) {
    if (!filter.by_time) return entry.used_pages * rows_per_page;
    SummaryReader *reader = static_cast<SummaryReader *>(palloc0(sizeof(SummaryReader)));
    double rows = 0;
    for (uint32 page = 0; page < entry.used_pages; page++) {
        if (has_summary(entry, page)) {
            const format::PageSummary &summary = read_summary(reader, rel, slot, entry, page);
            rows += rows_per_page * time_share(filter, summary.time_min, summary.time_max);
            continue;
        }
        const Buffer buffer = lock_page(rel, entry_block(entry, page), PageLock::shared);
        if (page_is(BufferGetPage(buffer), format::PageKind::tail)) {
            const format::TailSpecial *special = tail_special(BufferGetPage(buffer));
            rows += rows_per_page * time_share(filter, special->time_min, special->time_max);
        }
        UnlockReleaseBuffer(buffer);
    }
    pfree(reader);
    return rows;
}

// The share of a run's rows whose tags may be the filter's, by the fingerprints on some of its pages.
double tag_share_of_tail(Relation rel, uint32 slot, const DirectoryEntry &entry, const ScanFilter &filter,
                         const UnknownShares &unknown) {
    if (!filter.by_tag) return unknown.tag_share;
    double rows = 0;
    double matching = 0;
    const uint32 step = entry.used_pages / kSampledPagesMax + 1;
    for (uint32 page_index = 0; page_index < entry.used_pages; page_index += step) {
        const Buffer buffer = lock_page(rel, entry_block(entry, page_index), PageLock::shared);
        Page page = BufferGetPage(buffer);
        const bool is_of_run = page_is(page, format::PageKind::tail) && page_trailer(page)->slot == slot;
        const uint32 count = is_of_run ? Min(PageGetMaxOffsetNumber(page), format::kTailRowsMax) : 0;
        rows += count;
        for (uint32 i = 0; i < count; i++) {
            const uint16 fingerprint = tail_special(page)->fingerprints[i];
            for (uint32 t = 0; t < Min(filter.tag_count, kCountedTagsMax); t++)
                matching += filter.tags[t].fingerprint == fingerprint;
        }
        UnlockReleaseBuffer(buffer);
    }
    const double left_out = Max(filter.tag_count, kCountedTagsMax) / static_cast<double>(kCountedTagsMax);
    return rows > 0 ? Min(1.0, matching * left_out / rows) : 1.0;
}

/// What a row that is passed over by its tag costs, of what one costs that is looked at.
constexpr double kPassedOverShare = 0.1;

void add_segment(const ScanFilter &filter, const UnknownShares &unknown, const DirectoryEntry &entry, ScanEstimate *estimate) {
    const double rows = entry.row_count;
    const double tags = Max(entry.tag_count, 1);
    const double rows_per_tag = rows / tags;
    double wanted_tags = filter.by_tag ? tags_in_entry(filter, entry) : tags;
    wanted_tags *= unknown.tag_share;
    // Whether it is opened at all: a tag that is not known yet is in few of many segments.
    const double chance = Min(1.0, wanted_tags);
    const double share = time_share(filter, entry.time_min, entry.time_max) * unknown.time_share;
    double read;
    if (rows_per_tag >= format::kGranuleRowsLonely) {
        // Granules of one tag: its rows are in time order, at least one granule of each tag is decoded.
        const double one_granule = Min(rows_per_tag, static_cast<double>(format::kGranuleRowsMax));
        read = wanted_tags * Max(one_granule, rows_per_tag * share);
    } else if (wanted_tags <= 1) {
        // Of a granule of several tags the rows of the only one are found by its tags.
        read = wanted_tags * (rows_per_tag + kPassedOverShare * format::kGranuleRowsShared);
    } else {
        // Granules of several tags cover nearly all the segment's time.
        read = wanted_tags * format::kGranuleRowsShared;
    }
    read = Min(rows, read);
    estimate->segments += chance;
    estimate->rows += read;
    estimate->time_min = Min(estimate->time_min, filter.by_time ? Max(filter.time_min, entry.time_min) : entry.time_min);
    estimate->time_max = Max(estimate->time_max, filter.by_time ? Min(filter.time_max, entry.time_max) : entry.time_max);
    estimate->matching += wanted_tags * rows_per_tag * share;
    // The first page and the index come always.
    estimate->pages += Min(static_cast<double>(entry.used_pages), 2.0 * chance + entry.used_pages * read / Max(rows, 1.0));
}

struct Bound {  // of a segment's tags, as far as the directory keeps it
    uint8 bytes[format::kEntryTagBytes];
    uint32 byte_count;
};

bool is_before(const Bound &a, const Bound &b) {
    const int order = memcmp(a.bytes, b.bytes, Min(a.byte_count, b.byte_count));
    return order != 0 ? order < 0 : a.byte_count < b.byte_count;
}

Bound make_bound(const uint8 *bytes, uint32 byte_count) {
    Bound bound = {};
    memcpy(bound.bytes, bytes, byte_count);
    bound.byte_count = byte_count;
    return bound;
}

struct TagSpan {
    Bound first;
    Bound last;
    double tags;
};

// Of n segments over one range, each is taken to have the same tags: it counts for the n-th part of its own.
double count_tags(const TagSpan *spans, uint32 count) {
    const Size bytes = sizeof(Bound) * static_cast<Size>(count);
    Bound *firsts = static_cast<Bound *>(palloc_extended(bytes, MCXT_ALLOC_HUGE));
    Bound *lasts = static_cast<Bound *>(palloc_extended(bytes, MCXT_ALLOC_HUGE));
    for (uint32 i = 0; i < count; i++) {
        firsts[i] = spans[i].first;
        lasts[i] = spans[i].last;
    }
    std::sort(firsts, firsts + count, is_before);
    std::sort(lasts, lasts + count, is_before);
    double tags = 0;
    for (uint32 i = 0; i < count; i++) {
        // Segments that merely touch, in a tag that was parted, do not lie over one another.
        const auto begun = std::lower_bound(firsts, firsts + count, spans[i].last, is_before) - firsts;
        const auto ended = std::upper_bound(lasts, lasts + count, spans[i].first, is_before) - lasts;
        tags += spans[i].tags / Max(static_cast<double>(begun - ended), 1.0);
    }
    pfree(firsts);
    pfree(lasts);
    return Max(tags, 1.0);
}

}  // namespace

double estimate_tags(Relation rel) {
    format::Metapage meta;
    if (!read_metapage(rel, &meta)) return 1;
    TagSpan *spans = nullptr;
    uint32 count = 0;
    uint32 room = 0;
    for_each_entry(rel, meta, [&](uint32, const DirectoryEntry &entry) {
        if (entry.kind != static_cast<uint8>(EntryKind::segment) || TransactionIdIsValid(entry.xmax) || entry.tag_count == 0)
            return;
        if (count == room) {
            room = Max(64, room * 2);
            const Size bytes = sizeof(TagSpan) * static_cast<Size>(room);
            spans =
                static_cast<TagSpan *>(spans == nullptr ? palloc_extended(bytes, MCXT_ALLOC_HUGE) : repalloc_huge(spans, bytes));
        }
        spans[count++] = {make_bound(entry.tag_first, entry.tag_first_bytes), make_bound(entry.tag_last, entry.tag_last_bytes),
                          static_cast<double>(entry.tag_count)};
    });
    if (count == 0) return kTagsGuess;
    const double tags = count_tags(spans, count);
    pfree(spans);
    return tags;
}

ScanEstimate estimate_scan(Relation rel, const ScanFilter &filter, const UnknownFilter &unknown_filter) {
    ScanEstimate estimate = {};
    estimate.tags = filter.by_tag ? filter.tag_count : unknown_filter.tag_count;
    UnknownShares unknown = {1.0, unknown_filter.time_share};
    if (unknown_filter.tag_count > 0) unknown.tag_share = Min(1.0, unknown_filter.tag_count / estimate_tags(rel));
    format::Metapage meta;
    if (!read_metapage(rel, &meta)) return estimate;
    const int32 width = get_rel_data_width(rel, nullptr) + MAXALIGN(SizeofHeapTupleHeader) + sizeof(ItemIdData);
    const double rows_per_page =
        Max(1.0, Min(static_cast<double>(format::kTailRowsMax), static_cast<double>(format::kTailRowBytesMax) / width));
    ScanEstimate sealed = {};
    sealed.time_min = PG_INT64_MAX;
    sealed.time_max = PG_INT64_MIN;
    Probe probe = {};
    TagCount tags = {};
    double tail_matching = 0;
    double rows_in_time = 0;  // of all segments
    const uint32 probed_max = filter.key_count > 0 ? segments_to_probe(filter) : 0;
    for_each_entry(rel, meta, [&](uint32 slot, const DirectoryEntry &entry) {
        if (TransactionIdIsValid(entry.xmax)) return;  // almost always superseded for good
        if (entry.kind == static_cast<uint8>(EntryKind::tail)) {
            // Pages of other tags and times are passed over, and so are the rows of other tags on the others.
            const double share = filter.by_tag || filter.by_time ? 0.1 : 1.0;
            estimate.tail_pages += entry.used_pages * share;
            estimate.tail_rows += entry.used_pages * rows_per_page;
            estimate.rows += entry.used_pages * rows_per_page * share;
            tail_matching += tail_rows_in_time(rel, slot, entry, filter, rows_per_page) * unknown.time_share *
                             tag_share_of_tail(rel, slot, entry, filter, unknown);
            return;
        }
        if (entry.kind != static_cast<uint8>(EntryKind::segment)) return;
        rows_in_time += entry.row_count * time_share(filter, entry.time_min, entry.time_max) * unknown.time_share;
        if (segment_may_match(filter, entry)) {
            const double before = sealed.matching;
            add_segment(filter, unknown, entry, &sealed);
            const bool is_there = xid_state(entry.xmin) == XidState::committed;
            if (is_there && (filter.by_tag || filter.by_tag_range) && tags.segments < kCountedSegmentsMax) {
                tags.segments++;
                tags.expected += sealed.matching - before;
                tags.counted += rows_of_tags(rel, slot, entry, filter) * unknown.time_share;
            }
            if (is_there && probe.segments < probed_max) probe_segment(rel, slot, entry, filter, &probe);
        }
    });
    const double share = share_left(probe);
    // Of segments that were not asked the average is taken.
    const double others = Max(0.0, sealed.matching - tags.expected);
    estimate.matching = tags.counted + others * (tags.expected > 0 ? Min(tags.counted / tags.expected, 100.0) : 1.0);
    // Of a range of tags the tail tells nothing: it is taken to have what segments have.
    if (filter.by_tag_range) tail_matching *= rows_in_time > 0 ? Min(estimate.matching / rows_in_time, 1.0) : kRangeGuess;
    estimate.matching += tail_matching;
    // Nor does the directory: a segment counts as wholly read until the rows between its tags were counted.
    const double between = filter.by_tag_range && tags.expected > 0 ? Min(tags.counted / tags.expected, 1.0) : 1.0;
    estimate.segments = sealed.segments;
    estimate.time_min = sealed.time_min;
    estimate.time_max = sealed.time_max;
    estimate.pages = sealed.pages * share * between;
    estimate.rows += sealed.rows * share * between * (filter.search_count > 0 ? kSearchedShare : 1.0);
    return estimate;
}

}  // namespace historian::engine
