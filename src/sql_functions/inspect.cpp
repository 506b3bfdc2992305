// historian_segments(), historian_size() and historian_check(): what a table is made of, and whether it is whole.
#include "engine/check.h"
#include "engine/contents.h"
#include "engine/delete_log.h"
#include "engine/pages.h"
#include "engine/progress.h"
#include "engine/report.h"
#include "engine/space.h"
#include "engine/visibility.h"
#include "table_am/callbacks.h"

extern "C" {
#include "access/table.h"

PG_FUNCTION_INFO_V1(historian_segments);
PG_FUNCTION_INFO_V1(historian_size);
PG_FUNCTION_INFO_V1(historian_check);
PG_FUNCTION_INFO_V1(historian_progress);
}

namespace historian {

namespace {

using format::DirectoryEntry;
using format::EntryKind;

Relation open_for_reading(Oid relid) {
    Relation rel = table_open(relid, AccessShareLock);
    if (!table_am::is_ours(rel)) {
        ereport(ERROR, errcode(ERRCODE_WRONG_OBJECT_TYPE),
                errmsg("table \"%s\" is no tag or log table", RelationGetRelationName(rel)),
                errhint("Such tables are made by CREATE TABLE ... USING tag or log."));
    }
    if (RELATION_IS_OTHER_TEMP(rel)) {
        ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("cannot access temporary tables of other sessions"));
    }
    if (pg_class_aclcheck(relid, GetUserId(), ACL_SELECT) != ACLCHECK_OK) {
        aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, RelationGetRelationName(rel));
    }
    return rel;
}

const char *state_of(const DirectoryEntry &entry) {
    if (entry.kind == static_cast<uint8>(EntryKind::building)) return "building";
    if (engine::xid_state(entry.xmin) == engine::XidState::in_progress) return "uncommitted";
    if (engine::xid_state(entry.xmin) == engine::XidState::aborted) return "aborted";
    if (engine::xid_state(entry.xmax) == engine::XidState::committed)
        return (entry.flags & format::kEntryDropped) != 0 ? "dropped" : "superseded";
    if (entry.kind == static_cast<uint8>(EntryKind::segment)) return "sealed";
    return (entry.flags & format::kEntryTailClosed) != 0 ? "closed" : "open";
}

// A prefix of a tag as text, for people; bytes that are no text of the server's encoding are shown as hex.
Datum tag_text(Relation rel, const uint8 *bytes, uint8 byte_count) {
    const engine::KeyColumns keys = engine::key_columns(rel);
    const Form_pg_attribute column = TupleDescAttr(RelationGetDescr(rel), keys.tag - 1);
    const char *text = reinterpret_cast<const char *>(bytes);
    const bool is_text = column->atttypid == TEXTOID || column->atttypid == VARCHAROID;
    const int valid = is_text ? pg_encoding_mbcliplen(GetDatabaseEncoding(), text, byte_count, byte_count) : 0;
    if (is_text && pg_verify_mbstr(GetDatabaseEncoding(), text, valid, true))
        return PointerGetDatum(cstring_to_text_with_len(text, valid));
    StringInfoData hex;
    initStringInfo(&hex);
    appendStringInfoString(&hex, "\\x");
    for (int i = 0; i < byte_count; i++) appendStringInfo(&hex, "%02x", bytes[i]);
    return PointerGetDatum(cstring_to_text_with_len(hex.data, hex.len));
}

int64 count_deleted_rows(Relation rel, uint32 slot, const DirectoryEntry &entry) {
    // What is over may be freed, and its log's pages used again, at any moment; so may a segment of a transaction in progress,
    // from which nobody else has deleted yet.
    const bool is_in_force = engine::xid_state(entry.xmin) == engine::XidState::committed &&
                             engine::xid_state(entry.xmax) != engine::XidState::committed;
    if (format::is_tail(entry) || entry.log_pages == 0 || !is_in_force) return 0;
    MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "historian delete log", ALLOCSET_SMALL_SIZES);
    const engine::LogState log = engine::settled_rows(rel, slot, entry, InvalidTransactionId, context);
    MemoryContextDelete(context);
    return log.settled.member_count;
}

