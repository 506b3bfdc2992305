// The partial state of the aggregates first(value, time) and last(value, time), as one process hands it to another.
//
// It is what their serialize function returns and their deserialize function takes (aggregates with INTERNAL states, partial
// plans): a bytea, native byte order, for it never leaves the server:
//
//     value_type  u32   the argument types, as the call has them: domains are not replaced by their base types
//     time_type   u32
//     value       PostgreSQL's datumSerialize(): i32 -2 for NULL, i32 -1 and 8 bytes for a type that is passed by value, else
//     time        i32 length and the bytes, uncompressed and not toasted
//
// Invariants:
//   1. time is never NULL: a group without any time has no state, and its serialized state is NULL.
//   2. Which of several values at the least (greatest) time it is is nobody's promise.
#pragma once

#include "engine/server.h"

namespace historian::planner {

/// One argument of first() or last().
struct FirstLastCell {
    Oid type;
    Datum datum;
    bool is_null;
};

/// Its datum as it is stored: not toasted, not compressed, with its type's length.
struct FirstLastBytes {
    Datum datum;
    int16 length;
    bool by_value;
    Size byte_count;
};

inline FirstLastBytes first_last_bytes(const FirstLastCell &cell) {
    FirstLastBytes bytes = {cell.datum, 0, false, 0};
    get_typlenbyval(cell.type, &bytes.length, &bytes.by_value);
    const bool is_varlena = !cell.is_null && bytes.length == -1;
    if (is_varlena && !VARATT_IS_EXTERNAL_EXPANDED(DatumGetPointer(cell.datum))) {
        bytes.datum = PointerGetDatum(PG_DETOAST_DATUM(cell.datum));
    }
    bytes.byte_count = datumEstimateSpace(bytes.datum, cell.is_null, bytes.by_value, bytes.length);
    return bytes;
}

/// The serialized state of a group whose first (last) time is `time`, in the current memory context.
inline bytea *make_first_last_state(const FirstLastCell &value, const FirstLastCell &time) {
    const FirstLastBytes value_bytes = first_last_bytes(value);
    const FirstLastBytes time_bytes = first_last_bytes(time);
    const Size byte_count = VARHDRSZ + 2 * sizeof(Oid) + value_bytes.byte_count + time_bytes.byte_count;
    bytea *state = static_cast<bytea *>(palloc(byte_count));
    SET_VARSIZE(state, byte_count);
    char *at = VARDATA(state);
    memcpy(at, &value.type, sizeof(Oid));
    memcpy(at + sizeof(Oid), &time.type, sizeof(Oid));
    at += 2 * sizeof(Oid);
    datumSerialize(value_bytes.datum, value.is_null, value_bytes.by_value, value_bytes.length, &at);
    datumSerialize(time_bytes.datum, time.is_null, time_bytes.by_value, time_bytes.length, &at);
    return state;
}

/// What such a state says, copied into the current memory context. Raises XX001 when it is too short.
inline void read_first_last_state(const bytea *state, FirstLastCell *value, FirstLastCell *time) {
    if (VARSIZE_ANY_EXHDR(state) < 2 * sizeof(Oid) + 2 * sizeof(int)) {
        ereport(ERROR, errcode(ERRCODE_DATA_CORRUPTED), errmsg("could not read the partial state of an aggregate"));
    }
    char *at = const_cast<char *>(VARDATA_ANY(state));
    memcpy(&value->type, at, sizeof(Oid));
    memcpy(&time->type, at + sizeof(Oid), sizeof(Oid));
    at += 2 * sizeof(Oid);
    value->datum = datumRestore(&at, &value->is_null);
    time->datum = datumRestore(&at, &time->is_null);
}

}  // namespace historian::planner
