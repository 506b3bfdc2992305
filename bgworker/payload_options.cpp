#include "bgworker/payload_options.h"

namespace historian::bgworker {

namespace {

char to_lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

/// One word of an option that has several, and what it stands for.
template <typename Value>
struct Word {
    std::string_view word;
    Value value;
};

template <typename Value, std::size_t Count>
bool choose(const Word<Value> (&words)[Count], std::string_view word, Value *value) noexcept {
    for (const Word<Value> &each : words) {
        if (!equal_ignoring_case(each.word, word)) continue;
        *value = each.value;
        return true;
    }
    return false;
}

constexpr Word<PayloadFormat> kFormats[] = {
    {"json", PayloadFormat::json},       {"ndjson", PayloadFormat::ndjson},      {"csv", PayloadFormat::csv},
    {"number", PayloadFormat::number},   {"line", PayloadFormat::line_protocol}, {"influx", PayloadFormat::line_protocol},
    {"auto", PayloadFormat::automatic},
};

constexpr Word<TimeUnit> kTimeUnits[] = {
    {"s", TimeUnit::seconds},      {"ms", TimeUnit::milliseconds}, {"us", TimeUnit::microseconds},
    {"ns", TimeUnit::nanoseconds}, {"text", TimeUnit::text},       {"rfc3339", TimeUnit::text},
};

constexpr Word<CsvHeader> kHeaders[] = {
    {"none", CsvHeader::none},
    {"skip", CsvHeader::skip},
    {"columns", CsvHeader::columns},
    {"column", CsvHeader::columns},
};

// What a payload is compressed with shows in its first bytes: the word is only checked.
constexpr Word<bool> kCompressions[] = {
    {"gzip", true},
    {"zstd", true},
    {"-", true},
    {"none", true},
};

constexpr Word<PayloadFormat> kContentTypes[] = {
    {"application/json", PayloadFormat::json},    {"application/x-ndjson", PayloadFormat::ndjson},
    {"application/ndjson", PayloadFormat::ndjson}, {"application/jsonl", PayloadFormat::ndjson},
    {"text/csv", PayloadFormat::csv},
};

const char *set_delimiter(std::string_view value, char *delimiter) noexcept {
    if (value == "\\t" || equal_ignoring_case(value, "tab")) value = "\t";
    const bool single = value.size() == 1 && static_cast<unsigned char>(value[0]) < 0x80;
    if (!single || value[0] == '"' || value[0] == '\r' || value[0] == '\n' || value[0] == '\0')
        return "is not one ASCII character that may stand between fields";
    *delimiter = value[0];
    return nullptr;
}

}  // namespace

bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept {
    if (a.size() != b.size()) return false;
    for (std::size_t i = 0; i < a.size(); ++i) {
        if (to_lower(a[i]) != to_lower(b[i])) return false;
    }
    return true;
}

const char *set_payload_option(std::string_view name, std::string_view value, PayloadOptions *options) noexcept {
    bool known;
    if (name == "format") {
        return choose(kFormats, value, &options->format) ? nullptr : "is not one of json, ndjson, csv, influx, number, auto";
    }
    if (name == "timeformat") {
        return choose(kTimeUnits, value, &options->time_unit) ? nullptr : "is not one of s, ms, us, ns, text";
    }
    if (name == "header") return choose(kHeaders, value, &options->header) ? nullptr : "is not one of skip, columns, none";
    if (name == "compress") return choose(kCompressions, value, &known) ? nullptr : "is not one of gzip, zstd, none";
    if (name == "delimiter") return set_delimiter(value, &options->delimiter);
    if (name == "tz") options->time_zone = equal_ignoring_case(value, "local") ? std::string_view{} : value;
    return nullptr;
}

void set_content_type(std::string_view type, PayloadOptions *options) noexcept {
    type = type.substr(0, type.find(';'));
    while (!type.empty() && type.back() == ' ') type.remove_suffix(1);
    (void)choose(kContentTypes, type, &options->format);
}

}  // namespace historian::bgworker
