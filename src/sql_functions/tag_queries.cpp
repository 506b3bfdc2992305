// tags(), tag_stat(), latest(), gapfill() and silent_tags(): the questions that everybody asks of a tag table, as short calls.
//
// Each is an SQL query of the table, made from the names of its columns and run with the rights of the caller: privileges,
// row-level security, snapshots and deletions are PostgreSQL's. So what makes such queries fast makes these fast. Every name is
// quoted and qualified: no search_path changes their meaning.
#include "sql_functions/table_query.h"

extern "C" {
PG_FUNCTION_INFO_V1(historian_tags);
PG_FUNCTION_INFO_V1(historian_tag_stat);
PG_FUNCTION_INFO_V1(historian_latest);
PG_FUNCTION_INFO_V1(historian_gapfill);
PG_FUNCTION_INFO_V1(historian_silent_tags);
}

namespace historian {

namespace {

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

}  // namespace

}  // namespace historian

// tags(relation regclass): tag text
extern "C" PGDLLEXPORT Datum historian_tags(PG_FUNCTION_ARGS) {
    using namespace historian;
    require_arguments(fcinfo, {"relation"});
    const TagTable table = describe_tag_table(PG_GETARG_OID(0), WantedValue::none, nullptr);
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
    const TagTable table = describe_tag_table(PG_GETARG_OID(0), WantedValue::required, name_argument(fcinfo, 2));
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
    const TagTable table = describe_tag_table(PG_GETARG_OID(0), WantedValue::required, name_argument(fcinfo, 2));
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
    const TagTable table = describe_tag_table(PG_GETARG_OID(0), WantedValue::required, name_argument(fcinfo, 7));
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

// silent_tags(relation regclass, longer_than interval, as_of timestamptz, names text[], value_column name)
extern "C" PGDLLEXPORT Datum historian_silent_tags(PG_FUNCTION_ARGS) {
    using namespace historian;
    require_arguments(fcinfo, {"relation", "longer_than"});
    const Interval *longer_than = PG_GETARG_INTERVAL_P(1);
    const Interval zero = {};
    if (DatumGetBool(DirectFunctionCall2(interval_lt, IntervalPGetDatum(longer_than), IntervalPGetDatum(&zero)))) {
        ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("longer_than must not be negative"));
    }
    const TagTable table = describe_tag_table(PG_GETARG_OID(0), WantedValue::if_there_is_one, name_argument(fcinfo, 4));
    Parameters parameters = {};
    add_parameter(&parameters, fcinfo, 1, INTERVALOID);
    add_parameter(&parameters, fcinfo, 2, TIMESTAMPTZOID);
    if (PG_ARGISNULL(2)) {
        parameters.values[1] = TimestampTzGetDatum(GetCurrentTransactionStartTimestamp());
        parameters.nulls[1] = ' ';
    }
    const char *names = names_condition(table, fcinfo, 3, &parameters);
    // Without a time to look back from, points of a clock that is fast are signs of life too.
    const char *until = PG_ARGISNULL(2) ? ""
                                        : psprintf(" AND %s OPERATOR(pg_catalog.<=) $2::pg_catalog.%s", table.time,
                                                   table.has_time_zone ? "timestamptz" : "timestamp");
    const char *newest = psprintf(
        "SELECT DISTINCT ON (%s) %s AS tag, %s::pg_catalog.timestamptz AS time, %s::pg_catalog.float8 AS value FROM %s AS t "
        "WHERE %s IS NOT NULL%s%s ORDER BY %s, %s DESC",
        table.tag, table.tag, table.time, table.value != nullptr ? table.value : "NULL", table.name, table.time, until, names,
        table.tag, table.time);
    // Of the names that are asked for, those without any point are silent as well.
    const char *tags = PG_ARGISNULL(3) ? psprintf("(%s) AS q", newest)
                                       : psprintf(
                                             "(SELECT DISTINCT pg_catalog.unnest($3::%s[]) AS tag) AS n LEFT JOIN (%s) AS q "
                                             "ON q.tag %s n.tag",
                                             table.tag_type, newest, table.tag_equals);
    const char *tag = PG_ARGISNULL(3) ? "q.tag" : "n.tag";
    const char *is_wanted = PG_ARGISNULL(3) ? "" : "n.tag IS NOT NULL AND (q.time IS NULL OR ";
    return run_query(fcinfo,
                     psprintf("SELECT %s::pg_catalog.text, q.time, q.value, CASE WHEN pg_catalog.isfinite(q.time) "
                              "AND pg_catalog.isfinite($2) THEN $2 OPERATOR(pg_catalog.-) q.time END FROM %s "
                              "WHERE %sq.time OPERATOR(pg_catalog.<) ($2 OPERATOR(pg_catalog.-) $1)%s ORDER BY %s",
                              tag, tags, is_wanted, PG_ARGISNULL(3) ? "" : ")", tag),
                     &parameters);
}
