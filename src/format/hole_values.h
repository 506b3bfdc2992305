// Hole values: the rows of one granule whose values pass a check (hole_checks.h).
//
// A column is decoded when a check needs it, once (codec/templates.h); most checks are settled before by the template numbers, or
// because no word of the dictionary and no other word of the column fits.
#pragma once

#include "format/message_plan.h"
#include "format/message_search.h"

namespace historian::format {

class HoleValues {
public:
    /// arena   for this granule
    HoleValues(const codec::TemplateModel &model, codec::TemplateGranule &granule, Arena &arena) noexcept
        : model_(&model), granule_(&granule), arena_(&arena) {}

    /// Adds the rows of the check's templates whose value passes; rows count without those that are NULL.
    ///
    /// check    one of the word's
    /// errors   truncated, corrupt, unsupported, out_of_memory
    Status find(WordPlan &word, const HoleCheck &check, RowBits *found) noexcept;

private:
    Status find_numbers(const HoleCheck &check) noexcept;
    Status find_words(WordFinder &finder, const HoleCheck &check) noexcept;
    Status find_written(WordFinder &finder, const HoleCheck &check) noexcept;
    template <typename Test>
    Status test_values(Test test) noexcept;
    Status add_rows(std::size_t first, std::uint64_t passing) noexcept;

    const codec::TemplateModel *model_;
    codec::TemplateGranule *granule_;
    Arena *arena_;
    std::uint8_t *marks_ = nullptr;  // one a template's number: those of the check; all 0 between uses

    // Of the check at hand.
    std::uint32_t column_ = 0;
    std::span<const std::int64_t> values_;
    std::span<const std::uint16_t> rows_;
    bool all_templates_ = false;  // that have the column
    RowBits *found_ = nullptr;
};

}  // namespace historian::format
