// A handler for Boost.JSON's event parser builds the cells while the payload is read once; no document tree is made.
// Built with exceptions: the library may throw (it allocates only when a payload arrives in pieces, which it does not here).
// tidy: exceptions inside
#include "bgworker/payload_parsers.h"

#include <cstdio>
#include <limits>

#include <boost/json/basic_parser_impl.hpp>

namespace historian::bgworker {

namespace {

namespace json = boost::json;
using boost::json::string_view;
using boost::system::error_code;

/// How the bytes are taken. What begins like one form and goes on like another is read again, as the other: an array whose first
/// elements are objects may be one row of JSON cells, and {"rows": 7} one row with a column of that name.
enum class Reading : std::uint8_t {
    any,
    one_row,  ///< the outer array is a row
    keyed,    ///< the outer object is a row
    line,     ///< the outer object is a row, and nothing but an object will do
};

// What a list of no columns points to: no list at all would mean the table's order.
constexpr std::string_view kNoName;

/// Receives the parser's events. Inside a cell of kind json, json_depth_ is its nesting; elsewhere place_ says where we are.
class RowBuilder {
public:
    static constexpr std::size_t max_array_size = std::numeric_limits<std::size_t>::max();
    static constexpr std::size_t max_object_size = std::numeric_limits<std::size_t>::max();
    static constexpr std::size_t max_string_size = std::numeric_limits<std::uint32_t>::max() / 2;
    static constexpr std::size_t max_key_size = max_string_size;

    RowBuilder(Arena *arena, Reading reading) noexcept : arena_(arena), reading_(reading) {}

    bool on_document_begin(error_code &) noexcept { return true; }
    bool on_document_end(error_code &) noexcept { return true; }

    bool on_array_begin(error_code &ec) noexcept {
        if (json_depth_ > 0) return open_json('[', ec);
        switch (place_) {
            case Place::top:
                if (reading_ == Reading::line) return fail(PayloadFault::object_expected, ec);
                place_ = Place::list;
                form_ = reading_ == Reading::one_row ? Form::one_row : Form::undecided;
                return true;
            case Place::list:
                if (form_ == Form::one_row) return open_json('[', ec);
                if (form_ == Form::objects) return read_again(Reading::one_row, ec);
                form_ = Form::rows;
                place_ = Place::row;
                return true;
            case Place::row:
            case Place::object: return open_json('[', ec);
            case Place::document:
            case Place::data: return begin_document_list(ec);
            case Place::columns: break;
        }
        return read_again(Reading::keyed, ec);
    }
    bool on_array_end(std::size_t, error_code &ec) noexcept {
        if (json_depth_ > 0) return close_json(']', ec);
        if (place_ == Place::row) {
            place_ = Place::list;
            return end_positional_row(ec);
        }
        const bool one_row = place_ == Place::list && form_ == Form::one_row;
        place_ = outer_place_;
        return !one_row || end_positional_row(ec);
    }
    bool on_object_begin(error_code &ec) noexcept {
        if (json_depth_ > 0) return open_json('{', ec);
        switch (place_) {
            case Place::top:
                place_ = Place::object;
                may_be_document_ = reading_ == Reading::any;
                return true;
            case Place::list:
                if (form_ == Form::rows) return refuse_value(ec);
                if (form_ == Form::one_row) return open_json('{', ec);
                form_ = Form::objects;
                place_ = Place::object;
                return true;
            case Place::row:
            case Place::object: return open_json('{', ec);
            case Place::document:
                if (key() != "data" || outer_place_ != Place::top) break;
                place_ = Place::data;
                return true;
            case Place::data:
            case Place::columns: break;
        }
        return read_again(Reading::keyed, ec);
    }
    bool on_object_end(std::size_t, error_code &ec) noexcept {
        if (json_depth_ > 0) return close_json('}', ec);
        if (place_ == Place::object) {
            place_ = form_ == Form::objects ? Place::list : Place::top;
            may_be_document_ = false;
            return succeeded(keyed_.end_row(*arena_), ec);
        }
        place_ = place_ == Place::data ? Place::document : Place::top;
        return place_ == Place::document || rows_given_ || read_again(Reading::keyed, ec);
    }

