// sequence_gaps(): what a device's own counter says of the rows that are not there.
//
// The rows come from one SQL query, tag by tag in order of time, and of the counter within one time, with the rights of the
// caller. Of each tag the ranges of numbers that may still come late are kept, in order (Hole); what cannot come any more is
// reported and forgotten. So memory is bounded by `reordered`, which says how late a number may be, and a tag is read once.
//
// Invariants of a Walk:
//   1. Holes are disjoint, in order, hold at least one number each, and lie between `lowest` and `highest`.
//   2. A number from `lowest` to `highest` that is in no hole was there already, or its hole was reported.
#include "sql_functions/table_query.h"

#include <algorithm>

extern "C" {
#include "access/relation.h"
#include "executor/spi.h"
#include "utils/typcache.h"

PG_FUNCTION_INFO_V1(historian_sequence_gaps);
}

namespace historian {

namespace {

// The numbers between two rows, both exclusive, and the times of these rows.
struct Hole {
    int64 previous;
    int64 next;
    TimestampTz time_before;
    TimestampTz time_after;
};

// A reading of one tag's rows, from where its counter began to where it is now.
struct Walk {
    ReturnSetInfo *result;
    MemoryContext tag_context;  // of the tag
    Datum tag;                  // in its own type
    bool tag_is_null;
    Datum tag_text;
    bool has_rows;
    int64 lowest;  // of this run of the counter
    int64 highest;
    TimestampTz lowest_time;
    TimestampTz highest_time;
    uint64 reordered;
    Hole *holes;
    Size hole_count;
    Size hole_room;
    int64 duplicate_count;
    TimestampTz first_duplicate;
    TimestampTz last_duplicate;
};

uint64 distance(int64 from, int64 to) { return static_cast<uint64>(to) - static_cast<uint64>(from); }

// ---------------------------------------------------------------------------------------------------------------- the result

constexpr int kColumnCount = 8;  // tag, kind, previous, next, missing, duplicates, time_before, time_after

void put_row(const Walk &walk, const char *kind, Datum *values, bool *nulls) {
    values[0] = walk.tag_text;
    nulls[0] = walk.tag_is_null;
    values[1] = CStringGetTextDatum(kind);
    tuplestore_putvalues(walk.result->setResult, walk.result->setDesc, values, nulls);
}

void put_missing(const Walk &walk, const Hole &hole) {
    const uint64 missing = distance(hole.previous, hole.next) - 1;
    if (missing > static_cast<uint64>(PG_INT64_MAX)) {
        ereport(ERROR, errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE), errmsg("bigint out of range"),
                errdetail("More numbers are missing between " INT64_FORMAT " and " INT64_FORMAT " than a bigint can count.",
                          hole.previous, hole.next));
    }
    Datum values[kColumnCount] = {0,
                                  0,
                                  Int64GetDatum(hole.previous),
                                  Int64GetDatum(hole.next),
                                  Int64GetDatum(static_cast<int64>(missing)),
                                  0,
                                  TimestampTzGetDatum(hole.time_before),
                                  TimestampTzGetDatum(hole.time_after)};
    bool nulls[kColumnCount] = {false, false, false, false, false, true, false, false};
    put_row(walk, "missing", values, nulls);
}

void put_restart(const Walk &walk, int64 next, TimestampTz time_after) {
    Datum values[kColumnCount] = {0,
                                  0,
                                  Int64GetDatum(walk.highest),
                                  Int64GetDatum(next),
                                  0,
                                  0,
                                  TimestampTzGetDatum(walk.highest_time),
                                  TimestampTzGetDatum(time_after)};
    bool nulls[kColumnCount] = {false, false, false, false, true, true, false, false};
    put_row(walk, "restart", values, nulls);
}

void put_duplicates(const Walk &walk) {
    Datum values[kColumnCount] = {0,
                                  0,
                                  0,
                                  0,
                                  0,
                                  Int64GetDatum(walk.duplicate_count),
                                  TimestampTzGetDatum(walk.first_duplicate),
                                  TimestampTzGetDatum(walk.last_duplicate)};
    bool nulls[kColumnCount] = {false, false, true, true, true, false, false, false};
    put_row(walk, "duplicates", values, nulls);
}

// ------------------------------------------------------------------------------------------------------------------ the holes

// Makes room for one more hole at `index`.
Hole *insert_hole(Walk *walk, Size index) {
    if (walk->hole_count == walk->hole_room) {
        walk->hole_room = Max(walk->hole_room * 2, Size{16});
        walk->holes = static_cast<Hole *>(repalloc_huge(walk->holes, walk->hole_room * sizeof(Hole)));
    }
    Hole *at = walk->holes + index;
    memmove(at + 1, at, (walk->hole_count - index) * sizeof(Hole));
    ++walk->hole_count;
    return at;
}

void remove_holes(Walk *walk, Size index, Size count) {
    Hole *at = walk->holes + index;
    memmove(at, at + count, (walk->hole_count - index - count) * sizeof(Hole));
    walk->hole_count -= count;
}

// Reports the holes that nothing can fill any more: all of a number so late would be a counter that began again.
void report_final_holes(Walk *walk) {
    Size count = 0;
    while (count < walk->hole_count && distance(walk->holes[count].next - 1, walk->highest) > walk->reordered) {
        put_missing(*walk, walk->holes[count++]);
    }
    if (count > 0) remove_holes(walk, 0, count);
}

void report_all_holes(Walk *walk) {
    for (Size i = 0; i < walk->hole_count; ++i) put_missing(*walk, walk->holes[i]);
    walk->hole_count = 0;
}

// A number that came before the run's first one, and should have come after it.
void extend_down(Walk *walk, int64 number, TimestampTz time) {
    if (distance(number, walk->lowest) > 1) *insert_hole(walk, 0) = {number, walk->lowest, time, walk->lowest_time};
    walk->lowest = number;
    walk->lowest_time = time;
}

// A number from the lowest to the highest: fills its hole, or is a duplicate.
void fill_hole(Walk *walk, int64 number, TimestampTz time) {
    Hole *const end = walk->holes + walk->hole_count;
    Hole *hole = std::upper_bound(walk->holes, end, number, [](int64 value, const Hole &each) { return value < each.next; });
    if (hole == end || number <= hole->previous) {
        if (walk->duplicate_count++ == 0) walk->first_duplicate = time;
        walk->last_duplicate = time;
        if (number == walk->highest) walk->highest_time = time;
        return;
    }
    const Size index = hole - walk->holes;
    const bool left = distance(hole->previous, number) > 1;
    const bool right = distance(number, hole->next) > 1;
    if (!left && !right) {
        remove_holes(walk, index, 1);
    } else if (left && right) {
        Hole *both = insert_hole(walk, index);
        both[0] = {both[1].previous, number, both[1].time_before, time};
        both[1].previous = number;
        both[1].time_before = time;
    } else if (left) {
        hole->next = number;
        hole->time_after = time;
    } else {
        hole->previous = number;
        hole->time_before = time;
    }
}

void begin_run(Walk *walk, int64 number, TimestampTz time) {
    walk->has_rows = true;
    walk->lowest = walk->highest = number;
    walk->lowest_time = walk->highest_time = time;
}

void add_number(Walk *walk, int64 number, TimestampTz time) {
    if (!walk->has_rows) return begin_run(walk, number, time);
    if (number > walk->highest) {
        if (distance(walk->highest, number) > 1) {
            *insert_hole(walk, walk->hole_count) = {walk->highest, number, walk->highest_time, time};
        }
        walk->highest = number;
        walk->highest_time = time;
        report_final_holes(walk);
    } else if (distance(number, walk->highest) > walk->reordered) {
        report_all_holes(walk);
        put_restart(*walk, number, time);
        begin_run(walk, number, time);
    } else if (number < walk->lowest) {
        extend_down(walk, number, time);
    } else {
        fill_hole(walk, number, time);
    }
}

// ------------------------------------------------------------------------------------------------------------------- the tags

void finish_tag(Walk *walk) {
    report_all_holes(walk);
    if (walk->duplicate_count > 0) put_duplicates(*walk);
    walk->duplicate_count = 0;
    walk->has_rows = false;
}

// What a row of the query has: the tag as text and in its own type, time, number.
struct Row {
    Datum values[4];
    bool nulls[4];
};

// Says when two tags are one, as GROUP BY would.
struct TagType {
    FmgrInfo *equals;
    Oid collation;
    int16 length;
    bool by_value;
};

TagType describe_tag_type(TupleDesc desc) {
    const Form_pg_attribute column = TupleDescAttr(desc, 1);
    TypeCacheEntry *entry = lookup_type_cache(column->atttypid, TYPECACHE_EQ_OPR_FINFO);
    return {&entry->eq_opr_finfo, column->attcollation, column->attlen, column->attbyval};
}

bool is_same_tag(const Walk &walk, const TagType &type, const Row &row) {
    if (!walk.has_rows) return false;
    if (walk.tag_is_null || row.nulls[1]) return walk.tag_is_null && row.nulls[1];
    return DatumGetBool(FunctionCall2Coll(type.equals, type.collation, walk.tag, row.values[1]));
}

void begin_tag(Walk *walk, const TagType &type, const Row &row) {
    MemoryContextReset(walk->tag_context);
    MemoryContext before = MemoryContextSwitchTo(walk->tag_context);
    walk->tag_is_null = row.nulls[1];
    walk->tag = row.nulls[1] ? 0 : datumCopy(row.values[1], type.by_value, type.length);
    walk->tag_text = row.nulls[0] ? 0 : datumCopy(row.values[0], false, -1);
    MemoryContextSwitchTo(before);
}

void walk_rows(ReturnSetInfo *result, const char *query, Parameters *parameters, int64 reordered) {
    if (SPI_connect() != SPI_OK_CONNECT) elog(ERROR, "SPI_connect failed");
    Walk walk = {};
    walk.result = result;
    walk.reordered = static_cast<uint64>(reordered);
    walk.tag_context = AllocSetContextCreate(CurrentMemoryContext, "historian tag", ALLOCSET_SMALL_SIZES);
    walk.hole_room = 16;
    walk.holes = static_cast<Hole *>(palloc(walk.hole_room * sizeof(Hole)));
    // The texts of result rows: the query's own are freed batch by batch.
    MemoryContext row_context = AllocSetContextCreate(CurrentMemoryContext, "historian gaps", ALLOCSET_DEFAULT_SIZES);
    Portal portal = SPI_cursor_open_with_args(nullptr, query, parameters->count, parameters->types, parameters->values,
                                              parameters->nulls, true, CURSOR_OPT_NO_SCROLL);
    const TagType type = describe_tag_type(portal->tupDesc);
    for (;;) {
        SPI_cursor_fetch(portal, true, 1000);
        if (SPI_processed == 0) break;
        MemoryContext before = MemoryContextSwitchTo(row_context);
        for (uint64 i = 0; i < SPI_processed; i++) {
            Row row;
            heap_deform_tuple(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, row.values, row.nulls);
            if (!is_same_tag(walk, type, row)) {
                finish_tag(&walk);
                begin_tag(&walk, type, row);
            }
            add_number(&walk, DatumGetInt64(row.values[3]), DatumGetTimestampTz(row.values[2]));
        }
        MemoryContextSwitchTo(before);
        MemoryContextReset(row_context);
        SPI_freetuptable(SPI_tuptable);
    }
    finish_tag(&walk);
    SPI_cursor_close(portal);
    SPI_finish();
}

// -------------------------------------------------------------------------------------------------------------- the arguments

// The columns that a call is about.
struct Counter {
    const char *table;
    const char *sequence;
    const char *tag;  // nullptr: all rows are of one counter
    Oid tag_type;
    const char *time;
    const char *time_type;
};

bool is_time(Oid type) { return type == TIMESTAMPTZOID || type == TIMESTAMPOID; }

AttrNumber find_sequence(Relation rel, const char *name) {
    const AttrNumber column = find_column(rel, name);
    const Oid type = TupleDescAttr(RelationGetDescr(rel), column - 1)->atttypid;
    const Oid base = getBaseType(type);
    if (base != INT2OID && base != INT4OID && base != INT8OID) {
        ereport(ERROR, errcode(ERRCODE_DATATYPE_MISMATCH),
                errmsg("column \"%s\" of table \"%s\" is of type %s, not an integer", name, RelationGetRelationName(rel),
                       format_type_be(type)),
                errhint("Name a view that casts it."));
    }
    return column;
}

AttrNumber find_time(Relation rel, AttrNumber usual, const char *name) {
    const AttrNumber column = name != nullptr ? find_column(rel, name) : usual;
    if (column == InvalidAttrNumber) {
        ereport(ERROR, errcode(ERRCODE_UNDEFINED_COLUMN),
                errmsg("table \"%s\" has no column of times", RelationGetRelationName(rel)));
    }
    const Oid type = TupleDescAttr(RelationGetDescr(rel), column - 1)->atttypid;
    if (!is_time(type)) {
        ereport(ERROR, errcode(ERRCODE_DATATYPE_MISMATCH),
                errmsg("column \"%s\" of table \"%s\" is of type %s, not a timestamp", name, RelationGetRelationName(rel),
                       format_type_be(type)));
    }
    return column;
}

// The lock is kept until the transaction's end, so that the query finds the table as it is described.
Counter describe_counter(Oid relid, const char *sequence_name, const char *tag_name, const char *time_name) {
    Relation rel = relation_open(relid, AccessShareLock);
    const TupleDesc desc = RelationGetDescr(rel);
    const bool is_log = consists_of(rel, engine::TableKind::log);
    const engine::KeyColumns keys = engine::derive_key_columns(desc, is_log ? engine::TableKind::log : engine::TableKind::tag);
    const AttrNumber sequence = find_sequence(rel, sequence_name);
    const AttrNumber time = find_time(rel, keys.time, time_name);
    AttrNumber tag = tag_name != nullptr ? find_column(rel, tag_name) : keys.tag;
    if (tag_name == nullptr && tag == sequence) tag = InvalidAttrNumber;
    Counter counter = {};
    counter.table = quoted_name(rel);
    counter.sequence = quoted_column(desc, sequence);
    counter.time = quoted_column(desc, time);
    counter.time_type = quoted_type(TupleDescAttr(desc, time - 1)->atttypid);
    if (tag != InvalidAttrNumber) {
        counter.tag = quoted_column(desc, tag);
        counter.tag_type = getBaseType(TupleDescAttr(desc, tag - 1)->atttypid);
        equality_of(counter.tag_type);
    }
    relation_close(rel, NoLock);
    return counter;
}

const char *time_condition(const Counter &counter, const char *comparison, FunctionCallInfo fcinfo, int argument,
                           Parameters *parameters) {
    if (PG_ARGISNULL(argument)) return "";
    return psprintf(" AND %s OPERATOR(pg_catalog.%s) $%d::%s", counter.time, comparison,
                    add_parameter(parameters, fcinfo, argument, TIMESTAMPTZOID), counter.time_type);
}

}  // namespace

}  // namespace historian

