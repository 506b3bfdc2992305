// Finishing a segment: what the files that encode its parts share. Private to segment_finish.cpp, segment_traits.cpp and
// shared_chunks.cpp.
#pragma once

#include <algorithm>
#include <cstring>

#include "format/chunk.h"
#include "format/granule_statistics.h"
#include "format/key_filter.h"
#include "format/row_order.h"
#include "format/segment_index.h"

namespace historian::format {

/// Everything that finishing needs; lives in the frame of finish_builder().
struct Finish {
    explicit Finish(SegmentBuilder &source) noexcept : builder(source) {}

    SegmentBuilder &builder;
    RowOrder order;
    GranuleList list;
    codec::EncodeSpace space;
    std::span<const std::byte> *chunks = nullptr;  // [column * granules + granule]; memory of the arena
    std::uint64_t *chunk_bytes = nullptr;          // the same
    ColumnExtras *extras = nullptr;                // one a column
    std::span<const std::byte> statistics;         // the block of statistics; empty: none
    KeyFilterBytes filter;
    std::span<std::byte> room;        // one chunk is encoded here, then copied to its own memory
    std::int64_t *numbers = nullptr;  // one column, sorted
    codec::Text *texts = nullptr;
    std::uint8_t *nulls = nullptr;
    codec::Text *dense_texts = nullptr;
    GranuleStatistics *granule_statistics = nullptr;  // of one column
    std::int64_t *granule_numbers = nullptr;          // of one list of them
};

/// A sorted column in arrays that are made when the first column needs them and used again for the next one.
template <typename T>
bool ensure_array(Finish &finish, T *&array, std::uint32_t count) noexcept {
    if (array == nullptr) array = finish.builder.arena->array<T>(count);
    return array != nullptr;
}

inline bool ensure_room(Finish &finish, std::size_t bytes) noexcept {
    if (finish.room.size() >= bytes) return true;
    bytes = std::max(bytes, 2 * finish.room.size());
    auto *room = finish.builder.arena->array<std::byte>(bytes);
    if (room == nullptr) return false;
    finish.room = {room, bytes};
    return true;
}

/// Moves a chunk out of the shared room.
inline Status keep_chunk(Finish &finish, std::uint32_t column, std::uint32_t granule, const codec::ByteWriter &out) noexcept {
    if (finish.builder.pause != nullptr) finish.builder.pause();
    const std::span<const std::byte> chunk = out.written();
    auto *copy = finish.builder.arena->array<std::byte>(chunk.size());
    if (copy == nullptr) return no_memory();
    std::memcpy(copy, chunk.data(), chunk.size());
    const std::size_t place = std::size_t{column} * finish.list.count + granule;
    finish.chunks[place] = {copy, chunk.size()};
    finish.chunk_bytes[place] = chunk.size();
    return Status::success();
}

template <typename T>
void scatter(const RowBlocks<T> &blocks, const Finish &finish, T *sorted) noexcept {
    const std::uint32_t *destination = finish.order.destination;
    for_each_block(blocks, finish.builder.row_count, [&](const T *values, std::uint32_t first, std::uint32_t count) {
        if (values == nullptr) return;
        for (std::uint32_t i = 0; i < count; ++i) sorted[destination[first + i]] = values[i];
    });
}

// ------------------------------------------------------------------------------------------- traits (segment_traits.cpp)

/// A column of texts as templates and values, if it looks as if that pays: its chunks, and its model into `extras`.
///
/// finish.texts   the column, sorted
/// done           output: false when the column is to be encoded like any other
Status encode_messages(Finish &finish, std::uint32_t column, const std::uint8_t *nulls, bool *done) noexcept;

/// The least and the greatest number of each granule.
Status find_ranges(Finish &finish, std::uint32_t column, const std::uint8_t *nulls) noexcept;

/// The statistics of a column's granules, encoded, into `extras`; nothing when no granule has any.
///
/// finish.numbers   the column, sorted
Status find_statistics(Finish &finish, std::uint32_t column, const std::uint8_t *nulls) noexcept;

/// The block of all columns' statistics.
Status join_statistics(Finish &finish) noexcept;

/// The filter of keys of all columns that want one.
Status collect_keys(Finish &finish) noexcept;

// ------------------------------------------------------------------------------------- shared chunks (shared_chunks.cpp)

/// Leaves out chunks that an earlier granule has, too, and notes in `extras` where; of columns where this makes the segment
/// smaller, and not so many that it would take less than chunks_bytes_min().
Status share_chunks(Finish &finish) noexcept;

}  // namespace historian::format
