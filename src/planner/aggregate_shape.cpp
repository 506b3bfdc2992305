// Which queries HistorianAggregate can do.
#include "planner/aggregate.h"
#include "planner/our_functions.h"

extern "C" {
#include "catalog/pg_aggregate.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "utils/fmgroids.h"
}

namespace historian::planner {

using format::PhysicalKind;

namespace {

struct ShapeMaker {
    const KeyTypes &keys;
    TupleDesc desc;
    Index varno;
    AggregateShape *shape;
};

struct AggregateFunctions {
    Oid transition;
    Oid last;
};

AggregateFunctions functions_of(Oid aggregate) {
    const HeapTuple tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(aggregate));
    if (!HeapTupleIsValid(tuple)) return {InvalidOid, InvalidOid};
    const auto *form = reinterpret_cast<Form_pg_aggregate>(GETSTRUCT(tuple));
    const AggregateFunctions functions = {form->aggtransfn, form->aggfinalfn};
    ReleaseSysCache(tuple);
    return functions;
}

// What a transition function of PostgreSQL's own aggregates keeps.
bool classify(const AggregateFunctions &functions, StateKind *kind, format::WantedSums *wanted) {
    switch (functions.transition) {
        case F_INT8INC: *kind = StateKind::row_count; return true;
        case F_INT8INC_ANY: *kind = StateKind::value_count; return true;
        case F_INT2_SUM:
        case F_INT4_SUM:
            *kind = StateKind::integer_sum;
            wanted->sum = true;
            return true;
        case F_INT2_AVG_ACCUM:
        case F_INT4_AVG_ACCUM:
            *kind = StateKind::integer_pair;
            wanted->sum = true;
            return true;
        case F_INT8_AVG_ACCUM:
            *kind = StateKind::wide_sum;
            wanted->sum = true;
            return true;
        case F_INT2_ACCUM:
        case F_INT4_ACCUM:
            *kind = StateKind::wide_squares;
            wanted->sum = wanted->squares = true;
            return true;
        case F_FLOAT8PL:
            *kind = StateKind::float8_sum;
            wanted->sum = true;
            return true;
        case F_FLOAT4PL:
            *kind = StateKind::float4_sum;
            wanted->sum = true;
            return true;
        case F_FLOAT4_ACCUM:
        case F_FLOAT8_ACCUM:
            *kind = StateKind::float_triple;
            wanted->sum = true;
            wanted->squares = functions.last != F_FLOAT8_AVG;
            return true;
        case F_INT2SMALLER:
        case F_INT4SMALLER:
        case F_INT8SMALLER:
        case F_FLOAT4SMALLER:
        case F_FLOAT8SMALLER:
        case F_DATE_SMALLER:
        case F_TIME_SMALLER:
        case F_TIMESTAMP_SMALLER:
        case F_TIMESTAMPTZ_SMALLER:
            *kind = StateKind::min;
            wanted->extremes = true;
            return true;
        case F_INT2LARGER:
        case F_INT4LARGER:
        case F_INT8LARGER:
        case F_FLOAT4LARGER:
        case F_FLOAT8LARGER:
        case F_DATE_LARGER:
        case F_TIME_LARGER:
        case F_TIMESTAMP_LARGER:
        case F_TIMESTAMPTZ_LARGER:
            *kind = StateKind::max;
            wanted->extremes = true;
            return true;
        case F_BOOLAND_STATEFUNC:
            *kind = StateKind::all_true;
            wanted->extremes = true;
            return true;
        case F_BOOLOR_STATEFUNC:
            *kind = StateKind::any_true;
            wanted->extremes = true;
            return true;
        default: return false;
    }
}

// The kind of a column whose values are numbers in segments.
bool number_kind(const FormData_pg_attribute *column, PhysicalKind *kind) {
    switch (getBaseType(column->atttypid)) {
        case BOOLOID: *kind = PhysicalKind::int1; return true;
        case INT2OID: *kind = PhysicalKind::int2; return true;
        case INT4OID:
        case DATEOID: *kind = PhysicalKind::int4; return true;
        case INT8OID:
        case TIMEOID:
        case TIMESTAMPOID:
        case TIMESTAMPTZOID: *kind = PhysicalKind::int8; return true;
        case FLOAT4OID: *kind = PhysicalKind::float4; return true;
        case FLOAT8OID: *kind = PhysicalKind::float8; return true;
        default: return false;
    }
}

const Var *column_of(const ShapeMaker &maker, Node *node) {
    while (node != nullptr && IsA(node, RelabelType)) node = reinterpret_cast<Node *>(reinterpret_cast<RelabelType *>(node)->arg);
    if (node == nullptr || !IsA(node, Var)) return nullptr;
    const Var *var = reinterpret_cast<const Var *>(node);
    return var->varno == static_cast<int>(maker.varno) && var->varlevelsup == 0 && var->varattno > 0 ? var : nullptr;
}

// Whether a FILTER clause can be checked on rows of the table.
bool is_usable_filter(Node *clause) {
    return !contain_volatile_functions(clause) && !contain_subplans(clause) && !contain_agg_clause(clause);
}

int filter_number(AggregateShape *shape, Node *clause) {
    if (clause == nullptr) return -1;
    int number = 0;
    ListCell *cell;
    foreach (cell, shape->filters) {
        if (equal(lfirst(cell), clause)) return number;
        number++;
    }
    shape->filters = lappend(shape->filters, clause);
    return number;
}

// The number of a measure; those of one column under one filter are one.
uint32 measure_number(AggregateShape *shape, const Measure &wanted) {
    for (uint32 i = 0; i < shape->measure_count; i++) {
        Measure *measure = &shape->measures[i];
        if (measure->column != wanted.column || measure->filter != wanted.filter) continue;
        measure->wanted.sum |= wanted.wanted.sum;
        measure->wanted.squares |= wanted.wanted.squares;
        measure->wanted.extremes |= wanted.wanted.extremes;
        measure->wants_ends |= wanted.wants_ends;
        measure->wants_extreme_times |= wanted.wants_extreme_times;
        return i;
    }
    shape->measures[shape->measure_count] = wanted;
    return shape->measure_count++;
}

const Var *argument_of(const ShapeMaker &maker, const Aggref *aggref, int number) {
    const TargetEntry *entry = list_nth_node(TargetEntry, aggref->args, number);
    return column_of(maker, reinterpret_cast<Node *>(entry->expr));
}

// An aggregate of PostgreSQL's own.
bool add_core_aggregate(const ShapeMaker &maker, const Aggref *aggref, OutputColumn *column, Measure *measure) {
    if (list_length(aggref->args) > 1 || !classify(functions_of(aggref->aggfnoid), &column->state, &measure->wanted))
        return false;
    if (column->state == StateKind::row_count) return true;
    const Var *var = argument_of(maker, aggref, 0);
    if (var == nullptr) return false;
    measure->column = var->varattno;
    measure->is_tag = var->varattno == maker.keys.columns.tag;
    if (measure->is_tag) return column->state == StateKind::value_count;
    return number_kind(TupleDescAttr(maker.desc, var->varattno - 1), &measure->kind);
}

// first() and last() of a number by time, or of the time by a number.
bool add_first_or_last(const ShapeMaker &maker, const Aggref *aggref, OutputColumn *column, Measure *measure) {
    const bool is_first = is_our_function(aggref->aggfnoid, "first");
    if ((!is_first && !is_our_function(aggref->aggfnoid, "last")) || list_length(aggref->args) != 2) return false;
    const Var *value = argument_of(maker, aggref, 0);
    const Var *order = argument_of(maker, aggref, 1);
    const AttrNumber time = maker.keys.columns.time;
    if (value == nullptr || order == nullptr || (value->varattno == time) == (order->varattno == time)) return false;
    const Var *number = value->varattno == time ? order : value;
    if (number->varattno == maker.keys.columns.tag ||
        !number_kind(TupleDescAttr(maker.desc, number->varattno - 1), &measure->kind))
        return false;
    measure->column = number->varattno;
    for (int i = 0; i < 2; i++)
        column->types[i] = exprType(reinterpret_cast<Node *>(list_nth_node(TargetEntry, aggref->args, i)->expr));
    if (order->varattno == time) {
        column->state = is_first ? StateKind::first : StateKind::last;
        measure->wants_ends = true;
    } else {
        column->state = is_first ? StateKind::time_of_min : StateKind::time_of_max;
        measure->wants_extreme_times = measure->wanted.extremes = true;
    }
    return true;
}

bool add_aggregate(const ShapeMaker &maker, const Aggref *aggref, OutputColumn *column) {
    if (aggref->aggdistinct != NIL || aggref->aggorder != NIL || aggref->aggdirectargs != NIL || aggref->agglevelsup != 0)
        return false;
    Measure measure = {};
    column->kind = OutputKind::aggregate;
    const bool understood = aggref->aggfnoid < FirstGenbkiObjectId ? add_core_aggregate(maker, aggref, column, &measure)
                                                                   : add_first_or_last(maker, aggref, column, &measure);
    if (!understood) return false;
    Node *filter = reinterpret_cast<Node *>(aggref->aggfilter);
    if (filter != nullptr && !is_usable_filter(filter)) return false;
    measure.filter = filter_number(maker.shape, filter);
    column->measure = measure_number(maker.shape, measure);
    return true;
}

bool add_column(const ShapeMaker &maker, Node *expr) {
    AggregateShape *shape = maker.shape;
    OutputColumn *column = &shape->columns[shape->column_count];
    *column = OutputColumn{};
    if (IsA(expr, Aggref)) {
        if (!add_aggregate(maker, reinterpret_cast<const Aggref *>(expr), column)) return false;
    } else if (IsA(expr, Const)) {
        column->kind = OutputKind::constant;
        column->constant = reinterpret_cast<const Const *>(expr);
    } else if (const Var *var = column_of(maker, expr); var != nullptr && var->varattno == maker.keys.columns.tag) {
        column->kind = OutputKind::tag;
        shape->by_tag = true;
    } else if (var != nullptr && var->varattno != maker.keys.columns.time) {
        column->kind = OutputKind::other;
        column->other = shape->other_count;
        shape->others[shape->other_count++] = TupleDescAttr(maker.desc, var->varattno - 1);
    } else {
        shape->bucket_shape = bucket_shape(expr, maker.varno, maker.keys.columns.time);
        if (!shape->bucket_shape.rises || shape->bucket != nullptr) return false;
        column->kind = OutputKind::bucket;
        shape->bucket = expr;
    }
    shape->column_count++;
    return true;
}

}  // namespace

bool understand_shape(const KeyTypes &keys, TupleDesc desc, Index varno, List *exprs, AggregateShape *shape) {
    *shape = AggregateShape{};
    shape->columns = static_cast<OutputColumn *>(palloc0(sizeof(OutputColumn) * Max(list_length(exprs), 1)));
    shape->measures = static_cast<Measure *>(palloc0(sizeof(Measure) * Max(list_length(exprs), 1)));
    shape->others = static_cast<const FormData_pg_attribute **>(palloc0(sizeof(void *) * Max(list_length(exprs), 1)));
    const ShapeMaker maker = {keys, desc, varno, shape};
    ListCell *cell;
    foreach (cell, exprs) {
        if (!add_column(maker, static_cast<Node *>(lfirst(cell)))) return false;
    }
    return true;
}

bool never_falls(const BucketShape &shape) {
    long offset;
    return shape.rises && (shape.clock == nullptr || pg_get_timezone_offset(shape.clock, &offset));
}

}  // namespace historian::planner
