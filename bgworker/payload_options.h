// Payload options: how the bytes of a message are to be read. Pure.
//
// They come, the later ones winning, from the subscription, the message's content type, the topic (`db/append/TABLE:csv:gzip`)
// and its MQTT 5 user properties, whose names are Machbase-neo's.
#pragma once

#include <cstdint>
#include <string_view>

#include "bgworker/nanoseconds.h"

namespace historian::bgworker {

enum class PayloadFormat : std::uint8_t {
    automatic,  ///< JSON in any of its forms, or a plain number: what tells itself apart
    json,
    ndjson,
    csv,
    line_protocol,
    number,
};

enum class CsvHeader : std::uint8_t {
    none,
    skip,     ///< the first record is no row
    columns,  ///< the first record names the columns
};

struct PayloadOptions {
    PayloadFormat format = PayloadFormat::automatic;
    TimeUnit time_unit = TimeUnit::nanoseconds;
    CsvHeader header = CsvHeader::none;
    char delimiter = ',';
    std::string_view time_zone;  ///< for times that name none; empty: the session's. As given, not looked up yet
};

/// Sets one option by its name: format, timeformat, tz, compress, delimiter, header. Other names are none of ours: ignored.
///
/// value    format, timeformat, compress and header in any case
/// returns  nullptr, or what is wrong with value: a lower-case phrase that follows the option's name
const char *set_payload_option(std::string_view name, std::string_view value, PayloadOptions *options) noexcept;

/// Takes the format from a MIME type; types that say nothing about it are ignored.
void set_content_type(std::string_view type, PayloadOptions *options) noexcept;

/// True when a and b are equal but for the case of ASCII letters.
bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept;

}  // namespace historian::bgworker
