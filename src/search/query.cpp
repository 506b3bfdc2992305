#include "search/query.h"

namespace historian::search {

namespace {

enum class Lexeme : std::uint8_t { end, conjunction, disjunction, negation, open_group, close_group, text, unclosed_quote };

// Cuts a query's text; at the end of every lexeme stands what begins the next.
class Lexer {
public:
    explicit Lexer(std::string_view text) noexcept : text_(text) {}

    Lexeme next() noexcept {
        skip_white_space();
        offset_ = at_;
        if (at_ == text_.size()) return Lexeme::end;
        switch (text_[at_]) {
            case '(': ++at_; return Lexeme::open_group;
            case ')': ++at_; return Lexeme::close_group;
            case '|': ++at_; return Lexeme::disjunction;
            case '"': return quoted();
            default: break;
        }
        if (text_[at_] == '-' && negates()) {
            ++at_;
            return Lexeme::negation;
        }
        while (!ends_term()) read();
        term_ = text_.substr(offset_, at_ - offset_);
        if (term_ == "AND") return Lexeme::conjunction;
        if (term_ == "OR") return Lexeme::disjunction;
        if (term_ == "NOT") return Lexeme::negation;
        return Lexeme::text;
    }

    /// Where the last lexeme begins, and the text of a term or quote.
    std::size_t offset() const noexcept { return offset_; }
    std::string_view term() const noexcept { return term_; }

private:
    const unsigned char *bytes(std::size_t at) const noexcept {
        return reinterpret_cast<const unsigned char *>(text_.data()) + at;
    }

    Character peek(std::size_t *bytes_read) const noexcept {
        const unsigned char *next;
        const Character character = read_character(bytes(at_), bytes(text_.size()), &next);
        *bytes_read = static_cast<std::size_t>(next - bytes(at_));
        return character;
    }
    void read() noexcept {
        std::size_t bytes_read;
        peek(&bytes_read);
        at_ += bytes_read;
    }
    void skip_white_space() noexcept {
        for (std::size_t bytes_read; at_ != text_.size() && is_white_space(peek(&bytes_read));) at_ += bytes_read;
    }
    bool ends_term() const noexcept {
        std::size_t unused;
        return at_ == text_.size() || std::string_view("()\"|").find(text_[at_]) != std::string_view::npos ||
               is_white_space(peek(&unused));
    }
    // Whether something can follow the - that is next which it may be about.
    bool negates() noexcept {
        ++at_;
        const bool is_last = at_ == text_.size() || text_[at_] == ')' || text_[at_] == '|' || text_[at_] == '-';
        std::size_t unused;
        const bool negates = !is_last && !is_white_space(peek(&unused));
        --at_;
        return negates;
    }
    Lexeme quoted() noexcept {
        const std::size_t end = text_.find('"', at_ + 1);
        if (end == std::string_view::npos) return Lexeme::unclosed_quote;
        term_ = text_.substr(at_ + 1, end - at_ - 1);
        at_ = end + 1;
        return Lexeme::text;
    }

    std::string_view text_;
    std::string_view term_;
    std::size_t at_ = 0;
    std::size_t offset_ = 0;
};

// The words of phrases.
class PhraseBuilder {
public:
    explicit PhraseBuilder(Arena &arena) noexcept
        : phrases(arena), words(arena), token_hashes(arena), arena_(&arena), bytes_(arena), space_(arena) {}

    /// Cuts a term into words and adds them as a phrase; false when it has none.
    bool add(std::string_view term) noexcept {
        Phrase phrase;
        phrase.word_begin = static_cast<std::uint32_t>(words.size());
        add_words(term);
        phrase.word_count = static_cast<std::uint32_t>(words.size()) - phrase.word_begin;
        if (phrase.word_count == 0) return false;
        phrase.token_begin = static_cast<std::uint32_t>(token_hashes.size());
        add_token_hashes(words.items().subspan(phrase.word_begin));
        phrase.token_count = static_cast<std::uint32_t>(token_hashes.size()) - phrase.token_begin;
        phrases.push(phrase);
        return true;
    }

    bool failed() const noexcept { return failed_ || phrases.failed() || words.failed() || token_hashes.failed(); }

