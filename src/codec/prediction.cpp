#include "codec/prediction.h"

#include <algorithm>

namespace historian::codec {
namespace {

constexpr std::size_t kSampleCountMax = 64;

// Below this spread a following mean cannot save a whole bit, and decodes slower than a delta.
constexpr std::uint64_t kDriftSpreadMin = 64;

std::uint64_t quarter(std::uint64_t difference) noexcept {
    return static_cast<std::uint64_t>(static_cast<std::int64_t>(difference) >> 2);
}

struct Sample {
    std::size_t count = 0;
    std::uint32_t at[kSampleCountMax] = {};
};

/// Positions from 2 on, evenly spread; all of them when there are few.
Sample choose_sample(std::size_t count) noexcept {
    Sample sample;
    const std::size_t usable = count - 2;
    sample.count = std::min(usable, kSampleCountMax);
    for (std::size_t i = 0; i < sample.count; ++i) sample.at[i] = static_cast<std::uint32_t>(2 + i * usable / sample.count);
    return sample;
}

template <typename Residual>
Spread spread_of(const Sample &sample, Residual residual) noexcept {
    if (sample.count == 0) return {};
    std::int64_t residuals[kSampleCountMax];
    for (std::size_t i = 0; i < sample.count; ++i) residuals[i] = static_cast<std::int64_t>(residual(sample.at[i]));
    const std::size_t cut = sample.count / 20;
    auto *end = residuals + sample.count;
    std::nth_element(residuals, residuals + cut, end);
    const std::int64_t low = residuals[cut];
    std::nth_element(residuals, end - 1 - cut, end);
    const std::int64_t high = *(end - 1 - cut);
    return {low, static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low)};
}

/// Clearly smaller: one eighth, so that noise in the sample does not decide for the slower decoder.
bool clearly_smaller(const Spread &a, const Spread &b) noexcept { return a.size < b.size - b.size / 8; }

}  // namespace

Prediction choose_prediction(const std::uint64_t *normal, std::size_t count, std::uint64_t *scratch, Spread *spread) noexcept {
    const Sample sample = choose_sample(count);
    const Spread none = spread_of(sample, [&](std::size_t i) { return normal[i]; });
    const Spread level = spread_of(sample, [&](std::size_t i) { return normal[i] - normal[i - 1]; });
    const Spread slope = spread_of(sample, [&](std::size_t i) { return normal[i] - 2 * normal[i - 1] + normal[i - 2]; });

    Prediction best = Prediction::none;
    *spread = none;
    if (clearly_smaller(level, *spread)) {
        best = Prediction::level;
        *spread = level;
    }
    if (clearly_smaller(slope, *spread)) {
        best = Prediction::slope;
        *spread = slope;
    }
    // Differences of noise are rougher the more often they are taken.
    if (slope.size > level.size && spread->size > kDriftSpreadMin) {
        make_residuals(Prediction::drift, normal, count, scratch);
        const Spread drift = spread_of(sample, [&](std::size_t i) { return scratch[i - 1]; });
        if (clearly_smaller(drift, *spread)) {
            best = Prediction::drift;
            *spread = drift;
        }
    }
    return best;
}

void make_residuals(Prediction prediction, const std::uint64_t *normal, std::size_t count, std::uint64_t *residuals) noexcept {
    switch (prediction) {
        case Prediction::none:
            std::copy(normal, normal + count, residuals);
            return;
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
    }
}

void undo_prediction(const PredictionStart &start, std::uint64_t *values, std::size_t count) noexcept {
    std::uint64_t value = 0;
    if (start.prediction != Prediction::none) values[0] = 0;
    switch (start.prediction) {
        case Prediction::none:
            for (std::size_t i = 0; i < count; ++i) values[i] += start.base;
            return;
        case Prediction::level:
            for (std::size_t i = 1; i < count; ++i) values[i] = value += values[i] + start.base;
            return;
        case Prediction::slope: {
            std::uint64_t step = start.step;
            values[1] = value = step;
            for (std::size_t i = 2; i < count; ++i) {
                step += values[i] + start.base;
                values[i] = value += step;
            }
            return;
        }
        case Prediction::drift: {
            std::uint64_t mean = 0;
            for (std::size_t i = 1; i < count; ++i) {
                const std::uint64_t difference = values[i] + start.base;
                values[i] = mean + difference;
                mean += quarter(difference);
            }
            return;
        }
    }
}

}  // namespace historian::codec
