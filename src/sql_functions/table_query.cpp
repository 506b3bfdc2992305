#include "sql_functions/table_query.h"

extern "C" {
#include "access/relation.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_operator.h"
#include "executor/spi.h"
#include "utils/typcache.h"
}

namespace historian {

namespace {

bool is_number(Oid type) {
    switch (getBaseType(type)) {
        case INT2OID:
        case INT4OID:
        case INT8OID:
        case FLOAT4OID:
        case FLOAT8OID:
        case NUMERICOID: return true;
        default: return false;
    }
}

// The first column of numbers but the tag and the time; invalid when there is none.
AttrNumber first_value_column(TupleDesc desc, const engine::KeyColumns &keys) {
    for (int i = 0; i < desc->natts; i++) {
        const Form_pg_attribute column = TupleDescAttr(desc, i);
        const bool is_key = column->attnum == keys.tag || column->attnum == keys.time;
        if (!column->attisdropped && !is_key && is_number(column->atttypid)) return column->attnum;
    }
    return InvalidAttrNumber;
}

AttrNumber named_value_column(Relation rel, const char *name) {
    const AttrNumber column = find_column(rel, name);
    const Oid type = TupleDescAttr(RelationGetDescr(rel), column - 1)->atttypid;
    if (!is_number(type)) {
        ereport(ERROR, errcode(ERRCODE_DATATYPE_MISMATCH),
                errmsg("column \"%s\" of table \"%s\" is of type %s, not a number", name, RelationGetRelationName(rel),
                       format_type_be(type)));
    }
    return column;
}

AttrNumber find_value_column(Relation rel, const engine::KeyColumns &keys, WantedValue wanted, const char *name) {
    if (wanted == WantedValue::none) return InvalidAttrNumber;
    if (name != nullptr) return named_value_column(rel, name);
    const AttrNumber column = first_value_column(RelationGetDescr(rel), keys);
    if (column == InvalidAttrNumber && wanted == WantedValue::required) {
        ereport(ERROR, errcode(ERRCODE_UNDEFINED_COLUMN),
                errmsg("tag table \"%s\" has no column of numbers besides its tag and its time", RelationGetRelationName(rel)),
                errhint("Write a query with GROUP BY for values of other types."));
    }
    return column;
}

}  // namespace

bool consists_of(Relation rel, engine::TableKind kind) {
    if (rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE) return table_am::kind_of_table(RelationGetRelid(rel)) == kind;
    bool has_partition = false;
    ListCell *cell;
    foreach (cell, find_all_inheritors(RelationGetRelid(rel), AccessShareLock, nullptr)) {
        const Oid relid = lfirst_oid(cell);
        if (get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE) continue;
        if (table_am::kind_of_table(relid) != kind) return false;
        has_partition = true;
    }
    return has_partition;
}

const char *quoted_name(Relation rel) {
    return quote_qualified_identifier(get_namespace_name(RelationGetNamespace(rel)), RelationGetRelationName(rel));
}

const char *quoted_column(TupleDesc desc, AttrNumber column) {
    return psprintf("t.%s", quote_identifier(NameStr(TupleDescAttr(desc, column - 1)->attname)));
}

AttrNumber find_column(Relation rel, const char *name) {
    const TupleDesc desc = RelationGetDescr(rel);
    for (int i = 0; i < desc->natts; i++) {
        const Form_pg_attribute column = TupleDescAttr(desc, i);
        if (!column->attisdropped && strcmp(NameStr(column->attname), name) == 0) return column->attnum;
    }
    ereport(ERROR, errcode(ERRCODE_UNDEFINED_COLUMN),
            errmsg("column \"%s\" of table \"%s\" does not exist", name, RelationGetRelationName(rel)));
    pg_unreachable();
}

const char *equality_of(Oid type) {
    const TypeCacheEntry *entry = lookup_type_cache(type, TYPECACHE_EQ_OPR);
    if (!OidIsValid(entry->eq_opr)) {
        ereport(ERROR, errcode(ERRCODE_UNDEFINED_FUNCTION),
                errmsg("could not identify an equality operator for type %s", format_type_be(type)));
    }
    HeapTuple tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(entry->eq_opr));
    if (!HeapTupleIsValid(tuple)) elog(ERROR, "cache lookup failed for operator %u", entry->eq_opr);
    const Form_pg_operator form = reinterpret_cast<Form_pg_operator>(GETSTRUCT(tuple));
    const char *text =
        psprintf("OPERATOR(%s.%s)", quote_identifier(get_namespace_name(form->oprnamespace)), NameStr(form->oprname));
    ReleaseSysCache(tuple);
    return text;
}

