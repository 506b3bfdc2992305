// Which broker of the subscription's list a worker talks to, at which address, with which options; and how it takes leave of it.
//
// The list is tried in order. A failure leads to the host's next address, then to the next broker, at once; only when all have
// failed the worker waits. A connection that held for half a minute leads back to the first.
#include "bgworker/mqtt_worker.h"
#include "bgworker/session.h"
#include "bgworker/settings.h"

namespace historian::bgworker {

namespace {

constexpr int kNameTimeoutMs = 30'000;
constexpr int kForgetTimeoutMs = 5'000;
constexpr int kForgetAllTimeoutMs = 10'000;  // the launcher's patience is a little longer

const BrokerAddress &current_broker() { return worker.subscription.brokers.brokers[worker.broker_index]; }

/// A connect that does not wait tries one address only, so we choose it. nullptr with a reason in the link's problem(), or when
/// the worker is to leave.
const char *find_address() {
    constexpr const char *kDoing = "could not resolve the broker's host";
    Resolver &resolver = worker.resolver;
    const bool began = resolver.begin(worker.options.tls.host, debug_mqtt_name_delay_ms);
    if (began && !wait_for_address(kNameTimeoutMs)) {
        resolver.abandon();
        static_assert(kNameTimeoutMs == 30'000);
        if (!leaving()) worker.link.fail(kDoing, "no answer within 30 s");
        return nullptr;
    }
    if (!began || !resolver.finish()) {
        worker.link.fail(kDoing, resolver.problem());
        return nullptr;
    }
    if (worker.address_index >= resolver.address_count()) worker.address_index = 0;
    return resolver.address(worker.address_index);
}

void choose_broker(unsigned index) {
    worker.broker_index = index;
    worker.address_index = 0;
    // What one broker does not know the next one may.
    if (worker.subscription.brokers.count > 1) worker.options.mqtt5 = worker.subscription.protocol == 5;
    fill_options();
}

/// Deletes the session at the current broker.
bool forget_session() {
    const TimestampTz begin = GetCurrentTimestamp();
    bool alive = open_connection(true);
    if (alive) open_events();
    while (alive && !worker.link.is_accepted() && !ProcDiePending && !has_passed(begin, kForgetTimeoutMs)) {
        if (worker.link.wants_write()) alive = worker.link.write_pending();
        if (alive) alive = worker.link.receive_packet();
        if (alive && !worker.link.is_accepted()) wait_for_socket(wanted_socket_events(), 100);
    }
    const bool forgotten = alive && worker.link.is_accepted();
    if (forgotten) worker.link.say_goodbye();
    close_events();
    worker.link.close();
    return forgotten;
}

/// The same, told to the table of sessions or to the log.
void forget_and_note_session() {
    if (forget_session()) {
        begin_transaction("forget the MQTT session");
        forget_noted_session(&worker.subscription, worker.broker_index);
        commit_transaction();
        return;
    }
    ereport(WARNING, errmsg("could not delete the session of MQTT subscription \"%s\" at the broker", worker.subscription.name),
            errdetail("The broker %s:%d may go on keeping messages for client \"%s\".", worker.options.tls.host,
                      worker.options.port, worker.options.client_id));
}

/// At each broker that has one: the current one may have, from CONNECT on.
void forget_all_sessions() {
    const TimestampTz begin = GetCurrentTimestamp();
    const unsigned current = worker.broker_index;
    if (worker.announced || worker.subscription.session_topic_keys[current] != nullptr) forget_and_note_session();
    for (unsigned i = 0; i < worker.subscription.brokers.count; ++i) {
        if (i == current || worker.subscription.session_topic_keys[i] == nullptr) continue;
        if (ProcDiePending || has_passed(begin, kForgetAllTimeoutMs - kForgetTimeoutMs)) break;
        choose_broker(i);
        forget_and_note_session();
    }
}

/// True when a changed subscription has no use for our session at the current broker.
bool is_broker_left(const Subscription &changed) {
    if (strcmp(changed.client_id, worker.subscription.client_id) != 0) return true;
    for (unsigned i = 0; i < changed.brokers.count; ++i) {
        const BrokerAddress &broker = changed.brokers.brokers[i];
        if (broker.port == current_broker().port && strcmp(broker.host, current_broker().host) == 0) return false;
    }
    return true;
}

}  // namespace

void fill_options() {
    const Subscription &subscription = worker.subscription;
    const BrokerAddress &broker = current_broker();
    ConnectionOptions &options = worker.options;
    options.client_id = subscription.client_id;
    options.username = subscription.username;
    options.password = subscription.password;
    options.tls.host = broker.host;
    options.tls.cafile = subscription.cafile;
    options.tls.certfile = subscription.certfile;
    options.tls.keyfile = subscription.keyfile;
    options.tls.keypassword = subscription.keypassword;
    options.tls.insecure = subscription.insecure;
    options.topics = subscription.topics;
    options.port = broker.port;
    options.keepalive_seconds = subscription.keepalive_seconds;
    options.qos = subscription.qos;
    options.uses_tls = subscription.brokers.tls;
    options.is_shared = subscription.worker_count > 1;
}

bool open_connection(bool clean_start) {
    worker.options.clean_start = clean_start;
    worker.options.receive_maximum = static_cast<uint16>(mqtt_batch_messages);
    worker.options.payload_max_bytes = mqtt_payload_max_bytes;
    if (!worker.link.open(worker.options)) return false;
    const char *address = find_address();
    return address != nullptr && worker.link.start_connecting(address);
}

bool choose_next_broker() {
    const bool answered = worker.link.is_accepted() || worker.link.is_refused();
    if (!answered && ++worker.address_index < worker.resolver.address_count()) return true;
    const unsigned next = (worker.broker_index + 1) % worker.subscription.brokers.count;
    choose_broker(next);
    return next != 0;
}

void choose_first_broker() { choose_broker(0); }

bool fall_back_to_old_protocol() {
    if (!worker.link.wants_older_protocol() || !worker.options.mqtt5) return false;
    worker.options.mqtt5 = false;
    ereport(WARNING,
            errmsg("broker of MQTT subscription \"%s\" does not support MQTT 5, using MQTT 3.1.1", worker.subscription.name),
            errdetail("With 3.1.1 the broker limits how many messages it sends ahead of their acknowledgements."),
            errhint("For mosquitto, raise max_inflight_messages."));
    return true;
}

bool is_session_abandoned() {
    // Under the lock: whoever asked us to leave may still be writing what for.
    LWLockAcquire(shared_state->lock, LW_SHARED);
    const SubscriptionSlot slot = *worker.slot;
    LWLockRelease(shared_state->lock);
    if (slot.drain_session) return true;
    if (slot.forget_session || slot.stored_version == slot.loaded_version) return false;
    static Subscription changed;
    begin_transaction("read the MQTT subscription");
    const bool found = read_subscription(worker.subscription.id, worker.slot->worker, CurTransactionContext, &changed);
    const bool abandoned = found && is_broker_left(changed);
    commit_transaction();
    return abandoned;
}

void end_sessions() {
    worker.lingers = true;
    if (worker.session_drained) {
        forget_and_note_session();
    } else if (worker.slot->forget_session && !worker.slot->drain_session) {
        forget_all_sessions();
    }
}

}  // namespace historian::bgworker
