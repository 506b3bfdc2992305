// Decimals: floats as integers divided by a power of ten; what a decoder makes of them, one by one or a chunk at once.
//
// The quotients are IEEE 754's, correctly rounded, on every CPU. Where there is a fused multiply-add they are had without a
// division, which takes several times as long: with y the double nearest to 1 / b, q = a * y, and r = a - b * q, the quotient is
// q + r * y. It is a / b correctly rounded: q is within 1.5 units in the last place (ulp) of a / b, y within 2^-53 of itself of 1
// / b, so before the last rounding the sum is within 2^-51 ulp of a / b. And a / b, with |a| < 2^51 and b = 5^e 2^e, 5^e < 2^35,
// is either a double or further than 2^-36 ulp from every number in the middle between two.
//
// source   Markstein, "Computation of elementary functions on the IBM RISC System/6000 processor", IBM Journal of Research and
//          Development 34(1), 1990
#pragma once

#include <bit>
#include <cstdint>
#include <span>

namespace historian::codec {

enum class FloatSize : std::uint8_t { four = 4, eight = 8 };

inline constexpr unsigned kExponentMax = 15;
inline constexpr double kPowersOfTen[kExponentMax + 1] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                          1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};

// Integers below 2^51 become doubles without a conversion instruction (which SSE2 and NEON lack for vectors of 64-bit integers):
// added to the bits of 2^52 + 2^51 they are that double plus the integer.
inline constexpr std::int64_t kScaledLimit = std::int64_t{1} << 51;
inline constexpr double kIntegerShift = 6755399441055744.0;  // 2^52 + 2^51
static_assert(std::bit_cast<std::uint64_t>(kIntegerShift) == 0x4338000000000000u);

/// An integer of less than kScaledLimit as a double; any other gives some double.
inline double integer_to_double(std::int64_t integer) noexcept {
    const auto shifted = static_cast<std::uint64_t>(integer) + std::bit_cast<std::uint64_t>(kIntegerShift);
    return std::bit_cast<double>(shifted) - kIntegerShift;
}

/// The bits of a quotient as a float of that size.
template <FloatSize Size>
std::int64_t float_bits(double quotient) noexcept {
    if constexpr (Size == FloatSize::four) return std::bit_cast<std::int32_t>(static_cast<float>(quotient));
    return std::bit_cast<std::int64_t>(quotient);
}

/// The bits of the float that an integer of less than kScaledLimit is when divided by a power of ten.
template <FloatSize Size>
std::int64_t from_scaled(std::int64_t scaled, double power) noexcept {
    return float_bits<Size>(integer_to_double(scaled) / power);
}

/// from_scaled() of each, in place; of integers of kScaledLimit and more, which no encoder writes, some floats.
///
/// exponent   of the power of ten, at most kExponentMax
template <FloatSize Size>
void unscale_all(std::span<std::int64_t> values, unsigned exponent) noexcept;

}  // namespace historian::codec
