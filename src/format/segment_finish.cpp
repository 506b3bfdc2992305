#include "format/segment_finish.h"

#include <cassert>

#include "format/version.h"

namespace historian::format {
namespace {

using codec::ByteWriter;
using codec::Text;

/// The column's NULL notes in sorted order, or nullptr when it has none.
Status scatter_nulls(Finish &finish, const BuilderColumn &column, const std::uint8_t **nulls) noexcept {
    *nulls = nullptr;
    if (!column.has_nulls) return Status::success();
    if (!ensure_array(finish, finish.nulls, finish.builder.row_count)) return no_memory();
    std::memset(finish.nulls, 0, finish.builder.row_count);
    scatter(column.nulls, finish, finish.nulls);
    *nulls = finish.nulls;
    return Status::success();
}

Status encode_numbers(Finish &finish, std::uint32_t column, PhysicalKind kind, const std::int64_t *values,
                      const std::uint8_t *nulls) noexcept {
    if (!ensure_room(finish, number_chunk_bytes_max(kGranuleRowsMax))) return no_memory();
    std::int64_t dense[kGranuleRowsMax];
    for (std::uint32_t g = 0; g < finish.list.count; ++g) {
        const Granule &granule = finish.list.granules[g];
        const NumberRows rows{kind, granule.row_count, values + granule.first_row,
                              nulls == nullptr ? nullptr : nulls + granule.first_row, dense};
        ByteWriter out{finish.room};
        Status status = encode_number_chunk(rows, finish.space, out);
        if (status.ok()) status = keep_chunk(finish, column, g, out);
        if (!status.ok()) return status;
    }
    return Status::success();
}

Status encode_texts(Finish &finish, std::uint32_t column, const std::uint8_t *nulls) noexcept {
    if (!ensure_array(finish, finish.dense_texts, kGranuleRowsMax)) return no_memory();
    for (std::uint32_t g = 0; g < finish.list.count; ++g) {
        const Granule &granule = finish.list.granules[g];
        const TextRows rows{granule.row_count, finish.texts + granule.first_row,
                            nulls == nullptr ? nullptr : nulls + granule.first_row, finish.dense_texts};
        if (!ensure_room(finish, text_chunk_bytes_max(rows))) return no_memory();
        ByteWriter out{finish.room};
        Status status = encode_text_chunk(rows, finish.space, out);
        if (status.ok()) status = keep_chunk(finish, column, g, out);
        if (!status.ok()) return status;
    }
    return Status::success();
}

Status encode_tags(Finish &finish) noexcept {
    std::int64_t counts[kGranuleRowsMax];
    if (!ensure_room(finish, tag_chunk_bytes_max(kGranuleRowsMax))) return no_memory();
    for (std::uint32_t g = 0; g < finish.list.count; ++g) {
        const Granule &granule = finish.list.granules[g];
        const std::uint32_t tags = granule.tag_last - granule.tag_first + 1;
        for (std::uint32_t t = 0; t < tags; ++t) {
            const std::uint32_t position = granule.tag_first + t;
            counts[t] = finish.order.tag_start[position + 1] - finish.order.tag_start[position];
        }
        ByteWriter out{finish.room};
        Status status = encode_tag_chunk({counts, tags}, finish.space, out);
        if (status.ok()) status = keep_chunk(finish, finish.builder.key.tag_column, g, out);
        if (!status.ok()) return status;
    }
    return Status::success();
}

Status encode_column(Finish &finish, std::uint32_t column) noexcept {
    const SegmentBuilder &builder = finish.builder;
    const BuilderColumn &source = builder.columns[column];
    if (source.type.kind == PhysicalKind::absent) return Status::success();
    if (column == builder.key.tag_column) return encode_tags(finish);
    if (column == builder.key.time_column) {
        return encode_numbers(finish, column, source.type.kind, finish.order.times, finish.order.null_times);
    }
    const std::uint8_t *nulls = nullptr;
    if (const Status status = scatter_nulls(finish, source, &nulls); !status.ok()) return status;
    if (is_number(source.type.kind)) {
        if (!ensure_array(finish, finish.numbers, builder.row_count)) return no_memory();
        scatter(source.numbers, finish, finish.numbers);
        if (builder.traits != nullptr && builder.traits[column].has_range) {
            if (const Status status = find_ranges(finish, column, nulls); !status.ok()) return status;
        }
        if (const Status status = find_statistics(finish, column, nulls); !status.ok()) return status;
        return encode_numbers(finish, column, source.type.kind, finish.numbers, nulls);
    }
    if (!ensure_array(finish, finish.texts, builder.row_count)) return no_memory();
    scatter(source.texts, finish, finish.texts);
    if (builder.traits != nullptr && builder.traits[column].has_templates) {
        bool done = false;
        if (const Status status = encode_messages(finish, column, nulls, &done); !status.ok() || done) return status;
    }
    return encode_texts(finish, column, nulls);
}

/// Rows of a granule with one tag are in time order, of one with several they are not.
void find_times(const RowOrder &order, Granule *granule) noexcept {
    granule->time_min = INT64_MAX;
    granule->time_max = INT64_MIN;
    for (std::uint32_t row = granule->first_row; row < granule->first_row + granule->row_count; ++row) {
        if (order.null_times != nullptr && order.null_times[row] != 0) {
            granule->has_null_time = true;
            continue;
        }
        granule->time_min = std::min(granule->time_min, order.times[row]);
        granule->time_max = std::max(granule->time_max, order.times[row]);
    }
}

void count_short_runs(const RowOrder &order, SegmentSummary *summary) noexcept {
    const auto is_short = [&](std::uint32_t tag) { return order.tag_start[tag + 1] - order.tag_start[tag] < kGranuleRowsMax; };
    if (order.tag_count == 0) return;
    for (std::uint32_t tag = 0; tag < order.tag_count; ++tag) summary->short_run_count += is_short(tag) ? 1 : 0;
    summary->first_is_short = is_short(0);
    summary->last_is_short = is_short(order.tag_count - 1);
}

SegmentSummary summarise(const Finish &finish, std::span<const Text> tags) noexcept {
    SegmentSummary summary;
    summary.row_count = finish.builder.row_count;
    summary.tag_count = static_cast<std::uint32_t>(tags.size());
    summary.granule_count = finish.list.count;
    summary.has_null_tag = finish.order.has_null_tag;
    summary.time_min = INT64_MAX;
    summary.time_max = INT64_MIN;
    for (std::uint32_t g = 0; g < finish.list.count; ++g) {
        const Granule &granule = finish.list.granules[g];
        summary.has_null_time |= granule.has_null_time;
        summary.time_min = std::min(summary.time_min, granule.time_min);
        summary.time_max = std::max(summary.time_max, granule.time_max);
    }
    if (!tags.empty()) {
        summary.tag_first = {tags.front().data, tags.front().size};
        summary.tag_last = {tags.back().data, tags.back().size};
    }
    count_short_runs(finish.order, &summary);
    return summary;
}

SegmentHeader make_header(const Finish &finish, std::size_t tag_count, std::size_t index_bytes) noexcept {
    SegmentHeader header;
    header.index = {kSegmentHeaderBytes, index_bytes};
    header.segment_bytes =
        kSegmentHeaderBytes + index_bytes + finish.statistics.size() + finish.filter.header.size() + finish.filter.blocks.size();
    for (std::uint32_t c = 0; c < finish.builder.column_count; ++c) header.segment_bytes += finish.extras[c].model.size();
    for (std::size_t i = 0; i < std::size_t{finish.list.count} * finish.builder.column_count; ++i) {
        header.segment_bytes += finish.chunk_bytes[i];
    }
    header.row_count = finish.builder.row_count;
    header.granule_count = finish.list.count;
    header.column_count = finish.builder.column_count;
    header.tag_count = static_cast<std::uint32_t>(tag_count);
    header.tag_column = finish.builder.key.tag_column;
    header.time_column = finish.builder.key.time_column;
    header.raw_bytes = finish.builder.raw_bytes;
    return header;
}

/// Header, index, statistics, filter, models, and the chunks granule after granule, in one piece of memory.
Status assemble(Finish &finish, std::span<const Text> tags, SegmentBytes *segment) noexcept {
    const SegmentBuilder &builder = finish.builder;
    auto *types = builder.arena->array<ColumnType>(builder.column_count);
    auto *scratch =
        builder.arena->array<std::int64_t>(std::max<std::size_t>(finish.list.count, tags.size() / kTagsPerRestart + 1));
    if (types == nullptr || scratch == nullptr) return no_memory();
    for (std::uint32_t c = 0; c < builder.column_count; ++c) types[c] = builder.columns[c].type;
    const IndexSource source{{types, builder.column_count},
                             tags,
                             finish.order.has_null_tag,
                             {finish.list.granules, finish.list.count},
                             finish.chunk_bytes,
                             {finish.extras, builder.column_count},
                             finish.statistics.size(),
                             finish.filter.header.size(),
                             finish.filter.blocks.size()};
    if (!ensure_room(finish, index_bytes_max(source))) return no_memory();
    ByteWriter index{finish.room};
    const std::size_t scratch_count = std::max<std::size_t>(finish.list.count, tags.size() / kTagsPerRestart + 1);
    if (const Status status = write_index(source, {scratch, scratch_count}, finish.space, index); !status.ok()) return status;

    const SegmentHeader header = make_header(finish, tags.size(), index.size());
    if (header.segment_bytes > kSegmentBytesMax) return {StatusCode::too_large, "a segment has more than 32 TiB"};
    auto *bytes = builder.arena->array<std::byte>(header.segment_bytes);
    if (bytes == nullptr) return no_memory();
    ByteWriter out{{bytes, static_cast<std::size_t>(header.segment_bytes)}};
    write_segment_header(header, out);
    out.bytes(index.written());
    out.bytes(finish.statistics);
    out.bytes(finish.filter.header);
    out.bytes(finish.filter.blocks);
    for (std::uint32_t c = 0; c < builder.column_count; ++c) out.bytes(finish.extras[c].model);
    for (std::uint32_t g = 0; g < finish.list.count; ++g) {
        for (std::uint32_t c = 0; c < builder.column_count; ++c) out.bytes(finish.chunks[std::size_t{c} * finish.list.count + g]);
    }
    assert(out.status().ok() && out.size() == header.segment_bytes);
    segment->bytes = out.written();
    segment->summary = summarise(finish, tags);
    segment->row_of_arrival = {finish.order.destination, builder.row_count};
    return Status::success();
}

}  // namespace

Status finish_builder(SegmentBuilder &builder, SegmentBytes *segment) noexcept {
    assert(builder.row_count > 0);
    Finish finish{builder};
    if (const Status status = codec::make_encode_space(*builder.arena, &finish.space, builder.effort); !status.ok())
        return status;
    if (const Status status = sort_rows(builder, &finish.order); !status.ok()) return status;
    if (const Status status = choose_granules(builder, finish.order, &finish.list); !status.ok()) return status;
    for (std::uint32_t g = 0; g < finish.list.count; ++g) find_times(finish.order, &finish.list.granules[g]);

    const std::size_t chunk_count = std::size_t{finish.list.count} * builder.column_count;
    finish.chunks = builder.arena->array<std::span<const std::byte>>(chunk_count);
    finish.chunk_bytes = builder.arena->array<std::uint64_t>(chunk_count);
    const std::uint32_t null_tags = finish.order.has_null_tag ? 1 : 0;
    const std::uint32_t tag_count = finish.order.tag_count - null_tags;
    auto *tags = builder.arena->array<Text>(tag_count);
    finish.extras = builder.arena->array<ColumnExtras>(builder.column_count);
    if (finish.chunks == nullptr || finish.chunk_bytes == nullptr || tags == nullptr || finish.extras == nullptr)
        return no_memory();
    std::fill_n(finish.extras, builder.column_count, ColumnExtras{});
    std::fill_n(finish.chunks, chunk_count, std::span<const std::byte>{});
    std::fill_n(finish.chunk_bytes, chunk_count, std::uint64_t{0});
    for (std::uint32_t t = 0; t < tag_count; ++t) {
        const BuilderTag &tag = builder.tags[finish.order.tag_ids[t + null_tags]];
        tags[t] = {tag.data, tag.size};
    }
    for (std::uint32_t c = 0; c < builder.column_count; ++c) {
        if (const Status status = encode_column(finish, c); !status.ok()) return status;
    }
    if (const Status status = share_chunks(finish); !status.ok()) return status;
    if (const Status status = join_statistics(finish); !status.ok()) return status;
    if (const Status status = collect_keys(finish); !status.ok()) return status;
    return assemble(finish, {tags, tag_count}, segment);
}

}  // namespace historian::format
