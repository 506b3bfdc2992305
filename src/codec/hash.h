// Hashes and checksums: XXH3 of xxHash, 64 bits, seed 0. On disk it is the checksum of every index and chunk; its value is the
// same on every CPU and has been stable since xxHash 0.8.0.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace historian::codec {

inline std::uint64_t hash_bytes(std::span<const std::byte> bytes) noexcept { return XXH3_64bits(bytes.data(), bytes.size()); }

}  // namespace historian::codec
