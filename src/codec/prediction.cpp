#include "codec/prediction.h"

#include <algorithm>
#include <bit>

#include "codec/byte_writer.h"
#include "codec/sampling.h"

namespace historian::codec {
namespace {

// Of one in kOfMiddle of them the middle is taken. The logarithms of noise differ by 1.4 bits, their mean by less than a tenth.
constexpr std::size_t kSampleCountMax = 256;
constexpr std::size_t kSampleCountMin = 64;
constexpr std::size_t kValuesOfSample = 8;
constexpr std::size_t kOfMiddle = 4;

// So many bits a value a prediction must save, so that noise in the sample does not decide; more where each value waits for two
// before, or for a mean.
constexpr std::uint32_t kBitsGainMin = kBitUnits / 10;
constexpr std::uint32_t kBitsGainMinOfSlow = kBitUnits / 6;

// Fewer than this tell little.
constexpr std::size_t kFewValues = 32;

// Below this neither a line nor a following mean is worth its step or its slower decoding.
constexpr std::uint32_t kNoiseBitsMin = 5 * kBitUnits;

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
    sample.count = std::min(usable, std::clamp(usable / kValuesOfSample, kSampleCountMin, kSampleCountMax));
    for (std::size_t i = 0; i < sample.count; ++i)
        sample.at[i] = static_cast<std::uint32_t>(2 + sample_position(i, sample.count, usable));
    return sample;
}

/// Bits that the distances from the middle residual have, a value, in kBitUnits.
template <typename Residual>
std::uint32_t bits_of(const Sample &sample, Residual residual) noexcept {
    if (sample.count == 0) return 0;
    std::int64_t residuals[kSampleCountMax];
    for (std::size_t i = 0; i < sample.count; ++i) residuals[i] = static_cast<std::int64_t>(residual(sample.at[i]));
    std::int64_t some[kSampleCountMax / kOfMiddle];
    const std::size_t some_count = (sample.count + kOfMiddle - 1) / kOfMiddle;
    for (std::size_t i = 0; i < some_count; ++i) some[i] = residuals[i * kOfMiddle];
    std::nth_element(some, some + some_count / 2, some + some_count);
    const auto middle = static_cast<std::uint64_t>(some[some_count / 2]);
    std::size_t bits = 0;
    for (std::size_t i = 0; i < sample.count; ++i) {
        const auto distance = static_cast<std::int64_t>(static_cast<std::uint64_t>(residuals[i]) - middle);
        bits += static_cast<std::size_t>(std::bit_width(zigzag(distance)));
    }
    return static_cast<std::uint32_t>(bits * kBitUnits / sample.count);
}

/// The best of the candidates so far.
class Best {
public:
    Best(const Sample &sample, const Predictor &first, std::uint32_t bits) noexcept
        : chosen_{first, bits}, doubt_(sample.count < kFewValues ? kBitUnits / 2 : 0) {}

    /// Takes a candidate when it is clearly better.
    void consider(const Predictor &candidate, std::uint32_t bits) noexcept {
        const bool is_slow = candidate.prediction == Prediction::slope || candidate.prediction == Prediction::drift;
        const std::uint32_t gain_min = doubt_ + (is_slow ? kBitsGainMinOfSlow : kBitsGainMin);
        if (bits + gain_min < chosen_.bits) chosen_ = {candidate, bits};
    }
    const ChosenPrediction &chosen() const noexcept { return chosen_; }

private:
    ChosenPrediction chosen_;
    std::uint32_t doubt_;
};

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
    const std::uint32_t level = bits_of(sample, [&](std::size_t i) { return normal[i] - normal[i - 1]; });
    const std::uint32_t slope = bits_of(sample, [&](std::size_t i) { return normal[i] - 2 * normal[i - 1] + normal[i - 2]; });

    Best best{sample, {Prediction::none}, bits_of(sample, [&](std::size_t i) { return normal[i]; })};
    best.consider({Prediction::level}, level);
    best.consider({Prediction::slope, normal[1]}, slope);
    // Differences of noise are rougher the more often they are taken.
    if (slope > level && best.chosen().bits > kNoiseBitsMin) {
        Predictor line;
        if (make_predictor(Prediction::line, normal, count, &line)) {
            const auto beside_line = [&](std::size_t i) { return normal[i] - on_line(line.step, i); };
            best.consider(line, bits_of(sample, beside_line));
        }
        make_residuals({Prediction::drift}, normal, count, scratch);
        best.consider({Prediction::drift}, bits_of(sample, [&](std::size_t i) { return scratch[i - 1]; }));
    }
    return best.chosen();
}

bool make_predictor(Prediction prediction, const std::uint64_t *normal, std::size_t count, Predictor *predictor) noexcept {
    *predictor = {prediction};
    if (prediction == Prediction::slope) predictor->step = normal[1];
    return prediction != Prediction::line || fit_line(normal, count, &predictor->step);
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
