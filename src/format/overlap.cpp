#include "format/overlap.h"

#include <algorithm>
#include <bit>

namespace historian::format {
namespace {

constexpr Status no_room() noexcept { return {StatusCode::out_of_memory, "no memory to compare segments"}; }

/// A complete binary tree over y: node 1 is the root, node n has the children 2n and 2n + 1.
struct DepthTree {
    std::int32_t *added;    // to the whole of a node by the boxes that cover all of it, not by its parents'
    std::int32_t *deepest;  // the most anywhere in a node, without what its parents have added
    std::uint32_t leaf_count;
};

/// Adds to the box's part of a node, which holds the leaves [first, last].
void add(DepthTree &tree, const Box &box, std::int32_t change, std::uint32_t node, std::uint32_t first,
         std::uint32_t last) noexcept {
    if (box.y_first <= first && last <= box.y_last) {
        tree.added[node] += change;
        tree.deepest[node] += change;
        return;
    }
    const std::uint32_t middle = first + (last - first) / 2;
    if (box.y_first <= middle) add(tree, box, change, 2 * node, first, middle);
    if (box.y_last > middle) add(tree, box, change, 2 * node + 1, middle + 1, last);
    tree.deepest[node] = tree.added[node] + std::max(tree.deepest[2 * node], tree.deepest[2 * node + 1]);
}

void add(DepthTree &tree, const Box &box, std::int32_t change) noexcept { add(tree, box, change, 1, 0, tree.leaf_count - 1); }

/// The first leaf that is as deep as the deepest.
std::uint32_t deepest_leaf(const DepthTree &tree) noexcept {
    std::uint32_t node = 1;
    while (node < tree.leaf_count) node = 2 * node + (tree.deepest[2 * node] >= tree.deepest[2 * node + 1] ? 0 : 1);
    return node - tree.leaf_count;
}

}  // namespace

Status find_deepest(std::span<const Box> boxes, Arena &arena, DeepestPoint *deepest) noexcept {
    *deepest = {};
    const auto count = static_cast<std::uint32_t>(boxes.size());
    std::uint32_t y_max = 0;
    std::uint32_t box_count = 0;
    auto *opening = arena.array<std::uint32_t>(count);  // boxes by x_first
    auto *closing = arena.array<std::uint32_t>(count);  // boxes by x_last
    if (opening == nullptr || closing == nullptr) return no_room();
    for (std::uint32_t i = 0; i < count; ++i) {
        if (boxes[i].x_first > boxes[i].x_last || boxes[i].y_first > boxes[i].y_last) continue;
        opening[box_count] = closing[box_count] = i;
        ++box_count;
        y_max = std::max(y_max, boxes[i].y_last);
    }
    if (box_count == 0) return Status::success();
    if (y_max >= kBoxEdgeMax) return {StatusCode::too_large, "a box reaches too far"};
    std::sort(opening, opening + box_count, [&](auto a, auto b) { return boxes[a].x_first < boxes[b].x_first; });
    std::sort(closing, closing + box_count, [&](auto a, auto b) { return boxes[a].x_last < boxes[b].x_last; });

    DepthTree tree{nullptr, nullptr, std::bit_ceil(y_max + 1)};
    tree.added = arena.array<std::int32_t>(std::size_t{2} * tree.leaf_count);
    tree.deepest = arena.array<std::int32_t>(std::size_t{2} * tree.leaf_count);
    if (tree.added == nullptr || tree.deepest == nullptr) return no_room();
    std::fill_n(tree.added, std::size_t{2} * tree.leaf_count, 0);
    std::fill_n(tree.deepest, std::size_t{2} * tree.leaf_count, 0);

    std::uint32_t closed = 0;
    for (std::uint32_t opened = 0; opened < box_count;) {
        const std::uint32_t x = boxes[opening[opened]].x_first;
        while (closed < box_count && boxes[closing[closed]].x_last < x) add(tree, boxes[closing[closed++]], -1);
        while (opened < box_count && boxes[opening[opened]].x_first == x) add(tree, boxes[opening[opened++]], 1);
        if (tree.deepest[1] > static_cast<std::int32_t>(deepest->depth)) {
            *deepest = {static_cast<std::uint32_t>(tree.deepest[1]), x, deepest_leaf(tree)};
        }
    }
    return Status::success();
}

}  // namespace historian::format
