// The SQL functions that create, change and drop subscriptions.
//
// They are C functions that run as their caller, not SECURITY DEFINER ones: so the caller, who becomes the subscription's owner,
// is known exactly, also under SET ROLE and inside other functions. Only the statements on our own table run as the extension's
// owner. A row that is changed is another version (its xmin), which is how its workers learn of it (publish_subscriptions).
#include "bgworker/launcher.h"
#include "bgworker/session.h"
#include "bgworker/subscription_options.h"
#include "bgworker/subscriptions.h"
#include "bgworker/worker_state.h"

extern "C" {
#include "catalog/pg_authid.h"
}

namespace historian::bgworker {

namespace {

/// The one argument that every function has.
const char *name_argument(FunctionCallInfo fcinfo) {
    const char *name = PG_ARGISNULL(0) ? nullptr : text_to_cstring(PG_GETARG_TEXT_PP(0));
    if (name != nullptr && name[0] != '\0') return name;
    ereport(ERROR, errcode(name == nullptr ? ERRCODE_NULL_VALUE_NOT_ALLOWED : ERRCODE_INVALID_PARAMETER_VALUE),
            errmsg("name of an MQTT subscription must not be %s", name == nullptr ? "null" : "empty"));
    pg_unreachable();
}

/// The worker's session is the owner's: before PostgreSQL 17 that needs LOGIN.
void check_owner_can_log_in(Oid owner) {
#if PG_VERSION_NUM < 170000
    HeapTuple tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(owner));
    if (!HeapTupleIsValid(tuple)) elog(ERROR, "cache lookup failed for role %u", owner);
    const bool can_log_in = reinterpret_cast<Form_pg_authid>(GETSTRUCT(tuple))->rolcanlogin;
    ReleaseSysCache(tuple);
    if (can_log_in) return;
    const char *role = GetUserNameFromId(owner, false);
    ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("role \"%s\" cannot own an MQTT subscription", role),
            errdetail("The subscription's worker runs as a session of its owner, and this role is not permitted to log in."),
            errhint("Subscribe as a role that can, or ALTER ROLE ... LOGIN."));
#endif
}

Datum binary_column(int column) {
    bool is_null;
    const Datum value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column, &is_null);
    return is_null ? static_cast<Datum>(0) : value;
}

// ------------------------------------------------------------------------------------------------------ reading and writing

/// Finds a subscription, locks it against other changes, and raises an error unless the caller has its owner's rights.
int64 lock_subscription(const char *name, Oid *owner) {
    int64 id = 0;
    SPI_connect();
    as_historian_owner([name, owner, &id] {
        Oid types[] = {TEXTOID};
        Datum values[] = {CStringGetTextDatum(name)};
        SPI_execute_with_args(
            "SELECT id, owner FROM historian.mqtt_subscription WHERE name OPERATOR(pg_catalog.=) $1 FOR NO KEY UPDATE", 1, types,
            values, nullptr, false, 1);
        if (SPI_processed == 1) {
            id = DatumGetInt64(binary_column(1));
            *owner = DatumGetObjectId(binary_column(2));
        }
    });
    SPI_finish();
    if (id == 0) ereport(ERROR, errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("MQTT subscription \"%s\" does not exist", name));
    if (!has_privs_of_role(GetUserId(), *owner)) {
        ereport(ERROR, errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("must be owner of MQTT subscription \"%s\"", name));
    }
    return id;
}

/// Reads the options of a subscription that lock_subscription() has found.
void read_options(int64 id, SubscriptionDraft *draft) {
    StringInfoData columns;
    initStringInfo(&columns);
    for (int i = 0; i < kOptionCount; ++i) appendStringInfo(&columns, "%s%s", i > 0 ? ", " : "", kOptions[i].name);
    const char *statement =
        psprintf("SELECT %s FROM historian.mqtt_subscription WHERE id OPERATOR(pg_catalog.=) $1", columns.data);
    SPI_connect();
    as_historian_owner([statement, id, draft] {
        Oid types[] = {INT8OID};
        Datum values[] = {Int64GetDatum(id)};
        SPI_execute_with_args(statement, 1, types, values, nullptr, false, 1);
        for (int i = 0; i < kOptionCount; ++i) {
            int16 length;
            bool by_value;
            get_typlenbyval(kOptions[i].type, &length, &by_value);
            const Datum value =
                SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, i + 1, &draft->nulls[i]);
            if (!draft->nulls[i]) draft->values[i] = SPI_datumTransfer(value, by_value, length);
        }
    });
    SPI_finish();
}

// Parameters of the statements that write: name, owner, the options, and one more.
constexpr int kParameterCount = kOptionCount + 3;

