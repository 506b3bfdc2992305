#include "bgworker/progress.h"

#include "bgworker/session.h"

namespace historian::bgworker {

namespace {

/// A time as a column has it, with whether it is null.
struct NewestTime {
    Datum value;
    char null;
};

/// The clock of a device that is fast must not hide that nothing comes any more.
NewestTime clamp_newest(TimestampTz time) {
    if (TIMESTAMP_IS_NOBEGIN(time)) return {static_cast<Datum>(0), 'n'};
    return {TimestampTzGetDatum(Min(time, GetCurrentTimestamp())), ' '};
}

SPIPlanPtr prepare_update() {
    static SPIPlanPtr kept = nullptr;
    Oid types[] = {INT8OID, INT2OID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID};
    return prepare_once(
        &kept,
        "UPDATE historian.mqtt_progress SET messages = messages OPERATOR(pg_catalog.+) $3, rows = rows OPERATOR(pg_catalog.+) $4,"
        " bytes = bytes OPERATOR(pg_catalog.+) $5, rejected = rejected OPERATOR(pg_catalog.+) $6,"
        " redelivered = redelivered OPERATOR(pg_catalog.+) $7, batches = batches OPERATOR(pg_catalog.+) 1,"
        " newest_time = GREATEST(newest_time, $8), last_commit = $9, last_seen = $9"
        " WHERE subscription OPERATOR(pg_catalog.=) $1 AND worker OPERATOR(pg_catalog.=) $2",
        types, lengthof(types));
}

}  // namespace

void add_progress(const Subscription &subscription, const BatchCounts &counts) {
    as_historian_owner([&subscription, &counts] {
        const NewestTime newest = clamp_newest(counts.newest_time);
        Datum values[] = {Int64GetDatum(subscription.id),
                          Int16GetDatum(static_cast<int16>(subscription.worker)),
                          Int64GetDatum(counts.message_count),
                          Int64GetDatum(counts.row_count),
                          Int64GetDatum(counts.byte_count),
                          Int64GetDatum(counts.dead_letter_count),
                          Int64GetDatum(counts.redelivered_count),
                          newest.value,
                          TimestampTzGetDatum(GetCurrentTimestamp())};
        const char nulls[] = {' ', ' ', ' ', ' ', ' ', ' ', ' ', newest.null, ' ', '\0'};
        const int result = SPI_execute_plan(prepare_update(), values, nulls, false, 0);
        if (result != SPI_OK_UPDATE) elog(ERROR, "SPI_execute_plan failed: %s", SPI_result_code_string(result));
    });
}

void add_replayed_rows(const Subscription &subscription, int64 row_count, TimestampTz newest_time) {
    as_historian_owner([&subscription, row_count, newest_time] {
        const NewestTime newest = clamp_newest(newest_time);
        Oid types[] = {INT8OID, INT8OID, TIMESTAMPTZOID};
        Datum values[] = {Int64GetDatum(subscription.id), Int64GetDatum(row_count), newest.value};
        const char nulls[] = {' ', ' ', newest.null, '\0'};
        SPI_execute_with_args(
            "INSERT INTO historian.mqtt_progress AS p (subscription, worker, rows, newest_time) VALUES ($1, 0, $2, $3)"
            " ON CONFLICT (subscription, worker) DO UPDATE SET rows = p.rows OPERATOR(pg_catalog.+) excluded.rows,"
            " newest_time = GREATEST(p.newest_time, excluded.newest_time)",
            lengthof(types), types, values, nulls, false, 0);
    });
}

}  // namespace historian::bgworker
