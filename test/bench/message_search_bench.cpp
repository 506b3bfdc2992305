// How fast messages are searched by their templates, and how many rows must be made to be sure. One thread; the best of runs.
//     build/message_search_bench file query ...     the file's lines are the messages of one log table; prints a table
// "rebuilt" are the rows that may match but are not certain; making and matching them is measured on its own.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "../unit/test_arena.h"
#include "codec/templates.h"
#include "format/message_search.h"
#include "search/match.h"

using namespace historian;
using namespace historian::format;
using test::TestArena;

namespace {

double now_us() { return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

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

std::string build(const std::string &content) {
    TestArena arena;
    SegmentBuilder *builder = nullptr;
    const ColumnType types[] = {{PhysicalKind::int8}, {PhysicalKind::bytes}};
    ColumnTraits traits[2];
    traits[1].has_templates = true;
    require(create_builder(arena, types, {kNoColumn, 0}, &builder), "builder");
    require(set_column_traits(*builder, traits), "traits");
    std::int64_t time = 0;
    for (std::size_t at = 0; at < content.size() && time < kSegmentRowsMax; ++time) {
        const std::size_t stop = std::min(content.find('\n', at), content.size());
        Cell row[2];
        row[0].number = time;
        row[1].data = reinterpret_cast<const std::byte *>(content.data()) + at;
        row[1].byte_count = static_cast<std::uint32_t>(stop - at);
        require(append_row(*builder, row), "append");
        at = stop + 1;
    }
    SegmentBytes segment;
    require(finish_builder(*builder, &segment), "finish");
    return {reinterpret_cast<const char *>(segment.bytes.data()), segment.bytes.size()};
}

struct Opened {
    explicit Opened(const std::string &segment) : bytes(reinterpret_cast<const std::byte *>(segment.data()), segment.size()) {
        require(open_segment(bytes.first(kSegmentHeaderBytes), &header), "header");
        require(parse_index(header, bytes.subspan(header.index.offset, header.index.byte_count), arena, &index), "index");
        const ByteRange range = model_range(*index, 1);
        if (range.byte_count != 0) require(open_model(bytes.subspan(range.offset, range.byte_count), arena, &model), "model");
    }
    std::span<const std::byte> chunk(std::uint32_t granule) const {
        const ByteRange range = chunk_range(*index, granule, 1);
        return bytes.subspan(range.offset, range.byte_count);
    }

    TestArena arena;
    std::span<const std::byte> bytes;
    SegmentHeader header;
    SegmentIndex *index = nullptr;
    codec::TemplateModel *model = nullptr;
};

struct Result {
    double prepare_us = 1e12, search_us = 1e12, rebuild_us = 1e12;
    std::uint64_t certain = 0, possible = 0, matching = 0;
};

/// Makes and matches the rows that are not certain; returns how many match.
///
/// chunk   the granule's, as the search left it
std::uint64_t rebuild(const Opened &segment, search::Matcher &matcher, std::uint32_t granule, OpenChunk &chunk,
                      const RowBits &certain, const RowBits &possible) {
    std::vector<std::uint32_t> rows;
    for (std::uint32_t row = 0; row < kGranuleRowsMax; ++row) {
        if (possible.has(row) && !certain.has(row)) rows.push_back(row);
    }
    if (rows.empty()) return 0;
    TestArena arena;
    ColumnVector column;
    require(decode_chunk_rows(*segment.index, granule, 1, chunk, rows, arena, &column), "rows");
    search::Tokenizer::Space space(arena);
    std::uint64_t matching = 0;
    for (const std::uint32_t row : rows) {
        const std::uint64_t *offset = column.entry_offsets + column.entry_of_row[row];
        search::Tokenizer words({reinterpret_cast<const char *>(column.entry_data) + offset[0], offset[1] - offset[0]}, space);
        matcher.begin();
        matcher.read(words, SIZE_MAX);
        matching += matcher.finish();
    }
    return matching;
}

Result measure(const Opened &segment, const char *text) {
    TestArena arena;
    search::Query query;
    if (search::parse_query(text, arena, &query).fault != search::QueryFault::none) {
        std::fprintf(stderr, "not a query: %s\n", text);
        std::exit(1);
    }
    search::Matcher *matcher = nullptr;
    require(search::Matcher::create(query, arena, &matcher), "matcher");
    Result result;
    for (int run = 0; run < 5; ++run) {
        TestArena run_arena;
        MessageSearch *search = nullptr;
        const double start = now_us();
        require(prepare_message_search(segment.model, query, run_arena, &search), "prepare");
        result.prepare_us = std::min(result.prepare_us, now_us() - start);
        result.certain = result.possible = result.matching = 0;
        double search_us = 0;
        double rebuild_us = 0;
        for (std::uint32_t g = 0; g < segment.header.granule_count; ++g) {
            TestArena call_arena;
            RowBits certain;
            RowBits possible;
            const double begin = now_us();
            OpenChunk chunk{segment.chunk(g), segment.model};
            require(search_chunk(*search, *segment.index, g, 1, chunk, call_arena, &certain, &possible), "search");
            const double searched = now_us();
            result.matching += rebuild(segment, *matcher, g, chunk, certain, possible);
            search_us += searched - begin;
            rebuild_us += now_us() - searched;
            for (std::uint32_t row = 0; row < kGranuleRowsMax; ++row) {
                result.certain += certain.has(row);
                result.possible += possible.has(row);
            }
        }
        result.search_us = std::min(result.search_us, search_us / segment.header.granule_count);
        result.rebuild_us = std::min(result.rebuild_us, rebuild_us / segment.header.granule_count);
    }
    result.matching += result.certain;
    return result;
}

}  // namespace

int main(int count, char **arguments) {
    if (count < 3) return 1;
    const std::string bytes = build(read_file(arguments[1]));
    const Opened segment(bytes);
    std::printf("%u rows in %u granules, %u templates, %u words\n\n", segment.header.row_count, segment.header.granule_count,
                segment.model == nullptr ? 0 : codec::template_count(*segment.model),
                segment.model == nullptr ? 0 : codec::word_count(*segment.model));
    std::printf("| query | prepare, us | search, us a granule | rebuild, us a granule | matching | certain | rebuilt |\n| --- |");
    for (int i = 0; i < 6; ++i) std::printf(" ---: |");
    std::printf("\n");
    for (int i = 2; i < count; ++i) {
        const Result result = measure(segment, arguments[i]);
        std::printf("| `%s` | %.1f | %.1f | %.1f | %llu | %llu | %llu |\n", arguments[i], result.prepare_us, result.search_us,
                    result.rebuild_us, static_cast<unsigned long long>(result.matching),
                    static_cast<unsigned long long>(result.certain),
                    static_cast<unsigned long long>(result.possible - result.certain));
    }
}
