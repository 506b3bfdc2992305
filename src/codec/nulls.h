// NULL masks: which rows of a granule have no value.
//
// Layout:
//     form     u8          1 bitmap, 2 runs
//     bitmap   byte[]      row i is bit i % 8 of byte i / 8, 1 = NULL; the last byte's unused bits are 0
//     runs     varint[]    lengths of runs, not NULL first (only that one may be 0), until all rows are covered
#pragma once

#include <cstdint>
#include <span>

#include "codec/byte_reader.h"
#include "codec/byte_writer.h"

namespace historian::codec {

constexpr std::size_t nulls_bytes_max(std::size_t row_count) noexcept { return 8 + (row_count + 7) / 8; }

/// nulls    one byte a row, 1 = NULL
/// errors   no_room
Status encode_nulls(std::span<const std::uint8_t> nulls, ByteWriter &out) noexcept;

/// nulls        output: one byte a row, 0 or 1
/// null_count   output
/// errors       truncated, corrupt, unsupported
Status decode_nulls(ByteReader &in, std::span<std::uint8_t> nulls, std::uint32_t *null_count) noexcept;

}  // namespace historian::codec
