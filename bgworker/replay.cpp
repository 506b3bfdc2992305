// mqtt_replay(): the dead letters of a subscription, tried again in the caller's transaction.
//
// They are read in the order of their arrival and stored in portions, in subtransactions (ingest.h). What is stored is removed in
// the same transaction, what is not keeps the new reason; so a letter is there or its rows are, whatever becomes of the caller. A
// letter is locked when it is read: of two replays at once the second one finds what the first has left.
//
// Rights: the caller must have those of the subscription's owner, and becomes the owner for the rows, so that no trigger of the
// owner's table runs with more. As a guest in somebody else's session the owner may not change that session: the restricted
// operation of PostgreSQL's own maintenance commands. Deferred triggers would run after it, as the caller: so constraints are
// immediate from here to the end of the transaction.
#include "bgworker/dead_letter.h"
#include "bgworker/ingest.h"
#include "bgworker/session.h"
#include "bgworker/worker_state.h"

extern "C" {
#include "utils/jsonb.h"
}

namespace historian::bgworker {

namespace {

// One portion: bounds the memory, large enough that a table's statement is worth its cost.
constexpr int kLettersPerPortion = 1000;
constexpr size_t kBytesPerPortion = 16 * 1024 * 1024;

struct Replay {
    const Subscription *subscription;
    MemoryContext portion;  ///< the letters that are tried at once
    int64 stored_count;
    int64 failed_count;
    int64 row_count;
    TimestampTz newest_time;
};

/// A letter as the message that it was.
struct Letter {
    int64 id;
    ReceivedMessage message;
};

/// Lets the current user be the subscription's owner, who must not change the session.
struct Guest {
    Oid user;
    int security_context;
    int guc_level;  ///< 0: the caller is the owner
};

Guest become_owner(Oid owner) {
    Guest guest{};
    GetUserIdAndSecContext(&guest.user, &guest.security_context);
    if (guest.user == owner) return guest;
    guest.guc_level = NewGUCNestLevel();
    SetUserIdAndSecContext(owner, guest.security_context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
    return guest;
}

void become_caller(const Guest &guest) {
    if (guest.guc_level == 0) return;
    AtEOXact_GUC(false, guest.guc_level);
    SetUserIdAndSecContext(guest.user, guest.security_context);
}

/// Stores a portion, and removes from the letters what is stored.
void replay_portion(Replay *replay, Letter *letters, int count) {
    MemoryContext before = MemoryContextSwitchTo(replay->portion);
    auto *verdicts = static_cast<Verdict *>(palloc(sizeof(Verdict) * count));
    for (int i = 0; i < count; ++i) letters[i].message.next = i + 1 < count ? &letters[i + 1].message : nullptr;
    BatchCounts counts;
    const Guest guest = become_owner(replay->subscription->owner);
    store_within_transaction(*replay->subscription, &letters[0].message, count, verdicts, &counts);
    become_caller(guest);
    for (int i = 0; i < count; ++i) {
        if (verdicts[i].error == nullptr) {
            // Rows of it that are bad have become letters of their own.
            delete_dead_letter(letters[i].id);
            replay->failed_count += verdicts[i].rejected_row_count;
            ++replay->stored_count;
        } else {
            keep_dead_letter(letters[i].id, verdicts[i].error, verdicts[i].sqlstate);
            ++replay->failed_count;
        }
    }
    replay->row_count += counts.row_count;
    replay->newest_time = Max(replay->newest_time, counts.newest_time);
    MemoryContextSwitchTo(before);
    MemoryContextReset(replay->portion);
}

/// Opens the letters to be tried, each locked when it is fetched. A payload of which only the beginning is kept cannot be.
Portal open_letters(const Subscription &subscription, Datum ids, bool all) {
    static const char *const kQuery =
        "SELECT id, topic, payload, payload_bytes, qos, retained, received_at, properties, content_type"
        " FROM historian.mqtt_dead_letter"
        " WHERE subscription OPERATOR(pg_catalog.=) $1 AND owner OPERATOR(pg_catalog.=) $2"
        " AND ($3 IS NULL OR id OPERATOR(pg_catalog.=) ANY ($3))"
        " AND pg_catalog.octet_length(payload) OPERATOR(pg_catalog.=) payload_bytes ORDER BY id FOR UPDATE";
    Oid types[] = {TEXTOID, OIDOID, INT8ARRAYOID};
    Datum values[] = {CStringGetTextDatum(subscription.name), ObjectIdGetDatum(subscription.owner), ids};
    const char nulls[] = {' ', ' ', all ? 'n' : ' ', '\0'};
    Portal portal = nullptr;
    as_historian_owner([&] {
        portal = SPI_cursor_open_with_args(nullptr, kQuery, lengthof(types), types, values, nulls, false, CURSOR_OPT_NO_SCROLL);
    });
    return portal;
}

const char *text_column(HeapTuple tuple, TupleDesc desc, int column) {
    const char *text = SPI_getvalue(tuple, desc, column);
    return text != nullptr ? restore_text(text) : nullptr;
}

const char *restore_json_string(const JsonbValue &value) {
    return restore_text(pnstrdup(value.val.string.val, value.val.string.len));
}

/// User properties, from the object that dead_letter.cpp makes of them: in the order of their names, and of one name in the
/// message's own order.
void restore_properties(Datum properties, ReceivedMessage *message) {
    Jsonb *object = DatumGetJsonbP(properties);
    JsonbIterator *iterator = JsonbIteratorInit(&object->root);
    JsonbValue value;
    const char *name = nullptr;
    uint32 room = 0;
    UserProperty *restored = nullptr;
    for (;;) {
        const JsonbIteratorToken token = JsonbIteratorNext(&iterator, &value, false);
        if (token == WJB_DONE) break;
        if (token == WJB_KEY) name = restore_json_string(value);
        const bool is_value = (token == WJB_VALUE || token == WJB_ELEM) && value.type == jbvString && name != nullptr;
        if (!is_value) continue;
        if (message->property_count == room) {
            room = Max(room * 2, 8u);
            const Size bytes = sizeof(UserProperty) * room;
            restored = static_cast<UserProperty *>(restored == nullptr ? palloc(bytes) : repalloc(restored, bytes));
        }
        restored[message->property_count++] = {name, restore_json_string(value)};
    }
    message->properties = restored;
}

/// Reads a row of open_letters(); memory is the current context's.
void read_letter(HeapTuple tuple, TupleDesc desc, Letter *letter) {
    bool is_null;
    *letter = {};
    ReceivedMessage *message = &letter->message;
    letter->id = DatumGetInt64(SPI_getbinval(tuple, desc, 1, &is_null));
    message->topic = text_column(tuple, desc, 2);
    const bytea *payload = DatumGetByteaPP(SPI_getbinval(tuple, desc, 3, &is_null));
    message->payload = pnstrdup(VARDATA_ANY(payload), VARSIZE_ANY_EXHDR(payload));
    message->payload_bytes = message->kept_bytes = VARSIZE_ANY_EXHDR(payload);
    message->qos = static_cast<uint8>(DatumGetInt16(SPI_getbinval(tuple, desc, 5, &is_null)));
    message->retained = DatumGetBool(SPI_getbinval(tuple, desc, 6, &is_null));
    message->arrived_at = DatumGetTimestampTz(SPI_getbinval(tuple, desc, 7, &is_null)) + kEpochMicroseconds;
    const Datum properties = SPI_getbinval(tuple, desc, 8, &is_null);
    if (!is_null) restore_properties(properties, message);
    message->content_type = text_column(tuple, desc, 9);
}

void replay_all(Replay *replay, Datum ids, bool all) {
    auto *letters = static_cast<Letter *>(palloc(sizeof(Letter) * kLettersPerPortion));
    int count = 0;
    size_t bytes = 0;
    Portal portal = open_letters(*replay->subscription, ids, all);
    for (;;) {
        as_historian_owner([portal] { SPI_cursor_fetch(portal, true, 1); });
        const bool found = SPI_processed == 1;
        if (found) {
            MemoryContext before = MemoryContextSwitchTo(replay->portion);
            read_letter(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, &letters[count]);
            MemoryContextSwitchTo(before);
            bytes += letters[count++].message.kept_bytes;
        }
        SPI_freetuptable(SPI_tuptable);
        if (count == kLettersPerPortion || bytes >= kBytesPerPortion || (!found && count > 0)) {
            replay_portion(replay, letters, count);
            count = 0;
            bytes = 0;
        }
        if (!found) break;
    }
    SPI_cursor_close(portal);
}

/// How many letters cannot be replayed because only the beginning of their payload is there.
int64 count_truncated(const Subscription &subscription, Datum ids, bool all) {
    int64 count = 0;
    as_historian_owner([&] {
        Oid types[] = {TEXTOID, OIDOID, INT8ARRAYOID};
        Datum values[] = {CStringGetTextDatum(subscription.name), ObjectIdGetDatum(subscription.owner), ids};
        const char nulls[] = {' ', ' ', all ? 'n' : ' ', '\0'};
        SPI_execute_with_args(
            "SELECT pg_catalog.count(*) FROM historian.mqtt_dead_letter"
            " WHERE subscription OPERATOR(pg_catalog.=) $1 AND owner OPERATOR(pg_catalog.=) $2"
            " AND ($3 IS NULL OR id OPERATOR(pg_catalog.=) ANY ($3))"
            " AND pg_catalog.octet_length(payload) OPERATOR(pg_catalog.<) payload_bytes",
            lengthof(types), types, values, nulls, true, 1);
        bool is_null;
        count = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null));
    });
    return count;
}

void find_own_subscription(const char *name, Subscription *subscription) {
    if (!find_subscription(name, CurrentMemoryContext, subscription)) {
        ereport(ERROR, errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("MQTT subscription \"%s\" does not exist", name),
                errhint("Dead letters are replayed as their subscription says: if it was dropped, subscribe again by its name."));
    }
    if (!has_privs_of_role(GetUserId(), subscription->owner)) {
        ereport(ERROR, errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("must be owner of MQTT subscription \"%s\"", name));
    }
}

}  // namespace

}  // namespace historian::bgworker

