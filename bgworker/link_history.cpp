#include "bgworker/link_history.h"

#include "bgworker/session.h"

namespace historian::bgworker {

namespace {

constexpr int kSeenIntervalMs = 60'000;   // a gap is known to begin within so much, whatever dies
constexpr int kRetryIntervalMs = 10'000;  // when the server cannot write
constexpr int kWaitingGapsMax = 16;
constexpr int kGapsKept = 1000;
constexpr int64 kNeverExpires = -1;

/// A gap that is still to be written.
struct WaitingGap {
    Gap gap;
    char detail[256];
};

struct LinkHistory {
    bool connected;
    char broker[320];       ///< of the last connection, as a URL
    TimestampTz last_seen;  ///< 0: not known
    TimestampTz written_at;
    TimestampTz retry_at;
    int64 session_expiry_seconds;
    // What is to be added to the row.
    int64 connect_count;
    int64 session_lost_count;
    bool is_changed;
    WaitingGap gaps[kWaitingGapsMax];
    int gap_count;
};

LinkHistory history;

WaitingGap *add_gap(const char *kind, TimestampTz since, TimestampTz until) {
    // While the server cannot write, the last place serves all that follow.
    WaitingGap *waiting = &history.gaps[Min(history.gap_count, kWaitingGapsMax - 1)];
    history.gap_count = Min(history.gap_count + 1, kWaitingGapsMax);
    waiting->gap = {kind, waiting->detail, since, until};
    history.is_changed = true;
    return waiting;
}

/// The session at `broker` was there once and is not now. Between other brokers than this one nobody knows since when.
void add_lost_session(const char *broker, TimestampTz now) {
    const bool known = history.last_seen != 0 && strcmp(history.broker, broker) == 0;
    const TimestampTz since = known ? history.last_seen : 0;
    const int64 expiry = history.session_expiry_seconds;
    const int64 away = known ? (now - since) / USECS_PER_SEC : 0;
    if (known && expiry != kNeverExpires && away >= expiry) {
        WaitingGap *gap = add_gap("session_expired", since, now);
        snprintf(gap->detail, sizeof gap->detail, "away for %lld s, and %s keeps sessions for %lld s",
                 static_cast<long long>(away), broker, static_cast<long long>(expiry));
    } else {
        WaitingGap *gap = add_gap("session_lost", since, now);
        snprintf(gap->detail, sizeof gap->detail, "%s has no session for us any more", broker);
    }
    ++history.session_lost_count;
}

// ------------------------------------------------------------------------------------------------------------------ the tables

Datum time_or_null(TimestampTz time, char *null) {
    *null = time == 0 ? 'n' : ' ';
    return TimestampTzGetDatum(time);
}

/// Two clients of one id throw each other out every few seconds, a bad line breaks again and again: one row an hour tells that.
bool extend_last_gap(const char *subscription, Oid owner, const Gap &gap) {
    Oid types[] = {TEXTOID, OIDOID, TEXTOID, TIMESTAMPTZOID};
    Datum values[] = {CStringGetTextDatum(subscription), ObjectIdGetDatum(owner), CStringGetTextDatum(gap.kind),
                      TimestampTzGetDatum(gap.until)};
    SPI_execute_with_args(
        "UPDATE historian.mqtt_gap SET until = $4, times = times OPERATOR(pg_catalog.+) 1"
        " WHERE id OPERATOR(pg_catalog.=) (SELECT pg_catalog.max(id) FROM historian.mqtt_gap"
        " WHERE subscription OPERATOR(pg_catalog.=) $1 AND owner OPERATOR(pg_catalog.=) $2)"
        " AND kind OPERATOR(pg_catalog.=) $3 AND kind OPERATOR(pg_catalog.=) ANY ('{session_taken_over,not_connected}')"
        " AND at OPERATOR(pg_catalog.>) ($4 OPERATOR(pg_catalog.-) '1 hour'::pg_catalog.interval)",
        lengthof(types), types, values, nullptr, false, 0);
    return SPI_processed > 0;
}

}  // namespace

void insert_gap(const char *subscription, Oid owner, const Gap &gap) {
    if (extend_last_gap(subscription, owner, gap)) return;
    char nulls[] = {' ', ' ', ' ', ' ', ' ', ' ', '\0'};
    Oid types[] = {TEXTOID, OIDOID, TEXTOID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID};
    Datum values[] = {CStringGetTextDatum(subscription), ObjectIdGetDatum(owner),
                      CStringGetTextDatum(gap.kind),            CStringGetTextDatum(gap.detail),
                      time_or_null(gap.since, &nulls[4]),       TimestampTzGetDatum(gap.until)};
    SPI_execute_with_args("INSERT INTO historian.mqtt_gap (subscription, owner, kind, detail, since, until)"
                          " VALUES ($1, $2, $3, $4, $5, $6)",
                          lengthof(types), types, values, nulls, false, 0);
    values[2] = Int64GetDatum(kGapsKept);
    types[2] = INT8OID;
    SPI_execute_with_args(
        "DELETE FROM historian.mqtt_gap WHERE subscription OPERATOR(pg_catalog.=) $1 AND owner OPERATOR(pg_catalog.=) $2"
        " AND id OPERATOR(pg_catalog.<=) (SELECT id FROM historian.mqtt_gap WHERE subscription OPERATOR(pg_catalog.=) $1"
        " AND owner OPERATOR(pg_catalog.=) $2 ORDER BY id DESC OFFSET $3 LIMIT 1)",
        3, types, values, nullptr, false, 0);
}

namespace {

void update_row(const Subscription &subscription, TimestampTz last_seen) {
    char nulls[] = {' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', '\0'};
    Oid types[] = {INT8OID, INT2OID, INT8OID, INT8OID, INT8OID, TIMESTAMPTZOID, INT8OID, TEXTOID};
    const bool expires = history.session_expiry_seconds != kNeverExpires;
    nulls[6] = expires ? ' ' : 'n';
    Datum values[] = {Int64GetDatum(subscription.id),
                      Int16GetDatum(static_cast<int16>(subscription.worker)),
                      Int64GetDatum(history.connect_count),
                      Int64GetDatum(history.session_lost_count),
                      Int64GetDatum(history.gap_count),
                      time_or_null(last_seen, &nulls[5]),
                      Int64GetDatum(history.session_expiry_seconds),
                      CStringGetTextDatum(history.broker)};
    SPI_execute_with_args(
        "UPDATE historian.mqtt_progress SET connects = connects OPERATOR(pg_catalog.+) $3,"
        " sessions_lost = sessions_lost OPERATOR(pg_catalog.+) $4, gaps = gaps OPERATOR(pg_catalog.+) $5,"
        " last_seen = GREATEST(last_seen, $6), session_expiry = $7, broker = $8"
        " WHERE subscription OPERATOR(pg_catalog.=) $1 AND worker OPERATOR(pg_catalog.=) $2",
        lengthof(types), types, values, nulls, false, 0);
}

/// False, after a log line, when the server cannot write now.
bool try_to_write(const Subscription &subscription, TimestampTz last_seen) {
    volatile bool written = false;
    MemoryContext before = CurrentMemoryContext;
    PG_TRY();
    {
        begin_transaction("note the MQTT connection");
        SPI_connect();
        as_historian_owner([&subscription, last_seen] {
            for (int i = 0; i < history.gap_count; ++i) insert_gap(subscription.name, subscription.owner, history.gaps[i].gap);
            update_row(subscription, last_seen);
        });
        SPI_finish();
        if (history.gap_count > 0) {
            commit_durably();
        } else {
            commit_transaction();
        }
        written = true;
    }
    PG_CATCH();
    {
        MemoryContextSwitchTo(before);
        ErrorData *error = CopyErrorData();
        abort_transaction();
        MemoryContextSwitchTo(before);
        ereport(LOG, errcode(error->sqlerrcode),
                errmsg("could not note the connection of MQTT subscription \"%s\": %s", subscription.name, error->message));
        FreeErrorData(error);
    }
    PG_END_TRY();
    return written;
}

}  // namespace

void open_link_history(const Subscription &subscription) {
    history = {};
    history.session_expiry_seconds = kNeverExpires;
    SPI_connect();
    as_historian_owner([&subscription] {
        Oid types[] = {INT8OID, INT2OID};
        Datum values[] = {Int64GetDatum(subscription.id), Int16GetDatum(static_cast<int16>(subscription.worker))};
        SPI_execute_with_args(
            "INSERT INTO historian.mqtt_progress (subscription, worker) VALUES ($1, $2) ON CONFLICT DO NOTHING", lengthof(types),
            types, values, nullptr, false, 0);
        SPI_execute_with_args("SELECT last_seen, session_expiry, broker FROM historian.mqtt_progress"
                              " WHERE subscription OPERATOR(pg_catalog.=) $1 AND worker OPERATOR(pg_catalog.=) $2",
                              lengthof(types), types, values, nullptr, false, 1);
        if (SPI_processed != 1) return;
        bool is_null;
        const Datum seen = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null);
        if (!is_null) history.last_seen = DatumGetTimestampTz(seen);
        const Datum expiry = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &is_null);
        if (!is_null) history.session_expiry_seconds = DatumGetInt64(expiry);
        const char *broker = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 3);
        if (broker != nullptr) strlcpy(history.broker, broker, sizeof history.broker);
    });
    SPI_finish();
}

