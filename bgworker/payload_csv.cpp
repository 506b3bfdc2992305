#include "bgworker/payload_parsers.h"

namespace historian::bgworker {

namespace {

/// Reads CSV in place: the copy of the payload becomes its cells' texts, each ended by a NUL where its delimiter was.
///
/// RFC 4180, and a little more as others have it: lines may end with \n alone or \r alone, a field that does not begin with a
/// quote may hold quotes, empty lines are no records, nor are byte order marks before one. A field of no character is null; a
/// quoted one ("") is an empty text.
class CsvReader {
public:
    CsvReader(Arena *arena, const PayloadOptions &options) noexcept : arena_(arena), options_(options) {}

    PayloadError read(std::string_view bytes, Payload *payload) noexcept;

private:
    bool at_end() const noexcept { return at_ >= size_; }
    bool is_line_end(char c) const noexcept { return c == '\n' || c == '\r'; }

    /// Reads one record's fields into cells_; at_ is then behind its end of line. False: out of memory or too many.
    PayloadFault read_record(PayloadError *error) noexcept;
    PayloadFault read_field(PayloadError *error, bool *last) noexcept;
    std::size_t read_quoted(PayloadError *error) noexcept;
    void end_field(bool *last) noexcept;
    PayloadError check_text(std::size_t begin, std::size_t end) const noexcept;
    PayloadError read_header() noexcept;
    PayloadError add_row(std::size_t begin) noexcept;

