// Reads mappings: mapping.h has the language. A recursive descent over each expression; what was read is linked in the arena.
#include <cstdarg>
#include <cstdio>
#include <cstring>

#include "bgworker/mapping.h"

namespace historian::bgworker {

namespace {

// The largest number in a path or in topic[n]: more digits are a mistake.
constexpr std::int32_t kIndexMax = 999'999'999;

constexpr const char *kOutOfMemory = "not enough memory";

bool is_letter(char sign) noexcept { return (sign >= 'a' && sign <= 'z') || (sign >= 'A' && sign <= 'Z'); }
bool is_digit(char sign) noexcept { return sign >= '0' && sign <= '9'; }

/// Of a name behind a dot (RFC 9535, section 2.5.1.1): letters, digits, underscores, and all beyond ASCII.
bool is_in_name(char sign) noexcept {
    return is_letter(sign) || is_digit(sign) || sign == '_' || static_cast<unsigned char>(sign) >= 0x80;
}

/// Signs that stand for themselves between terms: they begin no term, and no later version will want them to.
bool is_plain_sign(char sign) noexcept {
    return sign >= ' ' && sign < 0x7F && !is_letter(sign) && !is_digit(sign) && std::strchr("$'\"[]{}\\`", sign) == nullptr;
}

bool is_star(const PathStep &step) noexcept {
    return step.kind == StepKind::every_element || step.kind == StepKind::every_member;
}

bool same_step(const PathStep &one, const PathStep &other) noexcept {
    if (one.kind != other.kind) return false;
    return one.kind == StepKind::member ? one.name == other.name : one.kind != StepKind::element || one.index == other.index;
}

template <typename T>
T *make(Arena &arena) noexcept {
    T *made = arena.array<T>(1);
    if (made != nullptr) *made = T{};
    return made;
}

/// A copy in the arena, followed by a NUL; data() is nullptr when memory is short.
std::string_view copy_text(std::string_view text, Arena &arena) noexcept {
    char *copy = arena.array<char>(text.size() + 1);
    if (copy == nullptr) return {};
    if (!text.empty()) std::memcpy(copy, text.data(), text.size());
    copy[text.size()] = '\0';
    return {copy, text.size()};
}

bool holds_nul(std::string_view text) noexcept { return text.find('\0') != std::string_view::npos; }

/// Reads one expression into terms.
class ExpressionParser {
public:
    ExpressionParser(std::string_view text, Arena *arena, MappingError *error) noexcept
        : text_(text), arena_(arena), error_(error) {}

    /// False: *error_ says why.
    bool parse(const Term **terms) noexcept {
        if (text_.empty()) return fail("expression is empty; two single quotes stand for an empty text", 0);
        if (holds_nul(text_)) return fail("expression holds a NUL character", text_.find('\0'));
        const Term *first = nullptr;
        Term *last = nullptr;
        while (at_ < text_.size()) {
            Term *term = make<Term>(*arena_);
            if (term == nullptr) return fail(kOutOfMemory, at_);
            if (!parse_term(term)) return false;
            if (last == nullptr) {
                first = term;
            } else {
                last->next = term;
            }
            last = term;
        }
        *terms = first;
        return true;
    }

private:
    char peek() const noexcept { return at_ < text_.size() ? text_[at_] : '\0'; }
    bool take(char sign) noexcept {
        if (peek() != sign) return false;
        ++at_;
        return true;
    }

    /// The position is told in characters, as editors count.
    bool fail(const char *what, std::size_t at) noexcept {
        error_->what = what;
        error_->position = 1;
        for (std::size_t i = 0; i < at && i < text_.size(); ++i) {
            if ((static_cast<unsigned char>(text_[i]) & 0xC0) != 0x80) ++error_->position;
        }
        return false;
    }

