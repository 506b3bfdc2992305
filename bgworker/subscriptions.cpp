#include "bgworker/subscriptions.h"

#include "bgworker/session.h"
#include "bgworker/worker_state.h"

namespace historian::bgworker {

namespace {

/// Copies a column of SPI's current row into the current context; nullptr when it is null.
char *copy_column(int row, int column) {
    char *value = SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column);
    return value;
}

Datum column_datum(int row, int column) {
    bool is_null;
    const Datum value = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &is_null);
    return is_null ? static_cast<Datum>(0) : value;
}

const char *copy_text(MemoryContext context, const char *text) {
    return text == nullptr ? nullptr : MemoryContextStrdup(context, text);
}

/// A text of the database as UTF-8, which is what MQTT speaks.
const char *copy_as_utf8(MemoryContext context, const char *text) {
    return MemoryContextStrdup(context, pg_server_to_any(text, static_cast<int>(strlen(text)), PG_UTF8));
}

void fill_subscription(MemoryContext context, Subscription *subscription) {
    subscription->name = copy_text(context, copy_column(0, 1));
    subscription->owner = DatumGetObjectId(column_datum(0, 2));
    const char *fault = parse_broker_url(copy_column(0, 3), &subscription->broker);
    if (fault != nullptr) {
        ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                errmsg("invalid broker URL of subscription \"%s\"", subscription->name), errdetail("The cause: %s.", fault));
    }
    subscription->username = copy_text(context, copy_column(0, 4));
    subscription->password = copy_text(context, copy_column(0, 5));
    subscription->ca_file = copy_text(context, copy_column(0, 6));
    subscription->topic = copy_as_utf8(context, copy_column(0, 7));
    subscription->target = DatumGetObjectId(column_datum(0, 8));
    subscription->default_schema = copy_as_utf8(context, copy_column(0, 9));
    subscription->qos = DatumGetInt16(column_datum(0, 10));
    subscription->session_started = DatumGetBool(column_datum(0, 11));
}

/// One subscription of this database should run: gives it a slot. The caller holds the lock; false when there is none left.
bool want_subscription(int64 id, Oid owner, const char *name) {
    SubscriptionSlot *slot = find_subscription_slot(MyDatabaseId, id);
    if (slot == nullptr) {
        for (SubscriptionSlot &each : shared_state->subscriptions) {
            if (!OidIsValid(each.database)) slot = &each;
        }
        if (slot == nullptr) return false;
        const uint32 generation = slot->process.generation;
        memset(slot, 0, sizeof *slot);
        slot->process.generation = generation;
        slot->database = MyDatabaseId;
        slot->subscription = id;
        slot->owner = owner;
    }
    if (slot->owner != owner) request_stop(&slot->process);
    slot->owner = owner;
    strlcpy(NameStr(slot->name), name, NAMEDATALEN);
    slot->process.wanted = true;
    slot->forget_session = false;
    return true;
}

struct Listed {
    int64 id;
    bool enabled;
};

/// Slots of subscriptions that were dropped or disabled are not wanted any more. The caller holds the lock.
void withdraw_unlisted(const Listed *listed, uint64 listed_count) {
    for (SubscriptionSlot &slot : shared_state->subscriptions) {
        if (slot.database != MyDatabaseId) continue;
        bool exists = false;
        bool enabled = false;
        for (uint64 i = 0; i < listed_count; ++i) {
            if (listed[i].id != slot.subscription) continue;
            exists = true;
            enabled = listed[i].enabled;
        }
        if (enabled) continue;
        slot.forget_session = !exists;
        slot.process.wanted = false;
    }
}

}  // namespace

bool read_subscription(int64 id, MemoryContext context, Subscription *subscription) {
    bool found = false;
    SPI_connect();
    as_historian_owner([&] {
        Oid types[] = {INT8OID};
        Datum values[] = {Int64GetDatum(id)};
        SPI_execute_with_args(
            "SELECT name, owner, broker, username, password, ca_file, topic, target, default_schema, qos, session_started"
            " FROM historian.mqtt_subscription WHERE id OPERATOR(pg_catalog.=) $1 AND enabled",
            1, types, values, nullptr, true, 1);
        found = SPI_processed == 1;
        if (found) fill_subscription(context, subscription);
    });
    SPI_finish();
    subscription->id = id;
    return found;
}

char *compose_client_id(int64 id) {
    return psprintf("historian-%llx-%u-%lld", static_cast<unsigned long long>(GetSystemIdentifier()), MyDatabaseId,
                    static_cast<long long>(id));
}

void mark_session_started(int64 id) {
    SPI_connect();
    as_historian_owner([id] {
        Oid types[] = {INT8OID};
        Datum values[] = {Int64GetDatum(id)};
        SPI_execute_with_args(
            "UPDATE historian.mqtt_subscription SET session_started = true"
            " WHERE id OPERATOR(pg_catalog.=) $1 AND NOT session_started",
            1, types, values, nullptr, false, 0);
    });
    SPI_finish();
}

void publish_subscriptions() {
    uint64 missed = 0;
    SPI_connect();
    // A role that was dropped leaves its subscriptions behind, asleep: their worker could not start.
    SPI_execute(
        "SELECT id, owner, name, enabled AND EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.oid OPERATOR(pg_catalog.=) "
        "s.owner)"
        " FROM historian.mqtt_subscription s ORDER BY id",
        true, 0);
    const uint64 count = SPI_processed;
    auto *listed = static_cast<Listed *>(palloc(sizeof(Listed) * (count + 1)));
    auto **names = static_cast<char **>(palloc(sizeof(char *) * (count + 1)));
    auto *owners = static_cast<Oid *>(palloc(sizeof(Oid) * (count + 1)));
    for (uint64 i = 0; i < count; ++i) {
        listed[i] = {DatumGetInt64(column_datum(i, 1)), DatumGetBool(column_datum(i, 4))};
        owners[i] = DatumGetObjectId(column_datum(i, 2));
        names[i] = copy_column(i, 3);
    }
    LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
    for (uint64 i = 0; i < count; ++i) {
        if (listed[i].enabled && !want_subscription(listed[i].id, owners[i], names[i])) ++missed;
    }
    withdraw_unlisted(listed, count);
    wake_launcher();
    LWLockRelease(shared_state->lock);
    SPI_finish();
    if (missed > 0) {
        ereport(WARNING, errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                errmsg("historian runs at most %d MQTT subscriptions", kSubscriptionCountMax),
                errdetail("%llu subscriptions of this database do not run.", static_cast<unsigned long long>(missed)));
    }
}

void withdraw_subscriptions() {
    LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
    withdraw_unlisted(nullptr, 0);
    wake_launcher();
    LWLockRelease(shared_state->lock);
}

}  // namespace historian::bgworker
