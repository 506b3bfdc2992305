// The SQL functions that create, drop, enable and disable subscriptions.
//
// They are C functions that run as their caller, not SECURITY DEFINER ones: so the caller, who becomes the subscription's owner,
// is known exactly, also under SET ROLE and inside other functions. Only the statements on our own table run as the extension's
// owner.
#include "bgworker/launcher.h"
#include "bgworker/session.h"
#include "bgworker/subscriptions.h"
#include "bgworker/worker_state.h"

extern "C" {
#include "catalog/pg_authid.h"
}

namespace historian::bgworker {

namespace {

/// A text argument, or nullptr when it is null.
const char *text_argument(FunctionCallInfo fcinfo, int index) {
    return PG_ARGISNULL(index) ? nullptr : text_to_cstring(PG_GETARG_TEXT_PP(index));
}

const char *required_argument(FunctionCallInfo fcinfo, int index, const char *name) {
    const char *value = text_argument(fcinfo, index);
    if (value != nullptr && value[0] != '\0') return value;
    ereport(ERROR, errcode(value == nullptr ? ERRCODE_NULL_VALUE_NOT_ALLOWED : ERRCODE_INVALID_PARAMETER_VALUE),
            errmsg("%s of an MQTT subscription must not be %s", name, value == nullptr ? "null" : "empty"));
    pg_unreachable();
}

/// The broker's address without its credentials, which are kept apart because the address is shown to everyone.
const char *check_broker(const char *url, BrokerAddress *address) {
    if (const char *fault = parse_broker_url(url, address)) {
        // The URL is not repeated: it may hold a password.
        ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid broker URL"), errdetail("The cause: %s.", fault),
                errhint("Write mqtt://host:port, or mqtts://host:port for TLS."));
    }
    const bool bracketed = strchr(address->host, ':') != nullptr;
    return psprintf("%s://%s%s%s:%u", address->tls ? "mqtts" : "mqtt", bracketed ? "[" : "", address->host, bracketed ? "]" : "",
                    static_cast<unsigned>(address->port));
}

/// Not left to the table's CHECK: its error shows the whole row, the password included.
void check_name(const char *name) {
    if (pg_mbstrlen(name) < NAMEDATALEN) return;
    ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
            errmsg("name of an MQTT subscription must not be longer than %d characters", NAMEDATALEN - 1));
}

void check_topic(const char *topic) {
    const char *fault = validate_topic_filter(pg_server_to_any(topic, static_cast<int>(strlen(topic)), PG_UTF8));
    if (fault == nullptr) return;
    ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid topic filter \"%s\"", topic),
            errdetail("The cause: %s.", fault));
}

int check_qos(int qos) {
    if (qos == 0 || qos == 1) return qos;
    if (qos != 2) {
        ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("quality of service %d is not 0 or 1", qos));
    }
    ereport(NOTICE, errmsg("subscribing at quality of service 1"),
            errdetail("Messages published at 2 are delivered at 1: stored at least once, acknowledged after commit."));
    return 1;
}

void check_target(Oid target) {
    if (!OidIsValid(target)) return;
    const char kind = get_rel_relkind(target);
    if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE && kind != RELKIND_VIEW && kind != RELKIND_FOREIGN_TABLE) {
        ereport(ERROR, errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("target of an MQTT subscription must be a table"));
    }
    if (pg_class_aclcheck(target, GetUserId(), ACL_INSERT) != ACLCHECK_OK) {
        aclcheck_error(ACLCHECK_NO_PRIV, get_relkind_objtype(kind), get_rel_name(target));
    }
}

void check_ca_file(const char *ca_file, bool tls) {
    if (ca_file == nullptr) return;
    if (!tls) {
        ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("ca_file needs a broker URL that begins with mqtts://"));
    }
    if (!has_privs_of_role(GetUserId(), ROLE_PG_READ_SERVER_FILES)) {
        ereport(ERROR, errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("permission denied to name a file of the server"),
                errdetail("ca_file needs the privileges of the role \"pg_read_server_files\"."));
    }
}

