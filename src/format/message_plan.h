// Message plan: what a query's phrases ask of the templates of one model (codec/templates.h), found out once for all its
// granules.
//
// Per phrase and template there is a verdict: its messages have the phrase, they cannot, each may, or it depends on holes. Then
// each word of the phrase is either free in the template (it stands in the fixed text, say) or one of its checks (hole_checks.h)
// must hold.
//
// A phrase's words stand in units one after the other (message_units.h), several in one unit if it can have several words. Only
// units that are in such a row of units count: "retry 17" asks of "retry <> after <> ms" for the first hole alone.
//
// Invariants:
//   1. A verdict `always` is what the matcher says of fixed text alone, in units without holes.
//   2. Of a phrase of one word, checks are exact; of a longer one they are necessary.
#pragma once

#include "format/hole_checks.h"

namespace historian::format {

/// Bits, so that a granule's rows become bits without a branch.
enum Verdict : std::uint8_t {
    kNever = 0,
    kMaybe = 2,
    kAlways = 3,
    kDepends = 4,
};

struct WordPlan {
    const search::QueryWord *wanted = nullptr;
    std::span<HoleCheck> checks;
    std::span<const WordChecks::Use> uses;
    const std::uint8_t *is_free = nullptr;  // one a template's number; nullptr of a phrase's only word
};

struct PhrasePlan {
    const std::uint8_t *verdicts = nullptr;  // Verdict, one a template's number; number 0 has none
    std::span<const WordPlan> words;
};

struct MessagePlan {
    std::span<const PhrasePlan> phrases;  // as those of the query
    WordFinder *finder = nullptr;
};

/// planned   output: false when the query or the model is too large for a plan
/// errors    out_of_memory
Status plan_messages(const codec::TemplateModel &model, const search::Query &query, Arena &arena, bool *planned,
                     MessagePlan *plan) noexcept;

}  // namespace historian::format
