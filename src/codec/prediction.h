// Predictions: what the next integer of a stream probably is, so that only the difference needs bits.
//
// The numbers are stored on disk (packed_integers.h says what each means). All arithmetic is modulo 2^64; normal value 0 is
// always 0.
#pragma once

#include <cstddef>
#include <cstdint>

namespace historian::codec {

enum class Prediction : std::uint8_t {
    none = 0,   // values that jump about
    level = 1,  // delta: counters, slow walks
    slope = 2,  // delta of delta: times whose period changes now and then
    drift = 3,  // difference from a following mean: noise around a slow signal
    line = 4,   // difference from a straight line: times of a steady clock with jitter
};

/// How many bits of a line's step are below 1.
inline constexpr unsigned kLineFractionBits = 16;

struct Predictor {
    Prediction prediction = Prediction::none;
    std::uint64_t step = 0;  // slope: normal value 1; line: per value, in 2^-16
};

constexpr bool has_step(Prediction prediction) noexcept {
    return prediction == Prediction::slope || prediction == Prediction::line;
}

/// Values at the front that have no residual.
constexpr std::size_t predicted_from(Prediction prediction) noexcept {
    return prediction == Prediction::none ? 0 : prediction == Prediction::slope ? 2 : 1;
}

/// Where the middle nine tenths of the residuals lie, by a sample.
struct Spread {
    std::int64_t low = 0;
    std::uint64_t size = 0;
};

struct ChosenPrediction {
    Predictor predictor;
    Spread spread;
};

/// The prediction with the smallest spread.
///
/// normal    count >= 2 values
/// scratch   count slots, overwritten
ChosenPrediction choose_prediction(const std::uint64_t *normal, std::size_t count, std::uint64_t *scratch) noexcept;

/// residuals   output: count - predicted_from(prediction)
void make_residuals(const Predictor &predictor, const std::uint64_t *normal, std::size_t count,
                    std::uint64_t *residuals) noexcept;

/// base     added to each residual
/// values   count >= 2; in: residuals from predicted_from(prediction) on; out: the normal values
void undo_prediction(const Predictor &predictor, std::uint64_t base, std::uint64_t *values, std::size_t count) noexcept;

}  // namespace historian::codec