void put_entry(Relation rel, ReturnSetInfo *result, uint32 slot, const DirectoryEntry &entry) {
    constexpr int kColumns = 14;
    Datum values[kColumns] = {};
    bool nulls[kColumns] = {};
    const bool is_segment = entry.kind == static_cast<uint8>(EntryKind::segment);
    const bool has_tags = is_segment && (entry.flags & format::kEntryTagsUnknown) == 0;
    const bool has_times = is_segment && entry.time_min <= entry.time_max;
    values[0] = Int64GetDatum(slot);
    values[1] = CStringGetTextDatum(entry.kind == static_cast<uint8>(EntryKind::tail) ? "tail" : "segment");
    values[2] = CStringGetTextDatum(state_of(entry));
    values[3] = Int32GetDatum(entry.level);
    values[4] = Int64GetDatum(entry.row_count);
    values[5] = Int64GetDatum(entry.byte_count);
    values[6] = Int64GetDatum(engine::entry_block_count(entry));
    values[7] = Int64GetDatum(entry.tag_count);
    values[8] = TimestampTzGetDatum(entry.time_min);
    values[9] = TimestampTzGetDatum(entry.time_max);
    if (has_tags) values[10] = tag_text(rel, entry.tag_first, entry.tag_first_bytes);
    if (has_tags) values[11] = tag_text(rel, entry.tag_last, entry.tag_last_bytes);
    values[12] = Int64GetDatum(entry.extents[0].first_block);
    values[13] = Int64GetDatum(count_deleted_rows(rel, slot, entry));
    nulls[4] = nulls[5] = nulls[7] = nulls[13] = !is_segment;
    nulls[8] = nulls[9] = !has_times;
    nulls[10] = nulls[11] = !has_tags;
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

}  // namespace

}  // namespace historian

// historian_segments(regclass): a row for each tail run and segment.
extern "C" PGDLLEXPORT Datum historian_segments(PG_FUNCTION_ARGS) {
    using namespace historian;
    init_materialized_result(fcinfo);
    ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
    Relation rel = open_for_reading(PG_GETARG_OID(0));
    format::Metapage meta;
    if (engine::read_metapage(rel, &meta)) {
        engine::for_each_entry(rel, meta,
                               [rel, result](uint32 slot, const DirectoryEntry &entry) { put_entry(rel, result, slot, entry); });
    }
    table_close(rel, AccessShareLock);
    return static_cast<Datum>(0);
}

