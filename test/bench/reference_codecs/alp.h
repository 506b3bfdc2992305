// ALP and ALP-RD, written from the paper for comparison only.
//
// A row group is 100 vectors of 1,024 values, the last vectors of a column fewer:
//     scheme             u8       0: ALP, 1: ALP-RD
//
// ALP: floats are decimals, d = round(value * 10^exponent * 10^-factor), and value = d * 10^factor * 10^-exponent. Of each vector
//     exponent           u8       0 to 21
//     factor             u8       at most exponent
//     width              u8       of the packed numbers
//     exception_count    u16      values that the product is not, bit for bit
//     base               i64      the least number
//     numbers            d - base, packed by width; an exception's is that of the vector's first value that is none
//     exceptions         u64[]    their bits
//     positions          u16[]    and where in the vector they are
//
// ALP-RD: floats that are no decimals are cut; their left bits are few different ones, their right bits are kept as they are. Of
// the row group
//     right_width        u8       48 to 63
//     dictionary_size    u8       1, 2, 4 or 8
//     dictionary         u16[]    the commonest left bits
// and of each vector
//     exception_count    u16      values whose left bits the dictionary lacks
//     codes              numbers in the dictionary, packed by 0 to 3 bits
//     rights             packed by right_width
//     exceptions         u16[]    left bits
//     positions          u16[]
//
// Numbers are packed side by side (codec/bit_packing.h), as those of our codecs are. The paper's FastLanes layout interleaves
// them, which has the same size and is faster to unpack with wide vector registers.
//
// Invariants: those of gorilla.h.
//
// source   Afroozeh, Kuffo, Boncz, "ALP: Adaptive Lossless floating-Point Compression", SIGMOD 2024, sections 3.1 (ALP),
//          3.2 (sampling) and 3.4 (ALP-RD)
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

namespace historian::references {

inline constexpr std::size_t kAlpVector = 1024;
inline constexpr std::size_t kAlpRowGroup = 100 * kAlpVector;

/// At the worst a number of 64 bits, an exception and its position of each value, and the heads.
constexpr std::size_t alp_bytes_max(std::size_t count) noexcept { return 18 * count + 16 * (count / kAlpVector + 1) + 32; }

/// Is given the values of a column, piece by piece. Pieces are small enough for the caches near the CPU.
using TakeValues = std::function<void(std::span<const std::int64_t>)>;

/// values   floats' bits, 1 to kAlpRowGroup
/// out      alp_bytes_max() bytes
/// returns  bytes written
std::size_t encode_alp(std::span<const std::int64_t> values, std::byte *out);

/// in       what encode_alp() wrote of count values
/// take     is given the values of one vector after the other
/// returns  bytes read
std::size_t decode_alp(const std::byte *in, std::size_t count, const TakeValues &take);

}  // namespace historian::references
