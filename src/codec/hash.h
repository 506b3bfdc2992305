// Hashes and checksums: XXH3 of xxHash, 64 bits. With seed 0 it is on disk the checksum of every index and chunk; with a seed for
// each column the hash by which a filter knows a key (format/key_filter.h). Its value is the same on every CPU, of either byte
// order, and has been stable since xxHash 0.8.0.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace historian::codec {

inline std::uint64_t hash_bytes(std::span<const std::byte> bytes) noexcept { return XXH3_64bits(bytes.data(), bytes.size()); }

/// What a key is: equal bytes of different kinds or columns are different keys. The numbers are part of the format.
enum class KeyKind : std::uint8_t {
    reserved = 0,
    word = 1,   ///< a word of a text
    value = 2,  ///< a whole value
};

struct KeySpace {
    std::uint32_t column = 0;  // counted from 0, as in the segment's header
    KeyKind kind = KeyKind::reserved;
};

/// The golden ratio times 2^64: consecutive multiples of it differ in their high bits too. Where they do not, XXH3 of up to three
/// bytes gives two keys of two columns the same hash for whole classes of keys.
inline constexpr std::uint64_t kKeySeedStep = 0x9E3779B97F4A7C15;

constexpr std::uint64_t key_seed(KeySpace space) noexcept {
    return (std::uint64_t{space.column} * 256 + static_cast<std::uint64_t>(space.kind)) * kKeySeedStep;
}

/// bytes   the same for all that counts as equal: of a number that is not its bits (0.0 = -0.0), of a text under a collation that
///         takes different texts for equal not its characters; the caller sees to it
inline std::uint64_t hash_key(std::span<const std::byte> bytes, KeySpace space) noexcept {
    return XXH3_64bits_withSeed(bytes.data(), bytes.size(), key_seed(space));
}

}  // namespace historian::codec
