#include "format/hole_values.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "codec/hole_text.h"

namespace historian::format {
namespace {

Status no_search_memory() noexcept { return {StatusCode::out_of_memory, "no memory to search messages"}; }

std::uint64_t size_of(std::int64_t value) noexcept {
    return value < 0 ? 0 - static_cast<std::uint64_t>(value) : static_cast<std::uint64_t>(value);
}

}  // namespace

Status HoleValues::find(WordPlan &word, const HoleCheck &check, RowBits *found) noexcept {
    column_ = check.column;
    values_ = {};
    rows_ = {};
    found_ = found;
    all_templates_ = check.use_count == codec::templates_of_column(*model_, check.column).size();
    if (!all_templates_) {
        if (marks_ == nullptr) {
            const std::size_t count = std::size_t{codec::template_count(*model_)} + 1;
            marks_ = arena_->array<std::uint8_t>(count);
            if (marks_ == nullptr) return no_search_memory();
            std::memset(marks_, 0, count);
        }
        for (std::uint32_t use = check.first_use; use != UINT32_MAX; use = word.checks.uses[use].next) {
            marks_[word.checks.uses[use].template_number] = 1;
        }
    }
    Status status;
    switch (check.test) {
        case HoleTest::dictionary: status = find_words(word.finder, check); break;
        case HoleTest::written: status = find_written(word.finder, check); break;
        default: status = find_numbers(check); break;
    }
    for (std::uint32_t use = all_templates_ ? UINT32_MAX : check.first_use; use != UINT32_MAX; use = word.checks.uses[use].next) {
        marks_[word.checks.uses[use].template_number] = 0;
    }
    return status;
}

Status HoleValues::find_numbers(const HoleCheck &check) noexcept {
    if (const Status status = codec::decode_template_column(*granule_, column_, &values_); !status.ok()) return status;
    switch (check.test) {
        case HoleTest::equal: return test_values([&](std::int64_t value) { return value == check.a; });
        case HoleTest::below_zero: return test_values([](std::int64_t value) { return value < 0; });
        case HoleTest::within: return test_values([&](std::int64_t value) { return value >= check.a && value <= check.b; });
        default: break;
    }
    const auto unit = static_cast<std::uint64_t>(check.a);
    const auto fraction = static_cast<std::uint64_t>(check.b);
    return test_values([&](std::int64_t value) { return size_of(value) % unit == fraction; });
}

Status HoleValues::find_words(WordFinder &finder, const HoleCheck &check) noexcept {
    codec::TextRange others;
    if (const Status status = codec::decode_template_other_words(*granule_, column_, &others); !status.ok()) return status;
    auto *other_fits = arena_->array<std::uint8_t>(others.count);
    if (other_fits == nullptr) return no_search_memory();
    bool any_fits = check.set == nullptr || !check.set->is_complete || check.set->any_fits;
    for (std::uint32_t i = 0; i < others.count; ++i) {
        other_fits[i] = finder.value_has_word(check, characters_of(others[i]));
        any_fits |= other_fits[i] != 0;
    }
    if (const Status status = finder.status(); !status.ok() || !any_fits) return status;
    if (const Status status = codec::decode_template_column(*granule_, column_, &values_); !status.ok()) return status;
    const std::uint32_t word_count = codec::word_count(*model_);
    bool is_corrupt = false;
    std::uint32_t other = 0;
    const Status status = test_values([&](std::int64_t value) {
        const auto number = static_cast<std::uint64_t>(value);
        is_corrupt |= number > word_count || (number == 0 && other >= others.count);
        if (is_corrupt) return false;
        if (number == 0) return other_fits[other++] != 0;
        const auto has_word = [&] {
            return finder.value_has_word(check, characters_of(codec::word_text(*model_, static_cast<std::uint32_t>(number))));
        };
        if (check.set == nullptr) return has_word();
        std::uint8_t &fits = check.set->fits[number];
        if (fits == DictionarySet::kUnknown) fits = has_word();
        return fits != 0;
    });
    if (is_corrupt) return {StatusCode::corrupt, "a granule names a word that is not there"};
    return status.ok() ? finder.status() : status;
}

Status HoleValues::find_written(WordFinder &finder, const HoleCheck &check) noexcept {
    if (const Status status = codec::decode_template_column(*granule_, column_, &values_); !status.ok()) return status;
    const codec::HoleType type = codec::hole_type(*model_, column_);
    const auto has_word = [&](std::int64_t value) {
        std::uint8_t text[codec::kHoleBytesMax];
        const std::uint8_t *end = codec::write_hole(type, value, text);
        return finder.value_has_word(check, {reinterpret_cast<const char *>(text), static_cast<std::size_t>(end - text)});
    };
    // Values often repeat the one before.
    std::int64_t last = 0;
    bool last_has = has_word(last);
    const Status status = test_values([&](std::int64_t value) {
        if (value != last) last_has = has_word(value);
        last = value;
        return last_has;
    });
    return status.ok() ? finder.status() : status;
}

template <typename Test>
Status HoleValues::test_values(Test test) noexcept {
    constexpr std::size_t kBits = 64;
    for (std::size_t first = 0; first < values_.size(); first += kBits) {
        const std::size_t count = std::min(kBits, values_.size() - first);
        std::uint64_t passing = 0;
        for (std::size_t i = 0; i < count; ++i) passing |= std::uint64_t{test(values_[first + i])} << i;
        if (passing == 0) continue;
        if (const Status status = add_rows(first, passing); !status.ok()) return status;
    }
    return Status::success();
}

Status HoleValues::add_rows(std::size_t first, std::uint64_t passing) noexcept {
    if (rows_.empty()) {
        if (const Status status = codec::find_template_column_rows(*granule_, column_, &rows_); !status.ok()) return status;
    }
    const std::span<const std::uint32_t> numbers = codec::template_numbers(*granule_);
    for (; passing != 0; passing &= passing - 1) {
        const std::uint32_t row = rows_[first + static_cast<std::size_t>(std::countr_zero(passing))];
        if (all_templates_ || marks_[numbers[row]] != 0) found_->add(row);
    }
    return Status::success();
}

}  // namespace historian::format
