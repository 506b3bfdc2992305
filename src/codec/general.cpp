// The static-context functions are outside zstd's stable API but exported by every libzstd since 1.3; they are what lets the
// contexts live where we say.
#define ZSTD_STATIC_LINKING_ONLY
#include "codec/general.h"

#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace historian::codec {
namespace {

// Texts of machines: 3 is zstd's own default, well on the flat part of its curve.
constexpr int kNormalLevel = 3;
// With high effort: beyond it decompression takes more memory. Its parameters are those for texts of this size, whatever theirs:
// a granule's are seldom longer, and for more the context would be 80 MB large.
constexpr int kHighLevel = 19;
constexpr std::size_t kHighContentBytes = 512 * 1024;
// Nobody can interrupt zstd, which is slow then.
constexpr std::size_t kHighContentMax = 2 * kHighContentBytes;

/// Makes a context compress with high effort; false when this version of zstd refuses.
bool set_high_effort(ZSTD_CCtx *context) noexcept {
    const ZSTD_compressionParameters wanted = ZSTD_getCParams(kHighLevel, kHighContentBytes, 0);
    const std::pair<ZSTD_cParameter, int> parameters[] = {
        {ZSTD_c_windowLog, static_cast<int>(wanted.windowLog)},       {ZSTD_c_chainLog, static_cast<int>(wanted.chainLog)},
        {ZSTD_c_hashLog, static_cast<int>(wanted.hashLog)},           {ZSTD_c_searchLog, static_cast<int>(wanted.searchLog)},
        {ZSTD_c_minMatch, static_cast<int>(wanted.minMatch)},         {ZSTD_c_strategy, static_cast<int>(wanted.strategy)},
        {ZSTD_c_targetLength, static_cast<int>(wanted.targetLength)},
    };
    // A static context has zeros where others have defaults: without this a frame would not declare its content's size.
    if (ZSTD_isError(ZSTD_CCtx_reset(context, ZSTD_reset_session_and_parameters))) return false;
    return std::none_of(std::begin(parameters), std::end(parameters), [context](const auto &parameter) {
        return ZSTD_isError(ZSTD_CCtx_setParameter(context, parameter.first, parameter.second));
    });
}

// zstd 1.3 to 1.5.0 need 157 to 158 kB, later ones 94 kB.
constexpr std::size_t kDecompressorBytes = 192 * 1024;

/// The process's decompressor, set up when it is first used; nullptr when this version of zstd needs more memory. A small frame
/// is decompressed in 2 us, but setting up takes 10 us in a virtual machine, where CPUID is trapped.
ZSTD_DCtx *decompressor() noexcept {
    alignas(16) static std::byte memory[kDecompressorBytes];
    static ZSTD_DCtx *context = nullptr;
    if (context == nullptr) context = ZSTD_initStaticDCtx(memory, sizeof memory);
    return context;
}

}  // namespace

ZSTD_CCtx_s *Compressor::make_context(std::size_t size) noexcept {
    void *memory = arena_->allocate(size);
    return memory == nullptr ? nullptr : ZSTD_initStaticCCtx(memory, size);
}

bool Compressor::compress_hard(std::span<const std::byte> bytes, std::span<std::byte> frame, std::size_t *size) noexcept {
    if (!tried_high_) {
        tried_high_ = true;
        high_context_ = make_context(ZSTD_estimateCCtxSize_usingCParams(ZSTD_getCParams(kHighLevel, kHighContentBytes, 0)));
        if (high_context_ != nullptr && !set_high_effort(high_context_)) high_context_ = nullptr;
    }
    if (high_context_ == nullptr) return false;
    *size = ZSTD_compress2(high_context_, frame.data(), frame.size(), bytes.data(), bytes.size());
    if (!ZSTD_isError(*size)) return true;
    if (ZSTD_getErrorCode(*size) != ZSTD_error_dstSize_tooSmall) return false;
    *size = 0;
    return true;
}

std::size_t Compressor::compress(std::span<const std::byte> bytes, std::span<std::byte> frame) noexcept {
    std::size_t size = 0;
    if (effort_ == Effort::high && bytes.size() <= kHighContentMax && compress_hard(bytes, frame, &size)) return size;
    if (!tried_normal_) {
        tried_normal_ = true;
        normal_context_ = make_context(ZSTD_estimateCCtxSize(kNormalLevel));
    }
    if (normal_context_ == nullptr) return 0;
    size = ZSTD_compressCCtx(normal_context_, frame.data(), frame.size(), bytes.data(), bytes.size(), kNormalLevel);
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
