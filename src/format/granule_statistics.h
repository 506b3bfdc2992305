// Granule statistics: of each column of numbers of a granule its count, extremes, ends, sum and squares, so that a query which
// aggregates whole granules need not decode them.
//
// Bytes: README.md of this folder, section 8. A segment has one block for all its columns; a reader finds its range in the index,
// reads it when a query can use it, and each column is decoded when it is first asked for.
//
// Which columns and granules have statistics:
//   - columns of the kinds int1 to float8 but the tag's and the time's;
//   - granules of one tag (without a tag column: all), of kStatisticsRowsMin rows or more: of fewer, reading the rows costs less.
//   A float's granule has none if adding its values overflows: to add them is an error in SQL, which is the rows' to raise.
//
// Invariants:
//   1. A granule's figures are those that summarize_granule() finds in its rows, bit for bit, on every CPU.
//   2. No bytes make a function here read or write outside its spans: the result is a value or a Status.
#pragma once

#include <cstdint>
#include <span>
#include <type_traits>

#include "codec/arena.h"
#include "codec/status.h"
#include "format/segment.h"

namespace historian::format {

/// A 128-bit integer in two halves, so that a struct of it may lie where memory is aligned to 8 bytes (palloc).
struct WideInteger {
    std::uint64_t low = 0;
    std::int64_t high = 0;

    __int128 value() const noexcept {
        return static_cast<__int128>(static_cast<unsigned __int128>(static_cast<std::uint64_t>(high)) << 64 | low);
    }
    static WideInteger of(__int128 value) noexcept {
        return {static_cast<std::uint64_t>(value), static_cast<std::int64_t>(value >> 64)};
    }
    bool operator==(const WideInteger &) const = default;
};

/// Of one column of one granule. Numbers are as ColumnVector::numbers has them: sign-extended integers, or the bits of a float
/// (of a float4 sign-extended). Row order is that of the granule: by time, a NULL time first, equal times as they arrived.
///
/// Floats compare as in PostgreSQL: NaN is equal to itself and greater than all others, -0 equals 0. Of numbers that are equal
/// but differ in bits, the earliest row's is kept.
struct GranuleStatistics {
    bool is_known = false;         // false: nothing below is; the rows must be read
    bool has_squares = false;      // false: `squares` or `float_sxx` overflowed
    bool has_time_of_min = false;  // false: the time of that row is NULL
    bool has_time_of_max = false;

    /// Rows that are not NULL. When it is 0, all that follows is 0, no time is there, and has_squares is true.
    std::uint32_t value_count = 0;

    std::int64_t min = 0;
    std::int64_t max = 0;
    std::int64_t time_of_min = 0;  // of the earliest row, in row order, that has the min
    std::int64_t time_of_max = 0;

    /// Of the first and the last row in row order that are not NULL. Without NULLs (value_count is the granule's row count) the
    /// last one's time is the granule's time_max, and the first one's, if no time is NULL, the granule's time_min.
    std::int64_t first = 0;
    std::int64_t last = 0;

    // Integers: exact.
    WideInteger sum;
    WideInteger squares;  // the sum of each value's square

    // float4 and float8: in double, added in row order, as sum(float8) and avg() of both types do (sum(float4) in PostgreSQL adds
    // in float4: it needs the rows). Infinities and NaN propagate; every NaN is the same one. float_sxx is the sum of
    // (x - mean)^2 by the update of Youngs and Cramer that float8_accum() uses, NaN if a value is infinite or NaN; two granules
    // are combined as float8_combine() does. Without has_squares float8_accum() raises an error, so avg() does too. The sum of
    // nothing but -0 is -0, as sum(float8) has it; avg() begins with 0.
    double float_sum = 0;
    double float_sxx = 0;
};
static_assert(std::is_trivially_destructible_v<GranuleStatistics>, "lives across ereport");

/// Rows below which a granule has no statistics: they take about 80 bytes a column, and decoding so few rows takes a microsecond.
inline constexpr std::uint32_t kStatisticsRowsMin = 128;

/// The opened block of a segment. Opaque; lives in the arena given to open_statistics(); no destructor.
struct SegmentStatistics;

/// Where the block lies; byte_count 0: the segment has none.
ByteRange statistics_range(const SegmentIndex &index) noexcept;

/// Checks the checksum and finds the columns.
///
/// index    must live as long as the statistics
/// bytes    exactly the bytes of statistics_range(); must live as long as the statistics
/// errors   truncated, corrupt, out_of_memory
Status open_statistics(const SegmentIndex &index, std::span<const std::byte> bytes, Arena &arena,
                       SegmentStatistics **statistics) noexcept;

/// Whether some granule has statistics of this column; false of columns that the segment does not have.
bool has_statistics(const SegmentStatistics &statistics, std::uint32_t column) noexcept;

/// Those of all granules of a column, decoded when first asked for, and kept.
///
/// column     has_statistics() (asserted)
/// arena      its memory must live as long as the statistics
/// granules   output: one a granule of the segment
/// errors     truncated, corrupt, unsupported, out_of_memory
Status column_statistics(SegmentStatistics &statistics, std::uint32_t column, Arena &arena,
                         std::span<const GranuleStatistics> *granules) noexcept;

/// What of a granule's rows makes its statistics.
struct GranuleRows {
    PhysicalKind kind = PhysicalKind::reserved;  // int1 to float8
    std::uint32_t row_count = 0;                 // 1 to kGranuleRowsMax
    const std::int64_t *numbers = nullptr;       // one a row; a NULL's may be any
    const std::uint8_t *nulls = nullptr;         // one byte a row, 1 = NULL; nullptr when no row is NULL
    const std::int64_t *times = nullptr;         // one a row; a NULL's is not read
    const std::uint8_t *null_times = nullptr;    // as nulls
};

/// Whether a granule gets statistics: of one tag, and enough rows.
inline bool wants_statistics(const Granule &granule) noexcept {
    return granule.tag_first == granule.tag_last && granule.row_count >= kStatisticsRowsMin;
}

/// Whether all figures are the same, bit for bit.
bool is_same(const GranuleStatistics &a, const GranuleStatistics &b) noexcept;

/// The statistics of one column of a granule: what a segment that is built stores, and what a check compares with.
GranuleStatistics summarize_granule(const GranuleRows &rows) noexcept;

}  // namespace historian::format
