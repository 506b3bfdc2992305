#include "bgworker/left_sessions.h"

#include "bgworker/link_history.h"
#include "bgworker/session.h"
#include "bgworker/subscriptions.h"
#include "bgworker/worker_state.h"

namespace historian::bgworker {

namespace {

/// A row of historian.mqtt_session beside its subscription.
struct NotedSession {
    int64 subscription;
    char *client_id;
    char *broker;  ///< host:port
    char *name;
    Oid owner;
    char *brokers;           ///< of the subscription now
    char *chosen_client_id;  ///< nullptr: ours
    int worker_count;
};

constexpr const char *kReadSessions =
    "SELECT s.subscription, s.client_id, s.broker, m.name, m.owner, m.broker, m.client_id, m.workers"
    " FROM historian.mqtt_session AS s"
    " JOIN historian.mqtt_subscription AS m ON m.id OPERATOR(pg_catalog.=) s.subscription";

NotedSession session_at(uint64 row) {
    const HeapTuple tuple = SPI_tuptable->vals[row];
    const TupleDesc desc = SPI_tuptable->tupdesc;
    const auto datum = [tuple, desc](int column) {
        bool is_null;
        return SPI_getbinval(tuple, desc, column, &is_null);
    };
    const auto text = [tuple, desc](int column) { return SPI_getvalue(tuple, desc, column); };
    return {DatumGetInt64(datum(1)),    text(2), text(3), text(4),
            DatumGetObjectId(datum(5)), text(6), text(7), DatumGetInt32(datum(8))};
}

bool has_broker(const NotedSession &session) {
    BrokerList list;
    // What cannot be read is no reason to give a session up.
    if (parse_broker_list(session.brokers, &list) != nullptr) return true;
    for (unsigned i = 0; i < list.count; ++i) {
        if (strcmp(session.broker, describe_broker(list.brokers[i])) == 0) return true;
    }
    return false;
}

bool has_client(const NotedSession &session) {
    for (int worker = 1; worker <= session.worker_count; ++worker) {
        if (strcmp(session.client_id, compose_client_id(session.subscription, worker, session.chosen_client_id)) == 0)
            return true;
    }
    return false;
}

/// Whether a worker of the subscription is still what it was before the latest change.
bool has_worker_behind(int64 subscription) {
    bool found = false;
    LWLockAcquire(shared_state->lock, LW_SHARED);
    for (const SubscriptionSlot &slot : shared_state->subscriptions) {
        if (slot.database != MyDatabaseId || slot.subscription != subscription) continue;
        if (slot.process.phase == WorkerPhase::idle) continue;
        found |= !slot.process.wanted || slot.loaded_version != slot.stored_version;
    }
    LWLockRelease(shared_state->lock);
    return found;
}

void report(const NotedSession &session) {
    Oid types[] = {INT8OID, TEXTOID, TEXTOID};
    Datum values[] = {Int64GetDatum(session.subscription), CStringGetTextDatum(session.client_id),
                      CStringGetTextDatum(session.broker)};
    SPI_execute_with_args(
        "DELETE FROM historian.mqtt_session WHERE subscription OPERATOR(pg_catalog.=) $1"
        " AND client_id OPERATOR(pg_catalog.=) $2 AND broker OPERATOR(pg_catalog.=) $3",
        lengthof(types), types, values, nullptr, false, 0);
    // The worker has taken it up or forgotten it meanwhile.
    if (SPI_processed == 0) return;
    insert_gap(session.name, session.owner,
               {.kind = "session_left",
                .detail = psprintf("%s keeps messages for client \"%s\", which the subscription is no more", session.broker,
                                   session.client_id),
                .since = 0,
                .until = GetCurrentTimestamp()});
    SPI_execute_with_args(
        "UPDATE historian.mqtt_progress SET gaps = gaps OPERATOR(pg_catalog.+) 1"
        " WHERE subscription OPERATOR(pg_catalog.=) $1 AND worker OPERATOR(pg_catalog.=) 1",
        1, types, values, nullptr, false, 0);
    ereport(WARNING, errmsg("the session of MQTT subscription \"%s\" stays at the broker", session.name),
            errdetail("It could not be emptied when the subscription was changed; %s goes on keeping messages for client \"%s\".",
                      session.broker, session.client_id),
            errhint("Change the subscription back for a while to fetch them, or remove the session at the broker."));
}

}  // namespace

void report_left_sessions() {
    static SPIPlanPtr kept = nullptr;
    SPI_connect();
    as_historian_owner([] {
        SPI_execute_plan(prepare_once(&kept, kReadSessions, nullptr, 0), nullptr, nullptr, true, 0);
        const uint64 count = SPI_processed;
        auto *sessions = static_cast<NotedSession *>(palloc(sizeof(NotedSession) * (count + 1)));
        for (uint64 i = 0; i < count; ++i) sessions[i] = session_at(i);
        for (uint64 i = 0; i < count; ++i) {
            const bool is_left = !has_broker(sessions[i]) || !has_client(sessions[i]);
            if (is_left && !has_worker_behind(sessions[i].subscription)) report(sessions[i]);
        }
    });
    SPI_finish();
}

}  // namespace historian::bgworker
