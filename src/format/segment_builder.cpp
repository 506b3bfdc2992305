#include "format/segment_builder.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <new>

#include "codec/hash.h"
#include "format/version.h"

namespace historian::format {
namespace {

using codec::Text;

constexpr std::uint32_t kFirstTagRoom = 16;

constexpr Status too_many_rows() noexcept { return {StatusCode::too_large, "a segment has at most 1048576 rows"}; }

bool has_texts(PhysicalKind kind) noexcept { return kind == PhysicalKind::fixed || kind == PhysicalKind::bytes; }

bool valid_type(const ColumnType &type) noexcept {
    if (type.kind == PhysicalKind::fixed) return type.fixed_bytes > 0;
    return type.fixed_bytes == 0 &&
           (is_number(type.kind) || type.kind == PhysicalKind::bytes || type.kind == PhysicalKind::absent);
}

/// The number sign-extended, whatever is above it: PostgreSQL zero-extends some types (oid, and "char" on some CPUs).
std::int64_t sign_extended(std::int64_t number, std::uint32_t byte_count) noexcept {
    const std::uint32_t spare_bits = 64 - 8 * byte_count;
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(number) << spare_bits) >> spare_bits;
}

/// A copy of the bytes; never nullptr but for want of memory.
const std::byte *copy_bytes(SegmentBuilder &builder, const std::byte *data, std::uint32_t size) noexcept {
    auto *copy = builder.arena->array<std::byte>(size);
    if (copy == nullptr) return nullptr;
    if (size != 0) std::memcpy(copy, data, size);
    builder.bytes += (std::uint64_t{size} + 15) & ~std::uint64_t{15};  // what the arena takes
    return copy;
}

bool is_tag(const BuilderTag &tag, const std::byte *data, std::uint32_t size) noexcept {
    return tag.size == size && !tag.is_null && (size == 0 || std::memcmp(tag.data, data, size) == 0);
}

/// Doubles the room for tags and, with it, the slots.
bool grow_tags(SegmentBuilder &builder) noexcept {
    const std::uint32_t room = builder.tag_room == 0 ? kFirstTagRoom : 2 * builder.tag_room;
    const std::uint32_t slot_count = 4 * room;
    auto *tags = builder.arena->array<BuilderTag>(room);
    auto *slots = builder.arena->array<std::uint32_t>(slot_count);
    if (tags == nullptr || slots == nullptr) return false;
    std::copy_n(builder.tags, builder.tag_count, tags);
    std::fill_n(slots, slot_count, kNoTag);
    for (std::uint32_t tag = 0; tag < builder.tag_count; ++tag) {
        if (tags[tag].is_null) continue;
        auto slot = static_cast<std::uint32_t>(tags[tag].hash) & (slot_count - 1);
        while (slots[slot] != kNoTag) slot = (slot + 1) & (slot_count - 1);
        slots[slot] = tag;
    }
    builder.tags = tags;
    builder.tag_room = room;
    builder.slots = slots;
    builder.slot_count = slot_count;
    builder.bytes += room * sizeof(BuilderTag) + slot_count * sizeof(std::uint32_t);
    return true;
}

/// The number of a tag that is new, or kNoTag when there is no memory.
std::uint32_t add_tag(SegmentBuilder &builder, const BuilderTag &tag) noexcept {
    if (builder.tag_count == builder.tag_room && !grow_tags(builder)) return kNoTag;
    builder.tags[builder.tag_count] = tag;
    return builder.tag_count++;
}

std::uint32_t find_or_add_tag(SegmentBuilder &builder, const std::byte *data, std::uint32_t size) noexcept {
    const std::uint64_t hash = codec::hash_bytes({data, size});
    if (builder.slot_count != 0) {
        const std::uint32_t mask = builder.slot_count - 1;
        for (auto slot = static_cast<std::uint32_t>(hash) & mask; builder.slots[slot] != kNoTag; slot = (slot + 1) & mask) {
            const BuilderTag &tag = builder.tags[builder.slots[slot]];
            if (tag.hash == hash && is_tag(tag, data, size)) return builder.slots[slot];
        }
    }
    BuilderTag tag;
    tag.data = copy_bytes(builder, data, size);
    tag.size = size;
    tag.hash = hash;
    if (tag.data == nullptr) return kNoTag;
    const std::uint32_t number = add_tag(builder, tag);
    if (number == kNoTag) return kNoTag;
    const std::uint32_t mask = builder.slot_count - 1;
    auto slot = static_cast<std::uint32_t>(hash) & mask;
    while (builder.slots[slot] != kNoTag) slot = (slot + 1) & mask;
    builder.slots[slot] = number;
    return number;
}

/// Of segments without a tag column.
constexpr Cell kNullTag = {.is_null = true};

/// The number of a row's tag, or kNoTag when there is no memory.
std::uint32_t tag_number(SegmentBuilder &builder, const Cell &cell) noexcept {
    if (cell.is_null) {
        if (builder.null_tag == kNoTag) {
            BuilderTag tag;
            tag.is_null = true;
            builder.null_tag = add_tag(builder, tag);
        }
        return builder.null_tag;
    }
    const std::byte *data = cell.data;
    std::uint32_t size = cell.byte_count;
    std::byte number_tag[kNumberTagBytes];
    if (const BuilderColumn &column = builder.columns[builder.key.tag_column]; is_number(column.type.kind)) {
        tag_of_number(sign_extended(cell.number, column.number_bytes), number_tag);
        data = number_tag;
        size = kNumberTagBytes;
    }
    if (builder.last_tag != kNoTag) {
        const std::uint32_t guess = builder.tags[builder.last_tag].next;
        if (guess != kNoTag && is_tag(builder.tags[guess], data, size)) return guess;
    }
    return find_or_add_tag(builder, data, size);
}

/// What a row's tag counts in the segment's raw bytes.
std::uint32_t tag_raw_bytes(const SegmentBuilder &builder, const Cell &cell) noexcept {
    if (cell.is_null) return 0;
    if (builder.key.tag_number_bytes != 0) return builder.key.tag_number_bytes;
    const BuilderColumn &column = builder.columns[builder.key.tag_column];
    return is_number(column.type.kind) ? column.number_bytes : cell.byte_count;
}

/// Room for the next row in every column.
bool ensure_blocks(SegmentBuilder &builder) noexcept {
    if (builder.block_ready) return true;
    if (!builder.tag_of_row.ensure(builder.block, *builder.arena, &builder.bytes)) return false;
    for (std::uint32_t c = 0; c < builder.column_count; ++c) {
        BuilderColumn &column = builder.columns[c];
        if (c == builder.key.tag_column) continue;
        if (is_number(column.type.kind) && !column.numbers.ensure(builder.block, *builder.arena, &builder.bytes)) return false;
        if (has_texts(column.type.kind) && !column.texts.ensure(builder.block, *builder.arena, &builder.bytes)) return false;
    }
    builder.block_ready = true;
    return true;
}

/// Notes whether the next row is NULL in this column; a block of notes is made by the first NULL in it.
bool put_null(SegmentBuilder &builder, BuilderColumn &column, bool is_null) noexcept {
    std::uint8_t *&notes = column.nulls.blocks[builder.block];
    if (notes == nullptr) {
        if (!is_null) return true;
        if (!column.nulls.ensure(builder.block, *builder.arena, &builder.bytes)) return false;
        std::memset(notes, 0, block_rows(builder.block));
        column.has_nulls = true;
    }
    notes[builder.block_row] = is_null ? 1 : 0;
    return true;
}

bool put_text(SegmentBuilder &builder, BuilderColumn &column, std::uint32_t block_row, const Cell &cell) noexcept {
    if (cell.is_null) {
        column.texts.blocks[builder.block][block_row] = {};
        return true;
    }
    if (column.last.data == nullptr || column.last.size != cell.byte_count ||
        (cell.byte_count != 0 && std::memcmp(column.last.data, cell.data, cell.byte_count) != 0)) {
        const std::byte *copy = copy_bytes(builder, cell.data, cell.byte_count);
        if (copy == nullptr) return false;
        column.last = {copy, cell.byte_count};
    }
    column.texts.blocks[builder.block][block_row] = column.last;
    return true;
}

/// Goes on behind rows that are in their columns already; nothing here can fail.
void count_rows(SegmentBuilder &builder, std::uint32_t tag, std::uint32_t count, std::uint64_t raw_bytes,
                std::uint64_t content_bytes) noexcept {
    std::fill_n(builder.tag_of_row.blocks[builder.block] + builder.block_row, count, tag);
    builder.tags[tag].row_count += count;
    builder.tags[tag].content_bytes += content_bytes;
    if (builder.last_tag != kNoTag) builder.tags[builder.last_tag].next = tag;
    if (count > 1) builder.tags[tag].next = tag;
    builder.last_tag = tag;
    builder.row_count += count;
    builder.raw_bytes += raw_bytes + content_bytes;
    builder.block_row += count;
    if (builder.block_row == block_rows(builder.block)) {
        builder.block += 1;
        builder.block_row = 0;
        builder.block_ready = false;
    }
}

// Adjacent rows of one column of another segment, from the builder's next row on; its block has room for them.

bool copy_nulls(SegmentBuilder &builder, BuilderColumn &column, const std::uint8_t *nulls, std::uint32_t count,
                std::uint32_t *null_count) noexcept {
    *null_count = 0;
    if (nulls != nullptr) *null_count = count - static_cast<std::uint32_t>(std::count(nulls, nulls + count, 0));
    std::uint8_t *&notes = column.nulls.blocks[builder.block];
    if (notes == nullptr) {
        if (*null_count == 0) return true;
        if (!column.nulls.ensure(builder.block, *builder.arena, &builder.bytes)) return false;
        std::memset(notes, 0, block_rows(builder.block));
        column.has_nulls = true;
    }
    if (nulls != nullptr)
        std::memcpy(notes + builder.block_row, nulls, count);
    else
        std::memset(notes + builder.block_row, 0, count);
    return true;
}

bool copy_texts(SegmentBuilder &builder, BuilderColumn &column, const ColumnVector &from, std::uint32_t first,
                std::uint32_t count, std::uint64_t *content_bytes) noexcept {
    for (std::uint32_t i = 0; i < count; ++i) {
        Cell cell;
        cell.is_null = from.nulls != nullptr && from.nulls[first + i] != 0;
        if (!cell.is_null) {
            const std::uint64_t *offsets = from.entry_offsets + from.entry_of_row[first + i];
            cell.data = from.entry_data + offsets[0];
            cell.byte_count = static_cast<std::uint32_t>(offsets[1] - offsets[0]);
            *content_bytes += cell.byte_count;
        }
        if (!put_text(builder, column, builder.block_row + i, cell)) return false;
    }
    return true;
}

/// As many rows as the builder's blocks have room for; 0 when there is no memory.
std::uint32_t append_some_rows(SegmentBuilder &builder, const Cell &tag_cell, std::span<const ColumnVector *const> columns,
                               std::uint32_t first, std::uint32_t count_max) noexcept {
    if (!ensure_blocks(builder)) return 0;
    const std::uint32_t count = std::min(count_max, block_rows(builder.block) - builder.block_row);
    const std::uint32_t tag = tag_number(builder, tag_cell);
    if (tag == kNoTag) return 0;
    std::uint64_t raw_bytes = std::uint64_t{count} * tag_raw_bytes(builder, tag_cell);
    std::uint64_t content_bytes = 0;
    for (std::uint32_t c = 0; c < builder.column_count; ++c) {
        BuilderColumn &column = builder.columns[c];
        if (c == builder.key.tag_column || column.type.kind == PhysicalKind::absent) continue;
        const ColumnVector &from = *columns[c];
        std::uint32_t null_count = 0;
        const std::uint8_t *nulls = from.nulls == nullptr ? nullptr : from.nulls + first;
        if (!copy_nulls(builder, column, nulls, count, &null_count)) return 0;
        if (is_number(column.type.kind)) {
            std::copy_n(from.numbers + first, count, column.numbers.blocks[builder.block] + builder.block_row);
            raw_bytes += std::uint64_t{count - null_count} * column.number_bytes;
        } else if (!copy_texts(builder, column, from, first, count, &content_bytes)) {
            return 0;
        }
    }
    count_rows(builder, tag, count, raw_bytes, content_bytes);
    return count;
}

}  // namespace

