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

/// The values of a column that some rows have: those from `first` on.
struct ColumnRange {
    std::uint32_t first = UINT32_MAX;
    std::uint32_t last = 0;
    const std::int64_t *values = nullptr;
};

/// Some rows of a granule. Of each hole's column only the values between those that are wanted are decoded.
class FewRows {
public:
    FewRows(TemplateGranule &granule, std::span<const std::uint32_t> rows) noexcept
        : granule_(granule), model_(*granule.model), rows_(rows) {}

    /// Finds and decodes the values.
    Status decode() noexcept {
        std::size_t place_count = 0;
        for (const std::uint32_t row : rows_) place_count += places_of(granule_.numbers[row]);
        places_ = granule_.arena->array<std::uint32_t>(place_count);
        ranges_ = granule_.arena->array<ColumnRange>(granule_.column_count);
        counts_ = granule_.arena->array<std::uint32_t>(std::size_t{model_.texts.count} + 1);
        auto *at = granule_.arena->array<std::uint32_t>(granule_.column_count);
        if (places_ == nullptr || ranges_ == nullptr || counts_ == nullptr || at == nullptr) return no_template_memory();
        std::fill_n(ranges_, granule_.column_count, ColumnRange{});
        std::fill_n(counts_, std::size_t{model_.texts.count} + 1, 0u);
        if (is_dense()) {
            find_dense_places(at);
        } else {
            find_sparse_places();
        }
        for (std::uint32_t s = 0; s < granule_.column_count; ++s) {
            if (ranges_[s].first > ranges_[s].last) continue;
            if (const Status status = decode_range(granule_.columns[s], &ranges_[s]); !status.ok()) return status;
        }
        return has_escapes_ ? decode_escapes(granule_) : Status::success();
    }

    /// Room that the texts never exceed.
    Status bound(std::uint64_t *bytes_max) noexcept {
        *bytes_max = 0;
        const std::uint32_t *place = places_;
        for (const std::uint32_t row : rows_) {
            const std::uint32_t number = granule_.numbers[row];
            if (number == 0) {
                *bytes_max += granule_.escape_texts[*place++].size();
                continue;
            }
            *bytes_max += model_.texts[number - 1].size();
            for (const std::uint32_t column : model_.columns_of(number)) {
                std::span<const std::byte> word;
                const bool is_word = model_.columns[column].type.kind == HoleKind::word;
                if (is_word) {
                    if (const Status status = find_word_at(granule_.slots[column], *place, &word); !status.ok()) return status;
                }
                *bytes_max += is_word ? word.size() : kHoleBytesMax;
                ++place;
            }
        }
        return Status::success();
    }

    Status write(Output &output) noexcept {
        const std::uint32_t *place = places_;
        for (const std::uint32_t row : rows_) {
            const std::uint32_t number = granule_.numbers[row];
            const Status status = number == 0 ? write_escape(*place, output.out) : write_row(number, place, output.out);
            if (!status.ok()) return status;
            place += places_of(number);
            output.end_text();
        }
        return Status::success();
    }

private:
    /// What has a place in a row: each hole's value in its column, or the text among those without a template.
    std::size_t places_of(std::uint32_t number) const noexcept { return number == 0 ? 1 : model_.columns_of(number).size(); }

    /// Whether going from row to row is cheaper than to find each row's places on its own.
    bool is_dense() const noexcept {
        constexpr std::size_t kHolesOfARow = 8;
        std::size_t alone = 0;
        for (const std::uint32_t row : rows_) {
            const std::uint32_t number = granule_.numbers[row];
            if (number == 0) continue;
            for (const std::uint32_t column : model_.columns_of(number)) alone += templates_of_column(model_, column).size();
        }
        return alone > kHolesOfARow * (rows_.back() - rows_.front()) + model_.column_starts[model_.column_count];
    }

    /// The place that a column's next value has, after the rows that are counted.
    std::uint32_t next_place(std::uint32_t column) const noexcept {
        std::uint32_t place = 0;
        for (const std::uint32_t number : templates_of_column(model_, column)) place += counts_[number];
        return place;
    }
    void add_place(std::uint32_t slot, std::uint32_t place, std::uint32_t *&next) noexcept {
        ranges_[slot].first = std::min(ranges_[slot].first, place);
        ranges_[slot].last = std::max(ranges_[slot].last, place);
        *next++ = place;
    }

    void find_sparse_places() noexcept {
        std::uint32_t *next = places_;
        std::uint32_t row = 0;
        for (const std::uint32_t wanted : rows_) {
            for (; row < wanted; ++row) ++counts_[granule_.numbers[row]];
            const std::uint32_t number = granule_.numbers[wanted];
            if (number == 0) {
                has_escapes_ = true;
                *next++ = counts_[0];
                continue;
            }
            for (const std::uint32_t column : model_.columns_of(number))
                add_place(granule_.slots[column], next_place(column), next);
        }
    }

