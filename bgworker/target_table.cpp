#include "bgworker/target_table.h"

extern "C" {
#include "commands/defrem.h"
#include "common/hashfn.h"
#include "parser/parse_coerce.h"
}

namespace historian::bgworker {

namespace {

// Prepared statements kept by a worker; a subscription that feeds more tables than this prepares some of them again.
constexpr long kPlanCountMax = 1000;

// A column that is filled by the table itself when a message does not name it: rows in the table's order skip it.
constexpr const char *kArrivalTimeColumn = "_arrival_time";

/// A table and one of its statements: the statement's text by its hash.
struct PlanKey {
    Oid table;
    uint32 hash;
};

/// A prepared INSERT, kept across transactions for as long as its text and the types of its parameters stay the same.
struct KeptPlan {
    PlanKey key;
    SPIPlanPtr plan;
    char *statement;
    Oid *parameter_types;  ///< array types, one per column of the statement
};

HTAB *kept_plans = nullptr;

// Changes whenever plans go away, which open tables may still point to.
uint64 plans_generation = 0;

void drop_kept_plan(KeptPlan *kept) {
    if (kept->plan != nullptr) ++plans_generation;
    if (kept->plan != nullptr) SPI_freeplan(kept->plan);
    if (kept->statement != nullptr) pfree(kept->statement);
    if (kept->parameter_types != nullptr) pfree(kept->parameter_types);
    kept->plan = nullptr;
    kept->statement = nullptr;
    kept->parameter_types = nullptr;
}

void drop_all_plans() {
    HASH_SEQ_STATUS status;
    hash_seq_init(&status, kept_plans);
    while (auto *kept = static_cast<KeptPlan *>(hash_seq_search(&status))) {
        drop_kept_plan(kept);
        hash_search(kept_plans, &kept->key, HASH_REMOVE, nullptr);
    }
}

/// The kept statement of a key, or an empty place for it.
KeptPlan *find_kept_plan(const PlanKey &key) {
    if (kept_plans == nullptr) {
        HASHCTL control{};
        control.keysize = sizeof(PlanKey);
        control.entrysize = sizeof(KeptPlan);
        kept_plans = hash_create("historian MQTT statements", 64, &control, HASH_ELEM | HASH_BLOBS);
    }
    if (hash_get_num_entries(kept_plans) >= kPlanCountMax) drop_all_plans();
    bool found;
    auto *kept = static_cast<KeptPlan *>(hash_search(kept_plans, &key, HASH_ENTER, &found));
    if (!found) {
        kept->plan = nullptr;
        kept->statement = nullptr;
        kept->parameter_types = nullptr;
    }
    return kept;
}

/// INSERT INTO s.t (a, b) SELECT u.c1, u.c2::type FROM ROWS FROM (unnest($1), unnest($2)) AS u (c1, c2)
char *compose_statement(const TargetTable *target, const InsertStatement *insert) {
    StringInfoData sql;
    initStringInfo(&sql);
    appendStringInfo(&sql, "INSERT INTO %s (", target->qualified_name);
    for (int i = 0; i < insert->column_count; ++i) {
        appendStringInfo(&sql, "%s%s", i > 0 ? ", " : "", quote_identifier(target->columns[insert->columns[i]].name));
    }
    appendStringInfoString(&sql, ") SELECT ");
    for (int i = 0; i < insert->column_count; ++i) {
        const TargetColumn &column = target->columns[insert->columns[i]];
        appendStringInfo(&sql, "%su.c%d", i > 0 ? ", " : "", i + 1);
        if (column.sent_type != column.type) {
            appendStringInfo(
                &sql, "::%s",
                format_type_extended(column.type, column.typmod, FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY));
        }
    }
    appendStringInfoString(&sql, " FROM ROWS FROM (");
    for (int i = 0; i < insert->column_count; ++i) appendStringInfo(&sql, "%spg_catalog.unnest($%d)", i > 0 ? ", " : "", i + 1);
    appendStringInfoString(&sql, ") AS u (");
    for (int i = 0; i < insert->column_count; ++i) appendStringInfo(&sql, "%sc%d", i > 0 ? ", " : "", i + 1);
    appendStringInfoChar(&sql, ')');
    return sql.data;
}

SPIPlanPtr prepare_insert(const TargetTable *target, const InsertStatement *insert) {
    char *statement = compose_statement(target, insert);
    const uint32 hash = hash_bytes(reinterpret_cast<const unsigned char *>(statement), static_cast<int>(strlen(statement)));
    KeptPlan *kept = find_kept_plan({target->table, hash});
    const Size type_bytes = sizeof(Oid) * insert->column_count;
    Oid *types = static_cast<Oid *>(palloc(type_bytes));
    for (int i = 0; i < insert->column_count; ++i) {
        types[i] = get_array_type(target->columns[insert->columns[i]].sent_type);
    }
    // The same text may have had parameters of other types, before ALTER COLUMN ... TYPE: that plan would misread our arrays.
    if (kept->plan != nullptr && strcmp(kept->statement, statement) == 0 && memcmp(kept->parameter_types, types, type_bytes) == 0)
        return kept->plan;
    drop_kept_plan(kept);
    SPIPlanPtr plan = SPI_prepare(statement, insert->column_count, types);
    if (plan == nullptr) elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
    kept->statement = MemoryContextStrdup(TopMemoryContext, statement);
    kept->parameter_types = static_cast<Oid *>(MemoryContextAlloc(TopMemoryContext, Max(type_bytes, sizeof(Oid))));
    memcpy(kept->parameter_types, types, type_bytes);
    SPI_keepplan(plan);
    kept->plan = plan;
    return plan;
}

/// True for a column that no row may bring: dropped, or computed.
bool is_skipped(const FormData_pg_attribute *attribute) {
    return attribute->attisdropped || attribute->attgenerated != '\0' || attribute->attidentity == ATTRIBUTE_IDENTITY_ALWAYS;
}

/// True for the column that the table fills itself unless a row names it.
bool is_named_only(const FormData_pg_attribute *attribute) {
    return strcmp(NameStr(attribute->attname), kArrivalTimeColumn) == 0;
}

bool is_time(Oid type) { return type == TIMESTAMPTZOID || type == TIMESTAMPOID; }

/// A view's column that is left out gets the default of the table below, a domain's that of the domain.
bool may_default(Relation rel, const FormData_pg_attribute *attribute) {
    return rel->rd_rel->relkind == RELKIND_VIEW || attribute->atthasdef || attribute->attidentity != '\0' ||
           get_typtype(attribute->atttypid) == TYPTYPE_DOMAIN;
}

void describe_column(Relation rel, const FormData_pg_attribute *attribute, TargetColumn *column) {
    column->name = pstrdup(NameStr(attribute->attname));
    column->number = attribute->attnum;
    column->type = attribute->atttypid;
    column->typmod = attribute->atttypmod;
    column->may_default = may_default(rel, attribute);
    // unnest takes an array of arrays or of composites apart, so they travel as text. The same for types without an array.
    const bool whole = OidIsValid(get_array_type(column->type)) && !OidIsValid(get_element_type(getBaseType(column->type))) &&
                       !type_is_rowtype(column->type);
    column->sent_type = whole ? column->type : TEXTOID;
    get_typlenbyvalalign(column->sent_type, &column->sent_length, &column->sent_by_value, &column->sent_align);
    Oid input_function;
    getTypeInputInfo(column->type, &input_function, &column->io_param);
    fmgr_info(input_function, &column->input);
}

void describe_columns(Relation rel, TargetTable *target) {
    const TupleDesc descriptor = RelationGetDescr(rel);
    target->columns = static_cast<TargetColumn *>(palloc0(sizeof(TargetColumn) * Max(descriptor->natts, 1)));
    target->column_count = 0;
    for (const bool named_only : {false, true}) {
        for (int i = 0; i < descriptor->natts; ++i) {
            const FormData_pg_attribute *attribute = TupleDescAttr(descriptor, i);
            if (is_skipped(attribute) || is_named_only(attribute) != named_only) continue;
            describe_column(rel, attribute, &target->columns[target->column_count++]);
            // Without a time the row would be refused: it gets that of its arrival.
            target->columns[target->column_count - 1].takes_arrival = attribute->attnotnull;
        }
        if (!named_only) target->positional_count = target->column_count;
    }
}

bool is_tag_table(Relation rel) {
    return OidIsValid(rel->rd_rel->relam) && rel->rd_rel->relam == get_am_oid("tag", true);
}

/// The names of the columns, and which of them is what to a payload that knows no table.
void describe_shape(Relation rel, TargetTable *target) {
    auto *names = static_cast<std::string_view *>(palloc(sizeof(std::string_view) * Max(target->column_count, 1)));
    TableShape shape;
    for (int i = 0; i < target->column_count; ++i) {
        const TargetColumn &column = target->columns[i];
        names[i] = pg_server_to_any(column.name, static_cast<int>(strlen(column.name)), PG_UTF8);
        if (i >= target->positional_count) continue;
        const char category = TypeCategory(column.type);
        if (shape.name_column == kNoColumn && category == TYPCATEGORY_STRING) shape.name_column = i;
        if (shape.time_column == kNoColumn && is_time(column.type)) shape.time_column = i;
        if (shape.value_column == kNoColumn && category == TYPCATEGORY_NUMERIC) shape.value_column = i;
    }
    shape.columns = names;
    shape.column_count = target->column_count;
    target->shape = shape;
    for (int i = 0; i < target->column_count; ++i) {
        TargetColumn *column = &target->columns[i];
        const bool needed = column->takes_arrival || is_tag_table(rel);
        column->takes_arrival = i == shape.time_column && !column->may_default && needed;
    }
}

/// Tables that messages must never write, whatever the owner's rights: a superuser's subscription must not reach pg_authid.
bool is_system_schema(Oid schema, const char *name) {
    return IsCatalogNamespace(schema) || IsToastNamespace(schema) || strcmp(name, "information_schema") == 0 ||
           strcmp(name, "historian") == 0;
}

/// A name of a topic, which is UTF-8, in the database's encoding.
const char *to_server(const char *name) { return pg_any_to_server(name, static_cast<int>(strlen(name)), PG_UTF8); }

/// The owner of a table, or InvalidOid when it is gone.
Oid find_table_owner(Oid table) {
    HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(table));
    if (!HeapTupleIsValid(tuple)) return InvalidOid;
    const Oid owner = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple))->relowner;
    ReleaseSysCache(tuple);
    return owner;
}

