#include "settings.h"

#include "engine/segment_store.h"
#include "engine/server.h"
#include "engine/stop_points.h"

namespace historian {

int seal_interval_s = 60;

void define_settings() {
    DefineCustomIntVariable("historian.seal_interval", "Longest time that fresh rows stay in the tail before they are sealed.",
                            "Shorter: smaller tails, more small segments to merge. Full tails are sealed at once.",
                            &seal_interval_s, 60, 1, 24 * 3600, PGC_SIGHUP, GUC_UNIT_S, nullptr, nullptr, nullptr);
    DefineCustomIntVariable("historian.debug_stop_point",
                            "Number of the place where this session waits for a test's advisory lock.", nullptr,
                            &engine::stop_point_wanted, 0, 0, 100, PGC_SUSET, GUC_NOT_IN_SAMPLE, nullptr, nullptr, nullptr);
    DefineCustomIntVariable("historian.debug_segment_rows", "Rows of a full segment, for tests that want many of them.", nullptr,
                            &engine::segment_rows_max, format::kSegmentRowsMax, 16, format::kSegmentRowsMax, PGC_SUSET,
                            GUC_NOT_IN_SAMPLE, nullptr, nullptr, nullptr);
}

}  // namespace historian
