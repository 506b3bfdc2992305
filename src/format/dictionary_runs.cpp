#include "format/dictionary_runs.h"

#include <algorithm>
#include <bit>
#include <new>

namespace historian::format {
namespace {

using Place = DictionaryRuns::Place;

Status no_runs_memory() noexcept { return {StatusCode::out_of_memory, "no memory to search messages"}; }

/// FNV-1a, folded, and the place. In memory only.
class RunHash {
public:
    void add(char letter) noexcept { hash_ = (hash_ ^ static_cast<unsigned char>(to_lower(letter))) * 0x100000001b3; }
    std::uint64_t at(Place place) const noexcept {
        const std::uint64_t mixed = (hash_ + static_cast<std::uint64_t>(place)) * 0x9e3779b97f4a7c15;
        return mixed >> 32;
    }

private:
    std::uint64_t hash_ = 0xcbf29ce484222325;
};

bool is_ascii(std::string_view text) noexcept {
    return std::all_of(text.begin(), text.end(), [](char byte) { return static_cast<unsigned char>(byte) < 0x80; });
}

/// Calls visit with the hash of each run of a text of ASCII at its place.
template <typename Visit>
void for_each_run(std::string_view text, Visit visit) noexcept {
    for (std::size_t at = 0; at < text.size();) {
        if (is_separator(text[at])) {
            ++at;
            continue;
        }
        const bool at_begin = at == 0;
        RunHash hash;
        for (; at < text.size() && !is_separator(text[at]); ++at) hash.add(text[at]);
        const bool at_end = at == text.size();
        visit(hash.at(at_begin ? (at_end ? Place::whole : Place::begin) : (at_end ? Place::end : Place::inner)));
    }
}

}  // namespace

Status DictionaryRuns::make(const codec::TemplateModel &model, Arena &arena, const DictionaryRuns **made) noexcept {
    const std::uint32_t word_count = codec::word_count(model);
    const std::size_t bucket_count = std::bit_ceil(std::size_t{word_count} + 1);
    void *memory = arena.allocate(sizeof(DictionaryRuns));
    auto *starts = arena.array<std::uint32_t>(bucket_count + 1);
    if (memory == nullptr || starts == nullptr) return no_runs_memory();
    auto *runs = new (memory) DictionaryRuns;
    runs->mask_ = bucket_count - 1;
    runs->starts_ = starts;

    std::fill_n(starts, bucket_count + 1, 0);
    std::uint32_t run_count = 0;
    std::uint32_t other_count = 0;
    for (std::uint32_t number = 1; number <= word_count; ++number) {
        const std::string_view word = characters_of(codec::word_text(model, number));
        if (!is_ascii(word)) {
            ++other_count;
            continue;
        }
        for_each_run(word, [&](std::uint64_t hash) {
            ++starts[hash & runs->mask_];
            ++run_count;
        });
    }
    auto *numbers = arena.array<std::uint32_t>(std::max(run_count, 1u));
    auto *others = arena.array<std::uint32_t>(std::max(other_count, 1u));
    if (numbers == nullptr || others == nullptr) return no_runs_memory();
    // From counts to ends; filling from the last word to the first turns ends into starts, and leaves numbers ascending.
    std::uint32_t end = 0;
    for (std::size_t bucket = 0; bucket <= bucket_count; ++bucket) starts[bucket] = end += starts[bucket];
    runs->numbers_ = numbers;
    runs->others_ = {others, other_count};
    for (std::uint32_t number = word_count; number > 0; --number) {
        const std::string_view word = characters_of(codec::word_text(model, number));
        if (!is_ascii(word)) {
            others[--other_count] = number;
            continue;
        }
        for_each_run(word, [&](std::uint64_t hash) { numbers[--starts[hash & runs->mask_]] = number; });
    }
    *made = runs;
    return Status::success();
}

std::span<const std::uint32_t> DictionaryRuns::find(std::string_view run, Place place) const noexcept {
    RunHash hash;
    for (const char letter : run) hash.add(letter);
    const std::uint64_t bucket = hash.at(place) & mask_;
    return {numbers_ + starts_[bucket], numbers_ + starts_[bucket + 1]};
}

}  // namespace historian::format