/// True for a table owner who could act as the subscription's owner anyway: the table's triggers, defaults and constraints, which
/// run with the rights of the subscription's owner, then win nothing. (The other direction is no help: anybody may make the
/// subscription's owner a member of a role of his own.)
bool is_trusted_owner(const Subscription &subscription, Oid table_owner) {
    return has_privs_of_role(table_owner, subscription.owner);
}

int find_time_column(const TargetTable &target) {
    for (int i = 0; i < target.column_count; ++i) {
        if (target.columns[i].type == TIMESTAMPTZOID || target.columns[i].type == TIMESTAMPOID) return i;
    }
    return -1;
}

/// What rows need to know of an open table. Its lock stays: until the transaction ends the columns are what was seen here.
TargetTable *describe_target(Relation rel, const char *display_name) {
    auto *target = static_cast<TargetTable *>(palloc0(sizeof(TargetTable)));
    target->table = RelationGetRelid(rel);
    const char *schema = get_namespace_name(RelationGetNamespace(rel));
    target->qualified_name = quote_qualified_identifier(schema, RelationGetRelationName(rel));
    target->display_name = display_name;
    describe_columns(rel, target);
    target->time_column = find_time_column(*target);
    describe_shape(rel, target);
    target->sends_nulls = pg_class_aclcheck(target->table, GetUserId(), ACL_INSERT) == ACLCHECK_OK;
    target->statements_generation = plans_generation;
    table_close(rel, NoLock);
    return target;
}

}  // namespace

