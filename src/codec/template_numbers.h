// Template numbers of a granule: which template each message has. Machines repeat themselves in sequences, so a number is told by
// what followed the same numbers the last time.
//
// Layout: an integer stream of codes, one a message. The order says what a code is:
//     0       the number
//     1, 2    0 when the number is the expected one, otherwise the number + 1
//
// The expected number is what followed the last one the last time; at first what the model says (followers). In order 2 it is
// what followed the last two the last time, if something did. The last two lie in kPairSlots slots: the high bits of (last +
// (last but one) * 0x9E3779B1) * 0x9E3779B97F4A7C15; pairs may share one, it only costs. Before the first message both are 0.
#pragma once

#include "codec/integers.h"

namespace historian::codec {

inline constexpr unsigned kPairSlotBits = 12;
inline constexpr std::size_t kPairSlots = std::size_t{1} << kPairSlotBits;
inline constexpr std::uint8_t kNumberOrderMax = 2;

/// What usually follows each template number, from 0 on, and room for as many numbers.
struct Followers {
    std::span<const std::uint32_t> usual;
    std::uint32_t *latest = nullptr;
};

/// numbers   1 to kStreamValuesMax, each less than followers.usual.size()
/// order     output: the shortest of the three
/// errors    no_room
Status encode_template_numbers(std::span<const std::uint32_t> numbers, const Followers &followers, EncodeSpace &space,
                               ByteWriter &out, std::uint8_t *order) noexcept;

/// order     at most kNumberOrderMax
/// numbers   output, each less than followers.usual.size()
/// errors    truncated, corrupt, unsupported, out_of_memory
Status decode_template_numbers(ByteReader &in, std::uint8_t order, const Followers &followers, Arena &arena,
                               std::span<std::uint32_t> numbers) noexcept;

}  // namespace historian::codec