    bool on_key_part(string_view part, std::size_t, error_code &ec) noexcept {
        if (json_depth_ > 0) return append_string_part(part, ec);
        return append_key(part, ec);
    }
    bool on_key(string_view part, std::size_t, error_code &ec) noexcept {
        if (json_depth_ > 0) return append_string_part(part, ec) && end_json_string(ec) && append_json(":", 1, ec);
        const bool ended = append_key(part, ec) && choose_column(ec);
        key_ended_ = true;
        return ended;
    }
    bool on_string_part(string_view part, std::size_t, error_code &ec) noexcept { return append_string_part(part, ec); }
    bool on_string(string_view part, std::size_t, error_code &ec) noexcept {
        if (!append_string_part(part, ec)) return false;
        if (json_depth_ > 0) return end_json_string(ec);
        return place_ == Place::columns ? end_column(ec) : end_cell(CellKind::text, ec);
    }

    bool on_number_part(string_view part, error_code &ec) noexcept { return append_number_part(part, ec); }
    bool on_int64(std::int64_t, string_view part, error_code &ec) noexcept { return on_number(part, ec); }
    bool on_uint64(std::uint64_t, string_view part, error_code &ec) noexcept { return on_number(part, ec); }
    bool on_double(double, string_view part, error_code &ec) noexcept { return on_number(part, ec); }
    bool on_bool(bool value, error_code &ec) noexcept { return on_word(CellKind::boolean, value ? "true" : "false", ec); }
    bool on_null(error_code &ec) noexcept { return on_word(CellKind::null, "null", ec); }
    bool on_comment_part(string_view, error_code &) noexcept { return true; }
    bool on_comment(string_view, error_code &) noexcept { return true; }

    /// Makes ready for another document; what is left of the one before is forgotten.
    void begin_line() noexcept {
        keyed_.drop_rows(keyed_.row_count());
        place_ = Place::top;
        json_depth_ = 0;
        in_value_ = false;
        key_ended_ = true;
        text_ = Growing<char>{};
        fault_ = PayloadFault::none;
    }
    /// Leaves row `row`, the last or the one under way, without cells: it stands for a line that could not be read.
    PayloadFault empty_row(std::uint32_t row) noexcept {
        keyed_.drop_rows(row);
        return keyed_.end_row(*arena_);
    }

    PayloadFault fault() const noexcept { return fault_; }
    bool wants_other_reading(Reading *reading) const noexcept {
        *reading = other_reading_;
        return other_reading_ != Reading::any;
    }
    std::uint32_t keyed_row_count() const noexcept { return keyed_.row_count(); }

    PayloadFault finish(Payload *payload) noexcept {
        if (keyed_.row_count() > 0) return keyed_.finish(*arena_, payload);
        payload->cells = cells_.data();
        payload->row_ends = row_ends_.data();
        payload->row_count = static_cast<std::uint32_t>(row_ends_.size());
        payload->names = columns_given_ && columns_.size() == 0 ? &kNoName : columns_.data();
        payload->name_count = static_cast<std::uint32_t>(columns_.size());
        return payload->row_count == 0 ? PayloadFault::empty : PayloadFault::none;
    }

private:
    enum class Form : std::uint8_t { undecided, one_row, rows, objects };  ///< of a list
    enum class Place : std::uint8_t {
        top,
        list,      ///< the outer array, or "rows" of a document: elements are rows or, in form one_row, cells
        row,       ///< an array of cells
        object,    ///< a row keyed by column
        document,  ///< {"data": ...} or {"columns": ..., "rows": ...}
        data,      ///< the object below "data"
        columns,   ///< the array below "columns"
    };