TargetTable *open_topic_target(const Subscription &subscription, const TopicTable &name, const char **refusal, int *sqlstate) {
    const char *schema = to_server(name.schema);
    const char *table = to_server(name.table);
    const char *display_name = psprintf("\"%s.%s\"", schema, table);
    if (strcmp(name.schema, subscription.default_schema) != 0) {
        *refusal = psprintf("table %s is outside the subscription's schema \"%s\"; subscribe with its schema as in_schema",
                            display_name, to_server(subscription.default_schema));
        *sqlstate = ERRCODE_INSUFFICIENT_PRIVILEGE;
        return nullptr;
    }
    const Oid schema_oid = LookupExplicitNamespace(schema, true);
    if (OidIsValid(schema_oid) && is_system_schema(schema_oid, schema)) {
        *refusal = psprintf("table %s is in a system schema", display_name);
        *sqlstate = ERRCODE_INSUFFICIENT_PRIVILEGE;
        return nullptr;
    }
    const Oid table_oid = OidIsValid(schema_oid) ? get_relname_relid(table, schema_oid) : InvalidOid;
    // Asked before the lock, so that a topic cannot lock the tables of others, and again after it: the owner may have changed.
    const Oid owner = OidIsValid(table_oid) ? find_table_owner(table_oid) : InvalidOid;
    const bool open = OidIsValid(owner) && is_trusted_owner(subscription, owner);
    Relation rel = open ? try_table_open(table_oid, RowExclusiveLock) : nullptr;
    const Oid owner_now = rel != nullptr ? rel->rd_rel->relowner : owner;
    if (OidIsValid(owner_now) && !is_trusted_owner(subscription, owner_now)) {
        if (rel != nullptr) table_close(rel, RowExclusiveLock);
        *refusal = psprintf("table %s belongs to role \"%s\", whose triggers and defaults would run with the rights of \"%s\"; "
                            "name it as target of a subscription to allow that",
                            display_name, GetUserNameFromId(owner_now, true), GetUserNameFromId(subscription.owner, true));
        *sqlstate = ERRCODE_INSUFFICIENT_PRIVILEGE;
        return nullptr;
    }
    if (rel == nullptr) {
        *refusal = psprintf("table %s does not exist", display_name);
        *sqlstate = ERRCODE_UNDEFINED_TABLE;
        return nullptr;
    }
    return describe_target(rel, display_name);
}

