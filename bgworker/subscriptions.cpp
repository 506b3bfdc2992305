#include "bgworker/subscriptions.h"

#include "bgworker/session.h"
#include "bgworker/subscription_mapping.h"
#include "bgworker/worker_state.h"

namespace historian::bgworker {

namespace {

// What read_subscription() asks for, in this order.
enum Column {
    kName = 1,
    kOwner,
    kBroker,
    kUsername,
    kPassword,
    kCafile,
    kCertfile,
    kKeyfile,
    kKeypassword,
    kInsecure,
    kClientId,
    kTopic,
    kFormerTopics,
    kInSchema,
    kTarget,
    kQos,
    kProtocol,
    kKeepalive,
    kWorkers,
    kVersion,
    kId,
    kFormat,
    kTimeformat,
    kTz,
    kHeader,
    kDelimiter,
    kMapping,
    kTransform,
};
constexpr const char *kReadSubscription =
    "SELECT name, owner, broker, username, password, cafile, certfile, keyfile, keypassword, insecure, client_id, topic,"
    " pg_catalog.array_to_string(former_topics, ','), in_schema, target, qos, protocol, keepalive, workers, xmin, id,"
    " format, timeformat, tz, header, delimiter,"
    " mapping, transform"
    " FROM historian.mqtt_subscription WHERE ";

/// Copies a column of SPI's current row into the current context; nullptr when it is null.
char *copy_column(uint64 row, int column) { return SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column); }

Datum column_datum(uint64 row, int column) {
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

// ------------------------------------------------------------------------------------------------------------ topic filters

/// Topic filters, each once.
struct FilterSet {
    MemoryContext context;
    const char **filters;
    int count;
};

bool has_filter(const FilterSet &set, const char *filter) {
    for (int i = 0; i < set.count; ++i) {
        if (strcmp(set.filters[i], filter) == 0) return true;
    }
    return false;
}

FilterSet make_filter_set(MemoryContext context, const char *list) {
    // A list has a comma less than filters; former filters come in two forms.
    Size room = 2;
    for (const char *at = list; *at != '\0'; ++at) room += *at == ',' ? 2 : 0;
    return {context, static_cast<const char **>(MemoryContextAlloc(context, room * sizeof(char *))), 0};
}

void add_filter(FilterSet *set, const char *prefix, std::string_view filter) {
    const MemoryContext before = MemoryContextSwitchTo(set->context);
    char *text = psprintf("%s%.*s", prefix, static_cast<int>(filter.size()), filter.data());
    MemoryContextSwitchTo(before);
    if (!has_filter(*set, text)) set->filters[set->count++] = text;
}

/// What to subscribe to: several workers share each topic, as one group of the subscription's own.
FilterSet compose_topics(MemoryContext context, const char *list, const char *share_prefix) {
    FilterSet set = make_filter_set(context, list);
    std::string_view rest(list);
    std::string_view filter;
    while (take_topic_filter(&rest, &filter)) add_filter(&set, share_prefix, filter);
    return set;
}

/// What to unsubscribe from: topics of earlier times in both forms, but for the ones that are wanted now.
FilterSet compose_former_topics(MemoryContext context, const char *list, const char *share_prefix, const FilterSet &wanted) {
    FilterSet set = make_filter_set(context, list);
    std::string_view rest(list[0] == '\0' ? std::string_view{} : std::string_view(list));
    std::string_view filter;
    while (take_topic_filter(&rest, &filter)) {
        add_filter(&set, "", filter);
        if (!is_shared_filter(filter)) add_filter(&set, share_prefix, filter);
    }
    int kept = 0;
    for (int i = 0; i < set.count; ++i) {
        if (!has_filter(wanted, set.filters[i])) set.filters[kept++] = set.filters[i];
    }
    set.count = kept;
    return set;
}

void fill_topics(MemoryContext context, Subscription *subscription) {
    const char *topic = copy_column(0, kTopic);
    const char *former = copy_column(0, kFormerTopics);
    const bool shared = subscription->worker_count > 1;
    const char *share_prefix = psprintf("$share/%s/", compose_client_id(subscription->id, 1, nullptr));
    const FilterSet wanted = compose_topics(context, copy_as_utf8(context, topic), shared ? share_prefix : "");
    const FilterSet stale = compose_former_topics(context, copy_as_utf8(context, former), share_prefix, wanted);
    subscription->topics = {wanted.filters, wanted.count};
    subscription->former_topics = {stale.filters, stale.count};
    subscription->topic_key = copy_text(context, psprintf("%s%s", shared ? "$share " : "", topic));
}

// ------------------------------------------------------------------------------------------------------- one subscription

void fill_payload_options(MemoryContext context, Subscription *subscription) {
    constexpr struct {
        Column column;
        const char *name;
    } kPayloadColumns[] = {
        {kFormat, "format"}, {kTimeformat, "timeformat"}, {kTz, "tz"}, {kHeader, "header"}, {kDelimiter, "delimiter"},
    };
    subscription->payload = PayloadOptions{};
    for (const auto &each : kPayloadColumns) {
        const char *value = copy_text(context, copy_column(0, each.column));
        if (value == nullptr) continue;
        const char *fault = set_payload_option(each.name, value, &subscription->payload);
        if (fault == nullptr) continue;
        ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                errmsg("%s of MQTT subscription \"%s\" %s", each.name, subscription->name, fault));
    }
}

void fill_subscription(MemoryContext context, int worker, Subscription *subscription) {
    subscription->id = DatumGetInt64(column_datum(0, kId));
    subscription->worker = worker;
    subscription->name = copy_text(context, copy_column(0, kName));
    subscription->owner = DatumGetObjectId(column_datum(0, kOwner));
    const char *fault = parse_broker_list(copy_column(0, kBroker), &subscription->brokers);
    if (fault != nullptr) {
        ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                errmsg("invalid broker URL of subscription \"%s\"", subscription->name), errdetail("The cause: %s.", fault));
    }
    subscription->username = copy_text(context, copy_column(0, kUsername));
    subscription->password = copy_text(context, copy_column(0, kPassword));
    subscription->cafile = copy_text(context, copy_column(0, kCafile));
    subscription->certfile = copy_text(context, copy_column(0, kCertfile));
    subscription->keyfile = copy_text(context, copy_column(0, kKeyfile));
    subscription->keypassword = copy_text(context, copy_column(0, kKeypassword));
    subscription->insecure = DatumGetBool(column_datum(0, kInsecure));
    subscription->client_id = copy_text(context, compose_client_id(subscription->id, worker, copy_column(0, kClientId)));
    subscription->default_schema = copy_as_utf8(context, copy_column(0, kInSchema));
    subscription->target = DatumGetObjectId(column_datum(0, kTarget));
    subscription->qos = DatumGetInt32(column_datum(0, kQos));
    subscription->protocol = DatumGetInt32(column_datum(0, kProtocol));
    subscription->keepalive_seconds = DatumGetInt32(column_datum(0, kKeepalive));
    subscription->worker_count = DatumGetInt32(column_datum(0, kWorkers));
    subscription->version = DatumGetTransactionId(column_datum(0, kVersion));
    fill_payload_options(context, subscription);
    const char *mapping = copy_column(0, kMapping);
    subscription->mapping = mapping == nullptr ? nullptr : read_mapping(mapping, context);
    subscription->transform = copy_text(context, copy_column(0, kTransform));
    fill_topics(context, subscription);
}

