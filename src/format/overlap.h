// Where most boxes overlap. Merging asks it about segments, each a box of tags and times: whoever looks for the place where the
// boxes lie thickest has found the query that opens the most segments.
#pragma once

#include <cstdint>
#include <span>

#include "codec/arena.h"
#include "codec/status.h"

namespace historian::format {

/// Ends are inclusive. A box with x_first > x_last or y_first > y_last is empty: it covers no point.
struct Box {
    std::uint32_t x_first = 0;
    std::uint32_t x_last = 0;
    std::uint32_t y_first = 0;
    std::uint32_t y_last = 0;  // below kBoxEdgeMax
};

inline constexpr std::uint32_t kBoxEdgeMax = 1u << 28;

constexpr bool covers(const Box &box, std::uint32_t x, std::uint32_t y) noexcept {
    return box.x_first <= x && x <= box.x_last && box.y_first <= y && y <= box.y_last;
}

/// A point that as many boxes cover as any; of several the one with the smallest x, then the smallest y.
struct DeepestPoint {
    std::uint32_t depth = 0;  // 0: there is no box that covers anything
    std::uint32_t x = 0;
    std::uint32_t y = 0;
};

/// Imai and Asano, "Finding the connected components and a maximum clique of an intersection graph of rectangles in the plane"
/// (J. Algorithms 4, 1983), section 3: a line sweeps over x, a tree over y counts the boxes under it. O(n log m) time for n boxes
/// and y below m; O(n + m) memory of the arena: rank the edges of the boxes rather than giving numbers as they come.
///
/// errors   out_of_memory; too_large: a y beyond kBoxEdgeMax
Status find_deepest(std::span<const Box> boxes, Arena &arena, DeepestPoint *deepest) noexcept;

}  // namespace historian::format
