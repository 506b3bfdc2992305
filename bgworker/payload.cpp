// A handler for Boost.JSON's event parser builds the cells while the payload is read once; no document tree is made.
// Built with exceptions: the library may throw (it allocates only when a payload arrives in pieces, which it does not here).
// tidy: exceptions inside
#include "bgworker/payload.h"

#include <cstdio>
#include <cstring>
#include <limits>

#include <boost/json/basic_parser_impl.hpp>

namespace historian::bgworker {

namespace {

namespace json = boost::json;
using boost::json::error_code;
using boost::json::string_view;

/// An array in the arena that doubles when it is full.
template <typename T>
class Growing {
public:
    bool append(Arena &arena, const T *items, std::size_t count) noexcept {
        if (count > capacity_ - size_ && !grow(arena, count)) return false;
        if (count > 0) std::memcpy(data_ + size_, items, count * sizeof(T));
        size_ += count;
        return true;
    }
    T *data() const noexcept { return data_; }
    std::size_t size() const noexcept { return size_; }
    T last() const noexcept { return data_[size_ - 1]; }

private:
    bool grow(Arena &arena, std::size_t more) noexcept {
        std::size_t capacity = capacity_ < 8 ? 16 : capacity_ * 2;
        if (capacity < size_ + more) capacity = size_ + more;
        T *data = arena.array<T>(capacity);
        if (data == nullptr) return false;
        if (size_ > 0) std::memcpy(data, data_, size_ * sizeof(T));
        data_ = data;
        capacity_ = capacity;
        return true;
    }

    T *data_ = nullptr;
    std::size_t size_ = 0;
    std::size_t capacity_ = 0;
};

/// Receives the parser's events. Depth 1 is the outer array, depth 2 a row of the several-rows form; deeper is the inside of a
/// json cell.
class CellBuilder {
public:
    static constexpr std::size_t max_array_size = std::numeric_limits<std::size_t>::max();
    static constexpr std::size_t max_object_size = std::numeric_limits<std::size_t>::max();
    static constexpr std::size_t max_string_size = std::numeric_limits<std::uint32_t>::max() / 2;
    static constexpr std::size_t max_key_size = max_string_size;

    explicit CellBuilder(Arena *arena) noexcept : arena_(arena) {}

    bool on_document_begin(error_code &) noexcept { return true; }
    bool on_document_end(error_code &) noexcept { return true; }

    bool on_array_begin(error_code &ec) noexcept {
        if (json_depth_ == 0) {
            if (depth_ == 0) return depth_ = 1, true;
            if (depth_ == 1 && form_ != Form::one_row) {
                form_ = Form::rows;
                return depth_ = 2, true;
            }
        }
        return open_json('[', ec);
    }
    bool on_array_end(std::size_t, error_code &ec) noexcept {
        if (json_depth_ > 0) return close_json(']', ec);
        if (depth_ == 2 || (depth_ == 1 && form_ == Form::one_row)) {
            const auto end = static_cast<std::uint32_t>(cells_.size());
            if (!row_ends_.append(*arena_, &end, 1)) return fail(PayloadFault::out_of_memory, ec);
        }
        --depth_;
        return true;
    }
    bool on_object_begin(error_code &ec) noexcept { return open_json('{', ec); }
    bool on_object_end(std::size_t, error_code &ec) noexcept { return close_json('}', ec); }

    bool on_key_part(string_view part, std::size_t, error_code &ec) noexcept { return append_string_part(part, ec); }
    bool on_key(string_view part, std::size_t, error_code &ec) noexcept {
        return append_string_part(part, ec) && end_json_string(ec) && append_json(":", 1, ec);
    }
    bool on_string_part(string_view part, std::size_t, error_code &ec) noexcept { return append_string_part(part, ec); }
    bool on_string(string_view part, std::size_t, error_code &ec) noexcept {
        if (!append_string_part(part, ec)) return false;
        return json_depth_ > 0 ? end_json_string(ec) : end_cell(CellKind::text, ec);
    }

