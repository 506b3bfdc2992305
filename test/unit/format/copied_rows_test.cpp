// append_rows(): rows copied from decoded columns make the same segment, byte for byte, as rows added one by one.
#include <random>

#include "segment_model.h"

namespace historian::test {
namespace {

const std::vector<ColumnType> kTypes = {{PhysicalKind::bytes},  {PhysicalKind::int8},     {PhysicalKind::int2},
                                        {PhysicalKind::float8}, {PhysicalKind::fixed, 4}, {PhysicalKind::bytes},
                                        {PhysicalKind::absent}};

Row random_row(std::mt19937_64 &random, std::uint64_t tags, std::uint64_t nulls) {
    Row row = {Value::of("tag " + std::to_string(random() % tags)),
               Value::of(static_cast<std::int64_t>(random() % 100000)),
               Value::of(static_cast<std::int16_t>(random())),
               Value::of(std::bit_cast<std::int64_t>(static_cast<double>(random() % 1000) / 10)),
               Value::of(std::string(4, static_cast<char>('a' + random() % 3))),
               Value::of(std::string(random() % 20, static_cast<char>('a' + random() % 3))),
               Value::null()};
    for (Value &value : row) {
        if (random() % nulls == 0) value = Value::null();
    }
    return row;
}

Cell cell_of(const Value &value) {
    Cell cell;
    cell.is_null = value.is_null;
    cell.number = value.number;
    cell.data = bytes_of(value.text).data();
    cell.byte_count = static_cast<std::uint32_t>(value.text.size());
    return cell;
}

/// How many rows from one on have its tag, in a granule.
std::uint32_t same_tag(const ColumnVector &tags, std::uint32_t row) {
    std::uint32_t end = row + 1;
    while (end < tags.row_count && value_at(tags, end) == value_at(tags, row)) ++end;
    return end - row;
}

/// Copies a segment: runs of rows of random lengths, now and then a row by itself.
std::string copy_of(const std::string &bytes, SortKey key, std::mt19937_64 &random) {
    OpenSegment segment{bytes};
    EXPECT_TRUE(segment.status.ok()) << segment.status.message;
    TestArena arena;
    SegmentBuilder *builder = nullptr;
    EXPECT_TRUE(create_builder(arena, kTypes, key, &builder).ok());
    for (std::uint32_t g = 0; g < segment.header.granule_count; ++g) {
        std::vector<ColumnVector> columns(kTypes.size());
        std::vector<const ColumnVector *> pointers;
        for (std::uint32_t c = 0; c < kTypes.size(); ++c) {
            EXPECT_TRUE(segment.decode(g, c, &columns[c]).ok());
            pointers.push_back(&columns[c]);
        }
        const std::uint32_t row_count = columns[1].row_count;
        for (std::uint32_t row = 0; row < row_count;) {
            const std::uint32_t left = key.tag_column == kNoColumn ? row_count - row : same_tag(columns[0], row);
            const std::uint32_t count = 1 + static_cast<std::uint32_t>(random()) % left;
            Row values;
            for (const ColumnVector &column : columns) values.push_back(value_at(column, row));
            if (random() % 4 == 0) {
                std::vector<Cell> cells;
                for (const Value &value : values) cells.push_back(cell_of(value));
                EXPECT_TRUE(append_row(*builder, cells.data()).ok());
                row += 1;
            } else {
                EXPECT_TRUE(append_rows(*builder, cell_of(values[0]), pointers, row, count).ok());
                row += count;
            }
        }
    }
    EXPECT_EQ(builder_row_count(*builder), segment.header.row_count);
    SegmentBytes copy;
    EXPECT_TRUE(finish_builder(*builder, &copy).ok());
    return {reinterpret_cast<const char *>(copy.bytes.data()), copy.bytes.size()};
}

TEST(CopiedRows, MakeTheSameSegment) {
    const std::uint64_t seed = std::random_device{}();
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random{seed};
    for (int trial = 0; trial < 40; ++trial) {
        const SortKey key{trial % 4 == 0 ? kNoColumn : 0, 1};
        const std::uint64_t tags = 1 + random() % 30;
        const std::uint64_t nulls = random() % 3 == 0 ? 1000000 : 1 + random() % 20;
        std::vector<Row> rows(1 + random() % 9000);
        for (Row &row : rows) row = random_row(random, tags, nulls);
        sort_rows(rows, kTypes, key);
        const std::string bytes = build(kTypes, key, rows);
        ASSERT_TRUE(copy_of(bytes, key, random) == bytes) << "trial " << trial;
    }
}

TEST(CopiedRows, StopAtTheLimitOfASegment) {
    TestArena arena;
    SegmentBuilder *builder = nullptr;
    const std::vector<ColumnType> types = {{PhysicalKind::int8}};
    ASSERT_TRUE(create_builder(arena, types, {kNoColumn, 0}, &builder).ok());
    std::vector<std::int64_t> times(kSegmentRowsMax);
    ColumnVector column;
    column.kind = PhysicalKind::int8;
    column.row_count = kSegmentRowsMax;
    column.numbers = times.data();
    const ColumnVector *columns[] = {&column};
    ASSERT_TRUE(append_rows(*builder, {}, columns, 0, 1000).ok());
    EXPECT_EQ(append_rows(*builder, {}, columns, 0, kSegmentRowsMax - 999).code, StatusCode::too_large);
    EXPECT_EQ(builder_row_count(*builder), 1000u);
    EXPECT_TRUE(append_rows(*builder, {}, columns, 0, kSegmentRowsMax - 1000).ok());
    EXPECT_EQ(builder_row_count(*builder), kSegmentRowsMax);
}

}  // namespace
}  // namespace historian::test
