#include "planner/row_codes.h"

namespace historian::planner {

namespace {

constexpr uint32 kPlaceCount = 2 * format::kGranuleRowsMax;

void next_round(RowCodes *codes) {
    if (++codes->round == 0) {
        memset(codes->places, 0, sizeof(codes->places));
        codes->round = 1;
    }
    codes->count = 0;
}

// The code of a value in this round. At most as many as rows are asked for, so that half of the places are free.
uint32 code_of(RowCodes *codes, int64 value) {
    uint32 place = static_cast<uint32>((static_cast<uint64>(value) * UINT64CONST(0x9E3779B97F4A7C15)) >> 32) % kPlaceCount;
    for (;; place = (place + 1) % kPlaceCount) {
        RowCodes::Place *at = &codes->places[place];
        if (at->round == codes->round && at->value == value) return at->code;
        if (at->round == codes->round) continue;
        *at = {value, codes->round, codes->count};
        return codes->count++;
    }
}

// Of each row a value that is small: of numbers their code, of texts their entry.
void code_column(RowCodes *codes, engine::Granule *granule, int column, uint32 first, uint32 end, uint32 *column_codes) {
    const Form_pg_attribute attribute = TupleDescAttr(granule->desc, column);
    if (attribute->attbyval) {
        const engine::NumberRows rows = engine::number_rows(granule, column, first, end);
        next_round(codes);
        for (uint32 row = 0; row < rows.row_count; row++) {
            const bool is_null = rows.nulls != nullptr && rows.nulls[row] != 0;
            column_codes[row] = is_null ? PG_UINT32_MAX : code_of(codes, rows.numbers[row]);
        }
        return;
    }
    const engine::GranuleColumn &loaded = engine::granule_column(granule, column);
    const format::ColumnVector &vector = loaded.vector;
    const bool is_one = loaded.is_missing || vector.entry_of_row == nullptr;
    for (uint32 row = first; row < end; row++) {
        const bool is_null = !is_one && vector.nulls != nullptr && vector.nulls[row] != 0;
        column_codes[row - first] = is_null ? PG_UINT32_MAX : is_one ? 0 : vector.entry_of_row[row];
    }
}

}  // namespace

void begin_codes(RowCodes *codes, uint32 row_count) {
    memset(codes->codes, 0, sizeof(uint32) * row_count);
    codes->count = 1;
}

void add_column_to_codes(RowCodes *codes, engine::Granule *granule, int column, uint32 first, uint32 end) {
    uint32 *column_codes = static_cast<uint32 *>(palloc(sizeof(uint32) * format::kGranuleRowsMax));
    code_column(codes, granule, column, first, end, column_codes);
    next_round(codes);
    for (uint32 row = 0; row < end - first; row++)
        codes->codes[row] = code_of(codes, static_cast<int64>(uint64{codes->codes[row]} << 32 | column_codes[row]));
    pfree(column_codes);
}

void sort_by_codes(RowCodes *codes, uint32 row_count, const uint8 *keep) {
    memset(codes->starts, 0, sizeof(uint32) * (codes->count + 1));
    for (uint32 row = 0; row < row_count; row++) codes->starts[codes->codes[row] + 1] += keep == nullptr ? 1 : keep[row];
    for (uint32 code = 0; code < codes->count; code++) codes->starts[code + 1] += codes->starts[code];
    for (uint32 row = 0; row < row_count; row++) {
        if (keep == nullptr || keep[row] != 0) codes->order[codes->starts[codes->codes[row]]++] = static_cast<uint16>(row);
    }
    // Each start has moved to its end, which is the next one's start.
    memmove(codes->starts + 1, codes->starts, sizeof(uint32) * codes->count);
    codes->starts[0] = 0;
}

}  // namespace historian::planner
