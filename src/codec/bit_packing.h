// Bit packing: unsigned numbers of one width, side by side without gaps.
//
// Layout: number i takes the bits [i * width, (i + 1) * width) of the byte string, where bit b is bit b % 8 of byte b / 8. The
// last byte's unused bits are 0. Eight numbers take exactly `width` bytes, so a loop over groups of eight has fixed shifts.
#pragma once

#include <cstddef>
#include <cstdint>

namespace historian::codec {

inline constexpr unsigned kBitWidthMax = 64;

constexpr std::size_t packed_bytes(std::size_t count, unsigned width) noexcept { return (count * width + 7) / 8; }

/// values   count numbers; bits above width are ignored
/// packed   output, packed_bytes(count, width) bytes
/// width    0 to 64
void pack_bits(const std::uint64_t *values, std::size_t count, unsigned width, std::byte *packed) noexcept;

/// packed   exactly packed_bytes(count, width) bytes are read
/// width    0 to 64
/// values   output, count numbers
void unpack_bits(const std::byte *packed, std::size_t count, unsigned width, std::uint64_t *values) noexcept;

}  // namespace historian::codec
