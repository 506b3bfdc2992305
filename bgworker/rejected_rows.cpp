#include "bgworker/rejected_rows.h"

#include "bgworker/dead_letter.h"
#include "bgworker/subtransaction.h"

namespace historian::bgworker {

namespace {

// Where rows are refused often, short runs find them with less work in vain.
constexpr int kRunRowsMin = 64;

int compare_rows(const void *a, const void *b) {
    const uint32 left = static_cast<const RejectedRow *>(a)->row;
    const uint32 right = static_cast<const RejectedRow *>(b)->row;
    return left < right ? -1 : left > right;
}

/// One message on its way in, row by row.
struct CarefulInsert {
    RowBuffer buffer;
    CellPosition position;
    MemoryContext errors;
    const MessageRows *rows;
    const RowBinding *binding;
    RejectedRows *rejected;
};

void reject_row(CarefulInsert *insert, uint32 row, ErrorData *error) {
    if (insert->position.row == 0) insert->position = {row + 1, nullptr};
    insert->rejected->add(row, describe_error(error, insert->position), error->sqlerrcode);
    insert->position.row = 0;
    MemoryContextReset(insert->errors);
}

/// Converts rows from `row` on, until `limit` wait or those that do must be inserted first. Returns the next row.
uint32 convert_rows(CarefulInsert *insert, uint32 row, int limit) {
    const uint32 row_count = insert->rows->payload.row_count;
    volatile uint32 next = row;
    volatile bool full = false;
    while (next < row_count && !full && insert->buffer.row_count() < limit) {
        ErrorData *error = nullptr;
        const bool converted = try_in_subtransaction(insert->errors, &error, [insert, row_count, limit, &next, &full] {
            for (; next < row_count && insert->buffer.row_count() < limit; next = next + 1) {
                CHECK_FOR_INTERRUPTS();
                if (insert->rejected->has(next)) continue;
                full = !insert->buffer.convert(*insert->binding, insert->rows->times, next);
                if (full) return;
            }
        });
        if (converted) continue;
        reject_row(insert, next, error);
        next = next + 1;
    }
    return next;
}

/// Inserts waiting rows, halving them where they fail.
void insert_run(CarefulInsert *insert, int first, int count) {
    CHECK_FOR_INTERRUPTS();
    if (count == 0) return;
    ErrorData *error = nullptr;
    const bool inserted = try_in_subtransaction(insert->errors, &error, [insert, first, count] {
        insert->buffer.insert(first, count);
        check_deferred_constraints();
    });
    if (inserted) return insert->buffer.note_times(first, count);
    if (count == 1) return reject_row(insert, insert->buffer.source_row(first), error);
    MemoryContextReset(insert->errors);
    insert_run(insert, first, count / 2);
    insert_run(insert, first + count / 2, count - count / 2);
}

}  // namespace

void RejectedRows::begin(uint32 row_count) {
    *this = RejectedRows{};
    context_ = CurrentMemoryContext;
    row_count_ = row_count;
}

void RejectedRows::add(uint32 row, const char *error, int sqlstate) {
    if (count_ == kRejectedRowsMax) {
        ereport(ERROR, errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                errmsg("more than %u rows of the message cannot be stored; %s", kRejectedRowsMax, first().error));
    }
    MemoryContext before = MemoryContextSwitchTo(context_);
    if (flags_ == nullptr) flags_ = static_cast<bool *>(palloc_extended(row_count_, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO));
    if (count_ == capacity_) {
        capacity_ = Max(16u, capacity_ * 2);
        const Size bytes = sizeof(RejectedRow) * capacity_;
        rows_ = static_cast<RejectedRow *>(rows_ == nullptr ? palloc(bytes) : repalloc(rows_, bytes));
    }
    flags_[row] = true;
    rows_[count_++] = {row, sqlstate, pstrdup(error)};
    MemoryContextSwitchTo(before);
}

const RejectedRow &RejectedRows::first() const {
    uint32 first = 0;
    for (uint32 i = 1; i < count_; ++i) {
        if (rows_[i].row < rows_[first].row) first = i;
    }
    return rows_[first];
}

void RejectedRows::write_dead_letters(const Subscription &subscription, const ReceivedMessage &message, const MessageRows &rows) {
    MemoryContext letter = AllocSetContextCreate(CurrentMemoryContext, "historian MQTT dead row", ALLOCSET_DEFAULT_SIZES);
    Size written_bytes = 0;
    if (rows.mapping != nullptr && count_ * rows.bytes.size() > kReadAgainBytesMax) {
        ereport(ERROR, errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                errmsg("%u rows of the message cannot be stored, too many for a mapped message of its size; %s", count_,
                       first().error));
    }
    if (count_ > 0) qsort(rows_, count_, sizeof(RejectedRow), compare_rows);
    for (uint32 i = 0; i < count_; ++i) {
        CHECK_FOR_INTERRUPTS();
        MemoryContext before = MemoryContextSwitchTo(letter);
        const std::string_view payload = write_message_row(rows, rows_[i].row);
        written_bytes += payload.size();
        if (written_bytes > kRejectedBytesMax) {
            ereport(ERROR, errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                    errmsg("dead letters of the message's rows would be too large; %s", rows_[0].error));
        }
        ReceivedMessage part = message;
        part.payload = payload.data();
        part.payload_bytes = part.kept_bytes = payload.size();
        insert_dead_letter(subscription, part, rows_[i].error, rows_[i].sqlstate);
        MemoryContextSwitchTo(before);
        MemoryContextReset(letter);
    }
    MemoryContextDelete(letter);
}

void reject_unfit_rows(const TargetTable &target, const RowBinding &binding, RejectedRows *rejected) {
    const Payload &payload = *binding.payload;
    uint32 bad = 0;
    for (uint32 row = 0; row < payload.row_count; ++row) {
        if (bad < payload.bad_row_count && payload.bad_rows[bad].row == row) {
            const PayloadError error = payload.bad_rows[bad++].error;
            char text[160];
            char described[192];
            describe_payload_error(error, text, sizeof text);
            snprintf(described, sizeof described, "row %u: %s", row + 1, text);
            rejected->add(row, described, pack_sqlstate(payload_error_sqlstate(error.fault)));
            continue;
        }
        int sqlstate;
        const char *fault = find_row_fault(target, binding, row, &sqlstate);
        if (fault == nullptr) continue;
        rejected->add(row, fault, sqlstate);
        pfree(const_cast<char *>(fault));
    }
}

TimestampTz insert_rows_carefully(TargetTable *target, const MessageRows &rows, const RowBinding &binding,
                                  RejectedRows *rejected) {
    CarefulInsert insert{};
    insert.errors = AllocSetContextCreate(CurrentMemoryContext, "historian MQTT errors", ALLOCSET_DEFAULT_SIZES);
    insert.rows = &rows;
    insert.binding = &binding;
    insert.rejected = rejected;
    insert.buffer.begin(target, &insert.position);
    int limit = kRowsPerInsert;
    for (uint32 row = 0; row < rows.payload.row_count;) {
        row = convert_rows(&insert, row, limit);
        const uint32 rejected_before = rejected->count();
        insert_run(&insert, 0, insert.buffer.row_count());
        insert.buffer.clear();
        limit = rejected->count() == rejected_before ? Min(limit * 2, kRowsPerInsert) : Max(limit / 2, kRunRowsMin);
    }
    return insert.buffer.newest_time();
}

const char *describe_error(const ErrorData *error, const CellPosition &position) {
    if (position.row == 0) return pstrdup(error->message);
    if (position.column == nullptr) return psprintf("row %u: %s", position.row, error->message);
    return psprintf("row %u, column \"%s\": %s", position.row, position.column, error->message);
}

}  // namespace historian::bgworker
