#include "settings.h"

#include "engine/segment_store.h"
#include "engine/server.h"
#include "engine/stop_points.h"

namespace historian {

int seal_interval_s = 60;
double retention_warn_share = 0.5;
int retention_warn_delay_s = 600;

namespace {

int merge_effort_setting = static_cast<int>(codec::Effort::normal);

const config_enum_entry kEfforts[] = {
    {"normal", static_cast<int>(codec::Effort::normal), false},
    {"high", static_cast<int>(codec::Effort::high), false},
    {nullptr, 0, false},
};

int retention_interval_s = 60;  // read by the view historian.retention_state

}  // namespace

codec::Effort merge_effort() { return static_cast<codec::Effort>(merge_effort_setting); }

void define_settings() {
    DefineCustomIntVariable("historian.seal_interval", "Longest time that fresh rows stay in the tail before they are sealed.",
                            "Shorter: smaller tails, more small segments to merge. Full tails are sealed at once.",
                            &seal_interval_s, 60, 1, 24 * 3600, PGC_SIGHUP, GUC_UNIT_S, nullptr, nullptr, nullptr);
    DefineCustomEnumVariable("historian.merge_effort", "How hard merging and compact() pack what they write.",
                             "high: a few hundredths smaller, several times the time to write, read as fast.",
                             &merge_effort_setting, static_cast<int>(codec::Effort::normal), kEfforts, PGC_USERSET, 0, nullptr,
                             nullptr, nullptr);
    DefineCustomIntVariable("historian.retention_interval", "Time between two runs of a table's retention policy.",
                            "A policy may have its own: set_retention(..., every => '1 hour').", &retention_interval_s, 60, 1,
                            24 * 3600, PGC_SIGHUP, GUC_UNIT_S, nullptr, nullptr, nullptr);
    DefineCustomRealVariable("historian.retention_warn_share",
                             "Share of a table's rows above which a retention policy warns before it deletes them at once.",
                             "1: never. Fewer than 1000 rows need no warning.", &retention_warn_share, 0.5, 0, 1, PGC_SIGHUP, 0,
                             nullptr, nullptr, nullptr);
    DefineCustomIntVariable("historian.retention_warn_delay", "Time between that warning and the deletion.",
                            "0: warns, and deletes at once.", &retention_warn_delay_s, 600, 0, 30 * 24 * 3600, PGC_SIGHUP,
                            GUC_UNIT_S, nullptr, nullptr, nullptr);
    DefineCustomIntVariable("historian.debug_stop_point",
                            "Number of the place where this session waits for a test's advisory lock.", nullptr,
                            &engine::stop_point_wanted, 0, 0, 100, PGC_SUSET, GUC_NOT_IN_SAMPLE, nullptr, nullptr, nullptr);
    DefineCustomIntVariable("historian.debug_segment_rows", "Rows of a full segment, for tests that want many of them.", nullptr,
                            &engine::segment_rows_max, format::kSegmentRowsMax, 16, format::kSegmentRowsMax, PGC_SUSET,
                            GUC_NOT_IN_SAMPLE, nullptr, nullptr, nullptr);
}

}  // namespace historian