void fill_sessions(MemoryContext context, Subscription *subscription) {
    Oid types[] = {INT8OID, TEXTOID};
    Datum values[] = {Int64GetDatum(subscription->id), CStringGetTextDatum(subscription->client_id)};
    SPI_execute_with_args(
        "SELECT broker, topic FROM historian.mqtt_session"
        " WHERE subscription OPERATOR(pg_catalog.=) $1 AND client_id OPERATOR(pg_catalog.=) $2",
        lengthof(values), types, values, nullptr, true, 0);
    memset(subscription->session_topic_keys, 0, sizeof subscription->session_topic_keys);
    for (uint64 row = 0; row < SPI_processed; ++row) {
        const char *broker = copy_column(row, 1);
        for (unsigned i = 0; i < subscription->brokers.count; ++i) {
            if (strcmp(broker, describe_broker(subscription->brokers.brokers[i])) != 0) continue;
            subscription->session_topic_keys[i] = copy_text(context, copy_column(row, 2));
        }
    }
}

/// Reads the subscription that a condition on $1 finds.
bool read_one(const char *condition, Oid type, Datum value, int worker, MemoryContext context, Subscription *subscription) {
    bool found = false;
    SPI_connect();
    as_historian_owner([&] {
        SPI_execute_with_args(psprintf("%s%s", kReadSubscription, condition), 1, &type, &value, nullptr, true, 1);
        found = SPI_processed == 1;
        if (found) fill_subscription(context, worker, subscription);
        if (found) fill_sessions(context, subscription);
    });
    SPI_finish();
    return found;
}