// historian_size(regclass): where the bytes of a table are, and what they hold.
extern "C" PGDLLEXPORT Datum historian_size(PG_FUNCTION_ARGS) {
    using namespace historian;
    TupleDesc desc;
    if (get_call_result_type(fcinfo, nullptr, &desc) != TYPEFUNC_COMPOSITE) elog(ERROR, "return type must be a row type");
    Relation rel = open_for_reading(PG_GETARG_OID(0));
    int64 segment_blocks = 0;
    int64 tail_blocks = 0;
    int64 dead_blocks = 0;
    int64 sealed_rows = 0;
    int64 segment_bytes = 0;
    int64 segments = 0;
    int64 log_blocks = 0;
    engine::Contents contents = {};
    // The latest one, like all that is told here: each row is in exactly one of the entries that it sees. Taken before the
    // metapage is read, which then knows the slots of all of them.
    Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
    format::Metapage meta = {};
    if (engine::read_metapage(rel, &meta)) {
        engine::for_each_entry(rel, meta, [&](uint32 slot, const DirectoryEntry &entry) {
            engine::add_contents(rel, slot, entry, snapshot, &contents);
            const int64 blocks = engine::entry_block_count(entry);
            const bool dead = engine::xid_state(entry.xmin) == engine::XidState::aborted ||
                              engine::xid_state(entry.xmax) == engine::XidState::committed;
            if (dead) {
                dead_blocks += blocks + engine::entry_log_block_count(entry);
            } else if (entry.kind == static_cast<uint8>(EntryKind::tail)) {
                tail_blocks += blocks + engine::entry_log_block_count(entry);
            } else {
                segment_blocks += blocks;
                sealed_rows += entry.row_count;
                segment_bytes += entry.byte_count;
                log_blocks += engine::entry_log_block_count(entry);
                segments++;
            }
        });
    }
    UnregisterSnapshot(snapshot);
    constexpr int kColumns = 14;
    Datum values[kColumns] = {};
    bool nulls[kColumns] = {};
    const int64 total_bytes = static_cast<int64>(RelationGetNumberOfBlocks(rel)) * BLCKSZ;
    const bool is_empty = contents.sealed_rows - contents.deleted_rows + contents.tail_rows == 0 || total_bytes == 0;
    values[0] = Int64GetDatum(total_bytes);
    values[1] = Int64GetDatum(segment_blocks * BLCKSZ);
    values[2] = Int64GetDatum(tail_blocks * BLCKSZ);
    values[3] = Int64GetDatum(dead_blocks * BLCKSZ);
    values[4] = Int64GetDatum(segments);
    values[5] = Int64GetDatum(sealed_rows);
    values[6] = Int64GetDatum(segment_bytes);
    values[7] = Int64GetDatum(log_blocks * BLCKSZ);
    values[8] = Int64GetDatum(contents.tail_rows);
    values[9] = Int64GetDatum(contents.sealed_rows - contents.deleted_rows + contents.tail_rows);
    values[10] = Int64GetDatum(contents.raw_bytes);
    if (!is_empty) values[11] = Float8GetDatum(static_cast<double>(contents.raw_bytes) / static_cast<double>(total_bytes));
    nulls[11] = is_empty;
    values[12] = Int64GetDatum(static_cast<int64>(meta.rows_stored));
    values[13] = Int64GetDatum(static_cast<int64>(meta.rows_rewritten));
    table_close(rel, AccessShareLock);
    PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

// historian_check(regclass): a summary, or an error that names the damage.
extern "C" PGDLLEXPORT Datum historian_check(PG_FUNCTION_ARGS) {
    using namespace historian;
    Relation rel = open_for_reading(PG_GETARG_OID(0));
    const engine::CheckSummary summary = engine::check_table(rel);
    table_close(rel, AccessShareLock);
    PG_RETURN_TEXT_P(cstring_to_text(psprintf(UINT64_FORMAT " segments with " UINT64_FORMAT " granules and " UINT64_FORMAT
                                                            " rows, " UINT64_FORMAT " tail runs with " UINT64_FORMAT
                                                            " rows, " UINT64_FORMAT " blocks, " UINT64_FORMAT " of them free",
                                              summary.segments, summary.granules, summary.sealed_rows, summary.tail_runs,
                                              summary.tail_rows, summary.blocks, summary.free_blocks)));
}

// historian.progress(): what backends work on.
extern "C" PGDLLEXPORT Datum historian_progress(PG_FUNCTION_ARGS) {
    using namespace historian;
    init_materialized_result(fcinfo);
    ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
    static const char *const kWorks[] = {"", "sealing", "merging", "checking"};
    for (int i = 0; i < engine::count_backends(); i++) {
        engine::Progress progress;
        if (!engine::read_progress(i, &progress)) continue;
        Datum values[] = {Int32GetDatum(progress.pid),         ObjectIdGetDatum(progress.database),
                          ObjectIdGetDatum(progress.relation), CStringGetTextDatum(kWorks[static_cast<int64>(progress.work) & 3]),
                          Int64GetDatum(progress.rows_done),   Int64GetDatum(progress.row_count)};
        bool nulls[lengthof(values)] = {};
        tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
    }
    return static_cast<Datum>(0);
}
