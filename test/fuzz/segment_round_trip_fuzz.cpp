// Builds a segment of the fuzzer's rows and reads it back: sorted, complete, every value one of those that went in, statistics
// those of the rows.
#include <map>
#include <tuple>

#include "format/granule_statistics.h"
#include "segment_rows.h"

namespace historian::fuzz {
namespace {

using Seen = std::map<std::tuple<std::size_t, bool, std::string>, std::int64_t>;

std::string content(const ColumnType &type, const Cell &cell) {
    if (cell.is_null || type.kind == PhysicalKind::absent) return {};
    if (is_number(type.kind)) return std::to_string(cell.number);
    return {reinterpret_cast<const char *>(cell.data), cell.byte_count};
}

void count_decoded(const ColumnVector &column, std::size_t c, Seen &seen) {
    for (std::uint32_t row = 0; row < column.row_count; ++row) {
        const bool is_null = column.kind == PhysicalKind::absent || (column.nulls != nullptr && column.nulls[row] != 0);
        std::string text;
        if (!is_null && is_number(column.kind)) text = std::to_string(column.numbers[row]);
        if (!is_null && !is_number(column.kind)) {
            const std::uint64_t begin = column.entry_offsets[column.entry_of_row[row]];
            const std::uint64_t end = column.entry_offsets[column.entry_of_row[row] + 1];
            text.assign(reinterpret_cast<const char *>(column.entry_data) + begin, end - begin);
        }
        --seen[{c, is_null, text}];
    }
}

/// One column of one granule; what the time's column holds comes with it.
void check_statistics(SegmentStatistics *statistics, const Granule &granule, std::uint32_t granule_number, std::uint32_t column,
                      const ColumnVector &decoded, const ColumnVector &times, Arena &arena) {
    GranuleStatistics expected;
    if (wants_statistics(granule)) {
        expected =
            summarize_granule({decoded.kind, decoded.row_count, decoded.numbers, decoded.nulls, times.numbers, times.nulls});
    }
    GranuleStatistics found;
    if (statistics != nullptr && has_statistics(*statistics, column)) {
        std::span<const GranuleStatistics> granules;
        check(column_statistics(*statistics, column, arena, &granules).ok(), "statistics are valid");
        found = granules[granule_number];
    }
    check(is_same(found, expected), "statistics are those of the rows");
}

}  // namespace
}  // namespace historian::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    using namespace historian;
    using namespace historian::fuzz;
    FuzzInput input{data, size};
    const FuzzRows made = make_rows(input);
    TestArena arena;
    SegmentBuilder *builder = nullptr;
    check(create_builder(arena, made.types, made.key, &builder).ok(), "the types are valid");
    check(set_column_traits(*builder, made.traits).ok(), "the traits are taken");
    set_effort(*builder, size % 2 == 0 ? codec::Effort::normal : codec::Effort::high);
    Seen seen;
    for (const auto &row : made.rows) {
        check(append_row(*builder, row.data()).ok(), "a row is added");
        for (std::size_t c = 0; c < row.size(); ++c) {
            const bool is_null = row[c].is_null || made.types[c].kind == PhysicalKind::absent;
            ++seen[{c, is_null, content(made.types[c], row[c])}];
        }
    }
    SegmentBytes segment;
    check(finish_builder(*builder, &segment).ok(), "a segment is made");

    SegmentHeader header;
    check(open_segment(segment.bytes.first(kSegmentHeaderBytes), &header).ok(), "the header is valid");
    SegmentIndex *index = nullptr;
    const ExactBytes index_bytes{segment.bytes.subspan(header.index.offset, header.index.byte_count)};
    check(parse_index(header, index_bytes.span(), arena, &index).ok(), "the index is valid");
    std::vector<codec::TemplateModel *> models(header.column_count);
    for (std::uint32_t c = 0; c < header.column_count; ++c) {
        const ByteRange range = model_range(*index, c);
        if (range.byte_count == 0) continue;
        check(open_model(segment.bytes.subspan(range.offset, range.byte_count), arena, &models[c]).ok(), "a model is valid");
    }
    SegmentStatistics *statistics = nullptr;
    const ByteRange of_statistics = statistics_range(*index);
    const ExactBytes block{segment.bytes.subspan(of_statistics.offset, of_statistics.byte_count)};
    if (of_statistics.byte_count != 0)
        check(open_statistics(*index, block.span(), arena, &statistics).ok(), "the statistics are valid");
    std::uint64_t raw_bytes = 0;
    for (std::uint32_t g = 0; g < header.granule_count; ++g) {
        for (std::uint32_t c = 0; c < header.column_count; ++c) {
            const ByteRange range = chunk_range(*index, g, c);
            const ExactBytes chunk{segment.bytes.subspan(range.offset, range.byte_count)};
            TestArena decode_arena{kArenaBytes};
            ColumnVector decoded;
            OpenChunk opened{chunk.span(), models[c]};
            check(decode_chunk(*index, g, c, opened, decode_arena, &decoded).ok(), "a chunk is valid");
            count_decoded(decoded, c, seen);
            raw_bytes += count_raw_bytes(decoded, 0);
            const Granule granule = granule_at(*index, g);
            if (is_number(decoded.kind) && c != header.tag_column && c != header.time_column) {
                const ByteRange of_times = chunk_range(*index, g, header.time_column);
                ColumnVector times;
                OpenChunk opened_times{segment.bytes.subspan(of_times.offset, of_times.byte_count)};
                check(decode_chunk(*index, g, header.time_column, opened_times, decode_arena, &times).ok(), "a chunk is valid");
                check_statistics(statistics, granule, g, c, decoded, times, arena);
            }
            if (c != header.time_column) continue;
            for (std::uint32_t row = 0; row < decoded.row_count; ++row) {
                if (decoded.nulls != nullptr && decoded.nulls[row] != 0) continue;
                check(decoded.numbers[row] >= granule.time_min && decoded.numbers[row] <= granule.time_max,
                      "times lie in between");
            }
        }
    }
    check(raw_bytes == header.raw_bytes, "the header knows the bytes of the values");
    for (const auto &[value, count] : seen) check(count == 0, "every value comes back as often as it went in");
    return 0;
}
