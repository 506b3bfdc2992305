#include "search/tokenizer.h"

#include <algorithm>
#include <array>

namespace historian::search {

namespace {

constexpr unsigned char kNotAscii = 0x80;

// What an ASCII letter or digit is mapped to; 0 for what separates, kNotAscii for the rest.
using AsciiTable = std::array<unsigned char, 256>;

constexpr AsciiTable make_table(Asterisk asterisk) noexcept {
    AsciiTable table{};
    for (unsigned char c = '0'; c <= '9'; ++c) table[c] = c;
    for (unsigned char c = 'a'; c <= 'z'; ++c) table[c] = table[c - 'a' + 'A'] = c;
    if (asterisk == Asterisk::as_letter) table['*'] = '*';
    for (unsigned c = 0x80; c <= 0xff; ++c) table[c] = kNotAscii;
    return table;
}

constexpr AsciiTable kTables[] = {make_table(Asterisk::separates), make_table(Asterisk::as_letter)};

}  // namespace

bool Tokenizer::next(Word *word) noexcept {
    while (true) {
        if (!text_.is_waiting()) {
            const Found found = next_ascii(word);
            if (found != Found::other_text) return found == Found::word;
        }
        if (next_mapped(word)) return true;
        if (!status().ok()) return false;
    }
}

// Reads a word of ASCII alone, and what separates before it. The place where it finds other text is where a stretch may begin: a
// mark could merge with the ASCII character before it.
Tokenizer::Found Tokenizer::next_ascii(Word *word) noexcept {
    const AsciiTable &table = kTables[static_cast<bool>(asterisk_)];
    const unsigned char *const end = text_.end();
    const unsigned char *begin = text_.next();
    while (begin != end && table[*begin] == 0) ++begin;
    if (begin != text_.next()) after_word_ = after_letter_ = false;
    if (begin == end) {
        text_.skip_to(end);
        return Found::end;
    }
    std::size_t bytes = 0;
    unsigned char mapped = 0;
    while (true) {
        char *const room = word_->data();
        const std::size_t limit = std::min(word_->room(), static_cast<std::size_t>(end - begin));
        for (; bytes < limit; ++bytes) {
            mapped = table[begin[bytes]];
            if (mapped == 0 || mapped == kNotAscii) break;
            room[bytes] = static_cast<char>(mapped);
        }
        word_->resize(bytes);
        if (bytes < limit || begin + bytes == end) break;
        if (!word_->reserve(1)) return Found::end;
    }
    if (mapped == kNotAscii) {
        text_.skip_to(bytes == 0 && begin != text_.next() ? begin - 1 : begin);
        return Found::other_text;
    }
    text_.skip_to(begin + bytes);
    after_word_ = true;
    *word = {};
    word->bytes = {word_->data(), bytes};
    return Found::word;
}

CharacterClass Tokenizer::class_of(Character character) const noexcept {
    if (character < 0x80) {
        const AsciiTable &table = kTables[static_cast<bool>(asterisk_)];
        return table[static_cast<std::size_t>(character)] == 0 ? CharacterClass::separator : CharacterClass::word;
    }
    return classify(character);
}

// Reads a word of any text; false when there were only separators up to where ASCII text may go on, and when memory ran out.
bool Tokenizer::next_mapped(Word *word) noexcept {
    Character character;
    CharacterClass found = CharacterClass::separator;
    do {
        if (!text_.peek(&character)) return false;
        found = class_of(character);
        if (found != CharacterClass::separator) break;
        text_.pass();
        after_word_ = after_letter_ = false;
    } while (text_.is_waiting());
    if (found == CharacterClass::separator) return false;
    *word = {};
    if (found == CharacterClass::letter) {
        gather_letter(word);
    } else {
        gather_word(word);
    }
    return status().ok();
}

void Tokenizer::take(Character character) noexcept {
    text_.pass();
    if (word_->reserve(4)) word_->resize(word_->size() + write_character(character, word_->end()));
}

// The letter before stays in front of this one, so that the pair is one piece.
void Tokenizer::gather_letter(Word *word) noexcept {
    std::size_t before = 0;
    if (after_letter_) {
        before = word_->size() - letter_begin_;
        std::memmove(word_->data(), word_->data() + letter_begin_, before);
        word->link = Link::joined;
    } else if (after_word_) {
        word->link = Link::touching;
    }
    word_->resize(before);
    Character character;
    CharacterClass next = CharacterClass::separator;
    do {
        if (!text_.peek(&character)) break;
        take(character);
        next = text_.peek(&character) ? class_of(character) : CharacterClass::separator;
    } while (next == CharacterClass::mark);
    letter_begin_ = before;
    after_word_ = after_letter_ = true;
    word->is_letter = true;
    word->ends_run = next != CharacterClass::letter;
    word->bytes = {word_->data() + before, word_->size() - before};
    if (before != 0) word->pair = {word_->data(), word_->size()};
}

void Tokenizer::gather_word(Word *word) noexcept {
    if (after_word_) word->link = Link::touching;
    word_->clear();
    for (Character character; text_.peek(&character);) {
        const CharacterClass found = class_of(character);
        if (found != CharacterClass::word && found != CharacterClass::mark) break;
        take(character);
    }
    after_word_ = true;
    after_letter_ = false;
    word->bytes = {word_->data(), word_->size()};
}

}  // namespace historian::search
