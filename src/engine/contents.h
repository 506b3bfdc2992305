// What a table holds, counted without decoding a segment: rows, and the bytes of their values.
//
// Raw bytes: the values as one would count them uncompressed: 8 for a timestamp or a double, 4 for an int4, the content of a text
// without its header, nothing for a NULL. They are those of the values that are stored: a deleted row of a segment and a column
// dropped since count until the rows are written again, the default of a column added later does not count before.
#pragma once

#include "engine/server.h"
//
#include "format/page_layout.h"

namespace historian::engine {

struct Contents {
    uint64 tail_rows;     // not dead for good: neither did their inserter fail nor their deleter commit
    uint64 sealed_rows;   // of segments
    uint64 deleted_rows;  // of those, by transactions that committed
    uint64 raw_bytes;     // of the tail rows counted and of all rows of the segments
};

/// Adds what an entry holds; nothing unless the snapshot sees the entry, so that a row that is just being sealed or merged counts
/// once, and no entry is opened that may be freed meanwhile.
///
/// snapshot  registered, or of a statement that runs
/// errors    XX001, with the block; 0A000 a segment of another version
void add_contents(Relation rel, uint32 slot, const format::DirectoryEntry &entry, Snapshot snapshot, Contents *contents);

}  // namespace historian::engine
