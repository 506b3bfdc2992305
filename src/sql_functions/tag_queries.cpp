// tags(), tag_stat(), latest() and gapfill(): the questions that everybody asks of a tag table, as short calls.
//
// Each is an SQL query of the table, made from the names of its columns and run with the rights of the caller: privileges,
// row-level security, snapshots and deletions are PostgreSQL's. So what makes such queries fast makes these fast. Every name is
// quoted and qualified: no search_path changes their meaning.
#include "engine/pages.h"
#include "table_am/callbacks.h"

#include <initializer_list>

extern "C" {
#include "access/relation.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_operator.h"
#include "executor/spi.h"
#include "utils/typcache.h"

PG_FUNCTION_INFO_V1(historian_tags);
PG_FUNCTION_INFO_V1(historian_tag_stat);
PG_FUNCTION_INFO_V1(historian_latest);
PG_FUNCTION_INFO_V1(historian_gapfill);
}

namespace historian {

namespace {

// --------------------------------------------------------------------------------------------------------------- the table

// Its quoted names, ready for a query FROM name AS t.
struct TagTable {
    const char *name;  // with its schema
    const char *tag;
    const char *tag_type;
    const char *tag_equals;  // the operator that its type calls equal
    const char *time;
    bool has_time_zone;
    const char *value;  // nullptr when nobody asked
};

bool is_tag_table(Oid relid) {
    const std::optional<engine::TableKind> kind = table_am::kind_of_table(relid);
    return kind.has_value() && *kind == engine::TableKind::tag;
}

// Or a partitioned table of them.
bool consists_of_tag_tables(Relation rel) {
    if (rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE) return is_tag_table(RelationGetRelid(rel));
    bool has_partition = false;
    ListCell *cell;
    foreach (cell, find_all_inheritors(RelationGetRelid(rel), AccessShareLock, nullptr)) {
        const Oid relid = lfirst_oid(cell);
        if (get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE) continue;
        if (!is_tag_table(relid)) return false;
        has_partition = true;
    }
    return has_partition;
}

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

// Of the table t: a bare name in ORDER BY would be that of a result's column first.
const char *quoted_column(TupleDesc desc, AttrNumber column) {
    return psprintf("t.%s", quote_identifier(NameStr(TupleDescAttr(desc, column - 1)->attname)));
}

// The column of that name; without one the first column of numbers but the tag and the time.
AttrNumber find_value_column(Relation rel, const engine::KeyColumns &keys, const char *name) {
    const TupleDesc desc = RelationGetDescr(rel);
    for (int i = 0; i < desc->natts; i++) {
        const Form_pg_attribute column = TupleDescAttr(desc, i);
        if (column->attisdropped) continue;
        if (name == nullptr) {
            const bool is_key = column->attnum == keys.tag || column->attnum == keys.time;
            if (!is_key && is_number(column->atttypid)) return column->attnum;
        } else if (strcmp(NameStr(column->attname), name) == 0) {
            if (is_number(column->atttypid)) return column->attnum;
            ereport(ERROR, errcode(ERRCODE_DATATYPE_MISMATCH),
                    errmsg("column \"%s\" of table \"%s\" is of type %s, not a number", name, RelationGetRelationName(rel),
                           format_type_be(column->atttypid)));
        }
    }
    if (name != nullptr) {
        ereport(ERROR, errcode(ERRCODE_UNDEFINED_COLUMN),
                errmsg("column \"%s\" of table \"%s\" does not exist", name, RelationGetRelationName(rel)));
    }
    ereport(ERROR, errcode(ERRCODE_UNDEFINED_COLUMN),
            errmsg("tag table \"%s\" has no column of numbers besides its tag and its time", RelationGetRelationName(rel)),
            errhint("Write a query with GROUP BY for values of other types."));
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

// The lock is kept until the transaction's end, so that the query finds the table as it is described.
TagTable describe_table(Oid relid, bool wants_value, const char *value_column) {
    Relation rel = relation_open(relid, AccessShareLock);
    if (!consists_of_tag_tables(rel)) {
        ereport(ERROR, errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("\"%s\" is no tag table", RelationGetRelationName(rel)),
                errhint("Tag tables are made by CREATE TABLE ... USING tag; a partitioned table counts as one when it has "
                        "partitions and all of them do."));
    }
    const TupleDesc desc = RelationGetDescr(rel);
    const engine::KeyColumns keys = engine::derive_key_columns(desc, engine::TableKind::tag);
    const Oid tag_type = getBaseType(TupleDescAttr(desc, keys.tag - 1)->atttypid);
    TagTable table = {};
    table.name = quote_qualified_identifier(get_namespace_name(RelationGetNamespace(rel)), RelationGetRelationName(rel));
    table.tag = quoted_column(desc, keys.tag);
    // With a type modifier of -1: "character" alone would be that of one character.
    table.tag_type = format_type_extended(tag_type, -1, FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY);
    table.tag_equals = equality_of(tag_type);
    table.time = quoted_column(desc, keys.time);
    table.has_time_zone = TupleDescAttr(desc, keys.time - 1)->atttypid == TIMESTAMPTZOID;
    if (wants_value) table.value = quoted_column(desc, find_value_column(rel, keys, value_column));
    relation_close(rel, NoLock);
    return table;
}

// ------------------------------------------------------------------------------------------------------------- the arguments

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

// One of several words, or an error that names them. `words` ends with nullptr.
int choose_word(const char *name, const char *word, const char *const *words) {
    StringInfoData list;
    initStringInfo(&list);
    for (int i = 0; words[i] != nullptr; i++) {
        if (strcmp(word, words[i]) == 0) return i;
        appendStringInfo(&list, "%s\"%s\"", i == 0 ? "" : ", ", words[i]);
    }
    ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid value for %s: \"%s\"", name, word),
            errhint("It is one of %s.", list.data));
    pg_unreachable();
}

// Where this extension's own functions are: the schema of the function that runs.
const char *own_schema(FunctionCallInfo fcinfo) {
    return quote_identifier(get_namespace_name(get_func_namespace(fcinfo->flinfo->fn_oid)));
}

// ----------------------------------------------------------------------------------------------------------------- the query

struct Parameters {
    Oid types[8];
    Datum values[8];
    char nulls[8];
    int count;
};

// Adds one, and returns its number.
int add_parameter(Parameters *parameters, FunctionCallInfo fcinfo, int argument, Oid type) {
    const int i = parameters->count++;
    parameters->types[i] = type;
    parameters->nulls[i] = PG_ARGISNULL(argument) ? 'n' : ' ';
    parameters->values[i] = PG_ARGISNULL(argument) ? 0 : PG_GETARG_DATUM(argument);
    return parameters->count;
}

// AND tag = ANY (names), when there are names.
const char *names_condition(const TagTable &table, FunctionCallInfo fcinfo, int argument, Parameters *parameters) {
    if (PG_ARGISNULL(argument)) return "";
    return psprintf(" AND %s %s ANY ($%d::%s[])", table.tag, table.tag_equals,
                    add_parameter(parameters, fcinfo, argument, TEXTARRAYOID), table.tag_type);
}

// The query's rows become the function's, thousand by thousand.
Datum run_query(FunctionCallInfo fcinfo, const char *query, Parameters *parameters, bool is_scalar = false) {
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

}  // namespace

}  // namespace historian

