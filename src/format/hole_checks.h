// Hole checks: which values of a hole make a wanted word (search/query.h) stand in a message.
//
// A word may stand in the fixed text, in a hole's value, or go from one into the other ("0x<>", "<>us", "sensor<>"). For a unit
// (message_units.h) with one hole this becomes a check of the hole's column, made once per model and query: a number that must be
// equal, a range, a set of the dictionary's words. Units of several holes, and holes that touch other characters than ASCII's,
// may hold any word that their alphabets allow.
#pragma once

#include "format/dictionary_runs.h"
#include "search/arena_list.h"
#include "search/match.h"

namespace historian::format {

/// Whether a unit holds a word.
enum class Presence : std::uint8_t {
    no,       ///< never
    fixed,    ///< always, and the unit has no hole
    depends,  ///< on checks, which say it exactly
    maybe,    ///< nobody knows without the text
};

enum class HoleTest : std::uint8_t {
    equal,       ///< the value is a or b
    below_zero,  ///< the value is
    within,      ///< a <= value <= b
    fraction,    ///< the value's size modulo a is b
    dictionary,  ///< the word of this number, or one that the dictionary lacks, holds it between the fixed text beside it
    written,     ///< the value's text holds it between the fixed text beside it
};

/// Which words of the dictionary hold the wanted one between some fixed text.
struct DictionarySet {
    static constexpr std::uint8_t kUnknown = 2;

    std::string_view prefix;
    std::string_view suffix;
    std::uint8_t *fits = nullptr;  // one a word's number, the first 0: 0, 1, or kUnknown while the set is not complete
    bool is_complete = false;
    bool any_fits = false;  // when it is complete
};

/// For one wanted word.
struct HoleCheck {
    HoleTest test = HoleTest::equal;
    std::uint32_t column = 0;
    std::int64_t a = 0;
    std::int64_t b = 0;
    std::string_view prefix;  // fixed text beside the hole: of `dictionary` and `written`
    std::string_view suffix;
    const DictionarySet *set = nullptr;  // of `dictionary`; nullptr: each word is to be looked at

    std::uint32_t next_of_column = UINT32_MAX;
    std::uint32_t first_use = UINT32_MAX;
    std::uint32_t use_count = 0;
};

/// The checks of one wanted word, and the templates that each is for.
struct WordChecks {
    explicit WordChecks(Arena &arena) noexcept : checks(arena), uses(arena), added(arena) {}

    struct Use {
        std::uint32_t template_number;
        std::uint32_t next;
    };
    search::ArenaList<HoleCheck> checks;
    search::ArenaList<Use> uses;
    search::ArenaList<std::uint32_t> added;  // the index of each check that was asked for, again and again
};

/// Looks for one word in texts and units.
class WordFinder {
public:
    /// units   of the model
    WordFinder(const codec::TemplateModel &model, const MessageUnits &units, const search::QueryWord &word,
               Arena &arena) noexcept;

    /// number   the unit's template
    Presence find(const MessageUnit &unit, std::uint32_t number) noexcept {
        return (letters_ & ~unit.letters) != 0 ? Presence::no : look_at(unit, number);
    }

    /// Adds the checks for a unit where it depends: one unit of a template after the other.
    ///
    /// checks   the same in each call
    void add_checks(const MessageUnit &unit, std::uint32_t number, WordChecks &checks) noexcept;

    /// Whether a text that is no part of a longer one has the word.
    bool text_has_word(std::string_view text) noexcept;
    /// The same for a value of a hole between its fixed text.
    bool value_has_word(const HoleCheck &check, std::string_view value) noexcept;

    /// Sets of dictionary words are complete from now on; the units have the dictionary's runs.
    void complete_dictionary_sets() noexcept;

    Status status() const noexcept;

private:
    Presence look_at(const MessageUnit &unit, std::uint32_t number) noexcept;
    Presence find_in_value(const MessageUnit &unit, std::uint32_t number) noexcept;
    void check_number(HoleCheck check, std::string_view prefix, std::string_view suffix) noexcept;
    void check_decimal(HoleCheck check, std::uint32_t digits, std::string_view prefix, std::string_view suffix) noexcept;
    void check_padded(HoleCheck check, std::uint32_t digits, std::string_view prefix, std::string_view suffix) noexcept;
    void check_hex(HoleCheck check, std::uint32_t digits, std::string_view prefix, std::string_view suffix) noexcept;
    void check_written(HoleCheck check, codec::HoleType type, std::string_view prefix, std::string_view suffix) noexcept;
    void check_dictionary(HoleCheck check, std::string_view prefix, std::string_view suffix) noexcept;
    const DictionarySet *dictionary_set(std::string_view prefix, std::string_view suffix) noexcept;
    bool find_candidates(std::string_view prefix, std::string_view suffix) noexcept;
    DictionarySet *make_set(std::string_view prefix, std::string_view suffix) noexcept;
    void leave_empty(DictionarySet *set) noexcept;
    void complete(DictionarySet *set) noexcept;
    void add(const HoleCheck &check) noexcept;

    const codec::TemplateModel *model_;
    const MessageUnits *units_;
    Arena *arena_;
    search::Tokenizer::Space space_;
    search::ArenaList<char> text_;
    search::ArenaList<std::uint32_t> candidates_;  // words of the dictionary that may have this word, between some fixed text
    search::ArenaList<DictionarySet *> sets_;      // each for other fixed text
    search::QueryWord word_;
    LetterSet letters_ = 0;                    // of the word; none of one that may be any
    bool is_ascii_ = false;                    // the word's bytes, which are no pattern's
    std::uint32_t *last_of_column_ = nullptr;  // of the checks; made with the first
    std::uint32_t template_ = 0;
    WordChecks *checks_ = nullptr;  // nullptr: not the checks are wanted, only whether there are some
    bool found_ = false;            // a check
    bool failed_ = false;
    DictionarySet *no_set_ = nullptr;  // complete, without any word
};

}  // namespace historian::format
