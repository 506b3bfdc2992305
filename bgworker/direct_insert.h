// Direct insert: rows into a plain table as COPY stores them, many in one call of its access method, without a statement around
// them. For tables where an INSERT would do no more than that; a tag table then makes segments of 8,192 rows and more at once.
//
// What an INSERT does is done here too: rights, defaults, NOT NULL and CHECK constraints, indexes and what they refuse.
// Where it would do more, begin() refuses, and the caller uses an INSERT: views, partitions and partitioned or foreign tables;
// rules; triggers of any kind for INSERT (foreign keys and deferrable constraints are such); row security; generated columns;
// rights to some columns only; a default or a CHECK that might look at the table; a hook that watches who may do what.
//
// An error leaves everything to the abort of the (sub)transaction.
#pragma once

#include "bgworker/server.h"

namespace historian::bgworker {

class DirectInsert {
public:
    /// Begins a command, for rows that bring the columns with these numbers; the others get their defaults. The caller holds
    /// RowExclusiveLock until the transaction ends. `columns` and the current context must last until finish().
    ///
    /// returns  false: the table wants an INSERT; nothing was begun
    bool begin(Oid table, const AttrNumber *columns, int column_count);

    /// Stores rows; what defaults give is allocated in the current context, and must live until the return only.
    ///
    /// values, nulls   [column][row]; values have the columns' types, domains and lengths checked
    void insert(const Datum *const *values, const bool *const *nulls, int row_count);

    /// Ends the command: all of its rows are stored, and later statements see them.
    void finish();

    bool is_open() const { return rel_ != nullptr; }

private:
    struct Default {
        int column;  ///< from 0
        ExprState *expression;
    };

    bool prepare_defaults(const AttrNumber *columns, int column_count);
    void fill_slot(int slot_index, const Datum *const *values, const bool *const *nulls, int row);
    void store_slots(int count);

    // Rows in one call of the access method, as many as COPY collects.
    static constexpr int kSlotCountMax = 1000;

    Relation rel_ = nullptr;
    MemoryContext context_ = nullptr;  ///< of one command
    const AttrNumber *columns_ = nullptr;
    int column_count_ = 0;
    Default *defaults_ = nullptr;
    int default_count_ = 0;
    EState *estate_ = nullptr;
    ResultRelInfo *result_ = nullptr;
    BulkInsertStateData *bulk_state_ = nullptr;
    TupleDesc descriptor_ = nullptr;  ///< a copy: nobody counts who uses it
    TupleTableSlot **slots_ = nullptr;
    int slot_count_ = 0;  ///< made so far
    CommandId command_ = 0;
};

}  // namespace historian::bgworker