using namespace historian::bgworker;

/// mqtt_replay(name, ids): stored, failed, truncated
HISTORIAN_SQL_FUNCTION(historian_mqtt_replay) {
    require_preloaded();
    if (PG_ARGISNULL(0)) ereport(ERROR, errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("name must not be null"));
    TupleDesc desc;
    if (get_call_result_type(fcinfo, nullptr, &desc) != TYPEFUNC_COMPOSITE) elog(ERROR, "mqtt_replay returns a row");
    const bool all = PG_ARGISNULL(1);
    const Datum ids = all ? static_cast<Datum>(0) : PG_GETARG_DATUM(1);
    Subscription subscription{};
    find_own_subscription(text_to_cstring(PG_GETARG_TEXT_PP(0)), &subscription);
    Replay replay{&subscription, nullptr, 0, 0, 0, DT_NOBEGIN};
    SPI_connect();
    replay.portion = AllocSetContextCreate(CurrentMemoryContext, "historian dead letters", ALLOCSET_DEFAULT_SIZES);
    // The caller's own deferred constraints and triggers, while it is still the caller.
    if (SPI_execute("SET CONSTRAINTS ALL IMMEDIATE", false, 0) != SPI_OK_UTILITY) elog(ERROR, "SET CONSTRAINTS failed");
    replay_all(&replay, ids, all);
    if (replay.row_count > 0) add_replayed_rows(subscription, replay.row_count, replay.newest_time);
    const int64 truncated_count = count_truncated(subscription, ids, all);
    SPI_finish();
    if (truncated_count > 0) {
        ereport(NOTICE,
                errmsg("%lld dead letters of MQTT subscription \"%s\" hold only the beginning of their payload",
                       static_cast<long long>(truncated_count), subscription.name),
                errdetail("They were larger than historian.mqtt_payload_max, and cannot be replayed."));
    }
    Datum values[] = {Int64GetDatum(replay.stored_count), Int64GetDatum(replay.failed_count), Int64GetDatum(truncated_count)};
    bool nulls[] = {false, false, false};
    PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
