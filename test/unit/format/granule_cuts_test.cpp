// Granules end where hours, minutes or days do, as long as that fills them.
#include "format/granule_cuts.h"

#include <numeric>
#include <random>

#include "segment_model.h"

namespace historian::test {
namespace {

constexpr std::int64_t kSecond = 1000000;
constexpr std::int64_t kMinute = 60 * kSecond;
constexpr std::int64_t kHour = 60 * kMinute;
constexpr std::int64_t kDay = 24 * kHour;
constexpr std::int64_t kStart = 820454400000000;  // 2026-01-01 00:00:00 UTC

std::int64_t unit_of(const std::vector<std::int64_t> &times, std::uint32_t rows_max = kGranuleRowsMax) {
    return choose_unit({times, false, rows_max});
}

std::vector<std::int64_t> every(std::int64_t step, std::size_t count, std::int64_t first = kStart) {
    std::vector<std::int64_t> times(count);
    for (std::size_t i = 0; i < count; ++i) times[i] = first + static_cast<std::int64_t>(i) * step;
    return times;
}

std::int64_t floor_divide(std::int64_t time, std::int64_t unit) { return time / unit - (time % unit < 0 ? 1 : 0); }

/// Cuts a run and checks the invariants; returns the rows of each granule.
std::vector<std::uint32_t> cut(const std::vector<std::int64_t> &times, std::uint32_t rows_max = kGranuleRowsMax,
                               bool is_cut_evenly = false) {
    const TagRun run{times, is_cut_evenly, rows_max};
    std::vector<std::uint32_t> counts;
    std::uint32_t next = 0;
    cut_granules(run, [&](std::uint32_t first, std::uint32_t count) {
        EXPECT_EQ(first, next);
        EXPECT_GE(count, 1u);
        EXPECT_LE(count, rows_max);
        counts.push_back(count);
        next = first + count;
    });
    EXPECT_EQ(next, times.size());
    EXPECT_LE(counts.size(), granules_max(run));
    const std::int64_t unit = choose_unit(run);
    std::uint32_t end = 0;
    for (std::size_t g = 0; g + 1 < counts.size(); ++g) {
        end += counts[g];
        EXPECT_GT(counts[g] + counts[g + 1], rows_max) << "granule " << g;
        // A cut within a unit is one that nothing could avoid.
        if (unit == 0 || floor_divide(times[end - 1], unit) != floor_divide(times[end], unit)) continue;
        EXPECT_EQ(counts[g], rows_max);
        EXPECT_EQ(floor_divide(times[end - counts[g]], unit), floor_divide(times[end], unit));
    }
    return counts;
}

TEST(GranuleCuts, OfSecondsAreHours) {
    const auto times = every(kSecond, 10 * 3600);
    EXPECT_EQ(unit_of(times), kHour);
    EXPECT_EQ(cut(times), std::vector<std::uint32_t>(10, 3600));
}

TEST(GranuleCuts, BeginInTheMiddleOfAnHour) {
    const auto times = every(kSecond, 2 * 3600, kStart + 20 * kMinute);
    EXPECT_EQ(cut(times), (std::vector<std::uint32_t>{2400, 3600, 1200}));
}

TEST(GranuleCuts, OfTenASecondAreFiveMinutes) {
    const auto times = every(kSecond / 10, 60000);
    EXPECT_EQ(unit_of(times), 5 * kMinute);
    EXPECT_EQ(cut(times), std::vector<std::uint32_t>(20, 3000));
}

TEST(GranuleCuts, OfAMinuteAreTwoDays) {
    const auto times = every(kMinute, 10 * 1440);
    EXPECT_EQ(unit_of(times), 2 * kDay);
    // 2026-01-01 is day 9,496 from 2000-01-01: two days begin there.
    EXPECT_EQ(cut(times), (std::vector<std::uint32_t>{2880, 2880, 2880, 2880, 2880}));
}

TEST(GranuleCuts, OfRareRowsAreSomeThirtyTwoDays) {
    const auto times = every(kDay, 10000);
    EXPECT_EQ(unit_of(times), 32 * kDay);
    cut(times);
}

TEST(GranuleCuts, TakeSeveralUnitsWhenTheyFit) {
    // A minute of 3,000 rows, then one every two seconds: a mean density by which the unit is shorter than the slow part's.
    std::vector<std::int64_t> times = every(kMinute / 3000, 3000);
    const auto slow = every(2 * kSecond, 20000, kStart + kMinute);
    times.insert(times.end(), slow.begin(), slow.end());
    const std::int64_t unit = unit_of(times);
    EXPECT_GT(unit, kMinute);
    EXPECT_LE(cut(times).size(), 8u);
}

TEST(GranuleCuts, ABurstIsCutWhereTheGranuleIsFull) {
    std::vector<std::int64_t> times = every(10 * kSecond, 8000);
    const auto burst = every(kSecond / 1000, 10000, kStart + 3 * kHour + 7 * kMinute);
    times.insert(times.end(), burst.begin(), burst.end());
    std::sort(times.begin(), times.end());
    const auto counts = cut(times);
    EXPECT_GE(std::count(counts.begin(), counts.end(), kGranuleRowsMax), 2);
}

TEST(GranuleCuts, OfMoreThanASecondHoldsAreEven) {
    const auto times = every(kSecond / 10000, 10000);
    EXPECT_EQ(unit_of(times), 0);
    EXPECT_EQ(cut(times), (std::vector<std::uint32_t>{3333, 3333, 3334}));
}

TEST(GranuleCuts, OfTimesThatSayNothingAreEven) {
    std::vector<std::int64_t> times(10000, kStart);
    EXPECT_EQ(cut(times), (std::vector<std::uint32_t>{3333, 3333, 3334}));
    times = every(kSecond, 10000);
    EXPECT_EQ(cut(times, kGranuleRowsMax, true), (std::vector<std::uint32_t>{3333, 3333, 3334}));
    times.back() = INT64_MAX;
    EXPECT_EQ(cut(times), (std::vector<std::uint32_t>{3333, 3333, 3334}));
    times.back() = times.front() + kDay;
    times.front() = INT64_MIN;
    EXPECT_EQ(cut(times), (std::vector<std::uint32_t>{3333, 3333, 3334}));
}

TEST(GranuleCuts, OfTimesAtBothEndsDoNotOverflow) {
    std::vector<std::int64_t> times(5000, INT64_MIN + 1);
    std::fill(times.begin() + 2500, times.end(), INT64_MAX - 1);
    EXPECT_EQ(unit_of(times), 32 * kDay);
    EXPECT_EQ(cut(times), (std::vector<std::uint32_t>{2500, 2500}));
    cut(every(kSecond, 10000, INT64_MIN + 1));
    cut(every(kSecond, 10000, INT64_MAX - 1 - 9999 * kSecond));
    // Before 2000-01-01 hours are counted downwards.
    EXPECT_EQ(cut(every(kSecond, 7200, -kHour)), (std::vector<std::uint32_t>{3600, 3600}));
}

TEST(GranuleCuts, OfAFewRowsAreOneGranule) {
    EXPECT_EQ(cut(every(kSecond, 4096, kStart + 17 * kMinute)), std::vector<std::uint32_t>{4096});
    EXPECT_EQ(cut({kStart}), std::vector<std::uint32_t>{1});
}

/// Steps of any mixture of lengths, with equal times and gaps.
TEST(GranuleCuts, OfRandomTimesKeepTheInvariants) {
    const std::uint64_t seed = std::random_device{}();
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random{seed};
    for (int trial = 0; trial < 300 && !HasFailure(); ++trial) {
        const std::uint32_t rows_max = trial % 3 == 0 ? kGranuleRowsMax : 1 + static_cast<std::uint32_t>(random() % 200);
        const unsigned bits = 1 + static_cast<unsigned>(random() % 40);
        const std::uint64_t bursts = 1 + random() % 1000;
        std::vector<std::int64_t> times(1 + random() % 30000);
        std::int64_t time = static_cast<std::int64_t>(random() >> 2) - (std::int64_t{1} << 61);
        for (std::int64_t &each : times) {
            if (random() % bursts != 0) time += static_cast<std::int64_t>(random() % (std::uint64_t{1} << (1 + random() % bits)));
            each = time;
        }
        cut(times, rows_max);
    }
}

TEST(GranuleCuts, AreThoseOfASegment) {
    const std::vector<ColumnType> types = {{PhysicalKind::bytes}, {PhysicalKind::int8}, {PhysicalKind::int4}};
    std::vector<Row> rows;
    for (int i = 0; i < 3 * 3600; ++i) {
        for (const char *tag : {"a", "b"})
            rows.push_back({Value::of(std::string(tag)), Value::of(kStart + (i + 1800) * kSecond), Value::of(i)});
    }
    const std::string by_tag = check_round_trip(types, {0, 1}, rows);
    const OpenSegment segment{by_tag};
    ASSERT_EQ(segment.header.granule_count, 8u);
    for (std::uint32_t g = 0; g < 8; ++g) {
        const Granule granule = granule_at(*segment.index, g);
        EXPECT_EQ(granule.row_count, g % 4 == 0 || g % 4 == 3 ? 1800u : 3600u);
        EXPECT_EQ(floor_divide(granule.time_min, kHour), floor_divide(granule.time_max, kHour));
    }
    // A log's are the fewest that hold its records; a NULL time says nothing of a unit.
    const std::string of_log = check_round_trip(types, {kNoColumn, 1}, rows);
    EXPECT_EQ(OpenSegment{of_log}.header.granule_count, 6u);
    rows[0][1] = Value::null();
    const std::string with_null = check_round_trip(types, {0, 1}, rows);
    EXPECT_EQ(OpenSegment{with_null}.header.granule_count, 7u);
}

}  // namespace
}  // namespace historian::test
