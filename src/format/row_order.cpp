#include "format/row_order.h"

#include <algorithm>
#include <cstring>

#include "format/granule_cuts.h"
#include "format/version.h"

namespace historian::format {
namespace {

/// The first eight bytes as a number in memcmp order; shorter tags are padded with zeros, so equal numbers decide nothing.
std::uint64_t prefix_of(const BuilderTag &tag) noexcept {
    std::uint64_t prefix = 0;
    for (std::uint32_t i = 0; i < 8; ++i) prefix = prefix << 8 | (i < tag.size ? static_cast<std::uint64_t>(tag.data[i]) : 0);
    return prefix;
}

struct TagKey {
    std::uint64_t prefix;
    std::uint32_t id;
};

Status sort_tags(const SegmentBuilder &builder, RowOrder *order) noexcept {
    auto *keys = builder.arena->array<TagKey>(builder.tag_count);
    order->tag_ids = builder.arena->array<std::uint32_t>(builder.tag_count);
    order->tag_start = builder.arena->array<std::uint32_t>(std::size_t{builder.tag_count} + 1);
    if (keys == nullptr || order->tag_ids == nullptr || order->tag_start == nullptr) return no_memory();
    std::uint32_t count = 0;
    for (std::uint32_t id = 0; id < builder.tag_count; ++id) {
        // A tag without rows came with a row that found no memory.
        if (builder.tags[id].row_count != 0) keys[count++] = {prefix_of(builder.tags[id]), id};
    }
    const BuilderTag *tags = builder.tags;
    std::sort(keys, keys + count, [tags](const TagKey &a, const TagKey &b) {
        const BuilderTag &left = tags[a.id];
        const BuilderTag &right = tags[b.id];
        if (left.is_null != right.is_null) return left.is_null;
        if (left.is_null) return false;
        if (a.prefix != b.prefix) return a.prefix < b.prefix;
        const int compared = std::memcmp(left.data, right.data, std::min(left.size, right.size));
        return compared != 0 ? compared < 0 : left.size < right.size;
    });
    std::uint32_t row = 0;
    for (std::uint32_t t = 0; t < count; ++t) {
        order->tag_ids[t] = keys[t].id;
        order->tag_start[t] = row;
        row += tags[keys[t].id].row_count;
    }
    order->tag_start[count] = row;
    order->tag_count = count;
    order->has_null_tag = count > 0 && tags[order->tag_ids[0]].is_null;
    return Status::success();
}

/// A stable counting sort by tag.
Status place_rows(const SegmentBuilder &builder, RowOrder *order) noexcept {
    auto *next = builder.arena->array<std::uint32_t>(builder.tag_count);
    order->destination = builder.arena->array<std::uint32_t>(builder.row_count);
    if (next == nullptr || order->destination == nullptr) return no_memory();
    for (std::uint32_t t = 0; t < order->tag_count; ++t) next[order->tag_ids[t]] = order->tag_start[t];
    for_each_block(builder.tag_of_row, builder.row_count,
                   [&](const std::uint32_t *tag_of_row, std::uint32_t first, std::uint32_t count) {
                       for (std::uint32_t i = 0; i < count; ++i) order->destination[first + i] = next[tag_of_row[i]]++;
                   });
    return Status::success();
}

void scatter_times(const SegmentBuilder &builder, RowOrder *order) noexcept {
    const BuilderColumn &column = builder.columns[builder.key.time_column];
    const std::uint32_t *destination = order->destination;
    for_each_block(column.numbers, builder.row_count, [&](const std::int64_t *times, std::uint32_t first, std::uint32_t count) {
        for (std::uint32_t i = 0; i < count; ++i) order->times[destination[first + i]] = times[i];
    });
    if (order->null_times == nullptr) return;
    std::memset(order->null_times, 0, builder.row_count);
    for_each_block(column.nulls, builder.row_count, [&](const std::uint8_t *nulls, std::uint32_t first, std::uint32_t count) {
        if (nulls == nullptr) return;
        for (std::uint32_t i = 0; i < count; ++i) {
            if (nulls[i] == 0) continue;
            order->null_times[destination[first + i]] = 1;
            order->times[destination[first + i]] = 0;
        }
    });
}

/// NULL before every time.
bool time_before(const RowOrder &order, std::uint32_t a, std::uint32_t b) noexcept {
    if (order.null_times != nullptr && (order.null_times[a] != 0 || order.null_times[b] != 0)) {
        return order.null_times[a] > order.null_times[b];
    }
    return order.times[a] < order.times[b];
}

bool times_in_order(const RowOrder &order, std::uint32_t first, std::uint32_t end) noexcept {
    if (order.null_times == nullptr) return std::is_sorted(order.times + first, order.times + end);
    for (std::uint32_t row = first + 1; row < end; ++row) {
        if (time_before(order, row, row - 1)) return false;
    }
    return true;
}

/// Sorts by time the rows of the tags that need it.
Status sort_times(const SegmentBuilder &builder, RowOrder *order) noexcept {
    std::uint32_t *moved_to = nullptr;  // position by tag -> position by tag and time
    std::uint32_t *rows = nullptr;
    for (std::uint32_t t = 0; t < order->tag_count; ++t) {
        const std::uint32_t first = order->tag_start[t];
        const std::uint32_t end = order->tag_start[t + 1];
        if (times_in_order(*order, first, end)) continue;
        if (moved_to == nullptr) {
            moved_to = builder.arena->array<std::uint32_t>(builder.row_count);
            rows = builder.arena->array<std::uint32_t>(builder.row_count);
            if (moved_to == nullptr || rows == nullptr) return no_memory();
            for (std::uint32_t row = 0; row < builder.row_count; ++row) moved_to[row] = row;
        }
        for (std::uint32_t row = first; row < end; ++row) rows[row] = row;
        // The positions keep the arrival order of equal times; std::stable_sort would call malloc.
        std::sort(rows + first, rows + end, [&](std::uint32_t a, std::uint32_t b) {
            if (time_before(*order, a, b)) return true;
            return !time_before(*order, b, a) && a < b;
        });
        for (std::uint32_t row = first; row < end; ++row) moved_to[rows[row]] = row;
    }
    if (moved_to == nullptr) return Status::success();
    for (std::uint32_t row = 0; row < builder.row_count; ++row) order->destination[row] = moved_to[order->destination[row]];
    scatter_times(builder, order);
    return Status::success();
}

/// Grows the list of granules as tags are added in their order.
struct Grouping {
    GranuleList *list;
    std::uint32_t tag_first = 0;
    std::uint32_t first_row = 0;
    std::uint32_t rows = 0;
    std::uint64_t content_bytes = 0;

