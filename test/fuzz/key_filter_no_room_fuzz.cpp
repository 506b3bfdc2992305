// A builder whose arena runs dry says so at the end, and adding keys goes on to be safe.
#include "key_filter_keys.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    using namespace historian;
    using namespace historian::fuzz;
    FuzzInput input{data, size};
    const std::size_t arena_bytes = std::size_t{input.u16()} * 64;
    const FuzzKeys made = make_keys(input);
    TestArena arena{arena_bytes};
    KeyFilterBuilder *builder = nullptr;
    Status status = create_key_filter(arena, made.size, &builder);
    check(status.ok() || status.code == StatusCode::out_of_memory, "a dry arena is said to be one");
    if (!status.ok()) return 0;
    for (const FuzzKey &key : made.keys) add_key(*builder, key.granule, key.hash);
    KeyFilterBytes bytes;
    status = finish_key_filter(*builder, &bytes);
    check(status.ok() || status.code == StatusCode::out_of_memory, "a dry arena is said to be one");
    return 0;
}
