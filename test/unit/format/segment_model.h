// A plain model of a segment: rows as values with owners, sorted by std::stable_sort, compared with what a segment gives back.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "format/segment.h"
#include "test_arena.h"

namespace historian::test {

using namespace historian::format;

struct Value {
    bool is_null = false;
    std::int64_t number = 0;
    std::string text;

    static Value null() { return {true, 0, {}}; }
    static Value of(std::int64_t number) { return {false, number, {}}; }
    static Value of(std::string text) { return {false, 0, std::move(text)}; }
    bool operator==(const Value &) const = default;
};

using Row = std::vector<Value>;

inline std::span<const std::byte> bytes_of(const std::string &text) {
    return {reinterpret_cast<const std::byte *>(text.data()), text.size()};
}

inline std::string tag_bytes(const Value &value, ColumnType type) {
    if (!is_number(type.kind)) return value.text;
    std::byte tag[kNumberTagBytes];
    tag_of_number(value.number, tag);
    return {reinterpret_cast<const char *>(tag), sizeof tag};
}

/// Builds a segment of the rows; the bytes are copied out of the builder's arena.
inline std::string build(const std::vector<ColumnType> &types, SortKey key, const std::vector<Row> &rows,
                         SegmentSummary *summary = nullptr, const std::vector<ColumnTraits> &traits = {}) {
    TestArena arena;
    SegmentBuilder *builder = nullptr;
    EXPECT_TRUE(create_builder(arena, types, key, &builder).ok());
    if (!traits.empty()) {
        EXPECT_TRUE(set_column_traits(*builder, traits).ok());
    }
    std::vector<Cell> cells(types.size());
    for (const Row &row : rows) {
        for (std::size_t c = 0; c < types.size(); ++c) {
            cells[c].is_null = row[c].is_null;
            cells[c].number = row[c].number;
            cells[c].data = reinterpret_cast<const std::byte *>(row[c].text.data());
            cells[c].byte_count = static_cast<std::uint32_t>(row[c].text.size());
        }
        EXPECT_TRUE(append_row(*builder, cells.data()).ok());
    }
    EXPECT_EQ(builder_row_count(*builder), rows.size());
    SegmentBytes segment;
    const Status status = finish_builder(*builder, &segment);
    EXPECT_TRUE(status.ok()) << status.message;
    if (!status.ok()) return {};
    if (summary != nullptr) {
        *summary = segment.summary;
        summary->tag_first = summary->tag_last = {};
    }
    return {reinterpret_cast<const char *>(segment.bytes.data()), segment.bytes.size()};
}

/// What the rows count, one value after the other.
inline std::uint64_t raw_bytes_of(const std::vector<ColumnType> &types, SortKey key, const std::vector<Row> &rows) {
    constexpr std::uint64_t kBytesOfKind[] = {0, 1, 2, 4, 8, 4, 8, 0, 0, 0};
    std::uint64_t bytes = 0;
    for (const Row &row : rows) {
        for (std::size_t c = 0; c < types.size(); ++c) {
            if (row[c].is_null || types[c].kind == PhysicalKind::absent) continue;
            const std::uint64_t of_number = kBytesOfKind[static_cast<std::size_t>(types[c].kind)];
            if (c == key.tag_column && key.tag_number_bytes != 0) {
                bytes += key.tag_number_bytes;
            } else {
                bytes += of_number != 0 ? of_number : row[c].text.size();
            }
        }
    }
    return bytes;
}

inline void sort_rows(std::vector<Row> &rows, const std::vector<ColumnType> &types, SortKey key) {
    std::stable_sort(rows.begin(), rows.end(), [&](const Row &a, const Row &b) {
        const bool has_tag = key.tag_column != kNoColumn;
        const Value tag_a = has_tag ? a[key.tag_column] : Value::null();
        const Value tag_b = has_tag ? b[key.tag_column] : Value::null();
        if (tag_a.is_null != tag_b.is_null) return tag_a.is_null;
        if (!tag_a.is_null) {
            const std::string bytes_a = tag_bytes(tag_a, types[key.tag_column]);
            const std::string bytes_b = tag_bytes(tag_b, types[key.tag_column]);
            if (bytes_a != bytes_b) return bytes_a < bytes_b;  // char_traits compares as unsigned char
        }
        const Value &time_a = a[key.time_column];
        const Value &time_b = b[key.time_column];
        if (time_a.is_null != time_b.is_null) return time_a.is_null;
        return !time_a.is_null && time_a.number < time_b.number;
    });
}

inline Value value_at(const ColumnVector &column, std::uint32_t row) {
    if (column.kind == PhysicalKind::absent || (column.nulls != nullptr && column.nulls[row] != 0)) return Value::null();
    if (is_number(column.kind)) return Value::of(column.numbers[row - column.row_first]);
    const std::uint32_t entry = column.entry_of_row[row - column.row_first];
    EXPECT_LT(entry, column.entry_count);
    const auto *begin = reinterpret_cast<const char *>(column.entry_data) + column.entry_offsets[entry];
    return Value::of(std::string(begin, column.entry_offsets[entry + 1] - column.entry_offsets[entry]));
}

/// An open segment over bytes that outlive it.
struct OpenSegment {
    explicit OpenSegment(const std::string &segment) : bytes(bytes_of(segment)) {
        status = open_segment(bytes.first(std::min<std::size_t>(bytes.size(), kSegmentHeaderBytes)), &header);
        if (!status.ok()) return;
        if (header.segment_bytes != bytes.size()) {
            status = {StatusCode::truncated, "the test's bytes are cut off"};
            return;
        }
        status = parse_index(header, bytes.subspan(header.index.offset, header.index.byte_count), arena, &index);
    }
    Status decode(std::uint32_t granule, std::uint32_t column, ColumnVector *decoded) {
        const ByteRange range = chunk_range(*index, granule, column);
        codec::TemplateModel *model = nullptr;
        if (const ByteRange of_model = model_range(*index, column); of_model.byte_count != 0) {
            const Status opened = open_model(bytes.subspan(of_model.offset, of_model.byte_count), arena, &model);
            if (!opened.ok()) return opened;
        }
        OpenChunk chunk{bytes.subspan(range.offset, range.byte_count), model};
        const Status status = decode_chunk(*index, granule, column, chunk, arena, decoded);
        if (status.ok()) check_some_rows(granule, column, chunk, *decoded);
        return status;
    }

