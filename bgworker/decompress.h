// Decompression of payloads: gzip (RFC 1952) and Zstandard (RFC 8878), told apart by their first bytes. Pure.
//
// Neither begins like text: 1f 8b and 28 b5 2f fd are not UTF-8. So no message has to say that it is compressed.
//
// Invariants:
//   1. Any bytes give a text of at most max_bytes or a fault; memory comes from the arena, less than 3 * max_bytes (a buffer
//      that doubles leaves its smaller selves behind), and the decompressors' own state, less than 2 * max_bytes and 1 MB.
//   2. On success the text is followed by a NUL.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "codec/arena.h"

namespace historian::bgworker {

enum class DecompressFault : std::uint8_t { none, corrupt, too_large, out_of_memory };

/// True for bytes that begin as gzip or zstd do.
bool is_compressed(std::string_view bytes) noexcept;

/// Decompresses the whole, several members or frames one after the other too. Bytes that is_compressed() denies are corrupt.
DecompressFault decompress(std::string_view bytes, std::size_t max_bytes, Arena &arena, std::string_view *text) noexcept;

}  // namespace historian::bgworker
