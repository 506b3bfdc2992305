// Arena: where the pure layers get memory from.
//
// An arena hands out memory that lives until the whole arena is dropped by its owner; nothing is freed piece by piece. The owner
// passes a function that gives large blocks, or nullptr when there is none: in the server it wraps a memory context with
// MCXT_ALLOC_NO_OOM (so it never longjmps), in tests it is malloc.
//
// Invariants:
//   1. allocate() returns memory aligned to 16 bytes, or nullptr; it never throws, longjmps or aborts.
//   2. An Arena has no destructor: dropping it is the owner's business.
#pragma once

#include <cstddef>
#include <cstdint>

namespace historian {

class Arena {
public:
    using Grow = void *(*)(void *owner, std::size_t bytes) noexcept;

    Arena(Grow grow, void *owner) noexcept : grow_(grow), owner_(owner) {}

    /// bytes of memory aligned to 16, or nullptr. A request of 0 bytes gives a valid pointer.
    void *allocate(std::size_t bytes) noexcept {
        if (bytes > SIZE_MAX - 2 * kBlockBytes) return nullptr;
        if (bytes == 0) bytes = 1;
        bytes = (bytes + 15) & ~static_cast<std::size_t>(15);
        if (bytes <= left_) return take(bytes);
        if (bytes >= kBlockBytes / 4) return align(grow_(owner_, bytes + 15));
        auto *block = static_cast<std::byte *>(align(grow_(owner_, kBlockBytes + 15)));
        if (block == nullptr) return nullptr;
        next_ = block;
        left_ = kBlockBytes;
        return take(bytes);
    }

    /// An uninitialised array of count Ts, or nullptr (also when the size overflows).
    template <typename T>
    T *array(std::size_t count) noexcept {
        if (count > SIZE_MAX / sizeof(T)) return nullptr;
        return static_cast<T *>(allocate(count * sizeof(T)));
    }

private:
    // Large enough that few calls reach the owner, small enough for a gateway with 128 MB.
    static constexpr std::size_t kBlockBytes = 32 * 1024;

    static void *align(void *block) noexcept {
        const auto address = reinterpret_cast<std::uintptr_t>(block);
        return reinterpret_cast<void *>((address + 15) & ~static_cast<std::uintptr_t>(15));
    }
    void *take(std::size_t bytes) noexcept {
        void *taken = next_;
        next_ += bytes;
        left_ -= bytes;
        return taken;
    }

    Grow grow_;
    void *owner_;
    std::byte *next_ = nullptr;
    std::size_t left_ = 0;
};

}  // namespace historian
