// A table as the rows of messages meet it: its columns, how JSON cells become their values, and the INSERT that takes many rows
// at once.
//
// Values go through the columns' own input functions, one cell at a time, so that a cell that does not fit is known by row and
// column. Rows then enter by one ordinary statement over arrays: defaults, generated columns, constraints, triggers, partitions,
// rights, all as usual.
#pragma once

#include "bgworker/server.h"
//
#include "bgworker/payload.h"
#include "bgworker/subscriptions.h"

namespace historian::bgworker {

// Rows in one INSERT: bounds the memory of the arrays, large enough that the statement's fixed cost vanishes.
inline constexpr int kRowsPerInsert = 8 * 1024;
// An INSERT is also due when the values of its rows take this much.
inline constexpr std::size_t kBytesPerInsert = 8 * 1024 * 1024;

struct TargetColumn {
    const char *name;
    Oid type;
    int32 typmod;
    Oid sent_type;  ///< the array's element: type, or text when type has no array that unnest leaves whole
    int16 sent_length;
    bool sent_by_value;
    char sent_align;
    Oid io_param;
    FmgrInfo input;
};

struct TargetTable {
    Relation rel;  ///< open and locked until the transaction ends
    const char *display_name;
    int column_count;
    TargetColumn *columns;
    SPIPlanPtr plan;
};

/// Where a conversion is, for the text of its error.
struct CellPosition {
    uint32 row;  ///< from 1; 0: no conversion under way
    const char *column;
};

/// Opens the table that a topic names, for rows, and prepares its INSERT; the memory is the current context's. Needs a
/// transaction and SPI.
///
/// A topic is chosen by whoever may publish, so it reaches only tables in the subscription's schema whose owner has the rights of
/// the subscription's owner: nobody else's triggers and defaults run as the latter.
///
/// name     UTF-8, with a schema
/// returns  nullptr, with *refusal saying why, when there is nothing of that name or it may not be written by messages
/// errors   those of PostgreSQL: no USAGE on the schema, ...
TargetTable *open_topic_target(const Subscription &subscription, const TopicTable &name, const char **refusal, int *sqlstate);

/// The same for the table that the subscription's owner chose, whoever owns it.
TargetTable *open_fixed_target(Oid table, const char **refusal, int *sqlstate);

/// Rows waiting for one INSERT.
class RowBuffer {
public:
    /// Makes room in the current context, for rows of `target`.
    void begin(TargetTable *target, CellPosition *position);

    /// Converts and adds the rows of one message, inserting whenever the buffer is full. Every row has target->column_count
    /// cells.
    void add(const Payload &payload);

    /// Inserts what is left.
    void finish();

private:
    void add_row(const Cell *cells);
    void insert();

    TargetTable *target_ = nullptr;
    CellPosition *position_ = nullptr;
    MemoryContext rows_ = nullptr;  ///< values of the waiting rows
    Datum **values_ = nullptr;      ///< [column][row]
    bool **nulls_ = nullptr;
    int row_count_ = 0;
};

}  // namespace historian::bgworker
