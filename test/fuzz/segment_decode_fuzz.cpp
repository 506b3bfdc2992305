// Any bytes as a segment: header, index, tags, statistics and every chunk. Checksums are not compared in fuzz builds.
#include <vector>

#include "format/granule_statistics.h"
#include "format/key_filter.h"
#include "format/segment.h"
#include "fuzz_input.h"

namespace historian::fuzz {
namespace {

using namespace historian::format;

void read_statistics(const SegmentIndex &index, const SegmentHeader &header, std::span<const std::byte> all) {
    const ByteRange range = statistics_range(index);
    check(range.offset <= all.size() && range.byte_count <= all.size() - range.offset, "statistics lie in their segment");
    const ExactBytes block{all.subspan(range.offset, range.byte_count)};
    TestArena arena{kArenaBytes};
    SegmentStatistics *statistics = nullptr;
    if (range.byte_count == 0 || !open_statistics(index, block.span(), arena, &statistics).ok()) return;
    for (std::uint32_t c = 0; c <= header.column_count && c < 64; ++c) {
        std::span<const GranuleStatistics> granules;
        if (!has_statistics(*statistics, c) || !column_statistics(*statistics, c, arena, &granules).ok()) continue;
        check(granules.size() == header.granule_count, "there is one a granule");
        for (std::uint32_t g = 0; g < header.granule_count; ++g)
            check(granules[g].value_count <= granule_at(index, g).row_count, "no more values than rows are told");
    }
}

}  // namespace
}  // namespace historian::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    using namespace historian;
    using namespace historian::fuzz;
    using namespace historian::format;
    const std::span<const std::byte> all{reinterpret_cast<const std::byte *>(data), size};
    SegmentHeader header;
    const ExactBytes header_bytes{all.first(std::min<std::size_t>(size, kSegmentHeaderBytes))};
    if (!open_segment(header_bytes.span(), &header).ok()) return 0;
    if (header.segment_bytes != size) return 0;
    const ExactBytes index_bytes{all.subspan(header.index.offset, header.index.byte_count)};
    TestArena arena{kArenaBytes};
    SegmentIndex *index = nullptr;
    if (!parse_index(header, index_bytes.span(), arena, &index).ok()) return 0;

    for (const std::size_t tag_bytes : {0u, 1u, 8u, 30u}) {
        bool found = false;
        std::uint32_t position = 0;
        const Status status = find_tag(*index, all.last(std::min(size, tag_bytes)), &found, &position);
        if (!status.ok() || !found) continue;
        check(position < header.tag_count + (has_null_tag(*index) ? 1 : 0), "a position is one of the tags");
        const GranuleRange range = granules_of_tag(*index, position);
        check(range.first <= range.last && range.last < header.granule_count, "a tag has granules");
    }
    std::vector<codec::TemplateModel *> models(header.column_count);
    for (std::uint32_t c = 0; c < header.column_count; ++c) {
        const ByteRange range = model_range(*index, c);
        check(range.offset <= size && range.byte_count <= size - range.offset, "a model lies in its segment");
        // A model points into the bytes that it was read from.
        if (range.byte_count != 0 && !open_model(all.subspan(range.offset, range.byte_count), arena, &models[c]).ok())
            models[c] = nullptr;
    }
    read_statistics(*index, header, all);
    const ByteRange filter_range = filter_header_range(*index);
    KeyFilter filter;
    if (filter_range.byte_count != 0)
        static_cast<void>(open_key_filter(all.subspan(filter_range.offset, filter_range.byte_count), &filter));

    for (std::uint32_t g = 0; g < header.granule_count && g < 64; ++g) {
        for (std::uint32_t c = 0; c < header.column_count && c < 64; ++c) {
            const ByteRange range = chunk_range(*index, g, c);
            check(range.offset <= size && range.byte_count <= size - range.offset, "a chunk lies in its segment");
            const ExactBytes chunk{all.subspan(range.offset, range.byte_count)};
            TestArena decode_arena{kArenaBytes};
            ColumnVector decoded;
            OpenChunk opened{chunk.span(), models[c]};
            if (!decode_chunk(*index, g, c, opened, decode_arena, &decoded).ok()) continue;
            static_cast<void>(count_raw_bytes(decoded, 0));
            check(decoded.row_count == granule_at(*index, g).row_count, "a chunk has its granule's rows");
            for (std::uint32_t row = 0; row < decoded.row_count && decoded.entry_of_row != nullptr; ++row) {
                if (decoded.nulls != nullptr && decoded.nulls[row] != 0) continue;
                check(decoded.entry_of_row[row] < decoded.entry_count, "an entry is one of the entries");
                const std::uint64_t end = decoded.entry_offsets[decoded.entry_of_row[row] + 1];
                if (end != 0) check(static_cast<int>(decoded.entry_data[end - 1]) >= 0, "an entry can be read");
            }
            const std::uint32_t row = decoded.row_count / 2;
            OpenChunk fresh{chunk.span(), models[c]};
            ColumnVector single;
            const Status status = decode_chunk_rows(*index, g, c, fresh, {&row, 1}, decode_arena, &single);
            if (status.code == StatusCode::out_of_memory) continue;
            check(status.ok(), "what decodes as a whole decodes row by row");
            const bool is_null = decoded.nulls != nullptr && decoded.nulls[row] != 0;
            if (decoded.numbers != nullptr)
                check(single.numbers[row - single.row_first] == decoded.numbers[row], "a row has the number of the whole");
            if (decoded.entry_of_row == nullptr || is_null) continue;
            const std::uint64_t *whole = decoded.entry_offsets + decoded.entry_of_row[row];
            const std::uint64_t *alone = single.entry_offsets + single.entry_of_row[row - single.row_first];
            check(whole[1] - whole[0] == alone[1] - alone[0], "a row has the text of the whole");
        }
    }
    return 0;
}
