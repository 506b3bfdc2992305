// Every setting of the engine and the planner, with unit and reason. Workers' settings: bgworker/settings.h.
#pragma once

#include "codec/effort.h"

namespace historian {

/// historian.seal_interval: an open tail run that has rows is sealed when it is this old, unless its table has an option of
/// its own (table_am/options.h).
extern int seal_interval_s;

/// historian.retention_warn_share: a retention policy that is to delete a larger share of a table's rows at once says so before.
extern double retention_warn_share;

/// historian.retention_warn_delay: how long before.
extern int retention_warn_delay_s;

/// historian.merge_effort: how hard merging and compact() pack.
codec::Effort merge_effort();

/// Defines the settings; once, when the library loads.
void define_settings();

}  // namespace historian
