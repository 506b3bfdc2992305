// ByteReader: a bounds-checked cursor over bytes that nobody has judged yet.
//
// Invariant: after the first read that runs past the end (or a varint longer than 64 bits), every further read gives 0 and
// nothing, and status() says truncated; so a sequence of reads needs one check, before its results are used.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "codec/byte_writer.h"
#include "codec/status.h"

namespace historian::codec {

class ByteReader {
public:
    explicit ByteReader(std::span<const std::byte> source) noexcept : next_(source.data()), end_(source.data() + source.size()) {}

    std::uint8_t u8() noexcept { return fixed<std::uint8_t>(); }
    std::uint16_t u16() noexcept { return fixed<std::uint16_t>(); }
    std::uint32_t u32() noexcept { return fixed<std::uint32_t>(); }
    std::uint64_t u64() noexcept { return fixed<std::uint64_t>(); }

    std::uint64_t varint() noexcept {
        std::uint64_t value = 0;
        for (unsigned shift = 0; shift < 64; shift += 7) {
            const std::uint8_t code = u8();
            value |= static_cast<std::uint64_t>(code & 0x7f) << shift;
            if (code < 0x80) {
                if (shift == 63 && code > 1) break;
                return value;
            }
        }
        failed_ = true;
        return 0;
    }
    std::int64_t signed_varint() noexcept { return unzigzag(varint()); }

    /// The next count bytes, or an empty span when there are fewer.
    std::span<const std::byte> bytes(std::uint64_t count) noexcept {
        if (failed_ || count > remaining()) {
            failed_ = true;
            return {};
        }
        const std::byte *place = next_;
        next_ += count;
        return {place, static_cast<std::size_t>(count)};
    }

    std::size_t remaining() const noexcept { return static_cast<std::size_t>(end_ - next_); }
    bool failed() const noexcept { return failed_; }

    Status status() const noexcept {
        return failed_ ? Status{StatusCode::truncated, "the bytes end before the value does"} : Status::success();
    }
    /// The status when nothing may follow any more.
    Status status_at_end() const noexcept {
        if (!failed_ && next_ != end_) return {StatusCode::corrupt, "bytes are left over after the value"};
        return status();
    }

private:
    template <typename T>
    T fixed() noexcept {
        T value = 0;
        if (failed_ || sizeof(T) > remaining()) {
            failed_ = true;
            return value;
        }
        std::memcpy(&value, next_, sizeof(T));
        next_ += sizeof(T);
        return value;
    }

    const std::byte *next_;
    const std::byte *end_;
    bool failed_ = false;
};

}  // namespace historian::codec
