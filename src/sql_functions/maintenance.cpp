// compact() and historian.maintain(): when seal and merge run.
#include "engine/delete_log.h"
#include "engine/maintenance_lock.h"
#include "engine/pages.h"
#include "engine/seal.h"
#include "engine/segment_store.h"
#include "engine/space.h"
#include "engine/visibility.h"
#include "format/segment.h"
#include "settings.h"
#include "table_am/callbacks.h"
#include "table_am/options.h"

extern "C" {
#include "access/genam.h"
#include "access/table.h"
#include "executor/spi.h"
#include "nodes/parsenodes.h"
#include "utils/fmgroids.h"

PG_FUNCTION_INFO_V1(historian_compact);
PG_FUNCTION_INFO_V1(historian_maintain);
PG_FUNCTION_INFO_V1(historian_shrink_step);
}

namespace historian {

namespace {

// compact() leaves no small segments behind; the background merges when enough of them have come together to be worth it.
uint32 compact_below_rows() { return static_cast<uint32>(engine::segment_rows_max) / 2; }
uint32 background_merge_below_rows() { return static_cast<uint32>(engine::segment_rows_max) / 4; }
constexpr uint32 kBackgroundMergeCount = 8;
constexpr double kBackgroundRewriteShare = 0.125;  // of a segment's rows deleted: it is written again without them

// How often and after what pauses compact() tries again while statements that delete are in its way.
constexpr int kBusyTriesMax = 10;
constexpr long kBusyPauseMicroseconds = 50'000;

// How often compact() looks whether it can free what it has superseded.
constexpr int kReleaseTriesMax = 4;

// After the first pass, segments are moved into the holes before them; what they leave is a hole for the next pass.
constexpr int kPassesMax = 5;

// Seal and merge change no row, so no commit has to wait for the disk or a standby (rule R9), and nothing may time out (rule
// R21). Whatever the session's defaults are: a SERIALIZABLE compact() would count as a writer and abort users. Before the
// transaction's first snapshot.
void relax_transaction() {
    XactIsoLevel = XACT_READ_COMMITTED;
    XactReadOnly = false;
    set_config_option("synchronous_commit", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
    set_config_option("statement_timeout", "0", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
    set_config_option("idle_in_transaction_session_timeout", "0", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
}

// nullptr when the table was dropped meanwhile.
Relation open_our_table(Oid relid, LOCKMODE mode) {
    Relation rel = try_relation_open(relid, mode);
    if (rel == nullptr) return nullptr;
    if (!table_am::is_ours(rel)) {
        ereport(ERROR, errcode(ERRCODE_WRONG_OBJECT_TYPE),
                errmsg("table \"%s\" is no tag or log table", RelationGetRelationName(rel)),
                errhint("Such tables are made by CREATE TABLE ... USING tag or log."));
    }
    return rel;
}

bool is_other_temporary(Relation rel) { return RELATION_IS_OTHER_TEMP(rel); }

// What compact() knows of the file's holes from pass to pass.
struct Holes {
    BlockNumber move_from;   // segments that reach beyond it should move; InvalidBlockNumber: the file is dense enough
    BlockNumber place_from;  // to here or beyond; 0: anywhere
    BlockNumber end;         // of the entries when segments were last asked to move into holes, or InvalidBlockNumber
    bool made_room;          // segments were moved out of the way, once
};

// One transaction of compact(): seals and merges.
engine::SealOutcome compact_once(Oid relid, bool first, const Holes &holes, TransactionId made_before) {
    relax_transaction();
    PushActiveSnapshot(GetTransactionSnapshot());
    Relation rel = open_our_table(relid, RowExclusiveLock);
    engine::SealOutcome outcome = {};
    if (rel != nullptr) {
        if (is_other_temporary(rel)) {
            ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("cannot compact temporary tables of other sessions"));
        }
        engine::SealRequest request = {};
        request.close_open_run = first;
        request.merge_rows_below = compact_below_rows();
        request.merge_count_min = 2;
        request.by_tag_count_min = 2;
        request.wait = true;
        request.effort = merge_effort();
        request.repack = request.effort == codec::Effort::high;
        request.rewrite_share = 0;
        request.move_from = holes.move_from;
        request.place_from = holes.place_from;
        request.made_before = made_before;
        outcome = engine::seal_step(rel, request);
        relation_close(rel, NoLock);
    }
    PopActiveSnapshot();
    return outcome;
}

// Where segments should move away from, so that the file can shrink by so many blocks and an eighth of what it needs;
// InvalidBlockNumber when it is dense enough.
BlockNumber holes_begin(const engine::SpaceUse &use, BlockNumber at_least) {
    return use.movable_end >= use.allocated + use.allocated / 8 + at_least ? use.allocated : InvalidBlockNumber;
}

// For less space nothing is moved out of the way, which writes it twice; nor is more than 1 GB moved.
constexpr BlockNumber kStuckHolesMin = 16;
constexpr BlockNumber kStuckBlocksMax = 131072;

// Segments move into the holes before them. Where that did not help, each hole is too small for what lies behind it: then all
// that lies behind the first hole moves out of the way, to the end of the file, and the next pass moves it back, into one hole.
void choose_moves(const engine::SpaceUse &use, int passes_left, Holes *holes) {
    holes->move_from = holes_begin(use, engine::kHoleBlocksMin);
    holes->place_from = 0;
    const bool is_stuck = holes->move_from != InvalidBlockNumber && use.movable_end >= holes->end &&
                          use.movable_end - use.allocated >= kStuckHolesMin;
    holes->end = use.movable_end;
    if (!is_stuck || holes->made_room || passes_left < 2 || use.first_hole >= holes->move_from ||
        use.movable_end - use.first_hole > kStuckBlocksMax)
        return;
    *holes = {use.first_hole, use.end, InvalidBlockNumber, true};
}

// Another transaction of compact(): frees what was superseded.
engine::SpaceUse release_once(Oid relid, bool *kept_some) {
    *kept_some = false;
    relax_transaction();
    Relation rel = open_our_table(relid, RowExclusiveLock);
    if (rel == nullptr) return engine::SpaceUse{};
    engine::lock_maintenance(rel, true);
    *kept_some = engine::release_unneeded(rel).kept > 0;
    engine::shrink_file(rel, 1);
    const engine::SpaceUse use = engine::measure_space(rel);
    relation_close(rel, NoLock);
    return use;
}

// The same without a look at the file's end, which takes a lock: what is written next has its place then.
void release_superseded(Oid relid) {
    relax_transaction();
    Relation rel = open_our_table(relid, RowExclusiveLock);
    if (rel == nullptr) return;
    engine::lock_maintenance(rel, true);
    engine::release_unneeded(rel);
    relation_close(rel, NoLock);
}

void compact_table(Oid relid) {
    Holes holes = {InvalidBlockNumber, 0, InvalidBlockNumber, false};
    for (int pass = 0; pass < kPassesMax; pass++) {
        const TransactionId pass_began = ReadNextTransactionId();
        int busy_count = 0;
        for (bool more = true, first = pass == 0; more; first = false) {
            const engine::SealOutcome outcome = compact_once(relid, first, holes, pass_began);
            SPI_commit();
            if (outcome.sources > 0) {
                release_superseded(relid);
                SPI_commit();
            }
            // What one step has sealed the next may merge.
            more = outcome.more || outcome.sources > 0 || (outcome.busy && ++busy_count < kBusyTriesMax);
            if (!outcome.busy) continue;
            if (!more) {
                ereport(WARNING, errcode(ERRCODE_LOCK_NOT_AVAILABLE),
                        errmsg("table \"%s\" was not compacted to the end", get_rel_name(relid)),
                        errdetail("Statements that delete from it do not end."), errhint("Call compact() again later."));
            }
            pg_usleep(kBusyPauseMicroseconds);
        }
        // A statement of another session, or a worker's round, may still see what was superseded: mostly not for long.
        bool kept_some = true;
        engine::SpaceUse use = {};
        for (int tries = 0; kept_some && tries < kReleaseTriesMax; tries++) {
            CHECK_FOR_INTERRUPTS();
            if (tries > 0) pg_usleep(kBusyPauseMicroseconds);
            use = release_once(relid, &kept_some);
            SPI_commit();
        }
        choose_moves(use, kPassesMax - 1 - pass, &holes);
        if (holes.move_from == InvalidBlockNumber) break;
    }
}

// ------------------------------------------------------------------------------------------------------- the background

// When this worker first saw an open run with rows; runs older than the table's, or the server's, seal_interval are sealed.
struct SeenRun {
    Oid relid;
    uint32 slot;
    uint32 generation;
    TimestampTz since;
};
constexpr int kSeenRunsMax = 4096;  // more tables than that are sealed by age only now and then
SeenRun seen_runs[kSeenRunsMax];

bool run_is_old(Oid relid, uint32 slot, uint32 generation, int seal_after_s) {
    SeenRun *seen = &seen_runs[(relid * 31u + slot) % kSeenRunsMax];
    const TimestampTz now = GetCurrentTimestamp();
    if (seen->relid != relid || seen->slot != slot || seen->generation != generation) {
        *seen = SeenRun{relid, slot, generation, now};
        return false;
    }
    return TimestampDifferenceExceeds(seen->since, now, seal_after_s * 1000);
}

// What a table needs, seen from its directory.
struct Duty {
    bool seal;
    bool close_open_run;
    bool release;
    bool shed;              // a segment's log names many rows
    bool merge;             // there are segments that might be merged
    uint64 merge_question;  // changes when the answer to that might
};

// When segments that only old snapshots need are so large, and so large a share of what is in force, nothing is merged until the
// snapshots are gone (rule R22): the table would grow by a copy of itself each time.
constexpr int64 kKeptBlocksMin = 128;
constexpr int64 kKeptDivisor = 2;

constexpr uint32 kLevels = 256;

Duty find_duty(Relation rel, const table_am::TableOptions &options) {
    Duty duty = {};
    const int seal_after_s = options.seal_interval_s > 0 ? options.seal_interval_s : seal_interval_s;
    format::Metapage meta;
    if (!engine::read_metapage(rel, &meta)) return duty;
    uint32 small_segments = 0;
    uint32 at_level[kLevels] = {};
    int64 kept_blocks = 0;
    int64 blocks_in_force = 0;
    engine::for_each_entry(rel, meta, [&](uint32 slot, const format::DirectoryEntry &entry) {
        const engine::XidState superseded = engine::xid_state(entry.xmax);  // aborted: it is in force as before
        if (superseded == engine::XidState::in_progress) return;
        if (superseded == engine::XidState::committed) {
            duty.release = true;
            if (entry.kind == static_cast<uint8>(format::EntryKind::segment)) kept_blocks += engine::entry_block_count(entry);
            return;
        }
        blocks_in_force += engine::entry_block_count(entry);
        if (entry.kind == static_cast<uint8>(format::EntryKind::building)) duty.release = true;
        if (entry.kind == static_cast<uint8>(format::EntryKind::segment)) {
            if (entry.level == 0 && entry.row_count < background_merge_below_rows())
                small_segments++;
            else
                at_level[entry.level]++;
            duty.merge_question = hash_combine64(duty.merge_question, static_cast<uint64>(slot) << 32 | entry.generation);
        }
        const bool is_segment = entry.kind == static_cast<uint8>(format::EntryKind::segment);
        if (options.compact && is_segment && entry.log_pages > 0 &&
            engine::xid_state(entry.xmin) == engine::XidState::committed) {
            const double named = static_cast<double>(engine::rows_named_by_log(rel, slot, entry));
            if (named >= entry.row_count * kBackgroundRewriteShare) duty.shed = true;
        }
        if (entry.kind != static_cast<uint8>(format::EntryKind::tail)) return;
        const bool closed = (entry.flags & format::kEntryTailClosed) != 0;
        if (closed)
            duty.seal = true;
        else if (entry.used_pages > 0 && run_is_old(RelationGetRelid(rel), slot, entry.generation, seal_after_s))
            duty.seal = duty.close_open_run = true;
    });
    if (!options.compact || kept_blocks > kKeptBlocksMin + blocks_in_force / kKeptDivisor) {
        duty.shed = false;
        return duty;
    }
    duty.merge = small_segments >= kBackgroundMergeCount;
    for (const uint32 count : at_level) duty.merge = duty.merge || count >= kBackgroundMergeCount;
    return duty;
}

// Where many segments lie side by side and nothing is to be merged, that is found out once, not at every round. Whether rows are
// to be shed is asked at every round: that changes when their deleter commits, which nothing in the directory tells.
struct MergedTable {
    Oid relid;
    uint64 question;
    TimestampTz ask_again_at;
};
constexpr int kMergedTablesMax = 1024;
constexpr int kAskAgainMs = 60'000;
MergedTable merged_tables[kMergedTablesMax];

bool has_nothing_to_merge(Oid relid, uint64 question) {
    const MergedTable &merged = merged_tables[relid % kMergedTablesMax];
    return merged.relid == relid && merged.question == question && GetCurrentTimestamp() < merged.ask_again_at;
}

void note_nothing_to_merge(Oid relid, uint64 question) {
    merged_tables[relid % kMergedTablesMax] = {relid, question, TimestampTzPlusMilliseconds(GetCurrentTimestamp(), kAskAgainMs)};
}

// A table whose work failed (it is damaged, the disk is full) waits longer each time, and holds up no other.
struct FailedTable {
    Oid relid;
    TimestampTz retry_at;
    int delay_ms;
};
constexpr int kFailedTablesMax = 1024;  // when more fail, some are tried at once
constexpr int kRetryDelayMsMin = 200;
constexpr int kRetryDelayMsMax = 60'000;
FailedTable failed_tables[kFailedTablesMax];

bool has_to_wait(Oid relid) {
    const FailedTable &failed = failed_tables[relid % kFailedTablesMax];
    return failed.relid == relid && GetCurrentTimestamp() < failed.retry_at;
}

void note_failure(Oid relid) {
    FailedTable *failed = &failed_tables[relid % kFailedTablesMax];
    const int last_delay_ms = failed->relid == relid ? failed->delay_ms : 0;
    const int delay_ms = Min(Max(2 * last_delay_ms, kRetryDelayMsMin), kRetryDelayMsMax);
    *failed = FailedTable{relid, TimestampTzPlusMilliseconds(GetCurrentTimestamp(), delay_ms), delay_ms};
}

void note_success(Oid relid) {
    FailedTable *failed = &failed_tables[relid % kFailedTablesMax];
    if (failed->relid == relid) *failed = FailedTable{};
}

// Statements that delete were in the way: what was built was for nothing, so the next try comes later.
constexpr int64 kBusy = -1;

// Does what is due for one table in the current transaction; how many pieces of work that was, or kBusy.
int64 maintain_table(Oid relid) {
    if (!ConditionalLockRelationOid(relid, RowExclusiveLock)) return 0;  // DDL goes first
    Relation rel = try_relation_open(relid, NoLock);
    if (rel == nullptr) return 0;
    int64 work = 0;
    bool is_busy = false;
    if (table_am::is_ours(rel) && !RelationUsesLocalBuffers(rel)) {
        const table_am::TableOptions options = table_am::read_options(relid);
        const Duty duty = find_duty(rel, options);
        const bool merge = duty.merge && !has_nothing_to_merge(relid, duty.merge_question);
        const bool is_due = duty.seal || duty.shed || merge;
        const bool has_turn = (duty.release || is_due) && engine::lock_maintenance(rel, false);
        // Space first, or work would go on in new space for ever; and not in the transaction that seals: its own xid keeps alive
        // what it supersedes.
        if (has_turn && duty.release) work = engine::release_unneeded(rel).freed;
        if (has_turn && work == 0 && is_due) {
            engine::SealRequest request = {};
            request.close_open_run = duty.close_open_run;
            request.merge_rows_below = duty.merge ? background_merge_below_rows() : 0;
            request.merge_count_min = kBackgroundMergeCount;
            request.by_tag_count_min = merge ? kBackgroundMergeCount : 0;
            request.effort = merge_effort();
            request.rewrite_share = duty.shed ? kBackgroundRewriteShare : engine::kRewriteNothing;
            request.move_from = InvalidBlockNumber;
            request.made_before = ReadNextTransactionId();
            const engine::SealOutcome outcome = engine::seal_step(rel, request);
            is_busy = outcome.busy;
            work = outcome.sources;
            if (work == 0 && !is_busy && merge) note_nothing_to_merge(relid, duty.merge_question);
        }
    }
    relation_close(rel, NoLock);
    return is_busy && work == 0 ? kBusy : work;
}

// The tables of the tag access method in this database.
List *list_our_tables() {
    List *tables = NIL;
    Relation catalog = table_open(RelationRelationId, AccessShareLock);
    SysScanDesc scan = systable_beginscan(catalog, InvalidOid, false, nullptr, 0, nullptr);
    for (HeapTuple tuple = systable_getnext(scan); HeapTupleIsValid(tuple); tuple = systable_getnext(scan)) {
        const Form_pg_class about = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple));
        if (about->relkind != RELKIND_RELATION && about->relkind != RELKIND_MATVIEW) continue;
        if (about->relam == HEAP_TABLE_AM_OID || about->relpersistence == RELPERSISTENCE_TEMP) continue;
        if (table_am::is_ours(about->oid)) tables = lappend_oid(tables, about->oid);
    }
    systable_endscan(scan);
    table_close(catalog, AccessShareLock);
    return tables;
}

// ------------------------------------------------------------------------------------------------- space after retention

constexpr int64 kTryLater = -1;

// Frees and cuts off what can be; else moves segments, older than `made_before`, from the file's end into holes. How many moved.
int64 shrink_step(Oid relid, TransactionId made_before) {
    if (!ConditionalLockRelationOid(relid, RowExclusiveLock)) return kTryLater;
    Relation rel = try_relation_open(relid, NoLock);
    if (rel == nullptr) return 0;
    int64 result = kTryLater;
    if (!table_am::is_ours(rel) || RelationUsesLocalBuffers(rel)) {
        result = 0;
    } else if (engine::lock_maintenance(rel, false)) {
        const engine::Released released = engine::release_unneeded(rel);
        engine::shrink_file(rel, engine::kShrinkBlocksInBackground);
        const engine::SpaceUse use = engine::measure_space(rel);
        engine::SealRequest request = {};
        request.rewrite_share = engine::kRewriteNothing;
        request.move_from = holes_begin(use, engine::kShrinkBlocksInBackground / 2);
        request.made_before = made_before;
        engine::SealOutcome outcome = {};
        if (request.move_from != InvalidBlockNumber) outcome = engine::seal_step(rel, request);
        // Not yet when snapshots need old segments, rows are to be shed, or others had the table open.
        const bool is_done = released.kept == 0 && !outcome.busy &&
                             !engine::has_free_end(use, engine::kShrinkBlocksInBackground) &&
                             !find_duty(rel, table_am::read_options(relid)).shed;
        if (outcome.sources > 0 || is_done) result = outcome.sources;
    }
    relation_close(rel, NoLock);
    return result;
}

}  // namespace

}  // namespace historian

