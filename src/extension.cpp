// _PG_init: what happens when the server loads the library.
#include "bgworker/launcher.h"
#include "bgworker/settings.h"
#include "engine/bulk_load.h"
#include "engine/granule_cache.h"
#include "engine/row_delete.h"
#include "engine/segment_shape.h"
#include "engine/server.h"
#include "engine/tail.h"
#include "engine/wal.h"
#include "hooks.h"
#include "planner/planner.h"
#include "settings.h"
#include "table_am/options.h"

#ifdef WORDS_BIGENDIAN
#error "historian's on-disk format is little-endian; big-endian machines are not supported"
#endif
static_assert(BLCKSZ == historian::format::kPageBytes, "historian's pages are PostgreSQL's default blocks of 8 kB");
static_assert(SizeOfPageHeaderData == historian::format::kPageHeaderBytes);

extern "C" {
PG_MODULE_MAGIC;
PGDLLEXPORT void _PG_init(void);
}

// The resource manager and the workers can only be registered while the postmaster starts.
void _PG_init(void) {
    if (!process_shared_preload_libraries_in_progress) {
        ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                errmsg("historian must be loaded when the server starts"), errdetail("It is not in shared_preload_libraries."),
                errhint("Add the line shared_preload_libraries = 'historian' to postgresql.conf (or append historian to the "
                        "list) and restart the "
                        "server."));
    }
    historian::define_settings();
    historian::engine::register_resource_manager();
    historian::engine::register_bulk_load_callbacks();
    historian::engine::register_row_delete_callbacks();
    historian::engine::register_granule_cache_callbacks();
    historian::table_am::register_option_labels();
    historian::install_hooks();
    historian::planner::install_planner_hooks();
    historian::planner::install_aggregate_hooks();
    historian::bgworker::define_worker_settings();
    historian::bgworker::register_workers();
    historian::engine::is_searched_column = historian::table_am::searches_column;
    historian::engine::on_full_run = historian::bgworker::note_full_run;
    EmitWarningsOnPlaceholders("historian");
}
