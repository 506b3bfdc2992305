// The keys that a segment's filter knows a column's values by: made here when it is built and when it is asked.
#pragma once

#include <bit>
#include <cstring>

#include "codec/hash.h"

namespace historian::format {

static_assert(std::endian::native == std::endian::little, "numbers are hashed as they lie in memory");

/// token_hash   search::hash_token() of a word of a text, or of a CJK letter
inline std::uint64_t word_key(std::uint64_t token_hash, std::uint32_t column) noexcept {
    std::byte bytes[sizeof token_hash];
    std::memcpy(bytes, &token_hash, sizeof token_hash);
    return codec::hash_key(bytes, {column, codec::KeyKind::word});
}

/// A value of the kinds int1 to float8, as its column stores it.
inline std::uint64_t number_key(std::int64_t number, std::uint32_t column) noexcept {
    std::byte bytes[sizeof number];
    std::memcpy(bytes, &number, sizeof number);
    return codec::hash_key(bytes, {column, codec::KeyKind::value});
}

/// A value of the kinds fixed and bytes.
inline std::uint64_t bytes_key(std::span<const std::byte> value, std::uint32_t column) noexcept {
    return codec::hash_key(value, {column, codec::KeyKind::value});
}

}  // namespace historian::format
