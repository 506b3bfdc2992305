#include "format/tag_dictionary.h"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "format/version.h"

namespace historian::format {
namespace {

using codec::ByteReader;
using codec::ByteWriter;
using codec::Text;

std::uint32_t restart_count(std::uint32_t tag_count) noexcept { return (tag_count + kTagsPerRestart - 1) / kTagsPerRestart; }

std::uint32_t shared_bytes(const std::byte *a, std::uint32_t a_size, const std::byte *b, std::uint32_t b_size) noexcept {
    const std::uint32_t limit = std::min(a_size, b_size);
    std::uint32_t shared = 0;
    while (shared < limit && a[shared] == b[shared]) ++shared;
    return shared;
}

/// A tag as it is stored.
struct StoredTag {
    std::uint64_t shared = 0;
    std::span<const std::byte> suffix;
};

/// Reads the tags from one restart on, one after the other.
struct TagCursor {
    ByteReader in;
    std::uint32_t place;          // of the next tag
    std::uint64_t last_size = 0;  // of the tag before

    Status next(StoredTag *tag) noexcept {
        tag->shared = place % kTagsPerRestart == 0 ? 0 : in.varint();
        tag->suffix = in.bytes(in.varint());
        if (in.failed()) return {StatusCode::truncated, "the tag dictionary ends inside a tag"};
        if (tag->shared > last_size) return {StatusCode::corrupt, "a tag shares more than the tag before it has"};
        last_size = tag->shared + tag->suffix.size();
        ++place;
        return Status::success();
    }
};

TagCursor cursor_at(const TagDictionary &dictionary, std::uint32_t restart) noexcept {
    return {ByteReader{dictionary.data.subspan(static_cast<std::size_t>(dictionary.restarts[restart]))},
            restart * kTagsPerRestart};
}

/// Below, at or above 0 as a is before, at or after b.
int compare(std::span<const std::byte> a, std::span<const std::byte> b) noexcept {
    const std::size_t shorter = std::min(a.size(), b.size());
    const int compared = shorter == 0 ? 0 : std::memcmp(a.data(), b.data(), shorter);
    if (compared != 0) return compared;
    return a.size() < b.size() ? -1 : a.size() > b.size() ? 1 : 0;
}

/// The last restart whose tag is not after the one looked for; 0 when all are.
Status find_restart(const TagDictionary &dictionary, std::span<const std::byte> tag, std::uint32_t *restart) noexcept {
    std::uint32_t low = 0;
    std::uint32_t high = restart_count(dictionary.tag_count);
    while (high - low > 1) {
        const std::uint32_t middle = low + (high - low) / 2;
        TagCursor cursor = cursor_at(dictionary, middle);
        StoredTag stored;
        if (const Status status = cursor.next(&stored); !status.ok()) return status;
        (compare(stored.suffix, tag) <= 0 ? low : high) = middle;
    }
    *restart = low;
    return Status::success();
}

}  // namespace

std::size_t tag_dictionary_bytes_max(std::span<const Text> tags) noexcept {
    std::size_t bytes = codec::kVarintBytesMax;
    for (const Text &tag : tags) bytes += tag.size + 2 * codec::kVarintBytesMax;
    return bytes + codec::integer_list_bytes_max(restart_count(static_cast<std::uint32_t>(tags.size())));
}

Status encode_tag_dictionary(std::span<const Text> tags, std::span<std::int64_t> restarts, codec::EncodeSpace &space,
                             ByteWriter &out) noexcept {
    // The data's size comes first, so the data is laid out behind the room for everything before it, then moved.
    const std::size_t mark = out.size();
    const std::size_t before = codec::kVarintBytesMax + codec::integer_list_bytes_max(restarts.size());
    if (out.take(before) == nullptr) return out.status();
    const std::size_t data_start = out.size();
    for (std::size_t i = 0; i < tags.size(); ++i) {
        std::uint32_t shared = 0;
        if (i % kTagsPerRestart == 0) {
            restarts[i / kTagsPerRestart] = static_cast<std::int64_t>(out.size() - data_start);
        } else {
            shared = shared_bytes(tags[i - 1].data, tags[i - 1].size, tags[i].data, tags[i].size);
            out.varint(shared);
        }
        out.varint(tags[i].size - shared);
        out.bytes({tags[i].data + shared, tags[i].size - shared});
    }
    if (const Status status = out.status(); !status.ok()) return status;
    const std::span<const std::byte> data = out.written_since(data_start);
    out.rewind(mark);
    out.varint(data.size());
    if (const Status status = codec::encode_integer_list(restarts, space, out); !status.ok()) return status;
    std::byte *place = out.take(data.size());
    if (place == nullptr) return out.status();
    if (!data.empty()) std::memmove(place, data.data(), data.size());
    return out.status();
}

Status open_tag_dictionary(ByteReader &in, std::uint32_t tag_count, Arena &arena, TagDictionary *dictionary) noexcept {
    const std::uint64_t data_bytes = in.varint();
    if (in.failed()) return in.status();
    if (data_bytes > in.remaining() || tag_count > data_bytes)
        return {StatusCode::corrupt, "the tag dictionary has an impossible size"};
    const std::uint32_t count = restart_count(tag_count);
    auto *restarts = arena.array<std::int64_t>(count);
    if (restarts == nullptr) return {StatusCode::out_of_memory, "no memory for the tag dictionary"};
    if (const Status status = codec::decode_integer_list(in, {restarts, count}, arena); !status.ok()) return status;
    std::int64_t after = 0;
    for (std::uint32_t i = 0; i < count; ++i) {
        if (restarts[i] < after || static_cast<std::uint64_t>(restarts[i]) >= data_bytes) {
            return {StatusCode::corrupt, "the tag dictionary points outside itself"};
        }
        after = restarts[i] + 1;
    }
    dictionary->data = in.bytes(data_bytes);
    dictionary->restarts = restarts;
    dictionary->tag_count = tag_count;
    return in.status();
}

Status find_in_dictionary(const TagDictionary &dictionary, std::span<const std::byte> tag, bool *found,
                          std::uint32_t *place) noexcept {
    *found = false;
    *place = 0;
    if (dictionary.tag_count == 0) return Status::success();
    std::uint32_t restart = 0;
    if (const Status status = find_restart(dictionary, tag, &restart); !status.ok()) return status;
    TagCursor cursor = cursor_at(dictionary, restart);
    const std::uint32_t end = std::min(dictionary.tag_count, cursor.place + kTagsPerRestart);
    // Tags before the one looked for share `matched` bytes with it. A tag that shares more with its predecessor is still before
    // it, one that shares less is after it, and only one that shares as much must be compared.
    std::uint64_t matched = 0;
    while (cursor.place < end) {
        *place = cursor.place;
        StoredTag stored;
        if (const Status status = cursor.next(&stored); !status.ok()) return status;
        if (stored.shared > matched) continue;
        if (stored.shared < matched) return Status::success();
        const std::span<const std::byte> rest = tag.subspan(static_cast<std::size_t>(matched));
        const int compared = compare(stored.suffix, rest);
        if (compared > 0) return Status::success();
        if (compared == 0) {
            *found = true;
            return Status::success();
        }
        matched += shared_bytes(stored.suffix.data(),
                                static_cast<std::uint32_t>(std::min<std::size_t>(stored.suffix.size(), UINT32_MAX)), rest.data(),
                                static_cast<std::uint32_t>(std::min<std::size_t>(rest.size(), UINT32_MAX)));
    }
    *place = end;
    return Status::success();
}

Status list_tags(const TagDictionary &dictionary, std::uint32_t first, std::uint32_t count, Arena &arena,
                 TagList *list) noexcept {
    assert(count > 0 && first < dictionary.tag_count && count <= dictionary.tag_count - first);
    auto *offsets = arena.array<std::uint64_t>(std::size_t{count} + 1);
    if (offsets == nullptr) return {StatusCode::out_of_memory, "no memory to list tags"};

    // Sizes first: the tags before `first` are needed only for what the first one shares with them.
    const std::uint32_t start = first / kTagsPerRestart;
    TagCursor sizes = cursor_at(dictionary, start);
    const std::uint32_t lead = first - sizes.place;
    std::uint64_t lead_size_max = 0;
    StoredTag stored;
    for (std::uint32_t i = 0; i < lead; ++i) {
        if (const Status status = sizes.next(&stored); !status.ok()) return status;
        lead_size_max = std::max(lead_size_max, sizes.last_size);
    }
    offsets[0] = 0;
    for (std::uint32_t i = 0; i < count; ++i) {
        if (sizes.place % kTagsPerRestart == 0) {
            sizes = cursor_at(dictionary, sizes.place / kTagsPerRestart);
        }
        if (const Status status = sizes.next(&stored); !status.ok()) return status;
        offsets[i + 1] = offsets[i] + sizes.last_size;
        if (offsets[i + 1] > std::uint64_t{kTagsPerRestart} * dictionary.data.size()) {
            return {StatusCode::corrupt, "the tags of a granule are longer than the dictionary can hold"};
        }
    }
    auto *data = arena.array<std::byte>(offsets[count]);
    auto *lead_tag = arena.array<std::byte>(lead_size_max);
    if (data == nullptr || lead_tag == nullptr) return {StatusCode::out_of_memory, "no memory to list tags"};

    TagCursor cursor = cursor_at(dictionary, start);
    const std::byte *before = lead_tag;
    for (std::uint32_t i = 0; i < lead + count; ++i) {
        if (cursor.place % kTagsPerRestart == 0) {
            cursor = cursor_at(dictionary, cursor.place / kTagsPerRestart);
        }
        if (const Status status = cursor.next(&stored); !status.ok()) return status;
        std::byte *tag = i < lead ? lead_tag : data + offsets[i - lead];
        if (tag != before && stored.shared != 0) std::memcpy(tag, before, stored.shared);
        if (!stored.suffix.empty()) std::memcpy(tag + stored.shared, stored.suffix.data(), stored.suffix.size());
        before = tag;
    }
    list->data = data;
    list->offsets = offsets;
    return Status::success();
}

}  // namespace historian::format
