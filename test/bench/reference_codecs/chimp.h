// Chimp and Chimp128, written from the paper for comparison only.
//
// A stream is the first value's 64 bits, then of each value its XOR with an earlier one, the reference:
//     00  index                               it is 0
//     01  index  leading 3  length 6  bits    it ends with more than 6 (Chimp128: 13) zeros: its bits between the zeros
//     10  bits                                as many zeros lead as before: all bits behind them
//     11  leading 3  bits                     so many lead: all bits behind them
// The zeros that lead are rounded down to 0, 8, 12, 16, 18, 20, 22 or 24. What 10 means by before is the last 11 or 10, and no
// 00 or 01 lies between.
//
// Chimp's reference is the value before, and its index takes no bits. Chimp128's reference is the last of the 128 values before
// that has the same 14 low bits, or else the value before; its index, which 10 and 11 do not need, is its number modulo 128.
//
// Invariants: those of gorilla.h.
//
// source   Liakos, Papakonstantinopoulou, Kotidis, "Chimp: Efficient Lossless Floating Point Compression for Time Series
//          Databases", VLDB 2022 (PVLDB 15, 11), where Chimp and Chimp128 have a section each
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace historian::references {

inline constexpr std::size_t kChimpValuesMax = 65535;  // Chimp128 keeps a value's number in 16 bits, and 0 for none

/// Without kSlackBytes.
constexpr std::size_t chimp_bytes_max(std::size_t count) noexcept { return 10 * count + 8; }

/// values   floats' bits, at least one, at most kChimpValuesMax
/// out      chimp_bytes_max() bytes
/// returns  bytes written
std::size_t encode_chimp(std::span<const std::int64_t> values, std::byte *out) noexcept;
std::size_t encode_chimp128(std::span<const std::int64_t> values, std::byte *out) noexcept;

/// in       what the encoder wrote of so many values, and kSlackBytes
/// returns  bytes read
std::size_t decode_chimp(const std::byte *in, std::span<std::int64_t> values) noexcept;
std::size_t decode_chimp128(const std::byte *in, std::span<std::int64_t> values) noexcept;

}  // namespace historian::references
