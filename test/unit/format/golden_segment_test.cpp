// A whole segment of version 4: written again bit for bit, and the worked example of src/format/README.md.
#include <cstdio>
#include <cstdlib>
#include <fstream>

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

TEST(GoldenSegment, OfVersion4) {
    const std::vector<ColumnType> types = {{PhysicalKind::bytes}, {PhysicalKind::int8}, {PhysicalKind::float8}};
    std::vector<Row> rows;
    const char *const tags[] = {"plant.temp", "plant.count"};
    for (int i = 0; i < 6; ++i) {
        const double value = i % 2 == 0 ? 20.25 + i : i;
        rows.push_back({Value::of(std::string(tags[i % 2])), Value::of(820454400000000 + i / 2 * 1000000),
                        Value::of(std::bit_cast<std::int64_t>(value))});
    }
    rows[3][2] = Value::null();
    const std::string bytes = check_round_trip(types, {0, 1}, rows);
    const std::string path = std::string(HISTORIAN_GOLDEN_DIR) + "/segment.hex";
    std::ifstream file{path};
    if (!file && std::getenv("HISTORIAN_WRITE_GOLDEN") != nullptr) {
        std::ofstream{path} << hex_lines(bytes);
        file.open(path);
    }
    ASSERT_TRUE(file.good()) << path;
    EXPECT_EQ(hex_lines(bytes), std::string(std::istreambuf_iterator<char>(file), {}));
}

}  // namespace
}  // namespace historian::test
