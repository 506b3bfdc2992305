// Template numbers of a granule: which template each message has. Machines repeat themselves in sequences, so a number is told by
// what followed the same numbers the last time.
//
// Layout: an integer stream of codes, one a message. The order says what a code is:
//     0       the number
//     1, 2    0 when the number is the one that came after the same one or two numbers before; otherwise the number + 1
//
// What came after lies in a table of kFollowerSlots numbers, all 0 at first. After each message the number is put at the slot of
// what was before it; the slot is the high bits of (last + (last but one) * 0x9E3779B1) * 0x9E3779B97F4A7C15, where the last but
// one counts 0 in order 1 and numbers before the first are 0. Different pasts may share a slot: it only costs.
#pragma once

#include "codec/integers.h"

namespace historian::codec {

inline constexpr unsigned kFollowerSlotBits = 12;
inline constexpr std::size_t kFollowerSlots = std::size_t{1} << kFollowerSlotBits;
inline constexpr std::uint8_t kNumberOrderMax = 2;

/// numbers   1 to kStreamValuesMax
/// order     output: the shortest of the three
/// errors    no_room
Status encode_template_numbers(std::span<const std::uint32_t> numbers, EncodeSpace &space, ByteWriter &out,
                               std::uint8_t *order) noexcept;

/// order          at most kNumberOrderMax
/// numbers        output, each at most number_max
/// errors         truncated, corrupt, unsupported, out_of_memory
Status decode_template_numbers(ByteReader &in, std::uint8_t order, std::uint32_t number_max, Arena &arena,
                               std::span<std::uint32_t> numbers) noexcept;

}  // namespace historian::codec
