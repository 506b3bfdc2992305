// Searching messages by their templates must say what matching their texts says; the texts are random, and so are the queries.
#include "format/message_search.h"

#include <zstd.h>

#include <cstdlib>
#include <fstream>
#include <random>
#include <sstream>

#include "search/match.h"
#include "segment_model.h"

namespace historian::test {
namespace {

using Random = std::mt19937_64;
using Messages = std::vector<std::string>;

std::size_t below(Random &random, std::size_t limit) { return random() % limit; }

template <typename Choices>
auto pick(Random &random, const Choices &choices) {
    return choices[below(random, std::size(choices))];
}

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
    }

    bool has_model() const { return model_ != nullptr; }
    std::uint32_t granule_count() const { return segment_.header.granule_count; }

    std::uint32_t row_count(std::uint32_t granule) const { return granule_at(*segment_.index, granule).row_count; }

    /// Compares every row with its text.
    void check_query(const std::string &text, Counts *counts) {
        SCOPED_TRACE("query " + text);
        TextMatcher matcher(text);
        ASSERT_TRUE(matcher.parsed());
        TestArena arena;
        MessageSearch *search = nullptr;
        ASSERT_TRUE(prepare_message_search(model_, matcher.query(), arena, &search).ok());
        for (std::uint32_t g = 0; g < granule_count() && !testing::Test::HasFailure(); ++g) {
            TestArena call_arena;
            RowBits certain;
            RowBits possible;
            const Status status = search_chunk(*search, *segment_.index, g, 1, chunk(g), call_arena, &certain, &possible);
            ASSERT_TRUE(status.ok()) << status.message;
            check_granule(g, matcher, certain, possible, counts);
        }
    }

    /// What decode_chunk_rows() gives for some rows.
    void check_rows(std::uint32_t granule, const std::vector<std::uint32_t> &rows) {
        TestArena arena;
        ColumnVector decoded;
        const Status status = decode_chunk_rows(*segment_.index, granule, 1, chunk(granule), model_, rows, arena, &decoded);
        ASSERT_TRUE(status.ok()) << status.message;
        const Granule place = granule_at(*segment_.index, granule);
        ASSERT_EQ(decoded.row_count, place.row_count);
        for (const std::uint32_t row : rows) {
            const std::string &expected = messages_[place.first_row + row];
            const Value value = value_at(decoded, row);
            ASSERT_TRUE(expected == "\1" ? value.is_null : !value.is_null && value.text == expected)
                << "row " << row << ": " << value.text << ", not " << expected;
        }
        // Whatever another row's entry says, it can be read.
        for (std::uint32_t row = 0; row < decoded.row_count; ++row) static_cast<void>(value_at(decoded, row));
    }

private:
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
};

// ---------------------------------------------------------------------------------------------------------------- messages

std::string digits(Random &random, std::size_t count, const char *alphabet, std::size_t letters) {
    std::string text;
    for (std::size_t i = 0; i < count; ++i) text += alphabet[below(random, letters)];
    return text;
}

std::string padded(std::uint64_t value, int width) {
    char text[32];
    std::snprintf(text, sizeof text, "%0*llu", width, static_cast<unsigned long long>(value));
    return text;
}

std::string random_word(Random &random) {
    static const char *const kWords[] = {
        "root",     "admin",    "Pump",   "valve",       "e\u0301t", "\u0301x",  "\uff25\uff32\uff32",
        "a\u00adb", "서버",     "온도계", "日本",        "us",       "-",        "x",
        "",         "ERR",      "k8s",    "in-out",      "a b",      "한",       "\u200bzz",
        "0x1f",     "\xe3\x81", "\x81z",  "stra\u00dfe", "12",       "Caf\u00e9"};
    return pick(random, kWords);
}

std::string random_value(Random &random, int kind) {
    const std::uint64_t small = random() % 40;
    switch (kind) {
        case 0: return std::to_string(small);
        case 1: return std::to_string(static_cast<std::int64_t>(small) - 20);
        case 2: return padded(small * 7, 4);
        case 3: return std::to_string(static_cast<std::int64_t>(small) - 20) + "." + padded(random() % 100, 2);
        case 4: return digits(random, 8, "0123456789abcdef", 16);
        case 5: return digits(random, 6, "0123456789ABCDEF", 16);
        case 6: return "0x" + digits(random, 1 + random() % 3, "0123456789abcdef", 16);
        case 7:
            return digits(random, 8, "0123456789abcdef", 16) + "-" + digits(random, 4, "01ab", 4) + "-4a1b-" +
                   digits(random, 4, "89ab", 4) + "-" + digits(random, 12, "0123456789abcdef", 16);
        case 8: {
            std::string mac = digits(random, 2, "0123456789abcdef", 16);
            for (int i = 0; i < 5; ++i) mac += ":" + digits(random, 2, "01a", 3);
            return mac;
        }
        case 9:
            return "2026-0" + std::to_string(1 + random() % 9) + "-1" + std::to_string(random() % 10) + "T0" +
                   std::to_string(random() % 10) + ":10:59.1" + std::to_string(random() % 10);
        case 10:
            return pick(random, std::vector<std::string>{"Jan  1 ", "Feb 28 ", "May 10 "}) + "10:2" +
                   std::to_string(random() % 10) + ":00";
        case 11: return "10." + std::to_string(small) + ".0." + std::to_string(random() % 4);
        case 12: return "/var/" + random_word(random) + "/" + std::to_string(small % 3);
        case 13: return "\"" + random_word(random) + " long enough to be quoted " + random_word(random) + "\"";
        case 14: return digits(random, 40, "0123456789abcdef", 16);
        case 15: return std::to_string(random());
        case 16: return "sensor" + std::to_string(small) + pick(random, std::vector<std::string>{"", "us", "a1", "\u0301", "도"});
        case 17: return "3" + std::to_string(random() % 10) + "/Jan/2026:10:00:0" + std::to_string(random() % 10);
        default: return random_word(random);
    }
}

