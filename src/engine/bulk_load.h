// Bulk load: COPY builds sorted segments directly, without a detour through the tail.
//
// Rows collect in a builder in this backend's memory until there are enough of them, or the command ends. Nobody can look at them
// before (rule R16), because a builder is used only
//   - by multi_insert with a BulkInsertState on a table without row triggers (COPY), or by tuple_insert of COPY or into storage
//     that this subtransaction made (CREATE TABLE AS, REFRESH, ALTER TABLE rewriting);
//   - and every statement that starts in this backend, and every scan of the table, finishes open builders first.
//
// Invariants:
//   1. A builder belongs to one command of one subtransaction; its segments carry that subtransaction's xid and that command's
//   id.
//   2. A builder that still holds rows when its (sub)transaction commits or prepares is an error, never a silent loss.
//   3. Fewer than kBulkRowsMin rows go to the tail: a small COPY must not leave a small segment.
#pragma once

#include "engine/server.h"

namespace historian::engine {

inline constexpr uint32 kBulkRowsMin = 8192;

/// Whether this backend runs COPY. It gives row after row when a default is volatile, and PostgreSQL does not say when it is
/// over: whoever sets this calls finish_all_bulk_loads() then.
extern bool copy_is_running;

/// Whether rows of this call may wait in a builder.
bool may_bulk_load(Relation rel, BulkInsertStateData *bulk_state, bool single_row);

/// Takes rows of one command; they are stored when finish_bulk_load() returns at the latest. Values are copied.
void bulk_load_rows(Relation rel, TupleTableSlot **slots, int slot_count, CommandId cid);

/// Stores what the builders of one table, or of all tables, hold.
void finish_bulk_load(Oid relid);
void finish_all_bulk_loads();

/// Forgets what a table's builders hold: its storage is being emptied.
void discard_bulk_load(Oid relid);

/// Hooks into the end of (sub)transactions; once, when the library loads.
void register_bulk_load_callbacks();

/// Stores one row that no tail page takes as a segment of its own (rule R17); gives its TID.
void store_large_row(Relation rel, TupleTableSlot *slot, CommandId cid, ItemPointer tid);

}  // namespace historian::engine
