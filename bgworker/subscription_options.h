// The options of a subscription, as mqtt_subscribe() and mqtt_alter() take them: one list, from which arguments, defaults, the
// columns of historian.mqtt_subscription and the checks follow.
//
// To add an option: a line in kOptions, its column and its argument in sql/historian--0.1.0.sql (in both functions, at the same
// place), a check if it needs one, and its field in subscriptions.h.
#pragma once

#include "bgworker/server.h"

namespace historian::bgworker {

enum Option : int {
    kOptionBroker,
    kOptionTopic,
    kOptionTarget,
    kOptionUsername,
    kOptionPassword,
    kOptionCafile,
    kOptionCertfile,
    kOptionKeyfile,
    kOptionKeypassword,
    kOptionInsecure,
    kOptionQos,
    kOptionWorkers,
    kOptionProtocol,
    kOptionKeepalive,
    kOptionClientId,
    kOptionInSchema,
    kOptionFormat,
    kOptionTimeformat,
    kOptionTz,
    kOptionHeader,
    kOptionDelimiter,
    kOptionEnabled,
    kOptionMapping,
    kOptionTransform,
    kOptionCount,
};

struct OptionKind {
    const char *name;  ///< of the argument and of the column
    Oid type;
    bool required;  ///< never null
};
extern const OptionKind kOptions[kOptionCount];

/// A subscription as it is to be stored.
struct SubscriptionDraft {
    const char *name;
    Oid owner;
    Datum values[kOptionCount];
    bool nulls[kOptionCount];
    bool given[kOptionCount];  ///< by this call
    bool fresh;                ///< it does not exist yet
};

/// What a subscription has of which nothing is said.
void set_default_options(SubscriptionDraft *draft);

/// Takes the arguments of the call, option i from argument i + 1. Null leaves an option as it is; '' and the table '-' take it
/// away.
void take_option_arguments(FunctionCallInfo fcinfo, SubscriptionDraft *draft);

/// Raises an error unless the options are fit to be stored, each and together; gives some the form in which they are stored.
/// Not left to the table's CHECKs: their errors show the whole row, passwords included.
void check_options(SubscriptionDraft *draft);

/// The text of an option, or nullptr.
const char *option_text(const SubscriptionDraft &draft, Option option);

/// Keeps the passwords of the running statement out of pg_stat_activity from here on, and the statement out of the server's log
/// should it fail. Undone by forget_secret_statement(), or by the error.
struct SecretStatement {
    ErrorContextCallback callback;
};
void hide_secret_statement(FunctionCallInfo fcinfo, const char *function, SecretStatement *secret);
void forget_secret_statement(const SecretStatement &secret);

}  // namespace historian::bgworker
