// Deleting by age or number: whole segments at once, by their directory entries; the segment that the bound goes through by runs
// of rows; the tail row by row.
//
// It is a DELETE like any other: rolled back with its transaction, invisible to older snapshots, and whoever meets it waits for
// it. The order of a drop (B is the dropper, D one who deletes a row of the segment):
//     B stamps the entry's xmax under its page's lock, and reads the delete log after that;
//     D looks at the entry's xmax with the log's last page (or, for the first page, the directory page) locked, and appends under
//     the same lock.
// So either D sees B's stamp and waits for B, or B sees D's record and waits for D.
#pragma once

#include "engine/server.h"
//
#include "engine/oldest_rows.h"

namespace historian::engine {

/// Deletes the rows whose time is before `bound`, in the unit of the time column's type; rows without a time stay. The caller is
/// inside the gate, and the active snapshot is newer than its coming in.
///
/// returns  how many rows it deleted
/// errors   40001 in REPEATABLE READ when others have deleted or moved such rows since the snapshot
uint64 delete_rows_before(Relation rel, int64 bound);

/// The same for rows that were found under this snapshot (oldest_rows.h); returns fewer when others have deleted some meanwhile.
uint64 delete_oldest_rows(Relation rel, const OldestRows &rows);

}  // namespace historian::engine
