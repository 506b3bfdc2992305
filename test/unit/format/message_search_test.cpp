// Searching messages by their templates must say what matching their texts says; the texts are random, and so are the queries.
#include "format/message_search.h"

#include <zstd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "message_samples.h"
#include "search/match.h"
#include "segment_model.h"

namespace historian::test {
namespace {

class TextMatcher {
public:
    explicit TextMatcher(const std::string &query) : text_(query) {
        parsed_ = search::parse_query(text_, arena_, &query_).fault == search::QueryFault::none;
        if (parsed_) {
            EXPECT_TRUE(search::Matcher::create(query_, arena_, &matcher_).ok());
        }
    }
    bool parsed() const { return parsed_; }
    const search::Query &query() const { return query_; }
    bool matches(std::string_view text) {
        search::Tokenizer words(text, space_);
        matcher_->begin();
        matcher_->read(words, SIZE_MAX);
        return matcher_->finish();
    }

private:
    std::string text_;
    TestArena arena_;
    search::Tokenizer::Space space_{arena_};
    search::Query query_;
    search::Matcher *matcher_ = nullptr;
    bool parsed_ = false;
};

struct Counts {
    std::uint64_t rows = 0;
    std::uint64_t matching = 0;
    std::uint64_t certain = 0;
    std::uint64_t possible = 0;

    double unsure_share() const { return static_cast<double>(possible - certain) / static_cast<double>(rows); }
};

/// A log table's segment of times and messages; a message "\1" is NULL.
class MessageSegment {
public:
    explicit MessageSegment(const Messages &messages) : messages_(messages), bytes_(build_of(messages)), segment_(bytes_) {
        EXPECT_TRUE(segment_.status.ok());
        const ByteRange range = model_range(*segment_.index, 1);
        if (range.byte_count == 0) return;
        EXPECT_TRUE(open_model(segment_.bytes.subspan(range.offset, range.byte_count), segment_.arena, &model_).ok());
        EXPECT_TRUE(MessageUnits::create(*model_, segment_.arena, &units_).ok() && units_->make_runs().ok());
    }

    bool has_model() const { return model_ != nullptr; }
    std::uint32_t word_count() const { return model_ == nullptr ? 0 : codec::word_count(*model_); }
    std::uint32_t granule_count() const { return segment_.header.granule_count; }

    std::uint32_t row_count(std::uint32_t granule) const { return granule_at(*segment_.index, granule).row_count; }

    /// Compares every row with its text: with units that have the dictionary's runs, and with new ones, which have not at first.
    void check_query(const std::string &text, Counts *counts) {
        SCOPED_TRACE("query " + text);
        TextMatcher matcher(text);
        ASSERT_TRUE(matcher.parsed());
        for (MessageUnits *units : {units_, static_cast<MessageUnits *>(nullptr)}) {
            TestArena arena;
            MessageSearch *search = nullptr;
            ASSERT_TRUE(prepare_message_search(model_, matcher.query(), arena, &search, units).ok());
            search_all(*search, matcher, counts);
        }
    }

    /// What decode_chunk_rows() gives for some rows.
    void check_rows(std::uint32_t granule, const std::vector<std::uint32_t> &rows) {
        TestArena arena;
        ColumnVector decoded;
        OpenChunk opened{chunk(granule), model_};
        const Status status = decode_chunk_rows(*segment_.index, granule, 1, opened, rows, arena, &decoded);
        ASSERT_TRUE(status.ok()) << status.message;
        const Granule place = granule_at(*segment_.index, granule);
        ASSERT_EQ(decoded.row_count, place.row_count);
        for (const std::uint32_t row : rows) check_row(granule, row, decoded);
        // Whatever the entry of a row between them says, it can be read.
        for (std::uint32_t row = rows.front(); row <= rows.back(); ++row) static_cast<void>(value_at(decoded, row));
    }