/// A template: fixed text, or -1 - kind for a value.
struct Maker {
    std::vector<std::pair<std::string, int>> parts;

    static Maker random_one(Random &random) {
        static const char *const kFixed[] = {
            "slow ", "pump ",       "error ", "온도 ", "초과",   "=",      " ",          "id", "us ", ": ",
            "a",     "x-",          "é",      "日",    "\u0301", " user ", "timed out ", "0",  "-",   "connection refused ",
            "\xff",  " Caf\u00e9 ", "\u2014", "f"};
        Maker maker;
        const std::size_t count = 3 + below(random, 8);
        for (std::size_t i = 0; i < count; ++i) {
            maker.parts.emplace_back(pick(random, kFixed), -1);
            if (random() % 2 == 0) maker.parts.emplace_back("", static_cast<int>(below(random, 22)));
            if (random() % 3 == 0) maker.parts.emplace_back(" ", -1);
        }
        return maker;
    }
    std::string make(Random &random) const {
        std::string message;
        for (const auto &[fixed, kind] : parts) message += kind < 0 ? fixed : random_value(random, kind);
        return message;
    }
};

Messages random_messages(Random &random, std::size_t count) {
    std::vector<Maker> makers;
    for (std::size_t i = 0, many = 1 + below(random, 12); i < many; ++i) makers.push_back(Maker::random_one(random));
    Messages messages;
    const bool has_nulls = random() % 3 == 0;
    for (std::size_t i = 0; i < count; ++i) {
        messages.push_back(pick(random, makers).make(random));
        if (has_nulls && random() % 5 == 0) messages.back() = "\1";
        if (random() % 97 == 0) messages.back() = random_word(random) + " rare " + random_word(random);
    }
    return messages;
}

// ----------------------------------------------------------------------------------------------------------------- queries

std::vector<std::string> words_of(const std::string &text) {
    TestArena arena;
    search::Tokenizer::Space space(arena);
    search::Tokenizer tokenizer(text, space);
    std::vector<std::string> words;
    for (search::Word word; tokenizer.next(&word);) words.emplace_back(word.token().empty() ? word.bytes : word.token());
    return words;
}

std::string upper(std::string text) {
    for (char &letter : text) letter = static_cast<char>(letter >= 'a' && letter <= 'z' ? letter - 32 : letter);
    return text;
}

/// A plain word of some message.
std::string random_plain_word(Random &random, const Messages &messages) {
    for (int attempt = 0; attempt < 20; ++attempt) {
        const std::vector<std::string> words = words_of(pick(random, messages));
        if (words.empty()) continue;
        const std::string word = pick(random, words);
        return random() % 4 == 0 ? upper(word) : word;
    }
    return "nothing";
}

std::string random_term(Random &random, const Messages &messages) {
    static const char *const kStray[] = {"slow",
                                         "ERR",
                                         "nothing",
                                         "a",
                                         "x",
                                         "us",
                                         "sensor",
                                         "0",
                                         "서버",
                                         "온",
                                         "日",
                                         "é",
                                         "cafe",
                                         "\"timed out\"",
                                         "\"connection refused\"",
                                         "*",
                                         "\"pump *\"",
                                         "온*도",
                                         "strasse",
                                         "jan",
                                         "2026",
                                         "\xff",
                                         "zz",
                                         "ab",
                                         "-5",
                                         "1.25",
                                         "\"10 1\"",
                                         "e\u0301",
                                         "\"* 0 *\"",
                                         "x\u0301",
                                         "f"};
    const std::vector<std::string> words = words_of(pick(random, messages));
    const std::size_t kind = below(random, 10);
    if (words.empty() || kind == 0) return pick(random, kStray);
    if (kind <= 3) return random_plain_word(random, messages);
    const std::size_t at = below(random, words.size());
    if (kind <= 6) {  // a phrase
        std::string phrase = "\"";
        for (std::size_t i = at; i < words.size() && i < at + 1 + below(random, 4); ++i) {
            phrase += (random() % 9 == 0 ? "*" : words[i]) + pick(random, std::vector<std::string>{" ", " ", ".", ""});
        }
        return phrase + "\"";
    }
    std::string word = words[at];
    if (kind == 7) {  // a piece of a message, marks and all
        const std::string &message = pick(random, messages);
        std::string piece = message.substr(below(random, message.size() + 1), 1 + below(random, 12));
        for (char &letter : piece) letter = letter == '"' || letter == '\0' ? ' ' : letter;
        return "\"" + piece + "\"";
    }
    const std::size_t cut = below(random, word.size() + 1);
    if (kind == 8) return random() % 2 == 0 ? word.substr(0, cut) + "*" : "*" + word.substr(cut);
    return word.substr(0, cut) + "*" + (random() % 2 == 0 ? word.substr(std::min(word.size(), cut + 1)) : "x");
}

std::string random_query(Random &random, const Messages &messages, int depth) {
    if (depth == 0 || random() % 2 == 0) return (random() % 5 == 0 ? "NOT " : "") + random_term(random, messages);
    std::string query = "(";
    for (std::size_t i = 0, count = 1 + below(random, 3); i < count; ++i) {
        if (i != 0) query += random() % 2 == 0 ? " OR " : " ";
        query += random_query(random, messages, depth - 1);
    }
    return query + ")";
}

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
                segment.check_rows(g, rows);
            }
        }
    }
}

}  // namespace
}  // namespace historian::test
