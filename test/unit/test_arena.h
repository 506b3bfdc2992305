// An arena over malloc for tests, fuzzers and benchmarks: frees all at the end, and can be told to run dry.
#pragma once

#include <cstdlib>
#include <vector>

#include "codec/arena.h"

namespace historian::test {

class TestArena {
public:
    explicit TestArena(std::size_t bytes_max = SIZE_MAX) : left_(bytes_max), arena_(&grow, this) {}
    TestArena(const TestArena &) = delete;
    TestArena &operator=(const TestArena &) = delete;
    ~TestArena() {
        for (void *block : blocks_) std::free(block);
    }
    operator Arena &() { return arena_; }

private:
    static void *grow(void *owner, std::size_t bytes) noexcept {
        auto *self = static_cast<TestArena *>(owner);
        if (bytes > self->left_) return nullptr;
        void *block = std::malloc(bytes);
        if (block == nullptr) return nullptr;
        self->left_ -= bytes;
        self->blocks_.push_back(block);
        return block;
    }

    std::size_t left_;
    std::vector<void *> blocks_;
    Arena arena_;
};

}  // namespace historian::test
