#include <cassert>
#include <cstring>
#include <new>

#include "codec/bit_writer.h"
#include "codec/number_sort.h"
#include "format/key_filter_codes.h"

namespace historian::format {
namespace {

using codec::BitWriter;
using codec::ByteWriter;

constexpr Status no_filter_memory() noexcept { return {StatusCode::out_of_memory, "no memory for the filter of a segment"}; }

/// Keys seen a moment ago, by their low bits: most of a log's words are the same few hundred, and are dropped here. 16 KB stay in
/// the first-level cache.
constexpr std::uint32_t kRecentKeys = 4096;

/// Keys that the first group may have before the two arrays below grow.
constexpr std::uint32_t kPendingKeysMin = 8192;

/// Pairs that are sorted at once when the filter is written: two arrays of 128 KB fit the second-level cache.
constexpr std::uint32_t kSlicePairs = 1u << 15;

/// The distinct keys of one group, ascending.
struct GroupKeys {
    const std::uint32_t *keys = nullptr;
    std::uint32_t count = 0;
    std::uint32_t next = 0;  // while writing: the first one that is not written yet
};

}  // namespace

struct KeyFilterBuilder {
    Arena *arena = nullptr;
    KeyFilterSize size;
    std::uint32_t group_shift = 0;
    std::uint32_t group_count = 0;
    std::uint32_t group = 0;  // the one that keys are added to
    bool group_is_full = false;
    std::uint32_t *recent = nullptr;   // [kRecentKeys]
    std::uint32_t *pending = nullptr;  // the group's keys, duplicates among them
    std::uint32_t *scratch = nullptr;  // as large
    std::uint32_t pending_count = 0;
    std::uint32_t pending_room = 0;
    GroupKeys *groups = nullptr;
    std::uint8_t *unfiltered = nullptr;
    std::uint32_t pair_count = 0;
    Status status;
};

namespace {

void open_group(KeyFilterBuilder &builder, std::uint32_t group) noexcept {
    builder.group = group;
    builder.group_is_full = false;
    builder.pending_count = 0;
    // A place holds what does not belong there, hence is not equal to any key that does.
    for (std::uint32_t place = 0; place < kRecentKeys; ++place) builder.recent[place] = place ^ 1;
}

void sort_pending(KeyFilterBuilder &builder) noexcept {
    codec::sort_numbers(builder.pending, builder.scratch, builder.pending_count, 32);
    std::uint32_t *end = std::unique(builder.pending, builder.pending + builder.pending_count);
    builder.pending_count = static_cast<std::uint32_t>(end - builder.pending);
}

bool grow_pending(KeyFilterBuilder &builder) noexcept {
    const std::uint32_t room = builder.pending_room == 0 ? kPendingKeysMin : 2 * builder.pending_room;
    auto *pending = builder.arena->array<std::uint32_t>(room);
    auto *scratch = builder.arena->array<std::uint32_t>(room);
    if (pending == nullptr || scratch == nullptr) {
        builder.status = no_filter_memory();
        return false;
    }
    if (builder.pending_count > 0) std::memcpy(pending, builder.pending, builder.pending_count * sizeof(*pending));
    builder.pending = pending;
    builder.scratch = scratch;
    builder.pending_room = room;
    return true;
}

/// Finds room for another key: drops duplicates, and when that does not free half of the room, doubles it. When it cannot, the
/// group or the filter is given up, and its keys with it.
void make_room(KeyFilterBuilder &builder) noexcept {
    sort_pending(builder);
    if (builder.pending_count <= builder.pending_room / 2) return;
    if (builder.pending_count <= kFilterGroupKeysMax && grow_pending(builder)) return;
    builder.group_is_full = true;
    builder.pending_count = 0;
}

void close_group(KeyFilterBuilder &builder) noexcept {
    if (!builder.status.ok()) return;
    sort_pending(builder);
    if (builder.group_is_full || builder.pending_count > kFilterGroupKeysMax ||
        builder.pending_count > kFilterPairsMax - builder.pair_count) {
        builder.unfiltered[builder.group / 8] |= static_cast<std::uint8_t>(1u << builder.group % 8);
        return;
    }
    auto *keys = builder.arena->array<std::uint32_t>(builder.pending_count);
    if (keys == nullptr) {
        builder.status = no_filter_memory();
        return;
    }
    std::memcpy(keys, builder.pending, builder.pending_count * sizeof(*keys));
    builder.groups[builder.group] = {keys, builder.pending_count, 0};
    builder.pair_count += builder.pending_count;
}

void go_to_group(KeyFilterBuilder &builder, std::uint32_t granule) noexcept {
    const std::uint32_t group = granule >> builder.group_shift;
    assert(granule < builder.size.granule_count && group >= builder.group);
    if (group == builder.group) return;
    close_group(builder);
    open_group(builder, group);
}

// ---------------------------------------------------------------------------------------------------------- writing codes

/// What the whole filter is written with.
struct Shape {
    std::uint32_t slot_count = 1;
    unsigned low_bits = 0;
    unsigned slice_bits = 0;  // a slice has 2^slice_bits slots
    std::uint64_t bytes_max = 0;
    std::uint32_t blocks_max = 0;
};

/// The most bits that the places of one slot take: a far distance and a run of all groups.
constexpr std::uint64_t kSlotBitsMax =
    2 * (1 + kFilterLowBitsMax + group_bits_of(kFilterGroupsMax)) + kFarBits + kRunLowBits + kFilterGroupsMax;
constexpr std::uint64_t kBlockBits = 8 * (kFilterBlockBytes - kFilterChecksumBytes);
static_assert(kSlotBitsMax < kBlockBits / 6);

Shape choose_shape(const KeyFilterBuilder &builder) noexcept {
    const std::uint64_t pairs = std::max<std::uint64_t>(1, builder.pair_count);
    Shape shape;
    const std::uint64_t slots = (pairs * builder.size.places_per_pair + builder.group_count - 1) / builder.group_count;
    shape.slot_count = static_cast<std::uint32_t>(std::clamp<std::uint64_t>(slots, kFilterSlotsMin, UINT32_MAX));
    const std::uint64_t places = std::uint64_t{shape.slot_count} * builder.group_count;
    // Kiely, "Selecting the Golomb Parameter in Rice Coding", IPN Progress Report 42-159, 2004: the smallest power of two that
    // is at least the mean distance times the logarithm of the golden ratio.
    while ((pairs << shape.low_bits) * 10000 < places * 4812 && shape.low_bits < kFilterLowBitsMax) ++shape.low_bits;
    while (shape.slice_bits < 32 && (pairs << shape.slice_bits) < std::uint64_t{kSlicePairs} * shape.slot_count &&
           shape.slice_bits + group_bits_of(builder.group_count) < 32) {
        ++shape.slice_bits;
    }
    // The distances add up to the places, and so do the unary parts to a 2^low_bits-th of them. A far distance is one that
    // takes more than kQuotientMax of those.
    const std::uint64_t quotients = places >> shape.low_bits;
    const std::uint64_t far_bits = kFarBits + group_bits_of(builder.group_count);
    const std::uint64_t bits = pairs * (1 + shape.low_bits) + quotients + quotients / kQuotientMax * far_bits + kSlotBitsMax;
    // A block is closed when the next slot does not fit.
    shape.blocks_max = static_cast<std::uint32_t>(bits / (kBlockBits - kSlotBitsMax) + 1);
    shape.bytes_max = std::uint64_t{shape.blocks_max} * kFilterBlockBytes;
    return shape;
}

/// The codes of the groups of one slot, ascending.
struct Slot {
    std::uint32_t slot = 0;
    std::uint32_t count = 0;
    const std::uint32_t *places = nullptr;  // low group_bits bits: the group
};

/// Groups of a slot behind the first, as a run: how many low bits they take, and bits in all.
struct RunCost {
    unsigned low_bits = 0;
    std::uint64_t bits = UINT64_MAX;
};

class BlockWriter {
public:
    BlockWriter(const KeyFilterBuilder &builder, const Shape &shape, std::byte *blocks, std::byte *first_slots) noexcept
        : group_count_(builder.group_count),
          group_bits_(group_bits_of(builder.group_count)),
          low_bits_(shape.low_bits),
          room_{blocks, shape.bytes_max},
          first_slots_{{first_slots, shape.blocks_max * sizeof(std::uint32_t)}} {}

