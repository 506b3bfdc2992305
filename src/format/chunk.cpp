#include "format/chunk.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "codec/codec_id.h"
#include "codec/floats.h"
#include "codec/hash.h"
#include "codec/nulls.h"
#include "format/version.h"

namespace historian::format {
namespace {

using codec::ByteReader;
using codec::ByteWriter;
using codec::CodecId;

constexpr std::size_t kFieldsBytesMax = 16;

std::uint32_t chunk_checksum(std::span<const std::byte> stream) noexcept {
    return static_cast<std::uint32_t>(codec::hash_bytes(stream));
}

Status end_chunk(std::size_t mark, ByteWriter &out) noexcept {
    if (const Status status = out.status(); !status.ok()) return status;
    out.u32(chunk_checksum(out.written_since(mark)));
    return out.status();
}

/// Copies the values that are not NULL; returns how many.
template <typename T>
std::uint32_t make_dense(const T *values, const std::uint8_t *nulls, std::uint32_t row_count, T *dense) noexcept {
    std::uint32_t count = 0;
    for (std::uint32_t row = 0; row < row_count; ++row) {
        dense[count] = values[row];
        count += nulls[row] == 0;
    }
    return count;
}

/// What a chunk with NULLs begins with; the whole of its stream when no value is left.
Status write_mask(std::span<const std::uint8_t> nulls, std::size_t value_count, ByteWriter &out) noexcept {
    out.u8(static_cast<std::uint8_t>(value_count == 0 ? CodecId::all_null : CodecId::nullable));
    return value_count == 0 ? Status::success() : codec::encode_nulls(nulls, out);
}

/// The mask of nulls, when there is one, and the values that are left. Writes a whole stream when none is.
template <typename Rows>
auto encode_mask(const Rows &rows, ByteWriter &out, Status *status) noexcept {
    std::span values{rows.values, rows.row_count};
    *status = Status::success();
    if (rows.nulls == nullptr || std::memchr(rows.nulls, 1, rows.row_count) == nullptr) return values;
    const std::uint32_t count = make_dense(rows.values, rows.nulls, rows.row_count, rows.dense);
    *status = write_mask({rows.nulls, rows.row_count}, count, out);
    return decltype(values){rows.dense, count};
}

/// What a value chunk begins with.
struct Mask {
    std::uint8_t *nulls = nullptr;
    std::uint32_t value_count = 0;  // rows that are not NULL
};

Status decode_mask(ByteReader &in, std::uint32_t row_count, Arena &arena, Mask *mask) noexcept {
    mask->value_count = row_count;
    ByteReader after = in;
    const auto id = static_cast<CodecId>(after.u8());
    if (id != CodecId::all_null && id != CodecId::nullable) return in.status();
    in = after;
    mask->nulls = arena.array<std::uint8_t>(row_count);
    if (mask->nulls == nullptr) return {StatusCode::out_of_memory, "no memory to decode nulls"};
    if (id == CodecId::all_null) {
        std::memset(mask->nulls, 1, row_count);
        mask->value_count = 0;
        return in.status();
    }
    std::uint32_t null_count = 0;
    if (const Status status = codec::decode_nulls(in, {mask->nulls, row_count}, &null_count); !status.ok()) return status;
    if (null_count == 0 || null_count == row_count) return {StatusCode::corrupt, "a mask of nulls says nothing"};
    mask->value_count = row_count - null_count;
    return Status::success();
}

/// The rows of a chunk that are wanted, and which of its values that are not NULL are theirs.
struct Wanted {
    std::uint32_t row_first = 0;
    std::uint32_t row_count = 0;
    std::uint32_t value_first = 0;
    std::uint32_t value_count = 0;
};

Wanted find_wanted(const Mask &mask, RowRange rows) noexcept {
    if (mask.nulls == nullptr) return {rows.first, rows.count, rows.first, rows.count};
    const std::uint8_t *first = mask.nulls + rows.first;
    const auto before = static_cast<std::uint32_t>(std::count(mask.nulls, mask.nulls + rows.first, 0));
    return {rows.first, rows.count, before, static_cast<std::uint32_t>(std::count(first, first + rows.count, 0))};
}

/// From the values that are not NULL, at the front, to one a row, in place.
void spread_numbers(const Mask &mask, const Wanted &wanted, std::int64_t *numbers) noexcept {
    std::uint32_t next = wanted.value_count;
    for (std::uint32_t i = wanted.row_count; i-- > 0;) {
        if (mask.nulls[wanted.row_first + i] == 0) {
            numbers[i] = numbers[--next];
        } else {
            numbers[i] = 0;
        }
    }
}

template <typename Narrow>
bool all_fit(std::span<const std::int64_t> numbers) noexcept {
    std::uint64_t lost = 0;
    for (const std::int64_t number : numbers) lost |= static_cast<std::uint64_t>(number ^ static_cast<Narrow>(number));
    return lost == 0;
}

/// Whether the numbers are datums of their kind.
bool all_fit(PhysicalKind kind, std::span<const std::int64_t> numbers) noexcept {
    switch (kind) {
        case PhysicalKind::int1: return all_fit<std::int8_t>(numbers);
        case PhysicalKind::int2: return all_fit<std::int16_t>(numbers);
        case PhysicalKind::int4:
        case PhysicalKind::float4: return all_fit<std::int32_t>(numbers);
        default: return true;
    }
}

Status decode_numbers(ByteReader &in, const Mask &mask, const Wanted &wanted, Arena &arena, ColumnVector *decoded) noexcept {
    auto *numbers = arena.array<std::int64_t>(wanted.row_count);
    if (numbers == nullptr) return {StatusCode::out_of_memory, "no memory to decode numbers"};
    decoded->numbers = numbers;
    const codec::WantedValues values{mask.value_count, wanted.value_first, {numbers, wanted.value_count}};
    if (mask.value_count != 0) {
        Status status;
        if (decoded->kind == PhysicalKind::float8) {
            status = codec::decode_float_range(in, codec::FloatSize::eight, values, arena);
        } else if (decoded->kind == PhysicalKind::float4) {
            status = codec::decode_float_range(in, codec::FloatSize::four, values, arena);
        } else {
            status = codec::decode_integer_range(in, values, arena);
        }
        if (!status.ok()) return status;
        if (!all_fit(decoded->kind, values.values)) return {StatusCode::corrupt, "a number does not fit its column"};
    }
    if (mask.nulls != nullptr) spread_numbers(mask, wanted, numbers);
    return in.status_at_end();
}

/// Entries of no row at all.
Status no_texts(Arena &arena, codec::DecodedTexts *texts) noexcept {
    auto *offsets = arena.array<std::uint64_t>(1);
    if (offsets == nullptr) return {StatusCode::out_of_memory, "no memory to decode texts"};
    offsets[0] = 0;
    texts->offsets = offsets;
    return Status::success();
}

/// texts   of the values that are not NULL
Status put_texts(const codec::DecodedTexts &texts, const std::uint8_t *nulls, const Wanted &wanted, Arena &arena,
                 ColumnVector *decoded) noexcept {
    decoded->entry_data = texts.data;
    decoded->entry_offsets = texts.offsets;
    decoded->entry_count = texts.entry_count;
    decoded->entry_of_row = texts.entry_of_row;
    if (nulls == nullptr) return Status::success();
    auto *entry_of_row = arena.array<std::uint32_t>(wanted.row_count);
    if (entry_of_row == nullptr) return {StatusCode::out_of_memory, "no memory to decode texts"};
    std::uint32_t next = 0;
    for (std::uint32_t i = 0; i < wanted.row_count; ++i) {
        entry_of_row[i] = nulls[wanted.row_first + i] != 0 ? 0 : texts.entry_of_row[next++];
    }
    decoded->entry_of_row = entry_of_row;
    return Status::success();
}

Status decode_entries(ByteReader &in, ColumnType type, const Mask &mask, const Wanted &wanted, Arena &arena,
                      ColumnVector *decoded) noexcept {
    codec::DecodedTexts texts;
    if (const Status status = no_texts(arena, &texts); !status.ok()) return status;
    if (mask.value_count != 0) {
        const codec::WantedRows values{mask.value_count, wanted.value_first, wanted.value_count};
        if (const Status status = codec::decode_text_range(in, values, arena, &texts); !status.ok()) return status;
    }
    if (type.kind == PhysicalKind::fixed) {
        for (std::uint32_t e = 0; e < texts.entry_count; ++e) {
            if (texts.offsets[e + 1] - texts.offsets[e] != type.fixed_bytes) {
                return {StatusCode::corrupt, "a value of a fixed size has another size"};
            }
        }
    }
    if (const Status status = put_texts(texts, mask.nulls, wanted, arena, decoded); !status.ok()) return status;
    return in.status_at_end();
}

}  // namespace

std::size_t number_chunk_bytes_max(std::uint32_t row_count) noexcept {
    return codec::floats_bytes_max(row_count) + codec::nulls_bytes_max(row_count) + kFieldsBytesMax;
}

std::size_t text_chunk_bytes_max(const TextRows &rows) noexcept {
    std::uint64_t content_bytes = 0;
    for (std::uint32_t row = 0; row < rows.row_count; ++row) content_bytes += rows.values[row].size;
    return codec::texts_bytes_max(rows.row_count, content_bytes) + codec::nulls_bytes_max(rows.row_count) + kFieldsBytesMax;
}

std::size_t tag_chunk_bytes_max(std::uint32_t tag_count) noexcept {
    return codec::integers_bytes_max(tag_count) + kFieldsBytesMax;
}

Status encode_number_chunk(const NumberRows &rows, codec::EncodeSpace &space, ByteWriter &out) noexcept {
    const std::size_t mark = out.size();
    Status status;
    const std::span<const std::int64_t> values = encode_mask(rows, out, &status);
    if (status.ok() && !values.empty()) {
        if (rows.kind == PhysicalKind::float8) {
            status = codec::encode_floats(values, codec::FloatSize::eight, space, out);
        } else if (rows.kind == PhysicalKind::float4) {
            status = codec::encode_floats(values, codec::FloatSize::four, space, out);
        } else {
            status = codec::encode_integers(values, space, out);
        }
    }
    return status.ok() ? end_chunk(mark, out) : status;
}

Status encode_text_chunk(const TextRows &rows, codec::EncodeSpace &space, ByteWriter &out) noexcept {
    const std::size_t mark = out.size();
    Status status;
    const std::span<const codec::Text> values = encode_mask(rows, out, &status);
    if (status.ok() && !values.empty()) status = codec::encode_texts(values, space, out);
    return status.ok() ? end_chunk(mark, out) : status;
}

std::size_t message_chunk_bytes_max(const codec::TemplateBuilder &builder, const MessageRows &rows) noexcept {
    return codec::template_granule_bytes_max(builder, rows.messages) + codec::nulls_bytes_max(rows.row_count) + kFieldsBytesMax;
}

Status encode_message_chunk(codec::TemplateBuilder &builder, const MessageRows &rows, codec::EncodeSpace &space,
                            ByteWriter &out) noexcept {
    const std::size_t mark = out.size();
    Status status;
    if (rows.messages.size() < rows.row_count) status = write_mask({rows.nulls, rows.row_count}, rows.messages.size(), out);
    if (status.ok() && !rows.messages.empty()) status = codec::encode_template_granule(builder, rows.messages, space, out);
    return status.ok() ? end_chunk(mark, out) : status;
}

Status encode_model_chunk(const codec::TemplateBuilder &builder, codec::EncodeSpace &space, ByteWriter &out) noexcept {
    const std::size_t mark = out.size();
    const Status status = codec::encode_template_model(builder, space, out);
    return status.ok() ? end_chunk(mark, out) : status;
}

Status encode_tag_chunk(std::span<const std::int64_t> rows_per_tag, codec::EncodeSpace &space, ByteWriter &out) noexcept {
    const std::size_t mark = out.size();
    out.u8(static_cast<std::uint8_t>(CodecId::tag_runs));
    if (rows_per_tag.size() > 1) {
        if (const Status status = codec::encode_integers(rows_per_tag, space, out); !status.ok()) return status;
    }
    return end_chunk(mark, out);
}

Status open_chunk(std::span<const std::byte> chunk, std::span<const std::byte> *stream) noexcept {
    if (chunk.size() < kChunkBytesMin) return {StatusCode::truncated, "a chunk is shorter than its checksum"};
    *stream = chunk.first(chunk.size() - kChunkChecksumBytes);
    ByteReader tail{chunk.last(kChunkChecksumBytes)};
    [[maybe_unused]] const std::uint32_t checksum = tail.u32();
#ifndef HISTORIAN_FUZZING  // a fuzzer cannot guess checksums; without them it reaches the decoders
    if (checksum != chunk_checksum(*stream)) return {StatusCode::corrupt, "the checksum of a chunk does not match its bytes"};
#endif
    return Status::success();
}

Status decode_value_chunk(ColumnType type, std::uint32_t row_count, std::span<const std::byte> chunk, RowRange rows, Arena &arena,
                          ColumnVector *decoded) noexcept {
    *decoded = {};
    decoded->row_count = row_count;
    decoded->kind = type.kind;
    decoded->row_first = rows.first;
    std::span<const std::byte> stream;
    if (const Status status = open_chunk(chunk, &stream); !status.ok()) return status;
    ByteReader in{stream};
    Mask mask;
    if (const Status status = decode_mask(in, row_count, arena, &mask); !status.ok()) return status;
    decoded->nulls = mask.nulls;
    const Wanted wanted = find_wanted(mask, rows);
    return is_number(type.kind) ? decode_numbers(in, mask, wanted, arena, decoded)
                                : decode_entries(in, type, mask, wanted, arena, decoded);
}

namespace {

/// Brings the rest of a chunk and checks the whole.
Status load_chunk(void *owner) noexcept {
    const OpenChunk &chunk = *static_cast<const OpenChunk *>(owner);
    if (const Status status = chunk.late.load(chunk.late.owner); !status.ok()) return status;
    std::span<const std::byte> stream;
    return open_chunk(chunk.bytes, &stream);
}

/// Opens messages without NULLs whose beginning is there: it has a checksum of its own.
Status open_late_messages(std::uint32_t row_count, const OpenChunk &chunk, Arena &arena, OpenMessages *messages) noexcept {
    void *memory = arena.allocate(sizeof(OpenChunk));
    if (memory == nullptr) return {StatusCode::out_of_memory, "no memory to decode texts"};
    OpenChunk *copy = new (memory) OpenChunk(chunk);
    const std::span<const std::byte> stream = chunk.bytes.first(chunk.bytes.size() - kChunkChecksumBytes);
    const codec::LateBytes late{load_chunk, copy, std::min(chunk.late.loaded, stream.size())};
    messages->value_count = row_count;
    return codec::open_template_granule(*chunk.model, stream, row_count, arena, &messages->granule, late);
}

}  // namespace

Status open_messages(std::uint32_t row_count, OpenChunk &chunk, Arena &arena) noexcept {
    if (chunk.messages != nullptr) return Status::success();
    void *memory = arena.allocate(sizeof(OpenMessages));
    if (memory == nullptr) return {StatusCode::out_of_memory, "no memory to decode texts"};
    OpenMessages &messages = *new (memory) OpenMessages{};
    messages.row_count = row_count;
    if (chunk.late.load != nullptr) {
        const bool has_head = chunk.late.loaded > 0 && chunk.bytes.size() > kChunkBytesMin &&
                              static_cast<CodecId>(chunk.bytes[0]) == CodecId::template_texts;
        if (has_head) {
            const Status status = open_late_messages(row_count, chunk, arena, &messages);
            if (status.ok()) chunk.messages = &messages;
            return status;
        }
        if (const Status status = chunk.late.load(chunk.late.owner); !status.ok()) return status;
        chunk.late = {};
    }
    std::span<const std::byte> stream;
    if (const Status status = open_chunk(chunk.bytes, &stream); !status.ok()) return status;
    ByteReader in{stream};
    Mask mask;
    if (const Status status = decode_mask(in, row_count, arena, &mask); !status.ok()) return status;
    messages.nulls = mask.nulls;
    messages.value_count = mask.value_count;
    Status status;
    if (mask.value_count != 0) {
        const std::span<const std::byte> granule = in.bytes(in.remaining());
        status = codec::open_template_granule(*chunk.model, granule, mask.value_count, arena, &messages.granule);
    } else {
        status = in.status_at_end();
    }
    if (status.ok()) chunk.messages = &messages;
    return status;
}

namespace {

ColumnVector column_of(const OpenMessages &messages) noexcept {
    ColumnVector column{};
    column.row_count = messages.row_count;
    column.kind = PhysicalKind::bytes;
    column.nulls = messages.nulls;
    return column;
}

}  // namespace

Status decode_messages(const OpenMessages &messages, Arena &arena, ColumnVector *decoded) noexcept {
    *decoded = column_of(messages);
    codec::DecodedTexts texts;
    if (const Status status = no_texts(arena, &texts); !status.ok()) return status;
    if (messages.value_count != 0) {
        if (const Status status = codec::decode_template_granule(*messages.granule, &texts); !status.ok()) return status;
    }
    return put_texts(texts, messages.nulls, {0, messages.row_count, 0, messages.value_count}, arena, decoded);
}

Status decode_message_rows(const OpenMessages &messages, std::span<const std::uint32_t> rows, Arena &arena,
                           ColumnVector *decoded) noexcept {
    *decoded = column_of(messages);
    decoded->row_first = rows.front();
    const std::uint32_t row_span = rows.back() - rows.front() + 1;
    auto *entry_of_row = arena.array<std::uint32_t>(row_span);
    auto *values = arena.array<std::uint32_t>(rows.size());
    auto *no_text = arena.array<std::uint64_t>(2);
    if (entry_of_row == nullptr || values == nullptr || no_text == nullptr) {
        return {StatusCode::out_of_memory, "no memory to decode texts"};
    }
    std::fill_n(entry_of_row, row_span, 0u);
    no_text[0] = no_text[1] = 0;
    decoded->entry_of_row = entry_of_row;
    decoded->entry_offsets = no_text;
    decoded->entry_count = messages.value_count != 0 ? 1 : 0;

    // The wanted rows by their places among those that are not NULL.
    const auto is_null = [&](std::uint32_t row) { return messages.nulls != nullptr && messages.nulls[row] != 0; };
    std::uint32_t count = 0;
    std::uint32_t nulls_before = 0;
    std::uint32_t row = 0;
    for (const std::uint32_t wanted : rows) {
        for (; messages.nulls != nullptr && row < wanted; ++row) nulls_before += messages.nulls[row];
        if (!is_null(wanted)) values[count++] = wanted - nulls_before;
    }
    if (count == 0) return Status::success();
    codec::DecodedTexts texts;
    if (const Status status = codec::decode_template_rows(*messages.granule, {values, count}, &texts); !status.ok())
        return status;
    decoded->entry_data = texts.data;
    decoded->entry_offsets = texts.offsets;
    decoded->entry_count = texts.entry_count;
    const std::uint32_t *entry = texts.entry_of_row;
    for (const std::uint32_t wanted : rows) {
        if (!is_null(wanted)) entry_of_row[wanted - rows.front()] = *entry++;
    }
    return Status::success();
}

Status decode_tag_chunk(std::uint32_t row_count, std::span<const std::byte> chunk, Arena &arena,
                        std::span<std::int64_t> rows_per_tag) noexcept {
    std::span<const std::byte> stream;
    if (const Status status = open_chunk(chunk, &stream); !status.ok()) return status;
    ByteReader in{stream};
    if (static_cast<CodecId>(in.u8()) != CodecId::tag_runs) {
        return {StatusCode::unsupported, "a tag column has a codec number that cannot be here"};
    }
    if (rows_per_tag.size() == 1) {
        rows_per_tag[0] = row_count;
        return in.status_at_end();
    }
    if (const Status status = codec::decode_integers(in, rows_per_tag, arena); !status.ok()) return status;
    std::uint64_t total = 0;
    for (const std::int64_t rows : rows_per_tag) {
        if (rows < 1 || rows > row_count) return {StatusCode::corrupt, "a tag has an impossible number of rows"};
        total += static_cast<std::uint64_t>(rows);
    }
    if (total != row_count) return {StatusCode::corrupt, "the rows of the tags are not the rows of the granule"};
    return in.status_at_end();
}

}  // namespace historian::format