    bool fail(PayloadFault fault, error_code &ec) noexcept {
        fault_ = fault;
        ec = json::error::exception;
        return false;
    }
    bool succeeded(PayloadFault fault, error_code &ec) noexcept { return fault == PayloadFault::none || fail(fault, ec); }
    bool read_again(Reading reading, error_code &ec) noexcept {
        other_reading_ = reading;
        return fail(PayloadFault::malformed, ec);
    }
    /// A value among rows that is none: an error, unless what looked like a document may be a row after all.
    bool refuse_value(error_code &ec) noexcept {
        const bool is_document = outer_place_ == Place::data || columns_given_ || outer_place_ == Place::top;
        return is_document ? fail(PayloadFault::row_expected, ec) : read_again(Reading::keyed, ec);
    }

    std::string_view key() const noexcept { return {key_.data(), key_.size()}; }
    bool append_key(string_view part, error_code &ec) noexcept {
        if (key_ended_) key_.truncate(0);
        key_ended_ = false;
        return key_.append(*arena_, part.data(), part.size()) || fail(PayloadFault::out_of_memory, ec);
    }
    /// After a key of a row or of a document.
    bool choose_column(error_code &ec) noexcept {
        if (key().find('\0') != std::string_view::npos) return fail(PayloadFault::nul_in_text, ec);
        const bool names_document = key() == "data" || key() == "columns" || key() == "rows";
        if (place_ == Place::object && may_be_document_ && names_document) place_ = Place::document;
        may_be_document_ = false;
        if (place_ == Place::object) return succeeded(keyed_.find_name(*arena_, key(), &name_index_), ec);
        return names_document || read_again(Reading::keyed, ec);
    }
    /// "columns" or "rows" of a document.
    bool begin_document_list(error_code &ec) noexcept {
        const bool is_rows = key() == "rows";
        if (is_rows ? rows_given_ : columns_given_ || key() != "columns") return read_again(Reading::keyed, ec);
        outer_place_ = place_;
        (is_rows ? rows_given_ : columns_given_) = true;
        place_ = is_rows ? Place::list : Place::columns;
        form_ = Form::rows;
        return true;
    }
    bool end_column(error_code &ec) noexcept {
        const std::string_view name = copy_to_arena(*arena_, {text_.data(), text_.size()});
        text_.truncate(0);
        in_value_ = false;
        if (columns_.size() == kNameCountMax) return fail(PayloadFault::too_many_names, ec);
        return (name.data() != nullptr && columns_.append(*arena_, name)) || fail(PayloadFault::out_of_memory, ec);
    }

    bool end_positional_row(error_code &ec) noexcept {
        return row_ends_.append(*arena_, static_cast<std::uint32_t>(cells_.size())) || fail(PayloadFault::out_of_memory, ec);
    }

    /// A value begins where a cell may: decides the form by the first one.
    bool begin_cell(error_code &ec) noexcept {
        switch (place_) {
            case Place::top:
                return fail(reading_ == Reading::line ? PayloadFault::object_expected : PayloadFault::not_rows, ec);
            case Place::list:
                if (form_ == Form::rows) return refuse_value(ec);
                if (form_ == Form::objects) return read_again(Reading::one_row, ec);
                form_ = Form::one_row;
                break;
            case Place::row:
            case Place::object: break;
            default: return read_again(Reading::keyed, ec);
        }
        return cells_.size() < kCellCountMax || fail(PayloadFault::too_many_cells, ec);
    }

    /// The text gathered so far becomes a cell.
    bool end_cell(CellKind kind, error_code &ec) noexcept {
        const char nul = '\0';
        const auto bytes = static_cast<std::uint32_t>(text_.size());
        if (!text_.append(*arena_, nul)) return fail(PayloadFault::out_of_memory, ec);
        const Cell cell{text_.data(), bytes, kind};
        text_ = Growing<char>{};
        in_value_ = false;
        if (place_ == Place::object) return succeeded(keyed_.add(*arena_, name_index_, cell), ec);
        return cells_.append(*arena_, cell) || fail(PayloadFault::out_of_memory, ec);
    }

