#include "bgworker/ingest.h"

#include "bgworker/dead_letter.h"
#include "bgworker/message_rows.h"
#include "bgworker/rejected_rows.h"
#include "bgworker/row_buffer.h"
#include "bgworker/session.h"
#include "bgworker/settings.h"
#include "bgworker/subtransaction.h"
#include "bgworker/transform.h"

extern "C" {
#include "common/hashfn.h"
}

namespace historian::bgworker {

namespace {

/// One message on its way to its table, or to the dead letters.
struct Incoming {
    const ReceivedMessage *message;
    TopicTable topic;
    uint32 row_count;  ///< of the latest attempt
    uint32 rejected_row_count;
    bool grouped;       ///< its topic names a table
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
    TimestampTz *newest_time;  ///< of the rows that are stored so far
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

void reject(Incoming *incoming, const char *error, int sqlstate) {
    incoming->error = error;
    incoming->sqlstate = sqlstate;
    incoming->rejected_here = true;
}

// ------------------------------------------------------------------------------------------------ before the transaction: group

/// Finds the table that a message is for; sets its error when the topic names none.
bool name_table(const Batch *batch, Incoming *incoming) {
    TopicTable *name = &incoming->topic;
    *name = TopicTable{};
    if (OidIsValid(batch->subscription->target)) return true;  // resolved in the transaction
    if (const char *fault = parse_table_topic(incoming->message->topic, name)) {
        incoming->error = fault;
        incoming->sqlstate = ERRCODE_INVALID_NAME;
        return false;
    }
    if (name->schema[0] == '\0') strlcpy(name->schema, batch->subscription->default_schema, sizeof name->schema);
    return true;
}

bool check_size(Incoming *incoming) {
    incoming->error = find_size_fault(*incoming->message);
    incoming->sqlstate = ERRCODE_PROGRAM_LIMIT_EXCEEDED;
    return incoming->error == nullptr;
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
        incoming->grouped = name_table(batch, incoming) && check_size(incoming);
        if (incoming->grouped) add_to_group(find_group(batch, incoming->topic), incoming);
    }
}

// ------------------------------------------------------------------------------------------------------- inside the transaction

/// Opens the table of a group; rejects the whole group when it cannot take rows.
TargetTable *open_group_target(const Attempt &attempt, const Group &group, Incoming **messages, int count) {
    const Subscription &subscription = *attempt.batch->subscription;
    const char *refusal = nullptr;
    int sqlstate = 0;
    TargetTable *target = OidIsValid(subscription.target) ? open_fixed_target(subscription.target, &refusal, &sqlstate)
                                                          : open_topic_target(subscription, group.name, &refusal, &sqlstate);
    if (target != nullptr) return target;
    refusal = MemoryContextStrdup(attempt.batch->context, refusal);
    for (int i = 0; i < count; ++i) reject(messages[i], refusal, sqlstate);
    return nullptr;
}

/// The rows of a message, in batch->parsed; rejects it when it has none.
bool parse_message(const Batch *batch, const TargetTable &target, Incoming *incoming, MessageRows *rows) {
    if (MemoryContextMemAllocated(batch->parsed, false) > kParsedBytesMax) MemoryContextReset(batch->parsed);
    int sqlstate;
    MemoryContext before = MemoryContextSwitchTo(batch->context);
    const char *fault =
        read_message(*batch->subscription, *incoming->message, incoming->topic, target, batch->parsed, rows, &sqlstate);
    MemoryContextSwitchTo(before);
    incoming->row_count = rows->payload.row_count;
    incoming->rejected_row_count = 0;
    if (fault != nullptr) reject(incoming, fault, sqlstate);
    return fault == nullptr;
}

/// What becomes of a message's rejected rows: dead letters, or the message itself when no row is good. True: it has good ones.
bool settle_rejected_rows(const Attempt &attempt, Incoming *incoming, const MessageRows &rows, RejectedRows *rejected) {
    incoming->rejected_row_count = rejected->count();
    if (rejected->count() == 0) return true;
    if (rejected->count() == incoming->row_count) {
        const RejectedRow &first = rejected->first();
        reject(incoming, MemoryContextStrdup(attempt.batch->context, first.error), first.sqlstate);
        return false;
    }
    rejected->write_dead_letters(*attempt.batch->subscription, *incoming->message, rows);
    return true;
}

void note_newest(const Attempt &attempt, TimestampTz time) { *attempt.newest_time = Max(*attempt.newest_time, time); }

/// Adds the rows of a message to `buffer`, inserting whenever that is full; any error is the caller's to handle.
void add_message(const Attempt &attempt, TargetTable *target, Incoming *incoming, RowBuffer *buffer) {
    MessageRows rows{};
    if (incoming->error != nullptr || !parse_message(attempt.batch, *target, incoming, &rows)) return;
    MemoryContext before = MemoryContextSwitchTo(attempt.batch->parsed);
    const RowBinding binding = bind_payload(*target, rows.payload);
    RejectedRows rejected;
    rejected.begin(incoming->row_count);
    reject_unfit_rows(*target, binding, &rejected);
    MemoryContextSwitchTo(before);
    if (!settle_rejected_rows(attempt, incoming, rows, &rejected)) return;
    for (uint32 row = 0; row < incoming->row_count; ++row) {
        CHECK_FOR_INTERRUPTS();
        if (rejected.has(row)) continue;
        while (!buffer->convert(binding, rows.times, row)) buffer->insert_all();
    }
}

/// The same by the subscription's function. Which message a row came from is not known: the last one counts them all.
void transform_messages(const Attempt &attempt, const TargetTable &target, Incoming **messages, int count) {
    TransformBuffer buffer;
    buffer.begin(attempt.batch->subscription->transform, target, attempt.batch->parsed);
    int last = -1, sqlstate;
    for (int i = 0; i < count; ++i) {
        if (messages[i]->error != nullptr) continue;
        messages[i]->row_count = messages[i]->rejected_row_count = 0;
        const char *fault = buffer.add(*messages[i]->message, &sqlstate);
        if (fault == nullptr) last = i;
        if (fault != nullptr) reject(messages[i], MemoryContextStrdup(attempt.batch->context, fault), sqlstate);
    }
    if (last >= 0) messages[last]->row_count = static_cast<uint32>(Min(buffer.finish(), PG_UINT32_MAX));
}

/// Inserts the rows of some messages of one table, and returns the newest time; any error is the caller's to handle.
TimestampTz insert_messages(const Attempt &attempt, const Group &group, Incoming **messages, int count, CellPosition *position) {
    TimestampTz newest = DT_NOBEGIN;
    MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "historian MQTT insert", ALLOCSET_DEFAULT_SIZES);
    MemoryContext before = MemoryContextSwitchTo(context);
    TargetTable *target = open_group_target(attempt, group, messages, count);
    if (target != nullptr && attempt.batch->subscription->transform != nullptr) {
        transform_messages(attempt, *target, messages, count);
    } else if (target != nullptr) {
        RowBuffer buffer;
        buffer.begin(target, position);
        for (int i = 0; i < count; ++i) add_message(attempt, target, messages[i], &buffer);
        buffer.insert_all();
        buffer.finish();
        newest = buffer.newest_time();
    }
    MemoryContextSwitchTo(before);
    MemoryContextDelete(context);
    return newest;
}

/// insert_messages in a subtransaction, deferred constraints checked at once. False: nothing of it remains, and *error says why.
bool try_messages(const Attempt &attempt, const Group &group, Incoming **messages, int count, const char **error, int *sqlstate) {
    CellPosition position{};
    ErrorData *data = nullptr;
    TimestampTz newest = DT_NOBEGIN;
    // What fails leaves its memory behind: there may be as many failures as messages.
    MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext, "historian MQTT attempt", ALLOCSET_DEFAULT_SIZES);
    MemoryContext before = MemoryContextSwitchTo(scratch);
    const bool stored =
        try_in_subtransaction(attempt.batch->context, &data, [&attempt, &group, messages, count, &position, &newest] {
            newest = insert_messages(attempt, group, messages, count, &position);
            check_deferred_constraints();
        });
    if (stored) {
        note_newest(attempt, newest);
    } else {
        // The column's name is in the memory of the attempt.
        MemoryContextSwitchTo(attempt.batch->context);
        *error = describe_error(data, position);
        *sqlstate = data->sqlerrcode;
    }
    MemoryContextSwitchTo(before);
    MemoryContextDelete(scratch);
    return stored;
}

