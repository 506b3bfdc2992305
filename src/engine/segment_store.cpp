#include "engine/segment_store.h"

#include "engine/pages.h"
#include "engine/report.h"
#include "engine/space.h"
#include "engine/stop_points.h"

namespace historian::engine {

using format::DirectoryEntry;
using format::EntryKind;
using format::kPagePayloadBytes;
using format::PageKind;
using format::PageTrailer;
using format::SegmentBytes;

namespace {

void *grow_from_context(void *context, std::size_t bytes) noexcept {
    if (bytes > MaxAllocHugeSize) return nullptr;
    return MemoryContextAllocExtended(static_cast<MemoryContext>(context), bytes, MCXT_ALLOC_HUGE | MCXT_ALLOC_NO_OOM);
}

// One extent of a segment: a fraction of a map page's range, so that a free run of this length can exist.
constexpr uint32 kSegmentExtentBlocksMax = 60000;

// Merging parts the rows of a tag where a segment is full, so the first and the last tag's runs tell nothing then.
uint32 short_runs_of(const format::SegmentSummary &summary, const SegmentStamp &stamp) {
    if (stamp.level == 0) return summary.short_run_count;
    const bool is_one = summary.tag_count + (summary.has_null_tag ? 1 : 0) == 1;
    return summary.short_run_count - (summary.first_is_short ? 1 : 0) - (summary.last_is_short && !is_one ? 1 : 0);
}

DirectoryEntry describe_segment(const SegmentBytes &segment, const SegmentStamp &stamp) {
    DirectoryEntry entry = {};
    entry.kind = static_cast<uint8>(EntryKind::building);
    entry.level = stamp.level;
    entry.xmin = stamp.xmin;
    entry.cmin = stamp.cmin;
    entry.row_count = segment.summary.row_count;
    entry.byte_count = segment.bytes.size();
    entry.time_min = segment.summary.time_min;
    entry.time_max = segment.summary.time_max;
    entry.tag_count = segment.summary.tag_count;
    entry.short_run_count = short_runs_of(segment.summary, stamp);
    entry.used_pages = static_cast<uint32>((segment.bytes.size() + kPagePayloadBytes - 1) / kPagePayloadBytes);
    if (segment.summary.has_null_tag) entry.flags |= format::kEntryNullTag;
    if (segment.summary.has_null_time) entry.flags |= format::kEntryNullTime;
    if (segment.summary.tag_count == 0) entry.flags |= format::kEntryTagsUnknown;
    if (stamp.is_full) entry.flags |= format::kEntryFull;
    if (stamp.tag_goes_on) entry.flags |= format::kEntryTagGoesOn;
    if (stamp.effort == codec::Effort::high) entry.flags |= format::kEntryPackedHard;
    entry.tag_first_bytes = Min(segment.summary.tag_first.size(), format::kEntryTagBytes);
    entry.tag_last_bytes = Min(segment.summary.tag_last.size(), format::kEntryTagBytes);
    if (entry.tag_first_bytes > 0) memcpy(entry.tag_first, segment.summary.tag_first.data(), entry.tag_first_bytes);
    if (entry.tag_last_bytes > 0) memcpy(entry.tag_last, segment.summary.tag_last.data(), entry.tag_last_bytes);
    return entry;
}

// Allocates the entry and all its extents. The blocks are ours alone from then on.
uint32 allocate_segment(Relation rel, DirectoryEntry *entry, BlockNumber place_from) {
    NewEntry request;
    request.entry = *entry;
    request.place_from = place_from;
    request.page_count = Min(entry->used_pages, kSegmentExtentBlocksMax);
    const uint32 slot = create_entry(rel, &request);
    uint32 allocated = request.page_count;
    DirectoryEntry current = request.entry;
    while (allocated < entry->used_pages) {
        const uint32 more = Min(entry->used_pages - allocated, kSegmentExtentBlocksMax);
        if (!add_extent(rel, slot, current, more)) {
            ereport(ERROR, errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                    errmsg("cannot store %llu bytes as one segment of table \"%s\"",
                           static_cast<unsigned long long>(entry->byte_count), RelationGetRelationName(rel)));
        }
        allocated += more;
        format::Metapage meta;
        read_metapage(rel, &meta);
        current = read_entry(rel, meta, slot);
    }
    *entry = current;
    return slot;
}

void write_pages(Relation rel, uint32 slot, const DirectoryEntry &entry, std::span<const std::byte> bytes) {
    Buffer buffers[kSegmentPagesPerRecord];
    for (uint32 page = 0; page < entry.used_pages;) {
        CHECK_FOR_INTERRUPTS();
        int count = 0;
        while (count < kSegmentPagesPerRecord && page + count < entry.used_pages) {
            const BlockNumber block = entry_block(entry, page + count);
            // Blocks of one record ascend (rule R15): a further extent may lie before the one in hand.
            if (count > 0 && block <= BufferGetBlockNumber(buffers[count - 1])) break;
            buffers[count++] = ReadBufferExtended(rel, MAIN_FORKNUM, block, RBM_ZERO_AND_LOCK, nullptr);
        }
        const PageTrailer trailer = {static_cast<uint16>(PageKind::segment), 0, slot, entry.generation, page};
        const Size offset = static_cast<Size>(page) * kPagePayloadBytes;
        const Size byte_count = Min(bytes.size() - offset, static_cast<Size>(count) * kPagePayloadBytes);
        write_segment_pages(rel, buffers, count, trailer, reinterpret_cast<const char *>(bytes.data()) + offset, byte_count);
        for (int i = 0; i < count; i++) UnlockReleaseBuffer(buffers[i]);
        page += count;
    }
}

}  // namespace

int segment_rows_max = format::kSegmentRowsMax;

Arena arena_in(MemoryContext context) { return Arena(grow_from_context, context); }

bool builder_is_full(const format::SegmentBuilder &builder) {
    constexpr uint64 kBuilderBytesMax = UINT64CONST(64) * 1024 * 1024;
    const uint64 bytes_max = Min(kBuilderBytesMax, static_cast<uint64>(maintenance_work_mem) * 1024);
    return format::builder_row_count(builder) >= static_cast<uint32>(segment_rows_max) ||
           format::builder_bytes(builder) >= bytes_max;
}

uint32 write_segment(Relation rel, const SegmentBytes &segment, const SegmentStamp &stamp) {
    if (segment.bytes.size() > static_cast<Size>(UINT32_MAX) * kPagePayloadBytes)
        elog(ERROR, "a segment of %zu bytes", segment.bytes.size());
    DirectoryEntry entry = describe_segment(segment, stamp);
    const uint32 slot = allocate_segment(rel, &entry, stamp.place_from);
    write_pages(rel, slot, entry, segment.bytes);
    stop_point(StopPoint::segment_building);
    edit_entry(rel, slot, EditPurpose::finish_segment, InvalidTransactionId, [](DirectoryEntry *finished) {
        finished->kind = static_cast<uint8>(EntryKind::segment);
        return true;
    });
    return slot;
}

void count_loaded_rows(Relation rel, uint32 row_count) {
    edit_metapage(rel, EditPurpose::finish_segment, [row_count](format::Metapage *meta) { meta->rows_stored += row_count; });
}

namespace {

// Locks a page, shared. hint: the buffer where it was the last time, or nullptr; looking there first saves the lock and the hash
// of the buffer table, two fifths of what reading a page takes. It does not tell PostgreSQL that the page is in use, and must not
// be thrown out: every eighth time goes the ordinary way.
Buffer lock_page_at(Relation rel, BlockNumber block, Buffer *hint) {
    constexpr uint32 kOrdinaryEvery = 8;
    static uint32 uses = 0;
    const bool by_hint = hint != nullptr && BufferIsValid(*hint) && ++uses % kOrdinaryEvery != 0 &&
                         ReadRecentBuffer(file_of(rel), MAIN_FORKNUM, block, *hint);
    if (by_hint) {
        pgstat_count_buffer_read(rel);
        pgstat_count_buffer_hit(rel);
        LockBuffer(*hint, BUFFER_LOCK_SHARE);
        return *hint;
    }
    const Buffer buffer = lock_page(rel, block, PageLock::shared);
    if (hint != nullptr) *hint = buffer;
    return buffer;
}

// hints: one a page of the segment, or nullptr.
void copy_range(Relation rel, uint32 slot, const DirectoryEntry &entry, Buffer *hints, format::ByteRange range,
                std::byte *target) {
    if (range.offset > entry.byte_count || range.byte_count > entry.byte_count - range.offset) {
        report_damage(rel, entry.extents[0].first_block, "A byte range reaches outside its segment.");
    }
    uint32 page_index = static_cast<uint32>(range.offset / kPagePayloadBytes);
    uint64 offset = range.offset % kPagePayloadBytes;
    uint64 left = range.byte_count;
    while (left > 0) {
        const uint64 part = Min(left, kPagePayloadBytes - offset);
        const BlockNumber block = entry_block(entry, page_index);
        const Buffer buffer = lock_page_at(rel, block, hints != nullptr ? &hints[page_index] : nullptr);
        Page page = BufferGetPage(buffer);
        const PageTrailer *trailer = page_trailer(page);
        const bool ours = page_is(page, PageKind::segment) && trailer->slot == slot && trailer->generation == entry.generation &&
                          trailer->sequence == page_index;
        if (ours) memcpy(target, static_cast<char *>(page) + format::kPageHeaderBytes + offset, part);
        UnlockReleaseBuffer(buffer);
        if (!ours) report_damage(rel, block, "The block does not belong to the segment that names it.");
        target += part;
        left -= part;
        offset = 0;
        if (++page_index % 64 == 0) CHECK_FOR_INTERRUPTS();
    }
}

}  // namespace

void read_segment_range(Relation rel, uint32 slot, const DirectoryEntry &entry, format::ByteRange range, std::byte *target) {
    copy_range(rel, slot, entry, nullptr, range, target);
}

void read_segment_header(Relation rel, uint32 slot, const DirectoryEntry &entry, format::SegmentHeader *header) {
    const BlockNumber block = entry.extents[0].first_block;
    std::byte header_bytes[format::kSegmentHeaderBytes];
    if (entry.byte_count < sizeof(header_bytes)) report_damage(rel, block, "The segment is too short.");
    read_segment_range(rel, slot, entry, {0, sizeof(header_bytes)}, header_bytes);
    const Status status = format::open_segment(header_bytes, header);
    if (status.code == StatusCode::corrupt || status.code == StatusCode::truncated)
        report_damage(rel, block, psprintf("The cause: %s.", status.message));
    check_status(status, rel, "open a segment");
    if (header->row_count != entry.row_count || header->segment_bytes != entry.byte_count)
        report_damage(rel, block, "The segment's header and its directory entry differ.");
}

void open_segment(Relation rel, uint32 slot, const DirectoryEntry &entry, MemoryContext context, OpenSegment *segment) {
    segment->slot = slot;
    segment->entry = entry;
    read_segment_header(rel, slot, entry, &segment->header);
    const format::ByteRange range = segment->header.index;
    if (range.byte_count > entry.byte_count)
        report_damage(rel, entry.extents[0].first_block, "The segment's index is longer than the segment.");
    auto *bytes = static_cast<std::byte *>(MemoryContextAllocHuge(context, Max(range.byte_count, 1)));
    read_segment_range(rel, slot, entry, range, bytes);
    Arena arena = arena_in(context);
    check_status(format::parse_index(segment->header, {bytes, range.byte_count}, arena, &segment->index), rel, "open a segment");
    segment->parts = static_cast<SegmentParts *>(MemoryContextAllocZero(context, sizeof(SegmentParts)));
    segment->parts->context = context;
    const uint64 page_count = (entry.byte_count + kPagePayloadBytes - 1) / kPagePayloadBytes;
    segment->parts->hints = static_cast<Buffer *>(
        MemoryContextAllocExtended(context, sizeof(Buffer) * page_count, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO));
    const Size models_bytes = sizeof(codec::TemplateModel *) * segment->header.column_count;
    segment->parts->models = static_cast<codec::TemplateModel **>(MemoryContextAllocZero(context, models_bytes));
    const Size units_bytes = sizeof(format::MessageUnits *) * segment->header.column_count;
    segment->parts->units = static_cast<format::MessageUnits **>(MemoryContextAllocZero(context, units_bytes));
}

std::span<const std::byte> read_segment_part(Relation rel, const OpenSegment &segment, format::ByteRange range,
                                             MemoryContext context) {
    if (range.byte_count > segment.entry.byte_count)
        report_damage(rel, segment.entry.extents[0].first_block, "A part of a segment is longer than the segment.");
    auto *bytes = static_cast<std::byte *>(MemoryContextAllocHuge(context, Max(range.byte_count, 1)));
    copy_range(rel, segment.slot, segment.entry, segment.parts->hints, range, bytes);
    return {bytes, range.byte_count};
}

const codec::TemplateModel *column_model(Relation rel, const OpenSegment &segment, uint32 column) {
    codec::TemplateModel **model = &segment.parts->models[column];
    const format::ByteRange range = format::model_range(*segment.index, column);
    if (*model == nullptr && range.byte_count > 0) {
        const std::span<const std::byte> bytes = read_segment_part(rel, segment, range, segment.parts->context);
        Arena arena = arena_in(segment.parts->context);
        check_status(format::open_model(bytes, arena, model), rel, "read the templates of a segment");
    }
    return *model;
}

format::MessageUnits *column_units(Relation rel, const OpenSegment &segment, uint32 column) {
    const codec::TemplateModel *model = column_model(rel, segment, column);
    format::MessageUnits **units = &segment.parts->units[column];
    if (*units == nullptr && model != nullptr) {
        // Units take memory from it as long as they are used.
        Arena *arena = new (MemoryContextAlloc(segment.parts->context, sizeof(Arena))) Arena(arena_in(segment.parts->context));
        check_status(format::MessageUnits::create(*model, *arena, units), rel, "prepare a search");
    }
    return *units;
}

const format::KeyFilter &open_filter(Relation rel, const OpenSegment &segment) {
    SegmentParts *parts = segment.parts;
    if (!parts->filter_is_open) {
        const format::ByteRange range = format::filter_header_range(*segment.index);
        const std::span<const std::byte> bytes = read_segment_part(rel, segment, range, parts->context);
        check_status(format::open_key_filter(bytes, &parts->filter), rel, "open the filter of a segment");
        const bool fits = parts->filter.granule_count == segment.header.granule_count &&
                          parts->filter.blocks_bytes == format::filter_blocks_range(*segment.index).byte_count;
        if (!fits) report_damage(rel, segment.entry.extents[0].first_block, "The filter of a segment is another segment's.");
        parts->filter_is_open = true;
    }
    return parts->filter;
}

std::span<const format::GranuleStatistics> granule_statistics(Relation rel, const OpenSegment &segment, uint32 column) {
    constexpr const char *kDoing = "read the statistics of a segment";
    SegmentParts *parts = segment.parts;
    const format::ByteRange range = format::statistics_range(*segment.index);
    if (range.byte_count == 0) return {};
    Arena arena = arena_in(parts->context);
    if (parts->statistics == nullptr) {
        const std::span<const std::byte> bytes = read_segment_part(rel, segment, range, parts->context);
        check_status(format::open_statistics(*segment.index, bytes, arena, &parts->statistics), rel, kDoing);
    }
    if (!format::has_statistics(*parts->statistics, column)) return {};
    std::span<const format::GranuleStatistics> granules;
    check_status(format::column_statistics(*parts->statistics, column, arena, &granules), rel, kDoing);
    return granules;
}

namespace {

// What a search reads of a chunk of messages at first: four thousand template numbers and the sizes of their columns.
constexpr uint64 kChunkBytesFirst = 3 * 1024;

// The bytes of a chunk that are not read yet.
struct ChunkRest {
    Relation rel;
    const OpenSegment *segment;
    format::ByteRange range;
    std::byte *target;
};

Status load_rest(void *owner) noexcept {
    const ChunkRest &rest = *static_cast<const ChunkRest *>(owner);
    const OpenSegment &segment = *rest.segment;
    copy_range(rest.rel, segment.slot, segment.entry, segment.parts->hints, rest.range, rest.target);
    return Status::success();
}

}  // namespace

format::OpenChunk read_chunk(Relation rel, const OpenSegment &segment, uint32 granule, uint32 column, MemoryContext context) {
    const format::ByteRange range = format::chunk_range(*segment.index, granule, column);
    format::OpenChunk chunk;
    chunk.model = column_model(rel, segment, column);
    if (chunk.model == nullptr || range.byte_count <= kChunkBytesFirst) {
        chunk.bytes = read_segment_part(rel, segment, range, context);
        return chunk;
    }
    if (range.byte_count > segment.entry.byte_count)
        report_damage(rel, segment.entry.extents[0].first_block, "A part of a segment is longer than the segment.");
    // To the end of a page.
    const uint64 first_end = (range.offset + kChunkBytesFirst + kPagePayloadBytes - 1) / kPagePayloadBytes * kPagePayloadBytes;
    const uint64 first_bytes = Min(range.byte_count, first_end - range.offset);
    auto *bytes = static_cast<std::byte *>(MemoryContextAllocHuge(context, range.byte_count));
    copy_range(rel, segment.slot, segment.entry, segment.parts->hints, {range.offset, first_bytes}, bytes);
    chunk.bytes = {bytes, range.byte_count};
    if (first_bytes == range.byte_count) return chunk;
    auto *rest = static_cast<ChunkRest *>(MemoryContextAlloc(context, sizeof(ChunkRest)));
    *rest = {rel, &segment, {range.offset + first_bytes, range.byte_count - first_bytes}, bytes + first_bytes};
    chunk.late = {load_rest, rest, first_bytes};
    return chunk;
}

}  // namespace historian::engine
