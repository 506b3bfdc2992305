// Message search: which rows of a granule of messages match a query, without making their texts.
//
// The answer has three values a row: it matches for sure, it does not, or its text must be made and matched to know. Per phrase
// of the query and template of the model it is found out once, when a granule has the template, whether the fixed text decides,
// and otherwise which values of which holes do (message_plan.h). A granule then costs a look at each row's template number, and
// the columns of the holes that matter. The phrases' answers are put together in Kleene's logic.
//
// Texts that come from no template are matched as they are; so are those of chunks without templates, and of queries
// that are too large to plan for.
//
// Invariants:
//   1. A row that is `certain` matches; a row that matches is `possible` (search/match.h says what matches, for any bytes).
//   2. Any bytes are safe: the result is row bits or a Status.
#pragma once

#include "format/message_units.h"
#include "format/segment.h"
#include "search/query.h"

namespace historian::format {

/// Rows of a granule as bits: bit r % 64 of word r / 64.
struct RowBits {
    std::uint64_t words[kGranuleRowsMax / 64];

    bool has(std::uint32_t row) const noexcept { return (words[row / 64] >> (row % 64) & 1) != 0; }
    void add(std::uint32_t row) noexcept { words[row / 64] |= std::uint64_t{1} << (row % 64); }
};

/// A query prepared for the messages of one model. Opaque; lives in its arena; no destructor.
struct MessageSearch;

/// model    of the column, or nullptr when it has none; must live as long as the search
/// query    the same
/// arena    for the search and for what it finds out later; must live as long
/// units    of the model, and the same; nullptr: they are made in the arena
/// errors   out_of_memory
Status prepare_message_search(const codec::TemplateModel *model, const search::Query &query, Arena &arena, MessageSearch **search,
                              MessageUnits *units = nullptr) noexcept;

/// chunk      its messages are opened, unless they are already
/// arena      must live as long as the chunk is used
/// certain    output: rows that match
/// possible   output: rows that may match, those that do included. NULL rows are in neither.
/// errors     truncated, corrupt, unsupported (also: no column of texts), out_of_memory
Status search_chunk(MessageSearch &search, const SegmentIndex &index, std::uint32_t granule, std::uint32_t column,
                    OpenChunk &chunk, Arena &arena, RowBits *certain, RowBits *possible) noexcept;

}  // namespace historian::format
