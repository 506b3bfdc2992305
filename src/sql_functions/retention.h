// Deleting what is old, for the functions that delete now and for the policies that do so again and again.
#pragma once

#include "engine/server.h"
//
#include "engine/oldest_rows.h"

namespace historian {

/// Says which rows are to go, for delete_chosen_rows().
using ChooseRows = engine::OldestRows (*)(Relation rel, engine::RowsByTime *rows, void *argument);

/// Deletes the rows that choose() names, inside the table's gate and under a snapshot taken there; row by row if the table has
/// triggers, rules or row-level security. The caller has a RowExclusiveLock on the table, which is ours.
///
/// returns  how many
/// errors   as a DELETE has them
int64 delete_chosen_rows(Relation rel, ChooseRows choose, void *argument);

/// Raises 42501 unless the current role may read and delete.
void check_delete_rights(Relation rel);

/// The time that lies so long before now, the transaction's start. Errors: 22023 a negative interval, 22008 out of range.
TimestampTz time_ago(const Interval *keep);

/// A time as the table's time column has it.
int64 time_of_column(Relation rel, TimestampTz time);

}  // namespace historian
