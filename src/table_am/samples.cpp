// Callbacks of ANALYZE and TABLESAMPLE.
#include "table_am/callbacks.h"
#include "table_am/plain_scan.h"

namespace historian::table_am {

#if PG_VERSION_NUM >= 170000
bool scan_analyze_next_block(TableScanDesc base, ReadStream *stream) {
    BufferAccessStrategy strategy;
    const BlockNumber block = read_stream_next_block(stream, &strategy);
    if (block == InvalidBlockNumber) return false;
    // A block without rows still counts as sampled: ANALYZE extrapolates rows per block.
    engine::sample_block(block_sample(plain_scan(base)), block);
    return true;
}
#else
bool scan_analyze_next_block(TableScanDesc base, BlockNumber block, BufferAccessStrategy) {
    return engine::sample_block(block_sample(plain_scan(base)), block);
}
#endif

bool scan_analyze_next_tuple(TableScanDesc base, TransactionId oldest_xmin, double *live_rows, double *dead_rows,
                             TupleTableSlot *slot) {
    return engine::next_sampled_row(block_sample(plain_scan(base)), oldest_xmin, live_rows, dead_rows, slot);
}

bool scan_sample_next_block(TableScanDesc base, SampleScanState *state) {
    PlainScan *scan = plain_scan(base);
    engine::BlockSample *sample = block_sample(scan);
    TsmRoutine *method = state->tsmroutine;
    const uint32 blocks = engine::count_virtual_blocks(sample);
    BlockNumber block;
    if (method->NextSampleBlock != nullptr) {
        block = blocks == 0 ? InvalidBlockNumber : method->NextSampleBlock(state, blocks);
    } else {
        block = scan->next_sample_block < blocks ? scan->next_sample_block++ : InvalidBlockNumber;
    }
    if (block == InvalidBlockNumber || block >= blocks) return false;
    scan->sample_block = block;
    scan->sample_offsets = engine::open_virtual_block(sample, block);
    return true;
}

bool scan_sample_next_tuple(TableScanDesc base, SampleScanState *state, TupleTableSlot *slot) {
    PlainScan *scan = plain_scan(base);
    TsmRoutine *method = state->tsmroutine;
    for (;;) {
        CHECK_FOR_INTERRUPTS();
        const OffsetNumber offset =
            method->NextSampleTuple(state, scan->sample_block, static_cast<OffsetNumber>(scan->sample_offsets));
        if (!OffsetNumberIsValid(offset)) {
            ExecClearTuple(slot);
            return false;
        }
        if (engine::virtual_block_row(scan->sample, offset, slot)) {
            pgstat_count_heap_getnext(base->rs_rd);
            return true;
        }
    }
}

}  // namespace historian::table_am
