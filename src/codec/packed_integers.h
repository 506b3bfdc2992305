// Packed integers: a prediction, a frame of reference, bit packing, and what is left of the structure to zstd.
//
// Layout, after the codec number (varints as in byte_writer.h; m = number of values - values that the prediction starts from):
//     flags         u8                 bits 0-1 prediction, bit 2 has divisor, bit 3 has patches, bit 4 has symbols; others 0
//     first         signed_varint      value 0
//     step          signed_varint      prediction `slope` only: normal value 1
//     base          signed_varint      the residuals' frame of reference
//     divisor       varint             >= 2; absent: 1
//     low_width     u8                 0 to 64: bits of each residual that are packed
//     symbol_bits   u8                 1 to 8; with symbols only
//     patches       varint count, then per patch: varint positions skipped since the last patch, varint high
//     symbols       varint size, then a zstd frame of m bytes
//     packed        packed_bytes(m, low_width)
//
//     residual[i]   base + (packed[i] | symbols[i] << low_width | high << (low_width + symbol_bits))
//     normal value  prediction + residual; value = first + normal * divisor; normal value 0 is 0
//
// Predictions from the normal values before:
//     none   0                      (m = n)        level  the last one                     (m = n - 1)
//     slope  the last one plus the last step (m = n - 2)
//     drift  a mean that follows: mean += (value - mean) >> 2, from 0         (m = n - 1); for noise around a slow signal
//
// source   Lemire and Boytsov, "Decoding billions of integers per second through vectorization", 2015 (patched frame of reference);
//          Pelkonen et al., "Gorilla", VLDB 2015, section 4.1.1 (delta of delta)
#pragma once

#include "codec/integers.h"

namespace historian::codec {

/// values   at least 2, at most kStreamValuesMax
/// errors   no_room
Status encode_packed_integers(std::span<const std::int64_t> values, EncodeSpace &space, ByteWriter &out) noexcept;

/// Like decode_integers(), after the codec number.
Status decode_packed_integers(ByteReader &in, std::span<std::int64_t> values, Arena &arena) noexcept;

}  // namespace historian::codec