    void write_slot(const Slot &slot) noexcept {
        const std::uint64_t place = std::uint64_t{slot.slot} * group_count_ + group_at(slot, 0);
        const std::uint64_t list_bits = count_list_bits(slot);
        const RunCost run = slot.count > 2 ? choose_run(slot) : RunCost{};
        const std::uint64_t rest_bits = std::min(list_bits, run.bits);
        if (block_count_ == 0 || codes_.bit_count() + distance_bits(place - place_) + rest_bits > kBlockBits) {
            if (block_count_ > 0) close_block();
            open_block(slot.slot);
        }
        write_distance(place - place_);
        if (run.bits < list_bits) {
            write_run(slot, run.low_bits);
        } else {
            for (std::uint32_t i = 1; i < slot.count; ++i) write_distance(group_at(slot, i) - group_at(slot, i - 1));
        }
        place_ = std::uint64_t{slot.slot} * group_count_ + group_at(slot, slot.count - 1);
    }

    void finish() noexcept {
        if (block_count_ > 0) close_block();
    }
    std::uint32_t block_count() const noexcept { return block_count_; }
    std::uint64_t bytes() const noexcept { return bytes_; }
    std::uint32_t last_bytes() const noexcept { return last_bytes_; }

private:
    std::uint32_t group_at(const Slot &slot, std::uint32_t i) const noexcept {
        return slot.places[i] & ((1u << group_bits_) - 1);
    }

