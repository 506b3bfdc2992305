// Segments as pages: writes a segment's bytes to extents of its own and reads ranges of them back.
#pragma once

#include "engine/server.h"
//
#include "codec/arena.h"
#include "codec/templates.h"
#include "engine/wal.h"
#include "format/granule_statistics.h"
#include "format/key_filter.h"
#include "format/message_units.h"
#include "format/segment.h"

namespace historian::engine {

/// An arena whose memory comes from a memory context and goes with it; never raises, gives nullptr when memory is short.
Arena arena_in(MemoryContext context);

/// Rows of a full segment: format::kSegmentRowsMax, unless a test wants to see many segments of few rows.
extern int segment_rows_max;

/// Whether a segment builder holds as much as one segment may: rows, or memory (rule R23: 64 MB, or maintenance_work_mem if
/// less).
bool builder_is_full(const format::SegmentBuilder &builder);

struct SegmentStamp {
    TransactionId xmin;
    CommandId cmin;
    uint8 level;
    bool is_full;      // see builder_is_full(): it will not be merged with others
    bool tag_goes_on;  // merging parted the first tag's rows: some are in the segment before
    codec::Effort effort = codec::Effort::normal;
    BlockNumber place_from = 0;  // no block of it lies before this one
};

/// Writes a whole segment and its directory entry; readers see it once stamp.xmin is visible to them.
///
/// returns  the slot
/// A crash or an error in between leaves an entry of kind building whose xmin never commits: VACUUM frees it (rule R13).
uint32 write_segment(Relation rel, const format::SegmentBytes &segment, const SegmentStamp &stamp);

/// Counts rows that were written to a segment as they came in; seal and merge count theirs when they swap.
void count_loaded_rows(Relation rel, uint32 row_count);

/// Copies bytes [range.offset, range.offset + range.byte_count) of a segment to `target`.
/// errors  XX001: a page is not the segment's, or the range is outside
void read_segment_range(Relation rel, uint32 slot, const format::DirectoryEntry &entry, format::ByteRange range,
                        std::byte *target);

/// Reads the header alone: one page.
/// errors  XX001, with the block: damage, or another segment than the entry's; 0A000 another version
void read_segment_header(Relation rel, uint32 slot, const format::DirectoryEntry &entry, format::SegmentHeader *header);

/// What of an open segment is read when it is first asked for.
struct SegmentParts {
    MemoryContext context;
    Buffer *hints;                  // one a page: the buffer where it was the last time, or InvalidBuffer
    codec::TemplateModel **models;  // one a column; nullptr: not read yet
    format::MessageUnits **units;   // of each model; nullptr: not asked for yet
    bool filter_is_open;
    format::KeyFilter filter;
    format::SegmentStatistics *statistics;  // nullptr: not read yet
    uint64 last_key;                        // that was looked up in the filter: planning asks first, execution again
    uint64 *key_granules;                   // that may have it, as a set of bits; nullptr: none was looked up yet
};

/// The header and the parsed index of a segment, in memory of `context`.
struct OpenSegment {
    uint32 slot;
    format::DirectoryEntry entry;
    format::SegmentHeader header;
    format::SegmentIndex *index;
    SegmentParts *parts;
};
void open_segment(Relation rel, uint32 slot, const format::DirectoryEntry &entry, MemoryContext context, OpenSegment *segment);

/// The model of a column's templates; nullptr when it has none.
const codec::TemplateModel *column_model(Relation rel, const OpenSegment &segment, uint32 column);

/// The units of that model.
format::MessageUnits *column_units(Relation rel, const OpenSegment &segment, uint32 column);

/// The filter of keys of a segment that has one (format::filter_header_range()).
const format::KeyFilter &open_filter(Relation rel, const OpenSegment &segment);

/// The statistics of a column's granules, one a granule of the segment, some of them not known (GranuleStatistics::is_known);
/// empty when no granule has any. Read when first asked for, and kept with the segment.
/// column   from 0, as the table counts; one that was added after the segment was made has none
std::span<const format::GranuleStatistics> granule_statistics(Relation rel, const OpenSegment &segment, uint32 column);

/// A range of a segment, read into memory of `context`.
std::span<const std::byte> read_segment_part(Relation rel, const OpenSegment &segment, format::ByteRange range,
                                             MemoryContext context);

/// A chunk of a granule, read into memory of `context`; of messages its beginning, and the rest when it is asked for. Relation
/// and segment must stay until the chunk is decoded.
format::OpenChunk read_chunk(Relation rel, const OpenSegment &segment, uint32 granule, uint32 column, MemoryContext context);

}  // namespace historian::engine
