#include "sql_functions/points.h"

#include <algorithm>

extern "C" {
#include "nodes/primnodes.h"
#include "optimizer/tlist.h"
#include "utils/float.h"
#include "utils/typcache.h"
}

namespace historian {

bool is_earlier(const Point &a, const Point &b) {
    if (a.time != b.time) return a.time < b.time;
    return float8_cmp_internal(a.value, b.value) < 0;
}

void init_points(Points *points, MemoryContext context) { *points = {context, nullptr, 0, 0, true}; }

void add_point(Points *points, const Point &point) {
    if (points->count == points->room) {
        const Size room = Max(points->room * 2, 16);
        const Size byte_count = room * sizeof(Point);
        points->points = static_cast<Point *>(points->points == nullptr ? MemoryContextAllocHuge(points->context, byte_count)
                                                                        : repalloc_huge(points->points, byte_count));
        points->room = room;
    }
    if (points->count > 0 && is_earlier(point, points->points[points->count - 1])) points->is_sorted = false;
    points->points[points->count++] = point;
}

void sort_points(Points *points) {
    // An error leaves the points in disorder, and ends the query that they are of.
    const auto is_earlier_unless_cancelled = [](const Point &a, const Point &b) {
        CHECK_FOR_INTERRUPTS();
        return is_earlier(a, b);
    };
    if (!points->is_sorted) std::sort(points->points, points->points + points->count, is_earlier_unless_cancelled);
    points->is_sorted = true;
}

bool is_ordered_by(FunctionCallInfo fcinfo, int argument) {
    const Aggref *call = AggGetAggref(fcinfo);  // none of a window function
    if (call == nullptr || call->aggorder == NIL || list_length(call->args) <= argument) return false;
    const SortGroupClause *first = static_cast<const SortGroupClause *>(linitial(call->aggorder));
    const TargetEntry *entry = static_cast<const TargetEntry *>(list_nth(call->args, argument));
    if (entry->ressortgroupref != first->tleSortGroupRef) return false;
    const TypeCacheEntry *type = lookup_type_cache(TIMESTAMPTZOID, TYPECACHE_LT_OPR);
    return first->sortop == type->lt_opr;
}

void check_finite_time(TimestampTz time, const char *aggregate) {
    if (!TIMESTAMP_NOT_FINITE(time)) return;
    ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("the times of %s must be finite", aggregate));
}

}  // namespace historian
