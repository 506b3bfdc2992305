// The bit cursors and the sorting of numbers.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "codec/bit_reader.h"
#include "codec/bit_writer.h"
#include "codec/number_sort.h"

namespace historian::test {
namespace {

using codec::BitReader;
using codec::BitWriter;

TEST(Bits, ComeBackAsTheyWereWritten) {
    const unsigned seed = std::random_device{}();
    SCOPED_TRACE(seed);
    std::mt19937_64 random{seed};
    for (int round = 0; round < 200; ++round) {
        struct Code {
            bool is_rice = false;
            unsigned width = 0;
            std::uint64_t number = 0;
        };
        std::vector<Code> codes(random() % 300);
        std::vector<std::byte> room(64 + codes.size() * 64);
        BitWriter out{room};
        std::size_t bit_count = 0;
        for (Code &code : codes) {
            code.is_rice = random() % 2 == 0;
            code.width = static_cast<unsigned>(random() % (code.is_rice ? 17 : 33));
            code.number = random() & ((std::uint64_t{1} << code.width) - 1);
            if (code.is_rice) code.number |= (random() % (random() % 20 == 0 ? 300 : 8)) << code.width;
            if (code.is_rice) out.rice(code.number, code.width);
            if (!code.is_rice) out.bits(code.number, code.width);
            bit_count += code.is_rice ? codec::rice_bits(code.number, code.width) : code.width;
            ASSERT_EQ(out.bit_count(), bit_count);
        }
        out.finish();
        ASSERT_TRUE(out.status().ok());
        ASSERT_EQ(out.written().size(), (bit_count + 7) / 8);
        const std::vector<std::byte> exact(out.written().begin(), out.written().end());
        BitReader in{exact};
        for (const Code &code : codes) {
            ASSERT_EQ(code.is_rice ? in.rice(code.width, 300) : in.bits(code.width), code.number);
        }
        EXPECT_EQ(in.bits(57), 0u);
    }
}

TEST(Bits, AreNotWrittenWithoutRoom) {
    std::byte room[6] = {};
    BitWriter out{{room, 5}};
    for (int i = 0; i < 40; ++i) out.bits(1, 1);
    out.bits(1, 1);
    out.finish();
    EXPECT_EQ(out.status().code, StatusCode::no_room);
    EXPECT_EQ(room[5], std::byte{0});
}

TEST(Bits, EndInZeros) {
    const std::byte bytes[] = {std::byte{0x80}};
    BitReader in{bytes};
    EXPECT_EQ(in.rice(0, 100), 7u);
    EXPECT_EQ(in.peek(), 0u);
    EXPECT_GT(in.rice(0, 100), 100u);
    EXPECT_GT(in.rice(16, 100), std::uint64_t{100} << 16);
    EXPECT_EQ(BitReader{{}}.peek(), 0u);
}

TEST(NumberSort, Sorts) {
    const unsigned seed = std::random_device{}();
    SCOPED_TRACE(seed);
    std::mt19937_64 random{seed};
    for (const std::size_t count : {0u, 1u, 2u, 255u, 256u, 257u, 5000u}) {
        for (unsigned bits = 1; bits <= 32; ++bits) {
            std::vector<std::uint32_t> values(count);
            for (std::uint32_t &value : values) value = static_cast<std::uint32_t>(random() & ((std::uint64_t{1} << bits) - 1));
            std::vector<std::uint32_t> sorted = values;
            std::vector<std::uint32_t> scratch(count);
            std::sort(sorted.begin(), sorted.end());
            codec::sort_numbers(values.data(), scratch.data(), count, bits);
            ASSERT_EQ(values, sorted) << bits;
        }
    }
}

}  // namespace
}  // namespace historian::test
