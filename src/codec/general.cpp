// The static-context functions are outside zstd's stable API but exported by every libzstd since 1.3; they are what lets the
// contexts live where we say.
#define ZSTD_STATIC_LINKING_ONLY
#include "codec/general.h"

#include <zstd.h>

namespace historian::codec {
namespace {

// Texts of machines: 3 is zstd's own default, well on the flat part of its curve.
constexpr int kLevel = 3;

// zstd 1.3 to 1.5 need 92 to 96 kB.
constexpr std::size_t kDecompressorBytes = 128 * 1024;

/// The process's decompressor, set up when it is first used; nullptr when this version of zstd needs more memory. A small frame
/// is decompressed in 2 us, but setting up takes 10 us in a virtual machine, where CPUID is trapped.
ZSTD_DCtx *decompressor() noexcept {
    alignas(16) static std::byte memory[kDecompressorBytes];
    static ZSTD_DCtx *context = nullptr;
    if (context == nullptr) context = ZSTD_initStaticDCtx(memory, sizeof memory);
    return context;
}

}  // namespace

std::size_t Compressor::compress(std::span<const std::byte> bytes, std::span<std::byte> frame) noexcept {
    if (context_ == nullptr && !refused_) {
        const std::size_t size = ZSTD_estimateCCtxSize(kLevel);
        void *memory = arena_->allocate(size);
        if (memory != nullptr) context_ = ZSTD_initStaticCCtx(memory, size);
        refused_ = context_ == nullptr;
    }
    if (refused_) return 0;
    const std::size_t size = ZSTD_compressCCtx(context_, frame.data(), frame.size(), bytes.data(), bytes.size(), kLevel);
    return ZSTD_isError(size) ? 0 : size;
}

std::uint64_t declared_content(std::span<const std::byte> frame) noexcept {
    const unsigned long long size = ZSTD_getFrameContentSize(frame.data(), frame.size());
    return size == ZSTD_CONTENTSIZE_UNKNOWN || size == ZSTD_CONTENTSIZE_ERROR ? UINT64_MAX : size;
}

Status decompress(std::span<const std::byte> frame, std::span<std::byte> bytes) noexcept {
    if (ZSTD_getFrameContentSize(frame.data(), frame.size()) != bytes.size()) {
        return {StatusCode::corrupt, "a compressed frame declares another size"};
    }
    ZSTD_DCtx *context = decompressor();
    if (context == nullptr) return {StatusCode::unsupported, "this version of zstd needs more memory to decompress"};
    const std::size_t size = ZSTD_decompressDCtx(context, bytes.data(), bytes.size(), frame.data(), frame.size());
    if (ZSTD_isError(size)) return {StatusCode::corrupt, "a compressed frame does not decompress"};
    if (size != bytes.size()) return {StatusCode::corrupt, "a compressed frame holds another number of bytes"};
    return Status::success();
}

}  // namespace historian::codec
