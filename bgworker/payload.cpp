#include "bgworker/payload.h"

#include <cstdio>

#include "bgworker/payload_parsers.h"

namespace historian::bgworker {

PayloadError parse_payload(std::string_view bytes, const ParseContext &context, Arena &arena, Payload *payload) noexcept {
    constexpr TableShape kNoShape;
    *payload = Payload{};
    if (bytes.empty()) return {PayloadFault::empty, 0};
    switch (context.options.format) {
        case PayloadFormat::automatic:
            if (is_json_number(trim(bytes))) return parse_number_row(bytes, context, arena, payload);
            return parse_json_rows(bytes, true, arena, payload);
        case PayloadFormat::json: return parse_json_rows(bytes, false, arena, payload);
        case PayloadFormat::ndjson: return parse_ndjson_rows(bytes, arena, payload);
        case PayloadFormat::csv: return parse_csv_rows(bytes, context.options, arena, payload);
        case PayloadFormat::line_protocol:
            return parse_line_protocol(bytes, context.shape != nullptr ? *context.shape : kNoShape, arena, payload);
        case PayloadFormat::number: return parse_number_row(bytes, context, arena, payload);
    }
    return {PayloadFault::malformed, 0};
}

void describe_payload_error(PayloadError error, char *text, std::size_t room) noexcept {
    const std::size_t at = error.offset;
    const auto say = [text, room](const char *phrase) { std::snprintf(text, room, "%s", phrase); };
    switch (error.fault) {
        case PayloadFault::none: return say("no error");
        case PayloadFault::empty: return say("payload holds no value");
        case PayloadFault::malformed: std::snprintf(text, room, "payload is not valid JSON at offset %zu", at); break;
        case PayloadFault::not_rows: std::snprintf(text, room, "payload is not a JSON array or object at offset %zu", at); break;
        case PayloadFault::row_expected:
            std::snprintf(text, room, "payload mixes rows and single values at offset %zu", at);
            break;
        case PayloadFault::object_expected:
            std::snprintf(text, room, "payload has a line that is not a JSON object at offset %zu", at);
            break;
        case PayloadFault::invalid_utf8: std::snprintf(text, room, "payload is not valid UTF-8 at offset %zu", at); break;
        case PayloadFault::nul_in_text:
            std::snprintf(text, room, "payload has a NUL character in a string at offset %zu", at);
            break;
        case PayloadFault::too_deep:
            std::snprintf(text, room, "payload is nested deeper than %zu levels at offset %zu", kPayloadDepthMax, at);
            break;
        case PayloadFault::too_many_cells:
            std::snprintf(text, room, "payload has more than %u values", static_cast<unsigned>(kCellCountMax));
            break;
        case PayloadFault::too_many_names:
            std::snprintf(text, room, "payload names more than %u columns", static_cast<unsigned>(kNameCountMax));
            break;
        case PayloadFault::too_much_text: return say("payload makes names that are together too long");
        case PayloadFault::malformed_csv: std::snprintf(text, room, "payload is not valid CSV at offset %zu", at); break;
        case PayloadFault::malformed_line:
            std::snprintf(text, room, "payload is not valid line protocol at offset %zu", at);
            break;
        case PayloadFault::not_a_number: return say("payload is not a number");
        case PayloadFault::number_has_no_name:
            return say("payload is a plain number, which only a subscription with a target can store");
        case PayloadFault::number_has_no_place: return say("payload is a plain number, and the table has no column for numbers");
        case PayloadFault::table_has_no_time: return say("payload is line protocol, and the table has no column for times");
        case PayloadFault::out_of_memory: return say("not enough memory to parse the payload");
    }
}

const char *payload_error_sqlstate(PayloadFault fault) noexcept {
    switch (fault) {
        case PayloadFault::none: return "00000";
        case PayloadFault::empty:
        case PayloadFault::malformed: return "22032";  // invalid_json_text
        case PayloadFault::not_rows:
        case PayloadFault::row_expected:
        case PayloadFault::object_expected:
        case PayloadFault::number_has_no_name: return "22023";  // invalid_parameter_value
        case PayloadFault::not_a_number: return "22P02";        // invalid_text_representation
        case PayloadFault::malformed_csv:
        case PayloadFault::malformed_line: return "22P04";  // bad_copy_file_format
        case PayloadFault::number_has_no_place:
        case PayloadFault::table_has_no_time: return "42703";  // undefined_column
        case PayloadFault::invalid_utf8: return "22021";       // character_not_in_repertoire
        case PayloadFault::nul_in_text: return "22P05";        // untranslatable_character
        case PayloadFault::too_deep:
        case PayloadFault::too_many_cells:
        case PayloadFault::too_many_names:
        case PayloadFault::too_much_text: return "54000";  // program_limit_exceeded
        case PayloadFault::out_of_memory: return "53200";
    }
    return "XX000";
}

std::size_t find_invalid_utf8(std::string_view bytes) noexcept {
    const auto *data = reinterpret_cast<const unsigned char *>(bytes.data());
    const std::size_t size = bytes.size();
    for (std::size_t at = 0; at < size;) {
        const unsigned char lead = data[at];
        if (lead < 0x80) {
            ++at;
            continue;
        }
        const std::size_t length = lead >= 0xC2 && lead <= 0xDF   ? 2
                                   : (lead & 0xF0) == 0xE0        ? 3
                                   : lead >= 0xF0 && lead <= 0xF4 ? 4
                                                                  : 0;
        if (length == 0 || size - at < length) return at;
        // The second byte excludes overlong forms, surrogates and what lies above U+10FFFF (RFC 3629, section 4).
        const unsigned char low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
        const unsigned char high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
        if (data[at + 1] < low || data[at + 1] > high) return at;
        for (std::size_t next = 2; next < length; ++next) {
            if ((data[at + next] & 0xC0) != 0x80) return at;
        }
        at += length;
    }
    return std::string_view::npos;
}

}  // namespace historian::bgworker