/// Stores the rows of one message that can be stored, and rejects the others.
void store_rows(const Attempt &attempt, const Group &group, Incoming *incoming) {
    ErrorData *data = nullptr;
    TimestampTz newest = DT_NOBEGIN;
    MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext, "historian MQTT rows", ALLOCSET_DEFAULT_SIZES);
    MemoryContext before = MemoryContextSwitchTo(scratch);
    const bool stored = try_in_subtransaction(attempt.batch->context, &data, [&attempt, &group, incoming, &newest] {
        Incoming *messages[] = {incoming};
        MessageRows rows{};
        TargetTable *target = open_group_target(attempt, group, messages, 1);
        if (target != nullptr && parse_message(attempt.batch, *target, incoming, &rows)) {
            const RowBinding binding = bind_payload(*target, rows.payload);
            RejectedRows rejected;
            rejected.begin(incoming->row_count);
            reject_unfit_rows(*target, binding, &rejected);
            newest = insert_rows_carefully(target, rows, binding, &rejected);
            settle_rejected_rows(attempt, incoming, rows, &rejected);
        }
    });
    MemoryContextSwitchTo(before);
    MemoryContextDelete(scratch);
    if (stored) {
        note_newest(attempt, newest);
    } else {
        reject(incoming, data->message, data->sqlerrcode);
    }
}

