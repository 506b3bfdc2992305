// Progress: what a subscription's worker has stored, in historian.mqtt_progress.
//
// The counters are changed by the transaction that stores the rows and the dead letters, so they are exact whatever dies: so many
// messages are stored, so many of them came again.
#pragma once

#include "bgworker/server.h"
#include "bgworker/subscriptions.h"

namespace historian::bgworker {

/// What one transaction has stored.
struct BatchCounts {
    int64 message_count;  ///< stored or put aside
    int64 row_count;
    int64 byte_count;  ///< of payloads, as published
    int64 dead_letter_count;
    int64 redelivered_count;  ///< messages that the broker said it had sent before
    TimestampTz newest_time;  ///< of the rows; DT_NOBEGIN: none had a time. Later ones than now count as now
};

/// Adds to the worker's counters. Needs a transaction and SPI. A subscription that was dropped meanwhile has none.
void add_progress(const Subscription &subscription, const BatchCounts &counts);

/// Adds what mqtt_replay() stored to counters of its own: the worker's are locked until its transaction ends. Needs a transaction
/// and SPI.
void add_replayed_rows(const Subscription &subscription, int64 row_count, TimestampTz newest_time);

}  // namespace historian::bgworker
