#include "format/message_search.h"
#include <cstring>
#include <new>
#include "search/match.h"
namespace historian::format {
struct MessageSearch { const codec::TemplateModel *model; search::Matcher *matcher; };
Status prepare_message_search(const codec::TemplateModel *model, const search::Query &query, Arena &arena, MessageSearch **search) noexcept {
    *search = arena.array<MessageSearch>(1);
    new (*search) MessageSearch{model, nullptr};
    return search::Matcher::create(query, arena, &(*search)->matcher);
}
Status search_chunk(MessageSearch &search, const SegmentIndex &index, std::uint32_t granule, std::uint32_t column,
                    std::span<const std::byte> chunk, Arena &arena, RowBits *certain, RowBits *possible) noexcept {
    ColumnVector v;
    if (const Status s = decode_chunk(index, granule, column, chunk, search.model, arena, &v); !s.ok()) return s;
    search::Tokenizer::Space space{arena};
    std::memset(certain, 0, sizeof *certain);
    for (std::uint32_t r = 0; r < v.row_count; ++r) {
        if (v.nulls != nullptr && v.nulls[r] != 0) continue;
        const std::uint32_t e = v.entry_of_row[r];
        search::Tokenizer words({reinterpret_cast<const char *>(v.entry_data + v.entry_offsets[e]), v.entry_offsets[e + 1] - v.entry_offsets[e]}, space);
        search.matcher->begin();
        while (search.matcher->read(words, 1u << 20)) {}
        if (search.matcher->finish()) certain->words[r / 64] |= std::uint64_t{1} << (r % 64);
    }
    *possible = *certain;
    return Status::success();
}
}
