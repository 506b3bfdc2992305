// Rows on their way in: PostgreSQL's values to tail tuples and to segment cells; the bytes of a tag.
//
// Tag bytes: what segments sort by and queries look for. Varlena: the payload; by-reference: the bytes; by value: 8 bytes,
// big-endian with the sign bit flipped, so that memcmp order is numeric order. Two tags are the same tag iff their bytes are
// equal.
#pragma once

#include "engine/server.h"
//
#include "engine/pages.h"
#include "engine/wal.h"
#include "format/column.h"
#include "format/segment.h"

namespace historian::engine {

/// The bytes of a tag that is not NULL; they may point into `value` or into `space`.
struct TagBytes {
    const std::byte *data;
    uint32 byte_count;
};
TagBytes tag_bytes(Datum value, Form_pg_attribute column, uint8 (&space)[8]);

/// The 16-bit fingerprint of a tag on tail pages; 0 is kept for NULL.
uint16 tag_fingerprint(const TagBytes &tag);

/// The bytes of a value that is not NULL and is flat, as one would count them uncompressed: of a varlena its content.
uint32 value_bytes(Datum value, Form_pg_attribute column);

/// What a tag whose tag bytes stand for a number counts as: its type's length; 0 of any other tag.
uint32 tag_number_bytes(TupleDesc desc, const KeyColumns &keys);

/// How the segments of a table are sorted.
format::SortKey sort_key(TupleDesc desc, const KeyColumns &keys);

/// How the columns of a table look in a segment; the tag column is always of kind bytes, holding its tag bytes.
/// types: RelationGetDescr(rel)->natts of them, palloc'd.
format::ColumnType *column_types(TupleDesc desc, const KeyColumns &keys);

/// Replaces values that only live elsewhere (toasted, compressed, expanded) by plain ones; memory: the current context.
void flatten_values(TupleDesc desc, Datum *values, const bool *nulls);

/// Fills one Cell a column from flat values; the cells point into the values. tag_space must live as long as the cells.
void fill_cells(TupleDesc desc, const KeyColumns &keys, const Datum *values, const bool *nulls, format::Cell *cells,
                uint8 (&tag_space)[8]);

/// The checksum at the end of a tail row: of its xmin, its number of columns, its null bitmap and its columns. The rest of its
/// header changes (hint bits, deletion, freezing).
///
/// tuple_bytes  the row's length, checksum included
uint32 row_checksum(HeapTupleHeader header, uint32 tuple_bytes);

/// A tail tuple of flat values with its final header and its checksum, in the current memory context.
TailRow form_tail_row(TupleDesc desc, const KeyColumns &keys, const Datum *values, const bool *nulls, TransactionId xid,
                      CommandId cid, Oid relid);

/// The Datum of a value that a segment gave back as bytes, palloc'd in the current memory context (by-value tags: no memory).
Datum datum_of_bytes(Form_pg_attribute column, bool is_tag, const std::byte *data, uint64 byte_count);

}  // namespace historian::engine