    bool append_json(const char *bytes, std::size_t count, error_code &ec) noexcept {
        return text_.append(*arena_, bytes, count) || fail(PayloadFault::out_of_memory, ec);
    }

    /// A comma before the second and later values of an array or object that is being rewritten.
    bool separate_json(error_code &ec) noexcept {
        const char before = text_.size() == 0 ? '[' : text_.last();
        return before == '[' || before == '{' || before == ':' || append_json(",", 1, ec);
    }

    bool open_json(char bracket, error_code &ec) noexcept {
        if (json_depth_ == 0 ? !begin_cell(ec) : !separate_json(ec)) return false;
        ++json_depth_;
        return append_json(&bracket, 1, ec);
    }
    bool close_json(char bracket, error_code &ec) noexcept {
        if (!append_json(&bracket, 1, ec)) return false;
        return --json_depth_ > 0 || end_cell(CellKind::json, ec);
    }

    /// The first part of a string, key or number: opens the cell or, inside json, the quoted string.
    bool begin_value(bool quoted, error_code &ec) noexcept {
        if (in_value_) return true;
        in_value_ = true;
        if (json_depth_ > 0) return separate_json(ec) && (!quoted || append_json("\"", 1, ec));
        return (quoted && place_ == Place::columns) || begin_cell(ec);
    }

    bool append_string_part(string_view part, error_code &ec) noexcept {
        if (!begin_value(true, ec)) return false;
        if (json_depth_ > 0) return append_escaped(part, ec);
        if (part.size() > 0 && std::memchr(part.data(), '\0', part.size()) != nullptr) return fail(PayloadFault::nul_in_text, ec);
        return append_json(part.data(), part.size(), ec);
    }
    bool end_json_string(error_code &ec) noexcept {
        in_value_ = false;
        return append_json("\"", 1, ec);
    }
    bool append_escaped(string_view part, error_code &ec) noexcept {
        return append_json_escaped(*arena_, {part.data(), part.size()}, &text_) || fail(PayloadFault::out_of_memory, ec);
    }

    bool append_number_part(string_view part, error_code &ec) noexcept {
        return begin_value(false, ec) && append_json(part.data(), part.size(), ec);
    }
    bool on_number(string_view part, error_code &ec) noexcept {
        if (!append_number_part(part, ec)) return false;
        if (json_depth_ > 0) return in_value_ = false, true;
        return end_cell(CellKind::number, ec);
    }
    bool on_word(CellKind kind, const char *word, error_code &ec) noexcept {
        if (json_depth_ > 0) return separate_json(ec) && append_json(word, std::strlen(word), ec);
        if (!begin_cell(ec)) return false;
        if (kind == CellKind::boolean && !append_json(word, std::strlen(word), ec)) return false;
        return end_cell(kind, ec);
    }

