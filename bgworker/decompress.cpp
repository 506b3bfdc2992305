#include "bgworker/decompress.h"

#include <cstring>

#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

namespace historian::bgworker {

namespace {

constexpr std::string_view kGzipMagic{"\x1f\x8b", 2};
constexpr std::string_view kZstdMagic{"\x28\xb5\x2f\xfd", 4};

// What a text is taken to be larger than its compressed form, at first.
constexpr std::size_t kFirstRatio = 4;

bool begins_with(std::string_view bytes, std::string_view magic) noexcept { return bytes.substr(0, magic.size()) == magic; }

/// The text as it grows, never beyond max_bytes.
class Output {
public:
    Output(Arena *arena, std::size_t max_bytes) noexcept : arena_(arena), max_bytes_(max_bytes) {}

    /// Makes room behind what is there.
    DecompressFault grow(std::size_t wanted) noexcept {
        if (capacity_ == max_bytes_ && capacity_ > 0) return DecompressFault::too_large;
        std::size_t capacity = capacity_ < wanted ? wanted : capacity_ * 2;
        if (capacity > max_bytes_) capacity = max_bytes_;
        char *data = arena_->array<char>(capacity + 1);
        if (data == nullptr) return DecompressFault::out_of_memory;
        if (size_ > 0) std::memcpy(data, data_, size_);
        data_ = data;
        capacity_ = capacity;
        return DecompressFault::none;
    }
    char *end() const noexcept { return data_ + size_; }
    std::size_t room() const noexcept { return capacity_ - size_; }
    void advance(std::size_t bytes) noexcept { size_ += bytes; }
    std::string_view finish() noexcept {
        data_[size_] = '\0';
        return {data_, size_};
    }

private:
    Arena *arena_;
    std::size_t max_bytes_;
    char *data_ = nullptr;
    std::size_t size_ = 0;
    std::size_t capacity_ = 0;
};

/// Inflates member after member. A full output is a fault only when there is more to come: the loop asks zlib first.
DecompressFault inflate_all(z_stream *stream, Output *output) noexcept {
    for (;;) {
        const std::size_t room = output->room() < (1u << 30) ? output->room() : 1u << 30;
        Bytef spare;
        stream->next_out = room > 0 ? reinterpret_cast<Bytef *>(output->end()) : &spare;
        stream->avail_out = room > 0 ? static_cast<uInt>(room) : 1;
        const int result = inflate(stream, Z_NO_FLUSH);
        const std::size_t written = (room > 0 ? room : 1) - stream->avail_out;
        if (room == 0 && written > 0) return DecompressFault::too_large;
        if (room > 0) output->advance(written);
        if (result == Z_MEM_ERROR) return DecompressFault::out_of_memory;
        if (result == Z_STREAM_END) {
            if (stream->avail_in == 0) return DecompressFault::none;
            if (inflateReset(stream) != Z_OK) return DecompressFault::corrupt;
            continue;
        }
        if (result != Z_OK && result != Z_BUF_ERROR) return DecompressFault::corrupt;
        if (stream->avail_in == 0 && stream->avail_out > 0) return DecompressFault::corrupt;  // cut off
        if (result == Z_BUF_ERROR && written == 0 && stream->avail_out > 0) return DecompressFault::corrupt;
        if (output->room() > 0) continue;
        const DecompressFault fault = output->grow(0);
        // At the limit one more byte is tried for, into the spare one: the end of the stream may be all that is left.
        if (fault == DecompressFault::out_of_memory) return fault;
    }
}

DecompressFault decompress_gzip(std::string_view bytes, Output *output) noexcept {
    z_stream stream{};
    stream.next_in = reinterpret_cast<Bytef *>(const_cast<char *>(bytes.data()));
    stream.avail_in = static_cast<uInt>(bytes.size());
    if (inflateInit2(&stream, 16 + MAX_WBITS) != Z_OK) return DecompressFault::out_of_memory;
    const DecompressFault fault = inflate_all(&stream, output);
    inflateEnd(&stream);
    return fault;
}

DecompressFault inflate_frames(ZSTD_DCtx *context, std::string_view bytes, Output *output) noexcept {
    ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
    for (;;) {
        char spare;
        const std::size_t room = output->room();
        ZSTD_outBuffer out{room > 0 ? output->end() : &spare, room > 0 ? room : 1, 0};
        const std::size_t before = in.pos;
        const std::size_t result = ZSTD_decompressStream(context, &out, &in);
        if (ZSTD_isError(result)) {
            const bool too_large = ZSTD_getErrorCode(result) == ZSTD_error_frameParameter_windowTooLarge;
            return too_large ? DecompressFault::too_large : DecompressFault::corrupt;
        }
        if (room == 0 && out.pos > 0) return DecompressFault::too_large;
        if (room > 0) output->advance(out.pos);
        if (result == 0 && in.pos == in.size) return DecompressFault::none;
        const bool stuck = in.pos == before && out.pos == 0;
        if (stuck || (in.pos == in.size && out.pos < out.size)) return DecompressFault::corrupt;  // cut off
        if (output->room() > 0) continue;
        if (output->grow(0) == DecompressFault::out_of_memory) return DecompressFault::out_of_memory;
    }
}

int window_log_max(std::size_t max_bytes) noexcept {
    int log = 10;  // the smallest that zstd knows
    while (log < 27 && (std::size_t{1} << log) < max_bytes) ++log;
    return log;
}

DecompressFault decompress_zstd(std::string_view bytes, std::size_t max_bytes, Output *output) noexcept {
    ZSTD_DCtx *context = ZSTD_createDCtx();
    if (context == nullptr) return DecompressFault::out_of_memory;
    ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, window_log_max(max_bytes));
    const DecompressFault fault = inflate_frames(context, bytes, output);
    ZSTD_freeDCtx(context);
    return fault;
}

}  // namespace

bool is_compressed(std::string_view bytes) noexcept { return begins_with(bytes, kGzipMagic) || begins_with(bytes, kZstdMagic); }

DecompressFault decompress(std::string_view bytes, std::size_t max_bytes, Arena &arena, std::string_view *text) noexcept {
    Output output(&arena, max_bytes);
    const DecompressFault fault = output.grow(bytes.size() * kFirstRatio + 64);
    if (fault != DecompressFault::none) return fault;
    DecompressFault result = DecompressFault::corrupt;
    if (begins_with(bytes, kGzipMagic)) result = decompress_gzip(bytes, &output);
    if (begins_with(bytes, kZstdMagic)) result = decompress_zstd(bytes, max_bytes, &output);
    if (result == DecompressFault::none) *text = output.finish();
    return result;
}

}  // namespace historian::bgworker
