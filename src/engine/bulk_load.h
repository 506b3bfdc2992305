// Bulk load: COPY and a large INSERT ... SELECT build sorted segments directly, without a detour through the tail; the rows of a
// smaller INSERT of several rows reach the tail a page at a time, so that one WAL record tells of all of them.
//
// Rows collect in this backend's memory until there are enough of them, or the command ends. Nobody can look at them before (rule
// R16), because rows wait only
//   - for a table without row triggers, so nobody asks for a row by its address before the command is over;
//   - in multi_insert with a BulkInsertState (COPY), in tuple_insert while a statement runs that stores them when it ends
//     (rows_may_wait), or in storage that this subtransaction made (CREATE TABLE AS, REFRESH, ALTER TABLE rewriting);
//   - and every statement of this backend that names the table, and every scan of it, stores what waits first: a volatile
//     function sees the rows that its statement has inserted so far, as in a heap table. (The statement, because its parallel
//     workers know nothing of what waits here.)
//
// Invariants:
//   1. A builder belongs to one command of one subtransaction; its segments carry that subtransaction's xid and that command's
//   id.
//   2. A builder that still holds rows when its (sub)transaction commits or prepares is an error, never a silent loss.
//   3. Fewer than kBulkRowsMin rows go to the tail: a small COPY must not leave a small segment. INSERT, which people repeat far
//   more often, builds a segment from kInsertRowsMin on.
#pragma once

#include "engine/server.h"

namespace historian::engine {

inline constexpr uint32 kBulkRowsMin = 8192;
inline constexpr uint32 kInsertRowsMin = 65536;

/// Whether this backend runs a statement that gives row after row to tuple_insert and asks for none of them: COPY with a volatile
/// default, INSERT of several rows. PostgreSQL does not say when it is over: whoever sets this calls finish_all_bulk_loads()
/// then, and puts back what was set before.
enum class RowsMayWait : uint8 { no, copy, insert };
extern RowsMayWait rows_may_wait;

/// Whether rows of this call may wait.
bool may_bulk_load(Relation rel, BulkInsertStateData *bulk_state, bool single_row);

/// Takes rows of one command; they are stored when finish_bulk_load() returns at the latest. Values are copied.
void bulk_load_rows(Relation rel, TupleTableSlot **slots, int slot_count, CommandId cid);

/// Stores what the builders of one table, of some tables, or of all tables, hold.
void finish_bulk_load(Oid relid);
void finish_bulk_loads_of(const List *relids);
void finish_all_bulk_loads();

/// Forgets what a table's builders hold: its storage is being emptied.
void discard_bulk_load(Oid relid);

/// Hooks into the end of (sub)transactions; once, when the library loads.
void register_bulk_load_callbacks();

/// Stores one row that no tail page takes as a segment of its own (rule R17); gives its TID.
void store_large_row(Relation rel, TupleTableSlot *slot, CommandId cid, ItemPointer tid);

}  // namespace historian::engine
