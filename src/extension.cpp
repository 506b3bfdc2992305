#include "bgworker/server.h"
//
#include "bgworker/launcher.h"
#include "bgworker/settings.h"

#pragma GCC visibility push(default)
extern "C" {
PG_MODULE_MAGIC;
void _PG_init(void) {
    if (!process_shared_preload_libraries_in_progress) return;
    historian::bgworker::define_worker_settings();
    historian::bgworker::register_workers();
}
}
#pragma GCC visibility pop
