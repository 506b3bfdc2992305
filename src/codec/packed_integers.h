// Packed integers: a prediction, a frame of reference, bit packing, and an entropy code for the highest bits where it pays; or
// for the magnitudes, where these are very different.
//
// Layout, after the codec number (varints as in byte_writer.h; m = number of values - values that the prediction starts from):
//     flags         u8                 bits 0-2 prediction, bit 3 has divisor, bit 4 has patches, bit 5 has symbols,
//                                      bit 6 has classes (and neither patches nor symbols), bit 7 these have signs
//     first         signed_varint      value 0
//     step          signed_varint      predictions `slope` and `line` only
//     base          signed_varint      the residuals' frame of reference
//     divisor       varint             >= 2; absent: 1
//     low_width     u8                 0 to 64: bits of each residual that are packed; not with classes
//     symbol_bits   u8                 1 to 8; with symbols only
//     anchors       signed_varint[]    `level`, `slope` and `drift` only, where the residuals have parts (stream_parts.h)
//     patches       varint count, then per patch: varint positions skipped since the last patch, varint high
//     symbols       m of them: symbols.h
//     packed        packed_bytes(m, low_width); not with classes
//     classes       m of them: classes.h; with classes only
//
//     residual[i]   base + (packed[i] | symbols[i] << low_width | high << (low_width + symbol_bits)); or base + number i of the
//                   classes; or, with signs, base + n for number 2n and base - n - 1 for number 2n + 1
//     normal value  prediction + residual; value = first + normal * divisor; normal value 0 is 0
//
//     An anchor lets a part be decoded alone. For each part of the residuals but the first, it says what the prediction needs of
//     the values before: the normal value before the part's first (of `drift` the mean), as the difference from the anchor before
//     (from 0 for the first); for `slope` then the step to that value, in the same way (from the first step).
//
// Predictions of normal value i (prediction.h has their numbers):
//     none    0                                                    m = n
//     level   normal value i - 1                                   m = n - 1
//     slope   normal value i - 1 plus its step from i - 2          m = n - 2; step is normal value 1
//     drift   a mean that follows, from 0: mean += residual >> 2   m = n - 1
//     line    i * step >> 16                                       m = n - 1
//
// source   Lemire and Boytsov, "Decoding billions of integers per second through vectorization", 2015 (patched frames);
//          Pelkonen et al., "Gorilla", VLDB 2015, section 4.1.1 (delta of delta)
#pragma once

#include "codec/integers.h"

namespace historian::codec {

/// The largest number that divides the distance of every value from the first, 1 when all are equal; where distances overflow,
/// only powers of two are tried (doubles of both signs with the precision of float4 are such values).
std::uint64_t find_divisor(std::span<const std::int64_t> values) noexcept;

/// values   at least 2, at most kStreamValuesMax
/// errors   no_room
Status encode_packed_integers(std::span<const std::int64_t> values, EncodeSpace &space, ByteWriter &out) noexcept;

/// Like decode_integer_range(), after the codec number.
Status decode_packed_integers(ByteReader &in, const WantedValues &wanted, Arena &arena) noexcept;

}  // namespace historian::codec
