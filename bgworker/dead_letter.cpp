#include "bgworker/dead_letter.h"

#include "bgworker/payload.h"
#include "bgworker/session.h"
#include "bgworker/worker_state.h"

namespace historian::bgworker {

namespace {

char last_error[kProblemBytes];

/// A topic that the database can store whatever its bytes: where they are not text of its encoding, the bytes above ASCII become
/// \xNN.
const char *printable_topic(const char *topic) {
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

Datum bytea_datum(const char *bytes, size_t count) {
    auto *value = static_cast<bytea *>(palloc(VARHDRSZ + count));
    SET_VARSIZE(value, VARHDRSZ + count);
    memcpy(VARDATA(value), bytes, count);
    return PointerGetDatum(value);
}

SPIPlanPtr prepare_once() {
    static SPIPlanPtr kept = nullptr;
    if (kept != nullptr) return kept;
    Oid types[] = {TEXTOID, OIDOID, TEXTOID, BYTEAOID, INT8OID, INT2OID, BOOLOID, TEXTOID, TEXTOID};
    SPIPlanPtr plan = SPI_prepare(
        "INSERT INTO historian.mqtt_dead_letter"
        " (subscription, owner, topic, payload, payload_bytes, qos, retained, error, sqlstate)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        lengthof(types), types);
    if (plan == nullptr) elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
    SPI_keepplan(plan);
    kept = plan;
    return plan;
}

}  // namespace

void insert_dead_letter(const Subscription &subscription, const ReceivedMessage &message, const char *error, int sqlstate) {
    copy_problem(last_error, error);
    as_historian_owner([&subscription, &message, error, sqlstate] {
        Datum values[] = {CStringGetTextDatum(subscription.name),
                          ObjectIdGetDatum(subscription.owner),
                          CStringGetTextDatum(printable_topic(message.topic)),
                          bytea_datum(message.payload, message.kept_bytes),
                          Int64GetDatum(static_cast<int64>(message.payload_bytes)),
                          Int16GetDatum(message.qos),
                          BoolGetDatum(message.retained),
                          CStringGetTextDatum(error),
                          CStringGetTextDatum(unpack_sql_state(sqlstate))};
        const int result = SPI_execute_plan(prepare_once(), values, nullptr, false, 0);
        if (result != SPI_OK_INSERT) elog(ERROR, "SPI_execute_plan failed: %s", SPI_result_code_string(result));
    });
}

const char *last_dead_letter_error() { return last_error; }

}  // namespace historian::bgworker
