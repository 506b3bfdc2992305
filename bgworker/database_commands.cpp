// Commands that need a database for themselves: our workers would make them fail with "database is being accessed by other
// users".
#include "bgworker/launcher.h"

extern "C" {
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "nodes/parsenodes.h"
}

namespace historian::bgworker {

namespace {

/// The value of an option of CREATE or ALTER DATABASE, or nullptr.
const char *option_value(const List *options, const char *name) {
    const ListCell *cell;
    foreach (cell, options) {
        auto *option = static_cast<DefElem *>(lfirst(cell));
        if (strcmp(option->defname, name) == 0) return option->arg == nullptr ? nullptr : defGetString(option);
    }
    return nullptr;
}

/// The database that a command must be alone in, or nullptr.
const char *database_needed_alone(const Node *command) {
    switch (nodeTag(command)) {
        case T_DropdbStmt: return reinterpret_cast<const DropdbStmt *>(command)->dbname;
        case T_CreatedbStmt: return option_value(reinterpret_cast<const CreatedbStmt *>(command)->options, "template");
        case T_RenameStmt: {
            const auto *rename = reinterpret_cast<const RenameStmt *>(command);
            return rename->renameType == OBJECT_DATABASE ? rename->subname : nullptr;
        }
        case T_AlterDatabaseStmt: {
            const auto *alter = reinterpret_cast<const AlterDatabaseStmt *>(command);
            return option_value(alter->options, "tablespace") != nullptr ? alter->dbname : nullptr;
        }
        default: return nullptr;
    }
}

/// All of these commands want the owner: nobody else stops workers by trying them.
bool is_owner(Oid database) {
#if PG_VERSION_NUM >= 160000
    return object_ownercheck(DatabaseRelationId, database, GetUserId());
#else
    return pg_database_ownercheck(database, GetUserId());
#endif
}

}  // namespace

void make_way_for_command(const Node *command) {
    const char *name = database_needed_alone(command);
    const Oid database = name == nullptr ? InvalidOid : get_database_oid(name, true);
    if (OidIsValid(database) && is_owner(database)) stop_database_workers(database);
}

}  // namespace historian::bgworker
