// Chunks that several granules of a segment have: stored once.
//
// Tags that report together have the same times; stations of one town, or a sensor told under two names, have the same values;
// and every granule of a tag that is idle has the same few bytes. A chunk says all that is to be known but its granule's number
// of rows, which is in the index: where an encoder made the same bytes of two granules of a column, both are decoded from the
// same chunk, be their rows as many or not.
//
// Layout: README.md of this folder, section 3.
#include <bit>

#include "format/segment_finish.h"
#include "format/version.h"

namespace historian::format {
namespace {

using codec::ByteWriter;

/// What looking for repeated chunks needs; made for the first column, used again for the next one.
struct Search {
    std::span<std::uint32_t> latest;     // slots by hash: the last granule with such a chunk, from 1; 0: none
    std::uint32_t *distances = nullptr;  // one a granule; nullptr: the column before has kept them
    std::span<std::int64_t> numbers;     // the same
};

bool prepare(Finish &finish, Search &search) noexcept {
    Arena &arena = *finish.builder.arena;
    const std::uint32_t count = finish.list.count;
    if (search.latest.empty()) {
        const std::size_t slot_count = std::bit_ceil(std::size_t{count} * 2);
        auto *latest = arena.array<std::uint32_t>(slot_count);
        auto *numbers = arena.array<std::int64_t>(count);
        if (latest == nullptr || numbers == nullptr) return false;
        search.latest = {latest, slot_count};
        search.numbers = {numbers, count};
    }
    if (search.distances == nullptr) search.distances = arena.array<std::uint32_t>(count);
    return search.distances != nullptr;
}

/// A chunk's own checksum, the low half of XXH3-64 of the bytes before it.
std::uint32_t hash_of(std::span<const std::byte> chunk) noexcept {
    std::uint32_t checksum = 0;
    std::memcpy(&checksum, chunk.last(kChunkChecksumBytes).data(), sizeof checksum);
    return checksum;
}

bool is_same(std::span<const std::byte> a, std::span<const std::byte> b) noexcept {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size()) == 0;
}

/// Notes how many granules before each one lies the last one with the same chunk.
///
/// chunks    of one column, one a granule
/// returns   the bytes of the chunks that an earlier granule has, too
std::uint64_t find_repeats(std::span<const std::span<const std::byte>> chunks, Search &search) noexcept {
    const std::size_t mask = search.latest.size() - 1;
    std::uint64_t bytes = 0;
    std::fill(search.latest.begin(), search.latest.end(), 0);
    for (std::uint32_t g = 0; g < chunks.size(); ++g) {
        std::size_t slot = hash_of(chunks[g]) & mask;
        while (search.latest[slot] != 0 && !is_same(chunks[search.latest[slot] - 1], chunks[g])) slot = (slot + 1) & mask;
        search.distances[g] = search.latest[slot] == 0 ? 0 : g + 1 - search.latest[slot];
        if (search.distances[g] != 0) bytes += chunks[g].size();
        search.latest[slot] = g + 1;
    }
    return bytes;
}

/// The bytes of a list in the index, of a number for each granule.
template <typename NumberOf>
Status list_bytes(Finish &finish, Search &search, NumberOf number_of, std::uint64_t *bytes) noexcept {
    for (std::size_t g = 0; g < search.numbers.size(); ++g) search.numbers[g] = static_cast<std::int64_t>(number_of(g));
    if (!ensure_room(finish, codec::integer_list_bytes_max(search.numbers.size()))) return no_memory();
    ByteWriter out{finish.room};
    const Status status = codec::encode_integer_list(search.numbers, finish.space, out);
    *bytes = out.size();
    return status;
}

/// Whether the index grows by less than the chunks shrink when those that repeat are left out.
Status is_worth_it(Finish &finish, Search &search, std::span<const std::span<const std::byte>> chunks, std::uint64_t saved_bytes,
                   bool *is_worth) noexcept {
    std::uint64_t sizes = 0;
    std::uint64_t own_sizes = 0;
    std::uint64_t distances = 0;
    Status status = list_bytes(
        finish, search, [&](std::size_t g) { return chunks[g].size(); }, &sizes);
    if (status.ok()) {
        const auto own_size = [&](std::size_t g) { return search.distances[g] == 0 ? chunks[g].size() : 0; };
        status = list_bytes(finish, search, own_size, &own_sizes);
    }
    if (status.ok())
        status = list_bytes(
            finish, search, [&](std::size_t g) { return search.distances[g]; }, &distances);
    *is_worth = own_sizes + distances < sizes + saved_bytes;
    return status;
}

}  // namespace

Status share_chunks(Finish &finish) noexcept {
    const SegmentBuilder &builder = finish.builder;
    const std::uint32_t count = finish.list.count;
    if (count < 2) return Status::success();
    Search search;
    std::uint64_t bytes = 0;
    std::uint32_t chunk_columns = 0;
    for (std::size_t i = 0; i < std::size_t{count} * builder.column_count; ++i) bytes += finish.chunk_bytes[i];
    for (std::uint32_t c = 0; c < builder.column_count; ++c)
        chunk_columns += builder.columns[c].type.kind != PhysicalKind::absent;
    for (std::uint32_t c = 0; c < builder.column_count; ++c) {
        if (c == builder.key.tag_column || builder.columns[c].type.kind == PhysicalKind::absent) continue;
        if (!prepare(finish, search)) return no_memory();
        const std::span chunks{finish.chunks + std::size_t{c} * count, count};
        const std::uint64_t saved_bytes = find_repeats(chunks, search);
        if (saved_bytes == 0 || bytes - saved_bytes < chunks_bytes_min(count, chunk_columns)) continue;
        bool is_worth = false;
        if (const Status status = is_worth_it(finish, search, chunks, saved_bytes, &is_worth); !status.ok()) return status;
        if (!is_worth) continue;
        for (std::uint32_t g = 0; g < count; ++g) {
            if (search.distances[g] == 0) continue;
            chunks[g] = {};
            finish.chunk_bytes[std::size_t{c} * count + g] = 0;
        }
        bytes -= saved_bytes;
        finish.extras[c].distances = search.distances;
        search.distances = nullptr;
    }
    return Status::success();
}

}  // namespace historian::format
