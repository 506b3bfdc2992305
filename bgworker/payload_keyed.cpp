#include "bgworker/payload_parsers.h"

namespace historian::bgworker {

namespace {

std::uint32_t hash_name(std::string_view name) noexcept {
    std::uint32_t hash = 2166136261u;  // FNV-1a
    for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
    return hash ^ (hash >> 15);
}

}  // namespace

PayloadFault KeyedRows::find_name(Arena &arena, std::string_view name, std::uint32_t *index) noexcept {
    if (guess_ < names_.size() && names_.data()[guess_] == name) {
        *index = guess_++;
        return PayloadFault::none;
    }
    if (slots_ == nullptr) {
        slots_ = arena.array<std::uint16_t>(kSlotCount);
        if (slots_ == nullptr) return PayloadFault::out_of_memory;
        std::memset(slots_, 0, kSlotCount * sizeof *slots_);
    }
    std::uint32_t slot = hash_name(name) % kSlotCount;
    for (; slots_[slot] != 0; slot = (slot + 1) % kSlotCount) {
        *index = slots_[slot] - 1u;
        guess_ = *index + 1;
        if (names_.data()[*index] == name) return PayloadFault::none;
    }
    if (names_.size() == kNameCountMax) return PayloadFault::too_many_names;
    const std::string_view copy = copy_to_arena(arena, name);
    if (copy.data() == nullptr || !names_.append(arena, copy)) return PayloadFault::out_of_memory;
    slots_[slot] = static_cast<std::uint16_t>(names_.size());
    *index = static_cast<std::uint32_t>(names_.size() - 1);
    guess_ = *index + 1;
    return PayloadFault::none;
}

PayloadFault KeyedRows::add(Arena &arena, std::uint32_t name_index, const Cell &cell) noexcept {
    if (cells_.size() >= kCellCountMax) return PayloadFault::too_many_cells;
    const std::size_t row_begin = row_ends_.size() > 0 ? row_ends_.last() : 0;
    in_order_ = in_order_ && cells_.size() - row_begin == name_index;
    const bool added = cells_.append(arena, cell) && name_of_cell_.append(arena, static_cast<std::uint16_t>(name_index));
    return added ? PayloadFault::none : PayloadFault::out_of_memory;
}

PayloadFault KeyedRows::end_row(Arena &arena) noexcept {
    guess_ = 0;
    return row_ends_.append(arena, static_cast<std::uint32_t>(cells_.size())) ? PayloadFault::none : PayloadFault::out_of_memory;
}

void KeyedRows::drop_rows(std::uint32_t row) noexcept {
    row_ends_.truncate(row);
    const std::size_t row_begin = row_ends_.size() > 0 ? row_ends_.last() : 0;
    cells_.truncate(row_begin);
    name_of_cell_.truncate(row_begin);
    guess_ = 0;
}

PayloadFault KeyedRows::finish(Arena &arena, Payload *payload) noexcept {
    const auto name_count = static_cast<std::uint32_t>(names_.size());
    const std::uint32_t rows = row_count();
    payload->cells = cells_.data();
    payload->row_ends = row_ends_.data();
    payload->row_count = rows;
    payload->names = names_.data();
    payload->name_count = name_count;

    bool whole = in_order_;
    std::uint32_t begin = 0;
    for (std::uint32_t row = 0; row < rows && whole; ++row) {
        const std::uint32_t end = row_ends_.data()[row];
        whole = end == begin || end - begin == name_count;
        begin = end;
    }
    if (whole) return PayloadFault::none;

    if (static_cast<std::uint64_t>(rows) * name_count > kCellCountMax) return PayloadFault::too_many_cells;
    Cell *cells = arena.array<Cell>(static_cast<std::size_t>(rows) * name_count);
    if (cells == nullptr) return PayloadFault::out_of_memory;
    std::uint32_t from = 0;
    std::uint32_t to = 0;
    for (std::uint32_t row = 0; row < rows; ++row) {
        const std::uint32_t end = row_ends_.data()[row];
        if (from < end) {
            for (std::uint32_t i = 0; i < name_count; ++i) cells[to + i] = Cell{"", 0, CellKind::absent};
            for (; from < end; ++from) cells[to + name_of_cell_.data()[from]] = cells_.data()[from];
            to += name_count;
        }
        row_ends_.data()[row] = to;
    }
    payload->cells = cells;
    return PayloadFault::none;
}

}  // namespace historian::bgworker
