// The header and the index of a segment. Private to segment_finish.cpp, which writes them, and segment_index.cpp, which reads
// them.
//
// Layout: README.md of this folder, sections 2 and 3.
#pragma once

#include <algorithm>

#include "codec/integers.h"
#include "format/segment.h"
#include "format/tag_dictionary.h"
#include "format/version.h"

namespace historian::format {

inline constexpr std::uint8_t kIndexHasNullTag = 1u << 0;

/// A column's traits in one byte: the kind of its keys, and whether ranges follow.
inline constexpr std::uint8_t kTraitKeys = 3;
inline constexpr std::uint8_t kTraitRange = 4;
inline constexpr std::uint32_t kIndexChecksumBytes = 8;

/// What the header says in place of the tag's column when there is none: the low half of kNoColumn.
inline constexpr std::uint16_t kNoColumnOnDisk = 0xFFFF;
static_assert(static_cast<std::uint16_t>(kNoColumn) == kNoColumnOnDisk);

/// Bytes that a segment's chunks take at least, however many of them are shared: what a small segment can claim takes little
/// memory.
///
/// chunk_columns   columns that have chunks
constexpr std::uint64_t chunks_bytes_min(std::uint64_t granule_count, std::uint64_t chunk_columns) noexcept {
    return granule_count * std::max<std::uint64_t>(kChunkBytesMin, (chunk_columns + kChunksPerByteMax - 1) / kChunksPerByteMax);
}

/// Number of integer lists that describe the granules.
inline constexpr std::uint32_t kGranuleListCount = 6;

struct SegmentIndex {
    SegmentHeader header;
    bool has_null_tag = false;
    const ColumnType *types = nullptr;
    const std::uint32_t *chunk_column = nullptr;  // column -> place among the columns that have chunks; UINT32_MAX when absent
    std::uint32_t chunk_column_count = 0;
    TagDictionary dictionary;
    const Granule *granules = nullptr;
    bool filter_is_known = true;
    ByteRange statistics;
    ByteRange filter_header;
    ByteRange filter_blocks;
    const codec::KeyKind *key_kinds = nullptr;      // one a column
    const ByteRange *models = nullptr;              // one a column
    const std::int64_t *const *least = nullptr;     // one a column: one a granule, or nullptr
    const std::int64_t *const *greatest = nullptr;  // the same
    std::uint64_t *chunk_offsets = nullptr;         // granule after granule, column after column, and the end
    std::uint32_t **sources = nullptr;              // one a column that has chunks: one a granule, whose chunk it has, or nullptr
};

/// header      64 bytes
/// source      header.index.offset is kSegmentHeaderBytes
void write_segment_header(const SegmentHeader &header, codec::ByteWriter &out) noexcept;

/// What is written about a column beside its values.
struct ColumnExtras {
    codec::KeyKind keys = codec::KeyKind::reserved;
    std::span<const std::byte> model;       // empty: none
    std::span<const std::byte> statistics;  // of its granules, part of the segment's block; empty: none
    const std::int64_t *least = nullptr;    // one a granule, or nullptr
    const std::int64_t *greatest = nullptr;
    const std::uint32_t *distances = nullptr;  // one a granule: how far before it lies the one with its chunk; 0: its own
};

/// What the index is written from.
struct IndexSource {
    std::span<const ColumnType> types;
    std::span<const codec::Text> tags;  // sorted, without the NULL tag
    bool has_null_tag = false;
    std::span<const Granule> granules;
    const std::uint64_t *chunk_bytes = nullptr;  // column after column, granule after granule: [column * granules + granule]
    std::span<const ColumnExtras> extras;        // one a column
    std::uint64_t statistics_bytes = 0;          // of the whole block
    std::uint64_t filter_header_bytes = 0;
    std::uint64_t filter_blocks_bytes = 0;
};

/// The version of the tables by which words are cut: what another one made says nothing about the words of today.
std::uint32_t words_version() noexcept;

std::size_t index_bytes_max(const IndexSource &source) noexcept;

/// numbers   scratch: as many as there are granules, or restarts in the tag dictionary
/// errors    no_room
Status write_index(const IndexSource &source, std::span<std::int64_t> numbers, codec::EncodeSpace &space,
                   codec::ByteWriter &out) noexcept;

}  // namespace historian::format
