// first(value, time) and last(value, time): the value at the least and at the greatest time.
//
// The state keeps the best row so far: its time in any type with a btree order, its value in any type, NULL or not. Of rows with
// equal times the one that came first stays, so that a sorted input copies as little as it can. Times of the usual types are
// compared as the integers that they are.
#include "planner/first_last_state.h"
#include "sql_functions/aggregate_call.h"

extern "C" {
#include "utils/date.h"
#include "utils/typcache.h"

PG_FUNCTION_INFO_V1(historian_first_step);
PG_FUNCTION_INFO_V1(historian_last_step);
PG_FUNCTION_INFO_V1(historian_first_combine);
PG_FUNCTION_INFO_V1(historian_last_combine);
PG_FUNCTION_INFO_V1(historian_first_last_serialize);
PG_FUNCTION_INFO_V1(historian_first_last_deserialize);
PG_FUNCTION_INFO_V1(historian_first_last_final);
}

namespace historian {

namespace {

using planner::FirstLastCell;

enum class Wanted : uint8 { first, last };

struct TypeShape {
    Oid type;
    int16 length;
    bool by_value;
};

// What is the same for all groups of a call.
struct CallSite {
    TypeShape value;
    TypeShape time;
    bool is_int64;      // the time is compared as one
    FmgrInfo *compare;  // else by this
    Oid collation;
};

struct State {
    const CallSite *site;
    Datum value;
    Datum time;
    bool value_is_null;
};

TypeShape shape_of(Oid type) {
    TypeShape shape = {type, 0, false};
    get_typlenbyval(type, &shape.length, &shape.by_value);
    return shape;
}

// Lives as long as the aggregate does: states keep pointers to it.
const CallSite *make_call_site(FunctionCallInfo fcinfo, MemoryContext context, Oid value_type, Oid time_type) {
    CallSite *site = static_cast<CallSite *>(MemoryContextAllocZero(context, sizeof(CallSite)));
    const Oid base_type = getBaseType(time_type);
    site->value = shape_of(value_type);
    site->time = shape_of(time_type);
    site->collation = PG_GET_COLLATION();
    site->is_int64 = base_type == TIMESTAMPTZOID || base_type == TIMESTAMPOID || base_type == INT8OID;
    TypeCacheEntry *entry = lookup_type_cache(time_type, TYPECACHE_CMP_PROC_FINFO);
    if (!OidIsValid(entry->cmp_proc)) {
        ereport(ERROR, errcode(ERRCODE_UNDEFINED_FUNCTION),
                errmsg("could not identify a comparison function for type %s", format_type_be(time_type)),
                errhint("The time of first() and last() may be of any type that ORDER BY can sort."));
    }
    site->compare = &entry->cmp_proc_finfo;
    return site;
}

bool is_better(const CallSite *site, Wanted wanted, Datum time, Datum best) {
    if (site->is_int64) {
        return wanted == Wanted::first ? DatumGetInt64(time) < DatumGetInt64(best) : DatumGetInt64(time) > DatumGetInt64(best);
    }
    const int32 order = DatumGetInt32(FunctionCall2Coll(site->compare, site->collation, time, best));
    return wanted == Wanted::first ? order < 0 : order > 0;
}

void replace(Datum *kept, const TypeShape &shape, bool was_there, Datum datum) {
    if (!shape.by_value && was_there) pfree(DatumGetPointer(*kept));
    *kept = datumCopy(datum, shape.by_value, shape.length);
}

void keep(State *state, bool is_new, Datum value, bool value_is_null, Datum time) {
    const CallSite *site = state->site;
    const bool had_value = !is_new && !state->value_is_null;
    if (value_is_null) {
        if (had_value && !site->value.by_value) pfree(DatumGetPointer(state->value));
        state->value = 0;
    } else {
        replace(&state->value, site->value, had_value, value);
    }
    state->value_is_null = value_is_null;
    replace(&state->time, site->time, !is_new, time);
}

State *state_argument(FunctionCallInfo fcinfo, int argument) {
    return PG_ARGISNULL(argument) ? nullptr : reinterpret_cast<State *>(PG_GETARG_POINTER(argument));
}

State *accept(State *state, MemoryContext context, const CallSite *site, Wanted wanted, const State &row) {
    if (state != nullptr && !is_better(site, wanted, row.time, state->time)) return state;
    MemoryContext caller = MemoryContextSwitchTo(context);
    const bool is_new = state == nullptr;
    if (is_new) {
        state = static_cast<State *>(palloc(sizeof(State)));
        state->site = site;
    }
    keep(state, is_new, row.value, row.value_is_null, row.time);
    MemoryContextSwitchTo(caller);
    return state;
}

Datum step(FunctionCallInfo fcinfo, Wanted wanted) {
    MemoryContext context = aggregate_context(fcinfo);
    State *state = state_argument(fcinfo, 0);
    if (PG_ARGISNULL(2)) {
        if (state == nullptr) PG_RETURN_NULL();
        PG_RETURN_POINTER(state);
    }
    const CallSite *site = static_cast<const CallSite *>(fcinfo->flinfo->fn_extra);
    if (site == nullptr) {
        site = make_call_site(fcinfo, fcinfo->flinfo->fn_mcxt, get_fn_expr_argtype(fcinfo->flinfo, 1),
                              get_fn_expr_argtype(fcinfo->flinfo, 2));
        fcinfo->flinfo->fn_extra = const_cast<CallSite *>(site);
    }
    PG_RETURN_POINTER(accept(state, context, site, wanted, State{site, PG_GETARG_DATUM(1), PG_GETARG_DATUM(2), PG_ARGISNULL(1)}));
}

Datum combine(FunctionCallInfo fcinfo, Wanted wanted) {
    MemoryContext context = aggregate_context(fcinfo);
    State *state = state_argument(fcinfo, 0);
    const State *other = state_argument(fcinfo, 1);
    if (other == nullptr) {
        if (state == nullptr) PG_RETURN_NULL();
        PG_RETURN_POINTER(state);
    }
    const CallSite *site = static_cast<const CallSite *>(fcinfo->flinfo->fn_extra);
    if (site == nullptr) {
        site = make_call_site(fcinfo, fcinfo->flinfo->fn_mcxt, other->site->value.type, other->site->time.type);
        fcinfo->flinfo->fn_extra = const_cast<CallSite *>(site);
    }
    PG_RETURN_POINTER(accept(state, context, site, wanted, *other));
}

}  // namespace

}  // namespace historian

