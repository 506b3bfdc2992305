#pragma once
#include "codec/templates.h"
#include "format/segment.h"
#include "search/query.h"
namespace historian::format {
struct RowBits {
    std::uint64_t words[kGranuleRowsMax / 64];
};
struct MessageSearch;
Status prepare_message_search(const codec::TemplateModel *model, const search::Query &query, Arena &arena,
                              MessageSearch **search) noexcept;
Status search_chunk(MessageSearch &search, const SegmentIndex &index, std::uint32_t granule, std::uint32_t column,
                    std::span<const std::byte> chunk, Arena &arena, RowBits *certain, RowBits *possible) noexcept;
}  // namespace historian::format
