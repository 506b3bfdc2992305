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

/// Parts of a bit that ChosenPrediction::bits counts.
inline constexpr std::uint32_t kBitUnits = 256;

struct ChosenPrediction {
    Predictor predictor;
    std::uint32_t bits = 0;  // of the residuals' distances from the middle one, a value, by a sample
};

/// The prediction whose residuals have the fewest bits.
///
/// normal    count >= 2 values
/// scratch   count slots, overwritten
ChosenPrediction choose_prediction(const std::uint64_t *normal, std::size_t count, std::uint64_t *scratch) noexcept;

/// One prediction's numbers for these values; false when it cannot predict them.
///
/// normal   count >= 2 values
bool make_predictor(Prediction prediction, const std::uint64_t *normal, std::size_t count, Predictor *predictor) noexcept;

/// residuals   output: count - predicted_from(prediction)
void make_residuals(const Predictor &predictor, const std::uint64_t *normal, std::size_t count,
                    std::uint64_t *residuals) noexcept;

/// Where a prediction stands before some value: what residuals that follow need of those before.
struct PredictionState {
    std::uint64_t value = 0;  // level, slope: the normal value before; drift: the mean
    std::uint64_t step = 0;   // slope: the step to the normal value before
};

/// Whether a prediction needs the values before.
constexpr bool has_state(Prediction prediction) noexcept {
    return prediction == Prediction::level || prediction == Prediction::slope || prediction == Prediction::drift;
}

/// Before the first residual.
constexpr PredictionState first_state(const Predictor &predictor) noexcept {
    return predictor.prediction == Prediction::slope ? PredictionState{predictor.step, predictor.step} : PredictionState{};
}

/// Goes over normal values.
///
/// from, to   of values: state is before `from`, at least predicted_from(prediction), and is moved to before `to`
void move_state(Prediction prediction, const std::uint64_t *normal, std::size_t from, std::size_t to,
                PredictionState *state) noexcept;

/// base     added to each residual
/// at       which normal value residuals[0] is of, at least predicted_from(prediction)
/// state    before it
/// residuals   count of them; out: the normal values
void undo_prediction(const Predictor &predictor, std::uint64_t base, std::size_t at, PredictionState state,
                     std::uint64_t *residuals, std::size_t count) noexcept;

}  // namespace historian::codec
