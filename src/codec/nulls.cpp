#include "codec/nulls.h"

#include <cstring>

namespace historian::codec {
namespace {

constexpr std::uint8_t kBitmap = 1;
constexpr std::uint8_t kRuns = 2;

std::size_t run_end(std::span<const std::uint8_t> nulls, std::size_t start, std::uint8_t state) noexcept {
    while (start < nulls.size() && nulls[start] == state) ++start;
    return start;
}

/// False when the runs take more than the bitmap's bytes.
bool encode_runs(std::span<const std::uint8_t> nulls, std::size_t limit, ByteWriter &out) noexcept {
    const std::size_t mark = out.size();
    out.u8(kRuns);
    std::uint8_t state = 0;
    for (std::size_t at = 0; at < nulls.size(); state ^= 1) {
        const std::size_t end = run_end(nulls, at, state);
        out.varint(end - at);
        at = end;
        if (out.size() - mark > limit) {
            out.rewind(mark);
            return false;
        }
    }
    return true;
}

Status decode_bitmap(ByteReader &in, std::span<std::uint8_t> nulls) noexcept {
    const std::span<const std::byte> bitmap = in.bytes((nulls.size() + 7) / 8);
    if (in.failed()) return in.status();
    for (std::size_t i = 0; i < nulls.size(); ++i) nulls[i] = static_cast<std::uint8_t>(bitmap[i / 8] >> (i % 8)) & 1;
    const std::size_t used = nulls.size() % 8;
    if (used != 0 && static_cast<std::uint8_t>(bitmap.back()) >> used != 0) {
        return {StatusCode::corrupt, "a bitmap of nulls has bits after its last row"};
    }
    return Status::success();
}

Status decode_runs(ByteReader &in, std::span<std::uint8_t> nulls) noexcept {
    std::uint8_t state = 0;
    for (std::size_t at = 0; at < nulls.size(); state ^= 1) {
        const std::uint64_t length = in.varint();
        if (in.failed()) return in.status();
        if (length > nulls.size() - at || (length == 0 && (at > 0 || state == 1))) {
            return {StatusCode::corrupt, "a run of nulls has an impossible length"};
        }
        std::memset(nulls.data() + at, state, length);
        at += length;
    }
    return Status::success();
}

}  // namespace

Status encode_nulls(std::span<const std::uint8_t> nulls, ByteWriter &out) noexcept {
    const std::size_t bitmap_bytes = (nulls.size() + 7) / 8;
    if (encode_runs(nulls, bitmap_bytes, out)) return out.status();
    out.u8(kBitmap);
    for (std::size_t start = 0; start < nulls.size(); start += 8) {
        unsigned bits = 0;
        for (std::size_t i = start; i < nulls.size() && i < start + 8; ++i)
            bits |= static_cast<unsigned>(nulls[i]) << (i - start);
        out.u8(static_cast<std::uint8_t>(bits));
    }
    return out.status();
}

Status decode_nulls(ByteReader &in, std::span<std::uint8_t> nulls, std::uint32_t *null_count) noexcept {
    const std::uint8_t form = in.u8();
    if (in.failed()) return in.status();
    if (form != kBitmap && form != kRuns) return {StatusCode::unsupported, "a mask of nulls has a form of a later version"};
    const Status status = form == kBitmap ? decode_bitmap(in, nulls) : decode_runs(in, nulls);
    if (!status.ok()) return status;
    std::uint32_t count = 0;
    for (const std::uint8_t null : nulls) count += null;
    *null_count = count;
    return Status::success();
}

}  // namespace historian::codec
