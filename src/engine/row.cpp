#include "engine/row.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace historian::engine {

using format::Cell;
using format::ColumnType;
using format::PhysicalKind;

namespace {

// A value passed by value, sign-extended from its type's width as heap does when it reads one back: the unused bytes of a Datum
// differ by who made it (an oid or enum above 2^31 from an expression has zeros there).
int64 number_of(Datum value, Form_pg_attribute column) {
    switch (column->attlen) {
        case 8: return static_cast<int64>(value);
        case 4: return static_cast<int32>(value);
        case 2: return static_cast<int16>(value);
        default: return static_cast<int8>(value);
    }
}

}  // namespace

TagBytes tag_bytes(Datum value, Form_pg_attribute column, uint8 (&space)[8]) {
    if (column->attbyval) {
        const uint64 ordered = pg_hton64(static_cast<uint64>(number_of(value, column)) ^ (UINT64CONST(1) << 63));
        memcpy(space, &ordered, sizeof(ordered));
        return {reinterpret_cast<const std::byte *>(space), sizeof(ordered)};
    }
    const char *pointer = DatumGetPointer(value);
    if (column->attlen == -1) {
        return {reinterpret_cast<const std::byte *>(VARDATA_ANY(pointer)), static_cast<uint32>(VARSIZE_ANY_EXHDR(pointer))};
    }
    const uint32 byte_count = column->attlen == -2 ? strlen(pointer) + 1 : column->attlen;
    return {reinterpret_cast<const std::byte *>(pointer), byte_count};
}

uint16 tag_fingerprint(const TagBytes &tag) {
    const uint16 low_bits = static_cast<uint16>(XXH3_64bits(tag.data, tag.byte_count));
    return low_bits == 0 ? 1 : low_bits;
}

uint32 value_bytes(Datum value, Form_pg_attribute column) {
    uint8 space[8];
    return column->attbyval ? static_cast<uint32>(column->attlen) : tag_bytes(value, column, space).byte_count;
}

uint32 tag_number_bytes(TupleDesc desc, const KeyColumns &keys) {
    if (keys.tag == InvalidAttrNumber) return 0;
    const Form_pg_attribute column = TupleDescAttr(desc, keys.tag - 1);
    return column->attbyval ? static_cast<uint32>(column->attlen) : 0;
}

format::SortKey sort_key(TupleDesc desc, const KeyColumns &keys) {
    const uint32 tag = keys.tag == InvalidAttrNumber ? format::kNoColumn : static_cast<uint32>(keys.tag - 1);
    return {tag, static_cast<uint32>(keys.time - 1), tag_number_bytes(desc, keys)};
}

ColumnType *column_types(TupleDesc desc, const KeyColumns &keys) {
    ColumnType *types = static_cast<ColumnType *>(palloc(sizeof(ColumnType) * desc->natts));
    for (int i = 0; i < desc->natts; i++) {
        const Form_pg_attribute column = TupleDescAttr(desc, i);
        ColumnType &type = types[i];
        type = ColumnType{};
        if (column->attisdropped) {
            type.kind = PhysicalKind::absent;
        } else if (column->attnum == keys.tag || (column->attlen < 0 && !column->attbyval)) {
            type.kind = PhysicalKind::bytes;
        } else if (!column->attbyval) {
            type.kind = PhysicalKind::fixed;
            type.fixed_bytes = static_cast<uint16>(column->attlen);
        } else if (column->atttypid == FLOAT8OID) {
            type.kind = PhysicalKind::float8;
        } else if (column->atttypid == FLOAT4OID) {
            type.kind = PhysicalKind::float4;
        } else {
            type.kind = column->attlen == 8   ? PhysicalKind::int8
                        : column->attlen == 4 ? PhysicalKind::int4
                        : column->attlen == 2 ? PhysicalKind::int2
                                              : PhysicalKind::int1;
        }
    }
    return types;
}

void flatten_values(TupleDesc desc, Datum *values, const bool *nulls) {
    for (int i = 0; i < desc->natts; i++) {
        const Form_pg_attribute column = TupleDescAttr(desc, i);
        if (nulls[i] || column->attlen != -1 || column->attisdropped) continue;
        varlena *value = reinterpret_cast<varlena *>(DatumGetPointer(values[i]));
        if (VARATT_IS_EXTERNAL(value) || VARATT_IS_COMPRESSED(value)) values[i] = PointerGetDatum(detoast_attr(value));
    }
}

