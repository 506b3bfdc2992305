// What a segment promises on disk: magic number, version, limits with their reasons.
#pragma once

#include <cstdint>

#include "format/segment.h"

namespace historian::format {

inline constexpr std::uint32_t kSegmentMagic = 0x47455348;  // "HSEG" when read as text
inline constexpr std::uint16_t kSegmentVersion = 8;

/// PostgreSQL's own limit of columns in a table.
inline constexpr std::uint32_t kColumnCountMax = 1600;

/// A relation has at most 2^32 pages of 8 KiB; sums of sizes below this cannot overflow.
inline constexpr std::uint64_t kSegmentBytesMax = std::uint64_t{1} << 45;

/// PostgreSQL's own limit of bytes in a value, a little less than 1 GiB: sums over a segment's values cannot overflow.
inline constexpr std::uint64_t kValueBytesMax = std::uint64_t{1} << 30;
static_assert(std::uint64_t{kSegmentRowsMax} * kColumnCountMax < (std::uint64_t{1} << 62) / kValueBytesMax);

/// Content of the byte strings in a granule: what one decode_chunk() makes. One value may still be larger.
inline constexpr std::uint64_t kGranuleContentBytes = 4u << 20;

/// Rows of small tags after which a granule ends: enough for its columns to compress, few enough to decode for one tag.
inline constexpr std::uint32_t kGranuleRowsShared = 1024;

/// Tags between two that are stored whole: a search reads at most so many, a granule's first tag costs at most so many.
inline constexpr std::uint32_t kTagsPerRestart = 16;

/// A codec number and a checksum.
inline constexpr std::uint32_t kChunkBytesMin = 5;
inline constexpr std::uint32_t kChunkChecksumBytes = 4;

/// Chunks of a granule that share a byte of the segment, when most of them are those of other granules: a reader takes 12 bytes
/// of memory for a chunk's place, so at most 96 times what the segment has.
inline constexpr std::uint32_t kChunksPerByteMax = 8;

}  // namespace historian::format
