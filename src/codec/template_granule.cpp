// Opening a granule and decoding its columns (templates.h, template_model.h).
#include <algorithm>
#include <cstring>
#include <new>

#include "codec/codec_id.h"
#include "codec/hash.h"
#include "codec/template_model.h"
#include "codec/template_numbers.h"

namespace historian::codec {
namespace {

/// Adds how often each number occurs. Neighbours are counted apart where that costs little: the same counter twice in a row would
/// wait for itself.
void count_numbers(std::span<const std::uint32_t> numbers, std::span<std::uint32_t> counts) noexcept {
    constexpr std::size_t kApartMax = 512;
    if (counts.size() > kApartMax) {
        for (const std::uint32_t number : numbers) ++counts[number];
        return;
    }
    std::uint32_t apart[3][kApartMax];
    for (std::uint32_t(&others)[kApartMax] : apart) std::fill_n(others, counts.size(), 0u);
    std::size_t row = 0;
    for (; row + 4 <= numbers.size(); row += 4) {
        ++counts[numbers[row]];
        ++apart[0][numbers[row + 1]];
        ++apart[1][numbers[row + 2]];
        ++apart[2][numbers[row + 3]];
    }
    for (; row < numbers.size(); ++row) ++counts[numbers[row]];
    for (std::size_t n = 0; n < counts.size(); ++n) counts[n] += apart[0][n] + apart[1][n] + apart[2][n];
}

/// Which columns have values, how many, and where they are.
Status find_columns(TemplateGranule &granule, std::span<const std::byte> sizes_part,
                    std::span<const std::byte> streams) noexcept {
    const TemplateModel &model = *granule.model;
    Arena &arena = *granule.arena;
    auto *template_rows = arena.array<std::uint32_t>(std::size_t{model.texts.count} + 1);
    auto *counts = arena.array<std::uint32_t>(model.column_count);
    granule.slots = arena.array<std::uint32_t>(model.column_count);
    if (template_rows == nullptr || counts == nullptr || granule.slots == nullptr) return no_template_memory();
    granule.row_counts = template_rows;
    std::fill_n(template_rows, model.texts.count + 1, 0u);
    std::fill_n(counts, model.column_count, 0u);
    count_numbers({granule.numbers, granule.row_count}, {template_rows, std::size_t{model.texts.count} + 1});
    granule.escape_count = template_rows[0];
    for (std::uint32_t number = 1; number <= model.texts.count; ++number) {
        if (template_rows[number] == 0) continue;
        for (const std::uint32_t column : model.columns_of(number)) counts[column] += template_rows[number];
    }
    std::uint32_t present = 0;
    std::uint32_t stream_count = 0;
    for (std::uint32_t c = 0; c < model.column_count; ++c) {
        present += counts[c] != 0;
        stream_count += counts[c] >= kColumnValuesMin;
    }
    granule.columns = arena.array<GranuleColumn>(present);
    auto *sizes = arena.array<std::int64_t>(stream_count);
    if (granule.columns == nullptr || sizes == nullptr) return no_template_memory();
    ByteReader in{sizes_part};
    if (!plausible_list(stream_count, in.remaining())) return {StatusCode::corrupt, "a granule lacks sizes of columns"};
    if (const Status status = decode_integer_list(in, {sizes, stream_count}, arena); !status.ok()) return status;
    if (const Status status = in.status_at_end(); !status.ok()) return status;

    ByteReader parts{streams};
    std::uint32_t stream = 0;
    for (std::uint32_t c = 0; c < model.column_count; ++c) {
        granule.slots[c] = kNoColumn;
        if (counts[c] == 0) continue;
        granule.slots[c] = granule.column_count;
        GranuleColumn &column = *new (&granule.columns[granule.column_count++]) GranuleColumn;
        column.column = c;
        column.decoded.count = counts[c];
        if (counts[c] < kColumnValuesMin) continue;
        column.stream = parts.bytes(static_cast<std::uint64_t>(sizes[stream++]));
        if (!parts.failed() && column.stream.empty()) return {StatusCode::corrupt, "a column's stream has no bytes"};
    }
    return parts.status_at_end();
}

/// The bytes of `small` without compression.
Status open_small(const TemplateGranule &granule, std::uint64_t value_count, std::span<const std::byte> *raw) noexcept {
    ByteReader in{granule.small};
    const std::uint64_t frame_bytes = in.varint();
    *raw = in.bytes(frame_bytes == 0 ? in.remaining() : frame_bytes);
    if (const Status status = in.status_at_end(); !status.ok()) return status;
    if (frame_bytes == 0) return Status::success();
    const std::uint64_t content = declared_content(*raw);
    if (content > value_count * kVarintBytesMax || !plausible_content(frame_bytes, content)) {
        return {StatusCode::corrupt, "the small columns have an impossible size"};
    }
    auto *bytes = granule.arena->array<std::byte>(content);
    if (bytes == nullptr) return no_template_memory();
    const std::span<const std::byte> frame = *raw;
    *raw = {bytes, static_cast<std::size_t>(content)};
    return decompress(frame, {bytes, static_cast<std::size_t>(content)});
}

Status decode_small(TemplateGranule &granule) noexcept {
    if (granule.small_decoded) return Status::success();
    if (const Status status = load_late_bytes(granule); !status.ok()) return status;
    std::size_t total = 0;
    for (std::uint32_t s = 0; s < granule.column_count; ++s) {
        if (granule.columns[s].stream.empty()) total += granule.columns[s].decoded.count;
    }
    std::span<const std::byte> raw;
    if (const Status status = open_small(granule, total, &raw); !status.ok()) return status;
    auto *values = granule.arena->array<std::int64_t>(total);
    if (values == nullptr) return no_template_memory();
    ByteReader in{raw};
    for (std::uint32_t s = 0; s < granule.column_count; ++s) {
        GranuleColumn &column = granule.columns[s];
        if (!column.stream.empty()) continue;
        column.decoded.values = values;
        values += column.decoded.count;
        std::uint64_t last = 0;
        for (std::uint32_t i = 0; i < column.decoded.count; ++i) {
            last += static_cast<std::uint64_t>(in.signed_varint());
            column.decoded.values[i] = static_cast<std::int64_t>(last);
        }
    }
    if (const Status status = in.status_at_end(); !status.ok()) return status;
    granule.small_decoded = true;
    return Status::success();
}

/// A column that a guess needs, decoded and with its rows; nullptr when it has no values here.
Status prepare(TemplateGranule &granule, std::uint32_t column, const ColumnValues **values) noexcept {
    *values = nullptr;
    if (column == kNoColumn || granule.slots[column] == kNoColumn) return Status::success();
    GranuleColumn &needed = granule.columns[granule.slots[column]];
    if (const Status status = decode_granule_column(granule, needed); !status.ok()) return status;
    *values = &needed.decoded;
    return find_rows(granule, needed);
}

/// Not inlined: its tables are on the stack, and add_guesses() recurses.
[[gnu::noinline]] void apply_guesses(const ColumnValues &column, const ColumnValues *source, const ColumnValues *context,
                                     std::int64_t *values) noexcept {
    const auto add = [&](std::uint32_t i, std::int64_t guess) {
        values[i] = static_cast<std::int64_t>(static_cast<std::uint64_t>(values[i]) + static_cast<std::uint64_t>(guess));
        return values[i];
    };
    if (source == &column) {
        guess_from_past(column, context, add);
    } else if (source != nullptr) {
        guess_from_source(column, *source, context, add);
    }
}

/// Adds the guesses to a column's differences.
Status add_guesses(TemplateGranule &granule, GranuleColumn &column, std::int64_t *values) noexcept {
    const ModelColumn &type = granule.model->columns[column.column];
    const ColumnValues *context = nullptr;
    const ColumnValues *source = &column.decoded;
    if (const Status status = prepare(granule, type.context, &context); !status.ok()) return status;
    if (const Status status = find_rows(granule, column); !status.ok()) return status;
    if (type.source != column.column) {
        if (const Status status = prepare(granule, type.source, &source); !status.ok()) return status;
    }
    apply_guesses(column.decoded, source, context, values);
    return Status::success();
}

/// What fields before the parts take at most.
constexpr std::size_t kFieldsBytesMax = 2 + 6 * kVarintBytesMax;

/// Makes the head be there, and checks it. bytes: of the granule
Status check_head(TemplateGranule &granule, [[maybe_unused]] std::span<const std::byte> bytes, std::size_t head_bytes) noexcept {
    if (granule.late.loaded < head_bytes + kHeadChecksumBytes) {
        if (const Status status = load_late_bytes(granule); !status.ok()) return status;
    }
#ifndef HISTORIAN_FUZZING  // a fuzzer cannot guess checksums
    if (ByteReader{bytes.subspan(head_bytes)}.u32() != static_cast<std::uint32_t>(hash_bytes(bytes.first(head_bytes))))
        return {StatusCode::corrupt, "the checksum of a granule's head does not match its bytes"};
#endif
    return Status::success();
}

/// bytes   of the granule; in: behind the codec number
Status open_parts(TemplateGranule &granule, std::span<const std::byte> bytes, ByteReader &in) noexcept {
    const std::uint8_t order = in.u8();
    granule.content_bytes = in.varint();
    std::uint64_t sizes[5];
    for (std::uint64_t &size : sizes) size = in.varint();
    std::span<const std::byte> parts[5];
    for (unsigned i = 0; i < 4; ++i) parts[i] = in.bytes(sizes[i]);
    const std::size_t head_bytes = bytes.size() - in.remaining();
    in.bytes(kHeadChecksumBytes);
    parts[4] = in.bytes(sizes[4]);
    const std::span<const std::byte> streams = in.bytes(in.remaining());
    if (in.failed()) return in.status();
    if (const Status status = check_head(granule, bytes, head_bytes); !status.ok()) return status;
    if (order > kNumberOrderMax) return {StatusCode::unsupported, "template numbers have an order of a later version"};
    granule.words = parts[2];
    granule.escapes = parts[3];
    granule.small = parts[4];
    // Texts from templates have a bound each; other texts are as long as their frame can hold.
    const std::uint64_t of_templates = std::uint64_t{granule.row_count} * kParsedBytesMax;
    if (granule.content_bytes > of_templates &&
        !plausible_content(granule.escapes.size(), granule.content_bytes - of_templates)) {
        return {StatusCode::corrupt, "a granule of messages has an impossible size"};
    }
    ByteReader numbers{parts[1]};
    const std::size_t number_count = std::size_t{granule.model->texts.count} + 1;
    const Followers followers{{granule.model->followers, number_count}, granule.arena->array<std::uint32_t>(number_count)};
    if (followers.latest == nullptr) return no_template_memory();
    Status status = decode_template_numbers(numbers, order, followers, *granule.arena, {granule.numbers, granule.row_count});
    if (status.ok()) status = numbers.status_at_end();
    return status.ok() ? find_columns(granule, parts[0], streams) : status;
}

}  // namespace

Status open_template_granule(const TemplateModel &model, std::span<const std::byte> bytes, std::uint32_t row_count, Arena &arena,
                             TemplateGranule **opened, const LateBytes &late) noexcept {
    if (row_count == 0 || row_count > kStreamValuesMax)
        return {StatusCode::corrupt, "a granule has an impossible number of rows"};
    void *memory = arena.allocate(sizeof(TemplateGranule));
    if (memory == nullptr) return no_template_memory();
    TemplateGranule &granule = *new (memory) TemplateGranule;
    *opened = &granule;
    granule.model = &model;
    granule.arena = &arena;
    granule.row_count = row_count;
    granule.numbers = arena.array<std::uint32_t>(row_count);
    granule.marks = arena.array<std::uint8_t>(std::size_t{model.texts.count} + 1);
    if (granule.numbers == nullptr || granule.marks == nullptr) return no_template_memory();
    std::memset(granule.marks, 0, std::size_t{model.texts.count} + 1);
    granule.late = late;
    // The bytes that are read to find the head.
    if (late.loaded < std::min(bytes.size(), kFieldsBytesMax)) {
        if (const Status status = load_late_bytes(granule); !status.ok()) return status;
    }
    ByteReader in{bytes};
    if (static_cast<CodecId>(in.u8()) == CodecId::template_texts) return open_parts(granule, bytes, in);

    if (const Status status = load_late_bytes(granule); !status.ok()) return status;
    granule.is_text_stream = true;
    std::fill_n(granule.numbers, row_count, 0u);
    ByteReader texts{bytes};
    const Status status = decode_texts(texts, row_count, arena, &granule.texts);
    return status.ok() ? texts.status_at_end() : status;
}

Status load_late_bytes(TemplateGranule &granule) noexcept {
    if (granule.late.load == nullptr) return Status::success();
    const Status status = granule.late.load(granule.late.owner);
    if (status.ok()) granule.late.load = nullptr;
    return status;
}

std::span<const std::uint32_t> template_numbers(const TemplateGranule &granule) noexcept {
    return {granule.numbers, granule.row_count};
}

std::span<const std::uint32_t> template_row_counts(const TemplateGranule &granule) noexcept {
    if (granule.is_text_stream) return {};
    return {granule.row_counts, std::size_t{granule.model->texts.count} + 1};
}

Status find_rows(TemplateGranule &granule, GranuleColumn &column) noexcept {
    if (column.decoded.rows != nullptr) return Status::success();
    auto *rows = granule.arena->array<std::uint16_t>(std::size_t{column.decoded.count} + 1);
    if (rows == nullptr) return no_template_memory();
    const std::span<const std::uint32_t> templates = templates_of_column(*granule.model, column.column);
    for (const std::uint32_t number : templates) granule.marks[number] = 1;
    std::uint32_t count = 0;
    for (std::uint32_t row = 0; row < granule.row_count; ++row) {
        rows[count] = static_cast<std::uint16_t>(row);
        count += granule.marks[granule.numbers[row]];
    }
    for (const std::uint32_t number : templates) granule.marks[number] = 0;
    column.decoded.rows = rows;
    return Status::success();
}

Status decode_granule_column(TemplateGranule &granule, GranuleColumn &column) noexcept {
    if (column.decoded.values != nullptr) return Status::success();
    if (column.stream.empty()) return decode_small(granule);
    if (const Status status = load_late_bytes(granule); !status.ok()) return status;
    auto *values = granule.arena->array<std::int64_t>(column.decoded.count);
    if (values == nullptr) return no_template_memory();
    ByteReader in{column.stream};
    Status status = decode_integers(in, {values, column.decoded.count}, *granule.arena);
    if (status.ok()) status = in.status_at_end();
    if (status.ok() && granule.model->columns[column.column].source != kNoColumn) status = add_guesses(granule, column, values);
    if (status.ok()) column.decoded.values = values;
    return status;
}

Status decode_template_column(TemplateGranule &granule, std::uint32_t column, std::span<const std::int64_t> *values) noexcept {
    *values = {};
    if (granule.is_text_stream || granule.slots[column] == kNoColumn) return Status::success();
    GranuleColumn &wanted = granule.columns[granule.slots[column]];
    if (const Status status = decode_granule_column(granule, wanted); !status.ok()) return status;
    *values = {wanted.decoded.values, wanted.decoded.count};
    return Status::success();
}

Status find_template_column_rows(TemplateGranule &granule, std::uint32_t column, std::span<const std::uint16_t> *rows) noexcept {
    *rows = {};
    if (granule.is_text_stream || granule.slots[column] == kNoColumn) return Status::success();
    GranuleColumn &wanted = granule.columns[granule.slots[column]];
    if (const Status status = find_rows(granule, wanted); !status.ok()) return status;
    *rows = {wanted.decoded.rows, wanted.decoded.count};
    return Status::success();
}

Status decode_template_other_words(TemplateGranule &granule, std::uint32_t column, TextRange *words) noexcept {
    *words = {};
    if (granule.is_text_stream || granule.slots[column] == kNoColumn) return Status::success();
    if (const Status status = decode_other_words(granule); !status.ok()) return status;
    const GranuleColumn &wanted = granule.columns[granule.slots[column]];
    if (wanted.other_words_count == 0) return Status::success();
    *words = {granule.other_words.data, granule.other_words.offsets + wanted.other_words_first, wanted.other_words_count};
    return Status::success();
}

Status decode_template_escapes(TemplateGranule &granule, TextRange *texts) noexcept {
    if (const Status status = decode_escapes(granule); !status.ok()) return status;
    *texts = {granule.escape_texts.data, granule.escape_texts.offsets, granule.escape_count};
    return Status::success();
}

Status decode_other_words(TemplateGranule &granule) noexcept {
    if (granule.words_decoded) return Status::success();
    const auto is_word = [&](const GranuleColumn &column) {
        return granule.model->columns[column.column].type.kind == HoleKind::word;
    };
    const std::span<GranuleColumn> columns{granule.columns, granule.column_count};
    const auto count = static_cast<std::size_t>(std::count_if(columns.begin(), columns.end(), is_word));
    auto *counts = granule.arena->array<std::int64_t>(count);
    if (counts == nullptr) return no_template_memory();
    ByteReader in{granule.words};
    if (!plausible_list(count, in.remaining())) return {StatusCode::corrupt, "a granule lacks counts of words"};
    if (const Status status = decode_integer_list(in, {counts, count}, *granule.arena); !status.ok()) return status;
    std::uint32_t total = 0;
    const std::int64_t *next = counts;
    for (GranuleColumn &column : columns) {
        if (!is_word(column)) continue;
        if (static_cast<std::uint64_t>(*next) > column.decoded.count) return {StatusCode::corrupt, "a column has too many words"};
        column.other_words_first = total;
        column.other_words_count = static_cast<std::uint32_t>(*next);
        total += static_cast<std::uint32_t>(*next++);
    }
    Status status = decode_text_block(in, total, *granule.arena, &granule.other_words);
    if (status.ok()) status = in.status_at_end();
    granule.words_decoded = status.ok();
    return status;
}

Status decode_escapes(TemplateGranule &granule) noexcept {
    if (granule.escapes_decoded) return Status::success();
    ByteReader in{granule.escapes};
    Status status = decode_text_block(in, granule.escape_count, *granule.arena, &granule.escape_texts);
    if (status.ok()) status = in.status_at_end();
    granule.escapes_decoded = status.ok();
    return status;
}

}  // namespace historian::codec
