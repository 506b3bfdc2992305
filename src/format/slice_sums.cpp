#include "format/slice_sums.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace historian::format {

namespace {

constexpr std::uint32_t kLanes = 8;

std::uint32_t count_kept(const Slice &slice) noexcept {
    if (slice.keep == nullptr) return slice.row_count;
    std::uint32_t count = 0;
    for (std::uint32_t i = 0; i < slice.row_count; ++i) count += slice.keep[i];
    return count;
}

// Calls each(lane, row, is_kept) for every row; lanes follow one another, so that their sums do not wait for each other.
template <typename Each>
inline void for_each_row(const Slice &slice, Each each) noexcept {
    const std::uint32_t whole = slice.row_count - slice.row_count % kLanes;
    if (slice.keep == nullptr) {
        for (std::uint32_t i = 0; i < whole; i += kLanes) {
            for (std::uint32_t lane = 0; lane < kLanes; ++lane) each(lane, i + lane, true);
        }
        for (std::uint32_t i = whole; i < slice.row_count; ++i) each(i - whole, i, true);
        return;
    }
    for (std::uint32_t i = 0; i < whole; i += kLanes) {
        for (std::uint32_t lane = 0; lane < kLanes; ++lane) each(lane, i + lane, slice.keep[i + lane] != 0);
    }
    for (std::uint32_t i = whole; i < slice.row_count; ++i) each(i - whole, i, slice.keep[i] != 0);
}

// ---------------------------------------------------------------------------------------------------------------- integers

// A sum that no 64 bits hold: of the low and of the high halves, which 4,096 rows do not overflow.
struct HalfSums {
    std::uint64_t low[kLanes] = {};
    std::int64_t high[kLanes] = {};

    __int128 value() const noexcept {
        __int128 sum = 0;
        for (std::uint32_t lane = 0; lane < kLanes; ++lane) sum += (static_cast<__int128>(high[lane]) << 32) + low[lane];
        return sum;
    }
};

__int128 sum_of(PhysicalKind kind, const Slice &slice) noexcept {
    if (kind == PhysicalKind::int8) {
        HalfSums sums;
        for_each_row(slice, [&](std::uint32_t lane, std::uint32_t row, bool is_kept) {
            const std::int64_t value = is_kept ? slice.numbers[row] : 0;
            sums.low[lane] += static_cast<std::uint32_t>(value);
            sums.high[lane] += value >> 32;
        });
        return sums.value();
    }
    std::int64_t sums[kLanes] = {};
    for_each_row(slice,
                 [&](std::uint32_t lane, std::uint32_t row, bool is_kept) { sums[lane] += is_kept ? slice.numbers[row] : 0; });
    __int128 sum = 0;
    for (const std::int64_t lane : sums) sum += lane;
    return sum;
}

__int128 squares_of(const Slice &slice) noexcept {
    HalfSums sums;
    for_each_row(slice, [&](std::uint32_t lane, std::uint32_t row, bool is_kept) {
        const std::int64_t value = is_kept ? slice.numbers[row] : 0;
        const std::uint64_t square = static_cast<std::uint64_t>(value * value);  // of 32 bits: at most 2^62
        sums.low[lane] += static_cast<std::uint32_t>(square);
        sums.high[lane] += static_cast<std::int64_t>(square >> 32);
    });
    return sums.value();
}

// ------------------------------------------------------------------------------------------------------------------ floats

double float_of(PhysicalKind kind, std::int64_t number) noexcept {
    if (kind == PhysicalKind::float8) return std::bit_cast<double>(number);
    return static_cast<double>(std::bit_cast<float>(static_cast<std::uint32_t>(number)));
}

template <typename Value>
double sum_of_floats(const Slice &slice, Value value_of) noexcept {
    // Of nothing but -0 the sum is -0.
    double sums[kLanes];
    std::fill_n(sums, kLanes, -0.0);
    for_each_row(slice,
                 [&](std::uint32_t lane, std::uint32_t row, bool is_kept) { sums[lane] += is_kept ? value_of(row) : -0.0; });
    double sum = -0.0;
    for (const double lane : sums) sum += lane;
    return sum;
}

template <typename Value>
void find_extremes(const Slice &slice, Value value_of, FloatSums *result) noexcept {
    double least[kLanes];
    double greatest[kLanes];
    std::uint32_t nans[kLanes] = {};
    std::fill_n(least, kLanes, std::numeric_limits<double>::infinity());
    std::fill_n(greatest, kLanes, -std::numeric_limits<double>::infinity());
    for_each_row(slice, [&](std::uint32_t lane, std::uint32_t row, bool is_kept) {
        const double value = value_of(row);
        least[lane] = is_kept && value < least[lane] ? value : least[lane];
        greatest[lane] = is_kept && value > greatest[lane] ? value : greatest[lane];
        nans[lane] += is_kept && value != value ? 1 : 0;
    });
    std::uint32_t nan_count = 0;
    for (const std::uint32_t lane : nans) nan_count += lane;
    const double nan = std::numeric_limits<double>::quiet_NaN();
    result->min = nan_count == static_cast<std::uint32_t>(result->count) ? nan : *std::min_element(least, least + kLanes);
    result->max = nan_count > 0 ? nan : *std::max_element(greatest, greatest + kLanes);
}

bool is_overflow(double result, double a, double b) noexcept { return std::isinf(result) && !std::isinf(a) && !std::isinf(b); }

// A sum that is not finite once more in the order of rows, as PostgreSQL adds: a lane may overflow where that does not, and lanes
// of either sign then make NaN.
template <typename Value>
void sum_in_order(const Slice &slice, Value value_of, FloatSums *result) noexcept {
    double sum = 0;
    for (std::uint32_t row = 0; row < slice.row_count; ++row) {
        if (slice.keep != nullptr && slice.keep[row] == 0) continue;
        const double value = value_of(row);
        result->overflows |= is_overflow(sum + value, sum, value);
        sum += value;
    }
    result->sum = sum;
}

template <typename Value>
FloatSums sum_floats_by(const Slice &slice, const WantedSums &wanted, Value value_of) noexcept {
    FloatSums result;
    result.count = count_kept(slice);
    if (result.count == 0) return result;
    if (wanted.extremes) find_extremes(slice, value_of, &result);
    if (!wanted.sum && !wanted.squares) return result;
    result.sum = sum_of_floats(slice, value_of);
    if (!std::isfinite(result.sum)) sum_in_order(slice, value_of, &result);
    if (!std::isfinite(result.sum)) {
        result.sxx = std::numeric_limits<double>::quiet_NaN();  // or joining it with others would look like an overflow
        return result;
    }
    if (!wanted.squares) return result;
    const double mean = result.sum / static_cast<double>(result.count);
    result.sxx = sum_of_floats(slice, [&](std::uint32_t row) {
        const double difference = value_of(row) - mean;
        return difference * difference;
    });
    result.overflows |= std::isinf(result.sxx);
    return result;
}

}  // namespace

