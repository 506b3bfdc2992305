// Sampling: ANALYZE picks blocks of the file, TABLESAMPLE picks virtual blocks; both are answered with whole rows.
#pragma once

#include "engine/scan.h"

namespace historian::engine {

struct BlockSample;

/// State for sampling a table; lives in the current memory context.
BlockSample *begin_block_sample(TableScan *scan);

/// Turns to a block of the file. False when no row lives there: metapage, map, directory, free blocks, superseded entries.
bool sample_block(BlockSample *sample, BlockNumber block);

/// The next sampled row of the block into the slot; false when there is none.
///
/// A segment's page stands for its share of the segment's rows; at most kSampledRowsPerBlock of them are returned, and the counts
/// are raised for all, so that ANALYZE's "rows per block" stays right.
bool next_sampled_row(BlockSample *sample, TransactionId oldest_xmin, double *live_rows, double *dead_rows, TupleTableSlot *slot);

/// TABLESAMPLE sees a segment as virtual blocks of this many rows, and each tail page as one.
inline constexpr uint32 kVirtualBlockRows = 1024;

/// How many virtual blocks the scan's snapshot sees.
uint32 count_virtual_blocks(BlockSample *sample);

/// Turns to a virtual block and gives how many row offsets it has (from 1; offsets of tail pages may be invisible rows).
uint32 open_virtual_block(BlockSample *sample, uint32 virtual_block);

/// The row at an offset of the open virtual block; false when there is no visible row.
bool virtual_block_row(BlockSample *sample, uint32 offset, TupleTableSlot *slot);

}  // namespace historian::engine
