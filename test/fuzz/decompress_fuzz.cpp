// Any bytes as a compressed payload: a text within its limit or a fault; and what was compressed comes back.
#include "payload_checks.h"

#include <zlib.h>
#include <zstd.h>

#include "bgworker/decompress.h"

using namespace historian::bgworker;

namespace {

constexpr std::size_t kLimit = 256 * 1024;

void check_any(std::string_view bytes) {
    Blocks blocks;
    historian::Arena arena(Blocks::grow, &blocks);
    std::string_view text;
    if (decompress(bytes, kLimit, arena, &text) != DecompressFault::none) return;
    check(text.size() <= kLimit && text.data()[text.size()] == '\0' && is_compressed(bytes));
}

void check_round_trip(const std::string &compressed, std::string_view original) {
    Blocks blocks;
    historian::Arena arena(Blocks::grow, &blocks);
    std::string_view text;
    check(decompress(compressed, kLimit, arena, &text) == DecompressFault::none && text == original);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char *data, std::size_t size) {
    const std::string_view bytes(reinterpret_cast<const char *>(data), size);
    check_any(bytes);
    check_any("\x1f\x8b\x08" + std::string(bytes));
    check_any("\x28\xb5\x2f\xfd" + std::string(bytes));

    std::string zstd(ZSTD_compressBound(size), '\0');
    zstd.resize(ZSTD_compress(zstd.data(), zstd.size(), data, size, 1));
    check_round_trip(zstd, bytes);

    z_stream stream{};
    check(deflateInit2(&stream, 1, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    std::string gzip(deflateBound(&stream, size), '\0');
    stream.next_in = const_cast<unsigned char *>(data);
    stream.avail_in = static_cast<uInt>(size);
    stream.next_out = reinterpret_cast<Bytef *>(gzip.data());
    stream.avail_out = static_cast<uInt>(gzip.size());
    check(deflate(&stream, Z_FINISH) == Z_STREAM_END);
    gzip.resize(stream.total_out);
    deflateEnd(&stream);
    check_round_trip(gzip, bytes);
    return 0;
}
