// Segments: an immutable, sorted, compressed, columnar run of rows, as one string of bytes.
//
// The engine lays the string over pages; this file knows nothing of pages. Bytes: src/format/README.md.
//
// A segment is read in three steps, so that a query for one tag and one hour touches little:
//   1. the first kSegmentHeaderBytes: open_segment() tells where the index is;
//   2. the index: parse_index(); then find_tag(), granule() and chunk_range() choose;
//   3. the chosen chunks (one granule of one column each): decode_chunk().
//
// Invariants:
//   1. Rows are sorted by (tag bytes in memcmp order with the shorter first, time, arrival); a NULL tag is before all tags,
//      a NULL time before all times of its tag. Without a tag column (log tables) every row counts as one with a NULL tag.
//   2. A granule has 1 to kGranuleRowsMax rows of adjacent tags; a tag with kGranuleRowsLonely rows or more shares its granules
//      with no other tag.
//   3. Every byte string is safe to pass to every function here: the result is a value or a Status.
#pragma once

#include <cstdint>
#include <span>

#include "codec/arena.h"
#include "codec/effort.h"
#include "codec/hash.h"
#include "codec/late_bytes.h"
#include "codec/status.h"
#include "format/column.h"

namespace historian::codec {
struct TemplateModel;
}

namespace historian::format {

inline constexpr std::uint32_t kSegmentHeaderBytes = 64;
inline constexpr std::uint32_t kGranuleRowsMax = 4096;
inline constexpr std::uint32_t kGranuleRowsLonely = 512;
inline constexpr std::uint32_t kSegmentRowsMax = 1u << 20;
inline constexpr std::uint32_t kNumberTagBytes = 8;

/// The bytes by which a tag column of a number kind is sorted and found: big-endian with the sign flipped, so that memcmp order
/// is the numbers' order. Tags of the kinds fixed and bytes are their own bytes.
///
/// tag   output: kNumberTagBytes
inline void tag_of_number(std::int64_t number, std::byte *tag) noexcept {
    const std::uint64_t flipped = static_cast<std::uint64_t>(number) ^ (std::uint64_t{1} << 63);
    for (std::uint32_t i = 0; i < kNumberTagBytes; ++i) tag[i] = static_cast<std::byte>(flipped >> (56 - 8 * i));
}

// ---------------------------------------------------------------------------------------------------------------- writing

/// In place of a column's index: there is none.
inline constexpr std::uint32_t kNoColumn = UINT32_MAX;

/// Which columns sort the segment. Indexes count from 0 over the column types given.
struct SortKey {
    std::uint32_t tag_column = 0;   // or kNoColumn
    std::uint32_t time_column = 0;  // must be of kind int8