/// Runs a statement on a draft; $1 is its name, $2 the owner, $3 and so on the options. Returns the number of rows it changed.
uint64 write_draft(const SubscriptionDraft &draft, bool topics_change, const char *statement) {
    SPI_connect();
    as_historian_owner([&draft, topics_change, statement] {
        Oid types[kParameterCount] = {TEXTOID, REGROLEOID};
        Datum values[kParameterCount] = {CStringGetTextDatum(draft.name), ObjectIdGetDatum(draft.owner)};
        char nulls[kParameterCount + 1] = "  ";
        for (int i = 0; i < kOptionCount; ++i) {
            types[i + 2] = kOptions[i].type;
            values[i + 2] = draft.values[i];
            nulls[i + 2] = draft.nulls[i] ? 'n' : ' ';
        }
        types[kOptionCount + 2] = BOOLOID;
        values[kOptionCount + 2] = BoolGetDatum(topics_change);
        nulls[kOptionCount + 2] = ' ';
        SPI_execute_with_args(statement, kParameterCount, types, values, nulls, false, 0);
    });
    const uint64 changed = SPI_processed;
    SPI_finish();
    return changed;
}

void insert_subscription(const SubscriptionDraft &draft) {
    StringInfoData columns;
    StringInfoData parameters;
    initStringInfo(&columns);
    initStringInfo(&parameters);
    for (int i = 0; i < kOptionCount; ++i) {
        appendStringInfo(&columns, ", %s", kOptions[i].name);
        appendStringInfo(&parameters, ", $%d", i + 3);
    }
    const char *statement =
        psprintf("INSERT INTO historian.mqtt_subscription (name, owner%s) VALUES ($1, $2%s) ON CONFLICT (name) DO NOTHING",
                 columns.data, parameters.data);
    if (write_draft(draft, false, statement) == 1) return;
    ereport(ERROR, errcode(ERRCODE_DUPLICATE_OBJECT), errmsg("MQTT subscription \"%s\" already exists", draft.name),
            errhint("Drop it with mqtt_unsubscribe, change it with mqtt_alter, or choose another name."));
}

/// topics_change  sessions must be unsubscribed from the topics of before
void update_subscription(const SubscriptionDraft &draft, bool topics_change) {
    StringInfoData statement;
    initStringInfo(&statement);
    appendStringInfo(&statement,
                     "UPDATE historian.mqtt_subscription SET owner = $2, former_topics ="
                     " CASE WHEN $%d AND NOT topic OPERATOR(pg_catalog.=) ANY (former_topics)"
                     " THEN pg_catalog.array_append(former_topics, topic) ELSE former_topics END",
                     kOptionCount + 3);
    for (int i = 0; i < kOptionCount; ++i) appendStringInfo(&statement, ", %s = $%d", kOptions[i].name, i + 3);
    appendStringInfoString(&statement, " WHERE name OPERATOR(pg_catalog.=) $1");
    write_draft(draft, topics_change, statement.data);
}

// ---------------------------------------------------------------------------------------------------- sessions at the broker

/// Counts what historian.mqtt_session has of a subscription, and names its client ids.
uint64 list_sessions(int64 id, char **clients) {
    uint64 count = 0;
    Datum list = static_cast<Datum>(0);
    SPI_connect();
    as_historian_owner([id, &list, &count] {
        Oid types[] = {INT8OID};
        Datum values[] = {Int64GetDatum(id)};
        SPI_execute_with_args(
            "SELECT pg_catalog.count(*),"
            " pg_catalog.string_agg(DISTINCT pg_catalog.format('\"%s\" at %s', client_id, broker), ', ')"
            " FROM historian.mqtt_session WHERE subscription OPERATOR(pg_catalog.=) $1",
            1, types, values, nullptr, false, 1);
        count = static_cast<uint64>(DatumGetInt64(binary_column(1)));
        if (count > 0) list = SPI_datumTransfer(binary_column(2), false, -1);
    });
    SPI_finish();
    if (count > 0) *clients = TextDatumGetCString(list);
    return count;
}

/// Sessions at the brokers are deleted by the workers: says so when there is none to do it.
void warn_of_orphaned_sessions(const char *name, int64 id) {
    char *clients = nullptr;
    if (list_sessions(id, &clients) == 0) return;
    bool served = false;
    LWLockAcquire(shared_state->lock, LW_SHARED);
    for (const SubscriptionSlot &slot : shared_state->subscriptions) {
        const bool own = slot.database == MyDatabaseId && slot.subscription == id;
        served = served || (own && slot.process.phase == WorkerPhase::running);
    }
    LWLockRelease(shared_state->lock);
    if (served) return;
    ereport(WARNING, errmsg("the session of MQTT subscription \"%s\" stays at the broker", name),
            errdetail("No worker runs that could delete it; the broker goes on keeping messages for client %s.", clients),
            errhint("Let mqtt_status show the subscription receiving before such a change."));
}

/// Runs a statement whose one parameter is the subscription's id.
void change_by_id(int64 id, const char *statement) {
    SPI_connect();
    as_historian_owner([id, statement] {
        Oid types[] = {INT8OID};
        Datum values[] = {Int64GetDatum(id)};
        SPI_execute_with_args(statement, 1, types, values, nullptr, false, 0);
    });
    SPI_finish();
}

/// Runs a statement on the subscription that the call names, for a caller who owns it.
void change_subscription(FunctionCallInfo fcinfo, const char *statement) {
    require_preloaded();
    Oid owner;
    change_by_id(lock_subscription(name_argument(fcinfo), &owner), statement);
    wake_workers_at_commit();
}

