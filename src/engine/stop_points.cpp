#include "engine/stop_points.h"

#include "engine/server.h"

namespace historian::engine {

int stop_point_wanted = 0;

void wait_at_stop_point(StopPoint point) {
    constexpr uint32 kLockClass = 1213415763;  // "HIST"
    LOCKTAG tag;
    SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, kLockClass, static_cast<uint32>(point), 2);
    LockAcquire(&tag, ExclusiveLock, false, false);
    LockRelease(&tag, ExclusiveLock, false);
}

}  // namespace historian::engine
