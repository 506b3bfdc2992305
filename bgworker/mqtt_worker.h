// The worker of one subscription, or one of its several: what its parts share.
//
//   mqtt_worker.cpp    the loop: receive, store, acknowledge, reconnect
//   broker_choice.cpp  which broker, at which address, with which options; deleting a session there
//   mqtt_wait.cpp      every place where it waits
#pragma once

#include "bgworker/server.h"
//
#include "bgworker/mqtt_connection.h"
#include "bgworker/resolver.h"
#include "bgworker/subscriptions.h"
#include "bgworker/worker_state.h"

namespace historian::bgworker {

struct MqttWorker {
    SubscriptionSlot *slot;
    Subscription subscription;
    MqttConnection link;
    ConnectionOptions options;
    Resolver resolver;
    unsigned broker_index;   ///< of subscription.brokers
    unsigned address_index;  ///< of the resolver's
    WaitEventSet *events;
    int socket_event;
    uint32 socket_flags;
    size_t batch_limit;  ///< messages in a batch: historian.mqtt_batch_messages, less after ones that took too long or failed
    TimestampTz first_held_at;
    TimestampTz last_arrival_at;
    bool subscribe_sent;   ///< on this connection, as the three after it
    bool announced;        ///< success was logged
    bool subscribed;       ///< and what follows from the broker's answer is done
    bool store_failed;     ///< given up because of the database
    bool lingers;          ///< goes on, to end its session, although it was asked to leave
    bool session_drained;  ///< the broker has nothing more for its session
    bool problem_logged;
    bool terms_logged;  ///< what a broker grants less than asked for
    int64 unlogged_dead_letters;
    TimestampTz dead_letters_logged_at;
};

extern MqttWorker worker;

/// Changes this worker's public figures.
template <typename Change>
void update_slot(Change change) {
    LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
    change(worker.slot);
    LWLockRelease(shared_state->lock);
}

/// True when this worker should leave.
bool leaving();

bool has_passed(TimestampTz since, int milliseconds);

// ------------------------------------------------------------------------------------------------------------- mqtt_wait.cpp

/// Begins and ends to watch the connection's socket.
void open_events();
void close_events();

/// Waits for the socket, the latch or the time; then takes interrupts and new settings.
void wait_for_socket(uint32 flags, long milliseconds);

/// The events of the socket that the connection can do something with.
uint32 wanted_socket_events();

/// Sleeps, unless the worker is to leave.
void pause_for(int milliseconds);

/// Waits for the resolver's answer; false when the worker is to leave or the time has passed.
bool wait_for_address(int milliseconds);

// --------------------------------------------------------------------------------------------------------- broker_choice.cpp

/// Takes over what the subscription says of connections.
void fill_options();

/// Begins to connect to the current broker; false with a reason in the link's problem(), or when the worker is to leave.
bool open_connection(bool clean_start);

/// After a failure: goes on to the next address, or the next broker. False when all have been tried: time to wait.
bool choose_next_broker();

/// Back to the first broker of the list.
void choose_first_broker();

/// A broker that does not know MQTT 5 is spoken to in 3.1.1; the small window makes that slow, so it is said.
bool fall_back_to_old_protocol();

/// True when our session at the current broker has no future although the subscription has: this worker, this broker or the
/// client id is not wanted any more. What the broker holds for it must be taken first.
bool is_session_abandoned();

/// As the worker leaves: deletes its sessions when they have no future, or says that one stays.
void end_sessions();

}  // namespace historian::bgworker
