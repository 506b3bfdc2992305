#include "bgworker/transform.h"

#include "bgworker/message_rows.h"
#include "bgworker/payload.h"

extern "C" {
#include "catalog/pg_proc.h"
#include "utils/regproc.h"
#include "utils/varlena.h"
}

namespace historian::bgworker {

namespace {

// Messages in one INSERT, and bytes of their payloads: bounds the memory of the arrays.
constexpr int kMessagesPerInsert = 8 * 1024;
constexpr Size kBytesPerTransform = 8 * 1024 * 1024;

// A column that the table fills itself when rows of its own type leave it null.
constexpr const char *kArrivalTimeColumn = "_arrival_time";

/// A function that may be a transform.
struct TransformFunction {
    Oid oid;
    Oid payload_type;
    bool takes_properties;
};

/// The statement of the subscription, kept across transactions; the server plans it anew when table or function change.
struct KeptStatement {
    char *text;
    SPIPlanPtr plan;
};

KeptStatement kept{};

/// True when the function takes what a transform is given, and returns rows.
bool fits_transform(Oid function, TransformFunction *found) {
    HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
    if (!HeapTupleIsValid(tuple)) return false;
    const auto *form = reinterpret_cast<Form_pg_proc>(GETSTRUCT(tuple));
    const Oid *types = form->proargtypes.values;
    const int count = form->pronargs;
    bool fits = form->prokind == PROKIND_FUNCTION && form->proretset && (count == 2 || count == 3);
    fits = fits && (types[0] == BYTEAOID || types[0] == TEXTOID || types[0] == JSONOID || types[0] == JSONBOID);
    fits = fits && types[1] == TEXTOID && (count == 2 || types[2] == JSONBOID);
    if (fits) *found = {function, types[0], count == 3};
    ReleaseSysCache(tuple);
    return fits;
}

[[noreturn]] void reject_function(const char *name) {
    ereport(ERROR, errcode(ERRCODE_INVALID_FUNCTION_DEFINITION), errmsg("function %s cannot be a transform", name),
            errdetail("A transform takes (bytea | text | json | jsonb, text), or these and jsonb, and returns a set of rows."),
            errhint("Its arguments are the payload, the topic and the user properties."));
    pg_unreachable();
}

/// InvalidOid when there is no such function any more.
Oid find_by_signature(const char *name) {
    LOCAL_FCINFO(call, 1);
    InitFunctionCallInfoData(*call, nullptr, 1, InvalidOid, nullptr, nullptr);
    call->args[0] = {CStringGetTextDatum(name), false};
    const Datum found = to_regprocedure(call);
    return call->isnull ? InvalidOid : DatumGetObjectId(found);
}

bool may_execute(Oid function, Oid role) {
#if PG_VERSION_NUM >= 160000
    return object_aclcheck(ProcedureRelationId, function, role, ACL_EXECUTE) == ACLCHECK_OK;
#else
    return pg_proc_aclcheck(function, role, ACL_EXECUTE) == ACLCHECK_OK;
#endif
}

/// The function that is called `name`, with or without its argument types.
TransformFunction find_function(const char *name) {
    TransformFunction found{};
    if (strchr(name, '(') != nullptr) {
        const Oid function = DatumGetObjectId(DirectFunctionCall1(regprocedurein, CStringGetDatum(name)));
        if (!fits_transform(function, &found)) reject_function(name);
        return found;
    }
    List *names = textToQualifiedNameList(cstring_to_text(name));
    FuncCandidateList candidates = FuncnameGetCandidates(names, -1, NIL, false, false, false, true);
    if (candidates == nullptr) {
        ereport(ERROR, errcode(ERRCODE_UNDEFINED_FUNCTION), errmsg("function \"%s\" does not exist", name));
    }
    int count = 0;
    for (FuncCandidateList each = candidates; each != nullptr; each = each->next) {
        TransformFunction fitting;
        if (!fits_transform(each->oid, &fitting)) continue;
        found = fitting;
        ++count;
    }
    if (count == 0) reject_function(name);
    if (count > 1) {
        ereport(ERROR, errcode(ERRCODE_AMBIGUOUS_FUNCTION), errmsg("function name \"%s\" is not unique", name),
                errhint("Write its argument types too, as in %s(jsonb, text).", name));
    }
    return found;
}

bool is_filled_by_table(const FormData_pg_attribute &attribute) {
    return attribute.attisdropped || attribute.attgenerated != '\0' || attribute.attidentity == ATTRIBUTE_IDENTITY_ALWAYS ||
           strcmp(NameStr(attribute.attname), kArrivalTimeColumn) == 0;
}

/// Appends the names of the columns that rows of `descriptor` bring. The target's own rows leave out what it fills itself.
void append_columns(StringInfo sql, TupleDesc descriptor, bool of_target, const char *prefix) {
    const char *separator = "";
    for (int i = 0; i < descriptor->natts; ++i) {
        const FormData_pg_attribute *attribute = TupleDescAttr(descriptor, i);
        if (attribute->attisdropped || (of_target && is_filled_by_table(*attribute))) continue;
        appendStringInfo(sql, "%s%s%s", separator, prefix, quote_identifier(NameStr(attribute->attname)));
        separator = ", ";
    }
}

/// (a, b) with types, for a function that returns records of which nothing is known.
void append_definitions(StringInfo sql, TupleDesc descriptor) {
    const char *separator = "";
    for (int i = 0; i < descriptor->natts; ++i) {
        const FormData_pg_attribute *attribute = TupleDescAttr(descriptor, i);
        if (is_filled_by_table(*attribute)) continue;
        constexpr bits16 kFlags = FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY;
        appendStringInfo(sql, "%s%s %s", separator, quote_identifier(NameStr(attribute->attname)),
                         format_type_extended(attribute->atttypid, attribute->atttypmod, kFlags));
        separator = ", ";
    }
}

/// INSERT INTO s.t (a, b) SELECT r.a, r.b FROM ROWS FROM (unnest($1), unnest($2)) AS m (payload, topic), s.f(m.payload, m.topic)
/// AS r. nullptr: the function returns no rows with columns.
char *compose_statement(const TransformFunction &function, Relation target) {
    Oid type;
    TupleDesc result = nullptr;
    const TypeFuncClass kind = get_func_result_type(function.oid, &type, &result);
    const bool named = kind == TYPEFUNC_COMPOSITE || kind == TYPEFUNC_COMPOSITE_DOMAIN;
    if (!named && kind != TYPEFUNC_RECORD) return nullptr;
    const TupleDesc descriptor = named ? result : RelationGetDescr(target);
    const bool of_target = !named || type == target->rd_rel->reltype;
    StringInfoData sql;
    initStringInfo(&sql);
    const char *schema = get_namespace_name(RelationGetNamespace(target));
    appendStringInfo(&sql, "INSERT INTO %s (", quote_qualified_identifier(schema, RelationGetRelationName(target)));
    append_columns(&sql, descriptor, of_target, "");
    appendStringInfoString(&sql, ") SELECT ");
    append_columns(&sql, descriptor, of_target, "r.");
    appendStringInfo(&sql, " FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)%s) AS m (payload, topic%s)",
                     function.takes_properties ? ", pg_catalog.unnest($3)" : "", function.takes_properties ? ", properties" : "");
    const char *cast = function.payload_type == JSONOID    ? "::pg_catalog.json"
                       : function.payload_type == JSONBOID ? "::pg_catalog.jsonb"
                                                           : "";
    schema = get_namespace_name(get_func_namespace(function.oid));
    appendStringInfo(&sql, ", %s(m.payload%s, m.topic%s) AS r",
                     quote_qualified_identifier(schema, get_func_name(function.oid)), cast,
                     function.takes_properties ? ", m.properties::pg_catalog.jsonb" : "");
    if (!named) {
        appendStringInfoString(&sql, " (");
        append_definitions(&sql, descriptor);
        appendStringInfoChar(&sql, ')');
    }
    return sql.data;
}

/// Bytes travel as bytea, everything else as text: what is no JSON is then an error of the statement.
Oid sent_payload_type(const TransformFunction &function) { return function.payload_type == BYTEAOID ? BYTEAOID : TEXTOID; }

SPIPlanPtr prepare_statement(const TransformFunction &function, const char *statement) {
    Oid types[] = {get_array_type(sent_payload_type(function)), TEXTARRAYOID, TEXTARRAYOID};
    SPIPlanPtr plan = SPI_prepare(statement, function.takes_properties ? 3 : 2, types);
    if (plan == nullptr) elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
    return plan;
}

/// The kept plan, or a new one in its place. The text names the types that its parameters depend on only where they are cast, so
/// bytea and text are told apart by a comment.
SPIPlanPtr keep_statement(const TransformFunction &function, char *statement) {
    const char *text = psprintf("%s /* %s */", statement, function.payload_type == BYTEAOID ? "bytea" : "text");
    if (kept.plan != nullptr && strcmp(kept.text, text) == 0) return kept.plan;
    SPIPlanPtr plan = prepare_statement(function, text);
    if (kept.plan != nullptr) SPI_freeplan(kept.plan);
    if (kept.text != nullptr) pfree(kept.text);
    kept = {nullptr, nullptr};
    kept.text = MemoryContextStrdup(TopMemoryContext, text);
    SPI_keepplan(plan);
    kept.plan = plan;
    return plan;
}

Datum make_text(const char *utf8) {
    return CStringGetTextDatum(pg_any_to_server(utf8, static_cast<int>(strlen(utf8)), PG_UTF8));
}

/// {"name": "value", ...}; of several with one name the last stays.
Datum make_properties(const ReceivedMessage &message) {
    StringInfoData json;
    initStringInfo(&json);
    appendStringInfoChar(&json, '{');
    for (uint32 i = 0; i < message.property_count; ++i) {
        if (i > 0) appendStringInfoChar(&json, ',');
        escape_json(&json, message.properties[i].name);
        appendStringInfoChar(&json, ':');
        escape_json(&json, message.properties[i].value);
    }
    appendStringInfoChar(&json, '}');
    return make_text(json.data);
}

Datum make_array(Datum *values, int count, Oid type) {
    return PointerGetDatum(construct_array(values, count, type, -1, false, TYPALIGN_INT));
}

}  // namespace

const char *check_transform(Oid target, Oid owner, const char *name) {
    if (!OidIsValid(target)) {
        ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("transform of an MQTT subscription needs a target"),
                errhint("Name the table that its rows go to as target."));
    }
    const TransformFunction function = find_function(name);
    if (!may_execute(function.oid, owner)) {
        aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_FUNCTION, get_func_name(function.oid));
    }
    Relation rel = table_open(target, AccessShareLock);
    const char *statement = compose_statement(function, rel);
    if (statement == nullptr) reject_function(name);
    SPI_connect();
    SPI_freeplan(prepare_statement(function, statement));
    SPI_finish();
    table_close(rel, NoLock);
    return format_procedure_qualified(function.oid);
}

