#include "codec/decimals.h"

#include <array>

#if defined(__x86_64__) && defined(__GNUC__)
#define HISTORIAN_MAY_HAVE_FMA 1
#define HISTORIAN_WITH_FMA __attribute__((target("avx2,fma")))
#elif defined(__FMA__) || defined(__aarch64__)
#define HISTORIAN_ALWAYS_HAS_FMA 1
#define HISTORIAN_WITH_FMA
#endif

namespace historian::codec {
namespace {

template <FloatSize Size>
void unscale_integers(std::span<std::int64_t> values) noexcept {
    for (std::int64_t &value : values) value = float_bits<Size>(integer_to_double(value));
}

#ifdef HISTORIAN_WITH_FMA

constexpr std::array<double, kExponentMax + 1> kInverses = [] {
    std::array<double, kExponentMax + 1> inverses{};
    for (unsigned exponent = 0; exponent <= kExponentMax; ++exponent) inverses[exponent] = 1 / kPowersOfTen[exponent];
    return inverses;
}();

template <FloatSize Size>
HISTORIAN_WITH_FMA void unscale_with_fma(std::span<std::int64_t> values, unsigned exponent) noexcept {
    const double power = kPowersOfTen[exponent];
    const double inverse = kInverses[exponent];
    for (std::int64_t &value : values) {
        const auto shifted = static_cast<std::uint64_t>(value) + std::bit_cast<std::uint64_t>(kIntegerShift);
        const double number = std::bit_cast<double>(shifted) - kIntegerShift;
        const double quotient = number * inverse;
        const double remainder = __builtin_fma(-quotient, power, number);
        const double rounded = __builtin_fma(remainder, inverse, quotient);
        if constexpr (Size == FloatSize::four) {
            value = std::bit_cast<std::int32_t>(static_cast<float>(rounded));
        } else {
            value = std::bit_cast<std::int64_t>(rounded);
        }
    }
}

#endif

template <FloatSize Size>
void unscale_by_division(std::span<std::int64_t> values, unsigned exponent) noexcept {
    const double power = kPowersOfTen[exponent];
    for (std::int64_t &value : values) value = from_scaled<Size>(value, power);
}

}  // namespace

template <FloatSize Size>
void unscale_all(std::span<std::int64_t> values, unsigned exponent) noexcept {
    if (exponent == 0) return unscale_integers<Size>(values);
#ifdef HISTORIAN_ALWAYS_HAS_FMA
    return unscale_with_fma<Size>(values, exponent);
#elif defined(HISTORIAN_MAY_HAVE_FMA)
    static const bool has_fma = __builtin_cpu_supports("fma") && __builtin_cpu_supports("avx2");
    if (has_fma) return unscale_with_fma<Size>(values, exponent);
#endif
    unscale_by_division<Size>(values, exponent);
}

template void unscale_all<FloatSize::four>(std::span<std::int64_t>, unsigned) noexcept;
template void unscale_all<FloatSize::eight>(std::span<std::int64_t>, unsigned) noexcept;

}  // namespace historian::codec
