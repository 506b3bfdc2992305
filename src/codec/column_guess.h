// Guesses: what a column's value probably is, from another column or from its own past.
//
// A column can have a source, the column whose values it repeats or follows, and a context, a column that tells which of several
// past values counts: "the last count of the same process", "the id that the same session wrote in its line before".
//
// The guess for the value in row r is the newest value of the source in a row before r (or in r itself, if the source is another
// column) whose context slot is that of r. A row's slot is the high bits of (the context column's value there, modulo 2^64) *
// 0x9E3779B97F4A7C15, 0 when there is no context or the row has no such column. When nothing was put into the slot yet, the guess
// is the newest value of the source in any slot, 0 when there is none. The column holds value minus guess, modulo 2^64.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace historian::codec {

inline constexpr unsigned kContextSlotBits = 11;

/// The values of one column in a granule and the rows they stand in, ascending.
struct ColumnValues {
    std::uint16_t *rows = nullptr;
    std::int64_t *values = nullptr;
    std::uint32_t count = 0;
};

/// The slots of ascending rows.
class ContextCursor {
public:
    explicit ContextCursor(const ColumnValues *context) noexcept : context_(context) {}
    std::size_t slot(std::uint16_t row) noexcept {
        if (context_ == nullptr) return 0;
        while (at_ < context_->count && context_->rows[at_] < row) ++at_;
        if (at_ == context_->count || context_->rows[at_] != row) return 0;
        return static_cast<std::size_t>(static_cast<std::uint64_t>(context_->values[at_]) * 0x9E3779B97F4A7C15u >>
                                        (64 - kContextSlotBits));
    }

private:
    const ColumnValues *context_;
    std::uint32_t at_ = 0;
};

class Guess {
public:
    Guess() noexcept { std::memset(filled_, 0, sizeof filled_); }
    std::int64_t value(std::size_t slot) const noexcept { return filled_[slot] != 0 ? of_slot_[slot] : newest_; }
    void learn(std::size_t slot, std::int64_t value) noexcept {
        of_slot_[slot] = value;
        filled_[slot] = 1;
        newest_ = value;
    }

private:
    std::int64_t of_slot_[std::size_t{1} << kContextSlotBits];
    std::uint8_t filled_[std::size_t{1} << kContextSlotBits];
    std::int64_t newest_ = 0;
};

/// The guess for each value of a column from another one.
///
/// use(i, guess)   is called for value i
template <typename Use>
void guess_from_source(const ColumnValues &column, const ColumnValues &source, const ColumnValues *context, Use use) noexcept {
    Guess guess;
    ContextCursor own{context};
    ContextCursor other{context};
    std::uint32_t next = 0;
    for (std::uint32_t i = 0; i < column.count; ++i) {
        const std::uint16_t row = column.rows[i];
        for (; next < source.count && source.rows[next] <= row; ++next) {
            guess.learn(other.slot(source.rows[next]), source.values[next]);
        }
        use(i, guess.value(own.slot(row)));
    }
}

/// The guess for each value of a column from its own past. use(i, guess) returns the value.
template <typename Use>
void guess_from_past(const ColumnValues &column, const ColumnValues *context, Use use) noexcept {
    Guess guess;
    ContextCursor cursor{context};
    for (std::uint32_t i = 0; i < column.count; ++i) {
        const std::size_t slot = cursor.slot(column.rows[i]);
        guess.learn(slot, use(i, guess.value(slot)));
    }
}

}  // namespace historian::codec
