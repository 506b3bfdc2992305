#include "engine/gate.h"

namespace historian::engine {

namespace {

constexpr uint16 kGateLockNumber = 0x4447;

LOCKTAG gate_tag(Oid relid) {
    LOCKTAG tag;
    SET_LOCKTAG_OBJECT(tag, MyDatabaseId, RelationRelationId, relid, kGateLockNumber);
    return tag;
}

}  // namespace

void enter_gate(Oid relid) {
    const LOCKTAG tag = gate_tag(relid);
    LockAcquire(&tag, ShareLock, false, false);
}

void exit_gate(Oid relid) {
    const LOCKTAG tag = gate_tag(relid);
    LockRelease(&tag, ShareLock, false);
}

bool is_inside_gate(Oid relid) {
    const LOCKTAG tag = gate_tag(relid);
    return holds_lock(&tag, ShareLock);
}

// A lock request has no time limit of its own but the setting lock_timeout, which ends it with an error: a subtransaction, which
// gets no xid, takes the error back.
bool close_gate(Oid relid) {
    const LOCKTAG tag = gate_tag(relid);
    if (LockAcquire(&tag, ExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL) return true;
    MemoryContext context = CurrentMemoryContext;
    ResourceOwner owner = CurrentResourceOwner;
    const int session_timeout = LockTimeout;
    ErrorData *volatile error = nullptr;
    BeginInternalSubTransaction(nullptr);
    PG_TRY();
    {
        LockTimeout = kGateWaitMs;
        LockAcquire(&tag, ExclusiveLock, false, false);
        CHECK_FOR_INTERRUPTS();  // the time may have run out just when the lock came
        ReleaseCurrentSubTransaction();
    }
    PG_CATCH();
    {
        MemoryContextSwitchTo(context);
        error = CopyErrorData();
        FlushErrorState();
        RollbackAndReleaseCurrentSubTransaction();
    }
    PG_END_TRY();
    LockTimeout = session_timeout;
    MemoryContextSwitchTo(context);
    CurrentResourceOwner = owner;
    if (error == nullptr) return true;
    if (error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE && error->sqlerrcode != ERRCODE_T_R_DEADLOCK_DETECTED)
        ReThrowError(error);
    FreeErrorData(error);
    return false;
}

bool gate_can_be_closed(Oid relid) {
    if (!close_gate(relid)) return false;
    const LOCKTAG tag = gate_tag(relid);
    LockRelease(&tag, ExclusiveLock, false);
    return true;
}

}  // namespace historian::engine
