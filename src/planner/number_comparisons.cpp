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

// How a segment stores it.
PhysicalKind kind_of(Oid type) {
    switch (type) {
        case INT2OID: return PhysicalKind::int2;
        case INT4OID:
        case DATEOID: return PhysicalKind::int4;
        case FLOAT4OID: return PhysicalKind::float4;
        case FLOAT8OID: return PhysicalKind::float8;
        default: return PhysicalKind::int8;
    }
}

bool is_float(PhysicalKind kind) { return kind == PhysicalKind::float4 || kind == PhysicalKind::float8; }

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

bool is_number_comparison(Node *clause, Index varno, AttrNumber tag, NumberComparison *comparison) {
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
    if (column == nullptr || column->varattno == tag || !OidIsValid(op) || !is_value(value)) return false;
    const TypeCacheEntry *about = lookup_type_cache(column->vartype, TYPECACHE_BTREE_OPFAMILY);
    if (!OidIsValid(about->btree_opf) || !op_in_opfamily(op, about->btree_opf)) return false;
    Oid left_type;
    Oid right_type;
    get_op_opfamily_properties(op, about->btree_opf, false, &comparison->strategy, &left_type, &right_type);
    if (left_type != column->vartype || !types_compare(left_type, right_type)) return false;
    comparison->column = column->varattno;
    comparison->kind = kind_of(left_type);
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

template <typename Matches>
void keep_where(uint32 count, uint8 *keep, Matches matches) {
    for (uint32 i = 0; i < count; i++) keep[i] &= static_cast<uint8>(matches(i));
}

template <typename ValueOf>
void keep_integers(int strategy, int64 bound, ValueOf value_of, uint32 count, uint8 *keep) {
    switch (strategy) {
        case BTLessStrategyNumber: return keep_where(count, keep, [=](uint32 i) { return value_of(i) < bound; });
        case BTLessEqualStrategyNumber: return keep_where(count, keep, [=](uint32 i) { return value_of(i) <= bound; });
        case BTEqualStrategyNumber: return keep_where(count, keep, [=](uint32 i) { return value_of(i) == bound; });
        case BTGreaterEqualStrategyNumber: return keep_where(count, keep, [=](uint32 i) { return value_of(i) >= bound; });
        default: return keep_where(count, keep, [=](uint32 i) { return value_of(i) > bound; });
    }
}

// PostgreSQL's order of floats: NaN is equal to itself and greater than all others. Each comparison is one of C's, which say no
// of NaN, or its opposite, so that the loop has no branch.
template <typename ValueOf>
void keep_floats(int strategy, double bound, ValueOf value_of, uint32 count, uint8 *keep) {
    if (std::isnan(bound)) {
        const auto is_nan = [=](uint32 i) { return value_of(i) != value_of(i); };
        switch (strategy) {
            case BTLessStrategyNumber: return keep_where(count, keep, [=](uint32 i) { return !is_nan(i); });
            case BTLessEqualStrategyNumber: return;
            case BTGreaterStrategyNumber: return keep_where(count, keep, [](uint32) { return false; });
            default: return keep_where(count, keep, is_nan);
        }
    }
    switch (strategy) {
        case BTLessStrategyNumber: return keep_where(count, keep, [=](uint32 i) { return value_of(i) < bound; });
        case BTLessEqualStrategyNumber: return keep_where(count, keep, [=](uint32 i) { return value_of(i) <= bound; });
        case BTEqualStrategyNumber: return keep_where(count, keep, [=](uint32 i) { return value_of(i) == bound; });
        case BTGreaterEqualStrategyNumber: return keep_where(count, keep, [=](uint32 i) { return !(value_of(i) < bound); });
        default: return keep_where(count, keep, [=](uint32 i) { return !(value_of(i) <= bound); });
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
    if (!is_float(comparison.kind)) {
        keep_integers(
            comparison.strategy, number, [numbers](uint32 i) { return numbers[i]; }, count, keep);
    } else if (comparison.kind == PhysicalKind::float8) {
        const auto value_of = [numbers](uint32 i) { return std::bit_cast<double>(numbers[i]); };
        keep_floats(comparison.strategy, bound, value_of, count, keep);
    } else {
        const auto value_of = [numbers](uint32 i) {
            return static_cast<double>(std::bit_cast<float>(static_cast<uint32>(numbers[i])));
        };
        keep_floats(comparison.strategy, bound, value_of, count, keep);
    }
}

namespace {

// -1, 0, 1: how a value of the column compares with the bound.
int compare(PhysicalKind kind, int64 value, int64 bound) {
    if (!is_float(kind)) return value < bound ? -1 : value > bound;
    const double a = kind == PhysicalKind::float8 ? std::bit_cast<double>(value)
                                                  : static_cast<double>(std::bit_cast<float>(static_cast<uint32>(value)));
    const double b = std::bit_cast<double>(bound);
    if (std::isnan(a) || std::isnan(b)) return std::isnan(a) - std::isnan(b);
    return a < b ? -1 : a > b;
}

}  // namespace

Verdict judge_extremes(const NumberComparison &comparison, int64 number, int64 least, int64 greatest, bool has_nulls) {
    const int low = compare(comparison.kind, least, number);
    const int high = compare(comparison.kind, greatest, number);
    bool none;
    bool all;
    switch (comparison.strategy) {
        case BTLessStrategyNumber:
            none = low >= 0;
            all = high < 0;
            break;
        case BTLessEqualStrategyNumber:
            none = low > 0;
            all = high <= 0;
            break;
        case BTEqualStrategyNumber:
            none = low > 0 || high < 0;
            all = low == 0 && high == 0;
            break;
        case BTGreaterEqualStrategyNumber:
            none = high < 0;
            all = low >= 0;
            break;
        default:
            none = high <= 0;
            all = low > 0;
            break;
    }
    return none ? Verdict::none : all && !has_nulls ? Verdict::all : Verdict::some;
}

}  // namespace historian::planner