Status create_builder(Arena &arena, std::span<const ColumnType> types, SortKey key, SegmentBuilder **builder) noexcept {
    if (types.empty() || types.size() > kColumnCountMax) return {StatusCode::too_large, "a segment has 1 to 1600 columns"};
    for (const ColumnType &type : types) {
        if (!valid_type(type)) return {StatusCode::unsupported, "a column has a physical kind that does not exist"};
    }
    const bool has_tag = key.tag_column != kNoColumn;
    if (key.time_column >= types.size() || (has_tag && (key.tag_column >= types.size() || key.tag_column == key.time_column))) {
        return {StatusCode::unsupported, "the tag and the time must be two columns"};
    }
    if ((has_tag && types[key.tag_column].kind == PhysicalKind::absent) || types[key.time_column].kind != PhysicalKind::int8) {
        return {StatusCode::unsupported, "the time must be of kind int8 and the tag present"};
    }
    assert(key.tag_number_bytes <= kNumberTagBytes);
    auto *made = arena.array<SegmentBuilder>(1);
    auto *columns = arena.array<BuilderColumn>(types.size());
    if (made == nullptr || columns == nullptr) return no_memory();
    new (made) SegmentBuilder(arena, key);
    for (std::size_t c = 0; c < types.size(); ++c) {
        new (&columns[c]) BuilderColumn();
        columns[c].type = types[c];
        columns[c].number_bytes = static_cast<std::uint8_t>(number_bytes(types[c].kind));
    }
    made->columns = columns;
    made->column_count = static_cast<std::uint32_t>(types.size());
    made->bytes = sizeof(SegmentBuilder) + types.size() * sizeof(BuilderColumn);
    *builder = made;
    return Status::success();
}

