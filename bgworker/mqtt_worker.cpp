// The worker of one subscription: receive, store, acknowledge, reconnect. README.md has the promise and the interleavings.
//
// The loop is one thread with one invariant: acknowledgements are written only by acknowledge(), after store_batch() returned
// true, or while no message is held.
#include "bgworker/mqtt_worker.h"

#include "bgworker/dead_letter.h"
#include "bgworker/ingest.h"
#include "bgworker/link_history.h"
#include "bgworker/session.h"
#include "bgworker/settings.h"

extern "C" {
#include "common/pg_prng.h"
}

namespace historian::bgworker {

MqttWorker worker;

namespace {

// A batch ends early when this much is held, so that a worker's memory stays bounded whatever the messages' size.
constexpr size_t kBatchBytesMax = 64 * 1024 * 1024;
// MQTT 3.1.1 brokers stop at a window of their own, mosquitto's is 20: a batch must not wait for more than that.
constexpr int kQuietMsOldProtocol = 2;
// A batch collects for so many times what a COMMIT takes, and at least for this part of historian.mqtt_batch_ms.
constexpr int kCommitsPerHold = 2;
constexpr int kHoldPartMin = 20;
constexpr int kHandshakeTimeoutMs = 30'000;
constexpr int kHandshakeStepMs = 100;  // TLS may have read what it goes on with: the socket alone does not tell
constexpr int kFlushTimeoutMs = kKeepaliveSeconds * 1000;
constexpr int kDrainTimeoutMs = 5'000;
constexpr int kDrainQuietMs = 500;  // after the last message of a session that is unsubscribed
constexpr int kReconnectDelayMsMin = 100;
constexpr int kReconnectDelayMsMax = 30'000;
constexpr int kLockTimeoutMs = 10'000;
constexpr int kIdleWaitMs = 1'000;
constexpr int kDeadLetterLogMs = 10'000;  // a flood of bad messages must not flood the log too

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

void report_dead_letters(const BatchCounts &counts) {
    if (counts.dead_letter_count > 0)
        update_slot([](SubscriptionSlot *slot) { copy_problem(slot->problem, last_dead_letter_error()); });
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
    const int hold_ms = hold_ms_max(worker.link.keepalive_seconds());
    if (has_passed(begin, hold_ms)) {
        shrink_batch_limit();
    } else if (!has_passed(begin, hold_ms / 8)) {
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
        worker.store_failed = true;
        ereport(WARNING,
                errmsg("MQTT subscription \"%s\" could not store %zu messages: %s", worker.subscription.name,
                       worker.link.held_count(), problem),
                errdetail("They are not acknowledged; the broker delivers them again."));
        return false;
    }
    adjust_batch_limit(begin);
    report_dead_letters(counts);
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

/// The setting may be longer than a subscription's own keepalive allows.
int batch_ms() { return Min(mqtt_batch_ms, hold_ms_max(worker.link.keepalive_seconds())); }

/// How long to collect messages for one transaction. What a COMMIT costs, mostly the disk's flush, decides: where it is slow,
/// transactions are fewer and larger; where it is fast nobody waits for long, but no more of them than the processor likes.
int hold_ms() {
    const int64 hold = kCommitsPerHold * commit_microseconds() / 1000;
    return static_cast<int>(Max(Min(hold, int64{batch_ms()}), int64{batch_ms() / kHoldPartMin}));
}

/// After receive(): the socket is dry, or the batch as large or as old as it may become.
bool batch_is_due() {
    if (worker.link.held_count() == 0) return false;
    if (batch_is_full() || has_passed(worker.first_held_at, hold_ms())) return true;
    return !worker.options.mqtt5 && has_passed(worker.last_arrival_at, kQuietMsOldProtocol);
}

// ---------------------------------------------------------------------------------------------------------- one connection

/// What we know of our session at this broker: the topics it was last subscribed to, or nullptr.
const char *known_session() { return worker.subscription.session_topic_keys[worker.broker_index]; }

/// Says once when a broker keeps sessions for a time only, or sends at a lower quality of service.
void note_terms() {
    const bool expires = worker.link.session_expires();
    const bool lowers = worker.link.granted_qos() < worker.options.qos;
    if (worker.terms_logged || (!expires && !lowers)) return;
    worker.terms_logged = true;
    if (expires) {
        ereport(WARNING,
                errmsg("broker keeps the session of MQTT subscription \"%s\" for %u s only", worker.subscription.name,
                       worker.link.session_expiry_seconds()),
                errdetail("Messages are lost when the worker is away for longer."),
                errhint("Raise the limit of session expiry in the broker's configuration."));
    }
    if (lowers) {
        ereport(WARNING, errmsg("broker serves MQTT subscription \"%s\" at quality of service 0", worker.subscription.name),
                errdetail("Messages may be lost on the way."));
    }
}

/// The broker accepted us: says so, and notes when it has forgotten us.
void announce_connection() {
    worker.announced = true;
    worker.problem_logged = false;
    const bool resumed = worker.link.session_present();
    const bool lost = !resumed && known_session() != nullptr;
    note_connection(worker.subscription, {known_session() != nullptr, worker.broker_index, &worker.link});
    write_link_history(worker.subscription);
    update_slot([resumed](SubscriptionSlot *slot) {
        slot->session_present = resumed;
        slot->protocol = worker.options.mqtt5 ? 5 : 3;
        slot->connected_since = GetCurrentTimestamp();
        // A resumed session delivers at once; the answer to our SUBSCRIBE stands behind what the broker kept.
        slot->link = resumed ? LinkState::receiving : LinkState::subscribing;
    });
    ereport(LOG,
            errmsg("MQTT subscription \"%s\" connected to %s:%d", worker.subscription.name, worker.options.tls.host,
                   worker.options.port),
            errdetail("Protocol MQTT %s, %s session.", worker.options.mqtt5 ? "5" : "3.1.1", resumed ? "resumed" : "new"));
    if (!lost) return;
    ereport(WARNING, errmsg("broker has lost the session of MQTT subscription \"%s\"", worker.subscription.name),
            errdetail("Messages published while it was not connected may be missing; mqtt_gap says when that was."),
            errhint("Let the broker keep sessions across restarts; for mosquitto: persistence true."));
}

/// After the broker's answer to SUBSCRIBE, while nothing is held.
void mark_subscribed() {
    worker.subscribed = true;
    const Subscription &subscription = worker.subscription;
    if (known_session() == nullptr || strcmp(known_session(), subscription.topic_key) != 0) {
        begin_transaction("note the MQTT session");
        note_session(&worker.subscription, worker.broker_index);
        commit_durably();
    }
    if (worker.link.is_subscribed()) note_terms();
    // Only now, so that no message falls between the old topics and the new ones.
    const TopicFilters former = subscription.former_topics;
    if (worker.link.session_present() && former.count > 0) worker.link.unsubscribe(former);
    update_slot([](SubscriptionSlot *slot) { slot->link = LinkState::receiving; });
}

/// Sends SUBSCRIBE once per connection. MQTT 3.1.1 brokers repeat retained messages at each one, so a resumed session is left as
/// it is.
bool subscribe_once() {
    if (worker.subscribe_sent || !worker.link.is_accepted()) return true;
    worker.subscribe_sent = true;
    const bool resumed = worker.link.session_present() && known_session() != nullptr;
    if (!worker.options.mqtt5 && resumed && strcmp(known_session(), worker.subscription.topic_key) == 0) {
        mark_subscribed();
        return true;
    }
    return worker.link.subscribe();
}

bool batch_is_old() { return worker.link.held_count() > 0 && has_passed(worker.first_held_at, batch_ms()); }

/// Reads until the socket is dry, or the batch is full or old.
bool receive() {
    while (!batch_is_full() && !batch_is_old() && !leaving()) {
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
    if (nothing_held && worker.link.is_subscribed() && !worker.subscribed) mark_subscribed();
    if (nothing_held) write_link_history(worker.subscription);
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
    const long until_due = hold_ms() - TimestampDifferenceMilliseconds(worker.first_held_at, now);
    return Max(worker.options.mqtt5 ? until_due : Min(until_due, long{kQuietMsOldProtocol}), 1L);
}

/// Takes what the broker still has for a session that is to end, and nothing new. False: the connection is over.
bool drain_session() {
    worker.lingers = true;
    // A session that delivered before its first SUBSCRIBE gets none any more.
    worker.subscribe_sent = worker.subscribed = true;
    worker.last_arrival_at = GetCurrentTimestamp();
    bool alive = worker.link.unsubscribe(worker.subscription.topics);
    while (alive && !worker.session_drained && !ProcDiePending && !has_passed(worker.last_arrival_at, kDrainTimeoutMs)) {
        alive = run_round();
        const bool quiet = worker.link.held_count() == 0 && has_passed(worker.last_arrival_at, kDrainQuietMs);
        worker.session_drained = alive && quiet && worker.link.is_unsubscribed();
        if (alive && !worker.session_drained) {
            wait_for_socket(wanted_socket_events(), Min(wait_milliseconds(), long{kDrainQuietMs}));
        }
    }
    worker.lingers = false;
    return alive;
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
        if (waits && worker.link.held_count() > 0 && worker.options.mqtt5) {
            // Nobody is woken for each message: what comes meanwhile is read at once when the time is over.
            pause_for(static_cast<int>(wait_milliseconds()));
        } else if (waits) {
            wait_for_socket(wanted_socket_events(), wait_milliseconds());
        }
    }
    // An orderly end stores what is held; after SIGTERM there is no time, and the broker delivers it again.
    if (alive && !ProcDiePending && worker.link.held_count() > 0) alive = store_held_messages();
    if (alive && !ProcDiePending && worker.link.is_accepted() && is_session_abandoned()) alive = drain_session();
    if (alive && worker.link.held_count() == 0) worker.link.say_goodbye();
    close_events();
    note_disconnection(worker.link.is_taken_over());
    worker.link.close();
    if (!ProcDiePending) write_link_history(worker.subscription);
}

void start_connection() {
    worker.subscribe_sent = worker.announced = worker.subscribed = worker.store_failed = false;
    if (worker.batch_limit == 0) worker.batch_limit = mqtt_batch_messages;
    update_slot([](SubscriptionSlot *slot) { slot->link = LinkState::connecting; });
    if (open_connection(false)) serve_connection();
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
            errdetail("The broker is %s:%d. Further failures are not logged until a connection succeeds.",
                      worker.options.tls.host, worker.options.port));
}

/// Exponential, with half of it at random, so that many workers do not return to a restarted broker at the same moment.
int reconnect_delay_ms(unsigned failure_count) {
    const int full = Min(kReconnectDelayMsMin << Min(failure_count, 10u), kReconnectDelayMsMax);
    return full / 2 + static_cast<int>(pg_prng_double(&pg_global_prng_state) * full / 2);
}

[[noreturn]] void leave() {
    if (!ProcDiePending) end_sessions();
    update_slot([](SubscriptionSlot *slot) {
        slot->link = LinkState::stopped;
        slot->connected_since = 0;
    });
    leave_quietly();
}

/// Reads what this worker is for; leaves when it was dropped or disabled meanwhile.
void load_subscription() {
    begin_transaction("read the MQTT subscription");
    const bool found = read_subscription(worker.slot->subscription, worker.slot->worker, TopMemoryContext, &worker.subscription);
    if (found) open_link_history(worker.subscription);
    commit_transaction();
    if (found) {
        worker.options.mqtt5 = worker.subscription.protocol == 5;
        choose_first_broker();
        // Waiting for a lock must not take as long as the broker waits for us.
        pin_session_settings(Min(kLockTimeoutMs, 2 * hold_ms_max(worker.subscription.keepalive_seconds)));
        update_slot([](SubscriptionSlot *slot) { slot->loaded_version = worker.subscription.version; });
        return;
    }
    update_slot([](SubscriptionSlot *slot) { slot->process.wanted = false; });
    leave_quietly();
}

[[noreturn]] void run_subscription() {
    unsigned failure_count = 0;
    while (!leaving()) {
        const TimestampTz begin = GetCurrentTimestamp();
        start_connection();
        if (leaving()) break;
        if (fall_back_to_old_protocol()) continue;
        note_problem();
        const bool was_healthy = worker.announced && has_passed(begin, kReconnectDelayMsMax);
        if (was_healthy) {
            choose_first_broker();
        } else if (!worker.store_failed && choose_next_broker()) {
            continue;
        }
        failure_count = was_healthy ? 0 : failure_count + 1;
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
    update_slot([](SubscriptionSlot *slot) {
        slot->link = LinkState::connecting;
        slot->loaded_version = InvalidTransactionId;
    });
#if PG_VERSION_NUM >= 170000
    constexpr uint32 kFlags = BGWORKER_BYPASS_ROLELOGINCHECK;
#else
    constexpr uint32 kFlags = 0;
#endif
    BackgroundWorkerInitializeConnectionByOid(worker.slot->database, worker.slot->owner, kFlags);
    pin_session_settings(kLockTimeoutMs);
    // The socket, libmosquitto's pair and the resolver's pipe count against the server's limit of open files.
    for (int i = 0; i < 5; ++i) ReserveExternalFD();
    load_subscription();
    pgstat_report_appname(worker.subscription.name);
    run_subscription();
}
