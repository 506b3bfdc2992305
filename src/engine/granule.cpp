#include "engine/granule.h"

#include "engine/report.h"
#include "engine/row.h"

#include <algorithm>

namespace historian::engine {

using format::PhysicalKind;

// One granule after the other is decoded into the same memory. An allocation set would give each array of more than 8 kB back
// to the system at every reset, and get it again with a page fault for every 4 kB, which took longer than decoding. What is not
// touched of the kept block takes no memory.
constexpr Size kKeptBytes = Size{1} << 20;
constexpr Size kBlockBytesMax = Size{8} << 20;

// And one query after the other: a query of a millisecond would take a tenth of it to get the memory, page by page, and give it
// back. A scan uses two granules mostly.
constexpr int kSpareContextsMax = 2;
static MemoryContext spare_contexts[kSpareContextsMax];
static int spare_count = 0;

namespace {

// A loan of such memory, in the context that borrows: PostgreSQL calls back when that goes.
struct MemoryLoan {
    MemoryContextCallback callback;
    MemoryContext context;
};

void end_loan(void *argument) {
    MemoryContext context = static_cast<MemoryLoan *>(argument)->context;
    if (spare_count == kSpareContextsMax) {
        MemoryContextDelete(context);
        return;
    }
    MemoryContextReset(context);
    spare_contexts[spare_count++] = context;
}

MemoryContext borrow_memory(MemoryContext borrower) {
    MemoryLoan *loan = static_cast<MemoryLoan *>(MemoryContextAllocZero(borrower, sizeof(MemoryLoan)));
    loan->context = spare_count > 0
                        ? spare_contexts[--spare_count]
                        : GenerationContextCreate(TopMemoryContext, "historian granule", kKeptBytes, kKeptBytes, kBlockBytesMax);
    loan->callback.func = end_loan;
    loan->callback.arg = loan;
    MemoryContextRegisterResetCallback(borrower, &loan->callback);
    return loan->context;
}

}  // namespace

Granule *make_granule(Relation rel, TupleDesc desc, const KeyColumns &keys, MemoryContext parent, GranuleMemory memory) {
    Granule *granule = static_cast<Granule *>(MemoryContextAllocZero(parent, sizeof(Granule)));
    granule->rel = rel;
    granule->desc = desc;
    granule->keys = keys;
    granule->parent = parent;
    granule->context = memory == GranuleMemory::kept ? borrow_memory(parent)
                                                     : AllocSetContextCreate(parent, "historian granule", ALLOCSET_DEFAULT_SIZES);
    granule->columns = static_cast<GranuleColumn *>(MemoryContextAllocZero(parent, sizeof(GranuleColumn) * Max(desc->natts, 1)));
    return granule;
}

void reshape_granule(Granule *granule, TupleDesc desc) {
    MemoryContextReset(granule->context);
    granule->desc = desc;
    granule->arena = arena_in(granule->context);
    granule->few = nullptr;  // may be in that memory
    granule->columns =
        static_cast<GranuleColumn *>(MemoryContextAllocZero(granule->parent, sizeof(GranuleColumn) * Max(desc->natts, 1)));
}

void open_granule(Granule *granule, const OpenSegment *segment, uint32 number) {
    MemoryContextReset(granule->context);
    for (int i = 0; i < granule->desc->natts; i++) granule->columns[i] = GranuleColumn{};
    granule->segment = segment;
    granule->number = number;
    granule->arena = arena_in(granule->context);
    granule->few = nullptr;
    granule->few_count = 0;
    granule->about = format::granule_at(*segment->index, number);
}

namespace {

// Segments remember physical kinds, not types (rule R19); a kind that does not fit the column is damage.
bool kind_fits(const Granule *granule, int column, format::ColumnType type) {
    const Form_pg_attribute attribute = TupleDescAttr(granule->desc, column);
    if (attribute->attnum == granule->keys.tag) return type.kind == PhysicalKind::bytes;
    if (!attribute->attbyval) {
        return attribute->attlen > 0 ? type.kind == PhysicalKind::fixed && type.fixed_bytes == attribute->attlen
                                     : type.kind == PhysicalKind::bytes;
    }
    switch (attribute->attlen) {
        case 8: return type.kind == PhysicalKind::int8 || type.kind == PhysicalKind::float8;
        case 4: return type.kind == PhysicalKind::int4 || type.kind == PhysicalKind::float4;
        case 2: return type.kind == PhysicalKind::int2;
        default: return type.kind == PhysicalKind::int1;
    }
}

enum class Rows : uint8 { few, all };

void load_column(Granule *granule, int column, Rows rows) {
    GranuleColumn *loaded = &granule->columns[column];
    const Form_pg_attribute attribute = TupleDescAttr(granule->desc, column);
    const OpenSegment *segment = granule->segment;
    loaded->loaded = true;
    if (attribute->attisdropped) {
        loaded->is_missing = loaded->missing_is_null = true;
        return;
    }
    if (column >= static_cast<int>(segment->header.column_count)) {  // added after the segment was made
        loaded->is_missing = true;
        loaded->missing_value = getmissingattr(granule->desc, column + 1, &loaded->missing_is_null);
        return;
    }
    const format::ColumnType type = format::column_type(*segment->index, column);
    if (!kind_fits(granule, column, type)) {
        report_damage(granule->rel, segment->entry.extents[0].first_block,
                      "A segment's column has another physical kind than the table's.");
    }
    loaded->is_partial = rows == Rows::few && granule->few != nullptr && granule->few_count > 0;
    format::OpenChunk *chunk = granule_chunk(granule, column);
    const std::span<const uint32> few(granule->few, granule->few_count);
    const Status status =
        loaded->is_partial
            ? format::decode_chunk_rows(*segment->index, granule->number, column, *chunk, few, granule->arena, &loaded->vector)
            : format::decode_chunk(*segment->index, granule->number, column, *chunk, granule->arena, &loaded->vector);
    check_status(status, granule->rel, "read a segment");
    if (!is_number(type.kind) && loaded->vector.entry_count > 0) {
        const uint32 entries = loaded->vector.entry_count;
        loaded->entry_datums = static_cast<Datum *>(MemoryContextAlloc(granule->context, sizeof(Datum) * entries));
        loaded->entry_made = static_cast<bool *>(MemoryContextAllocZero(granule->context, sizeof(bool) * entries));
    }
}

Datum make_entry_datum(Granule *granule, int column, uint32 entry) {
    GranuleColumn *loaded = &granule->columns[column];
    const format::ColumnVector &vector = loaded->vector;
    const Form_pg_attribute attribute = TupleDescAttr(granule->desc, column);
    const uint64 first = vector.entry_offsets[entry];
    MemoryContext old = MemoryContextSwitchTo(granule->context);
    loaded->entry_datums[entry] = datum_of_bytes(attribute, attribute->attnum == granule->keys.tag, vector.entry_data + first,
                                                 vector.entry_offsets[entry + 1] - first);
    MemoryContextSwitchTo(old);
    loaded->entry_made[entry] = true;
    return loaded->entry_datums[entry];
}

}  // namespace

const GranuleColumn &granule_column(Granule *granule, int column) {
    GranuleColumn *loaded = &granule->columns[column];
    if (!loaded->loaded || loaded->is_partial) load_column(granule, column, Rows::all);
    return *loaded;
}

namespace {

// A column that is one value in all rows of the segment, row by row.
void spread_missing(Granule *granule, int column) {
    GranuleColumn *loaded = &granule->columns[column];
    const uint32 count = granule->about.row_count;
    int64 *numbers = static_cast<int64 *>(MemoryContextAlloc(granule->context, sizeof(int64) * count));
    uint8 *nulls = static_cast<uint8 *>(MemoryContextAlloc(granule->context, count));
    const bool is_null = !loaded->is_missing || loaded->missing_is_null;
    std::fill_n(numbers, count, is_null ? 0 : static_cast<int64>(loaded->missing_value));
    memset(nulls, is_null ? 1 : 0, count);
    loaded->vector.row_count = count;
    loaded->vector.numbers = numbers;
    loaded->vector.nulls = nulls;
}

PhysicalKind kind_of(const FormData_pg_attribute *attribute) {
    if (attribute->atttypid == FLOAT8OID) return PhysicalKind::float8;
    if (attribute->atttypid == FLOAT4OID) return PhysicalKind::float4;
    return attribute->attlen == 8   ? PhysicalKind::int8
           : attribute->attlen == 4 ? PhysicalKind::int4
           : attribute->attlen == 2 ? PhysicalKind::int2
                                    : PhysicalKind::int1;
}

}  // namespace

NumberRows number_rows(Granule *granule, int column, uint32 first, uint32 end) {
    GranuleColumn *loaded = &granule->columns[column];
    if (!loaded->loaded || loaded->is_partial) load_column(granule, column, Rows::all);
    if (loaded->vector.numbers == nullptr) spread_missing(granule, column);
    const format::ColumnVector &vector = loaded->vector;
    const uint8 *nulls = vector.nulls != nullptr ? vector.nulls + first : nullptr;
    return {kind_of(TupleDescAttr(granule->desc, column)), vector.numbers + first, nulls, end - first};
}

void read_row_span(Granule *granule, uint32 first, uint32 end) {
    auto *rows = static_cast<uint32 *>(MemoryContextAlloc(granule->context, sizeof(uint32) * (end - first)));
    for (uint32 row = first; row < end; row++) rows[row - first] = row;
    read_few_rows(granule, rows, end - first);
}

format::OpenChunk *granule_chunk(Granule *granule, int column) {
    GranuleColumn *loaded = &granule->columns[column];
    if (!loaded->chunk_is_read) {
        loaded->chunk = read_chunk(granule->rel, *granule->segment, granule->number, column, granule->context);
        loaded->chunk_is_read = true;
    }
    return &loaded->chunk;
}

void granule_value(Granule *granule, int column, uint32 row, Datum *value, bool *is_null) {
    GranuleColumn *loaded = &granule->columns[column];
    if (!loaded->loaded) load_column(granule, column, Rows::few);
    if (loaded->is_missing) {
        *value = loaded->missing_value;
        *is_null = loaded->missing_is_null;
        return;
    }
    const format::ColumnVector &vector = loaded->vector;
    *is_null = vector.kind == PhysicalKind::absent || (vector.nulls != nullptr && vector.nulls[row] != 0);
    if (*is_null) {
        *value = 0;
    } else if (vector.numbers != nullptr) {
        *value = static_cast<Datum>(vector.numbers[row - vector.row_first]);
    } else {
        const uint32 entry = vector.entry_of_row[row - vector.row_first];
        *value = loaded->entry_made[entry] ? loaded->entry_datums[entry] : make_entry_datum(granule, column, entry);
    }
}

const int64 *granule_times(Granule *granule) {
    const int column = granule->keys.time - 1;
    if (!granule->columns[column].loaded || granule->columns[column].is_partial) load_column(granule, column, Rows::all);
    const format::ColumnVector &vector = granule->columns[column].vector;
    return vector.nulls == nullptr ? vector.numbers : nullptr;
}

}  // namespace historian::engine
