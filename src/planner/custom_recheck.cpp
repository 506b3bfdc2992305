// The qual of one execution. PostgreSQL looks constants up in a hash table for `tag = ANY (constant array)`, but compares one by
// one when the array is a parameter: 10 us a row for 1,000 tags, measured, a hundred times what reading the row costs. When a
// scan starts, its parameters are constants: the qual is made again with them.
#include "planner/historian_scan.h"

extern "C" {
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "utils/array.h"
}

namespace historian::planner {

namespace {

/// PostgreSQL's own MIN_ARRAY_SIZE_FOR_HASHED_SAOP.
constexpr int kHashedElementsMin = 9;

/// PostgreSQL keeps each hash table, of about 40 bytes an element, until the query ends: a nested loop that brings new arrays for
/// ever must end with those.
constexpr uint64 kHashedElementsMax = 1 << 20;

// The operator's hash function when its array can be looked up by hash; InvalidOid otherwise.
Oid hash_function(const ScalarArrayOpExpr *clause) {
    Oid left;
    Oid right;
    return get_op_hash_functions(clause->opno, &left, &right) && left == right ? left : InvalidOid;
}

bool is_same_array(const ArrayType *a, const ArrayType *b) {
    if (a == nullptr || b == nullptr) return a == b;
    return VARSIZE(a) == VARSIZE(b) && memcmp(a, b, VARSIZE(a)) == 0;
}

// The arrays that only execution knows and that are long enough, one a condition or nullptr; in the values' own memory.
ArrayType **arrays_to_hash(const ScanNode *node) {
    ArrayType **arrays = static_cast<ArrayType **>(palloc0(sizeof(ArrayType *) * node->conditions.count));
    for (uint32 i = 0; i < node->conditions.count; i++) {
        const Condition &condition = node->conditions.items[i];
        if (condition.comparison != Comparison::tag_any || IsA(condition.value, Const) || node->values[i].is_null) continue;
        ArrayType *array = DatumGetArrayTypeP(node->values[i].value);
        if (ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array)) >= kHashedElementsMin) arrays[i] = array;
    }
    return arrays;
}

// A copy of the clause with a constant for its array.
Node *with_constant_array(const ScalarArrayOpExpr *clause, Oid hash, ArrayType *array) {
    ScalarArrayOpExpr *hashed = static_cast<ScalarArrayOpExpr *>(copyObjectImpl(clause));
    const Node *value = static_cast<const Node *>(lsecond(clause->args));
    hashed->hashfuncid = hash;
    lsecond(hashed->args) = makeConst(exprType(value), -1, exprCollation(value), -1, PointerGetDatum(array), false, false);
    return reinterpret_cast<Node *>(hashed);
}

// The clauses of the qual, those with arrays to hash made again; NIL when there are none. `hashed_elements` grows.
List *specialised_clauses(ScanNode *node) {
    const CustomScan *plan = reinterpret_cast<const CustomScan *>(node->base.ss.ps.plan);
    List *clauses = list_copy(plan->scan.plan.qual);
    bool changed = false;
    uint32 next = 0;  // condition, counted as when execution began
    ListCell *pushed;
    foreach (pushed, plan->custom_exprs) {
        Node *clause = static_cast<Node *>(lfirst(pushed));
        ConditionList conditions = {};
        add_clause(nullptr, node->keys, plan->scan.scanrelid, clause, &conditions);
        ArrayType *array = conditions.count == 1 ? node->qual_arrays[next] : nullptr;
        next += conditions.count;
        if (array == nullptr || !IsA(clause, ScalarArrayOpExpr)) continue;
        const Oid hash = hash_function(reinterpret_cast<const ScalarArrayOpExpr *>(clause));
        if (!OidIsValid(hash)) continue;
        ListCell *cell;
        foreach (cell, clauses) {
            if (!equal(lfirst(cell), clause)) continue;
            lfirst(cell) = with_constant_array(reinterpret_cast<const ScalarArrayOpExpr *>(clause), hash, array);
            node->hashed_elements += ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
            changed = true;
        }
    }
    return changed ? clauses : NIL;
}

// Compiling to machine code takes longer than it could save, each time that a nested loop brings another array.
ExprState *compile_qual(ScanState *scan, List *clauses) {
    EState *estate = scan->ps.state;
    const int jit_flags = estate->es_jit_flags;
    estate->es_jit_flags = 0;
    ExprState *qual = ExecInitQual(clauses, &scan->ps);
    estate->es_jit_flags = jit_flags;
    return qual;
}

}  // namespace

void specialise_qual(ScanNode *node) {
    ScanState *scan = &node->base.ss;
    MemoryContext old = MemoryContextSwitchTo(scan->ps.ps_ExprContext->ecxt_per_tuple_memory);
    ArrayType **arrays = arrays_to_hash(node);
    bool is_same = true;
    for (uint32 i = 0; i < node->conditions.count; i++) is_same = is_same && is_same_array(arrays[i], node->qual_arrays[i]);
    if (!is_same) {
        scan->ps.qual = node->plain_qual;
        MemoryContextReset(node->qual_context);
        MemoryContextSwitchTo(node->qual_context);
        for (uint32 i = 0; i < node->conditions.count; i++) {
            node->qual_arrays[i] = arrays[i] == nullptr ? nullptr : DatumGetArrayTypePCopy(PointerGetDatum(arrays[i]));
        }
        List *clauses = node->hashed_elements < kHashedElementsMax ? specialised_clauses(node) : NIL;
        if (clauses != NIL) scan->ps.qual = compile_qual(scan, clauses);
    }
    MemoryContextSwitchTo(old);
}

bool may_specialise_qual(const ScanNode *node) {
    const Plan *plan = node->base.ss.ps.plan;
    for (uint32 i = 0; i < node->conditions.count; i++) {
        const Condition &condition = node->conditions.items[i];
        if (condition.comparison == Comparison::tag_any && !IsA(condition.value, Const)) {
            // Subplans would be registered with the node a second time.
            return !contain_subplans(reinterpret_cast<Node *>(plan->qual));
        }
    }
    return false;
}

}  // namespace historian::planner
