// A slow tokenizer and matcher, written from doc/search.md without a look at src/search: the whole text is mapped in one piece,
// all words are kept, phrases are found by trying every place.
#pragma once

#include <gtest/gtest.h>
#include <utf8proc.h>

#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "search/match.h"
#include "test_arena.h"

namespace historian::test::reference {

struct Word {
    std::string bytes;
    bool is_cjk = false;
    bool touches = false;  // no separator before it
    bool skips = false;    // in a query: letters may stand before it
    bool operator==(const Word &) const = default;
};

constexpr std::int32_t kInvalid = 0x200000;

// Code points of the text; a byte that begins no valid sequence becomes kInvalid + byte. Each stretch between such is mapped
// alone.
inline std::vector<std::int32_t> map_text(const std::string &text) {
    std::vector<std::int32_t> mapped;
    std::string valid;
    const auto flush = [&] {
        utf8proc_uint8_t *decomposed = nullptr;
        utf8proc_uint8_t *folded = nullptr;
        const auto *source = reinterpret_cast<const utf8proc_uint8_t *>(valid.data());
        const auto canonical = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE);
        const auto folding = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT |
                                                            UTF8PROC_CASEFOLD | UTF8PROC_IGNORE);
        const auto size = static_cast<utf8proc_ssize_t>(valid.size());
        const utf8proc_ssize_t decomposed_size = utf8proc_map(source, size, &decomposed, canonical);
        const utf8proc_ssize_t folded_size = utf8proc_map(decomposed, decomposed_size, &folded, folding);
        EXPECT_GE(folded_size, 0);
        for (utf8proc_ssize_t at = 0; at < folded_size;) {
            std::int32_t code;
            at += utf8proc_iterate(folded + at, folded_size - at, &code);
            mapped.push_back(code);
        }
        std::free(decomposed);
        std::free(folded);
        valid.clear();
    };
    for (std::size_t at = 0; at < text.size();) {
        std::int32_t code;
        const auto *place = reinterpret_cast<const utf8proc_uint8_t *>(text.data()) + at;
        const utf8proc_ssize_t bytes = utf8proc_iterate(place, static_cast<utf8proc_ssize_t>(text.size() - at), &code);
        if (bytes < 0) {
            flush();
            mapped.push_back(kInvalid + *place);
            ++at;
        } else {
            valid.append(text, at, static_cast<std::size_t>(bytes));
            at += static_cast<std::size_t>(bytes);
        }
    }
    flush();
    return mapped;
}

enum class Kind { separator, plain, mark, cjk };

inline Kind kind_of(std::int32_t code) {
    if (code >= kInvalid) return Kind::plain;
    const char first = utf8proc_category_string(code)[0];
    if (first == 'M') return Kind::mark;
    if (first != 'L' && first != 'N') return Kind::separator;
    // Doc/search.md: Hangul, Hiragana, Katakana, Bopomofo, Han.
    static const std::vector<std::pair<std::int32_t, std::int32_t>> blocks = {
        {0x1100, 0x11ff}, {0x3131, 0x318f}, {0xa960, 0xa97f},   {0xac00, 0xd7ff}, {0x3041, 0x30ff}, {0x31f0, 0x31ff},
        {0x3105, 0x312f}, {0x31a0, 0x31bf}, {0x1aff0, 0x1b16f}, {0x2e80, 0x2fdf}, {0x3005, 0x3007}, {0x3021, 0x3029},
        {0x3031, 0x3035}, {0x3038, 0x303c}, {0x3400, 0x4dbf},   {0x4e00, 0x9fff}, {0xf900, 0xfaff}, {0x20000, 0x3ffff}};
    for (const auto &[begin, end] : blocks) {
        if (code >= begin && code <= end) return Kind::cjk;
    }
    return Kind::plain;
}

inline void append(std::string &bytes, std::int32_t code) {
    if (code >= kInvalid) {
        bytes.push_back(static_cast<char>(code - kInvalid));
        return;
    }
    utf8proc_uint8_t room[4];
    bytes.append(reinterpret_cast<char *>(room), static_cast<std::size_t>(utf8proc_encode_char(code, room)));
}

inline std::vector<Word> words_of(const std::string &text, bool asterisk_is_letter = false) {
    std::vector<Word> words;
    Kind last = Kind::separator;
    for (const std::int32_t code : map_text(text)) {
        Kind kind = kind_of(code);
        if (asterisk_is_letter && code == '*') kind = Kind::plain;
        if (kind == Kind::separator) {
            last = kind;
            continue;
        }
        const bool goes_on = kind == Kind::mark ? last != Kind::separator : kind == Kind::plain && last == Kind::plain;
        if (!goes_on) {
            words.push_back({});
            words.back().is_cjk = kind == Kind::cjk;
            words.back().touches = last != Kind::separator;
        }
        append(words.back().bytes, code);
        last = words.back().is_cjk ? Kind::cjk : Kind::plain;
    }
    return words;
}

inline bool is_joined(const std::vector<Word> &words, std::size_t i) {
    return i > 0 && i < words.size() && words[i].is_cjk && words[i - 1].is_cjk && words[i].touches;
}