    bool on_number_part(string_view part, error_code &ec) noexcept { return append_number_part(part, ec); }
    bool on_int64(std::int64_t, string_view part, error_code &ec) noexcept { return on_number(part, ec); }
    bool on_uint64(std::uint64_t, string_view part, error_code &ec) noexcept { return on_number(part, ec); }
    bool on_double(double, string_view part, error_code &ec) noexcept { return on_number(part, ec); }
    bool on_bool(bool value, error_code &ec) noexcept { return on_word(CellKind::boolean, value ? "true" : "false", ec); }
    bool on_null(error_code &ec) noexcept { return on_word(CellKind::null, "null", ec); }
    bool on_comment_part(string_view, error_code &) noexcept { return true; }
    bool on_comment(string_view, error_code &) noexcept { return true; }

    PayloadFault fault() const noexcept { return fault_; }
    Payload payload() const noexcept { return {cells_.data(), row_ends_.data(), static_cast<std::uint32_t>(row_ends_.size())}; }
    std::size_t cell_count() const noexcept { return cells_.size(); }

private:
    enum class Form : std::uint8_t { undecided, one_row, rows };

    bool fail(PayloadFault fault, error_code &ec) noexcept {
        fault_ = fault;
        ec = json::error::exception;
        return false;
    }

    /// A value begins where a cell may: decides the form by the first one.
    bool begin_cell(error_code &ec) noexcept {
        if (depth_ == 0) return fail(PayloadFault::not_an_array, ec);
        if (depth_ == 1 && form_ == Form::rows) return fail(PayloadFault::row_expected, ec);
        if (depth_ == 1) form_ = Form::one_row;
        if (cells_.size() >= kCellCountMax) return fail(PayloadFault::too_many_cells, ec);
        return true;
    }

