#include "bgworker/target_table.h"

#include "bgworker/nanoseconds.h"

namespace historian::bgworker {

namespace {

// Prepared statements kept by a worker; a subscription that feeds more tables than this prepares some of them again.
constexpr long kPlanCountMax = 1000;

// Columns that are filled by the table itself when a message does not name them: rows skip them.
constexpr const char *kArrivalTimeColumn = "_arrival_time";

/// A prepared INSERT, kept across transactions for as long as its text and the types of its parameters stay the same.
struct KeptPlan {
    Oid table;
    SPIPlanPtr plan;
    char *statement;
    Oid *parameter_types;  ///< array types, one per column of the statement
};

HTAB *kept_plans = nullptr;

void drop_kept_plan(KeptPlan *kept) {
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
        hash_search(kept_plans, &kept->table, HASH_REMOVE, nullptr);
    }
}

/// The kept statement of a table, or an empty place for it.
KeptPlan *find_kept_plan(Oid table) {
    if (kept_plans == nullptr) {
        HASHCTL control{};
        control.keysize = sizeof(Oid);
        control.entrysize = sizeof(KeptPlan);
        kept_plans = hash_create("historian MQTT statements", 64, &control, HASH_ELEM | HASH_BLOBS);
    }
    if (hash_get_num_entries(kept_plans) >= kPlanCountMax) drop_all_plans();
    bool found;
    auto *kept = static_cast<KeptPlan *>(hash_search(kept_plans, &table, HASH_ENTER, &found));
    if (!found) {
        kept->plan = nullptr;
        kept->statement = nullptr;
        kept->parameter_types = nullptr;
    }
    return kept;
}

/// INSERT INTO s.t (a, b) SELECT u.c1, u.c2::type FROM ROWS FROM (unnest($1), unnest($2)) AS u (c1, c2)
char *compose_statement(const TargetTable *target) {
    StringInfoData sql;
    initStringInfo(&sql);
    appendStringInfo(
        &sql, "INSERT INTO %s (",
        quote_qualified_identifier(get_namespace_name(RelationGetNamespace(target->rel)), RelationGetRelationName(target->rel)));
    for (int i = 0; i < target->column_count; ++i) {
        appendStringInfo(&sql, "%s%s", i > 0 ? ", " : "", quote_identifier(target->columns[i].name));
    }
    appendStringInfoString(&sql, ") SELECT ");
    for (int i = 0; i < target->column_count; ++i) {
        const TargetColumn &column = target->columns[i];
        appendStringInfo(&sql, "%su.c%d", i > 0 ? ", " : "", i + 1);
        if (column.sent_type != column.type) {
            appendStringInfo(
                &sql, "::%s",
                format_type_extended(column.type, column.typmod, FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY));
        }
    }
    appendStringInfoString(&sql, " FROM ROWS FROM (");
    for (int i = 0; i < target->column_count; ++i) appendStringInfo(&sql, "%spg_catalog.unnest($%d)", i > 0 ? ", " : "", i + 1);
    appendStringInfoString(&sql, ") AS u (");
    for (int i = 0; i < target->column_count; ++i) appendStringInfo(&sql, "%sc%d", i > 0 ? ", " : "", i + 1);
    appendStringInfoChar(&sql, ')');
    return sql.data;
}

SPIPlanPtr prepare_insert(const TargetTable *target) {
    KeptPlan *kept = find_kept_plan(RelationGetRelid(target->rel));
    char *statement = compose_statement(target);
    const Size type_bytes = sizeof(Oid) * target->column_count;
    Oid *types = static_cast<Oid *>(palloc(type_bytes));
    for (int i = 0; i < target->column_count; ++i) types[i] = get_array_type(target->columns[i].sent_type);
    // The same text may have had parameters of other types, before ALTER COLUMN ... TYPE: that plan would misread our arrays.
    if (kept->plan != nullptr && strcmp(kept->statement, statement) == 0 && memcmp(kept->parameter_types, types, type_bytes) == 0)
        return kept->plan;
    drop_kept_plan(kept);
    SPIPlanPtr plan = SPI_prepare(statement, target->column_count, types);
    if (plan == nullptr) elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
    kept->statement = MemoryContextStrdup(TopMemoryContext, statement);
    kept->parameter_types = static_cast<Oid *>(MemoryContextAlloc(TopMemoryContext, Max(type_bytes, sizeof(Oid))));
    memcpy(kept->parameter_types, types, type_bytes);
    SPI_keepplan(plan);
    kept->plan = plan;
    return plan;
}

/// True for a column that rows do not bring: dropped, computed, or filled by the table.
bool is_skipped(const FormData_pg_attribute *attribute) {
    return attribute->attisdropped || attribute->attgenerated != '\0' || attribute->attidentity == ATTRIBUTE_IDENTITY_ALWAYS ||
           strcmp(NameStr(attribute->attname), kArrivalTimeColumn) == 0;
}

void describe_column(const FormData_pg_attribute *attribute, TargetColumn *column) {
    column->name = pstrdup(NameStr(attribute->attname));
    column->type = attribute->atttypid;
    column->typmod = attribute->atttypmod;
    // unnest takes an array of arrays or of composites apart, so they travel as text. The same for types without an array.
    const bool whole = OidIsValid(get_array_type(column->type)) && !OidIsValid(get_element_type(getBaseType(column->type))) &&
                       !type_is_rowtype(column->type);
    column->sent_type = whole ? column->type : TEXTOID;
    get_typlenbyvalalign(column->sent_type, &column->sent_length, &column->sent_by_value, &column->sent_align);
    Oid input_function;
    getTypeInputInfo(column->type, &input_function, &column->io_param);
    fmgr_info(input_function, &column->input);
}

void describe_columns(TargetTable *target) {
    const TupleDesc descriptor = RelationGetDescr(target->rel);
    target->columns = static_cast<TargetColumn *>(palloc0(sizeof(TargetColumn) * Max(descriptor->natts, 1)));
    target->column_count = 0;
    for (int i = 0; i < descriptor->natts; ++i) {
        const FormData_pg_attribute *attribute = TupleDescAttr(descriptor, i);
        if (!is_skipped(attribute)) describe_column(attribute, &target->columns[target->column_count++]);
    }
}

/// Tables that messages must never write, whatever the owner's rights: a superuser's subscription must not reach pg_authid.
bool is_system_schema(Oid schema, const char *name) {
    return IsCatalogNamespace(schema) || IsToastNamespace(schema) || strcmp(name, "information_schema") == 0 ||
           strcmp(name, "historian") == 0;
}

/// A name of a topic, which is UTF-8, in the database's encoding.
const char *to_server(const char *name) { return pg_any_to_server(name, static_cast<int>(strlen(name)), PG_UTF8); }

/// Raises an error for a number that is not a time.
Datum convert_time(const Cell &cell) {
    int64 microseconds;
    switch (parse_nanoseconds({cell.text, cell.bytes}, &microseconds)) {
        case TimeFault::none: break;
        case TimeFault::not_integral:
            ereport(ERROR, errcode(ERRCODE_INVALID_DATETIME_FORMAT),
                    errmsg("time %s is not an integral number of nanoseconds since 1970", cell.text));
            break;
        case TimeFault::out_of_range:
            ereport(ERROR, errcode(ERRCODE_DATETIME_FIELD_OVERFLOW),
                    errmsg("time %s is out of range for nanoseconds since 1970", cell.text));
            break;
    }
    return TimestampTzGetDatum(microseconds);
}

/// A JSON string as JSON again, for json and jsonb columns.
char *quote_json(const char *text) {
    StringInfoData quoted;
    initStringInfo(&quoted);
    escape_json(&quoted, text);
    return quoted.data;
}

/// One cell as the value that its column sends. Not for nulls.
Datum convert_cell(TargetColumn *column, const Cell &cell) {
    const bool is_number = cell.kind == CellKind::number;
    if (is_number && (column->type == TIMESTAMPTZOID || column->type == TIMESTAMPOID)) return convert_time(cell);
    char *text = pg_any_to_server(cell.text, static_cast<int>(cell.bytes), PG_UTF8);
    if (column->sent_type == TEXTOID) return CStringGetTextDatum(text);
    const bool is_json = column->type == JSONOID || column->type == JSONBOID;
    if (is_json && cell.kind == CellKind::text) text = quote_json(text);
    return InputFunctionCall(&column->input, text, column->io_param, column->typmod);
}

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

/// What rows need to know of an open table. Its lock stays: until the transaction ends the columns are what was seen here.
TargetTable *describe_target(Relation rel, const char *display_name) {
    auto *target = static_cast<TargetTable *>(palloc0(sizeof(TargetTable)));
    target->rel = rel;
    target->display_name = display_name;
    describe_columns(target);
    target->plan = target->column_count > 0 ? prepare_insert(target) : nullptr;
    table_close(rel, NoLock);
    return target;
}

/// A null as its column sends it. A domain may refuse it, and INSERT would not ask: the parameter is of the domain already.
Datum check_null(TargetColumn *column) {
    const bool is_domain = column->sent_type == column->type && !column->input.fn_strict;
    return is_domain ? InputFunctionCall(&column->input, nullptr, column->io_param, column->typmod) : static_cast<Datum>(0);
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

void RowBuffer::begin(TargetTable *target, CellPosition *position) {
    target_ = target;
    position_ = position;
    rows_ = AllocSetContextCreate(CurrentMemoryContext, "historian MQTT rows", ALLOCSET_DEFAULT_SIZES);
    values_ = static_cast<Datum **>(palloc(sizeof(Datum *) * target->column_count));
    nulls_ = static_cast<bool **>(palloc(sizeof(bool *) * target->column_count));
    for (int i = 0; i < target->column_count; ++i) {
        values_[i] = static_cast<Datum *>(palloc(sizeof(Datum) * kRowsPerInsert));
        nulls_[i] = static_cast<bool *>(palloc(sizeof(bool) * kRowsPerInsert));
    }
    row_count_ = 0;
}

void RowBuffer::add(const Payload &payload) {
    for (uint32 row = 0; row < payload.row_count; ++row) {
        CHECK_FOR_INTERRUPTS();
        position_->row = row + 1;
        add_row(payload.cells + (row == 0 ? 0 : payload.row_ends[row - 1]));
        if (row_count_ == kRowsPerInsert || MemoryContextMemAllocated(rows_, false) > kBytesPerInsert) insert();
    }
    position_->row = 0;
}

void RowBuffer::add_row(const Cell *cells) {
    MemoryContext before = MemoryContextSwitchTo(rows_);
    for (int i = 0; i < target_->column_count; ++i) {
        position_->column = target_->columns[i].name;
        nulls_[i][row_count_] = cells[i].kind == CellKind::null;
        values_[i][row_count_] =
            nulls_[i][row_count_] ? check_null(&target_->columns[i]) : convert_cell(&target_->columns[i], cells[i]);
    }
    ++row_count_;
    MemoryContextSwitchTo(before);
}

void RowBuffer::insert() {
    position_->row = 0;
    MemoryContext before = MemoryContextSwitchTo(rows_);
    auto *arrays = static_cast<Datum *>(palloc(sizeof(Datum) * target_->column_count));
    for (int i = 0; i < target_->column_count; ++i) {
        const TargetColumn &column = target_->columns[i];
        int size = row_count_;
        int lower_bound = 1;
        arrays[i] = PointerGetDatum(construct_md_array(values_[i], nulls_[i], 1, &size, &lower_bound, column.sent_type,
                                                       column.sent_length, column.sent_by_value, column.sent_align));
    }
    MemoryContextSwitchTo(before);
    const int result = SPI_execute_plan(target_->plan, arrays, nullptr, false, 0);
    if (result != SPI_OK_INSERT) elog(ERROR, "SPI_execute_plan failed: %s", SPI_result_code_string(result));
    MemoryContextReset(rows_);
    row_count_ = 0;
}

void RowBuffer::finish() {
    if (row_count_ > 0) insert();
}

}  // namespace historian::bgworker