    /// Prepares and searches with so much memory for each.
    StatusCode search_within(const std::string &text, std::size_t prepare_bytes, std::size_t search_bytes) {
        TextMatcher matcher(text);
        TestArena arena(prepare_bytes);
        MessageSearch *search = nullptr;
        const Status prepared = prepare_message_search(model_, matcher.query(), arena, &search);
        if (!prepared.ok()) return prepared.code;
        TestArena call_arena(search_bytes);
        RowBits certain;
        RowBits possible;
        OpenChunk opened{chunk(0), model_};
        return search_chunk(*search, *segment_.index, 0, 1, opened, call_arena, &certain, &possible).code;
    }

private:
    void search_all(MessageSearch &search, TextMatcher &matcher, Counts *counts) {
        for (std::uint32_t g = 0; g < granule_count() && !testing::Test::HasFailure(); ++g) {
            TestArena call_arena;
            RowBits certain;
            RowBits possible;
            OpenChunk opened{chunk(g), model_};
            // Only a chunk with a model may come late.
            LateChunk late(opened, g % 2 == 0 || model_ == nullptr ? 0 : g * 997 % opened.bytes.size());
            const Status status = search_chunk(search, *segment_.index, g, 1, late.chunk, call_arena, &certain, &possible);
            ASSERT_TRUE(status.ok()) << status.message;
            const std::uint32_t row = row_count(g) - 1;
            ColumnVector decoded;
            ASSERT_TRUE(decode_chunk_rows(*segment_.index, g, 1, late.chunk, {&row, 1}, call_arena, &decoded).ok());
            check_row(g, row, decoded);
            check_granule(g, matcher, certain, possible, counts);
        }
    }

    /// A chunk of which only the first bytes are there until more is asked for; all of them when `loaded` is 0.
    struct LateChunk {
        LateChunk(const OpenChunk &opened, std::size_t loaded) : whole(opened.bytes), bytes(whole.begin(), whole.end()) {
            chunk = opened;
            if (loaded == 0) return;
            std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(loaded), bytes.end(), std::byte{0xEE});
            chunk.bytes = bytes;
            chunk.late = {load, this, loaded};
        }
        static Status load(void *owner) noexcept {
            auto *self = static_cast<LateChunk *>(owner);
            std::copy(self->whole.begin(), self->whole.end(), self->bytes.begin());
            return Status::success();
        }
        std::span<const std::byte> whole;
        std::vector<std::byte> bytes;
        OpenChunk chunk;
    };

    void check_row(std::uint32_t granule, std::uint32_t row, const ColumnVector &decoded) {
        const std::string &expected = messages_[granule_at(*segment_.index, granule).first_row + row];
        const Value value = value_at(decoded, row);
        ASSERT_TRUE(expected == "\1" ? value.is_null : !value.is_null && value.text == expected)
            << "row " << row << ": " << value.text << ", not " << expected;
    }

    static std::string build_of(const Messages &messages) {
        std::vector<test::Row> rows;
        for (std::size_t i = 0; i < messages.size(); ++i) {
            rows.push_back(
                {Value::of(static_cast<std::int64_t>(i)), messages[i] == "\1" ? Value::null() : Value::of(messages[i])});
        }
        std::vector<ColumnTraits> traits(2);
        traits[1].has_templates = true;
        return build({{PhysicalKind::int8}, {PhysicalKind::bytes}}, {format::kNoColumn, 0}, rows, nullptr, traits);
    }

    std::span<const std::byte> chunk(std::uint32_t granule) const {
        const ByteRange range = chunk_range(*segment_.index, granule, 1);
        return segment_.bytes.subspan(range.offset, range.byte_count);
    }

    void check_granule(std::uint32_t g, TextMatcher &matcher, const RowBits &certain, const RowBits &possible, Counts *counts) {
        const Granule granule = granule_at(*segment_.index, g);
        for (std::uint32_t row = 0; row < kGranuleRowsMax; ++row) {
            if (row >= granule.row_count || messages_[granule.first_row + row] == "\1") {
                ASSERT_FALSE(certain.has(row) || possible.has(row)) << "row " << row << " has no text";
                continue;
            }
            const std::string &message = messages_[granule.first_row + row];
            const bool matches = matcher.matches(message);
            ASSERT_TRUE(!certain.has(row) || matches) << "certain but no match: " << message;
            ASSERT_TRUE(possible.has(row) || !matches) << "impossible but matches: " << message;
            ASSERT_TRUE(possible.has(row) || !certain.has(row)) << "certain but not possible: " << message;
            counts->rows += 1;
            counts->matching += matches;
            counts->certain += certain.has(row);
            counts->possible += possible.has(row);
        }
    }

