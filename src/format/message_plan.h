// Message plan: what a query's phrases ask of the templates of one model (codec/templates.h). Of a template it is found out when
// a granule first has rows of it, and kept for the granules behind: a model has up to tens of thousands of templates, a granule
// some hundreds, and a search for a rare word sees few granules of a model.
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
//   3. Only what belongs to templates that extend_plan() has met is filled in.
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
    std::uint32_t check_begin = 0;  // of checks.added: one of these checks must hold; none: the word is there, or may be
    std::uint32_t check_count = 0;
};

/// A word of a phrase.
struct WordPlan {
    struct PlaceRange {
        std::uint32_t begin;
        std::uint32_t count;
    };

    WordPlan(const codec::TemplateModel &model, const MessageUnits &units, const search::QueryWord &wanted, Arena &arena) noexcept
        : finder(model, units, wanted, arena), checks(arena), places(arena) {}

    /// number   of a template that depends on holes for the phrase
    std::span<const WordPlace> places_in(std::uint32_t number) const noexcept {
        return places.items().subspan(ranges[number].begin, ranges[number].count);
    }

    Status status() const noexcept {
        const bool failed = checks.checks.failed() || checks.uses.failed() || checks.added.failed() || places.failed();
        return failed ? Status{StatusCode::out_of_memory, "no memory to search messages"} : finder.status();
    }

    WordFinder finder;
    WordChecks checks;
    search::ArenaList<WordPlace> places;
    PlaceRange *ranges = nullptr;  // one a template's number: of places; nullptr: of a phrase's only word, where no one asks
};

struct PhrasePlan {
    std::uint8_t *verdicts = nullptr;  // Verdict, one a template's number; number 0 has none
    std::span<WordPlan *> words;
    std::size_t places_max = 0;  // of a word in a template
};

class MessagePlanner;

struct MessagePlan {
    std::span<PhrasePlan> phrases;  // as those of the query
    const MessageUnits *units = nullptr;
    MessagePlanner *planner = nullptr;
};

/// model    must live as long as the plan, as must the query and the arena
/// units    of the model, which are cut as they are needed
/// plan     output: without planner when the query is too large for a plan
/// errors   out_of_memory
Status begin_plan(const codec::TemplateModel &model, MessageUnits &units, const search::Query &query, Arena &arena,
                  MessagePlan *plan) noexcept;

/// Finds out about templates that are new here.
///
/// row_counts   of a granule, one a template's number
/// errors       out_of_memory
Status extend_plan(MessagePlan &plan, std::span<const std::uint32_t> row_counts) noexcept;

}  // namespace historian::format
