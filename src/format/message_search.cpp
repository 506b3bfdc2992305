#include "format/message_search.h"

#include <cassert>
#include <new>

#include "format/chunk.h"
#include "format/segment_index.h"
#include "search/match.h"

namespace historian::format {

struct MessageSearch {
    explicit MessageSearch(Arena &arena) noexcept : space(arena) {}

    const codec::TemplateModel *model = nullptr;
    search::Matcher *matcher = nullptr;
    search::Tokenizer::Space space;
};

namespace {

Status no_search_memory() noexcept { return {StatusCode::out_of_memory, "no memory to search messages"}; }

Status match_text(MessageSearch &search, std::string_view text, bool *matches) noexcept {
    search::Tokenizer words(text, search.space);
    search.matcher->begin();
    search.matcher->read(words, SIZE_MAX);
    *matches = search.matcher->finish();
    return words.status();
}

/// Makes all texts and matches each once.
Status match_everything(MessageSearch &search, const ColumnVector &column, Arena &arena, RowBits *matching) noexcept {
    if (column.kind == PhysicalKind::absent) return Status::success();
    if (is_number(column.kind)) return {StatusCode::unsupported, "a column of numbers has no words"};
    auto *matches = arena.array<std::uint8_t>(column.entry_count);
    if (matches == nullptr) return no_search_memory();
    for (std::uint32_t e = 0; e < column.entry_count; ++e) {
        const std::uint64_t begin = column.entry_offsets[e];
        bool is_match = false;
        const std::string_view text{reinterpret_cast<const char *>(column.entry_data) + begin,
                                    static_cast<std::size_t>(column.entry_offsets[e + 1] - begin)};
        if (const Status status = match_text(search, text, &is_match); !status.ok()) return status;
        matches[e] = is_match;
    }
    for (std::uint32_t row = 0; row < column.row_count; ++row) {
        const bool is_null = column.nulls != nullptr && column.nulls[row] != 0;
        if (!is_null && matches[column.entry_of_row[row]] != 0) matching->add(row);
    }
    return Status::success();
}

}  // namespace

Status prepare_message_search(const codec::TemplateModel *model, const search::Query &query, Arena &arena,
                              MessageSearch **search) noexcept {
    void *memory = arena.allocate(sizeof(MessageSearch));
    if (memory == nullptr) return no_search_memory();
    *search = new (memory) MessageSearch(arena);
    (*search)->model = model;
    return search::Matcher::create(query, arena, &(*search)->matcher);
}

Status search_chunk(MessageSearch &search, const SegmentIndex &index, std::uint32_t granule, std::uint32_t column,
                    std::span<const std::byte> chunk, Arena &arena, RowBits *certain, RowBits *possible) noexcept {
    assert(granule < index.header.granule_count && column < index.header.column_count);
    *certain = *possible = {};
    ColumnVector decoded;
    Status status = decode_chunk(index, granule, column, chunk, search.model, arena, &decoded);
    if (status.ok()) status = match_everything(search, decoded, arena, certain);
    *possible = *certain;
    return status;
}

}  // namespace historian::format
