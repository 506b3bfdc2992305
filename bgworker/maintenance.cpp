// The worker of one database: runs historian.maintain() in rounds and the retention policies that are due, and keeps the list of
// MQTT subscriptions current.
//
// Each round is its own transaction. historian.maintain() returns how much it did; while that is more than nothing the next round
// follows at once. An error is logged, and the pause before the next try doubles up to a minute. Without the extension the worker
// leaves.
#include "bgworker/launcher.h"
#include "bgworker/left_sessions.h"
#include "bgworker/priority.h"
#include "bgworker/retention.h"
#include "bgworker/session.h"
#include "bgworker/settings.h"
#include "bgworker/subscriptions.h"
#include "bgworker/worker_state.h"

namespace historian::bgworker {

namespace {

constexpr int kRereadIntervalMs = 10'000;
constexpr int kErrorDelayMsMax = 60'000;
constexpr int kSoonMs = 20;  // a run was filled: others may still insert into it, so look again, and ever more seldom

enum class Round : uint8 { idle, worked, failed, no_extension };

bool extension_exists() { return OidIsValid(get_extension_oid("historian", true)); }

/// Calls historian.maintain() when it exists; returns the pieces of work that it did.
int64 call_maintain() {
    static const char *const kSchema = "historian";
    static const char *const kFunction = "maintain";
    List *name = list_make2(makeString(pstrdup(kSchema)), makeString(pstrdup(kFunction)));
    if (!OidIsValid(LookupFuncName(name, 0, nullptr, true))) return 0;
    SPI_connect();
    if (SPI_execute("SELECT historian.maintain()", false, 1) != SPI_OK_SELECT || SPI_processed != 1) {
        elog(ERROR, "historian.maintain() returned no row");
    }
    bool is_null;
    const Datum work = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null);
    const int64 result = is_null ? 0 : DatumGetInt64(work);
    SPI_finish();
    return result;
}

/// One transaction of `work`; errors are logged and kept for historian_workers.
template <typename Work>
Round run_round(DatabaseSlot *slot, const char *doing, Work work) {
    volatile Round round = Round::idle;
    MemoryContext context = CurrentMemoryContext;
    PG_TRY();
    {
        begin_transaction(doing);
        round = extension_exists() ? work() : Round::no_extension;
        commit_transaction();
    }
    PG_CATCH();
    {
        MemoryContextSwitchTo(context);
        ErrorData *error = CopyErrorData();
        abort_transaction();
        MemoryContextSwitchTo(context);
        ereport(WARNING, errcode(error->sqlerrcode), errmsg("could not %s: %s", doing, error->message),
                error->detail != nullptr ? errdetail_internal("%s", error->detail) : 0,
                error->context != nullptr ? errcontext("%s", error->context) : 0);
        LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
        copy_problem(slot->problem, error->message);
        LWLockRelease(shared_state->lock);
        FreeErrorData(error);
        round = Round::failed;
    }
    PG_END_TRY();
    return round;
}

Round reread_subscriptions(DatabaseSlot *slot) {
    return run_round(slot, "read MQTT subscriptions", [] {
        publish_subscriptions();
        report_left_sessions();
        return Round::idle;
    });
}

Round maintain_tables(DatabaseSlot *slot) {
    return run_round(slot, "maintain tables", [slot] {
        // Nothing is lost with the last moments of a seal: it is done again.
        SetConfigOption("synchronous_commit", "off", PGC_USERSET, PGC_S_SESSION);
        const int64 work = call_maintain();
        LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
        slot->last_round = GetCurrentTimestamp();
        ++slot->round_count;
        slot->work_count += work;
        LWLockRelease(shared_state->lock);
        return work > 0 ? Round::worked : Round::idle;
    });
}

/// Leaves for good: the launcher does not start a worker here again until CREATE EXTENSION wakes it.
[[noreturn]] void leave_without_extension(DatabaseSlot *slot) {
    withdraw_subscriptions();
    LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
    slot->process.wanted = false;
    LWLockRelease(shared_state->lock);
    // Somebody may have created it between our look and now.
    if (run_round(slot, "look for the extension", [] { return Round::idle; }) != Round::no_extension) {
        LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
        slot->process.wanted = true;
        LWLockRelease(shared_state->lock);
    }
    leave_quietly();
}

/// Takes one of the slot's flags, which others set.
bool take_flag(bool *flag) {
    LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
    const bool asked = *flag;
    *flag = false;
    LWLockRelease(shared_state->lock);
    return asked;
}

// A worker that gives way falls behind when sessions leave it too little of the processors: these rows wait in tails, and every
// query looks at them. So many runs (more than a million points) filled while one round lasted are too many.
constexpr uint32 kFilledRunsMax = 8;
constexpr int kHasteMs = 1800'000;

uint32 count_filled_runs(DatabaseSlot *slot) {
    LWLockAcquire(shared_state->lock, LW_SHARED);
    const uint32 count = slot->filled_runs;
    LWLockRelease(shared_state->lock);
    return count;
}

// The priority of the worker: lowered at its start, never raised again, which takes privileges. A worker that must not give way
// any more leaves, and the next one begins with the server's priority.
class Priority {
public:
    explicit Priority(DatabaseSlot *slot) : slot_(slot), nice_(maintenance_nice) {}

