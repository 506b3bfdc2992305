#include <cassert>
#include <cstring>

#include "format/chunk.h"
#include "format/segment_index.h"

namespace historian::format {
namespace {

constexpr Status no_tag_memory() noexcept { return {StatusCode::out_of_memory, "no memory to decode tags"}; }

/// One entry of the vector per tag, the NULL tag's left out.
Status put_text_tags(ColumnType type, const TagList &tags, std::uint32_t tag_count, ColumnVector *decoded) noexcept {
    for (std::uint32_t t = 0; t < tag_count && type.kind == PhysicalKind::fixed; ++t) {
        if (tags.offsets[t + 1] - tags.offsets[t] != type.fixed_bytes)
            return {StatusCode::corrupt, "a tag of a fixed size has another size"};
    }
    decoded->entry_data = tags.data;
    decoded->entry_offsets = tags.offsets;
    decoded->entry_count = tag_count;
    return Status::success();
}

/// The inverse of tag_of_number().
Status number_of_tag(std::span<const std::byte> tag, std::int64_t *number) noexcept {
    if (tag.size() != kNumberTagBytes) return {StatusCode::corrupt, "a tag of a number has another size"};
    std::uint64_t flipped = 0;
    for (const std::byte byte : tag) flipped = flipped << 8 | static_cast<std::uint64_t>(byte);
    *number = static_cast<std::int64_t>(flipped ^ (std::uint64_t{1} << 63));
    return Status::success();
}

/// Repeats each tag's number or entry over its rows.
///
/// null_rows   rows of the NULL tag, which come first
Status spread_tags(const TagList &tags, std::span<const std::int64_t> rows_per_tag, std::uint32_t null_rows, Arena &arena,
                   ColumnVector *decoded) noexcept {
    const std::uint32_t row_count = decoded->row_count;
    const bool numbers_wanted = is_number(decoded->kind);
    auto *numbers = numbers_wanted ? arena.array<std::int64_t>(row_count) : nullptr;
    auto *entries = numbers_wanted ? nullptr : arena.array<std::uint32_t>(row_count);
    if (numbers == nullptr && entries == nullptr) return no_tag_memory();
    if (numbers_wanted) {
        std::fill_n(numbers, null_rows, 0);
    } else {
        std::fill_n(entries, null_rows, 0);
    }
    std::size_t row = null_rows;
    for (std::size_t t = 0; t < rows_per_tag.size(); ++t) {
        const auto rows = static_cast<std::size_t>(rows_per_tag[t]);
        if (numbers_wanted) {
            std::int64_t number = 0;
            const std::span tag{tags.data + tags.offsets[t], static_cast<std::size_t>(tags.offsets[t + 1] - tags.offsets[t])};
            if (const Status status = number_of_tag(tag, &number); !status.ok()) return status;
            std::fill_n(numbers + row, rows, number);
        } else {
            std::fill_n(entries + row, rows, static_cast<std::uint32_t>(t));
        }
        row += rows;
    }
    decoded->numbers = numbers;
    decoded->entry_of_row = entries;
    return Status::success();
}

Status decode_tags(const SegmentIndex &index, const Granule &granule, std::span<const std::byte> chunk, Arena &arena,
                   ColumnVector *decoded) noexcept {
    const ColumnType type = index.types[index.header.tag_column];
    decoded->row_count = granule.row_count;
    decoded->kind = type.kind;
    const std::uint32_t positions = granule.tag_last - granule.tag_first + 1;
    auto *counts = arena.array<std::int64_t>(positions);
    if (counts == nullptr) return no_tag_memory();
    std::span<std::int64_t> rows_per_tag{counts, positions};
    if (const Status status = decode_tag_chunk(granule.row_count, chunk, arena, rows_per_tag); !status.ok()) return status;

    std::uint32_t null_rows = 0;
    if (index.has_null_tag && granule.tag_first == 0) {
        null_rows = static_cast<std::uint32_t>(rows_per_tag[0]);
        rows_per_tag = rows_per_tag.subspan(1);
        auto *nulls = arena.array<std::uint8_t>(granule.row_count);
        if (nulls == nullptr) return no_tag_memory();
        std::memset(nulls, 1, null_rows);
        std::memset(nulls + null_rows, 0, granule.row_count - null_rows);
        decoded->nulls = nulls;
    }
    const auto tag_count = static_cast<std::uint32_t>(rows_per_tag.size());
    TagList tags;
    if (tag_count != 0) {
        const std::uint32_t first = granule.tag_first + (null_rows != 0 ? 1 : 0) - (index.has_null_tag ? 1 : 0);
        if (const Status status = list_tags(index.dictionary, first, tag_count, arena, &tags); !status.ok()) return status;
    } else {
        auto *offsets = arena.array<std::uint64_t>(1);
        if (offsets == nullptr) return no_tag_memory();
        offsets[0] = 0;
        tags.offsets = offsets;
    }
    if (!is_number(type.kind)) {
        if (const Status status = put_text_tags(type, tags, tag_count, decoded); !status.ok()) return status;
    }
    return spread_tags(tags, rows_per_tag, null_rows, arena, decoded);
}

}  // namespace

Status open_model(std::span<const std::byte> bytes, Arena &arena, codec::TemplateModel **model) noexcept {
    std::span<const std::byte> stream;
    if (const Status status = open_chunk(bytes, &stream); !status.ok()) return status;
    return codec::parse_template_model(stream, arena, model);
}

namespace {

bool has_messages(const SegmentIndex &index, std::uint32_t column, const OpenChunk &chunk) noexcept {
    assert(chunk.model != nullptr || chunk.late.load == nullptr);
    return chunk.model != nullptr && column != index.header.tag_column && index.types[column].kind == PhysicalKind::bytes;
}

/// Any column but the tag's and those with messages.
Status decode_values(const SegmentIndex &index, std::uint32_t granule, std::uint32_t column, std::span<const std::byte> chunk,
                     RowRange rows, Arena &arena, ColumnVector *decoded) noexcept {
    const ColumnType type = index.types[column];
    const std::uint32_t row_count = index.granules[granule].row_count;
    if (type.kind != PhysicalKind::absent) return decode_value_chunk(type, row_count, chunk, rows, arena, decoded);
    *decoded = {};
    decoded->row_count = row_count;
    decoded->kind = type.kind;
    return Status::success();
}

}  // namespace

Status decode_chunk(const SegmentIndex &index, std::uint32_t granule, std::uint32_t column, OpenChunk &chunk, Arena &arena,
                    ColumnVector *decoded) noexcept {
    assert(granule < index.header.granule_count && column < index.header.column_count);
    const Granule &of_rows = index.granules[granule];
    *decoded = {};
    if (column == index.header.tag_column) return decode_tags(index, of_rows, chunk.bytes, arena, decoded);
    if (!has_messages(index, column, chunk))
        return decode_values(index, granule, column, chunk.bytes, {0, of_rows.row_count}, arena, decoded);
    const Status status = open_messages(of_rows.row_count, chunk, arena);
    return status.ok() ? decode_messages(*chunk.messages, arena, decoded) : status;
}

Status decode_chunk_rows(const SegmentIndex &index, std::uint32_t granule, std::uint32_t column, OpenChunk &chunk,
                         std::span<const std::uint32_t> rows, Arena &arena, ColumnVector *decoded) noexcept {
    assert(granule < index.header.granule_count && column < index.header.column_count);
    assert(!rows.empty() && rows.back() < index.granules[granule].row_count);
    // To find a message and write it costs up to twice what it costs to write the next one.
    constexpr std::uint32_t kAllRowsShare = 2;
    const std::uint32_t row_count = index.granules[granule].row_count;
    if (column == index.header.tag_column) return decode_chunk(index, granule, column, chunk, arena, decoded);
    if (!has_messages(index, column, chunk)) {
        const RowRange range{rows.front(), rows.back() - rows.front() + 1};
        return decode_values(index, granule, column, chunk.bytes, range, arena, decoded);
    }
    if (rows.size() > row_count / kAllRowsShare) return decode_chunk(index, granule, column, chunk, arena, decoded);
    const Status status = open_messages(row_count, chunk, arena);
    return status.ok() ? decode_message_rows(*chunk.messages, rows, arena, decoded) : status;
}

std::uint64_t count_raw_bytes(const ColumnVector &column, std::uint32_t tag_number_bytes) noexcept {
    if (column.kind == PhysicalKind::absent) return 0;
    const std::uint32_t bytes_each = tag_number_bytes != 0 ? tag_number_bytes : number_bytes(column.kind);
    std::uint64_t bytes = 0;
    for (std::uint32_t row = 0; row < column.row_count; ++row) {
        if (column.nulls != nullptr && column.nulls[row] != 0) continue;
        if (bytes_each != 0) {
            bytes += bytes_each;
        } else {
            const std::uint32_t entry = column.entry_of_row[row];
            bytes += column.entry_offsets[entry + 1] - column.entry_offsets[entry];
        }
    }
    return bytes;
}

}  // namespace historian::format
