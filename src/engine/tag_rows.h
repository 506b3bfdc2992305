// The rows of one tag in a granule of several: they lie together, for rows are sorted by tag.
#pragma once

#include "engine/granule.h"
#include "engine/scan_state.h"
#include "engine/tag_order.h"

namespace historian::engine {

/// The first row of [first, end) for which is_behind(row), which is so of all after it.
template <typename Row, typename IsBehind>
Row first_row_behind(Row first, Row end, IsBehind is_behind) {
    while (first < end) {
        const Row middle = first + (end - first) / 2;
        if (is_behind(middle))
            end = middle;
        else
            first = middle + 1;
    }
    return first;
}

/// Of the granule's rows those of a tag.
///
/// position   of the tag in the granule's segment
RowSpan rows_of_tag(Granule *granule, const TagKey &tag, uint32 position);

}  // namespace historian::engine
