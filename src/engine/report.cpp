#include "engine/report.h"

namespace historian::engine {

namespace {

int sqlstate_of(StatusCode code) noexcept {
    switch (code) {
        case StatusCode::truncated:
        case StatusCode::corrupt: return ERRCODE_DATA_CORRUPTED;
        case StatusCode::unsupported: return ERRCODE_FEATURE_NOT_SUPPORTED;
        case StatusCode::out_of_memory: return ERRCODE_OUT_OF_MEMORY;
        case StatusCode::too_large: return ERRCODE_PROGRAM_LIMIT_EXCEEDED;
        case StatusCode::ok:
        case StatusCode::no_room: break;
    }
    return ERRCODE_INTERNAL_ERROR;
}

}  // namespace

void check_status(Status status, Relation rel, const char *doing) {
    if (likely(status.ok())) return;
    const bool damaged = status.code == StatusCode::corrupt || status.code == StatusCode::truncated;
    ereport(ERROR, errcode(sqlstate_of(status.code)), errmsg("could not %s of table \"%s\"", doing, RelationGetRelationName(rel)),
            errdetail("The cause: %s.", status.message),
            damaged ? errhint("Run historian_check on the table; restore it from a backup if the damage is confirmed.") : 0);
}

void check_status(Status status, const char *doing) {
    if (likely(status.ok())) return;
    ereport(ERROR, errcode(sqlstate_of(status.code)), errmsg("could not %s", doing), errdetail("The cause: %s.", status.message));
}

void report_damage(Relation rel, BlockNumber block, const char *detail) {
    ereport(ERROR, errcode(ERRCODE_DATA_CORRUPTED),
            errmsg("found damage in block %u of table \"%s\"", block, RelationGetRelationName(rel)), errdetail("%s", detail),
            errhint("Run historian_check on the table; restore it from a backup if the damage is confirmed."));
    pg_unreachable();
}

}  // namespace historian::engine
