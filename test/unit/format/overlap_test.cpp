// The deepest point of a set of boxes, against counting at every point.
#include "format/overlap.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "test_arena.h"

namespace historian::test {
namespace {

using format::Box;
using format::DeepestPoint;

DeepestPoint deepest_of(const std::vector<Box> &boxes) {
    TestArena arena;
    DeepestPoint deepest;
    EXPECT_TRUE(format::find_deepest(boxes, arena, &deepest).ok());
    return deepest;
}

std::uint32_t depth_at(const std::vector<Box> &boxes, std::uint32_t x, std::uint32_t y) {
    std::uint32_t depth = 0;
    for (const Box &box : boxes) depth += format::covers(box, x, y) ? 1 : 0;
    return depth;
}

DeepestPoint deepest_by_counting(const std::vector<Box> &boxes, std::uint32_t edge) {
    DeepestPoint deepest;
    for (std::uint32_t x = 0; x < edge; ++x) {
        for (std::uint32_t y = 0; y < edge; ++y) {
            if (const std::uint32_t depth = depth_at(boxes, x, y); depth > deepest.depth) deepest = {depth, x, y};
        }
    }
    return deepest;
}

TEST(Overlap, OfNothingIsNothing) {
    EXPECT_EQ(deepest_of({}).depth, 0u);
    EXPECT_EQ(deepest_of({{3, 2, 0, 9}, {0, 9, 5, 4}}).depth, 0u);
}

TEST(Overlap, BoxesMeetInTheirEdgesAndCorners) {
    const DeepestPoint edge = deepest_of({{0, 4, 0, 9}, {4, 8, 0, 9}});
    EXPECT_EQ(edge.depth, 2u);
    EXPECT_EQ(edge.x, 4u);
    const DeepestPoint corner = deepest_of({{0, 4, 0, 3}, {4, 8, 3, 9}, {5, 8, 0, 2}});
    EXPECT_EQ(corner.depth, 2u);
    EXPECT_EQ(corner.x, 4u);
    EXPECT_EQ(corner.y, 3u);
    EXPECT_EQ(deepest_of({{0, 4, 0, 9}, {5, 8, 0, 9}}).depth, 1u);
    EXPECT_EQ(deepest_of({{0, 4, 0, 3}, {0, 4, 4, 9}}).depth, 1u);
}

TEST(Overlap, IsWhereCountingFindsIt) {
    const unsigned seed = std::random_device{}();
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    const auto below = [&](std::uint32_t bound) { return static_cast<std::uint32_t>(random() % bound); };
    for (int round = 0; round < 500; ++round) {
        const std::uint32_t edge = 1 + below(20);
        std::vector<Box> boxes(below(30));
        for (Box &box : boxes) box = {below(edge), below(edge), below(edge), below(edge)};
        const DeepestPoint found = deepest_of(boxes);
        const DeepestPoint expected = deepest_by_counting(boxes, edge);
        ASSERT_EQ(found.depth, expected.depth);
        ASSERT_EQ(found.x, expected.x);
        ASSERT_EQ(found.y, expected.y);
    }
}

TEST(Overlap, WithoutMemoryOrBeyondBoundsIsAnError) {
    TestArena dry(0);
    DeepestPoint deepest;
    const std::vector<Box> box = {{0, 1, 0, 1}};
    EXPECT_EQ(format::find_deepest(box, dry, &deepest).code, StatusCode::out_of_memory);
    TestArena arena;
    const std::vector<Box> far = {{0, 1, 0, format::kBoxEdgeMax}};
    EXPECT_EQ(format::find_deepest(far, arena, &deepest).code, StatusCode::too_large);
}

}  // namespace
}  // namespace historian::test
