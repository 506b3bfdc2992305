// The static-context functions are outside zstd's stable API but exported by every libzstd since 1.3; they are what lets the context
// live in an arena.
#define ZSTD_STATIC_LINKING_ONLY
#include "codec/general.h"

#include <zstd.h>
#include <zstd_errors.h>

namespace historian::codec {

std::size_t Compressor::compress(std::span<const std::byte> bytes, Effort effort, std::span<std::byte> frame) noexcept {
    if (refused_) return 0;
    if (context_ == nullptr) {
        const std::size_t size = ZSTD_estimateCCtxSize(static_cast<int>(Effort::usual));
        void *memory = arena_->allocate(size);
        if (memory != nullptr) context_ = ZSTD_initStaticCCtx(memory, size);
        refused_ = context_ == nullptr;
        if (refused_) return 0;
    }
    const std::size_t size =
        ZSTD_compressCCtx(context_, frame.data(), frame.size(), bytes.data(), bytes.size(), static_cast<int>(effort));
    return ZSTD_isError(size) ? 0 : size;
}

Status decompress(std::span<const std::byte> frame, std::span<std::byte> bytes) noexcept {
    if (ZSTD_getFrameContentSize(frame.data(), frame.size()) != bytes.size()) {
        return {StatusCode::corrupt, "a compressed frame declares another size"};
    }
    const std::size_t size = ZSTD_decompress(bytes.data(), bytes.size(), frame.data(), frame.size());
    if (ZSTD_isError(size)) {
        if (ZSTD_getErrorCode(size) == ZSTD_error_memory_allocation) {
            return {StatusCode::out_of_memory, "no memory to decompress a frame"};
        }
        return {StatusCode::corrupt, "a compressed frame does not decompress"};
    }
    if (size != bytes.size()) return {StatusCode::corrupt, "a compressed frame holds another number of bytes"};
    return Status::success();
}

}  // namespace historian::codec
