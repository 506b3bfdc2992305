#include "codec/prediction.h"

#include <algorithm>

#include "codec/sampling.h"

namespace historian::codec {
namespace {

constexpr std::size_t kSampleCountMax = 64;

// Below this spread neither a line nor a following mean is worth its step or its slower decoding.
constexpr std::uint64_t kNoiseSpreadMin = 64;

std::uint64_t quarter(std::uint64_t difference) noexcept {
    return static_cast<std::uint64_t>(static_cast<std::int64_t>(difference) >> 2);
}

struct Sample {
    std::size_t count = 0;
    std::uint32_t at[kSampleCountMax] = {};
};

/// Positions from 2 on; all of them when there are few.
Sample choose_sample(std::size_t count) noexcept {
    Sample sample;
    const std::size_t usable = count - 2;
    sample.count = std::min(usable, kSampleCountMax);
    for (std::size_t i = 0; i < sample.count; ++i)
        sample.at[i] = static_cast<std::uint32_t>(2 + sample_position(i, sample.count, usable));
    return sample;
}

template <typename Residual>
Spread spread_of(const Sample &sample, Residual residual) noexcept {
    if (sample.count == 0) return {};
    std::int64_t residuals[kSampleCountMax] = {};
    for (std::size_t i = 0; i < sample.count; ++i) residuals[i] = static_cast<std::int64_t>(residual(sample.at[i]));
    const std::size_t cut = sample.count / 20;
    auto *end = residuals + sample.count;
    std::nth_element(residuals, residuals + cut, end);
    const std::int64_t low = residuals[cut];
    std::nth_element(residuals, end - 1 - cut, end);
    const std::int64_t high = *(end - 1 - cut);
    return {low, static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low)};
}

/// Takes the candidate when it is clearly smaller: by an eighth, so that noise in the sample does not decide for the slower
/// decoder.
void consider(ChosenPrediction &best, const Predictor &candidate, const Spread &spread) noexcept {
    if (spread.size < best.spread.size - best.spread.size / 8) best = {candidate, spread};
}

std::uint64_t on_line(std::uint64_t step, std::size_t i) noexcept {
    return static_cast<std::uint64_t>(static_cast<std::int64_t>(step * i) >> kLineFractionBits);
}

/// The line through the means of the first and the last quarter; false when it is too steep for its fraction bits.
bool fit_line(const std::uint64_t *normal, std::size_t count, std::uint64_t *step) noexcept {
    constexpr std::int64_t kRiseMax = std::int64_t{1} << 40;
    const std::size_t quarter_count = count / 4;
    if (quarter_count == 0) return false;
    std::int64_t rise = 0;
    for (std::size_t i = 0; i < quarter_count; ++i) {
        const auto low = static_cast<std::int64_t>(normal[i]);
        const auto high = static_cast<std::int64_t>(normal[count - quarter_count + i]);
        if (low < -kRiseMax || low > kRiseMax || high < -kRiseMax || high > kRiseMax) return false;
        rise += high - low;
    }
    // Each of the pairs is count - quarter_count values apart.
    rise /= static_cast<std::int64_t>(quarter_count);
    *step = static_cast<std::uint64_t>((rise << kLineFractionBits) / static_cast<std::int64_t>(count - quarter_count));
    return true;
}

}  // namespace

ChosenPrediction choose_prediction(const std::uint64_t *normal, std::size_t count, std::uint64_t *scratch) noexcept {
    const Sample sample = choose_sample(count);
    const Spread level = spread_of(sample, [&](std::size_t i) { return normal[i] - normal[i - 1]; });
    const Spread slope = spread_of(sample, [&](std::size_t i) { return normal[i] - 2 * normal[i - 1] + normal[i - 2]; });

    ChosenPrediction best{{Prediction::none}, spread_of(sample, [&](std::size_t i) { return normal[i]; })};
    consider(best, {Prediction::level}, level);
    consider(best, {Prediction::slope, normal[1]}, slope);
    // Differences of noise are rougher the more often they are taken.
    if (slope.size > level.size && best.spread.size > kNoiseSpreadMin) {
        std::uint64_t step = 0;
        if (fit_line(normal, count, &step)) {
            consider(best, {Prediction::line, step},
                     spread_of(sample, [&](std::size_t i) { return normal[i] - on_line(step, i); }));
        }
        make_residuals({Prediction::drift}, normal, count, scratch);
        consider(best, {Prediction::drift}, spread_of(sample, [&](std::size_t i) { return scratch[i - 1]; }));
    }
    return best;
}

void make_residuals(const Predictor &predictor, const std::uint64_t *normal, std::size_t count,
                    std::uint64_t *residuals) noexcept {
    switch (predictor.prediction) {
        case Prediction::none: std::copy(normal, normal + count, residuals); return;
        case Prediction::level:
            for (std::size_t i = 1; i < count; ++i) residuals[i - 1] = normal[i] - normal[i - 1];
            return;
        case Prediction::slope:
            for (std::size_t i = 2; i < count; ++i) residuals[i - 2] = normal[i] - 2 * normal[i - 1] + normal[i - 2];
            return;
        case Prediction::drift: {
            std::uint64_t mean = 0;
            for (std::size_t i = 1; i < count; ++i) {
                const std::uint64_t difference = normal[i] - mean;
                residuals[i - 1] = difference;
                mean += quarter(difference);
            }
            return;
        }
        case Prediction::line:
            for (std::size_t i = 1; i < count; ++i) residuals[i - 1] = normal[i] - on_line(predictor.step, i);
            return;
    }
}

void move_state(Prediction prediction, const std::uint64_t *normal, std::size_t from, std::size_t to,
                PredictionState *state) noexcept {
    if (from == to || !has_state(prediction)) return;
    if (prediction == Prediction::drift) {
        for (std::size_t i = from; i < to; ++i) state->value += quarter(normal[i] - state->value);
        return;
    }
    state->value = normal[to - 1];
    if (prediction == Prediction::slope) state->step = normal[to - 1] - normal[to - 2];
}

void undo_prediction(const Predictor &predictor, std::uint64_t base, std::size_t at, PredictionState state,
                     std::uint64_t *residuals, std::size_t count) noexcept {
    switch (predictor.prediction) {
        case Prediction::none:
            for (std::size_t i = 0; i < count; ++i) residuals[i] += base;
            return;
        case Prediction::level:
            for (std::size_t i = 0; i < count; ++i) residuals[i] = state.value += residuals[i] + base;
            return;
        case Prediction::slope:
            for (std::size_t i = 0; i < count; ++i) {
                state.step += residuals[i] + base;
                residuals[i] = state.value += state.step;
            }
            return;
        case Prediction::drift:
            for (std::size_t i = 0; i < count; ++i) {
                const std::uint64_t difference = residuals[i] + base;
                residuals[i] = state.value + difference;
                state.value += quarter(difference);
            }
            return;
        case Prediction::line:
            for (std::size_t i = 0; i < count; ++i) residuals[i] += base + on_line(predictor.step, at + i);
            return;
    }
}

}  // namespace historian::codec
