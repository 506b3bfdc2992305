#include "format/message_plan.h"

#include <algorithm>
#include <cstring>
#include <new>

namespace historian::format {
namespace {

using search::Phrase;
using search::Query;

/// For larger queries and models, making texts and matching them costs less than a plan.
constexpr std::size_t kWordsMax = 64;
constexpr std::uint32_t kTemplatesMax = 1u << 16;
constexpr std::size_t kUnitsMax = std::size_t{1} << 20;

Status no_plan_memory() noexcept { return {StatusCode::out_of_memory, "no memory to search messages"}; }

/// A place of a word in a unit: its presence, and later whether it is in a row of units that the phrase can stand in.
constexpr std::uint8_t kPresence = 3;
constexpr std::uint8_t kCounts = 4;

/// Ways by which a word's place is reached: over fixed units alone, or with a hole among them.
constexpr std::uint8_t kByFixed = 1;
constexpr std::uint8_t kByHole = 2;

std::uint8_t with_hole(std::uint8_t ways) noexcept { return ways != 0 ? kByHole : 0; }

class Planner {
public:
    Planner(const codec::TemplateModel &model, const Query &query, Arena &arena, MessageUnits units, WordFinder &finder) noexcept
        : model_(model), query_(query), arena_(arena), units_(units), finder_(finder), ways_(arena), space_(arena) {
        unit_count_ = units.starts[codec::template_count(model)];
    }

    Status plan(const Phrase &phrase, PhrasePlan *planned) noexcept {
        const std::uint32_t template_count = codec::template_count(model_);
        auto *verdicts = arena_.array<std::uint8_t>(std::size_t{template_count} + 1);
        places_ = arena_.array<std::uint8_t>(unit_count_ * phrase.word_count);
        auto *words = arena_.array<WordPlan>(phrase.word_count);
        if (verdicts == nullptr || places_ == nullptr || words == nullptr) return no_plan_memory();
        std::memset(verdicts, kMaybe, std::size_t{template_count} + 1);
        verdicts[0] = kNever;
        for (std::uint32_t w = 0; w < phrase.word_count; ++w) {
            if (const Status status = find_word(phrase, w, verdicts); !status.ok()) return status;
        }
        matcher_ = nullptr;
        for (std::uint32_t number = 1; number <= template_count; ++number) {
            if (verdicts[number] == kNever) continue;
            if (const Status status = judge(phrase, number, &verdicts[number]); !status.ok()) return status;
        }
        std::size_t places_max = 0;
        for (std::uint32_t w = 0; w < phrase.word_count; ++w) {
            if (const Status status = plan_word(phrase, w, verdicts, &words[w], &places_max); !status.ok()) return status;
        }
        *planned = {verdicts, {words, phrase.word_count}, places_max};
        return finder_.status();
    }

private:
    std::uint8_t *places_of(std::uint32_t word, std::uint32_t number) const noexcept {
        return places_ + unit_count_ * word + units_.starts[number - 1];
    }

    /// The units of all templates that may have a word; a template without such is out.
    Status find_word(const Phrase &phrase, std::uint32_t w, std::uint8_t *verdicts) noexcept {
        if (const Status status = finder_.begin_word(query_.words[phrase.word_begin + w], nullptr); !status.ok()) return status;
        for (std::uint32_t number = 1; number <= codec::template_count(model_); ++number) {
            if (verdicts[number] == kNever) continue;
            std::uint8_t *place = places_of(w, number);
            bool any = false;
            for (const MessageUnit &unit : units_.of(number)) {
                const Presence presence = finder_.find(unit, number);
                any |= presence != Presence::no;
                *place++ = static_cast<std::uint8_t>(presence);
            }
            if (!any) verdicts[number] = kNever;
        }
        return Status::success();
    }

    Status judge(const Phrase &phrase, std::uint32_t number, std::uint8_t *verdict) noexcept {
        if (phrase.word_count == 1) {
            judge_single(number, verdict);
            return Status::success();
        }
        const std::span<const MessageUnit> units = units_.of(number);
        const std::size_t cells = units.size() * phrase.word_count;
        ways_.clear();
        if (!ways_.reserve(2 * cells)) return no_plan_memory();
        std::memset(ways_.data(), 0, 2 * cells);
        if (find_ways(phrase, number)) {
            bool always = false;
            if (const Status status = match_fixed_text(phrase, number, &always); !status.ok()) return status;
            if (always) {
                *verdict = kAlways;
                return Status::success();
            }
        }
        // Without the rows of fixed units alone, which the matcher has just ruled out.
        *verdict = kMaybe;
        for (std::uint32_t w = 0; w < phrase.word_count; ++w) {
            const Freedom freedom = keep_places(number, w, units.size(), ways_.data(), ways_.data() + cells);
            if (freedom == Freedom::none) {
                *verdict = kNever;
                return Status::success();
            }
            if (freedom == Freedom::checked) *verdict = kDepends;
        }
        return Status::success();
    }

