// General compression: the one wrapper around zstd.
//
// Layout of a frame: exactly one zstd frame that declares its content size and carries no checksum (chunks have their own).
//
// Invariants:
//   1. Compressing takes no memory but the context's, which is the arena's: nothing is lost when the owner of the arena jumps.
//   2. Decompressing allocates nothing. zstd's state is the one variable of the pure layers: a context that the process sets up
//      once and every call leaves ready for the next, whatever its bytes were. So two threads may not decompress at once.
//   3. The same zstd version gives the same frame on every CPU; another version may give another frame of the same content.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "codec/arena.h"
#include "codec/effort.h"
#include "codec/status.h"

struct ZSTD_CCtx_s;

namespace historian::codec {

/// A compressor in an arena; made when it is first needed, because small segments never do.
class Compressor {
public:
    Compressor(Arena &arena, Effort effort) noexcept : arena_(&arena), effort_(effort) {}

    /// bytes    what to compress
    /// frame    where to; the frame must fit it or nothing is compressed
    /// returns  the frame's size, or 0 when it does not fit, or there is no memory for the context
    std::size_t compress(std::span<const std::byte> bytes, std::span<std::byte> frame) noexcept;

private:
    /// nullptr when there is no memory for it.
    ZSTD_CCtx_s *make_context(std::size_t size) noexcept;
    /// False when this version of zstd cannot with the memory that it asks for: before 1.4.7, of long texts.
    bool compress_hard(std::span<const std::byte> bytes, std::span<std::byte> frame, std::size_t *size) noexcept;

    Arena *arena_;
    Effort effort_;
    ZSTD_CCtx_s *normal_context_ = nullptr;
    ZSTD_CCtx_s *high_context_ = nullptr;
    bool tried_normal_ = false;
    bool tried_high_ = false;
};

/// Whether a frame of this size can hold this many bytes at all: what bounds the memory that corrupt bytes can ask for.
///
/// source   RFC 8878, section 3.1.1.2: a block takes at least 3 bytes and gives at most 128 KiB
constexpr bool plausible_content(std::uint64_t frame_bytes, std::uint64_t content_bytes) noexcept {
    constexpr std::uint64_t kBlockContentMax = 128 * 1024;
    return content_bytes <= (frame_bytes / 3 + 1) * kBlockContentMax;
}

/// The content size that a frame declares, or UINT64_MAX when it declares none. Any bytes are safe.
std::uint64_t declared_content(std::span<const std::byte> frame) noexcept;

/// frame    exactly one frame; any bytes are safe
/// bytes    output: must be exactly the declared content size
/// errors   corrupt, out_of_memory
Status decompress(std::span<const std::byte> frame, std::span<std::byte> bytes) noexcept;

}  // namespace historian::codec
