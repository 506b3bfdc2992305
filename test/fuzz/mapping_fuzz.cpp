// Any bytes as a mapping, and any bytes as a message for it and for mappings that use the whole language: no crash, and what
// mapping.h promises of the rows holds. The input is the mapping's length, two bytes, then the mapping, then the message.
#include <cstring>
#include <string_view>

#include "bgworker/mapping.h"
#include "fuzz_input.h"

using namespace historian;
using namespace historian::bgworker;
using historian::fuzz::check;

namespace {

constexpr std::string_view kMappings[] = {
    R"({"name": "topic[2]/topic[-1]", "time": {"path": "$.ts", "unit": "ms"}, "value": "$.v"})",
    R"({"n": "$.a[*].n/key", "k": "key", "v": "$.a[*].b.*", "o": "$['odd key'][-1]", "t": "arrival"})",
    R"({"a": "payload", "b": "property.u", "c": "$[*][*].x", "d": "$[*]", "e": {"const": [1]}, "f": "qos'/'retain"})",
    R"({"t": {"path": "payload", "unit": "s"}, "v": "$"})",
};

void check_rows(const Mapping &mapping, const Payload &rows) {
    check(rows.name_count == mapping.column_count, "one name a column");
    check(static_cast<std::uint64_t>(rows.row_count) * rows.name_count <= kCellCountMax, "not too many cells");
    for (std::uint32_t row = 0; row < rows.row_count; ++row) {
        check(rows.row_ends[row] == (row + 1) * rows.name_count, "one cell a column");
        for (std::uint32_t i = 0; i < rows.name_count; ++i) {
            const Cell &each = rows.cells[row * rows.name_count + i];
            check(std::strlen(each.text) == each.bytes, "a text ends where its NUL is");
            check(find_invalid_utf8({each.text, each.bytes}) == std::string_view::npos, "a text is UTF-8");
        }
    }
}

void map(std::string_view mapping_text, std::string_view payload) {
    fuzz::TestArena arena(fuzz::kArenaBytes);
    Mapping mapping;
    const MappingError refusal = parse_mapping(mapping_text, arena, &mapping);
    if (refusal.what != nullptr) {
        check(refusal.position <= mapping_text.size() + 1, "an error stands inside the mapping");
        return;
    }
    const MappedProperty property{"u", "v"};
    MappedMessage message;
    message.topic = "a/b/c";
    message.payload = payload;
    message.properties = &property;
    message.property_count = 1;
    Payload rows;
    const MapError error = map_message(mapping, message, arena, &rows);
    if (error.fault == MapFault::none) {
        check_rows(mapping, rows);
        check(rows.row_count == 0 || write_mapped_row(mapping, message, rows.row_count - 1, arena).data() != nullptr,
              "every row has a payload of its own");
        check(write_mapped_row(mapping, message, rows.row_count, arena).data() == nullptr, "and no other has");
        return;
    }
    char text[160];
    describe_map_error(error, text, sizeof text);
    check(text[0] != '\0' && std::strlen(map_error_sqlstate(error)) == 5, "every error has words and a SQLSTATE");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char *data, std::size_t size) {
    fuzz::FuzzInput input(data, size);
    const std::size_t wanted = input.u16();
    const std::span<const std::byte> rest = input.rest();
    const std::size_t mapping_bytes = wanted < rest.size() ? wanted : rest.size();
    const fuzz::ExactBytes mapping(rest.first(mapping_bytes));
    const fuzz::ExactBytes payload(rest.subspan(mapping_bytes));
    const auto text = [](const fuzz::ExactBytes &bytes) {
        return std::string_view(reinterpret_cast<const char *>(bytes.span().data()), bytes.span().size());
    };
    map(text(mapping), text(payload));
    for (const std::string_view each : kMappings) map(each, text(payload));
    return 0;
}
