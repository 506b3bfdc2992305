// Merging by tag: segments that hold the same tags side by side become segments of disjoint ranges of tags, so that a tag's
// points lie together in one of them.
//
// Each segment is sorted by tag and time, so one cursor a source is enough: the smallest tag under the cursors is taken from them
// by time, then the next. Memory: a granule a source, and the segment being built.
//
// Rows loaded or sealed together may be of very different times: late ones are parted from the rest (format/time_windows.h), one
// window after the other, each by reading the sources once more.
#pragma once

#include "engine/server.h"
//
#include "engine/seal_step.h"

namespace historian::engine {

/// Rows that one step takes: as many as their bookkeeping of about eight bytes a row fits maintenance_work_mem, two full segments
/// at least.
uint64 merge_rows_max();

/// Adds all living rows of the sources to the step.
///
/// returns  false when DDL waits for the table: the step must be given up
bool merge_by_tag(SealStep *step, const CarriedSource *sources, uint32 source_count);

}  // namespace historian::engine
