// Writes seed corpora: of segment_decode_fuzz small segments of every kind of column, of templates_decode_fuzz models with a
// granule. Usage: make_corpus <folder of segments> <folder of templates>
#include <bit>
#include <cmath>
#include <cstdio>
#include <string>

#include "codec_targets.h"
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
    const bool has_tag = shape < 12 || shape >= 16;  // without one every granule has statistics
    if (!create_builder(arena, types, {has_tag ? 0 : kNoColumn, 1}, &builder).ok()) return;
    constexpr int kRows = 600;
    const int tags = shape >= 16 ? 3 : 1;  // of these each says what the first says: they share chunks
    const int rows = shape % 5 == 0 ? 3 : kRows;
    for (int n = 0; n < rows * tags; ++n) {
        const int i = n % kRows;
        const std::string tag = "site0.line" + std::to_string(tags > 1 ? n / kRows : i % (1 + 10 * shape));
        const std::string text = shape % 2 == 0 ? "state " + std::to_string(i % 4) : "message " + std::to_string(i * 7919);
        const std::string fixed(12, static_cast<char>(i % 5));
        Cell row[5];
        row[0] = {tags > 1 ? n / kRows : i % 9, reinterpret_cast<const std::byte *>(tag.data()),
                  static_cast<std::uint32_t>(tag.size()), tags == 1 && i % 50 == 49};
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

/// The number of messages in two bytes, then what fuzz::Templates encodes.
void write_templates(const std::string &path, int shape) {
    fuzz::Templates::Values messages;
    for (int i = 0; i < (shape == 0 ? 5 : 300); ++i) {
        const std::string number = std::to_string(i * 7919 % 1000 + 1000);
        messages.push_back("10:11:" + std::to_string(10 + i / 10) + " process " + std::to_string(i % 3) + " took " + number +
                           ".5 ms");
        if (shape >= 1 && i % 2 == 0)
            messages.push_back("id a1b2c3d4" + number + " of aa:bb:cc:dd:ee:" + std::to_string(10 + i % 89));
        if (shape >= 2 && i % 3 == 0) messages.push_back("word x1y2z3w4v" + number + " part 0" + std::to_string(i % 30));
        if (shape >= 3 && i % 7 == 0)
            messages.push_back("u 01234567-89ab-cdef-0123-45678901" + number + " again a1b2c3d4" + number);
        if (shape >= 4 && i % 20 == 0) messages.push_back("only \x01 here " + number);
    }
    fuzz::TestArena arena;
    codec::EncodeSpace space;
    if (!codec::make_encode_space(arena, &space).ok()) return;
    std::vector<std::byte> room(fuzz::Templates::bytes_max(messages));
    codec::ByteWriter out{room};
    out.u16(static_cast<std::uint16_t>(messages.size()));
    if (!fuzz::Templates::encode(messages, space, out).ok()) return;
    std::FILE *file = std::fopen(path.c_str(), "wb");
    if (file == nullptr) return;
    std::fwrite(out.written().data(), 1, out.size(), file);
    std::fclose(file);
}

}  // namespace

int main(int argument_count, char **arguments) {
    if (argument_count != 3) return 1;
    for (int shape = 0; shape < 19; ++shape) write_segment(std::string(arguments[1]) + "/segment" + std::to_string(shape), shape);
    for (int shape = 0; shape < 6; ++shape)
        write_templates(std::string(arguments[2]) + "/templates" + std::to_string(shape), shape);
    return 0;
}
