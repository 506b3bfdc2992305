// Subscriptions as stored in historian.mqtt_subscription: read by the workers, changed by mqtt_subscribe() and its companions.
#pragma once

#include "bgworker/server.h"
//
#include "bgworker/topic.h"

namespace historian::bgworker {

struct Subscription {
    int64 id;
    const char *name;
    Oid owner;
    BrokerAddress broker;
    const char *username;        ///< nullptr: none
    const char *password;        ///< nullptr: none
    const char *ca_file;         ///< nullptr: the system's authorities
    const char *topic;           ///< UTF-8
    const char *default_schema;  ///< where topics name tables; UTF-8
    Oid target;                  ///< InvalidOid: the topic names the table
    int qos;
    bool session_started;  ///< the broker has had a session of ours before
};

/// Reads one enabled subscription into `context`; false when it does not exist or is disabled. Needs a transaction.
bool read_subscription(int64 id, MemoryContext context, Subscription *subscription);

/// The client id by which the broker knows a subscription of this database: it names the session there.
char *compose_client_id(int64 id);

/// Notes that the broker holds a session for the subscription from now on. Needs a transaction.
void mark_session_started(int64 id);

/// Tells the launcher, through shared memory, which subscriptions of this database should run. Needs a transaction.
void publish_subscriptions();

/// Tells it that none should, because the extension is gone.
void withdraw_subscriptions();

}  // namespace historian::bgworker
