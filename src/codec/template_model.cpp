#include "codec/template_model.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "codec/codec_id.h"
#include "codec/message_parser.h"
#include "codec/time_pattern.h"

namespace historian::codec {
namespace {

bool valid_type(std::uint64_t kind, std::uint64_t width) noexcept {
    constexpr std::uint64_t kDigitsMax = 18;
    constexpr std::uint64_t kHexDigitsMax = 16;
    switch (static_cast<HoleKind>(kind)) {
        case HoleKind::padded:
        case HoleKind::decimal: return width >= 1 && width <= kDigitsMax;
        case HoleKind::hex_lower:
        case HoleKind::hex_upper: return width <= kHexDigitsMax;
        case HoleKind::time: return is_time_format(width);
        default: return kind != 0 && kind <= static_cast<std::uint64_t>(HoleKind::mac) && width == 0;
    }
}

/// Texts and words: what bounds the bytes of a message.
bool sizes_are_bounded(const TextBlock &block) noexcept {
    for (std::uint32_t i = 0; i < block.count; ++i) {
        if (block[i].size() > kParsedBytesMax) return false;
    }
    return true;
}

/// Cuts the texts at their holes. hole_starts, hole_columns (still empty) and pieces.
Status cut_texts(TemplateModel &model, Arena &arena) noexcept {
    const std::uint32_t count = model.texts.count;
    model.hole_starts = arena.array<std::uint32_t>(std::size_t{count} + 1);
    if (model.hole_starts == nullptr) return no_template_memory();
    std::uint64_t holes = 0;
    for (std::uint32_t t = 0; t < count; ++t) {
        model.hole_starts[t] = static_cast<std::uint32_t>(holes);
        const std::span<const std::byte> text = model.texts[t];
        holes += static_cast<std::uint64_t>(std::count(text.begin(), text.end(), std::byte{kHoleMark}));
        if (holes > UINT32_MAX / 2) return {StatusCode::corrupt, "a model has too many holes"};
    }
    model.hole_starts[count] = static_cast<std::uint32_t>(holes);
    model.hole_columns = arena.array<std::uint32_t>(holes);
    model.pieces = arena.array<TemplatePiece>(holes + count);
    if (model.hole_columns == nullptr || model.pieces == nullptr) return no_template_memory();
    TemplatePiece *piece = model.pieces;
    for (std::uint32_t t = 0; t < count; ++t) {
        const std::span<const std::byte> text = model.texts[t];
        const std::byte *start = text.data();
        const std::byte *end = text.data() + text.size();
        for (;; ++piece) {
            const std::byte *stop = std::find(start, end, std::byte{kHoleMark});
            *piece = {start, static_cast<std::uint32_t>(stop - start)};
            if (stop == end) break;
            start = stop + 1;
        }
        ++piece;
    }
    return Status::success();
}

Status read_followers(ByteReader &in, TemplateModel &model, Arena &arena) noexcept {
    const std::size_t count = std::size_t{model.texts.count} + 1;
    if (!plausible_list(count, in.remaining())) return {StatusCode::corrupt, "a model lacks followers"};
    auto *numbers = arena.array<std::int64_t>(count);
    model.followers = arena.array<std::uint32_t>(count);
    if (numbers == nullptr || model.followers == nullptr) return no_template_memory();
    if (const Status status = decode_integer_list(in, {numbers, count}, arena); !status.ok()) return status;
    for (std::size_t t = 0; t < count; ++t) {
        if (static_cast<std::uint64_t>(numbers[t]) >= count) return {StatusCode::corrupt, "a follower lies outside the model"};
        model.followers[t] = static_cast<std::uint32_t>(numbers[t]);
    }
    return Status::success();
}

Status read_holes(ByteReader &in, TemplateModel &model, Arena &arena) noexcept {
    const std::uint32_t count = model.hole_starts[model.texts.count];
    if (!plausible_list(count, in.remaining())) return {StatusCode::corrupt, "a model has more holes than columns for them"};
    auto *steps = arena.array<std::int64_t>(count);
    if (steps == nullptr) return no_template_memory();
    if (const Status status = decode_integer_list(in, {steps, count}, arena); !status.ok()) return status;
    for (std::uint32_t t = 0; t < model.texts.count; ++t) {
        std::int64_t column = 0;
        for (std::uint32_t h = model.hole_starts[t]; h < model.hole_starts[t + 1]; ++h) {
            const bool first = h == model.hole_starts[t];
            if (steps[h] < (first ? 0 : 1) || steps[h] >= static_cast<std::int64_t>(model.column_count) - column) {
                return {StatusCode::corrupt, "the columns of a template do not ascend"};
            }
            column += steps[h];
            model.hole_columns[h] = static_cast<std::uint32_t>(column);
        }
    }
    return Status::success();
}

Status read_columns(ByteReader &in, TemplateModel &model, Arena &arena) noexcept {
    const std::size_t count = model.column_count;
    if (!plausible_list(count, in.remaining())) return {StatusCode::corrupt, "a model has too many columns"};
    auto *lists = arena.array<std::int64_t>(4 * count);
    model.columns = arena.array<ModelColumn>(count);
    if (lists == nullptr || model.columns == nullptr) return no_template_memory();
    for (std::size_t list = 0; list < 4; ++list) {
        if (const Status status = decode_integer_list(in, {lists + list * count, count}, arena); !status.ok()) return status;
    }
    for (std::size_t c = 0; c < count; ++c) {
        ModelColumn &column = *new (&model.columns[c]) ModelColumn;
        const auto kind = static_cast<std::uint64_t>(lists[c]);
        const auto width = static_cast<std::uint64_t>(lists[count + c]);
        const auto source = static_cast<std::uint64_t>(lists[2 * count + c]);
        const auto context = static_cast<std::uint64_t>(lists[3 * count + c]);
        if (!valid_type(kind, width)) return {StatusCode::unsupported, "a column has a type of a later version"};
        column.type = {static_cast<HoleKind>(kind), static_cast<std::uint16_t>(width)};
        if (source > c + 1 || context > c || (source == 0 && context != 0)) {
            return {StatusCode::corrupt, "a column's guess comes from a later column"};
        }
        if (source != 0) column.source = static_cast<std::uint32_t>(c - (source - 1));
        if (context != 0) column.context = static_cast<std::uint32_t>(c - context);
        if (source > 1) column.guess_depth = model.columns[column.source].guess_depth + 1;
        if (context != 0) column.guess_depth = std::max(column.guess_depth, model.columns[column.context].guess_depth + 1);
        if (column.guess_depth > kGuessDepthMax) return {StatusCode::corrupt, "a column's guess needs too many others"};
    }
    return Status::success();
}

/// Which templates have each column.
Status list_templates(TemplateModel &model, Arena &arena) noexcept {
    const std::uint32_t holes = model.hole_starts[model.texts.count];
    model.column_starts = arena.array<std::uint32_t>(std::size_t{model.column_count} + 1);
    model.column_templates = arena.array<std::uint32_t>(holes);
    auto *next = arena.array<std::uint32_t>(model.column_count);
    if (model.column_starts == nullptr || model.column_templates == nullptr || next == nullptr) return no_template_memory();
    std::fill_n(model.column_starts, model.column_count + 1, 0u);
    for (std::uint32_t h = 0; h < holes; ++h) ++model.column_starts[model.hole_columns[h] + 1];
    for (std::uint32_t c = 0; c < model.column_count; ++c) {
        model.column_starts[c + 1] += model.column_starts[c];
        next[c] = model.column_starts[c];
    }
    for (std::uint32_t t = 0; t < model.texts.count; ++t) {
        for (const std::uint32_t column : model.columns_of(t + 1)) model.column_templates[next[column]++] = t + 1;
    }
    return Status::success();
}

}  // namespace

Status parse_template_model(std::span<const std::byte> bytes, Arena &arena, TemplateModel **parsed) noexcept {
    ByteReader in{bytes};
    if (static_cast<CodecId>(in.u8()) != CodecId::template_model) {
        if (in.failed()) return in.status();
        return {StatusCode::unsupported, "a model has a codec number that cannot be here"};
    }
    const std::uint64_t templates = in.varint();
    const std::uint64_t columns = in.varint();
    const std::uint64_t words = in.varint();
    if (in.failed()) return in.status();
    if (templates > kModelMessagesMax || columns > UINT32_MAX / 2 || words > UINT32_MAX / 2) {
        return {StatusCode::corrupt, "a model has impossible counts"};
    }
    void *memory = arena.allocate(sizeof(TemplateModel));
    if (memory == nullptr) return no_template_memory();
    TemplateModel &model = *new (memory) TemplateModel;
    model.column_count = static_cast<std::uint32_t>(columns);
    Status status = decode_text_block(in, templates, arena, &model.texts);
    if (status.ok()) status = read_followers(in, model, arena);
    if (status.ok()) status = cut_texts(model, arena);
    if (status.ok()) status = read_holes(in, model, arena);
    if (status.ok()) status = read_columns(in, model, arena);
    if (status.ok()) status = decode_text_block(in, words, arena, &model.words);
    if (status.ok()) status = in.status_at_end();
    if (!status.ok()) return status;
    if (!sizes_are_bounded(model.texts) || !sizes_are_bounded(model.words)) {
        return {StatusCode::corrupt, "a template or a word is too long"};
    }
    status = list_templates(model, arena);
    *parsed = &model;
    return status;
}

std::uint32_t template_count(const TemplateModel &model) noexcept { return model.texts.count; }
std::uint32_t column_count(const TemplateModel &model) noexcept { return model.column_count; }
std::uint32_t word_count(const TemplateModel &model) noexcept { return model.words.count; }
std::span<const std::byte> template_text(const TemplateModel &model, std::uint32_t number) noexcept {
    return model.texts[number - 1];
}
std::span<const std::uint32_t> template_columns(const TemplateModel &model, std::uint32_t number) noexcept {
    return model.columns_of(number);
}
std::span<const std::uint32_t> templates_of_column(const TemplateModel &model, std::uint32_t column) noexcept {
    return {model.column_templates + model.column_starts[column], model.column_starts[column + 1] - model.column_starts[column]};
}
HoleType hole_type(const TemplateModel &model, std::uint32_t column) noexcept { return model.columns[column].type; }
std::span<const std::byte> word_text(const TemplateModel &model, std::uint32_t number) noexcept {
    return model.words[number - 1];
}

}  // namespace historian::codec
