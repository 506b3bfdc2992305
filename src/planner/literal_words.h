// The words that every text has which a pattern of LIKE or a regular expression describes: those that stand whole, in ASCII,
// between characters that the pattern takes literally.
//
//     '%disk full on sd_%'      disk and sd may go on to the left and right: full, on
//     'link (up|down) again'    a regular expression with an alternative says nothing
//     'rate: [0-9]+ ms, irq'    rate is at the edge, ms is whole, irq is at the edge: ms
#pragma once

#include "engine/server.h"

#include <cstring>
#include <string_view>

namespace historian::planner {

enum class PatternKind : uint8 { like, like_any_case, regex, regex_any_case };

/// What a pattern takes literally, piece by piece.
struct LiteralPiece {
    char *bytes;  // room for the whole pattern
    uint32 size;
    bool is_begin;  // of the text
    bool is_end;    // the text ends behind it
};

/// Reads the next piece of a pattern; false at its end, or when it cannot be understood.
///
/// offset   where to go on in the pattern; 0 at first
bool next_like_piece(std::string_view pattern, size_t *offset, LiteralPiece *piece);
bool next_regex_piece(std::string_view pattern, size_t *offset, LiteralPiece *piece);

/// Whether a regular expression is of the simple kind whose pieces all must be there.
bool is_simple_regex(std::string_view pattern);

inline bool is_word_byte(char byte) {
    return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

/// Calls visit(word), in lower case, for the whole words of a piece.
///
/// any_case   the pattern's letters stand for other cases too: then words with an i are left out, which a dotted capital I of
///            other alphabets may match and which is another letter in the index
template <typename Visit>
void for_each_whole_word(const LiteralPiece &piece, bool any_case, Visit visit) {
    for (uint32 begin = 0; begin < piece.size;) {
        uint32 end = begin;
        bool is_usable = true;
        for (; end < piece.size && (is_word_byte(piece.bytes[end]) || IS_HIGHBIT_SET(piece.bytes[end])); end++) {
            is_usable = is_usable && !IS_HIGHBIT_SET(piece.bytes[end]);
            piece.bytes[end] = pg_ascii_tolower(static_cast<unsigned char>(piece.bytes[end]));
        }
        // Behind an ASCII word in a piece of other text there may be a mark that belongs to its last letter: only ASCII bounds
        // it.
        const bool is_bounded = (begin > 0 || piece.is_begin) && (end < piece.size || piece.is_end);
        const std::string_view word{piece.bytes + begin, end - begin};
        if (end > begin && is_usable && is_bounded && !(any_case && word.find('i') != std::string_view::npos)) visit(word);
        begin = end + 1;
    }
}

template <typename Visit>
void for_each_literal_word(std::string_view pattern, PatternKind kind, Visit visit) {
    const bool is_like = kind == PatternKind::like || kind == PatternKind::like_any_case;
    const bool any_case = kind == PatternKind::like_any_case || kind == PatternKind::regex_any_case;
    if (!is_like && !is_simple_regex(pattern)) return;
    LiteralPiece piece = {static_cast<char *>(palloc(pattern.size() + 1)), 0, false, false};
    size_t offset = 0;
    while (is_like ? next_like_piece(pattern, &offset, &piece) : next_regex_piece(pattern, &offset, &piece))
        for_each_whole_word(piece, any_case, visit);
    pfree(piece.bytes);
}

}  // namespace historian::planner
