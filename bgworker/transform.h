// Transform: a function in SQL that makes a message into rows of the target, for what no mapping can say.
//
//     f(payload bytea | text | json | jsonb, topic text [, properties jsonb])
//         RETURNS TABLE (some of the target's columns) | SETOF target | SETOF record
//
// It runs as the subscription's owner inside the transaction that stores the messages: one INSERT ... SELECT for many of them.
// What it raises makes a dead letter of the message that it raised it for, as any error of an INSERT does (ingest.h).
#pragma once

#include "bgworker/server.h"
//
#include "bgworker/mqtt_connection.h"
#include "bgworker/target_table.h"

namespace historian::bgworker {

/// Finds the function and checks that it can be called for the target. Returns its name with schema and argument types.
///
/// name    'function', 'schema.function' or 'schema.function(bytea, text)'
/// errors  42883 no such function, 42725 several that would do, 42P13 it takes or returns something else, 42501 no EXECUTE, and
///         those of INSERT: columns that the target has not, values that it does not take
const char *check_transform(Oid target, Oid owner, const char *name);

/// Messages waiting for one INSERT.
class TransformBuffer {
public:
    /// Prepares the statement for the target; memory is the current context's. Needs a transaction and SPI.
    ///
    /// function      as check_transform() has returned it
    /// decompressed  for payloads that are compressed; is reset now and then
    void begin(const char *function, const TargetTable &target, MemoryContext decompressed);

    /// Adds a message, inserting whenever the buffer is full. Returns nullptr, or why the message cannot be passed on.
    const char *add(const ReceivedMessage &message, int *sqlstate);

    /// Inserts what is left; returns how many rows all messages have come to.
    uint64 finish();

private:
    const char *prepare(const char *function, const TargetTable &target);
    const char *check_text(std::string_view payload, int *sqlstate) const;
    void insert();

    const char *unfit_ = nullptr;  ///< why no message can be taken
    int unfit_sqlstate_ = 0;
    MemoryContext messages_ = nullptr;
    MemoryContext decompressed_ = nullptr;
    SPIPlanPtr plan_ = nullptr;
    Datum *payloads_ = nullptr;
    Datum *topics_ = nullptr;
    Datum *properties_ = nullptr;  ///< nullptr: not asked for
    Oid payload_type_ = InvalidOid;  ///< bytea or text
    int message_count_ = 0;
    uint64 row_count_ = 0;
};

}  // namespace historian::bgworker
