// Keeps one `historian` worker per database and one `historian mqtt` worker per subscription running.
//
// It connects to no database, reads pg_database, and never waits for anything but its latch. All decisions are taken from
// worker_state.h: a slot's `wanted` says what should be, its `phase` what is; each round brings the second nearer to the first.
#include "bgworker/launcher.h"

#include "bgworker/worker_state.h"

namespace historian::bgworker {

namespace {

constexpr int kScanIntervalMs = 10'000;    // new and dropped databases are noticed within this time
constexpr int kStartTimeoutMs = 30'000;    // a start that nothing came of by then is given up
constexpr int kStopPatienceMs = 5'000;     // a worker that was asked to leave is sent SIGTERM after this
constexpr int kForgetPatienceMs = 12'000;  // longer, when it still has a session to delete at the broker
constexpr int kKeepOutMs = 10'000;         // after stop_database_workers()
constexpr int kNoSlotDelayMs = 5'000;      // when max_worker_processes is exhausted

bool commit_callback_registered = false;
bool wake_at_commit = false;
uint32 filled_runs = 0;  // by this transaction

/// What RegisterDynamicBackgroundWorker needs to know of a kind of worker.
struct WorkerKind {
    const char *type;
    const char *function;
};
constexpr WorkerKind kMaintenanceKind{"historian", "historian_maintenance_main"};
constexpr WorkerKind kMqttKind{"historian mqtt", "historian_mqtt_main"};

/// Whatever became of the transaction: its rows can be sealed, or left out, now that it is over.
void wake_maintenance() {
    const uint32 count = filled_runs;
    filled_runs = 0;
    if (shared_state == nullptr) return;
    LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
    DatabaseSlot *slot = find_database_slot(MyDatabaseId);
    if (slot != nullptr) {
        slot->work_waits = true;
        slot->filled_runs += count;
        if (slot->process.latch != nullptr) SetLatch(slot->process.latch);
    }
    LWLockRelease(shared_state->lock);
}

/// Marks the current database for a look, once the transaction that changed it is visible.
void on_transaction_end(XactEvent event, void *) {
    if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE) return;
    if (filled_runs > 0) wake_maintenance();
    if (!wake_at_commit) return;
    wake_at_commit = false;
    if (event == XACT_EVENT_ABORT || shared_state == nullptr) return;
    LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
    DatabaseSlot *slot = find_database_slot(MyDatabaseId);
    if (slot == nullptr) slot = find_database_slot(InvalidOid);
    if (slot != nullptr) {
        slot->database = MyDatabaseId;
        slot->process.wanted = true;
        slot->process.not_before = 0;
        slot->reread_subscriptions = true;
        if (slot->process.latch != nullptr) SetLatch(slot->process.latch);
    }
    wake_launcher();
    LWLockRelease(shared_state->lock);
}

/// Takes a database into the slots; a new one is wanted once, so that a worker looks for the extension there.
void note_database(Oid database, int *missed) {
    if (find_database_slot(database) != nullptr) return;
    DatabaseSlot *slot = find_database_slot(InvalidOid);
    if (slot == nullptr) {
        ++*missed;
        return;
    }
    memset(slot, 0, sizeof *slot);
    slot->database = database;
    slot->process.wanted = true;
}

/// Brings the database slots up to date with pg_database: templates and closed databases are left alone.
void scan_databases() {
    static Oid found[kDatabaseCountMax * 2];
    int found_count = 0;
    int missed = 0;
    StartTransactionCommand();
    Relation rel = table_open(DatabaseRelationId, AccessShareLock);
    TableScanDesc scan = table_beginscan_catalog(rel, 0, nullptr);
    while (HeapTuple tuple = heap_getnext(scan, ForwardScanDirection)) {
        auto *database = reinterpret_cast<Form_pg_database>(GETSTRUCT(tuple));
        if (database->datistemplate || !database->datallowconn) continue;
        if (found_count == lengthof(found)) break;
        found[found_count++] = database->oid;
    }
    table_endscan(scan);
    table_close(rel, AccessShareLock);
    CommitTransactionCommand();

    const auto is_gone = [found_count](Oid database) {
        for (int i = 0; i < found_count; ++i) {
            if (found[i] == database) return false;
        }
        return OidIsValid(database);
    };
    LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
    for (DatabaseSlot &slot : shared_state->databases) {
        if (!is_gone(slot.database)) continue;
        slot.process.wanted = false;
        if (slot.process.phase == WorkerPhase::idle) slot.database = InvalidOid;
    }
    for (SubscriptionSlot &slot : shared_state->subscriptions) {
        if (is_gone(slot.database)) slot.process.wanted = false;
    }
    for (int i = 0; i < found_count; ++i) note_database(found[i], &missed);
    LWLockRelease(shared_state->lock);
    if (missed > 0) {
        ereport(WARNING, errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                errmsg("historian maintains at most %d databases", kDatabaseCountMax),
                errdetail("%d more have no worker.", missed));
    }
}

/// Registers one worker; the slot was made `starting` before. Runs without the lock.
void start_worker(const WorkerKind &kind, Process *process, int slot_index, uint32 generation) {
    BackgroundWorker worker{};
    worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
    worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
    worker.bgw_restart_time = BGW_NEVER_RESTART;
    worker.bgw_main_arg = Int32GetDatum(slot_index);
    worker.bgw_notify_pid = MyProcPid;
    strlcpy(worker.bgw_library_name, "historian", sizeof worker.bgw_library_name);
    strlcpy(worker.bgw_function_name, kind.function, sizeof worker.bgw_function_name);
    strlcpy(worker.bgw_name, kind.type, sizeof worker.bgw_name);
    strlcpy(worker.bgw_type, kind.type, sizeof worker.bgw_type);
    memcpy(worker.bgw_extra, &generation, sizeof generation);
    if (RegisterDynamicBackgroundWorker(&worker, nullptr)) return;

    LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
    process->phase = WorkerPhase::idle;
    process->not_before = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), kNoSlotDelayMs);
    const bool first_time = process->failure_count++ == 0;
    LWLockRelease(shared_state->lock);
    if (first_time) {
        ereport(
            WARNING, errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
            errmsg("could not start a background worker of type \"%s\"", kind.type),
            errhint("Raise max_worker_processes; historian needs one, one more per database, and one per MQTT subscription or as "
                    "many as its option workers says."));
    }
}

