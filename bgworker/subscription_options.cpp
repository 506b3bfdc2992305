#include "bgworker/subscription_options.h"

#include "bgworker/message_rows.h"
#include "bgworker/settings.h"
#include "bgworker/subscription_mapping.h"
#include "bgworker/subscriptions.h"
#include "bgworker/transform.h"

extern "C" {
#include "catalog/pg_authid.h"
}

namespace historian::bgworker {

const OptionKind kOptions[kOptionCount] = {
    {"broker", TEXTOID, true},       {"topic", TEXTOID, true},       {"target", REGCLASSOID, false},
    {"username", TEXTOID, false},    {"password", TEXTOID, false},   {"cafile", TEXTOID, false},
    {"certfile", TEXTOID, false},    {"keyfile", TEXTOID, false},    {"keypassword", TEXTOID, false},
    {"insecure", BOOLOID, true},     {"qos", INT4OID, true},         {"workers", INT4OID, true},
    {"protocol", INT4OID, true},     {"keepalive", INT4OID, true},   {"client_id", TEXTOID, false},
    {"in_schema", NAMEOID, true},    {"format", TEXTOID, false},     {"timeformat", TEXTOID, false},
    {"tz", TEXTOID, false},          {"header", TEXTOID, false},     {"delimiter", TEXTOID, false},
    {"enabled", BOOLOID, true},      {"mapping", JSONBOID, false},    {"transform", TEXTOID, false},
};

namespace {

// The library's least, and what two bytes hold.
constexpr int kKeepaliveSecondsMin = 5;
constexpr int kKeepaliveSecondsMax = 65535;

int option_number(const SubscriptionDraft &draft, Option option) { return DatumGetInt32(draft.values[option]); }

void set_option(SubscriptionDraft *draft, Option option, Datum value) {
    draft->values[option] = value;
    draft->nulls[option] = false;
}

void take_option_away(SubscriptionDraft *draft, Option option) {
    draft->values[option] = static_cast<Datum>(0);
    draft->nulls[option] = true;
}

[[noreturn]] void reject_missing(const char *option, bool empty) {
    ereport(ERROR, errcode(empty ? ERRCODE_INVALID_PARAMETER_VALUE : ERRCODE_NULL_VALUE_NOT_ALLOWED),
            errmsg("%s of an MQTT subscription must not be %s", option, empty ? "empty" : "null"));
    pg_unreachable();
}

/// Stored without its credentials, which are kept apart because the address is shown to everyone.
void check_broker(SubscriptionDraft *draft, const BrokerList &list) {
    StringInfoData text;
    initStringInfo(&text);
    for (unsigned i = 0; i < list.count; ++i) {
        appendStringInfo(&text, "%s%s://%s", i > 0 ? ", " : "", list.tls ? "mqtts" : "mqtt", describe_broker(list.brokers[i]));
    }
    set_option(draft, kOptionBroker, CStringGetTextDatum(text.data));
    const BrokerAddress &first = list.brokers[0];
    if (first.username[0] == '\0' || draft->given[kOptionUsername]) return;
    set_option(draft, kOptionUsername, CStringGetTextDatum(first.username));
    if (draft->given[kOptionPassword]) return;
    take_option_away(draft, kOptionPassword);
    if (first.password[0] != '\0') set_option(draft, kOptionPassword, CStringGetTextDatum(first.password));
}

void parse_broker(SubscriptionDraft *draft, BrokerList *list) {
    const char *fault = parse_broker_list(option_text(*draft, kOptionBroker), list);
    if (fault == nullptr) return;
    // The URL is not repeated: it may hold a password.
    ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid broker URL"), errdetail("The cause: %s.", fault),
            errhint("Write mqtt://host:port, or mqtts://host:port for TLS; several are separated by commas."));
}

void check_topic(const SubscriptionDraft &draft) {
    const char *topic = option_text(draft, kOptionTopic);
    const char *fault = validate_topic_list(pg_server_to_any(topic, static_cast<int>(strlen(topic)), PG_UTF8));
    if (fault == nullptr) return;
    ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid topic filter \"%s\"", topic),
            errdetail("The cause: %s.", fault));
}

