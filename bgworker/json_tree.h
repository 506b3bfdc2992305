// JsonTree: a JSON text (RFC 8259, UTF-8) as values that keep their texts. Pure: no PostgreSQL, no exception leaves it.
//
// Made for mappings, which look at a message by paths and may ask for a field that stands before or after the array whose rows
// it belongs to: the whole message must be known. Texts are not copied: they lie in the bytes that were parsed, or in the arena
// when they held escapes. Numbers are never converted, so no digit is lost.
//
// Invariants:
//   1. Any bytes give a tree or a PayloadError; memory comes from the arena and stays below payload bytes * 4 + values * 48.
//   2. Every text and key is valid UTF-8. Both may hold NUL characters: "\u0000".
//   3. A tree is not deeper than kPayloadDepthMax.
#pragma once

#include <cstdint>
#include <string_view>

#include "bgworker/payload.h"
#include "codec/arena.h"

namespace historian::bgworker {

enum class JsonKind : std::uint8_t { null, boolean, number, text, array, object };

struct JsonValue {
    union {
        const char *chars;       ///< boolean, number (as written), text (decoded)
        const JsonValue *first;  ///< array, object: nullptr when empty
    };
    const char *key_chars;  ///< in an object; decoded
    const JsonValue *next;  ///< in an array or object, in the order of the text
    std::uint32_t bytes;    ///< length of chars
    std::uint32_t key_bytes;
    JsonKind kind;

    std::string_view text() const noexcept { return {chars, bytes}; }
    std::string_view key() const noexcept { return {key_chars, key_bytes}; }
    bool has_members() const noexcept { return kind == JsonKind::array || kind == JsonKind::object; }
};

/// Parses one JSON value; `bytes` must outlive the tree. On an error *root is not to be used.
///
/// faults  empty, malformed, invalid_utf8, too_deep, too_many_cells (more than kCellCountMax values), out_of_memory
PayloadError parse_json(std::string_view bytes, Arena &arena, const JsonValue **root) noexcept;

/// The member of an object; of several with one name the last, as in jsonb. nullptr: none, or not an object.
const JsonValue *find_member(const JsonValue *object, std::string_view name) noexcept;

/// The element of an array, from 0; -1 is the last. nullptr: none, or not an array.
const JsonValue *find_element(const JsonValue *array, std::int32_t index) noexcept;

/// Leaves members of arrays and objects out when they are written.
struct JsonFilter {
    bool (*keeps)(const void *self, const JsonValue *parent, const JsonValue *member) noexcept;
    const void *self;
};

/// A value as JSON without white space, in the arena and followed by a NUL; data() is nullptr when memory is short.
///
/// filter  nullptr: all of it
std::string_view write_json(const JsonValue *value, Arena &arena, const JsonFilter *filter = nullptr) noexcept;

}  // namespace historian::bgworker