void note_connection(const Subscription &subscription, const AcceptedConnection &connection) {
    const TimestampTz now = GetCurrentTimestamp();
    const BrokerAddress &address = subscription.brokers.brokers[connection.broker_index];
    char *place = describe_broker(address);
    char *broker = psprintf("%s://%s", address.tls ? "mqtts" : "mqtt", place);
    if (!connection.link->session_present() && connection.session_expected) {
        add_lost_session(broker, now);
    } else if (subscription.qos == 0 && history.last_seen != 0) {
        WaitingGap *gap = add_gap("not_connected", history.last_seen, now);
        strlcpy(gap->detail, "messages of quality of service 0 are not kept for a client that is away", sizeof gap->detail);
    }
    ++history.connect_count;
    history.connected = true;
    history.last_seen = now;
    strlcpy(history.broker, broker, sizeof history.broker);
    pfree(broker);
    pfree(place);
    const bool expires = connection.link->session_expires();
    history.session_expiry_seconds = expires ? static_cast<int64>(connection.link->session_expiry_seconds()) : kNeverExpires;
    history.is_changed = true;
}

void note_disconnection(bool taken_over) {
    if (!history.connected) return;
    const TimestampTz now = GetCurrentTimestamp();
    if (taken_over) {
        WaitingGap *gap = add_gap("session_taken_over", now, now);
        strlcpy(gap->detail, "another client with our id took over the session, and what it acknowledges", sizeof gap->detail);
    }
    history.connected = false;
    history.last_seen = now;
    history.is_changed = true;
}

void write_link_history(const Subscription &subscription) {
    const TimestampTz now = GetCurrentTimestamp();
    if (history.connected) history.last_seen = now;
    const bool is_due = history.connected && TimestampDifferenceExceeds(history.written_at, now, kSeenIntervalMs);
    if (!(history.is_changed || is_due) || now < history.retry_at) return;
    if (!try_to_write(subscription, history.last_seen)) {
        history.retry_at = TimestampTzPlusMilliseconds(now, kRetryIntervalMs);
        return;
    }
    history.written_at = now;
    history.retry_at = 0;
    history.connect_count = 0;
    history.session_lost_count = 0;
    history.gap_count = 0;
    history.is_changed = false;
}

}  // namespace historian::bgworker
