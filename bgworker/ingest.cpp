#include "bgworker/ingest.h"

#include "bgworker/dead_letter.h"
#include "bgworker/payload.h"
#include "bgworker/session.h"
#include "bgworker/settings.h"
#include "bgworker/target_table.h"

extern "C" {
#include "common/hashfn.h"
}

namespace historian::bgworker {

namespace {

/// One message on its way to its table, or to the dead letters.
struct Incoming {
    const ReceivedMessage *message;
    uint32 row_count;    ///< of the latest attempt
    bool grouped;        ///< its topic names a table
    const char *error;  ///< nullptr: to be stored; otherwise the dead letter's reason
    int sqlstate;
    bool rejected_here;  ///< `error` was found by this attempt, not before: the next attempt judges afresh
};

/// The messages of one table, in the order of arrival.
struct Group {
    TopicTable name;
    Incoming **messages;
    int count;
    int capacity;
};

struct Batch {
    const Subscription *subscription;
    MemoryContext context;  ///< lives until the batch is stored
    MemoryContext parsed;   ///< the cells of the message being inserted, and of a few before it
    Incoming *messages;
    int message_count;
    Group *groups;
    int group_count;
    int group_capacity;
};

/// A stretch of a batch that one transaction stores.
struct Attempt {
    const Batch *batch;
    Incoming *messages;
    int message_count;
    Group *groups;
    int group_count;
    bool careful;
};

enum class Outcome : uint8 { stored, refused, transient };

MemoryContext batch_context = nullptr;

// Set while inserts keep failing: the hopeful first attempt is then skipped.
bool inserts_fail = false;

// Cells take many times the bytes of their payload, so they are freed as soon as they take this much.
constexpr Size kParsedBytesMax = 4 * 1024 * 1024;

// A message that alone asks for more than the server has, so often, is not the server's fault.
constexpr int kLoneFailuresMax = 3;

// How often the message with this hash failed alone for want of resources.
int lone_failures = 0;
uint32 lone_failure_hash = 0;

// The reason of a failed batch, outside the memory that the batch leaves behind.
char batch_problem[256];

/// Errors that are the server's state, not the message's content: the message will do better later.
bool is_transient(int sqlstate) {
    switch (ERRCODE_TO_CATEGORY(sqlstate)) {
        case ERRCODE_TRANSACTION_ROLLBACK:    // 40: deadlock, serialization
        case ERRCODE_INSUFFICIENT_RESOURCES:  // 53: disk full, out of memory, too many connections
        case ERRCODE_OPERATOR_INTERVENTION:   // 57: shutdown, cancel
        case ERRCODE_SYSTEM_ERROR:            // 58: input/output error
            return true;
        default: return sqlstate == ERRCODE_LOCK_NOT_AVAILABLE || sqlstate == ERRCODE_OBJECT_IN_USE;
    }
}

void *grow_in_context(void *context, std::size_t bytes) noexcept {
    // Gives nullptr instead of an error: the parser that asks must not be jumped over.
    return MemoryContextAllocExtended(static_cast<MemoryContext>(context), bytes, MCXT_ALLOC_NO_OOM | MCXT_ALLOC_HUGE);
}

/// An errcode() from five characters.
int pack_sqlstate(const char *text) { return MAKE_SQLSTATE(text[0], text[1], text[2], text[3], text[4]); }

void reject(Incoming *incoming, const char *error, int sqlstate) {
    incoming->error = error;
    incoming->sqlstate = sqlstate;
    incoming->rejected_here = true;
}

// ------------------------------------------------------------------------------------------------ before the transaction: group

/// Finds the table that a message is for; sets its error when the topic names none.
bool name_table(const Batch *batch, Incoming *incoming, TopicTable *name) {
    if (OidIsValid(batch->subscription->target)) return true;  // resolved in the transaction
    if (const char *fault = parse_append_topic(incoming->message->topic, name)) {
        incoming->error = fault;
        incoming->sqlstate = ERRCODE_INVALID_NAME;
        return false;
    }
    if (name->schema[0] == '\0') strlcpy(name->schema, batch->subscription->default_schema, sizeof name->schema);
    return true;
}

bool check_size(Incoming *incoming) {
    const ReceivedMessage *message = incoming->message;
    if (message->kept_bytes == message->payload_bytes) return true;
    incoming->error = psprintf("payload of %zu bytes is larger than historian.mqtt_payload_max", message->payload_bytes);
    incoming->sqlstate = ERRCODE_PROGRAM_LIMIT_EXCEEDED;
    return false;
}

Group *find_group(Batch *batch, const TopicTable &name) {
    for (int i = batch->group_count - 1; i >= 0; --i) {
        Group *group = &batch->groups[i];
        if (strcmp(group->name.table, name.table) == 0 && strcmp(group->name.schema, name.schema) == 0) return group;
    }
    if (batch->group_count == batch->group_capacity) {
        batch->group_capacity = Max(8, batch->group_capacity * 2);
        const Size bytes = sizeof(Group) * batch->group_capacity;
        batch->groups = static_cast<Group *>(batch->groups == nullptr ? palloc(bytes) : repalloc(batch->groups, bytes));
    }
    Group *group = &batch->groups[batch->group_count++];
    *group = {name, nullptr, 0, 0};
    return group;
}

void add_to_group(Group *group, Incoming *incoming) {
    if (group->count == group->capacity) {
        group->capacity = Max(16, group->capacity * 2);
        const Size bytes = sizeof(Incoming *) * group->capacity;
        group->messages = static_cast<Incoming **>(group->messages == nullptr ? palloc(bytes) : repalloc(group->messages, bytes));
    }
    group->messages[group->count++] = incoming;
}

/// Sorts the messages by table. Runs in the batch's context.
void prepare_batch(Batch *batch, const ReceivedMessage *messages, size_t count) {
    batch->messages = static_cast<Incoming *>(MemoryContextAllocZero(batch->context, sizeof(Incoming) * Max(count, size_t{1})));
    for (const ReceivedMessage *message = messages; message != nullptr; message = message->next) {
        CHECK_FOR_INTERRUPTS();
        Incoming *incoming = &batch->messages[batch->message_count++];
        incoming->message = message;
        TopicTable name;
        incoming->grouped = name_table(batch, incoming, &name) && check_size(incoming);
        if (incoming->grouped) add_to_group(find_group(batch, name), incoming);
    }
}

// ------------------------------------------------------------------------------------------------------- inside the transaction

/// Opens the table of a group; rejects the whole group when it cannot take rows.
TargetTable *open_group_target(const Attempt &attempt, const Group &group, Incoming **messages, int count) {
    const Subscription &subscription = *attempt.batch->subscription;
    const char *refusal = nullptr;
    int sqlstate = 0;
    TargetTable *target = OidIsValid(subscription.target)
                              ? open_fixed_target(subscription.target, &refusal, &sqlstate)
                              : open_topic_target(subscription, group.name, &refusal, &sqlstate);
    if (target != nullptr) return target;
    refusal = MemoryContextStrdup(attempt.batch->context, refusal);
    for (int i = 0; i < count; ++i) reject(messages[i], refusal, sqlstate);
    return nullptr;
}

/// The cells of a message, in batch->parsed; rejects it when it has none.
bool parse_message(const Batch *batch, Incoming *incoming, Payload *payload) {
    if (MemoryContextMemAllocated(batch->parsed, false) > kParsedBytesMax) MemoryContextReset(batch->parsed);
    Arena arena(grow_in_context, batch->parsed);
    const PayloadError error = parse_payload({incoming->message->payload, incoming->message->kept_bytes}, arena, payload);
    incoming->row_count = payload->row_count;
    if (error.fault == PayloadFault::none) return true;
    char text[160];
    describe_payload_error(error, text, sizeof text);
    reject(incoming, MemoryContextStrdup(batch->context, text), pack_sqlstate(payload_error_sqlstate(error.fault)));
    return false;
}

/// Rejects a message one of whose rows has not one value per column; true when all have.
bool check_arity(const Batch *batch, const TargetTable *target, Incoming *incoming, const Payload &payload) {
    uint32 begin = 0;
    for (uint32 row = 0; row < payload.row_count; ++row) {
        const uint32 end = payload.row_ends[row];
        if (end - begin != static_cast<uint32>(target->column_count)) {
            MemoryContext before = MemoryContextSwitchTo(batch->context);
            reject(incoming,
                   psprintf("row %u has %u values, table %s takes %d", row + 1, end - begin, target->display_name,
                            target->column_count),
                   ERRCODE_INVALID_PARAMETER_VALUE);
            MemoryContextSwitchTo(before);
            return false;
        }
        begin = end;
    }
    return true;
}

/// Inserts the rows of some messages of one table; any error is the caller's to handle.
void insert_messages(const Attempt &attempt, const Group &group, Incoming **messages, int count, CellPosition *position) {
    MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "historian MQTT insert", ALLOCSET_DEFAULT_SIZES);
    MemoryContext before = MemoryContextSwitchTo(context);
    if (TargetTable *target = open_group_target(attempt, group, messages, count)) {
        RowBuffer rows;
        rows.begin(target, position);
        for (int i = 0; i < count; ++i) {
            Payload payload;
            if (messages[i]->error != nullptr || !parse_message(attempt.batch, messages[i], &payload)) continue;
            if (check_arity(attempt.batch, target, messages[i], payload)) rows.add(payload);
        }
        rows.finish();
    }
    MemoryContextSwitchTo(before);
    MemoryContextDelete(context);
}

/// The reason for a dead letter, from an error and where it happened.
const char *describe_error(const ErrorData *error, const CellPosition &position) {
    if (position.row == 0) return pstrdup(error->message);
    return psprintf("row %u, column \"%s\": %s", position.row, position.column, error->message);
}

/// insert_messages in a subtransaction, deferred constraints checked at once. False: nothing of it remains, and *error says why.
bool try_messages(const Attempt &attempt, const Group &group, Incoming **messages, int count, const char **error, int *sqlstate) {
    MemoryContext before = CurrentMemoryContext;
    ResourceOwner owner = CurrentResourceOwner;
    CellPosition position{};
    volatile bool stored = false;
    BeginInternalSubTransaction(nullptr);
    MemoryContextSwitchTo(before);
    PG_TRY();
    {
        insert_messages(attempt, group, messages, count, &position);
        if (SPI_execute("SET CONSTRAINTS ALL IMMEDIATE", false, 0) != SPI_OK_UTILITY) elog(ERROR, "SET CONSTRAINTS failed");
        ReleaseCurrentSubTransaction();
        MemoryContextSwitchTo(before);
        CurrentResourceOwner = owner;
        stored = true;
    }
    PG_CATCH();
    {
        MemoryContextSwitchTo(attempt.batch->context);
        ErrorData *data = CopyErrorData();
        *error = describe_error(data, position);
        *sqlstate = data->sqlerrcode;
        FlushErrorState();
        RollbackAndReleaseCurrentSubTransaction();
        MemoryContextSwitchTo(before);
        CurrentResourceOwner = owner;
        if (is_transient(data->sqlerrcode)) ReThrowError(data);
    }
    PG_END_TRY();
    return stored;
}

/// Stores what can be stored of some messages, and rejects the rest: halves them until the bad ones stand alone.
void store_carefully(const Attempt &attempt, const Group &group, Incoming **messages, int count) {
    const char *error;
    int sqlstate;
    CHECK_FOR_INTERRUPTS();
    if (try_messages(attempt, group, messages, count, &error, &sqlstate)) return;
    if (count == 1) {
        reject(messages[0], error, sqlstate);
        inserts_fail = true;
        return;
    }
    // The subtransaction took rejections for arity and the like with it; they are found again.
    store_carefully(attempt, group, messages, count / 2);
    store_carefully(attempt, group, messages + count / 2, count - count / 2);
}

void run_attempt(const Attempt &attempt) {
    SPI_connect();
    for (int i = 0; i < attempt.group_count; ++i) {
        const Group &group = attempt.groups[i];
        CellPosition position{};
        if (attempt.careful) {
            store_carefully(attempt, group, group.messages, group.count);
        } else {
            insert_messages(attempt, group, group.messages, group.count, &position);
        }
    }
    for (int i = 0; i < attempt.message_count; ++i) {
        const Incoming &incoming = attempt.messages[i];
        if (incoming.error != nullptr) {
            insert_dead_letter(*attempt.batch->subscription, *incoming.message, incoming.error, incoming.sqlstate);
        }
    }
    SPI_finish();
}

/// One transaction. What an earlier attempt found out about tables is forgotten first.
Outcome try_attempt(const Attempt &attempt, const char **error, int *sqlstate) {
    volatile Outcome outcome = Outcome::stored;
    for (int i = 0; i < attempt.message_count; ++i) {
        if (attempt.messages[i].rejected_here) attempt.messages[i].error = nullptr;
        attempt.messages[i].rejected_here = false;
    }
    PG_TRY();
    {
        begin_transaction("store MQTT messages");
        run_attempt(attempt);
        commit_durably();
    }
    PG_CATCH();
    {
        MemoryContextSwitchTo(attempt.batch->context);
        ErrorData *data = CopyErrorData();
        *error = pstrdup(data->message);
        *sqlstate = data->sqlerrcode;
        abort_transaction();
        outcome = is_transient(data->sqlerrcode) ? Outcome::transient : Outcome::refused;
    }
    PG_END_TRY();
    MemoryContextSwitchTo(attempt.batch->context);
    return outcome;
}

/// The last resort: each message in its own transaction; one whose COMMIT is refused becomes a dead letter in the next.
bool store_one_by_one(const Batch &batch, const char **problem) {
    int sqlstate;
    for (int i = 0; i < batch.group_count; ++i) {
        for (int j = 0; j < batch.groups[i].count; ++j) {
            Incoming **message = &batch.groups[i].messages[j];
            Group alone{batch.groups[i].name, message, 1, 1};
            Outcome outcome = try_attempt({&batch, *message, 1, &alone, 1, true}, problem, &sqlstate);
            if (outcome == Outcome::refused) {
                (*message)->error = *problem;
                (*message)->sqlstate = sqlstate;
                (*message)->rejected_here = false;
                outcome = try_attempt({&batch, *message, 1, nullptr, 0, true}, problem, &sqlstate);
            }
            if (outcome != Outcome::stored) return false;
        }
    }
    // What was rejected before belongs to no group.
    for (int i = 0; i < batch.message_count; ++i) {
        Incoming *message = &batch.messages[i];
        if (message->grouped) continue;
        if (try_attempt({&batch, message, 1, nullptr, 0, true}, problem, &sqlstate) != Outcome::stored) return false;
    }
    return true;
}

/// True when a lone message has asked often enough for more than the server has: then it becomes a dead letter.
bool is_hopeless(const Batch &batch, int sqlstate) {
    const bool may_heal = sqlstate == ERRCODE_DISK_FULL || sqlstate == ERRCODE_TOO_MANY_CONNECTIONS;
    if (batch.message_count != 1 || may_heal || ERRCODE_TO_CATEGORY(sqlstate) != ERRCODE_INSUFFICIENT_RESOURCES) return false;
    const ReceivedMessage *message = batch.messages[0].message;
    const auto *bytes = reinterpret_cast<const unsigned char *>(message->payload);
    const uint32 hash = hash_bytes(bytes, static_cast<int>(message->kept_bytes));
    if (hash != lone_failure_hash) lone_failures = 0;
    lone_failure_hash = hash;
    return ++lone_failures >= kLoneFailuresMax;
}

/// After a transient error: false, and the broker is to send the messages again, unless it is one that would fail for ever.
bool refuse_for_now(const Batch &batch, const char **problem, int sqlstate) {
    if (!is_hopeless(batch, sqlstate)) return false;
    lone_failures = 0;
    Incoming *message = batch.messages;
    message->error = *problem;
    message->sqlstate = sqlstate;
    message->rejected_here = false;
    return try_attempt({&batch, message, 1, nullptr, 0, true}, problem, &sqlstate) == Outcome::stored;
}

bool store_prepared(const Batch &batch, const char **problem) {
    Attempt whole{&batch, batch.messages, batch.message_count, batch.groups, batch.group_count, false};
    int sqlstate;
    Outcome outcome = Outcome::refused;
    if (!inserts_fail) outcome = try_attempt(whole, problem, &sqlstate);
    if (outcome == Outcome::refused) {
        whole.careful = true;
        inserts_fail = false;
        outcome = try_attempt(whole, problem, &sqlstate);
    }
    if (outcome == Outcome::transient) return refuse_for_now(batch, problem, sqlstate);
    return outcome == Outcome::stored || store_one_by_one(batch, problem);
}

void count_batch(const Batch &batch, BatchCounts *counts) {
    *counts = {batch.message_count, 0, 0};
    for (int i = 0; i < batch.message_count; ++i) {
        const Incoming &incoming = batch.messages[i];
        if (incoming.error == nullptr) {
            counts->row_count += incoming.row_count;
        } else {
            ++counts->dead_letter_count;
        }
    }
}

}  // namespace

bool store_batch(const Subscription &subscription, const ReceivedMessage *messages, size_t message_count, BatchCounts *counts,
                 const char **problem) {
    if (batch_context == nullptr) {
        batch_context = AllocSetContextCreate(TopMemoryContext, "historian MQTT batch", ALLOCSET_DEFAULT_SIZES);
    }
    MemoryContext before = MemoryContextSwitchTo(batch_context);
    const char *reason = "";
    Batch batch{};
    batch.subscription = &subscription;
    batch.context = batch_context;
    batch.parsed = AllocSetContextCreate(batch_context, "historian MQTT cells", ALLOCSET_DEFAULT_SIZES);
    prepare_batch(&batch, messages, message_count);
    const bool stored = store_prepared(batch, &reason);
    if (stored) count_batch(batch, counts);
    strlcpy(batch_problem, reason, sizeof batch_problem);
    *problem = batch_problem;
    MemoryContextSwitchTo(before);
    // One huge message must not hold its memory until the next.
    MemoryContextReset(batch_context);
    return stored;
}

}  // namespace historian::bgworker
