// Float streams: float4 and float8 values, bit for bit.
//
// A stream of floats is one of
//     any integer stream     of the floats' bits: only constant_integers is written
//     decimal_floats         the floats are decimals with few digits: integers divided by a power of ten
//         exponent           u8        0 to 15
//         exception_count    varint    floats for which this is not exact: NaN, infinities, -0, others
//         positions          varint[]  floats skipped since the last exception
//         exceptions         u32[] or u64[], by the floats' size
//         integers           stream; at an exception's position any value
//     near_decimal_floats    the floats are few units in the last place off such decimals, as sums and means of them are
//         as decimal_floats  up to and with the integers; then
//         ulps               stream; how much each float's bits are more than its decimal's; at an exception's position any value
//     widened_floats         of float8 only: the floats have the values of float4s, whose decimals they no longer are
//         stream of these float4s, which is none of this form
//     ordered_floats         integer stream of the bits, those of a negative float (but -0) as minus its magnitude
//
// Invariants:
//   1. decode(encode(x)) == x in every bit: -0, denormals, infinities, and a NaN's sign and payload.
//   2. The same bytes on every CPU: a float is only ever multiplied, divided and converted, one correctly rounded IEEE operation
//      after the other. No product feeds an addition, so there is nothing that a compiler could contract into a fused
//      multiply-add, whatever -ffp-contract says; decimals.cpp has its own, and the same results.
//
// source   Afroozeh, Kuffo, Boncz, "ALP: Adaptive Lossless floating-Point Compression", SIGMOD 2023, section 3.1; we divide by a
//          power of ten, which is exact for more values than their multiplication by its inverse.
#pragma once

#include "codec/decimals.h"
#include "codec/integers.h"

namespace historian::codec {

/// Both forms may be tried, side by side.
constexpr std::size_t floats_bytes_max(std::size_t count) noexcept { return 4 * integers_bytes_max(count) + 64 + 22 * count; }

/// values   the floats' bits; of FloatSize::four sign-extended from 32 bits; at most kStreamValuesMax
/// errors   no_room
Status encode_floats(std::span<const std::int64_t> values, FloatSize size, EncodeSpace &space, ByteWriter &out) noexcept;

/// As decode_integer_range(), with eight bytes a value more of the arena.
///
/// errors   truncated, corrupt, unsupported, out_of_memory
Status decode_float_range(ByteReader &in, FloatSize size, const WantedValues &wanted, Arena &arena) noexcept;

/// errors   truncated, corrupt, unsupported, out_of_memory
Status decode_floats(ByteReader &in, FloatSize size, std::span<std::int64_t> values, Arena &arena) noexcept;

}  // namespace historian::codec
