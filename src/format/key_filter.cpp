#include "format/key_filter.h"

#include <cassert>
#include <cstring>

#include "codec/bit_reader.h"
#include "codec/byte_reader.h"
#include "format/key_filter_codes.h"

namespace historian::format {
namespace {

using codec::BitReader;
using codec::ByteReader;

constexpr Status corrupt_filter(const char *message) noexcept { return {StatusCode::corrupt, message}; }

std::uint32_t first_slot(const KeyFilter &filter, std::uint32_t block) noexcept {
    std::uint32_t slot = 0;
    std::memcpy(&slot, filter.first_slots + std::size_t{block} * sizeof(slot), sizeof(slot));
    return slot;
}

Status validate_first_slots(const KeyFilter &filter) noexcept {
    for (std::uint32_t b = 0; b < filter.block_count; ++b) {
        const bool ascending = b == 0 || first_slot(filter, b - 1) < first_slot(filter, b);
        if (!ascending || first_slot(filter, b) >= filter.slot_count) return corrupt_filter("a filter's blocks are not in order");
    }
    return Status::success();
}

/// The block that has the key's slot, or block_count when none has.
std::uint32_t find_block(const KeyFilter &filter, std::uint32_t slot) noexcept {
    std::uint32_t begin = 0;
    std::uint32_t end = filter.block_count;
    while (begin < end) {
        const std::uint32_t middle = begin + (end - begin) / 2;
        if (first_slot(filter, middle) <= slot) {
            begin = middle + 1;
        } else {
            end = middle;
        }
    }
    return begin == 0 ? filter.block_count : begin - 1;
}

ByteRange block_range(const KeyFilter &filter, std::uint32_t block) noexcept {
    if (block == filter.block_count) return {};
    const std::uint64_t offset = std::uint64_t{block} * kFilterBlockBytes;
    return {offset, std::min<std::uint64_t>(kFilterBlockBytes, filter.blocks_bytes - offset)};
}

/// Groups of one slot, one bit each.
struct GroupSet {
    std::uint64_t words[kFilterGroupsMax / 64] = {};

    void add(std::uint64_t group) noexcept { words[group / 64] |= std::uint64_t{1} << group % 64; }
    bool has(std::uint32_t group) const noexcept { return (words[group / 64] >> group % 64 & 1) != 0; }
};

/// Finds the groups of one slot in the codes of a block.
class SlotSearch {
public:
    SlotSearch(const KeyFilter &filter, std::span<const std::byte> codes) noexcept
        : filter_(filter), group_bits_(group_bits_of(filter.group_count)), in_(codes) {}

    Status find(std::uint32_t block, std::uint32_t slot, GroupSet *groups) noexcept {
        begin_ = std::uint64_t{slot} * filter_.group_count;
        place_ = std::uint64_t{first_slot(filter_, block)} * filter_.group_count - 1;  // one before the block's first
        const unsigned low_bits = filter_.low_bits;
        const std::uint64_t low_mask = (std::uint64_t{1} << low_bits) - 1;
        for (;;) {
            const std::uint64_t window = in_.peek();
            const auto quotient = static_cast<unsigned>(std::countr_zero(window));
            if (quotient > kQuotientMax) return Status::success();  // zeros: the end
            const std::uint64_t distance = std::uint64_t{quotient} << low_bits | (window >> (quotient + 1) & low_mask);
            in_.skip(quotient + 1 + low_bits);
            if (distance != 0) {
                if (!take(distance, groups)) return Status::success();
            } else if (const auto run = in_.bits(group_bits_); run == 0) {
                if (!take(in_.bits(kFarBits), groups)) return Status::success();
            } else if (const Status status = take_run(run, groups); !status.ok()) {
                return status;
            }
        }
    }

private:
    /// False behind the slot.
    bool take(std::uint64_t distance, GroupSet *groups) noexcept {
        place_ += distance;
        if (place_ - begin_ < filter_.group_count) groups->add(place_ - begin_);
        return static_cast<std::int64_t>(place_ - begin_) < static_cast<std::int64_t>(filter_.group_count);
    }

    /// More groups of the slot that was read last.
    Status take_run(std::uint64_t count, GroupSet *groups) noexcept {
        const auto low_bits = static_cast<unsigned>(in_.bits(kRunLowBits));
        for (; count > 0; --count) {
            const std::uint64_t distance = in_.rice(low_bits, filter_.group_count) + 1;
            if (distance >= filter_.group_count) return corrupt_filter("a filter names a granule that is none");
            take(distance, groups);
        }
        return Status::success();
    }

