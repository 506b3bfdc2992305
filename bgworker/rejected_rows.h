// Rows of a message that cannot be stored, while the message's other rows are.
//
// Which rows those are is known in two ways: by looking at them (too few cells, a column that does not exist, a line that is no
// line), which costs nothing, and by trying. Trying is done when an INSERT of whole messages has failed: values are converted row
// by row, with a new subtransaction after each that failed; then runs of rows are inserted, each in a subtransaction, and halved
// where they fail until the bad row stands alone. A bad value costs one subtransaction without a transaction id, a row that a
// constraint or a trigger refuses about twice the logarithm of the distance to the next such row.
//
// Invariants:
//   1. Rows enter in the order of the message.
//   2. A message with more bad rows than kRejectedRowsMax, or whose dead letters would take more than kRejectedBytesMax, is an
//      error: it is rejected as a whole, so that no message costs more than these.
#pragma once

#include "bgworker/message_rows.h"
#include "bgworker/server.h"

namespace historian::bgworker {

inline constexpr uint32 kRejectedRowsMax = 200'000;
inline constexpr Size kRejectedBytesMax = 256 * 1024 * 1024;
// A row of a mapped message is found by reading all of it again: this much may be read, a few seconds long. A message that took
// longer than the keepalive would come again and again.
inline constexpr Size kReadAgainBytesMax = 512 * 1024 * 1024;

struct RejectedRow {
    uint32 row;  ///< from 0
    int sqlstate;
    const char *error;  ///< names the row
};

class RejectedRows {
public:
    /// For a message of row_count rows; memory is the current context's.
    void begin(uint32 row_count);

    /// Adds a row; the text is copied.
    void add(uint32 row, const char *error, int sqlstate);

    bool has(uint32 row) const { return flags_ != nullptr && flags_[row]; }
    uint32 count() const { return count_; }

    /// The first row of the message that is among them.
    const RejectedRow &first() const;

    /// Writes a dead letter for each, in the order of the message. Needs SPI.
    void write_dead_letters(const Subscription &subscription, const ReceivedMessage &message, const MessageRows &rows);

private:
    MemoryContext context_ = nullptr;
    RejectedRow *rows_ = nullptr;
    bool *flags_ = nullptr;  ///< by row
    uint32 row_count_ = 0;
    uint32 count_ = 0;
    uint32 capacity_ = 0;
};

/// Adds the rows that cannot be stored whatever their values.
void reject_unfit_rows(const TargetTable &target, const RowBinding &binding, RejectedRows *rejected);

/// Inserts the rows of a message that can be inserted, and adds the others to `rejected`; returns the newest time of the former.
/// Needs SPI and a subtransaction around.
TimestampTz insert_rows_carefully(TargetTable *target, const MessageRows &rows, const RowBinding &binding,
                                  RejectedRows *rejected);

/// The reason for a dead letter, from an error and where it happened; in the current context.
const char *describe_error(const ErrorData *error, const CellPosition &position);

}  // namespace historian::bgworker