/// Stores what can be stored of some messages, and rejects the rest: halves them until the bad ones stand alone.
void store_carefully(const Attempt &attempt, const Group &group, Incoming **messages, int count) {
    const char *error;
    int sqlstate;
    CHECK_FOR_INTERRUPTS();
    if (try_messages(attempt, group, messages, count, &error, &sqlstate)) return;
    if (count == 1) {
        inserts_fail = true;
        const bool whole = messages[0]->row_count == 1 || attempt.batch->subscription->transform != nullptr;
        if (whole) return reject(messages[0], error, sqlstate);
        return store_rows(attempt, group, messages[0]);
    }
    // The subtransaction took rejections for arity and the like with it; they are found again.
    store_carefully(attempt, group, messages, count / 2);
    store_carefully(attempt, group, messages + count / 2, count - count / 2);
}

void store_groups(const Attempt &attempt) {
    *attempt.newest_time = DT_NOBEGIN;
    for (int i = 0; i < attempt.group_count; ++i) {
        const Group &group = attempt.groups[i];
        CellPosition position{};
        if (attempt.careful) {
            store_carefully(attempt, group, group.messages, group.count);
        } else {
            note_newest(attempt, insert_messages(attempt, group, group.messages, group.count, &position));
        }
    }
}

BatchCounts count_messages(const Incoming *messages, int message_count) {
    BatchCounts counts{message_count, 0, 0, 0, 0, DT_NOBEGIN};
    for (int i = 0; i < message_count; ++i) {
        const Incoming &incoming = messages[i];
        counts.byte_count += static_cast<int64>(incoming.message->payload_bytes);
        counts.redelivered_count += incoming.message->redelivered ? 1 : 0;
        if (incoming.error == nullptr) {
            counts.row_count += incoming.row_count - incoming.rejected_row_count;
            counts.dead_letter_count += incoming.rejected_row_count;
        } else {
            ++counts.dead_letter_count;
        }
    }
    return counts;
}

