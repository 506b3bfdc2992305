#include <algorithm>

#include "codec/hash.h"
#include "format/segment_index.h"
#include "format/version.h"
#include "search/mapped_text.h"

namespace historian::format {
namespace {

using codec::ByteWriter;

/// One list of a number per granule.
template <typename NumberOf>
Status write_list(std::size_t count, NumberOf number_of, std::span<std::int64_t> numbers, codec::EncodeSpace &space,
                  ByteWriter &out) noexcept {
    for (std::size_t g = 0; g < count; ++g) numbers[g] = static_cast<std::int64_t>(number_of(g));
    return codec::encode_integer_list(numbers.first(count), space, out);
}

Status write_granules(std::span<const Granule> granules, std::span<std::int64_t> numbers, codec::EncodeSpace &space,
                      ByteWriter &out) noexcept {
    const auto list = [&](auto number_of) { return write_list(granules.size(), number_of, numbers, space, out); };
    Status status = list([&](std::size_t g) { return granules[g].row_count; });
    if (status.ok()) status = list([&](std::size_t g) { return granules[g].tag_first; });
    if (status.ok()) status = list([&](std::size_t g) { return granules[g].tag_last - granules[g].tag_first; });
    if (status.ok()) status = list([&](std::size_t g) { return granules[g].has_null_time ? 1 : 0; });
    if (status.ok()) status = list([&](std::size_t g) { return granules[g].time_min; });
    if (status.ok()) {
        status = list([&](std::size_t g) {
            return static_cast<std::uint64_t>(granules[g].time_max) - static_cast<std::uint64_t>(granules[g].time_min);
        });
    }
    return status;
}

Status write_extras(const IndexSource &source, std::span<std::int64_t> numbers, codec::EncodeSpace &space,
                    ByteWriter &out) noexcept {
    out.varint(source.statistics_bytes);
    out.varint(source.filter_header_bytes);
    out.varint(source.filter_blocks_bytes);
    const bool has_words = std::any_of(source.extras.begin(), source.extras.end(),
                                       [](const ColumnExtras &column) { return column.keys == codec::KeyKind::word; });
    out.varint(has_words ? words_version() : 0);
    for (const ColumnExtras &column : source.extras) {
        out.u8(static_cast<std::uint8_t>(column.keys) | (column.least != nullptr ? kTraitRange : 0));
        out.varint(column.model.size());
    }
    for (const ColumnExtras &column : source.extras) {
        if (column.least == nullptr) continue;
        const auto list = [&](const std::int64_t *of_granules) {
            return write_list(
                source.granules.size(), [&](std::size_t g) { return of_granules[g]; }, numbers, space, out);
        };
        Status status = list(column.least);
        if (status.ok()) status = list(column.greatest);
        if (!status.ok()) return status;
    }
    return out.status();
}

}  // namespace

void write_segment_header(const SegmentHeader &header, ByteWriter &out) noexcept {
    const std::size_t mark = out.size();
    out.u32(kSegmentMagic);
    out.u16(kSegmentVersion);
    out.u16(0);
    out.u64(header.segment_bytes);
    out.u64(header.index.byte_count);
    out.u32(header.row_count);
    out.u32(header.granule_count);
    out.u32(header.tag_count);
    out.u16(static_cast<std::uint16_t>(header.column_count));
    out.u16(static_cast<std::uint16_t>(header.tag_column));  // kNoColumn becomes kNoColumnOnDisk
    out.u16(static_cast<std::uint16_t>(header.time_column));
    out.u16(0);
    out.u32(0);
    out.u64(header.raw_bytes);
    out.u64(codec::hash_bytes(out.written_since(mark)));
}

std::uint32_t words_version() noexcept {
    // "14.0.0" as 140000
    std::uint32_t version = 0;
    std::uint32_t part = 0;
    for (const char *at = search::unicode_version();; ++at) {
        if (*at >= '0' && *at <= '9') {
            part = part * 10 + static_cast<std::uint32_t>(*at - '0');
            continue;
        }
        version = version * 100 + part;
        part = 0;
        if (*at == '\0') return version;
    }
}

std::size_t index_bytes_max(const IndexSource &source) noexcept {
    std::size_t lists = kGranuleListCount;
    for (const ColumnExtras &column : source.extras)
        lists += 1 + (column.least == nullptr ? 0 : 2) + (column.distances == nullptr ? 0 : 1);
    return 64 + 14 * source.types.size() + tag_dictionary_bytes_max(source.tags) +
           lists * codec::integer_list_bytes_max(source.granules.size()) +
           codec::integer_list_bytes_max(source.tags.size() / kTagsPerRestart + 1);
}

Status write_index(const IndexSource &source, std::span<std::int64_t> numbers, codec::EncodeSpace &space,
                   ByteWriter &out) noexcept {
    const std::size_t mark = out.size();
    std::byte *checksum = out.take(kIndexChecksumBytes);
    out.u8(source.has_null_tag ? kIndexHasNullTag : 0);
    for (const ColumnType &type : source.types) {
        out.u8(static_cast<std::uint8_t>(type.kind));
        if (type.kind == PhysicalKind::fixed) out.u16(type.fixed_bytes);
    }
    const std::size_t restarts = (source.tags.size() + kTagsPerRestart - 1) / kTagsPerRestart;
    Status status = encode_tag_dictionary(source.tags, numbers.first(restarts), space, out);
    if (status.ok()) status = write_granules(source.granules, numbers, space, out);
    for (std::size_t c = 0; c < source.types.size() && status.ok(); ++c) {
        if (source.types[c].kind == PhysicalKind::absent) continue;
        const std::uint64_t *sizes = source.chunk_bytes + c * source.granules.size();
        status = write_list(
            source.granules.size(), [&](std::size_t g) { return sizes[g]; }, numbers, space, out);
        const std::uint32_t *distances = source.extras[c].distances;
        if (!status.ok() || distances == nullptr) continue;
        status = write_list(
            source.granules.size(), [&](std::size_t g) { return distances[g]; }, numbers, space, out);
    }
    if (status.ok()) status = write_extras(source, numbers, space, out);
    if (!status.ok()) return status;
    ByteWriter front{{checksum, kIndexChecksumBytes}};
    front.u64(codec::hash_bytes(out.written_since(mark + kIndexChecksumBytes)));
    return out.status();
}

}  // namespace historian::format