void TransformBuffer::begin(const char *function, const TargetTable &target, MemoryContext decompressed) {
    decompressed_ = decompressed;
    unfit_ = prepare(function, target);
}

/// Returns nullptr, or why it cannot be done.
const char *TransformBuffer::prepare(const char *function_name, const TargetTable &target) {
    TransformFunction function;
    const Oid oid = find_by_signature(function_name);
    if (!OidIsValid(oid) || !fits_transform(oid, &function)) {
        unfit_sqlstate_ = ERRCODE_UNDEFINED_FUNCTION;
        return psprintf("transform function %s does not exist", function_name);
    }
    Relation rel = table_open(target.table, NoLock);
    char *statement = compose_statement(function, rel);
    table_close(rel, NoLock);
    if (statement == nullptr) {
        unfit_sqlstate_ = ERRCODE_INVALID_FUNCTION_DEFINITION;
        return psprintf("transform function %s returns no rows any more", function_name);
    }
    plan_ = keep_statement(function, statement);
    payload_type_ = sent_payload_type(function);
    messages_ = AllocSetContextCreate(CurrentMemoryContext, "historian MQTT transform", ALLOCSET_DEFAULT_SIZES);
    payloads_ = static_cast<Datum *>(palloc(sizeof(Datum) * kMessagesPerInsert));
    topics_ = static_cast<Datum *>(palloc(sizeof(Datum) * kMessagesPerInsert));
    properties_ = function.takes_properties ? static_cast<Datum *>(palloc(sizeof(Datum) * kMessagesPerInsert)) : nullptr;
    return nullptr;
}