IntegerSums sum_integers(PhysicalKind kind, const Slice &slice, const WantedSums &wanted) noexcept {
    IntegerSums result;
    result.count = count_kept(slice);
    if (result.count == 0) return result;
    if (wanted.sum) result.sum = WideInteger::of(sum_of(kind, slice));
    if (wanted.squares) result.squares = WideInteger::of(squares_of(slice));
    if (!wanted.extremes) return result;
    std::int64_t least[kLanes];
    std::int64_t greatest[kLanes];
    std::fill_n(least, kLanes, INT64_MAX);
    std::fill_n(greatest, kLanes, INT64_MIN);
    for_each_row(slice, [&](std::uint32_t lane, std::uint32_t row, bool is_kept) {
        const std::int64_t value = slice.numbers[row];
        least[lane] = is_kept && value < least[lane] ? value : least[lane];
        greatest[lane] = is_kept && value > greatest[lane] ? value : greatest[lane];
    });
    result.min = *std::min_element(least, least + kLanes);
    result.max = *std::max_element(greatest, greatest + kLanes);
    return result;
}

FloatSums sum_floats(PhysicalKind kind, const Slice &slice, const WantedSums &wanted) noexcept {
    if (kind == PhysicalKind::float8) {
        return sum_floats_by(slice, wanted, [&](std::uint32_t row) { return std::bit_cast<double>(slice.numbers[row]); });
    }
    return sum_floats_by(slice, wanted, [&](std::uint32_t row) { return float_of(PhysicalKind::float4, slice.numbers[row]); });
}

void add_integer_sums(IntegerSums &sums, const IntegerSums &other) noexcept {
    if (other.count == 0) return;
    if (sums.count == 0) {
        sums = other;
        return;
    }
    sums.count += other.count;
    sums.sum = WideInteger::of(sums.sum.value() + other.sum.value());
    sums.squares = WideInteger::of(sums.squares.value() + other.squares.value());
    sums.min = std::min(sums.min, other.min);
    sums.max = std::max(sums.max, other.max);
}

void add_float_sums(FloatSums &sums, const FloatSums &other, const WantedSums &wanted) noexcept {
    if (other.count == 0) return;
    if (sums.count == 0) {
        sums = other;
        return;
    }
    sums.overflows |= other.overflows;
    if (wanted.squares) {
        const double n1 = static_cast<double>(sums.count);
        const double n2 = static_cast<double>(other.count);
        const double difference = sums.sum / n1 - other.sum / n2;
        const double sxx = sums.sxx + other.sxx + n1 * n2 * difference * difference / (n1 + n2);
        sums.overflows |= is_overflow(sxx, sums.sxx, other.sxx);
        sums.sxx = sxx;
    }
    if (wanted.sum || wanted.squares) {
        const double sum = sums.sum + other.sum;
        sums.overflows |= is_overflow(sum, sums.sum, other.sum);
        sums.sum = sum;
    }
    sums.count += other.count;
    // NaN is the greatest: the smaller is what is not greater.
    sums.min = std::isnan(sums.min) || other.min < sums.min ? other.min : sums.min;
    sums.max = std::isnan(other.max) || other.max > sums.max ? other.max : sums.max;
}

}  // namespace historian::format
