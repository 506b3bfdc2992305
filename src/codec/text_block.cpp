#include "codec/text_block.h"

#include <algorithm>
#include <cstring>

namespace historian::codec {
namespace {

// A frame has about 15 bytes of its own.
constexpr std::size_t kCompressBytesMin = 48;

Status encode_lengths(std::span<const Text> texts, EncodeSpace &space, ByteWriter &out) noexcept {
    for (std::size_t done = 0; done < texts.size(); done += kStreamValuesMax) {
        const std::size_t count = std::min(kStreamValuesMax, texts.size() - done);
        for (std::size_t i = 0; i < count; ++i) space.lengths[i] = texts[done + i].size;
        if (const Status status = encode_integers({space.lengths, count}, space, out); !status.ok()) return status;
    }
    return out.status();
}

}  // namespace

Status compress_in_place(std::span<const std::byte> raw, std::size_t mark, EncodeSpace &space, ByteWriter &out) noexcept {
    std::size_t frame_bytes = 0;
    std::byte *frame = out.end();
    if (raw.size() >= kCompressBytesMin) {
        const std::size_t room = std::min(out.room(), raw.size() - raw.size() / 16);
        frame_bytes = space.compressor->compress(raw, {frame, room});
    }
    out.rewind(mark);
    out.varint(frame_bytes);
    const std::size_t kept_bytes = frame_bytes != 0 ? frame_bytes : raw.size();
    std::byte *kept = out.take(kept_bytes);
    if (kept != nullptr && kept_bytes != 0) std::memmove(kept, frame_bytes != 0 ? frame : raw.data(), kept_bytes);
    return out.status();
}

Status encode_text_block(std::span<const Text> texts, EncodeSpace &space, ByteWriter &out) noexcept {
    if (texts.empty()) return out.status();
    if (const Status status = encode_lengths(texts, space, out); !status.ok()) return status;
    const std::size_t mark = out.size();
    if (out.take(kVarintBytesMax) == nullptr) return out.status();
    if (texts.size() == 1) return compress_in_place({texts[0].data, texts[0].size}, mark, space, out);
    const std::byte *raw = out.end();
    for (const Text &text : texts) out.bytes({text.data, text.size});
    if (!out.status().ok()) return out.status();
    return compress_in_place({raw, static_cast<std::size_t>(out.end() - raw)}, mark, space, out);
}

Status decode_text_block(ByteReader &in, std::uint64_t count, Arena &arena, TextBlock *block) noexcept {
    *block = {};
    if (count == 0) return Status::success();
    if (!plausible_list(count, in.remaining())) return {StatusCode::corrupt, "a block has more texts than it can hold"};
    auto *lengths = arena.array<std::int64_t>(count);
    auto *offsets = arena.array<std::uint64_t>(count + 1);
    if (lengths == nullptr || offsets == nullptr) return {StatusCode::out_of_memory, "no memory to decode texts"};
    if (const Status status = decode_integer_list(in, {lengths, static_cast<std::size_t>(count)}, arena); !status.ok())
        return status;
    offsets[0] = 0;
    for (std::uint64_t i = 0; i < count; ++i) {
        if (static_cast<std::uint64_t>(lengths[i]) > kTextBytesMax)
            return {StatusCode::corrupt, "a text has an impossible length"};
        offsets[i + 1] = offsets[i] + static_cast<std::uint64_t>(lengths[i]);
    }
    const std::uint64_t total = offsets[count];
    const std::uint64_t frame_bytes = in.varint();
    const std::span<const std::byte> stored = in.bytes(frame_bytes == 0 ? total : frame_bytes);
    if (in.failed()) return in.status();
    *block = {stored.data(), offsets, static_cast<std::uint32_t>(count)};
    if (frame_bytes == 0) return Status::success();
    if (!plausible_content(frame_bytes, total)) return {StatusCode::corrupt, "a compressed frame cannot hold so many bytes"};
    auto *content = arena.array<std::byte>(total);
    if (content == nullptr) return {StatusCode::out_of_memory, "no memory to decode texts"};
    block->data = content;
    return decompress(stored, {content, static_cast<std::size_t>(total)});
}

}  // namespace historian::codec
