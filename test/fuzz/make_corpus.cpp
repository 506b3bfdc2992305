// Writes the seed corpus of segment_decode_fuzz: small segments of every kind of column. Usage: make_corpus <folder>
#include <bit>
#include <cmath>
#include <cstdio>
#include <string>

#include "segment_rows.h"

namespace {

using namespace historian;
using namespace historian::format;

void write_segment(const std::string &path, int shape) {
    fuzz::TestArena arena;
    const PhysicalKind kinds[] = {PhysicalKind::int2, PhysicalKind::float4, PhysicalKind::float8, PhysicalKind::bytes};
    const std::vector<ColumnType> types = {{shape % 3 == 2 ? PhysicalKind::int4 : PhysicalKind::bytes},
                                           {PhysicalKind::int8},
                                           {kinds[shape % 4]},
                                           {PhysicalKind::absent},
                                           {PhysicalKind::fixed, 12}};
    SegmentBuilder *builder = nullptr;
    if (!create_builder(arena, types, {0, 1}, &builder).ok()) return;
    const int rows = shape % 5 == 0 ? 3 : 600;
    for (int i = 0; i < rows; ++i) {
        const std::string tag = "site0.line" + std::to_string(i % (1 + 10 * shape));
        const std::string text = shape % 2 == 0 ? "state " + std::to_string(i % 4) : "message " + std::to_string(i * 7919);
        const std::string fixed(12, static_cast<char>(i % 5));
        Cell row[5];
        row[0] = {i % 9, reinterpret_cast<const std::byte *>(tag.data()), static_cast<std::uint32_t>(tag.size()), i % 50 == 49};
        row[1] = {i * 1000000LL + (shape % 2) * (i * 7919 % 400), nullptr, 0, shape % 7 == 6 && i % 10 == 0};
        row[2] = {i * i % 1000, reinterpret_cast<const std::byte *>(text.data()), static_cast<std::uint32_t>(text.size()),
                  i % 8 == 7};
        const double value = shape % 3 == 0 ? i * 0.25 : std::sin(i);
        if (types[2].kind == PhysicalKind::float8) row[2].number = std::bit_cast<std::int64_t>(value);
        if (types[2].kind == PhysicalKind::float4) row[2].number = std::bit_cast<std::int32_t>(static_cast<float>(value));
        row[4] = {0, reinterpret_cast<const std::byte *>(fixed.data()), 12, false};
        if (!append_row(*builder, row).ok()) return;
    }
    SegmentBytes segment;
    if (!finish_builder(*builder, &segment).ok()) return;
    std::FILE *file = std::fopen(path.c_str(), "wb");
    if (file == nullptr) return;
    std::fwrite(segment.bytes.data(), 1, segment.bytes.size(), file);
    std::fclose(file);
}

}  // namespace

int main(int argument_count, char **arguments) {
    if (argument_count != 2) return 1;
    for (int shape = 0; shape < 12; ++shape) write_segment(std::string(arguments[1]) + "/segment" + std::to_string(shape), shape);
    return 0;
}
