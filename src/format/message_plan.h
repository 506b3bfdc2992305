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

/// A unit where a word of a phrase can stand.
struct WordPlace {
    std::uint32_t unit = 0;
    std::uint32_t check_begin = 0;  // of check_indexes: one of these checks must hold; none: the word is there, or may be
    std::uint32_t check_count = 0;
};

struct WordPlan {
    const search::QueryWord *wanted = nullptr;
    std::span<HoleCheck> checks;
    std::span<const WordChecks::Use> uses;

    // Not of a phrase's only word: its places in the templates that depend on holes.
    std::span<const WordPlace> places;
    std::span<const std::uint32_t> check_indexes;
    const std::uint32_t *place_starts = nullptr;  // those in template t begin at place_starts[t] and end at place_starts[t + 1]

    std::span<const WordPlace> places_in(std::uint32_t number) const noexcept {
        return places.subspan(place_starts[number], place_starts[number + 1] - place_starts[number]);
    }
};

struct PhrasePlan {
    const std::uint8_t *verdicts = nullptr;  // Verdict, one a template's number; number 0 has none
    std::span<const WordPlan> words;
    std::size_t places_max = 0;  // of a word in a template
};

struct MessagePlan {
    std::span<const PhrasePlan> phrases;  // as those of the query
    MessageUnits units;
    WordFinder *finder = nullptr;
};

/// units     of the model; copied, but not what they point to
/// planned   output: false when the query or the model is too large for a plan
/// errors    out_of_memory
Status plan_messages(const codec::TemplateModel &model, const MessageUnits &units, const search::Query &query, Arena &arena,
                     bool *planned, MessagePlan *plan) noexcept;

}  // namespace historian::format
