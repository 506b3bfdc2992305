// VACUUM: frees what nobody needs, freezes what everybody sees, tells the catalogs. It never assigns an xid (rule R12).
#pragma once

#include "engine/server.h"

namespace historian::engine {

void vacuum_table(Relation rel, VacuumParams *params, BufferAccessStrategy strategy);

}  // namespace historian::engine