    bool parse_term(Term *term) noexcept {
        const char sign = peek();
        if (sign == '$') return parse_path(term);
        if (is_letter(sign)) return parse_word(term);
        if (sign == '\'') {
            term->kind = TermKind::literal;
            return parse_quoted_text(term);
        }
        const std::size_t begin = at_;
        while (is_plain_sign(peek())) ++at_;
        if (at_ == begin) return fail("text must stand in single quotes", at_);
        term->kind = TermKind::literal;
        term->text = text_.substr(begin, at_ - begin);
        return true;
    }

    /// 'text', in which '' is one quote.
    bool parse_quoted_text(Term *term) noexcept {
        const std::size_t begin = at_++;
        char *text = arena_->array<char>(text_.size());
        if (text == nullptr) return fail(kOutOfMemory, begin);
        std::size_t bytes = 0;
        while (at_ < text_.size()) {
            if (take('\'') && peek() != '\'') {
                term->text = {text, bytes};
                return true;
            }
            text[bytes++] = text_[at_++];
        }
        return fail("quoted text does not end", begin);
    }

    bool parse_word(Term *term) noexcept {
        const std::size_t begin = at_;
        while (is_letter(peek()) || is_digit(peek())) ++at_;
        const std::string_view word = text_.substr(begin, at_ - begin);
        if (word == "topic") return parse_topic(term);
        if (word == "property") return parse_property(term);
        struct Word {
            const char *word;
            TermKind kind;
        };
        constexpr Word kWords[] = {{"payload", TermKind::payload},
                                   {"arrival", TermKind::arrival},
                                   {"key", TermKind::key},
                                   {"qos", TermKind::qos},
                                   {"retain", TermKind::retain}};
        for (const Word &each : kWords) {
            if (word != each.word) continue;
            term->kind = each.kind;
            return true;
        }
        return fail("unknown word; text must stand in single quotes, and a path begins with $", begin);
    }

    bool parse_topic(Term *term) noexcept {
        term->kind = TermKind::topic;
        const std::size_t begin = at_;
        if (!take('[')) return true;
        term->kind = TermKind::topic_part;
        if (!parse_index(&term->index)) return false;
        return term->index != 0 || fail("parts of a topic count from 1, or from -1 at its end", begin + 1);
    }

    bool parse_property(Term *term) noexcept {
        term->kind = TermKind::property;
        if (take('.')) return parse_name(&term->text);
        if (!take('[')) return fail("property needs a name: property.unit or property[\"unit\"]", at_);
        return parse_quoted_name(&term->text);
    }

    bool parse_path(Term *term) noexcept {
        const std::size_t begin = at_++;
        term->kind = TermKind::path;
        PathStep *last = nullptr;
        while (peek() == '.' || peek() == '[') {
            PathStep *step = make<PathStep>(*arena_);
            if (step == nullptr) return fail(kOutOfMemory, at_);
            if (take('.') ? !parse_member(step) : (++at_, !parse_bracket(step))) return false;
            step->end = static_cast<std::uint32_t>(at_ - begin);
            (last == nullptr ? term->steps : last->next) = step;
            last = step;
            if (!is_star(*step)) continue;
            if (++term->level > kFanOutDepthMax) return fail("path has more than four [*] and .*", begin);
        }
        term->text = text_.substr(begin, at_ - begin);
        term->tail = term->steps;
        for (const PathStep *step = term->steps; step != nullptr; step = step->next) {
            if (is_star(*step)) term->tail = step->next;
        }
        return true;
    }

    /// What follows a dot.
    bool parse_member(PathStep *step) noexcept {
        if (take('*')) {
            step->kind = StepKind::every_member;
            return true;
        }
        step->kind = StepKind::member;
        return parse_name(&step->name);
    }

    /// What follows an opening bracket, to and with the closing one.
    bool parse_bracket(PathStep *step) noexcept {
        if (take('*')) {
            step->kind = StepKind::every_element;
            return take(']') || fail("] is missing", at_);
        }
        if (peek() == '"' || peek() == '\'') {
            step->kind = StepKind::member;
            return parse_quoted_name(&step->name);
        }
        step->kind = StepKind::element;
        return parse_index(&step->index);
    }

