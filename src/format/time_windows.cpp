#include "format/time_windows.h"

#include <algorithm>

namespace historian::format {
namespace {

/// Sorted times [first, end) of the sample.
struct Part {
    std::size_t first;
    std::size_t end;
};

/// Rows times the time they spread over: what a query that passes by has to pay.
double cost(std::span<const std::int64_t> sample, Part part) noexcept {
    const double span = static_cast<double>(sample[part.end - 1]) - static_cast<double>(sample[part.first]);
    return static_cast<double>(part.end - part.first) * span;
}

/// Parting must save this much: rows spread evenly save a half wherever they are parted, and must not be.
constexpr double kCostLeft = 0.4;

struct Cut {
    std::size_t at = 0;  // the first time of the later part
    double saved = 0;    // 0: not worth it
};

Cut best_cut(std::span<const std::int64_t> sample, Part part) noexcept {
    const double whole = cost(sample, part);
    Cut best;
    for (std::size_t at = part.first + 1; at < part.end; ++at) {
        if (sample[at] == sample[at - 1]) continue;
        const double saved = whole - cost(sample, {part.first, at}) - cost(sample, {at, part.end});
        if (saved > best.saved) best = {at, saved};
    }
    return best.saved >= (1 - kCostLeft) * whole ? best : Cut{};
}

}  // namespace

std::uint32_t part_times(std::span<std::int64_t> sample, TimeWindow *windows) noexcept {
    std::sort(sample.begin(), sample.end());
    Part parts[kTimeWindowsMax] = {{0, sample.size()}};
    std::uint32_t count = 1;
    for (; count < kTimeWindowsMax && !sample.empty(); ++count) {
        Cut best;
        std::uint32_t parted = 0;
        for (std::uint32_t p = 0; p < count; ++p) {
            if (const Cut cut = best_cut(sample, parts[p]); cut.saved > best.saved) {
                best = cut;
                parted = p;
            }
        }
        if (best.saved == 0) break;
        std::copy_backward(parts + parted + 1, parts + count, parts + count + 1);
        parts[parted + 1] = {best.at, parts[parted].end};
        parts[parted].end = best.at;
    }
    for (std::uint32_t p = 0; p < count; ++p) {
        const auto size = static_cast<double>(parts[p].end - parts[p].first);
        windows[p] = {};
        if (p > 0) windows[p].first = sample[parts[p].first];
        if (p + 1 < count) windows[p].last = sample[parts[p].end] - 1;
        if (count > 1) windows[p].share = size / static_cast<double>(sample.size());
    }
    return count;
}

}  // namespace historian::format