void fill_cells(TupleDesc desc, const KeyColumns &keys, const Datum *values, const bool *nulls, Cell *cells,
                uint8 (&tag_space)[8]) {
    for (int i = 0; i < desc->natts; i++) {
        const Form_pg_attribute column = TupleDescAttr(desc, i);
        Cell &cell = cells[i];
        cell.is_null = nulls[i] || column->attisdropped;
        if (cell.is_null) continue;
        if (column->attbyval && column->attnum != keys.tag) {
            cell.number = number_of(values[i], column);
            continue;
        }
        const TagBytes bytes = tag_bytes(values[i], column, tag_space);
        cell.data = bytes.data;
        cell.byte_count = bytes.byte_count;
    }
}

uint32 row_checksum(HeapTupleHeader header, uint32 tuple_bytes) {
    const char *bytes = reinterpret_cast<const char *>(header) + SizeofHeapTupleHeader;
    const uint64 hash = XXH3_64bits(bytes, tuple_bytes - SizeofHeapTupleHeader - format::kRowChecksumBytes);
    const uint32 columns = HeapTupleHeaderGetNatts(header) << 1 | ((header->t_infomask & HEAP_HASNULL) != 0);
    constexpr uint64 kOdd = UINT64CONST(0x9E3779B97F4A7C15);
    return static_cast<uint32>((hash ^ (static_cast<uint64>(columns) << 32 | HeapTupleHeaderGetRawXmin(header)) * kOdd) >> 32);
}

namespace {

void add_checksum(HeapTuple *tuple) {
    const uint32 bytes = (*tuple)->t_len;
    *tuple = static_cast<HeapTuple>(repalloc(*tuple, HEAPTUPLESIZE + bytes + format::kRowChecksumBytes));
    char *header = reinterpret_cast<char *>(*tuple) + HEAPTUPLESIZE;
    (*tuple)->t_data = reinterpret_cast<HeapTupleHeader>(header);
    (*tuple)->t_len = bytes + format::kRowChecksumBytes;
    const uint32 checksum = row_checksum((*tuple)->t_data, (*tuple)->t_len);
    memcpy(header + bytes, &checksum, sizeof(checksum));
}

}  // namespace

TailRow form_tail_row(TupleDesc desc, const KeyColumns &keys, const Datum *values, const bool *nulls, TransactionId xid,
                      CommandId cid, Oid relid) {
    TailRow row = {};
    row.tuple = heap_form_tuple(desc, const_cast<Datum *>(values), const_cast<bool *>(nulls));
    HeapTupleHeader header = row.tuple->t_data;
    header->t_infomask &= ~HEAP_XACT_MASK;
    header->t_infomask2 &= ~HEAP2_XACT_MASK;
    header->t_infomask |= HEAP_XMAX_INVALID;
    HeapTupleHeaderSetXmin(header, xid);
    HeapTupleHeaderSetCmin(header, cid);
    HeapTupleHeaderSetXmax(header, InvalidTransactionId);
    row.tuple->t_tableOid = relid;
    add_checksum(&row.tuple);

    const int tag = keys.tag - 1;
    if (tag >= 0 && !nulls[tag]) {
        uint8 space[8];
        row.fingerprint = tag_fingerprint(tag_bytes(values[tag], TupleDescAttr(desc, tag), space));
    }
    const int time = keys.time - 1;
    row.has_time = !nulls[time];
    if (row.has_time) row.time = DatumGetInt64(values[time]);
    return row;
}

Datum datum_of_bytes(Form_pg_attribute column, bool is_tag, const std::byte *data, uint64 byte_count) {
    if (is_tag && column->attbyval) {
        uint64 ordered;
        if (byte_count != sizeof(ordered)) ereport(ERROR, errcode(ERRCODE_DATA_CORRUPTED), errmsg("found a tag of a wrong size"));
        memcpy(&ordered, data, sizeof(ordered));
        return static_cast<Datum>(pg_ntoh64(ordered) ^ (UINT64CONST(1) << 63));
    }
    if (column->attlen == -1) {
        if (byte_count > MaxAllocSize - VARHDRSZ)
            ereport(ERROR, errcode(ERRCODE_DATA_CORRUPTED), errmsg("found a value of more than 1 GB"));
        varlena *value = static_cast<varlena *>(palloc(VARHDRSZ + byte_count));
        SET_VARSIZE(value, VARHDRSZ + byte_count);
        memcpy(VARDATA(value), data, byte_count);
        return PointerGetDatum(value);
    }
    const bool right_size = column->attlen == -2 ? byte_count > 0 && data[byte_count - 1] == std::byte{0}
                                                 : byte_count == static_cast<uint64>(column->attlen);
    if (!right_size) ereport(ERROR, errcode(ERRCODE_DATA_CORRUPTED), errmsg("found a value of a wrong size"));
    char *copy = static_cast<char *>(palloc(byte_count));
    memcpy(copy, data, byte_count);
    return PointerGetDatum(copy);
}

}  // namespace historian::engine
