#include "bgworker/payload_parsers.h"

namespace historian::bgworker {

namespace {

struct LineTag {
    std::string_view key;
    std::string_view value;
};

struct LineField {
    std::string_view key;
    Cell value;
    std::uint32_t begin, end;  ///< of `key=value` in the payload
};

/// Reads InfluxDB's line protocol: measurement[,tag=value...] field=value[,field=value...] [time]
///
/// Two kinds of table take it. One with columns name and value gets a row for each field that is a number: its name is
/// measurement.field, tags go to columns of their names where there are such; other fields are dropped. Any other table gets a
/// row for each line: tags and fields go to columns of their names, which must be there, the measurement to a column
/// `measurement` if there is one. Without a time a line has that of its arrival.
class LineReader {
public:
    LineReader(Arena *arena, const TableShape &shape) noexcept : arena_(arena), shape_(shape) {}

    PayloadError read(std::string_view bytes, Payload *payload) noexcept;

private:
    bool at_end() const noexcept { return at_ >= bytes_.size(); }
    char here() const noexcept { return at_end() ? '\n' : bytes_[at_]; }
    void skip_spaces() noexcept {
        while (!at_end() && (bytes_[at_] == ' ' || bytes_[at_] == '\r')) ++at_;
    }

    std::string_view read_token(std::string_view stops) noexcept;
    bool read_string(std::string_view *text) noexcept;
    bool read_value(Cell *value) noexcept;
    bool read_line() noexcept;
    bool read_tags() noexcept;
    bool read_fields() noexcept;
    bool read_time() noexcept;
    bool is_text(std::size_t begin, std::size_t end, PayloadError *error) const noexcept;

    PayloadFault add_named(std::string_view name, const Cell &cell) noexcept;
    PayloadFault add_points(std::size_t line_begin, std::size_t line_end) noexcept;
    PayloadFault add_record(std::size_t line_begin, std::size_t line_end) noexcept;
    PayloadFault add_bad_line(std::size_t line_begin, std::size_t line_end, PayloadError error) noexcept;
    PayloadFault end_row(const RowSource &source) noexcept;

    Arena *arena_;
    const TableShape &shape_;
    std::string_view bytes_;
    char *text_ = nullptr;  ///< tokens without their escapes, each where it stood in the payload
    std::size_t at_ = 0;
    std::size_t composed_bytes_ = 0;
    std::size_t composed_bytes_max_ = 0;
    int name_column_ = kNoColumn;  ///< of a table with name, time and value
    int value_column_ = kNoColumn;
    int measurement_column_ = kNoColumn;
    bool clean_ = false;  ///< the whole is UTF-8 without NULs, so no line needs to be looked at
    bool failed_ = false;  ///< out of memory in a line

    std::string_view measurement_;
    std::string_view time_;
    std::size_t fields_begin_ = 0;
    std::size_t fields_end_ = 0;
    Growing<LineTag> tags_;
    Growing<LineField> fields_;

