// Ingest: stores one batch of messages in one transaction, each row of them as a row or as a dead letter.
//
// How a batch is tried, from fast to careful:
//   1. all of it, without subtransactions. Most batches end here.
//   2. an error that a message may have caused: again, per table in subtransactions that are halved until the message is alone,
//      deferred constraints checked at once. Of what fails alone the rows are tried (rejected_rows.h): those that fail become
//      dead letters in the same transaction. A message none of whose rows can be stored becomes one dead letter, as it came.
//   3. COMMIT itself refused: message by message, each in a transaction of its own, whole or as a dead letter.
// An error of the server's (is_transient) ends the attempt at any stage: nothing is stored, and the broker is to send all again.
// The worker then makes the batch smaller; a message that goes on failing alone, for want of resources other than disk space and
// connections, becomes a dead letter.
//
// A payload is parsed when its rows are inserted, and its cells are forgotten after them: they may take many times its bytes.
//
// Invariants:
//   1. When store_batch returns true every row of every message is durable, as a row or in a dead letter; otherwise none must be
//      acknowledged.
//   2. Messages of one table are stored in the order of arrival.
//   3. The transaction that stores messages counts them (progress.h).
#pragma once

#include "bgworker/mqtt_connection.h"
#include "bgworker/progress.h"
#include "bgworker/server.h"
#include "bgworker/subscriptions.h"

namespace historian::bgworker {

/// Stores messages (a list of message_count); true when they are durable. False: nothing may be acknowledged; *problem says why,
/// in memory that lives until the next call.
bool store_batch(const Subscription &subscription, const ReceivedMessage *messages, size_t message_count, BatchCounts *counts,
                 const char **problem);

/// What became of one message within a transaction of the caller's.
struct Verdict {
    const char *error;  ///< nullptr: it is stored, but for rows that are dead letters of their own now
    int sqlstate;
    uint32 rejected_row_count;  ///< these
};

/// Stores what can be stored of messages in subtransactions of the caller's transaction, with the rights of the current user. A
/// message of which nothing can be stored makes no dead letter; nothing is counted. Deferred constraints are checked at once.
/// Errors of the server's are raised. Needs SPI.
///
/// verdicts  one a message; their texts live in the current context
void store_within_transaction(const Subscription &subscription, const ReceivedMessage *messages, size_t message_count,
                              Verdict *verdicts, BatchCounts *counts);

}  // namespace historian::bgworker