// ------------------------------------------------------------------------------------------------------------------- altering

/// Another owner: as with tables, the caller must have the rights of both.
void take_owner(FunctionCallInfo fcinfo, int index, SubscriptionDraft *draft) {
    if (PG_ARGISNULL(index)) return;
    const Oid owner = PG_GETARG_OID(index);
    if (owner == draft->owner) return;
    const char *role = GetUserNameFromId(owner, true);
    if (role == nullptr) ereport(ERROR, errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("role with OID %u does not exist", owner));
    if (!has_privs_of_role(GetUserId(), owner)) {
        ereport(ERROR, errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("must have the privileges of role \"%s\"", role));
    }
    check_owner_can_log_in(owner);
    draft->owner = owner;
    draft->given[kOptionTarget] = true;  // whose INSERT is checked again
}

bool texts_differ(const SubscriptionDraft &a, const SubscriptionDraft &b, Option option) {
    const char *text_a = option_text(a, option);
    const char *text_b = option_text(b, option);
    return text_a == nullptr || text_b == nullptr ? text_a != text_b : strcmp(text_a, text_b) != 0;
}

int worker_count(const SubscriptionDraft &draft) { return DatumGetInt32(draft.values[kOptionWorkers]); }

}  // namespace

}  // namespace historian::bgworker

using namespace historian::bgworker;

/// mqtt_subscribe(name, options)
HISTORIAN_SQL_FUNCTION(historian_mqtt_subscribe) {
    SecretStatement secret;
    hide_secret_statement(fcinfo, "mqtt_subscribe", &secret);
    require_preloaded();
    SubscriptionDraft draft{};
    draft.fresh = true;
    draft.name = name_argument(fcinfo);
    draft.owner = GetUserId();
    set_default_options(&draft);
    take_option_arguments(fcinfo, &draft);
    check_options(&draft);
    check_owner_can_log_in(draft.owner);
    insert_subscription(draft);
    wake_workers_at_commit();
    forget_secret_statement(secret);
    PG_RETURN_VOID();
}

/// mqtt_alter(name, options, owner)
HISTORIAN_SQL_FUNCTION(historian_mqtt_alter) {
    SecretStatement secret;
    hide_secret_statement(fcinfo, "mqtt_alter", &secret);
    require_preloaded();
    SubscriptionDraft draft{};
    draft.name = name_argument(fcinfo);
    const int64 id = lock_subscription(draft.name, &draft.owner);
    read_options(id, &draft);
    const SubscriptionDraft before = draft;
    take_option_arguments(fcinfo, &draft);
    take_owner(fcinfo, kOptionCount + 1, &draft);
    check_options(&draft);
    const bool moves = texts_differ(before, draft, kOptionBroker) || texts_differ(before, draft, kOptionClientId) ||
                       worker_count(draft) < worker_count(before);
    if (moves) warn_of_orphaned_sessions(draft.name, id);
    const bool shares = (worker_count(before) > 1) != (worker_count(draft) > 1);
    update_subscription(draft, shares || texts_differ(before, draft, kOptionTopic));
    wake_workers_at_commit();
    forget_secret_statement(secret);
    PG_RETURN_VOID();
}

HISTORIAN_SQL_FUNCTION(historian_mqtt_unsubscribe) {
    require_preloaded();
    const char *name = name_argument(fcinfo);
    Oid owner;
    const int64 id = lock_subscription(name, &owner);
    warn_of_orphaned_sessions(name, id);
    change_by_id(id, "DELETE FROM historian.mqtt_session WHERE subscription OPERATOR(pg_catalog.=) $1");
    change_by_id(id, "DELETE FROM historian.mqtt_subscription WHERE id OPERATOR(pg_catalog.=) $1");
    wake_workers_at_commit();
    PG_RETURN_VOID();
}

HISTORIAN_SQL_FUNCTION(historian_mqtt_enable) {
    change_subscription(
        fcinfo, "UPDATE historian.mqtt_subscription SET enabled = true WHERE id OPERATOR(pg_catalog.=) $1 AND NOT enabled");
    PG_RETURN_VOID();
}

HISTORIAN_SQL_FUNCTION(historian_mqtt_disable) {
    change_subscription(fcinfo,
                        "UPDATE historian.mqtt_subscription SET enabled = false WHERE id OPERATOR(pg_catalog.=) $1 AND enabled");
    PG_RETURN_VOID();
}

/// A new version of the row even when it was enabled: its workers start again at once.
HISTORIAN_SQL_FUNCTION(historian_mqtt_resume) {
    change_subscription(fcinfo, "UPDATE historian.mqtt_subscription SET enabled = true WHERE id OPERATOR(pg_catalog.=) $1");
    PG_RETURN_VOID();
}

/// Called by the install script, so that the workers of this database start when CREATE EXTENSION commits.
HISTORIAN_SQL_FUNCTION(historian_wake_workers) {
    require_preloaded();
    wake_workers_at_commit();
    PG_RETURN_VOID();
}
