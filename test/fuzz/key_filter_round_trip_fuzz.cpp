// A filter of the fuzzer's keys finds every one of them.
#include "key_filter_keys.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    using namespace historian;
    using namespace historian::fuzz;
    FuzzInput input{data, size};
    const FuzzKeys made = make_keys(input);
    TestArena arena;
    KeyFilterBuilder *builder = nullptr;
    check(create_key_filter(arena, made.size, &builder).ok(), "the sizes are valid");
    for (const FuzzKey &key : made.keys) add_key(*builder, key.granule, key.hash);
    KeyFilterBytes bytes;
    check(finish_key_filter(*builder, &bytes).ok(), "a filter is made");

    const ExactBytes header{bytes.header};
    KeyFilter filter;
    check(open_key_filter(header.span(), &filter).ok(), "the header is valid");
    check(filter.blocks_bytes == bytes.blocks.size(), "the header knows the blocks");
    check(filter.pair_count <= made.keys.size(), "no key is counted twice");
    std::vector<std::uint64_t> granules(granule_words(filter.granule_count));
    for (std::size_t i = 0; i < made.keys.size(); i += 1 + made.keys.size() / 256) {
        const FuzzKey &key = made.keys[i];
        const ByteRange range = key_range(filter, key.hash);
        check(range.byte_count > 0 && range.offset + range.byte_count <= bytes.blocks.size(), "a block lies in the filter");
        const ExactBytes block{bytes.blocks.subspan(range.offset, range.byte_count)};
        std::fill(granules.begin(), granules.end(), ~std::uint64_t{0});
        check(narrow_granules(filter, key.hash, block.span(), granules).ok(), "a block is valid");
        check((granules[key.granule / 64] >> key.granule % 64 & 1) != 0, "a key that was added is found");
    }
    return 0;
}
