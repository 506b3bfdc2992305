// The static-context functions are outside zstd's stable API but exported by every libzstd since 1.3; they are what lets the contexts
// live in an arena or on the stack.
#define ZSTD_STATIC_LINKING_ONLY
#include "codec/general.h"

#include <zstd.h>
#include <zstd_errors.h>

namespace historian::codec {
namespace {

// Symbols rarely repeat in sequences shorter than this, and each match that zstd takes makes decoding slower.
constexpr int kSymbolMatchMin = 7;

// ZSTD_ps_enable, called ZSTD_lcm_huffman before zstd 1.5: literals are entropy-coded at every level.
constexpr int kCodeLiterals = 1;

// zstd 1.3 to 1.5 need 92 to 96 kB.
constexpr std::size_t kDecompressorBytes = 128 * 1024;

/// A compressor for both efforts in memory of the arena, or nullptr.
ZSTD_CCtx *make_context(Arena &arena) noexcept {
    const std::size_t size = ZSTD_estimateCCtxSize(static_cast<int>(Effort::usual));
    void *memory = arena.allocate(size);
    if (memory == nullptr) return nullptr;
    ZSTD_CCtx *context = ZSTD_initStaticCCtx(memory, size);
    if (context == nullptr) return nullptr;
    // These parameters are used by ZSTD_compress2() only. The reset gives a static context the defaults, among them that a frame
    // declares its content size.
    const bool set = !ZSTD_isError(ZSTD_CCtx_reset(context, ZSTD_reset_session_and_parameters)) &&
                     !ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, static_cast<int>(Effort::fast))) &&
                     !ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_minMatch, kSymbolMatchMin)) &&
                     !ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_literalCompressionMode, kCodeLiterals));
    return set ? context : nullptr;
}

}  // namespace

std::size_t Compressor::compress(std::span<const std::byte> bytes, Effort effort, std::span<std::byte> frame) noexcept {
    if (context_ == nullptr && !refused_) {
        context_ = make_context(*arena_);
        refused_ = context_ == nullptr;
    }
    if (refused_) return 0;
    const std::size_t size =
        effort == Effort::fast
            ? ZSTD_compress2(context_, frame.data(), frame.size(), bytes.data(), bytes.size())
            : ZSTD_compressCCtx(context_, frame.data(), frame.size(), bytes.data(), bytes.size(), static_cast<int>(effort));
    return ZSTD_isError(size) ? 0 : size;
}

Status decompress(std::span<const std::byte> frame, std::span<std::byte> bytes) noexcept {
    if (ZSTD_getFrameContentSize(frame.data(), frame.size()) != bytes.size()) {
        return {StatusCode::corrupt, "a compressed frame declares another size"};
    }
    // On the stack: a context from malloc costs 7 us a call (glibc gives the memory back each time), more than most chunks take.
    alignas(16) std::byte memory[kDecompressorBytes];
    ZSTD_DCtx *context = ZSTD_initStaticDCtx(memory, sizeof memory);
    if (context == nullptr) return {StatusCode::unsupported, "this version of zstd needs more memory to decompress"};
    const std::size_t size = ZSTD_decompressDCtx(context, bytes.data(), bytes.size(), frame.data(), frame.size());
    if (ZSTD_isError(size)) return {StatusCode::corrupt, "a compressed frame does not decompress"};
    if (size != bytes.size()) return {StatusCode::corrupt, "a compressed frame holds another number of bytes"};
    return Status::success();
}

}  // namespace historian::codec
