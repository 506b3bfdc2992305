#include "ddl_refusals.h"

#include "engine/pages.h"
#include "table_am/callbacks.h"

extern "C" {
#include "access/genam.h"
#include "access/table.h"
#include "catalog/partition.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_inherits.h"
#include "utils/fmgroids.h"
}

namespace historian {

namespace {

// -------------------------------------------------------------------------------------------------------------- foreign keys

const char *action_name(char action) {
    switch (action) {
        case FKCONSTR_ACTION_CASCADE: return "CASCADE";
        case FKCONSTR_ACTION_SETNULL: return "SET NULL";
        case FKCONSTR_ACTION_SETDEFAULT: return "SET DEFAULT";
        default: return nullptr;
    }
}

// What the key's actions would do to the rows of the table that has it.
void refuse_updating_key(const FormData_pg_constraint &key) {
    if (key.contype != CONSTRAINT_FOREIGN) return;
    const bool on_update = action_name(key.confupdtype) != nullptr;
    const bool on_delete = key.confdeltype != FKCONSTR_ACTION_CASCADE && action_name(key.confdeltype) != nullptr;
    if (!on_update && !on_delete) return;
    ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
            errmsg("foreign key of table \"%s\" cannot use ON %s %s", get_rel_name(key.conrelid), on_update ? "UPDATE" : "DELETE",
                   action_name(on_update ? key.confupdtype : key.confdeltype)),
            errdetail("It would update rows of the table, but points are written once."),
            errhint("Leave it out: by default, rows that points refer to stay as they are."));
}

// Calls use for each constraint that one key of one index of pg_constraint finds, those of this command included.
template <typename Use>
void for_each_constraint(Oid index, AttrNumber column, Oid value, Use use) {
    static_assert(std::is_trivially_destructible_v<Use>, "ereport() would skip its destructor");
    Relation catalog = table_open(ConstraintRelationId, AccessShareLock);
    ScanKeyData key;
    ScanKeyInit(&key, column, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(value));
    SysScanDesc scan = systable_beginscan(catalog, index, true, SnapshotSelf, 1, &key);
    for (HeapTuple tuple = systable_getnext(scan); HeapTupleIsValid(tuple); tuple = systable_getnext(scan)) {
        use(*reinterpret_cast<Form_pg_constraint>(GETSTRUCT(tuple)));
    }
    systable_endscan(scan);
    table_close(catalog, AccessShareLock);
}

// -------------------------------------------------------------------------------------------------------------- publications

[[noreturn]] void report_publication_refused(Oid relid, const char *publication) {
    ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("cannot publish table \"%s\"", get_rel_name(relid)),
            errdetail("Publication \"%s\" publishes rows, but rows of tag and log tables are not replicated logically: "
                      "subscribers would miss them.",
                      publication),
            errhint("Publish the other tables by name, or nothing but truncation: WITH (publish = 'truncate')."));
    pg_unreachable();
}

bool publishes_rows(const Publication *publication) {
    const PublicationActions &actions = publication->pubactions;
    return actions.pubinsert || actions.pubupdate || actions.pubdelete;
}

// Temporary and unlogged tables are never published.
bool is_publishable(Oid relid) {
    return get_rel_relkind(relid) == RELKIND_RELATION && get_rel_persistence(relid) == RELPERSISTENCE_PERMANENT;
}

List *publications_of_one(Oid relid) {
    return list_concat(GetRelationPublications(relid), GetSchemaPublications(get_rel_namespace(relid)));
}

void refuse_published(Oid relid) {
    if (!is_publishable(relid)) return;
    List *publications = list_concat(publications_of_one(relid), GetAllTablesPublications());
    ListCell *cell;
    if (get_rel_relispartition(relid)) {
        foreach (cell, get_partition_ancestors(relid))
            publications = list_concat(publications, publications_of_one(lfirst_oid(cell)));
    }
    foreach (cell, publications) {
        const Publication *publication = GetPublication(lfirst_oid(cell));
        if (publishes_rows(publication)) report_publication_refused(relid, publication->name);
    }
}

// ---------------------------------------------------------------------------------------------------------- whole tables

