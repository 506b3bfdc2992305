// Writing granules and the model (templates.h).
#include <algorithm>
#include <cstring>
#include <utility>

#include "codec/codec_id.h"
#include "codec/hash.h"
#include "codec/template_builder.h"
#include "codec/template_numbers.h"
#include "codec/text_block.h"

namespace historian::codec {
namespace {

// When templates leave more than this share of the messages' bytes, compressing them whole may be better.
constexpr std::uint64_t kPlainTrialShare = 3;

Status count_values(TemplateBuilder &builder, std::span<const std::uint32_t> messages) noexcept {
    GatheredGranule &gathered = builder.gathered;
    for (std::uint32_t c = 0; c < builder.column_count; ++c) gathered.columns[c].count = 0;
    std::size_t total = 0;
    for (const std::uint32_t i : messages) {
        const RawTemplate *raw = builder.raw_template_of(builder.message(i));
        if (raw == nullptr) continue;
        total += raw->hole_source_count;
        for (std::uint32_t h = 0; h < raw->hole_source_count; ++h) ++gathered.columns[raw->holes[h].column].count;
    }
    if (!gathered.values.ensure(*builder.arena, total) || !gathered.rows.ensure(*builder.arena, total))
        return no_builder_memory();
    std::size_t used = 0;
    for (std::uint32_t c = 0; c < builder.column_count; ++c) {
        ColumnValues &column = gathered.columns[c];
        column.values = gathered.values.items + used;
        column.rows = gathered.rows.items + used;
        used += column.count;
        column.count = 0;
    }
    return Status::success();
}

/// From words' numbers in the table to those in the dictionary.
Status number_words(TemplateBuilder &builder) noexcept {
    GatheredGranule &gathered = builder.gathered;
    std::size_t values = 0;
    std::size_t columns = 0;
    for (std::uint32_t c = 0; c < builder.column_count; ++c) {
        if (builder.columns[c].type.kind != HoleKind::word || gathered.columns[c].count == 0) continue;
        values += gathered.columns[c].count;
        ++columns;
    }
    if (!gathered.other_words.ensure(*builder.arena, values) || !gathered.other_counts.ensure(*builder.arena, columns)) {
        return no_builder_memory();
    }
    gathered.other_word_count = 0;
    gathered.word_column_count = 0;
    for (std::uint32_t c = 0; c < builder.column_count; ++c) {
        const ColumnValues &column = gathered.columns[c];
        if (builder.columns[c].type.kind != HoleKind::word || column.count == 0) continue;
        const std::uint32_t before = gathered.other_word_count;
        for (std::uint32_t i = 0; i < column.count; ++i) {
            const Word &word = builder.words.words.items[column.values[i]];
            if (word.dictionary == 0) gathered.other_words.items[gathered.other_word_count++] = {word.data, word.size};
            column.values[i] = word.dictionary;
        }
        gathered.other_counts.items[gathered.word_column_count++] = gathered.other_word_count - before;
    }
    return Status::success();
}

/// values minus guesses.
void subtract_guesses(const TemplateBuilder &builder, std::uint32_t c, std::int64_t *differences) noexcept {
    const BuilderColumn &column = builder.columns[c];
    const ColumnValues &own = builder.gathered.columns[c];
    const ColumnValues *context = column.context == kNoNumber ? nullptr : &builder.gathered.columns[column.context];
    const auto subtract = [&](std::uint32_t i, std::int64_t guess) {
        differences[i] = static_cast<std::int64_t>(static_cast<std::uint64_t>(own.values[i]) - static_cast<std::uint64_t>(guess));
        return own.values[i];
    };
    if (column.source == c)
        guess_from_past(own, context, subtract);
    else
        guess_from_source(own, builder.gathered.columns[column.source], context, subtract);
}

Status encode_small(const TemplateBuilder &builder, EncodeSpace &space, ByteWriter &out) noexcept {
    const std::size_t mark = out.size();
    if (out.take(kVarintBytesMax) == nullptr) return out.status();
    const std::byte *raw = out.end();
    for (std::uint32_t c = 0; c < builder.column_count; ++c) {
        const ColumnValues &column = builder.gathered.columns[c];
        if (column.count >= kColumnValuesMin) continue;
        std::uint64_t last = 0;
        for (std::uint32_t i = 0; i < column.count; ++i) {
            out.signed_varint(static_cast<std::int64_t>(static_cast<std::uint64_t>(column.values[i]) - last));
            last = static_cast<std::uint64_t>(column.values[i]);
        }
    }
    if (!out.status().ok()) return out.status();
    return compress_in_place({raw, static_cast<std::size_t>(out.end() - raw)}, mark, space, out);
}

Status encode_other_words(const GatheredGranule &gathered, EncodeSpace &space, ByteWriter &out) noexcept {
    if (const Status status = encode_integer_list({gathered.other_counts.items, gathered.word_column_count}, space, out);
        !status.ok()) {
        return status;
    }
    return encode_text_block({gathered.other_words.items, gathered.other_word_count}, space, out);
}

/// The streams of the columns that have one; their sizes go to gathered.sizes.
Status encode_columns(TemplateBuilder &builder, EncodeSpace &space, std::size_t *stream_count, ByteWriter &out) noexcept {
    GatheredGranule &gathered = builder.gathered;
    if (!gathered.sizes.ensure(*builder.arena, builder.column_count)) return no_builder_memory();
    for (std::uint32_t c = 0; c < builder.column_count; ++c) {
        const ColumnValues &column = gathered.columns[c];
        if (column.count < kColumnValuesMin) continue;
        std::span<const std::int64_t> values{column.values, column.count};
        if (builder.columns[c].source != kNoNumber) {
            subtract_guesses(builder, c, space.mapped);
            values = {space.mapped, column.count};
        }
        const std::size_t start = out.size();
        if (const Status status = encode_integers(values, space, out); !status.ok()) return status;
        gathered.sizes.items[(*stream_count)++] = static_cast<std::int64_t>(out.size() - start);
    }
    return out.status();
}

/// What the head says of the parts.
struct Parts {
    std::size_t sizes_bytes = 0;
    std::size_t numbers_bytes = 0;
    std::size_t small_bytes = 0;
    std::size_t words_bytes = 0;
    std::size_t escapes_bytes = 0;
    std::size_t stream_count = 0;
    std::uint8_t order = 0;
};

Status encode_escapes(TemplateBuilder &builder, std::span<const std::uint32_t> messages, EncodeSpace &space,
                      ByteWriter &out) noexcept {
    GatheredGranule &gathered = builder.gathered;
    std::size_t escapes = 0;
    for (std::size_t i = 0; i < messages.size(); ++i) {
        const Message &message = builder.message(messages[i]);
        if (gathered.numbers[i] == 0) gathered.texts[escapes++] = {message.data, message.size};
    }
    return encode_text_block({gathered.texts, escapes}, space, out);
}

/// All parts but the head and `sizes`, which are known last.
Status encode_parts(TemplateBuilder &builder, std::span<const std::uint32_t> messages, EncodeSpace &space, Parts *parts,
                    ByteWriter &out) noexcept {
    GatheredGranule &gathered = builder.gathered;
    std::size_t start = out.size();
    const auto bytes_of_part = [&] { return out.size() - std::exchange(start, out.size()); };
    const Followers followers{{builder.followers, std::size_t{builder.template_count} + 1}, gathered.latest_followers};
    Status status = encode_template_numbers({gathered.numbers, messages.size()}, followers, space, out, &parts->order);
    parts->numbers_bytes = bytes_of_part();
    if (status.ok()) status = encode_other_words(gathered, space, out);
    parts->words_bytes = bytes_of_part();
    if (status.ok()) status = encode_escapes(builder, messages, space, out);
    parts->escapes_bytes = bytes_of_part();
    out.u32(0);  // the head's checksum, which is known last
    bytes_of_part();
    if (status.ok()) status = encode_small(builder, space, out);
    parts->small_bytes = bytes_of_part();
    return status.ok() ? encode_columns(builder, space, &parts->stream_count, out) : status;
}

Status encode_templated(TemplateBuilder &builder, std::span<const std::uint32_t> messages, std::uint64_t content_bytes,
                        EncodeSpace &space, ByteWriter &out) noexcept {
    if (const Status status = gather_granule(builder, messages); !status.ok()) return status;
    const std::size_t mark = out.size();
    Parts parts;
    if (const Status status = encode_parts(builder, messages, space, &parts, out); !status.ok()) return status;
    const std::size_t sizes = out.size();
    const std::span<const std::int64_t> stream_sizes{builder.gathered.sizes.items, parts.stream_count};
    if (const Status status = encode_integer_list(stream_sizes, space, out); !status.ok()) return status;
    const std::size_t head = out.size();
    parts.sizes_bytes = head - sizes;
    out.u8(static_cast<std::uint8_t>(CodecId::template_texts));
    out.u8(parts.order);
    out.varint(content_bytes);
    for (const std::size_t size :
         {parts.sizes_bytes, parts.numbers_bytes, parts.words_bytes, parts.escapes_bytes, parts.small_bytes}) {
        out.varint(size);
    }
    if (!out.status().ok()) return out.status();
    // From parts, sizes, head to head, sizes, parts.
    std::byte *begin = out.end() - (out.size() - mark);
    std::byte *new_parts = std::rotate(begin, begin + (sizes - mark), out.end());
    std::rotate(begin, begin + parts.sizes_bytes, new_parts);
    const auto before_parts = static_cast<std::size_t>(new_parts - begin);
    const std::size_t head_bytes = before_parts + parts.numbers_bytes + parts.words_bytes + parts.escapes_bytes;
    const auto checksum = static_cast<std::uint32_t>(hash_bytes({begin, head_bytes}));
    std::memcpy(begin + head_bytes, &checksum, sizeof checksum);
    return Status::success();
}

}  // namespace

Status gather_granule(TemplateBuilder &builder, std::span<const std::uint32_t> messages) noexcept {
    if (const Status status = count_values(builder, messages); !status.ok()) return status;
    GatheredGranule &gathered = builder.gathered;
    for (std::size_t i = 0; i < messages.size(); ++i) {
        const Message &message = builder.message(messages[i]);
        const RawTemplate *raw = builder.raw_template_of(message);
        gathered.numbers[i] = raw == nullptr ? 0 : raw->number;
        if (raw == nullptr) continue;
        for (std::uint32_t h = 0; h < raw->hole_source_count; ++h) {
            const HoleSource &source = raw->holes[h];
            ColumnValues &column = gathered.columns[source.column];
            column.values[column.count] = source.place < 0 ? ~source.place : message.values[source.place];
            column.rows[column.count++] = static_cast<std::uint16_t>(i);
        }
    }
    return number_words(builder);
}

namespace {

/// What a granule's messages are before they are encoded.
struct GranuleContent {
    std::uint64_t content_bytes = 0;
    std::uint64_t escape_bytes = 0;  // of messages without a template
    std::size_t escape_count = 0;
    std::size_t value_count = 0;
};

GranuleContent look_at(const TemplateBuilder &builder, std::span<const std::uint32_t> messages) noexcept {
    GranuleContent content;
    for (const std::uint32_t i : messages) {
        const Message &message = builder.message(i);
        const RawTemplate *raw = builder.raw_template_of(message);
        content.content_bytes += message.size;
        if (raw != nullptr) content.value_count += raw->hole_source_count;
        if (raw != nullptr && raw->number != 0) continue;
        content.escape_bytes += message.size;
        ++content.escape_count;
    }
    return content;
}

}  // namespace

std::size_t template_granule_bytes_max(const TemplateBuilder &builder, std::span<const std::uint32_t> messages) noexcept {
    const GranuleContent content = look_at(builder, messages);
    const std::size_t plain = texts_bytes_max(messages.size(), content.content_bytes);
    if (content.escape_count == messages.size()) return plain;
    // A value: 24 bytes in a column, at most 64 / kColumnValuesMin of the column's own, or 10 in `small`, twice, and its length
    // and count among the other words. Both forms are written before the shorter is kept.
    return plain + 96 * content.value_count + 2 * (content.content_bytes - content.escape_bytes) +
           text_block_bytes_max(content.escape_count, content.escape_bytes) + 8 * integers_bytes_max(messages.size()) + 1024;
}

Status encode_template_granule(TemplateBuilder &builder, std::span<const std::uint32_t> messages, EncodeSpace &space,
                               ByteWriter &out) noexcept {
    const GranuleContent content = look_at(builder, messages);
    const std::size_t mark = out.size();
    std::size_t rival = mark;
    if (content.escape_count != messages.size()) {
        if (const Status status = encode_templated(builder, messages, content.content_bytes, space, out); !status.ok())
            return status;
        rival = out.size();
        if ((rival - mark) * kPlainTrialShare < content.content_bytes) return out.status();
    }
    for (std::size_t i = 0; i < messages.size(); ++i) {
        const Message &message = builder.message(messages[i]);
        builder.gathered.texts[i] = {message.data, message.size};
    }
    if (const Status status = encode_texts({builder.gathered.texts, messages.size()}, space, out); !status.ok()) return status;
    if (rival != mark) out.keep_shorter(mark, rival);
    return out.status();
}

std::size_t template_model_bytes_max(const TemplateBuilder &builder) noexcept {
    std::uint64_t text_bytes = 0;
    std::uint64_t word_bytes = 0;
    std::size_t holes = 0;
    for (std::uint32_t t = 0; t < builder.template_count; ++t) {
        text_bytes += builder.templates[t].text.size;
        holes += builder.templates[t].column_count;
    }
    for (std::uint32_t w = 0; w < builder.word_count; ++w) word_bytes += builder.dictionary[w].size;
    return text_block_bytes_max(builder.template_count, text_bytes) + text_block_bytes_max(builder.word_count, word_bytes) +
           integer_list_bytes_max(builder.template_count + 1) + integer_list_bytes_max(holes) +
           4 * integer_list_bytes_max(builder.column_count) + 256;
}

namespace {

/// Writes a list whose value i is value_at(i), through the space.
template <typename ValueAt>
Status encode_list(std::size_t count, ValueAt value_at, EncodeSpace &space, ByteWriter &out) noexcept {
    for (std::size_t done = 0; done < count; done += kStreamValuesMax) {
        const std::size_t some = std::min(kStreamValuesMax, count - done);
        for (std::size_t i = 0; i < some; ++i) space.mapped[i] = value_at(done + i);
        if (const Status status = encode_integers({space.mapped, some}, space, out); !status.ok()) return status;
    }
    return out.status();
}

Status encode_holes(const TemplateBuilder &builder, EncodeSpace &space, ByteWriter &out) noexcept {
    std::size_t count = 0;
    for (std::uint32_t t = 0; t < builder.template_count; ++t) count += builder.templates[t].column_count;
    std::uint32_t t = 0;
    std::uint32_t hole = 0;
    const auto next = [&](std::size_t) -> std::int64_t {
        while (hole == builder.templates[t].column_count) {
            ++t;
            hole = 0;
        }
        const std::uint32_t *columns = builder.templates[t].columns;
        const std::int64_t before = hole == 0 ? 0 : columns[hole - 1];
        return columns[hole++] - before;
    };
    return encode_list(count, next, space, out);
}

}  // namespace

Status encode_template_model(const TemplateBuilder &builder, EncodeSpace &space, ByteWriter &out) noexcept {
    out.u8(static_cast<std::uint8_t>(CodecId::template_model));
    out.varint(builder.template_count);
    out.varint(builder.column_count);
    out.varint(builder.word_count);
    // The texts stand in the templates; the block wants them side by side.
    auto *texts = builder.arena->array<Text>(builder.template_count);
    if (texts == nullptr) return no_builder_memory();
    for (std::uint32_t t = 0; t < builder.template_count; ++t) texts[t] = builder.templates[t].text;
    Status status = encode_text_block({texts, builder.template_count}, space, out);
    const auto follower = [&](std::size_t t) { return std::int64_t{builder.followers[t]}; };
    if (status.ok()) status = encode_list(std::size_t{builder.template_count} + 1, follower, space, out);
    if (status.ok()) status = encode_holes(builder, space, out);
    const BuilderColumn *columns = builder.columns;
    const std::size_t count = builder.column_count;
    const auto kind = [&](std::size_t c) { return static_cast<std::int64_t>(columns[c].type.kind); };
    const auto width = [&](std::size_t c) { return std::int64_t{columns[c].type.width}; };
    const auto source = [&](std::size_t c) {
        return columns[c].source == kNoNumber ? 0 : static_cast<std::int64_t>(c) - columns[c].source + 1;
    };
    const auto context = [&](std::size_t c) {
        return columns[c].context == kNoNumber ? 0 : static_cast<std::int64_t>(c) - columns[c].context;
    };
    if (status.ok()) status = encode_list(count, kind, space, out);
    if (status.ok()) status = encode_list(count, width, space, out);
    if (status.ok()) status = encode_list(count, source, space, out);
    if (status.ok()) status = encode_list(count, context, space, out);
    if (status.ok()) status = encode_text_block({builder.dictionary, builder.word_count}, space, out);
    return status;
}

}  // namespace historian::codec
