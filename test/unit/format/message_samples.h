// Random log messages and the queries that could be asked of them: fixed text, numbers, ids, words of several scripts, marks,
// empty values, and all of these touching each other.
#pragma once

#include <cstdlib>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "search/tokenizer.h"
#include "test_arena.h"

namespace historian::test {

using Random = std::mt19937_64;
using Messages = std::vector<std::string>;

inline std::size_t below(Random &random, std::size_t limit) { return random() % limit; }

template <typename Choices>
auto pick(Random &random, const Choices &choices) {
    return choices[below(random, std::size(choices))];
}

// ---------------------------------------------------------------------------------------------------------------- messages

inline std::string digits(Random &random, std::size_t count, const char *alphabet, std::size_t letters) {
    std::string text;
    for (std::size_t i = 0; i < count; ++i) text += alphabet[below(random, letters)];
    return text;
}

inline std::string padded(std::uint64_t value, int width) {
    char text[32];
    std::snprintf(text, sizeof text, "%0*llu", width, static_cast<unsigned long long>(value));
    return text;
}

inline std::string random_word(Random &random) {
    static const char *const kWords[] = {
        "root",     "admin",    "Pump",   "valve",       "e\u0301t", "\u0301x",  "\uff25\uff32\uff32",
        "a\u00adb", "서버",     "온도계", "日本",        "us",       "-",        "x",
        "",         "ERR",      "k8s",    "in-out",      "a b",      "한",       "\u200bzz",
        "0x1f",     "\xe3\x81", "\x81z",  "stra\u00dfe", "12",       "Caf\u00e9"};
    return pick(random, kWords);
}

inline std::string random_value(Random &random, int kind) {
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

inline Messages random_messages(Random &random, std::size_t count) {
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

inline std::vector<std::string> words_of(const std::string &text) {
    TestArena arena;
    search::Tokenizer::Space space(arena);
    search::Tokenizer tokenizer(text, space);
    std::vector<std::string> words;
    for (search::Word word; tokenizer.next(&word);) words.emplace_back(word.token().empty() ? word.bytes : word.token());
    return words;
}

inline std::string upper(std::string text) {
    for (char &letter : text) letter = static_cast<char>(letter >= 'a' && letter <= 'z' ? letter - 32 : letter);
    return text;
}

/// A plain word of some message.
inline std::string random_plain_word(Random &random, const Messages &messages) {
    for (int attempt = 0; attempt < 20; ++attempt) {
        const std::vector<std::string> words = words_of(pick(random, messages));
        if (words.empty()) continue;
        const std::string word = pick(random, words);
        return random() % 4 == 0 ? upper(word) : word;
    }
    return "nothing";
}

inline std::string random_term(Random &random, const Messages &messages) {
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

inline std::string random_query(Random &random, const Messages &messages, int depth) {
    if (depth == 0 || random() % 2 == 0) return (random() % 5 == 0 ? "NOT " : "") + random_term(random, messages);
    std::string query = "(";
    for (std::size_t i = 0, count = 1 + below(random, 3); i < count; ++i) {
        if (i != 0) query += random() % 2 == 0 ? " OR " : " ";
        query += random_query(random, messages, depth - 1);
    }
    return query + ")";
}

/// Messages without anything odd, most of whose words stand alone.
inline Messages pump_messages(Random &random, std::size_t count) {
    Messages messages;
    for (std::size_t i = 0; i < count; ++i) {
        const std::string pump = std::to_string(random() % 40);
        switch (random() % 4) {
            case 0: messages.push_back("pump " + pump + " failed after " + std::to_string(random() % 1000) + " ms"); break;
            case 1:
                messages.push_back("level " + std::to_string(random() % 100) + "." + padded(random() % 100, 2) + " of tank" +
                                   pump);
                break;
            case 2:
                messages.push_back("client 10.0." + pump + "." + std::to_string(random() % 256) + " connected, id 0x" +
                                   digits(random, 4, "0123456789abcdef", 16));
                break;
            default:
                messages.push_back("온도 " + pump + "도 초과, delta " + std::to_string(static_cast<int>(random() % 21) - 10) +
                                   " 경보");
        }
        if (random() % 500 == 0) messages.back() += " rare" + pump;
    }
    return messages;
}

}  // namespace historian::test