    void judge_single(std::uint32_t number, std::uint8_t *verdict) noexcept {
        std::uint8_t *places = places_of(0, number);
        bool has[4] = {};
        for (std::size_t u = 0; u < units_.of(number).size(); ++u) {
            has[places[u] & kPresence] = true;
            places[u] |= kCounts;
        }
        const auto seen = [&](Presence presence) { return has[static_cast<std::size_t>(presence)]; };
        *verdict = seen(Presence::fixed) ? kAlways : seen(Presence::maybe) ? kMaybe : kDepends;
    }

    /// Fills in by which ways each word's places are reached from the first word (ways_) and from the last (behind them). Returns
    /// whether fixed units alone may hold the phrase.
    bool find_ways(const Phrase &phrase, std::uint32_t number) noexcept {
        const std::span<const MessageUnit> units = units_.of(number);
        const std::size_t count = units.size();
        std::uint8_t *forward = ways_.data();
        std::uint8_t *backward = forward + count * phrase.word_count;
        const std::uint32_t last = phrase.word_count - 1;
        for (std::size_t u = 0; u < count; ++u) {
            const std::uint8_t here = units[u].is_fixed() ? kByFixed : kByHole;
            if ((places_of(0, number)[u] & kPresence) != 0) forward[u] = here;
            if ((places_of(last, number)[u] & kPresence) != 0) backward[count * last + u] = here;
        }
        for (std::uint32_t w = 0; w < last; ++w) {
            for (std::size_t u = 0; u < count; ++u) {
                if (forward[count * w + u] != 0)
                    step(units, u, +1, forward[count * w + u], places_of(w + 1, number), forward + count * (w + 1));
            }
        }
        for (std::uint32_t w = last; w > 0; --w) {
            for (std::size_t u = 0; u < count; ++u) {
                if (backward[count * w + u] != 0)
                    step(units, u, -1, backward[count * w + u], places_of(w - 1, number), backward + count * (w - 1));
            }
        }
        bool fixed = false;
        for (std::size_t u = 0; u < count; ++u) fixed |= (forward[count * last + u] & kByFixed) != 0;
        return fixed;
    }

    /// From a word in unit u to where the word beside it can be: the same unit, the next one, or one behind units without words.
    static void step(std::span<const MessageUnit> units, std::size_t u, std::ptrdiff_t direction, std::uint8_t ways,
                     const std::uint8_t *places, std::uint8_t *reached) noexcept {
        const auto reach = [&](std::size_t at) {
            if ((places[at] & kPresence) != 0) reached[at] |= units[at].is_fixed() ? ways : with_hole(ways);
        };
        if (!units[u].is_one_word()) reach(u);
        for (std::size_t at = u + static_cast<std::size_t>(direction); at < units.size();
             at += static_cast<std::size_t>(direction)) {
            reach(at);
            if (!units[at].may_be_wordless()) break;
            if (!units[at].is_fixed()) ways = with_hole(ways);
        }
    }

    enum class Freedom : std::uint8_t { none, checked, free };

    /// Marks the places of a word that are in a row of units with a hole; says whether the word is there for sure, or may be
    /// whatever the checks say.
    Freedom keep_places(std::uint32_t number, std::uint32_t w, std::size_t count, const std::uint8_t *forward,
                        const std::uint8_t *backward) noexcept {
        std::uint8_t *places = places_of(w, number);
        Freedom freedom = Freedom::none;
        for (std::size_t u = 0; u < count; ++u) {
            const std::uint8_t before = forward[count * w + u];
            const std::uint8_t after = backward[count * w + u];
            if (before == 0 || after == 0 || ((before | after) & kByHole) == 0) continue;
            places[u] |= kCounts;
            const auto presence = static_cast<Presence>(places[u] & kPresence);
            if (presence != Presence::depends) freedom = Freedom::free;
            if (freedom == Freedom::none) freedom = Freedom::checked;
        }
        return freedom;
    }

    /// Whether the text between units with holes has the phrase.
    Status match_fixed_text(const Phrase &phrase, std::uint32_t number, bool *always) noexcept {
        if (matcher_ == nullptr) {
            if (const Status status = make_matcher(phrase); !status.ok()) return status;
        }
        const std::string_view text = characters_of(codec::template_text(model_, number));
        std::size_t begin = 0;
        for (const MessageUnit &unit : units_.of(number)) {
            if (unit.is_fixed()) continue;
            if (const Status status = match(text.substr(begin, unit.begin - begin), always); !status.ok() || *always)
                return status;
            begin = unit.end;
        }
        return match(text.substr(begin), always);
    }

