// What all fuzzers share: a cursor over the fuzzer's bytes, exact copies that the sanitizer watches, and a check that stops.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "../unit/test_arena.h"

namespace historian::fuzz {

using test::TestArena;

/// Enough for every value that a fuzzer can describe, little enough that a decoder which believes absurd sizes is seen.
inline constexpr std::size_t kArenaBytes = 64u << 20;

inline void check(bool holds, const char *what) {
    if (holds) return;
    std::fprintf(stderr, "does not hold: %s\n", what);
    std::abort();
}

class FuzzInput {
public:
    FuzzInput(const std::uint8_t *data, std::size_t size) : next_(data), end_(data + size) {}

    std::uint8_t u8() { return next_ == end_ ? 0 : *next_++; }
    std::uint16_t u16() { return static_cast<std::uint16_t>(u8() | u8() << 8); }
    std::uint64_t number(unsigned bytes) {
        std::uint64_t value = 0;
        for (unsigned i = 0; i < bytes; ++i) value |= static_cast<std::uint64_t>(u8()) << (8 * i);
        return value;
    }
    bool empty() const { return next_ == end_; }
    std::size_t left() const { return static_cast<std::size_t>(end_ - next_); }
    std::span<const std::byte> rest() const { return {reinterpret_cast<const std::byte *>(next_), left()}; }

private:
    const std::uint8_t *next_;
    const std::uint8_t *end_;
};

/// A copy on the heap without a byte to spare, so that reading or writing past it is seen.
class ExactBytes {
public:
    explicit ExactBytes(std::span<const std::byte> source) : ExactBytes(source.size()) {
        if (!source.empty()) std::memcpy(bytes_.get(), source.data(), source.size());
    }
    explicit ExactBytes(std::size_t size) : bytes_(new std::byte[size]), size_(size) {}
    std::span<std::byte> span() const { return {bytes_.get(), size_}; }

private:
    std::unique_ptr<std::byte[]> bytes_;
    std::size_t size_;
};

}  // namespace historian::fuzz
