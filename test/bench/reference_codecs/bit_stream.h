// Cursors over a stream of bits, for the reference codecs that have one: fast, and not safe for bytes that were never written so.
//
// Layout: the first bit is bit 0 of the first byte. The papers draw the first bit on the left; which end of a byte comes first
// changes no size, and from this end a field is one load, one shift and one mask on a little-endian CPU.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace historian::references {

/// Behind the last byte of a stream so many may be read, and are never looked at.
inline constexpr std::size_t kSlackBytes = 8;

class BitWriter {
public:
    explicit BitWriter(std::byte *out) noexcept : begin_(out), out_(out) {}

    /// width   0 to 64; the bits above it are 0
    void write(std::uint64_t bits, unsigned width) noexcept {
        word_ |= bits << filled_;
        filled_ += width;
        if (filled_ < 64) return;
        std::memcpy(out_, &word_, sizeof word_);
        out_ += sizeof word_;
        filled_ -= 64;
        word_ = filled_ == 0 ? 0 : bits >> (width - filled_);
    }

    /// Writes what is left; gives the bytes of the stream.
    std::size_t finish() noexcept {
        const std::size_t left = (filled_ + 7) / 8;
        std::memcpy(out_, &word_, left);
        return static_cast<std::size_t>(out_ - begin_) + left;
    }

private:
    std::byte *begin_;
    std::byte *out_;
    std::uint64_t word_ = 0;
    unsigned filled_ = 0;  // below 64
};

class BitReader {
public:
    explicit BitReader(const std::byte *in) noexcept : in_(in) {}

    /// The next bits; at least 57 of them are real.
    std::uint64_t peek() const noexcept { return load(in_ + at_ / 8) >> (at_ % 8); }
    void skip(unsigned width) noexcept { at_ += width; }

    /// width   1 to 64
    std::uint64_t read(unsigned width) noexcept {
        const std::byte *place = in_ + at_ / 8;
        const unsigned shift = at_ % 8;
        at_ += width;
        // The ninth byte is shifted in two steps: by 64, where shift is 0, would be undefined.
        const std::uint64_t ninth = static_cast<std::uint64_t>(place[8]) << 1 << (63 - shift);
        return (load(place) >> shift | ninth) & (~std::uint64_t{0} >> (64 - width));
    }

    std::size_t bytes_read() const noexcept { return (at_ + 7) / 8; }

private:
    static std::uint64_t load(const std::byte *place) noexcept {
        std::uint64_t word;
        std::memcpy(&word, place, sizeof word);
        return word;
    }

    const std::byte *in_;
    std::size_t at_ = 0;
};

}  // namespace historian::references
