// Predictions: what the next integer of a stream probably is, so that only the difference needs bits.
//
// The numbers are stored on disk (packed_integers.h says what each means). All arithmetic is modulo 2^64.
#pragma once

#include <cstddef>
#include <cstdint>

namespace historian::codec {

enum class Prediction : std::uint8_t {
    none = 0,   // values that jump about
    level = 1,  // delta: counters, slow walks
    slope = 2,  // delta of delta: times
    drift = 3,  // difference from a following mean: noise around a slow signal
};

/// Values at the front that have no residual.
constexpr std::size_t predicted_from(Prediction prediction) noexcept {
    return prediction == Prediction::none ? 0 : prediction == Prediction::slope ? 2 : 1;
}

/// Where the middle nine tenths of the residuals lie, by a sample.
struct Spread {
    std::int64_t low = 0;
    std::uint64_t size = 0;
};

/// The prediction with the smallest spread.
///
/// normal    count >= 2 values, the first 0
/// scratch   count slots, overwritten
/// spread    output: of the chosen prediction
Prediction choose_prediction(const std::uint64_t *normal, std::size_t count, std::uint64_t *scratch, Spread *spread) noexcept;

/// residuals   output: count - predicted_from(prediction)
void make_residuals(Prediction prediction, const std::uint64_t *normal, std::size_t count, std::uint64_t *residuals) noexcept;

struct PredictionStart {
    Prediction prediction = Prediction::none;
    std::uint64_t step = 0;  // slope: normal value 1
    std::uint64_t base = 0;  // added to each residual
};

/// values   count >= 2; in: residuals from predicted_from(prediction) on; out: the normal values
void undo_prediction(const PredictionStart &start, std::uint64_t *values, std::size_t count) noexcept;

}  // namespace historian::codec
