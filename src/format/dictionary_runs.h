// Dictionary runs: in which words of a model's dictionary (codec/templates.h) an ASCII word may stand, without a look at each.
//
// A run is a longest row of ASCII letters and digits. A wanted word stands in a hole's value as one of its runs, or goes on into
// the fixed text beside the hole with a run at the value's begin or end, or both. So runs are kept by their letters, in lower
// case, and by where in the value they stand. A dictionary has some ten thousand words, and a query asks about each fixed text
// beside a hole.
//
// Invariant: a word that has the run at the place is among those found; others may be, too.
#pragma once

#include "format/message_units.h"

namespace historian::format {

class DictionaryRuns {
public:
    enum class Place : std::uint8_t {
        whole,  ///< it is all of the value
        begin,  ///< more follows
        end,    ///< more goes before
        inner,  ///< both
    };

    /// errors   out_of_memory
    static Status make(const codec::TemplateModel &model, Arena &arena, const DictionaryRuns **made) noexcept;

    /// Numbers of words, ascending.
    ///
    /// run   ASCII letters in lower case and digits
    std::span<const std::uint32_t> find(std::string_view run, Place place) const noexcept;

    /// Words with other characters than ASCII's, about whose runs nothing is known, ascending.
    std::span<const std::uint32_t> others() const noexcept { return others_; }

private:
    std::span<const std::uint32_t> others_;
    const std::uint32_t *starts_ = nullptr;  // bucket b has numbers_[starts_[b]] to numbers_[starts_[b + 1]]
    const std::uint32_t *numbers_ = nullptr;
    std::uint64_t mask_ = 0;  // buckets - 1
};

}  // namespace historian::format
