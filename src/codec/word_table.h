// Words: distinct byte strings with a number each, in the order in which they were first seen. Nothing of it is stored.
//
// Invariant: a word's bytes are not copied; they live as long as the message that it was first seen in.
#pragma once

#include <cstring>

#include "codec/arena.h"
#include "codec/hash.h"
#include "codec/texts.h"

namespace historian::codec {

/// An array in an arena that doubles; what it grew out of is lost until the arena is dropped.
template <typename T>
struct GrowingArray {
    T *items = nullptr;
    std::uint32_t count = 0;
    std::uint32_t capacity = 0;

    /// Room for one more at items[count], which is not counted yet; false when there is no memory.
    bool reserve(Arena &arena) noexcept {
        if (count < capacity) return true;
        const std::uint32_t larger = capacity == 0 ? 64 : 2 * capacity;
        T *copy = larger < capacity ? nullptr : arena.array<T>(larger);
        if (copy == nullptr) return false;
        if (count != 0) std::memcpy(copy, items, count * sizeof(T));
        items = copy;
        capacity = larger;
        return true;
    }
};

/// A hash table of numbers whose keys the caller keeps; linear probing, at most half full.
struct NumberTable {
    struct Slot {
        std::uint32_t hash = 0;
        std::uint32_t number = 0;  // number + 1; 0 is free
    };
    Slot *slots = nullptr;
    std::uint32_t slot_count = 0;  // a power of two
    std::uint32_t used = 0;

    static constexpr std::uint32_t kNone = UINT32_MAX;

    /// The number of the equal key, or kNone.
    template <typename Equal>
    std::uint32_t find(std::uint64_t hash, Equal equal) const noexcept {
        if (slot_count == 0) return kNone;
        const auto tag = static_cast<std::uint32_t>(hash >> 32);
        for (std::uint32_t at = static_cast<std::uint32_t>(hash);; ++at) {
            const Slot &slot = slots[at & (slot_count - 1)];
            if (slot.number == 0) return kNone;
            if (slot.hash == tag && equal(slot.number - 1)) return slot.number - 1;
        }
    }

    /// Room for one more; hash_of(number) gives the hash again when the table grows.
    template <typename HashOf>
    bool reserve(Arena &arena, HashOf hash_of) noexcept {
        if (2 * (used + 1) <= slot_count) return true;
        const std::uint32_t larger = slot_count == 0 ? 256 : 2 * slot_count;
        Slot *old = slots;
        const std::uint32_t old_count = slot_count;
        Slot *fresh = larger == 0 ? nullptr : arena.array<Slot>(larger);
        if (fresh == nullptr) return false;
        std::memset(static_cast<void *>(fresh), 0, larger * sizeof(Slot));
        slots = fresh;
        slot_count = larger;
        for (std::uint32_t i = 0; i < old_count; ++i) {
            if (old[i].number != 0) place(hash_of(old[i].number - 1), old[i].number - 1);
        }
        return true;
    }

    /// After reserve(), for a key that find() did not find.
    void add(std::uint64_t hash, std::uint32_t number) noexcept {
        place(hash, number);
        ++used;
    }

private:
    void place(std::uint64_t hash, std::uint32_t number) noexcept {
        auto at = static_cast<std::uint32_t>(hash);
        while (slots[at & (slot_count - 1)].number != 0) ++at;
        slots[at & (slot_count - 1)] = {static_cast<std::uint32_t>(hash >> 32), number + 1};
    }
};

struct Word {
    const std::byte *data = nullptr;
    std::uint32_t size = 0;
    std::uint32_t use_count = 0;   // in columns of words
    std::uint32_t column = 0;      // the first such column
    std::uint32_t dictionary = 0;  // its number in the dictionary; 0: it is not there
};

struct WordTable {
    GrowingArray<Word> words;
    NumberTable numbers;

    /// The word's number, or NumberTable::kNone when there is no memory.
    std::uint32_t intern(const std::byte *data, std::uint32_t size, Arena &arena) noexcept;

    /// The same for bytes that are about to change: those of a new word are copied.
    std::uint32_t intern_copy(const std::byte *data, std::uint32_t size, Arena &arena) noexcept;

private:
    std::uint32_t find(std::uint64_t hash, const std::byte *data, std::uint32_t size) const noexcept;
    std::uint32_t add(std::uint64_t hash, const std::byte *data, std::uint32_t size, Arena &arena) noexcept;
};

}  // namespace historian::codec
