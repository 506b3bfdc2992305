// Where times are parted: late points and wrong clocks apart, everything else together.
#include "format/time_windows.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace historian::test {
namespace {

using format::TimeWindow;

constexpr std::int64_t kHour = 3'600'000'000;
constexpr std::int64_t kDay = 24 * kHour;
constexpr std::int64_t kNow = 800'000'000'000'000;

std::vector<TimeWindow> part(std::vector<std::int64_t> sample) {
    TimeWindow windows[format::kTimeWindowsMax];
    const std::uint32_t count = format::part_times(sample, windows);
    return {windows, windows + count};
}

/// count times spread evenly over [first, last].
std::vector<std::int64_t> spread(std::int64_t first, std::int64_t last, int count) {
    std::vector<std::int64_t> times(count);
    for (int i = 0; i < count; ++i) times[i] = first + (last - first) / (count - 1) * i;
    return times;
}

std::vector<std::int64_t> operator+(std::vector<std::int64_t> a, const std::vector<std::int64_t> &b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

TEST(TimeWindows, StayWholeWithoutARest) {
    for (const std::vector<std::int64_t> &times :
         {std::vector<std::int64_t>{}, {kNow}, {kNow, kNow, kNow}, spread(kNow, kNow + kDay, 1000),
          spread(kNow, kNow + 2 * kHour, 900) + spread(kNow - 2 * kHour, kNow, 100), {INT64_MIN, INT64_MAX, kNow}}) {
        const std::vector<TimeWindow> windows = part(times);
        if (times.size() < 3 || times[0] != INT64_MIN) {
            ASSERT_EQ(windows.size(), 1u);
            EXPECT_TRUE(format::is_all(windows[0]));
            EXPECT_EQ(windows[0].share, 1);
        }
    }
}

TEST(TimeWindows, PartLatePointsFromTheRest) {
    const std::vector<TimeWindow> windows = part(spread(kNow, kNow + kHour, 9000) + spread(kNow - 30 * kDay, kNow - kHour, 1000));
    ASSERT_EQ(windows.size(), 2u);
    EXPECT_EQ(windows[1].first, kNow);
    EXPECT_EQ(windows[0].last, kNow - 1);
    EXPECT_DOUBLE_EQ(windows[0].share, 0.1);
    EXPECT_DOUBLE_EQ(windows[1].share, 0.9);
}

TEST(TimeWindows, PartAWrongClockToo) {
    const std::vector<std::int64_t> future = {kNow + 4000 * kDay};
    const std::vector<TimeWindow> windows =
        part(spread(kNow, kNow + kHour, 9000) + spread(kNow - 30 * kDay, kNow - kHour, 1000) + future);
    ASSERT_EQ(windows.size(), 3u);
    EXPECT_EQ(windows[1].first, kNow);
    EXPECT_EQ(windows[2].first, kNow + 4000 * kDay);
}

TEST(TimeWindows, HoldEveryTimeOnce) {
    const unsigned seed = std::random_device{}();
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    for (int round = 0; round < 200; ++round) {
        std::vector<std::int64_t> times;
        for (int cluster = static_cast<int>(random() % 4); cluster >= 0; --cluster) {
            const auto first = static_cast<std::int64_t>(random());
            const int bits = static_cast<int>(random() % 62);
            for (int i = static_cast<int>(random() % 50); i >= 0; --i)
                times.push_back(static_cast<std::int64_t>(static_cast<std::uint64_t>(first) + (random() >> (63 - bits))));
        }
        const std::vector<TimeWindow> windows = part(times);
        ASSERT_EQ(windows.front().first, INT64_MIN);
        ASSERT_EQ(windows.back().last, INT64_MAX);
        double share = 0;
        for (std::size_t w = 0; w < windows.size(); ++w) {
            ASSERT_LE(windows[w].first, windows[w].last);
            if (w > 0) ASSERT_EQ(windows[w].first, windows[w - 1].last + 1);
            share += windows[w].share;
        }
        ASSERT_NEAR(share, 1, 1e-9);
    }
}

}  // namespace
}  // namespace historian::test
