// Whole segments of version 7: written again bit for bit; the worked examples of src/format/README.md.
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "format/granule_statistics.h"
#include "segment_model.h"

namespace historian::test {
namespace {

std::string hex_lines(const std::string &bytes) {
    std::string hex;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        char digits[4];
        std::snprintf(digits, sizeof digits, "%02x", static_cast<unsigned char>(bytes[i]));
        hex += digits;
        if (i % 16 == 15 || i + 1 == bytes.size()) {
            hex += '\n';
        } else {
            hex += ' ';
        }
    }
    return hex;
}

/// Writes the rows again and compares with test/golden/v1/<name>.hex.
std::string check_golden(const char *name, const std::vector<ColumnType> &types, const std::vector<Row> &rows) {
    const std::string bytes = check_round_trip(types, {0, 1}, rows);
    const std::string path = std::string(HISTORIAN_GOLDEN_DIR) + "/" + name + ".hex";
    std::ifstream file{path};
    if (!file && std::getenv("HISTORIAN_WRITE_GOLDEN") != nullptr) {
        std::ofstream{path} << hex_lines(bytes);
        file.open(path);
    }
    EXPECT_TRUE(file.good()) << path;
    EXPECT_EQ(hex_lines(bytes), std::string(std::istreambuf_iterator<char>(file), {}));
    return bytes;
}

constexpr std::int64_t kStart = 820454400000000;  // 2026-01-01 00:00:00 UTC
constexpr std::int64_t kSecond = 1000000;

Value number(double value) { return Value::of(std::bit_cast<std::int64_t>(value)); }

TEST(GoldenSegment, OfVersion7) {
    std::vector<Row> rows;
    const char *const tags[] = {"plant.temp", "plant.count"};
    for (int i = 0; i < 6; ++i) {
        rows.push_back(
            {Value::of(std::string(tags[i % 2])), Value::of(kStart + i / 2 * kSecond), number(i % 2 == 0 ? 20.25 + i : i)});
    }
    rows[3][2] = Value::null();
    check_golden("segment", {{PhysicalKind::bytes}, {PhysicalKind::int8}, {PhysicalKind::float8}}, rows);
}

TEST(GoldenSegment, WithStatistics) {
    std::vector<Row> rows;
    for (int i = 0; i < 128; ++i) {
        rows.push_back({Value::of(std::string("pump")), Value::of(kStart + i * kSecond), number(i == 100 ? 9.5 : 4.0),
                        Value::of(std::int64_t{i} - 64)});
    }
    rows[0][3] = Value::null();
    const std::string bytes = check_golden(
        "segment_statistics", {{PhysicalKind::bytes}, {PhysicalKind::int8}, {PhysicalKind::float8}, {PhysicalKind::int2}}, rows);
    const OpenSegment segment{bytes};
    const ByteRange range = statistics_range(*segment.index);
    EXPECT_EQ(range.offset, 64 + segment.header.index.byte_count);
    EXPECT_EQ(range.byte_count, 75u);
}

TEST(GoldenSegment, WithSharedTimes) {
    std::vector<Row> rows;
    for (int i = 0; i < 2048; ++i) {
        rows.push_back({Value::of(std::string(i % 2 == 0 ? "left" : "right")), Value::of(kStart + i / 2 * (i / 2) * kSecond),
                        Value::of(std::int64_t{5})});
    }
    const std::string bytes =
        check_golden("segment_shared_times", {{PhysicalKind::bytes}, {PhysicalKind::int8}, {PhysicalKind::int1}}, rows);
    const OpenSegment segment{bytes};
    ASSERT_EQ(segment.header.granule_count, 2u);
    EXPECT_EQ(chunk_range(*segment.index, 0, 1).offset, chunk_range(*segment.index, 1, 1).offset);
}

TEST(GoldenSegment, WithSharedValues) {
    std::vector<Row> rows;
    for (int i = 0; i < 2400; ++i) {
        // Of three stations the last repeats the first's readings, NULLs included, each at its own times.
        const int station = i % 3;
        const int step = i / 3;
        rows.push_back({Value::of("station" + std::to_string(station)), Value::of(kStart + (step * 10 + station) * kSecond),
                        number((station == 1 ? 40 + step : step * step) % 77 * 0.5)});
        if (station != 1 && step % 50 == 7) rows.back()[2] = Value::null();
    }
    const std::string bytes =
        check_golden("segment_shared_values", {{PhysicalKind::bytes}, {PhysicalKind::int8}, {PhysicalKind::float8}}, rows);
    const OpenSegment segment{bytes};
    ASSERT_EQ(segment.header.granule_count, 3u);
    EXPECT_EQ(chunk_range(*segment.index, 0, 2).offset, chunk_range(*segment.index, 2, 2).offset);
    EXPECT_NE(chunk_range(*segment.index, 0, 2).offset, chunk_range(*segment.index, 1, 2).offset);
}

}  // namespace
}  // namespace historian::test