// tags(relation regclass): tag text
extern "C" PGDLLEXPORT Datum historian_tags(PG_FUNCTION_ARGS) {
    using namespace historian;
    require_arguments(fcinfo, {"relation"});
    const TagTable table = describe_table(PG_GETARG_OID(0), false, nullptr);
    Parameters parameters = {};
    return run_query(
        fcinfo,
        psprintf("SELECT %s::pg_catalog.text FROM %s AS t GROUP BY %s ORDER BY %s", table.tag, table.name, table.tag, table.tag),
        &parameters, true);
}

// tag_stat(relation regclass, names text[], value_column name)
extern "C" PGDLLEXPORT Datum historian_tag_stat(PG_FUNCTION_ARGS) {
    using namespace historian;
    require_arguments(fcinfo, {"relation"});
    const TagTable table = describe_table(PG_GETARG_OID(0), true, name_argument(fcinfo, 2));
    const char *own = own_schema(fcinfo);
    const char *time = table.time;
    const char *value = table.value;
    Parameters parameters = {};
    StringInfoData query;
    initStringInfo(&query);
    appendStringInfo(&query, "SELECT %s::pg_catalog.text, pg_catalog.count(*), pg_catalog.count(%s)", table.tag, value);
    for (const char *function : {"min", "max"})
        appendStringInfo(&query, ", pg_catalog.%s(%s)::pg_catalog.timestamptz", function, time);
    for (const char *function : {"first", "last"}) {
        appendStringInfo(&query, ", %s.%s(%s, %s)::pg_catalog.float8", own, function, value, time);
    }
    appendStringInfo(&query, ", pg_catalog.min(%s)::pg_catalog.float8, %s.first(%s, %s)::pg_catalog.timestamptz", value, own,
                     time, value);
    appendStringInfo(&query, ", pg_catalog.max(%s)::pg_catalog.float8, %s.last(%s, %s)::pg_catalog.timestamptz", value, own, time,
                     value);
    appendStringInfo(&query, ", pg_catalog.sum(%s)::pg_catalog.float8, pg_catalog.avg(%s)::pg_catalog.float8", value, value);
    appendStringInfo(&query, " FROM %s AS t WHERE true%s GROUP BY %s ORDER BY %s", table.name,
                     names_condition(table, fcinfo, 1, &parameters), table.tag, table.tag);
    return run_query(fcinfo, query.data, &parameters);
}

