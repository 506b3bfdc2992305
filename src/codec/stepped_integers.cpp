#include "codec/stepped_integers.h"

#include <algorithm>
#include <bit>
#include <numeric>

#include "codec/codec_id.h"
#include "codec/sampling.h"

namespace historian::codec {
namespace {

constexpr std::size_t kSampleCount = 128;
constexpr std::size_t kValuesMin = 32;
constexpr std::size_t kDistinctMin = 4;  // of a sample: fewer fit too many steps
constexpr std::uint64_t kStepMin = 3;    // nearly any numbers are multiples of less, rounded

// Values this far apart leave 16 bits for the fraction of a step.
constexpr unsigned kRangeBitsMax = 43;

// All values may lie so many times (2^) as far apart as those of the sample.
constexpr unsigned kBitsBeyondSample = 2;

// The smallest difference in a sample may be so many steps.
constexpr std::uint64_t kStepsOfGapMax = 6;

// Of a shorter step any number is likely to be a multiple of a part, rounded.
constexpr std::uint64_t kSplitStepMin = 256;

// Halvings of the interval in which the step lies.
constexpr int kRefinementsMax = 64;

// Of a distance and its fraction together; two are left for sums.
constexpr unsigned kFractionBits = 61;

unsigned bits_of(std::uint64_t range) noexcept { return static_cast<unsigned>(std::bit_width(range)); }

/// The steps that are possible, in units of 2^-fraction_bits; both ends inclusive.
struct Interval {
    std::uint64_t low = 0;
    std::uint64_t high = 0;

    std::uint64_t middle() const noexcept { return low + (high - low) / 2; }
};

/// How many steps a distance is: rounded, so the distance times 2^fraction_bits must leave two bits.
std::uint64_t steps_in(std::uint64_t distance, std::uint64_t step, unsigned fraction_bits) noexcept {
    return ((distance << fraction_bits) + step / 2) / step;
}

/// What two rounded multiples of the step that lie `distance` apart tell of it.
enum class Narrowed : std::uint8_t { yes, unclear, impossible };

/// Leaves of the interval what a distance allows; unclear, and all of it, when the distance may be one number of steps or
/// another.
Narrowed narrow(Interval &interval, std::uint64_t distance, unsigned fraction_bits) noexcept {
    const std::uint64_t count = steps_in(distance, interval.middle(), fraction_bits);
    if (count == 0) return Narrowed::impossible;
    // Rounding moves each end by less than one.
    const std::uint64_t one = std::uint64_t{1} << fraction_bits;
    const std::uint64_t scaled = distance << fraction_bits;
    const auto may_be = [&](std::uint64_t other) {
        return scaled + one >= other * interval.low && scaled - one <= other * interval.high;
    };
    if (may_be(count - 1) || may_be(count + 1)) return Narrowed::unclear;
    interval.low = std::max(interval.low, (scaled - one) / count);
    interval.high = std::min(interval.high, (scaled + one) / count + 1);
    return interval.low <= interval.high ? Narrowed::yes : Narrowed::impossible;
}

/// Some of the values, sorted and distinct, as distances from the smallest of them.
struct Sample {
    std::uint64_t distances[kSampleCount];
    std::uint64_t gaps[kSampleCount];  // differences of neighbours; count - 1 of them, sorted by sort_gaps()
    std::size_t count = 0;
    std::uint64_t gap = UINT64_MAX;  // the smallest of them

    explicit Sample(std::span<const std::int64_t> values) noexcept {
        std::int64_t some[kSampleCount];
        count = std::min(values.size(), kSampleCount);
        for (std::size_t i = 0; i < count; ++i) some[i] = values[sample_position(i, count, values.size())];
        std::sort(some, some + count);
        count = static_cast<std::size_t>(std::unique(some, some + count) - some);
        for (std::size_t i = 0; i < count; ++i) {
            distances[i] = static_cast<std::uint64_t>(some[i]) - static_cast<std::uint64_t>(some[0]);
            if (i > 0) gap = std::min(gap, gaps[i - 1] = distances[i] - distances[i - 1]);
        }
    }

