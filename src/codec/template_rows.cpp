// Messages from templates and values (templates.h, template_model.h).
#include <algorithm>
#include <cstring>

#include "codec/hole_text.h"
#include "codec/template_model.h"

namespace historian::codec {
namespace {

Status wrong_value() noexcept { return {StatusCode::corrupt, "a granule names a word that is not there"}; }
Status wrong_size() noexcept { return {StatusCode::corrupt, "messages do not have the size that their granule says"}; }

/// Writes texts one after the other; the memory has kHoleBytesMax bytes more than its limit.
struct TextWriter {
    std::byte *next = nullptr;
    std::byte *limit = nullptr;

    bool add(const std::byte *data, std::size_t size) noexcept {
        if (size > static_cast<std::size_t>(limit - next)) return false;
        std::memcpy(next, data, size);
        next += size;
        return true;
    }
    bool add_hole(HoleType type, std::int64_t value) noexcept {
        next = reinterpret_cast<std::byte *>(write_hole(type, value, reinterpret_cast<std::uint8_t *>(next)));
        return next <= limit;
    }
};

/// The text of a word column's value; other counts the words that the dictionary lacks, and is the place of this one.
Status find_word(const TemplateGranule &granule, const GranuleColumn &column, std::int64_t value, std::uint32_t other,
                 std::span<const std::byte> *text) noexcept {
    const auto number = static_cast<std::uint64_t>(value);
    if (number > granule.model->words.count) return wrong_value();
    if (number != 0) {
        *text = granule.model->words[static_cast<std::uint32_t>(number - 1)];
        return Status::success();
    }
    if (other >= column.other_words_count) return wrong_value();
    *text = granule.other_words[column.other_words_first + other];
    return Status::success();
}

/// Where the next value of each column is, while all rows are written.
struct Cursor {
    const std::int64_t *next = nullptr;
    const GranuleColumn *column = nullptr;
    HoleType type;
    std::uint32_t other = 0;
};

Status write_row(const TemplateGranule &granule, std::uint32_t number, Cursor *cursors, TextWriter &out) noexcept {
    const TemplatePiece *piece = granule.model->pieces_of(number);
    for (const std::uint32_t column : granule.model->columns_of(number)) {
        if (!out.add(piece->data, piece->byte_count)) return wrong_size();
        ++piece;
        Cursor &cursor = cursors[granule.slots[column]];
        const std::int64_t value = *cursor.next++;
        if (cursor.type.kind != HoleKind::word) {
            if (!out.add_hole(cursor.type, value)) return wrong_size();
            continue;
        }
        std::span<const std::byte> word;
        if (const Status status = find_word(granule, *cursor.column, value, cursor.other, &word); !status.ok()) return status;
        cursor.other += value == 0;
        if (!out.add(word.data(), word.size())) return wrong_size();
    }
    return out.add(piece->data, piece->byte_count) ? Status::success() : wrong_size();
}

Status decode_everything(TemplateGranule &granule, Cursor *cursors) noexcept {
    for (std::uint32_t s = 0; s < granule.column_count; ++s) {
        GranuleColumn &column = granule.columns[s];
        if (const Status status = decode_granule_column(granule, column); !status.ok()) return status;
        cursors[s] = {column.decoded.values, &column, granule.model->columns[column.column].type, 0};
    }
    if (const Status status = decode_other_words(granule); !status.ok()) return status;
    return decode_escapes(granule);
}

/// Texts that are being written.
struct Output {
    TextWriter out;
    std::byte *data = nullptr;
    std::uint64_t *offsets = nullptr;
    std::uint32_t *entries = nullptr;
    std::uint32_t count = 0;

