#include "bgworker/decompress.h"

#include <random>
#include <string>

#include <zlib.h>
#include <zstd.h>

#include "bgworker/parsed_payload.h"

namespace historian::bgworker {
namespace {

std::string gzip(const std::string &text) {
    z_stream stream{};
    deflateInit2(&stream, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
    std::string out(deflateBound(&stream, text.size()) + 64, '\0');
    stream.next_in = reinterpret_cast<Bytef *>(const_cast<char *>(text.data()));
    stream.avail_in = static_cast<uInt>(text.size());
    stream.next_out = reinterpret_cast<Bytef *>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
    out.resize(stream.total_out);
    deflateEnd(&stream);
    return out;
}
std::string zstd(const std::string &text) {
    std::string out(ZSTD_compressBound(text.size()), '\0');
    out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 3));
    return out;
}

// The text, or the fault by its number.
std::string decompressed(const std::string &bytes, std::size_t max_bytes = 1 << 20) {
    Blocks blocks;
    Arena arena(Blocks::grow, &blocks);
    std::string_view text;
    const DecompressFault fault = decompress(bytes, max_bytes, arena, &text);
    EXPECT_LE(blocks.used(), 3 * max_bytes + 65536);
    if (fault != DecompressFault::none) return "fault " + std::to_string(static_cast<int>(fault));
    EXPECT_EQ(text.data()[text.size()], '\0');
    return std::string(text);
}
const std::string kCorrupt = "fault 1";
const std::string kTooLarge = "fault 2";

std::string sample(std::size_t bytes) {
    std::mt19937 random(7);
    std::string text;
    while (text.size() < bytes) text += "[\"tag" + std::to_string(random() % 100) + "\"," + std::to_string(random()) + "]\n";
    text.resize(bytes);
    return text;
}

TEST(Decompress, GivesBackWhatWasCompressed) {
    for (const std::size_t bytes : {0u, 1u, 100u, 5000u, 300'000u}) {
        EXPECT_EQ(decompressed(gzip(sample(bytes))), sample(bytes));
        EXPECT_EQ(decompressed(zstd(sample(bytes))), sample(bytes));
    }
}
TEST(Decompress, TakesSeveralMembers) {
    EXPECT_EQ(decompressed(gzip("[1]") + gzip("\n[2]")), "[1]\n[2]");
    EXPECT_EQ(decompressed(zstd("[1]") + zstd("\n[2]")), "[1]\n[2]");
}
TEST(Decompress, StopsAtItsLimit) {
    const std::string zeros(10'000'000, '0');
    EXPECT_EQ(decompressed(gzip(zeros)), kTooLarge);
    EXPECT_EQ(decompressed(zstd(zeros)), kTooLarge);
    for (const std::size_t bytes : {1000u, 1024u, 65536u}) {
        EXPECT_EQ(decompressed(gzip(sample(bytes)), bytes), sample(bytes)) << "exactly as large";
        EXPECT_EQ(decompressed(zstd(sample(bytes)), bytes), sample(bytes)) << "exactly as large";
        EXPECT_EQ(decompressed(gzip(sample(bytes)), bytes - 1), kTooLarge);
        EXPECT_EQ(decompressed(zstd(sample(bytes)), bytes - 1), kTooLarge);
    }
}
TEST(Decompress, RejectsWhatIsCutOffOrChanged) {
    for (const std::string &whole : {gzip(sample(2000)), zstd(sample(2000))}) {
        for (std::size_t bytes = 4; bytes < whole.size(); ++bytes) {
            EXPECT_EQ(decompressed(whole.substr(0, bytes)), kCorrupt) << bytes;
        }
        EXPECT_EQ(decompressed(whole + "x"), kCorrupt);
    }
    std::string changed = gzip(sample(2000));
    changed[changed.size() / 2] ^= 1;
    EXPECT_EQ(decompressed(changed), kCorrupt) << "the check sum";
    EXPECT_EQ(decompressed("plain"), kCorrupt);
}
TEST(Decompress, KnowsItsOwn) {
    EXPECT_TRUE(is_compressed(gzip("x")));
    EXPECT_TRUE(is_compressed(zstd("x")));
    for (const char *text : {"", "[1]", "\x1f", "(", "a,b"}) EXPECT_FALSE(is_compressed(text)) << text;
}
TEST(Decompress, SurvivesEveryLackOfMemory) {
    const std::string bytes = gzip(sample(300'000));
    for (std::size_t limit = 0; limit < 700'000; limit += 50'000) {
        Blocks blocks;
        blocks.limit(limit);
        Arena arena(Blocks::grow, &blocks);
        std::string_view text;
        const DecompressFault fault = decompress(bytes, 1 << 20, arena, &text);
        EXPECT_TRUE(fault == DecompressFault::none || fault == DecompressFault::out_of_memory);
    }
}

}  // namespace
}  // namespace historian::bgworker
