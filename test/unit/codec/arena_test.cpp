#include "codec/arena.h"

#include <cstdlib>

#include "gtest/gtest.h"

namespace historian::test {
namespace {

// Blocks are left to the end of the process, as those of a memory context are to its owner.
void *grow(void *, std::size_t bytes) noexcept { return std::malloc(bytes); }

// A segment whose granules had 1,023 tags or more could not be read: its first two arrays were large, the third was empty.
TEST(Arena, GivesAPointerForNoBytesBeforeItsFirstBlock) {
    Arena fresh(grow, nullptr);
    EXPECT_NE(fresh.allocate(0), nullptr);
    Arena after_large(grow, nullptr);
    ASSERT_NE(after_large.allocate(1 << 20), nullptr);
    EXPECT_NE(after_large.array<std::byte>(0), nullptr);
}

}  // namespace
}  // namespace historian::test