    /// Some rows alone are what they are among all of them, whether a chunk was opened before or not.
    void check_some_rows(std::uint32_t granule, std::uint32_t column, const OpenChunk &opened, const ColumnVector &all) {
        const std::uint32_t count = all.row_count;
        for (const std::uint32_t first : {0u, count / 2, count - 1}) {
            for (const std::uint32_t step : {1u, 9u, count}) {
                std::vector<std::uint32_t> rows;
                for (std::uint32_t row = first; row < count && rows.size() < 9; row += step) rows.push_back(row);
                OpenChunk chunk = step == 9 ? opened : OpenChunk{opened.bytes, opened.model};
                ColumnVector some;
                TestArena row_arena;
                const Status status = decode_chunk_rows(*index, granule, column, chunk, rows, row_arena, &some);
                EXPECT_TRUE(status.ok()) << status.message;
                for (const std::uint32_t row : rows)
                    EXPECT_TRUE(value_at(some, row) == value_at(all, row)) << "row " << row << " of granule " << granule;
            }
        }
    }

    TestArena arena;
    std::span<const std::byte> bytes;
    SegmentHeader header;
    SegmentIndex *index = nullptr;
    Status status;
};

/// The earliest and the latest of some times, and whether one was NULL.
struct TimeRange {
    std::int64_t low = INT64_MAX;
    std::int64_t high = INT64_MIN;
    bool has_null = false;

