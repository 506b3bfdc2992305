// Classes: unsigned numbers of very different sizes, as a class of each, which says its magnitude and its two bits behind the
// highest, and the extra bits that tell which number of its class it is.
//
// Where small numbers are frequent and large ones rare, this takes nearly the numbers' entropy, with a short table: steps of
// signals that mostly stay, spikes, tails of a distribution that one width for all would have to fit.
//
// Layout:
//     classes       symbols.h, count of them
//     extra_bytes   varint[parts]        of each part's extra bits; the parts: stream_parts.h
//     extra         u8[], part after part: the extra bits of the part's numbers side by side, as in bit_packing.h, the last byte
//                   filled with zeros
//
//     Of class c the numbers below 8 are c itself; those from 8 on have width = c / 4 - 1 extra bits and are
//     (c - 4 * width) << width | extra bits. Numbers of more than kClassWidthMax extra bits have no class.
//
// source   Deutsch, RFC 1951, section 3.2.5: codes with extra bits; its lengths have four codes to a power of two, too
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "codec/byte_reader.h"
#include "codec/byte_writer.h"

namespace historian::codec {

/// What one load of eight bytes has from any bit on.
inline constexpr unsigned kClassWidthMax = 56;
inline constexpr unsigned kClassCount = 4 * kClassWidthMax + 8;

/// number   of at most kClassWidthMax + 3 bits
constexpr unsigned class_of(std::uint64_t number) noexcept {
    const auto width = static_cast<unsigned>(std::bit_width(number | 7)) - 3;
    return 4 * width + static_cast<unsigned>(number >> width);
}
constexpr unsigned class_width(unsigned number_class) noexcept { return number_class < 8 ? 0 : number_class / 4 - 1; }

/// counts   how many numbers each class has
/// returns  about the bytes that encode_classes() will write
std::size_t estimate_classes_bytes(std::span<const std::uint32_t, 256> counts, std::size_t number_count) noexcept;

/// numbers   1 to 4096, all with a class
/// symbols   scratch: as many
/// errors    no_room
Status encode_classes(std::span<const std::uint64_t> numbers, std::span<std::byte> symbols, ByteWriter &out) noexcept;

/// Moves the reader behind the stream.
///
/// count     as many numbers as were encoded
/// first     which of them is wanted first: the beginning of a part
/// numbers   output: so many of them from there on, at least one; first + numbers.size() <= count
/// errors    truncated, corrupt; what is wrong with other numbers need not be found
Status decode_classes(ByteReader &in, std::size_t count, std::size_t first, std::span<std::uint64_t> numbers) noexcept;

}  // namespace historian::codec
