#include "codec/texts.h"

#include <algorithm>
#include <cstring>

#include "codec/codec_id.h"
#include "codec/hash.h"

namespace historian::codec {
namespace {

// A frame has about 15 bytes of its own.
constexpr std::uint64_t kCompressBytesMin = 48;

// After this many rows a dictionary must have repeated itself, or it is given up.
constexpr std::size_t kDictionaryTrialRows = 256;

bool same(const Text &a, const Text &b) noexcept {
    return a.size == b.size && (a.data == b.data || std::memcmp(a.data, b.data, a.size) == 0);
}

/// Fills space.positions with the row of each distinct text and space.mapped with each row's entry; 0 when few texts repeat.
std::size_t find_entries(std::span<const Text> texts, EncodeSpace &space) noexcept {
    constexpr std::size_t kSlots = 2 * kStreamValuesMax;
    std::uint16_t slots[kSlots] = {};  // entry + 1; 0 is free
    std::size_t entries = 0;
    for (std::size_t row = 0; row < texts.size(); ++row) {
        // Neighbours are often equal, and pointers to equal texts often are the same.
        if (row > 0 && same(texts[row], texts[row - 1])) {
            space.mapped[row] = space.mapped[row - 1];
            continue;
        }
        std::size_t slot = hash_bytes({texts[row].data, texts[row].size}) % kSlots;
        while (slots[slot] != 0 && !same(texts[space.positions[slots[slot] - 1]], texts[row])) slot = (slot + 1) % kSlots;
        if (slots[slot] == 0) {
            space.positions[entries++] = static_cast<std::uint32_t>(row);
            slots[slot] = static_cast<std::uint16_t>(entries);
        }
        space.mapped[row] = slots[slot] - 1;
        if (row == kDictionaryTrialRows && entries > row - row / 4) return 0;
    }
    return entries <= texts.size() / 2 || entries == 1 ? entries : 0;
}

/// The entries one after the other at the end of the writer; nullptr when they do not fit.
template <typename EntryAt>
const std::byte *gather(std::size_t count, std::uint64_t total, EntryAt entry_at, ByteWriter &out) noexcept {
    std::byte *raw = out.take(total);
    if (raw == nullptr) return nullptr;
    for (std::size_t i = 0, at = 0; i < count; ++i) {
        const Text &text = entry_at(i);
        if (text.size != 0) std::memcpy(raw + at, text.data, text.size);
        at += text.size;
    }
    return raw;
}

/// lengths, frame_bytes and the entries.
template <typename EntryAt>
Status write_entries(std::size_t count, EntryAt entry_at, EncodeSpace &space, ByteWriter &out) noexcept {
    std::uint64_t total = 0;
    for (std::size_t i = 0; i < count; ++i) {
        space.lengths[i] = entry_at(i).size;
        total += entry_at(i).size;
    }
    if (const Status status = encode_integers({space.lengths, count}, space, out); !status.ok()) return status;

    // The entries are gathered where they will be, with room before them for frame_bytes.
    const std::size_t mark = out.size();
    if (out.take(kVarintBytesMax) == nullptr) return out.status();
    const std::byte *raw = count == 1 ? entry_at(0).data : gather(count, total, entry_at, out);
    if (raw == nullptr && total != 0) return out.status();
    std::size_t frame_bytes = 0;
    std::byte *frame = out.end();
    if (total >= kCompressBytesMin) {
        const std::size_t room = std::min<std::uint64_t>(out.room(), total - total / 16);
        frame_bytes = space.compressor->compress({raw, static_cast<std::size_t>(total)}, {frame, room});
    }
    out.rewind(mark);
    out.varint(frame_bytes);
    const std::size_t kept_bytes = frame_bytes != 0 ? frame_bytes : static_cast<std::size_t>(total);
    std::byte *entries = out.take(kept_bytes);
    if (entries != nullptr && kept_bytes != 0) std::memmove(entries, frame_bytes != 0 ? frame : raw, kept_bytes);
    return out.status();
}

Status read_entries(ByteReader &in, std::uint32_t count, Arena &arena, DecodedTexts *texts) noexcept {
    auto *lengths = arena.array<std::int64_t>(count);
    auto *offsets = arena.array<std::uint64_t>(std::size_t{count} + 1);
    if (lengths == nullptr || offsets == nullptr) return {StatusCode::out_of_memory, "no memory to decode texts"};
    if (const Status status = decode_integers(in, {lengths, count}, arena); !status.ok()) return status;
    offsets[0] = 0;
    for (std::uint32_t i = 0; i < count; ++i) {
        if (static_cast<std::uint64_t>(lengths[i]) > kTextBytesMax)
            return {StatusCode::corrupt, "a text has an impossible length"};
        offsets[i + 1] = offsets[i] + static_cast<std::uint64_t>(lengths[i]);
    }
    const std::uint64_t total = offsets[count];
    const std::uint64_t frame_bytes = in.varint();
    const std::span<const std::byte> stored = in.bytes(frame_bytes == 0 ? total : frame_bytes);
    if (in.failed()) return in.status();
    texts->data = stored.data();
    texts->offsets = offsets;
    texts->entry_count = count;
    if (frame_bytes == 0) return Status::success();
    if (!plausible_content(frame_bytes, total)) return {StatusCode::corrupt, "a compressed frame cannot hold so many bytes"};
    auto *content = arena.array<std::byte>(total);
    if (content == nullptr) return {StatusCode::out_of_memory, "no memory to decode texts"};
    texts->data = content;
    return decompress(stored, {content, static_cast<std::size_t>(total)});
}

}  // namespace

Status encode_texts(std::span<const Text> texts, EncodeSpace &space, ByteWriter &out) noexcept {
    const std::size_t entries = find_entries(texts, space);
    if (entries == 0) {
        out.u8(static_cast<std::uint8_t>(CodecId::plain_texts));
        return write_entries(
            texts.size(), [&](std::size_t i) -> const Text & { return texts[i]; }, space, out);
    }
    out.u8(static_cast<std::uint8_t>(CodecId::dictionary_texts));
    out.varint(entries);
    const auto entry_at = [&](std::size_t i) -> const Text & { return texts[space.positions[i]]; };
    if (const Status status = write_entries(entries, entry_at, space, out); !status.ok()) return status;
    return encode_integers({space.mapped, texts.size()}, space, out);
}

Status decode_text_range(ByteReader &in, const WantedRows &wanted, Arena &arena, DecodedTexts *texts) noexcept {
    const auto id = static_cast<CodecId>(in.u8());
    if (in.failed()) return in.status();
    if (id != CodecId::plain_texts && id != CodecId::dictionary_texts) {
        return {StatusCode::unsupported, "a stream of texts has a codec number that cannot be here"};
    }
    const std::uint64_t entries = id == CodecId::plain_texts ? wanted.row_count : in.varint();
    if (entries == 0 || entries > wanted.row_count)
        return {StatusCode::corrupt, "a dictionary has an impossible number of entries"};
    if (const Status status = read_entries(in, static_cast<std::uint32_t>(entries), arena, texts); !status.ok()) return status;

    auto *entry_of_row = arena.array<std::uint32_t>(wanted.count);
    if (entry_of_row == nullptr) return {StatusCode::out_of_memory, "no memory to decode texts"};
    texts->entry_of_row = entry_of_row;
    if (id == CodecId::plain_texts) {
        for (std::uint32_t i = 0; i < wanted.count; ++i) entry_of_row[i] = wanted.first + i;
        return Status::success();
    }
    auto *indexes = arena.array<std::int64_t>(wanted.count);
    if (indexes == nullptr) return {StatusCode::out_of_memory, "no memory to decode texts"};
    const Status status = decode_integer_range(in, {wanted.row_count, wanted.first, {indexes, wanted.count}}, arena);
    if (!status.ok()) return status;
    std::uint64_t index_max = 0;
    for (std::uint32_t i = 0; i < wanted.count; ++i) {
        index_max = std::max(index_max, static_cast<std::uint64_t>(indexes[i]));
        entry_of_row[i] = static_cast<std::uint32_t>(indexes[i]);
    }
    if (index_max >= entries) return {StatusCode::corrupt, "an index lies outside the dictionary"};
    return Status::success();
}

Status decode_texts(ByteReader &in, std::uint32_t row_count, Arena &arena, DecodedTexts *texts) noexcept {
    return decode_text_range(in, {row_count, 0, row_count}, arena, texts);
}

}  // namespace historian::codec