    void flush(std::uint32_t tag_last) noexcept {
        if (rows == 0) return;
        list->granules[list->count++] = {.first_row = first_row, .row_count = rows, .tag_first = tag_first, .tag_last = tag_last};
        rows = 0;
        content_bytes = 0;
    }
};

/// A tag with so many rows, or so long ones, gets granules of its own.
bool is_lonely(const BuilderTag &tag) noexcept {
    return tag.row_count >= kGranuleRowsLonely || tag.content_bytes >= kGranuleContentBytes;
}

/// A lonely tag's rows. Long ones are so few in a granule that their content fits when it is spread evenly. Records of a log keep
/// the fewest granules: they are searched more often than aggregated.
TagRun run_of_tag(const SegmentBuilder &builder, const RowOrder &order, std::uint32_t position) noexcept {
    const BuilderTag &tag = builder.tags[order.tag_ids[position]];
    const std::uint64_t by_rows = (tag.row_count + kGranuleRowsMax - 1) / kGranuleRowsMax;
    const std::uint64_t by_content = (tag.content_bytes + kGranuleContentBytes - 1) / kGranuleContentBytes;
    const std::uint64_t pieces = std::min<std::uint64_t>(tag.row_count, std::max(by_rows, by_content));
    const std::uint32_t first = order.tag_start[position];
    TagRun run;
    run.times = {order.times + first, tag.row_count};
    // A NULL is before all times.
    const bool has_null_time = order.null_times != nullptr && order.null_times[first] != 0;
    run.is_cut_evenly = has_null_time || builder.key.tag_column == kNoColumn;
    run.rows_max = by_content > by_rows ? static_cast<std::uint32_t>(tag.row_count / pieces) : kGranuleRowsMax;
    return run;
}

}  // namespace

Status sort_rows(SegmentBuilder &builder, RowOrder *order) noexcept {
    if (const Status status = sort_tags(builder, order); !status.ok()) return status;
    if (const Status status = place_rows(builder, order); !status.ok()) return status;
    order->times = builder.arena->array<std::int64_t>(builder.row_count);
    if (order->times == nullptr) return no_memory();
    if (builder.columns[builder.key.time_column].has_nulls) {
        order->null_times = builder.arena->array<std::uint8_t>(builder.row_count);
        if (order->null_times == nullptr) return no_memory();
    }
    scatter_times(builder, order);
    return sort_times(builder, order);
}

Status choose_granules(const SegmentBuilder &builder, const RowOrder &order, GranuleList *list) noexcept {
    std::uint64_t count_max = 0;
    for (std::uint32_t t = 0; t < order.tag_count; ++t) {
        count_max += is_lonely(builder.tags[order.tag_ids[t]]) ? granules_max(run_of_tag(builder, order, t)) : 1;
    }
    list->granules = builder.arena->array<Granule>(count_max);
    if (list->granules == nullptr) return no_memory();

    Grouping group{list};
    for (std::uint32_t t = 0; t < order.tag_count; ++t) {
        const BuilderTag &tag = builder.tags[order.tag_ids[t]];
        if (is_lonely(tag)) {
            if (t > 0) group.flush(t - 1);
            cut_granules(run_of_tag(builder, order, t), [&](std::uint32_t first, std::uint32_t count) {
                list->granules[list->count++] = {
                    .first_row = order.tag_start[t] + first, .row_count = count, .tag_first = t, .tag_last = t};
            });
            continue;
        }
        if (group.rows == 0) {
            group.tag_first = t;
            group.first_row = order.tag_start[t];
        }
        group.rows += tag.row_count;
        group.content_bytes += tag.content_bytes;
        if (group.rows >= kGranuleRowsShared || group.content_bytes >= kGranuleContentBytes) group.flush(t);
    }
    group.flush(order.tag_count - 1);
    return Status::success();
}

}  // namespace historian::format
