// ByteWriter: a bounds-checked cursor that writes little-endian bytes into memory of the caller.
//
// Invariant: after the first write that does not fit, nothing more is written and status() says no_room; so a sequence of writes
// needs one check, at its end.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "codec/status.h"

namespace historian::codec {

static_assert(std::endian::native == std::endian::little, "bytes on disk are little-endian and are copied as they are");

/// -1, 1, -2, 2, ... become 1, 2, 3, 4, ...: small numbers of either sign get short varints.
constexpr std::uint64_t zigzag(std::int64_t value) noexcept {
    return (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63);
}
constexpr std::int64_t unzigzag(std::uint64_t code) noexcept {
    return static_cast<std::int64_t>((code >> 1) ^ (~(code & 1) + 1));
}

inline constexpr std::size_t kVarintBytesMax = 10;

class ByteWriter {
public:
    explicit ByteWriter(std::span<std::byte> room) noexcept
        : begin_(room.data()), next_(room.data()), end_(room.data() + room.size()) {}

    void u8(std::uint8_t value) noexcept { fixed(value); }
    void u16(std::uint16_t value) noexcept { fixed(value); }
    void u32(std::uint32_t value) noexcept { fixed(value); }
    void u64(std::uint64_t value) noexcept { fixed(value); }

    /// Seven bits a byte, the lowest first; the high bit says that more follow.
    void varint(std::uint64_t value) noexcept {
        std::uint8_t code[kVarintBytesMax];
        std::size_t size = 0;
        while (value >= 0x80) {
            code[size++] = static_cast<std::uint8_t>(value | 0x80);
            value >>= 7;
        }
        code[size++] = static_cast<std::uint8_t>(value);
        bytes({reinterpret_cast<const std::byte *>(code), size});
    }
    void signed_varint(std::int64_t value) noexcept { varint(zigzag(value)); }

    void bytes(std::span<const std::byte> source) noexcept {
        std::byte *place = take(source.size());
        if (place != nullptr && !source.empty()) std::memcpy(place, source.data(), source.size());
    }

    /// Room for count bytes that the caller fills, or nullptr when they do not fit.
    std::byte *take(std::size_t count) noexcept {
        if (full_ || count > static_cast<std::size_t>(end_ - next_)) {
            full_ = true;
            return nullptr;
        }
        std::byte *place = next_;
        next_ += count;
        return place;
    }

    /// Where the next byte goes; room() bytes may be used as scratch from here.
    std::byte *end() noexcept { return next_; }
    std::size_t size() const noexcept { return static_cast<std::size_t>(next_ - begin_); }
    std::size_t room() const noexcept { return full_ ? 0 : static_cast<std::size_t>(end_ - next_); }
    std::span<const std::byte> written() const noexcept { return {begin_, size()}; }
    std::span<const std::byte> written_since(std::size_t mark) const noexcept { return written().subspan(mark); }

    /// Forgets what was written after the first `mark` bytes.
    void rewind(std::size_t mark) noexcept { next_ = begin_ + mark; }

    /// Of two encodings of the same, the first from mark to rival and the second from rival to the end, keeps the shorter at
    /// mark.
    void keep_shorter(std::size_t mark, std::size_t rival) noexcept {
        const std::size_t rival_size = size() - rival;
        if (rival_size >= rival - mark) return rewind(rival);
        std::memmove(begin_ + mark, begin_ + rival, rival_size);
        rewind(mark + rival_size);
    }

    Status status() const noexcept {
        return full_ ? Status{StatusCode::no_room, "the encoded bytes do not fit"} : Status::success();
    }

private:
    template <typename T>
    void fixed(T value) noexcept {
        std::byte *place = take(sizeof(T));
        if (place != nullptr) std::memcpy(place, &value, sizeof(T));
    }

    std::byte *begin_;
    std::byte *next_;
    std::byte *end_;
    bool full_ = false;
};

}  // namespace historian::codec
