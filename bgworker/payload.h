// Payload: the bytes of one MQTT message as rows of cells. Pure: no PostgreSQL, no clock, no exception leaves it.
//
// Two forms, both JSON arrays (RFC 8259, UTF-8), Machbase's:
//     ["name", time, value, ...]                       one row
//     [["name", time, value], ["name", time, value]]   several; chosen when the first element is an array
//
// A cell keeps its text as it was written: which type it becomes is the table's business. Objects and arrays inside a row become
// cells of kind json, with white space removed. Times are cells of kind number: nanoseconds.h.
//
// Invariants:
//   1. Any bytes give rows or a PayloadError; memory comes from the arena and stays below payload bytes * 14 + cells * 80: an
//      escape may grow three-fold, and a buffer that doubles leaves its smaller selves behind.
//   2. Every text is valid UTF-8, followed by a NUL that is not counted, and holds none before it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "codec/arena.h"

namespace historian::bgworker {

// A payload of commas must not become gigabytes of cells: 4 Mi cells are 64 MB.
inline constexpr std::uint32_t kCellCountMax = 4u * 1024 * 1024;
// Nesting of arrays and objects, the outer one or two included.
inline constexpr std::size_t kPayloadDepthMax = 32;

enum class CellKind : std::uint8_t { null, boolean, number, text, json };

struct Cell {
    const char *text;     ///< boolean: "true" or "false"; null: ""
    std::uint32_t bytes;  ///< length of text
    CellKind kind;
};

/// Rows of cells: row r has the cells row_ends[r - 1] (0 for the first) up to, not including, row_ends[r].
struct Payload {
    const Cell *cells = nullptr;
    const std::uint32_t *row_ends = nullptr;
    std::uint32_t row_count = 0;
};

enum class PayloadFault : std::uint8_t {
    none,
    empty,           ///< no byte, or no value in the array
    malformed,       ///< not JSON
    not_an_array,    ///< JSON, but an object, a number, ...
    row_expected,    ///< the first element is an array, a later one is not
    invalid_utf8,    ///< the bytes are not UTF-8
    nul_in_text,     ///< a string holds \u0000, which PostgreSQL's text cannot
    too_deep,        ///< nested deeper than kPayloadDepthMax
    too_many_cells,  ///< more than kCellCountMax values
    out_of_memory,
};

struct PayloadError {
    PayloadFault fault = PayloadFault::none;
    std::size_t offset = 0;  ///< byte of the payload where it was noticed
};

/// Parses one payload; on an error *payload is not to be used.
PayloadError parse_payload(std::string_view bytes, Arena &arena, Payload *payload) noexcept;

/// What is wrong, as an errmsg: a lower-case phrase without a full stop. Cut to room, always NUL-terminated.
void describe_payload_error(PayloadError error, char *text, std::size_t room) noexcept;

/// The SQLSTATE of a fault, five characters.
const char *payload_error_sqlstate(PayloadFault fault) noexcept;

/// Offset of the first byte that is not part of valid UTF-8 (RFC 3629: no surrogates, no overlong forms), or npos.
std::size_t find_invalid_utf8(std::string_view bytes) noexcept;

}  // namespace historian::bgworker