/// The worker's session is the owner's: before PostgreSQL 17 that needs LOGIN.
void check_owner_can_log_in() {
#if PG_VERSION_NUM < 170000
    HeapTuple tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(GetUserId()));
    if (!HeapTupleIsValid(tuple)) elog(ERROR, "cache lookup failed for role %u", GetUserId());
    const bool can_log_in = reinterpret_cast<Form_pg_authid>(GETSTRUCT(tuple))->rolcanlogin;
    ReleaseSysCache(tuple);
    if (can_log_in) return;
    const char *role = GetUserNameFromId(GetUserId(), false);
    ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("role \"%s\" cannot own an MQTT subscription", role),
            errdetail("The subscription's worker runs as a session of its owner, and this role is not permitted to log in."),
            errhint("Subscribe as a role that can, or ALTER ROLE ... LOGIN."));
#endif
}

/// What mqtt_subscribe() stores.
struct NewSubscription {
    const char *name, *broker, *topic, *username, *password, *ca_file, *default_schema;
    Oid target;
    int qos;
};

Datum text_datum(const char *text) { return text == nullptr ? static_cast<Datum>(0) : CStringGetTextDatum(text); }

void insert_subscription(const NewSubscription &added) {
    const Oid owner = GetUserId();
    SPI_connect();
    as_historian_owner([&added, owner] {
        Oid types[] = {TEXTOID, OIDOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, OIDOID, TEXTOID, INT2OID};
        Datum values[] = {text_datum(added.name),           ObjectIdGetDatum(owner),
                          text_datum(added.broker),         text_datum(added.username),
                          text_datum(added.password),       text_datum(added.ca_file),
                          text_datum(added.topic),          ObjectIdGetDatum(added.target),
                          text_datum(added.default_schema), Int16GetDatum(static_cast<int16>(added.qos))};
        const char nulls[] = {' ',
                              ' ',
                              ' ',
                              added.username ? ' ' : 'n',
                              added.password ? ' ' : 'n',
                              added.ca_file ? ' ' : 'n',
                              ' ',
                              OidIsValid(added.target) ? ' ' : 'n',
                              ' ',
                              ' ',
                              '\0'};
        SPI_execute_with_args(
            "INSERT INTO historian.mqtt_subscription"
            " (name, owner, broker, username, password, ca_file, topic, target, default_schema, qos)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (name) DO NOTHING",
            lengthof(values), types, values, nulls, false, 0);
    });
    const bool inserted = SPI_processed == 1;
    SPI_finish();
    if (inserted) return;
    ereport(ERROR, errcode(ERRCODE_DUPLICATE_OBJECT), errmsg("MQTT subscription \"%s\" already exists", added.name),
            errhint("Drop it with mqtt_unsubscribe, or choose another name."));
}

/// Raises an error unless the subscription exists and the caller has its owner's rights.
void check_ownership(const char *name) {
    Oid owner = InvalidOid;
    SPI_connect();
    as_historian_owner([name, &owner] {
        Oid types[] = {TEXTOID};
        Datum values[] = {CStringGetTextDatum(name)};
        SPI_execute_with_args("SELECT owner FROM historian.mqtt_subscription WHERE name OPERATOR(pg_catalog.=) $1 FOR UPDATE", 1,
                              types, values, nullptr, false, 1);
        bool is_null;
        if (SPI_processed == 1) {
            owner = DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null));
        }
    });
    SPI_finish();
    if (!OidIsValid(owner)) {
        ereport(ERROR, errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("MQTT subscription \"%s\" does not exist", name));
    }
    if (!has_privs_of_role(GetUserId(), owner)) {
        ereport(ERROR, errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("must be owner of MQTT subscription \"%s\"", name));
    }
}