    KeyedRows rows_;
    LineRows lines_;
};

/// Takes what comes before the next of `stops` or the end of the line.
std::string_view LineReader::read_token(std::string_view stops) noexcept {
    const std::size_t begin = at_;
    std::size_t to = at_;
    for (; here() != '\n' && stops.find(bytes_[at_]) == std::string_view::npos; ++at_) {
        const bool escaped = bytes_[at_] == '\\' && at_ + 1 < bytes_.size() &&
                             (bytes_[at_ + 1] == ',' || bytes_[at_ + 1] == '=' || bytes_[at_ + 1] == ' ');
        if (escaped) ++at_;
        text_[to++] = bytes_[at_];
    }
    text_[to] = '\0';
    return {text_ + begin, to - begin};
}

/// After the opening quote. False when there is no closing one.
bool LineReader::read_string(std::string_view *text) noexcept {
    const std::size_t begin = at_;
    std::size_t to = at_;
    for (; !at_end() && bytes_[at_] != '"'; ++at_) {
        if (bytes_[at_] == '\\' && at_ + 1 < bytes_.size() && (bytes_[at_ + 1] == '"' || bytes_[at_ + 1] == '\\')) ++at_;
        text_[to++] = bytes_[at_];
    }
    if (at_end()) return false;
    ++at_;
    text_[to] = '\0';
    *text = {text_ + begin, to - begin};
    return true;
}

bool LineReader::read_value(Cell *value) noexcept {
    std::string_view text;
    if (here() == '"') {
        ++at_;
        if (!read_string(&text)) return false;
        *value = Cell{text.data(), static_cast<std::uint32_t>(text.size()), CellKind::text};
        return true;
    }
    text = read_token(", \r");
    for (const std::string_view word : {"t", "T", "true", "True", "TRUE"}) {
        if (text == word) return *value = Cell{"true", 4, CellKind::boolean}, true;
    }
    for (const std::string_view word : {"f", "F", "false", "False", "FALSE"}) {
        if (text == word) return *value = Cell{"false", 5, CellKind::boolean}, true;
    }
    const bool is_integer = !text.empty() && (text.back() == 'i' || text.back() == 'u');
    if (is_integer) {
        text.remove_suffix(1);
        text_[text.data() + text.size() - text_] = '\0';
        if (text.find_first_of(".eE") != std::string_view::npos) return false;
    }
    *value = Cell{text.data(), static_cast<std::uint32_t>(text.size()), CellKind::number};
    return is_json_number(text);
}

bool LineReader::read_tags() noexcept {
    tags_.truncate(0);
    while (here() == ',') {
        ++at_;
        LineTag tag;
        tag.key = read_token("=, ");
        if (tag.key.empty() || here() != '=') return false;
        ++at_;
        tag.value = read_token(", ");
        if (tag.value.empty()) return false;
        if (!tags_.append(*arena_, tag)) return failed_ = true, false;
    }
    return here() == ' ';
}

bool LineReader::read_fields() noexcept {
    fields_.truncate(0);
    fields_begin_ = at_;
    for (;;) {
        LineField field;
        field.begin = static_cast<std::uint32_t>(at_);
        field.key = read_token("=, ");
        if (field.key.empty() || here() != '=') return false;
        ++at_;
        if (!read_value(&field.value)) return false;
        field.end = static_cast<std::uint32_t>(at_);
        if (!fields_.append(*arena_, field)) return failed_ = true, false;
        if (here() != ',') break;
        ++at_;
    }
    fields_end_ = at_;
    return here() == ' ' || here() == '\r' || here() == '\n';
}

bool LineReader::read_time() noexcept {
    skip_spaces();
    time_ = read_token(" \r");
    skip_spaces();
    return here() == '\n' && (time_.empty() || is_json_number(time_));
}

/// Reads the line at at_; false when it is malformed at at_.
bool LineReader::read_line() noexcept {
    measurement_ = read_token(", ");
    if (measurement_.empty() || !read_tags()) return false;
    skip_spaces();
    return read_fields() && read_time();
}

bool LineReader::is_text(std::size_t begin, std::size_t end, PayloadError *error) const noexcept {
    const std::string_view line = bytes_.substr(begin, end - begin);
    const std::size_t invalid = find_invalid_utf8(line);
    const std::size_t nul = line.find('\0');
    if (invalid != std::string_view::npos) {
        *error = {PayloadFault::invalid_utf8, begin + invalid};
    } else if (nul != std::string_view::npos) {
        *error = {PayloadFault::nul_in_text, begin + nul};
    }
    return error->fault == PayloadFault::none;
}

PayloadFault LineReader::add_named(std::string_view name, const Cell &cell) noexcept {
    std::uint32_t index = 0;
    const PayloadFault fault = rows_.find_name(*arena_, name, &index);
    return fault == PayloadFault::none ? rows_.add(*arena_, index, cell) : fault;
}

PayloadFault LineReader::end_row(const RowSource &source) noexcept {
    const PayloadFault fault = rows_.end_row(*arena_);
    if (fault != PayloadFault::none) return fault;
    return lines_.sources.append(*arena_, source) ? PayloadFault::none : PayloadFault::out_of_memory;
}

Cell time_cell(std::string_view time) noexcept {
    if (time.empty()) return Cell{"", 0, CellKind::arrival};
    return Cell{time.data(), static_cast<std::uint32_t>(time.size()), CellKind::number};
}

Cell text_cell(std::string_view text, CellKind kind) noexcept {
    return Cell{text.data(), static_cast<std::uint32_t>(text.size()), kind};
}

/// One row for each field that is a number.
PayloadFault LineReader::add_points(std::size_t line_begin, std::size_t line_end) noexcept {
    for (std::size_t i = 0; i < fields_.size(); ++i) {
        const LineField &field = fields_.data()[i];
        if (field.value.kind != CellKind::number) continue;
        const std::size_t name_bytes = measurement_.size() + 1 + field.key.size();
        composed_bytes_ += name_bytes + 1;
        if (composed_bytes_ > composed_bytes_max_) return PayloadFault::too_much_text;
        char *name = arena_->array<char>(name_bytes + 1);
        if (name == nullptr) return PayloadFault::out_of_memory;
        std::memcpy(name, measurement_.data(), measurement_.size());
        name[measurement_.size()] = '.';
        std::memcpy(name + measurement_.size() + 1, field.key.data(), field.key.size());
        name[name_bytes] = '\0';

        PayloadFault fault = add_named(shape_.columns[name_column_], text_cell({name, name_bytes}, CellKind::text));
        if (fault == PayloadFault::none) fault = add_named(shape_.columns[shape_.time_column], time_cell(time_));
        if (fault == PayloadFault::none) fault = add_named(shape_.columns[value_column_], field.value);
        for (std::size_t t = 0; t < tags_.size() && fault == PayloadFault::none; ++t) {
            const LineTag &tag = tags_.data()[t];
            const int column = find_column(shape_, tag.key);
            if (column < 0 || column == name_column_ || column == shape_.time_column || column == value_column_) continue;
            fault = add_named(shape_.columns[column], text_cell(tag.value, CellKind::raw));
        }
        if (fault != PayloadFault::none) return fault;
        const RowSource source{static_cast<std::uint32_t>(line_begin),  static_cast<std::uint32_t>(fields_begin_),
                               field.begin,                             field.end,
                               static_cast<std::uint32_t>(fields_end_), static_cast<std::uint32_t>(line_end)};
        fault = end_row(source);
        if (fault != PayloadFault::none) return fault;
    }
    return PayloadFault::none;
}

/// One row for the line.
PayloadFault LineReader::add_record(std::size_t line_begin, std::size_t line_end) noexcept {
    PayloadFault fault = PayloadFault::none;
    if (measurement_column_ >= 0) {
        fault = add_named(shape_.columns[measurement_column_], text_cell(measurement_, CellKind::text));
    }
    for (std::size_t i = 0; i < tags_.size() && fault == PayloadFault::none; ++i) {
        fault = add_named(tags_.data()[i].key, text_cell(tags_.data()[i].value, CellKind::raw));
    }
    for (std::size_t i = 0; i < fields_.size() && fault == PayloadFault::none; ++i) {
        fault = add_named(fields_.data()[i].key, fields_.data()[i].value);
    }
    if (fault == PayloadFault::none) fault = add_named(shape_.columns[shape_.time_column], time_cell(time_));
    if (fault != PayloadFault::none) return fault;
    return end_row({0, 0, static_cast<std::uint32_t>(line_begin), static_cast<std::uint32_t>(line_end), 0, 0});
}

PayloadFault LineReader::add_bad_line(std::size_t line_begin, std::size_t line_end, PayloadError error) noexcept {
    const std::uint32_t row = rows_.row_count();
    rows_.drop_rows(row);
    if (!lines_.add_bad_row(*arena_, row, error)) return PayloadFault::out_of_memory;
    return end_row({0, 0, static_cast<std::uint32_t>(line_begin), static_cast<std::uint32_t>(line_end), 0, 0});
}

PayloadError LineReader::read(std::string_view bytes, Payload *payload) noexcept {
    bytes_ = bytes;
    composed_bytes_max_ = bytes.size() > kComposedBytesMin / 4 ? bytes.size() * 4 : kComposedBytesMin;
    text_ = arena_->array<char>(bytes.size() + 1);
    if (text_ == nullptr) return {PayloadFault::out_of_memory, 0};
    if (shape_.time_column == kNoColumn) return {PayloadFault::table_has_no_time, 0};
    clean_ = find_invalid_utf8(bytes) == std::string_view::npos && bytes.find('\0') == std::string_view::npos;
    const int name_column = find_column(shape_, "name");
    value_column_ = find_column(shape_, "value");
    if (name_column >= 0 && value_column_ >= 0) name_column_ = name_column;
    measurement_column_ = find_column(shape_, "measurement");

    bool any = false;
    while (skip_spaces(), !at_end()) {
        const std::size_t begin = at_;
        if (here() == '\n' || here() == '#') {
            while (here() != '\n') ++at_;
            ++at_;
            continue;
        }
        any = true;
        PayloadError error;
        if (!read_line()) error = {PayloadFault::malformed_line, at_};
        if (failed_) return {PayloadFault::out_of_memory, at_};
        if (error.fault != PayloadFault::none) {
            // A string that does not end must not swallow the lines behind it.
            const std::size_t newline = bytes_.find('\n', begin);
            at_ = newline == std::string_view::npos ? bytes_.size() : newline;
        }
        if (!clean_ && error.fault == PayloadFault::none) (void)is_text(begin, at_, &error);
        PayloadFault fault = PayloadFault::none;
        if (error.fault != PayloadFault::none) {
            fault = add_bad_line(begin, at_, error);
        } else {
            fault = name_column_ >= 0 ? add_points(begin, at_) : add_record(begin, at_);
        }
        if (fault != PayloadFault::none) return {fault, begin};
        if (!at_end()) ++at_;
    }
    if (!any) return {PayloadFault::empty, 0};
    const PayloadFault fault = rows_.finish(*arena_, payload);
    lines_.finish(payload);
    return {fault, 0};
}

}  // namespace

PayloadError parse_line_protocol(std::string_view bytes, const TableShape &shape, Arena &arena, Payload *payload) noexcept {
    LineReader reader(&arena, shape);
    return reader.read(bytes, payload);
}

}  // namespace historian::bgworker
