// What fetches of single rows by their TIDs keep for the next one: parsed indexes, decoded granules, and what delete logs name.
//
// DELETE ... RETURNING, row triggers, foreign-key checks and TID scans come back to rows one by one, mostly in the order of the
// table. Without this each of them would parse a segment's index, decode 4,096 rows and read the whole delete log.
//
// Only bytes that cannot change are kept, never a verdict: whether a snapshot sees the row is asked of the directory entry and
// the delete log at every fetch. What may happen between two fetches, and why the second one reads the right row:
//
//     the segment is merged or dropped,       the entry was read again: its generation, which goes up when a slot is used again,
//     freed, and its slot used again,         or its kind differs; on a standby too
//     here or by replay
//     TRUNCATE, VACUUM FULL, a rewrite        the table has another file
//     TRUNCATE of a table made in this        the same file begins anew, generations too: forget_granules()
//     transaction, ON COMMIT DELETE ROWS
//     ROLLBACK TO a savepoint, COMMIT         all is forgotten: from here on a file's number may come again, and a table may be
//                                             changed by others
//     ALTER TABLE                             an invalidation message says so before the next command; it only marks the cache,
//                                             whose memory may be in use just then, as stale
//     an error or a cancel while a            what is lent and not given back is never lent again: a column counts as loaded from
//     granule is being decoded                the moment its decoding begins
//     others delete rows, VACUUM freezes      of the delete log only the numbers of rows that closed pages name are kept: such a
//     or voids records                        page gets no more records, and xids are looked up anew
#pragma once

#include "engine/server.h"
//
#include "engine/granule.h"

namespace historian::engine {

/// A segment and those of its granules that were asked for; lent until give_back_segment().
struct CachedSegment;

/// Lends a segment, opened unless it is kept.
///
/// entry  as read just now
/// desc   the shape of the rows to be read; what has another than the table's is not kept
CachedSegment *borrow_segment(Relation rel, uint32 slot, const format::DirectoryEntry &entry, const KeyColumns &keys,
                              TupleDesc desc);

/// The granule that has a row of the segment, and the row's number within it; nullptr when none has.
Granule *granule_with_row(CachedSegment *segment, uint32 row, uint32 *row_in_granule);

/// The first page of the segment's delete log that may name the row; the last one of all when no closed page does.
uint32 first_log_page_for(CachedSegment *segment, uint32 row);

/// Ends the loan: nothing may point into the segment's granules any more. Forgets everything when it has become too much.
void give_back_segment();

/// Forgets everything: the storage of a table is being emptied.
void forget_granules();

/// Hooks into the end of transactions and the invalidation of tables; once, when the library loads.
void register_granule_cache_callbacks();

}  // namespace historian::engine
