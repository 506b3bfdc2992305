#include "ddl_arrival_time.h"

#include "engine/pages.h"
#include "table_am/callbacks.h"

extern "C" {
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "commands/tablecmds.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/parser.h"
#include "utils/fmgroids.h"
}

namespace historian {

namespace {

Constraint *make_constraint(ConstrType type) {
    Constraint *constraint = makeNode(Constraint);
    constraint->contype = type;
    constraint->location = -1;
    if (type == CONSTR_DEFAULT) {
        List *name = SystemFuncName(pstrdup("clock_timestamp"));
        constraint->raw_expr = reinterpret_cast<Node *>(makeFuncCall(name, NIL, COERCE_EXPLICIT_CALL, -1));
    }
    return constraint;
}

bool has_constraint(const ColumnDef *column, std::initializer_list<ConstrType> types) {
    ListCell *cell;
    foreach (cell, column->constraints) {
        for (const ConstrType type : types) {
            if (lfirst_node(Constraint, cell)->contype == type) return true;
        }
    }
    return false;
}

void complete_column(ColumnDef *column) {
    if (!has_constraint(column, {CONSTR_NOTNULL, CONSTR_NULL}))
        column->constraints = lappend(column->constraints, make_constraint(CONSTR_NOTNULL));
    if (!has_constraint(column, {CONSTR_DEFAULT, CONSTR_GENERATED, CONSTR_IDENTITY}))
        column->constraints = lappend(column->constraints, make_constraint(CONSTR_DEFAULT));
}

// Of LIKE and INHERITS. A table that cannot be found is PostgreSQL's to report.
bool table_has_arrival_time(const RangeVar *table) {
    const Oid relid = RangeVarGetRelid(table, NoLock, true);
    return OidIsValid(relid) && get_attnum(relid, engine::kArrivalTime) != InvalidAttrNumber;
}

bool is_log_method(const char *access_method) {
    const char *name = access_method != nullptr ? access_method : default_table_access_method;
    return table_am::kind_of_access_method(get_table_am_oid(name, true)) == engine::TableKind::log;
}

// Names of the columns that a query gives to a new table.
List *column_names(const Query *query, List *given_names) {
    List *names = NIL;
    ListCell *given = list_head(given_names);
    ListCell *cell;
    foreach (cell, query->targetList) {
        const TargetEntry *target = lfirst_node(TargetEntry, cell);
        if (target->resjunk) continue;
        names = lappend(names, given != nullptr ? lfirst(given) : makeString(pstrdup(target->resname)));
        if (given != nullptr) given = lnext(given_names, given);
    }
    return names;
}

// SELECT query.*, clock_timestamp() AS _arrival_time FROM (the query) AS query
Query *with_arrival_time(Query *inner) {
    RangeTblEntry *entry = makeNode(RangeTblEntry);
    entry->rtekind = RTE_SUBQUERY;
    entry->subquery = inner;
    entry->alias = makeAlias("query", NIL);
    entry->eref = makeAlias("query", column_names(inner, NIL));
    entry->inFromCl = true;
    RangeTblRef *reference = makeNode(RangeTblRef);
    reference->rtindex = 1;
    Query *outer = makeNode(Query);
    outer->commandType = CMD_SELECT;
    outer->canSetTag = true;
    outer->rtable = list_make1(entry);
    outer->jointree = makeFromExpr(list_make1(reference), nullptr);
    ListCell *cell;
    foreach (cell, inner->targetList) {
        TargetEntry *target = lfirst_node(TargetEntry, cell);
        if (target->resjunk) continue;
        Var *column = makeVarFromTargetEntry(1, target);
        outer->targetList = lappend(
            outer->targetList, makeTargetEntry(reinterpret_cast<Expr *>(column), target->resno, pstrdup(target->resname), false));
    }
    FuncExpr *now = makeFuncExpr(F_CLOCK_TIMESTAMP, TIMESTAMPTZOID, NIL, InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL);
    outer->targetList = lappend(outer->targetList, makeTargetEntry(reinterpret_cast<Expr *>(now),
                                                                   static_cast<AttrNumber>(list_length(outer->targetList) + 1),
                                                                   pstrdup(engine::kArrivalTime), false));
    return outer;
}

}  // namespace

bool makes_log_table(const CreateStmt *create) {
    if (create->partbound != nullptr || create->ofTypename != nullptr) return false;
    // From version 17 on a partitioned table has an access method, if one is named: that of its partitions.
    if (create->partspec != nullptr && create->accessMethod == nullptr) return false;
    return is_log_method(create->accessMethod);
}

void complete_arrival_time(CreateStmt *create) {
    ListCell *cell;
    foreach (cell, create->tableElts) {
        Node *element = static_cast<Node *>(lfirst(cell));
        if (IsA(element, ColumnDef) && strcmp(castNode(ColumnDef, element)->colname, engine::kArrivalTime) == 0) {
            complete_column(castNode(ColumnDef, element));
            return;
        }
        if (IsA(element, TableLikeClause) && table_has_arrival_time(castNode(TableLikeClause, element)->relation)) return;
    }
    foreach (cell, create->inhRelations) {
        if (table_has_arrival_time(lfirst_node(RangeVar, cell))) return;
    }
    ColumnDef *column = makeColumnDef(engine::kArrivalTime, TIMESTAMPTZOID, -1, InvalidOid);
    complete_column(column);
    create->tableElts = lappend(create->tableElts, column);
}

bool add_arrival_time(CreateTableAsStmt *create) {
    IntoClause *into = create->into;
    if (!is_log_method(into->accessMethod) || !IsA(create->query, Query)) return false;
    Query *query = castNode(Query, create->query);
    if (query->commandType != CMD_SELECT || query->hasModifyingCTE) return false;  // EXECUTE has its columns already
    List *names = column_names(query, into->colNames);
    if (list_length(into->colNames) > list_length(names)) return false;  // PostgreSQL says so
    ListCell *cell;
    foreach (cell, names) {
        if (strcmp(strVal(lfirst(cell)), engine::kArrivalTime) == 0) return false;
    }
    create->query = reinterpret_cast<Node *>(with_arrival_time(query));
    // What REFRESH will run.
    if (into->viewQuery != nullptr) set_view_query(into, with_arrival_time(castNode(Query, into->viewQuery)));
    return create->objtype == OBJECT_TABLE;
}

void complete_new_table(Oid relid) {
    AlterTableCmd *not_null = makeNode(AlterTableCmd);
    not_null->subtype = AT_SetNotNull;
    not_null->name = pstrdup(engine::kArrivalTime);
    AlterTableCmd *with_default = makeNode(AlterTableCmd);
    with_default->subtype = AT_ColumnDefault;
    with_default->name = pstrdup(engine::kArrivalTime);
    with_default->def = make_constraint(CONSTR_DEFAULT)->raw_expr;
    AlterTableInternal(relid, list_make2(not_null, with_default), false);
}

}  // namespace historian
