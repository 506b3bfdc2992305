// Rows on their way into a table: cells become values of the columns' types, and enter by one INSERT for many rows.
//
// Values go through the columns' own input functions, one cell at a time, so that a cell that does not fit is known by row and
// column. The commonest values and tables have shorter ways to the same end: plain_value.h and direct_insert.h.
//
// Invariants:
//   1. Rows enter in the order in which they were added.
//   2. Nothing of a row is in the buffer when its conversion raised an error.
#pragma once

#include "bgworker/server.h"
//
#include "bgworker/direct_insert.h"
#include "bgworker/payload.h"
#include "bgworker/target_table.h"

namespace historian::bgworker {

// Rows in one INSERT: bounds the memory of the arrays, large enough that the statement's fixed cost vanishes.
inline constexpr int kRowsPerInsert = 8 * 1024;
// An INSERT is also due when the values of its rows take this much.
inline constexpr std::size_t kBytesPerInsert = 8 * 1024 * 1024;

/// Where a conversion is, for the text of its error.
struct CellPosition {
    uint32 row;  ///< from 1; 0: no conversion under way
    const char *column;
};

/// How the times of a message are to be understood.
struct MessageTimes {
    TimeUnit unit;
    pg_tz *zone;  ///< of times that name none; nullptr: the session's
    TimestampTz arrival;
};

/// How the cells of a payload meet the columns of a table.
struct RowBinding {
    const Payload *payload;
    uint32 cell_count;          ///< of every row that is good
    int *cell_of_column;        ///< index in a row, or -1
    const uint32 *stray_cells;  ///< cells of a row that no column takes: they must be absent
    uint32 stray_cell_count;
};

/// Finds the columns of a payload's cells; memory is the current context's.
RowBinding bind_payload(const TargetTable &target, const Payload &payload);

/// Why row `row` cannot be stored whatever its values, or nullptr; the text is the current context's.
const char *find_row_fault(const TargetTable &target, const RowBinding &binding, uint32 row, int *sqlstate);

class RowBuffer {
public:
    /// Makes room in the current context, for rows of `target`.
    void begin(TargetTable *target, CellPosition *position);

    /// Converts row `row` of a payload behind those that wait. False, with nothing done: those must be inserted first.
    ///
    /// binding   has no fault in this row
    bool convert(const RowBinding &binding, const MessageTimes &times, uint32 row);

    /// Inserts `count` of the waiting rows, from number `first` on, by a statement.
    void insert(int first, int count);

    /// Inserts all waiting rows, without a statement where the table allows it, and forgets them. An error ends the buffer's use:
    /// only the abort of the (sub)transaction may follow.
    void insert_all();

    /// After insert_all(): all is stored, and later statements see it.
    void finish();

    /// Takes the times of rows that insert() has stored into account: a row without one counts as of now.
    void note_times(int first, int count);
    TimestampTz newest_time() const { return newest_time_; }  ///< DT_NOBEGIN: no row is stored

    /// Forgets the rows that wait.
    void clear();

    int row_count() const { return row_count_; }
    uint32 source_row(int index) const { return source_rows_[index]; }  ///< the payload's row behind a waiting one

private:
    bool choose_statement(const RowBinding &binding, const Cell *cells);
    void begin_direct_insert();

    TargetTable *target_ = nullptr;
    CellPosition *position_ = nullptr;
    MemoryContext context_ = nullptr;  ///< of begin()
    MemoryContext rows_ = nullptr;     ///< values of the waiting rows
    MemoryContext arrays_ = nullptr;   ///< of one INSERT
    const InsertStatement *statement_ = nullptr;
    bool is_direct_tried_ = false;          ///< for statement_
    DirectInsert direct_;                   ///< open when it may stand for statement_
    AttrNumber *direct_numbers_ = nullptr;  ///< of the columns of statement_, as direct_ knows them
    Datum **direct_values_ = nullptr;       ///< values_ and nulls_, those of statement_
    bool **direct_nulls_ = nullptr;
    bool *sent_ = nullptr;      ///< by column, of the row being converted
    Datum **values_ = nullptr;  ///< [column][row]
    bool **nulls_ = nullptr;
    uint32 *source_rows_ = nullptr;
    TimestampTz newest_time_ = DT_NOBEGIN;
    int row_count_ = 0;
};

}  // namespace historian::bgworker
