// BitWriter: a bounds-checked cursor that writes bits into memory of the caller.
//
// Layout: bit b of the string is bit b % 8 of byte b / 8, as in bit_packing.h; a number's lowest bit comes first; the last byte's
// unused bits are 0.
//
// Invariant: after the first write that does not fit, nothing more is written and status() says no_room.
#pragma once

#include "codec/byte_writer.h"

namespace historian::codec {

class BitWriter {
public:
    static constexpr unsigned kBitsMax = 32;

    explicit BitWriter(std::span<std::byte> room) noexcept : out_(room) {}

    /// count   0 to kBitsMax; the bits of number above it must be 0
    void bits(std::uint64_t number, unsigned count) noexcept {
        held_ |= number << held_count_;
        held_count_ += count;
        if (held_count_ < 32) return;
        out_.u32(static_cast<std::uint32_t>(held_));
        held_ >>= 32;
        held_count_ -= 32;
    }

    /// zeros times 0, then 1.
    void unary(std::uint64_t zeros) noexcept {
        for (; zeros >= kBitsMax; zeros -= kBitsMax) bits(0, kBitsMax);
        bits(std::uint64_t{1} << zeros, static_cast<unsigned>(zeros) + 1);
    }

    /// Golomb-Rice code: number / 2^low_bits in unary, the rest in low_bits bits.
    ///
    /// low_bits   0 to kBitsMax
    void rice(std::uint64_t number, unsigned low_bits) noexcept {
        unary(number >> low_bits);
        bits(number & ((std::uint64_t{1} << low_bits) - 1), low_bits);
    }

    /// Fills the last byte with zeros. Nothing may be written afterwards.
    void finish() noexcept {
        for (; held_count_ > 0; held_count_ = held_count_ > 8 ? held_count_ - 8 : 0) {
            out_.u8(static_cast<std::uint8_t>(held_));
            held_ >>= 8;
        }
    }

    std::size_t bit_count() const noexcept { return 8 * out_.size() + held_count_; }
    std::span<const std::byte> written() const noexcept { return out_.written(); }
    Status status() const noexcept { return out_.status(); }

private:
    ByteWriter out_;
    std::uint64_t held_ = 0;
    unsigned held_count_ = 0;
};

constexpr std::uint64_t rice_bits(std::uint64_t number, unsigned low_bits) noexcept {
    return (number >> low_bits) + 1 + low_bits;
}

}  // namespace historian::codec
