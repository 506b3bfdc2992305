// Comparing rows by tag and time, in any direction and with NULLs at either end.
#pragma once

#include "engine/scan.h"

#include <cstring>

namespace historian::engine {

struct TagKey {
    const std::byte *data;  // tag_bytes()
    uint32 byte_count;
    bool is_null;
};

struct TimeKey {
    int64 time;
    bool is_null;
};

inline TagOrder reversed(const TagOrder &order) {
    return {!order.tags_descend, !order.null_tags_last, !order.times_descend, !order.null_times_last};
}

/// In memcmp order, the shorter first.
inline int compare_bytes(const TagKey &a, const TagKey &b) {
    const uint32 shorter = Min(a.byte_count, b.byte_count);
    const int order = shorter == 0 ? 0 : memcmp(a.data, b.data, shorter);
    return order != 0 ? order : (a.byte_count > b.byte_count) - (a.byte_count < b.byte_count);
}

/// Below, at or above 0 as `a` comes before, with or after `b`.
inline int compare_tags(const TagOrder &order, const TagKey &a, const TagKey &b) {
    if (a.is_null || b.is_null) return a.is_null == b.is_null ? 0 : a.is_null == order.null_tags_last ? 1 : -1;
    const int compared = compare_bytes(a, b);
    return order.tags_descend ? -compared : compared;
}
inline int compare_times(const TagOrder &order, const TimeKey &a, const TimeKey &b) {
    if (a.is_null || b.is_null) return a.is_null == b.is_null ? 0 : a.is_null == order.null_times_last ? 1 : -1;
    const int compared = (a.time > b.time) - (a.time < b.time);
    return order.times_descend ? -compared : compared;
}

}  // namespace historian::engine
