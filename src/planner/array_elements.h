// The values of `column = ANY (array)`.
#pragma once

#include "engine/server.h"

extern "C" {
#include "utils/array.h"
#include "utils/lsyscache.h"
}

namespace historian::planner {

/// Calls visit(element) for each element of an array that is not NULL.
template <typename Visit>
void for_each_element(Datum array_value, Visit visit) {
    ArrayType *array = DatumGetArrayTypeP(array_value);
    int16 length;
    bool by_value;
    char alignment;
    get_typlenbyvalalign(ARR_ELEMTYPE(array), &length, &by_value, &alignment);
    Datum *elements;
    bool *nulls;
    int count;
    deconstruct_array(array, ARR_ELEMTYPE(array), length, by_value, alignment, &elements, &nulls, &count);
    for (int i = 0; i < count; i++) {
        if (!nulls[i]) visit(elements[i]);
    }
}

}  // namespace historian::planner
