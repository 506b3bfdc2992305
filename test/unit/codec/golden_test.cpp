// The bytes on disk never change: what version 1 wrote is written again, bit for bit, and read for ever.
//
// test/golden/v1/<name>.hex holds the bytes. A file that is missing is written by HISTORIAN_WRITE_GOLDEN=1; none is ever written
// again after its version was released.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <optional>

#include "codec/nulls.h"
#include "codec/prediction.h"
#include "template_fixture.h"

namespace historian::test {
namespace {

/// The same numbers on every machine, unlike std::normal_distribution.
class Steps {
public:
    std::uint64_t next() {
        state_ = state_ * 6364136223846793005u + 1442695040888963407u;
        return state_ >> 33;
    }
    /// Roughly a bell around 0, of the given width.
    std::int64_t bell(std::int64_t width) {
        std::int64_t sum = 0;
        for (int i = 0; i < 4; ++i) sum += static_cast<std::int64_t>(next() % static_cast<std::uint64_t>(width));
        return sum / 4 - width / 2;
    }

private:
    std::uint64_t state_ = 1;
};

std::string to_hex(const Bytes &bytes) {
    std::string hex;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        char digits[4];
        std::snprintf(digits, sizeof digits, "%02x", static_cast<unsigned>(bytes[i]));
        hex += digits;
        hex += i % 32 == 31 || i + 1 == bytes.size() ? '\n' : i % 4 == 3 ? ' ' : '\0';
        if (hex.back() == '\0') hex.pop_back();
    }
    return hex;
}

Bytes from_hex(const std::string &hex) {
    Bytes bytes;
    std::string digits;
    for (const char digit : hex) {
        if (std::isxdigit(static_cast<unsigned char>(digit)) == 0) continue;
        digits += digit;
        if (digits.size() < 2) continue;
        bytes.push_back(static_cast<std::byte>(std::strtoul(digits.c_str(), nullptr, 16)));
        digits.clear();
    }
    return bytes;
}

class GoldenTest : public TemplateTest {
protected:
    /// The bytes of the file; empty, with a failure, when there is none.
    Bytes golden(const std::string &name, const Bytes &encoded) {
        const std::string path = std::string(HISTORIAN_GOLDEN_DIR) + "/" + name + ".hex";
        std::ifstream file{path};
        if (!file && std::getenv("HISTORIAN_WRITE_GOLDEN") != nullptr) {
            std::ofstream{path} << to_hex(encoded);
            file.open(path);
        }
        EXPECT_TRUE(file.good()) << path;
        const std::string hex{std::istreambuf_iterator<char>(file), {}};
        return from_hex(hex);
    }
    void check_integers_golden(const std::string &name, CodecId id, const Numbers &values,
                               std::optional<Prediction> prediction = {}) {
        const Bytes encoded = check_integers(values);
        EXPECT_EQ(id_of(encoded), id) << name;
        if (prediction) {
            EXPECT_EQ(static_cast<Prediction>(static_cast<unsigned>(encoded.at(1)) & 7), *prediction) << name;
        }
        const Bytes bytes = golden(name, encoded);
        EXPECT_EQ(to_hex(encoded), to_hex(bytes)) << name;
        Numbers decoded(values.size());
        EXPECT_TRUE(decode_integers_of(bytes, decoded).ok()) << name;
        EXPECT_EQ(decoded, values) << name;
    }
    void check_floats_golden(const std::string &name, CodecId id, const Numbers &values, FloatSize size) {
        const Bytes encoded = check_floats(values, size);
        EXPECT_EQ(id_of(encoded), id) << name;
        const Bytes bytes = golden(name, encoded);
        EXPECT_EQ(to_hex(encoded), to_hex(bytes)) << name;
        Numbers decoded(values.size());
        ByteReader in{bytes};
        EXPECT_TRUE(decode_floats(in, size, decoded, arena_).ok()) << name;
        EXPECT_EQ(decoded, values) << name;
    }
    /// same_bytes: not for texts that zstd compresses, whose frames depend on its version.
    void check_texts_golden(const std::string &name, CodecId id, const std::vector<std::string> &texts, bool same_bytes) {
        std::vector<Text> views;
        std::size_t content = 0;
        for (const std::string &text : texts) {
            views.push_back({reinterpret_cast<const std::byte *>(text.data()), static_cast<std::uint32_t>(text.size())});
            content += text.size();
        }
        const Bytes encoded =
            encode(texts_bytes_max(texts.size(), content), [&](ByteWriter &out) { return encode_texts(views, space_, out); });
        EXPECT_EQ(id_of(encoded), id) << name;
        const Bytes bytes = golden(name, encoded);
        if (same_bytes) {
            EXPECT_EQ(to_hex(encoded), to_hex(bytes)) << name;
        }
        ByteReader in{bytes};
        DecodedTexts decoded;
        ASSERT_TRUE(decode_texts(in, static_cast<std::uint32_t>(texts.size()), arena_, &decoded).ok()) << name;
        for (std::size_t row = 0; row < texts.size(); ++row) {
            const std::uint64_t begin = decoded.offsets[decoded.entry_of_row[row]];
            const std::uint64_t end = decoded.offsets[decoded.entry_of_row[row] + 1];
            EXPECT_EQ(std::string(reinterpret_cast<const char *>(decoded.data) + begin, end - begin), texts[row]) << name;
        }
    }
};

TEST_F(GoldenTest, IntegersOfVersion1) {
    Steps steps;
    const auto packed = CodecId::packed_integers;
    check_integers_golden("integers_constant", CodecId::constant_integers, Numbers(10, -42));
    check_integers_golden("integers_linear", CodecId::linear_integers, make_numbers(10, [](std::size_t i) {
                              return 820454400000000 + static_cast<std::int64_t>(i) * 1000000;
                          }));
    check_integers_golden("integers_packed_none", packed, {5, 900, 17, 1023, 512, 3, 77, 640, 31, 999, 222, 808},
                          Prediction::none);
    std::int64_t level = 1000;
    check_integers_golden("integers_packed_level", packed,
                          make_numbers(50, [&](std::size_t) { return level += 3 + steps.next() % 4; }), Prediction::level);
    std::int64_t slope = 0;
    std::int64_t value = 0;
    check_integers_golden("integers_packed_slope", packed,
                          make_numbers(50, [&](std::size_t) { return value += slope += steps.next() % 3; }), Prediction::slope);
    check_integers_golden(
        "integers_packed_drift", packed,
        make_numbers(400,
                     [&](std::size_t i) { return static_cast<std::int64_t>(i < 200 ? i : 400 - i) * 60 + steps.bell(8000); }),
        Prediction::drift);
    check_integers_golden(
        "integers_packed_line", packed,
        make_numbers(60, [&](std::size_t i) { return static_cast<std::int64_t>(i) * 10000 + steps.next() % 400; }),
        Prediction::line);
    check_integers_golden("integers_packed_divisor", packed, {7000, 1000, 3000, 250000, 9000, 111000, 42000, 5000});
    // Hundredths of a degree from a converter of 1/16.
    check_integers_golden("integers_stepped", CodecId::stepped_integers, make_numbers(300, [&](std::size_t i) {
                              return (static_cast<std::int64_t>(400 + i * 7 % 31 + i / 8) * 100 + 8) / 16;
                          }));
    check_integers_golden("integers_packed_patches", packed, make_numbers(100, [&](std::size_t i) {
                              return i % 40 == 9 ? INT64_MAX - static_cast<std::int64_t>(i)
                                                 : static_cast<std::int64_t>(steps.next() % 16);
                          }));
    check_integers_golden("integers_packed_symbols", packed, make_numbers(300, [&](std::size_t) { return steps.bell(60); }));
    check_integers_golden("integers_packed_symbols_of_parts", packed,
                          make_numbers(1100, [&](std::size_t) { return steps.bell(60); }));
    check_integers_golden("integers_packed_64_bits", packed, {INT64_MIN, INT64_MAX, 0, -1, 1, INT64_MIN + 12345, 99});
    check_integers_golden("integers_runs", CodecId::run_length_integers,
                          make_numbers(200, [](std::size_t i) { return static_cast<std::int64_t>(i / 30 * 7919 % 1000); }));
    check_integers_golden("integers_few", CodecId::few_integers, make_numbers(100, [&](std::size_t) {
                              return static_cast<std::int64_t>((steps.next() % 5 + 1) * 0x9E3779B97F4A7C15u);
                          }));
}

TEST_F(GoldenTest, IntegersInPartsOfVersion1) {
    Steps steps;
    const auto packed = CodecId::packed_integers;
    std::int64_t level = 820454400000000;
    check_integers_golden("integers_packed_level_of_parts", packed,
                          make_numbers(1026, [&](std::size_t) { return level += steps.next() % 3; }), Prediction::level);
    std::int64_t slope = 0;
    std::int64_t value = 0;
    check_integers_golden("integers_packed_slope_of_parts", packed,
                          make_numbers(1030, [&](std::size_t) { return value += slope += steps.next() % 2; }), Prediction::slope);
    check_integers_golden("integers_packed_drift_of_parts", packed,
                          make_numbers(1100,
                                       [&](std::size_t i) {
                                           return static_cast<std::int64_t>(i % 600 < 300 ? i % 600 : 600 - i % 600) * 60 +
                                                  steps.bell(8000);
                                       }),
                          Prediction::drift);
}

TEST_F(GoldenTest, JoinedAndClassesOfVersion1) {
    Steps steps;
    const auto packed = CodecId::packed_integers;
    // A meter's pulses, and another meter's.
    check_integers_golden("integers_joined", CodecId::joined_integers, make_numbers(700, [&](std::size_t i) {
                              const auto count = static_cast<std::int64_t>(40000 + i * 977 % 613);
                              return i < 300 ? count * 6000000 / 79 : count * 6000000 / 83;
                          }));
    const auto spike = [&](unsigned every) {
        return steps.next() % every != 0 ? 0 : static_cast<std::int64_t>(steps.next() >> steps.next() % 30);
    };
    check_integers_golden("integers_classes", packed, make_numbers(300, [&](std::size_t) { return spike(3); }));
    std::int64_t spiked = 0;
    check_integers_golden("integers_signed_classes_of_parts", packed,
                          make_numbers(1100, [&](std::size_t i) { return spiked += i % 2 == 0 ? spike(2) : -spike(2); }),
                          Prediction::level);
}

TEST_F(GoldenTest, NearDecimalsOfVersion1) {
    Steps steps;
    check_floats_golden("float8_near_decimal", CodecId::near_decimal_floats,
                        make_numbers(100,
                                     [&](std::size_t i) {
                                         const double decimal =
                                             static_cast<double>(steps.next() % 4000) / (i % 2 == 0 ? 100 : -100);
                                         return i == 50 ? bits(1e300) : bits(decimal) + static_cast<std::int64_t>(i % 5) - 2;
                                     }),
                        FloatSize::eight);
    check_floats_golden(
        "float8_widened", CodecId::widened_floats,
        make_numbers(60, [&](std::size_t) { return bits(static_cast<double>(static_cast<float>(steps.next() % 900) / 10)); }),
        FloatSize::eight);
}

TEST_F(GoldenTest, FloatsOfVersion1) {
    Steps steps;
    check_floats_golden("float8_decimal", CodecId::decimal_floats,
                        {bits(20.25), bits(20.5), bits(-3.75), bits(19.99), bits(1e10), bits(0.0)}, FloatSize::eight);
    Numbers exceptions = make_numbers(40, [](std::size_t i) { return bits(static_cast<double>(i) / 10); });
    exceptions[0] = bits(-0.0);
    exceptions[20] = 0x7ff0000000000001;
    exceptions[39] = bits(-1e300);
    check_floats_golden("float8_decimal_exceptions", CodecId::decimal_floats, exceptions, FloatSize::eight);
    check_floats_golden("float8_ordered", CodecId::ordered_floats,
                        make_numbers(40,
                                     [&](std::size_t i) {
                                         const double noise = static_cast<double>(steps.next()) / 7919.0;
                                         return i == 7 ? bits(-0.0) : bits(i % 2 == 0 ? noise : -noise);
                                     }),
                        FloatSize::eight);
    check_floats_golden("float4_decimal", CodecId::decimal_floats,
                        make_numbers(40, [](std::size_t i) { return bits(static_cast<float>(i) / 10); }), FloatSize::four);
    check_floats_golden(
        "float4_ordered", CodecId::ordered_floats,
        make_numbers(40,
                     [&](std::size_t i) {
                         return i == 7 ? bits(-0.0f) : bits(static_cast<float>(steps.next()) / (i % 2 == 0 ? 7919.0f : -7919.0f));
                     }),
        FloatSize::four);
}

TEST_F(GoldenTest, TextsOfVersion1) {
    check_texts_golden("texts_plain", CodecId::plain_texts, {"a", "", std::string("zero\0byte", 9), "\xff"}, true);
    check_texts_golden("texts_dictionary", CodecId::dictionary_texts, {"on", "off", "on", "on", "off", "on", "on", "fault"},
                       false);
    std::vector<std::string> messages;
    for (int i = 0; i < 20; ++i) messages.push_back("pump " + std::to_string(i * 7919 % 100) + " failed");
    check_texts_golden("texts_compressed", CodecId::plain_texts, messages, false);
}

TEST_F(GoldenTest, NullsOfVersion1) {
    const auto check = [&](const std::string &name, const std::vector<std::uint8_t> &nulls) {
        const Bytes encoded = encode(nulls_bytes_max(nulls.size()), [&](ByteWriter &out) { return encode_nulls(nulls, out); });
        const Bytes bytes = golden(name, encoded);
        EXPECT_EQ(to_hex(encoded), to_hex(bytes)) << name;
        std::vector<std::uint8_t> decoded(nulls.size());
        std::uint32_t count = 0;
        ByteReader in{bytes};
        EXPECT_TRUE(decode_nulls(in, decoded, &count).ok());
        EXPECT_EQ(decoded, nulls);
    };
    check("nulls_bitmap", {1, 0, 1, 0, 1, 1, 0, 0, 1, 0, 1});
    std::vector<std::uint8_t> runs(300, 0);
    std::fill_n(runs.begin() + 20, 200, 1);
    check("nulls_runs", runs);
}

/// Messages with every kind of hole, some without a template, words that the dictionary lacks, and guesses.
Messages golden_messages() {
    Messages messages = {std::string("a \x01 mark", 8), "the only one like this", ""};
    Steps steps;
    for (int i = 0; i < 150; ++i) {
        const std::string number = std::to_string(100 + steps.next() % 900);
        const std::string process = std::to_string(7 * (steps.next() % 3) + 4000);
        messages.push_back("Feb  " + std::to_string(i / 60 + 1) + " 10:11:" + std::to_string(10 + i / 3) + " app[" + process +
                           "]: took " + number + ".5 ms, code 0x0" + std::to_string(i % 10) + " by user" +
                           std::to_string(i / 20));
        if (i % 3 == 0)
            messages.push_back("request a1b2c3d4e5f60" + number + " of 0a:1b:2c:3d:4e:" + std::to_string(10 + i % 89) + " E" +
                               number + "F00 ends");
        if (i % 10 == 0)
            messages.push_back("word x1y2z3w4v" + number + " in 01234567-89ab-cdef-0123-456789abc" + number + " of -" + number);
        if (i % 15 == 0)
            messages.push_back("part 0" + std::to_string(i) +
                               (i % 2 == 0 ? " opened by the new door" : " closed by the new door"));
    }
    return messages;
}

TEST_F(GoldenTest, TemplatesOfVersion1) {
    const Messages messages = golden_messages();
    EncodedMessages encoded = encode_messages(messages);
    ASSERT_EQ(encoded.granules.size(), 1u);
    EXPECT_EQ(id_of(encoded.model), CodecId::template_model);
    EXPECT_EQ(id_of(encoded.granules[0]), CodecId::template_texts);
    // Later versions may find other templates; what was written must be read.
    encoded.model = golden("template_model", encoded.model);
    encoded.granules[0] = golden("template_texts", encoded.granules[0]);
    check_decoded(encoded, messages);
}

}  // namespace
}  // namespace historian::test
