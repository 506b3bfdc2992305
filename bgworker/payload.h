// Payload: the bytes of one MQTT message as rows of cells. Pure: no PostgreSQL, no clock, no exception leaves it.
//
//     JSON (RFC 8259, UTF-8)     ["name", time, value]   [["name", time, value], ...]   {"name": ..., ...}   [{...}, ...]
//                                {"data": {"columns": ["name", ...], "rows": [["a", ...], ...]}}   {"columns": ..., "rows": ...}
//     NDJSON                     one object a line
//     CSV (RFC 4180)             columns in the table's order, or named by the first record
//     InfluxDB's line protocol   measurement,tag=a field=1,other=2 time
//     a plain number             3.25: the name is the topic, the time that of arrival
//
// A cell keeps its text as it was written: which type it becomes is the table's business. Objects and arrays inside a row become
// cells of kind json, with white space removed. Times are cells of kind number: nanoseconds.h.
//
// Invariants:
//   1. Any bytes give rows or a PayloadError; memory comes from the arena and stays below payload bytes * 16 + cells * 120, but
//      for names that line protocol composes: kComposedBytesMin. (An escape may grow three-fold, and a buffer that doubles leaves
//      its smaller selves behind.)
//   2. Every text and name is valid UTF-8, followed by a NUL that is not counted, and holds none before it.
//   3. Where names are given each row has one cell a name, or another number of cells, which makes it a bad row.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "bgworker/payload_options.h"
#include "bgworker/table_shape.h"
#include "codec/arena.h"

namespace historian::bgworker {

// A payload of commas must not become gigabytes of cells: 4 Mi cells are 64 MB.
inline constexpr std::uint32_t kCellCountMax = 4u * 1024 * 1024;
// Nesting of arrays and objects, the outer ones included.
inline constexpr std::size_t kPayloadDepthMax = 32;
// A table has no more columns.
inline constexpr std::uint32_t kNameCountMax = 1600;
// Names that line protocol composes of measurement and field may take this much, or four times the payload where that is more.
inline constexpr std::size_t kComposedBytesMin = 64u * 1024 * 1024;

enum class CellKind : std::uint8_t {
    null,
    boolean,
    number,
    text,
    json,
    raw,      ///< a text without a type, as CSV has them: read by the column's type; in a column of times perhaps a number
    arrival,  ///< the time at which the message arrived
    absent,   ///< not given: the column's default
};

struct Cell {
    const char *text;     ///< boolean: "true" or "false"; null, arrival, absent: ""
    std::uint32_t bytes;  ///< length of text
    CellKind kind;
};

enum class PayloadFault : std::uint8_t {
    none,
    empty,                ///< no byte, or no row
    malformed,            ///< not JSON
    not_rows,             ///< JSON, but a string, a boolean, null
    row_expected,         ///< the first element is an array, a later one is not
    object_expected,      ///< a line of NDJSON that is not an object
    invalid_utf8,         ///< the bytes are not UTF-8
    nul_in_text,          ///< a string holds \u0000, which PostgreSQL's text cannot
    too_deep,             ///< nested deeper than kPayloadDepthMax
    too_many_cells,       ///< more than kCellCountMax values
    too_many_names,       ///< more than kNameCountMax columns
    too_much_text,        ///< composed names above their limit
    malformed_csv,        ///< a quoted field that does not end, or goes on after its quote
    malformed_line,       ///< not line protocol
    not_a_number,         ///< the format is number, the payload is none
    number_has_no_name,   ///< a plain number, and the topic names the table
    number_has_no_place,  ///< a plain number, and the table has no column for it
    table_has_no_time,    ///< line protocol, and the table has no column for times
    out_of_memory,
};

struct PayloadError {
    PayloadFault fault = PayloadFault::none;
    std::size_t offset = 0;  ///< byte of the payload where it was noticed
};

/// Where a row stands in the payload: three stretches of it that are a payload of that row when they are put together.
struct RowSource {
    std::uint32_t head_begin, head_end;  ///< CSV: the header; line protocol: measurement and tags
    std::uint32_t body_begin, body_end;  ///< the row, the field
    std::uint32_t tail_begin, tail_end;  ///< line protocol: the time
};

/// A row that could not be read, and spoils no other.
struct BadRow {
    std::uint32_t row;  ///< from 0
    PayloadError error;
};

/// Rows of cells: row r has the cells row_ends[r - 1] (0 for the first) up to, not including, row_ends[r].
struct Payload {
    const Cell *cells = nullptr;
    const std::uint32_t *row_ends = nullptr;
    std::uint32_t row_count = 0;
    const std::string_view *names = nullptr;  ///< nullptr: cells are in the table's order. Otherwise cell i is for names[i]
    std::uint32_t name_count = 0;
    const RowSource *sources = nullptr;  ///< one a row; nullptr: write_row() makes a payload of its cells
    const BadRow *bad_rows = nullptr;    ///< in order; a bad row has no cells
    std::uint32_t bad_row_count = 0;
};

/// What reading needs besides the bytes.
struct ParseContext {
    PayloadOptions options;
    std::string_view topic;             ///< UTF-8; empty: it names the table, so nothing is named by it
    const TableShape *shape = nullptr;  ///< for line protocol and numbers; nullptr: a table without columns
};

/// Parses one payload; on an error *payload is not to be used.
PayloadError parse_payload(std::string_view bytes, const ParseContext &context, Arena &arena, Payload *payload) noexcept;

/// One row as a payload of its own, read in the same way as the whole; data() is nullptr when memory is short.
std::string_view write_row(std::string_view bytes, const Payload &payload, std::uint32_t row, Arena &arena) noexcept;

/// What is wrong, as an errmsg: a lower-case phrase without a full stop. Cut to room, always NUL-terminated.
void describe_payload_error(PayloadError error, char *text, std::size_t room) noexcept;

/// The SQLSTATE of a fault, five characters.
const char *payload_error_sqlstate(PayloadFault fault) noexcept;

/// Offset of the first byte that is not part of valid UTF-8 (RFC 3629: no surrogates, no overlong forms), or npos.
std::size_t find_invalid_utf8(std::string_view bytes) noexcept;

}  // namespace historian::bgworker
