// The maintenance lock (rule R10): seal, merge and the freeing phases of VACUUM exclude each other on a table, and nobody else
// takes it.
//
// It is an object lock on the table's pg_class row with a sub-object number that no column has, so it shows in pg_locks and takes
// part in deadlock detection, and it blocks neither readers nor writers.
#pragma once

#include "engine/server.h"

namespace historian::engine {

inline constexpr uint16 kMaintenanceLockNumber = 0x4D54;

inline LOCKTAG maintenance_lock_tag(Relation rel) {
    LOCKTAG tag;
    SET_LOCKTAG_OBJECT(tag, MyDatabaseId, RelationRelationId, RelationGetRelid(rel), kMaintenanceLockNumber);
    return tag;
}

/// Takes the lock until the transaction ends. wait = false: gives up at once; true is returned when the lock is held.
inline bool lock_maintenance(Relation rel, bool wait) {
    const LOCKTAG tag = maintenance_lock_tag(rel);
    return LockAcquire(&tag, ExclusiveLock, false, !wait) != LOCKACQUIRE_NOT_AVAIL;
}

inline void unlock_maintenance(Relation rel) {
    const LOCKTAG tag = maintenance_lock_tag(rel);
    LockRelease(&tag, ExclusiveLock, false);
}

}  // namespace historian::engine
