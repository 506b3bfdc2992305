// Numbers of a column as keys that sort as PostgreSQL sorts the column: integers as they are, floats by their bits.
//
//     negative floats: all bits but the sign flipped; -0 has the key -1, and 0 the key 0, though they are equal
//     NaN: the greatest key, whatever its bits
#pragma once

#include "engine/server.h"

#include <bit>
#include <cmath>

namespace historian::engine {

enum class NumberKind : uint8 { integer, float4, float8 };

inline int64 float_key(double number) {
    if (std::isnan(number)) return PG_INT64_MAX;
    const int64 bits = std::bit_cast<int64>(number);
    return bits ^ ((bits >> 63) & PG_INT64_MAX);
}

/// number   as a segment gives it: a sign-extended integer, or the bits of a float, those of a float4 sign-extended
inline int64 value_key(NumberKind kind, int64 number) {
    if (kind == NumberKind::integer) return number;
    return float_key(kind == NumberKind::float8 ? std::bit_cast<double>(number)
                                                : std::bit_cast<float>(static_cast<int32>(number)));
}

}  // namespace historian::engine
