// Plain values: the commonest cells in the commonest types without the type's input function, which is most of the time that a
// point would take. What they give is bit for bit what the function gives; what might be an error is left to it.
#pragma once

#include "bgworker/server.h"
//
#include "bgworker/payload.h"

namespace historian::bgworker {

/// Converts a cell of kind number, boolean, text or json. Not for numbers in columns of times.
///
/// type     the column's: float8, float4, int8, int4, int2, boolean, or text when the database is UTF-8
/// returns  false: ask the input function
bool convert_plainly(Oid type, const Cell &cell, Datum *value);

}  // namespace historian::bgworker