/// Returns nullptr, or why the payload cannot be a text.
const char *TransformBuffer::check_text(std::string_view payload, int *sqlstate) const {
    if (find_invalid_utf8(payload) != std::string_view::npos) {
        *sqlstate = ERRCODE_CHARACTER_NOT_IN_REPERTOIRE;
        return "payload is not valid UTF-8, and the transform takes a text";
    }
    if (payload.find('\0') == std::string_view::npos) return nullptr;
    *sqlstate = ERRCODE_UNTRANSLATABLE_CHARACTER;
    return "payload has a NUL character, and the transform takes a text";
}

const char *TransformBuffer::add(const ReceivedMessage &message, int *sqlstate) {
    CHECK_FOR_INTERRUPTS();
    *sqlstate = unfit_sqlstate_;
    if (unfit_ != nullptr) return unfit_;
    if (MemoryContextMemAllocated(decompressed_, false) > kBytesPerTransform) MemoryContextReset(decompressed_);
    std::string_view payload;
    if (const char *fault = read_message_bytes(message, decompressed_, &payload, sqlstate)) return fault;
    const bool is_text = payload_type_ == TEXTOID;
    if (is_text) {
        if (const char *fault = check_text(payload, sqlstate)) return fault;
    }
    const auto bytes = static_cast<int>(payload.size());
    MemoryContext before = MemoryContextSwitchTo(messages_);
    if (is_text) {
        const char *text = pg_any_to_server(pnstrdup(payload.data(), payload.size()), bytes, PG_UTF8);
        payloads_[message_count_] = CStringGetTextDatum(text);
    } else {
        payloads_[message_count_] = PointerGetDatum(cstring_to_text_with_len(payload.data(), bytes));
    }
    topics_[message_count_] = make_text(message.topic);
    if (properties_ != nullptr) properties_[message_count_] = make_properties(message);
    MemoryContextSwitchTo(before);
    ++message_count_;
    if (message_count_ == kMessagesPerInsert || MemoryContextMemAllocated(messages_, false) > kBytesPerTransform) insert();
    return nullptr;
}

void TransformBuffer::insert() {
    MemoryContext before = MemoryContextSwitchTo(messages_);
    Datum arrays[] = {make_array(payloads_, message_count_, payload_type_), make_array(topics_, message_count_, TEXTOID),
                      properties_ == nullptr ? static_cast<Datum>(0) : make_array(properties_, message_count_, TEXTOID)};
    MemoryContextSwitchTo(before);
    const int result = SPI_execute_plan(plan_, arrays, nullptr, false, 0);
    if (result != SPI_OK_INSERT) elog(ERROR, "SPI_execute_plan failed: %s", SPI_result_code_string(result));
    row_count_ += SPI_processed;
    MemoryContextReset(messages_);
    message_count_ = 0;
}

uint64 TransformBuffer::finish() {
    if (message_count_ > 0) insert();
    return row_count_;
}

}  // namespace historian::bgworker