    bool parse_name(std::string_view *name) noexcept {
        const std::size_t begin = at_;
        if (is_digit(peek())) return fail("a name that begins with a digit must be written [\"...\"]", begin);
        while (is_in_name(peek())) ++at_;
        *name = text_.substr(begin, at_ - begin);
        return at_ > begin || fail("a name must follow the dot", begin);
    }

    /// "name"] or 'name'], in which \ takes the next sign as it is.
    bool parse_quoted_name(std::string_view *name) noexcept {
        const std::size_t begin = at_;
        const char quote = peek();
        if (quote != '"' && quote != '\'') return fail("a number, * or a quoted name must follow the bracket", begin);
        ++at_;
        char *text = arena_->array<char>(text_.size());
        if (text == nullptr) return fail(kOutOfMemory, begin);
        std::size_t bytes = 0;
        bool closed = false;
        while (at_ < text_.size() && !(closed = take(quote))) {
            if (take('\\') && peek() != '\\' && peek() != '"' && peek() != '\'') {
                return fail("\\ may stand before a quote or another \\ only", at_ - 1);
            }
            if (at_ < text_.size()) text[bytes++] = text_[at_++];
        }
        if (!closed) return fail("quoted name does not end", begin);
        *name = {text, bytes};
        return take(']') || fail("] is missing", at_);
    }

    /// number]
    bool parse_index(std::int32_t *index) noexcept {
        const std::size_t begin = at_;
        const bool negative = take('-');
        if (!is_digit(peek())) return fail("a number, * or a quoted name must follow the bracket", begin);
        std::int32_t value = 0;
        for (; is_digit(peek()); ++at_) {
            if (value > kIndexMax / 10) return fail("number is too large", begin);
            value = value * 10 + (peek() - '0');
        }
        *index = negative ? -value : value;
        if (negative && value == 0) return fail("-0 is no place", begin);
        return take(']') || fail("] is missing", at_);
    }

    std::string_view text_;
    std::size_t at_ = 0;
    Arena *arena_;
    MappingError *error_;
};

/// Reads a whole mapping.
class MappingParser {
public:
    MappingParser(Arena *arena, Mapping *mapping) noexcept : arena_(arena), mapping_(mapping) {}

    MappingError parse(std::string_view text) noexcept {
        const JsonValue *root = nullptr;
        const std::string_view copy = copy_text(text, *arena_);
        if (copy.data() == nullptr) return fail(kOutOfMemory), error_;
        const PayloadFault fault = parse_json(copy, *arena_, &root).fault;
        if (fault == PayloadFault::out_of_memory) return fail(kOutOfMemory), error_;
        if (fault != PayloadFault::none) return fail("it is not valid JSON"), error_;
        if (root->kind != JsonKind::object) return fail("it is not a JSON object of columns and expressions"), error_;
        if (root->first == nullptr) return fail("it names no column"), error_;
        if (read_columns(root) && choose_fan_out() && check_paths()) error_.column = {};
        return error_;
    }

private:
    bool fail(const char *what) noexcept {
        error_.what = what;
        return false;
    }

    bool read_columns(const JsonValue *root) noexcept {
        std::uint32_t count = 0;
        for (const JsonValue *each = root->first; each != nullptr; each = each->next) ++count;
        if (count > kMappedColumnCountMax) return fail("it names too many columns");
        columns_ = arena_->array<MappedColumn>(count);
        auto *names = arena_->array<std::string_view>(count);
        if (columns_ == nullptr || names == nullptr) return fail(kOutOfMemory);
        for (const JsonValue *each = root->first; each != nullptr; each = each->next) {
            MappedColumn *column = &columns_[mapping_->column_count];
            *column = MappedColumn{};
            column->unit = TimeUnit::text;
            column->name = each->key();
            error_.column = column->name;
            for (std::uint32_t i = 0; i < mapping_->column_count; ++i) {
                if (names[i] == column->name) return fail("it is mapped twice");
            }
            if (column->name.empty() || holds_nul(column->name)) return fail("it has no name");
            if (!read_column(each, column)) return false;
            names[mapping_->column_count++] = column->name;
        }
        mapping_->columns = columns_;
        mapping_->names = names;
        return true;
    }

