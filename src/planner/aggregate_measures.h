// Adding rows, or the statistics of a granule, to what is known of a group.
#pragma once

#include "planner/aggregate_groups.h"

namespace historian::planner {

/// Adjacent rows of a granule, or one row of the tail, in the order of time: those without a time first.
struct MeasuredRows {
    engine::NumberRows numbers;  // of the measure's column
    engine::NumberRows times;    // if the measure wants times
    const uint8 *keep;           // one byte a row, 1 = it counts; nullptr: all do
};

/// Adds rows to a measure of a column.
///
/// space   room for one byte a row
/// errors  22003: floats overflow
void add_rows_to(const Measure &measure, const MeasuredRows &rows, uint8 *space, MeasureState *state);

/// Whether the statistics of a granule tell all that a measure wants.
bool do_statistics_suffice(const Measure &measure, const format::Granule &about, const format::GranuleStatistics &statistics);

/// Adds a whole granule by its statistics, which suffice.
void add_granule_to(const Measure &measure, const format::Granule &about, const format::GranuleStatistics &statistics,
                    MeasureState *state);

}  // namespace historian::planner
