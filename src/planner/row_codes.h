// Which rows of a granule are alike in some columns: each row gets a code, equal for rows whose values are equal. GROUP BY other
// columns than the tag takes the rows of a code together.
#pragma once

#include "engine/granule.h"

namespace historian::planner {

/// Codes of the rows of one slice, and the rows sorted by them.
struct RowCodes {
    uint32 count;                                // of codes: 0 .. count - 1
    uint32 codes[format::kGranuleRowsMax];       // of the slice's rows
    uint16 order[format::kGranuleRowsMax];       // the slice's kept rows, those of code 0 first; of one code as they were
    uint32 starts[format::kGranuleRowsMax + 1];  // where in `order` a code begins
    // The values met so far, by hash.
    struct Place {
        int64 value;
        uint32 round;  // it is of this round, or free
        uint32 code;
    };
    Place places[2 * format::kGranuleRowsMax];
    uint32 round;
};

/// For the rows [first, end) of a granule: all have code 0.
void begin_codes(RowCodes *codes, uint32 row_count);

/// Tells rows apart that differ in a column (from 0), which is not the tag. Of texts it may tell equal ones apart.
void add_column_to_codes(RowCodes *codes, engine::Granule *granule, int column, uint32 first, uint32 end);

/// Sorts the rows that count.
///
/// keep   one byte a row, 1 = it counts; nullptr: all do
void sort_by_codes(RowCodes *codes, uint32 row_count, const uint8 *keep);

}  // namespace historian::planner
