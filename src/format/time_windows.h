// Time windows: where to part rows by time, so that few late ones do not lie with the many that came in time.
//
// Rows that arrive together are mostly of one short time; some are late, by a month perhaps, and a clock may be wrong. One
// segment of all of them would reach over that month and be opened, and merged, with everything in it.
#pragma once

#include <cstdint>
#include <span>

namespace historian::format {

/// Times [first, last], both inclusive.
struct TimeWindow {
    std::int64_t first = INT64_MIN;
    std::int64_t last = INT64_MAX;
    double share = 1;  // of the rows, estimated
};

constexpr bool is_all(const TimeWindow &window) noexcept { return window.first == INT64_MIN && window.last == INT64_MAX; }

/// Whether [time_min, time_max] and the window have a time in common.
constexpr bool meets(const TimeWindow &window, std::int64_t time_min, std::int64_t time_max) noexcept {
    return time_min <= window.last && window.first <= time_max;
}

inline constexpr std::uint32_t kTimeWindowsMax = 3;

/// Windows that part all times, in order: as many as make segments much narrower, mostly one.
///
/// sample    times of some of the rows and the first and the last of all; is sorted
/// windows   output: kTimeWindowsMax of them
/// returns   how many of them are used, 1 at least
std::uint32_t part_times(std::span<std::int64_t> sample, TimeWindow *windows) noexcept;

}  // namespace historian::format
