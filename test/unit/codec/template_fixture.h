// What the tests of templates share: messages to bytes and back, all at once and row by row.
#pragma once

#include <list>

#include "codec/templates.h"
#include "codec_fixture.h"

namespace historian::test {

using Messages = std::vector<std::string>;

struct EncodedMessages {
    Bytes model;
    std::vector<Bytes> granules;
    std::vector<std::vector<std::uint32_t>> rows;  // of each granule: the messages in it

    std::size_t size() const {
        std::size_t bytes = model.size();
        for (const Bytes &granule : granules) bytes += granule.size();
        return bytes;
    }
};

inline std::string text_of(const DecodedTexts &texts, std::size_t row) {
    const std::uint64_t begin = texts.offsets[texts.entry_of_row[row]];
    const std::uint64_t end = texts.offsets[texts.entry_of_row[row] + 1];
    return {reinterpret_cast<const char *>(texts.data) + begin, static_cast<std::size_t>(end - begin)};
}

class TemplateTest : public CodecTest {
protected:
    /// Consecutive granules of so many messages; backwards: each in the opposite order.
    EncodedMessages encode_messages(const Messages &messages, std::uint32_t granule_rows = kStreamValuesMax,
                                    bool backwards = false) {
        TemplateBuilder *builder = nullptr;
        EXPECT_TRUE(create_template_builder(arena_, &builder).ok());
        for (const std::string &message : messages) {
            const Text text{reinterpret_cast<const std::byte *>(message.data()), static_cast<std::uint32_t>(message.size())};
            EXPECT_TRUE(add_message(*builder, text).ok());
        }
        EXPECT_TRUE(choose_templates(*builder, space_).ok());
        EncodedMessages encoded;
        encoded.model = encode(template_model_bytes_max(*builder),
                               [&](ByteWriter &out) { return encode_template_model(*builder, space_, out); });
        for (std::uint32_t first = 0; first < messages.size(); first += granule_rows) {
            std::vector<std::uint32_t> rows;
            for (std::uint32_t i = first; i < messages.size() && i < first + granule_rows; ++i) rows.push_back(i);
            if (backwards) rows = {rows.rbegin(), rows.rend()};
            encoded.granules.push_back(encode(template_granule_bytes_max(*builder, rows), [&](ByteWriter &out) {
                return encode_template_granule(*builder, rows, space_, out);
            }));
            encoded.rows.push_back(rows);
        }
        return encoded;
    }

    TemplateModel *parse(const EncodedMessages &encoded) {
        TemplateModel *model = nullptr;
        const Status status = parse_template_model(encoded.model, arena_, &model);
        EXPECT_TRUE(status.ok()) << status.message;
        return model;
    }

    TemplateGranule *open(const TemplateModel &model, const EncodedMessages &encoded, std::size_t granule, Arena &arena) {
        TemplateGranule *opened = nullptr;
        const auto rows = static_cast<std::uint32_t>(encoded.rows[granule].size());
        const Status status = open_template_granule(model, encoded.granules[granule], rows, arena, &opened);
        EXPECT_TRUE(status.ok()) << status.message;
        return opened;
    }

    void check_decoded(const EncodedMessages &encoded, const Messages &messages) {
        const TemplateModel *model = parse(encoded);
        for (std::size_t g = 0; g < encoded.granules.size(); ++g) {
            const std::vector<std::uint32_t> &rows = encoded.rows[g];
            TestArena arena;
            TemplateGranule *granule = open(*model, encoded, g, arena);
            DecodedTexts texts;
            const Status status = decode_template_granule(*granule, &texts);
            ASSERT_TRUE(status.ok()) << status.message;
            for (std::size_t i = 0; i < rows.size(); ++i) ASSERT_EQ(text_of(texts, i), messages[rows[i]]) << i;

            // Some rows, each alone and all of them together, by granules that have decoded nothing yet.
            std::vector<std::uint32_t> wanted;
            for (std::uint32_t i = 0; i < rows.size(); i += 1 + static_cast<std::uint32_t>(rows.size()) / 23) wanted.push_back(i);
            for (const std::uint32_t row : wanted) {
                TestArena row_arena;
                TemplateGranule *fresh = open(*model, encoded, g, row_arena);
                ASSERT_TRUE(decode_template_rows(*fresh, {&row, 1}, &texts).ok());
                ASSERT_EQ(text_of(texts, 0), messages[rows[row]]) << row;
            }
            check_rows(*open(*model, encoded, g, arena), rows, wanted, messages);
            // Neighbours, which are found by going from row to row.
            for (std::uint32_t i = 0; i < wanted.size(); ++i) wanted[i] = static_cast<std::uint32_t>(rows.size() / 3) + i;
            while (wanted.back() >= rows.size()) wanted.pop_back();
            check_rows(*open(*model, encoded, g, arena), rows, wanted, messages);
        }
    }

    void check_rows(TemplateGranule &granule, const std::vector<std::uint32_t> &rows, const std::vector<std::uint32_t> &wanted,
                    const Messages &messages) {
        DecodedTexts texts;
        ASSERT_TRUE(decode_template_rows(granule, wanted, &texts).ok());
        for (std::size_t i = 0; i < wanted.size(); ++i) ASSERT_EQ(text_of(texts, i), messages[rows[wanted[i]]]) << wanted[i];
    }

    /// Encodes, decodes and compares, forwards and backwards.
    /// The encoded bytes live as long as the test, because models point into them.
    const EncodedMessages &check_messages(const Messages &messages, std::uint32_t granule_rows = kStreamValuesMax) {
        check_decoded(encode_messages(messages, granule_rows, true), messages);
        const EncodedMessages &encoded = checked_.emplace_back(encode_messages(messages, granule_rows));
        check_decoded(encoded, messages);
        return encoded;
    }

    static std::size_t content_of(const Messages &messages) {
        std::size_t bytes = 0;
        for (const std::string &message : messages) bytes += message.size();
        return bytes;
    }

    /// Whether some template's text is this, with "<>" for a hole.
    static bool has_template(const TemplateModel &model, const std::string &wanted) {
        for (std::uint32_t number = 1; number <= template_count(model); ++number) {
            std::string text;
            for (const std::byte letter : template_text(model, number)) {
                if (letter == std::byte{1})
                    text += "<>";
                else
                    text += static_cast<char>(letter);
            }
            if (text == wanted) return true;
        }
        return false;
    }

private:
    std::list<EncodedMessages> checked_;
};

}  // namespace historian::test
