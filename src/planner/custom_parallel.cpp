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
    ParallelPart *part = reinterpret_cast<ParallelPart *>(DatumGetPointer(argument));
    uint64 *sums = counter_array(&part->other_counters);
    for (int i = 0; i < kCounterCount; i++) sums[i] += pg_atomic_read_u64(&part->shared->counters[i]);
    part->shared = nullptr;
}

ParallelPart *parallel_part(CustomScanState *state) { return &reinterpret_cast<ParallelNode *>(state)->parallel; }

}  // namespace

engine::ScanCounters all_counters(CustomScanState *state) {
    const ParallelPart *part = parallel_part(state);
    engine::ScanCounters all = part->other_counters;
    if (const engine::ScanCounters *present = part->counters(state); present != nullptr) add_counters(&all, *present);
    return all;
}

void add_counters(engine::ScanCounters *sum, const engine::ScanCounters &counters) {
    for (int i = 0; i < kCounterCount; i++) counter_array(sum)[i] += counter_array(counters)[i];
}

Size estimate_shared_scan(CustomScanState *, ParallelContext *) { return sizeof(SharedScan); }

void initialize_shared_scan(CustomScanState *state, ParallelContext *context, void *place) {
    ParallelPart *part = parallel_part(state);
    SharedScan *shared = static_cast<SharedScan *>(place);
    engine::initialize_parallel_scan(state->ss.ss_currentRelation, &shared->scan);
    for (int i = 0; i < kCounterCount; i++) pg_atomic_init_u64(&shared->counters[i], 0);
    part->shared = shared;
    if (context->seg != nullptr) on_dsm_detach(context->seg, collect_counters, PointerGetDatum(part));
}

void reinitialize_shared_scan(CustomScanState *, ParallelContext *, void *place) {
    pg_atomic_write_u32(&static_cast<SharedScan *>(place)->scan.next_slot, 0);
}

void attach_shared_scan(CustomScanState *state, shm_toc *, void *place) {
    parallel_part(state)->shared = static_cast<SharedScan *>(place);
}

void share_counters(CustomScanState *state) {
    ParallelPart *part = parallel_part(state);
    const engine::ScanCounters *present = part->counters(state);
    if (!IsParallelWorker() || present == nullptr || part->counters_are_shared) return;
    part->counters_are_shared = true;
    const uint64 *counters = counter_array(*present);
    for (int i = 0; i < kCounterCount; i++) pg_atomic_fetch_add_u64(&part->shared->counters[i], static_cast<int64>(counters[i]));
}

}  // namespace historian::planner
