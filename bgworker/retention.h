// Retention policies: which are due, and running them.
#pragma once

#include "bgworker/server.h"

namespace historian::bgworker {

/// Runs the policies of this database that are due, each table in a transaction of its own. What goes wrong with one is logged
/// and kept in retention_policies.last_error, and stops no other. Outside a transaction.
void run_due_policies();

}  // namespace historian::bgworker
