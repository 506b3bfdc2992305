// BitReader: a bounds-checked cursor over bits that nobody has judged yet. Layout: bit_writer.h.
//
// Invariant: behind the end there are zeros without end, and no code of ones and zeros is all zeros: who reads unary numbers with
// a limit stops there.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace historian::codec {

class BitReader {
public:
    /// How many of the bits that peek() gives are certain.
    static constexpr unsigned kBitsMax = 57;

    explicit BitReader(std::span<const std::byte> source) noexcept : source_(source) {}

    /// The next 57 bits or more, the next one lowest.
    std::uint64_t peek() const noexcept {
        const std::size_t byte = position_ / 8;
        std::uint64_t window = 0;
        if (byte + sizeof(window) <= source_.size()) {
            std::memcpy(&window, source_.data() + byte, sizeof(window));
        } else if (byte < source_.size()) {
            std::memcpy(&window, source_.data() + byte, source_.size() - byte);
        }
        return window >> position_ % 8;
    }
    void skip(unsigned count) noexcept { position_ += count; }

    /// count   0 to kBitsMax
    std::uint64_t bits(unsigned count) noexcept {
        const std::uint64_t number = peek() & ((std::uint64_t{1} << count) - 1);
        skip(count);
        return number;
    }

    /// A Golomb-Rice code (BitWriter::rice()); or a number above quotient_max * 2^low_bits when its unary part is longer.
    ///
    /// low_bits   0 to 16
    std::uint64_t rice(unsigned low_bits, std::uint64_t quotient_max) noexcept {
        std::uint64_t quotient = 0;
        std::uint64_t window = peek();
        while ((window & kRiceWindow) == 0) {
            quotient += kRiceZerosMax;
            skip(kRiceZerosMax);
            if (quotient > quotient_max) return (quotient_max + 1) << low_bits;
            window = peek();
        }
        const auto zeros = static_cast<unsigned>(std::countr_zero(window));
        skip(zeros + 1 + low_bits);
        return (quotient + zeros) << low_bits | (window >> (zeros + 1) & ((std::uint64_t{1} << low_bits) - 1));
    }

private:
    // So many zeros, the 1 and 16 low bits are seen at one look.
    static constexpr unsigned kRiceZerosMax = 32;
    static constexpr std::uint64_t kRiceWindow = (std::uint64_t{1} << kRiceZerosMax) - 1;

    std::span<const std::byte> source_;
    std::size_t position_ = 0;
};

}  // namespace historian::codec