    bool read_column(const JsonValue *value, MappedColumn *column) noexcept {
        if (value->kind == JsonKind::text) return read_expression(value->text(), column);
        if (value->kind == JsonKind::object) return read_object(value, column);
        if (value->kind == JsonKind::array) return fail("a list is no expression; {\"const\": [...]} stands for a constant one");
        return read_constant(value, column);
    }

    /// {"path": ..., "unit": ...} or {"const": ...}
    bool read_object(const JsonValue *object, MappedColumn *column) noexcept {
        const JsonValue *path = nullptr;
        const JsonValue *unit = nullptr;
        const JsonValue *constant = nullptr;
        for (const JsonValue *each = object->first; each != nullptr; each = each->next) {
            const std::string_view key = each->key();
            const JsonValue **known = key == "path" ? &path : key == "unit" ? &unit : key == "const" ? &constant : nullptr;
            if (known == nullptr) return fail("its object has a key other than path, unit and const");
            *known = each;
        }
        if ((path == nullptr) == (constant == nullptr)) return fail("its object needs either path or const");
        if (constant != nullptr) {
            if (unit != nullptr) return fail("a constant has no unit");
            return read_constant(constant, column);
        }
        if (path->kind != JsonKind::text) return fail("its path is not a string");
        return read_expression(path->text(), column) && (unit == nullptr || read_unit(unit, column));
    }

    bool read_unit(const JsonValue *unit, MappedColumn *column) noexcept {
        const std::string_view text = unit->kind == JsonKind::text ? unit->text() : std::string_view();
        column->unit = text == "s"    ? TimeUnit::seconds
                       : text == "ms" ? TimeUnit::milliseconds
                       : text == "us" ? TimeUnit::microseconds
                       : text == "ns" ? TimeUnit::nanoseconds
                                      : TimeUnit::text;
        if (column->unit == TimeUnit::text) return fail("its unit is not s, ms, us or ns");
        const Term *term = column->terms;
        const bool measured = term != nullptr && term->next == nullptr && term->kind != TermKind::arrival &&
                              term->kind != TermKind::qos && term->kind != TermKind::retain;
        return measured || fail("a unit needs one path, property, part of the topic, or payload");
    }

    bool read_expression(std::string_view text, MappedColumn *column) noexcept {
        ExpressionParser parser(text, arena_, &error_);
        if (!parser.parse(&column->terms)) return false;
        if (column->terms->kind != TermKind::literal || column->terms->next != nullptr) return true;
        const bool made = make_constant(column->terms->text, CellKind::text, column);
        column->terms = nullptr;
        return made;
    }

    bool make_constant(std::string_view text, CellKind kind, MappedColumn *column) noexcept {
        if (holds_nul(text)) return fail("its constant holds a NUL character");
        const std::string_view copy = copy_text(text, *arena_);
        if (copy.data() == nullptr) return fail(kOutOfMemory);
        column->constant = {copy.data(), static_cast<std::uint32_t>(copy.size()), kind};
        return true;
    }

    bool read_constant(const JsonValue *value, MappedColumn *column) noexcept {
        switch (value->kind) {
            case JsonKind::null: return make_constant("", CellKind::null, column);
            case JsonKind::boolean: return make_constant(value->text(), CellKind::boolean, column);
            case JsonKind::number: return make_constant(value->text(), CellKind::number, column);
            case JsonKind::text: return make_constant(value->text(), CellKind::text, column);
            case JsonKind::array:
            case JsonKind::object: break;
        }
        const std::string_view text = write_json(value, *arena_);
        if (text.data() == nullptr) return fail(kOutOfMemory);
        column->constant = {text.data(), static_cast<std::uint32_t>(text.size()), CellKind::json};
        return true;
    }

