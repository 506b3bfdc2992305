// historian_check: reads all of a table and raises an error at the first thing that cannot be.
#pragma once

#include "engine/server.h"

namespace historian::engine {

struct CheckSummary {
    uint64 tail_runs;
    uint64 tail_rows;
    uint64 segments;
    uint64 granules;
    uint64 sealed_rows;
    uint64 blocks;
    uint64 free_blocks;
};

/// Checks pages, allocation, directory, tail rows, segments down to every value's chunk and checksum, and the order of rows.
/// errors  XX001, with the block
CheckSummary check_table(Relation rel);

}  // namespace historian::engine