inline std::vector<std::string> tokens_of(const std::string &text) {
    const std::vector<Word> words = words_of(text);
    std::vector<std::string> tokens;
    for (std::size_t i = 0; i < words.size(); ++i) {
        if (is_joined(words, i)) tokens.push_back(words[i - 1].bytes + words[i].bytes);
        if (!is_joined(words, i) && !is_joined(words, i + 1)) tokens.push_back(words[i].bytes);
    }
    return tokens;
}

// The words of a term. A * that neighbours a CJK letter is no word: it lets the letter behind it skip, if one stands before it.
inline std::vector<Word> term_of(const std::string &text) {
    std::vector<Word> words = words_of(text, true);
    std::vector<Word> term;
    for (std::size_t i = 0; i < words.size(); ++i) {
        const bool is_star = words[i].bytes.find_first_not_of('*') == std::string::npos;
        const bool letter_before = i > 0 && words[i].touches;
        const bool letter_after = i + 1 < words.size() && words[i + 1].touches;
        if (is_star && letter_before && letter_after) words[i + 1].skips = true;
        if (is_star && (letter_before || letter_after)) continue;
        term.push_back(words[i]);
    }
    return term;
}

inline bool fits(const char *word, const char *pattern) {
    if (*pattern == '*') return fits(word, pattern + 1) || (*word != '\0' && fits(word + 1, pattern));
    if (*pattern == '\0' || *word == '\0') return *pattern == *word;
    return *word == *pattern && fits(word + 1, pattern + 1);
}

// Whether term[j..] follows in the text from word i on.
inline bool follows(const std::vector<Word> &text, std::size_t i, const std::vector<Word> &term, std::size_t j) {
    if (j == term.size()) return true;
    if (i >= text.size()) return false;
    const Word &wanted = term[j];
    if (wanted.skips && j > 0) {
        for (; i < text.size() && is_joined(text, i); ++i) {
            if (text[i].bytes == wanted.bytes && follows(text, i + 1, term, j + 1)) return true;
        }
        return false;
    }
    const bool is_any = wanted.bytes.find_first_not_of('*') == std::string::npos;
    if (j > 0 && !is_any && is_joined(text, i) != is_joined(term, j)) return false;
    const bool found = is_any || (wanted.is_cjk == text[i].is_cjk && fits(text[i].bytes.c_str(), wanted.bytes.c_str()));
    return found && follows(text, i + 1, term, j + 1);
}

inline bool has_phrase(const std::vector<Word> &text, const std::vector<Word> &term) {
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (follows(text, i, term, 0)) return true;
    }
    return false;
}

// ------------------------------------------------------------------------------------------------ random texts and queries

inline std::string random_text(std::mt19937_64 &random, std::size_t pieces_max) {
    static const std::vector<std::string> pieces = {"a",
                                                    "b",
                                                    "A",
                                                    "Z",
                                                    "1",
                                                    "0",
                                                    " ",
                                                    " ",
                                                    ".",
                                                    "-",
                                                    "_",
                                                    "=",
                                                    "é",
                                                    "e\u0301",
                                                    "É",
                                                    "ß",
                                                    "ﬁ",
                                                    "Ａ",
                                                    "１",
                                                    "／",
                                                    "　",
                                                    "\u0301",
                                                    "\u0323",
                                                    "\u0315",
                                                    "\u0338",
                                                    "\u0345",
                                                    "ᾳ",
                                                    "α",
                                                    "ᾄ",
                                                    "\u034f",
                                                    "\u200b",
                                                    "\u00ad",
                                                    "İ",
                                                    "ς",
                                                    "ǅ",
                                                    "①",
                                                    "½",
                                                    "대",
                                                    "한",
                                                    "민",
                                                    "국",
                                                    "\u1103\u1162",
                                                    "\u1112\u1161\u11ab",
                                                    "\u1161",
                                                    "\u11ab",
                                                    "ㄱ",
                                                    "ㅏ",
                                                    "\uffa1",
                                                    "\uffc2",
                                                    "か",
                                                    "が",
                                                    "\u3099",
                                                    "ｶ",
                                                    "ﾞ",
                                                    "ー",
                                                    "々",
                                                    "漢",
                                                    "字",
                                                    "\U00020000",
                                                    "㍿",
                                                    "㌀",
                                                    "\u302a",
                                                    "я",
                                                    "Й",
                                                    "й",
                                                    "Ж",
                                                    "ก็",
                                                    "कि",
                                                    "ا",
                                                    "\ufdfa",
                                                    "\U0001f600",
                                                    "—",
                                                    "\xff",
                                                    "\xe3\x81",
                                                    "\xc0\xaf",
                                                    "\xed\xa0\x80",
                                                    "\u09c7",
                                                    "\u09be",
                                                    "\u16d63",
                                                    "\U00016d67",
                                                    "\U00016d63",
                                                    "٣",
                                                    "Ⅷ",
                                                    "ﷺ",
                                                    "\ufe0f",
                                                    "〇",
                                                    "ㄅ",
                                                    "abc",
                                                    "ABC ",
                                                    "error",
                                                    "K"};
    std::string text;
    for (std::size_t count = random() % (pieces_max + 1); count > 0; --count) {
        const std::string &piece = pieces[random() % pieces.size()];
        // Half of the texts are of few pieces, so that phrases are found now and then.
        text += random() % 2 == 0 ? piece : pieces[random() % 7];
    }
    return text;
}

}  // namespace historian::test::reference
