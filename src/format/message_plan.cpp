#include "format/message_plan.h"

#include <algorithm>
#include <cstring>
#include <new>

namespace historian::format {
namespace {

using search::Phrase;
using search::Query;

/// For larger queries, making texts and matching them costs less than a plan.
constexpr std::size_t kWordsMax = 64;

/// So many granules of a model are searched, by one query or several, before its dictionary's runs are made: that takes as long
/// as a look at the words which about so many granules have.
constexpr std::uint32_t kGranulesBeforeRuns = 8;

Status no_plan_memory() noexcept { return {StatusCode::out_of_memory, "no memory to search messages"}; }

/// A place of a word in a unit: its presence, and later whether it is in a row of units that the phrase can stand in.
constexpr std::uint8_t kPresence = 3;
constexpr std::uint8_t kCounts = 4;

/// Ways by which a word's place is reached: over fixed units alone, or with a hole among them.
constexpr std::uint8_t kByFixed = 1;
constexpr std::uint8_t kByHole = 2;

std::uint8_t with_hole(std::uint8_t ways) noexcept { return ways != 0 ? kByHole : 0; }

}  // namespace

class MessagePlanner {
public:
    MessagePlanner(const codec::TemplateModel &model, const Query &query, MessageUnits &units, Arena &arena) noexcept
        : model_(model), query_(query), arena_(arena), units_(units), space_(arena), places_(arena), ways_(arena) {}

    Status begin(std::span<PhrasePlan> phrases) noexcept {
        const std::size_t count = std::size_t{codec::template_count(model_)} + 1;
        is_planned_ = arena_.array<std::uint8_t>(count);
        matchers_ = arena_.array<search::Matcher *>(phrases.size());
        if (is_planned_ == nullptr || matchers_ == nullptr) return no_plan_memory();
        std::memset(is_planned_, 0, count);
        std::fill_n(matchers_, phrases.size(), nullptr);
        for (std::size_t p = 0; p < phrases.size(); ++p) {
            if (const Status status = begin_phrase(query_.phrases[p], &phrases[p]); !status.ok()) return status;
        }
        return Status::success();
    }

    Status extend(std::span<PhrasePlan> phrases, std::span<const std::uint32_t> row_counts) noexcept {
        if (const Status status = use_runs(phrases); !status.ok()) return status;
        for (std::uint32_t number = 1; number < row_counts.size(); ++number) {
            if (row_counts[number] == 0 || is_planned_[number] != 0) continue;
            if (const Status status = units_.cut(number); !status.ok()) return status;
            for (std::size_t p = 0; p < phrases.size(); ++p) {
                if (const Status status = plan(p, number, &phrases[p]); !status.ok()) return status;
            }
            is_planned_[number] = 1;
        }
        for (const PhrasePlan &phrase : phrases) {
            for (const WordPlan *word : phrase.words) {
                if (const Status status = word->status(); !status.ok()) return status;
            }
        }
        return Status::success();
    }

private:
    /// The dictionary's runs, once they pay: from then on its words are looked up by them.
    Status use_runs(std::span<PhrasePlan> phrases) noexcept {
        if (uses_runs_ || units_.count_granule() < kGranulesBeforeRuns) return Status::success();
        if (const Status status = units_.make_runs(); !status.ok()) return status;
        for (const PhrasePlan &phrase : phrases) {
            for (WordPlan *word : phrase.words) word->finder.complete_dictionary_sets();
        }
        uses_runs_ = true;
        return Status::success();
    }

    Status begin_phrase(const Phrase &phrase, PhrasePlan *planned) noexcept {
        const std::size_t count = std::size_t{codec::template_count(model_)} + 1;
        auto *verdicts = arena_.array<std::uint8_t>(count);
        auto *words = arena_.array<WordPlan *>(phrase.word_count);
        if (verdicts == nullptr || words == nullptr) return no_plan_memory();
        std::memset(verdicts, kNever, count);
        for (std::uint32_t w = 0; w < phrase.word_count; ++w) {
            void *memory = arena_.allocate(sizeof(WordPlan));
            if (memory == nullptr) return no_plan_memory();
            words[w] = new (memory) WordPlan(model_, units_, query_.words[phrase.word_begin + w], arena_);
            if (phrase.word_count == 1) continue;
            words[w]->ranges = arena_.array<WordPlan::PlaceRange>(count);
            if (words[w]->ranges == nullptr) return no_plan_memory();
        }
        *planned = {verdicts, {words, phrase.word_count}};
        return Status::success();
    }