    /// The text gathered so far becomes a cell.
    bool end_cell(CellKind kind, error_code &ec) noexcept {
        const char nul = '\0';
        const auto bytes = static_cast<std::uint32_t>(text_.size());
        if (!text_.append(*arena_, &nul, 1)) return fail(PayloadFault::out_of_memory, ec);
        const Cell cell{text_.data(), bytes, kind};
        text_ = Growing<char>{};
        in_value_ = false;
        if (!cells_.append(*arena_, &cell, 1)) return fail(PayloadFault::out_of_memory, ec);
        return true;
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
        if (json_depth_ == 0) return begin_cell(ec);
        return separate_json(ec) && (!quoted || append_json("\"", 1, ec));
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
        std::size_t done = 0;
        for (std::size_t at = 0; at < part.size(); ++at) {
            const auto byte = static_cast<unsigned char>(part[at]);
            if (byte >= 0x20 && byte != '"' && byte != '\\') continue;
            char escape[8];
            const int bytes = byte < 0x20 ? std::snprintf(escape, sizeof escape, "\\u%04x", byte)
                                          : std::snprintf(escape, sizeof escape, "\\%c", byte);
            if (!append_json(part.data() + done, at - done, ec)) return false;
            if (!append_json(escape, static_cast<std::size_t>(bytes), ec)) return false;
            done = at + 1;
        }
        return append_json(part.data() + done, part.size() - done, ec);
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
    Growing<Cell> cells_;
    Growing<std::uint32_t> row_ends_;
    Growing<char> text_;
    int depth_ = 0;
    int json_depth_ = 0;
    bool in_value_ = false;
    Form form_ = Form::undecided;
    PayloadFault fault_ = PayloadFault::none;
};

/// The fault behind an error of the parser itself.
PayloadFault fault_of(std::string_view bytes, const error_code &ec, std::size_t *offset) noexcept {
    const std::size_t invalid = find_invalid_utf8(bytes);
    if (invalid != std::string_view::npos && invalid <= *offset + 4) {
        *offset = invalid;
        return PayloadFault::invalid_utf8;
    }
    return ec == json::error::too_deep ? PayloadFault::too_deep : PayloadFault::malformed;
}

PayloadError parse_or_throw(std::string_view bytes, Arena &arena, Payload *payload) {
    json::parse_options options;
    options.max_depth = kPayloadDepthMax;
    json::basic_parser<CellBuilder> parser(options, &arena);
    error_code ec;
    std::size_t offset = parser.write_some(false, bytes.data(), bytes.size(), ec);
    const CellBuilder &builder = parser.handler();
    if (builder.fault() != PayloadFault::none) return {builder.fault(), offset};
    if (ec) {
        const PayloadFault fault = fault_of(bytes, ec, &offset);
        return {fault, offset};
    }
    if (offset < bytes.size()) return {PayloadFault::malformed, offset};
    if (builder.cell_count() == 0 && builder.payload().row_count == 0) return {PayloadFault::empty, 0};
    *payload = builder.payload();
    return {};
}

}  // namespace

PayloadError parse_payload(std::string_view bytes, Arena &arena, Payload *payload) noexcept {
    if (bytes.empty()) return {PayloadFault::empty, 0};
    try {
        return parse_or_throw(bytes, arena, payload);
    } catch (...) {
        return {PayloadFault::out_of_memory, 0};
    }
}

void describe_payload_error(PayloadError error, char *text, std::size_t room) noexcept {
    const std::size_t at = error.offset;
    switch (error.fault) {
        case PayloadFault::none: std::snprintf(text, room, "no error"); break;
        case PayloadFault::empty: std::snprintf(text, room, "payload holds no value"); break;
        case PayloadFault::malformed: std::snprintf(text, room, "payload is not valid JSON at offset %zu", at); break;
        case PayloadFault::not_an_array: std::snprintf(text, room, "payload is not a JSON array at offset %zu", at); break;
        case PayloadFault::row_expected:
            std::snprintf(text, room, "payload mixes rows and single values at offset %zu", at);
            break;
        case PayloadFault::invalid_utf8: std::snprintf(text, room, "payload is not valid UTF-8 at offset %zu", at); break;
        case PayloadFault::nul_in_text:
            std::snprintf(text, room, "payload has a NUL character in a string at offset %zu", at);
            break;
        case PayloadFault::too_deep:
            std::snprintf(text, room, "payload is nested deeper than %zu levels at offset %zu", kPayloadDepthMax, at);
            break;
        case PayloadFault::too_many_cells:
            std::snprintf(text, room, "payload has more than %u values", static_cast<unsigned>(kCellCountMax));
            break;
        case PayloadFault::out_of_memory: std::snprintf(text, room, "not enough memory to parse the payload"); break;
    }
}

const char *payload_error_sqlstate(PayloadFault fault) noexcept {
    switch (fault) {
        case PayloadFault::none: return "00000";
        case PayloadFault::empty:
        case PayloadFault::malformed: return "22032";  // invalid_json_text
        case PayloadFault::not_an_array:
        case PayloadFault::row_expected: return "22023";  // invalid_parameter_value
        case PayloadFault::invalid_utf8: return "22021";  // character_not_in_repertoire
        case PayloadFault::nul_in_text: return "22P05";   // untranslatable_character
        case PayloadFault::too_deep:
        case PayloadFault::too_many_cells: return "54000";  // program_limit_exceeded
        case PayloadFault::out_of_memory: return "53200";
    }
    return "XX000";
}

std::size_t find_invalid_utf8(std::string_view bytes) noexcept {
    const auto *data = reinterpret_cast<const unsigned char *>(bytes.data());
    const std::size_t size = bytes.size();
    for (std::size_t at = 0; at < size;) {
        const unsigned char lead = data[at];
        if (lead < 0x80) {
            ++at;
            continue;
        }
        const std::size_t length = lead >= 0xC2 && lead <= 0xDF   ? 2
                                   : (lead & 0xF0) == 0xE0        ? 3
                                   : lead >= 0xF0 && lead <= 0xF4 ? 4
                                                                  : 0;
        if (length == 0 || size - at < length) return at;
        // The second byte excludes overlong forms, surrogates and what lies above U+10FFFF (RFC 3629, section 4).
        const unsigned char low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
        const unsigned char high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
        if (data[at + 1] < low || data[at + 1] > high) return at;
        for (std::size_t next = 2; next < length; ++next) {
            if ((data[at + next] & 0xC0) != 0x80) return at;
        }
        at += length;
    }
    return std::string_view::npos;
}

}  // namespace historian::bgworker
