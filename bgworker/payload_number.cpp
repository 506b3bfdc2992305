#include "bgworker/payload_parsers.h"

namespace historian::bgworker {

namespace {

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

std::size_t skip_digits(std::string_view text, std::size_t at) noexcept {
    while (at < text.size() && is_digit(text[at])) ++at;
    return at;
}

/// A fraction and an exponent, from `at` to the end of text.
bool is_rest_of_number(std::string_view text, std::size_t at) noexcept {
    if (at < text.size() && text[at] == '.') {
        const std::size_t end = skip_digits(text, at + 1);
        if (end == at + 1) return false;
        at = end;
    }
    if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
        ++at;
        if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
        const std::size_t end = skip_digits(text, at);
        if (end == at) return false;
        at = end;
    }
    return at == text.size();
}

/// What printf and people write: +1, 007, .5, nan, -inf.
bool is_any_number(std::string_view text) noexcept {
    if (!text.empty() && (text[0] == '+' || text[0] == '-')) text.remove_prefix(1);
    for (const std::string_view word : {"nan", "inf", "infinity"}) {
        if (equal_ignoring_case(text, word)) return true;
    }
    const std::size_t digits = skip_digits(text, 0);
    return (digits > 0 || (text.size() > 1 && text[0] == '.')) && is_rest_of_number(text, digits);
}

}  // namespace

bool is_json_number(std::string_view text) noexcept {
    if (!text.empty() && text[0] == '-') text.remove_prefix(1);
    const std::size_t digits = skip_digits(text, 0);
    const bool leading_zero = digits > 1 && text[0] == '0';
    return digits > 0 && !leading_zero && is_rest_of_number(text, digits);
}

PayloadError parse_number_row(std::string_view bytes, const ParseContext &context, Arena &arena, Payload *payload) noexcept {
    const std::string_view number = trim(bytes);
    if (number.empty()) return {PayloadFault::empty, 0};
    if (!is_any_number(number)) return {PayloadFault::not_a_number, 0};
    if (context.topic.empty()) return {PayloadFault::number_has_no_name, 0};
    if (find_invalid_utf8(context.topic) != std::string_view::npos) return {PayloadFault::invalid_utf8, 0};
    if (context.topic.find('\0') != std::string_view::npos) return {PayloadFault::nul_in_text, 0};
    const TableShape *shape = context.shape;
    if (shape == nullptr || shape->value_column == kNoColumn) return {PayloadFault::number_has_no_place, 0};

    const std::string_view text = copy_to_arena(arena, number);
    const std::string_view topic = copy_to_arena(arena, context.topic);
    Cell *cells = arena.array<Cell>(3);
    auto *names = arena.array<std::string_view>(3);
    auto *row_end = arena.array<std::uint32_t>(1);
    if (text.data() == nullptr || topic.data() == nullptr || cells == nullptr || names == nullptr || row_end == nullptr)
        return {PayloadFault::out_of_memory, 0};
    std::uint32_t count = 0;
    if (shape->name_column != kNoColumn) {
        names[count] = shape->columns[shape->name_column];
        cells[count++] = Cell{topic.data(), static_cast<std::uint32_t>(topic.size()), CellKind::text};
    }
    if (shape->time_column != kNoColumn) {
        names[count] = shape->columns[shape->time_column];
        cells[count++] = Cell{"", 0, CellKind::arrival};
    }
    names[count] = shape->columns[shape->value_column];
    cells[count++] = Cell{text.data(), static_cast<std::uint32_t>(text.size()), CellKind::raw};
    *row_end = count;
    *payload = Payload{cells, row_end, 1, names, count, nullptr, nullptr, 0};
    return {};
}

}  // namespace historian::bgworker