    void sort_gaps() noexcept { std::sort(gaps, gaps + (count - 1)); }
    std::uint64_t range() const noexcept { return distances[count - 1]; }

    /// Whether all are multiples of a whole number, which packed integers know.
    bool has_divisor() const noexcept {
        std::uint64_t divisor = gap;
        for (std::size_t i = 0; i + 1 < count && divisor > 1; ++i) divisor = std::gcd(divisor, gaps[i]);
        return divisor > 1;
    }
};

/// Whether some of the first values are nearer to the next one than steps can be: most values without a step are.
bool are_dense(std::span<const std::int64_t> values) noexcept {
    const std::size_t count = std::min(values.size(), kSampleCount);
    bool dense = false;
    for (std::size_t i = 1; i < count; ++i) {
        const std::uint64_t above = static_cast<std::uint64_t>(values[i]) - static_cast<std::uint64_t>(values[i - 1]);
        dense |= above != 0 && above + (kStepMin - 1) < 2 * kStepMin - 1;
    }
    return dense;
}

/// The interval in which the step lies when the smallest difference of the sample is so many steps, cut into parts: so that no
/// short distance may be one number of steps or another.
struct StepGuess {
    std::uint64_t steps_of_gap = 1;
    std::uint64_t part = 0;
    std::uint64_t part_count = 1;

    StepGuess(const Sample &sample, std::uint64_t steps) noexcept : steps_of_gap(steps) {
        const std::uint64_t step = sample.gap / steps;
        part_count = step < 8 ? 32 : step < 32 ? 4 : 1;
    }

    Interval interval(const Sample &sample, unsigned fraction_bits) const noexcept {
        const std::uint64_t one = std::uint64_t{1} << fraction_bits;
        const std::uint64_t scaled = sample.gap << fraction_bits;
        const std::uint64_t low = (scaled - one) / steps_of_gap;
        const std::uint64_t width = ((scaled + one) / steps_of_gap - low) / part_count + 1;
        return {std::max(low + part * width, kStepMin << fraction_bits), low + (part + 1) * width};
    }
};

/// Narrows the interval by the sample; false when nothing is left of it, or too much.
bool narrow_by_sample(const Sample &sample, unsigned fraction_bits, Interval *interval) noexcept {
    if (interval->low > interval->high) return false;
    // By short distances first: they leave no doubt how many steps they are, and narrow the interval for longer ones.
    for (std::size_t reach = 1; reach < sample.count; reach *= 2) {
        std::uint64_t further[kSampleCount];
        const std::size_t count = sample.count - reach;
        for (std::size_t i = 0; reach > 1 && i < count; ++i) further[i] = sample.distances[i + reach] - sample.distances[i];
        if (reach > 1) std::sort(further, further + count);
        const std::uint64_t *distances = reach == 1 ? sample.gaps : further;
        for (std::size_t i = 0; i < count; ++i) {
            if (narrow(*interval, distances[i], fraction_bits) == Narrowed::impossible) return false;
        }
    }
    return narrow(*interval, sample.range(), fraction_bits) == Narrowed::yes;
}

/// The least and the greatest of distance - count * step, in units of 2^-fraction_bits, and the counts there.
struct Remainders {
    std::int64_t least = INT64_MAX;
    std::int64_t greatest = INT64_MIN;
    std::int64_t count_of_least = 0;
    std::int64_t count_of_greatest = 0;

