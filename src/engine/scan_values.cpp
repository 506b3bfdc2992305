// Ranges of values in a scan: which granules their statistics leave, and which rows of a granule, found on its numbers before any
// other column is decoded.
#include "engine/scan_search.h"
#include "engine/value_key.h"

namespace historian::engine {

using format::PhysicalKind;

namespace {

/// Reading the statistics of a segment takes about as long as decoding this share of its granules.
constexpr uint32 kGranulesPerStatistics = 16;

bool number_kind(PhysicalKind kind, NumberKind *number) {
    switch (kind) {
        case PhysicalKind::int1:
        case PhysicalKind::int2:
        case PhysicalKind::int4:
        case PhysicalKind::int8: *number = NumberKind::integer; return true;
        case PhysicalKind::float4: *number = NumberKind::float4; return true;
        case PhysicalKind::float8: *number = NumberKind::float8; return true;
        default: return false;
    }
}

uint32 count_granules(const uint64 *granules, uint32 granule_count) {
    uint32 count = 0;
    for (uint32 w = 0; w < format::granule_words(granule_count); w++) count += static_cast<uint32>(pg_popcount64(granules[w]));
    return count;
}

bool may_have_values(const format::GranuleStatistics &granule, const ValueFilter &filter) {
    if (!granule.is_known) return true;
    if (granule.value_count == 0) return false;
    return value_key(filter.kind, granule.min) <= filter.high && value_key(filter.kind, granule.max) >= filter.low;
}

// The rows in range, 64 at a time.
template <NumberKind kKind>
void narrow_rows(const format::ColumnVector &vector, const ValueFilter &filter, format::RowBits *rows) {
    for (uint32 first = 0; first < vector.row_count; first += 64) {
        uint64 inside = 0;
        const uint32 count = Min(64, vector.row_count - first);
        for (uint32 i = 0; i < count; i++) {
            const int64 key = value_key(kKind, vector.numbers[first + i]);
            inside |= static_cast<uint64>(key >= filter.low && key <= filter.high) << i;
        }
        for (uint32 i = 0; vector.nulls != nullptr && i < count; i++)
            inside &= ~(static_cast<uint64>(vector.nulls[first + i] != 0) << i);
        rows->words[first / 64] &= inside;
    }
}

void set_all(uint32 row_count, format::RowBits *rows) {
    memset(rows, 0, sizeof(*rows));
    for (uint32 row = 0; row < row_count; row++) rows->words[row / 64] |= UINT64CONST(1) << (row % 64);
}

}  // namespace

void narrow_by_statistics(TableScan *scan, const OpenSegment &segment, uint64 *granules) {
    const ScanFilter *filter = scan->filter;
    const uint32 count = segment.header.granule_count;
    for (uint32 v = 0; v < filter->value_count; v++) {
        const ValueFilter &value = filter->values[v];
        if (count_granules(granules, count) * kGranulesPerStatistics < count) return;
        if (value.column >= segment.header.column_count) continue;
        NumberKind kind;
        // Floats of a domain are stored as integers: their least and greatest are not those of floats.
        if (!number_kind(format::column_type(*segment.index, value.column).kind, &kind) || kind != value.kind) continue;
        const std::span<const format::GranuleStatistics> known = granule_statistics(scan->rel, segment, value.column);
        for (uint32 g = 0; g < known.size() && g < count; g++) {
            if (!may_have_values(known[g], value)) granules[g / 64] &= ~(UINT64CONST(1) << (g % 64));
        }
    }
}

void narrow_by_values(TableScan *scan, Granule *granule, FoundRows *found) {
    const ScanFilter *filter = scan->filter;
    if (filter == nullptr || filter->value_count == 0) return;
    for (uint32 v = 0; v < filter->value_count; v++) {
        const ValueFilter &value = filter->values[v];
        // A column that was added later has one value in all rows, which the query's condition itself is checked on.
        if (value.column >= granule->segment->header.column_count) continue;
        const format::ColumnVector &vector = granule_column(granule, static_cast<int>(value.column)).vector;
        NumberKind kind;
        if (vector.numbers == nullptr || !number_kind(vector.kind, &kind)) continue;
        if (!found->is_limited) {
            found->is_limited = true;
            set_all(granule->about.row_count, &found->possible);
            memset(&found->certain, 0, sizeof(found->certain));
        }
        switch (value.kind) {
            case NumberKind::integer: narrow_rows<NumberKind::integer>(vector, value, &found->possible); break;
            case NumberKind::float4: narrow_rows<NumberKind::float4>(vector, value, &found->possible); break;
            case NumberKind::float8: narrow_rows<NumberKind::float8>(vector, value, &found->possible); break;
        }
    }
    if (found->is_limited) keep_few_rows(granule, found);
}

}  // namespace historian::engine
