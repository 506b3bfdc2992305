// What templates make of log files: size against zstd, and speed. One thread; the best of three runs.
//     build/template_bench file ...      each file's lines are messages; prints rows of the table in src/codec/README.md
// A segment takes 1,048,576 messages at most, a granule 4,096; everything is counted. zstd makes one stream of the whole file.
#include <zstd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "../unit/test_arena.h"
#include "codec/templates.h"

using namespace historian;
using namespace historian::codec;
using test::TestArena;

namespace {

using Bytes = std::vector<std::byte>;

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

void require(const Status &status, const char *what) {
    if (status.ok()) return;
    std::fprintf(stderr, "%s: %s\n", what, status.message);
    std::exit(1);
}

std::string read_file(const char *path) {
    std::string content;
    std::FILE *file = std::fopen(path, "rb");
    if (file == nullptr) {
        std::fprintf(stderr, "cannot read %s\n", path);
        std::exit(1);
    }
    char block[1 << 16];
    for (std::size_t got = 0; (got = std::fread(block, 1, sizeof block, file)) != 0;) content.append(block, got);
    std::fclose(file);
    return content;
}

std::vector<Text> cut_lines(const std::string &content) {
    std::vector<Text> lines;
    for (std::size_t at = 0; at < content.size();) {
        const std::size_t stop = std::min(content.find('\n', at), content.size());
        lines.push_back({reinterpret_cast<const std::byte *>(content.data()) + at, static_cast<std::uint32_t>(stop - at)});
        at = stop + 1;
    }
    return lines;
}

struct Segment {
    Bytes model;
    std::vector<Bytes> granules;
    std::vector<std::uint32_t> rows;
    std::size_t size() const {
        std::size_t bytes = model.size();
        for (const Bytes &granule : granules) bytes += granule.size();
        return bytes;
    }
};

struct Seconds {
    double add = 0, choose = 0, encode = 0, decode = 0;
};

Effort effort = Effort::normal;

Segment encode_segment(std::span<const Text> lines, Seconds *spent) {
    TestArena arena;
    Segment segment;
    EncodeSpace space;
    require(make_encode_space(arena, &space, effort), "space");
    TemplateBuilder *builder = nullptr;
    require(create_template_builder(arena, &builder), "builder");
    const double start = now();
    for (const Text &line : lines) require(add_message(*builder, line), "add");
    const double added = now();
    require(choose_templates(*builder, space), "choose");
    const double chosen = now();
    // Not zeroed, as in the server.
    std::size_t room_bytes = template_model_bytes_max(*builder);
    std::unique_ptr<std::byte[]> room{new std::byte[room_bytes]};
    ByteWriter model{{room.get(), room_bytes}};
    require(encode_template_model(*builder, space, model), "model");
    segment.model.assign(model.written().begin(), model.written().end());
    std::vector<std::uint32_t> rows;
    for (std::uint32_t first = 0; first < lines.size(); first += kStreamValuesMax) {
        rows.clear();
        for (std::uint32_t i = first; i < lines.size() && i < first + kStreamValuesMax; ++i) rows.push_back(i);
        const std::size_t most = template_granule_bytes_max(*builder, rows);
        if (room_bytes < most) {
            room_bytes = most + most / 4;
            room.reset(new std::byte[room_bytes]);
        }
        ByteWriter out{{room.get(), room_bytes}};
        require(encode_template_granule(*builder, rows, space, out), "granule");
        segment.granules.emplace_back(out.written().begin(), out.written().end());
        segment.rows.push_back(static_cast<std::uint32_t>(rows.size()));
    }
    spent->add += added - start;
    spent->choose += chosen - added;
    spent->encode += now() - chosen;
    return segment;
}

void decode_segment(const Segment &segment, std::span<const Text> lines, bool compare, Seconds *spent) {
    const double start = now();
    TestArena model_arena;
    TemplateModel *model = nullptr;
    require(parse_template_model(segment.model, model_arena, &model), "parse");
    std::size_t row = 0;
    double compared = 0;
    for (std::size_t g = 0; g < segment.granules.size(); ++g) {
        TestArena arena;
        TemplateGranule *granule = nullptr;
        DecodedTexts texts;
        require(open_template_granule(*model, segment.granules[g], segment.rows[g], arena, &granule), "open");
        require(decode_template_granule(*granule, &texts), "decode");
        const double before = now();
        for (std::uint32_t i = 0; compare && i < segment.rows[g]; ++i, ++row) {
            const std::uint64_t at = texts.offsets[texts.entry_of_row[i]];
            const std::uint64_t size = texts.offsets[texts.entry_of_row[i] + 1] - at;
            if (size != lines[row].size || std::memcmp(texts.data + at, lines[row].data, size) != 0) {
                std::fprintf(stderr, "line %zu differs\n", row);
                std::exit(1);
            }
        }
        compared += now() - before;
    }
    spent->decode += now() - start - compared;
}

/// Microseconds to open a granule and rebuild one message.
double single_row_us(const Segment &segment, std::span<const Text> lines) {
    TestArena model_arena;
    TemplateModel *model = nullptr;
    require(parse_template_model(segment.model, model_arena, &model), "parse");
    const std::size_t step = std::max<std::size_t>(1, lines.size() / 1000);
    double spent = 0;
    std::size_t count = 0;
    for (std::size_t line = 0; line < lines.size(); line += step, ++count) {
        TestArena arena;
        const double start = now();
        TemplateGranule *granule = nullptr;
        DecodedTexts texts;
        const std::size_t g = line / kStreamValuesMax;
        const std::uint32_t row = static_cast<std::uint32_t>(line % kStreamValuesMax);
        require(open_template_granule(*model, segment.granules[g], segment.rows[g], arena, &granule), "open");
        require(decode_template_rows(*granule, {&row, 1}, &texts), "row");
        spent += now() - start;
        const std::uint64_t at = texts.offsets[texts.entry_of_row[0]];
        const std::uint64_t size = texts.offsets[texts.entry_of_row[0] + 1] - at;
        if (size != lines[line].size || std::memcmp(texts.data + at, lines[line].data, size) != 0) {
            std::fprintf(stderr, "line %zu alone differs\n", line);
            std::exit(1);
        }
    }
    return spent / static_cast<double>(count) * 1e6;
}

std::size_t zstd_bytes(const std::string &content, int level) {
    std::vector<char> room(ZSTD_compressBound(content.size()));
    return ZSTD_compress(room.data(), room.size(), content.data(), content.size(), level);
}

void measure(const char *path) {
    const std::string content = read_file(path);
    const std::vector<Text> lines = cut_lines(content);
    const bool slow = std::getenv("TEMPLATE_BENCH_FAST") == nullptr;
    const std::size_t quick = zstd_bytes(content, 3);
    const std::size_t best = slow ? zstd_bytes(content, 19) : quick;
    Seconds least{1e9, 1e9, 1e9, 1e9};
    std::size_t size = 0;
    std::size_t model_size = 0;
    double single = 0;
    for (int run = 0; run < (slow ? 3 : 1); ++run) {
        Seconds spent;
        size = 0;
        model_size = 0;
        for (std::size_t first = 0; first < lines.size(); first += kModelMessagesMax) {
            const std::span part{lines.data() + first, std::min<std::size_t>(kModelMessagesMax, lines.size() - first)};
            const Segment segment = encode_segment(part, &spent);
            decode_segment(segment, part, run == 0, &spent);
            if (run == 0 && first == 0) single = single_row_us(segment, part);
            size += segment.size();
            model_size += segment.model.size();
        }
        least.add = std::min(least.add, spent.add);
        least.choose = std::min(least.choose, spent.choose);
        least.encode = std::min(least.encode, spent.encode);
        least.decode = std::min(least.decode, spent.decode);
    }
    const char *slash = std::strrchr(path, '/');
    const auto count = static_cast<double>(lines.size());
    const double encode = least.add + least.choose + least.encode;
    std::printf("| %s | %zu | %zu | %zu | %zu | %zu | %.2f | %.2f | %zu | %.2f (%.2f %.2f %.2f) | %.2f | %.0f |\n",
                slash == nullptr ? path : slash + 1, lines.size(), content.size(), quick, best, size,
                static_cast<double>(size) / static_cast<double>(quick), static_cast<double>(size) / static_cast<double>(best),
                model_size, encode / count * 1e6, least.add / count * 1e6, least.choose / count * 1e6, least.encode / count * 1e6,
                count / least.decode * 1e-6, single);
}

}  // namespace

int main(int count, char **paths) {
    std::printf(
        "| set | lines | raw bytes | zstd -3 | zstd -19 | templates | / -3 | / -19 | of it model | encode, us a line (add, "
        "choose, "
        "write) | decode, million lines a s | one line, us |\n| --- |");
    for (int i = 0; i < 11; ++i) std::printf(" ---: |");
    std::printf("\n");
    for (int i = 1; i < count; ++i) {
        if (std::strcmp(paths[i], "--high") == 0)
            effort = Effort::high;
        else
            measure(paths[i]);
    }
}
