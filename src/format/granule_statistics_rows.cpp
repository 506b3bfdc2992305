// Statistics of a granule from its rows: loops over one column, each either vectorised or bound by one chain of additions.
#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>
#include <limits>

#include "format/granule_statistics.h"

namespace historian::format {
namespace {

/// The values that are not NULL, in row order.
struct Dense {
    const std::int64_t *values;
    std::uint32_t count;
};

Dense without_nulls(const GranuleRows &rows, std::int64_t *room) noexcept {
    if (rows.nulls == nullptr) return {rows.numbers, rows.row_count};
    std::uint32_t count = 0;
    for (std::uint32_t row = 0; row < rows.row_count; ++row) {
        room[count] = rows.numbers[row];
        count += rows.nulls[row] == 0;
    }
    return {room, count};
}

/// The row of the n-th value that is not NULL.
std::uint32_t row_of_value(const GranuleRows &rows, std::uint32_t n) noexcept {
    if (rows.nulls == nullptr) return n;
    std::uint32_t row = 0;
    for (std::uint32_t left = n;; ++row) {
        if (rows.nulls[row] != 0) continue;
        if (left-- == 0) return row;
    }
}

void put_time(const GranuleRows &rows, std::uint32_t value, std::int64_t *time, bool *has_time) noexcept {
    const std::uint32_t row = row_of_value(rows, value);
    *has_time = rows.null_times == nullptr || rows.null_times[row] == 0;
    *time = *has_time ? rows.times[row] : 0;
}

// ---------------------------------------------------------------------------------------------------------------- integers

/// Up to here a granule's squares add up to less than 2^63.
constexpr std::int64_t kNarrowMax = std::int64_t{1} << 25;
static_assert(kNarrowMax * kNarrowMax <= INT64_MAX / kGranuleRowsMax);

void add_integers(Dense dense, GranuleStatistics &statistics) noexcept {
    std::int64_t min = dense.values[0];
    std::int64_t max = min;
    for (std::uint32_t i = 0; i < dense.count; ++i) {
        min = std::min(min, dense.values[i]);
        max = std::max(max, dense.values[i]);
    }
    statistics.min = min;
    statistics.max = max;
    statistics.has_squares = true;
    if (min >= -kNarrowMax && max <= kNarrowMax) {
        std::int64_t sum = 0;
        std::int64_t squares = 0;
        for (std::uint32_t i = 0; i < dense.count; ++i) {
            sum += dense.values[i];
            squares += dense.values[i] * dense.values[i];
        }
        statistics.sum = WideInteger::of(sum);
        statistics.squares = WideInteger::of(squares);
        return;
    }
    __int128 sum = 0;
    __int128 squares = 0;
    bool overflows = false;
    for (std::uint32_t i = 0; i < dense.count; ++i) {
        sum += dense.values[i];
        overflows |= __builtin_add_overflow(squares, static_cast<__int128>(dense.values[i]) * dense.values[i], &squares);
    }
    statistics.sum = WideInteger::of(sum);
    statistics.has_squares = !overflows;
    if (!overflows) statistics.squares = WideInteger::of(squares);
}

// ------------------------------------------------------------------------------------------------------------------ floats

double to_double(std::int64_t number, PhysicalKind kind) noexcept {
    if (kind == PhysicalKind::float8) return std::bit_cast<double>(number);
    return static_cast<double>(std::bit_cast<float>(static_cast<std::uint32_t>(number)));
}

/// NaN is equal to itself and greater than all others.
bool is_less(double a, double b) noexcept { return std::isnan(b) ? !std::isnan(a) : a < b; }

/// Sums of values in their order. Of nothing but -0 the sum is -0.
struct FloatSums {
    double sum = -0.0;
    double sxx = 0;
};

constexpr std::uint32_t kBlockValues = 256;

/// Youngs and Cramer: with n values and their sum s, the n-th adds (n x - s)^2 / (n (n - 1)) to sxx. Exact only while all is
/// finite.
///
/// No product meets an addition in one loop, so there is nothing that a compiler could contract into a fused multiply-add: the
/// same bits on every CPU.
///
/// source   Youngs, Cramer, "Some Results Relevant to Choice of Sum and Sum-of-Product Algorithms", Technometrics 13, 1971
FloatSums add_floats(const double *values, std::uint32_t count) noexcept {
    FloatSums sums;
    double products[kBlockValues];
    double prefixes[kBlockValues];
    double quotients[kBlockValues];
    for (std::uint32_t done = 0; done < count; done += kBlockValues) {
        const std::uint32_t block = std::min(kBlockValues, count - done);
        const double *in = values + done;
        const auto before = static_cast<std::int32_t>(done);
        for (std::uint32_t i = 0; i < block; ++i) products[i] = in[i] * (before + static_cast<std::int32_t>(i) + 1);
        for (std::uint32_t i = 0; i < block; ++i) prefixes[i] = sums.sum += in[i];
        for (std::uint32_t i = 0; i < block; ++i) {
            const double n = before + static_cast<std::int32_t>(i) + 1;
            const double difference = products[i] - prefixes[i];
            quotients[i] = difference * difference / (n * (n - 1));
        }
        if (done == 0) quotients[0] = 0;
        for (std::uint32_t i = 0; i < block; ++i) sums.sxx += quotients[i];
    }
    return sums;
}

/// Some value is infinite or NaN, or the sum overflows; false: it overflows by finite values.
///
/// What float8_accum() and float8pl() make of it: an error if finite values overflow; once a value is not finite, sxx is NaN.
bool add_infinite(const double *values, std::uint32_t count, GranuleStatistics &statistics) noexcept {
    const auto finite =
        static_cast<std::uint32_t>(std::find_if_not(values, values + count, [](double x) { return std::isfinite(x); }) - values);
    const FloatSums sums = add_floats(values, finite);
    if (finite == count || !std::isfinite(sums.sum)) return false;
    double sum = sums.sum;
    for (std::uint32_t i = finite; i < count; ++i) sum += values[i];
    constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
    statistics.float_sum = std::isnan(sum) ? kNan : sum;
    statistics.has_squares = std::isfinite(sums.sxx);
    statistics.float_sxx = statistics.has_squares ? kNan : 0;
    return true;
}

/// The places of the least and the greatest value, the first of equals.
struct Places {
    std::uint32_t min = 0;
    std::uint32_t max = 0;
};

Places find_extremes(const double *values, std::uint32_t count, bool all_finite) noexcept {
    Places places;
    if (all_finite) {
        double min = values[0];
        double max = values[0];
        for (std::uint32_t i = 1; i < count; ++i) {
            min = values[i] < min ? values[i] : min;
            max = values[i] > max ? values[i] : max;
        }
        places.min = static_cast<std::uint32_t>(std::find(values, values + count, min) - values);
        places.max = static_cast<std::uint32_t>(std::find(values, values + count, max) - values);
        return places;
    }
    for (std::uint32_t i = 1; i < count; ++i) {
        if (is_less(values[i], values[places.min])) places.min = i;
        if (is_less(values[places.max], values[i])) places.max = i;
    }
    return places;
}

}  // namespace

GranuleStatistics summarize_granule(const GranuleRows &rows) noexcept {
    assert(is_number(rows.kind) && rows.row_count != 0 && rows.row_count <= kGranuleRowsMax);
    std::int64_t room[kGranuleRowsMax];
    const Dense dense = without_nulls(rows, room);
    GranuleStatistics statistics;
    statistics.is_known = true;
    statistics.has_squares = true;
    statistics.value_count = dense.count;
    if (dense.count == 0) return statistics;
    statistics.first = dense.values[0];
    statistics.last = dense.values[dense.count - 1];
    Places places;
    if (rows.kind == PhysicalKind::float4 || rows.kind == PhysicalKind::float8) {
        double values[kGranuleRowsMax];
        for (std::uint32_t i = 0; i < dense.count; ++i) values[i] = to_double(dense.values[i], rows.kind);
        const FloatSums sums = add_floats(values, dense.count);
        // A sum stays infinite or NaN once it is: a finite one had no other values.
        const bool all_finite = std::isfinite(sums.sum);
        if (all_finite) {
            statistics.float_sum = sums.sum;
            statistics.has_squares = std::isfinite(sums.sxx);
            if (statistics.has_squares) statistics.float_sxx = sums.sxx;
        } else if (!add_infinite(values, dense.count, statistics)) {
            return {};
        }
        places = find_extremes(values, dense.count, all_finite);
        statistics.min = dense.values[places.min];
        statistics.max = dense.values[places.max];
    } else {
        add_integers(dense, statistics);
        places.min =
            static_cast<std::uint32_t>(std::find(dense.values, dense.values + dense.count, statistics.min) - dense.values);
        places.max =
            static_cast<std::uint32_t>(std::find(dense.values, dense.values + dense.count, statistics.max) - dense.values);
    }
    put_time(rows, places.min, &statistics.time_of_min, &statistics.has_time_of_min);
    put_time(rows, places.max, &statistics.time_of_max, &statistics.has_time_of_max);
    return statistics;
}

}  // namespace historian::format
