// Dead letters: messages that could not be stored, with the reason, in historian.mqtt_dead_letter.
#pragma once

#include "bgworker/mqtt_connection.h"
#include "bgworker/server.h"
#include "bgworker/subscriptions.h"

namespace historian::bgworker {

/// Writes one dead letter, as the extension's owner. Needs a transaction and SPI.
///
/// error     as errmsg, in the database's encoding
/// sqlstate  packed, as in ErrorData
void insert_dead_letter(const Subscription &subscription, const ReceivedMessage &message, const char *error, int sqlstate);

/// The error of the last one that was written, cut to a line of mqtt_status.
const char *last_dead_letter_error();

}  // namespace historian::bgworker
