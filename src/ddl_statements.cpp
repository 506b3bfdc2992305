#include "ddl_statements.h"

#include "ddl_arrival_time.h"
#include "table_am/callbacks.h"

extern "C" {
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "nodes/makefuncs.h"
}

namespace historian {

using engine::TableKind;

namespace {

// ------------------------------------------------------------------------------------------------------------- new tables

// False when PostgreSQL will refuse: it says why better than we could, and where in the statement.
bool can_create(const RangeVar *name) {
    if (XactReadOnly || RecoveryInProgress() || IsInParallelMode()) return false;
    if (name->catalogname != nullptr && strcmp(name->catalogname, get_database_name(MyDatabaseId)) != 0) return false;
    if (name->schemaname != nullptr)
        return strcmp(name->schemaname, "pg_temp") == 0 || OidIsValid(get_namespace_oid(name->schemaname, true));
    return name->relpersistence == RELPERSISTENCE_TEMP || fetch_search_path(false) != NIL;
}

// CREATE TABLE, CREATE TABLE AS, CREATE MATERIALIZED VIEW. A new table's name is unique in its schema only, so the schema is
// looked up now; a table that is there already (IF NOT EXISTS) is left alone.
void expect_new_table(const RangeVar *name, AfterStatement *after) {
    if (!can_create(name)) return;
    const Oid schema = RangeVarGetCreationNamespace(name);
    if (OidIsValid(get_relname_relid(name->relname, schema))) return;
    after->table = name;
    after->created_in = schema;
    after->check_family = true;
}

// EXPLAIN ANALYZE CREATE TABLE AS makes the table, too.
CreateTableAsStmt *create_as_of(Node *utility) {
    if (IsA(utility, ExplainStmt)) utility = castNode(Query, castNode(ExplainStmt, utility)->query)->utilityStmt;
    return utility != nullptr && IsA(utility, CreateTableAsStmt) ? castNode(CreateTableAsStmt, utility) : nullptr;
}

List **options_of_new_table(Node *utility) {
    return IsA(utility, CreateStmt) ? &castNode(CreateStmt, utility)->options : &create_as_of(utility)->into->options;
}

PlannedStmt *before_create(PlannedStmt *statement, AfterStatement *after) {
    statement = static_cast<PlannedStmt *>(copyObjectImpl(statement));
    Node *utility = statement->utilityStmt;
    if (IsA(utility, CreateStmt)) {
        if (makes_log_table(castNode(CreateStmt, utility))) complete_arrival_time(castNode(CreateStmt, utility));
    } else {
        after->complete = add_arrival_time(create_as_of(utility));
    }
    if (table_am::has_options(*options_of_new_table(utility))) {
        List **options = options_of_new_table(statement->utilityStmt);
        *options = table_am::take_options(*options, false, &after->options);
    }
    expect_new_table(IsA(utility, CreateStmt) ? castNode(CreateStmt, utility)->relation : create_as_of(utility)->into->rel,
                     after);
    return statement;
}

// ------------------------------------------------------------------------------------------------------------- ALTER TABLE

bool changes_options(const AlterTableCmd *command) {
    return (command->subtype == AT_SetRelOptions || command->subtype == AT_ResetRelOptions) &&
           table_am::has_options(castNode(List, command->def));
}

// Before any row is copied. No access method: SET ACCESS METHOD DEFAULT, from version 17 on.
void refuse_becoming_ours(const RangeVar *table, const char *access_method) {
    const char *name = access_method != nullptr ? access_method : default_table_access_method;
    const std::optional<TableKind> kind = table_am::kind_of_access_method(get_table_am_oid(name, true));
    const Oid relid = RangeVarGetRelid(table, NoLock, true);
    if (!kind || !OidIsValid(relid) || table_am::kind_of_table(relid) == kind || !owns_table(relid, GetUserId())) return;
    check_table_may_become_ours(relid, *kind);
}

void take_changed_options(AlterTableCmd *command, AfterStatement *after) {
    const bool is_reset = command->subtype == AT_ResetRelOptions;
    List *others = table_am::take_options(castNode(List, command->def), is_reset, &after->options);
    if (others == NIL) {
        // Nothing is left: PostgreSQL still finds the table, checks whose it is, locks it as it does for such options, and tells
        // event triggers. Resetting what is not set changes nothing.
        command->subtype = AT_ResetRelOptions;
        others = list_make1(makeDefElem(pstrdup("historian"), nullptr, -1));
    }
    command->def = reinterpret_cast<Node *>(others);
}

PlannedStmt *before_alter_table(PlannedStmt *statement, AfterStatement *after) {
    AlterTableStmt *alter = castNode(AlterTableStmt, statement->utilityStmt);
    if (alter->objtype != OBJECT_TABLE && alter->objtype != OBJECT_MATVIEW) return statement;
    bool has_options = false;
    ListCell *cell;
    foreach (cell, alter->cmds) has_options = has_options || changes_options(lfirst_node(AlterTableCmd, cell));
    if (has_options) {
        statement = static_cast<PlannedStmt *>(copyObjectImpl(statement));
        alter = castNode(AlterTableStmt, statement->utilityStmt);
    }
    foreach (cell, alter->cmds) {
        AlterTableCmd *command = lfirst_node(AlterTableCmd, cell);
        if (changes_options(command)) take_changed_options(command, after);
        switch (command->subtype) {
            case AT_SetAccessMethod:
                refuse_becoming_ours(alter->relation, command->name);
                after->check_family = true;
                break;
            case AT_SetLogged:
            case AT_ReplicaIdentity: after->check_family = true; break;
            case AT_AttachPartition: after->attached = castNode(PartitionCmd, command->def)->name; break;
            default: break;
        }
    }
    if (has_options || after->check_family) after->table = alter->relation;
    return statement;
}

// ------------------------------------------------------------------------------------------------------------------ others

void before_move(const AlterObjectSchemaStmt *move, AfterStatement *after) {
    if (move->objectType != OBJECT_TABLE && move->objectType != OBJECT_MATVIEW) return;
    after->table = move->relation;
    after->moved_to = move->newschema;
    after->check_family = true;
}

void refuse_concurrent_refresh(const RefreshMatViewStmt *refresh) {
    if (!refresh->concurrent) return;
    const Oid relid = RangeVarGetRelid(refresh->relation, NoLock, true);
    if (!OidIsValid(relid) || !table_am::is_ours(relid)) return;
    ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
            errmsg("cannot refresh materialized view \"%s\" concurrently", get_rel_name(relid)),
            errdetail("That takes a unique index, and tag and log tables have no indexes."),
            errhint("Use REFRESH MATERIALIZED VIEW without CONCURRENTLY."));
}

Oid find_table(const AfterStatement &after) {
    const char *name = after.table->relname;
    if (OidIsValid(after.created_in)) return get_relname_relid(name, after.created_in);
    if (after.moved_to == nullptr) return RangeVarGetRelid(after.table, NoLock, true);
    const Oid schema = get_namespace_oid(after.moved_to, true);
    return OidIsValid(schema) ? get_relname_relid(name, schema) : InvalidOid;
}

}  // namespace

