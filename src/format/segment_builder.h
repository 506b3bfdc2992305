// SegmentBuilder: the rows of a segment in the making. Private to segment_builder.cpp and the segment_*.cpp that finish it.
//
// Life of a row: append_row() finds its tag's number and copies each value to the end of its column, in arrival order;
// finish_builder() then decides where each row goes (row_order.h) and encodes column after column (segment_finish.cpp).
#pragma once

#include "codec/texts.h"
#include "format/row_blocks.h"
#include "format/segment.h"

namespace historian::format {

inline constexpr std::uint32_t kNoTag = UINT32_MAX;

struct BuilderTag {
    const std::byte *data = nullptr;
    std::uint32_t size = 0;
    std::uint32_t next = kNoTag;  // the tag that followed last time: most probably it follows again
    std::uint32_t row_count = 0;
    bool is_null = false;
    std::uint64_t hash = 0;
    std::uint64_t content_bytes = 0;  // of the byte strings in its rows
};

struct BuilderColumn {
    ColumnType type;
    RowBlocks<std::int64_t> numbers;  // number kinds
    RowBlocks<codec::Text> texts;     // fixed, bytes
    RowBlocks<std::uint8_t> nulls;    // a missing block has no NULL
    codec::Text last;                 // repeated values are copied once
    std::uint8_t number_bytes = 0;    // number kinds
    bool has_nulls = false;
};

struct SegmentBuilder {
    SegmentBuilder(Arena &memory, SortKey sort_key) noexcept : arena(&memory), key(sort_key) {}

    Arena *arena;
    SortKey key;
    BuilderColumn *columns = nullptr;
    const ColumnTraits *traits = nullptr;  // one a column; nullptr: none has any
    std::uint32_t column_count = 0;
    std::uint32_t row_count = 0;
    std::uint32_t block = 0;  // where the next row goes
    std::uint32_t block_row = 0;
    bool block_ready = false;  // every column has its block
    codec::Effort effort = codec::Effort::normal;
    void (*pause)() = nullptr;
    std::uint64_t bytes = 0;
    std::uint64_t raw_bytes = 0;  // of the values: SegmentHeader::raw_bytes

    RowBlocks<std::uint32_t> tag_of_row;
    BuilderTag *tags = nullptr;
    std::uint32_t tag_count = 0;
    std::uint32_t tag_room = 0;
    std::uint32_t *slots = nullptr;  // open addressing; tag number, or kNoTag
    std::uint32_t slot_count = 0;    // a power of two, more than twice tag_count
    std::uint32_t null_tag = kNoTag;
    std::uint32_t last_tag = kNoTag;
};

/// Status with which everything ends that got no memory.
constexpr Status no_memory() noexcept { return {StatusCode::out_of_memory, "no memory to build a segment"}; }

}  // namespace historian::format
