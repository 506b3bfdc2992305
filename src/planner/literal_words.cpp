#include "planner/literal_words.h"

namespace historian::planner {

bool next_like_piece(std::string_view pattern, size_t *offset, LiteralPiece *piece) {
    if (*offset > pattern.size() || (*offset == pattern.size() && *offset > 0)) return false;
    piece->is_begin = *offset == 0;
    piece->size = 0;
    size_t at = *offset;
    for (; at < pattern.size() && pattern[at] != '%' && pattern[at] != '_'; at++) {
        if (pattern[at] == '\\' && at + 1 < pattern.size()) at++;
        piece->bytes[piece->size++] = pattern[at];
    }
    piece->is_end = at == pattern.size();
    *offset = at + 1;
    // An empty pattern, or one that ends in a wildcard: at its end there is nothing more.
    if (piece->is_end) *offset = pattern.size() + 1;
    return true;
}

bool is_simple_regex(std::string_view pattern) {
    if (pattern.substr(0, 3) == "***") return false;
    for (size_t at = 0; at < pattern.size(); at++) {
        if (pattern[at] == '\\') {
            at++;
            continue;
        }
        if (pattern[at] == '[') {
            // A bracket expression ends at the first ] that is not its first character; classes in it, [:alpha:], end in one too.
            at++;
            if (at < pattern.size() && pattern[at] == '^') at++;
            if (at < pattern.size() && pattern[at] == ']') at++;
            while (at < pattern.size() && pattern[at] != ']') {
                if (pattern[at] == '[' || pattern[at] == '\\') return false;
                at++;
            }
            continue;
        }
        if (pattern[at] == '|' || pattern[at] == '(' || pattern[at] == ')') return false;
    }
    return true;
}

namespace {

bool is_quantifier(char byte) { return byte == '*' || byte == '?' || byte == '+' || byte == '{'; }

// Goes past what is no literal character at `at`.
size_t skip_construct(std::string_view pattern, size_t at) {
    if (pattern[at] == '\\') return at + 2;
    const char close = pattern[at] == '[' ? ']' : pattern[at] == '{' ? '}' : '\0';
    if (close == '\0') return at + 1;
    size_t end = at + 1;
    if (close == ']') {
        if (end < pattern.size() && pattern[end] == '^') end++;
        if (end < pattern.size() && pattern[end] == ']') end++;
    }
    while (end < pattern.size() && pattern[end] != close) end++;
    return end + 1;
}

}  // namespace

bool next_regex_piece(std::string_view pattern, size_t *offset, LiteralPiece *piece) {
    // Anchors are no bounds here: in some modes they match at the ends of lines, and a mark may stand beside them.
    piece->is_begin = piece->is_end = false;
    piece->size = 0;
    size_t at = *offset;
    if (at >= pattern.size()) return false;
    constexpr std::string_view kSpecial = ".[]{}*+?^$";
    for (; at < pattern.size(); at++) {
        char byte = pattern[at];
        size_t last = at;
        if (byte == '\\') {
            // A backslash makes punctuation literal; before a letter or digit it means something else.
            if (at + 1 >= pattern.size() || is_word_byte(pattern[at + 1]) || IS_HIGHBIT_SET(pattern[at + 1])) break;
            byte = pattern[++last];
        } else if (kSpecial.find(byte) != std::string_view::npos) {
            break;
        }
        // What a quantifier follows may be absent, or repeated.
        if (last + 1 < pattern.size() && is_quantifier(pattern[last + 1])) {
            at = last + 1;
            break;
        }
        piece->bytes[piece->size++] = byte;
        at = last;
    }
    *offset = at < pattern.size() ? skip_construct(pattern, at) : pattern.size();
    return true;
}

}  // namespace historian::planner
