#include "engine/scan_search.h"

#include <bit>

#include "engine/report.h"

namespace historian::engine {

using format::RowBits;

namespace {

constexpr uint32 kRowWords = format::kGranuleRowsMax / 64;

// All rows are possible and none is certain: nothing is known.
void set_unknown(uint32 row_count, RowBits *certain, RowBits *possible) {
    memset(certain, 0, sizeof(*certain));
    memset(possible, 0, sizeof(*possible));
    for (uint32 row = 0; row < row_count; row += 64) {
        const uint32 left = row_count - row;
        possible->words[row / 64] = left >= 64 ? ~UINT64CONST(0) : (UINT64CONST(1) << left) - 1;
    }
}

void run_search(TableScan *scan, SegmentSearches *searches, Granule *granule, uint32 number, RowBits *certain,
                RowBits *possible) {
    const OpenSegment &segment = *granule->segment;
    const RowSearch &search = scan->filter->searches[number];
    // A column that was added after the segment was made has one value, which the query itself is compared with.
    if (search.column >= segment.header.column_count) return set_unknown(granule->about.row_count, certain, possible);
    format::MessageSearch **prepared = &searches->prepared[number];
    if (*prepared == nullptr) {
        const codec::TemplateModel *model = column_model(scan->rel, segment, search.column);
        format::MessageUnits *units = column_units(scan->rel, segment, search.column);
        check_status(format::prepare_message_search(model, *search.query, *searches->arena, prepared, units), scan->rel,
                     "prepare a search");
    }
    format::OpenChunk *chunk = granule_chunk(granule, static_cast<int>(search.column));
    const Status status = format::search_chunk(**prepared, *segment.index, granule->number, search.column, *chunk, granule->arena,
                                               certain, possible);
    check_status(status, scan->rel, "search a segment");
}

}  // namespace

void keep_few_rows(Granule *granule, FoundRows *found) {
    found->possible_count = 0;
    for (uint32 w = 0; w < kRowWords; w++) found->possible_count += static_cast<uint32>(pg_popcount64(found->possible.words[w]));
    if (found->possible_count > kFewRowsMax) return;
    uint32 count = 0;
    for (uint32 w = 0; w < kRowWords; w++) {
        for (uint64 left = found->possible.words[w]; left != 0; left &= left - 1)
            found->few[count++] = w * 64 + static_cast<uint32>(pg_rightmost_one_pos64(left));
    }
    read_few_rows(granule, found->few, count);
}

void keep_bits(const RowBits &rows, RowSpan span, uint8 *keep) {
    // Eight bits at once: each into a byte of its own, where it becomes 1.
    constexpr uint64 kCopies = UINT64CONST(0x0101010101010101);
    constexpr uint64 kOneEach = UINT64CONST(0x8040201008040201);
    constexpr uint64 kCarry = UINT64CONST(0x7f7f7f7f7f7f7f7f);
    uint32 row = span.first;
    for (; row < span.end && row % 8 != 0; row++) keep[row] &= has_bit(rows, row);
    for (; row + 8 <= span.end; row += 8) {
        const uint64 bits = (rows.words[row / 64] >> (row % 64)) & 0xff;
        uint64 kept;
        memcpy(&kept, keep + row, sizeof(kept));
        kept &= ((bits * kCopies & kOneEach) + kCarry) >> 7 & kCopies;
        memcpy(keep + row, &kept, sizeof(kept));
    }
    for (; row < span.end; row++) keep[row] &= has_bit(rows, row);
}
static_assert(std::endian::native == std::endian::little, "the lowest bit becomes the first of eight bytes");

void begin_searches(SegmentSearches *searches, MemoryContext context) { *searches = SegmentSearches{context, nullptr, nullptr}; }

void search_granule(TableScan *scan, SegmentSearches *searches, Granule *granule, FoundRows *found) {
    const uint32 search_count = scan->filter != nullptr ? scan->filter->search_count : 0;
    found->is_limited = search_count > 0;
    if (search_count == 0) return;
    if (searches->prepared == nullptr) {
        searches->arena = new (MemoryContextAlloc(searches->context, sizeof(Arena))) Arena(arena_in(searches->context));
        searches->prepared = static_cast<format::MessageSearch **>(
            MemoryContextAllocZero(searches->context, sizeof(format::MessageSearch *) * search_count));
    }
    run_search(scan, searches, granule, 0, &found->certain, &found->possible);
    for (uint32 i = 1; i < search_count; i++) {
        RowBits certain;
        RowBits possible;
        run_search(scan, searches, granule, i, &certain, &possible);
        for (uint32 w = 0; w < kRowWords; w++) {
            found->certain.words[w] &= certain.words[w];
            found->possible.words[w] &= possible.words[w];
        }
    }
    keep_few_rows(granule, found);
}

void limit_rows(Granule *granule, RowSpan wanted, const FoundRows &found) {
    const bool is_few = found.is_limited && found.possible_count <= kFewRowsMax;
    const bool is_less = wanted.end > wanted.first && wanted.end - wanted.first < granule->about.row_count;
    if (!is_few && is_less) read_row_span(granule, wanted.first, wanted.end);
}

}  // namespace historian::engine
