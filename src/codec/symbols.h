// Symbols: bytes that are not equally likely, at nearly their entropy, by interleaved range ANS.
//
// Layout:
//     first_symbol   u8
//     last_symbol    u8           >= first_symbol
//     weights        packed_bytes(last_symbol - first_symbol + 1, 6): how likely each is; code c means weight_of(c)
//     states         u32[lanes]   each >= 2^16; lanes is 4 from kManyLanesCount symbols on, otherwise 1
//     word_count     varint       at most the number of symbols
//     words          u16[]
//
//     The weights are scaled to frequencies that sum to 2^10 (scale_weights() is part of the format). Symbol i is decoded from
//     state i % lanes: slot = state % 2^10 falls into one symbol's range, of frequency f and beginning at b; then
//         state = f * (state >> 10) + slot - b; below 2^16: state = state << 16 | next word
//     At the end every state is 2^16.
//
// Why not zstd: setting up its decoder takes 7 us where CPUID is trapped (every virtual machine), and its smallest frame has
// about 12 bytes more; a chunk often has 1,000 symbols.
//
// source   Duda, "Asymmetric numeral systems", arXiv:1311.2540, 2013; Giesen, "Interleaved entropy coders", arXiv:1402.3392, 2014
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "codec/byte_reader.h"
#include "codec/byte_writer.h"

namespace historian::codec {

/// Below this many symbols the states of four lanes cost more than their speed is worth.
inline constexpr std::size_t kManyLanesCount = 1024;

/// counts   how often each of the 256 bytes occurs
/// returns  about the bytes that encode_symbols() will write
std::size_t estimate_symbols_bytes(std::span<const std::uint32_t, 256> counts, std::size_t symbol_count) noexcept;

/// symbols   1 to 4096
/// counts    of these symbols
/// errors    no_room
Status encode_symbols(std::span<const std::byte> symbols, std::span<const std::uint32_t, 256> counts, ByteWriter &out) noexcept;

/// symbols   output: as many as were encoded
/// errors    truncated, corrupt
Status decode_symbols(ByteReader &in, std::span<std::byte> symbols) noexcept;

/// Moves the reader behind a stream of this many symbols without decoding it.
void skip_symbols(ByteReader &in, std::size_t symbol_count) noexcept;

}  // namespace historian::codec