PlannedStmt *before_statement(PlannedStmt *statement, AfterStatement *after) {
    *after = {};
    after->outer = exchange_dropped_key({});
    Node *utility = statement->utilityStmt;
    switch (nodeTag(utility)) {
        case T_CreateStmt:
        case T_CreateTableAsStmt: return before_create(statement, after);
        case T_ExplainStmt: return create_as_of(utility) != nullptr ? before_create(statement, after) : statement;
        case T_AlterTableStmt: return before_alter_table(statement, after);
        case T_AlterObjectSchemaStmt: before_move(castNode(AlterObjectSchemaStmt, utility), after); break;
        case T_RefreshMatViewStmt: refuse_concurrent_refresh(castNode(RefreshMatViewStmt, utility)); break;
        case T_CreatePublicationStmt: after->publication = castNode(CreatePublicationStmt, utility)->pubname; break;
        case T_AlterPublicationStmt: after->publication = castNode(AlterPublicationStmt, utility)->pubname; break;
        default: break;
    }
    return statement;
}

void forget_statement(const AfterStatement &after) { exchange_dropped_key(after.outer); }

void after_statement(const AfterStatement &after) {
    const DroppedKey dropped = exchange_dropped_key(after.outer);
    if (after.publication == nullptr && after.table == nullptr && after.attached == nullptr && !OidIsValid(dropped.relid)) return;
    CommandCounterIncrement();  // what the statement wrote into the catalogs is to be seen
    check_dropped_key(dropped);
    if (after.publication != nullptr) check_publication(after.publication);
    const Oid relid = after.table != nullptr ? find_table(after) : InvalidOid;
    if (OidIsValid(relid)) {
        if (after.complete) complete_new_table(relid);
        table_am::change_options(relid, after.options);
        if (after.check_family) check_table_family(relid);
    }
    const Oid attached = after.attached != nullptr ? RangeVarGetRelid(after.attached, NoLock, true) : InvalidOid;
    if (OidIsValid(attached)) check_table_family(attached);
}

}  // namespace historian
