// Cutting a message into fixed text and values, by looks alone.
//
// A skeleton is the message with each value replaced by a mark of 4 bytes: 1, the HoleKind, its width in two bytes (of `number`
// and the hexes 0, because widths vary within a template).
//
// What becomes a value, in runs of letters, digits, "_" and bytes of 128 and more:
//     a time, a uuid, a hardware address (six pairs with colons)
//     digits; two runs of digits with one point between; "-" before them where no word ends
//     6 or more hex digits of one case with a digit and a letter; fewer, when they change twice; what follows "0x"
//     of other runs with digits, each run of digits alone; all of the run, when that would be more than three
// Everything else is text. An IPv4 address so is four numbers. Coarse cutting also makes words of paths, and of quoted texts that
// are long and have a space: for messages which vary in their words, like those of web servers.
//
// Invariant: skeleton, values and widths together give the message back, byte for byte (hole_text.h).
#pragma once

#include "codec/templates.h"
#include "codec/word_table.h"

namespace historian::codec {

inline constexpr std::uint8_t kHoleMark = 1;
inline constexpr std::uint32_t kMarkBytes = 4;
inline constexpr std::uint32_t kSkeletonBytesMax = kParsedBytesMax + (kHolesMax + 1) * kMarkBytes;

/// Set in a width when the digits begin with a zero that a number would not have.
inline constexpr std::uint8_t kLeadingZero = 0x80;

enum class Cut : std::uint8_t { fine, coarse };

enum class ParseResult : std::uint8_t {
    parsed,
    raw,  // the message is not cut: template 0
    out_of_memory,
};

struct ParsedMessage {
    std::uint32_t skeleton_bytes = 0;
    std::uint32_t hole_count = 0;
    std::int64_t values[kHolesMax + 1];  // of words: their numbers in the table
    std::uint8_t widths[kHolesMax + 1];  // of number and hex: digits, and kLeadingZero
    std::uint8_t skeleton[kSkeletonBytesMax];
};

inline bool is_word_letter(std::uint8_t letter) noexcept {
    return (letter >= '0' && letter <= '9') || (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
           letter == '_' || letter >= 0x80;
}

ParseResult parse_message(Text message, Cut cut, WordTable &words, Arena &arena, ParsedMessage *parsed) noexcept;

}  // namespace historian::codec
