#include "bgworker/plain_value.h"

#include <charconv>
#include <cmath>

namespace historian::bgworker {

namespace {

/// Both this and strtod, which float8in calls, give the nearest number. A zero or an infinity may stand for what is out of range,
/// and JSON has no other text that one of them takes and the other does not.
template <typename Float>
bool parse_float(const Cell &cell, Float *number) {
    const char *end = cell.text + cell.bytes;
    const std::from_chars_result result = std::from_chars(cell.text, end, *number);
    return result.ec == std::errc{} && result.ptr == end && std::isnormal(*number);
}

template <typename Integer>
bool parse_integer(const Cell &cell, Integer *number) {
    const char *end = cell.text + cell.bytes;
    const std::from_chars_result result = std::from_chars(cell.text, end, *number);
    return result.ec == std::errc{} && result.ptr == end;
}

bool convert_number(Oid type, const Cell &cell, Datum *value) {
    switch (type) {
        case FLOAT8OID: {
            float8 number;
            if (!parse_float(cell, &number)) return false;
            *value = Float8GetDatum(number);
            return true;
        }
        case FLOAT4OID: {
            float4 number;
            if (!parse_float(cell, &number)) return false;
            *value = Float4GetDatum(number);
            return true;
        }
        case INT8OID: {
            int64 number;
            if (!parse_integer(cell, &number)) return false;
            *value = Int64GetDatum(number);
            return true;
        }
        case INT4OID: {
            int32 number;
            if (!parse_integer(cell, &number)) return false;
            *value = Int32GetDatum(number);
            return true;
        }
        case INT2OID: {
            int16 number;
            if (!parse_integer(cell, &number)) return false;
            *value = Int16GetDatum(number);
            return true;
        }
        default: return false;
    }
}

}  // namespace

bool convert_plainly(Oid type, const Cell &cell, Datum *value) {
    const bool is_number = cell.kind == CellKind::number;
    const bool is_boolean = cell.kind == CellKind::boolean;
    const bool has_text = is_number || is_boolean || cell.kind == CellKind::text || cell.kind == CellKind::json;
    if (type == TEXTOID && has_text && GetDatabaseEncoding() == PG_UTF8) {
        // Valid UTF-8 without a NUL: payload.h.
        *value = PointerGetDatum(cstring_to_text_with_len(cell.text, static_cast<int>(cell.bytes)));
        return true;
    }
    if (is_number) return convert_number(type, cell, value);
    if (!is_boolean || type != BOOLOID) return false;
    *value = BoolGetDatum(cell.text[0] == 't');
    return true;
}

}  // namespace historian::bgworker
