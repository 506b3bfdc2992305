// Places where a test can stop a backend: the one list of them.
//
// The setting historian.debug_stop_point names a place; a backend that comes there waits for the advisory lock (classid
// 1213415763, objid = the place's number) that the test holds, and goes on when the test lets go. isolationtester sees such a
// wait as a blocked step. Costs one comparison of an integer otherwise.
#pragma once

namespace historian::engine {

enum class StopPoint : int {
    none = 0,
    seal_closed = 1,         // the tail run is closed; nothing was read
    seal_built = 2,          // new segments are written; the sources are untouched
    seal_before_commit = 3,  // the sources are stamped; the transaction is open
    segment_building = 4,    // a segment's pages are written; its entry still says "building"
    release_seen = 5,        // VACUUM or compact() read an entry that it may free
    seal_gate_closed = 6,    // no statement that deletes is running; the sources are untouched
    delete_at_gate = 7,      // a statement that deletes has its snapshot and is not inside the gate yet
    segment_dropped = 8,     // delete_before() has stamped a whole segment and has not looked at its delete log yet
};

/// Set by the setting historian.debug_stop_point (superuser).
extern int stop_point_wanted;

/// Waits for the advisory lock (int4 form: 1213415763, number) if this is the wanted place.
void wait_at_stop_point(StopPoint point);

inline void stop_point(StopPoint point) {
    if (stop_point_wanted == static_cast<int>(point)) wait_at_stop_point(point);
}

}  // namespace historian::engine