    const Messages messages_;
    std::string bytes_;
    OpenSegment segment_;
    codec::TemplateModel *model_ = nullptr;
    MessageUnits *units_ = nullptr;
};

// ------------------------------------------------------------------------------------------------------------------- tests

std::uint64_t choose_seed() {
    const char *fixed = std::getenv("MESSAGE_SEARCH_SEED");
    return fixed != nullptr ? std::strtoull(fixed, nullptr, 10) : std::random_device{}();
}

TEST(MessageSearch, SaysOfRandomMessagesWhatTheirTextsSay) {
    const std::uint64_t seed = choose_seed();
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random{seed};
    Counts words;
    Counts all;
    std::size_t with_model = 0;
    for (int round = 0; round < 60 && !HasFailure(); ++round) {
        SCOPED_TRACE("round " + std::to_string(round));
        const Messages messages = random_messages(random, 1 + below(random, round % 6 == 0 ? 6000 : 600));
        MessageSegment segment(messages);
        with_model += segment.has_model();
        for (int i = 0; i < 60 && !HasFailure(); ++i) {
            const std::string query = random_query(random, messages, static_cast<int>(below(random, 3)));
            if (TextMatcher(query).parsed()) segment.check_query(query, &all);
        }
        for (int i = 0; i < 20 && !HasFailure(); ++i) {
            const std::string word = random_plain_word(random, messages);
            if (TextMatcher(word).parsed()) segment.check_query(word, &words);
        }
    }
    std::printf("seed %llu: of %llu rows %.2f %% match a word, %.2f %% are unsure; of all queries %.2f %% and %.2f %%\n",
                static_cast<unsigned long long>(seed), static_cast<unsigned long long>(words.rows),
                100.0 * static_cast<double>(words.matching) / static_cast<double>(words.rows), 100 * words.unsure_share(),
                100.0 * static_cast<double>(all.matching) / static_cast<double>(all.rows), 100 * all.unsure_share());
    EXPECT_GT(with_model, 30u);
}

/// Certain and possible rows are those that match.
void expect_exact(MessageSegment &segment, const std::string &query) {
    Counts counts;
    segment.check_query(query, &counts);
    EXPECT_EQ(counts.certain, counts.matching) << query;
    EXPECT_EQ(counts.possible, counts.matching) << query;
}

/// Paths and quoted texts, which are words of the dictionary with several words of a search, beside fixed text without a space.
TEST(MessageSearch, FindsWordsOfPathsAndBesideThem) {
    const std::uint64_t seed = choose_seed();
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random{seed};
    const char *const fixed[] = {"", "a", "B", "ab", "=a", "ba"};
    const char *const letters[] = {"a", "b", "A", "ab", "-", ".", "/", "_", "\u00e9", "\uc628"};
    const auto any_of = [&](const auto &list) { return std::string(list[below(random, std::size(list))]); };
    std::size_t with_words = 0;
    for (int round = 0; round < 20 && !HasFailure(); ++round) {
        const std::string prefix = any_of(fixed);
        std::vector<std::string> values;
        for (int i = 0; i < 300; ++i) {
            std::string path = "/";
            for (std::uint64_t length = 1 + below(random, 7); length > 0; --length) path += any_of(letters);
            values.push_back(i % 5 == 0 ? "\"" + path.substr(1) + " " + path + " xxxxxxxxxxxxxxxx\"" : path);
        }
        Messages messages;
        for (int i = 0; i < 1500; ++i)
            messages.push_back("get " + prefix + any_of(values) + " took " + std::to_string(i % 7) + " s");
        MessageSegment segment(messages);
        with_words += segment.word_count() > 50;
        for (int i = 0; i < 40 && !HasFailure(); ++i) {
            std::string query;
            for (std::uint64_t length = 1 + below(random, 4); length > 0; --length) query += "ab"[below(random, 2)];
            Counts counts;
            segment.check_query(query, &counts);
        }
    }
    EXPECT_GT(with_words, 10u);
}

TEST(MessageSearch, NeedsNoTextForTheWordsOfPlainMessages) {
    Random random{7};
    MessageSegment segment(pump_messages(random, 6000));
    ASSERT_TRUE(segment.has_model());
    for (const char *query : {"failed",
                              "FAILED",
                              "-failed",
                              "failed | level",
                              "failed 17",
                              "17",
                              "5",
                              "tank17",
                              "0x00ff",
                              "rare3",
                              "온도",
                              "온",
                              "도",
                              "\"failed after\"",
                              "\"after failed\"",
                              "초과 -17",
                              "초과 | tank3",
                              "nothing",
                              "tank*",
                              "fail*",
                              "1*",
                              "*7",
                              "connected (3 | 4)",
                              "경보"}) {
        expect_exact(segment, query);
    }
}

TEST(MessageSearch, LeavesFewRowsOfPhrasesAcrossHoles) {
    Random random{8};
    MessageSegment segment(pump_messages(random, 6000));
    for (const char *query : {"\"pump 17\"", "10.0.17.3", "99.05", "17도", "\"after 250 ms\"", "\"pump 3 failed after 4\""}) {
        Counts counts;
        segment.check_query(query, &counts);
        EXPECT_LE(counts.possible, counts.matching + 10) << query;
    }
}

TEST(MessageSearch, OfTooManyWordsMatchesTheTexts) {
    Random random{9};
    MessageSegment segment(pump_messages(random, 500));
    std::string query = "nothing";
    for (int i = 0; i < 200; ++i) query += " | word" + std::to_string(i) + " | tank" + std::to_string(i);
    expect_exact(segment, query);
}

TEST(MessageSearch, MarksInHolesChangeTheWordsBesideThem) {
    // A mark may merge with the fixed letter before it, a sign before it, or stand alone; what nobody sees joins fixed letters.
    const std::vector<std::string> values = {"root",   "\u0301x",  "\u0338x",  "",    "\u00ad",
                                             "\u200b", "\uff25rr", "한\u0301", "\xcc"};
    Messages messages;
    for (int i = 0; i < 3000; ++i) {
        const std::string value = values[static_cast<std::size_t>(i) % values.size()];
        messages.push_back("user=" + std::string(i % 2 == 0 ? "" : "ex") + "/" + value + "/ \"" +
                           std::string(i % 3 == 0 ? "abe" : "") + " some text that is long enough " + value + "\"cd " +
                           std::to_string(i));
    }
    MessageSegment segment(messages);
    for (const char *query : {"x", "ex", "abe", "cd", "rr", "err", "e\u0301x", "root", "enough", "\"enough cd\"", "한", "*",
                              "*cd", "abe*", "user ex", "\u0338x", "\u0301x"}) {
        Counts counts;
        segment.check_query(query, &counts);
    }
}

TEST(MessageSearch, AWordOfTheDictionaryIsAnotherBesideFixedLetters) {
    // One column for the values of all three, a word's because some of them have zeros in front: "9" is the word 9 only in the
    // first form of message.
    Messages messages;
    for (int i = 0; i < 3000; ++i) {
        const std::string value = std::vector<std::string>{"8", "9", "00", "11", "007"}[static_cast<std::size_t>(i) % 5];
        const std::string form = std::vector<std::string>{" ", "qqqq ", "q."}[static_cast<std::size_t>(i) % 3];
        messages.push_back(value + form + "reading number " + std::to_string(i) + " of the pump");
    }
    MessageSegment segment(messages);
    EXPECT_GT(segment.word_count(), 0U);
    for (const char *query : {"9", "9qqqq", "9q", "q", "qqqq", "00", "00qqqq", "007q", "-9", "9 | 8", "\"9 reading\"", "9*"}) {
        Counts counts;
        segment.check_query(query, &counts);
    }
}

TEST(MessageSearch, RunsOutOfMemoryWithAStatus) {
    Random random{11};
    MessageSegment segment(pump_messages(random, 3000));
    for (const char *query : {"17", "rare*", "10.0.17.3 | \"온도 3도\""}) {
        bool succeeded = false;
        for (std::size_t bytes = 0; bytes < 2'000'000; bytes = bytes * 5 / 4 + 1000) {
            const StatusCode prepared = segment.search_within(query, bytes, SIZE_MAX);
            const StatusCode searched = segment.search_within(query, SIZE_MAX, bytes);
            ASSERT_TRUE(prepared == StatusCode::ok || prepared == StatusCode::out_of_memory);
            ASSERT_TRUE(searched == StatusCode::ok || searched == StatusCode::out_of_memory);
            succeeded = prepared == StatusCode::ok && searched == StatusCode::ok;
        }
        EXPECT_TRUE(succeeded) << query;
    }
}

TEST(MessageSearch, AnEmptyQueryFindsNothing) {
    Random random{10};
    MessageSegment segment(pump_messages(random, 100));
    expect_exact(segment, "...");
}

TEST(MessageSearch, DecodesTheRowsThatAreWanted) {
    const std::uint64_t seed = choose_seed();
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random{seed};
    for (int round = 0; round < 20 && !HasFailure(); ++round) {
        const Messages messages = random_messages(random, 1 + below(random, 5000));
        MessageSegment segment(messages);
        for (std::uint32_t g = 0; g < segment.granule_count(); ++g) {
            const std::uint32_t row_count = segment.row_count(g);
            for (const std::uint32_t step : {1u, 3u, 40u, 5000u}) {
                std::vector<std::uint32_t> rows;
                for (auto row = static_cast<std::uint32_t>(random() % step); row < row_count;
                     row += 1 + static_cast<std::uint32_t>(random() % (2 * step)))
                    rows.push_back(row);
                if (!rows.empty()) segment.check_rows(g, rows);
            }
        }
    }
}

std::string read_log(const std::string &name) {
    const char *folder = std::getenv("HISTORIAN_DATA_DIR");
    std::ifstream file{(folder != nullptr ? std::string(folder) : std::string(HISTORIAN_DATA_DIR)) + "/logs/" + name + ".log.zst",
                       std::ios::binary};
    std::ostringstream frame;
    frame << file.rdbuf();
    const std::string compressed = frame.str();
    if (compressed.empty()) return {};
    std::string content;
    ZSTD_DStream *stream = ZSTD_createDStream();
    ZSTD_inBuffer in{compressed.data(), compressed.size(), 0};
    char room[1 << 16];
    while (in.pos < in.size) {
        ZSTD_outBuffer out{room, sizeof room, 0};
        if (ZSTD_isError(ZSTD_decompressStream(stream, &out, &in)) != 0) break;
        content.append(room, out.pos);
    }
    ZSTD_freeDStream(stream);
    return content;
}

TEST(MessageSearch, SaysOfRealLogsWhatTheirTextsSay) {
    const std::uint64_t seed = choose_seed();
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random{seed};
    bool any = false;
    for (const char *name : {"apache_access", "ci_build", "kafka", "linux_auth", "postgres"}) {
        std::istringstream lines(read_log(name));
        Messages messages;
        for (std::string line; messages.size() < 12000 && std::getline(lines, line);) messages.push_back(line);
        if (messages.empty()) continue;
        any = true;
        MessageSegment segment(messages);
        Counts words;
        Counts queries;
        for (int i = 0; i < 40 && !HasFailure(); ++i) {
            const std::string word = random_plain_word(random, messages);
            if (TextMatcher(word).parsed()) segment.check_query(word, &words);
            const std::string query = random_query(random, messages, static_cast<int>(below(random, 3)));
            if (TextMatcher(query).parsed()) segment.check_query(query, &queries);
        }
        std::printf("%s: %.2f %% of the rows match a word, %.2f %% are unsure; of all queries %.2f %% and %.2f %%\n", name,
                    100.0 * static_cast<double>(words.matching) / static_cast<double>(words.rows), 100 * words.unsure_share(),
                    100.0 * static_cast<double>(queries.matching) / static_cast<double>(queries.rows),
                    100 * queries.unsure_share());
    }
    if (!any) GTEST_SKIP() << "no logs to read";
}

}  // namespace
}  // namespace historian::test