    void add(const Value &time) {
        has_null |= time.is_null;
        if (time.is_null) return;
        low = std::min(low, time.number);
        high = std::max(high, time.number);
    }
};

/// The tag is found, and its granules are known to hold it.
inline void check_find_tag(const OpenSegment &segment, const std::string &tag, std::uint32_t g) {
    const Granule granule = granule_at(*segment.index, g);
    std::uint32_t position = 0;
    bool found = false;
    EXPECT_TRUE(find_tag(*segment.index, bytes_of(tag), &found, &position).ok());
    ASSERT_TRUE(found);
    EXPECT_GE(position, granule.tag_first);
    EXPECT_LE(position, granule.tag_last);
    const GranuleRange range = granules_of_tag(*segment.index, position);
    EXPECT_GE(g, range.first);
    EXPECT_LE(g, range.last);
}

/// Compares one granule with the sorted rows; adds its times to the segment's.
inline void check_granule(OpenSegment &segment, const std::vector<ColumnType> &types, SortKey key, const std::vector<Row> &rows,
                          std::uint32_t g, TimeRange *all_times, std::uint64_t *raw_bytes) {
    const Granule granule = granule_at(*segment.index, g);
    std::vector<ColumnVector> columns(types.size());
    for (std::uint32_t c = 0; c < types.size(); ++c) {
        const Status status = segment.decode(g, c, &columns[c]);
        ASSERT_TRUE(status.ok()) << status.message << ", granule " << g << ", column " << c;
        EXPECT_EQ(columns[c].row_count, granule.row_count);
        EXPECT_EQ(columns[c].kind, types[c].kind);
        *raw_bytes += count_raw_bytes(columns[c], c == key.tag_column ? key.tag_number_bytes : 0);
    }
    TimeRange times;
    for (std::uint32_t r = 0; r < granule.row_count; ++r) {
        const Row &expected = rows[granule.first_row + r];
        for (std::uint32_t c = 0; c < types.size(); ++c) {
            ASSERT_TRUE(value_at(columns[c], r) == expected[c]) << "row " << granule.first_row + r << ", column " << c;
        }
        times.add(expected[key.time_column]);
        if (key.tag_column == kNoColumn) continue;
        const Value &tag = expected[key.tag_column];
        if (!tag.is_null && (r == 0 || tag != rows[granule.first_row + r - 1][key.tag_column])) {
            check_find_tag(segment, tag_bytes(tag, types[key.tag_column]), g);
        }
    }
    EXPECT_EQ(granule.has_null_time, times.has_null);
    EXPECT_EQ(granule.time_min, times.low);
    EXPECT_EQ(granule.time_max, times.high);
    all_times->has_null |= times.has_null;
    all_times->low = std::min(all_times->low, times.low);
    all_times->high = std::max(all_times->high, times.high);
}

/// Builds a segment of the rows and checks everything that can be read from it.
inline std::string check_round_trip(const std::vector<ColumnType> &types, SortKey key, std::vector<Row> rows,
                                    const std::vector<ColumnTraits> &traits = {}) {
    SegmentSummary summary;
    const std::string bytes = build(types, key, rows, &summary, traits);
    for (Row &row : rows) {
        for (std::size_t c = 0; c < types.size(); ++c) {
            if (types[c].kind == PhysicalKind::absent) row[c] = Value::null();
        }
    }
    sort_rows(rows, types, key);
    OpenSegment segment{bytes};
    EXPECT_TRUE(segment.status.ok()) << segment.status.message;
    if (!segment.status.ok()) return bytes;
    EXPECT_EQ(segment.header.row_count, rows.size());
    EXPECT_EQ(summary.row_count, rows.size());
    EXPECT_EQ(summary.granule_count, segment.header.granule_count);
    EXPECT_EQ(summary.has_null_tag, key.tag_column == kNoColumn || rows[0][key.tag_column].is_null);

    EXPECT_EQ(segment.header.raw_bytes, raw_bytes_of(types, key, rows));

    std::uint32_t next_row = 0;
    std::uint64_t raw_bytes = 0;
    TimeRange times;
    for (std::uint32_t g = 0; g < segment.header.granule_count && !testing::Test::HasFailure(); ++g) {
        EXPECT_EQ(granule_at(*segment.index, g).first_row, next_row);
        next_row += granule_at(*segment.index, g).row_count;
        check_granule(segment, types, key, rows, g, &times, &raw_bytes);
    }
    EXPECT_EQ(next_row, rows.size());
    EXPECT_EQ(raw_bytes, segment.header.raw_bytes);
    EXPECT_EQ(summary.has_null_time, times.has_null);
    EXPECT_EQ(summary.time_min, times.low);
    EXPECT_EQ(summary.time_max, times.high);
    return bytes;
}

}  // namespace historian::test