    std::uint64_t distance_bits(std::uint64_t distance) const noexcept {
        if (distance >> low_bits_ <= kQuotientMax) return codec::rice_bits(distance, low_bits_);
        return 1 + low_bits_ + group_bits_ + kFarBits;
    }

    std::uint64_t count_list_bits(const Slot &slot) const noexcept {
        std::uint64_t bits = 0;
        for (std::uint32_t i = 1; i < slot.count; ++i) bits += distance_bits(group_at(slot, i) - group_at(slot, i - 1));
        return bits;
    }

    /// Bits fall, then rise with the low bits.
    RunCost choose_run(const Slot &slot) const noexcept {
        RunCost best;
        for (unsigned low_bits = 0; low_bits <= group_bits_; ++low_bits) {
            std::uint64_t bits = 1 + low_bits_ + group_bits_ + kRunLowBits;
            for (std::uint32_t i = 1; i < slot.count; ++i) {
                bits += codec::rice_bits(group_at(slot, i) - group_at(slot, i - 1) - 1, low_bits);
            }
            if (bits >= best.bits) break;
            best = {low_bits, bits};
        }
        return best;
    }

    void write_distance(std::uint64_t distance) noexcept {
        assert(distance > 0);
        if (distance >> low_bits_ <= kQuotientMax) return codes_.rice(distance, low_bits_);
        codes_.rice(0, low_bits_);
        codes_.bits(0, group_bits_);
        codes_.bits(distance & UINT32_MAX, 32);
        codes_.bits(distance >> 32, kFarBits - 32);
    }

    void write_run(const Slot &slot, unsigned low_bits) noexcept {
        codes_.rice(0, low_bits_);
        codes_.bits(slot.count - 1, group_bits_);
        codes_.bits(low_bits, kRunLowBits);
        for (std::uint32_t i = 1; i < slot.count; ++i) {
            codes_.rice(group_at(slot, i) - group_at(slot, i - 1) - 1, low_bits);
        }
    }

    void open_block(std::uint32_t slot) noexcept {
        first_slots_.u32(slot);
        place_ = std::uint64_t{slot} * group_count_ - 1;
        assert(bytes_ + kFilterBlockBytes <= room_.size());
        codes_ = BitWriter{room_.subspan(bytes_ + kFilterChecksumBytes, kFilterBlockBytes - kFilterChecksumBytes)};
        ++block_count_;
    }

    /// All blocks but the last are whole: the bytes behind the codes are 0.
    void close_block() noexcept {
        codes_.finish();
        assert(codes_.status().ok());
        last_bytes_ = kFilterChecksumBytes + static_cast<std::uint32_t>(codes_.written().size());
        std::memset(room_.data() + bytes_ + last_bytes_, 0, kFilterBlockBytes - last_bytes_);
        bytes_ += kFilterBlockBytes;
    }

