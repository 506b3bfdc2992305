#include "codec/number_sort.h"

#include <algorithm>
#include <cassert>
#include <cstring>

namespace historian::codec {
namespace {

constexpr unsigned kDigitBitsMax = 11;  // 2,048 counters of four bytes leave the first-level cache room for what they count
constexpr unsigned kPassesMax = (32 + kDigitBitsMax - 1) / kDigitBitsMax;

/// Below this, setting up the counters takes longer than comparing.
constexpr std::size_t kCountMin = 256;

}  // namespace

void sort_numbers(std::uint32_t *values, std::uint32_t *scratch, std::size_t count, unsigned bits) noexcept {
    assert(bits >= 1 && bits <= 32);
    if (count < kCountMin) return std::sort(values, values + count);
    const unsigned passes = (bits + kDigitBitsMax - 1) / kDigitBitsMax;
    const unsigned digit_bits = (bits + passes - 1) / passes;
    const std::uint32_t mask = (1u << digit_bits) - 1;
    std::uint32_t places[kPassesMax][1u << kDigitBitsMax];
    for (unsigned pass = 0; pass < passes; ++pass) std::memset(places[pass], 0, sizeof(std::uint32_t) << digit_bits);
    for (std::size_t i = 0; i < count; ++i) {
        for (unsigned pass = 0; pass < passes; ++pass) ++places[pass][values[i] >> pass * digit_bits & mask];
    }
    std::uint32_t *from = values;
    std::uint32_t *to = scratch;
    for (unsigned pass = 0; pass < passes; ++pass) {
        std::uint32_t place = 0;
        for (std::uint32_t digit = 0; digit <= mask; ++digit) {
            const std::uint32_t digit_count = places[pass][digit];
            places[pass][digit] = place;
            place += digit_count;
        }
        for (std::size_t i = 0; i < count; ++i) to[places[pass][from[i] >> pass * digit_bits & mask]++] = from[i];
        std::swap(from, to);
    }
    if (from != values) std::memcpy(values, from, count * sizeof(*values));
}

}  // namespace historian::codec
