// The history of a subscription's connections: when there was one, and what may be missing because there was none (mqtt_gap).
//
// A gap can be learned only once, when the broker answers our CONNECT, so it is kept until it is written: in a transaction of its
// own, between batches, tried again while that fails. (A worker that is killed in the milliseconds between the answer and the
// COMMIT takes it along: the next one finds the new session and knows of no other.)
//
// What is known of gaps, and from where:
//     session_lost        CONNACK: the broker has no session, and has had one of ours
//     session_expired     the same, after a longer absence than the broker had said it keeps sessions for (MQTT 5)
//     session_taken_over  DISCONNECT 0x8E (MQTT 5): a client with our id took the session, and what it acknowledged
//     not_connected       each interruption of a subscription at quality of service 0
//     session_left        the subscription was changed, and the session of before could not be emptied (left_sessions.h)
// A queue that overflows at the broker is told to nobody.
#pragma once

#include "bgworker/mqtt_connection.h"
#include "bgworker/server.h"
#include "bgworker/subscriptions.h"

namespace historian::bgworker {

/// A time when messages may have been lost.
struct Gap {
    const char *kind;
    const char *detail;
    TimestampTz since;  ///< 0: not known
    TimestampTz until;
};

/// Adds a row to mqtt_gap, and forgets those of the subscription that are too many. Needs a transaction and SPI, and the rights
/// of historian's owner.
void insert_gap(const char *subscription, Oid owner, const Gap &gap);

/// A connection that the broker has accepted.
struct AcceptedConnection {
    bool session_expected;  ///< this broker has had a session of ours before
    unsigned broker_index;  ///< of subscription.brokers
    const MqttConnection *link;
};

/// Reads what earlier workers have written, and makes the row of mqtt_progress. Needs a transaction.
void open_link_history(const Subscription &subscription);

void note_connection(const Subscription &subscription, const AcceptedConnection &connection);

/// The end of a connection that note_connection() was called for.
void note_disconnection(bool taken_over);

/// Writes what is new, and each minute that a connection is still there. Called between batches, without a transaction; cheap
/// when there is nothing to do. What fails is logged and tried again.
void write_link_history(const Subscription &subscription);

}  // namespace historian::bgworker