    ArenaList<Phrase> phrases;
    ArenaList<QueryWord> words;
    ArenaList<std::uint64_t> token_hashes;

private:
    // A * that is a word of its own, because CJK letters or separators stand beside it.
    enum class Pending : std::uint8_t { none, any_word, any_letters };

    void add_words(std::string_view term) noexcept {
        Tokenizer tokenizer(term, space_, Asterisk::as_letter);
        Pending pending = Pending::none;
        for (Word word; tokenizer.next(&word);) {
            if (pending == Pending::any_word && word.link == Link::apart) add_any();
            const bool skips = pending == Pending::any_letters && word.is_letter && word.link == Link::touching;
            pending = Pending::none;
            if (word.bytes.find_first_not_of('*') == std::string_view::npos) {
                pending = word.link == Link::touching ? Pending::any_letters : Pending::any_word;
                continue;
            }
            QueryWord wanted;
            wanted.bytes = copy(word.bytes);
            wanted.is_letter = word.is_letter;
            wanted.skips = skips;
            wanted.is_joined = skips || word.link == Link::joined;
            if (word.bytes.find('*') != std::string_view::npos) wanted.wanted = Wanted::pattern;
            words.push(wanted);
        }
        if (pending == Pending::any_word) add_any();
        failed_ |= !tokenizer.status().ok();
    }

    void add_any() noexcept {
        QueryWord any;
        any.wanted = Wanted::any;
        words.push(any);
    }

    std::string_view copy(std::string_view bytes) noexcept {
        char *copied = arena_->array<char>(bytes.size());
        failed_ |= copied == nullptr;
        if (copied == nullptr) return {};
        std::memcpy(copied, bytes.data(), bytes.size());
        return {copied, bytes.size()};
    }

    // Of neighbouring letters the pairs are tokens of every text that has them, of a letter without such a neighbour the letter.
    void add_token_hashes(std::span<const QueryWord> phrase) noexcept {
        for (std::size_t i = 0; i < phrase.size(); ++i) {
            const QueryWord &word = phrase[i];
            if (word.wanted != Wanted::word) continue;
            const bool has_neighbour_before = word.is_joined && !word.skips;
            const bool has_neighbour_after = i + 1 < phrase.size() && phrase[i + 1].is_joined && !phrase[i + 1].skips;
            if (has_neighbour_before) {
                bytes_.clear();
                bytes_.append(phrase[i - 1].bytes.data(), phrase[i - 1].bytes.size());
                bytes_.append(word.bytes.data(), word.bytes.size());
                failed_ |= bytes_.failed();
                token_hashes.push(hash_token({bytes_.data(), bytes_.size()}));
            } else if (!has_neighbour_after) {
                token_hashes.push(hash_token(word.bytes));
            }
        }
    }

    Arena *arena_;
    ArenaList<char> bytes_;
    Tokenizer::Space space_;
    bool failed_ = false;
};

// What is known of a group in parentheses, or of the whole query, while it is read.
struct Group {
    std::size_t offset = 0;           // of its parenthesis
    std::size_t operator_offset = 0;  // of the operator that awaits an operand
    std::uint32_t conjuncts = 0;      // operands with words in the conjunction that is being read
    std::uint32_t disjuncts = 0;      // conjunctions with words before it
    bool has_operand = false;         // the conjunction has an operand, with words or without
    bool awaits_operand = false;
    bool negates_operand = false;
};

class Parser {
public:
    Parser(std::string_view text, Arena &arena) noexcept
        : lexer_(text), phrases_(arena), nodes_(arena), roots_(arena), groups_(arena), arena_(&arena) {}