// sequence_gaps(relation regclass, sequence name, key name, from_ timestamptz, to_ timestamptz, names text[], reordered bigint,
//     time_column name)
extern "C" PGDLLEXPORT Datum historian_sequence_gaps(PG_FUNCTION_ARGS) {
    using namespace historian;
    require_arguments(fcinfo, {"relation", "sequence"});
    const int64 reordered = PG_ARGISNULL(6) ? 0 : PG_GETARG_INT64(6);
    if (reordered < 0) ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("reordered must not be negative"));
    const Counter counter =
        describe_counter(PG_GETARG_OID(0), name_argument(fcinfo, 1), name_argument(fcinfo, 2), name_argument(fcinfo, 7));
    if (counter.tag == nullptr && !PG_ARGISNULL(5)) {
        ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("names need a key"),
                errhint("Say which column they are in: key => 'column'."));
    }
    Parameters parameters = {};
    const char *from = time_condition(counter, ">=", fcinfo, 3, &parameters);
    const char *to = time_condition(counter, "<", fcinfo, 4, &parameters);
    const char *names = counter.tag == nullptr ? "" : names_condition(counter.tag, counter.tag_type, fcinfo, 5, &parameters);
    const char *tag = counter.tag != nullptr ? counter.tag : "NULL::pg_catalog.text";
    const char *order = counter.tag != nullptr ? psprintf("%s, ", counter.tag) : "";
    init_materialized_result(fcinfo);
    walk_rows(reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo),
              psprintf("SELECT %s::pg_catalog.text, %s, %s::pg_catalog.timestamptz, %s::pg_catalog.int8 FROM %s AS t "
                       "WHERE %s IS NOT NULL AND %s IS NOT NULL%s%s%s ORDER BY %s%s, %s",
                       tag, tag, counter.time, counter.sequence, counter.table, counter.sequence, counter.time, from, to, names,
                       order, counter.time, counter.sequence),
              &parameters, reordered);
    return static_cast<Datum>(0);
}
