// Gorilla's codecs of values and of times, written from the paper for comparison only.
//
// A value stream is the first value's 64 bits, then of each value its XOR with the one before:
//     0                                    it is 0
//     1 0  bits                            its bits, where the last 1 1 had its own
//     1 1  leading 5  length 6  bits       how many zeros lead (at most 31), how many bits follow (less one), and these
//
// A time stream is the first time's 64 bits, then of each time how much more its step is than the one before (at first 0):
//     0                it is 0
//     1 0        7     -63 to 64
//     1 1 0      9     -255 to 256
//     1 1 1 0    12    -2047 to 2048
//     1 1 1 1 0  32    -2^31 + 1 to 2^31
//     1 1 1 1 1  64    any other
// The paper counts seconds, ends with a class 1 1 1 1 of 32 bits and gives the first step 14 bits: our times are microseconds,
// for which these may not be enough.
//
// Invariants:
//   1. decode(encode(x)) == x in every bit.
//   2. A decoder reads only what the encoder wrote: these bytes are on no disk, so nothing else is checked.
//
// source   Pelkonen et al., "Gorilla: A Fast, Scalable, In-Memory Time Series Database", VLDB 2015, sections 4.1.1 and 4.1.2
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace historian::references {

/// Of values or times, without kSlackBytes.
constexpr std::size_t gorilla_bytes_max(std::size_t count) noexcept { return 10 * count + 8; }

/// values   floats' bits, at least one
/// out      gorilla_bytes_max() bytes
/// returns  bytes written
std::size_t encode_gorilla_values(std::span<const std::int64_t> values, std::byte *out) noexcept;

/// in       what encode_gorilla_values() wrote of so many values, and kSlackBytes
/// returns  bytes read
std::size_t decode_gorilla_values(const std::byte *in, std::span<std::int64_t> values) noexcept;

/// The same for times: at least one, in any unit and order.
std::size_t encode_gorilla_times(std::span<const std::int64_t> times, std::byte *out) noexcept;
std::size_t decode_gorilla_times(const std::byte *in, std::span<std::int64_t> times) noexcept;

}  // namespace historian::references