    QueryError parse(Query *query) noexcept {
        groups_.push({});
        for (Lexeme lexeme = Lexeme::text; lexeme != Lexeme::end && error_.fault == QueryFault::none;) {
            if (failed()) return {QueryFault::out_of_memory, 0};
            lexeme = lexer_.next();
            read(lexeme);
        }
        if (error_.fault == QueryFault::none) fill(query);
        return error_;
    }

private:
    void read(Lexeme lexeme) noexcept {
        Group &group = groups_.back();
        switch (lexeme) {
            case Lexeme::text: return end_operand(add_phrase());
            case Lexeme::negation: group.negates_operand = !group.negates_operand; return await_operand();
            case Lexeme::conjunction:
                if (!group.has_operand || group.awaits_operand) return fail(QueryFault::missing_operand, lexer_.offset());
                return await_operand();
            case Lexeme::disjunction:
                if (!group.has_operand) return fail(QueryFault::missing_operand, lexer_.offset());
                end_conjunction();
                return await_operand();
            case Lexeme::open_group: {
                Group inner;
                inner.offset = lexer_.offset();
                return groups_.push(inner);
            }
            case Lexeme::close_group: {
                if (groups_.size() == 1) return fail(QueryFault::unopened_group, lexer_.offset());
                const bool has_words = end_group();
                groups_.resize(groups_.size() - 1);
                return end_operand(has_words);
            }
            case Lexeme::unclosed_quote: return fail(QueryFault::open_quote, lexer_.offset());
            case Lexeme::end:
                if (groups_.size() > 1) return fail(QueryFault::open_group, group.offset);
                end_group();
        }
    }

    void fail(QueryFault fault, std::size_t offset) noexcept {
        if (error_.fault == QueryFault::none) error_ = {fault, offset};
    }

    void await_operand() noexcept {
        groups_.back().awaits_operand = true;
        groups_.back().operator_offset = lexer_.offset();
    }

    void end_operand(bool has_words) noexcept {
        Group &group = groups_.back();
        if (has_words && group.negates_operand) add_node(NodeKind::negation, 1);
        if (has_words) ++group.conjuncts;
        group.has_operand = true;
        group.awaits_operand = group.negates_operand = false;
    }

    void end_conjunction() noexcept {
        Group &group = groups_.back();
        if (group.awaits_operand) fail(QueryFault::missing_operand, group.operator_offset);
        if (group.conjuncts > 1) add_node(NodeKind::conjunction, group.conjuncts);
        if (group.conjuncts > 0) ++group.disjuncts;
        group.conjuncts = 0;
        group.has_operand = false;
    }

    // Whether it had words.
    bool end_group() noexcept {
        end_conjunction();
        const std::uint32_t disjuncts = groups_.back().disjuncts;
        if (disjuncts > 1) add_node(NodeKind::disjunction, disjuncts);
        return disjuncts > 0;
    }

    bool add_phrase() noexcept {
        const auto phrase = static_cast<std::uint32_t>(phrases_.phrases.size());
        if (!phrases_.add(lexer_.term())) return false;
        nodes_.push({0, phrase, NodeKind::phrase});
        roots_.push(static_cast<std::uint32_t>(nodes_.size() - 1));
        return !failed();
    }

    // Puts a node above the last `count` nodes that have none.
    void add_node(NodeKind kind, std::uint32_t count) noexcept {
        if (failed()) return;
        const auto node = static_cast<std::uint32_t>(nodes_.size());
        for (std::uint32_t i = 0; i < count; ++i) nodes_[roots_[roots_.size() - 1 - i]].parent = node;
        nodes_.push({0, count, kind});
        roots_.resize(roots_.size() - count);
        roots_.push(node);
    }

    void fill(Query *query) noexcept {
        *query = {nodes_.items(), phrases_.phrases.items(), phrases_.words.items(), phrases_.token_hashes.items(),
                  arena_->array<bool>(nodes_.size())};
        if (failed() || query->scratch == nullptr) return fail(QueryFault::out_of_memory, 0);
        if (nodes_.size() != 0) nodes_.back().parent = static_cast<std::uint32_t>(nodes_.size() - 1);
    }

    bool failed() const noexcept { return phrases_.failed() || nodes_.failed() || roots_.failed() || groups_.failed(); }

    Lexer lexer_;
    PhraseBuilder phrases_;
    ArenaList<QueryNode> nodes_;
    ArenaList<std::uint32_t> roots_;  // nodes without a parent yet
    ArenaList<Group> groups_;         // that are open, the query itself first
    Arena *arena_;
    QueryError error_;
};

}  // namespace

QueryError parse_query(std::string_view text, Arena &arena, Query *query) noexcept {
    if (text.size() > kQueryBytesMax) return {QueryFault::too_long, kQueryBytesMax};
    return Parser(text, arena).parse(query);
}

}  // namespace historian::search
