#include "codec_fixture.h"

namespace historian::test {
namespace {

class TextsTest : public CodecTest {
protected:
    Bytes encode_texts_of(const std::vector<std::string> &texts) {
        std::vector<Text> views;
        std::size_t content = 0;
        for (const std::string &text : texts) {
            views.push_back({reinterpret_cast<const std::byte *>(text.data()), static_cast<std::uint32_t>(text.size())});
            content += text.size();
        }
        return encode(texts_bytes_max(texts.size(), content), [&](ByteWriter &out) { return encode_texts(views, space_, out); });
    }
    Bytes check_texts(const std::vector<std::string> &texts) {
        Bytes bytes = encode_texts_of(texts);
        ByteReader in{bytes};
        DecodedTexts decoded;
        Status status = decode_texts(in, static_cast<std::uint32_t>(texts.size()), arena_, &decoded);
        if (status.ok()) status = in.status_at_end();
        EXPECT_TRUE(status.ok()) << status.message;
        for (std::size_t row = 0; row < texts.size() && status.ok(); ++row) {
            const std::uint64_t begin = decoded.offsets[decoded.entry_of_row[row]];
            const std::uint64_t end = decoded.offsets[decoded.entry_of_row[row] + 1];
            EXPECT_EQ(std::string(reinterpret_cast<const char *>(decoded.data) + begin, end - begin), texts[row]);
        }
        return bytes;
    }
};

TEST_F(TextsTest, OneTextRepeatedIsStoredOnce) { EXPECT_LT(check_texts(std::vector<std::string>(4096, "running")).size(), 20u); }

TEST_F(TextsTest, EmptyTextsAreKept) {
    check_texts({""});
    check_texts(std::vector<std::string>(1000));
    check_texts({"", "a", "", "", "b"});
}

TEST_F(TextsTest, FewTextsBecomeADictionary) {
    std::mt19937_64 random{1};
    std::vector<std::string> texts;
    for (int i = 0; i < 4096; ++i) texts.push_back("state " + std::to_string(random() % 4));
    const Bytes bytes = check_texts(texts);
    EXPECT_EQ(id_of(bytes), CodecId::dictionary_texts);
    EXPECT_LT(bytes.size(), 4096 * 2 / 8 + 64u);
}

TEST_F(TextsTest, DistinctTextsAreCompressedTogether) {
    std::vector<std::string> texts;
    std::size_t content = 0;
    for (int i = 0; i < 1000; ++i) {
        texts.push_back("pump " + std::to_string(i * 7919 % 1000) + " failed after " + std::to_string(i * 31 % 977) + " ms");
        content += texts.back().size();
    }
    const Bytes bytes = check_texts(texts);
    EXPECT_EQ(id_of(bytes), CodecId::plain_texts);
    EXPECT_LT(bytes.size(), content / 3);
}

TEST_F(TextsTest, RandomBytesAreStoredAsTheyAre) {
    std::mt19937_64 random{2};
    std::vector<std::string> texts;
    for (int i = 0; i < 1000; ++i) {
        std::string text(16, '\0');
        for (char &letter : text) letter = static_cast<char>(random());
        texts.push_back(text);
    }
    EXPECT_LT(check_texts(texts).size(), 16000u + 32);
}

TEST_F(TextsTest, ZeroBytesAndLargeTextsAreKept) {
    std::string large(3u << 20, '\0');
    for (std::size_t i = 0; i < large.size(); i += 1000) large[i] = static_cast<char>(i);
    check_texts({large, std::string("\0", 1), large + "x", std::string("\0\0", 2)});
}

TEST_F(TextsTest, EveryCutOffStreamIsRefused) {
    for (const std::vector<std::string> &texts : {std::vector<std::string>{"a", "bc", "def", "a", "a", "a", "bc"},
                                                  std::vector<std::string>(3, std::string(100, 'x') + std::string(100, 'y'))}) {
        const Bytes bytes = encode_texts_of(texts);
        for (std::size_t size = 0; size < bytes.size(); ++size) {
            ByteReader in{std::span{bytes}.first(size)};
            DecodedTexts decoded;
            EXPECT_FALSE(decode_texts(in, static_cast<std::uint32_t>(texts.size()), arena_, &decoded).ok());
        }
    }
}

TEST_F(TextsTest, AFrameThatCannotHoldItsContentIsRefusedBeforeMemoryIsTaken) {
    // plain_texts, one length of 2^30, a frame of 4 bytes.
    const std::uint8_t raw[] = {10, 3, 0x80, 0x80, 0x80, 0x80, 0x08, 4, 0x28, 0xb5, 0x2f, 0xfd};
    ByteReader in{std::as_bytes(std::span{raw})};
    DecodedTexts decoded;
    TestArena small{64 * 1024};
    EXPECT_EQ(decode_texts(in, 1, small, &decoded).code, StatusCode::corrupt);
}

}  // namespace
}  // namespace historian::test
