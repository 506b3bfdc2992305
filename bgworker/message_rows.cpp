#include "bgworker/message_rows.h"

#include "bgworker/decompress.h"
#include "bgworker/settings.h"
#include "bgworker/subscription_mapping.h"

namespace historian::bgworker {

namespace {

// A zone's name is at most this long in the tables that PostgreSQL brings.
constexpr std::size_t kZoneNameRoom = 256;

void *grow_in_context(void *context, std::size_t bytes) noexcept {
    // Gives nullptr instead of an error: the parser that asks must not be jumped over.
    return MemoryContextAllocExtended(static_cast<MemoryContext>(context), bytes, MCXT_ALLOC_NO_OOM | MCXT_ALLOC_HUGE);
}

/// True for names of zones that lie in PostgreSQL's tables. A name with other figures could be a rule of POSIX ("X1",
/// "X1:00:01"): there are millions, and the server keeps each that was ever asked for.
bool is_zone_name(std::string_view name) {
    if (name.empty() || name.size() >= kZoneNameRoom || name.find('\0') != std::string_view::npos) return false;
    const std::size_t digit = name.find_first_of("0123456789");
    if (digit == std::string_view::npos) return true;
    const std::string_view before = name.substr(0, digit);
    const bool is_offset = equal_ignoring_case(before, "Etc/GMT+") || equal_ignoring_case(before, "Etc/GMT-");
    return is_offset && name.size() - digit <= 2;
}

/// True for properties that say how times and bytes are to be understood, also of messages in a form of their own.
bool concerns_mapping(const char *property) {
    return strcmp(property, "timeformat") == 0 || strcmp(property, "tz") == 0 || strcmp(property, "compress") == 0;
}

/// How the message is to be read. The more particular wins: subscription, content type, topic, user properties.
///
/// mapped  it has a form of its own: what it says about its format is not meant for us
const char *choose_options(const ReceivedMessage &message, const TopicTable &topic, bool mapped, PayloadOptions *options) {
    if (message.content_type != nullptr) set_content_type(message.content_type, options);
    if (topic.is_metrics) options->format = PayloadFormat::line_protocol;
    if (topic.format[0] != '\0') {
        if (const char *fault = set_payload_option("format", topic.format, options))
            return psprintf("payload format \"%s\" of the topic %s", topic.format, fault);
    }
    if (topic.compression[0] != '\0') {
        if (const char *fault = set_payload_option("compress", topic.compression, options))
            return psprintf("compression \"%s\" of the topic %s", topic.compression, fault);
    }
    for (uint32 i = 0; i < message.property_count; ++i) {
        const UserProperty &property = message.properties[i];
        if (mapped && !concerns_mapping(property.name)) continue;
        // The value is not repeated: it may be long, and in no encoding of ours.
        if (const char *fault = set_payload_option(property.name, property.value, options))
            return psprintf("user property \"%s\" %s", property.name, fault);
    }
    return nullptr;
}

const char *decompress_message(std::string_view bytes, Arena &arena, std::string_view *text, int *sqlstate) {
    const auto max_bytes = static_cast<std::size_t>(mqtt_decompressed_max_bytes);
    switch (decompress(bytes, max_bytes, arena, text)) {
        case DecompressFault::none: return nullptr;
        case DecompressFault::corrupt: *sqlstate = ERRCODE_INVALID_BINARY_REPRESENTATION; return "compressed payload is damaged";
        case DecompressFault::too_large:
            *sqlstate = ERRCODE_PROGRAM_LIMIT_EXCEEDED;
            return "decompressed payload is larger than historian.mqtt_decompressed_max";
        case DecompressFault::out_of_memory: break;
    }
    ereport(ERROR, errcode(ERRCODE_OUT_OF_MEMORY), errmsg("not enough memory to decompress the payload"));
}

/// A message that there is no memory for is no bad one: the error makes the batch smaller, and the message come again.
const char *as_fault(const char *fault, int sqlstate) {
    if (fault != nullptr && sqlstate == ERRCODE_OUT_OF_MEMORY) ereport(ERROR, errcode(sqlstate), errmsg("%s", fault));
    return fault;
}

}  // namespace

pg_tz *find_time_zone(std::string_view name) {
    return is_zone_name(name) ? pg_tzset(pnstrdup(name.data(), name.size())) : nullptr;
}

const char *find_size_fault(const ReceivedMessage &message) {
    if (message.is_crowded) {
        return psprintf("message has more than %zu user properties, or more bytes of them than historian.mqtt_payload_max",
                        kUserPropertiesMax);
    }
    if (message.kept_bytes == message.payload_bytes) return nullptr;
    return psprintf("payload of %zu bytes is larger than historian.mqtt_payload_max", message.payload_bytes);
}

const char *read_message_bytes(const ReceivedMessage &message, MemoryContext context, std::string_view *bytes, int *sqlstate) {
    *bytes = {message.payload, message.kept_bytes};
    if (!is_compressed(*bytes)) return nullptr;
    Arena arena(grow_in_context, context);
    return decompress_message(*bytes, arena, bytes, sqlstate);
}

const char *read_message(const Subscription &subscription, const ReceivedMessage &message, const TopicTable &topic,
                         const TargetTable &target, MemoryContext context, MessageRows *rows, int *sqlstate) {
    Arena arena(grow_in_context, context);
    ParseContext parse;
    *sqlstate = ERRCODE_INVALID_PARAMETER_VALUE;
    parse.options = subscription.payload;
    if (const char *fault = choose_options(message, topic, subscription.mapping != nullptr, &parse.options)) return fault;
    const std::string_view zone_name = parse.options.time_zone;
    pg_tz *zone = zone_name.empty() ? nullptr : find_time_zone(zone_name);
    if (zone == nullptr && !zone_name.empty()) return "user property \"tz\" is not the name of a time zone";
    rows->times = {parse.options.time_unit, zone,
                   static_cast<TimestampTz>(message.arrived_at) - (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY};
    if (const char *fault = read_message_bytes(message, context, &rows->bytes, sqlstate)) return fault;
    rows->mapping = subscription.mapping;
    rows->message = &message;
    if (rows->mapping != nullptr) {
        const char *fault = map_received(*rows->mapping, message, rows->bytes, arena, &rows->payload, sqlstate);
        return as_fault(fault, *sqlstate);
    }
    parse.shape = &target.shape;
    if (OidIsValid(subscription.target)) parse.topic = message.topic;
    const PayloadError error = parse_payload(rows->bytes, parse, arena, &rows->payload);
    if (error.fault == PayloadFault::none) return nullptr;
    char text[160];
    describe_payload_error(error, text, sizeof text);
    *sqlstate = pack_sqlstate(payload_error_sqlstate(error.fault));
    return as_fault(pstrdup(text), *sqlstate);
}

std::string_view write_message_row(const MessageRows &rows, uint32 row) {
    Arena arena(grow_in_context, CurrentMemoryContext);
    const std::string_view payload = rows.mapping != nullptr
                                         ? write_received_row(*rows.mapping, *rows.message, rows.bytes, row, arena)
                                         : write_row(rows.bytes, rows.payload, row, arena);
    if (payload.data() == nullptr) ereport(ERROR, errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory"));
    return payload;
}

}  // namespace historian::bgworker
