#include "planner/rounded_time.h"

#include "planner/our_functions.h"

#include <string_view>

extern "C" {
#include "utils/fmgroids.h"
}

namespace historian::planner {

namespace {

struct Unit {
    std::string_view name;
    int64 longest;  // microseconds
    bool is_of_days;
};

constexpr int64 kDay = USECS_PER_DAY;

// Longer units are rare, and count from other years than zero.
constexpr Unit kUnits[] = {
    {"microseconds", 1, false},       {"milliseconds", 1000, false},
    {"second", USECS_PER_SEC, false}, {"minute", USECS_PER_MINUTE, false},
    {"hour", USECS_PER_HOUR, false},  {"day", kDay, true},
    {"week", 7 * kDay, true},         {"month", 31 * kDay, true},
    {"quarter", 92 * kDay, true},     {"year", 366 * kDay, true},
};

const Unit *find_unit(const Node *node) {
    if (!IsA(node, Const)) return nullptr;
    const Const *constant = reinterpret_cast<const Const *>(node);
    if (constant->constisnull || constant->consttype != TEXTOID) return nullptr;
    const char *name = TextDatumGetCString(constant->constvalue);
    for (const Unit &unit : kUnits) {
        if (pg_strcasecmp(name, unit.name.data()) == 0) return &unit;
    }
    return nullptr;
}

// The length of an interval without months; 0: not known.
int64 stride_of(const Node *node) {
    if (!IsA(node, Const)) return 0;
    const Const *constant = reinterpret_cast<const Const *>(node);
    if (constant->constisnull || constant->consttype != INTERVALOID) return 0;
    const Interval *interval = DatumGetIntervalP(constant->constvalue);
    constexpr int32 kDaysMax = 1'000'000;
    if (interval->month != 0 || interval->day < 0 || interval->day > kDaysMax || interval->time < 0) return 0;
    return interval->time > kDay * kDaysMax ? 0 : interval->day * kDay + interval->time;
}

// time_bucket() of a width without months, but for the form with a time zone.
bool is_time_bucket(const FuncExpr *call, RoundedTime *rounded) {
    const int count = list_length(call->args);
    if (count < 2 || count > 3 || !is_our_function(call->funcid, "time_bucket")) return false;
    if (count == 3 && exprType(static_cast<Node *>(lthird(call->args))) == TEXTOID) return false;
    const int64 stride = stride_of(static_cast<Node *>(linitial(call->args)));
    if (stride == 0) return false;
    *rounded = {static_cast<Node *>(lsecond(call->args)), 0, stride};
    return true;
}

}  // namespace

bool is_rounded_time(Node *node, RoundedTime *rounded) {
    if (node == nullptr || !IsA(node, FuncExpr)) return false;
    const FuncExpr *call = reinterpret_cast<const FuncExpr *>(node);
    Node *first = call->args == NIL ? nullptr : static_cast<Node *>(linitial(call->args));
    switch (call->funcid) {
        case F_DATE_TIMESTAMPTZ: *rounded = {first, kDay, 2 * kDay}; return true;
        case F_DATE_TIMESTAMP: *rounded = {first, 0, kDay}; return true;
        case F_DATE_TRUNC_TEXT_TIMESTAMP:
        case F_DATE_TRUNC_TEXT_TIMESTAMPTZ:
        case F_DATE_TRUNC_TEXT_TIMESTAMPTZ_TEXT: {
            const Unit *unit = find_unit(first);
            if (unit == nullptr) return false;
            const int64 slack = unit->is_of_days && call->funcid != F_DATE_TRUNC_TEXT_TIMESTAMP ? kDay : 0;
            *rounded = {static_cast<Node *>(lsecond(call->args)), slack, unit->longest + slack};
            return true;
        }
        case F_DATE_BIN_INTERVAL_TIMESTAMP_TIMESTAMP:
        case F_DATE_BIN_INTERVAL_TIMESTAMPTZ_TIMESTAMPTZ: {
            const int64 stride = stride_of(first);
            if (stride == 0) return false;
            *rounded = {static_cast<Node *>(lsecond(call->args)), stride, stride};
            return true;
        }
        default: return is_time_bucket(call, rounded);
    }
}

}  // namespace historian::planner