    /// Where the tag's bytes stand for a number (tag_of_number()): the bytes of that number's own type, 1 to 8, which is what a
    /// tag then counts in SegmentHeader::raw_bytes. 0: a tag counts its bytes.
    std::uint32_t tag_number_bytes = 0;
};

/// What a segment keeps of a column beside its values, so that a reader can pass over granules, or reads fewer bytes.
struct ColumnTraits {
    /// What goes into the segment's filter of keys. value: each value's bytes (of a number the eight bytes of it), for types
    /// whose equality is equality of bytes. word: the words of a text in UTF-8 (search/tokenizer.h). reserved: nothing.
    codec::KeyKind keys = codec::KeyKind::reserved;
    bool has_range = false;      // the least and the greatest number of each granule; kinds int1 to int8
    bool has_templates = false;  // texts that may come from templates (codec/templates.h); kind bytes
};

/// What the directory entry keeps of a finished segment.
struct SegmentSummary {
    std::uint32_t row_count = 0;
    std::uint32_t tag_count = 0;
    std::uint32_t granule_count = 0;
    std::uint32_t short_run_count = 0;  // tags, NULL included, with fewer rows than a granule may have ...
    bool first_is_short = false;        // ... the first of them ...
    bool last_is_short = false;         // ... and the last
    bool has_null_tag = false;
    bool has_null_time = false;
    std::int64_t time_min = 0;  // over the times that are not NULL; INT64_MAX > INT64_MIN order reversed when there is none
    std::int64_t time_max = 0;
    std::span<const std::byte> tag_first;  // whole tags, not NULL; empty spans when all are NULL; in the builder's arena
    std::span<const std::byte> tag_last;
};

struct SegmentBytes {
    std::span<const std::byte> bytes;  // header, index, chunks: the whole segment, in the builder's arena
    SegmentSummary summary;
    std::span<const std::uint32_t> row_of_arrival;  // where the n-th row appended went, in the builder's arena
};

/// Collects rows in any order and turns them into one segment. Opaque; lives in its arena; no destructor.
struct SegmentBuilder;

/// arena    memory for everything the builder keeps; drop it to drop the builder
/// types    one a column, at most 1600; copied
/// errors   out_of_memory; too_large: too many columns; unsupported: a key column of a wrong kind
Status create_builder(Arena &arena, std::span<const ColumnType> types, SortKey key, SegmentBuilder **builder) noexcept;

/// Before the segment is finished; without it columns have no traits.
///
/// traits   one a column; copied
/// errors   out_of_memory
Status set_column_traits(SegmentBuilder &builder, std::span<const ColumnTraits> traits) noexcept;

/// Before the segment is finished; without it the usual effort is made.
void set_effort(SegmentBuilder &builder, codec::Effort effort) noexcept;

/// Called between chunks while the segment is finished, which may take seconds: may leave by longjmp(), for everything is in the
/// arena.
void set_pause(SegmentBuilder &builder, void (*pause)()) noexcept;

/// Adds one row; copies what it needs.
///
/// row      one Cell a column, in the order of the types (an absent column's Cell is not read)
/// errors   out_of_memory; too_large: the builder holds kSegmentRowsMax rows already. The row is not added then.
Status append_row(SegmentBuilder &builder, const Cell *row) noexcept;

/// Adds adjacent rows of one tag that were decoded from another segment, as append_row() would one by one.
///
/// tag      their tag's Cell; of a builder without a tag column not read
/// columns  one a column, decoded whole, of the builder's kinds; the tag's and an absent column's are not read
/// first    the first of the rows, count >= 1 of them, in the columns
/// errors   out_of_memory: some of the rows may have been added, and the builder is of no use any more; too_large, as of
///          append_row(): none was added
Status append_rows(SegmentBuilder &builder, const Cell &tag, std::span<const ColumnVector *const> columns, std::uint32_t first,
                   std::uint32_t count) noexcept;

std::uint32_t builder_row_count(const SegmentBuilder &builder) noexcept;

/// Bytes of memory that the rows collected so far hold; what a memory limit is compared with.
std::uint64_t builder_bytes(const SegmentBuilder &builder) noexcept;

/// Sorts, chooses codecs, encodes. At least one row must have been added. The builder cannot be used afterwards.
Status finish_builder(SegmentBuilder &builder, SegmentBytes *segment) noexcept;

// ---------------------------------------------------------------------------------------------------------------- reading

struct ByteRange {
    std::uint64_t offset = 0;  // from the segment's first byte
    std::uint64_t byte_count = 0;
};

struct SegmentHeader {
    ByteRange index;
    std::uint64_t segment_bytes = 0;  // of the whole segment
    std::uint32_t row_count = 0;
    std::uint32_t granule_count = 0;
    std::uint32_t column_count = 0;
    std::uint32_t tag_count = 0;   // without the NULL tag
    std::uint32_t tag_column = 0;  // or kNoColumn
    std::uint32_t time_column = 0;

