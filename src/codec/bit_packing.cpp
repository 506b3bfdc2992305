#include "codec/bit_packing.h"

#include <array>
#include <cstring>
#include <utility>

namespace historian::codec {
namespace {

constexpr std::size_t kGroup = 8;

constexpr std::uint64_t mask_of(unsigned width) noexcept {
    return width == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << width) - 1;
}

std::uint64_t load_u64(const std::byte *place) noexcept {
    std::uint64_t value;
    std::memcpy(&value, place, sizeof value);
    return value;
}

/// Number Index of a group of eight. Reads 8 bytes, and a ninth when the number's bits reach into it.
template <unsigned Width, std::size_t Index>
std::uint64_t unpack_one(const std::byte *group) noexcept {
    constexpr std::size_t kByte = Index * Width / 8;
    constexpr unsigned kShift = Index * Width % 8;
    std::uint64_t value = load_u64(group + kByte) >> kShift;
    if constexpr (kShift + Width > 64) {
        value |= static_cast<std::uint64_t>(group[kByte + 8]) << (64 - kShift);
    }
    return value & mask_of(Width);
}

template <unsigned Width, std::size_t... Index>
void unpack_group(const std::byte *group, std::uint64_t *values, std::index_sequence<Index...>) noexcept {
    ((values[Index] = unpack_one<Width, Index>(group)), ...);
}

/// Every group of eight but those whose 8-byte loads would pass the end of the input; these go through a padded copy.
template <unsigned Width>
void unpack_width(const std::byte *packed, std::size_t count, std::uint64_t *values) noexcept {
    constexpr auto kIndexes = std::make_index_sequence<kGroup>{};
    const std::size_t bytes = packed_bytes(count, Width);
    std::size_t done = 0;
    std::size_t at = 0;
    for (; done + kGroup <= count && at + Width + 8 <= bytes; done += kGroup, at += Width) {
        unpack_group<Width>(packed + at, values + done, kIndexes);
    }
    while (done < count) {
        std::byte padded[Width + 8] = {};
        std::uint64_t tail[kGroup];
        const std::size_t left = bytes - at < Width ? bytes - at : Width;
        std::memcpy(padded, packed + at, left);
        unpack_group<Width>(padded, tail, kIndexes);
        const std::size_t take = count - done < kGroup ? count - done : kGroup;
        std::memcpy(values + done, tail, take * sizeof tail[0]);
        done += take;
        at += left;
    }
}

template <>
void unpack_width<0>(const std::byte *, std::size_t count, std::uint64_t *values) noexcept {
    if (count != 0) std::memset(values, 0, count * sizeof values[0]);
}

using Unpack = void (*)(const std::byte *, std::size_t, std::uint64_t *) noexcept;

template <unsigned... Width>
constexpr std::array<Unpack, sizeof...(Width)> unpackers(std::integer_sequence<unsigned, Width...>) noexcept {
    return {&unpack_width<Width>...};
}

constexpr auto kUnpackers = unpackers(std::make_integer_sequence<unsigned, kBitWidthMax + 1>{});

}  // namespace

void unpack_bits(const std::byte *packed, std::size_t count, unsigned width, std::uint64_t *values) noexcept {
    kUnpackers[width](packed, count, values);
}

void pack_bits(const std::uint64_t *values, std::size_t count, unsigned width, std::byte *packed) noexcept {
    if (width == 0) return;
    const std::uint64_t mask = mask_of(width);
    std::uint64_t word = 0;
    unsigned filled = 0;
    for (std::size_t i = 0; i < count; ++i) {
        const std::uint64_t value = values[i] & mask;
        word |= value << filled;
        filled += width;
        if (filled < 64) continue;
        std::memcpy(packed, &word, sizeof word);
        packed += sizeof word;
        filled -= 64;
        word = filled == 0 ? 0 : value >> (width - filled);
    }
    if (filled != 0) std::memcpy(packed, &word, (filled + 7) / 8);
}

}  // namespace historian::codec
