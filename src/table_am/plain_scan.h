// The scan descriptor that PostgreSQL holds.
#pragma once

#include "table_am/callbacks.h"

namespace historian::table_am {

struct PlainScan {
    TableScanDescData base;  // must be first
    engine::TableScan *scan;
    engine::BlockSample *sample;  // ANALYZE and TABLESAMPLE
    BlockNumber next_sample_block;
    BlockNumber sample_block;
    uint32 sample_offsets;
};

inline PlainScan *plain_scan(TableScanDesc scan) { return reinterpret_cast<PlainScan *>(scan); }

inline engine::BlockSample *block_sample(PlainScan *scan) {
    if (scan->sample == nullptr) scan->sample = engine::begin_block_sample(scan->scan);
    return scan->sample;
}

}  // namespace historian::table_am
