#include "engine/oldest_rows.h"

#include "engine/delete_log.h"
#include "engine/granule.h"
#include "engine/row_slot.h"
#include "engine/scan.h"
#include "engine/segment_store.h"
#include "engine/space.h"
#include "engine/visibility.h"

namespace historian::engine {

using format::DirectoryEntry;
using format::EntryKind;

namespace {

constexpr uint32 kWholeSegment = PG_UINT32_MAX;
constexpr uint32 kTailPieceRows = 256;  // they came together, so their times are close

struct Source {  // a segment that has rows for the snapshot
    uint32 slot;
    DirectoryEntry entry;
    OpenSegment segment;  // index == nullptr: not opened yet
    RowSet deleted;
};

// Rows with their first and last time.
struct Piece {
    int64 time_min;
    int64 time_max;
    uint32 row_count;   // for the snapshot, that have a time
    double row_bytes;   // that a row takes, its share of the segment's or the tail's blocks
    Source *source;     // of a segment: that one, and which granule, or kWholeSegment
    uint32 granule;
    const int64 *times;  // of the tail: row_count of them
};

}  // namespace

struct RowsByTime {
    Relation rel;
    Snapshot snapshot;
    KeyColumns keys;
    MemoryContext context;
    Piece *pieces;
    uint64 piece_count;
    uint64 piece_room;
    Granule *granule;  // the one that is being read
    uint64 row_count;
    double byte_count;
};

namespace {

// ---------------------------------------------------------------------------------------------------------------- pieces

template <typename Item>
void make_room(MemoryContext context, Item **items, uint64 count, uint64 *room) {
    if (count < *room) return;
    *room = Max(2 * *room, 64);
    const Size bytes = *room * sizeof(Item);
    *items = static_cast<Item *>(*items == nullptr
                                     ? MemoryContextAllocExtended(context, bytes, MCXT_ALLOC_HUGE)
                                     : repalloc_huge(*items, bytes));
}

void add_piece(RowsByTime *rows, const Piece &piece) {
    if (piece.row_count == 0) return;
    make_room(rows->context, &rows->pieces, rows->piece_count, &rows->piece_room);
    rows->pieces[rows->piece_count++] = piece;
}

// Calls visit(time) for each row of a piece that is no whole segment.
template <typename Visit>
void for_each_time(RowsByTime *rows, const Piece &piece, Visit visit) {
    CHECK_FOR_INTERRUPTS();
    if (piece.source == nullptr) {
        for (uint32 row = 0; row < piece.row_count; row++) visit(piece.times[row]);
        return;
    }
    Granule *granule = rows->granule;
    open_granule(granule, &piece.source->segment, piece.granule);
    const RowSet &deleted = piece.source->deleted;
    const int64 *times = granule_times(granule);
    for (uint32 row = 0; row < granule->about.row_count; row++) {
        if (has_row(deleted, granule->about.first_row + row)) continue;
        if (times != nullptr) {
            visit(times[row]);
            continue;
        }
        Datum value;
        bool is_null;
        granule_value(granule, rows->keys.time - 1, row, &value, &is_null);
        if (!is_null) visit(DatumGetInt64(value));
    }
}

uint32 count_members(const RowSet &set, RowRange range) {
    uint32 count = 0;
    if (!has_any(set, range)) return 0;
    for (uint32 row = range.first; row < range.first + range.count; row++) count += has_row(set, row) ? 1 : 0;
    return count;
}

// Puts the granules of a segment in its place.
void add_granules(RowsByTime *rows, Source *source, double row_bytes) {
    if (source->segment.index == nullptr)
        open_segment(rows->rel, source->slot, source->entry, rows->context, &source->segment);
    for (uint32 g = 0; g < source->segment.header.granule_count; g++) {
        const format::Granule about = format::granule_at(*source->segment.index, g);
        if (about.time_min > about.time_max) continue;
        Piece piece = {about.time_min, about.time_max, about.row_count, row_bytes, source, g, nullptr};
        if (about.has_null_time) {
            uint32 count = 0;
            for_each_time(rows, piece, [&count](int64) { count++; });
            piece.row_count = count;
        } else {
            piece.row_count -= count_members(source->deleted, {about.first_row, about.row_count});
        }
        add_piece(rows, piece);
    }
}

void add_segment(RowsByTime *rows, uint32 slot, const DirectoryEntry &entry) {
    Source *source = static_cast<Source *>(MemoryContextAllocZero(rows->context, sizeof(Source)));
    source->slot = slot;
    source->entry = entry;
    source->deleted = deleted_rows(rows->rel, slot, entry, rows->snapshot, rows->context);
    // Without its delete log, which would make a deletion take space, and the next one larger.
    const double row_bytes = static_cast<double>(BLCKSZ) * entry_block_count(entry) / Max(entry.row_count, 1);
    const uint32 row_count = entry.row_count - source->deleted.member_count;
    rows->byte_count += row_bytes * row_count;
    if (entry.time_min > entry.time_max) return;
    if (entry.flags & format::kEntryNullTime)
        add_granules(rows, source, row_bytes);
    else
        add_piece(rows, {entry.time_min, entry.time_max, row_count, row_bytes, source, kWholeSegment, nullptr});
}

// All tail rows; their times are kept.
void add_tail(RowsByTime *rows, double tail_bytes) {
    ScanFilter filter = {};
    filter.tail_only = true;
    TableScan *scan = begin_scan(rows->rel, rows->snapshot, &filter, nullptr);
    TupleTableSlot *slot = MakeSingleTupleTableSlot(RelationGetDescr(rows->rel), &kRowSlotOps);
    int64 *times = nullptr;
    uint64 count = 0;
    uint64 room = 0;
    while (next_row(scan, ForwardScanDirection, slot)) {
        CHECK_FOR_INTERRUPTS();
        bool is_null;
        const Datum time = slot_getattr(slot, rows->keys.time, &is_null);
        if (is_null) continue;
        make_room(rows->context, &times, count, &room);
        times[count++] = DatumGetInt64(time);
    }
    ExecDropSingleTupleTableSlot(slot);
    end_scan(scan);
    rows->byte_count += tail_bytes;
    for (uint64 first = 0; first < count; first += kTailPieceRows) {
        const uint32 in_piece = static_cast<uint32>(Min(count - first, kTailPieceRows));
        Piece piece = {times[first], times[first], in_piece, tail_bytes / count, nullptr, 0, times + first};
        for (uint32 row = 1; row < in_piece; row++) {
            piece.time_min = Min(piece.time_min, piece.times[row]);
            piece.time_max = Max(piece.time_max, piece.times[row]);
        }
        add_piece(rows, piece);
    }
}

// Cuts the segments that hold times of [first, last] into granules.
void cut_segments(RowsByTime *rows, int64 first, int64 last) {
    const uint64 count = rows->piece_count;
    for (uint64 i = 0; i < count; i++) {
        const Piece piece = rows->pieces[i];
        if (piece.granule != kWholeSegment || piece.time_max < first || piece.time_min > last) continue;
        if (piece.time_min == piece.time_max) continue;  // it is in one place already
        rows->pieces[i].row_count = 0;
        add_granules(rows, piece.source, piece.row_bytes);
    }
    uint64 kept = 0;
    for (uint64 i = 0; i < rows->piece_count; i++) {
        if (rows->pieces[i].row_count > 0) rows->pieces[kept++] = rows->pieces[i];
    }
    rows->piece_count = kept;
}

// --------------------------------------------------------------------------------------------------------------- answers

enum class Measure : uint8 { rows, bytes };

double weight_of(const Piece &piece, Measure measure) {
    return measure == Measure::rows ? piece.row_count : piece.row_count * piece.row_bytes;
}

// Times from `first` to `last`: the wanted one is among them.
struct TimeSpan {
    int64 first;
    int64 last;
};

uint64 width_of(const TimeSpan &span) { return static_cast<uint64>(span.last) - static_cast<uint64>(span.first); }
int64 later_by(int64 time, uint64 width) { return static_cast<int64>(static_cast<uint64>(time) + width); }

// The earliest time in a span for which is_enough(time); its last when there is none.
template <typename IsEnough>
int64 first_enough(TimeSpan span, IsEnough is_enough) {
    while (span.first < span.last) {
        CHECK_FOR_INTERRUPTS();
        const int64 middle = later_by(span.first, width_of(span) / 2);
        if (is_enough(middle))
            span.last = middle;
        else
            span.first = middle + 1;
    }
    return span.first;
}

// Where the time lies until which rows weigh `wanted`, as far as the pieces tell.
TimeSpan narrow_by_pieces(const RowsByTime *rows, Measure measure, double wanted) {
    TimeSpan all = {PG_INT64_MAX, PG_INT64_MIN};
    for (uint64 i = 0; i < rows->piece_count; i++) {
        all.first = Min(all.first, rows->pieces[i].time_min);
        all.last = Max(all.last, rows->pieces[i].time_max);
    }
    const auto weighs_enough = [&](int64 time, int64 Piece::*end) {
        double weight = 0;
        for (uint64 i = 0; i < rows->piece_count; i++) {
            if (rows->pieces[i].*end <= time) weight += weight_of(rows->pieces[i], measure);
        }
        return weight >= wanted;
    };
    const int64 first = first_enough(all, [&](int64 time) { return weighs_enough(time, &Piece::time_min); });
    return {first, first_enough({first, all.last}, [&](int64 time) { return weighs_enough(time, &Piece::time_max); })};
}

constexpr uint32 kBuckets = 4096;

// The same to a 4096th of the span, by the times themselves.
TimeSpan narrow_by_times(RowsByTime *rows, Measure measure, double wanted, const TimeSpan &span, double *buckets) {
    memset(buckets, 0, sizeof(double) * kBuckets);
    const uint64 bucket_width = width_of(span) / kBuckets + 1;
    const auto bucket_of = [&](int64 time) {
        return static_cast<uint32>((static_cast<uint64>(time) - static_cast<uint64>(span.first)) / bucket_width);
    };
    double weight = 0;  // of what is earlier
    for (uint64 i = 0; i < rows->piece_count; i++) {
        const Piece piece = rows->pieces[i];
        if (piece.time_min > span.last) continue;
        if (piece.time_max < span.first) {
            weight += weight_of(piece, measure);
        } else if (piece.time_min >= span.first && piece.time_max <= span.last &&
                   bucket_of(piece.time_min) == bucket_of(piece.time_max)) {
            buckets[bucket_of(piece.time_min)] += weight_of(piece, measure);
        } else {
            const double row_weight = measure == Measure::rows ? 1 : piece.row_bytes;
            for_each_time(rows, piece, [&](int64 time) {
                if (time < span.first)
                    weight += row_weight;
                else if (time <= span.last)
                    buckets[bucket_of(time)] += row_weight;
            });
        }
    }
    uint32 bucket = 0;
    for (weight += buckets[0]; weight < wanted && bucket < width_of(span) / bucket_width; weight += buckets[++bucket]) {
    }
    const int64 first = later_by(span.first, bucket * bucket_width);
    const uint64 rest = width_of({first, span.last});
    return {first, later_by(first, Min(bucket_width - 1, rest))};
}

// The earliest time until which, it included, rows weigh as much.
int64 time_of_weight(RowsByTime *rows, Measure measure, double wanted) {
    TimeSpan span = narrow_by_pieces(rows, measure, wanted);
    if (span.first == span.last) return span.first;
    cut_segments(rows, span.first, span.last);
    span = narrow_by_pieces(rows, measure, wanted);
    if (span.first == span.last) return span.first;
    double *buckets = static_cast<double *>(MemoryContextAlloc(rows->context, sizeof(double) * kBuckets));
    while (span.first < span.last) span = narrow_by_times(rows, measure, wanted, span, buckets);
    pfree(buckets);
    return span.first;
}

struct CountsAt {
    uint64 earlier;
    uint64 same;
};

CountsAt count_at(RowsByTime *rows, int64 time) {
    cut_segments(rows, time, time);
    CountsAt counts = {};
    for (uint64 i = 0; i < rows->piece_count; i++) {
        const Piece piece = rows->pieces[i];
        if (piece.time_max < time) {
            counts.earlier += piece.row_count;
        } else if (piece.time_min == time && piece.time_max == time) {
            counts.same += piece.row_count;
        } else if (piece.time_min <= time) {
            for_each_time(rows, piece, [&counts, time](int64 row_time) {
                counts.earlier += row_time < time ? 1 : 0;
                counts.same += row_time == time ? 1 : 0;
            });
        }
    }
    return counts;
}

// All ties go: then the time after tells the same and no tie is looked for.
OldestRows without_ties(int64 time, const CountsAt &counts) {
    if (time == PG_INT64_MAX) return {time, counts.same, counts.earlier + counts.same};
    return {time + 1, 0, counts.earlier + counts.same};
}

constexpr OldestRows kNone = {PG_INT64_MIN, 0, 0};

}  // namespace

RowsByTime *rows_by_time(Relation rel, MemoryContext context) {
    RowsByTime *rows = static_cast<RowsByTime *>(MemoryContextAllocZero(context, sizeof(RowsByTime)));
    rows->rel = rel;
    rows->snapshot = GetActiveSnapshot();
    rows->keys = key_columns(rel);
    rows->context = context;
    rows->granule = make_granule(rel, RelationGetDescr(rel), rows->keys, context);
    format::Metapage meta;
    if (!read_metapage(rel, &meta)) return rows;
    PredicateLockRelation(rel, rows->snapshot);
    double tail_bytes = 0;
    for_each_entry(rel, meta, [&](uint32 slot, const DirectoryEntry &entry) {
        const bool visible = entry_is_visible(entry, rows->snapshot);
        report_entry_conflict(rel, entry, visible, rows->snapshot);
        if (!visible) return;
        if (entry.kind == static_cast<uint8>(EntryKind::segment)) add_segment(rows, slot, entry);
        if (format::is_tail(entry))
            tail_bytes += static_cast<double>(BLCKSZ) * (entry_block_count(entry) + entry_log_block_count(entry));
    });
    add_tail(rows, tail_bytes);
    for (uint64 i = 0; i < rows->piece_count; i++) rows->row_count += rows->pieces[i].row_count;
    const uint64 directory_pages = (uint64{1} << meta.directory_extent_count) - 1;
    const uint64 map_pages = format::map_page_count(RelationGetNumberOfBlocks(rel));  // the metapage is one
    rows->byte_count += static_cast<double>(BLCKSZ) * (directory_pages + map_pages);
    return rows;
}

uint64 row_count_of(const RowsByTime *rows) { return rows->row_count; }

uint64 byte_count_of(const RowsByTime *rows) { return static_cast<uint64>(rows->byte_count); }

OldestRows oldest_by_count(RowsByTime *rows, uint64 count) {
    if (count == 0 || rows->row_count == 0) return kNone;
    const uint64 wanted = Min(count, rows->row_count);
    const int64 time = time_of_weight(rows, Measure::rows, static_cast<double>(wanted));
    const CountsAt counts = count_at(rows, time);
    const uint64 ties = wanted - counts.earlier;
    return ties >= counts.same ? without_ties(time, counts) : OldestRows{time, ties, wanted};
}

OldestRows oldest_by_bytes(RowsByTime *rows, uint64 byte_count) {
    if (byte_count == 0 || rows->row_count == 0) return kNone;
    const int64 time = time_of_weight(rows, Measure::bytes, static_cast<double>(byte_count));
    return without_ties(time, count_at(rows, time));
}

OldestRows oldest_before(RowsByTime *rows, int64 bound) {
    return {bound, 0, rows->row_count == 0 ? 0 : count_at(rows, bound).earlier};
}

}  // namespace historian::engine
