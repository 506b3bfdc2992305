#include "bgworker/worker_state.h"

namespace historian::bgworker {

SharedState *shared_state = nullptr;

namespace {

constexpr const char *kTrancheName = "historian workers";
// Error exits in a row wait 1, 2, 4 ... seconds, at most a minute; a run that lasted longer than that counts as healthy.
constexpr int kRestartDelaySecondsMax = 60;

shmem_request_hook_type previous_request_hook = nullptr;
shmem_startup_hook_type previous_startup_hook = nullptr;

// The slot of this process, for its exit callback.
Process *own_process = nullptr;
bool leaving_quietly = false;

// SIGTERM came: PostgreSQL forgets its own flag for that when it raises the FATAL error.
volatile sig_atomic_t was_terminated = false;

void request_memory() {
    if (previous_request_hook != nullptr) previous_request_hook();
    RequestAddinShmemSpace(sizeof(SharedState));
    RequestNamedLWLockTranche(kTrancheName, 1);
}

void initialise_memory() {
    if (previous_startup_hook != nullptr) previous_startup_hook();
    LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
    bool found;
    shared_state = static_cast<SharedState *>(ShmemInitStruct("historian workers", sizeof(SharedState), &found));
    if (!found) {
        memset(shared_state, 0, sizeof(SharedState));
        shared_state->lock = &GetNamedLWLockTranche(kTrancheName)->lock;
    }
    LWLockRelease(AddinShmemInitLock);
}

void handle_termination(SIGNAL_ARGS) {
    was_terminated = true;
    die(postgres_signal_arg);
}

/// The process is going away: the slot becomes idle, with a delay when it failed.
void detach_process(int, Datum) {
    Process *process = own_process;
    if (process == nullptr) return;
    own_process = nullptr;
    const TimestampTz now = GetCurrentTimestamp();
    LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
    if (leaving_quietly || process->stop_requested || was_terminated) {
        process->failure_count = 0;
        process->not_before = Max(process->not_before, now);
    } else {
        if (TimestampDifferenceExceeds(process->phase_since, now, kRestartDelaySecondsMax * 1000)) process->failure_count = 0;
        const int delay_seconds = Min(1 << Min(process->failure_count, 6u), kRestartDelaySecondsMax);
        ++process->failure_count;
        process->not_before = TimestampTzPlusMilliseconds(now, delay_seconds * 1000);
    }
    process->phase = WorkerPhase::idle;
    process->phase_since = now;
    process->pid = 0;
    process->latch = nullptr;
    process->stop_requested = false;
    wake_launcher();
    LWLockRelease(shared_state->lock);
}

}  // namespace

void install_shared_memory_hooks() {
    previous_request_hook = shmem_request_hook;
    shmem_request_hook = request_memory;
    previous_startup_hook = shmem_startup_hook;
    shmem_startup_hook = initialise_memory;
}

void require_preloaded() {
    if (shared_state != nullptr) return;
    ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("historian is not preloaded"),
            errhint("Add historian to shared_preload_libraries and restart the server."));
}

DatabaseSlot *find_database_slot(Oid database) {
    for (DatabaseSlot &slot : shared_state->databases) {
        if (slot.database == database) return &slot;
    }
    return nullptr;
}

SubscriptionSlot *find_subscription_slot(Oid database, int64 subscription, int worker) {
    for (SubscriptionSlot &slot : shared_state->subscriptions) {
        if (slot.database == database && slot.subscription == subscription && slot.worker == worker) return &slot;
    }
    return nullptr;
}

void wake_launcher() {
    if (shared_state->launcher_latch != nullptr) SetLatch(shared_state->launcher_latch);
}

void request_stop(Process *process) {
    if (process->phase == WorkerPhase::idle) return;
    process->stop_requested = true;
    if (process->latch != nullptr) SetLatch(process->latch);
}

void attach_process(Process *process, uint32 generation) {
    LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
    const bool current = process->phase == WorkerPhase::starting && process->generation == generation && !process->stop_requested;
    if (current) {
        process->phase = WorkerPhase::running;
        process->phase_since = GetCurrentTimestamp();
        process->pid = MyProcPid;
        process->latch = MyLatch;
        own_process = process;
    } else if (process->phase == WorkerPhase::starting && process->generation == generation) {
        process->phase = WorkerPhase::idle;
        process->stop_requested = false;
    }
    LWLockRelease(shared_state->lock);
    if (!current) proc_exit(0);
    before_shmem_exit(detach_process, 0);
}

void leave_quietly() {
    leaving_quietly = true;
    proc_exit(0);
}

void install_signal_handlers() {
    pqsignal(SIGHUP, SignalHandlerForConfigReload);
    pqsignal(SIGTERM, handle_termination);
    BackgroundWorkerUnblockSignals();
}

bool is_leaving(const Process *process) { return process->stop_requested || ProcDiePending; }

void copy_problem(char *to, const char *text) {
    const int bytes = pg_mbcliplen(text, static_cast<int>(strlen(text)), kProblemBytes - 1);
    memcpy(to, text, bytes);
    to[bytes] = '\0';
}

}  // namespace historian::bgworker