    const KeyFilter &filter_;
    unsigned group_bits_;
    BitReader in_;
    std::uint64_t begin_ = 0;  // the slot's first place
    std::uint64_t place_ = 0;
};

/// Takes out the granules of groups that are neither in the set nor unfiltered.
void intersect(const KeyFilter &filter, const GroupSet &groups, std::span<std::uint64_t> granules) noexcept {
    if (filter.group_shift == 0) {
        for (std::size_t word = 0; word < granules.size(); ++word) {
            std::uint64_t unfiltered = 0;
            const std::size_t bytes = (filter.group_count + 7) / 8;
            std::memcpy(&unfiltered, filter.unfiltered + 8 * word, std::min<std::size_t>(8, bytes - 8 * word));
            granules[word] &= groups.words[word] | unfiltered;
        }
        return;
    }
    for (std::uint32_t granule = 0; granule < filter.granule_count; ++granule) {
        const std::uint32_t group = granule >> filter.group_shift;
        const bool unfiltered = (std::to_integer<unsigned>(filter.unfiltered[group / 8]) >> group % 8 & 1) != 0;
        if (!unfiltered && !groups.has(group)) granules[granule / 64] &= ~(std::uint64_t{1} << granule % 64);
    }
}

}  // namespace

Status open_key_filter(std::span<const std::byte> header_bytes, KeyFilter *filter) noexcept {
    ByteReader in{header_bytes};
    const std::uint32_t checksum = in.u32();
    const std::uint8_t form = in.u8();
    KeyFilter read;
    read.low_bits = in.u8();
    const std::uint32_t last_bytes = in.u16();
    read.granule_count = in.u32();
    read.slot_count = in.u32();
    read.pair_count = in.u64();
    read.block_count = in.u32();
    if (in.failed()) return in.status();
    if (form != kFilterForm) return {StatusCode::unsupported, "a filter has the form of a later version"};
#ifndef HISTORIAN_FUZZING  // a fuzzer cannot guess checksums; without them it reaches the codes
    if (filter_checksum(header_bytes.subspan(kFilterChecksumBytes), 0) != checksum) {
        return corrupt_filter("the checksum of a filter's header is wrong");
    }
#else
    static_cast<void>(checksum);
#endif
    if (read.granule_count == 0 || read.granule_count > kSegmentRowsMax || read.slot_count == 0 ||
        read.low_bits > kFilterLowBitsMax) {
        return corrupt_filter("a filter's header has impossible counts");
    }
    read.group_shift = group_shift_of(read.granule_count);
    read.group_count = group_count_of(read.granule_count);
    read.unfiltered = in.bytes((read.group_count + 7) / 8).data();
    read.first_slots = in.bytes(std::uint64_t{read.block_count} * sizeof(std::uint32_t)).data();
    if (const Status status = in.status_at_end(); !status.ok()) return status;
    const bool last_fits =
        read.block_count == 0 ? last_bytes == 0 : last_bytes > kFilterChecksumBytes && last_bytes <= kFilterBlockBytes;
    if (!last_fits) return corrupt_filter("a filter's last block has an impossible size");
    if (read.block_count > 0) read.blocks_bytes = std::uint64_t{read.block_count - 1} * kFilterBlockBytes + last_bytes;
    if (const Status status = validate_first_slots(read); !status.ok()) return status;
    *filter = read;
    return Status::success();
}

ByteRange key_range(const KeyFilter &filter, std::uint64_t hash) noexcept {
    return block_range(filter, find_block(filter, slot_of(key_of(hash), filter.slot_count)));
}

Status narrow_granules(const KeyFilter &filter, std::uint64_t hash, std::span<const std::byte> block,
                       std::span<std::uint64_t> granules) noexcept {
    assert(granules.size() == granule_words(filter.granule_count));
    GroupSet groups;
    const std::uint32_t slot = slot_of(key_of(hash), filter.slot_count);
    const std::uint32_t number = find_block(filter, slot);
    if (block.size() != block_range(filter, number).byte_count) return corrupt_filter("a block of a filter has a wrong size");
    if (number < filter.block_count) {
        const std::span<const std::byte> codes = block.subspan(kFilterChecksumBytes);
#ifndef HISTORIAN_FUZZING
        ByteReader in{block};
        if (filter_checksum(codes, number) != in.u32()) return corrupt_filter("the checksum of a filter's block is wrong");
#endif
        if (const Status status = SlotSearch{filter, codes}.find(number, slot, &groups); !status.ok()) return status;
    }
    intersect(filter, groups, granules);
    return Status::success();
}

}  // namespace historian::format
