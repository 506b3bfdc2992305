// Sums over slices: what the loops of eight lanes find is what one row after the other comes to.
#include "format/slice_sums.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace historian::test {
namespace {

using format::FloatSums;
using format::IntegerSums;
using format::PhysicalKind;
using format::Slice;
using format::WantedSums;

constexpr WantedSums kAll{true, true, true};
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

std::uint64_t seed() {
    static const std::uint64_t value = std::random_device{}();
    return value;
}

std::vector<std::uint8_t> random_mask(std::mt19937_64 &random, std::size_t count) {
    std::vector<std::uint8_t> keep(count);
    for (std::uint8_t &each : keep) each = random() % 3 != 0;
    return keep;
}

std::vector<std::int64_t> bits_of(const std::vector<double> &values) {
    std::vector<std::int64_t> bits;
    for (const double value : values) bits.push_back(std::bit_cast<std::int64_t>(value));
    return bits;
}

Slice slice_of(const std::vector<std::int64_t> &numbers, const std::uint8_t *keep = nullptr) {
    return {numbers.data(), keep, static_cast<std::uint32_t>(numbers.size())};
}

TEST(SliceSums, AddIntegersExactly) {
    SCOPED_TRACE("seed " + std::to_string(seed()));
    std::mt19937_64 random(seed());
    for (int round = 0; round < 300; ++round) {
        const bool is_wide = round % 2 == 0;
        std::vector<std::int64_t> numbers(random() % 100 + (round % 7 == 0 ? 4000 : 0));
        for (std::int64_t &number : numbers) {
            number = static_cast<std::int64_t>(random());
            if (!is_wide) number = static_cast<std::int32_t>(number);
            if (random() % 10 == 0) number = is_wide ? INT64_MIN : INT32_MIN;
            if (random() % 10 == 0) number = is_wide ? INT64_MAX : INT32_MAX;
        }
        const std::vector<std::uint8_t> keep = random_mask(random, numbers.size());
        __int128 sum = 0;
        __int128 squares = 0;
        std::uint64_t count = 0;
        std::int64_t min = INT64_MAX;
        std::int64_t max = INT64_MIN;
        for (std::size_t i = 0; i < numbers.size(); ++i) {
            if (keep[i] == 0) continue;
            count++;
            sum += numbers[i];
            if (!is_wide) squares += static_cast<__int128>(numbers[i]) * numbers[i];
            min = std::min(min, numbers[i]);
            max = std::max(max, numbers[i]);
        }
        const IntegerSums found = sum_integers(is_wide ? PhysicalKind::int8 : PhysicalKind::int4, slice_of(numbers, keep.data()),
                                               {true, !is_wide, true});
        ASSERT_EQ(found.count, count);
        if (count == 0) continue;
        EXPECT_TRUE(found.sum.value() == sum);
        EXPECT_TRUE(found.squares.value() == squares);
        EXPECT_EQ(found.min, min);
        EXPECT_EQ(found.max, max);
    }
}

TEST(SliceSums, AddFloatsWithinTheirRounding) {
    SCOPED_TRACE("seed " + std::to_string(seed()));
    std::mt19937_64 random(seed());
    for (int round = 0; round < 300; ++round) {
        std::vector<double> values(1 + random() % 100 + (round % 7 == 0 ? 4000 : 0));
        for (double &value : values) value = static_cast<double>(static_cast<std::int64_t>(random()) >> 20) / 1024;
        const std::vector<std::uint8_t> keep = random_mask(random, values.size());
        long double sum = 0;
        std::uint64_t count = 0;
        for (std::size_t i = 0; i < values.size(); ++i) {
            if (keep[i] != 0) sum += values[i];
            count += keep[i];
        }
        long double sxx = 0;
        for (std::size_t i = 0; i < values.size(); ++i) {
            if (keep[i] != 0) sxx += (values[i] - sum / count) * (values[i] - sum / count);
        }
        const FloatSums found = sum_floats(PhysicalKind::float8, slice_of(bits_of(values), keep.data()), kAll);
        ASSERT_EQ(found.count, count);
        if (count == 0) continue;
        EXPECT_FALSE(found.overflows);
        EXPECT_NEAR(found.sum, static_cast<double>(sum), 1e-3);
        EXPECT_NEAR(found.sxx / static_cast<double>(sxx + 1), static_cast<double>(sxx / (sxx + 1)), 1e-9);
    }
}

TEST(SliceSums, TakeNanForTheGreatest) {
    const FloatSums mixed = sum_floats(PhysicalKind::float8, slice_of(bits_of({3, kNan, -kInfinity})), kAll);
    EXPECT_EQ(mixed.min, -kInfinity);
    EXPECT_TRUE(std::isnan(mixed.max));
    EXPECT_TRUE(std::isnan(mixed.sum));
    EXPECT_TRUE(std::isnan(mixed.sxx));
    EXPECT_FALSE(mixed.overflows);
    const FloatSums only = sum_floats(PhysicalKind::float8, slice_of(bits_of({kNan, kNan})), kAll);
    EXPECT_TRUE(std::isnan(only.min));
    FloatSums joined = only;
    add_float_sums(joined, sum_floats(PhysicalKind::float8, slice_of(bits_of({1, 2})), kAll), kAll);
    EXPECT_EQ(joined.min, 1);
    EXPECT_TRUE(std::isnan(joined.max));
    EXPECT_EQ(joined.count, 4u);
}

TEST(SliceSums, SayThatFiniteValuesOverflow) {
    EXPECT_TRUE(sum_floats(PhysicalKind::float8, slice_of(bits_of({1e308, 1e308})), kAll).overflows);
    EXPECT_FALSE(sum_floats(PhysicalKind::float8, slice_of(bits_of({1e308, kInfinity})), kAll).overflows);
    EXPECT_TRUE(sum_floats(PhysicalKind::float8, slice_of(bits_of({1e200, -1e200})), kAll).overflows) << "the squares do";
    FloatSums infinite = sum_floats(PhysicalKind::float8, slice_of(bits_of({kInfinity})), {true, false, false});
    add_float_sums(infinite, sum_floats(PhysicalKind::float8, slice_of(bits_of({5})), {true, false, false}),
                   {true, false, false});
    EXPECT_FALSE(infinite.overflows) << "whether squares are wanted or not";
    FloatSums joined = sum_floats(PhysicalKind::float8, slice_of(bits_of({1e308})), {true, false, false});
    add_float_sums(joined, sum_floats(PhysicalKind::float8, slice_of(bits_of({1e308})), {true, false, false}), kAll);
    EXPECT_TRUE(joined.overflows);
    FloatSums large = sum_floats(PhysicalKind::float8, slice_of(bits_of({1e200})), {true, false, false});
    add_float_sums(large, sum_floats(PhysicalKind::float8, slice_of(bits_of({-1e200})), kAll), {true, false, false});
    EXPECT_FALSE(large.overflows) << "nobody wants the squares";
    EXPECT_EQ(large.sum, 0);
}

TEST(SliceSums, OverflowInTheOrderOfRowsOnly) {
    std::vector<double> values;
    for (int i = 0; i < 100; ++i) values.push_back(i % 2 == 0 ? 1.7e308 : -1.7e308);
    const FloatSums mixed = sum_floats(PhysicalKind::float8, slice_of(bits_of(values)), {true, false, false});
    EXPECT_EQ(mixed.sum, 0);
    EXPECT_FALSE(mixed.overflows);
    values[50] = -kInfinity;
    const FloatSums infinite = sum_floats(PhysicalKind::float8, slice_of(bits_of(values)), kAll);
    EXPECT_EQ(infinite.sum, -kInfinity);
    EXPECT_FALSE(infinite.overflows);
    const FloatSums nothing = sum_floats(PhysicalKind::float8, slice_of(bits_of({-0.0, -0.0})), kAll);
    EXPECT_TRUE(std::signbit(nothing.sum));
}

TEST(SliceSums, LeaveOutNothingOfShortSlices) {
    for (std::uint32_t count = 0; count < 40; ++count) {
        std::vector<std::int64_t> numbers(count, 2);
        EXPECT_EQ(static_cast<std::int64_t>(sum_integers(PhysicalKind::int2, slice_of(numbers), kAll).sum.value()), 2 * count);
    }
}

TEST(SliceSums, JoinAsIfAddedTogether) {
    const std::vector<double> values = {1, 5, 7, 100, -3, 8, 2.5};
    FloatSums joined = sum_floats(PhysicalKind::float8, slice_of(bits_of({values.begin(), values.begin() + 3})), kAll);
    add_float_sums(joined, sum_floats(PhysicalKind::float8, slice_of(bits_of({values.begin() + 3, values.end()})), kAll), kAll);
    const FloatSums whole = sum_floats(PhysicalKind::float8, slice_of(bits_of(values)), kAll);
    EXPECT_EQ(joined.count, whole.count);
    EXPECT_DOUBLE_EQ(joined.sum, whole.sum);
    EXPECT_DOUBLE_EQ(joined.sxx, whole.sxx);
    EXPECT_EQ(joined.min, whole.min);
    EXPECT_EQ(joined.max, whole.max);
}

}  // namespace
}  // namespace historian::test
