// Chunks: one column of one granule as bytes.
//
// Layout:
//     stream      codec/codec_id.h says what its first byte means; a NULL mask may come first:
//                     all_null                       no value at all
//                     nullable, mask, stream         codec/nulls.h; the stream holds the rows that are not NULL, at least one
//     checksum    u32, the low half of XXH3-64 over the stream
#pragma once

#include "codec/templates.h"
#include "format/column.h"
#include "format/segment.h"

namespace historian::format {

/// values   one number a row; a NULL's is not read
/// nulls    one byte a row, 1 = NULL; nullptr when no row is NULL
/// dense    room for row_count numbers
struct NumberRows {
    PhysicalKind kind = PhysicalKind::reserved;
    std::uint32_t row_count = 0;
    const std::int64_t *values = nullptr;
    const std::uint8_t *nulls = nullptr;
    std::int64_t *dense = nullptr;
};

/// As NumberRows.
struct TextRows {
    std::uint32_t row_count = 0;
    const codec::Text *values = nullptr;
    const std::uint8_t *nulls = nullptr;
    codec::Text *dense = nullptr;
};

std::size_t number_chunk_bytes_max(std::uint32_t row_count) noexcept;
std::size_t text_chunk_bytes_max(const TextRows &rows) noexcept;
std::size_t tag_chunk_bytes_max(std::uint32_t tag_count) noexcept;

/// A column of messages: those of a granule by their places in the builder's order, without the rows that are NULL.
struct MessageRows {
    std::uint32_t row_count = 0;
    const std::uint8_t *nulls = nullptr;
    std::span<const std::uint32_t> messages;
};
std::size_t message_chunk_bytes_max(const codec::TemplateBuilder &builder, const MessageRows &rows) noexcept;

/// errors   no_room, out_of_memory
Status encode_message_chunk(codec::TemplateBuilder &builder, const MessageRows &rows, codec::EncodeSpace &space,
                            codec::ByteWriter &out) noexcept;

/// The model of a column of messages, with a checksum as every chunk has.
Status encode_model_chunk(const codec::TemplateBuilder &builder, codec::EncodeSpace &space, codec::ByteWriter &out) noexcept;

/// errors   no_room
Status encode_number_chunk(const NumberRows &rows, codec::EncodeSpace &space, codec::ByteWriter &out) noexcept;
Status encode_text_chunk(const TextRows &rows, codec::EncodeSpace &space, codec::ByteWriter &out) noexcept;

/// The tag column: how many rows each tag of the granule has. One tag alone needs no list.
///
/// layout   tag_runs, then an integer stream of the counts when the granule has more than one tag
Status encode_tag_chunk(std::span<const std::int64_t> rows_per_tag, codec::EncodeSpace &space, codec::ByteWriter &out) noexcept;

/// Checks the checksum and gives the stream before it.
///
/// errors   truncated, corrupt
Status open_chunk(std::span<const std::byte> chunk, std::span<const std::byte> *stream) noexcept;

/// Neighbouring rows of a granule.
struct RowRange {
    std::uint32_t first = 0;
    std::uint32_t count = 0;
};

/// Decodes any column but the tag's and those with a model.
///
/// rows      those that are wanted: of numbers, and of indexes into a dictionary, only theirs are decoded
/// decoded   output: row_count and kind as given
/// errors    truncated, corrupt, unsupported, out_of_memory
Status decode_value_chunk(ColumnType type, std::uint32_t row_count, std::span<const std::byte> chunk, RowRange rows, Arena &arena,
                          ColumnVector *decoded) noexcept;

/// A chunk of messages whose template numbers are known, but not its texts yet.
struct OpenMessages {
    std::uint32_t row_count = 0;
    const std::uint8_t *nulls = nullptr;        // one byte a row, 1 = NULL; nullptr when no row is NULL
    std::uint32_t value_count = 0;              // rows that are not NULL: the granule's
    codec::TemplateGranule *granule = nullptr;  // nullptr when value_count is 0
};

/// Opens the messages of a chunk with a model, unless that was done.
///
/// arena    must live as long as the chunk is used
/// errors   truncated, corrupt, unsupported, out_of_memory
Status open_messages(std::uint32_t row_count, OpenChunk &chunk, Arena &arena) noexcept;

/// The texts of all rows, or of some (decode_chunk_rows()), at least one.
///
/// errors   truncated, corrupt, unsupported, out_of_memory
Status decode_messages(const OpenMessages &messages, Arena &arena, ColumnVector *decoded) noexcept;
Status decode_message_rows(const OpenMessages &messages, std::span<const std::uint32_t> rows, Arena &arena,
                           ColumnVector *decoded) noexcept;

/// rows_per_tag   output, one a tag: each at least 1, row_count together
Status decode_tag_chunk(std::uint32_t row_count, std::span<const std::byte> chunk, Arena &arena,
                        std::span<std::int64_t> rows_per_tag) noexcept;

}  // namespace historian::format
