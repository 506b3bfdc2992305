// ArenaList: a list that grows in an arena.
//
// Doubling leaves the smaller selves behind in the arena, so a list costs at most twice what it holds at its longest; clear()
// keeps the room for the next use.
//
// Invariant: after the first item that found no memory, failed() stays true and nothing more is added; so a sequence of push()es
// needs one check, at its end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>

#include "codec/arena.h"
#include "codec/status.h"

namespace historian::search {

template <typename T>
class ArenaList {
    static_assert(std::is_trivially_copyable_v<T>);

public:
    explicit ArenaList(Arena &arena) noexcept : arena_(&arena) {}

    void push(const T &item) noexcept {
        if (count_ == room_ && !reserve(1)) return;
        items_[count_++] = item;
    }
    void append(const T *items, std::size_t count) noexcept {
        if (count == 0 || !reserve(count)) return;
        std::memcpy(items_ + count_, items, count * sizeof(T));
        count_ += count;
    }
    /// Makes room for this many items more, which may then be written behind end().
    bool reserve(std::size_t more) noexcept {
        if (failed_) return false;
        if (more <= room_ - count_) return true;
        std::size_t room = room_ < kFirstRoom ? kFirstRoom : 2 * room_;
        if (room < count_ + more) room = count_ + more;
        T *items = arena_->array<T>(room);
        failed_ = items == nullptr;
        if (failed_) return false;
        if (count_ != 0) std::memcpy(items, items_, count_ * sizeof(T));
        items_ = items;
        room_ = room;
        return true;
    }
    /// Forgets the items from count on, or takes in those that were written behind end().
    void resize(std::size_t count) noexcept { count_ = count; }
    void clear() noexcept { count_ = 0; }

    T *data() noexcept { return items_; }
    T *end() noexcept { return items_ + count_; }
    T &operator[](std::size_t index) noexcept { return items_[index]; }
    T &back() noexcept { return items_[count_ - 1]; }
    std::size_t size() const noexcept { return count_; }
    std::size_t room() const noexcept { return room_; }
    std::size_t room_bytes() const noexcept { return room_ * sizeof(T); }
    std::span<const T> items() const noexcept { return {items_, count_}; }
    bool failed() const noexcept { return failed_; }

private:
    static constexpr std::size_t kFirstRoom = 16;

    Arena *arena_;
    T *items_ = nullptr;
    std::size_t count_ = 0;
    std::size_t room_ = 0;
    bool failed_ = false;
};

}  // namespace historian::search