    Status plan(std::size_t p, std::uint32_t number, PhrasePlan *planned) noexcept {
        const Phrase &phrase = query_.phrases[p];
        std::uint8_t *verdict = &planned->verdicts[number];
        units_here_ = units_.of(number);
        places_.clear();
        if (!places_.reserve(units_here_.size() * phrase.word_count)) return no_plan_memory();
        if (find_words(number, planned->words)) {
            const Status status = phrase.word_count == 1 ? judge_single(verdict) : judge(p, number, verdict);
            if (!status.ok()) return status;
            if (*verdict == kDepends) add_places(number, planned);
        }
        return Status::success();
    }

    std::uint8_t *places_of(std::uint32_t word) noexcept { return places_.data() + units_here_.size() * word; }

    /// The units that may have each word; false when a word has none.
    bool find_words(std::uint32_t number, std::span<WordPlan *> words) noexcept {
        for (std::uint32_t w = 0; w < words.size(); ++w) {
            std::uint8_t *place = places_of(w);
            bool any = false;
            for (const MessageUnit &unit : units_here_) {
                const Presence presence = words[w]->finder.find(unit, number);
                any |= presence != Presence::no;
                *place++ = static_cast<std::uint8_t>(presence);
            }
            if (!any) return false;
        }
        return true;
    }

    Status judge(std::size_t p, std::uint32_t number, std::uint8_t *verdict) noexcept {
        const Phrase &phrase = query_.phrases[p];
        const std::size_t cells = units_here_.size() * phrase.word_count;
        ways_.clear();
        if (!ways_.reserve(2 * cells)) return no_plan_memory();
        std::memset(ways_.data(), 0, 2 * cells);
        if (find_ways(phrase)) {
            bool always = false;
            if (const Status status = match_fixed_text(p, number, &always); !status.ok()) return status;
            if (always) {
                *verdict = kAlways;
                return Status::success();
            }
        }
        // Without the rows of fixed units alone, which the matcher has just ruled out.
        *verdict = kMaybe;
        for (std::uint32_t w = 0; w < phrase.word_count; ++w) {
            const Freedom freedom = keep_places(w, ways_.data(), ways_.data() + cells);
            if (freedom == Freedom::none) {
                *verdict = kNever;
                return Status::success();
            }
            if (freedom == Freedom::checked) *verdict = kDepends;
        }
        return Status::success();
    }

    Status judge_single(std::uint8_t *verdict) noexcept {
        std::uint8_t *places = places_of(0);
        bool has[4] = {};
        for (std::size_t u = 0; u < units_here_.size(); ++u) {
            has[places[u] & kPresence] = true;
            places[u] |= kCounts;
        }
        const auto seen = [&](Presence presence) { return has[static_cast<std::size_t>(presence)]; };
        *verdict = seen(Presence::fixed) ? kAlways : seen(Presence::maybe) ? kMaybe : kDepends;
        return Status::success();
    }

