// From the values of conditions to the filter of a scan.
#pragma once

#include "engine/scan.h"
#include "planner/conditions.h"

namespace historian::planner {

/// The value of a condition, when it is known: always at execution, for constants and their like while planning.
struct ConditionValue {
    bool is_known;
    bool is_null;
    Datum value;
};

/// Fills by_time, by_tag and what belongs to them; needed_columns is left alone. Memory: the current context; nothing in the
/// filter points into the values.
///
/// values   one a condition; a clause with a value that is not known does not filter. NULL matches no row.
void build_filter(const KeyTypes &keys, const ConditionList &conditions, const ConditionValue *values,
                  engine::ScanFilter *filter);

}  // namespace historian::planner
