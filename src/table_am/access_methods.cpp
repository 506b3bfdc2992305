// The access methods `tag` and `log`: their tables of callbacks, which are the same. All are filled in but the pairs that
// PostgreSQL allows to be absent: Debian's server has no assertions, and a missing callback is a crash at its first use.
#include "table_am/callbacks.h"

extern "C" {
#include "commands/defrem.h"

PG_FUNCTION_INFO_V1(historian_tag_handler);
PG_FUNCTION_INFO_V1(historian_log_handler);
}

namespace historian::table_am {

using engine::AccessMethod;
using engine::TableKind;

namespace {

AccessMethod make_access_method(TableKind kind) {
    TableAmRoutine routine = {};
    routine.type = T_TableAmRoutine;
    routine.slot_callbacks = slot_callbacks;
    routine.scan_begin = scan_begin;
    routine.scan_end = scan_end;
    routine.scan_rescan = scan_rescan;
    routine.scan_getnextslot = scan_getnextslot;
    routine.parallelscan_estimate = parallelscan_estimate;
    routine.parallelscan_initialize = parallelscan_initialize;
    routine.parallelscan_reinitialize = parallelscan_reinitialize;
    routine.index_fetch_begin = refuse_index_fetch_begin;
    routine.index_fetch_reset = ignore_index_fetch;
    routine.index_fetch_end = ignore_index_fetch;
    routine.index_fetch_tuple = refuse_index_fetch_tuple;
    routine.tuple_fetch_row_version = tuple_fetch_row_version;
    routine.tuple_tid_valid = tuple_tid_valid;
    routine.tuple_get_latest_tid = refuse_latest_tid;
    routine.tuple_satisfies_snapshot = tuple_satisfies_snapshot;
    routine.index_delete_tuples = ignore_index_deletes;
    routine.tuple_insert = tuple_insert;
    routine.tuple_insert_speculative = refuse_speculative_insert;
    routine.tuple_complete_speculative = refuse_complete_speculative;
    routine.multi_insert = multi_insert;
    routine.tuple_delete = tuple_delete;
    routine.tuple_update = refuse_update;
    routine.tuple_lock = tuple_lock;
    routine.finish_bulk_insert = finish_bulk_insert;
#if PG_VERSION_NUM >= 160000
    routine.relation_set_new_filelocator = relation_set_new_file;
#else
    routine.relation_set_new_filenode = relation_set_new_file;
#endif
    routine.relation_nontransactional_truncate = relation_nontransactional_truncate;
    routine.relation_copy_data = relation_copy_data;
    routine.relation_copy_for_cluster = relation_copy_for_cluster;
    routine.relation_vacuum = relation_vacuum;
    routine.scan_analyze_next_block = scan_analyze_next_block;
    routine.scan_analyze_next_tuple = scan_analyze_next_tuple;
    routine.index_build_range_scan = refuse_index_build;
    routine.index_validate_scan = refuse_index_validate;
    routine.relation_size = relation_size;
    routine.relation_needs_toast_table = relation_needs_toast_table;
    routine.relation_fetch_toast_slice = refuse_toast_slice;
    routine.relation_estimate_size = relation_estimate_size;
    // Without scan_bitmap_next_block the planner makes no bitmap scans, whose pages our addresses are not.
    routine.scan_sample_next_block = scan_sample_next_block;
    routine.scan_sample_next_tuple = scan_sample_next_tuple;
    return {routine, kind};
}

const AccessMethod kTag = make_access_method(TableKind::tag);
const AccessMethod kLog = make_access_method(TableKind::log);

}  // namespace

const TableAmRoutine *routine_of(TableKind kind) { return kind == TableKind::tag ? &kTag.routine : &kLog.routine; }

bool is_ours(Relation rel) { return rel->rd_tableam == &kTag.routine || rel->rd_tableam == &kLog.routine; }

const char *access_method_name(TableKind kind) { return kind == TableKind::tag ? "tag" : "log"; }

std::optional<TableKind> kind_of_access_method(Oid access_method) {
    if (!OidIsValid(access_method) || access_method == HEAP_TABLE_AM_OID) return std::nullopt;
    HeapTuple am = SearchSysCache1(AMOID, ObjectIdGetDatum(access_method));
    if (!HeapTupleIsValid(am)) return std::nullopt;
    const Oid handler = reinterpret_cast<Form_pg_am>(GETSTRUCT(am))->amhandler;
    ReleaseSysCache(am);
    FmgrInfo function;
    fmgr_info(handler, &function);
    if (function.fn_addr == historian_tag_handler) return TableKind::tag;
    if (function.fn_addr == historian_log_handler) return TableKind::log;
    return std::nullopt;
}

std::optional<TableKind> kind_of_table(Oid relid) {
    HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
    if (!HeapTupleIsValid(tuple)) return std::nullopt;
    const Form_pg_class about = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple));
    const Oid access_method = about->relam;
    const bool is_table = about->relkind == RELKIND_RELATION || about->relkind == RELKIND_MATVIEW;
    ReleaseSysCache(tuple);
    return is_table ? kind_of_access_method(access_method) : std::nullopt;
}

bool is_ours(Oid relid) { return kind_of_table(relid).has_value(); }

}  // namespace historian::table_am

using historian::engine::TableKind;
using historian::table_am::routine_of;

extern "C" PGDLLEXPORT Datum historian_tag_handler(PG_FUNCTION_ARGS) { PG_RETURN_POINTER(routine_of(TableKind::tag)); }

extern "C" PGDLLEXPORT Datum historian_log_handler(PG_FUNCTION_ARGS) { PG_RETURN_POINTER(routine_of(TableKind::log)); }