const char *quoted_type(Oid type) {
    return format_type_extended(type, -1, FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY);
}

TagTable describe_tag_table(Oid relid, WantedValue wanted, const char *value_column) {
    Relation rel = relation_open(relid, AccessShareLock);
    if (!consists_of(rel, engine::TableKind::tag)) {
        ereport(ERROR, errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("\"%s\" is no tag table", RelationGetRelationName(rel)),
                errhint("Tag tables are made by CREATE TABLE ... USING tag; a partitioned table counts as one when it has "
                        "partitions and all of them do."));
    }
    const TupleDesc desc = RelationGetDescr(rel);
    const engine::KeyColumns keys = engine::derive_key_columns(desc, engine::TableKind::tag);
    const Oid tag_type = getBaseType(TupleDescAttr(desc, keys.tag - 1)->atttypid);
    TagTable table = {};
    table.name = quoted_name(rel);
    table.tag = quoted_column(desc, keys.tag);
    table.tag_type = quoted_type(tag_type);
    table.tag_equals = equality_of(tag_type);
    table.time = quoted_column(desc, keys.time);
    table.has_time_zone = TupleDescAttr(desc, keys.time - 1)->atttypid == TIMESTAMPTZOID;
    const AttrNumber value = find_value_column(rel, keys, wanted, value_column);
    if (value != InvalidAttrNumber) table.value = quoted_column(desc, value);
    relation_close(rel, NoLock);
    return table;
}

void require_arguments(FunctionCallInfo fcinfo, std::initializer_list<const char *> names) {
    int i = 0;
    for (const char *name : names) {
        if (PG_ARGISNULL(i++)) {
            ereport(ERROR, errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("%s must not be null", name));
        }
    }
}

const char *name_argument(FunctionCallInfo fcinfo, int argument) {
    return PG_ARGISNULL(argument) ? nullptr : NameStr(*PG_GETARG_NAME(argument));
}

const char *text_argument(FunctionCallInfo fcinfo, int argument, const char *if_null) {
    return PG_ARGISNULL(argument) ? if_null : text_to_cstring(PG_GETARG_TEXT_PP(argument));
}

const char *own_schema(FunctionCallInfo fcinfo) {
    return quote_identifier(get_namespace_name(get_func_namespace(fcinfo->flinfo->fn_oid)));
}

int add_parameter(Parameters *parameters, FunctionCallInfo fcinfo, int argument, Oid type) {
    const int i = parameters->count++;
    parameters->types[i] = type;
    parameters->nulls[i] = PG_ARGISNULL(argument) ? 'n' : ' ';
    parameters->values[i] = PG_ARGISNULL(argument) ? 0 : PG_GETARG_DATUM(argument);
    return parameters->count;
}

namespace {

const char *compose_names_condition(const char *column, const char *equals, const char *type, FunctionCallInfo fcinfo,
                                    int argument, Parameters *parameters) {
    if (PG_ARGISNULL(argument)) return "";
    const int number = add_parameter(parameters, fcinfo, argument, TEXTARRAYOID);
    return psprintf(" AND %s %s ANY ($%d::%s[])", column, equals, number, type);
}

}  // namespace

const char *names_condition(const char *column, Oid type, FunctionCallInfo fcinfo, int argument, Parameters *parameters) {
    return compose_names_condition(column, equality_of(type), quoted_type(type), fcinfo, argument, parameters);
}

const char *names_condition(const TagTable &table, FunctionCallInfo fcinfo, int argument, Parameters *parameters) {
    return compose_names_condition(table.tag, table.tag_equals, table.tag_type, fcinfo, argument, parameters);
}

Datum run_query(FunctionCallInfo fcinfo, const char *query, Parameters *parameters, bool is_scalar) {
    init_materialized_result(fcinfo, is_scalar);
    ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
    if (SPI_connect() != SPI_OK_CONNECT) elog(ERROR, "SPI_connect failed");
    Portal portal = SPI_cursor_open_with_args(nullptr, query, parameters->count, parameters->types, parameters->values,
                                              parameters->nulls, true, CURSOR_OPT_NO_SCROLL);
    for (;;) {
        SPI_cursor_fetch(portal, true, 1000);
        if (SPI_processed == 0) break;
        for (uint64 i = 0; i < SPI_processed; i++) tuplestore_puttuple(result->setResult, SPI_tuptable->vals[i]);
        SPI_freetuptable(SPI_tuptable);
    }
    SPI_cursor_close(portal);
    SPI_finish();
    return static_cast<Datum>(0);
}

}  // namespace historian
