#include "reference_codecs/alp_sampling.h"

#include <algorithm>
#include <limits>

#include "reference_codecs/alp.h"

namespace historian::references {
namespace {

// The paper's parameters, section 3.2.
constexpr std::size_t kSampledVectors = 8;
constexpr std::size_t kSampledValues = 32;
constexpr std::size_t kCandidatesMax = 5;
constexpr unsigned kWorseInARow = 2;

// Decimals of as many bits a value are taken for real doubles, section 3.4.
constexpr std::size_t kRealDoubleBits = 48;
constexpr unsigned kLeftWidthMax = 16;
constexpr unsigned kCodeWidthMax = 3;

constexpr std::size_t kExceptionBits = 64 + 16;
constexpr std::size_t kLeftExceptionBits = 16 + 16;

std::vector<double> sample_of(std::span<const double> values) {
    const std::size_t step = (values.size() + kSampledValues - 1) / kSampledValues;
    std::vector<double> sample;
    for (std::size_t i = 0; i < values.size(); i += step) sample.push_back(values[i]);
    return sample;
}

/// Bits that the sample takes as decimals; bits_max as soon as it is clear that they are not fewer.
std::size_t decimal_bits(std::span<const double> sample, Exponents pair, std::size_t bits_max) noexcept {
    auto least = std::numeric_limits<std::int64_t>::max();
    auto greatest = std::numeric_limits<std::int64_t>::min();
    std::size_t exception_bits = 0;
    for (const double value : sample) {
        const std::uint64_t number = to_number(value, pair);
        if (is_exact(value, number, pair)) {
            least = std::min(least, static_cast<std::int64_t>(number));
            greatest = std::max(greatest, static_cast<std::int64_t>(number));
        } else {
            exception_bits += kExceptionBits;
            if (exception_bits >= bits_max) return bits_max;
        }
    }
    const auto range = greatest < least ? 0 : static_cast<std::uint64_t>(greatest) - static_cast<std::uint64_t>(least);
    return std::min(bits_max, sample.size() * static_cast<std::size_t>(std::bit_width(range)) + exception_bits);
}

/// The best of all pairs for a sample; of equal ones that of the highest exponent, then of the highest factor.
Exponents best_of_all(std::span<const double> sample, std::size_t *bits) noexcept {
    Exponents best;
    *bits = std::numeric_limits<std::size_t>::max();
    for (unsigned exponent = kExponentMax + 1; exponent-- > 0;) {
        for (unsigned factor = exponent + 1; factor-- > 0;) {
            const Exponents pair{static_cast<std::uint8_t>(exponent), static_cast<std::uint8_t>(factor)};
            const std::size_t pair_bits = decimal_bits(sample, pair, *bits);
            if (pair_bits >= *bits) continue;
            *bits = pair_bits;
            best = pair;
        }
    }
    return best;
}

struct Frequency {
    std::uint16_t left;
    std::size_t count;
};

/// The different left bits of a sample, the commonest first.
std::vector<Frequency> frequencies_of(std::span<const double> sample, unsigned right_width) {
    std::vector<std::uint16_t> lefts;
    for (const double value : sample)
        lefts.push_back(static_cast<std::uint16_t>(std::bit_cast<std::uint64_t>(value) >> right_width));
    std::sort(lefts.begin(), lefts.end());
    std::vector<Frequency> frequencies;
    for (const std::uint16_t left : lefts) {
        if (frequencies.empty() || frequencies.back().left != left) frequencies.push_back({left, 0});
        ++frequencies.back().count;
    }
    std::stable_sort(frequencies.begin(), frequencies.end(),
                     [](const Frequency &a, const Frequency &b) { return a.count > b.count; });
    return frequencies;
}

Cut choose_cut(std::span<const double> sample) {
    Cut best;
    std::size_t best_bits = std::numeric_limits<std::size_t>::max();
    for (unsigned left_width = 1; left_width <= kLeftWidthMax; ++left_width) {
        const unsigned right_width = 64 - left_width;
        const std::vector<Frequency> frequencies = frequencies_of(sample, right_width);
        for (unsigned code_width = 0; code_width <= kCodeWidthMax; ++code_width) {
            const std::size_t size = std::size_t{1} << code_width;
            std::size_t exceptions = 0;
            for (std::size_t i = size; i < frequencies.size(); ++i) exceptions += frequencies[i].count;
            const std::size_t bits = sample.size() * (right_width + code_width) + exceptions * kLeftExceptionBits;
            if (bits >= best_bits) continue;
            best_bits = bits;
            best = {right_width, code_width, std::vector<std::uint16_t>(size)};
            for (std::size_t i = 0; i < std::min(size, frequencies.size()); ++i) best.dictionary[i] = frequencies[i].left;
        }
    }
    return best;
}

}  // namespace

RowGroupChoice choose_of_row_group(std::span<const std::int64_t> values) {
    struct Vote {
        Exponents pair;
        unsigned count;
    };
    std::vector<Vote> votes;
    std::vector<double> all_samples;
    std::size_t best_bits_a_value = std::numeric_limits<std::size_t>::max();
    const std::size_t vectors = (values.size() + kAlpVector - 1) / kAlpVector;
    const std::size_t step = (vectors + kSampledVectors - 1) / kSampledVectors * kAlpVector;
    for (std::size_t at = 0; at < values.size(); at += step) {
        std::vector<double> vector;
        for (const std::int64_t bits : values.subspan(at, std::min(kAlpVector, values.size() - at)))
            vector.push_back(std::bit_cast<double>(bits));
        const std::vector<double> sample = sample_of(vector);
        all_samples.insert(all_samples.end(), sample.begin(), sample.end());
        std::size_t bits = 0;
        const Exponents best = best_of_all(sample, &bits);
        best_bits_a_value = std::min(best_bits_a_value, bits / sample.size());
        const auto vote = std::find_if(votes.begin(), votes.end(), [&](const Vote &other) { return other.pair == best; });
        if (vote == votes.end()) {
            votes.push_back({best, 1});
        } else {
            ++vote->count;
        }
    }
    RowGroupChoice choice;
    choice.are_decimals = best_bits_a_value < kRealDoubleBits;
    if (!choice.are_decimals) {
        choice.cut = choose_cut(all_samples);
        return choice;
    }
    std::stable_sort(votes.begin(), votes.end(), [](const Vote &a, const Vote &b) { return a.count > b.count; });
    for (const Vote &vote : votes) {
        if (choice.candidates.size() < kCandidatesMax) choice.candidates.push_back(vote.pair);
    }
    return choice;
}

Exponents choose_of_vector(std::span<const double> values, std::span<const Exponents> candidates) noexcept {
    if (candidates.size() == 1) return candidates[0];
    const std::vector<double> sample = sample_of(values);
    Exponents best = candidates[0];
    std::size_t best_bits = decimal_bits(sample, best, std::numeric_limits<std::size_t>::max());
    unsigned worse = 0;
    for (const Exponents candidate : candidates.subspan(1)) {
        const std::size_t bits = decimal_bits(sample, candidate, best_bits);
        worse = bits < best_bits ? 0 : worse + 1;
        if (worse == kWorseInARow) break;
        if (worse != 0) continue;
        best = candidate;
        best_bits = bits;
    }
    return best;
}

}  // namespace historian::references
