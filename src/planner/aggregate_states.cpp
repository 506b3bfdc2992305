// Transition values as PostgreSQL's partial aggregates give them: numbers, arrays, and for those of type internal what their
// serialisation functions write (backend/utils/adt/numeric.c).
#include "planner/aggregate.h"
#include "planner/first_last_state.h"

#include <bit>
#include <cmath>
#include <limits>

extern "C" {
#include "libpq/pqformat.h"
#include "utils/array.h"
#include "utils/float.h"
}

namespace historian::planner {

using format::FloatSums;
using format::IntegerSums;

namespace {

constexpr int kDigitBase = 10'000;  // of numeric
constexpr int kDigitsMax = 10;      // of 128 bits
constexpr int kNegative = 0x4000;

// As numericvar_serialize() of an integer.
void send_integer(StringInfo out, __int128 value) {
    const bool is_negative = value < 0;
    unsigned __int128 left = is_negative ? -static_cast<unsigned __int128>(value) : static_cast<unsigned __int128>(value);
    int16 digits[kDigitsMax];
    int first = kDigitsMax;
    for (; left != 0; left /= kDigitBase) digits[--first] = static_cast<int16>(left % kDigitBase);
    const int count = kDigitsMax - first;
    int sent = count;  // without zeros at the end
    while (sent > 0 && digits[first + sent - 1] == 0) sent--;
    pq_sendint32(out, sent);
    pq_sendint32(out, count > 0 ? count - 1 : 0);  // the first digit's power
    pq_sendint32(out, is_negative ? kNegative : 0);
    pq_sendint32(out, 0);  // digits behind the point
    for (int i = 0; i < sent; i++) pq_sendint16(out, digits[first + i]);
}

Datum serialised_sums(const IntegerSums &sums, bool with_squares) {
    StringInfoData out;
    pq_begintypsend(&out);
    pq_sendint64(&out, static_cast<int64>(sums.count));
    send_integer(&out, sums.sum.value());
    if (with_squares) send_integer(&out, sums.squares.value());
    return PointerGetDatum(pq_endtypsend(&out));
}

Datum integer_pair(const IntegerSums &sums) {
    Datum pair[2] = {Int64GetDatum(static_cast<int64>(sums.count)), Int64GetDatum(static_cast<int64>(sums.sum.value()))};
    return PointerGetDatum(construct_array(pair, 2, INT8OID, sizeof(int64), true, TYPALIGN_DOUBLE));
}

// Of avg() no squares are known; but beside a sum that is not finite float8_combine() takes any that are for an overflow. And
// unlike sum() these aggregates begin with 0, so that -0 becomes 0.
Datum float_triple(const FloatSums &sums) {
    const double sxx = std::isfinite(sums.sum) ? sums.sxx : std::numeric_limits<double>::quiet_NaN();
    Datum triple[3] = {Float8GetDatum(static_cast<double>(sums.count)), Float8GetDatum(sums.sum + 0.0), Float8GetDatum(sxx)};
    return PointerGetDatum(construct_array(triple, 3, FLOAT8OID, sizeof(double), true, TYPALIGN_DOUBLE));
}

// In double it may be beyond what the type holds.
Datum float4_sum(double sum) {
    const float rounded = static_cast<float>(sum);
    if (std::isinf(rounded) && !std::isinf(sum)) float_overflow_error();
    return Float4GetDatum(rounded);
}

Datum float_datum(format::PhysicalKind kind, double value) {
    return kind == format::PhysicalKind::float8 ? Float8GetDatum(value) : Float4GetDatum(static_cast<float>(value));
}

Datum first_last(const OutputColumn &column, Number value, Number time) {
    return PointerGetDatum(
        make_first_last_state({column.types[0], value.datum, value.is_null}, {column.types[1], time.datum, false}));
}

// The least or the greatest value.
Datum extreme(const Measure &measure, const MeasureState &found, bool greatest) {
    if (is_float_kind(measure.kind)) return float_datum(measure.kind, greatest ? found.floats.max : found.floats.min);
    return static_cast<Datum>(greatest ? found.integers.max : found.integers.min);
}

}  // namespace

Datum transition_value(const OutputColumn &column, const Measure &measure, const MeasureState &found, bool *is_null) {
    const StateKind kind = column.state;
    const bool is_float = is_float_kind(measure.kind);
    const uint64 value_count = is_float ? found.floats.count : found.integers.count;
    *is_null = false;
    switch (kind) {
        case StateKind::row_count: return Int64GetDatum(static_cast<int64>(found.row_count));
        case StateKind::value_count: return Int64GetDatum(static_cast<int64>(value_count));
        case StateKind::integer_pair: return integer_pair(found.integers);
        case StateKind::float_triple: return float_triple(found.floats);
        case StateKind::first:
        case StateKind::last: {
            const Ends &ends = found.ends;
            *is_null = !ends.is_known;
            if (*is_null) return 0;
            return kind == StateKind::first ? first_last(column, ends.first, {Int64GetDatum(ends.first_time), false})
                                            : first_last(column, ends.last, {Int64GetDatum(ends.last_time), false});
        }
        default: break;
    }
    *is_null = value_count == 0;
    if (*is_null) return 0;
    switch (kind) {
        case StateKind::integer_sum: return Int64GetDatum(static_cast<int64>(found.integers.sum.value()));
        case StateKind::wide_sum: return serialised_sums(found.integers, false);
        case StateKind::wide_squares: return serialised_sums(found.integers, true);
        case StateKind::float8_sum: return Float8GetDatum(found.floats.sum);
        case StateKind::float4_sum: return float4_sum(found.floats.sum);
        case StateKind::min: return extreme(measure, found, false);
        case StateKind::max: return extreme(measure, found, true);
        case StateKind::time_of_min: return first_last(column, found.time_of_min, {extreme(measure, found, false), false});
        case StateKind::time_of_max: return first_last(column, found.time_of_max, {extreme(measure, found, true), false});
        case StateKind::all_true: return BoolGetDatum(found.integers.min != 0);
        case StateKind::any_true: return BoolGetDatum(found.integers.max != 0);
        default: elog(ERROR, "a transition value of kind %d", static_cast<int>(kind));
    }
    return 0;
}

}  // namespace historian::planner