    Arena *arena_;
    const PayloadOptions &options_;
    std::string_view original_;
    char *text_ = nullptr;  ///< the copy
    std::size_t size_ = 0;
    std::size_t at_ = 0;
    std::size_t header_begin_ = 0;
    std::size_t header_end_ = 0;
    bool clean_ = false;  ///< the whole is UTF-8 without NULs, so no row needs to be looked at
    Growing<Cell> cells_;
    Growing<std::uint32_t> row_ends_;
    Growing<std::string_view> names_;
    LineRows lines_;
};

/// After the opening quote: moves the text to the left over its doubled quotes. Returns its end; at_ is behind the closing quote.
std::size_t CsvReader::read_quoted(PayloadError *error) noexcept {
    std::size_t to = at_;
    const std::size_t begin = at_ - 1;
    for (; !at_end(); ++at_) {
        if (text_[at_] == '"') {
            if (at_ + 1 >= size_ || text_[at_ + 1] != '"') {
                ++at_;
                return to;
            }
            ++at_;
        }
        text_[to++] = text_[at_];
    }
    if (error->fault == PayloadFault::none) *error = {PayloadFault::malformed_csv, begin};
    return to;
}

/// Takes the delimiter or the end of the line at at_.
void CsvReader::end_field(bool *last) noexcept {
    *last = at_end() || is_line_end(text_[at_]);
    if (!at_end() && text_[at_] == '\r' && at_ + 1 < size_ && text_[at_ + 1] == '\n') ++at_;
    if (!at_end()) ++at_;
}

PayloadFault CsvReader::read_field(PayloadError *error, bool *last) noexcept {
    const bool quoted = !at_end() && text_[at_] == '"';
    if (quoted) ++at_;
    const std::size_t begin = at_;
    std::size_t end;
    if (quoted) {
        end = read_quoted(error);
        const std::size_t closed = at_;
        while (!at_end() && text_[at_] != options_.delimiter && !is_line_end(text_[at_])) ++at_;
        if (at_ != closed && error->fault == PayloadFault::none) *error = {PayloadFault::malformed_csv, closed};
    } else {
        while (!at_end() && text_[at_] != options_.delimiter && !is_line_end(text_[at_])) ++at_;
        end = at_;
    }
    end_field(last);
    text_[end] = '\0';  // a delimiter, an end of line, a quote, or the byte behind the copy
    const bool is_null = !quoted && end == begin;
    const Cell cell{text_ + begin, static_cast<std::uint32_t>(end - begin), is_null ? CellKind::null : CellKind::raw};
    if (cells_.size() >= kCellCountMax) return PayloadFault::too_many_cells;
    return cells_.append(*arena_, cell) ? PayloadFault::none : PayloadFault::out_of_memory;
}

PayloadFault CsvReader::read_record(PayloadError *error) noexcept {
    const std::size_t begin = at_;
    bool last = false;
    while (!last) {
        const PayloadFault fault = read_field(error, &last);
        if (fault != PayloadFault::none) return fault;
    }
    if (!clean_ && error->fault == PayloadFault::none) *error = check_text(begin, at_);
    return PayloadFault::none;
}

PayloadError CsvReader::check_text(std::size_t begin, std::size_t end) const noexcept {
    const std::string_view record = original_.substr(begin, end - begin);
    const std::size_t invalid = find_invalid_utf8(record);
    if (invalid != std::string_view::npos) return {PayloadFault::invalid_utf8, begin + invalid};
    const std::size_t nul = record.find('\0');
    if (nul != std::string_view::npos) return {PayloadFault::nul_in_text, begin + nul};
    return {};
}

PayloadError CsvReader::read_header() noexcept {
    PayloadError error;
    header_begin_ = at_;
    const PayloadFault fault = read_record(&error);
    header_end_ = at_;
    if (fault != PayloadFault::none) return {fault, at_};
    if (error.fault != PayloadFault::none) return error;
    if (options_.header == CsvHeader::columns) {
        if (cells_.size() > kNameCountMax) return {PayloadFault::too_many_names, at_};
        for (std::size_t i = 0; i < cells_.size(); ++i) {
            const Cell &cell = cells_.data()[i];
            // Spaces after a delimiter are no part of a column's name.
            const std::string_view name = copy_to_arena(*arena_, trim({cell.text, cell.bytes}));
            if (name.data() == nullptr || !names_.append(*arena_, name)) return {PayloadFault::out_of_memory, at_};
        }
    }
    cells_.truncate(0);
    return {};
}

/// Reads the record at at_ as a row.
PayloadError CsvReader::add_row(std::size_t begin) noexcept {
    const std::size_t first_cell = cells_.size();
    PayloadError error;
    const PayloadFault fault = read_record(&error);
    if (fault != PayloadFault::none) return {fault, at_};
    const auto row = static_cast<std::uint32_t>(row_ends_.size());
    if (error.fault != PayloadFault::none) {
        cells_.truncate(first_cell);
        if (!lines_.add_bad_row(*arena_, row, error)) return {PayloadFault::out_of_memory, at_};
    }
    const RowSource source{static_cast<std::uint32_t>(header_begin_),
                           static_cast<std::uint32_t>(header_end_),
                           static_cast<std::uint32_t>(begin),
                           static_cast<std::uint32_t>(at_),
                           0,
                           0};
    const bool added =
        row_ends_.append(*arena_, static_cast<std::uint32_t>(cells_.size())) && lines_.sources.append(*arena_, source);
    return {added ? PayloadFault::none : PayloadFault::out_of_memory, at_};
}

PayloadError CsvReader::read(std::string_view bytes, Payload *payload) noexcept {
    constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
    original_ = bytes;
    size_ = bytes.size();
    text_ = arena_->array<char>(size_ + 1);
    if (text_ == nullptr) return {PayloadFault::out_of_memory, 0};
    std::memcpy(text_, bytes.data(), size_);
    clean_ = find_invalid_utf8(bytes) == std::string_view::npos && bytes.find('\0') == std::string_view::npos;
    bool header = options_.header != CsvHeader::none;
    while (!at_end()) {
        if (is_line_end(text_[at_])) {
            ++at_;
            continue;
        }
        if (bytes.substr(at_, kByteOrderMark.size()) == kByteOrderMark) {
            at_ += kByteOrderMark.size();
            continue;
        }
        const PayloadError error = header ? read_header() : add_row(at_);
        header = false;
        if (error.fault != PayloadFault::none) return error;
    }
    payload->cells = cells_.data();
    payload->row_ends = row_ends_.data();
    payload->row_count = static_cast<std::uint32_t>(row_ends_.size());
    payload->names = names_.data();
    payload->name_count = static_cast<std::uint32_t>(names_.size());
    lines_.finish(payload);
    return {payload->row_count == 0 ? PayloadFault::empty : PayloadFault::none, 0};
}

}  // namespace

PayloadError parse_csv_rows(std::string_view bytes, const PayloadOptions &options, Arena &arena, Payload *payload) noexcept {
    CsvReader reader(&arena, options);
    return reader.read(bytes, payload);
}

}  // namespace historian::bgworker
