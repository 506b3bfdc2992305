// How far long work on a table is, for the view historian_progress: kept where PostgreSQL keeps its own commands' progress, so
// that it costs no lock and goes away with the transaction.
#pragma once

#include "engine/server.h"

namespace historian::engine {

enum class Work : int64 { sealing = 1, merging = 2, checking = 3 };

/// From here on this backend works on `row_count` rows of the table; until end_progress(), or the end of the transaction.
void begin_progress(Relation rel, Work work, uint64 row_count);

/// So many rows are done.
void note_progress(uint64 rows_done);

void end_progress();

struct Progress {
    int pid;
    Oid database;
    Oid relation;
    Work work;
    int64 rows_done;
    int64 row_count;
};

/// What the backend with this index, from 0 to count_backends() - 1, works on; false when on nothing of ours.
int count_backends();
bool read_progress(int index, Progress *progress);

}  // namespace historian::engine
