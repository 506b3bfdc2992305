#include "codec_targets.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    using namespace historian::fuzz;
    return decode_any<Classes>(data, size);
}
