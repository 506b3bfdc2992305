// Callbacks about whole tables: creation, TRUNCATE, SET TABLESPACE, VACUUM, sizes.
#include "engine/bulk_load.h"
#include "engine/granule_cache.h"
#include "engine/pages.h"
#include "engine/row_delete.h"
#include "engine/scan.h"
#include "engine/space.h"
#include "engine/vacuum.h"
#include "table_am/callbacks.h"

namespace historian::table_am {

namespace {

void refuse_virtual_key(Relation rel, AttrNumber number) {
    if (number == InvalidAttrNumber) return;
    const Form_pg_attribute column = TupleDescAttr(RelationGetDescr(rel), number - 1);
    if (!is_virtual(*column)) return;
    ereport(ERROR, errcode(ERRCODE_INVALID_TABLE_DEFINITION),
            errmsg("table \"%s\" cannot be sorted by generated column \"%s\"", RelationGetRelationName(rel),
                   NameStr(column->attname)),
            errdetail("The column is virtual: no row stores its value."), errhint("Make it GENERATED ALWAYS AS (...) STORED."));
}

}  // namespace

void require_key_columns(Relation rel, engine::TableKind kind) {
    const engine::KeyColumns keys = engine::derive_key_columns(RelationGetDescr(rel), kind);
    refuse_virtual_key(rel, keys.tag);
    refuse_virtual_key(rel, keys.time);
    if (kind == engine::TableKind::log) {
        if (keys.time != InvalidAttrNumber) return;
        ereport(ERROR, errcode(ERRCODE_INVALID_TABLE_DEFINITION),
                errmsg("table \"%s\" cannot use access method \"log\"", RelationGetRelationName(rel)),
                errdetail("It has no column \"%s\" of type timestamp with time zone, by which records are sorted.",
                          engine::kArrivalTime),
                errhint("Add it: %s timestamptz NOT NULL DEFAULT clock_timestamp().", engine::kArrivalTime));
    }
    if (keys.tag != InvalidAttrNumber && keys.time != InvalidAttrNumber) return;
    ereport(ERROR, errcode(ERRCODE_INVALID_TABLE_DEFINITION),
            errmsg("table \"%s\" cannot use access method \"tag\"", RelationGetRelationName(rel)),
            keys.time == InvalidAttrNumber
                ? errdetail("It has no column of type timestamp with time zone or timestamp, which would be the time.")
                : errdetail("It has no column besides the time, which would be the tag."),
            errhint("Define it like (name text, time timestamptz, value double precision)."));
}

// A table starts without any block: its first row makes the metapage (rule R14), so the init fork of an unlogged table is empty
// too.
void relation_set_new_file(Relation rel, const FileLocator *locator, char persistence, TransactionId *freeze_xid,
                           MultiXactId *min_multi) {
    require_key_columns(rel, engine::table_kind(rel));
    engine::discard_bulk_load(RelationGetRelid(rel));
    engine::forget_delete_logs();
    engine::forget_granules();
    *freeze_xid = RecentXmin;
    *min_multi = GetOldestMultiXactId();
    SMgrRelation file = RelationCreateStorage(*locator, persistence, true);
    if (persistence == RELPERSISTENCE_UNLOGGED) {
        smgrcreate(file, INIT_FORKNUM, false);
        log_smgrcreate(locator, INIT_FORKNUM);
        smgrimmedsync(file, INIT_FORKNUM);
    }
    smgrclose(file);
}

void relation_nontransactional_truncate(Relation rel) {
    engine::discard_bulk_load(RelationGetRelid(rel));
    engine::forget_delete_logs();
    engine::forget_granules();
    RelationTruncate(rel, 0);
}

void relation_copy_data(Relation rel, const FileLocator *locator) {
    const char persistence = rel->rd_rel->relpersistence;
    SMgrRelation target = smgropen(*locator, rel->rd_backend);
    // The copy reads the file, not the buffers.
    FlushRelationBuffers(rel);
    RelationCreateStorage(*locator, persistence, true);
    RelationCopyStorage(RelationGetSmgr(rel), target, MAIN_FORKNUM, persistence);
    if (smgrexists(RelationGetSmgr(rel), INIT_FORKNUM)) {
        smgrcreate(target, INIT_FORKNUM, false);
        log_smgrcreate(locator, INIT_FORKNUM);
        RelationCopyStorage(RelationGetSmgr(rel), target, INIT_FORKNUM, persistence);
    }
    RelationDropStorage(rel);
    smgrclose(target);
}

namespace {

// PostgreSQL forgets the values of columns that were added with a default, which older rows do not store, when a table was
// rewritten: it takes for granted that the rows store them now.
void refuse_missing_values(Relation rel) {
    const TupleDesc desc = RelationGetDescr(rel);
    for (int i = 0; i < desc->natts; i++) {
        const Form_pg_attribute column = TupleDescAttr(desc, i);
        if (!column->atthasmissing || column->attisdropped) continue;
        ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                errmsg("VACUUM FULL is not supported on table \"%s\"", RelationGetRelationName(rel)),
                errdetail("Its column \"%s\" was added with a default, which older rows do not store.", NameStr(column->attname)),
                errhint("CALL compact(...) packs the table."));
    }
}

}  // namespace

// VACUUM FULL: the file as it is, so that every snapshot goes on seeing what it sees. What a tag table has to gain it gains by
// compact(), which needs no exclusive lock; here the free end of the file is given back first. (CLUSTER does not come here: it
// wants an index.)
void relation_copy_for_cluster(Relation old_rel, Relation new_rel, Relation, bool, TransactionId, TransactionId *xid_cutoff,
                               MultiXactId *, double *live, double *vacuumed, double *recently_dead) {
    refuse_missing_values(old_rel);
    engine::shrink_file(old_rel, 1);
    BlockNumber pages;
    engine::estimate_size(old_rel, nullptr, &pages, live);
    *vacuumed = *recently_dead = 0;
    *xid_cutoff = old_rel->rd_rel->relfrozenxid;  // nothing was frozen
    // The copy reads the file, not the buffers.
    FlushRelationBuffers(old_rel);
    RelationCopyStorage(RelationGetSmgr(old_rel), RelationGetSmgr(new_rel), MAIN_FORKNUM, old_rel->rd_rel->relpersistence);
}

void relation_vacuum(Relation rel, VacuumParams *params, BufferAccessStrategy strategy) {
    engine::vacuum_table(rel, params, strategy);
}

uint64 relation_size(Relation rel, ForkNumber fork) { return table_block_relation_size(rel, fork); }

// Long values are stored whole in segments (rule R17).
bool relation_needs_toast_table(Relation) { return false; }

void relation_estimate_size(Relation rel, int32 *attr_widths, BlockNumber *pages, double *rows, double *all_visible_fraction) {
    engine::estimate_size(rel, attr_widths, pages, rows);
    *all_visible_fraction = 0;
}

}  // namespace historian::table_am
