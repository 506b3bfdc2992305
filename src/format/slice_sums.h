// Sums over a slice of a decoded column: what an aggregate needs of rows that no statistics answer for.
//
// The loops keep eight partial sums each, so that compilers vectorise them; a float's sum so depends on how rows are cut into
// slices, as it depends on the order of rows in SQL.
#pragma once

#include <cstdint>
#include <span>

#include "codec/status.h"
#include "format/column.h"
#include "format/granule_statistics.h"

namespace historian::format {

/// Rows of a slice; those that a mask leaves out do not count.
struct Slice {
    const std::int64_t *numbers = nullptr;  // of kind int1 to float8, as ColumnVector has them
    const std::uint8_t *keep = nullptr;     // one byte a row: 1 = counts, 0 = does not; nullptr: all count
    std::uint32_t row_count = 0;            // at most kGranuleRowsMax
};

/// Which figures are wanted beside the count.
struct WantedSums {
    bool sum = false;
    bool squares = false;  // not of int8
    bool extremes = false;
};

/// Of the rows that count; a figure that is not wanted is 0, or NaN.
struct IntegerSums {
    std::uint64_t count = 0;
    WideInteger sum;
    WideInteger squares;
    std::int64_t min = 0;  // count > 0
    std::int64_t max = 0;
};
IntegerSums sum_integers(PhysicalKind kind, const Slice &slice, const WantedSums &wanted) noexcept;

/// Joins the figures of two sets of rows.
void add_integer_sums(IntegerSums &sums, const IntegerSums &other) noexcept;

/// In double, also of float4. NaN is greater than all others.
struct FloatSums {
    std::uint64_t count = 0;
    double sum = 0;
    double sxx = 0;  // sum of (x - mean)^2; NaN when a value is NaN or infinite
    double min = 0;
    double max = 0;
    bool overflows = false;  // finite values came to an infinite sum, or sum of squares: an error in SQL
};
FloatSums sum_floats(PhysicalKind kind, const Slice &slice, const WantedSums &wanted) noexcept;

/// Joins the figures of two sets of rows, as float8_combine() of PostgreSQL does (backend/utils/adt/float.c). What is not wanted
/// overflows nothing.
void add_float_sums(FloatSums &sums, const FloatSums &other, const WantedSums &wanted) noexcept;

}  // namespace historian::format
