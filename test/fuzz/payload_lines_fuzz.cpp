// Any bytes as line protocol, for a table of points and for one of records, and as a plain number: rows or errors.
#include "payload_checks.h"

using namespace historian::bgworker;

extern "C" int LLVMFuzzerTestOneInput(const unsigned char *data, std::size_t size) {
    const std::string_view bytes(reinterpret_cast<const char *>(data), size);
    constexpr std::string_view kPointColumns[] = {"name", "time", "value", "a", "b"};
    constexpr std::string_view kRecordColumns[] = {"a", "ts", "b", "measurement"};
    const TableShape points{kPointColumns, 5, 0, 1, 2};
    const TableShape records{kRecordColumns, 4, 0, 1, 2};
    ParseContext context = in_format(PayloadFormat::line_protocol);
    for (const TableShape *shape : {&points, &records}) {
        context.shape = shape;
        check_payload(bytes, context);
    }
    context.options.format = PayloadFormat::number;
    context.topic = "plant/7";
    check_payload(bytes, context);
    context.topic = bytes;
    check_payload("3.25", context);
    return 0;
}