    /// The path with the most `[*]` tells what becomes rows; all others must go along with it.
    bool choose_fan_out() noexcept {
        const Term *deepest = nullptr;
        for (std::uint32_t i = 0; i < mapping_->column_count; ++i) {
            for (const Term *term = columns_[i].terms; term != nullptr; term = term->next) {
                if (term->kind != TermKind::path) continue;
                mapping_->reads_json = true;
                if (deepest == nullptr || term->level > deepest->level) deepest = term;
            }
        }
        if (deepest == nullptr) return true;
        chain_ = deepest->steps;
        const PathStep *begin = deepest->steps;
        for (const PathStep *step = begin; mapping_->depth < deepest->level; step = step->next) {
            if (!is_star(*step)) continue;
            mapping_->fan_outs[mapping_->depth++] = {begin, deepest->text.substr(0, step->end), nullptr,
                                                     step->kind == StepKind::every_member};
            begin = step->next;
        }
        return true;
    }

    /// Compares a path with the one whose members become rows, up to where they part.
    bool check_path(const Term &term) noexcept {
        std::uint32_t level = 0;
        const PathStep *step = term.steps;
        const PathStep *other = chain_;
        for (; step != nullptr && other != nullptr && same_step(*step, *other); step = step->next, other = other->next) {
            if (is_star(*step)) ++level;
        }
        if (level < term.level) return fail("its [*] or .* is not that of the other columns");
        if (step == nullptr || other == nullptr || level == mapping_->depth) return true;
        if (other->kind == StepKind::every_element && step->kind == StepKind::element) {
            return fail("its path goes by number into the array whose elements become rows");
        }
        // $.a[1] may be $.a[-1], whose elements become rows.
        const bool are_numbers = other->kind == StepKind::element && step->kind == StepKind::element;
        if (are_numbers && (step->index < 0) != (other->index < 0)) {
            return fail("its path counts from the other end of an array that rows come from");
        }
        if (other->kind != StepKind::every_member || step->kind != StepKind::member) return true;
        auto *named = make<NamedMember>(*arena_);
        if (named == nullptr) return fail(kOutOfMemory);
        *named = {mapping_->fan_outs[level].named, step->name};
        mapping_->fan_outs[level].named = named;
        return true;
    }

    bool check_paths() noexcept {
        for (std::uint32_t i = 0; i < mapping_->depth; ++i) {
            if (mapping_->fan_outs[i].by_name) mapping_->named_level = i + 1;
        }
        for (std::uint32_t i = 0; i < mapping_->column_count; ++i) {
            error_.column = columns_[i].name;
            for (const Term *term = columns_[i].terms; term != nullptr; term = term->next) {
                const bool is_key = term->kind == TermKind::key;
                if (is_key && mapping_->named_level == 0) return fail("key needs a path with .* in some column");
                if (term->kind == TermKind::path && !check_path(*term)) return false;
                const std::uint32_t level = is_key ? mapping_->named_level : term->level;
                if (level > columns_[i].level) columns_[i].level = level;
            }
        }
        return true;
    }

    Arena *arena_;
    Mapping *mapping_;
    MappingError error_;
    MappedColumn *columns_ = nullptr;
    const PathStep *chain_ = nullptr;  ///< the steps of the path with the most `[*]`
};

}  // namespace

MappingError parse_mapping(std::string_view text, Arena &arena, Mapping *mapping) noexcept {
    *mapping = Mapping{};
    MappingParser parser(&arena, mapping);
    return parser.parse(text);
}

}  // namespace historian::bgworker
