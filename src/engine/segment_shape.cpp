#include "engine/segment_shape.h"

#include "engine/report.h"
#include "engine/row.h"

namespace historian::engine {

using codec::KeyKind;
using format::ColumnTraits;

bool (*is_searched_column)(Relation rel, Form_pg_attribute column) = nullptr;

namespace {

bool is_text(Oid type) { return type == TEXTOID || type == VARCHAROID || type == BPCHAROID; }

// Numbers whose order in a segment is that of their type, or that are compared for equality only.
bool has_range(Oid type) {
    switch (type) {
        case BOOLOID:
        case CHAROID:
        case INT2OID:
        case INT4OID:
        case INT8OID:
        case OIDOID:
        case DATEOID:
        case TIMEOID:
        case TIMESTAMPOID:
        case TIMESTAMPTZOID: return true;
        default: return type_is_enum(type);
    }
}

ColumnTraits column_traits(Relation rel, Form_pg_attribute column) {
    ColumnTraits traits;
    if (column->attisdropped) return traits;
    const Oid type = getBaseType(column->atttypid);
    traits.has_templates = is_text(type) || type == JSONOID || type == XMLOID;
    if (!is_log_table(rel)) return traits;  // tag tables find their rows by tag and time
    traits.has_range = has_range(type);
    if (may_index_words(rel, column))
        traits.keys = is_searched_column == nullptr || is_searched_column(rel, column) ? KeyKind::word : KeyKind::reserved;
    else if (may_index_values(type))
        traits.keys = KeyKind::value;
    return traits;
}

}  // namespace

bool may_index_words(Relation rel, Form_pg_attribute column) {
    const Oid type = getBaseType(column->atttypid);
    return is_log_table(rel) && (type == TEXTOID || type == VARCHAROID) && GetDatabaseEncoding() == PG_UTF8;
}

bool may_index_values(Oid type) {
    switch (type) {
        case INT2OID:
        case INT4OID:
        case INT8OID:
        case OIDOID:
        case UUIDOID:
        case INETOID:
        case CIDROID:
        case MACADDROID:
        case MACADDR8OID: return true;
        default: return type_is_enum(type);
    }
}

SegmentShape segment_shape(Relation rel, TupleDesc desc, const KeyColumns &keys) {
    SegmentShape shape = {};
    shape.types = column_types(desc, keys);
    shape.column_count = static_cast<uint32>(desc->natts);
    shape.key = sort_key(desc, keys);
    shape.traits = static_cast<ColumnTraits *>(palloc(sizeof(ColumnTraits) * Max(desc->natts, 1)));
    for (int i = 0; i < desc->natts; i++) shape.traits[i] = column_traits(rel, TupleDescAttr(desc, i));
    return shape;
}

format::SegmentBuilder *start_builder(Relation rel, const SegmentShape &shape, Arena &arena) {
    format::SegmentBuilder *builder;
    check_status(format::create_builder(arena, {shape.types, shape.column_count}, shape.key, &builder), rel, "build a segment");
    format::set_effort(*builder, shape.effort);
    format::set_pause(*builder, [] { CHECK_FOR_INTERRUPTS(); });
    check_status(format::set_column_traits(*builder, {shape.traits, shape.column_count}), rel, "build a segment");
    return builder;
}

}  // namespace historian::engine
