// Where the rows of a tag that has granules of its own are cut: at whole units of time.
//
// Queries by the hour, the quarter of an hour or the day then find granules that lie wholly inside one of their buckets, and can
// be answered from statistics: points of 1 Hz fill granules of 3,600 rows from hour to hour, those of 10 Hz granules of five
// minutes.
//
// The unit is the longest of a ladder that has, at the run's mean density, no more rows than a granule may. A granule then takes
// as many whole units as it may have rows; a unit that alone has more is cut where the granule is full.
//
// Invariants:
//   1. A granule has 1 to rows_max rows.
//   2. Two neighbouring granules together have more than rows_max rows: there are at most 2 * rows / (rows_max + 1) + 1.
//   3. Without a unit they differ by one row at most: a time is NULL or infinite, all times are equal, a second has too many
//   rows.
#pragma once

#include <cstdint>
#include <span>

namespace historian::format {

/// A run of rows with one tag.
struct TagRun {
    std::span<const std::int64_t> times;  // ascending; at least one
    bool is_cut_evenly = false;           // whatever the times
    std::uint32_t rows_max = 0;           // of a granule; at least 1
};

/// Microseconds, counted from PostgreSQL's epoch, 2000-01-01 UTC; or 0: the run is cut evenly.
std::int64_t choose_unit(const TagRun &run) noexcept;

/// No more granules than this.
std::uint32_t granules_max(const TagRun &run) noexcept;

/// The end of the granule that begins with row `first`; unit > 0.
std::uint32_t end_of_granule(const TagRun &run, std::int64_t unit, std::uint32_t first) noexcept;

/// Calls put(first, count) for each granule, by its place in the run.
template <typename Put>
void cut_granules(const TagRun &run, Put put) noexcept {
    const auto rows = static_cast<std::uint32_t>(run.times.size());
    const std::int64_t unit = choose_unit(run);
    if (unit == 0) {
        const std::uint32_t pieces = (rows + run.rows_max - 1) / run.rows_max;
        for (std::uint32_t piece = 0; piece < pieces; ++piece) {
            const auto first = static_cast<std::uint32_t>(std::uint64_t{rows} * piece / pieces);
            const auto end = static_cast<std::uint32_t>(std::uint64_t{rows} * (piece + 1) / pieces);
            put(first, end - first);
        }
        return;
    }
    for (std::uint32_t first = 0; first < rows;) {
        const std::uint32_t end = end_of_granule(run, unit, first);
        put(first, end - first);
        first = end;
    }
}

}  // namespace historian::format
