// What is read from disk is validated here before it is believed: directory entries, tail rows, transaction numbers.
//
// Segments need none of this: checksums cover all their bytes. Of a tail row a checksum covers what never changes. The rest has
// none of ours, so any bytes may be there when PostgreSQL's data checksums are off, and pages of zeros even when they are on.
//
// Invariants:
//   1. What passes makes no code of ours or of PostgreSQL touch memory outside its page, wait for a page that it holds, or ask
//   pg_xact for a transaction that it does not know.
//   2. What does not pass is an error that names the block and the table (XX001). Nothing is skipped in silence.
#pragma once

#include "engine/server.h"
//
#include "engine/pages.h"

namespace historian::engine {

/// Raises XX001 unless the entry of a slot below slot_count can be what we wrote.
///
/// blocks  the length of the file, asked for after the entry was read
void validate_entry(Relation rel, const format::Metapage &meta, BlockNumber directory_block, const format::DirectoryEntry &entry,
                    BlockNumber blocks);

/// Whether a transaction may stand in a table: it has begun, and pg_xact still knows it (rule R11).
bool xid_is_possible(Relation rel, TransactionId xid);

/// Raises XX001 unless a page, locked, is the page of a segment's delete log that the caller takes it for, and its records name
/// rows of that segment.
/// first_record: those before were validated earlier.
void validate_log_page(Relation rel, uint32 slot, const format::DirectoryEntry &entry, uint32 page_index, BlockNumber block,
                       Page page, uint32 first_record = 0);

/// Whether an extent lies within one map page's range and touches neither the fixed pages nor the directory.
bool extent_is_possible(const format::Metapage &meta, const format::Extent &extent);

/// A tail page whose rows are read one by one; pinned and locked. `known` is the xid of the row before, which was validated.
struct TailPage {
    Relation rel;
    BlockNumber block;
    Page page;
    TransactionId known = InvalidTransactionId;
};

/// The row at an offset, with all fields of *tuple; false when there is none (a dead line pointer). After this PostgreSQL's
/// visibility code may judge it.
/// errors  XX001 the line pointer or the tuple's header cannot be ours
bool tail_tuple_at(TailPage *tail, OffsetNumber offset, HeapTuple tuple);

/// Before a row's columns are looked at.
/// errors  XX001 the row does not match its checksum
void validate_row(Relation rel, HeapTuple tuple);

}  // namespace historian::engine
