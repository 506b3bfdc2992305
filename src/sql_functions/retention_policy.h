// What is to be kept of tables: see retention_policy.cpp.
#pragma once

#include "engine/server.h"

namespace historian {

/// A table is about to be dropped: its retention policy goes with it, in the same transaction.
void forget_retention(Oid relid);

}  // namespace historian
