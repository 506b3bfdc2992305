#include "bgworker/direct_insert.h"

extern "C" {
#include "catalog/pg_namespace.h"
#include "executor/executor.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteHandler.h"
#include "utils/fmgroids.h"
#include "utils/rls.h"
}

namespace historian::bgworker {

namespace {

bool may_use_schema(Oid schema) {
#if PG_VERSION_NUM >= 160000
    return object_aclcheck(NamespaceRelationId, schema, GetUserId(), ACL_USAGE) == ACLCHECK_OK;
#else
    return pg_namespace_aclcheck(schema, GetUserId(), ACL_USAGE) == ACLCHECK_OK;
#endif
}

bool may_insert(Relation rel) {
    return ExecutorCheckPerms_hook == nullptr && may_use_schema(RelationGetNamespace(rel)) &&
           pg_class_aclcheck(RelationGetRelid(rel), GetUserId(), ACL_INSERT) == ACLCHECK_OK &&
           check_enable_rls(RelationGetRelid(rel), InvalidOid, true) != RLS_ENABLED;
}

bool has_insert_triggers(const TriggerDesc *triggers) {
    return triggers != nullptr &&
           (triggers->trig_insert_before_row || triggers->trig_insert_after_row || triggers->trig_insert_instead_row ||
            triggers->trig_insert_before_statement || triggers->trig_insert_after_statement || triggers->trig_insert_new_table);
}

/// True where storing a row is all that an INSERT does with it.
bool is_plain_table(Relation rel) {
    return rel->rd_rel->relkind == RELKIND_RELATION && !rel->rd_rel->relispartition && rel->rd_rules == nullptr &&
           !has_insert_triggers(rel->trigdesc);
}

/// True for a default that cannot look at the table: rows of one INSERT may see those before them, ours are stored later.
bool is_blind(Node *expression) {
    if (!contain_volatile_functions_not_nextval(expression)) return true;
    if (!IsA(expression, FuncExpr)) return false;
    const Oid function = castNode(FuncExpr, expression)->funcid;
    return function == F_CLOCK_TIMESTAMP || function == F_GEN_RANDOM_UUID;
}

/// True where a constraint might look at the table, for rows of the same INSERT that were stored before.
bool has_volatile_checks(const TupleConstr *constraints) {
    for (int i = 0; constraints != nullptr && i < constraints->num_check; ++i) {
        if (contain_volatile_functions(static_cast<Node *>(stringToNode(constraints->check[i].ccbin)))) return true;
    }
    return false;
}

bool is_among(AttrNumber number, const AttrNumber *columns, int column_count) {
    for (int i = 0; i < column_count; ++i) {
        if (columns[i] == number) return true;
    }
    return false;
}

}  // namespace

/// False when a column that rows do not bring is not simply filled by a default or NULL.
bool DirectInsert::prepare_defaults(const AttrNumber *columns, int column_count) {
    const TupleDesc descriptor = RelationGetDescr(rel_);
    defaults_ = static_cast<Default *>(palloc(sizeof(Default) * Max(descriptor->natts, 1)));
    default_count_ = 0;
    for (int i = 0; i < descriptor->natts; ++i) {
        const FormData_pg_attribute *attribute = TupleDescAttr(descriptor, i);
        if (attribute->attisdropped) continue;
        if (attribute->attgenerated != '\0') return false;
        if (is_among(attribute->attnum, columns, column_count)) continue;
        auto *expression = reinterpret_cast<Expr *>(build_column_default(rel_, attribute->attnum));
        // A domain may refuse the NULL that stands for no default.
        if (expression == nullptr && get_typtype(attribute->atttypid) == TYPTYPE_DOMAIN) return false;
        if (expression == nullptr) continue;
        expression = expression_planner(expression);
        if (!is_blind(reinterpret_cast<Node *>(expression))) return false;
        defaults_[default_count_++] = {i, ExecInitExpr(expression, nullptr)};
    }
    return true;
}

bool DirectInsert::begin(Oid table, const AttrNumber *columns, int column_count) {
    rel_ = table_open(table, NoLock);
    context_ = AllocSetContextCreate(CurrentMemoryContext, "historian direct insert", ALLOCSET_DEFAULT_SIZES);
    MemoryContext before = MemoryContextSwitchTo(context_);
    const bool is_plain = is_plain_table(rel_) && !has_volatile_checks(RelationGetDescr(rel_)->constr);
    if (!is_plain || !may_insert(rel_) || !prepare_defaults(columns, column_count)) {
        MemoryContextSwitchTo(before);
        MemoryContextDelete(context_);
        table_close(rel_, NoLock);
        rel_ = nullptr;
        return false;
    }
    columns_ = columns;
    column_count_ = column_count;
    // Functions of defaults and constraints see what a statement of now would.
    PushActiveSnapshot(GetTransactionSnapshot());
    command_ = GetCurrentCommandId(true);
    estate_ = CreateExecutorState();
    result_ = makeNode(ResultRelInfo);
    InitResultRelInfo(result_, rel_, 0, nullptr, 0);
    ExecOpenIndices(result_, false);
    bulk_state_ = GetBulkInsertState();
    descriptor_ = CreateTupleDescCopyConstr(RelationGetDescr(rel_));
    slots_ = static_cast<TupleTableSlot **>(palloc(sizeof(TupleTableSlot *) * kSlotCountMax));
    slot_count_ = 0;
    MemoryContextSwitchTo(before);
    return true;
}

void DirectInsert::fill_slot(int slot_index, const Datum *const *values, const bool *const *nulls, int row) {
    if (slot_index == slot_count_) {
        MemoryContext before = MemoryContextSwitchTo(context_);
        slots_[slot_count_++] = MakeSingleTupleTableSlot(descriptor_, table_slot_callbacks(rel_));
        MemoryContextSwitchTo(before);
    }
    TupleTableSlot *slot = slots_[slot_index];
    ExecClearTuple(slot);
    memset(slot->tts_isnull, true, sizeof(bool) * slot->tts_tupleDescriptor->natts);
    for (int i = 0; i < column_count_; ++i) {
        const int column = columns_[i] - 1;
        slot->tts_values[column] = values[i][row];
        slot->tts_isnull[column] = nulls[i][row];
    }
    for (int i = 0; i < default_count_; ++i) {
        const int column = defaults_[i].column;
        slot->tts_values[column] =
            ExecEvalExpr(defaults_[i].expression, GetPerTupleExprContext(estate_), &slot->tts_isnull[column]);
    }
    ExecStoreVirtualTuple(slot);
    slot->tts_tableOid = RelationGetRelid(rel_);
    if (RelationGetDescr(rel_)->constr == nullptr) return;
    ExecConstraints(result_, slot, estate_);
    ResetPerTupleExprContext(estate_);
}

void DirectInsert::store_slots(int count) {
    // The access method may leave memory behind.
    MemoryContext before = MemoryContextSwitchTo(GetPerTupleMemoryContext(estate_));
    table_multi_insert(rel_, slots_, count, command_, 0, bulk_state_);
    MemoryContextSwitchTo(before);
    for (int i = 0; i < count; ++i) {
        if (result_->ri_NumIndices > 0) {
#if PG_VERSION_NUM >= 160000
            ExecInsertIndexTuples(result_, slots_[i], estate_, false, false, nullptr, NIL, false);
#else
            ExecInsertIndexTuples(result_, slots_[i], estate_, false, false, nullptr, NIL);
#endif
            ResetPerTupleExprContext(estate_);
        }
        ExecClearTuple(slots_[i]);
    }
    ResetPerTupleExprContext(estate_);
}

void DirectInsert::insert(const Datum *const *values, const bool *const *nulls, int row_count) {
    for (int done = 0; done < row_count;) {
        CHECK_FOR_INTERRUPTS();
        const int count = Min(kSlotCountMax, row_count - done);
        for (int i = 0; i < count; ++i) fill_slot(i, values, nulls, done + i);
        store_slots(count);
        done += count;
    }
}

void DirectInsert::finish() {
    table_finish_bulk_insert(rel_, 0);
    FreeBulkInsertState(bulk_state_);
    ExecCloseIndices(result_);
    for (int i = 0; i < slot_count_; ++i) ExecDropSingleTupleTableSlot(slots_[i]);
    FreeExecutorState(estate_);
    PopActiveSnapshot();
    MemoryContextDelete(context_);
    table_close(rel_, NoLock);
    rel_ = nullptr;
    CommandCounterIncrement();
}

}  // namespace historian::bgworker
