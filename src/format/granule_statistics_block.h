// The block of a segment's statistics as bytes. Private to granule_statistics.cpp, which reads it, and
// granule_statistics_write.cpp, which writes it.
//
// Layout: README.md of this folder, section 8.
#pragma once

#include "codec/byte_writer.h"
#include "codec/integers.h"
#include "format/granule_statistics.h"

namespace historian::format {

/// Of each granule, in the list of flags.
inline constexpr std::int64_t kStatisticsKnown = 1;
inline constexpr std::int64_t kStatisticsSquares = 2;
inline constexpr std::int64_t kStatisticsTimeOfMin = 4;
inline constexpr std::int64_t kStatisticsTimeOfMax = 8;

inline constexpr std::uint32_t kStatisticsChecksumBytes = 4;

/// Figures of a granule that share a list: min, max, first, last; the times of min and max; the halves of sum and squares.
inline constexpr std::uint32_t kStatisticsValues = 4;
inline constexpr std::uint32_t kStatisticsTimes = 2;
inline constexpr std::uint32_t kStatisticsWides = 2;

/// Figures of a granule in all lists of a column: flags, NULLs, those above, the low halves.
inline constexpr std::uint32_t kStatisticsFiguresMax = 2 + kStatisticsValues + kStatisticsTimes + 2 * kStatisticsWides;

/// What is written of a column of which some granule is known.
struct ColumnStatistics {
    PhysicalKind kind = PhysicalKind::reserved;
    std::span<const Granule> granules;
    const GranuleStatistics *statistics = nullptr;  // one a granule
};

std::size_t column_statistics_bytes_max(std::size_t granule_count) noexcept;

/// numbers   scratch: kStatisticsValues a granule
/// errors    no_room
Status write_column_statistics(const ColumnStatistics &column, std::span<std::int64_t> numbers, codec::EncodeSpace &space,
                               codec::ByteWriter &out) noexcept;

/// What the high half of a wide integer adds to the sign of the low one: 0 of all that fits 64 bits.
constexpr std::int64_t high_excess(WideInteger wide) noexcept {
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(wide.high) -
                                     static_cast<std::uint64_t>(static_cast<std::int64_t>(wide.low) >> 63));
}
constexpr WideInteger with_excess(std::int64_t low, std::int64_t excess) noexcept {
    return {static_cast<std::uint64_t>(low),
            static_cast<std::int64_t>(static_cast<std::uint64_t>(excess) + static_cast<std::uint64_t>(low >> 63))};
}

constexpr bool is_float(PhysicalKind kind) noexcept { return kind == PhysicalKind::float4 || kind == PhysicalKind::float8; }

}  // namespace historian::format
