#include "search/match.h"

#include <algorithm>
#include <bit>
#include <new>

namespace historian::search {

namespace {

std::uint64_t length_bit(std::string_view bytes) noexcept { return std::uint64_t{1} << std::min<std::size_t>(bytes.size(), 63); }

unsigned char first_byte(std::string_view bytes) noexcept { return static_cast<unsigned char>(bytes[0]); }

// memmem is linear in the word, whatever the part, but slow to start.
std::size_t find_part(std::string_view word, std::string_view part) noexcept {
    constexpr std::size_t short_word = 64;
    if (word.size() <= short_word) return word.find(part);
    const void *place = memmem(word.data(), word.size(), part.data(), part.size());
    if (place == nullptr) return std::string_view::npos;
    return static_cast<std::size_t>(static_cast<const char *>(place) - word.data());
}

}  // namespace

// Each part between two * is found at the first place possible: if the rest fits behind a later place it fits behind this one.
bool matches_pattern(std::string_view word, std::string_view pattern) noexcept {
    const std::size_t first_asterisk = pattern.find('*');
    if (first_asterisk == std::string_view::npos) return word == pattern;
    const std::string_view prefix = pattern.substr(0, first_asterisk);
    const std::string_view suffix = pattern.substr(pattern.rfind('*') + 1);
    if (word.size() < prefix.size() + suffix.size() || !word.starts_with(prefix) || !word.ends_with(suffix)) return false;
    word = word.substr(prefix.size(), word.size() - prefix.size() - suffix.size());
    pattern = pattern.substr(first_asterisk, pattern.size() - prefix.size() - suffix.size());
    while (!pattern.empty()) {
        pattern.remove_prefix(1);
        const std::string_view part = pattern.substr(0, pattern.find('*'));
        pattern.remove_prefix(part.size());
        const std::size_t place = find_part(word, part);
        if (place == std::string_view::npos) return false;
        word.remove_prefix(place + part.size());
    }
    return true;
}

Status Matcher::create(const Query &query, Arena &arena, Matcher **matcher) noexcept {
    void *memory = arena.array<Matcher>(1);
    if (memory == nullptr) return {StatusCode::out_of_memory, "no memory for a search query"};
    *matcher = new (memory) Matcher(query);
    return (*matcher)->prepare(arena);
}

Status Matcher::prepare(Arena &arena) noexcept {
    const std::size_t word_count = query_->words.size();
    const std::size_t node_count = query_->nodes.size();
    const std::size_t slot_count = std::bit_ceil(2 * word_count + 1);
    slot_mask_ = slot_count - 1;
    wanted_ = arena.array<WantedWord>(word_count);
    patterns_ = arena.array<std::uint32_t>(word_count);
    phrase_nodes_ = arena.array<std::uint32_t>(query_->phrases.size());
    states_ = arena.array<NodeState>(node_count);
    first_states_ = arena.array<NodeState>(node_count);
    slots_ = arena.array<Slot>(slot_count);
    if (wanted_ == nullptr || patterns_ == nullptr || phrase_nodes_ == nullptr || states_ == nullptr ||
        first_states_ == nullptr || slots_ == nullptr) {
        return {StatusCode::out_of_memory, "no memory for a search query"};
    }
    std::fill_n(slots_, slot_count, Slot{0, kNone});
    for (std::uint32_t phrase = 0; phrase < query_->phrases.size(); ++phrase) {
        const Phrase &words = query_->phrases[phrase];
        for (std::uint32_t i = 0; i < words.word_count; ++i) wanted_[words.word_begin + i] = {0, kNone, phrase};
    }
    for (std::uint32_t i = 0; i < word_count; ++i) prepare_word(i);
    std::reverse(patterns_, patterns_ + pattern_count_);
    for (std::uint32_t i = 0; i < node_count; ++i) {
        const QueryNode &node = query_->nodes[i];
        first_states_[i] = {node.count, Decision::open};
        if (node.kind == NodeKind::phrase) phrase_nodes_[node.count] = i;
    }
    std::copy_n(first_states_, node_count, states_);
    answer_when_nothing_ = conclude();
    has_found_ = true;
    return Status::success();
}

void Matcher::prepare_word(std::uint32_t index) noexcept {
    const QueryWord &word = query_->words[index];
    if (word.wanted != Wanted::word) {
        patterns_[pattern_count_++] = index;
        return;
    }
    lengths_[first_byte(word.bytes)] |= length_bit(word.bytes);
    std::uint32_t *first = slot_of(word.bytes);
    wanted_[index].next = *first;
    *first = index;
}

// Where the wanted words with these bytes begin; an empty slot of theirs, whose hash is set, when there is none yet.
std::uint32_t *Matcher::slot_of(std::string_view bytes) const noexcept {
    const std::uint64_t hash = hash_token(bytes);
    for (std::size_t i = hash & slot_mask_;; i = (i + 1) & slot_mask_) {
        Slot &slot = slots_[i];
        if (slot.first == kNone) slot.hash = hash;
        if (slot.first == kNone || (slot.hash == hash && query_->words[slot.first].bytes == bytes)) return &slot.first;
    }
}

void Matcher::begin() noexcept {
    if (has_found_) std::copy_n(first_states_, query_->nodes.size(), states_);
    has_found_ = false;
    word_number_ += 2;  // nothing of this text is right behind something of the one before
}

bool Matcher::is_decided() const noexcept {
    return query_->nodes.empty() || states_[query_->nodes.size() - 1].decision != Decision::open;
}

bool Matcher::read(Tokenizer &text, std::size_t words_max) noexcept {
    if (is_decided()) return false;
    Word word;
    for (std::size_t i = 0; i < words_max; ++i) {
        if (!text.next(&word)) return false;
        look_at(word);
        if (is_decided()) return false;
    }
    return true;
}

bool Matcher::finish() noexcept { return has_found_ ? conclude() : answer_when_nothing_; }

// The answer when what was not found is not there.
bool Matcher::conclude() noexcept {
    for (std::size_t phrase = 0; phrase < query_->phrases.size() && !is_decided(); ++phrase) decide(phrase_nodes_[phrase], false);
    return !query_->nodes.empty() && states_[query_->nodes.size() - 1].decision == Decision::yes;
}

void Matcher::look_at(const Word &word) noexcept {
    ++word_number_;
    if (word.link != Link::joined) run_begin_ = word_number_;
    std::uint32_t index = kNone;
    if ((lengths_[first_byte(word.bytes)] & length_bit(word.bytes)) != 0) index = *slot_of(word.bytes);
    // The words with these bytes and the patterns, from the last of the query to the first.
    for (std::size_t i = 0; i < pattern_count_; ++i) {
        const std::uint32_t pattern = patterns_[i];
        for (; index != kNone && index > pattern; index = wanted_[index].next) find(index, word);
        const QueryWord &wanted = query_->words[pattern];
        if (wanted.wanted == Wanted::any || (!word.is_letter && matches_pattern(word.bytes, wanted.bytes))) find(pattern, word);
    }
    for (; index != kNone; index = wanted_[index].next) find(index, word);
}

// The word of the text fits a wanted word: does it continue the phrase?
void Matcher::find(std::uint32_t index, const Word &word) noexcept {
    const Phrase &phrase = query_->phrases[wanted_[index].phrase];
    if (index != phrase.word_begin && !continues(index, word)) return;
    wanted_[index].found_at = word_number_;
    if (index + 1 != phrase.word_begin + phrase.word_count) return;
    has_found_ = true;
    decide(phrase_nodes_[wanted_[index].phrase], true);
}

bool Matcher::continues(std::uint32_t index, const Word &word) const noexcept {
    const QueryWord &wanted = query_->words[index];
    const std::uint64_t before = wanted_[index - 1].found_at;
    if (wanted.skips) return word.link == Link::joined && before >= run_begin_;
    if (before + 1 != word_number_) return false;
    return wanted.wanted == Wanted::any || wanted.is_joined == (word.link == Link::joined);
}

// Gives an open node its value and goes up as far as that decides.
void Matcher::decide(std::uint32_t node, bool value) noexcept {
    while (states_[node].decision == Decision::open) {
        states_[node].decision = value ? Decision::yes : Decision::no;
        const std::uint32_t parent = query_->nodes[node].parent;
        if (parent == node) return;
        const NodeKind kind = query_->nodes[parent].kind;
        if (kind == NodeKind::negation) value = !value;
        // One operand is enough to make a conjunction false, a disjunction true; for the other value all must have it.
        const bool is_enough = value == (kind == NodeKind::disjunction);
        if (kind != NodeKind::negation && !is_enough && --states_[parent].open_count != 0) return;
        node = parent;
    }
}

}  // namespace historian::search
