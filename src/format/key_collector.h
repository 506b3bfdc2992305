// The keys of a segment's values on their way into its filter: the same when a segment is built and when it is checked.
#pragma once

#include "codec/texts.h"
#include "format/key_filter.h"
#include "format/segment.h"
#include "search/tokenizer.h"

namespace historian::format {

/// Opaque; lives in its arena; no destructor.
struct KeyCollector;

/// errors   out_of_memory
Status create_key_collector(Arena &arena, std::uint32_t granule_count, KeyCollector **collector) noexcept;

/// What follows is a column's values in a granule; granules ascend.
void begin_values(KeyCollector &collector, std::uint32_t granule, std::uint32_t column) noexcept;
void add_number(KeyCollector &collector, std::int64_t number) noexcept;
void add_text(KeyCollector &collector, codec::KeyKind kind, const codec::Text &text) noexcept;

/// The same for a decoded column.
void add_column(KeyCollector &collector, codec::KeyKind kind, const ColumnVector &column) noexcept;

/// errors   out_of_memory, here or before
Status finish_key_collector(KeyCollector &collector, KeyFilterBytes *bytes) noexcept;

}  // namespace historian::format
