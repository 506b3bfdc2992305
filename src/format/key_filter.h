// Filter of keys: in which granules of a segment a key may occur; a key is the hash of a word, or of a value of a column. A
// filter says "certainly not" or "perhaps", so it only saves reading: whoever asks compares the rows of the granules that remain.
//
// A key's hash chooses one of `slots`, a granule and a slot together are a *place*, and the filter is the set of all places that
// are taken, as a Golomb-coded set: sorted, and the distances between neighbours in Golomb-Rice codes. With `places_per_pair`
// times as many places as there are pairs of key and granule, a granule that lacks the key is named for nothing once in so many
// cases. The codes are cut into blocks of about 2 KB; the header tells with which slot each begins. So a lookup reads the header,
// which is kept, and one block.
//
// Layout, little-endian (src/format/README.md, "Filter of keys"): the header
//     checksum       u32     low half of XXH3-64 of the header's bytes behind it
//     form           u8      1
//     low_bits       u8      of the Golomb-Rice codes of distances, 0 to 16
//     last_bytes     u16     bytes of the last block; all others have 2038
//     granules       u32     of the segment
//     slots          u32
//     pairs          u64     places that were taken, for EXPLAIN and tests
//     blocks         u32
//     unfiltered     bits, one a group, whole bytes: 1 = had too many keys, may have any
//     first_slots    u32[]   one a block, ascending
// and the blocks
//     checksum       u32     low half of XXH3-64 of the block's bytes behind it, XOR the block's number
//     codes          bits    bit b is bit b % 8 of byte b / 8, numbers begin with their lowest bit; zeros fill the last byte, and
//                            every block but the last
//
// A block's codes tell its places in order. A distance d of a place from the one before it (of the block's first place from the
// last of the slot before first_slots) is coded as
//     d / 2^low_bits in unary (so many 0, then 1), d % 2^low_bits in low_bits bits       d >= 1, at most 31 zeros
//     the code of d = 0, 0 in group_bits bits, d in 43 bits                              any d
// and all places but the first of a slot, if shorter, as a run
//     the code of d = 0, their number in group_bits bits, low in 4 bits, then for each d - 1 / 2^low in unary and d - 1 % 2^low
//     in low bits
// where group_bits is what the largest group's number takes, at least 1. A block ends where only zeros are left.
//
// A segment of more than kFilterGroupsMax granules has filtered groups of 2^n adjacent ones, n as small as possible.
//
// Invariants:
//   1. A key that was added is never said to be absent from its granule.
//   2. The places of one slot lie in one block.
//   3. Every byte string is safe to pass to every function here. A block or header that was changed, or another block in the
//      place of the one asked for, is corrupt: a damaged filter must not hide rows.
#pragma once

#include "codec/arena.h"
#include "codec/status.h"
#include "format/segment.h"

namespace historian::format {

/// Four blocks fill a segment page: a filter that begins with a page never has a block on two.
inline constexpr std::uint32_t kFilterBlockBytes = 2038;

/// What a lookup keeps of a segment is a bitmap, what one key takes in a block at most this many bits and some.
inline constexpr std::uint32_t kFilterGroupsMax = 2048;

/// One granule in 333, or 0.3 %, is read for nothing: of the 732 granules of three million rows two, at 9.9 bits a pair. Twice as
/// many places cost one bit a pair more.
inline constexpr std::uint32_t kFilterPlacesPerPair = 333;
inline constexpr std::uint32_t kFilterPlacesPerPairMax = 1u << 16;

/// Few keys in many granules would share very few slots; more of them cost such a filter some bytes.
inline constexpr std::uint32_t kFilterSlotsMin = 4096;

/// Keys of one group: sixteen times what 4,096 long rows have. A group with more, or one that would make more than
/// kFilterPairsMax pairs in all, is left unfiltered: a value of 1 GB or a segment of them takes at most about 200 MB of memory.
inline constexpr std::uint32_t kFilterGroupKeysMax = 1u << 20;
inline constexpr std::uint32_t kFilterPairsMax = 1u << 25;

// ---------------------------------------------------------------------------------------------------------------- writing

struct KeyFilterSize {
    std::uint32_t granule_count = 0;                       // 1 to kSegmentRowsMax
    std::uint32_t places_per_pair = kFilterPlacesPerPair;  // 1 to kFilterPlacesPerPairMax
};

/// Collects keys and turns them into a filter. Opaque; lives in its arena; no destructor.
struct KeyFilterBuilder;

/// errors   out_of_memory; too_large: granule_count or places_per_pair
Status create_key_filter(Arena &arena, KeyFilterSize size, KeyFilterBuilder **builder) noexcept;

/// Adds one key; again and again is normal and costs two nanoseconds. What fails is said by finish_key_filter().
///
/// granule   never less than in the call before (asserted)
/// hash      of codec::hash_key(); only its high half counts
void add_key(KeyFilterBuilder &builder, std::uint32_t granule, std::uint64_t hash) noexcept;

/// Says of a granule that it may have any key, whatever was or will be added: for a value whose keys the caller does not list.
///
/// granule   never less than in the call before (asserted)
void leave_unfiltered(KeyFilterBuilder &builder, std::uint32_t granule) noexcept;

struct KeyFilterBytes {
    std::span<const std::byte> header;  // to be read whole and kept
    std::span<const std::byte> blocks;  // to be read where key_range() says; empty when there is no key
};

/// The builder takes 4 bytes a pair and up to 1 MB for an ordinary granule; finishing takes 2 bytes a pair more, filter included.
/// The filter's memory is the arena's. The builder cannot be used afterwards.
///
/// errors   out_of_memory, here or before
Status finish_key_filter(KeyFilterBuilder &builder, KeyFilterBytes *bytes) noexcept;

// ---------------------------------------------------------------------------------------------------------------- reading

/// A filter's header, validated. It points into the bytes that it was read from.
struct KeyFilter {
    std::uint32_t granule_count = 0;
    std::uint32_t group_count = 0;
    std::uint32_t group_shift = 0;  // group = granule >> group_shift
    std::uint32_t slot_count = 0;
    std::uint32_t low_bits = 0;
    std::uint32_t block_count = 0;
    std::uint64_t blocks_bytes = 0;
    std::uint64_t pair_count = 0;
    const std::byte *unfiltered = nullptr;
    const std::byte *first_slots = nullptr;
};

/// header_bytes   exactly KeyFilterBytes::header; must live as long as the filter
/// errors         truncated, corrupt, unsupported (form)
Status open_key_filter(std::span<const std::byte> header_bytes, KeyFilter *filter) noexcept;

/// Which bytes of KeyFilterBytes::blocks narrow_granules() needs; byte_count 0: none.
ByteRange key_range(const KeyFilter &filter, std::uint64_t hash) noexcept;

constexpr std::uint32_t granule_words(std::uint32_t granule_count) noexcept { return (granule_count + 63) / 64; }

/// Takes the granules that certainly lack the key out of a set of granules.
///
/// block      exactly the bytes of key_range(); any bytes are safe
/// granules   granule_words() words; bit g % 64 of word g / 64 is granule g. Those that remain may have the key
/// errors     corrupt; granules is then undefined
Status narrow_granules(const KeyFilter &filter, std::uint64_t hash, std::span<const std::byte> block,
                       std::span<std::uint64_t> granules) noexcept;

}  // namespace historian::format
