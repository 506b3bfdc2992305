// What ALP's encoder chooses by looking at a few values: the exponents of decimals, or where to cut real doubles. Bytes: alp.h.
//
// source   Afroozeh, Kuffo, Boncz, "ALP: Adaptive Lossless floating-Point Compression", SIGMOD 2024, sections 3.1, 3.2 and 3.4
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace historian::references {

/// A pair (e, f) of the paper.
struct Exponents {
    std::uint8_t exponent = 0;
    std::uint8_t factor = 0;
    friend bool operator==(const Exponents &, const Exponents &) = default;
};

// 10^22 is the last power of ten that a double is; the paper tries 253 pairs, so e is at most 21.
inline constexpr unsigned kExponentMax = 21;
inline constexpr double kPowers[kExponentMax + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10,
                                                     1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21};
inline constexpr double kInverses[kExponentMax + 1] = {1e-0,  1e-1,  1e-2,  1e-3,  1e-4,  1e-5,  1e-6,  1e-7,
                                                       1e-8,  1e-9,  1e-10, 1e-11, 1e-12, 1e-13, 1e-14, 1e-15,
                                                       1e-16, 1e-17, 1e-18, 1e-19, 1e-20, 1e-21};

// Of a sum with 2^51 + 2^52 the low 51 bits of the mantissa are the rounded number (section 3.1, fast rounding). Numbers of more
// bits and NaN give any other, which the decoder's product then differs from. Both ways are loops without a conversion, which
// every CPU has vector instructions for.
inline constexpr double kRounding = 0x1.8p52;
inline constexpr auto kRoundingBits = std::bit_cast<std::uint64_t>(kRounding);

inline std::uint64_t to_number(double value, Exponents pair) noexcept {
    return std::bit_cast<std::uint64_t>(value * kPowers[pair.exponent] * kInverses[pair.factor] + kRounding) - kRoundingBits;
}
inline double to_double(std::uint64_t number, Exponents pair) noexcept {
    return (std::bit_cast<double>(number + kRoundingBits) - kRounding) * kPowers[pair.factor] * kInverses[pair.exponent];
}
inline bool is_exact(double value, std::uint64_t number, Exponents pair) noexcept {
    return std::bit_cast<std::uint64_t>(to_double(number, pair)) == std::bit_cast<std::uint64_t>(value);
}

/// How real doubles are cut.
struct Cut {
    unsigned right_width = 48;
    unsigned code_width = 0;
    std::vector<std::uint16_t> dictionary;  // 2^code_width
};

/// What a row group's first level of samples tells.
struct RowGroupChoice {
    bool are_decimals = true;
    std::vector<Exponents> candidates;  // of decimals; at most five, the commonest first
    Cut cut;                            // of others
};
RowGroupChoice choose_of_row_group(std::span<const std::int64_t> values);

/// The second level: one of the candidates for a vector.
Exponents choose_of_vector(std::span<const double> values, std::span<const Exponents> candidates) noexcept;

}  // namespace historian::references