    Status match(std::string_view text, bool *matches) noexcept {
        search::Tokenizer words(text, space_);
        matcher_->begin();
        matcher_->read(words, SIZE_MAX);
        *matches = matcher_->finish();
        return words.status();
    }

    Status make_matcher(const Phrase &phrase) noexcept {
        auto *alone = arena_.array<Phrase>(1);
        auto *node = arena_.array<search::QueryNode>(1);
        auto *query = arena_.array<Query>(1);
        auto *scratch = arena_.array<bool>(1);
        if (alone == nullptr || node == nullptr || query == nullptr || scratch == nullptr) return no_plan_memory();
        *alone = phrase;
        alone->word_begin = 0;
        new (node) search::QueryNode;
        new (query) Query{{node, 1}, {alone, 1}, query_.words.subspan(phrase.word_begin, phrase.word_count), {}, scratch};
        return search::Matcher::create(*query, arena_, &matcher_);
    }

    /// The places and checks of a word, in the templates that depend on some.
    Status plan_word(const Phrase &phrase, std::uint32_t w, const std::uint8_t *verdicts, WordPlan *word,
                     std::size_t *places_max) noexcept {
        *word = {};
        WordChecks checks(arena_);
        search::ArenaList<WordPlace> places(arena_);
        const std::uint32_t template_count = codec::template_count(model_);
        auto *starts = arena_.array<std::uint32_t>(std::size_t{template_count} + 2);
        if (starts == nullptr) return no_plan_memory();
        starts[0] = starts[1] = 0;
        if (const Status status = finder_.begin_word(query_.words[phrase.word_begin + w], &checks); !status.ok()) return status;
        for (std::uint32_t number = 1; number <= template_count; ++number) {
            if (verdicts[number] == kDepends) add_places(w, number, checks, places);
            starts[number + 1] = static_cast<std::uint32_t>(places.size());
            *places_max = std::max<std::size_t>(*places_max, starts[number + 1] - starts[number]);
        }
        if (checks.checks.failed() || checks.uses.failed() || checks.added.failed() || places.failed()) return no_plan_memory();
        *word = {&query_.words[phrase.word_begin + w],
                 {checks.checks.data(), checks.checks.size()},
                 checks.uses.items(),
                 places.items(),
                 checks.added.items(),
                 starts};
        return finder_.status();
    }

    void add_places(std::uint32_t w, std::uint32_t number, WordChecks &checks, search::ArenaList<WordPlace> &places) noexcept {
        const std::uint8_t *place = places_of(w, number);
        const std::span<const MessageUnit> units = units_.of(number);
        for (std::uint32_t u = 0; u < units.size(); ++u) {
            if ((place[u] & kCounts) == 0 || (place[u] & kPresence) == 0) continue;
            const auto before = static_cast<std::uint32_t>(checks.added.size());
            if (static_cast<Presence>(place[u] & kPresence) == Presence::depends) finder_.add_checks(units[u], number);
            places.push({u, before, static_cast<std::uint32_t>(checks.added.size()) - before});
        }
    }

    const codec::TemplateModel &model_;
    const Query &query_;
    Arena &arena_;
    MessageUnits units_;
    WordFinder &finder_;
    std::size_t unit_count_ = 0;
    std::uint8_t *places_ = nullptr;  // of the phrase: word after word, one a unit of the model
    search::ArenaList<std::uint8_t> ways_;
    search::Matcher *matcher_ = nullptr;  // of the phrase, made when first needed
    search::Tokenizer::Space space_;
};

}  // namespace

Status plan_messages(const codec::TemplateModel &model, const MessageUnits &units, const Query &query, Arena &arena,
                     bool *planned, MessagePlan *plan) noexcept {
    *planned = false;
    *plan = {};
    if (query.words.size() > kWordsMax || codec::template_count(model) > kTemplatesMax) return Status::success();
    if (units.starts[codec::template_count(model)] > kUnitsMax) return Status::success();
    void *finder = arena.allocate(sizeof(WordFinder));
    auto *phrases = arena.array<PhrasePlan>(query.phrases.size());
    if (finder == nullptr || phrases == nullptr) return no_plan_memory();
    plan->units = units;
    plan->finder = new (finder) WordFinder(model, *units.runs, arena);
    Planner planner(model, query, arena, units, *plan->finder);
    for (std::size_t p = 0; p < query.phrases.size(); ++p) {
        if (const Status status = planner.plan(query.phrases[p], &phrases[p]); !status.ok()) return status;
    }
    plan->phrases = {phrases, query.phrases.size()};
    *planned = true;
    return Status::success();
}

}  // namespace historian::format
