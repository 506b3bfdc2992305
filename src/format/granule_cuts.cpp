#include "format/granule_cuts.h"

#include <algorithm>
#include <cassert>

namespace historian::format {
namespace {

constexpr std::int64_t kSecond = 1000000;
constexpr std::int64_t kMinute = 60 * kSecond;
constexpr std::int64_t kHour = 60 * kMinute;
constexpr std::int64_t kDay = 24 * kHour;

/// Units count from PostgreSQL's epoch, 2000-01-01 UTC: a day begins at midnight UTC.
constexpr std::int64_t kUnits[] = {kSecond,     5 * kSecond, 10 * kSecond, 15 * kSecond, 30 * kSecond, kMinute,
                                   2 * kMinute, 5 * kMinute, 10 * kMinute, 15 * kMinute, 30 * kMinute, kHour,
                                   2 * kHour,   3 * kHour,   6 * kHour,    12 * kHour,   kDay,         2 * kDay,
                                   4 * kDay,    8 * kDay,    16 * kDay,    32 * kDay};

constexpr std::int64_t floor_divide(std::int64_t time, std::int64_t unit) noexcept {
    return time / unit - (time % unit < 0 ? 1 : 0);
}

}  // namespace

std::int64_t choose_unit(const TagRun &run) noexcept {
    const std::int64_t first = run.times.front();
    const std::int64_t last = run.times.back();
    if (run.is_cut_evenly || first == INT64_MIN || last == INT64_MAX || first == last) return 0;
    const auto span = static_cast<std::uint64_t>(last) - static_cast<std::uint64_t>(first);
    std::int64_t chosen = 0;
    for (const std::int64_t unit : kUnits) {
        const auto rows_in_span = static_cast<unsigned __int128>(run.times.size()) * static_cast<std::uint64_t>(unit);
        if (rows_in_span <= static_cast<unsigned __int128>(run.rows_max) * span) chosen = unit;
    }
    return chosen;
}

std::uint32_t granules_max(const TagRun &run) noexcept {
    const std::uint64_t rows = run.times.size();
    return static_cast<std::uint32_t>(std::min(rows, 2 * rows / (std::uint64_t{run.rows_max} + 1) + 1));
}

std::uint32_t end_of_granule(const TagRun &run, std::int64_t unit, std::uint32_t first) noexcept {
    assert(unit > 0 && first < run.times.size() && run.rows_max > 0);
    const std::uint64_t full = std::uint64_t{first} + run.rows_max;
    if (full >= run.times.size()) return static_cast<std::uint32_t>(run.times.size());
    // The unit of the first row that does not fit goes to the next granule, unless it began before this one.
    const std::int64_t next_unit = floor_divide(run.times[full], unit);
    const auto begin = run.times.begin() + first;
    const auto end = std::partition_point(begin, begin + run.rows_max,
                                          [&](std::int64_t time) { return floor_divide(time, unit) < next_unit; });
    return static_cast<std::uint32_t>(end == begin ? full : end - run.times.begin());
}

}  // namespace historian::format
