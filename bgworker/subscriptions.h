// Subscriptions as stored in historian.mqtt_subscription: read by the workers, changed by mqtt_subscribe() and its companions
// (subscription_functions.cpp).
//
// What the brokers hold for us is in historian.mqtt_session, one row per client id and broker; it is not dumped, because a
// restored database is another client.
#pragma once

#include "bgworker/server.h"
//
#include "bgworker/mapping.h"
#include "bgworker/mqtt_connection.h"
#include "bgworker/option_lists.h"
#include "bgworker/payload_options.h"

namespace historian::bgworker {

// Each has a process, a connection and a share of the messages.
inline constexpr int kWorkerCountMax = 32;

/// One subscription, as one of its workers sees it.
struct Subscription {
    int64 id;
    int worker;  ///< counts from 1
    const char *name;
    Oid owner;
    BrokerList brokers;
    const char *username;     ///< nullptr: none
    const char *password;     ///< nullptr: none
    const char *cafile;       ///< nullptr: the system's authorities
    const char *certfile;     ///< nullptr: no client certificate
    const char *keyfile;      ///< nullptr: the key is in certfile
    const char *keypassword;  ///< nullptr: the key is not encrypted
    bool insecure;
    const char *client_id;         ///< of this worker
    TopicFilters topics;           ///< to be subscribed
    TopicFilters former_topics;    ///< a session may still be subscribed to these
    const char *topic_key;         ///< stands for `topics` in historian.mqtt_session
    const char *default_schema;    ///< where topics name tables; UTF-8
    Oid target;                    ///< InvalidOid: the topic names the table
    PayloadOptions payload;        ///< of payloads that do not say it themselves
    const Mapping *mapping;        ///< nullptr: messages are in forms of our own
    const char *transform;         ///< a function's signature, in the database's encoding; nullptr: none
    int qos;
    int protocol;  ///< 5, or 3 for 3.1.1
    int keepalive_seconds;
    int worker_count;
    TransactionId version;  ///< another one after each change
    /// By broker: the topic_key that our session there was last subscribed to; nullptr: it has had none of ours.
    const char *session_topic_keys[kBrokerCountMax];
};

/// Reads one enabled subscription into `context`; false when it does not exist or is disabled. Needs a transaction.
///
/// worker  counts from 1; more than the subscription has: that one is not needed any more
bool read_subscription(int64 id, int worker, MemoryContext context, Subscription *subscription);

/// The same by name, enabled or not, for no worker.
bool find_subscription(const char *name, MemoryContext context, Subscription *subscription);

/// The client id by which the broker knows a worker of a subscription of this database: it names the session there.
///
/// chosen  the subscription's own option, or nullptr
char *compose_client_id(int64 id, int worker, const char *chosen);

/// A broker as historian.mqtt_session and messages name it.
char *describe_broker(const BrokerAddress &broker);

/// Notes that a broker holds a session for this worker, subscribed to its topics. Needs a transaction.
void note_session(Subscription *subscription, unsigned broker_index);

/// Notes that it holds none any more.
void forget_noted_session(Subscription *subscription, unsigned broker_index);

/// Tells the launcher, through shared memory, which subscriptions of this database should run. Needs a transaction.
void publish_subscriptions();

/// Tells it that none should, because the extension is gone.
void withdraw_subscriptions();

}  // namespace historian::bgworker
