// RowBlocks: a growable array of one element a row, whose elements never move.
//
// Block 0 has 16 elements, block 1 another 16, each further block as many as all before it: a small table takes little, a full
// builder (2^20 rows) has 17 blocks, and nothing is copied when it grows.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "codec/arena.h"
#include "format/segment.h"

namespace historian::format {

inline constexpr std::uint32_t kFirstBlockRows = 16;
inline constexpr std::uint32_t kBlockCountMax = 17;

constexpr std::uint32_t block_rows(std::uint32_t block) noexcept {
    return block == 0 ? kFirstBlockRows : kFirstBlockRows << (block - 1);
}
constexpr std::uint32_t block_start(std::uint32_t block) noexcept { return block == 0 ? 0 : block_rows(block); }
static_assert(block_start(kBlockCountMax - 1) + block_rows(kBlockCountMax - 1) == kSegmentRowsMax);

template <typename T>
struct RowBlocks {
    T *blocks[kBlockCountMax] = {};

    /// Makes sure that a block is there; its elements are uninitialised.
    bool ensure(std::uint32_t block, Arena &arena, std::uint64_t *bytes) noexcept {
        if (blocks[block] != nullptr) return true;
        blocks[block] = arena.array<T>(block_rows(block));
        if (blocks[block] == nullptr) return false;
        *bytes += std::uint64_t{block_rows(block)} * sizeof(T);
        return true;
    }

    /// The element of a row; nullptr when its block is missing.
    const T *find(std::uint32_t row) const noexcept {
        const auto block = static_cast<std::uint32_t>(std::bit_width(row / kFirstBlockRows));
        return blocks[block] == nullptr ? nullptr : blocks[block] + (row - block_start(block));
    }
};
static_assert(std::bit_width(15u / kFirstBlockRows) == 0 && std::bit_width(16u / kFirstBlockRows) == 1 &&
              std::bit_width(31u / kFirstBlockRows) == 1 && std::bit_width(32u / kFirstBlockRows) == 2);

/// Calls visit(elements, first_row, count) for each block of the first row_count rows; elements is nullptr for a missing block.
template <typename T, typename Visit>
void for_each_block(const RowBlocks<T> &rows, std::uint32_t row_count, Visit visit) noexcept {
    for (std::uint32_t block = 0; block < kBlockCountMax && block_start(block) < row_count; ++block) {
        const std::uint32_t left = row_count - block_start(block);
        visit(rows.blocks[block], block_start(block), left < block_rows(block) ? left : block_rows(block));
    }
}

}  // namespace historian::format