// CALL compact(regclass): seals and merges all there is, one bounded transaction after the other.
extern "C" PGDLLEXPORT Datum historian_compact(PG_FUNCTION_ARGS) {
    if (PG_ARGISNULL(0)) ereport(ERROR, errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("compact needs a table"));
    const Oid relid = PG_GETARG_OID(0);
    const bool atomic =
        fcinfo->context == nullptr || !IsA(fcinfo->context, CallContext) || castNode(CallContext, fcinfo->context)->atomic;
    // A procedure that wrote something would find it committed by us.
    if (atomic || TransactionIdIsValid(GetTopTransactionIdIfAny())) {
        ereport(ERROR, errcode(ERRCODE_ACTIVE_SQL_TRANSACTION), errmsg("compact cannot run inside a transaction block"),
                errhint("Call it outside BEGIN ... COMMIT, not from a function."));
    }
    if (!historian::owns_table(relid, GetUserId())) aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, get_rel_name(relid));
    SPI_connect_ext(SPI_OPT_NONATOMIC);
    SPI_commit();  // each step is a transaction of its own kind; this one is the caller's
    historian::compact_table(relid);
    SPI_finish();
    PG_RETURN_VOID();
}

// historian.maintain(): what is due for all tables, one table a call of the background worker; returns pieces of work done. Its
// transaction is the worker's own.
extern "C" PGDLLEXPORT Datum historian_maintain(PG_FUNCTION_ARGS) {
    if (!historian::is_background_worker()) {
        ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("historian.maintain is for the maintenance worker"),
                errhint("CALL compact('table') seals and merges a table now."));
    }
    // A different table comes first each time, so that a busy one does not starve the others.
    static Oid last_done = InvalidOid;
    const Oid first_after = last_done;
    // An error ends this function: the next call finds the table that it was about.
    static Oid attempted = InvalidOid;
    if (OidIsValid(attempted)) historian::note_failure(attempted);
    attempted = InvalidOid;
    List *tables = historian::list_our_tables();
    list_sort(tables, list_oid_cmp);
    for (int round = 0; round < 2; round++) {
        ListCell *cell;
        foreach (cell, tables) {
            const Oid relid = lfirst_oid(cell);
            if ((round == 0) != (relid > first_after)) continue;
            CHECK_FOR_INTERRUPTS();
            if (historian::has_to_wait(relid)) continue;
            attempted = last_done = relid;
            const int64 work = historian::maintain_table(relid);
            attempted = InvalidOid;
            if (work == historian::kBusy)
                historian::note_failure(relid);
            else
                historian::note_success(relid);
            if (work > 0) PG_RETURN_INT64(work);
        }
    }
    last_done = InvalidOid;
    PG_RETURN_INT64(0);
}

// historian.shrink_step(regclass, boolean): one bounded step towards a dense file; how many segments moved, NULL: try later.
extern "C" PGDLLEXPORT Datum historian_shrink_step(PG_FUNCTION_ARGS) {
    static TransactionId began = InvalidTransactionId;  // what this series of calls has written it does not write again
    if (PG_GETARG_BOOL(1)) began = ReadNextTransactionId();
    const int64 moved = historian::shrink_step(PG_GETARG_OID(0), began);
    if (moved == historian::kTryLater) PG_RETURN_NULL();
    PG_RETURN_INT64(moved);
}