    /// The values as one would count them uncompressed: 1, 2, 4 or 8 bytes for a number, the size of a fixed value, the content
    /// of a byte string without any header; nothing for a NULL or an absent column.
    std::uint64_t raw_bytes = 0;
};

struct Granule {
    std::uint32_t first_row = 0;
    std::uint32_t row_count = 0;
    std::uint32_t tag_first = 0;  // positions in the sorted list of tags; the NULL tag, when there is one, is position 0
    std::uint32_t tag_last = 0;   // inclusive
    bool has_null_time = false;
    std::int64_t time_min = 0;  // over times that are not NULL; time_min > time_max when there is none
    std::int64_t time_max = 0;
};

/// A parsed index. Opaque; lives in the arena given to parse_index(); no destructor.
struct SegmentIndex;

/// errors   truncated, corrupt (magic, checksum, sizes that cannot be), unsupported (version)
Status open_segment(std::span<const std::byte> header_bytes, SegmentHeader *header) noexcept;

/// index_bytes   exactly the bytes of header.index; must live as long as the index
Status parse_index(const SegmentHeader &header, std::span<const std::byte> index_bytes, Arena &arena,
                   SegmentIndex **index) noexcept;

ColumnType column_type(const SegmentIndex &index, std::uint32_t column) noexcept;
bool has_null_tag(const SegmentIndex &index) noexcept;

/// position   output: the tag's place in the sorted list (granule().tag_first speaks of the same list); of a tag that is not
/// there
///            the place of the first one after it, or the end of the list
/// found      output: false when the segment has no such tag
Status find_tag(const SegmentIndex &index, std::span<const std::byte> tag, bool *found, std::uint32_t *position) noexcept;

/// The length of that list, and whole tags of it one after the other: offsets[i] to offsets[i + 1] of data.
///
/// first   a position; it and the `count` - 1 behind it are in the list (asserted), and none is the NULL tag
/// errors  truncated, corrupt, out_of_memory
struct TagList {
    const std::byte *data = nullptr;
    const std::uint64_t *offsets = nullptr;
};
std::uint32_t tag_positions(const SegmentIndex &index) noexcept;
Status tags_at(const SegmentIndex &index, std::uint32_t first, std::uint32_t count, Arena &arena, TagList *list) noexcept;

/// The granules [first, last] that may hold rows of the tag at this position, last inclusive.
struct GranuleRange {
    std::uint32_t first = 0;
    std::uint32_t last = 0;
};
GranuleRange granules_of_tag(const SegmentIndex &index, std::uint32_t position) noexcept;

/// granule < granule_count (asserted)
Granule granule_at(const SegmentIndex &index, std::uint32_t granule) noexcept;

/// Where the chunk of a granule and column lies; byte_count 0 for an absent column. Never outside the segment. It may lie among
/// the chunks of an earlier granule, which has the same.
ByteRange chunk_range(const SegmentIndex &index, std::uint32_t granule, std::uint32_t column) noexcept;

/// Where the model of a column's templates lies, a chunk whose stream codec::parse_template_model() reads; byte_count 0: it has
/// none.
ByteRange model_range(const SegmentIndex &index, std::uint32_t column) noexcept;

/// Checks the checksum of a model's bytes and parses them.
///
/// bytes    exactly the bytes of model_range(); must live as long as the model
Status open_model(std::span<const std::byte> bytes, Arena &arena, codec::TemplateModel **model) noexcept;

/// The filter of keys (key_filter.h) of a segment: which columns are in it and how, and where its two parts lie. Words are there
/// only if words are cut today as they were when it was made, else the column says reserved.
codec::KeyKind key_kind(const SegmentIndex &index, std::uint32_t column) noexcept;
/// Whether all that is in the filter can be told today: no column says reserved because of its words' version.
bool filter_is_known(const SegmentIndex &index) noexcept;
ByteRange filter_header_range(const SegmentIndex &index) noexcept;  // byte_count 0: the segment has no filter
ByteRange filter_blocks_range(const SegmentIndex &index) noexcept;

/// Whether a granule may have this number in a column.
bool may_have_number(const SegmentIndex &index, std::uint32_t granule, std::uint32_t column, std::int64_t number) noexcept;

struct OpenMessages;

/// A chunk, and of messages what was found out already: a search and the reading of its rows do it once.
struct OpenChunk {
    std::span<const std::byte> bytes;             // exactly those of chunk_range(); any bytes are safe
    const codec::TemplateModel *model = nullptr;  // of the column, when it has one
    codec::LateBytes late;                        // of a chunk with a model: which of its bytes are there
    const OpenMessages *messages = nullptr;       // at first: not opened yet
};

/// Decodes one column of one granule.
///
/// arena    must live as long as the chunk is used
/// column   output; its memory is the arena's and, for uncompressed text, the chunk's: keep the chunk as long as the column
/// errors   truncated, corrupt, unsupported, out_of_memory
Status decode_chunk(const SegmentIndex &index, std::uint32_t granule, std::uint32_t column, OpenChunk &chunk, Arena &arena,
                    ColumnVector *decoded) noexcept;

/// The same for some rows: of messages only these are made, of numbers and short texts those from the first to the last.
///
/// rows      ascending, each below the granule's row count, at least one
/// decoded   output: entry_of_row is valid for these rows and for NULL rows; others have some entry, or an empty text
Status decode_chunk_rows(const SegmentIndex &index, std::uint32_t granule, std::uint32_t column, OpenChunk &chunk,
                         std::span<const std::uint32_t> rows, Arena &arena, ColumnVector *decoded) noexcept;

/// What the values of a decoded column count in SegmentHeader::raw_bytes.
///
/// tag_number_bytes   of the tag's column what the SortKey says; 0 of every other column
std::uint64_t count_raw_bytes(const ColumnVector &column, std::uint32_t tag_number_bytes) noexcept;

}  // namespace historian::format
