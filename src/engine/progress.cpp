#include "engine/progress.h"

namespace historian::engine {

namespace {

// PostgreSQL's commands have the numbers below; a mark tells ours from one of a later version.
constexpr auto kCommand = static_cast<ProgressCommandType>(PROGRESS_COMMAND_COPY + 1);
constexpr int64 kMark = 0x48495354;  // "HIST"

enum Param { kParamMark, kParamWork, kParamDone, kParamCount, kParams };

}  // namespace

void begin_progress(Relation rel, Work work, uint64 row_count) {
    pgstat_progress_start_command(kCommand, RelationGetRelid(rel));
    const int params[kParams] = {kParamMark, kParamWork, kParamDone, kParamCount};
    const int64 values[kParams] = {kMark, static_cast<int64>(work), 0, static_cast<int64>(row_count)};
    pgstat_progress_update_multi_param(kParams, params, values);
}

void note_progress(uint64 rows_done) { pgstat_progress_update_param(kParamDone, static_cast<int64>(rows_done)); }

void end_progress() { pgstat_progress_end_command(); }

int count_backends() { return pgstat_fetch_stat_numbackends(); }

bool read_progress(int index, Progress *progress) {
    const LocalPgBackendStatus *local = local_backend_status(index);
    if (local == nullptr) return false;
    const PgBackendStatus &backend = local->backendStatus;
    if (backend.st_progress_command != kCommand || backend.st_progress_param[kParamMark] != kMark) return false;
    *progress = {backend.st_procpid,
                 backend.st_databaseid,
                 backend.st_progress_command_target,
                 static_cast<Work>(backend.st_progress_param[kParamWork]),
                 backend.st_progress_param[kParamDone],
                 backend.st_progress_param[kParamCount]};
    return true;
}

}  // namespace historian::engine
