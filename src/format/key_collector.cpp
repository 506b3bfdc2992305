#include "format/key_collector.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "format/segment_keys.h"

namespace historian::format {

using codec::KeyKind;
using codec::Text;

namespace {

/// Texts that came lately in the granule at hand: few different ones come again and again.
class RecentTexts {
public:
    void forget() noexcept { std::fill(std::begin(texts_), std::end(texts_), Text{}); }

    /// Whether the text was seen; notes it.
    bool saw(const Text &text) noexcept {
        Text &place = texts_[codec::hash_bytes({text.data, text.size}) % kPlaces];
        if (place.data != nullptr && place.size == text.size && std::memcmp(place.data, text.data, text.size) == 0) return true;
        place = text;
        return false;
    }

private:
    static constexpr std::size_t kPlaces = 256;
    Text texts_[kPlaces];
};

/// Longer texts are taken for messages, which seldom repeat: looking them up would cost more than it saves.
constexpr std::uint32_t kRecentBytesMax = 48;

}  // namespace

struct KeyCollector {
    explicit KeyCollector(Arena &arena) noexcept : space(arena) {}

    KeyFilterBuilder *filter = nullptr;
    search::Tokenizer::Space space;
    RecentTexts recent;
    std::uint32_t granule = 0;
    std::uint32_t column = 0;
    Status status;
};

Status create_key_collector(Arena &arena, std::uint32_t granule_count, KeyCollector **collector) noexcept {
    auto *made = arena.array<KeyCollector>(1);
    if (made == nullptr) return {StatusCode::out_of_memory, "no memory for the keys of a segment"};
    *collector = new (made) KeyCollector(arena);
    return create_key_filter(arena, {granule_count}, &made->filter);
}

void begin_values(KeyCollector &collector, std::uint32_t granule, std::uint32_t column) noexcept {
    collector.granule = granule;
    collector.column = column;
    collector.recent.forget();
}

void add_number(KeyCollector &collector, std::int64_t number) noexcept {
    add_key(*collector.filter, collector.granule, number_key(number, collector.column));
}

void add_text(KeyCollector &collector, KeyKind kind, const Text &text) noexcept {
    if (kind == KeyKind::value) {
        add_key(*collector.filter, collector.granule, bytes_key({text.data, text.size}, collector.column));
        return;
    }
    if (text.size <= kRecentBytesMax && collector.recent.saw(text)) return;
    const std::string_view characters{reinterpret_cast<const char *>(text.data), text.size};
    const Status status = search::for_each_index_word(characters, collector.space, [&](std::string_view word) {
        add_key(*collector.filter, collector.granule, word_key(search::hash_token(word), collector.column));
    });
    if (!status.ok()) collector.status = status;
}

void add_column(KeyCollector &collector, KeyKind kind, const ColumnVector &column) noexcept {
    for (std::uint32_t row = 0; row < column.row_count; ++row) {
        if (column.kind == PhysicalKind::absent || (column.nulls != nullptr && column.nulls[row] != 0)) continue;
        if (column.numbers != nullptr) {
            add_number(collector, column.numbers[row]);
            continue;
        }
        const std::uint64_t *offset = column.entry_offsets + column.entry_of_row[row];
        add_text(collector, kind, {column.entry_data + offset[0], static_cast<std::uint32_t>(offset[1] - offset[0])});
    }
}

Status finish_key_collector(KeyCollector &collector, KeyFilterBytes *bytes) noexcept {
    if (!collector.status.ok()) return collector.status;
    return finish_key_filter(*collector.filter, bytes);
}

}  // namespace historian::format