/// The rights that matter are those of the owner, as whom rows are inserted.
void check_target(const SubscriptionDraft &draft) {
    if (draft.nulls[kOptionTarget]) return;
    const Oid target = DatumGetObjectId(draft.values[kOptionTarget]);
    const char kind = get_rel_relkind(target);
    if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE && kind != RELKIND_VIEW && kind != RELKIND_FOREIGN_TABLE) {
        ereport(ERROR, errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("target of an MQTT subscription must be a table"));
    }
    if (pg_class_aclcheck(target, draft.owner, ACL_INSERT) != ACLCHECK_OK) {
        aclcheck_error(ACLCHECK_NO_PRIV, get_relkind_objtype(kind), get_rel_name(target));
    }
}

const char *mapping_text(Datum mapping) { return DatumGetCString(DirectFunctionCall1(jsonb_out, mapping)); }

/// What becomes of messages must fit the target; a transform is stored with its schema and the types of its arguments.
void check_forms(SubscriptionDraft *draft) {
    const bool mapped = !draft->nulls[kOptionMapping];
    const bool transformed = !draft->nulls[kOptionTransform];
    if (mapped && transformed) {
        ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                errmsg("an MQTT subscription has either a mapping or a transform"),
                errhint("mapping => 'null' and transform => '' take one away."));
    }
    const bool target_changes = draft->fresh || draft->given[kOptionTarget];
    const Oid target = draft->nulls[kOptionTarget] ? InvalidOid : DatumGetObjectId(draft->values[kOptionTarget]);
    if (mapped && (target_changes || draft->given[kOptionMapping])) {
        check_mapping(target, mapping_text(draft->values[kOptionMapping]));
    }
    if (transformed && (target_changes || draft->given[kOptionTransform])) {
        const char *function = check_transform(target, draft->owner, option_text(*draft, kOptionTransform));
        set_option(draft, kOptionTransform, CStringGetTextDatum(function));
    }
}

/// The server opens the file with its own rights, so whoever names one needs the right to read any.
void check_file(const SubscriptionDraft &draft, Option option) {
    if (draft.nulls[option] || !draft.given[option]) return;
    const char *name = kOptions[option].name;
    if (!has_privs_of_role(GetUserId(), ROLE_PG_READ_SERVER_FILES)) {
        ereport(ERROR, errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("permission denied to name a file of the server"),
                errdetail("%s needs the privileges of the role \"pg_read_server_files\".", name));
    }
    if (is_absolute_path(option_text(draft, option))) return;
    ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s is not an absolute path", name));
}

void check_tls(const SubscriptionDraft &draft, bool tls) {
    const bool insecure = DatumGetBool(draft.values[kOptionInsecure]);
    for (const Option option : {kOptionCafile, kOptionCertfile, kOptionKeyfile, kOptionKeypassword, kOptionInsecure}) {
        const bool used = option == kOptionInsecure ? insecure : !draft.nulls[option];
        if (!used || tls) continue;
        ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                errmsg("%s needs a broker URL that begins with mqtts://", kOptions[option].name));
    }
    for (const Option option : {kOptionKeyfile, kOptionKeypassword}) {
        if (draft.nulls[option] || !draft.nulls[kOptionCertfile]) continue;
        ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s needs certfile", kOptions[option].name));
    }
    check_file(draft, kOptionCafile);
    check_file(draft, kOptionCertfile);
    check_file(draft, kOptionKeyfile);
    if (!insecure || !draft.given[kOptionInsecure]) return;
    ereport(WARNING, errmsg("the broker of MQTT subscription \"%s\" may be anybody", draft.name),
            errdetail("With insecure neither its certificate nor its name is verified, and it gets the password."),
            errhint("Name the certificate authority that signed the broker's certificate as cafile instead."));
}

