#include "format/chunk.h"

#include <algorithm>
#include <cstring>

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

/// From the values that are not NULL, at the front, to one a row, in place.
void spread_numbers(const Mask &mask, std::uint32_t row_count, std::int64_t *numbers) noexcept {
    std::uint32_t next = mask.value_count;
    for (std::uint32_t row = row_count; row-- > 0;) {
        if (mask.nulls[row] == 0) {
            numbers[row] = numbers[--next];
        } else {
            numbers[row] = 0;
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

Status decode_numbers(ByteReader &in, const Mask &mask, Arena &arena, ColumnVector *decoded) noexcept {
    auto *numbers = arena.array<std::int64_t>(decoded->row_count);
    if (numbers == nullptr) return {StatusCode::out_of_memory, "no memory to decode numbers"};
    decoded->numbers = numbers;
    const std::span<std::int64_t> values{numbers, mask.value_count};
    if (mask.value_count != 0) {
        Status status;
        if (decoded->kind == PhysicalKind::float8) {
            status = codec::decode_floats(in, codec::FloatSize::eight, values, arena);
        } else if (decoded->kind == PhysicalKind::float4) {
            status = codec::decode_floats(in, codec::FloatSize::four, values, arena);
        } else {
            status = codec::decode_integers(in, values, arena);
        }
        if (!status.ok()) return status;
        if (!all_fit(decoded->kind, values)) return {StatusCode::corrupt, "a number does not fit its column"};
    }
    if (mask.nulls != nullptr) spread_numbers(mask, decoded->row_count, numbers);
    return in.status_at_end();
}

Status decode_messages(ByteReader &in, const codec::TemplateModel &model, std::uint32_t count, Arena &arena,
                       codec::DecodedTexts *texts) noexcept {
    codec::TemplateGranule *granule = nullptr;
    const std::span<const std::byte> stream = in.bytes(in.remaining());
    if (const Status status = codec::open_template_granule(model, stream, count, arena, &granule); !status.ok()) return status;
    return codec::decode_template_granule(*granule, texts);
}

Status decode_entries(ByteReader &in, ColumnType type, const Mask &mask, const codec::TemplateModel *model, Arena &arena,
                      ColumnVector *decoded) noexcept {
    codec::DecodedTexts texts;
    if (mask.value_count != 0) {
        const Status status = model != nullptr && type.kind == PhysicalKind::bytes
                                  ? decode_messages(in, *model, mask.value_count, arena, &texts)
                                  : codec::decode_texts(in, mask.value_count, arena, &texts);
        if (!status.ok()) return status;
    } else {
        auto *offsets = arena.array<std::uint64_t>(1);
        if (offsets == nullptr) return {StatusCode::out_of_memory, "no memory to decode texts"};
        offsets[0] = 0;
        texts.offsets = offsets;
    }
    if (type.kind == PhysicalKind::fixed) {
        for (std::uint32_t e = 0; e < texts.entry_count; ++e) {
            if (texts.offsets[e + 1] - texts.offsets[e] != type.fixed_bytes) {
                return {StatusCode::corrupt, "a value of a fixed size has another size"};
            }
        }
    }
    decoded->entry_data = texts.data;
    decoded->entry_offsets = texts.offsets;
    decoded->entry_count = texts.entry_count;
    decoded->entry_of_row = texts.entry_of_row;
    if (mask.nulls != nullptr) {
        auto *entry_of_row = arena.array<std::uint32_t>(decoded->row_count);
        if (entry_of_row == nullptr) return {StatusCode::out_of_memory, "no memory to decode texts"};
        std::uint32_t next = 0;
        for (std::uint32_t row = 0; row < decoded->row_count; ++row) {
            entry_of_row[row] = mask.nulls[row] != 0 ? 0 : texts.entry_of_row[next++];
        }
        decoded->entry_of_row = entry_of_row;
    }
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

Status decode_value_chunk(ColumnType type, std::uint32_t row_count, std::span<const std::byte> chunk,
                          const codec::TemplateModel *model, Arena &arena, ColumnVector *decoded) noexcept {
    *decoded = {};
    decoded->row_count = row_count;
    decoded->kind = type.kind;
    std::span<const std::byte> stream;
    if (const Status status = open_chunk(chunk, &stream); !status.ok()) return status;
    ByteReader in{stream};
    Mask mask;
    if (const Status status = decode_mask(in, row_count, arena, &mask); !status.ok()) return status;
    decoded->nulls = mask.nulls;
    return is_number(type.kind) ? decode_numbers(in, mask, arena, decoded)
                                : decode_entries(in, type, mask, model, arena, decoded);
}

Status open_message_chunk(std::uint32_t row_count, std::span<const std::byte> chunk, const codec::TemplateModel &model,
                          Arena &arena, OpenMessages *messages) noexcept {
    *messages = {};
    std::span<const std::byte> stream;
    if (const Status status = open_chunk(chunk, &stream); !status.ok()) return status;
    ByteReader in{stream};
    Mask mask;
    if (const Status status = decode_mask(in, row_count, arena, &mask); !status.ok()) return status;
    messages->nulls = mask.nulls;
    messages->value_count = mask.value_count;
    if (mask.value_count == 0) return in.status_at_end();
    return codec::open_template_granule(model, in.bytes(in.remaining()), mask.value_count, arena, &messages->granule);
}

Status decode_message_rows(std::uint32_t row_count, std::span<const std::byte> chunk, const codec::TemplateModel &model,
                           std::span<const std::uint32_t> rows, Arena &arena, ColumnVector *decoded) noexcept {
    *decoded = {};
    decoded->row_count = row_count;
    decoded->kind = PhysicalKind::bytes;
    OpenMessages messages;
    if (const Status status = open_message_chunk(row_count, chunk, model, arena, &messages); !status.ok()) return status;
    decoded->nulls = messages.nulls;
    auto *entry_of_row = arena.array<std::uint32_t>(row_count);
    auto *values = arena.array<std::uint32_t>(rows.size());
    auto *no_text = arena.array<std::uint64_t>(2);
    if (entry_of_row == nullptr || values == nullptr || no_text == nullptr) {
        return {StatusCode::out_of_memory, "no memory to decode texts"};
    }
    std::fill_n(entry_of_row, row_count, 0u);
    no_text[0] = no_text[1] = 0;
    decoded->entry_of_row = entry_of_row;
    decoded->entry_offsets = no_text;
    decoded->entry_count = messages.value_count != 0 ? 1 : 0;

    // The wanted rows by their places among those that are not NULL.
    std::uint32_t count = 0;
    std::uint32_t place = 0;
    std::uint32_t row = 0;
    for (const std::uint32_t wanted : rows) {
        for (; row < wanted; ++row) place += messages.nulls == nullptr || messages.nulls[row] == 0;
        if (messages.nulls == nullptr || messages.nulls[wanted] == 0) values[count++] = place;
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
        if (messages.nulls == nullptr || messages.nulls[wanted] == 0) entry_of_row[wanted] = *entry++;
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