// Allowed, pg_dump would write it down and its restore would fail on the way.
void refuse_replica_identity(Relation rel) {
    const char identity = rel->rd_rel->relreplident;
    if (identity != REPLICA_IDENTITY_FULL && identity != REPLICA_IDENTITY_INDEX) return;
    ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
            errmsg("replica identities are not supported on table \"%s\"", RelationGetRelationName(rel)),
            errdetail("Rows of tag and log tables are not replicated logically."),
            errhint("Use REPLICA IDENTITY DEFAULT or NOTHING."));
}

void refuse_indexed(Relation rel, engine::TableKind kind) {
    List *indexes = RelationGetIndexList(rel);
    if (indexes == NIL) return;
    ereport(
        ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
        errmsg("table \"%s\" cannot use access method \"%s\"", RelationGetRelationName(rel), table_am::access_method_name(kind)),
        errdetail("It has index \"%s\", and %s tables have no indexes.", get_rel_name(linitial_oid(indexes)),
                  table_am::access_method_name(kind)),
        errhint("Drop its indexes, and its primary key, unique and exclusion constraints."));
}

// A column as this command has just changed it.
struct ChangedColumn {
    AttrNumber number;
    Oid type;  // InvalidOid: it is gone
    NameData name;
};

// The keys that a table would have with a changed column.
engine::KeyColumns keys_with_column(Relation rel, const ChangedColumn &column) {
    TupleDesc changed = CreateTupleDescCopy(RelationGetDescr(rel));
    TupleDescAttr(changed, column.number - 1)->atttypid = column.type;
    TupleDescAttr(changed, column.number - 1)->attname = column.name;
    const engine::KeyColumns keys = engine::derive_key_columns(changed, engine::table_kind(rel));
    FreeTupleDesc(changed);
    return keys;
}

ChangedColumn changed_column(Oid relid, AttrNumber column) {
    ChangedColumn changed = {column, InvalidOid, {}};
    Relation catalog = table_open(AttributeRelationId, AccessShareLock);
    ScanKeyData keys[2];
    ScanKeyInit(&keys[0], Anum_pg_attribute_attrelid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
    ScanKeyInit(&keys[1], Anum_pg_attribute_attnum, BTEqualStrategyNumber, F_INT2EQ, Int16GetDatum(column));
    SysScanDesc scan = systable_beginscan(catalog, AttributeRelidNumIndexId, true, SnapshotSelf, 2, keys);
    const HeapTuple tuple = systable_getnext(scan);
    if (HeapTupleIsValid(tuple)) {
        changed.type = reinterpret_cast<Form_pg_attribute>(GETSTRUCT(tuple))->atttypid;
        changed.name = reinterpret_cast<Form_pg_attribute>(GETSTRUCT(tuple))->attname;
    }
    systable_endscan(scan);
    table_close(catalog, AccessShareLock);
    return changed;
}

}  // namespace

void check_constraint_created(Oid constraint) {
    for_each_constraint(ConstraintOidIndexId, Anum_pg_constraint_oid, constraint, [](const FormData_pg_constraint &key) {
        if (key.contype != CONSTRAINT_FOREIGN && key.contype != CONSTRAINT_EXCLUSION) return;
        if (!table_am::is_ours(key.conrelid)) return;
        if (key.contype == CONSTRAINT_EXCLUSION) report_exclusion_refused(get_rel_name(key.conrelid));
        refuse_updating_key(key);
    });
}

void report_exclusion_refused(const char *table) {
    ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
            errmsg("exclusion constraints are not supported on table \"%s\"", table),
            errdetail("They are kept by indexes, and tag and log tables have none."), errhint("Leave out EXCLUDE."));
    pg_unreachable();
}

static DroppedKey noted_key;  // of the utility statement that runs

void note_column_dropped(Oid relid, AttrNumber column) {
    if (OidIsValid(noted_key.relid) || !table_am::is_ours(relid)) return;
    Relation rel = RelationIdGetRelation(relid);
    if (!RelationIsValid(rel)) return;
    const engine::KeyColumns keys = engine::key_columns(rel);
    if (column == keys.tag || column == keys.time) {
        noted_key.relid = relid;
        noted_key.table = rel->rd_rel->relname;
        noted_key.column = TupleDescAttr(RelationGetDescr(rel), column - 1)->attname;
    }
    RelationClose(rel);
}

