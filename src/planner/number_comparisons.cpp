#include "planner/number_comparisons.h"

#include <bit>
#include <cmath>

extern "C" {
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "utils/typcache.h"
}

namespace historian::planner {

using format::PhysicalKind;

namespace {

bool is_integer(Oid type) { return type == INT2OID || type == INT4OID || type == INT8OID; }
bool is_float(Oid type) { return type == FLOAT4OID || type == FLOAT8OID; }
bool is_time(Oid type) { return type == DATEOID || type == TIMESTAMPOID || type == TIMESTAMPTZOID || type == TIMEOID; }

bool types_compare(Oid column_type, Oid value_type) {
    if (is_integer(column_type)) return is_integer(value_type);
    if (is_float(column_type)) return is_float(value_type);
    return is_time(column_type) && column_type == value_type;
}

const Var *column_of(Node *node, Index varno) {
    if (node == nullptr || !IsA(node, Var)) return nullptr;
    const Var *var = reinterpret_cast<const Var *>(node);
    return var->varno == static_cast<int>(varno) && var->varattno > 0 && var->varlevelsup == 0 ? var : nullptr;
}

bool is_value(Node *node) {
    return !contain_var_clause(node) && !contain_volatile_functions(node) && !contain_subplans(node) && !contain_agg_clause(node);
}

}  // namespace

bool is_number_comparison(Node *clause, Index varno, NumberComparison *comparison) {
    if (!IsA(clause, OpExpr) || list_length(reinterpret_cast<OpExpr *>(clause)->args) != 2) return false;
    const OpExpr *expr = reinterpret_cast<const OpExpr *>(clause);
    Node *left = static_cast<Node *>(linitial(expr->args));
    Node *right = static_cast<Node *>(lsecond(expr->args));
    Oid op = expr->opno;
    const Var *column = column_of(left, varno);
    Node *value = right;
    if (column == nullptr) {
        column = column_of(right, varno);
        value = left;
        op = get_commutator(op);
    }
    if (column == nullptr || !OidIsValid(op) || !is_value(value)) return false;
    const TypeCacheEntry *about = lookup_type_cache(column->vartype, TYPECACHE_BTREE_OPFAMILY);
    if (!OidIsValid(about->btree_opf) || !op_in_opfamily(op, about->btree_opf)) return false;
    Oid left_type;
    Oid right_type;
    get_op_opfamily_properties(op, about->btree_opf, false, &comparison->strategy, &left_type, &right_type);
    if (left_type != column->vartype || !types_compare(left_type, right_type)) return false;
    comparison->column = column->varattno;
    comparison->is_float = is_float(left_type);
    comparison->value = reinterpret_cast<Expr *>(value);
    comparison->value_type = right_type;
    return true;
}

int64 compared_number(const NumberComparison &comparison, Datum value) {
    switch (comparison.value_type) {
        case FLOAT4OID: return std::bit_cast<int64>(static_cast<double>(DatumGetFloat4(value)));
        case INT2OID: return DatumGetInt16(value);
        case INT4OID:
        case DATEOID: return DatumGetInt32(value);
        default: return DatumGetInt64(value);
    }
}

namespace {

// PostgreSQL's order of floats: NaN is equal to itself and greater than all others.
struct FloatOrder {
    static bool less(double a, double b) { return a < b || (std::isnan(b) && !std::isnan(a)); }
    static bool equal(double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); }
};
struct IntegerOrder {
    static bool less(int64 a, int64 b) { return a < b; }
    static bool equal(int64 a, int64 b) { return a == b; }
};

template <typename Order, typename Value, typename ValueOf>
void keep_by(int strategy, Value bound, ValueOf value_of, uint32 count, uint8 *keep) {
    switch (strategy) {
        case BTLessStrategyNumber:
            for (uint32 i = 0; i < count; i++) keep[i] &= Order::less(value_of(i), bound);
            break;
        case BTLessEqualStrategyNumber:
            for (uint32 i = 0; i < count; i++) keep[i] &= !Order::less(bound, value_of(i));
            break;
        case BTEqualStrategyNumber:
            for (uint32 i = 0; i < count; i++) keep[i] &= Order::equal(value_of(i), bound);
            break;
        case BTGreaterEqualStrategyNumber:
            for (uint32 i = 0; i < count; i++) keep[i] &= !Order::less(value_of(i), bound);
            break;
        default:
            for (uint32 i = 0; i < count; i++) keep[i] &= Order::less(bound, value_of(i));
            break;
    }
}

}  // namespace

void keep_matching(const NumberComparison &comparison, int64 number, const engine::NumberRows &rows, uint8 *keep) {
    const int64 *numbers = rows.numbers;
    const uint32 count = rows.row_count;
    if (rows.nulls != nullptr) {
        for (uint32 i = 0; i < count; i++) keep[i] &= rows.nulls[i] ^ 1;
    }
    const double bound = std::bit_cast<double>(number);
    if (!comparison.is_float) {
        keep_by<IntegerOrder>(
            comparison.strategy, number, [numbers](uint32 i) { return numbers[i]; }, count, keep);
    } else if (rows.kind == PhysicalKind::float8) {
        const auto value_of = [numbers](uint32 i) { return std::bit_cast<double>(numbers[i]); };
        keep_by<FloatOrder>(comparison.strategy, bound, value_of, count, keep);
    } else {
        const auto value_of = [numbers](uint32 i) {
            return static_cast<double>(std::bit_cast<float>(static_cast<uint32>(numbers[i])));
        };
        keep_by<FloatOrder>(comparison.strategy, bound, value_of, count, keep);
    }
}

}  // namespace historian::planner
