#include "format/message_units.h"

#include <algorithm>
#include <new>

#include "format/dictionary_runs.h"
#include "search/mapped_text.h"

namespace historian::format {
namespace {

using codec::HoleKind;

Status no_units_memory() noexcept { return {StatusCode::out_of_memory, "no memory to search messages"}; }

// Hangul syllables, Han, Hiragana, Katakana: letters that are mapped to themselves and that only what follows can change.
bool is_plain_cjk(search::Character character) noexcept {
    return (character >= 0xac00 && character <= 0xd7a3) || (character >= 0x4e00 && character <= 0x9ffc) ||
           (character >= 0x3041 && character <= 0x3096) || (character >= 0x30a1 && character <= 0x30fa);
}

/// What may stand in a hole's text; of a time's names of months any letter.
LetterSet letters_of_hole(HoleKind kind) noexcept {
    switch (kind) {
        case HoleKind::number:
        case HoleKind::padded:
        case HoleKind::decimal: return kDigits;
        case HoleKind::time: return kDigits | kLowerCase;
        case HoleKind::word: return kAllLetters;
        default: return kDigits | letter_set_of("abcdef");
    }
}

enum class Atom : std::uint8_t { none, ascii, cjk, other };

class UnitCutter {
public:
    explicit UnitCutter(search::ArenaList<MessageUnit> &units) noexcept : units_(units) {}

    void cut(const codec::TemplateModel &model, std::uint32_t number) noexcept {
        const std::string_view text = characters_of(codec::template_text(model, number));
        const std::span<const std::uint32_t> columns = codec::template_columns(model, number);
        std::size_t hole = 0;
        last_ = Atom::none;
        for (std::size_t at = 0; at < text.size();) {
            switch (kind_of(text[at])) {
                case ByteKind::separator: close(at++); break;
                case ByteKind::alphanumeric:
                    begin(at, Atom::ascii);
                    unit_.has_ascii = true;
                    for (; at < text.size() && kind_of(text[at]) == ByteKind::alphanumeric; ++at)
                        unit_.letters |= letter_set_of(text[at]);
                    break;
                case ByteKind::hole: {
                    const HoleKind kind = codec::hole_type(model, columns[hole]).kind;
                    begin(at, kind == HoleKind::word ? Atom::other : Atom::ascii);
                    add_hole(at++, hole++, kind);
                    // The hole ends in a minus, which separates.
                    if (kind == HoleKind::uuid_high) close(at);
                    break;
                }
                default: at = read_above(text, at); break;
            }
        }
        close(text.size());
    }

private:
    std::size_t read_above(std::string_view text, std::size_t at) noexcept {
        const auto *begins = reinterpret_cast<const unsigned char *>(text.data());
        const unsigned char *next = nullptr;
        const bool is_plain = is_plain_cjk(search::read_character(begins + at, begins + text.size(), &next));
        begin(at, is_plain ? Atom::cjk : Atom::other);
        // Others may be forms of ASCII's letters.
        unit_.letters |= is_plain ? kAboveAscii : kAllLetters;
        unit_.has_cjk |= is_plain;
        unit_.has_other |= !is_plain;
        return static_cast<std::size_t>(next - begins);
    }

    void begin(std::size_t at, Atom atom) noexcept {
        if ((last_ == Atom::ascii && atom == Atom::cjk) || (last_ == Atom::cjk && atom == Atom::ascii)) close(at);
        if (last_ == Atom::none) {
            unit_ = {};
            unit_.begin = static_cast<std::uint32_t>(at);
        }
        last_ = atom;
    }

    void add_hole(std::size_t at, std::size_t hole, HoleKind kind) noexcept {
        if (unit_.hole_count == 0) {
            unit_.hole_at = static_cast<std::uint32_t>(at);
            unit_.hole_first = static_cast<std::uint16_t>(hole);
        }
        if (unit_.hole_count < UINT8_MAX) ++unit_.hole_count;
        unit_.letters |= letters_of_hole(kind);
        unit_.has_word_hole |= kind == HoleKind::word;
        unit_.has_value_hole |= kind != HoleKind::word;
    }

    void close(std::size_t at) noexcept {
        if (last_ == Atom::none) return;
        unit_.end = static_cast<std::uint32_t>(at);
        units_.push(unit_);
        last_ = Atom::none;
    }

    search::ArenaList<MessageUnit> &units_;
    MessageUnit unit_;
    Atom last_ = Atom::none;
};

static_assert(codec::kParsedBytesMax <= UINT16_MAX, "a template's holes are counted in 16 bits");

}  // namespace

bool can_follow(std::span<const MessageUnit> units, std::size_t from, std::size_t to) noexcept {
    if (from == to) return !units[from].is_one_word();
    for (std::size_t between = from + 1; between < to; ++between) {
        if (!units[between].may_be_wordless()) return false;
    }
    return from < to;
}

Status MessageUnits::create(const codec::TemplateModel &model, Arena &arena, MessageUnits **units) noexcept {
    const std::size_t count = std::size_t{codec::template_count(model)} + 1;
    void *memory = arena.allocate(sizeof(MessageUnits));
    auto *spans = arena.array<std::span<const MessageUnit>>(count);
    if (memory == nullptr || spans == nullptr) return no_units_memory();
    std::fill_n(spans, count, std::span<const MessageUnit>{});
    *units = new (memory) MessageUnits(model, arena);
    (*units)->units_ = spans;
    return Status::success();
}

Status MessageUnits::cut(std::uint32_t number) noexcept {
    if (units_[number].data() != nullptr) return Status::success();
    cut_.clear();
    UnitCutter(cut_).cut(model_, number);
    auto *units = arena_.array<MessageUnit>(cut_.size());
    if (cut_.failed() || units == nullptr) return no_units_memory();
    std::copy_n(cut_.data(), cut_.size(), units);
    units_[number] = {units, cut_.size()};
    return Status::success();
}

Status MessageUnits::make_runs() noexcept {
    return runs_ != nullptr ? Status::success() : DictionaryRuns::make(model_, arena_, &runs_);
}

}  // namespace historian::format
