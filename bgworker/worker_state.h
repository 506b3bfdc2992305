// What the background workers and the sessions share: which workers should run, which do, and how they fare.
//
// One fixed block of shared memory under one lock. A slot stands for one worker that may be running or not; it outlives the
// process. What a subscription has stored is counted in historian.mqtt_progress.
//
// Invariants (under the lock):
//   1. phase == running  <=>  pid and latch belong to a live process of ours; its exit callback clears them.
//   2. A worker that was started for generation g does nothing unless the slot still has generation g.
#pragma once

#include "bgworker/server.h"

namespace historian::bgworker {

// Fixed sizes: shared memory cannot grow. Far above what max_worker_processes allows at once.
inline constexpr int kDatabaseCountMax = 256;
inline constexpr int kSubscriptionCountMax = 256;
inline constexpr int kProblemBytes = 256;

enum class WorkerPhase : uint8 { idle, starting, running };

/// One worker process that is wanted, starting or running.
struct Process {
    WorkerPhase phase;
    bool wanted;           ///< the launcher keeps it running
    bool stop_requested;   ///< a running one leaves at the next quiet moment
    uint32 generation;     ///< counts the starts
    uint32 failure_count;  ///< error exits in a row
    pid_t pid;
    Latch *latch;
    TimestampTz phase_since;
    TimestampTz not_before;  ///< earliest next start
};

struct DatabaseSlot {
    Oid database;  ///< InvalidOid: the slot is free
    Process process;
    bool reread_subscriptions;
    bool work_waits;         ///< somebody filled a tail run
    uint32 filled_runs;      ///< by transactions that are over; counts around
    TimestampTz in_haste_until;  ///< the worker fell behind those who fill runs, and gives way to nobody until then
    TimestampTz last_round;  ///< of maintenance
    int64 round_count;
    int64 work_count;  ///< what historian.maintain() returned, summed
    char problem[kProblemBytes];
};

enum class LinkState : uint8 { stopped, connecting, subscribing, receiving, waiting };

struct SubscriptionSlot {
    Oid database;  ///< InvalidOid: the slot is free
    int64 subscription;
    int worker;  ///< counts from 1
    Oid owner;
    bool forget_session;           ///< the worker is not needed any more: delete its session at the broker before leaving
    bool drain_session;            ///< before that, take what the broker holds for it: the subscription goes on without it
    TransactionId stored_version;  ///< of the subscription's row, as last seen by the database's `historian` worker
    TransactionId loaded_version;  ///< as this worker has read it; invalid until then
    Process process;
    NameData name;  ///< cut to a name's length; for the log
    LinkState link;
    bool session_present;
    uint8 protocol;  ///< 5 or 3; 0: never connected
    TimestampTz connected_since;
    char problem[kProblemBytes];  ///< the last one; stays until the next
};

struct SharedState {
    LWLock *lock;
    Latch *launcher_latch;  ///< nullptr while there is no launcher
    DatabaseSlot databases[kDatabaseCountMax];
    SubscriptionSlot subscriptions[kSubscriptionCountMax];
};

/// The block; nullptr when the library was not preloaded.
extern SharedState *shared_state;

/// Installs the hooks that reserve and initialise the block; called once from _PG_init.
void install_shared_memory_hooks();

/// Raises 55000 unless the library was preloaded.
void require_preloaded();

/// The slot of a database or of a subscription's worker, or nullptr. The caller holds the lock.
DatabaseSlot *find_database_slot(Oid database);
SubscriptionSlot *find_subscription_slot(Oid database, int64 subscription, int worker);

/// Wakes the launcher. The caller holds the lock.
void wake_launcher();

/// Asks a running process to leave at its next quiet moment. The caller holds the lock.
void request_stop(Process *process);

/// At the start of a worker: makes the slot's process this one; exits quietly when the start is out of date.
/// From here on the slot is cleaned up when the process exits, whatever the reason.
void attach_process(Process *process, uint32 generation);

/// The running worker leaves with this as its verdict: a quiet exit counts as success, any other one makes the launcher wait
/// longer.
[[noreturn]] void leave_quietly();

/// Installs a worker's signal handlers and lets signals in: SIGTERM as in a session, SIGHUP for a reload.
void install_signal_handlers();

/// True when this worker should leave: it was asked to, or the server stops.
bool is_leaving(const Process *process);

/// Copies a text, cut to room at a character boundary.
void copy_problem(char *to, const char *text);

}  // namespace historian::bgworker
