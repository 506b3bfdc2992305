// Row order: where each collected row goes in the sorted segment, and which rows share a granule.
#pragma once

#include "format/segment_builder.h"

namespace historian::format {

/// All arrays are the arena's.
struct RowOrder {
    std::uint32_t *destination = nullptr;  // arrival -> sorted position
    std::uint32_t *tag_ids = nullptr;      // sorted tags (the NULL tag first): the builder's number
    std::uint32_t *tag_start = nullptr;    // first row of each sorted tag; tag_count + 1 of them
    std::uint32_t tag_count = 0;           // with the NULL tag
    bool has_null_tag = false;
    std::int64_t *times = nullptr;       // sorted rows; a NULL's is 0
    std::uint8_t *null_times = nullptr;  // sorted rows, 1 = NULL; nullptr when there is none
};

/// errors   out_of_memory
Status sort_rows(SegmentBuilder &builder, RowOrder *order) noexcept;

/// The rows and tags of one granule; the times are left for the caller.
struct GranuleList {
    Granule *granules = nullptr;
    std::uint32_t count = 0;
};

/// errors   out_of_memory
Status choose_granules(const SegmentBuilder &builder, const RowOrder &order, GranuleList *list) noexcept;

}  // namespace historian::format