void check_qos(SubscriptionDraft *draft) {
    const int qos = option_number(*draft, kOptionQos);
    if (qos == 0 || qos == 1) return;
    if (qos != 2) {
        ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("quality of service %d is not 0, 1 or 2", qos));
    }
    ereport(NOTICE, errmsg("subscribing at quality of service 1"),
            errdetail("Messages published at 2 are delivered at 1: stored at least once, acknowledged after commit. At 2 the "
                      "client library would acknowledge them before they are stored."));
    set_option(draft, kOptionQos, Int32GetDatum(1));
}

void check_range(const SubscriptionDraft &draft, Option option, int least, int most) {
    const int value = option_number(draft, option);
    if (value >= least && value <= most) return;
    ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
            errmsg("%s of an MQTT subscription must be from %d to %d", kOptions[option].name, least, most));
}

void check_protocol(const SubscriptionDraft &draft) {
    const int protocol = option_number(draft, kOptionProtocol);
    if (protocol == 3 || protocol == 5) return;
    ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("protocol %d is not 5 or 3", protocol),
            errhint("5 stands for MQTT 5, 3 for MQTT 3.1.1."));
}

/// A broker of MQTT 3.1.1 that knows no shared subscriptions takes one for an ordinary topic, and sends nothing.
void check_workers(const SubscriptionDraft &draft) {
    check_range(draft, kOptionWorkers, 1, kWorkerCountMax);
    if (option_number(draft, kOptionWorkers) == 1) return;
    if (option_number(draft, kOptionProtocol) != 5) {
        ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("several workers need MQTT 5"),
                errdetail("They share the messages by a shared subscription, of which a broker of MQTT 3.1.1 need not know."));
    }
    const char *topic = option_text(draft, kOptionTopic);
    std::string_view rest(topic);
    std::string_view filter;
    while (take_topic_filter(&rest, &filter)) {
        if (!is_shared_filter(filter)) continue;
        ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid topic filter \"%s\"", topic),
                errdetail("With several workers the subscription makes a shared subscription of each topic itself."));
    }
}

/// A batch that is held longer than the broker waits for a sign of life would be delivered again and again.
void check_keepalive(const SubscriptionDraft &draft) {
    check_range(draft, kOptionKeepalive, kKeepaliveSecondsMin, kKeepaliveSecondsMax);
    const int keepalive_seconds = option_number(draft, kOptionKeepalive);
    if (!draft.given[kOptionKeepalive] || mqtt_batch_ms <= hold_ms_max(keepalive_seconds)) return;
    ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
            errmsg("keepalive of %d s is too short for historian.mqtt_batch_ms", keepalive_seconds),
            errdetail("Messages may be held for %d ms, and must not be for longer than a quarter of the keepalive.",
                      mqtt_batch_ms));
}

void check_client_id(const SubscriptionDraft &draft) {
    if (draft.nulls[kOptionClientId]) return;
    const char *fault = validate_client_id(option_text(draft, kOptionClientId));
    if (fault == nullptr) return;
    ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid client_id"), errdetail("The cause: %s.", fault));
}

/// How payloads are read that do not say it themselves; the words are those of user properties.
void check_payload_options(const SubscriptionDraft &draft) {
    PayloadOptions options;
    for (const Option option : {kOptionFormat, kOptionTimeformat, kOptionTz, kOptionHeader, kOptionDelimiter}) {
        const char *value = option_text(draft, option);
        if (value == nullptr) continue;
        const char *fault = set_payload_option(kOptions[option].name, value, &options);
        if (option == kOptionTz && !options.time_zone.empty() && find_time_zone(options.time_zone) == nullptr) {
            fault = "is not the name of a time zone";
        }
        if (fault == nullptr) continue;
        ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                errmsg("%s of an MQTT subscription %s", kOptions[option].name, fault));
    }
}

