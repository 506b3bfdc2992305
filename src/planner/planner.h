// The planner's node HistorianScan: reads from a tag table only what the query's tags, times and columns need.
//
// Life of a query:
//   1. custom_path.cpp offers paths beside the sequential scan, with costs from the table's directory (costs.cpp), and
//   order_paths.cpp
//      those of tag tables that are sorted or give one row of each tag;
//   2. custom_plan.cpp turns the chosen path into a plan; conditions that can skip data (conditions.cpp) go into custom_exprs;
//   3. custom_exec.cpp evaluates them when the first row is asked for, and again at each rescan (scan_filter.cpp), so that
//      parameters and stable functions are as good as constants; custom_recheck.cpp makes checking long lists of tags fast;
//   4. custom_parallel.cpp shares the work among processes; custom_explain.cpp tells what was read and skipped.
//
// Invariant: a filter only skips. Every condition of the query is checked on every row: by the node's qual or, of searches, by
// the node itself, unless the scan says that the row matches for sure.
#pragma once

namespace historian::planner {

/// historian.enable_scan: whether the node is offered to the planner.
extern bool enable_scan;

/// historian.enable_ordered_scan: whether it is offered in order of tag and time; historian.enable_last_point: whether as a scan
/// that gives one row of each tag.
extern bool enable_ordered_scan;
extern bool enable_last_point;
void install_order_settings();

/// Registers the node, its setting and its hook, which calls the one that was there before; once, when the library loads.
void install_planner_hooks();

/// historian.enable_aggregate: whether the node HistorianAggregate (aggregate.h) is offered to the planner.
extern bool enable_aggregate;

/// The same for that node; and historian.enable_aggregate_join.
void install_aggregate_hooks();

}  // namespace historian::planner
