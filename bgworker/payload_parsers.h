// The parsers of the single formats, and what they build rows with. Pure. Only payload*.cpp include this.
#pragma once

#include <cstring>

#include "bgworker/payload.h"

namespace historian::bgworker {

/// An array in the arena that doubles when it is full.
template <typename T>
class Growing {
public:
    bool append(Arena &arena, const T *items, std::size_t count) noexcept {
        if (count > capacity_ - size_ && !grow(arena, count)) return false;
        if (count > 0) std::memcpy(data_ + size_, items, count * sizeof(T));
        size_ += count;
        return true;
    }
    bool append(Arena &arena, const T &item) noexcept { return append(arena, &item, 1); }
    void truncate(std::size_t size) noexcept { size_ = size; }
    T *data() const noexcept { return data_; }
    std::size_t size() const noexcept { return size_; }
    T last() const noexcept { return data_[size_ - 1]; }

private:
    bool grow(Arena &arena, std::size_t more) noexcept {
        std::size_t capacity = capacity_ < 8 ? 16 : capacity_ * 2;
        if (capacity < size_ + more + 1) capacity = size_ + more + 1;  // the NUL that ends a text
        T *data = arena.array<T>(capacity);
        if (data == nullptr) return false;
        if (size_ > 0) std::memcpy(data, data_, size_ * sizeof(T));
        data_ = data;
        capacity_ = capacity;
        return true;
    }

    T *data_ = nullptr;
    std::size_t size_ = 0;
    std::size_t capacity_ = 0;
};

/// Rows whose cells come with a name each, in any order, some of them missing: gathers the names, and fills the gaps at the end.
class KeyedRows {
public:
    /// Finds or adds a name; *index is its place. A name that is added is copied.
    PayloadFault find_name(Arena &arena, std::string_view name, std::uint32_t *index) noexcept;

    /// Adds a cell to the row under way. Of several with one name the last counts, as in jsonb.
    PayloadFault add(Arena &arena, std::uint32_t name_index, const Cell &cell) noexcept;

    PayloadFault end_row(Arena &arena) noexcept;

    /// Forgets the row under way, and those from `row` on.
    void drop_rows(std::uint32_t row) noexcept;

    std::uint32_t row_count() const noexcept { return static_cast<std::uint32_t>(row_ends_.size()); }
    std::size_t cell_count() const noexcept { return cells_.size(); }

    /// Gives the rows to *payload: one cell a name each, but for rows that have none.
    PayloadFault finish(Arena &arena, Payload *payload) noexcept;

private:
    static constexpr std::uint32_t kSlotCount = 4096;  // of a hash table that is never more than half full
    static_assert(kSlotCount > 2 * kNameCountMax && (kSlotCount & (kSlotCount - 1)) == 0);

    Growing<std::string_view> names_;
    Growing<Cell> cells_;
    Growing<std::uint16_t> name_of_cell_;
    Growing<std::uint32_t> row_ends_;
    std::uint16_t *slots_ = nullptr;  ///< index of a name + 1; 0: free
    std::uint32_t guess_ = 0;         ///< the name after the one that was found last: objects repeat their order
    bool in_order_ = true;            ///< cell i of every row so far is for name i
};

/// Bad rows and sources of the formats whose rows are lines.
struct LineRows {
    Growing<RowSource> sources;
    Growing<BadRow> bad_rows;

    bool add_bad_row(Arena &arena, std::uint32_t row, PayloadError error) noexcept {
        return bad_rows.append(arena, BadRow{row, error});
    }
    void finish(Payload *payload) const noexcept {
        payload->sources = sources.data();
        payload->bad_rows = bad_rows.data();
        payload->bad_row_count = static_cast<std::uint32_t>(bad_rows.size());
    }
};

/// True for faults that end the whole payload, whichever row they are found in.
inline bool spoils_all(PayloadFault fault) noexcept {
    return fault == PayloadFault::out_of_memory || fault == PayloadFault::too_many_cells ||
           fault == PayloadFault::too_many_names || fault == PayloadFault::too_much_text;
}

/// A text in the arena, followed by a NUL; data() is nullptr when memory is short.
inline std::string_view copy_to_arena(Arena &arena, std::string_view text) noexcept {
    char *copy = arena.array<char>(text.size() + 1);
    if (copy == nullptr) return {};
    if (!text.empty()) std::memcpy(copy, text.data(), text.size());
    copy[text.size()] = '\0';
    return {copy, text.size()};
}

inline std::string_view trim(std::string_view text) noexcept {
    constexpr std::string_view kSpace = " \t\r\n";
    const std::size_t begin = text.find_first_not_of(kSpace);
    if (begin == std::string_view::npos) return {};
    return text.substr(begin, text.find_last_not_of(kSpace) + 1 - begin);
}

/// JSON in all its forms. `lines`: objects that follow the first are taken for NDJSON.
PayloadError parse_json_rows(std::string_view bytes, bool lines, Arena &arena, Payload *payload) noexcept;
PayloadError parse_ndjson_rows(std::string_view bytes, Arena &arena, Payload *payload) noexcept;
PayloadError parse_csv_rows(std::string_view bytes, const PayloadOptions &options, Arena &arena, Payload *payload) noexcept;
PayloadError parse_line_protocol(std::string_view bytes, const TableShape &shape, Arena &arena, Payload *payload) noexcept;
PayloadError parse_number_row(std::string_view bytes, const ParseContext &context, Arena &arena, Payload *payload) noexcept;

/// True for a number as JSON writes it.
bool is_json_number(std::string_view text) noexcept;

/// Appends the inside of a JSON string; false when memory is short.
bool append_json_escaped(Arena &arena, std::string_view text, Growing<char> *out) noexcept;

}  // namespace historian::bgworker
