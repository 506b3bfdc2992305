// Functions of this extension, known by their names.
#pragma once

#include "engine/server.h"

namespace historian::planner {

/// Whether a function, or an aggregate, is the one of this name that the extension brought.
bool is_our_function(Oid function, const char *name);

}  // namespace historian::planner
