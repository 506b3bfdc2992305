// Tag dictionary: the sorted list of a segment's tags, front-coded.
//
// Layout:
//     data_bytes   varint
//     restarts     integer list: where in data each 16th tag begins, ceil(tag_count / 16) of them
//     data         per tag: varint shared, varint suffix_bytes, suffix. A tag is the first `shared` bytes of the tag before it
//     and
//                  the suffix; of a 16th tag shared is 0 and not stored
//
// Invariants:
//   1. Tags strictly increase in memcmp order (the shorter first).
//   2. The content of `data` is checked when it is read, not when the dictionary is opened: opening costs one number per 16 tags.
#pragma once

#include <span>

#include "codec/integers.h"
#include "codec/texts.h"
#include "format/segment.h"

namespace historian::format {

/// Room for the dictionary of these tags.
std::size_t tag_dictionary_bytes_max(std::span<const codec::Text> tags) noexcept;

/// tags       sorted, distinct
/// restarts   scratch, one per kTagsPerRestart tags
/// errors     no_room
Status encode_tag_dictionary(std::span<const codec::Text> tags, std::span<std::int64_t> restarts, codec::EncodeSpace &space,
                             codec::ByteWriter &out) noexcept;

struct TagDictionary {
    std::span<const std::byte> data;
    const std::int64_t *restarts = nullptr;
    std::uint32_t tag_count = 0;
};

/// errors   truncated, corrupt, out_of_memory
Status open_tag_dictionary(codec::ByteReader &in, std::uint32_t tag_count, Arena &arena, TagDictionary *dictionary) noexcept;

/// place   output: the tag's number in the dictionary, or that of the first tag after it; the number of tags when there is none
/// errors  truncated, corrupt
Status find_in_dictionary(const TagDictionary &dictionary, std::span<const std::byte> tag, bool *found,
                          std::uint32_t *place) noexcept;

/// The tags first .. first + count - 1.
///
/// first, count   inside the dictionary (asserted)
/// errors         truncated, corrupt, out_of_memory. At most 16 times the dictionary's size is allocated.
Status list_tags(const TagDictionary &dictionary, std::uint32_t first, std::uint32_t count, Arena &arena, TagList *list) noexcept;

}  // namespace historian::format
