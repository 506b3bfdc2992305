#include "format/segment_index.h"

#include <algorithm>
#include <cassert>
#include <new>

#include "codec/hash.h"
#include "format/version.h"

namespace historian::format {
namespace {

using codec::ByteReader;

constexpr Status corrupt_index(const char *message) noexcept { return {StatusCode::corrupt, message}; }
constexpr Status no_index_memory() noexcept { return {StatusCode::out_of_memory, "no memory for the index of a segment"}; }

Status validate_header(const SegmentHeader &header) noexcept {
    if (header.segment_bytes > kSegmentBytesMax || header.index.byte_count > header.segment_bytes ||
        header.index.byte_count + kSegmentHeaderBytes > header.segment_bytes || header.index.byte_count < kIndexChecksumBytes) {
        return {StatusCode::corrupt, "the header of a segment has impossible sizes"};
    }
    if (header.row_count == 0 || header.row_count > kSegmentRowsMax || header.granule_count == 0 ||
        header.granule_count > header.row_count || header.tag_count > header.row_count) {
        return {StatusCode::corrupt, "the header of a segment has impossible counts"};
    }
    // Of what kinds the columns are is not known yet; one has chunks.
    const std::uint64_t chunk_bytes = header.segment_bytes - header.index.byte_count - kSegmentHeaderBytes;
    if (chunks_bytes_min(header.granule_count, 1) > chunk_bytes) {
        return {StatusCode::corrupt, "a segment is too short for its granules"};
    }
    const bool tag_is_possible = header.tag_column == kNoColumn
                                     ? header.tag_count == 0
                                     : header.tag_column < header.column_count && header.tag_column != header.time_column;
    if (header.column_count == 0 || header.column_count > kColumnCountMax || header.time_column >= header.column_count ||
        !tag_is_possible) {
        return {StatusCode::corrupt, "the header of a segment has impossible columns"};
    }
    if (header.raw_bytes > std::uint64_t{header.row_count} * header.column_count * kValueBytesMax) {
        return {StatusCode::corrupt, "the header of a segment claims more bytes than its values can have"};
    }
    return Status::success();
}

Status read_types(ByteReader &in, Arena &arena, SegmentIndex *index) noexcept {
    const std::uint32_t count = index->header.column_count;
    auto *types = arena.array<ColumnType>(count);
    auto *chunk_column = arena.array<std::uint32_t>(count);
    if (types == nullptr || chunk_column == nullptr) return no_index_memory();
    for (std::uint32_t c = 0; c < count; ++c) {
        ColumnType type;
        type.kind = static_cast<PhysicalKind>(in.u8());
        if (type.kind == PhysicalKind::fixed) {
            type.fixed_bytes = in.u16();
            if (type.fixed_bytes == 0) return corrupt_index("a column of a fixed size has no size");
        }
        if (in.failed()) return in.status();
        if (type.kind == PhysicalKind::reserved || type.kind > PhysicalKind::absent) {
            return {StatusCode::unsupported, "a column has a physical kind of a later version"};
        }
        chunk_column[c] = type.kind == PhysicalKind::absent ? UINT32_MAX : index->chunk_column_count++;
        types[c] = type;
    }
    const std::uint32_t tag_column = index->header.tag_column;
    if ((tag_column != kNoColumn && types[tag_column].kind == PhysicalKind::absent) ||
        types[index->header.time_column].kind != PhysicalKind::int8) {
        return corrupt_index("a key column of a segment has an impossible kind");
    }
    index->types = types;
    index->chunk_column = chunk_column;
    return Status::success();
}

/// The lists in the order in which they are stored; each fills one field of every granule.
Status read_granules(ByteReader &in, std::span<std::int64_t> numbers, std::span<Granule> granules, Arena &arena) noexcept {
    const auto list = [&](auto put) {
        if (const Status status = codec::decode_integer_list(in, numbers, arena); !status.ok()) return status;
        for (std::size_t g = 0; g < granules.size(); ++g) put(granules[g], numbers[g]);
        return Status::success();
    };
    // Counts that do not fit are kept as UINT32_MAX, which no check lets pass.
    const auto count_of = [](std::int64_t number) {
        return static_cast<std::uint64_t>(number) > UINT32_MAX ? UINT32_MAX : static_cast<std::uint32_t>(number);
    };
    Status status = list([&](Granule &granule, std::int64_t number) { granule.row_count = count_of(number); });
    if (status.ok()) status = list([&](Granule &granule, std::int64_t number) { granule.tag_first = count_of(number); });
    if (status.ok()) status = list([&](Granule &granule, std::int64_t number) { granule.tag_last = count_of(number); });
    if (status.ok()) status = list([](Granule &granule, std::int64_t number) { granule.has_null_time = number != 0; });
    if (status.ok()) status = list([](Granule &granule, std::int64_t number) { granule.time_min = number; });
    if (status.ok()) {
        status = list([](Granule &granule, std::int64_t number) {
            granule.time_max =
                static_cast<std::int64_t>(static_cast<std::uint64_t>(granule.time_min) + static_cast<std::uint64_t>(number));
        });
    }
    return status;
}

/// Rows and tags must be covered without a gap; tag_last still counts from tag_first when this begins.
Status validate_granules(const SegmentHeader &header, bool has_null_tag, std::span<Granule> granules) noexcept {
    const std::uint32_t tag_total = header.tag_count + (has_null_tag ? 1 : 0);
    std::uint64_t row = 0;
    std::uint32_t last = 0;
    for (std::size_t g = 0; g < granules.size(); ++g) {
        Granule &granule = granules[g];
        if (granule.row_count == 0 || granule.row_count > kGranuleRowsMax)
            return corrupt_index("a granule has an impossible number of rows");
        const std::uint32_t tags_more = granule.tag_last;
        const bool follows = g == 0 ? granule.tag_first == 0 : granule.tag_first == last || granule.tag_first == last + 1;
        if (!follows || granule.tag_first >= tag_total || tags_more >= granule.row_count ||
            tags_more >= tag_total - granule.tag_first) {
            return corrupt_index("a granule has impossible tags");
        }
        granule.first_row = static_cast<std::uint32_t>(row);
        granule.tag_last = last = granule.tag_first + tags_more;
        row += granule.row_count;
    }
    if (row != header.row_count) return corrupt_index("the granules do not have as many rows as the segment");
    if (last + 1 != tag_total) return corrupt_index("the granules do not have as many tags as the segment");
    return Status::success();
}

/// Whose chunk of a column each granule has, when some have no size of their own.
///
/// numbers   the sizes; overwritten
Status read_sources(ByteReader &in, std::span<std::int64_t> numbers, Arena &arena, std::uint32_t **sources) noexcept {
    *sources = nullptr;
    if (std::find(numbers.begin(), numbers.end(), 0) == numbers.end()) return Status::success();
    auto *made = arena.array<std::uint32_t>(numbers.size());
    if (made == nullptr) return no_index_memory();
    for (std::size_t g = 0; g < numbers.size(); ++g) made[g] = numbers[g] == 0 ? 1 : 0;
    if (const Status status = codec::decode_integer_list(in, numbers, arena); !status.ok()) return status;
    for (std::uint32_t g = 0; g < numbers.size(); ++g) {
        const bool is_shared = made[g] != 0;
        if (numbers[g] < 0 || numbers[g] > g || is_shared != (numbers[g] != 0))
            return corrupt_index("a granule shares the chunk of none");
        made[g] = is_shared ? made[g - static_cast<std::uint32_t>(numbers[g])] : g;
    }
    *sources = made;
    return Status::success();
}

/// Sizes are stored column after column, chunks lie granule after granule.
Status read_chunk_sizes(ByteReader &in, std::span<std::int64_t> numbers, Arena &arena, SegmentIndex *index) noexcept {
    const SegmentHeader &header = index->header;
    const std::uint32_t column_count = index->chunk_column_count;
    const std::uint64_t room = header.segment_bytes - kSegmentHeaderBytes - header.index.byte_count;
    if (chunks_bytes_min(header.granule_count, column_count) > room)
        return corrupt_index("a segment is too short for its chunks");
    auto *offsets = arena.array<std::uint64_t>(std::uint64_t{header.granule_count} * column_count + 1);
    auto *sources = arena.array<std::uint32_t *>(column_count);
    if (offsets == nullptr || sources == nullptr) return no_index_memory();
    for (std::uint32_t c = 0; c < column_count; ++c) {
        if (const Status status = codec::decode_integer_list(in, numbers, arena); !status.ok()) return status;
        for (std::uint32_t g = 0; g < header.granule_count; ++g) {
            offsets[std::uint64_t{g} * column_count + c] = static_cast<std::uint64_t>(numbers[g]);
        }
        if (const Status status = read_sources(in, numbers, arena, &sources[c]); !status.ok()) return status;
    }
    if (header.tag_column != kNoColumn && sources[index->chunk_column[header.tag_column]] != nullptr)
        return corrupt_index("a granule has no chunk of its tags");
    index->chunk_offsets = offsets;
    index->sources = sources;
    return Status::success();
}

/// From sizes to offsets: the chunks fill the rest of the segment, granule after granule. Those of other granules take nothing.
Status place_chunks(std::uint64_t offset, SegmentIndex *index) noexcept {
    const SegmentHeader &header = index->header;
    const std::uint64_t chunk_count = std::uint64_t{header.granule_count} * index->chunk_column_count;
    std::uint64_t *offsets = index->chunk_offsets;
    for (std::uint64_t chunk = 0; chunk < chunk_count; ++chunk) {
        const std::uint64_t size = offsets[chunk];
        if ((size < kChunkBytesMin && size != 0) || size > header.segment_bytes - offset)
            return corrupt_index("a chunk lies outside its segment");
        offsets[chunk] = offset;
        offset += size;
    }
    offsets[chunk_count] = offset;
    if (offset != header.segment_bytes) return corrupt_index("the chunks do not fill their segment");
    return Status::success();
}

/// What a column keeps beside its chunks, and where the parts between the index and the chunks lie.
Status read_extras(ByteReader &in, std::span<std::int64_t> numbers, Arena &arena, SegmentIndex *index) noexcept {
    const SegmentHeader &header = index->header;
    const std::uint64_t statistics_bytes = in.varint();
    const std::uint64_t filter_header_bytes = in.varint();
    const std::uint64_t filter_blocks_bytes = in.varint();
    const bool words_are_known = in.varint() == words_version();
    auto *kinds = arena.array<codec::KeyKind>(header.column_count);
    auto *models = arena.array<ByteRange>(header.column_count);
    auto *least = arena.array<const std::int64_t *>(header.column_count);
    auto *greatest = arena.array<const std::int64_t *>(header.column_count);
    auto *flags = arena.array<std::uint8_t>(header.column_count);
    if (kinds == nullptr || models == nullptr || least == nullptr || greatest == nullptr || flags == nullptr)
        return no_index_memory();
    std::uint64_t offset = kSegmentHeaderBytes + header.index.byte_count;
    const auto take = [&](std::uint64_t byte_count) {
        const ByteRange range{offset, byte_count};
        const bool fits = byte_count <= header.segment_bytes - offset;
        offset = fits ? offset + byte_count : header.segment_bytes;
        return fits ? range : ByteRange{header.segment_bytes, 0};
    };
    index->statistics = take(statistics_bytes);
    index->filter_header = take(filter_header_bytes);
    index->filter_blocks = take(filter_blocks_bytes);
    bool fits = index->statistics.byte_count == statistics_bytes && index->filter_header.byte_count == filter_header_bytes &&
                index->filter_blocks.byte_count == filter_blocks_bytes;
    for (std::uint32_t c = 0; c < header.column_count; ++c) {
        flags[c] = in.u8();
        const std::uint64_t model_bytes = in.varint();
        models[c] = take(model_bytes);
        fits = fits && models[c].byte_count == model_bytes;
        if ((flags[c] & ~(kTraitKeys | kTraitRange)) != 0 || (flags[c] & kTraitKeys) > static_cast<int>(codec::KeyKind::value))
            return {StatusCode::unsupported, "a column has a trait of a later version"};
        kinds[c] = static_cast<codec::KeyKind>(flags[c] & kTraitKeys);
        const bool is_trusted = filter_header_bytes != 0 && (kinds[c] != codec::KeyKind::word || words_are_known);
        index->filter_is_known &= is_trusted || kinds[c] == codec::KeyKind::reserved;
        if (!is_trusted) kinds[c] = codec::KeyKind::reserved;
    }
    if (in.failed()) return in.status();
    if (!fits) return corrupt_index("a part of a segment lies outside of it");
    for (std::uint32_t c = 0; c < header.column_count; ++c) {
        least[c] = greatest[c] = nullptr;
        if ((flags[c] & kTraitRange) == 0) continue;
        for (const std::int64_t **list : {&least[c], &greatest[c]}) {
            auto *copy = arena.array<std::int64_t>(header.granule_count);
            if (copy == nullptr) return no_index_memory();
            if (const Status status = codec::decode_integer_list(in, numbers, arena); !status.ok()) return status;
            std::copy(numbers.begin(), numbers.end(), copy);
            *list = copy;
        }
    }
    index->key_kinds = kinds;
    index->models = models;
    index->least = least;
    index->greatest = greatest;
    return place_chunks(offset, index);
}

}  // namespace

Status open_segment(std::span<const std::byte> header_bytes, SegmentHeader *header) noexcept {
    if (header_bytes.size() < kSegmentHeaderBytes) return {StatusCode::truncated, "the header of a segment is cut off"};
    ByteReader in{header_bytes.first(kSegmentHeaderBytes)};
    if (in.u32() != kSegmentMagic) return {StatusCode::corrupt, "a segment does not begin with its magic number"};
    if (in.u16() != kSegmentVersion)
        return {StatusCode::unsupported, "a segment has a format version that this build does not know"};
    const std::uint16_t flags = in.u16();
    header->segment_bytes = in.u64();
    header->index = {kSegmentHeaderBytes, in.u64()};
    header->row_count = in.u32();
    header->granule_count = in.u32();
    header->tag_count = in.u32();
    header->column_count = in.u16();
    const std::uint16_t tag_column = in.u16();
    header->tag_column = tag_column == kNoColumnOnDisk ? kNoColumn : tag_column;
    header->time_column = in.u16();
    const bool spare_is_zero = (in.u16() | in.u32()) == 0;
    header->raw_bytes = in.u64();
    [[maybe_unused]] const std::uint64_t checksum = in.u64();
#ifndef HISTORIAN_FUZZING  // a fuzzer cannot guess checksums; without them it reaches the decoders
    if (checksum != codec::hash_bytes(header_bytes.first(kSegmentHeaderBytes - sizeof checksum))) {
        return {StatusCode::corrupt, "the checksum of a segment's header does not match its bytes"};
    }
#endif
    if (flags != 0 || !spare_is_zero) return {StatusCode::unsupported, "the header of a segment uses fields of a later version"};
    return validate_header(*header);
}

Status parse_index(const SegmentHeader &header, std::span<const std::byte> index_bytes, Arena &arena,
                   SegmentIndex **index) noexcept {
    if (const Status status = validate_header(header); !status.ok()) return status;
    if (index_bytes.size() != header.index.byte_count)
        return {StatusCode::truncated, "the index of a segment has another size than its header says"};
    ByteReader in{index_bytes};
    [[maybe_unused]] const std::uint64_t checksum = in.u64();
#ifndef HISTORIAN_FUZZING
    if (checksum != codec::hash_bytes(index_bytes.subspan(kIndexChecksumBytes))) {
        return {StatusCode::corrupt, "the checksum of a segment's index does not match its bytes"};
    }
#endif
    auto *made = arena.array<SegmentIndex>(1);
    auto *granules = arena.array<Granule>(header.granule_count);
    auto *numbers = arena.array<std::int64_t>(header.granule_count);
    if (made == nullptr || granules == nullptr || numbers == nullptr) return no_index_memory();
    (new (made) SegmentIndex())->header = header;
    made->granules = granules;

    const std::uint8_t flags = in.u8();
    if ((flags & ~kIndexHasNullTag) != 0)
        return {StatusCode::unsupported, "the index of a segment has a flag of a later version"};
    made->has_null_tag = (flags & kIndexHasNullTag) != 0;
    const std::span<std::int64_t> scratch{numbers, header.granule_count};
    const std::span<Granule> all{granules, header.granule_count};
    std::fill(all.begin(), all.end(), Granule{});
    Status status = read_types(in, arena, made);
    if (status.ok()) status = open_tag_dictionary(in, header.tag_count, arena, &made->dictionary);
    if (status.ok()) status = read_granules(in, scratch, all, arena);
    if (status.ok()) status = validate_granules(header, made->has_null_tag, all);
    if (status.ok()) status = read_chunk_sizes(in, scratch, arena, made);
    if (status.ok()) status = read_extras(in, scratch, arena, made);
    if (status.ok()) status = in.status_at_end();
    if (status.ok()) *index = made;
    return status;
}

ColumnType column_type(const SegmentIndex &index, std::uint32_t column) noexcept {
    assert(column < index.header.column_count);
    return index.types[column];
}

bool has_null_tag(const SegmentIndex &index) noexcept { return index.has_null_tag; }

Status find_tag(const SegmentIndex &index, std::span<const std::byte> tag, bool *found, std::uint32_t *position) noexcept {
    const Status status = find_in_dictionary(index.dictionary, tag, found, position);
    if (status.ok() && index.has_null_tag) *position += 1;
    return status;
}

std::uint32_t tag_positions(const SegmentIndex &index) noexcept { return index.header.tag_count + (index.has_null_tag ? 1 : 0); }

Status tags_at(const SegmentIndex &index, std::uint32_t first, std::uint32_t count, Arena &arena, TagList *list) noexcept {
    const std::uint32_t null_tags = index.has_null_tag ? 1 : 0;
    assert(first >= null_tags);
    return list_tags(index.dictionary, first - null_tags, count, arena, list);
}

GranuleRange granules_of_tag(const SegmentIndex &index, std::uint32_t position) noexcept {
    const Granule *begin = index.granules;
    const Granule *end = begin + index.header.granule_count;
    const Granule *first =
        std::lower_bound(begin, end, position, [](const Granule &granule, std::uint32_t tag) { return granule.tag_last < tag; });
    const Granule *after =
        std::upper_bound(first, end, position, [](std::uint32_t tag, const Granule &granule) { return tag < granule.tag_first; });
    assert(first < after);
    return {static_cast<std::uint32_t>(first - begin), static_cast<std::uint32_t>(after - begin) - 1};
}

Granule granule_at(const SegmentIndex &index, std::uint32_t granule) noexcept {
    assert(granule < index.header.granule_count);
    return index.granules[granule];
}

ByteRange chunk_range(const SegmentIndex &index, std::uint32_t granule, std::uint32_t column) noexcept {
    assert(granule < index.header.granule_count && column < index.header.column_count);
    const std::uint32_t chunk_column = index.chunk_column[column];
    if (chunk_column == UINT32_MAX) return {};
    if (const std::uint32_t *sources = index.sources[chunk_column]; sources != nullptr) granule = sources[granule];
    const std::uint64_t *offset = index.chunk_offsets + std::uint64_t{granule} * index.chunk_column_count + chunk_column;
    return {offset[0], offset[1] - offset[0]};
}

ByteRange model_range(const SegmentIndex &index, std::uint32_t column) noexcept {
    assert(column < index.header.column_count);
    return index.models[column];
}

codec::KeyKind key_kind(const SegmentIndex &index, std::uint32_t column) noexcept {
    return column < index.header.column_count ? index.key_kinds[column] : codec::KeyKind::reserved;
}

bool filter_is_known(const SegmentIndex &index) noexcept { return index.filter_is_known; }
ByteRange filter_header_range(const SegmentIndex &index) noexcept { return index.filter_header; }
ByteRange filter_blocks_range(const SegmentIndex &index) noexcept { return index.filter_blocks; }

bool may_have_number(const SegmentIndex &index, std::uint32_t granule, std::uint32_t column, std::int64_t number) noexcept {
    assert(granule < index.header.granule_count);
    if (column >= index.header.column_count || index.least[column] == nullptr) return true;
    return index.least[column][granule] <= number && number <= index.greatest[column][granule];
}

}  // namespace historian::format
