#include "planner/aggregate_measures.h"

#include <cmath>

extern "C" {
#include "utils/float.h"
}

namespace historian::planner {

using engine::NumberRows;
using format::FloatSums;
using format::GranuleStatistics;
using format::IntegerSums;
using format::Slice;

namespace {

double double_of(format::PhysicalKind kind, int64 number) {
    return kind == format::PhysicalKind::float8 ? DatumGetFloat8(static_cast<Datum>(number))
                                                : static_cast<double>(DatumGetFloat4(static_cast<Datum>(number)));
}

// PostgreSQL's order of floats: NaN is greater than all others.
bool is_less(double a, double b) { return a < b || (std::isnan(b) && !std::isnan(a)); }
bool is_less(int64 a, int64 b) { return a < b; }

// Figures of one kind, added; whether the least and the greatest are new.
struct NewExtremes {
    bool min;
    bool max;
};
template <typename Sums>
NewExtremes new_extremes(const Sums &known, const Sums &added) {
    if (added.count == 0) return {false, false};
    if (known.count == 0) return {true, true};
    return {is_less(added.min, known.min), is_less(known.max, added.max)};
}

NewExtremes add_floats(const Measure &measure, const FloatSums &added, MeasureState *state) {
    const NewExtremes extremes = new_extremes(state->floats, added);
    format::add_float_sums(state->floats, added, measure.wanted);
    if (state->floats.overflows) float_overflow_error();
    return extremes;
}

NewExtremes add_integers(const IntegerSums &added, MeasureState *state) {
    const NewExtremes extremes = new_extremes(state->integers, added);
    format::add_integer_sums(state->integers, added);
    return extremes;
}

// The time of the first row whose number, as a bit pattern or as a float, is the one given.
template <typename IsWanted>
Number time_of(const Slice &slice, const NumberRows &times, IsWanted is_wanted) {
    for (uint32 row = 0; row < slice.row_count; row++) {
        if ((slice.keep != nullptr && slice.keep[row] == 0) || !is_wanted(slice.numbers[row])) continue;
        return {static_cast<Datum>(times.numbers[row]), times.nulls != nullptr && times.nulls[row] != 0};
    }
    return {0, true};
}

Number time_of_value(const Measure &measure, const Slice &slice, const NumberRows &times, bool greatest, const FloatSums &floats,
                     const IntegerSums &integers) {
    if (!is_float_kind(measure.kind)) {
        const int64 wanted = greatest ? integers.max : integers.min;
        return time_of(slice, times, [wanted](int64 number) { return number == wanted; });
    }
    const double wanted = greatest ? floats.max : floats.min;
    const format::PhysicalKind kind = measure.kind;
    return time_of(slice, times, [wanted, kind](int64 number) {
        const double value = double_of(kind, number);
        return value == wanted || (std::isnan(value) && std::isnan(wanted));
    });
}

// Joins the ends of other rows.
void add_ends(const Ends &added, Ends *ends) {
    if (!ends->is_known) {
        *ends = added;
        return;
    }
    if (added.first_time < ends->first_time) {
        ends->first_time = added.first_time;
        ends->first = added.first;
    }
    if (added.last_time > ends->last_time) {
        ends->last_time = added.last_time;
        ends->last = added.last;
    }
}

Number number_at(const NumberRows &rows, uint32 row) {
    return {static_cast<Datum>(rows.numbers[row]), rows.nulls != nullptr && rows.nulls[row] != 0};
}

// The first and the last row that count and have a time.
void add_ends_of(const MeasuredRows &rows, Ends *ends) {
    const auto counts = [&rows](uint32 row) {
        return (rows.keep == nullptr || rows.keep[row] != 0) && (rows.times.nulls == nullptr || rows.times.nulls[row] == 0);
    };
    uint32 first = 0;
    uint32 end = rows.numbers.row_count;
    while (first < end && !counts(first)) first++;
    while (end > first && !counts(end - 1)) end--;
    if (first == end) return;
    add_ends({true, rows.times.numbers[first], rows.times.numbers[end - 1], number_at(rows.numbers, first),
              number_at(rows.numbers, end - 1)},
             ends);
}

}  // namespace

void add_rows_to(const Measure &measure, const MeasuredRows &rows, uint8 *space, MeasureState *state) {
    if (measure.wants_ends) add_ends_of(rows, &state->ends);
    const uint32 count = rows.numbers.row_count;
    Slice slice = {rows.numbers.numbers, rows.keep, count};
    if (rows.numbers.nulls != nullptr) {
        for (uint32 row = 0; row < count; row++)
            space[row] = (rows.keep == nullptr ? 1 : rows.keep[row]) & (rows.numbers.nulls[row] ^ 1);
        slice.keep = space;
    }
    FloatSums floats;
    IntegerSums integers;
    NewExtremes extremes;
    if (is_float_kind(measure.kind)) {
        floats = format::sum_floats(measure.kind, slice, measure.wanted);
        extremes = add_floats(measure, floats, state);
    } else {
        integers = format::sum_integers(measure.kind, slice, measure.wanted);
        extremes = add_integers(integers, state);
    }
    if (!measure.wants_extreme_times) return;
    if (extremes.min) state->time_of_min = time_of_value(measure, slice, rows.times, false, floats, integers);
    if (extremes.max) state->time_of_max = time_of_value(measure, slice, rows.times, true, floats, integers);
}

bool do_statistics_suffice(const Measure &measure, const format::Granule &about, const GranuleStatistics &statistics) {
    if (!statistics.is_known || (measure.wanted.squares && !statistics.has_squares)) return false;
    // The first and the last number are those of the first and the last row only if no row is without one.
    return !measure.wants_ends || (statistics.value_count == about.row_count && !about.has_null_time);
}

void add_granule_to(const Measure &measure, const format::Granule &about, const GranuleStatistics &statistics,
                    MeasureState *state) {
    if (measure.wants_ends) {
        add_ends({true,
                  about.time_min,
                  about.time_max,
                  {static_cast<Datum>(statistics.first), false},
                  {static_cast<Datum>(statistics.last), false}},
                 &state->ends);
    }
    NewExtremes extremes;
    if (is_float_kind(measure.kind)) {
        FloatSums sums;
        sums.count = statistics.value_count;
        sums.sum = statistics.float_sum;
        sums.sxx = statistics.float_sxx;
        sums.min = double_of(measure.kind, statistics.min);
        sums.max = double_of(measure.kind, statistics.max);
        extremes = add_floats(measure, sums, state);
    } else {
        const IntegerSums sums = {statistics.value_count, statistics.sum, statistics.squares, statistics.min, statistics.max};
        extremes = add_integers(sums, state);
    }
    if (extremes.min) state->time_of_min = {static_cast<Datum>(statistics.time_of_min), !statistics.has_time_of_min};
    if (extremes.max) state->time_of_max = {static_cast<Datum>(statistics.time_of_max), !statistics.has_time_of_max};
}

}  // namespace historian::planner