DroppedKey exchange_dropped_key(const DroppedKey &other) {
    const DroppedKey noted = noted_key;
    noted_key = other;
    return noted;
}

void check_dropped_key(const DroppedKey &dropped) {
    if (!OidIsValid(dropped.relid) || !SearchSysCacheExists1(RELOID, ObjectIdGetDatum(dropped.relid))) return;
    ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
            errmsg("cannot drop column \"%s\" of table \"%s\"", NameStr(dropped.column), NameStr(dropped.table)),
            errdetail("The table is sorted by it."), errhint("Copy the other columns into a new table."));
}

void check_column_altered(Oid relid, AttrNumber column) {
    if (!table_am::is_ours(relid)) return;
    const ChangedColumn changed = changed_column(relid, column);
    Relation rel = RelationIdGetRelation(relid);
    if (!RelationIsValid(rel)) return;
    const bool is_known = OidIsValid(changed.type) && column <= RelationGetDescr(rel)->natts;
    const bool is_log = engine::is_log_table(rel);
    const engine::KeyColumns before = engine::key_columns(rel);
    const engine::KeyColumns after = is_known ? keys_with_column(rel, changed) : before;
    const char *table = pstrdup(RelationGetRelationName(rel));
    RelationClose(rel);
    if (before.tag == after.tag && before.time == after.time) return;
    if (is_log) {
        ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                errmsg("cannot change the name or type of a column of table \"%s\"", table),
                errdetail("Log tables are sorted by their column \"%s\" of type timestamp with time zone.", engine::kArrivalTime),
                errhint("A view may give the column another name."));
    }
    ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
            errmsg("cannot change column \"%s\" of table \"%s\" to type %s", NameStr(changed.name), table,
                   format_type_be(changed.type)),
            errdetail("The table is sorted by tag \"%s\" and time \"%s\", which would no longer be its first timestamp column "
                      "and its first other column.",
                      get_attname(relid, before.tag, true), get_attname(relid, before.time, true)),
            errhint("Copy the rows into a new table."));
}

void check_table_family(Oid relid) {
    ListCell *cell;
    foreach (cell, find_all_inheritors(relid, NoLock, nullptr)) {
        const Oid member = lfirst_oid(cell);
        if (!table_am::is_ours(member)) continue;
        refuse_published(member);
        Relation rel = table_open(member, AccessShareLock);
        refuse_replica_identity(rel);
        table_close(rel, AccessShareLock);
    }
}

void check_table_may_become_ours(Oid relid, engine::TableKind kind) {
    Relation rel = try_relation_open(relid, AccessShareLock);
    if (rel == nullptr) return;
    if (RELKIND_HAS_TABLE_AM(rel->rd_rel->relkind)) {
        table_am::require_key_columns(rel, kind);
        refuse_indexed(rel, kind);
        refuse_replica_identity(rel);
        refuse_published(relid);
        for_each_constraint(ConstraintRelidTypidNameIndexId, Anum_pg_constraint_conrelid, relid, refuse_updating_key);
    }
    relation_close(rel, AccessShareLock);
}

void check_publication(const char *name) {
    const Publication *publication = GetPublicationByName(name, true);
    if (publication == nullptr || !publishes_rows(publication)) return;
    List *tables;
    if (publication->alltables) {
        tables = GetAllTablesPublicationRelations(false);
    } else {
        tables = list_concat(GetPublicationRelations(publication->oid, PUBLICATION_PART_LEAF),
                             GetAllSchemaPublicationRelations(publication->oid, PUBLICATION_PART_LEAF));
    }
    ListCell *cell;
    foreach (cell, tables) {
        const Oid relid = lfirst_oid(cell);
        if (table_am::is_ours(relid) && is_publishable(relid)) report_publication_refused(relid, publication->name);
    }
}

}  // namespace historian