// historian.first_step(internal, anyelement, "any") and so on
extern "C" PGDLLEXPORT Datum historian_first_step(PG_FUNCTION_ARGS) { return historian::step(fcinfo, historian::Wanted::first); }

extern "C" PGDLLEXPORT Datum historian_last_step(PG_FUNCTION_ARGS) { return historian::step(fcinfo, historian::Wanted::last); }

extern "C" PGDLLEXPORT Datum historian_first_combine(PG_FUNCTION_ARGS) {
    return historian::combine(fcinfo, historian::Wanted::first);
}

extern "C" PGDLLEXPORT Datum historian_last_combine(PG_FUNCTION_ARGS) {
    return historian::combine(fcinfo, historian::Wanted::last);
}

// historian.first_last_serialize(internal) bytea: strict
extern "C" PGDLLEXPORT Datum historian_first_last_serialize(PG_FUNCTION_ARGS) {
    using namespace historian;
    aggregate_context(fcinfo);
    const State *state = state_argument(fcinfo, 0);
    PG_RETURN_BYTEA_P(planner::make_first_last_state(FirstLastCell{state->site->value.type, state->value, state->value_is_null},
                                                     FirstLastCell{state->site->time.type, state->time, false}));
}

// historian.first_last_deserialize(bytea, internal) internal: strict. The combine function copies what it returns.
extern "C" PGDLLEXPORT Datum historian_first_last_deserialize(PG_FUNCTION_ARGS) {
    using namespace historian;
    aggregate_context(fcinfo);
    FirstLastCell value;
    FirstLastCell time;
    planner::read_first_last_state(PG_GETARG_BYTEA_PP(0), &value, &time);
    CallSite *site = static_cast<CallSite *>(palloc0(sizeof(CallSite)));
    site->value.type = value.type;  // all that combine() asks for
    site->time.type = time.type;
    State *state = static_cast<State *>(palloc(sizeof(State)));
    *state = {site, value.datum, time.datum, value.is_null};
    PG_RETURN_POINTER(state);
}

// historian.first_last_final(internal, anyelement, "any") anyelement
extern "C" PGDLLEXPORT Datum historian_first_last_final(PG_FUNCTION_ARGS) {
    using namespace historian;
    aggregate_context(fcinfo);
    const State *state = state_argument(fcinfo, 0);
    if (state == nullptr || state->value_is_null) PG_RETURN_NULL();
    PG_RETURN_DATUM(state->value);
}
