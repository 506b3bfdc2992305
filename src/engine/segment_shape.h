// What the segments of a table look like: the kinds of their columns, how they are sorted, and what they keep beside the values
// so that queries can pass over most of them.
#pragma once

#include "engine/server.h"
//
#include "codec/arena.h"
#include "codec/effort.h"
#include "engine/pages.h"
#include "format/segment.h"

namespace historian::engine {

struct SegmentShape {  // palloc'd
    format::ColumnType *types;
    format::ColumnTraits *traits;
    uint32 column_count;
    format::SortKey key;
    codec::Effort effort;
};

/// desc   the rows' shape; of columns that the relation has, in its order
SegmentShape segment_shape(Relation rel, TupleDesc desc, const KeyColumns &keys);

/// A builder of such a segment in an arena.
format::SegmentBuilder *start_builder(Relation rel, const SegmentShape &shape, Arena &arena);

/// Whether words of a column may be searched by an index: text of a log table in a database of UTF-8.
bool may_index_words(Relation rel, Form_pg_attribute column);

/// Whether equality of a type is equality of the bytes that a segment stores, so that its values can be keys.
bool may_index_values(Oid type);

/// Whether a table's owner wants the words of a column to be indexed; nullptr: all that can be. Set by whoever knows the options
/// of tables, once, when the library loads.
extern bool (*is_searched_column)(Relation rel, Form_pg_attribute column);

}  // namespace historian::engine
