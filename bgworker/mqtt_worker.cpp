// The worker of one subscription: receive, store, acknowledge, reconnect. README.md has the promise and the interleavings.
//
// The loop is one thread with one invariant: acknowledgements are written only by acknowledge(), after store_batch() returned
// true, or while no message is held. It looks at its latch, at interrupts and at the socket at least once a second.
#include "bgworker/ingest.h"
#include "bgworker/mqtt_connection.h"
#include "bgworker/session.h"
#include "bgworker/settings.h"
#include "bgworker/subscriptions.h"
#include "bgworker/worker_state.h"

extern "C" {
#include "common/pg_prng.h"
}

namespace historian::bgworker {

namespace {

// A batch ends early when this much is held, so that a worker's memory stays bounded whatever the messages' size.
constexpr size_t kBatchBytesMax = 64 * 1024 * 1024;
// MQTT 3.1.1 brokers stop at a window of their own, mosquitto's is 20: a batch must not wait for more than that.
constexpr int kQuietMsOldProtocol = 2;
constexpr int kHandshakeTimeoutMs = 30'000;
constexpr int kHandshakeStepMs = 100;  // TLS may have read what it goes on with: the socket alone does not tell
constexpr int kFlushTimeoutMs = kKeepaliveSeconds * 1000;
constexpr int kForgetTimeoutMs = 5'000;
constexpr int kReconnectDelayMsMin = 100;
constexpr int kReconnectDelayMsMax = 30'000;
constexpr int kLockTimeoutMs = 10'000;
constexpr int kIdleWaitMs = 1'000;
constexpr int kDeadLetterLogMs = 10'000;  // a flood of bad messages must not flood the log too

struct MqttWorker {
    SubscriptionSlot *slot;
    Subscription subscription;
    MqttConnection link;
    ConnectionOptions options;
    WaitEventSet *events;
    int socket_event;
    uint32 socket_flags;
    size_t batch_limit;  ///< messages in a batch: historian.mqtt_batch_messages, less after ones that took too long or failed
    TimestampTz first_held_at;
    TimestampTz last_arrival_at;
    bool subscribe_sent;
    bool announced;  ///< this connection's success was logged
    bool problem_logged;
    int64 unlogged_dead_letters;
    TimestampTz dead_letters_logged_at;
};

MqttWorker worker;

/// Changes this worker's public figures.
template <typename Change>
void update_slot(Change change) {
    LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
    change(worker.slot);
    LWLockRelease(shared_state->lock);
}

bool leaving() { return is_leaving(&worker.slot->process); }

bool has_passed(TimestampTz since, int milliseconds) {
    return TimestampDifferenceExceeds(since, GetCurrentTimestamp(), milliseconds);
}

// ------------------------------------------------------------------------------------------------------------------- waiting

void open_events() {
#if PG_VERSION_NUM >= 170000
    worker.events = CreateWaitEventSet(nullptr, 3);
#else
    worker.events = CreateWaitEventSet(TopMemoryContext, 3);
#endif
    AddWaitEventToSet(worker.events, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, nullptr);
    AddWaitEventToSet(worker.events, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, nullptr, nullptr);
    worker.socket_flags = WL_SOCKET_READABLE;
    worker.socket_event = AddWaitEventToSet(worker.events, worker.socket_flags, worker.link.socket(), nullptr, nullptr);
}

void close_events() {
    if (worker.events != nullptr) FreeWaitEventSet(worker.events);
    worker.events = nullptr;
}

/// Waits for the socket, the latch or the time; then takes interrupts and new settings.
void wait_for_socket(uint32 flags, long milliseconds) {
    if (flags != worker.socket_flags) ModifyWaitEvent(worker.events, worker.socket_event, flags, nullptr);
    worker.socket_flags = flags;
    WaitEvent event;
    WaitEventSetWait(worker.events, milliseconds, &event, 1, PG_WAIT_EXTENSION);
    ResetLatch(MyLatch);
    if (ProcDiePending && worker.link.held_count() == 0) return;  // the caller leaves quietly
    CHECK_FOR_INTERRUPTS();
    reload_settings_if_asked();
}

/// Sleeps, unless the worker is to leave.
void pause_for(int milliseconds) {
    const TimestampTz begin = GetCurrentTimestamp();
    while (!leaving() && !has_passed(begin, milliseconds)) {
        const long left = milliseconds - TimestampDifferenceMilliseconds(begin, GetCurrentTimestamp());
        WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, Max(left, 1L), PG_WAIT_EXTENSION);
        ResetLatch(MyLatch);
        if (!ProcDiePending) CHECK_FOR_INTERRUPTS();
        reload_settings_if_asked();
    }
}

// --------------------------------------------------------------------------------------------------------- storing a batch

/// Writes the acknowledgements of a committed batch; until they are all out nothing more is received.
bool acknowledge() {
    const TimestampTz begin = GetCurrentTimestamp();
    worker.link.release_messages();
    while (worker.link.wants_write()) {
        if (!worker.link.write_pending()) return false;
        if (!worker.link.wants_write()) break;
        if (has_passed(begin, kFlushTimeoutMs)) {
            worker.link.give_up("it does not take the acknowledgements");
            return false;
        }
        wait_for_socket(WL_SOCKET_WRITEABLE, kIdleWaitMs);
        if (ProcDiePending) return false;
    }
    return true;
}

void count_stored(const BatchCounts &counts) {
    update_slot([&counts](SubscriptionSlot *slot) {
        slot->message_count += counts.message_count;
        slot->row_count += counts.row_count;
        slot->dead_letter_count += counts.dead_letter_count;
        ++slot->batch_count;
        slot->last_commit = GetCurrentTimestamp();
    });
    worker.unlogged_dead_letters += counts.dead_letter_count;
    if (worker.unlogged_dead_letters == 0 || !has_passed(worker.dead_letters_logged_at, kDeadLetterLogMs)) return;
    ereport(LOG, errmsg("MQTT subscription \"%s\" put %lld messages into mqtt_dead_letter", worker.subscription.name,
                        static_cast<long long>(worker.unlogged_dead_letters)));
    worker.unlogged_dead_letters = 0;
    worker.dead_letters_logged_at = GetCurrentTimestamp();
}

void shrink_batch_limit() { worker.batch_limit = Max(worker.link.held_count() / 4, size_t{1}); }

/// Keeps the time that a batch is held below a quarter of the keepalive: were it longer than the broker waits for a sign of life,
/// the acknowledgements would never arrive, and the same messages would be stored again and again.
void adjust_batch_limit(TimestampTz begin) {
    const size_t full = static_cast<size_t>(mqtt_batch_messages);
    if (has_passed(begin, kBatchMsMax)) {
        shrink_batch_limit();
    } else if (!has_passed(begin, kBatchMsMax / 8)) {
        worker.batch_limit = Min(worker.batch_limit + Max(worker.batch_limit / 4, size_t{1}), full);
    }
    if (worker.batch_limit == 0 || worker.batch_limit > full) worker.batch_limit = full;
}

/// Stores and acknowledges what is held. False: the connection must be given up, and the broker will send again what was not
/// acknowledged.
bool store_held_messages() {
    if (debug_mqtt_delay_ms > 0) pause_for(debug_mqtt_delay_ms);
    CHECK_FOR_INTERRUPTS();
    BatchCounts counts;
    const char *problem = "";
    const TimestampTz begin = GetCurrentTimestamp();
    if (!store_batch(worker.subscription, worker.link.first_message(), worker.link.held_count(), &counts, &problem)) {
        update_slot([problem](SubscriptionSlot *slot) { copy_problem(slot->problem, problem); });
        // The batch itself may have been too much, for the table of locks or for the memory: less of it comes next.
        shrink_batch_limit();
        ereport(WARNING,
                errmsg("MQTT subscription \"%s\" could not store %zu messages: %s", worker.subscription.name,
                       worker.link.held_count(), problem),
                errdetail("They are not acknowledged; the broker delivers them again."));
        return false;
    }
    adjust_batch_limit(begin);
    count_stored(counts);
    if (debug_mqtt_ack_delay_ms > 0) pause_for(debug_mqtt_ack_delay_ms);
    CHECK_FOR_INTERRUPTS();
    const bool acknowledged = acknowledge();
    pgstat_report_stat(false);
    return acknowledged;
}

bool batch_is_full() {
    return worker.link.held_count() >= worker.batch_limit || worker.link.held_count() >= worker.options.receive_maximum ||
           worker.link.held_bytes() >= kBatchBytesMax;
}

/// How long to go on without a message before a batch is closed: senders that pause are not made to wait for the full time.
int quiet_ms() { return worker.options.mqtt5 ? mqtt_batch_ms / 10 : Min(mqtt_batch_ms / 10, kQuietMsOldProtocol); }

bool batch_is_due() {
    if (worker.link.held_count() == 0) return false;
    return batch_is_full() || has_passed(worker.first_held_at, mqtt_batch_ms) || has_passed(worker.last_arrival_at, quiet_ms());
}

// ---------------------------------------------------------------------------------------------------------- one connection

/// The broker accepted us: says so, and notes when it has forgotten us.
void announce_connection() {
    worker.announced = true;
    worker.problem_logged = false;
    const bool resumed = worker.link.session_present();
    const bool lost = !resumed && worker.subscription.session_started;
    update_slot([resumed, lost](SubscriptionSlot *slot) {
        slot->session_present = resumed;
        slot->protocol = worker.options.mqtt5 ? 5 : 3;
        slot->connected_since = GetCurrentTimestamp();
        // A resumed session delivers at once; the answer to our SUBSCRIBE stands behind what the broker kept.
        slot->link = resumed ? LinkState::receiving : LinkState::subscribing;
        ++slot->connect_count;
        if (lost) ++slot->session_lost_count;
    });
    ereport(
        LOG,
        errmsg("MQTT subscription \"%s\" connected to %s:%d", worker.subscription.name, worker.options.host, worker.options.port),
        errdetail("Protocol MQTT %s, %s session.", worker.options.mqtt5 ? "5" : "3.1.1", resumed ? "resumed" : "new"));
    if (!lost) return;
    ereport(WARNING, errmsg("broker has lost the session of MQTT subscription \"%s\"", worker.subscription.name),
            errdetail("Messages published while it was not connected may be missing."),
            errhint("Let the broker keep sessions across restarts; for mosquitto: persistence true."));
}

/// After the broker's answer to SUBSCRIBE.
void mark_subscribed() {
    if (!worker.subscription.session_started) {
        begin_transaction("note the MQTT session");
        mark_session_started(worker.subscription.id);
        commit_durably();
        worker.subscription.session_started = true;
    }
    update_slot([](SubscriptionSlot *slot) { slot->link = LinkState::receiving; });
}

/// Sends SUBSCRIBE once per connection. MQTT 3.1.1 brokers repeat retained messages at each one, so a resumed session is left as
/// it is.
bool subscribe_once() {
    if (worker.subscribe_sent || !worker.link.is_accepted()) return true;
    worker.subscribe_sent = true;
    if (!worker.options.mqtt5 && worker.link.session_present() && worker.subscription.session_started) {
        mark_subscribed();
        return true;
    }
    return worker.link.subscribe();
}

/// Reads until the socket is dry or the batch is full.
bool receive() {
    while (!batch_is_full() && !leaving()) {
        // A peer that never lets the socket run dry must not make this process deaf.
        CHECK_FOR_INTERRUPTS();
        const size_t before = worker.link.received_count();
        const bool was_accepted = worker.link.is_accepted();
        if (!worker.link.receive_packet()) return false;
        if (worker.link.received_count() != before) {
            if (worker.link.held_count() == worker.link.received_count() - before) worker.first_held_at = GetCurrentTimestamp();
            worker.last_arrival_at = 0;
        } else if (!worker.link.is_readable()) {
            break;
        }
        // One call a round for a handshake, so that its time limit is looked at; after it SUBSCRIBE goes first.
        if (!was_accepted) break;
    }
    if (worker.last_arrival_at == 0) worker.last_arrival_at = GetCurrentTimestamp();
    return true;
}

/// One round of a connection: write what may be written, read, store. False: the connection is over.
bool run_round() {
    const bool nothing_held = worker.link.held_count() == 0;
    const bool news = worker.slot->link == LinkState::subscribing || !worker.subscription.session_started;
    if (nothing_held && worker.link.is_subscribed() && news) mark_subscribed();
    if (nothing_held && !subscribe_once()) return false;
    if (nothing_held && worker.link.wants_write() && !worker.link.write_pending()) return false;
    // Reading while writes wait would put new acknowledgements behind them; only a handshake needs both.
    const bool may_read = worker.link.held_count() > 0 || !worker.link.wants_write() || !worker.link.is_accepted();
    if (may_read && !receive()) return false;
    if (!worker.link.keep_alive()) return false;
    if (worker.link.is_accepted() && !worker.announced) announce_connection();
    if (batch_is_due() && !store_held_messages()) return false;
    return true;
}

long wait_milliseconds() {
    if (worker.link.is_tls_handshake()) return kHandshakeStepMs;
    if (worker.link.held_count() == 0) return kIdleWaitMs;
    const TimestampTz now = GetCurrentTimestamp();
    const long until_old = mqtt_batch_ms - TimestampDifferenceMilliseconds(worker.first_held_at, now);
    const long until_quiet = quiet_ms() - TimestampDifferenceMilliseconds(worker.last_arrival_at, now);
    return Max(Min(until_old, until_quiet), 0L) + 1;
}

uint32 wanted_socket_events() {
    // The library wants to write from the first to the last byte of a TLS handshake, and a connected socket is writeable.
    if (worker.link.is_tls_handshake()) return worker.link.is_connected() ? WL_SOCKET_READABLE : WL_SOCKET_WRITEABLE;
    const bool nothing_held = worker.link.held_count() == 0;
    uint32 flags = 0;
    if (nothing_held && worker.link.wants_write()) flags |= WL_SOCKET_WRITEABLE;
    if (flags == 0 || !worker.link.is_accepted()) flags |= WL_SOCKET_READABLE;
    return flags;
}

/// Serves one connection until it is lost or the worker is to leave.
void serve_connection() {
    const TimestampTz begin = GetCurrentTimestamp();
    bool alive = true;
    open_events();
    while (alive && !leaving()) {
        alive = run_round();
        if (alive && !worker.link.is_accepted() && has_passed(begin, kHandshakeTimeoutMs)) {
            static_assert(kHandshakeTimeoutMs == 30'000);
            worker.link.give_up("it did not answer within 30 s");
            alive = false;
        }
        const bool waits =
            alive && !leaving() && !(worker.link.is_accepted() && !worker.subscribe_sent && worker.link.held_count() == 0);
        if (waits) wait_for_socket(wanted_socket_events(), wait_milliseconds());
    }
    // An orderly end stores what is held; after SIGTERM there is no time, and the broker delivers it again.
    if (alive && !ProcDiePending && worker.link.held_count() > 0) alive = store_held_messages();
    if (alive && worker.link.held_count() == 0) worker.link.say_goodbye();
    close_events();
    worker.link.close();
}

void start_connection(unsigned attempt) {
    worker.subscribe_sent = false;
    worker.announced = false;
    worker.options.receive_maximum = static_cast<uint16>(mqtt_batch_messages);
    if (worker.batch_limit == 0) worker.batch_limit = mqtt_batch_messages;
    worker.options.payload_max_bytes = mqtt_payload_max_bytes;
    update_slot([](SubscriptionSlot *slot) { slot->link = LinkState::connecting; });
    if (worker.link.open(worker.options) && worker.link.start_connecting(attempt)) serve_connection();
    worker.link.close();
}

/// Logs a failure once until the next success, and keeps it for mqtt_status.
void note_problem() {
    const char *problem = worker.link.problem();
    update_slot([problem](SubscriptionSlot *slot) {
        slot->link = LinkState::waiting;
        slot->connected_since = 0;
        if (problem[0] != '\0') copy_problem(slot->problem, problem);
    });
    if (problem[0] == '\0' || worker.problem_logged) return;
    worker.problem_logged = true;
    ereport(WARNING, errmsg("MQTT subscription \"%s\": %s", worker.subscription.name, problem),
            errdetail("The broker is %s:%d. Further failures are not logged until a connection succeeds.", worker.options.host,
                      worker.options.port));
}

/// Exponential, with half of it at random, so that many workers do not return to a restarted broker at the same moment.
int reconnect_delay_ms(unsigned failure_count) {
    const int full = Min(kReconnectDelayMsMin << Min(failure_count, 10u), kReconnectDelayMsMax);
    return full / 2 + static_cast<int>(pg_prng_double(&pg_global_prng_state) * full / 2);
}

/// Deletes the session at the broker: a clean start ends the old one, the DISCONNECT the new one.
void forget_session() {
    const TimestampTz begin = GetCurrentTimestamp();
    worker.options.clean_start = true;
    bool alive = worker.link.open(worker.options) && worker.link.start_connecting(0);
    if (alive) open_events();
    while (alive && !worker.link.is_accepted() && !has_passed(begin, kForgetTimeoutMs)) {
        if (worker.link.wants_write()) alive = worker.link.write_pending();
        if (alive) alive = worker.link.receive_packet();
        if (alive && !worker.link.is_accepted()) wait_for_socket(wanted_socket_events(), 100);
    }
    const bool forgotten = alive && worker.link.is_accepted();
    if (forgotten) worker.link.say_goodbye();
    close_events();
    if (!forgotten) {
        ereport(WARNING,
                errmsg("could not delete the session of MQTT subscription \"%s\" at the broker", worker.subscription.name),
                errdetail("The broker may go on keeping messages for client \"%s\".", worker.options.client_id));
    }
    worker.link.close();
}

[[noreturn]] void leave() {
    if (worker.slot->forget_session && !ProcDiePending) forget_session();
    update_slot([](SubscriptionSlot *slot) {
        slot->link = LinkState::stopped;
        slot->connected_since = 0;
    });
    leave_quietly();
}

void fill_options() {
    const Subscription &subscription = worker.subscription;
    worker.options.client_id = MemoryContextStrdup(TopMemoryContext, compose_client_id(subscription.id));
    worker.options.host = subscription.broker.host;
    worker.options.port = subscription.broker.port;
    worker.options.tls = subscription.broker.tls;
    worker.options.username = subscription.username;
    worker.options.password = subscription.password;
    worker.options.ca_file = subscription.ca_file;
    worker.options.topic = subscription.topic;
    worker.options.keepalive_seconds = kKeepaliveSeconds;
    worker.options.qos = subscription.qos;
}

/// Reads what this worker is for; leaves when it was dropped or disabled meanwhile.
void load_subscription() {
    begin_transaction("read the MQTT subscription");
    const bool found = read_subscription(worker.slot->subscription, TopMemoryContext, &worker.subscription);
    if (found) fill_options();
    commit_transaction();
    if (found) return;
    update_slot([](SubscriptionSlot *slot) { slot->process.wanted = false; });
    leave_quietly();
}

/// A broker that does not know MQTT 5 is spoken to in 3.1.1; the small window makes that slow, so it is said.
bool fall_back_to_old_protocol() {
    if (!worker.link.wants_older_protocol() || !worker.options.mqtt5) return false;
    worker.options.mqtt5 = false;
    ereport(WARNING,
            errmsg("broker of MQTT subscription \"%s\" does not support MQTT 5, using MQTT 3.1.1", worker.subscription.name),
            errdetail("With 3.1.1 the broker limits how many messages it sends ahead of their acknowledgements."),
            errhint("For mosquitto, raise max_inflight_messages."));
    return true;
}

[[noreturn]] void run_subscription() {
    unsigned attempt = 0;
    unsigned failure_count = 0;
    while (!leaving()) {
        const TimestampTz begin = GetCurrentTimestamp();
        start_connection(attempt++);
        if (leaving()) break;
        if (fall_back_to_old_protocol()) continue;
        note_problem();
        failure_count = worker.announced && has_passed(begin, kReconnectDelayMsMax) ? 0 : failure_count + 1;
        pause_for(reconnect_delay_ms(failure_count - (failure_count > 0)));
    }
    leave();
}

}  // namespace

}  // namespace historian::bgworker

HISTORIAN_EXPORT void historian_mqtt_main(Datum index) {
    using namespace historian::bgworker;
    worker.slot = &shared_state->subscriptions[DatumGetInt32(index)];
    uint32 generation;
    memcpy(&generation, MyBgworkerEntry->bgw_extra, sizeof generation);
    install_signal_handlers();
    attach_process(&worker.slot->process, generation);
    update_slot([](SubscriptionSlot *slot) { slot->link = LinkState::connecting; });
#if PG_VERSION_NUM >= 170000
    constexpr uint32 kFlags = BGWORKER_BYPASS_ROLELOGINCHECK;
#else
    constexpr uint32 kFlags = 0;
#endif
    BackgroundWorkerInitializeConnectionByOid(worker.slot->database, worker.slot->owner, kFlags);
    pin_session_settings(kLockTimeoutMs);
    // The socket and libmosquitto's pair count against the server's limit of open files.
    for (int i = 0; i < 3; ++i) ReserveExternalFD();
    load_subscription();
    pgstat_report_appname(worker.subscription.name);
    run_subscription();
}
