// What mqtt_status and historian_workers show: the slots of shared memory as rows.
#include "bgworker/worker_state.h"

extern "C" {
#include "catalog/pg_authid.h"
}

namespace historian::bgworker {

namespace {

const char *describe_link(const SubscriptionSlot &slot) {
    if (slot.process.phase != WorkerPhase::running) return slot.process.wanted ? "starting" : "stopped";
    switch (slot.link) {
        case LinkState::stopped: return "stopped";
        case LinkState::connecting: return "connecting";
        case LinkState::subscribing: return "subscribing";
        case LinkState::receiving: return "receiving";
        case LinkState::waiting: return "waiting";
    }
    return nullptr;
}

/// Collects the columns of one row.
struct RowWriter {
    Datum values[20];
    bool nulls[20];
    int count;

    void add(Datum value, bool is_null = false) {
        values[count] = value;
        nulls[count++] = is_null;
    }
    void add_time(TimestampTz time) { add(TimestampTzGetDatum(time), time == 0); }
    void add_text(const char *text) {
        const bool is_null = text == nullptr || text[0] == '\0';
        add(is_null ? static_cast<Datum>(0) : CStringGetTextDatum(text), is_null);
    }
};

}  // namespace

}  // namespace historian::bgworker

using namespace historian::bgworker;

/// historian.mqtt_worker_status(): one row per worker of a subscription of this database that has a slot.
HISTORIAN_SQL_FUNCTION(historian_mqtt_worker_status) {
    require_preloaded();
    InitMaterializedSRF(fcinfo, 0);
    auto *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
    const bool sees_all = has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS);
    // A copy, so that nothing that may fail runs under the lock.
    auto *slots = static_cast<SubscriptionSlot *>(palloc(sizeof shared_state->subscriptions));
    LWLockAcquire(shared_state->lock, LW_SHARED);
    memcpy(slots, shared_state->subscriptions, sizeof shared_state->subscriptions);
    LWLockRelease(shared_state->lock);
    for (int i = 0; i < kSubscriptionCountMax; ++i) {
        const SubscriptionSlot &slot = slots[i];
        if (slot.database != MyDatabaseId || !(sees_all || has_privs_of_role(GetUserId(), slot.owner))) continue;
        RowWriter row{};
        row.add(Int64GetDatum(slot.subscription));
        row.add(Int32GetDatum(slot.worker));
        row.add_text(describe_link(slot));
        row.add(Int32GetDatum(slot.process.pid), slot.process.pid == 0);
        row.add_time(slot.connected_since);
        row.add_text(slot.protocol == 0 ? nullptr : slot.protocol == 5 ? "5" : "3.1.1");
        row.add(BoolGetDatum(slot.session_present), slot.protocol == 0);
        row.add_text(slot.problem);
        tuplestore_putvalues(result->setResult, result->setDesc, row.values, row.nulls);
    }
    return static_cast<Datum>(0);
}

/// historian.database_worker_status(): one row per database that was looked at; other databases' for pg_read_all_stats only.
HISTORIAN_SQL_FUNCTION(historian_database_worker_status) {
    require_preloaded();
    InitMaterializedSRF(fcinfo, 0);
    auto *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
    const bool sees_all = has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS);
    auto *slots = static_cast<DatabaseSlot *>(palloc(sizeof shared_state->databases));
    LWLockAcquire(shared_state->lock, LW_SHARED);
    memcpy(slots, shared_state->databases, sizeof shared_state->databases);
    LWLockRelease(shared_state->lock);
    for (int i = 0; i < kDatabaseCountMax; ++i) {
        const DatabaseSlot &slot = slots[i];
        if (!OidIsValid(slot.database) || !(sees_all || slot.database == MyDatabaseId)) continue;
        RowWriter row{};
        row.add(ObjectIdGetDatum(slot.database));
        row.add(Int32GetDatum(slot.process.pid), slot.process.pid == 0);
        row.add_text(slot.process.phase == WorkerPhase::running ? "running" : slot.process.wanted ? "starting" : "not needed");
        row.add_time(slot.last_round);
        row.add(Int64GetDatum(slot.round_count));
        row.add(Int64GetDatum(slot.work_count));
        row.add_text(slot.problem);
        tuplestore_putvalues(result->setResult, result->setDesc, row.values, row.nulls);
    }
    return static_cast<Datum>(0);
}
