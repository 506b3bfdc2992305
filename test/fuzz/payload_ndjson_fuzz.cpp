// Any bytes as NDJSON: rows or errors, each line for itself.
#include "payload_checks.h"

using namespace historian::bgworker;

extern "C" int LLVMFuzzerTestOneInput(const unsigned char *data, std::size_t size) {
    check_payload({reinterpret_cast<const char *>(data), size}, in_format(PayloadFormat::ndjson));
    return 0;
}