/// Sends SIGTERM to a worker that did not leave when asked, and gives up starts that came to nothing. The caller holds the lock.
void press_process(Process *process, TimestampTz now, int patience_ms) {
    if (process->phase == WorkerPhase::starting && TimestampDifferenceExceeds(process->phase_since, now, kStartTimeoutMs)) {
        process->phase = WorkerPhase::idle;
        process->stop_requested = false;
    }
    if (process->phase != WorkerPhase::running || process->wanted) return;
    if (!process->stop_requested) {
        process->not_before = now;
        request_stop(process);
        // phase_since now counts the time since it was asked.
        process->phase_since = now;
    } else if (TimestampDifferenceExceeds(process->phase_since, now, patience_ms)) {
        kill(process->pid, SIGTERM);
    }
}

/// True when the worker should be started now; marks the slot. The caller holds the lock.
bool begin_start(Process *process, TimestampTz now) {
    if (!process->wanted || process->phase != WorkerPhase::idle || process->not_before > now) return false;
    process->phase = WorkerPhase::starting;
    process->phase_since = now;
    process->stop_requested = false;
    ++process->generation;
    return true;
}

/// One step for one slot: press, free, or start. `free_slot` is called under the lock for a slot that nobody needs any more.
template <typename Slot, typename Done>
void step_slot(const WorkerKind &kind, Slot *slot, int index, int patience_ms, Done free_slot) {
    const TimestampTz now = GetCurrentTimestamp();
    LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
    const bool in_use = OidIsValid(slot->database);
    bool starts = false;
    if (in_use) {
        press_process(&slot->process, now, patience_ms);
        starts = begin_start(&slot->process, now);
        if (!slot->process.wanted && slot->process.phase == WorkerPhase::idle) free_slot(slot);
    }
    const uint32 generation = slot->process.generation;
    LWLockRelease(shared_state->lock);
    if (starts) start_worker(kind, &slot->process, index, generation);
}