// latest(relation regclass, names text[], value_column name)
extern "C" PGDLLEXPORT Datum historian_latest(PG_FUNCTION_ARGS) {
    using namespace historian;
    require_arguments(fcinfo, {"relation"});
    const TagTable table = describe_table(PG_GETARG_OID(0), true, name_argument(fcinfo, 2));
    Parameters parameters = {};
    const char *condition = names_condition(table, fcinfo, 1, &parameters);
    return run_query(
        fcinfo,
        psprintf("SELECT DISTINCT ON (%s) %s::pg_catalog.text, %s::pg_catalog.timestamptz, %s::pg_catalog.float8 "
                 "FROM %s AS t WHERE %s IS NOT NULL%s ORDER BY %s, %s DESC",
                 table.tag, table.tag, table.time, table.value, table.name, table.time, condition, table.tag, table.time),
        &parameters);
}

// gapfill(relation regclass, bucket_width interval, from_ timestamptz, to_ timestamptz, names text[], fill text, aggregate text,
//     value_column name, timezone text)
extern "C" PGDLLEXPORT Datum historian_gapfill(PG_FUNCTION_ARGS) {
    using namespace historian;
    static const char *const kFills[] = {"null", "locf", "linear", nullptr};
    static const char *const kAggregates[] = {"avg", "min", "max", "sum", "count", "first", "last", nullptr};
    require_arguments(fcinfo, {"relation", "bucket_width", "from_", "to_"});
    const char *own = own_schema(fcinfo);
    const int fill = choose_word("fill", text_argument(fcinfo, 5, kFills[0]), kFills);
    const char *aggregate = kAggregates[choose_word("aggregate", text_argument(fcinfo, 6, kAggregates[0]), kAggregates)];
    const TagTable table = describe_table(PG_GETARG_OID(0), true, name_argument(fcinfo, 7));
    Parameters parameters = {};
    add_parameter(&parameters, fcinfo, 1, INTERVALOID);
    add_parameter(&parameters, fcinfo, 2, TIMESTAMPTZOID);
    add_parameter(&parameters, fcinfo, 3, TIMESTAMPTZOID);
    add_parameter(&parameters, fcinfo, 8, TEXTOID);
    const char *condition = names_condition(table, fcinfo, 4, &parameters);
    const char *time_type = table.has_time_zone ? "pg_catalog.timestamptz" : "pg_catalog.timestamp";
    const char *zone = PG_ARGISNULL(8) ? "" : ", $4";
    const bool is_by_time = strcmp(aggregate, "first") == 0 || strcmp(aggregate, "last") == 0;
    const char *value = is_by_time ? psprintf("%s.%s(%s, %s)", own, aggregate, table.value, table.time)
                                   : psprintf("pg_catalog.%s(%s)", aggregate, table.value);
    const char *filled = fill == 0   ? "g.value"
                         : fill == 1 ? psprintf("%s.locf(g.value) OVER w", own)
                                     : psprintf("%s.interpolate(g.value, g.bucket) OVER w", own);
    const char *tags = PG_ARGISNULL(4) ? "SELECT tag FROM points GROUP BY tag"
                                       : psprintf("SELECT pg_catalog.unnest($5::%s[]) AS tag", table.tag_type);
    StringInfoData query;
    initStringInfo(&query);
    appendStringInfo(&query,
                     "WITH points (tag, bucket, value) AS ("
                     "SELECT %s, %s.time_bucket($1, %s::pg_catalog.timestamptz%s), %s::pg_catalog.float8 FROM %s AS t "
                     "WHERE %s OPERATOR(pg_catalog.>=) $2::%s AND %s OPERATOR(pg_catalog.<) $3::%s%s GROUP BY 1, 2), ",
                     table.tag, own, table.time, zone, value, table.name, table.time, time_type, table.time, time_type,
                     condition);
    // Buckets that have points and all buckets, put together by GROUP BY, to which a NULL tag is a tag as well.
    appendStringInfo(&query,
                     "g (tag, bucket, value) AS ("
                     "SELECT u.tag, u.bucket, pg_catalog.max(u.value) FROM (SELECT tag, bucket, value FROM points UNION ALL "
                     "SELECT n.tag, b.bucket, NULL FROM (%s) AS n, %s.time_buckets($1, $2, $3, $4) AS b) AS u GROUP BY 1, 2) "
                     "SELECT g.tag::pg_catalog.text, g.bucket, %s FROM g WINDOW w AS (PARTITION BY g.tag ORDER BY g.bucket) "
                     "ORDER BY g.tag, g.bucket",
                     tags, own, filled);
    return run_query(fcinfo, query.data, &parameters);
}
