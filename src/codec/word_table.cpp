#include "codec/word_table.h"

namespace historian::codec {

std::uint32_t WordTable::find(std::uint64_t hash, const std::byte *data, std::uint32_t size) const noexcept {
    return numbers.find(hash, [&](std::uint32_t number) {
        return words.items[number].size == size && std::memcmp(words.items[number].data, data, size) == 0;
    });
}

std::uint32_t WordTable::add(std::uint64_t hash, const std::byte *data, std::uint32_t size, Arena &arena) noexcept {
    const auto hash_of = [&](std::uint32_t number) { return hash_bytes({words.items[number].data, words.items[number].size}); };
    if (!words.reserve(arena) || !numbers.reserve(arena, hash_of)) return NumberTable::kNone;
    words.items[words.count] = {data, size, 0, 0, 0};
    numbers.add(hash, words.count);
    return words.count++;
}

std::uint32_t WordTable::intern(const std::byte *data, std::uint32_t size, Arena &arena) noexcept {
    const std::uint64_t hash = hash_bytes({data, size});
    const std::uint32_t known = find(hash, data, size);
    return known != NumberTable::kNone ? known : add(hash, data, size, arena);
}

std::uint32_t WordTable::intern_copy(const std::byte *data, std::uint32_t size, Arena &arena) noexcept {
    const std::uint64_t hash = hash_bytes({data, size});
    const std::uint32_t known = find(hash, data, size);
    if (known != NumberTable::kNone) return known;
    auto *copy = arena.array<std::byte>(size);
    if (copy == nullptr) return NumberTable::kNone;
    std::memcpy(copy, data, size);
    return add(hash, copy, size, arena);
}

}  // namespace historian::codec
