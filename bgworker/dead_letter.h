// Dead letters: messages that could not be stored, with the reason, in historian.mqtt_dead_letter.
#pragma once

#include "bgworker/mqtt_connection.h"
#include "bgworker/server.h"
#include "bgworker/subscriptions.h"

namespace historian::bgworker {

// From 1970, where messages count their arrival from, to 2000, PostgreSQL's origin.
inline constexpr int64 kEpochMicroseconds = (int64{POSTGRES_EPOCH_JDATE} - UNIX_EPOCH_JDATE) * USECS_PER_DAY;

/// Writes one dead letter, as the extension's owner. Needs a transaction and SPI.
///
/// error     as errmsg, in the database's encoding
/// sqlstate  packed, as in ErrorData
void insert_dead_letter(const Subscription &subscription, const ReceivedMessage &message, const char *error, int sqlstate);

/// Removes one, and writes down that one more attempt has failed. Need SPI.
void delete_dead_letter(int64 id);
void keep_dead_letter(int64 id, const char *error, int sqlstate);

/// A topic or property of a dead letter as it was in the message, UTF-8.
const char *restore_text(const char *text);

/// The error of the last one that was written, cut to a line of mqtt_status.
const char *last_dead_letter_error();

}  // namespace historian::bgworker
