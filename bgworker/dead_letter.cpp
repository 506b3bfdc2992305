#include "bgworker/dead_letter.h"

#include "bgworker/payload.h"
#include "bgworker/session.h"
#include "bgworker/worker_state.h"

namespace historian::bgworker {

namespace {

char last_error[kProblemBytes];

// Of a reason this much is kept.
constexpr int kReasonBytesMax = 1000;

/// A topic or property that the database can store whatever its bytes: where they are not text of its encoding, the bytes above
/// ASCII become \xNN.
const char *printable_text(const char *topic) {
    const bool keeps = GetDatabaseEncoding() == PG_UTF8 && find_invalid_utf8(topic) == std::string_view::npos;
    if (keeps) return topic;
    StringInfoData escaped;
    initStringInfo(&escaped);
    for (const char *at = topic; *at != '\0'; ++at) {
        const auto byte = static_cast<unsigned char>(*at);
        if (byte < 0x80) {
            appendStringInfoChar(&escaped, *at);
        } else {
            appendStringInfo(&escaped, "\\x%02x", byte);
        }
    }
    return escaped.data;
}

/// User properties as a JSON object: a name's value, or an array of them where it repeats. nullptr when there are none.
char *describe_properties(const ReceivedMessage &message) {
    if (message.property_count == 0) return nullptr;
    StringInfoData json;
    initStringInfo(&json);
    for (uint32 i = 0; i < message.property_count; ++i) {
        const char *name = message.properties[i].name;
        uint32 before = 0;
        uint32 count = 0;
        for (uint32 j = 0; j < message.property_count; ++j) {
            if (strcmp(message.properties[j].name, name) == 0) j < i ? ++before : ++count;
        }
        if (before > 0) continue;
        appendStringInfoString(&json, i == 0 ? "{" : ", ");
        escape_json(&json, printable_text(name));
        appendStringInfoString(&json, count > 1 ? ": [" : ": ");
        const char *separator = "";
        for (uint32 j = i; j < message.property_count; ++j) {
            if (strcmp(message.properties[j].name, name) != 0) continue;
            appendStringInfoString(&json, separator);
            escape_json(&json, printable_text(message.properties[j].value));
            separator = ", ";
        }
        if (count > 1) appendStringInfoChar(&json, ']');
    }
    appendStringInfoChar(&json, '}');
    return json.data;
}

Datum bytea_datum(const char *bytes, size_t count) {
    auto *value = static_cast<bytea *>(palloc(VARHDRSZ + count));
    SET_VARSIZE(value, VARHDRSZ + count);
    memcpy(VARDATA(value), bytes, count);
    return PointerGetDatum(value);
}

/// An input function's error repeats what it was given: a number of a million digits, say. The payload has it.
const char *shorten(const char *error) {
    const auto bytes = static_cast<int>(strlen(error));
    if (bytes <= kReasonBytesMax) return error;
    return psprintf("%.*s ...", pg_mbcliplen(error, bytes, kReasonBytesMax), error);
}

SPIPlanPtr prepare_insert() {
    static SPIPlanPtr kept = nullptr;
    Oid types[] = {TEXTOID, OIDOID,  TEXTOID, BYTEAOID, INT8OID, INT2OID,
                   BOOLOID, TEXTOID, TEXTOID, TEXTOID,  TEXTOID, TIMESTAMPTZOID};
    return prepare_once(
        &kept,
        "INSERT INTO historian.mqtt_dead_letter"
        " (subscription, owner, topic, payload, payload_bytes, qos, retained, error, sqlstate, properties, content_type,"
        " received_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10::pg_catalog.jsonb, $11, $12)",
        types, lengthof(types));
}

}  // namespace

void insert_dead_letter(const Subscription &subscription, const ReceivedMessage &message, const char *error, int sqlstate) {
    copy_problem(last_error, error);
    as_historian_owner([&subscription, &message, error, sqlstate] {
        const char *properties = describe_properties(message);
        const char *content_type = message.content_type != nullptr ? printable_text(message.content_type) : nullptr;
        Datum values[] = {CStringGetTextDatum(subscription.name),
                          ObjectIdGetDatum(subscription.owner),
                          CStringGetTextDatum(printable_text(message.topic)),
                          bytea_datum(message.payload, message.kept_bytes),
                          Int64GetDatum(static_cast<int64>(message.payload_bytes)),
                          Int16GetDatum(message.qos),
                          BoolGetDatum(message.retained),
                          CStringGetTextDatum(shorten(error)),
                          CStringGetTextDatum(unpack_sql_state(sqlstate)),
                          properties != nullptr ? CStringGetTextDatum(properties) : static_cast<Datum>(0),
                          content_type != nullptr ? CStringGetTextDatum(content_type) : static_cast<Datum>(0),
                          TimestampTzGetDatum(message.arrived_at - kEpochMicroseconds)};
        const char nulls[] = {
            ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', properties != nullptr ? ' ' : 'n', content_type != nullptr ? ' ' : 'n',
            ' ', '\0'};
        const int result = SPI_execute_plan(prepare_insert(), values, nulls, false, 0);
        if (result != SPI_OK_INSERT) elog(ERROR, "SPI_execute_plan failed: %s", SPI_result_code_string(result));
    });
}

void delete_dead_letter(int64 id) {
    as_historian_owner([id] {
        Oid types[] = {INT8OID};
        Datum values[] = {Int64GetDatum(id)};
        SPI_execute_with_args("DELETE FROM historian.mqtt_dead_letter WHERE id OPERATOR(pg_catalog.=) $1", 1, types, values,
                              nullptr, false, 0);
    });
}

void keep_dead_letter(int64 id, const char *error, int sqlstate) {
    as_historian_owner([id, error, sqlstate] {
        Oid types[] = {INT8OID, TEXTOID, TEXTOID};
        Datum values[] = {Int64GetDatum(id), CStringGetTextDatum(shorten(error)),
                          CStringGetTextDatum(unpack_sql_state(sqlstate))};
        SPI_execute_with_args(
            "UPDATE historian.mqtt_dead_letter SET error = $2, sqlstate = $3, attempts = attempts OPERATOR(pg_catalog.+) 1,"
            " last_attempt = pg_catalog.clock_timestamp() WHERE id OPERATOR(pg_catalog.=) $1",
            lengthof(types), types, values, nullptr, false, 0);
    });
}

const char *restore_text(const char *text) {
    char *restored = pstrdup(pg_server_to_any(text, static_cast<int>(strlen(text)), PG_UTF8));
    if (GetDatabaseEncoding() == PG_UTF8) return restored;
    char *to = restored;
    for (const char *at = restored; *at != '\0';) {
        unsigned byte;
        if (at[0] == '\\' && at[1] == 'x' && sscanf(at + 2, "%2x", &byte) == 1 && byte >= 0x80) {
            *to++ = static_cast<char>(byte);
            at += 4;
        } else {
            *to++ = *at++;
        }
    }
    *to = '\0';
    return restored;
}

const char *last_dead_letter_error() { return last_error; }

}  // namespace historian::bgworker
