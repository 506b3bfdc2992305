// The PostgreSQL server's headers, as C, for the files of bgworker/ that know the server. Include it first.
#pragma once

extern "C" {
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/catalog.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_database.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "libpq/pqsignal.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/parse_func.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/fd.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "tcop/tcopprot.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/ps_status.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
}

// A function that the server finds by name in our library, which is built with hidden visibility.
#define HISTORIAN_EXPORT extern "C" __attribute__((visibility("default")))

// What PG_FUNCTION_INFO_V1 does, visible: PGDLLEXPORT is empty in PostgreSQL 15.
#define HISTORIAN_SQL_FUNCTION(name)                                           \
    HISTORIAN_EXPORT Datum name(PG_FUNCTION_ARGS);                             \
    HISTORIAN_EXPORT const Pg_finfo_record *CppConcat(pg_finfo_, name)(void);  \
    HISTORIAN_EXPORT const Pg_finfo_record *CppConcat(pg_finfo_, name)(void) { \
        static const Pg_finfo_record info = {1};                               \
        return &info;                                                          \
    }                                                                          \
    HISTORIAN_EXPORT Datum name(PG_FUNCTION_ARGS)