/// Runs a statement on a worker's session at one broker: $1 subscription, $2 client id, $3 broker, $4 topic.
void change_session(const Subscription &subscription, unsigned broker_index, const char *statement) {
    SPI_connect();
    as_historian_owner([&] {
        Oid types[] = {INT8OID, TEXTOID, TEXTOID, TEXTOID};
        Datum values[] = {Int64GetDatum(subscription.id), CStringGetTextDatum(subscription.client_id),
                          CStringGetTextDatum(describe_broker(subscription.brokers.brokers[broker_index])),
                          CStringGetTextDatum(subscription.topic_key)};
        SPI_execute_with_args(statement, lengthof(values), types, values, nullptr, false, 0);
    });
    SPI_finish();
}

// --------------------------------------------------------------------------------------------------- all, for the launcher

/// A subscription of this database, as publish_subscriptions() reads it.
struct Listed {
    int64 id;
    Oid owner;
    const char *name;
    bool runs;
    int worker_count;
    TransactionId version;
};

/// One worker should run: gives it a slot. The caller holds the lock; false when there is none left.
bool want_worker(const Listed &listed, int worker) {
    SubscriptionSlot *slot = find_subscription_slot(MyDatabaseId, listed.id, worker);
    if (slot == nullptr) {
        for (SubscriptionSlot &each : shared_state->subscriptions) {
            if (!OidIsValid(each.database)) slot = &each;
        }
        if (slot == nullptr) return false;
        const uint32 generation = slot->process.generation;
        memset(slot, 0, sizeof *slot);
        slot->process.generation = generation;
        slot->database = MyDatabaseId;
        slot->subscription = listed.id;
        slot->worker = worker;
        slot->owner = listed.owner;
    }
    const bool outdated = TransactionIdIsValid(slot->loaded_version) && slot->loaded_version != listed.version;
    const bool must_stop = slot->owner != listed.owner || outdated;
    if (slot->stored_version != listed.version) {
        // What was wrong may be right now: no waiting.
        slot->process.not_before = 0;
        slot->process.failure_count = 0;
    }
    slot->stored_version = listed.version;
    slot->owner = listed.owner;
    strlcpy(NameStr(slot->name), listed.name, NAMEDATALEN);
    slot->process.wanted = true;
    slot->forget_session = false;
    slot->drain_session = false;
    // Last: who is asked to stop looks at once why.
    if (must_stop) request_stop(&slot->process);
    return true;
}

/// Slots of workers that are not needed any more. The caller holds the lock.
void withdraw_unlisted(const Listed *listed, uint64 listed_count) {
    for (SubscriptionSlot &slot : shared_state->subscriptions) {
        if (slot.database != MyDatabaseId) continue;
        const Listed *found = nullptr;
        for (uint64 i = 0; i < listed_count; ++i) {
            if (listed[i].id == slot.subscription) found = &listed[i];
        }
        const bool surplus = found != nullptr && slot.worker > found->worker_count;
        if (found != nullptr && found->runs && !surplus) continue;
        slot.forget_session = found == nullptr || surplus;
        slot.drain_session = surplus;
        slot.process.wanted = false;
    }
}

}  // namespace