/// The session at the broker is deleted by the subscription's worker; says so when there is none to do it.
void warn_of_orphaned_session(const char *name) {
    check_ownership(name);
    int64 started_id = 0;
    SPI_connect();
    as_historian_owner([name, &started_id] {
        Oid types[] = {TEXTOID};
        Datum values[] = {CStringGetTextDatum(name)};
        SPI_execute_with_args(
            "SELECT id FROM historian.mqtt_subscription WHERE name OPERATOR(pg_catalog.=) $1 AND session_started", 1, types,
            values, nullptr, false, 1);
        bool is_null;
        if (SPI_processed == 1)
            started_id = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null));
    });
    SPI_finish();
    LWLockAcquire(shared_state->lock, LW_SHARED);
    const SubscriptionSlot *slot = find_subscription_slot(MyDatabaseId, started_id);
    const bool served = slot != nullptr && slot->process.phase == WorkerPhase::running;
    LWLockRelease(shared_state->lock);
    if (started_id == 0 || served) return;
    ereport(WARNING, errmsg("the session of MQTT subscription \"%s\" stays at the broker", name),
            errdetail("No worker runs that could delete it; the broker goes on keeping messages for client \"%s\".",
                      compose_client_id(started_id)),
            errhint("Before mqtt_unsubscribe, mqtt_enable the subscription and wait until mqtt_status shows it receiving."));
}

/// Runs a statement whose one parameter is the name, for a caller who owns the subscription.
void change_subscription(FunctionCallInfo fcinfo, const char *statement) {
    require_preloaded();
    const char *name = required_argument(fcinfo, 0, "name");
    check_ownership(name);
    SPI_connect();
    as_historian_owner([name, statement] {
        Oid types[] = {TEXTOID};
        Datum values[] = {CStringGetTextDatum(name)};
        SPI_execute_with_args(statement, 1, types, values, nullptr, false, 0);
    });
    SPI_finish();
    wake_workers_at_commit();
}

}  // namespace

}  // namespace historian::bgworker

using namespace historian::bgworker;

/// mqtt_subscribe(name, broker, topic, target, username, password, ca_file, qos, in_schema)
HISTORIAN_SQL_FUNCTION(historian_mqtt_subscribe) {
    require_preloaded();
    BrokerAddress address;
    NewSubscription added{};
    added.name = required_argument(fcinfo, 0, "name");
    added.broker = check_broker(required_argument(fcinfo, 1, "broker"), &address);
    added.topic = required_argument(fcinfo, 2, "topic");
    added.target = PG_ARGISNULL(3) ? InvalidOid : PG_GETARG_OID(3);
    added.username = text_argument(fcinfo, 4);
    added.password = text_argument(fcinfo, 5);
    added.ca_file = text_argument(fcinfo, 6);
    added.qos = check_qos(PG_ARGISNULL(7) ? 1 : PG_GETARG_INT32(7));
    added.default_schema = PG_ARGISNULL(8) ? "public" : NameStr(*PG_GETARG_NAME(8));
    if (added.username == nullptr && address.username[0] != '\0') {
        added.username = pstrdup(address.username);
        if (added.password == nullptr && address.password[0] != '\0') added.password = pstrdup(address.password);
    }
    check_name(added.name);
    check_topic(added.topic);
    check_target(added.target);
    check_ca_file(added.ca_file, address.tls);
    check_owner_can_log_in();
    insert_subscription(added);
    wake_workers_at_commit();
    PG_RETURN_VOID();
}

HISTORIAN_SQL_FUNCTION(historian_mqtt_unsubscribe) {
    require_preloaded();
    warn_of_orphaned_session(required_argument(fcinfo, 0, "name"));
    change_subscription(fcinfo, "DELETE FROM historian.mqtt_subscription WHERE name OPERATOR(pg_catalog.=) $1");
    PG_RETURN_VOID();
}

HISTORIAN_SQL_FUNCTION(historian_mqtt_enable) {
    change_subscription(fcinfo, "UPDATE historian.mqtt_subscription SET enabled = true WHERE name OPERATOR(pg_catalog.=) $1");
    PG_RETURN_VOID();
}

HISTORIAN_SQL_FUNCTION(historian_mqtt_disable) {
    change_subscription(fcinfo, "UPDATE historian.mqtt_subscription SET enabled = false WHERE name OPERATOR(pg_catalog.=) $1");
    PG_RETURN_VOID();
}

/// Called by the install script, so that the workers of this database start when CREATE EXTENSION commits.
HISTORIAN_SQL_FUNCTION(historian_wake_workers) {
    require_preloaded();
    wake_workers_at_commit();
    PG_RETURN_VOID();
}
