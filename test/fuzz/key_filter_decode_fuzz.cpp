// Any bytes as a filter: half of the headers are any bytes too, half are put together so that their blocks are read. Checksums
// are not compared in fuzz builds.
#include <algorithm>

#include "codec/byte_writer.h"
#include "key_filter_keys.h"

namespace {

using namespace historian;
using namespace historian::fuzz;

constexpr std::size_t kHeaderBytesMax = 512;

/// A header with the fields in the order of key_filter.h, some of them impossible.
ExactBytes make_header(FuzzInput &input) {
    std::byte room[kHeaderBytesMax];
    codec::ByteWriter out{room};
    const std::uint32_t granule_count = 1 + input.u8() * (input.u8() % 8);
    const std::uint32_t slot_count = 1 + static_cast<std::uint32_t>(input.number(4));
    const std::uint32_t block_count = input.u8() % 8;
    out.u32(0);
    out.u8(1);
    out.u8(input.u8() % 18);
    out.u16(static_cast<std::uint16_t>(block_count == 0 ? 0 : 5 + input.u16() % kFilterBlockBytes));
    out.u32(granule_count);
    out.u32(slot_count);
    out.u64(input.u16());
    out.u32(block_count);
    for (std::uint32_t i = 0; i < (std::min(granule_count, kFilterGroupsMax) + 7) / 8; ++i) out.u8(0);
    std::uint64_t slot = 0;
    for (std::uint32_t i = 0; i < block_count; ++i) {
        out.u32(static_cast<std::uint32_t>(slot));
        slot += slot_count / 8 + 1;
    }
    return ExactBytes{out.written()};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    FuzzInput input{data, size};
    const bool made = input.u8() % 2 == 0;
    const std::size_t header_bytes = input.u8();
    const std::uint64_t first_hash = input.number(8);
    const ExactBytes header = made ? make_header(input) : ExactBytes{input.rest().first(std::min(header_bytes, input.left()))};
    KeyFilter filter;
    if (!open_key_filter(header.span(), &filter).ok()) return 0;
    check(filter.group_count <= kFilterGroupsMax, "groups are bounded");
    const std::span<const std::byte> codes = input.rest();
    std::vector<std::uint64_t> granules(granule_words(filter.granule_count));
    for (std::uint64_t i = 0; i < 4; ++i) {
        const std::uint64_t hash = first_hash + (i << 62);
        const ByteRange range = key_range(filter, hash);
        check(range.byte_count <= kFilterBlockBytes, "a lookup reads one block");
        check(range.offset + range.byte_count <= filter.blocks_bytes, "a block lies in the filter");
        const ExactBytes block{static_cast<std::size_t>(range.byte_count)};
        std::fill(block.span().begin(), block.span().end(), std::byte{0});
        std::copy_n(codes.begin(), std::min<std::size_t>(codes.size(), block.span().size()), block.span().begin());
        std::fill(granules.begin(), granules.end(), ~std::uint64_t{0});
        static_cast<void>(narrow_granules(filter, hash, block.span(), granules));
    }
    return 0;
}
