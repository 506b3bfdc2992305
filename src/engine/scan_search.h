// Searches within granules: which rows a scan need not look at, because no `text @@ search_query` of its filter can match them,
// and which match for sure (format/message_search.h); and rows and granules that ranges of values leave (scan_values.cpp).
#pragma once

#include "engine/scan_state.h"
#include "format/message_search.h"

extern "C" {
#include "port/pg_bitutils.h"
}

namespace historian::engine {

/// The filter's searches prepared for one segment; lives as long as the memory that the segment was opened for.
struct SegmentSearches {
    MemoryContext context;
    Arena *arena;                      // in that memory: searches go on taking memory from it
    format::MessageSearch **prepared;  // one a search of the filter; nullptr: not yet
};

/// What the searches leave of a granule's rows.
struct FoundRows {
    bool is_limited;  // false: there is no search, all rows are wanted
    format::RowBits possible;
    format::RowBits certain;  // of these
    uint32 possible_count;
    uint32 few[kFewRowsMax];  // the possible rows, when they are so few
};

/// For a segment just opened; `context` is its memory.
void begin_searches(SegmentSearches *searches, MemoryContext context);

/// For the granule just opened, whose columns that are asked for later are decoded for those rows alone if they are few.
void search_granule(TableScan *scan, SegmentSearches *searches, Granule *granule, FoundRows *found);

/// Counts the possible rows; if they are few, texts are decoded for them alone.
void keep_few_rows(Granule *granule, FoundRows *found);

/// Keeps of the possible rows those that the filter's ranges of values leave; only of these are other columns worth decoding.
void narrow_by_values(TableScan *scan, Granule *granule, FoundRows *found);

/// Takes the granules out of a set whose statistics say that no row lies in the filter's ranges of values. Reading statistics is
/// not worth it for few granules: then nothing happens.
void narrow_by_statistics(TableScan *scan, const OpenSegment &segment, uint64 *granules);

/// The first possible row at or behind `row`, or at or before it; -1 or kGranuleRowsMax when there is none.
inline int64 next_possible_row(const FoundRows &found, int64 row) {
    for (int64 word = row / 64; word < format::kGranuleRowsMax / 64; word++) {
        uint64 left = found.possible.words[word];
        if (word == row / 64) left &= ~UINT64CONST(0) << (row % 64);
        if (left != 0) return word * 64 + pg_rightmost_one_pos64(left);
    }
    return format::kGranuleRowsMax;
}
inline int64 previous_possible_row(const FoundRows &found, int64 row) {
    for (int64 word = row / 64; word >= 0; word--) {
        uint64 left = found.possible.words[word];
        if (word == row / 64) left &= ~UINT64CONST(0) >> (63 - row % 64);
        if (left != 0) return word * 64 + pg_leftmost_one_pos64(left);
    }
    return -1;
}

/// Whether no possible row is left to be looked at.
inline bool all_certain(const FoundRows &found) {
    uint64 others = 0;
    for (uint32 word = 0; word < format::kGranuleRowsMax / 64; word++)
        others |= found.possible.words[word] & ~found.certain.words[word];
    return others == 0;
}

inline bool has_bit(const format::RowBits &rows, uint32 row) { return ((rows.words[row / 64] >> (row % 64)) & 1) != 0; }

/// Clears keep[row] for the rows of a span that are not among these.
void keep_bits(const format::RowBits &rows, RowSpan span, uint8 *keep);

/// Only rows of this span that are possible will be asked for: decodes no others where that saves something.
void limit_rows(Granule *granule, RowSpan wanted, const FoundRows &found);

}  // namespace historian::engine
