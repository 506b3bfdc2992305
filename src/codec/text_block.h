// Text blocks: any number of byte strings, one after the other.
//
//     lengths       list of integers (encode_integer_list()), one a text
//     frame_bytes   varint, 0: the texts follow as they are
//     texts         or a zstd frame of them, of frame_bytes bytes
//     A block of no texts takes no bytes at all.
#pragma once

#include "codec/texts.h"

namespace historian::codec {

struct TextBlock {
    const std::byte *data = nullptr;
    const std::uint64_t *offsets = nullptr;  // count + 1
    std::uint32_t count = 0;

    std::span<const std::byte> operator[](std::uint32_t i) const noexcept {
        return {data + offsets[i], static_cast<std::size_t>(offsets[i + 1] - offsets[i])};
    }
};

/// One text alone is compressed from where it is, because it may be huge; several are gathered in the room first.
constexpr std::size_t text_block_bytes_max(std::size_t count, std::uint64_t content_bytes) noexcept {
    return integer_list_bytes_max(count) + 32 + (count == 1 ? 1 : 2) * content_bytes;
}

/// errors   no_room
Status encode_text_block(std::span<const Text> texts, EncodeSpace &space, ByteWriter &out) noexcept;

/// count    as was encoded
/// errors   truncated, corrupt, unsupported, out_of_memory
Status decode_text_block(ByteReader &in, std::uint64_t count, Arena &arena, TextBlock *block) noexcept;

/// Bytes in the form that is shorter: varint 0 and the bytes, or varint frame_bytes and a zstd frame of them. The writer gathers
/// them at its end with room for a varint before them.
///
/// mark     where the form begins; raw bytes stand at mark + kVarintBytesMax up to the end, unless `raw` is elsewhere
/// errors   no_room
Status compress_in_place(std::span<const std::byte> raw, std::size_t mark, EncodeSpace &space, ByteWriter &out) noexcept;

/// Whether so many integers can be in so many bytes: a stream of at most kStreamValuesMax takes two at least.
constexpr bool plausible_list(std::uint64_t count, std::size_t bytes) noexcept {
    return count / kStreamValuesMax <= bytes / 2 && count <= UINT32_MAX;
}

}  // namespace historian::codec
