// The node in parallel queries: slots of the directory are dealt out one by one, and workers add up what they read and skipped.
#include "planner/historian_scan.h"

extern "C" {
#include "storage/dsm.h"
}

namespace historian::planner {

namespace {

uint64 *counter_array(engine::ScanCounters *counters) { return &counters->segments_read; }

const uint64 *counter_array(const engine::ScanCounters &counters) { return &counters.segments_read; }

// Runs in the leader just before the shared memory is unmapped: the workers are gone by then.
void collect_counters(dsm_segment *, Datum argument) {
    ScanNode *node = reinterpret_cast<ScanNode *>(DatumGetPointer(argument));
    uint64 *sums = counter_array(&node->other_counters);
    for (int i = 0; i < kCounterCount; i++) sums[i] += pg_atomic_read_u64(&node->shared->counters[i]);
    node->shared = nullptr;
}

}  // namespace

void add_counters(engine::ScanCounters *sum, const engine::ScanCounters &counters) {
    for (int i = 0; i < kCounterCount; i++) counter_array(sum)[i] += counter_array(counters)[i];
}

Size estimate_shared_scan(CustomScanState *, ParallelContext *) { return sizeof(SharedScan); }

void initialize_shared_scan(CustomScanState *state, ParallelContext *context, void *place) {
    ScanNode *node = scan_node(state);
    SharedScan *shared = static_cast<SharedScan *>(place);
    engine::initialize_parallel_scan(state->ss.ss_currentRelation, &shared->scan);
    for (int i = 0; i < kCounterCount; i++) pg_atomic_init_u64(&shared->counters[i], 0);
    node->shared = shared;
    if (context->seg != nullptr) on_dsm_detach(context->seg, collect_counters, PointerGetDatum(node));
}

void reinitialize_shared_scan(CustomScanState *, ParallelContext *, void *place) {
    pg_atomic_write_u32(&static_cast<SharedScan *>(place)->scan.next_slot, 0);
}

void attach_shared_scan(CustomScanState *state, shm_toc *, void *place) {
    scan_node(state)->shared = static_cast<SharedScan *>(place);
}

void share_counters(CustomScanState *state) {
    ScanNode *node = scan_node(state);
    if (!IsParallelWorker() || node->scan == nullptr || node->counters_are_shared) return;
    node->counters_are_shared = true;
    const uint64 *counters = counter_array(engine::scan_counters(node->scan));
    for (int i = 0; i < kCounterCount; i++) pg_atomic_fetch_add_u64(&node->shared->counters[i], static_cast<int64>(counters[i]));
}

}  // namespace historian::planner