void step_all_slots() {
    for (int i = 0; i < kDatabaseCountMax; ++i) {
        // A database without the extension keeps its slot, so that it is not looked at again and again.
        step_slot(kMaintenanceKind, &shared_state->databases[i], i, kStopPatienceMs, [](DatabaseSlot *) {});
    }
    for (int i = 0; i < kSubscriptionCountMax; ++i) {
        SubscriptionSlot *slot = &shared_state->subscriptions[i];
        step_slot(kMqttKind, slot, i, slot->forget_session ? kForgetPatienceMs : kStopPatienceMs,
                  [](SubscriptionSlot *unused) { unused->database = InvalidOid; });
    }
}

void detach_launcher(int, Datum) {
    LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
    shared_state->launcher_latch = nullptr;
    LWLockRelease(shared_state->lock);
}

}  // namespace

void register_workers() {
    install_shared_memory_hooks();
    // pg_upgrade has read the old cluster's next xid and copies its files: nobody may write meanwhile.
    if (IsBinaryUpgrade) return;
    BackgroundWorker launcher{};
    launcher.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
    launcher.bgw_start_time = BgWorkerStart_RecoveryFinished;
    launcher.bgw_restart_time = 5;
    strlcpy(launcher.bgw_library_name, "historian", sizeof launcher.bgw_library_name);
    strlcpy(launcher.bgw_function_name, "historian_launcher_main", sizeof launcher.bgw_function_name);
    strlcpy(launcher.bgw_name, "historian launcher", sizeof launcher.bgw_name);
    strlcpy(launcher.bgw_type, "historian launcher", sizeof launcher.bgw_type);
    RegisterBackgroundWorker(&launcher);
}

static void watch_transaction_end() {
    if (commit_callback_registered) return;
    RegisterXactCallback(on_transaction_end, nullptr);
    commit_callback_registered = true;
}

void wake_workers_at_commit() {
    watch_transaction_end();
    wake_at_commit = true;
}

void note_full_run() {
    watch_transaction_end();
    ++filled_runs;
}

/// Asks every worker of the database to leave, and after a while tells it to; returns how many are still there.
static int dismiss_database_workers(Oid database, bool insist) {
    int alive = 0;
    const auto dismiss = [&alive, insist](Process *process) {
        process->not_before = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), kKeepOutMs);
        if (process->phase == WorkerPhase::idle) return;
        ++alive;
        request_stop(process);
        if (insist && process->phase == WorkerPhase::running) kill(process->pid, SIGTERM);
    };
    LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
    for (DatabaseSlot &slot : shared_state->databases) {
        if (slot.database == database) dismiss(&slot.process);
    }
    for (SubscriptionSlot &slot : shared_state->subscriptions) {
        if (slot.database == database) dismiss(&slot.process);
    }
    LWLockRelease(shared_state->lock);
    return alive;
}

void stop_database_workers(Oid database) {
    constexpr int kStepMs = 50;
    if (shared_state == nullptr || !OidIsValid(database)) return;
    for (int waited_ms = 0; waited_ms < kStopPatienceMs; waited_ms += kStepMs) {
        if (dismiss_database_workers(database, waited_ms >= kStopPatienceMs / 5) == 0) return;
        CHECK_FOR_INTERRUPTS();
        pg_usleep(kStepMs * 1000L);
    }
}

}  // namespace historian::bgworker

HISTORIAN_EXPORT void historian_launcher_main(Datum) {
    using namespace historian::bgworker;
    install_signal_handlers();
    BackgroundWorkerInitializeConnection(nullptr, nullptr, 0);

    LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
    shared_state->launcher_latch = MyLatch;
    LWLockRelease(shared_state->lock);
    before_shmem_exit(detach_launcher, 0);

    TimestampTz scan_at = 0;
    for (;;) {
        ResetLatch(MyLatch);
        // Not 0: a launcher that was terminated by hand is started again.
        if (ProcDiePending) proc_exit(1);
        CHECK_FOR_INTERRUPTS();
        if (ConfigReloadPending) {
            ConfigReloadPending = false;
            ProcessConfigFile(PGC_SIGHUP);
        }
        if (GetCurrentTimestamp() >= scan_at) {
            scan_databases();
            scan_at = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), kScanIntervalMs);
        }
        step_all_slots();
        WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 1000, PG_WAIT_EXTENSION);
    }
}
