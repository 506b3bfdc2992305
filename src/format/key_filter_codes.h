// What writer and reader of a filter of keys share. Private to key_filter.cpp and key_filter_build.cpp. Bytes: key_filter.h.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <span>

#include "codec/hash.h"
#include "format/key_filter.h"

namespace historian::format {

inline constexpr std::uint8_t kFilterForm = 1;
inline constexpr std::uint32_t kFilterHeaderBytes = 28;  // before the lists
inline constexpr std::uint32_t kFilterChecksumBytes = 4;

/// A longer distance has a code of its own, so that one code is read by one look at 57 bits. Natural distances are that long
/// once in ten million.
inline constexpr std::uint32_t kQuotientMax = 31;

inline constexpr unsigned kFilterLowBitsMax = 16;
inline constexpr unsigned kFarBits = 43;  // a distance: less than 2^32 slots times kFilterGroupsMax groups
inline constexpr unsigned kRunLowBits = 4;

/// The unary part, the low bits, all in one look.
static_assert(kQuotientMax + 1 + kFilterLowBitsMax <= 57);

constexpr std::uint32_t group_shift_of(std::uint32_t granule_count) noexcept {
    std::uint32_t shift = 0;
    while ((granule_count - 1) >> shift >= kFilterGroupsMax) ++shift;
    return shift;
}
constexpr std::uint32_t group_count_of(std::uint32_t granule_count) noexcept {
    return ((granule_count - 1) >> group_shift_of(granule_count)) + 1;
}

/// Bits of a number of groups less one, and of a group.
constexpr unsigned group_bits_of(std::uint32_t group_count) noexcept {
    return std::max(1u, static_cast<unsigned>(std::bit_width(group_count - 1)));
}

/// The half of a key's hash that counts.
constexpr std::uint32_t key_of(std::uint64_t hash) noexcept { return static_cast<std::uint32_t>(hash >> 32); }

/// Ascending with the key, so that sorted keys are sorted slots.
constexpr std::uint32_t slot_of(std::uint32_t key, std::uint32_t slot_count) noexcept {
    return static_cast<std::uint32_t>(std::uint64_t{key} * slot_count >> 32);
}

inline std::uint32_t filter_checksum(std::span<const std::byte> bytes, std::uint32_t number) noexcept {
    return static_cast<std::uint32_t>(codec::hash_bytes(bytes)) ^ number;
}

}  // namespace historian::format
