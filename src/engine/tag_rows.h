// The rows of one tag in a granule of several: they lie together, for rows are sorted by tag.
#pragma once

#include "engine/granule.h"
#include "engine/scan_state.h"
#include "engine/tag_order.h"

namespace historian::engine {

/// Of the granule's rows those of a tag.
///
/// position   of the tag in the granule's segment
RowSpan rows_of_tag(Granule *granule, const TagKey &tag, uint32 position);

}  // namespace historian::engine
