// A parsed model (templates.h) and an open granule. Inside the template codec only.
//
// Invariants, checked when the model is parsed:
//   1. A template's columns ascend: a column has at most one value a row.
//   2. Sources and contexts have lower numbers than their column, or the source is the column itself; guess depths are at most
//      kGuessDepthMax, which bounds the recursion of decoding.
//   3. Texts and words have at most kParsedBytesMax bytes.
#pragma once

#include "codec/column_guess.h"
#include "codec/templates.h"
#include "codec/text_block.h"

namespace historian::codec {

inline constexpr std::uint32_t kNoColumn = UINT32_MAX;

inline constexpr std::size_t kHeadChecksumBytes = sizeof(std::uint32_t);

struct ModelColumn {
    HoleType type;
    std::uint32_t source = kNoColumn;
    std::uint32_t context = kNoColumn;
    std::uint32_t guess_depth = 0;
};

/// Fixed text, before each hole of a template and after the last.
struct TemplatePiece {
    const std::byte *data = nullptr;
    std::uint32_t byte_count = 0;
};

struct TemplateModel {
    TextBlock texts;
    TextBlock words;
    std::uint32_t *followers = nullptr;  // of templates 0 to texts.count
    std::uint32_t column_count = 0;
    ModelColumn *columns = nullptr;

    // Template t (from 0) has the holes hole_starts[t] to hole_starts[t + 1], and one piece more than holes: pieces from
    // hole_starts[t] + t on.
    std::uint32_t *hole_starts = nullptr;
    std::uint32_t *hole_columns = nullptr;
    TemplatePiece *pieces = nullptr;

    // Column c is in the templates (their numbers) column_starts[c] to column_starts[c + 1].
    std::uint32_t *column_starts = nullptr;
    std::uint32_t *column_templates = nullptr;

    std::span<const std::uint32_t> columns_of(std::uint32_t number) const noexcept {
        return {hole_columns + hole_starts[number - 1], hole_starts[number] - hole_starts[number - 1]};
    }
    const TemplatePiece *pieces_of(std::uint32_t number) const noexcept {
        return pieces + hole_starts[number - 1] + (number - 1);
    }
};

/// A column that has values in the granule.
struct GranuleColumn {
    std::uint32_t column = 0;
    std::uint32_t other_words_first = 0;  // of the granule's other words; word columns only
    std::uint32_t other_words_count = 0;
    std::span<const std::byte> stream;  // empty: the values are in `small`
    ColumnValues decoded;               // values and rows are nullptr until they are needed
};

struct TemplateGranule {
    const TemplateModel *model = nullptr;
    Arena *arena = nullptr;
    std::uint32_t row_count = 0;
    std::uint32_t *numbers = nullptr;     // row_count
    std::uint32_t *row_counts = nullptr;  // of each template, by its number
    std::uint64_t content_bytes = 0;
    LateBytes late;

    // A granule that is a text stream.
    bool is_text_stream = false;
    DecodedTexts texts;

    std::uint32_t *slots = nullptr;  // a column's place in columns, or kNoColumn
    GranuleColumn *columns = nullptr;
    std::uint32_t column_count = 0;
    std::uint8_t *marks = nullptr;  // one a template and one more, all 0 between uses

    std::span<const std::byte> small;
    bool small_decoded = false;
    std::span<const std::byte> words;
    bool words_decoded = false;
    TextBlock other_words;
    std::span<const std::byte> escapes;
    bool escapes_decoded = false;
    std::uint32_t escape_count = 0;
    TextBlock escape_texts;
};

/// Makes all bytes of the granule be there.
Status load_late_bytes(TemplateGranule &granule) noexcept;

/// Decodes a column, and before it those that its guesses need.
Status decode_granule_column(TemplateGranule &granule, GranuleColumn &column) noexcept;

/// The rows of a column, found when first needed.
Status find_rows(TemplateGranule &granule, GranuleColumn &column) noexcept;

Status decode_other_words(TemplateGranule &granule) noexcept;
Status decode_escapes(TemplateGranule &granule) noexcept;

inline Status no_template_memory() noexcept { return {StatusCode::out_of_memory, "no memory to decode templates"}; }

}  // namespace historian::codec