    std::uint64_t spread() const noexcept { return static_cast<std::uint64_t>(greatest) - static_cast<std::uint64_t>(least); }
};

Remainders remainders_of(std::span<const std::int64_t> values, std::int64_t least, const std::int64_t *counts, std::uint64_t step,
                         unsigned fraction_bits) noexcept {
    Remainders remainders;
    for (std::size_t i = 0; i < values.size(); ++i) {
        const std::uint64_t distance = static_cast<std::uint64_t>(values[i]) - static_cast<std::uint64_t>(least);
        const auto remainder =
            static_cast<std::int64_t>((distance << fraction_bits) - static_cast<std::uint64_t>(counts[i]) * step);
        if (remainder < remainders.least) {
            remainders.least = remainder;
            remainders.count_of_least = counts[i];
        }
        if (remainder > remainders.greatest) {
            remainders.greatest = remainder;
            remainders.count_of_greatest = counts[i];
        }
    }
    return remainders;
}

std::uint64_t distance_of(std::int64_t value, const Steps &steps) noexcept {
    return static_cast<std::uint64_t>(value) - static_cast<std::uint64_t>(steps.origin);
}

bool narrow_by_all(std::span<const std::int64_t> values, const Steps &steps, Interval *interval) noexcept {
    return std::all_of(values.begin(), values.end(), [&](std::int64_t value) {
        const std::uint64_t distance = distance_of(value, steps);
        return distance == 0 || narrow(*interval, distance, steps.fraction_bits) == Narrowed::yes;
    });
}

const std::int64_t *count_steps(std::span<const std::int64_t> values, const Steps &steps, std::uint64_t step,
                                std::int64_t *counts) noexcept {
    for (std::size_t i = 0; i < values.size(); ++i)
        counts[i] = static_cast<std::int64_t>(steps_in(distance_of(values[i], steps), step, steps.fraction_bits));
    return counts;
}

/// The step within the interval for which all values are rounded multiples with one phase.
bool settle_step(std::span<const std::int64_t> values, const std::int64_t *counts, Interval interval, Steps *steps) noexcept {
    const std::uint64_t one = std::uint64_t{1} << steps->fraction_bits;
    for (int i = 0; i < kRefinementsMax && interval.low <= interval.high; ++i) {
        steps->step = interval.middle();
        const Remainders remainders = remainders_of(values, steps->origin, counts, steps->step, steps->fraction_bits);
        if (remainders.spread() == 0) return false;  // a whole step is a divisor, which packed integers know
        if (remainders.spread() < one) {
            steps->phase = remainders.greatest;
            return true;
        }
        // With a longer step the remainder of the greater count shrinks faster.
        if (remainders.count_of_greatest == remainders.count_of_least) return false;
        if (remainders.count_of_greatest > remainders.count_of_least)
            interval.low = steps->step + 1;
        else
            interval.high = steps->step - 1;
    }
    return false;
}

/// A sample that may be of steps; sorts its gaps.
bool may_have_step(Sample &sample) noexcept {
    if (sample.count < kDistinctMin || sample.gap < kStepMin || bits_of(sample.range()) > kRangeBitsMax || sample.has_divisor())
        return false;
    sample.sort_gaps();
    return true;
}

/// The steps of all values, by a sample of them, and the interval in which the step may lie.
///
/// steps   fraction_bits leaves room for the distances of values that lie range_bits apart
bool find_interval(std::span<const std::int64_t> values, const Sample &sample, unsigned range_bits, EncodeSpace &space,
                   Steps *steps, Interval *interval) noexcept {
    steps->fraction_bits = kFractionBits - range_bits;
    bool knows_range = false;
    for (std::uint64_t of_gap = 1; of_gap <= kStepsOfGapMax && sample.gap >= kStepMin * of_gap; ++of_gap) {
        for (StepGuess guess{sample, of_gap}; guess.part < guess.part_count; ++guess.part) {
            *interval = guess.interval(sample, steps->fraction_bits);
            if (!narrow_by_sample(sample, steps->fraction_bits, interval)) continue;
            if (!knows_range) {
                const auto [least, greatest] = std::minmax_element(values.begin(), values.end());
                steps->origin = *least;
                if (bits_of(distance_of(*greatest, *steps)) > range_bits) return false;
                knows_range = true;
            }
            if (narrow_by_all(values, *steps, interval) &&
                settle_step(values, count_steps(values, *steps, interval->middle(), space.counts), *interval, steps))
                return true;
        }
    }
    return false;
}

/// Leaves of the interval what a distance allows, or of a part of the step: all values before may have been multiples of two
/// steps or more. False when the distance is no multiple of either.
bool narrow_or_split(Interval &interval, std::uint64_t distance, unsigned fraction_bits) noexcept {
    Interval whole = interval;
    if (narrow(whole, distance, fraction_bits) != Narrowed::impossible) {
        interval = whole;
        return true;
    }
    for (std::uint64_t parts = 2; parts <= kStepsOfGapMax; ++parts) {
        Interval part{interval.low / parts, interval.high / parts + 1};
        if (part.low < kSplitStepMin << fraction_bits) break;
        if (narrow(part, distance, fraction_bits) != Narrowed::yes) continue;
        interval = part;
        return true;
    }
    return false;
}

}  // namespace

bool find_steps(std::span<const std::int64_t> values, EncodeSpace &space, Steps *steps) noexcept {
    if (values.size() < kValuesMin || are_dense(values)) return false;
    Sample sample{values};
    Interval interval;
    return may_have_step(sample) &&
           find_interval(values, sample, bits_of(sample.range()) + kBitsBeyondSample, space, steps, &interval);
}

std::size_t count_stepped(std::span<const std::int64_t> values, bool is_first, std::size_t probe_count,
                          EncodeSpace &space) noexcept {
    const std::span<const std::int64_t> probe = is_first ? values.first(probe_count) : values.last(probe_count);
    if (are_dense(probe)) return 0;
    Sample sample{probe};
    if (!may_have_step(sample)) return 0;
    const auto [least, greatest] = std::minmax_element(values.begin(), values.end());
    const unsigned range_bits = bits_of(static_cast<std::uint64_t>(*greatest) - static_cast<std::uint64_t>(*least));
    Steps steps;
    Interval interval;
    if (range_bits > kRangeBitsMax || !find_interval(probe, sample, range_bits, space, &steps, &interval)) return 0;
    std::size_t count = probe_count;
    for (; count < values.size(); ++count) {
        const std::int64_t value = is_first ? values[count] : values[values.size() - 1 - count];
        const auto above = static_cast<std::int64_t>(distance_of(value, steps));
        const auto distance = static_cast<std::uint64_t>(above < 0 ? -above : above);
        if (distance != 0 && !narrow_or_split(interval, distance, steps.fraction_bits)) break;
    }
    return count;
}

void write_steps(const Steps &steps, ByteWriter &out) noexcept {
    out.u8(static_cast<std::uint8_t>(CodecId::stepped_integers));
    out.u8(static_cast<std::uint8_t>(steps.fraction_bits));
    out.varint(steps.step);
    out.signed_varint(steps.phase);
    out.signed_varint(steps.origin);
}

Status read_steps(ByteReader &in, Steps *steps) noexcept {
    steps->fraction_bits = in.u8();
    steps->step = in.varint();
    steps->phase = in.signed_varint();
    steps->origin = in.signed_varint();
    if (in.failed()) return in.status();
    if (steps->fraction_bits == 0 || steps->fraction_bits > kFractionBits)
        return {StatusCode::corrupt, "stepped integers have an impossible number of fraction bits"};
    return Status::success();
}

void undo_steps(const Steps &steps, std::span<std::int64_t> values) noexcept {
    const auto origin = static_cast<std::uint64_t>(steps.origin);
    const auto phase = static_cast<std::uint64_t>(steps.phase);
    for (std::int64_t &value : values) {
        const auto scaled = static_cast<std::int64_t>(static_cast<std::uint64_t>(value) * steps.step + phase);
        value = static_cast<std::int64_t>(static_cast<std::uint64_t>(scaled >> steps.fraction_bits) + origin);
    }
}

}  // namespace historian::codec
