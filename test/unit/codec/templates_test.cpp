#include <zstd.h>

#include <cstdlib>
#include <fstream>

#include "template_fixture.h"

namespace historian::test {
namespace {

std::string hex(std::uint64_t value, int digits) {
    char text[32];
    std::snprintf(text, sizeof text, "%0*llx", digits, static_cast<unsigned long long>(value));
    return text;
}

Messages make_messages(std::size_t count, std::uint64_t seed) {
    std::mt19937_64 random{seed};
    const char *users[] = {"root", "admin", "operator", "backup"};
    Messages messages;
    for (std::size_t i = 0; i < count; ++i) {
        const std::string user = users[random() % 4];
        switch (random() % 4) {
            case 0: messages.push_back("client " + hex(random(), 16) + " connected, user=" + user); break;
            case 1:
                messages.push_back("pump-" + std::to_string(random() % 900 + 100) + " at " + std::to_string(random() % 90 + 10) +
                                   "." + std::to_string(random() % 90 + 10) + " bar");
                break;
            case 2: messages.push_back("session of " + user + " closed after " + std::to_string(random() % 5000) + " ms"); break;
            default: messages.push_back("job " + std::to_string(i) + " done"); break;
        }
    }
    return messages;
}

TEST_F(TemplateTest, MessagesFromTemplatesBecomeNumbers) {
    const Messages messages = make_messages(20000, 1);
    const EncodedMessages &encoded = check_messages(messages);
    EXPECT_LT(encoded.size(), content_of(messages) / 7);
    const TemplateModel *model = parse(encoded);
    EXPECT_TRUE(has_template(*model, "job <> done"));
    EXPECT_TRUE(has_template(*model, "pump-<> at <> bar"));
    EXPECT_EQ(id_of(encoded.granules[0]), CodecId::template_texts);
}

TEST_F(TemplateTest, OneMessageAloneIsKept) {
    check_messages({"pump 17 failed"});
    check_messages({""});
    check_messages({std::string("\0", 1)});
}

TEST_F(TemplateTest, AnyBytesAreKept) {
    Messages messages = {"",   "\x01", "a\x01 1", "1\x01", "\xff\xfe 12", std::string("\0 1 \0", 5),
                         "12", "",     "12",      "\r",    "\r",          "7\r"};
    std::mt19937_64 random{2};
    for (int i = 0; i < 2000; ++i) {
        std::string message(random() % 40, '\0');
        for (char &letter : message) letter = static_cast<char>(random() % (i % 2 == 0 ? 256 : 4));
        messages.push_back(message);
    }
    check_messages(messages, 300);
}

TEST_F(TemplateTest, EveryKindOfHoleIsKept) {
    const char *shapes[] = {"n %", "n -%", "x=% y", "(-%)", "v%.%", "-%.%", "%.%.%.%",
                            "0%",  "0x%",  "%s",    "%-%",  "-0",   "-0.0", "00.5"};
    Messages messages;
    std::mt19937_64 random{3};
    for (int i = 0; i < 4000; ++i) {
        std::string message;
        for (const char *at = shapes[random() % std::size(shapes)]; *at != '\0'; ++at) {
            if (*at == '%')
                message += std::to_string(random() >> random() % 64);
            else
                message += *at;
        }
        messages.push_back(message);
    }
    check_messages(messages);
}

TEST_F(TemplateTest, EqualShapesHaveColumnsOfTheirTypes) {
    Messages messages;
    std::mt19937_64 random{4};
    for (int i = 0; i < 300; ++i) {
        const std::uint64_t a = random();
        std::string number = std::to_string(random() % 1000);
        std::string padded = std::string(3 - number.size(), '0') + number;
        if (i == 7) padded = "007";
        const std::string pair = hex(random() % 256, 2);
        messages.push_back("id=" + hex(a | 0xa000000000000000, 16) + " n=" + number + " p=" + padded + " f=" + number +
                           ".25 at 2026-0" + std::to_string(1 + i % 9) + "-11 10:11:" + padded.substr(1).replace(0, 1, "1") +
                           ",123 mac aa:" + pair + ":01:02:03:" + pair + " u 01234567-89ab-cdef-0123-" +
                           hex(a % 4096 + 0xabc000000000, 12));
    }
    const TemplateModel *model = parse(check_messages(messages));
    ASSERT_EQ(template_count(*model), 1u);
    std::vector<HoleType> types;
    for (const std::uint32_t column : template_columns(*model, 1)) {
        types.push_back(hole_type(*model, column));
        EXPECT_EQ(templates_of_column(*model, column).size(), 1u);
    }
    // The upper half of the uuid never varies: it is text.
    ASSERT_EQ(types.size(), 7u);
    EXPECT_EQ(types[0], (HoleType{HoleKind::hex_lower, 16}));
    EXPECT_EQ(types[1].kind, HoleKind::number);
    EXPECT_EQ(types[2], (HoleType{HoleKind::padded, 3}));
    EXPECT_EQ(types[3], (HoleType{HoleKind::decimal, 2}));
    EXPECT_EQ(types[4].kind, HoleKind::time);
    EXPECT_EQ(types[5].kind, HoleKind::mac);
    EXPECT_EQ(types[6].kind, HoleKind::uuid_low);
}

TEST_F(TemplateTest, NumbersOfMixedWidthsWithZerosBecomeWords) {
    Messages messages;
    for (int i = 0; i < 500; ++i)
        messages.push_back("part " + std::string(static_cast<std::size_t>(i % 4), '0') + std::to_string(i % 50));
    const TemplateModel *model = parse(check_messages(messages));
    ASSERT_EQ(template_count(*model), 1u);
    EXPECT_EQ(hole_type(*model, template_columns(*model, 1)[0]).kind, HoleKind::word);
    EXPECT_GT(word_count(*model), 0u);
    EXPECT_FALSE(word_text(*model, 1).empty());
}

TEST_F(TemplateTest, RareTemplatesThatDifferInAWordBecomeOne) {
    const char *names[] = {"ann", "bob", "cyd", "dan", "eve", "fay", "gus", "hal", "ivy", "joe"};
    Messages messages;
    for (int i = 0; i < 20000; ++i) {
        if (i % 100 == 0)
            messages.push_back("session of " + std::string(names[i / 100 % 10]) + " began with number " + std::to_string(i));
        if (i % 100 == 1)
            messages.push_back(std::string(i % 200 == 1 ? "opened" : "closed") + " the valve at " + std::to_string(i));
        messages.push_back("tick " + std::to_string(i));
    }
    const TemplateModel *model = parse(check_messages(messages));
    EXPECT_TRUE(has_template(*model, "session of <> began with number <>"));
    EXPECT_TRUE(has_template(*model, "tick <>"));
    // Two are no variable.
    EXPECT_TRUE(has_template(*model, "opened the valve at <>"));
    EXPECT_TRUE(has_template(*model, "closed the valve at <>"));
}

TEST_F(TemplateTest, TemplatesThatBeginAlikeShareColumns) {
    Messages messages;
    for (int i = 0; i < 1000; ++i) {
        messages.push_back("[" + std::to_string(i % 7) + "] " + (i % 2 == 0 ? "read " : "wrote ") + std::to_string(i * 31 % 977));
    }
    const TemplateModel *model = parse(check_messages(messages));
    ASSERT_EQ(template_count(*model), 2u);
    EXPECT_EQ(template_columns(*model, 1)[0], template_columns(*model, 2)[0]);
    EXPECT_NE(template_columns(*model, 1)[1], template_columns(*model, 2)[1]);
    EXPECT_EQ(templates_of_column(*model, template_columns(*model, 1)[0]).size(), 2u);
}

TEST_F(TemplateTest, ACountOfEachProcessCostsNearlyNothing) {
    std::mt19937_64 random{5};
    int counts[5] = {100, 7000, 31, 50000, 1};
    Messages messages;
    for (int i = 0; i < 40960; ++i) {
        const std::size_t process = random() % 5;
        messages.push_back("process " + std::to_string(4000 + 17 * process) + " line " + std::to_string(counts[process]++));
    }
    // Of 8 granules, the process is 2.3 bits.
    EXPECT_LT(check_messages(messages).size(), 40960u * 2.6 / 8);
}

TEST_F(TemplateTest, AnIdThatIsRepeatedCostsOnce) {
    std::mt19937_64 random{6};
    Messages messages;
    for (int i = 0; i < 8192; ++i) {
        const std::string id = hex(random() | 0xa000000000000000, 16);
        messages.push_back("begin of " + id);
        messages.push_back("end of request " + id);
    }
    EXPECT_LT(check_messages(messages).size(), 8192u * 9);
}

TEST_F(TemplateTest, LongMessagesAreKept) {
    std::string many;
    for (int i = 0; i < 1500; ++i) many += std::to_string(i * 7919 % 1009) + ", ";
    std::string huge(3u << 20, 'x');
    for (std::size_t i = 0; i < huge.size(); i += 100) huge[i] = static_cast<char>('0' + i / 100 % 10);
    check_messages({many, many, many + "1", huge, "a 1", "a 2", huge, std::string(kParsedBytesMax, '7'),
                    std::string(kParsedBytesMax + 1, '7')});
}

TEST_F(TemplateTest, ALineOfManyNumbersHasABoundOfHoles) {
    std::mt19937_64 random{7};
    Messages messages;
    for (int i = 0; i < 200; ++i) {
        std::string message;
        for (int n = 0; n < 100; ++n) message += " " + std::to_string(random() % 100);
        messages.push_back(message);
    }
    const TemplateModel *model = parse(check_messages(messages));
    EXPECT_LE(template_columns(*model, 1).size(), kHolesMax + 1u);
}

TEST_F(TemplateTest, ProseIsNoWorseThanPlainTexts) {
    std::mt19937_64 random{8};
    Messages messages;
    for (int i = 0; i < 5000; ++i) {
        std::string message;
        const std::size_t words = 3 + random() % 12;
        for (std::size_t w = 0; w < words; ++w) {
            for (std::size_t letters = 1 + random() % 9; letters > 0; --letters)
                message += static_cast<char>('a' + random() % 26);
            message += ' ';
        }
        messages.push_back(message);
    }
    const EncodedMessages &encoded = check_messages(messages);
    std::size_t plain = 0;
    for (const std::vector<std::uint32_t> &rows : encoded.rows) {
        std::vector<Text> texts;
        std::size_t content = 0;
        for (const std::uint32_t i : rows) {
            texts.push_back(
                {reinterpret_cast<const std::byte *>(messages[i].data()), static_cast<std::uint32_t>(messages[i].size())});
            content += messages[i].size();
        }
        plain += encode(texts_bytes_max(texts.size(), content), [&](ByteWriter &out) {
                     return encode_texts(texts, space_, out);
                 }).size();
    }
    EXPECT_LE(encoded.size(), plain + 64);
}

TEST_F(TemplateTest, WebServersLinesAreCutCoarsely) {
    std::mt19937_64 random{9};
    Messages messages;
    for (int i = 0; i < 5000; ++i) {
        std::string path;
        for (std::size_t depth = 1 + random() % 6; depth > 0; --depth)
            path += "/" + std::string(1 + random() % 9, static_cast<char>('a' + random() % 26));
        messages.push_back("10.0.0." + std::to_string(random() % 50) + " GET " + path + " " + std::to_string(random() % 9000));
    }
    const TemplateModel *model = parse(check_messages(messages));
    EXPECT_TRUE(has_template(*model, "10.0.0.<> GET <> <>"));
}

TEST_F(TemplateTest, CoarselyCutJsonKeepsItsNumbers) {
    std::mt19937_64 random{15};
    Messages messages;
    for (int i = 0; i < 5000; ++i) {
        std::string words;
        for (int w = 0; w < 6; ++w) words += std::string(1 + random() % 9, static_cast<char>('a' + random() % 26)) + " ";
        messages.push_back("{\"id\":\"" + hex(random() | 0xa000000000000000, 16) + "abc\",\"text\":\"" + words +
                           "\",\"n\":" + std::to_string(random() % 9000) + "}");
    }
    const TemplateModel *model = parse(check_messages(messages));
    EXPECT_TRUE(has_template(*model, "{\"id\":\"<>abc\",\"text\":\"<>\",\"n\":<>}"));
}

TEST_F(TemplateTest, TemplateNumbersAndColumnsAreReadAlone) {
    const Messages messages = make_messages(5000, 10);
    const EncodedMessages encoded = encode_messages(messages);
    const TemplateModel *model = parse(encoded);
    TemplateGranule *granule = open(*model, encoded, 0, arena_);
    std::uint32_t job = 0;
    for (std::uint32_t number = 1; number <= template_count(*model); ++number) {
        const std::span<const std::byte> text = template_text(*model, number);
        if (text.size() > 3 && static_cast<char>(text[0]) == 'j') job = number;
    }
    std::span<const std::int64_t> values;
    ASSERT_TRUE(decode_template_column(*granule, template_columns(*model, job)[0], &values).ok());
    std::size_t next = 0;
    for (std::uint32_t row = 0; row < kStreamValuesMax; ++row) {
        const bool is_job = template_numbers(*granule)[row] == job;
        ASSERT_EQ(is_job, messages[row].starts_with("job"));
        if (is_job) {
            ASSERT_EQ(values[next++], row);
        }
    }
    EXPECT_EQ(next, values.size());
}

TEST_F(TemplateTest, WordsThatTheDictionaryLacksAreReadAlone) {
    Messages messages;
    for (int i = 0; i < 200; ++i) messages.push_back("word x1y2z3w4v" + std::to_string(i < 100 ? 7 : i) + " here");
    const EncodedMessages &encoded = check_messages(messages);
    const TemplateModel *model = parse(encoded);
    TemplateGranule *granule = open(*model, encoded, 0, arena_);
    const std::uint32_t column = template_columns(*model, 1)[0];
    std::span<const std::int64_t> values;
    TextRange words;
    ASSERT_TRUE(decode_template_column(*granule, column, &values).ok());
    ASSERT_TRUE(decode_template_other_words(*granule, column, &words).ok());
    ASSERT_EQ(word_count(*model), 1u);
    EXPECT_EQ(values[99], 1);
    EXPECT_EQ(values[100], 0);
    ASSERT_EQ(words.count, 100u);
    EXPECT_EQ(std::string(reinterpret_cast<const char *>(words[50].data()), words[50].size()), "x1y2z3w4v150");
}

/// A granule of which only the first bytes are there until more is asked for.
struct LateGranule {
    LateGranule(const Bytes &granule, std::size_t loaded) : whole(granule), bytes(granule.size(), std::byte{0xEE}) {
        std::copy_n(whole.begin(), loaded, bytes.begin());
        late = {load, this, loaded};
    }
    static Status load(void *owner) noexcept {
        auto *self = static_cast<LateGranule *>(owner);
        std::copy(self->whole.begin(), self->whole.end(), self->bytes.begin());
        ++self->loads;
        return Status::success();
    }
    const Bytes &whole;
    Bytes bytes;
    LateBytes late;
    int loads = 0;
};

TEST_F(TemplateTest, LateBytesAreLoadedOnceAndOnlyWhenTheyAreNeeded) {
    const Messages messages = make_messages(700, 13);
    const EncodedMessages encoded = encode_messages(messages);
    const TemplateModel *model = parse(encoded);
    const Bytes &whole = encoded.granules[0];
    int without = 0;
    for (std::size_t loaded = 0; loaded < whole.size(); loaded += 1 + loaded / 8) {
        TestArena arena;
        LateGranule granule(whole, loaded);
        TemplateGranule *opened = nullptr;
        ASSERT_TRUE(open_template_granule(*model, granule.bytes, 700, arena, &opened, granule.late).ok()) << loaded;
        DecodedTexts texts;
        TextRange escapes;
        ASSERT_TRUE(decode_template_escapes(*opened, &escapes).ok());
        without += granule.loads == 0;
        for (const std::uint32_t row : {699u, 5u}) {
            ASSERT_TRUE(decode_template_rows(*opened, {&row, 1}, &texts).ok()) << loaded;
            ASSERT_EQ(text_of(texts, 0), messages[encoded.rows[0][row]]) << loaded;
        }
        ASSERT_TRUE(decode_template_granule(*opened, &texts).ok()) << loaded;
        for (std::size_t i = 0; i < 700; ++i) ASSERT_EQ(text_of(texts, i), messages[encoded.rows[0][i]]) << loaded;
        EXPECT_EQ(granule.loads, 1) << loaded;
    }
    EXPECT_GT(without, 0);
}

TEST_F(TemplateTest, AChangedHeadIsRefusedBeforeTheRestIsThere) {
    const EncodedMessages encoded = encode_messages(make_messages(700, 14));
    const TemplateModel *model = parse(encoded);
    const std::size_t loaded = encoded.granules[0].size() - 1;
    LateGranule granule(encoded.granules[0], loaded);
    granule.bytes[40] ^= std::byte{1};
    TestArena arena;
    TemplateGranule *opened = nullptr;
    EXPECT_FALSE(open_template_granule(*model, granule.bytes, 700, arena, &opened, granule.late).ok());
    EXPECT_EQ(granule.loads, 0);
}

/// Decodes everything of bytes that may be anything.
void decode_anything(const Bytes &model_bytes, const Bytes &granule_bytes, std::uint32_t rows) {
    TestArena arena{256u << 20};
    TemplateModel *model = nullptr;
    if (!parse_template_model(model_bytes, arena, &model).ok()) return;
    TemplateGranule *granule = nullptr;
    if (!open_template_granule(*model, granule_bytes, rows, arena, &granule).ok()) return;
    DecodedTexts texts;
    const std::uint32_t last = rows - 1;
    static_cast<void>(decode_template_rows(*granule, {&last, 1}, &texts));
    static_cast<void>(decode_template_granule(*granule, &texts));
}

TEST_F(TemplateTest, CutOffBytesAreRefused) {
    const Messages messages = make_messages(700, 11);
    const EncodedMessages encoded = encode_messages(messages);
    for (std::size_t size = 0; size < encoded.model.size(); ++size) {
        TemplateModel *model = nullptr;
        EXPECT_FALSE(parse_template_model(std::span{encoded.model}.first(size), arena_, &model).ok());
    }
    const TemplateModel *model = parse(encoded);
    for (std::size_t size = 0; size < encoded.granules[0].size(); size += 1 + size / 64) {
        TestArena arena;
        TemplateGranule *granule = nullptr;
        DecodedTexts texts;
        Status status = open_template_granule(*model, std::span{encoded.granules[0]}.first(size), 700, arena, &granule);
        if (status.ok()) status = decode_template_granule(*granule, &texts);
        EXPECT_FALSE(status.ok()) << size;
    }
}

TEST_F(TemplateTest, ChangedBytesGiveTextsOrAStatus) {
    Messages messages = make_messages(600, 12);
    for (int i = 0; i < 30; ++i) messages.push_back("strange\x01" + std::to_string(i));
    for (int i = 0; i < 30; ++i)
        messages.push_back("word " + std::string(static_cast<std::size_t>(i % 3), '0') + std::to_string(i));
    const EncodedMessages encoded = encode_messages(messages);
    std::mt19937_64 random{13};
    for (int run = 0; run < 3000; ++run) {
        Bytes model = encoded.model;
        Bytes granule = encoded.granules[0];
        Bytes &changed = run % 2 == 0 ? model : granule;
        for (std::size_t change = 1 + random() % 3; change > 0; --change)
            changed[random() % changed.size()] = static_cast<std::byte>(random());
        decode_anything(model, granule, static_cast<std::uint32_t>(messages.size()));
    }
}

TEST_F(TemplateTest, TooLittleRoomOrMemoryIsSaid) {
    const Messages messages = make_messages(300, 14);
    TemplateBuilder *builder = nullptr;
    ASSERT_TRUE(create_template_builder(arena_, &builder).ok());
    std::vector<std::uint32_t> rows;
    for (std::uint32_t i = 0; i < messages.size(); ++i) {
        rows.push_back(i);
        ASSERT_TRUE(add_message(*builder, {reinterpret_cast<const std::byte *>(messages[i].data()),
                                           static_cast<std::uint32_t>(messages[i].size())})
                        .ok());
    }
    ASSERT_TRUE(choose_templates(*builder, space_).ok());
    EXPECT_GT(template_builder_bytes(*builder), 300u);
    const std::size_t needed = encode_messages(messages).granules[0].size();
    for (std::size_t room = 0; room < needed; room += 7) {
        Bytes bytes(room);
        ByteWriter out{bytes};
        EXPECT_EQ(encode_template_granule(*builder, rows, space_, out).code, StatusCode::no_room);
    }
    for (std::size_t memory = 0; memory < 200000; memory += 5000) {
        TestArena dry{memory};
        TemplateBuilder *poor = nullptr;
        Status status = create_template_builder(dry, &poor);
        for (std::size_t i = 0; i < messages.size() && status.ok(); ++i) {
            status = add_message(
                *poor, {reinterpret_cast<const std::byte *>(messages[i].data()), static_cast<std::uint32_t>(messages[i].size())});
        }
        if (status.ok()) status = choose_templates(*poor, space_);
        EXPECT_TRUE(status.ok() || status.code == StatusCode::out_of_memory);
    }
}

/// The lines of a log file of the shared data, or nothing.
Messages read_log(const std::string &name) {
    const char *folder = std::getenv("HISTORIAN_DATA_DIR");
    std::ifstream file{(folder != nullptr ? std::string(folder) : std::string(HISTORIAN_DATA_DIR)) + "/logs/" + name + ".log.zst",
                       std::ios::binary};
    if (!file) return {};
    const std::string packed{std::istreambuf_iterator<char>(file), {}};
    std::string content;
    std::vector<char> block(1 << 20);
    ZSTD_DStream *stream = ZSTD_createDStream();
    ZSTD_inBuffer in{packed.data(), packed.size(), 0};
    while (in.pos < in.size) {
        ZSTD_outBuffer out{block.data(), block.size(), 0};
        if (ZSTD_isError(ZSTD_decompressStream(stream, &out, &in)) != 0) break;
        content.append(block.data(), out.pos);
        if (in.pos == in.size && out.pos == out.size) continue;
    }
    ZSTD_freeDStream(stream);
    Messages lines;
    for (std::size_t at = 0; at < content.size();) {
        const std::size_t stop = std::min(content.find('\n', at), content.size());
        lines.push_back(content.substr(at, stop - at));
        at = stop + 1;
    }
    return lines;
}

TEST_F(TemplateTest, RealLogsAreSmallerThanZstdMakesThem) {
    // What zstd -19 makes of the whole file in one stream.
    const std::pair<const char *, std::size_t> sets[] = {{"linux_auth", 40613}, {"kafka", 225239}, {"postgres", 1440463}};
    for (const auto &[name, zstd_bytes] : sets) {
        const Messages messages = read_log(name);
        if (messages.empty()) GTEST_SKIP() << "there are no log files beside the project";
        EncodedMessages encoded = encode_messages(messages);
        check_decoded(encoded, messages);
        EXPECT_LT(encoded.size(), zstd_bytes) << name;
    }
}

}  // namespace
}  // namespace historian::test
