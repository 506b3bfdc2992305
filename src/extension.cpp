// _PG_init: settings, hooks, worker registration.
#include "bgworker/server.h"

extern "C" {
#include "tcop/utility.h"
}

#include "bgworker/launcher.h"
#include "bgworker/settings.h"

namespace {

ProcessUtility_hook_type previous_utility_hook = nullptr;

void run_utility(PlannedStmt *statement, const char *query, bool read_only_tree, ProcessUtilityContext context,
                 ParamListInfo params, QueryEnvironment *environment, DestReceiver *destination, QueryCompletion *completion) {
    historian::bgworker::make_way_for_command(statement->utilityStmt);
    const ProcessUtility_hook_type next = previous_utility_hook != nullptr ? previous_utility_hook : standard_ProcessUtility;
    next(statement, query, read_only_tree, context, params, environment, destination, completion);
}

}  // namespace

#pragma GCC visibility push(default)
extern "C" {

PG_MODULE_MAGIC;

void _PG_init(void) {
    if (!process_shared_preload_libraries_in_progress) return;
    historian::bgworker::define_worker_settings();
    historian::bgworker::register_workers();
    previous_utility_hook = ProcessUtility_hook;
    ProcessUtility_hook = run_utility;
}
}
#pragma GCC visibility pop
