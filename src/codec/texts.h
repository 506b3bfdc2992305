// Text streams: byte strings of any length, kept once when they repeat.
//
//     plain_texts        one entry a row
//         lengths        integer stream, one an entry
//         frame_bytes    varint, 0: the entries follow as they are
//         entries        one after the other; or a zstd frame of them, of frame_bytes bytes
//     dictionary_texts   entries and an index a row
//         entry_count    varint, 1 to the number of rows
//         lengths, frame_bytes, entries   as above
//         indexes        integer stream, one a row, < entry_count
#pragma once

#include "codec/integers.h"

namespace historian::codec {

/// The largest value that PostgreSQL can pass: its varlena header counts to 1 GiB.
inline constexpr std::uint64_t kTextBytesMax = std::uint64_t{1} << 30;

struct Text {
    const std::byte *data = nullptr;
    std::uint32_t size = 0;
};

/// One row's text is entry entry_of_row[row]: data[offsets[entry] .. offsets[entry + 1]).
struct DecodedTexts {
    const std::byte *data = nullptr;
    const std::uint64_t *offsets = nullptr;  // entry_count + 1
    const std::uint32_t *entry_of_row = nullptr;
    std::uint32_t entry_count = 0;
};

/// Several entries are gathered in the room and compressed beside them; one is compressed from where it is, because it may be
/// huge.
///
/// content_bytes   sum of the texts' sizes
constexpr std::size_t texts_bytes_max(std::size_t count, std::uint64_t content_bytes) noexcept {
    return 2 * integers_bytes_max(count) + 32 + (count == 1 ? 1 : 2) * content_bytes;
}

/// texts    1 to kStreamValuesMax, each at most kTextBytesMax
/// errors   no_room
Status encode_texts(std::span<const Text> texts, EncodeSpace &space, ByteWriter &out) noexcept;

/// Neighbouring rows that are wanted of a stream.
struct WantedRows {
    std::uint32_t row_count = 0;
    std::uint32_t first = 0;
    std::uint32_t count = 0;  // first + count <= row_count
};

/// The texts of some rows: entry_of_row[i] is that of row first + i. Of a dictionary's indexes only theirs are decoded.
///
/// errors   as decode_texts(); what is wrong with other rows need not be found
Status decode_text_range(ByteReader &in, const WantedRows &wanted, Arena &arena, DecodedTexts *texts) noexcept;

/// texts    output: memory of the arena, or of `in` when the entries are not compressed
/// errors   truncated, corrupt, unsupported, out_of_memory
Status decode_texts(ByteReader &in, std::uint32_t row_count, Arena &arena, DecodedTexts *texts) noexcept;

}  // namespace historian::codec
