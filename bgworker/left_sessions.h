// Left sessions: what a broker goes on keeping for a client that no subscription is any more.
//
// mqtt_alter() with another broker or client id, or fewer workers, has the worker drain its session first. That cannot always be
// finished: the worker was not connected, was killed, was disabled in the same call, or the broker hung. historian.mqtt_session
// still has such a session, and the subscription no longer explains it.
#pragma once

#include "bgworker/server.h"

namespace historian::bgworker {

/// Finds sessions that nobody will take up, warns of each once, and adds it to mqtt_gap. A session that a worker may still be
/// draining is left for the next call. Called after publish_subscriptions(), in the same transaction.
void report_left_sessions();

}  // namespace historian::bgworker