Status set_column_traits(SegmentBuilder &builder, std::span<const ColumnTraits> traits) noexcept {
    assert(traits.size() == builder.column_count);
    auto *copy = builder.arena->array<ColumnTraits>(traits.size());
    if (copy == nullptr) return no_memory();
    std::copy(traits.begin(), traits.end(), copy);
    for (std::uint32_t c = 0; c < builder.column_count; ++c) {
        const PhysicalKind kind = builder.columns[c].type.kind;
        const bool is_key = c == builder.key.tag_column || c == builder.key.time_column || kind == PhysicalKind::absent;
        if (is_key) copy[c] = {};
        copy[c].has_range &= kind >= PhysicalKind::int1 && kind <= PhysicalKind::int8;
        copy[c].has_templates &= kind == PhysicalKind::bytes;
        if (copy[c].keys == codec::KeyKind::word && kind != PhysicalKind::bytes) copy[c].keys = codec::KeyKind::reserved;
    }
    builder.traits = copy;
    return Status::success();
}

void set_effort(SegmentBuilder &builder, codec::Effort effort) noexcept { builder.effort = effort; }

void set_pause(SegmentBuilder &builder, void (*pause)()) noexcept { builder.pause = pause; }

Status append_row(SegmentBuilder &builder, const Cell *row) noexcept {
    if (builder.row_count >= kSegmentRowsMax) return too_many_rows();
    if (!ensure_blocks(builder)) return no_memory();
    const Cell &of_tag = builder.key.tag_column == kNoColumn ? kNullTag : row[builder.key.tag_column];
    const std::uint32_t tag = tag_number(builder, of_tag);
    if (tag == kNoTag) return no_memory();
    std::uint64_t raw_bytes = tag_raw_bytes(builder, of_tag);
    std::uint64_t content_bytes = 0;
    for (std::uint32_t c = 0; c < builder.column_count; ++c) {
        BuilderColumn &column = builder.columns[c];
        if (c == builder.key.tag_column || column.type.kind == PhysicalKind::absent) continue;
        const Cell &cell = row[c];
        if (!put_null(builder, column, cell.is_null)) return no_memory();
        if (is_number(column.type.kind)) {
            column.numbers.blocks[builder.block][builder.block_row] = sign_extended(cell.number, column.number_bytes);
            raw_bytes += cell.is_null ? 0 : column.number_bytes;
        } else {
            assert(cell.is_null || column.type.kind == PhysicalKind::bytes || cell.byte_count == column.type.fixed_bytes);
            if (!put_text(builder, column, builder.block_row, cell)) return no_memory();
            content_bytes += cell.is_null ? 0 : cell.byte_count;
        }
    }
    count_rows(builder, tag, 1, raw_bytes, content_bytes);
    return Status::success();
}

Status append_rows(SegmentBuilder &builder, const Cell &tag, std::span<const ColumnVector *const> columns, std::uint32_t first,
                   std::uint32_t count) noexcept {
    if (count > kSegmentRowsMax - builder.row_count) return too_many_rows();
    const Cell &of_tag = builder.key.tag_column == kNoColumn ? kNullTag : tag;
    for (std::uint32_t done = 0; done < count;) {
        const std::uint32_t some = append_some_rows(builder, of_tag, columns, first + done, count - done);
        if (some == 0) return no_memory();
        done += some;
    }
    return Status::success();
}

std::uint32_t builder_row_count(const SegmentBuilder &builder) noexcept { return builder.row_count; }

std::uint64_t builder_bytes(const SegmentBuilder &builder) noexcept { return builder.bytes; }

}  // namespace historian::format