    /// Fills in by which ways each word's places are reached from the first word (ways_) and from the last (behind them). Returns
    /// whether fixed units alone may hold the phrase.
    bool find_ways(const Phrase &phrase) noexcept {
        const std::span<const MessageUnit> units = units_here_;
        const std::size_t count = units.size();
        std::uint8_t *forward = ways_.data();
        std::uint8_t *backward = forward + count * phrase.word_count;
        const std::uint32_t last = phrase.word_count - 1;
        for (std::size_t u = 0; u < count; ++u) {
            const std::uint8_t here = units[u].is_fixed() ? kByFixed : kByHole;
            if ((places_of(0)[u] & kPresence) != 0) forward[u] = here;
            if ((places_of(last)[u] & kPresence) != 0) backward[count * last + u] = here;
        }
        for (std::uint32_t w = 0; w < last; ++w) {
            for (std::size_t u = 0; u < count; ++u) {
                if (forward[count * w + u] != 0)
                    step(units, u, +1, forward[count * w + u], places_of(w + 1), forward + count * (w + 1));
            }
        }
        for (std::uint32_t w = last; w > 0; --w) {
            for (std::size_t u = 0; u < count; ++u) {
                if (backward[count * w + u] != 0)
                    step(units, u, -1, backward[count * w + u], places_of(w - 1), backward + count * (w - 1));
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
    Freedom keep_places(std::uint32_t w, const std::uint8_t *forward, const std::uint8_t *backward) noexcept {
        const std::size_t count = units_here_.size();
        std::uint8_t *places = places_of(w);
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
    Status match_fixed_text(std::size_t p, std::uint32_t number, bool *always) noexcept {
        if (matchers_[p] == nullptr) {
            if (const Status status = make_matcher(query_.phrases[p], &matchers_[p]); !status.ok()) return status;
        }
        search::Matcher &matcher = *matchers_[p];
        const std::string_view text = characters_of(codec::template_text(model_, number));
        std::size_t begin = 0;
        for (const MessageUnit &unit : units_here_) {
            if (unit.is_fixed()) continue;
            const Status status = match(matcher, text.substr(begin, unit.begin - begin), always);
            if (!status.ok() || *always) return status;
            begin = unit.end;
        }
        return match(matcher, text.substr(begin), always);
    }

    Status match(search::Matcher &matcher, std::string_view text, bool *matches) noexcept {
        search::Tokenizer words(text, space_);
        matcher.begin();
        matcher.read(words, SIZE_MAX);
        *matches = matcher.finish();
        return words.status();
    }

    Status make_matcher(const Phrase &phrase, search::Matcher **matcher) noexcept {
        auto *alone = arena_.array<Phrase>(1);
        auto *node = arena_.array<search::QueryNode>(1);
        auto *query = arena_.array<Query>(1);
        auto *scratch = arena_.array<bool>(1);
        if (alone == nullptr || node == nullptr || query == nullptr || scratch == nullptr) return no_plan_memory();
        *alone = phrase;
        alone->word_begin = 0;
        new (node) search::QueryNode;
        new (query) Query{{node, 1}, {alone, 1}, query_.words.subspan(phrase.word_begin, phrase.word_count), {}, scratch};
        return search::Matcher::create(*query, arena_, matcher);
    }

    /// Where the words of a phrase can stand in a template that depends on holes, and the checks there.
    void add_places(std::uint32_t number, PhrasePlan *planned) noexcept {
        for (std::uint32_t w = 0; w < planned->words.size(); ++w) {
            WordPlan &word = *planned->words[w];
            const auto first = static_cast<std::uint32_t>(word.places.size());
            add_places_of(word, places_of(w), number);
            if (word.ranges == nullptr) continue;
            const auto count = static_cast<std::uint32_t>(word.places.size()) - first;
            word.ranges[number] = {first, count};
            planned->places_max = std::max<std::size_t>(planned->places_max, count);
        }
    }

    void add_places_of(WordPlan &word, const std::uint8_t *places, std::uint32_t number) noexcept {
        for (std::uint32_t u = 0; u < units_here_.size(); ++u) {
            if ((places[u] & kCounts) == 0 || (places[u] & kPresence) == 0) continue;
            const auto before = static_cast<std::uint32_t>(word.checks.added.size());
            if (static_cast<Presence>(places[u] & kPresence) == Presence::depends)
                word.finder.add_checks(units_here_[u], number, word.checks);
            word.places.push({u, before, static_cast<std::uint32_t>(word.checks.added.size()) - before});
        }
    }

    const codec::TemplateModel &model_;
    const Query &query_;
    Arena &arena_;
    MessageUnits &units_;
    bool uses_runs_ = false;                // and no set of a finder is incomplete
    std::uint8_t *is_planned_ = nullptr;    // one a template's number
    search::Matcher **matchers_ = nullptr;  // one a phrase, of it alone; made when first needed
    search::Tokenizer::Space space_;

    // Of the phrase and template at hand.
    std::span<const MessageUnit> units_here_;
    search::ArenaList<std::uint8_t> places_;  // word after word, one a unit
    search::ArenaList<std::uint8_t> ways_;
};

Status begin_plan(const codec::TemplateModel &model, MessageUnits &units, const Query &query, Arena &arena,
                  MessagePlan *plan) noexcept {
    *plan = {};
    if (query.words.size() > kWordsMax) return Status::success();
    void *planner = arena.allocate(sizeof(MessagePlanner));
    auto *phrases = arena.array<PhrasePlan>(query.phrases.size());
    if (planner == nullptr || phrases == nullptr) return no_plan_memory();
    *plan = {{phrases, query.phrases.size()}, &units, new (planner) MessagePlanner(model, query, units, arena)};
    return plan->planner->begin(plan->phrases);
}

Status extend_plan(MessagePlan &plan, std::span<const std::uint32_t> row_counts) noexcept {
    return plan.planner->extend(plan.phrases, row_counts);
}

}  // namespace historian::format
