// The parts of the template codec: times inside messages, holes as text, blocks of texts, template numbers.
#include "codec/hole_text.h"
#include "codec/message_parser.h"
#include "codec/template_numbers.h"
#include "codec/text_block.h"
#include "codec/time_pattern.h"
#include "template_fixture.h"

namespace historian::test {
namespace {

std::string time_again(const std::string &text, std::uint32_t *bytes) {
    const auto *begin = reinterpret_cast<const std::uint8_t *>(text.data());
    const FoundTime found = find_time(begin, begin + text.size());
    *bytes = found.byte_count;
    if (found.byte_count == 0) return "";
    EXPECT_TRUE(is_time_format(found.format));
    std::uint8_t written[kTimeBytesMax];
    const std::uint32_t size = write_time(found.format, found.value, written);
    return {reinterpret_cast<const char *>(written), size};
}

TEST(TimePattern, TimesAreWrittenAsTheyWere) {
    for (const std::string text :
         {"2026-01-31 23:59:59.123456789", "2026-12-01T00:00:00", "2199-02-31", "1970/01/01 10:11:12,5", "31/Jan/2026:10:00:00",
          "Feb  9 01:02:03", "Feb 28 01:02:03.25", "10:11:12.000001", "00:00:00", "2026-01-31T10:11:12.123456"}) {
        std::uint32_t bytes = 0;
        EXPECT_EQ(time_again(text, &bytes), text);
        EXPECT_EQ(bytes, text.size());
        EXPECT_EQ(time_again(text + "Z", &bytes), text);
    }
}

TEST(TimePattern, WhatIsNoTimeIsLeft) {
    for (const std::string text :
         {"24:00:00", "10:61:00", "2026-13-01", "2026-00-10", "1969-01-01", "2026-01-32", "Feb 09 01:02:03 ", "Foo  9 01:02:03",
          "10:11:122", "10:11:12:13:14:15", "1/Jan/2026:10:00:00", "31/Jan/2026 10:00:00 ", "10:11"}) {
        std::uint32_t bytes = 0;
        EXPECT_EQ(time_again(text, &bytes), "") << text;
    }
}

TEST(TimePattern, AnyNumberOfAnyFormatHasAText) {
    std::mt19937_64 random{1};
    for (std::uint32_t format = 0; format < 0x800; ++format) {
        if (!is_time_format(format)) continue;
        for (int i = 0; i < 20; ++i) {
            std::uint8_t text[kTimeBytesMax];
            EXPECT_LE(write_time(static_cast<std::uint16_t>(format), static_cast<std::int64_t>(random()), text), kTimeBytesMax);
        }
    }
}

TEST(HoleText, ExtremesFit) {
    for (const std::int64_t value : {INT64_MIN, INT64_MAX, std::int64_t{0}, std::int64_t{-1}}) {
        for (unsigned kind = 1; kind <= static_cast<unsigned>(HoleKind::mac); ++kind) {
            for (const std::uint16_t width : {0, 1, 16, 18}) {
                if (static_cast<HoleKind>(kind) == HoleKind::time || static_cast<HoleKind>(kind) == HoleKind::word) continue;
                std::uint8_t text[64];
                EXPECT_LE(write_hole({static_cast<HoleKind>(kind), width}, value, text) - text, kHoleBytesMax);
            }
        }
    }
    const auto written = [](HoleType type, std::int64_t value) {
        std::uint8_t text[kHoleBytesMax];
        return std::string(reinterpret_cast<const char *>(text), static_cast<std::size_t>(write_hole(type, value, text) - text));
    };
    EXPECT_EQ(written({HoleKind::number, 0}, INT64_MIN), "-9223372036854775808");
    EXPECT_EQ(written({HoleKind::decimal, 3}, -5), "-0.005");
    EXPECT_EQ(written({HoleKind::decimal, 1}, 1234), "123.4");
    EXPECT_EQ(written({HoleKind::hex_upper, 0}, 0xab), "AB");
    EXPECT_EQ(written({HoleKind::hex_lower, 4}, 0xab), "00ab");
    EXPECT_EQ(written({HoleKind::mac, 0}, 0x0a1b2c3d4e5f), "0a:1b:2c:3d:4e:5f");
    EXPECT_EQ(written({HoleKind::uuid_high, 0}, 0x0123456789abcdef), "01234567-89ab-cdef-");
    EXPECT_EQ(written({HoleKind::uuid_low, 0}, 0x0123456789abcdef), "0123-456789abcdef");
}

class TextBlockTest : public CodecTest {};

TEST_F(TextBlockTest, AnyNumberOfTextsIsKept) {
    for (const std::size_t count : {0u, 1u, 2u, 5000u, 20000u}) {
        Messages messages;
        std::vector<Text> texts;
        std::size_t content = 0;
        for (std::size_t i = 0; i < count; ++i) messages.push_back(std::string(i % 5, 'a') + std::to_string(i));
        for (const std::string &message : messages) {
            texts.push_back({reinterpret_cast<const std::byte *>(message.data()), static_cast<std::uint32_t>(message.size())});
            content += message.size();
        }
        const Bytes bytes =
            encode(text_block_bytes_max(count, content), [&](ByteWriter &out) { return encode_text_block(texts, space_, out); });
        ByteReader in{bytes};
        TextBlock block;
        ASSERT_TRUE(decode_text_block(in, count, arena_, &block).ok());
        EXPECT_TRUE(in.status_at_end().ok());
        for (std::uint32_t i = 0; i < count; ++i) {
            ASSERT_EQ(std::string(reinterpret_cast<const char *>(block[i].data()), block[i].size()), messages[i]);
        }
    }
}

TEST_F(TextBlockTest, MoreTextsThanBytesCanHoldAreRefusedBeforeMemoryIsTaken) {
    const Bytes bytes(8);
    ByteReader in{bytes};
    TextBlock block;
    TestArena small{64 * 1024};
    EXPECT_EQ(decode_text_block(in, 1u << 30, small, &block).code, StatusCode::corrupt);
}

class TemplateNumbersTest : public CodecTest {
protected:
    std::size_t check(const std::vector<std::uint32_t> &numbers, std::uint8_t expected_order) {
        std::uint8_t order = 0;
        const Bytes bytes = encode(4 * integers_bytes_max(numbers.size()), [&](ByteWriter &out) {
            return encode_template_numbers(numbers, followers(), space_, out, &order);
        });
        EXPECT_EQ(order, expected_order);
        std::vector<std::uint32_t> decoded(numbers.size());
        ByteReader in{bytes};
        EXPECT_TRUE(decode_template_numbers(in, order, followers(), arena_, decoded).ok());
        EXPECT_TRUE(in.status_at_end().ok());
        EXPECT_EQ(decoded, numbers);
        return bytes.size();
    }
    Followers followers() { return {usual_, latest_.data()}; }