    std::uint32_t group_count_;
    unsigned group_bits_;
    unsigned low_bits_;
    std::span<std::byte> room_;
    ByteWriter first_slots_;
    BitWriter codes_{{}};
    std::uint64_t place_ = 0;
    std::uint32_t block_count_ = 0;
    std::uint32_t last_bytes_ = 0;
    std::uint64_t bytes_ = 0;
};

void write_checksums(std::span<std::byte> blocks) noexcept {
    for (std::uint32_t b = 0; std::size_t{b} * kFilterBlockBytes < blocks.size(); ++b) {
        const std::size_t offset = std::size_t{b} * kFilterBlockBytes;
        const std::span<std::byte> block =
            blocks.subspan(offset, std::min<std::size_t>(kFilterBlockBytes, blocks.size() - offset));
        ByteWriter{block}.u32(filter_checksum(block.subspan(kFilterChecksumBytes), b));
    }
}

/// Where the pairs of a slice are put together and sorted.
struct SliceSpace {
    std::uint32_t *places = nullptr;
    std::uint32_t *scratch = nullptr;
};

bool make_slice_space(const KeyFilterBuilder &builder, const Shape &shape, SliceSpace *space) noexcept {
    const std::uint32_t slice_count = ((shape.slot_count - 1) >> shape.slice_bits) + 1;
    auto *counts = builder.arena->array<std::uint32_t>(slice_count);
    if (counts == nullptr) return false;
    std::fill_n(counts, slice_count, 0u);
    for (std::uint32_t group = 0; group < builder.group_count; ++group) {
        const GroupKeys &keys = builder.groups[group];
        for (std::uint32_t i = 0; i < keys.count; ++i) ++counts[slot_of(keys.keys[i], shape.slot_count) >> shape.slice_bits];
    }
    const std::uint32_t count_max = *std::max_element(counts, counts + slice_count);
    space->places = builder.arena->array<std::uint32_t>(count_max);
    space->scratch = builder.arena->array<std::uint32_t>(count_max);
    return space->places != nullptr && space->scratch != nullptr;
}

/// Slice after slice: gathers its pairs from all groups, each group's keys being in order, sorts them and writes slot after slot.
/// Returns the number of different places.
std::uint64_t write_slices(KeyFilterBuilder &builder, const Shape &shape, SliceSpace space, BlockWriter &out) noexcept {
    const unsigned group_bits = group_bits_of(builder.group_count);
    const std::uint32_t slice_count = ((shape.slot_count - 1) >> shape.slice_bits) + 1;
    std::uint64_t written = 0;
    for (std::uint32_t slice = 0; slice < slice_count; ++slice) {
        const std::uint64_t first = std::uint64_t{slice} << shape.slice_bits;
        const std::uint64_t end = first + (std::uint64_t{1} << shape.slice_bits);
        std::uint32_t count = 0;
        for (std::uint32_t group = 0; group < builder.group_count; ++group) {
            GroupKeys &keys = builder.groups[group];
            for (; keys.next < keys.count; ++keys.next) {
                const std::uint64_t slot = slot_of(keys.keys[keys.next], shape.slot_count);
                if (slot >= end) break;
                space.places[count++] = static_cast<std::uint32_t>((slot - first) << group_bits) | group;
            }
        }
        codec::sort_numbers(space.places, space.scratch, count, shape.slice_bits + group_bits);
        count = static_cast<std::uint32_t>(std::unique(space.places, space.places + count) - space.places);
        written += count;
        for (std::uint32_t i = 0; i < count;) {
            const std::uint32_t slot = space.places[i] >> group_bits;
            const std::uint32_t begin = i;
            while (i < count && space.places[i] >> group_bits == slot) ++i;
            out.write_slot({static_cast<std::uint32_t>(first) + slot, i - begin, space.places + begin});
        }
    }
    return written;
}

}  // namespace

Status create_key_filter(Arena &arena, KeyFilterSize size, KeyFilterBuilder **builder) noexcept {
    if (size.granule_count == 0 || size.granule_count > kSegmentRowsMax || size.places_per_pair == 0 ||
        size.places_per_pair > kFilterPlacesPerPairMax) {
        return {StatusCode::too_large, "a filter of keys has limits that its sizes exceed"};
    }
    void *memory = arena.allocate(sizeof(KeyFilterBuilder));
    if (memory == nullptr) return no_filter_memory();
    auto *made = new (memory) KeyFilterBuilder;
    made->arena = &arena;
    made->size = size;
    made->group_shift = group_shift_of(size.granule_count);
    made->group_count = group_count_of(size.granule_count);
    const std::uint32_t unfiltered_bytes = (made->group_count + 7) / 8;
    made->recent = arena.array<std::uint32_t>(kRecentKeys);
    made->groups = arena.array<GroupKeys>(made->group_count);
    made->unfiltered = arena.array<std::uint8_t>(unfiltered_bytes);
    if (made->recent == nullptr || made->groups == nullptr || made->unfiltered == nullptr || !grow_pending(*made)) {
        return no_filter_memory();
    }
    std::fill_n(made->groups, made->group_count, GroupKeys{});
    std::memset(made->unfiltered, 0, unfiltered_bytes);
    open_group(*made, 0);
    *builder = made;
    return Status::success();
}

void add_key(KeyFilterBuilder &builder, std::uint32_t granule, std::uint64_t hash) noexcept {
    go_to_group(builder, granule);
    const std::uint32_t key = key_of(hash);
    std::uint32_t &recent = builder.recent[key % kRecentKeys];
    if (builder.pending_count == builder.pending_room) make_room(builder);
    // Whether a key was seen just now is anybody's guess: no branch hangs on it.
    builder.pending[builder.pending_count] = key;
    builder.pending_count += recent != key ? 1 : 0;
    recent = key;
}

void leave_unfiltered(KeyFilterBuilder &builder, std::uint32_t granule) noexcept {
    go_to_group(builder, granule);
    builder.group_is_full = true;
}

Status finish_key_filter(KeyFilterBuilder &builder, KeyFilterBytes *bytes) noexcept {
    close_group(builder);
    if (!builder.status.ok()) return builder.status;
    const Shape shape = choose_shape(builder);
    const std::size_t unfiltered_bytes = (builder.group_count + 7) / 8;
    const std::size_t header_bytes_max = kFilterHeaderBytes + unfiltered_bytes + shape.blocks_max * sizeof(std::uint32_t);
    auto *header = builder.arena->array<std::byte>(header_bytes_max);
    auto *blocks = builder.arena->array<std::byte>(shape.bytes_max);
    SliceSpace space;
    if (header == nullptr || blocks == nullptr || !make_slice_space(builder, shape, &space)) return no_filter_memory();

    BlockWriter out{builder, shape, blocks, header + kFilterHeaderBytes + unfiltered_bytes};
    const std::uint64_t place_count = write_slices(builder, shape, space, out);
    out.finish();
    const std::uint32_t block_count = out.block_count();
    const std::size_t blocks_bytes = block_count == 0 ? 0 : std::size_t{block_count - 1} * kFilterBlockBytes + out.last_bytes();
    write_checksums({blocks, blocks_bytes});

    const std::size_t header_bytes = kFilterHeaderBytes + unfiltered_bytes + block_count * sizeof(std::uint32_t);
    ByteWriter writer{{header, header_bytes}};
    writer.u32(0);  // the checksum, below
    writer.u8(kFilterForm);
    writer.u8(static_cast<std::uint8_t>(shape.low_bits));
    writer.u16(static_cast<std::uint16_t>(out.last_bytes()));
    writer.u32(builder.size.granule_count);
    writer.u32(shape.slot_count);
    writer.u64(place_count);
    writer.u32(block_count);
    writer.bytes(std::as_bytes(std::span{builder.unfiltered, unfiltered_bytes}));
    ByteWriter{{header, kFilterChecksumBytes}}.u32(
        filter_checksum({header + kFilterChecksumBytes, header_bytes - kFilterChecksumBytes}, 0));
    bytes->header = {header, header_bytes};
    bytes->blocks = {blocks, blocks_bytes};
    return Status::success();
}

}  // namespace historian::format
