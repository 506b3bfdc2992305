// Columns in memory: what goes into a segment builder and what comes out of a decoder.
//
// A segment knows physical kinds, never PostgreSQL type OIDs, so that ALTER TYPE without a rewrite and pg_upgrade change nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

namespace historian::format {

/// How the values of a column look. Numbers are stored on disk: never reuse or renumber one.
enum class PhysicalKind : std::uint8_t {
    reserved = 0,  // a zeroed header is never valid
    int1 = 1,      // 1 byte passed by value: bool, "char"
    int2 = 2,
    int4 = 3,    // also date, oid, float-free 4-byte types
    int8 = 4,    // also timestamp, timestamptz, time, money
    float4 = 5,  // number = the 32 bits of the float, sign-extended (PostgreSQL's Datum)
    float8 = 6,  // number = the 64 bits of the double
    fixed = 7,   // fixed_bytes bytes passed by reference: uuid, interval, macaddr, name, point
    bytes = 8,   // any number of bytes: text, jsonb, numeric, arrays (varlena payload without its header)
    absent = 9,  // a dropped column: every value is NULL and nothing is stored
};

/// Bytes of a value of a number kind; 0 of the other kinds.
constexpr std::uint32_t number_bytes(PhysicalKind kind) noexcept {
    switch (kind) {
        case PhysicalKind::int1: return 1;
        case PhysicalKind::int2: return 2;
        case PhysicalKind::int4:
        case PhysicalKind::float4: return 4;
        case PhysicalKind::int8:
        case PhysicalKind::float8: return 8;
        default: return 0;
    }
}

struct ColumnType {
    PhysicalKind kind = PhysicalKind::reserved;
    std::uint16_t fixed_bytes = 0;  // of kind fixed; 0 otherwise
};

constexpr bool is_number(PhysicalKind kind) noexcept { return kind >= PhysicalKind::int1 && kind <= PhysicalKind::float8; }

/// One value on its way into a segment.
struct Cell {
    std::int64_t number = 0;          // kinds int1..float8: sign-extended integer, or the bits of the float
    const std::byte *data = nullptr;  // kinds fixed, bytes; must live until append() returns
    std::uint32_t byte_count = 0;     // kinds fixed, bytes
    bool is_null = false;
};

/// One decoded column of one granule, or of the rows that were wanted of it. All memory belongs to the arena that the decoder was
/// given.
struct ColumnVector {
    std::uint32_t row_count = 0;  // of the granule
    std::uint32_t row_first = 0;  // the first row that was wanted: numbers and entry_of_row begin with it, nulls with row 0
    PhysicalKind kind = PhysicalKind::reserved;

    const std::uint8_t *nulls = nullptr;  // one byte a row, 1 = NULL; nullptr when no row is NULL. absent: nullptr too, all NULL

    /// Kinds int1..float8: one number a wanted row, a PostgreSQL Datum as it stands (sign-extended). A NULL's slot is 0.
    const std::int64_t *numbers = nullptr;

    /// Kinds fixed and bytes: entry e is entry_data[entry_offsets[e] .. entry_offsets[e + 1]).
    const std::byte *entry_data = nullptr;
    const std::uint64_t *entry_offsets = nullptr;  // entry_count + 1 of them
    std::uint32_t entry_count = 0;
    const std::uint32_t *entry_of_row = nullptr;  // one a wanted row, < entry_count; a NULL's is 0 (entry_count may be 0 then)
};

static_assert(std::is_trivially_destructible_v<ColumnVector>, "lives across ereport");

}  // namespace historian::format