    /// Memory for count_max texts of content_bytes together.
    Status prepare(Arena &arena, std::size_t count_max, std::uint64_t content_bytes) noexcept {
        entries = arena.array<std::uint32_t>(count_max);
        offsets = arena.array<std::uint64_t>(count_max + 1);
        data = arena.array<std::byte>(content_bytes + kHoleBytesMax);
        if (entries == nullptr || offsets == nullptr || data == nullptr) return no_template_memory();
        offsets[0] = 0;
        out = {data, data + content_bytes};
        return Status::success();
    }
    void end_text() noexcept {
        entries[count] = count;
        offsets[++count] = static_cast<std::uint64_t>(out.next - data);
    }
    DecodedTexts texts() const noexcept { return {data, offsets, entries, count}; }
};

/// Room that the text of a row never exceeds.
Status bound_row(TemplateGranule &granule, std::uint32_t row, std::uint64_t *bytes_max) noexcept {
    const std::uint32_t number = granule.numbers[row];
    if (number == 0) {
        if (const Status status = decode_escapes(granule); !status.ok()) return status;
        const auto escape = std::count(granule.numbers, granule.numbers + row, 0u);
        *bytes_max = granule.escape_texts[static_cast<std::uint32_t>(escape)].size();
        return Status::success();
    }
    *bytes_max = granule.model->texts[number - 1].size();
    for (const std::uint32_t c : granule.model->columns_of(number)) {
        GranuleColumn &column = granule.columns[granule.slots[c]];
        if (const Status status = decode_granule_column(granule, column); !status.ok()) return status;
        if (const Status status = find_rows(granule, column); !status.ok()) return status;
        if (granule.model->columns[c].type.kind != HoleKind::word) {
            *bytes_max += kHoleBytesMax;
            continue;
        }
        const auto at =
            std::lower_bound(column.decoded.rows, column.decoded.rows + column.decoded.count, row) - column.decoded.rows;
        const std::int64_t value = column.decoded.values[at];
        if (value == 0) {
            if (const Status status = decode_other_words(granule); !status.ok()) return status;
        }
        std::span<const std::byte> word;
        const auto other = std::count(column.decoded.values, column.decoded.values + at, 0);
        if (const Status status = find_word(granule, column, value, static_cast<std::uint32_t>(other), &word); !status.ok())
            return status;
        *bytes_max += word.size();
    }
    return Status::success();
}

/// After bound_row().
Status write_single_row(const TemplateGranule &granule, std::uint32_t row, TextWriter &out) noexcept {
    const std::uint32_t number = granule.numbers[row];
    if (number == 0) {
        const auto escape = std::count(granule.numbers, granule.numbers + row, 0u);
        const std::span<const std::byte> text = granule.escape_texts[static_cast<std::uint32_t>(escape)];
        return out.add(text.data(), text.size()) ? Status::success() : wrong_size();
    }
    const TemplatePiece *piece = granule.model->pieces_of(number);
    for (const std::uint32_t c : granule.model->columns_of(number)) {
        const GranuleColumn &column = granule.columns[granule.slots[c]];
        const HoleType type = granule.model->columns[c].type;
        const auto at =
            std::lower_bound(column.decoded.rows, column.decoded.rows + column.decoded.count, row) - column.decoded.rows;
        const std::int64_t value = column.decoded.values[at];
        if (!out.add(piece->data, piece->byte_count)) return wrong_size();
        ++piece;
        if (type.kind != HoleKind::word) {
            if (!out.add_hole(type, value)) return wrong_size();
            continue;
        }
        std::span<const std::byte> word;
        const auto other = std::count(column.decoded.values, column.decoded.values + at, 0);
        if (const Status status = find_word(granule, column, value, static_cast<std::uint32_t>(other), &word); !status.ok())
            return status;
        if (!out.add(word.data(), word.size())) return wrong_size();
    }
    return out.add(piece->data, piece->byte_count) ? Status::success() : wrong_size();
}

}  // namespace

Status decode_template_granule(TemplateGranule &granule, DecodedTexts *texts) noexcept {
    if (granule.is_text_stream) {
        *texts = granule.texts;
        return Status::success();
    }
    auto *cursors = granule.arena->array<Cursor>(granule.column_count);
    if (cursors == nullptr) return no_template_memory();
    if (const Status status = decode_everything(granule, cursors); !status.ok()) return status;
    Output output;
    if (const Status status = output.prepare(*granule.arena, granule.row_count, granule.content_bytes); !status.ok())
        return status;
    std::uint32_t escape = 0;
    for (std::uint32_t row = 0; row < granule.row_count; ++row) {
        if (granule.numbers[row] == 0) {
            const std::span<const std::byte> text = granule.escape_texts[escape++];
            if (!output.out.add(text.data(), text.size())) return wrong_size();
        } else if (const Status status = write_row(granule, granule.numbers[row], cursors, output.out); !status.ok()) {
            return status;
        }
        output.end_text();
    }
    *texts = output.texts();
    return output.out.next == output.out.limit ? Status::success() : wrong_size();
}

Status decode_template_rows(TemplateGranule &granule, std::span<const std::uint32_t> rows, DecodedTexts *texts) noexcept {
    if (granule.is_text_stream) {
        auto *entries = granule.arena->array<std::uint32_t>(rows.size());
        if (entries == nullptr) return no_template_memory();
        for (std::size_t i = 0; i < rows.size(); ++i) entries[i] = granule.texts.entry_of_row[rows[i]];
        *texts = granule.texts;
        texts->entry_of_row = entries;
        return Status::success();
    }
    std::uint64_t bytes_max = 0;
    for (const std::uint32_t row : rows) {
        std::uint64_t of_row = 0;
        if (const Status status = bound_row(granule, row, &of_row); !status.ok()) return status;
        bytes_max += of_row;
    }
    Output output;
    if (const Status status = output.prepare(*granule.arena, rows.size(), bytes_max); !status.ok()) return status;
    for (const std::uint32_t row : rows) {
        if (const Status status = write_single_row(granule, row, output.out); !status.ok()) return status;
        output.end_text();
    }
    *texts = output.texts();
    return Status::success();
}

}  // namespace historian::codec
