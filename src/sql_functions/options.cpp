// historian_options(): the options of a table as they are in force.
#include "table_am/options.h"

#include "settings.h"
#include "table_am/callbacks.h"

extern "C" {
#include "access/table.h"

PG_FUNCTION_INFO_V1(historian_options);
}

namespace historian {

namespace {

struct Fallback {
    const char *value;
    const char *source;
};

}  // namespace

}  // namespace historian

extern "C" PGDLLEXPORT Datum historian_options(PG_FUNCTION_ARGS) {
    using namespace historian;
    init_materialized_result(fcinfo);
    ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
    Relation rel = relation_open(PG_GETARG_OID(0), AccessShareLock);
    if (!table_am::is_ours(rel)) {
        ereport(ERROR, errcode(ERRCODE_WRONG_OBJECT_TYPE),
                errmsg("table \"%s\" is no tag or log table", RelationGetRelationName(rel)),
                errhint("Such tables are made by CREATE TABLE ... USING tag or log."));
    }
    const char *texts[table_am::kOptionCount];
    table_am::read_option_texts(RelationGetRelid(rel), texts);
    const int option_count = engine::is_log_table(rel) ? table_am::kOptionCount : table_am::kOptionCount - 1;
    relation_close(rel, AccessShareLock);
    const Fallback fallbacks[table_am::kOptionCount] = {
        {psprintf("%ds", seal_interval_s), "setting"}, {"on", "default"}, {"all columns of text", "default"}};
    for (int i = 0; i < option_count; i++) {
        const bool is_set = texts[i] != nullptr;
        Datum values[3] = {CStringGetTextDatum(table_am::option_name(i)),
                           CStringGetTextDatum(is_set ? texts[i] : fallbacks[i].value),
                           CStringGetTextDatum(is_set ? "table" : fallbacks[i].source)};
        bool nulls[3] = {};
        tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
    }
    return static_cast<Datum>(0);
}
