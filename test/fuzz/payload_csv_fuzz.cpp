// Any bytes as CSV, with each header and another delimiter: rows or errors, each record for itself.
#include "payload_checks.h"

using namespace historian::bgworker;

extern "C" int LLVMFuzzerTestOneInput(const unsigned char *data, std::size_t size) {
    ParseContext context = in_format(PayloadFormat::csv);
    for (const CsvHeader header : {CsvHeader::none, CsvHeader::skip, CsvHeader::columns}) {
        context.options.header = header;
        context.options.delimiter = header == CsvHeader::skip ? ';' : ',';
        check_payload({reinterpret_cast<const char *>(data), size}, context);
    }
    return 0;
}