    std::vector<std::uint32_t> usual_ = std::vector<std::uint32_t>(1000, 7);
    std::vector<std::uint32_t> latest_ = std::vector<std::uint32_t>(1000);
};

TEST_F(TemplateNumbersTest, SequencesCostNearlyNothing) {
    std::vector<std::uint32_t> numbers;
    for (std::uint32_t i = 0; i < kStreamValuesMax; ++i) numbers.push_back(i * 7919 % 40);
    EXPECT_LT(check(numbers, 1), 100u);
    std::vector<std::uint32_t> both;
    for (int i = 0; i < 2000; ++i) both.push_back(std::uint32_t(i % 4 == 0 ? 3 : i % 4 == 1 ? 5 : i % 4 == 2 ? 3 : 900));
    EXPECT_LT(check(both, 2), 40u);
}

TEST_F(TemplateNumbersTest, NumbersThatJumpAreKeptAsTheyAre) {
    std::vector<std::uint32_t> numbers;
    std::mt19937_64 random{2};
    for (int i = 0; i < 1000; ++i) numbers.push_back(static_cast<std::uint32_t>(random() % 300));
    check(numbers, 0);
    check({7}, 0);
}

TEST_F(TemplateNumbersTest, ANumberBeyondTheModelIsRefused) {
    std::uint8_t order = 0;
    const std::vector<std::uint32_t> numbers = {1, 2, 9};
    const Bytes bytes =
        encode(1000, [&](ByteWriter &out) { return encode_template_numbers(numbers, followers(), space_, out, &order); });
    std::vector<std::uint32_t> decoded(3);
    ByteReader in{bytes};
    const Followers few{followers().usual.first(9), latest_.data()};
    EXPECT_EQ(decode_template_numbers(in, order, few, arena_, decoded).code, StatusCode::corrupt);
}

}  // namespace
}  // namespace historian::test