bool read_subscription(int64 id, int worker, MemoryContext context, Subscription *subscription) {
    return read_one("id OPERATOR(pg_catalog.=) $1 AND enabled", INT8OID, Int64GetDatum(id), worker, context, subscription);
}

bool find_subscription(const char *name, MemoryContext context, Subscription *subscription) {
    return read_one("name OPERATOR(pg_catalog.=) $1", TEXTOID, CStringGetTextDatum(name), 1, context, subscription);
}

char *compose_client_id(int64 id, int worker, const char *chosen) {
    char *whole = chosen != nullptr ? pstrdup(chosen)
                                    : psprintf("historian-%llx-%u-%lld", static_cast<unsigned long long>(GetSystemIdentifier()),
                                               MyDatabaseId, static_cast<long long>(id));
    return worker == 1 ? whole : psprintf("%s-%d", whole, worker);
}

char *describe_broker(const BrokerAddress &broker) {
    const bool bracketed = strchr(broker.host, ':') != nullptr;
    return psprintf("%s%s%s:%u", bracketed ? "[" : "", broker.host, bracketed ? "]" : "", static_cast<unsigned>(broker.port));
}

void note_session(Subscription *subscription, unsigned broker_index) {
    change_session(*subscription, broker_index,
                   "INSERT INTO historian.mqtt_session (subscription, client_id, broker, topic)"
                   " SELECT $1, $2, $3, $4 WHERE EXISTS"
                   " (SELECT FROM historian.mqtt_subscription WHERE id OPERATOR(pg_catalog.=) $1)"
                   " ON CONFLICT (subscription, client_id, broker) DO UPDATE SET topic = excluded.topic");
    subscription->session_topic_keys[broker_index] = subscription->topic_key;
}

void forget_noted_session(Subscription *subscription, unsigned broker_index) {
    change_session(*subscription, broker_index,
                   "DELETE FROM historian.mqtt_session WHERE subscription OPERATOR(pg_catalog.=) $1"
                   " AND client_id OPERATOR(pg_catalog.=) $2 AND broker OPERATOR(pg_catalog.=) $3");
    subscription->session_topic_keys[broker_index] = nullptr;
}

void publish_subscriptions() {
    uint64 missed = 0;
    SPI_connect();
    // A subscription whose owner cannot have a session is left asleep: mqtt_status says why.
    SPI_execute(
        "SELECT id, owner, name, enabled AND historian.mqtt_owner_problem(owner) IS NULL, workers, xmin"
        " FROM historian.mqtt_subscription ORDER BY id",
        true, 0);
    const uint64 count = SPI_processed;
    auto *listed = static_cast<Listed *>(palloc(sizeof(Listed) * (count + 1)));
    for (uint64 i = 0; i < count; ++i) {
        listed[i] = {
            DatumGetInt64(column_datum(i, 1)), DatumGetObjectId(column_datum(i, 2)), copy_column(i, 3),
            DatumGetBool(column_datum(i, 4)),  DatumGetInt32(column_datum(i, 5)),    DatumGetTransactionId(column_datum(i, 6))};
    }
    LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
    for (uint64 i = 0; i < count; ++i) {
        for (int worker = 1; listed[i].runs && worker <= listed[i].worker_count; ++worker) {
            if (!want_worker(listed[i], worker)) ++missed;
        }
    }
    withdraw_unlisted(listed, count);
    wake_launcher();
    LWLockRelease(shared_state->lock);
    SPI_finish();
    if (missed > 0) {
        ereport(WARNING, errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                errmsg("historian runs at most %d workers of MQTT subscriptions", kSubscriptionCountMax),
                errdetail("%llu workers of this database do not run.", static_cast<unsigned long long>(missed)));
    }
}

void withdraw_subscriptions() {
    LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
    withdraw_unlisted(nullptr, 0);
    wake_launcher();
    LWLockRelease(shared_state->lock);
}

}  // namespace historian::bgworker
