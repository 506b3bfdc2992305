// Work in a subtransaction: what fails leaves nothing behind, and the transaction goes on.
#pragma once

#include <type_traits>

#include "bgworker/server.h"

namespace historian::bgworker {

/// Errors that are the server's state, not the message's content: the message will do better later.
inline bool is_transient(int sqlstate) {
    switch (ERRCODE_TO_CATEGORY(sqlstate)) {
        case ERRCODE_TRANSACTION_ROLLBACK:    // 40: deadlock, serialization
        case ERRCODE_INSUFFICIENT_RESOURCES:  // 53: disk full, out of memory, too many connections
        case ERRCODE_OPERATOR_INTERVENTION:   // 57: shutdown, cancel
        case ERRCODE_SYSTEM_ERROR:            // 58: input/output error
            return true;
        default: return sqlstate == ERRCODE_LOCK_NOT_AVAILABLE || sqlstate == ERRCODE_OBJECT_IN_USE;
    }
}

/// Runs `work` in a subtransaction. False: it raised an error, nothing of it remains, and *error says why, in `errors`. An error
/// of the server's own is raised again.
template <typename Work>
bool try_in_subtransaction(MemoryContext errors, ErrorData **error, Work work) {
    static_assert(std::is_trivially_destructible_v<Work>, "ereport() would skip its destructor");
    MemoryContext before = CurrentMemoryContext;
    ResourceOwner owner = CurrentResourceOwner;
    volatile bool done = false;
    BeginInternalSubTransaction(nullptr);
    MemoryContextSwitchTo(before);
    PG_TRY();
    {
        work();
        ReleaseCurrentSubTransaction();
        MemoryContextSwitchTo(before);
        CurrentResourceOwner = owner;
        done = true;
    }
    PG_CATCH();
    {
        MemoryContextSwitchTo(errors);
        ErrorData *data = CopyErrorData();
        *error = data;
        FlushErrorState();
        RollbackAndReleaseCurrentSubTransaction();
        MemoryContextSwitchTo(before);
        CurrentResourceOwner = owner;
        if (is_transient(data->sqlerrcode)) ReThrowError(data);
    }
    PG_END_TRY();
    return done;
}

/// Lets deferred constraints fail now. Needs SPI.
inline void check_deferred_constraints() {
    if (SPI_execute("SET CONSTRAINTS ALL IMMEDIATE", false, 0) != SPI_OK_UTILITY) elog(ERROR, "SET CONSTRAINTS failed");
}

}  // namespace historian::bgworker