void run_attempt(const Attempt &attempt) {
    SPI_connect();
    store_groups(attempt);
    for (int i = 0; i < attempt.message_count; ++i) {
        const Incoming &incoming = attempt.messages[i];
        if (incoming.error != nullptr) {
            insert_dead_letter(*attempt.batch->subscription, *incoming.message, incoming.error, incoming.sqlstate);
        }
    }
    BatchCounts counts = count_messages(attempt.messages, attempt.message_count);
    counts.newest_time = *attempt.newest_time;
    add_progress(*attempt.batch->subscription, counts);
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
    TimestampTz newest;
    for (int i = 0; i < batch.group_count; ++i) {
        for (int j = 0; j < batch.groups[i].count; ++j) {
            Incoming **message = &batch.groups[i].messages[j];
            Group alone{batch.groups[i].name, message, 1, 1};
            Outcome outcome = try_attempt({&batch, *message, 1, &alone, 1, true, &newest}, problem, &sqlstate);
            if (outcome == Outcome::refused) {
                (*message)->error = *problem;
                (*message)->sqlstate = sqlstate;
                (*message)->rejected_here = false;
                outcome = try_attempt({&batch, *message, 1, nullptr, 0, true, &newest}, problem, &sqlstate);
            }
            if (outcome != Outcome::stored) return false;
        }
    }
    // What was rejected before belongs to no group.
    for (int i = 0; i < batch.message_count; ++i) {
        Incoming *message = &batch.messages[i];
        if (message->grouped) continue;
        if (try_attempt({&batch, message, 1, nullptr, 0, true, &newest}, problem, &sqlstate) != Outcome::stored) return false;
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
    TimestampTz newest;
    return try_attempt({&batch, message, 1, nullptr, 0, true, &newest}, problem, &sqlstate) == Outcome::stored;
}

bool store_prepared(const Batch &batch, const char **problem) {
    TimestampTz newest;
    Attempt whole{&batch, batch.messages, batch.message_count, batch.groups, batch.group_count, false, &newest};
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
    if (stored) *counts = count_messages(batch.messages, batch.message_count);
    strlcpy(batch_problem, reason, sizeof batch_problem);
    *problem = batch_problem;
    MemoryContextSwitchTo(before);
    // One huge message must not hold its memory until the next.
    MemoryContextReset(batch_context);
    return stored;
}

void store_within_transaction(const Subscription &subscription, const ReceivedMessage *messages, size_t message_count,
                              Verdict *verdicts, BatchCounts *counts) {
    MemoryContext caller = CurrentMemoryContext;
    MemoryContext context = AllocSetContextCreate(caller, "historian MQTT batch", ALLOCSET_DEFAULT_SIZES);
    MemoryContextSwitchTo(context);
    Batch batch{};
    batch.subscription = &subscription;
    batch.context = context;
    batch.parsed = AllocSetContextCreate(context, "historian MQTT cells", ALLOCSET_DEFAULT_SIZES);
    prepare_batch(&batch, messages, message_count);
    TimestampTz newest;
    store_groups({&batch, batch.messages, batch.message_count, batch.groups, batch.group_count, true, &newest});
    MemoryContextSwitchTo(caller);
    for (int i = 0; i < batch.message_count; ++i) {
        const Incoming &incoming = batch.messages[i];
        const bool stored = incoming.error == nullptr;
        verdicts[i] = {stored ? nullptr : pstrdup(incoming.error), incoming.sqlstate, stored ? incoming.rejected_row_count : 0};
    }
    *counts = count_messages(batch.messages, batch.message_count);
    counts->newest_time = newest;
    MemoryContextDelete(context);
}

}  // namespace historian::bgworker