TargetTable *open_fixed_target(Oid table, const char **refusal, int *sqlstate) {
    Relation rel = try_table_open(table, RowExclusiveLock);
    if (rel == nullptr) {
        *refusal = "target table of the subscription does not exist";
        *sqlstate = ERRCODE_UNDEFINED_TABLE;
        return nullptr;
    }
    const char *schema = get_namespace_name(RelationGetNamespace(rel));
    const char *display_name = psprintf("\"%s.%s\"", schema != nullptr ? schema : "?", RelationGetRelationName(rel));
    if (schema == nullptr || is_system_schema(RelationGetNamespace(rel), schema)) {
        *refusal = psprintf("table %s is in a system schema", display_name);
        *sqlstate = ERRCODE_INSUFFICIENT_PRIVILEGE;
        table_close(rel, RowExclusiveLock);
        return nullptr;
    }
    return describe_target(rel, display_name);
}

const InsertStatement *find_statement(TargetTable *target, const bool *sent) {
    const Size sent_bytes = sizeof(bool) * target->column_count;
    if (target->statements_generation != plans_generation) target->statements = nullptr;
    target->statements_generation = plans_generation;
    for (const InsertStatement *each = target->statements; each != nullptr; each = each->next) {
        if (memcmp(each->sent, sent, sent_bytes) == 0) return each;
    }
    MemoryContext before = MemoryContextSwitchTo(GetMemoryChunkContext(target));
    auto *insert = static_cast<InsertStatement *>(palloc0(sizeof(InsertStatement)));
    auto *columns = static_cast<int *>(palloc(sizeof(int) * target->column_count));
    auto *kept_sent = static_cast<bool *>(palloc(sent_bytes));
    memcpy(kept_sent, sent, sent_bytes);
    for (int i = 0; i < target->column_count; ++i) {
        if (sent[i]) columns[insert->column_count++] = i;
    }
    insert->sent = kept_sent;
    insert->columns = columns;
    insert->plan = prepare_insert(target, insert);
    // Preparing may have thrown the others away.
    insert->next = target->statements_generation == plans_generation ? target->statements : nullptr;
    target->statements = insert;
    target->statements_generation = plans_generation;
    MemoryContextSwitchTo(before);
    return insert;
}

}  // namespace historian::bgworker