void hide_statement(void *) {
    errhidestmt(true);
    errhidecontext(true);
}

}  // namespace

const char *option_text(const SubscriptionDraft &draft, Option option) {
    return draft.nulls[option] ? nullptr : TextDatumGetCString(draft.values[option]);
}

void set_default_options(SubscriptionDraft *draft) {
    for (int i = 0; i < kOptionCount; ++i) draft->nulls[i] = true;
    set_option(draft, kOptionInsecure, BoolGetDatum(false));
    set_option(draft, kOptionQos, Int32GetDatum(1));
    set_option(draft, kOptionWorkers, Int32GetDatum(1));
    set_option(draft, kOptionProtocol, Int32GetDatum(5));
    set_option(draft, kOptionKeepalive, Int32GetDatum(kKeepaliveSeconds));
    set_option(draft, kOptionInSchema, DirectFunctionCall1(namein, CStringGetDatum("public")));
    set_option(draft, kOptionEnabled, BoolGetDatum(true));
}

void take_option_arguments(FunctionCallInfo fcinfo, SubscriptionDraft *draft) {
    for (int i = 0; i < kOptionCount; ++i) {
        const auto option = static_cast<Option>(i);
        const OptionKind &kind = kOptions[i];
        if (PG_ARGISNULL(i + 1)) {
            if (draft->nulls[i] && kind.required) reject_missing(kind.name, false);
            continue;
        }
        draft->given[i] = true;
        Datum value = PG_GETARG_DATUM(i + 1);
        if (kind.type == TEXTOID || kind.type == JSONBOID) value = PointerGetDatum(PG_DETOAST_DATUM(value));
        set_option(draft, option, value);
        const bool none = (kind.type == TEXTOID && VARSIZE_ANY_EXHDR(DatumGetPointer(value)) == 0) ||
                          (kind.type == JSONBOID && strcmp(mapping_text(value), "null") == 0) ||
                          (kind.type == REGCLASSOID && !OidIsValid(DatumGetObjectId(value)));
        if (none && kind.required) reject_missing(kind.name, true);
        if (none) take_option_away(draft, option);
    }
}

void check_options(SubscriptionDraft *draft) {
    if (pg_mbstrlen(draft->name) >= NAMEDATALEN) {
        ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                errmsg("name of an MQTT subscription must not be longer than %d characters", NAMEDATALEN - 1));
    }
    auto *brokers = static_cast<BrokerList *>(palloc(sizeof(BrokerList)));
    parse_broker(draft, brokers);
    check_broker(draft, *brokers);
    check_topic(*draft);
    if (draft->given[kOptionTarget] || draft->fresh) check_target(*draft);
    check_forms(draft);
    check_tls(*draft, brokers->tls);
    check_qos(draft);
    check_protocol(*draft);
    check_workers(*draft);
    check_keepalive(*draft);
    check_client_id(*draft);
    check_payload_options(*draft);
}

void hide_secret_statement(FunctionCallInfo fcinfo, const char *function, SecretStatement *secret) {
    secret->callback = {error_context_stack, hide_statement, nullptr};
    error_context_stack = &secret->callback;
    const bool url = !PG_ARGISNULL(kOptionBroker + 1) &&
                     strchr(text_to_cstring(PG_GETARG_TEXT_PP(kOptionBroker + 1)), '@') != nullptr;
    if (!url && PG_ARGISNULL(kOptionPassword + 1) && PG_ARGISNULL(kOptionKeypassword + 1)) return;
    pgstat_report_activity(STATE_RUNNING, psprintf("SELECT %s(...)  -- not shown: it holds a password", function));
}

void forget_secret_statement(const SecretStatement &secret) { error_context_stack = secret.callback.previous; }

}  // namespace historian::bgworker
