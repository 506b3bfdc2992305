// Symbols: bytes that are not equally likely, at nearly their entropy, by range ANS in parts that stand alone.
//
// Layout:
//     first_symbol   u8
//     last_symbol    u8           >= first_symbol
//     weights        packed_bytes(last_symbol - first_symbol + 1, 6): how likely each is; code c means weight_of(c)
//     states         u32[parts]   each >= 2^16; how many parts there are: stream_parts.h
//     word_counts    varint[parts], each at most the number of the part's symbols
//     words          u16[], part after part
//
//     The weights are scaled to frequencies that sum to 2^10 (scale_weights() is part of the format). A part's symbols are
//     decoded one after the other from its state: slot = state % 2^10 falls into one symbol's range, of frequency f and beginning
//     at b; then
//         state = f * (state >> 10) + slot - b; below 2^16: state = state << 16 | next word of the part
//     At the end of its part every state is 2^16.
//
// Why not zstd: a part can be decoded alone, up to the symbol that is wanted; and zstd's smallest frame has about 12 bytes more,
// where a chunk often has 1,000 symbols. A part costs 6 bytes. All parts at once are decoded faster than one after the other:
// their states do not wait for one another.
//
// source   Duda, "Asymmetric numeral systems", arXiv:1311.2540, 2013; Giesen, "Interleaved entropy coders", arXiv:1402.3392, 2014
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "codec/byte_reader.h"
#include "codec/byte_writer.h"

namespace historian::codec {

/// counts   how often each of the 256 bytes occurs
/// returns  about the bytes that encode_symbols() will write
std::size_t estimate_symbols_bytes(std::span<const std::uint32_t, 256> counts, std::size_t symbol_count) noexcept;

/// symbols   1 to 4096
/// counts    of these symbols
/// errors    no_room
Status encode_symbols(std::span<const std::byte> symbols, std::span<const std::uint32_t, 256> counts, ByteWriter &out) noexcept;

/// Moves the reader behind the stream.
///
/// count     as many symbols as were encoded
/// first     which of them is wanted first
/// symbols   output: so many of them from there on, at least one; first + symbols.size() <= count
/// errors    truncated, corrupt. Parts without a symbol that is wanted are not looked at, nor is what follows in the last one.
Status decode_symbols(ByteReader &in, std::size_t count, std::size_t first, std::span<std::byte> symbols) noexcept;

}  // namespace historian::codec