    Arena *arena_;
    KeyedRows keyed_;
    Growing<Cell> cells_;  ///< of rows that are arrays
    Growing<std::uint32_t> row_ends_;
    Growing<std::string_view> columns_;
    Growing<char> text_;
    Growing<char> key_;
    std::uint32_t name_index_ = 0;
    int json_depth_ = 0;
    Reading reading_;
    Reading other_reading_ = Reading::any;
    Form form_ = Form::undecided;
    Place place_ = Place::top;
    Place outer_place_ = Place::top;  ///< around the list or the columns
    bool in_value_ = false;
    bool key_ended_ = true;
    bool may_be_document_ = false;  ///< in the outer object, before its first key
    bool columns_given_ = false;
    bool rows_given_ = false;
    PayloadFault fault_ = PayloadFault::none;
};

using Parser = json::basic_parser<RowBuilder>;

/// The fault behind an error of the parser itself.
PayloadFault fault_of(std::string_view bytes, const error_code &ec, std::size_t *offset) noexcept {
    const std::size_t invalid = find_invalid_utf8(bytes);
    if (invalid != std::string_view::npos && invalid <= *offset + 4) {
        *offset = invalid;
        return PayloadFault::invalid_utf8;
    }
    return ec == json::error::too_deep ? PayloadFault::too_deep : PayloadFault::malformed;
}

/// Reads one JSON value; *end is where it ended.
PayloadError parse_value(Parser &parser, std::string_view bytes, std::size_t *end) {
    error_code ec;
    *end = parser.write_some(false, bytes.data(), bytes.size(), ec);
    if (parser.handler().fault() != PayloadFault::none) return {parser.handler().fault(), *end};
    if (!ec) return {};
    const PayloadFault fault = fault_of(bytes, ec, end);
    return {fault, *end};
}

json::parse_options parser_options() noexcept {
    json::parse_options options;
    options.max_depth = kPayloadDepthMax;
    return options;
}

PayloadError parse_ndjson_or_throw(std::string_view bytes, Arena &arena, Payload *payload) {
    Parser parser(parser_options(), &arena, Reading::line);
    LineRows lines;
    std::size_t next = 0;
    for (std::size_t begin = 0; begin < bytes.size(); begin = next) {
        const std::size_t newline = bytes.find('\n', begin);
        next = newline == std::string_view::npos ? bytes.size() : newline + 1;
        const std::string_view line = trim(bytes.substr(begin, next - begin));
        if (line.empty()) continue;
        const auto line_begin = static_cast<std::size_t>(line.data() - bytes.data());
        std::size_t end = 0;
        parser.reset();
        parser.handler().begin_line();
        const std::uint32_t row = parser.handler().keyed_row_count();
        PayloadError error = parse_value(parser, line, &end);
        if (error.fault == PayloadFault::none && !trim(line.substr(end)).empty()) error = {PayloadFault::malformed, end};
        error.offset += line_begin;
        if (spoils_all(error.fault)) return error;
        if (error.fault != PayloadFault::none) {
            const bool added = parser.handler().empty_row(row) == PayloadFault::none && lines.add_bad_row(arena, row, error);
            if (!added) return {PayloadFault::out_of_memory, error.offset};
        }
        const auto from = static_cast<std::uint32_t>(line_begin);
        const RowSource source{0, 0, from, static_cast<std::uint32_t>(from + line.size()), 0, 0};
        if (!lines.sources.append(arena, source)) return {PayloadFault::out_of_memory, line_begin};
    }
    if (parser.handler().keyed_row_count() == 0) return {PayloadFault::empty, 0};
    const PayloadFault fault = parser.handler().finish(payload);
    lines.finish(payload);
    return {fault, 0};
}

PayloadError parse_json_or_throw(std::string_view bytes, bool lines, Arena &arena, Payload *payload) {
    Reading reading = Reading::any;
    for (;;) {
        Parser parser(parser_options(), &arena, reading);
        std::size_t end = 0;
        const PayloadError error = parse_value(parser, bytes, &end);
        if (parser.handler().wants_other_reading(&reading)) continue;
        if (error.fault != PayloadFault::none) return error;
        if (!trim(bytes.substr(end)).empty()) {
            const bool may_be_lines = lines && trim(bytes).front() == '{' && parser.handler().keyed_row_count() == 1;
            return may_be_lines ? parse_ndjson_or_throw(bytes, arena, payload) : PayloadError{PayloadFault::malformed, end};
        }
        return {parser.handler().finish(payload), 0};
    }
}

}  // namespace

PayloadError parse_json_rows(std::string_view bytes, bool lines, Arena &arena, Payload *payload) noexcept {
    try {
        return parse_json_or_throw(bytes, lines, arena, payload);
    } catch (...) {
        return {PayloadFault::out_of_memory, 0};
    }
}

PayloadError parse_ndjson_rows(std::string_view bytes, Arena &arena, Payload *payload) noexcept {
    try {
        return parse_ndjson_or_throw(bytes, arena, payload);
    } catch (...) {
        return {PayloadFault::out_of_memory, 0};
    }
}

}  // namespace historian::bgworker