    /// Before a round.
    void adjust() {
        if (maintenance_nice != nice_) leave_quietly();
        if (!is_low_ && GetCurrentTimestamp() >= slot_->in_haste_until) is_low_ = give_way_to_sessions(nice_);
        filled_before_ = count_filled_runs(slot_);
    }

    /// After a round.
    void judge() {
        if (count_filled_runs(slot_) - filled_before_ < kFilledRunsMax) return;
        slot_->in_haste_until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), kHasteMs);
        if (is_low_ && nice_ > 0) leave_quietly();
    }

private:
    DatabaseSlot *slot_;  // whose in_haste_until belongs to the worker
    int nice_;
    bool is_low_ = false;
    uint32 filled_before_ = 0;
};

[[noreturn]] void run_database(DatabaseSlot *slot) {
    TimestampTz reread_at = 0;
    TimestampTz maintain_at = 0;
    TimestampTz retention_at = 0;
    int error_delay_ms = 0;
    int soon_ms = maintenance_interval_ms;
    Priority priority(slot);
    for (;;) {
        ResetLatch(MyLatch);
        if (is_leaving(&slot->process)) leave_quietly();
        CHECK_FOR_INTERRUPTS();
        reload_settings_if_asked();
        priority.adjust();

        if (take_flag(&slot->reread_subscriptions) || GetCurrentTimestamp() >= reread_at) {
            if (reread_subscriptions(slot) == Round::no_extension) leave_without_extension(slot);
            reread_at = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), kRereadIntervalMs);
        }
        Round round = Round::idle;
        if (take_flag(&slot->work_waits) && error_delay_ms == 0) {
            soon_ms = kSoonMs;
            maintain_at = 0;
        }
        if (GetCurrentTimestamp() >= maintain_at) {
            round = maintain_tables(slot);
            priority.judge();
            if (round == Round::no_extension) leave_without_extension(slot);
            if (round == Round::failed) {
                error_delay_ms = Min(Max(error_delay_ms * 2, maintenance_interval_ms), kErrorDelayMsMax);
            } else {
                error_delay_ms = 0;
            }
            const int pause_ms = error_delay_ms > 0 ? error_delay_ms : Min(soon_ms, maintenance_interval_ms);
            soon_ms = Min(2 * soon_ms, maintenance_interval_ms);
            maintain_at = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), pause_ms);
        }
        if (GetCurrentTimestamp() >= retention_at) {
            run_due_policies();
            retention_at = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), maintenance_interval_ms);
        }
        if (round == Round::worked) {
            maintain_at = 0;
            continue;
        }
        pgstat_report_stat(false);
        const TimestampTz next_at = Min(Min(maintain_at, reread_at), retention_at);
        const long wait_ms = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), next_at);
        WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, wait_ms, PG_WAIT_EXTENSION);
    }
}

}  // namespace

}  // namespace historian::bgworker

HISTORIAN_EXPORT void historian_maintenance_main(Datum index) {
    using namespace historian::bgworker;
    DatabaseSlot *slot = &shared_state->databases[DatumGetInt32(index)];
    uint32 generation;
    memcpy(&generation, MyBgworkerEntry->bgw_extra, sizeof generation);
    install_signal_handlers();
    attach_process(&slot->process, generation);
    BackgroundWorkerInitializeConnectionByOid(slot->database, InvalidOid, 0);
    pin_session_settings(0);
    pgstat_report_appname("historian");
    run_database(slot);
}
