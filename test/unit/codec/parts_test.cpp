// The small parts: cursors, bit packing, symbols, null masks, general compression.
#include <algorithm>
#include <cmath>

#include "codec/bit_packing.h"
#include "codec/classes.h"
#include "codec/general.h"
#include "codec/nulls.h"
#include "codec/stream_parts.h"
#include "codec/symbols.h"
#include "codec_fixture.h"

namespace historian::test {
namespace {

TEST(ByteCursors, KeepVarintsOfEveryLength) {
    Bytes bytes(2000);
    ByteWriter out{bytes};
    for (unsigned shift = 0; shift < 64; ++shift) {
        out.varint(std::uint64_t{1} << shift);
        out.signed_varint(-(std::int64_t{1} << (shift % 63)));
    }
    out.varint(UINT64_MAX);
    out.signed_varint(INT64_MIN);
    ASSERT_TRUE(out.status().ok());
    ByteReader in{out.written()};
    for (unsigned shift = 0; shift < 64; ++shift) {
        EXPECT_EQ(in.varint(), std::uint64_t{1} << shift);
        EXPECT_EQ(in.signed_varint(), -(std::int64_t{1} << (shift % 63)));
    }
    EXPECT_EQ(in.varint(), UINT64_MAX);
    EXPECT_EQ(in.signed_varint(), INT64_MIN);
    EXPECT_TRUE(in.status_at_end().ok());
}

TEST(ByteCursors, RefuseAVarintOfMoreThan64Bits) {
    const Bytes bytes(11, std::byte{0xff});
    ByteReader in{bytes};
    in.varint();
    EXPECT_EQ(in.status().code, StatusCode::truncated);
}

TEST(ByteCursors, StayFailedAfterTheEnd) {
    const Bytes bytes(3, std::byte{1});
    ByteReader in{bytes};
    EXPECT_EQ(in.u32(), 0u);
    EXPECT_EQ(in.u8(), 0u);
    EXPECT_FALSE(in.status().ok());
    Bytes room(3);
    ByteWriter out{room};
    out.u32(1);
    out.u8(1);
    EXPECT_EQ(out.size(), 0u);
    EXPECT_EQ(out.status().code, StatusCode::no_room);
}

TEST(BitPacking, KeepsEveryWidthAndCount) {
    std::mt19937_64 random{1};
    for (unsigned width = 0; width <= 64; ++width) {
        for (const std::size_t count : {0u, 1u, 7u, 8u, 9u, 63u, 64u, 65u, 257u}) {
            std::vector<std::uint64_t> values(count);
            for (std::uint64_t &value : values) value = width == 0 ? 0 : random() >> (64 - width);
            Bytes packed(packed_bytes(count, width));
            pack_bits(values.data(), count, width, packed.data());
            std::vector<std::uint64_t> unpacked(count, 99);
            unpack_bits(packed.data(), count, width, unpacked.data());
            EXPECT_EQ(unpacked, values) << width << " bits, " << count << " values";
        }
    }
}

class SymbolsTest : public testing::Test {
protected:
    static Bytes encode(const Bytes &symbols) {
        std::uint32_t counts[256] = {};
        for (const std::byte symbol : symbols) ++counts[static_cast<unsigned>(symbol)];
        Bytes bytes(600 + 2 * symbols.size());
        ByteWriter out{bytes};
        EXPECT_TRUE(encode_symbols(symbols, counts, out).ok());
        bytes.resize(out.size());
        return bytes;
    }
    static std::size_t check(const Bytes &symbols) {
        const Bytes bytes = encode(symbols);
        Bytes decoded(symbols.size());
        ByteReader in{bytes};
        const Status status = decode_symbols(in, symbols.size(), 0, decoded);
        EXPECT_TRUE(status.ok()) << status.message;
        EXPECT_TRUE(in.status_at_end().ok());
        EXPECT_EQ(decoded, symbols);
        check_ranges(bytes, symbols);
        return bytes.size();
    }
    /// Ranges within one part, across parts and at the ends.
    static void check_ranges(const Bytes &bytes, const Bytes &symbols) {
        std::mt19937_64 random{symbols.size()};
        for (int repeat = 0; repeat < 20; ++repeat) {
            const std::size_t first = repeat == 0 ? symbols.size() - 1 : random() % symbols.size();
            const std::size_t count = 1 + random() % std::min<std::size_t>(symbols.size() - first, repeat < 10 ? 9 : 4096);
            Bytes decoded(count);
            ByteReader in{bytes};
            EXPECT_TRUE(decode_symbols(in, symbols.size(), first, decoded).ok()) << first << ", " << count;
            EXPECT_TRUE(in.status_at_end().ok());
            EXPECT_TRUE(std::equal(decoded.begin(), decoded.end(), symbols.begin() + static_cast<std::ptrdiff_t>(first)));
        }
    }
};

TEST_F(SymbolsTest, OneSymbolCostsNothingMore) { EXPECT_LT(check(Bytes(4096, std::byte{200})), 44u); }

TEST_F(SymbolsTest, APartDoesNotNeedTheWordsOfOthers) {
    std::mt19937_64 random{9};
    Bytes symbols(4096);
    for (std::byte &symbol : symbols) symbol = static_cast<std::byte>(random() % 256);
    Bytes bytes = encode(symbols);
    bytes.back() ^= std::byte{255};  // a word of the last part
    Bytes decoded(500);
    ByteReader in{bytes};
    EXPECT_TRUE(decode_symbols(in, symbols.size(), 2048, decoded).ok());
    EXPECT_TRUE(std::equal(decoded.begin(), decoded.end(), symbols.begin() + 2048));
}

TEST_F(SymbolsTest, KeepEveryCountAndAlphabet) {
    std::mt19937_64 random{2};
    for (const std::size_t count : {1u, 2u, 3u, 64u, 1023u, 1024u, 1025u, 1027u, 4096u}) {
        for (const unsigned alphabet : {1u, 2u, 3u, 17u, 256u}) {
            Bytes symbols(count);
            for (std::byte &symbol : symbols) symbol = static_cast<std::byte>(random() % alphabet + 256 - alphabet);
            check(symbols);
        }
    }
}

TEST_F(SymbolsTest, ComeNearTheirEntropy) {
    std::mt19937_64 random{3};
    std::normal_distribution<double> gauss;
    Bytes symbols(4096);
    double counts[256] = {};
    for (std::byte &symbol : symbols) {
        symbol = static_cast<std::byte>(128 + std::lround(gauss(random) * 4));
        ++counts[static_cast<unsigned>(symbol)];
    }
    double entropy_bits = 0;
    for (const double count : counts) entropy_bits -= count == 0 ? 0 : count * std::log2(count / 4096);
    EXPECT_LT(static_cast<double>(check(symbols)), entropy_bits / 8 * 1.02 + 50);
}

TEST_F(SymbolsTest, RareSymbolsAreKept) {
    Bytes symbols(4096, std::byte{0});
    for (unsigned i = 0; i < 256; ++i) symbols[i * 16] = static_cast<std::byte>(i);
    check(symbols);
}

TEST_F(SymbolsTest, ADamagedStreamIsRefusedOrGivesOtherSymbols) {
    std::mt19937_64 random{4};
    Bytes symbols(2000);
    for (std::byte &symbol : symbols) symbol = static_cast<std::byte>(random() % 20);
    const Bytes bytes = encode(symbols);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        Bytes decoded(symbols.size());
        ByteReader in{std::span{bytes}.first(size)};
        EXPECT_FALSE(decode_symbols(in, decoded.size(), 0, decoded).ok());
    }
}

class ClassesTest : public testing::Test {
protected:
    using Unsigned = std::vector<std::uint64_t>;
    static Bytes encode(const Unsigned &numbers) {
        Bytes symbols(numbers.size());
        Bytes bytes(700 + 9 * numbers.size());
        ByteWriter out{bytes};
        EXPECT_TRUE(encode_classes(numbers, symbols, out).ok());
        bytes.resize(out.size());
        return bytes;
    }
    static Bytes check(const Unsigned &numbers) {
        const Bytes bytes = encode(numbers);
        const StreamParts parts{numbers.size()};
        for (std::size_t p = 0; p < parts.count(); ++p) {
            for (const std::size_t end : {parts.begin(p) + 1, parts.end(p), numbers.size()}) {
                Unsigned decoded(end - parts.begin(p), 99);
                ByteReader in{bytes};
                const Status status = decode_classes(in, numbers.size(), parts.begin(p), decoded);
                EXPECT_TRUE(status.ok()) << status.message << ", " << decoded.size() << " from " << parts.begin(p);
                EXPECT_TRUE(in.status_at_end().ok());
                EXPECT_TRUE(
                    std::equal(decoded.begin(), decoded.end(), numbers.begin() + static_cast<std::ptrdiff_t>(parts.begin(p))));
            }
        }
        return bytes;
    }
};

TEST_F(ClassesTest, KeepEveryMagnitude) {
    std::mt19937_64 random{10};
    for (unsigned width = 0; width <= kClassWidthMax + 3; ++width) {
        const std::uint64_t end = std::uint64_t{1} << width;
        for (const std::size_t count : {1u, 2u, 100u, 1024u, 4096u}) {
            Unsigned numbers(count);
            for (std::uint64_t &number : numbers) number = random() % end;
            numbers.back() = end - 1;
            check(numbers);
        }
    }
}

TEST_F(ClassesTest, NumbersOfAllMagnitudesTakeTheirOwnBits) {
    std::mt19937_64 random{11};
    Unsigned numbers(4096);
    std::size_t bits = 0;
    for (std::uint64_t &number : numbers) {
        const unsigned width = random() % 41;
        number = (random() | std::uint64_t{1} << 63) >> 1 >> (63 - width);
        bits += width < 3 ? 0 : width - 3;
    }
    EXPECT_LT(check(numbers).size(), bits / 8 + 4096 * 8 / 8 + 300);
}

TEST_F(ClassesTest, ADamagedStreamIsRefusedOrGivesOtherNumbers) {
    std::mt19937_64 random{12};
    Unsigned numbers(2000);
    for (std::uint64_t &number : numbers) number = random() >> (30 + random() % 34);
    const Bytes bytes = encode(numbers);
    for (std::size_t size = 0; size < bytes.size(); size += 7) {
        Unsigned decoded(numbers.size());
        ByteReader in{std::span{bytes}.first(size)};
        EXPECT_FALSE(decode_classes(in, decoded.size(), 0, decoded).ok());
    }
    for (std::size_t at = 0; at < bytes.size(); ++at) {
        Bytes damaged = bytes;
        damaged[at] ^= std::byte{0x55};
        Unsigned decoded(numbers.size());
        ByteReader in{damaged};
        static_cast<void>(decode_classes(in, decoded.size(), 0, decoded));
    }
}

TEST(Nulls, KeepMasksOfEveryShape) {
    std::mt19937_64 random{5};
    for (const std::size_t count : {1u, 7u, 8u, 9u, 100u, 4096u}) {
        for (const unsigned every : {1u, 2u, 3u, 100u, 5000u}) {
            std::vector<std::uint8_t> nulls(count);
            for (std::uint8_t &null : nulls) null = random() % every == 0;
            Bytes bytes(nulls_bytes_max(count));
            ByteWriter out{bytes};
            ASSERT_TRUE(encode_nulls(nulls, out).ok());
            std::vector<std::uint8_t> decoded(count);
            ByteReader in{out.written()};
            std::uint32_t null_count = 0;
            ASSERT_TRUE(decode_nulls(in, decoded, &null_count).ok());
            EXPECT_TRUE(in.status_at_end().ok());
            EXPECT_EQ(decoded, nulls);
            EXPECT_EQ(null_count, std::count(nulls.begin(), nulls.end(), 1));
        }
    }
}

TEST(General, WithoutMemoryNothingIsCompressed) {
    TestArena dry{1000};
    Compressor compressor{dry, Effort::normal};
    const Bytes bytes(10000);
    Bytes frame(10000);
    EXPECT_EQ(compressor.compress(bytes, frame), 0u);
}

TEST(General, HighEffortIsDecompressedAlike) {
    std::mt19937_64 random{8};
    for (const std::size_t size : {std::size_t{1}, std::size_t{1000}, std::size_t{100'000}, std::size_t{5'000'000}}) {
        Bytes bytes(size);
        for (std::byte &byte : bytes) byte = static_cast<std::byte>('a' + random() % 8 * (random() % 4 / 3));
        std::size_t sizes[2] = {};
        for (const Effort effort : {Effort::normal, Effort::high}) {
            TestArena arena;
            Compressor compressor{arena, effort};
            Bytes frame(size + 1000);
            for (int twice = 0; twice < 2; ++twice) sizes[static_cast<int>(effort)] = compressor.compress(bytes, frame);
            frame.resize(sizes[static_cast<int>(effort)]);
            ASSERT_FALSE(frame.empty());
            EXPECT_EQ(declared_content(frame), size);
            Bytes decompressed(size);
            ASSERT_TRUE(decompress(frame, decompressed).ok());
            EXPECT_EQ(decompressed, bytes);
        }
        EXPECT_LE(sizes[1], sizes[0]) << size;
    }
}

TEST(General, RefusesBytesThatAreNoFrame) {
    Bytes frame(100, std::byte{7});
    Bytes bytes(100);
    EXPECT_EQ(decompress(frame, bytes).code, StatusCode::corrupt);
    EXPECT_EQ(decompress({}, bytes).code, StatusCode::corrupt);
}

}  // namespace
}  // namespace historian::test
