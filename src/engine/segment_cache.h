// Segments that this backend has opened lately: their parsed indexes, and what was read of their filters, templates and
// statistics. A search that takes a tenth of a millisecond would spend most of it on parsing them again.
//
// A segment never changes, so what is kept can only be another segment's: of another table's file that got the same number, or of
// an earlier life of this one. Table, file, slot and generation must be the same, and so must the header and the checksum of the
// index, which are read again each time.
//
// A segment is lent to a memory context and given back when that is reset, after errors too.
#pragma once

#include "engine/server.h"
//
#include "engine/segment_store.h"

namespace historian::engine {

/// Opens a segment unless it is kept; what *segment points to stays until `borrower` is reset or deleted.
void borrow_open_segment(Relation rel, uint32 slot, const format::DirectoryEntry &entry, MemoryContext borrower,
                         OpenSegment *segment);

}  // namespace historian::engine