    /// at   room for the place of each column's next value
    void find_dense_places(std::uint32_t *at) noexcept {
        for (std::uint32_t row = 0; row < rows_.front(); ++row) ++counts_[granule_.numbers[row]];
        for (std::uint32_t s = 0; s < granule_.column_count; ++s) at[s] = next_place(granule_.columns[s].column);
        std::uint32_t *next = places_;
        std::uint32_t row = rows_.front();
        for (const std::uint32_t wanted : rows_) {
            for (; row < wanted; ++row) pass(row, at);
            const std::uint32_t number = granule_.numbers[wanted];
            if (number == 0) {
                has_escapes_ = true;
                *next++ = counts_[0];
                continue;
            }
            for (const std::uint32_t column : model_.columns_of(number)) {
                const std::uint32_t slot = granule_.slots[column];
                add_place(slot, at[slot], next);
            }
        }
    }
    void pass(std::uint32_t row, std::uint32_t *at) noexcept {
        const std::uint32_t number = granule_.numbers[row];
        counts_[0] += number == 0;
        if (number == 0) return;
        for (const std::uint32_t column : model_.columns_of(number)) ++at[granule_.slots[column]];
    }

    Status decode_range(GranuleColumn &column, ColumnRange *range) noexcept {
        const bool is_alone =
            column.decoded.values == nullptr && !column.stream.empty() && model_.columns[column.column].source == kNoColumn;
        if (!is_alone) {
            const Status status = decode_granule_column(granule_, column);
            range->first = 0;
            range->values = column.decoded.values;
            return status;
        }
        const std::size_t count = std::size_t{range->last} - range->first + 1;
        auto *values = granule_.arena->array<std::int64_t>(count);
        if (values == nullptr) return no_template_memory();
        range->values = values;
        if (const Status status = load_late_bytes(granule_); !status.ok()) return status;
        ByteReader in{column.stream};
        const WantedValues wanted{column.decoded.count, range->first, {values, count}};
        const Status status = decode_integer_range(in, wanted, *granule_.arena);
        return status.ok() ? in.status_at_end() : status;
    }

    std::int64_t value_at(std::uint32_t slot, std::uint32_t place) const noexcept {
        return ranges_[slot].values[place - ranges_[slot].first];
    }

    /// A word that the dictionary lacks is found by how many there are before it: that takes the whole column.
    Status find_word_at(std::uint32_t slot, std::uint32_t place, std::span<const std::byte> *word) noexcept {
        GranuleColumn &column = granule_.columns[slot];
        const std::int64_t value = value_at(slot, place);
        std::uint32_t other = 0;
        if (value == 0) {
            if (const Status status = decode_granule_column(granule_, column); !status.ok()) return status;
            if (const Status status = decode_other_words(granule_); !status.ok()) return status;
            const std::int64_t *values = column.decoded.values;
            other = static_cast<std::uint32_t>(std::count(values, values + place, 0));
        }
        return find_word(granule_, column, value, other, word);
    }

    Status write_escape(std::uint32_t place, TextWriter &out) const noexcept {
        const std::span<const std::byte> text = granule_.escape_texts[place];
        return out.add(text.data(), text.size()) ? Status::success() : wrong_size();
    }

    Status write_row(std::uint32_t number, const std::uint32_t *place, TextWriter &out) noexcept {
        const TemplatePiece *piece = model_.pieces_of(number);
        for (const std::uint32_t column : model_.columns_of(number)) {
            if (!out.add(piece->data, piece->byte_count)) return wrong_size();
            ++piece;
            const HoleType type = model_.columns[column].type;
            const std::uint32_t slot = granule_.slots[column];
            std::span<const std::byte> word;
            if (type.kind != HoleKind::word) {
                if (!out.add_hole(type, value_at(slot, *place))) return wrong_size();
            } else if (const Status status = find_word_at(slot, *place, &word); !status.ok()) {
                return status;
            } else if (!out.add(word.data(), word.size())) {
                return wrong_size();
            }
            ++place;
        }
        return out.add(piece->data, piece->byte_count) ? Status::success() : wrong_size();
    }

    TemplateGranule &granule_;
    const TemplateModel &model_;
    std::span<const std::uint32_t> rows_;
    std::uint32_t *places_ = nullptr;
    ColumnRange *ranges_ = nullptr;
    std::uint32_t *counts_ = nullptr;  // of each template, how many rows so far have it
    bool has_escapes_ = false;
};

}  // namespace

Status decode_template_granule(TemplateGranule &granule, DecodedTexts *texts) noexcept {
    if (granule.is_text_stream) {
        *texts = granule.texts;
        return Status::success();
    }
    // Whatever is not needed is checked too.
    if (const Status status = load_late_bytes(granule); !status.ok()) return status;
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
    FewRows few{granule, rows};
    if (const Status status = few.decode(); !status.ok()) return status;
    std::uint64_t bytes_max = 0;
    if (const Status status = few.bound(&bytes_max); !status.ok()) return status;
    Output output;
    if (const Status status = output.prepare(*granule.arena, rows.size(), bytes_max); !status.ok()) return status;
    if (const Status status = few.write(output); !status.ok()) return status;
    *texts = output.texts();
    return Status::success();
}

}  // namespace historian::codec
