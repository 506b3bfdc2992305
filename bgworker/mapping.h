// Mapping: which column gets what of a message, for devices that know nothing of our tables. Pure.
//
//     {"name": "topic[2]/topic[3]", "time": {"path": "$.ts", "unit": "ms"}, "value": "$.v", "quality": 192}
//
// A mapping is a JSON object: each key is a column, each value an expression, a constant, or an object of a path and its unit.
// An expression is one term, or several terms and text between them, which are joined:
//
//     $ $.a.b $.a[0] $.a[-1] $["odd key"]      a value of the payload, which then must be JSON
//     $.values[*].v                            as many rows as the array has elements
//     $.values.*                               as many as the object has members that no other path names
//     key                                      the name of the member, with `.*`
//     topic   topic[1]   topic[-1]             the topic, one of its parts from the front or from the end
//     property.unit   property["odd key"]      an MQTT 5 user property; of several with one name the last
//     payload                                  the payload as text, without white space around it
//     arrival   qos   retain                   when it arrived, and how
//     'text'   / - . : and other signs         text; words and digits need the quotes, '' is one quote
//
// Invariants:
//   1. Any message gives rows or a MapError. Each row has one cell a column; texts are valid UTF-8, followed by a NUL that is not
//      counted, and hold none before it.
//   2. A row takes its values from its own member of the array and from around the array, never from another member.
//   3. Memory: that of the tree (json_tree.h), 16 bytes a cell for at most kCellCountMax cells, texts of kMappedBytesMin or four
//      times the payload.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "bgworker/json_tree.h"
#include "bgworker/nanoseconds.h"
#include "bgworker/payload.h"
#include "codec/arena.h"

namespace historian::bgworker {

// `[*]` inside `[*]`: lines of machines of sensors, and one to spare.
inline constexpr std::uint32_t kFanOutDepthMax = 4;
// A table has fewer columns than this.
inline constexpr std::uint32_t kMappedColumnCountMax = 1600;
// What surrounds an array is repeated in each row: a long text there and a long array must not become terabytes. Texts of all
// rows together may take this much, or four times the payload where that is more.
inline constexpr std::size_t kMappedBytesMin = 64u * 1024 * 1024;

enum class StepKind : std::uint8_t { member, element, every_element, every_member };

/// One step of a path.
struct PathStep {
    const PathStep *next;
    std::string_view name;  ///< member
    std::int32_t index;     ///< element
    std::uint32_t end;      ///< bytes of the path's text to and with this step
    StepKind kind;
};

enum class TermKind : std::uint8_t { literal, path, key, topic, topic_part, property, payload, arrival, qos, retain };

/// One term of an expression.
struct Term {
    const Term *next;
    std::string_view text;  ///< literal: the text; property: its name; path: as written
    const PathStep *steps;  ///< path: all of them
    const PathStep *tail;   ///< path: those behind the last `[*]` or `.*`
    std::int32_t index;     ///< topic_part: from 1, or from -1
    std::uint32_t level;    ///< path: how many `[*]` and `.*` it passes
    TermKind kind;
};

struct MappedColumn {
    std::string_view name;
    const Term *terms;    ///< nullptr: a constant
    Cell constant;
    std::uint32_t level;  ///< the deepest one of its terms
    TimeUnit unit;  ///< text: none is given
};

struct NamedMember {
    const NamedMember *next;
    std::string_view name;
};

/// One array or object whose members become rows.
struct FanOut {
    const PathStep *steps;     ///< from the member of the level above, or the root, to and with the `[*]` or `.*`
    std::string_view text;     ///< the path from the root, as written
    const NamedMember *named;  ///< by_name: members that other paths name, which become no rows
    bool by_name;              ///< `.*`: members of an object
};

struct Mapping {
    const MappedColumn *columns = nullptr;
    const std::string_view *names = nullptr;  ///< of the columns
    std::uint32_t column_count = 0;
    FanOut fan_outs[kFanOutDepthMax] = {};
    std::uint32_t depth = 0;        ///< fan_outs used; 0: one row a message
    std::uint32_t named_level = 0;  ///< the last fan_out by name, from 1; 0: none
    bool reads_json = false;        ///< some term is a path
};

/// Why a mapping is refused.
struct MappingError {
    const char *what = nullptr;  ///< a lower-case phrase without a full stop; nullptr: no error
    std::string_view column;     ///< where; empty: the mapping as a whole
    std::size_t position = 0;    ///< character of the column's expression, from 1; 0: the expression as a whole
};

/// Reads a mapping. All of it is copied into the arena.
///
/// text    JSON, UTF-8
/// errors  what is not described above, an unknown word or key, two independent `[*]`
MappingError parse_mapping(std::string_view text, Arena &arena, Mapping *mapping) noexcept;

struct MappedProperty {
    std::string_view name;
    std::string_view value;
};

/// A message as a mapping sees it. Topic and properties are valid UTF-8 without NUL, as MQTT demands.
struct MappedMessage {
    std::string_view topic;
    std::string_view payload;
    const MappedProperty *properties = nullptr;
    std::uint32_t property_count = 0;
    std::int64_t arrived_at = 0;  ///< microseconds since 1970-01-01 UTC; years 1 to 9999
    std::uint8_t qos = 0;
    bool retained = false;
};

enum class MapFault : std::uint8_t {
    none,
    payload,        ///< it cannot be parsed: MapError::payload tells
    nothing_found,  ///< no path of the mapping leads to a value
    no_rows,        ///< there is nothing where the array should be
    not_an_array,   ///< there is something else
    not_an_object,  ///< the same with `.*`
    nul_in_text,    ///< a text holds \u0000, which PostgreSQL's text cannot
    too_many_cells,  ///< more than kCellCountMax
    too_much_text,   ///< more than kMappedBytesMin or four times the payload
    out_of_memory,
};

struct MapError {
    MapFault fault = MapFault::none;
    std::string_view path;  ///< no_rows, not_an_array, not_an_object, nul_in_text: of the mapping
    PayloadError payload;
};

/// The rows of a message. What is missing in it (a path, a part of the topic, a property), and a joined text of which a part is
/// missing or null, is a cell of kind absent. On an error *rows is not to be used.
///
/// units   a number, also one in a string, whose column has a unit becomes a text of RFC 3339; one that is no time becomes a text
///         that no time type takes: an error of its row alone
MapError map_message(const Mapping &mapping, const MappedMessage &message, Arena &arena, Payload *rows) noexcept;

/// A payload that comes to one row of a message only, the one that stands at `row`, from 0, among the rows of the whole; the rest
/// of the message is kept. data() is nullptr when there is no such row, or memory is short.
std::string_view write_mapped_row(const Mapping &mapping, const MappedMessage &message, std::uint32_t row, Arena &arena) noexcept;

/// What is wrong, as an errmsg. Cut to room, always NUL-terminated.
void describe_map_error(const MapError &error, char *text, std::size_t room) noexcept;

/// The SQLSTATE, five characters.
const char *map_error_sqlstate(const MapError &error) noexcept;

}  // namespace historian::bgworker
