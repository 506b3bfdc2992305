// What a segment keeps of its columns beside their values: templates of messages, ranges of numbers, statistics of granules, the
// filter of keys.
#include "codec/hash.h"
#include "format/granule_statistics_block.h"
#include "format/key_collector.h"
#include "format/segment_finish.h"
#include "format/version.h"

namespace historian::format {
namespace {

using codec::ByteWriter;
using codec::KeyKind;
using codec::Text;

// ---------------------------------------------------------------------------------------------------------------- messages

/// Rows looked at before messages are cut: enough to tell a column of states from a column of messages.
constexpr std::uint32_t kSampleRows = 1024;

/// Values that repeat more often than this are entries of a dictionary, which is shorter and faster than anything else.
constexpr std::uint32_t kRowsPerStateMin = 16;

/// Shorter texts are hardly made from templates.
constexpr std::uint32_t kMessageBytesMin = 8;

/// Whether a column's values look like messages, each written anew, rather than like states that come again and again.
bool looks_like_messages(const Finish &finish, const std::uint8_t *nulls) noexcept {
    constexpr std::uint32_t kSlots = 4 * kSampleRows;
    std::uint64_t seen[kSlots];
    std::fill_n(seen, kSlots, std::uint64_t{0});
    const std::uint32_t row_count = finish.builder.row_count;
    const std::uint32_t step = std::max(1u, row_count / kSampleRows);
    std::uint32_t sampled = 0;
    std::uint32_t distinct = 0;
    std::uint64_t content_bytes = 0;
    for (std::uint32_t row = 0; row < row_count && sampled < kSampleRows; row += step) {
        if (nulls != nullptr && nulls[row] != 0) continue;
        const Text &text = finish.texts[row];
        sampled += 1;
        content_bytes += text.size;
        const std::uint64_t hash = codec::hash_bytes({text.data, text.size}) | 1;
        auto slot = static_cast<std::uint32_t>(hash >> 32) % kSlots;
        while (seen[slot] != 0 && seen[slot] != hash) slot = (slot + 1) % kSlots;
        distinct += seen[slot] == 0;
        seen[slot] = hash;
    }
    return sampled != 0 && content_bytes >= std::uint64_t{sampled} * kMessageBytesMin && distinct * kRowsPerStateMin > sampled;
}

Status keep_model(Finish &finish, std::uint32_t column, const codec::TemplateBuilder &builder) noexcept {
    if (!ensure_room(finish, codec::template_model_bytes_max(builder) + kChunkBytesMin)) return no_memory();
    ByteWriter out{finish.room};
    if (const Status status = encode_model_chunk(builder, finish.space, out); !status.ok()) return status;
    auto *copy = finish.builder.arena->array<std::byte>(out.size());
    if (copy == nullptr) return no_memory();
    std::memcpy(copy, out.written().data(), out.size());
    finish.extras[column].model = {copy, out.size()};
    return Status::success();
}

// -------------------------------------------------------------------------------------------------------------------- keys

/// Calls visit(value) for each value of a granule that is not NULL.
///
/// arrivals   where each sorted row stands in the order of arrival
template <typename T, typename Visit>
void for_each_value(const BuilderColumn &column, const RowBlocks<T> &values, const Granule &granule,
                    const std::uint32_t *arrivals, Visit visit) noexcept {
    for (std::uint32_t row = granule.first_row; row < granule.first_row + granule.row_count; ++row) {
        const std::uint32_t arrival = arrivals[row];
        const std::uint8_t *is_null = column.nulls.find(arrival);
        if (is_null == nullptr || *is_null == 0) visit(*values.find(arrival));
    }
}

void collect_keys_of(const Finish &finish, std::uint32_t column, const Granule &granule, const std::uint32_t *arrivals,
                     KeyCollector &collector) noexcept {
    const BuilderColumn &source = finish.builder.columns[column];
    if (is_number(source.type.kind)) {
        for_each_value(source, source.numbers, granule, arrivals, [&](std::int64_t number) { add_number(collector, number); });
        return;
    }
    const KeyKind kind = finish.builder.traits[column].keys;
    for_each_value(source, source.texts, granule, arrivals, [&](const Text &text) { add_text(collector, kind, text); });
}

}  // namespace

Status encode_messages(Finish &finish, std::uint32_t column, const std::uint8_t *nulls, bool *done) noexcept {
    *done = false;
    if (!looks_like_messages(finish, nulls)) return Status::success();
    const std::uint32_t row_count = finish.builder.row_count;
    codec::TemplateBuilder *templates = nullptr;
    Status status = codec::create_template_builder(*finish.builder.arena, &templates);
    for (std::uint32_t row = 0; row < row_count && status.ok(); ++row) {
        if (nulls == nullptr || nulls[row] == 0) status = codec::add_message(*templates, finish.texts[row]);
    }
    if (status.ok()) status = codec::choose_templates(*templates, finish.space);
    if (status.ok()) status = keep_model(finish, column, *templates);
    std::uint32_t messages[kGranuleRowsMax];
    std::uint32_t next = 0;
    for (std::uint32_t g = 0; g < finish.list.count && status.ok(); ++g) {
        const Granule &granule = finish.list.granules[g];
        std::uint32_t count = 0;
        for (std::uint32_t row = granule.first_row; row < granule.first_row + granule.row_count; ++row) {
            if (nulls == nullptr || nulls[row] == 0) messages[count++] = next++;
        }
        const MessageRows rows{granule.row_count, nulls == nullptr ? nullptr : nulls + granule.first_row, {messages, count}};
        if (!ensure_room(finish, message_chunk_bytes_max(*templates, rows))) return no_memory();
        ByteWriter out{finish.room};
        status = encode_message_chunk(*templates, rows, finish.space, out);
        if (status.ok()) status = keep_chunk(finish, column, g, out);
    }
    *done = status.ok();
    return status;
}

Status find_ranges(Finish &finish, std::uint32_t column, const std::uint8_t *nulls) noexcept {
    auto *least = finish.builder.arena->array<std::int64_t>(finish.list.count);
    auto *greatest = finish.builder.arena->array<std::int64_t>(finish.list.count);
    if (least == nullptr || greatest == nullptr) return no_memory();
    for (std::uint32_t g = 0; g < finish.list.count; ++g) {
        const Granule &granule = finish.list.granules[g];
        least[g] = INT64_MAX;
        greatest[g] = INT64_MIN;
        for (std::uint32_t row = granule.first_row; row < granule.first_row + granule.row_count; ++row) {
            if (nulls != nullptr && nulls[row] != 0) continue;
            least[g] = std::min(least[g], finish.numbers[row]);
            greatest[g] = std::max(greatest[g], finish.numbers[row]);
        }
    }
    finish.extras[column].least = least;
    finish.extras[column].greatest = greatest;
    return Status::success();
}

Status find_statistics(Finish &finish, std::uint32_t column, const std::uint8_t *nulls) noexcept {
    const std::span<const Granule> granules{finish.list.granules, finish.list.count};
    if (std::none_of(granules.begin(), granules.end(), wants_statistics)) return Status::success();
    if (!ensure_array(finish, finish.granule_statistics, finish.list.count) ||
        !ensure_array(finish, finish.granule_numbers, kStatisticsValues * finish.list.count) ||
        !ensure_room(finish, column_statistics_bytes_max(granules.size())))
        return no_memory();
    const RowOrder &order = finish.order;
    const PhysicalKind kind = finish.builder.columns[column].type.kind;
    bool any = false;
    for (std::size_t g = 0; g < granules.size(); ++g) {
        const std::uint32_t row = granules[g].first_row;
        const auto from_row = [row](const std::uint8_t *notes) { return notes == nullptr ? nullptr : notes + row; };
        finish.granule_statistics[g] = {};
        if (!wants_statistics(granules[g])) continue;
        finish.granule_statistics[g] = summarize_granule(
            {kind, granules[g].row_count, finish.numbers + row, from_row(nulls), order.times + row, from_row(order.null_times)});
        any |= finish.granule_statistics[g].is_known;
    }
    if (!any) return Status::success();
    ByteWriter out{finish.room};
    const Status status =
        write_column_statistics({kind, granules, finish.granule_statistics},
                                {finish.granule_numbers, kStatisticsValues * granules.size()}, finish.space, out);
    if (!status.ok()) return status;
    auto *copy = finish.builder.arena->array<std::byte>(out.size());
    if (copy == nullptr) return no_memory();
    std::memcpy(copy, out.written().data(), out.size());
    finish.extras[column].statistics = {copy, out.size()};
    return Status::success();
}

Status join_statistics(Finish &finish) noexcept {
    const SegmentBuilder &builder = finish.builder;
    const std::span<const ColumnExtras> extras{finish.extras, builder.column_count};
    std::size_t bytes = 0;
    for (const ColumnExtras &column : extras) bytes += column.statistics.size();
    if (bytes == 0) return Status::success();
    bytes += codec::kVarintBytesMax * extras.size() + kStatisticsChecksumBytes;
    auto *room = builder.arena->array<std::byte>(bytes);
    if (room == nullptr) return no_memory();
    ByteWriter out{{room, bytes}};
    for (std::uint32_t c = 0; c < builder.column_count; ++c) {
        const bool is_key = c == builder.key.tag_column || c == builder.key.time_column;
        if (!is_key && is_number(builder.columns[c].type.kind)) out.varint(extras[c].statistics.size());
    }
    for (const ColumnExtras &column : extras) out.bytes(column.statistics);
    out.u32(static_cast<std::uint32_t>(codec::hash_bytes(out.written())));
    finish.statistics = out.written();
    return out.status();
}

Status collect_keys(Finish &finish) noexcept {
    const SegmentBuilder &builder = finish.builder;
    bool any = false;
    for (std::uint32_t c = 0; c < builder.column_count && builder.traits != nullptr; ++c) {
        finish.extras[c].keys = builder.traits[c].keys;
        any = any || builder.traits[c].keys != KeyKind::reserved;
    }
    if (!any) return Status::success();
    auto *arrivals = builder.arena->array<std::uint32_t>(builder.row_count);
    if (arrivals == nullptr) return no_memory();
    for (std::uint32_t arrival = 0; arrival < builder.row_count; ++arrival) arrivals[finish.order.destination[arrival]] = arrival;
    KeyCollector *collector = nullptr;
    if (const Status status = create_key_collector(*builder.arena, finish.list.count, &collector); !status.ok()) return status;
    for (std::uint32_t g = 0; g < finish.list.count; ++g) {
        for (std::uint32_t c = 0; c < builder.column_count; ++c) {
            if (builder.traits[c].keys == KeyKind::reserved) continue;
            begin_values(*collector, g, c);
            collect_keys_of(finish, c, finish.list.granules[g], arrivals, *collector);
        }
    }
    return finish_key_collector(*collector, &finish.filter);
}

}  // namespace historian::format
