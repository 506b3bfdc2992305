// Rows for a segment builder from a fuzzer's bytes.
#pragma once

#include <string>

#include "format/segment.h"
#include "fuzz_input.h"

namespace historian::fuzz {

using namespace historian::format;

struct FuzzRows {
    std::vector<ColumnType> types;
    SortKey key;
    std::vector<ColumnTraits> traits;
    std::vector<std::vector<Cell>> rows;
    std::vector<std::string> texts;  // what the cells point into
};

inline FuzzRows make_rows(FuzzInput &input) {
    FuzzRows made;
    const std::size_t column_count = 2 + input.u8() % 6;
    for (std::size_t c = 0; c < column_count; ++c) {
        ColumnType type{static_cast<PhysicalKind>(1 + input.u8() % 9)};
        if (type.kind == PhysicalKind::fixed) type.fixed_bytes = static_cast<std::uint16_t>(1 + input.u8() % 20);
        made.types.push_back(type);
    }
    made.key.tag_column = input.u8() % column_count;
    made.key.time_column = static_cast<std::uint32_t>((made.key.tag_column + 1) % column_count);
    made.types[made.key.time_column] = {PhysicalKind::int8};
    if (made.types[made.key.tag_column].kind == PhysicalKind::absent) made.types[made.key.tag_column] = {PhysicalKind::bytes};

    if (input.u8() % 4 == 0) made.key.tag_column = kNoColumn;

    for (std::size_t c = 0; c < column_count; ++c) {
        const std::uint8_t traits = input.u8();
        made.traits.push_back({static_cast<codec::KeyKind>(traits % 3), (traits & 4) != 0, (traits & 8) != 0});
    }

    // A few texts, used again and again.
    for (std::size_t i = 0, count = 1 + input.u8() % 16; i < count; ++i) {
        std::string text(input.u8() % 40, '\0');
        for (char &letter : text) letter = static_cast<char>(input.u8());
        made.texts.push_back(text + std::string(20, 'x'));
    }
    const std::size_t repeats = 1 + input.u8() % 64;
    const bool has_twins = input.u8() % 4 == 0;
    while (!input.empty() && made.rows.size() < 6000) {
        std::vector<Cell> row(column_count);
        for (std::size_t c = 0; c < column_count; ++c) {
            const std::uint8_t kind = input.u8();
            const std::string &text = made.texts[kind % made.texts.size()];
            const bool fixed = made.types[c].kind == PhysicalKind::fixed;
            row[c].is_null = kind % 16 == 15;
            row[c].number = static_cast<std::int8_t>(input.u8());
            if (made.types[c].kind == PhysicalKind::int8) row[c].number = static_cast<std::int64_t>(input.number(3));
            row[c].data = reinterpret_cast<const std::byte *>(text.data());
            row[c].byte_count = fixed ? made.types[c].fixed_bytes : static_cast<std::uint32_t>(text.size() - kind % 20);
        }
        for (std::size_t i = 0; i < repeats; ++i) {
            made.rows.push_back(row);
            row[made.key.time_column].number += 1000;
        }
    }
    // Each row once more with another tag: granules that share their chunks.
    const std::size_t twins = has_twins && made.key.tag_column != kNoColumn ? made.rows.size() : 0;
    for (std::size_t i = 0; i < twins; ++i) {
        std::vector<Cell> row = made.rows[i];
        Cell &tag = row[made.key.tag_column];
        tag.number ^= 64;
        if (made.types[made.key.tag_column].kind == PhysicalKind::bytes) tag.byte_count -= 1;
        made.rows.push_back(row);
    }
    if (made.rows.empty()) made.rows.emplace_back(column_count);
    for (Cell &cell : made.rows[0]) {
        if (cell.data == nullptr) cell.is_null = true;
    }
    return made;
}

}  // namespace historian::fuzz
