#include "bgworker/payload_parsers.h"

#include <cstdio>

namespace historian::bgworker {

namespace {

/// A text that grows in the arena; once memory was short it stays so.
class Writer {
public:
    explicit Writer(Arena *arena) noexcept : arena_(arena) {}
    void append(std::string_view text) noexcept { good_ = good_ && out_.append(*arena_, text.data(), text.size()); }
    void append_string(std::string_view text) noexcept {
        append("\"");
        good_ = good_ && append_json_escaped(*arena_, text, &out_);
        append("\"");
    }
    std::string_view finish() noexcept {
        append({"", 1});
        return good_ ? std::string_view{out_.data(), out_.size() - 1} : std::string_view{};
    }

private:
    Arena *arena_;
    Growing<char> out_;
    bool good_ = true;
};

void append_cell(Writer *out, const Cell &cell) noexcept {
    const std::string_view text{cell.text, cell.bytes};
    switch (cell.kind) {
        case CellKind::boolean:
        case CellKind::number:
        case CellKind::json: return out->append(text);
        case CellKind::text:
        case CellKind::raw: return out->append_string(text);
        case CellKind::null:
        case CellKind::arrival:
        case CellKind::absent: return out->append("null");
    }
}

/// True for a row that alone would be read as something else: an array of rows, an array of objects, a document, nothing.
bool needs_outer_array(const Payload &payload, std::uint32_t begin, std::uint32_t count, bool keyed) noexcept {
    if (!keyed) return count == 0 || payload.cells[begin].kind == CellKind::json;
    for (std::uint32_t i = 0; i < count; ++i) {
        if (payload.cells[begin + i].kind == CellKind::absent) continue;
        const std::string_view name = payload.names[i];
        return name == "data" || name == "columns" || name == "rows";
    }
    return false;
}

/// A row of JSON made of cells: an array, or an object where the payload has names.
std::string_view write_json_row(const Payload &payload, std::uint32_t row, Arena &arena) noexcept {
    Writer out(&arena);
    const std::uint32_t begin = row == 0 ? 0 : payload.row_ends[row - 1];
    const std::uint32_t count = payload.row_ends[row] - begin;
    // A row with a cell too many has one without a name: the array shows it.
    const bool keyed = payload.names != nullptr && count == payload.name_count;
    const bool wrapped = needs_outer_array(payload, begin, count, keyed);
    bool first = true;
    if (wrapped) out.append("[");
    out.append(keyed ? "{" : "[");
    for (std::uint32_t i = 0; i < count; ++i) {
        const Cell &cell = payload.cells[begin + i];
        if (keyed && (cell.kind == CellKind::absent || cell.kind == CellKind::arrival)) continue;
        if (!first) out.append(",");
        first = false;
        if (keyed) {
            out.append_string(payload.names[i]);
            out.append(":");
        }
        append_cell(&out, cell);
    }
    out.append(keyed ? "}" : "]");
    if (wrapped) out.append("]");
    return out.finish();
}

}  // namespace

bool append_json_escaped(Arena &arena, std::string_view text, Growing<char> *out) noexcept {
    std::size_t done = 0;
    for (std::size_t at = 0; at < text.size(); ++at) {
        const auto byte = static_cast<unsigned char>(text[at]);
        if (byte >= 0x20 && byte != '"' && byte != '\\') continue;
        char escape[8];
        const int bytes = byte < 0x20 ? std::snprintf(escape, sizeof escape, "\\u%04x", byte)
                                      : std::snprintf(escape, sizeof escape, "\\%c", byte);
        if (!out->append(arena, text.data() + done, at - done)) return false;
        if (!out->append(arena, escape, static_cast<std::size_t>(bytes))) return false;
        done = at + 1;
    }
    return out->append(arena, text.data() + done, text.size() - done);
}

std::string_view write_row(std::string_view bytes, const Payload &payload, std::uint32_t row, Arena &arena) noexcept {
    if (payload.sources == nullptr) return write_json_row(payload, row, arena);
    const RowSource &source = payload.sources[row];
    Writer out(&arena);
    out.append(bytes.substr(source.head_begin, source.head_end - source.head_begin));
    out.append(bytes.substr(source.body_begin, source.body_end - source.body_begin));
    out.append(bytes.substr(source.tail_begin, source.tail_end - source.tail_begin));
    return out.finish();
}

}  // namespace historian::bgworker
