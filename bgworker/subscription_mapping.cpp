#include "bgworker/subscription_mapping.h"

namespace historian::bgworker {

namespace {

void *grow_in_context(void *context, std::size_t bytes) noexcept {
    // Gives nullptr instead of an error: the parser that asks must not be jumped over.
    return MemoryContextAllocExtended(static_cast<MemoryContext>(context), bytes, MCXT_ALLOC_NO_OOM | MCXT_ALLOC_HUGE);
}

/// A name of a mapping, which is UTF-8, in the database's encoding.
char *to_server(std::string_view name) {
    const char *copy = pnstrdup(name.data(), name.size());
    return pg_any_to_server(copy, static_cast<int>(name.size()), PG_UTF8);
}

[[noreturn]] void report_mapping_error(const MappingError &error) {
    const char *where = error.column.empty() ? "" : psprintf("Column \"%s\": ", to_server(error.column));
    if (error.position > 0) {
        where = psprintf("Column \"%s\", character %zu of its expression: ", to_server(error.column), error.position);
    }
    ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid mapping of an MQTT subscription"),
            errdetail("%s%s.", where[0] == '\0' ? "The cause: " : where, error.what),
            errhint("For example: {\"name\": \"topic[2]/topic[3]\", \"time\": {\"path\": \"$.ts\", \"unit\": \"ms\"}, "
                    "\"value\": \"$.v\"}"));
    pg_unreachable();
}

/// Raises an error unless rows may bring the column.
void check_column(Oid target, const MappedColumn &column) {
    const char *name = to_server(column.name);
    HeapTuple tuple = SearchSysCacheAttName(target, name);
    const auto *attribute = HeapTupleIsValid(tuple) ? reinterpret_cast<Form_pg_attribute>(GETSTRUCT(tuple)) : nullptr;
    if (attribute == nullptr || attribute->attnum <= 0) {
        ereport(ERROR, errcode(ERRCODE_UNDEFINED_COLUMN),
                errmsg("column \"%s\" of relation \"%s\" does not exist", name, get_rel_name(target)),
                errdetail("The mapping of the MQTT subscription names it."));
    }
    if (attribute->attgenerated != '\0' || attribute->attidentity == ATTRIBUTE_IDENTITY_ALWAYS) {
        ereport(ERROR, errcode(ERRCODE_GENERATED_ALWAYS), errmsg("column \"%s\" is filled by the table itself", name),
                errdetail("The mapping of the MQTT subscription names it."));
    }
    const Oid type = getBaseType(attribute->atttypid);
    ReleaseSysCache(tuple);
    if (column.unit == TimeUnit::text || type == TIMESTAMPTZOID || type == TIMESTAMPOID) return;
    ereport(ERROR, errcode(ERRCODE_DATATYPE_MISMATCH), errmsg("column \"%s\" is no time", name),
            errdetail("The mapping of the MQTT subscription gives it a unit."));
}

/// A message as mappings see it; false when memory is short.
bool describe_message(const ReceivedMessage &message, std::string_view payload, Arena &arena, MappedMessage *described) {
    auto *properties = arena.array<MappedProperty>(message.property_count);
    if (properties == nullptr) return false;
    for (uint32 i = 0; i < message.property_count; ++i) {
        properties[i] = {message.properties[i].name, message.properties[i].value};
    }
    described->topic = message.topic;
    described->payload = payload;
    described->properties = properties;
    described->property_count = message.property_count;
    described->arrived_at = message.arrived_at;
    described->qos = message.qos;
    described->retained = message.retained;
    return true;
}

}  // namespace

const Mapping *read_mapping(const char *text, MemoryContext context) {
    MemoryContext before = MemoryContextSwitchTo(context);
    auto *mapping = static_cast<Mapping *>(palloc(sizeof(Mapping)));
    const char *utf8 = pg_server_to_any(text, static_cast<int>(strlen(text)), PG_UTF8);
    Arena arena(grow_in_context, context);
    const MappingError error = parse_mapping(utf8, arena, mapping);
    MemoryContextSwitchTo(before);
    if (error.what != nullptr) report_mapping_error(error);
    return mapping;
}

void check_mapping(Oid target, const char *text) {
    if (!OidIsValid(target)) {
        ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("mapping of an MQTT subscription needs a target"),
                errhint("Name the table whose columns it fills as target."));
    }
    const Mapping *mapping = read_mapping(text, CurrentMemoryContext);
    for (uint32 i = 0; i < mapping->column_count; ++i) check_column(target, mapping->columns[i]);
}

const char *map_received(const Mapping &mapping, const ReceivedMessage &message, std::string_view payload, Arena &arena,
                         Payload *rows, int *sqlstate) {
    MappedMessage described;
    MapError error;
    if (describe_message(message, payload, arena, &described)) {
        error = map_message(mapping, described, arena, rows);
    } else {
        error.fault = MapFault::out_of_memory;
    }
    if (error.fault == MapFault::none) return nullptr;
    char reason[256];
    describe_map_error(error, reason, sizeof reason);
    const char *state = map_error_sqlstate(error);
    *sqlstate = MAKE_SQLSTATE(state[0], state[1], state[2], state[3], state[4]);
    return to_server(reason);
}

std::string_view write_received_row(const Mapping &mapping, const ReceivedMessage &message, std::string_view payload, uint32 row,
                                    Arena &arena) {
    MappedMessage described;
    if (!describe_message(message, payload, arena, &described)) return {};
    return write_mapped_row(mapping, described, row, arena);
}

}  // namespace historian::bgworker
