#include "reference_codecs/reference_codec.h"

#include <algorithm>
#include <array>

#include "reference_codecs/alp.h"
#include "reference_codecs/bit_stream.h"
#include "reference_codecs/chimp.h"
#include "reference_codecs/gorilla.h"

namespace historian::references {
namespace {

template <auto Encode, std::size_t Unit>
std::size_t encode_column(std::span<const std::int64_t> values, std::byte *out) {
    std::size_t bytes = 0;
    for (std::size_t at = 0; at < values.size(); at += Unit) {
        bytes += Encode(values.subspan(at, std::min(Unit, values.size() - at)), out + bytes);
    }
    return bytes;
}

template <auto Decode>
void decode_granules(const std::byte *in, std::size_t count, const TakeValues &take) {
    std::array<std::int64_t, kGranule> decoded;
    for (std::size_t at = 0; at < count; at += kGranule) {
        const std::span values{decoded.data(), std::min(kGranule, count - at)};
        in += Decode(in, values);
        take(values);
    }
}

void decode_row_groups(const std::byte *in, std::size_t count, const TakeValues &take) {
    for (std::size_t at = 0; at < count; at += kAlpRowGroup) in += decode_alp(in, std::min(kAlpRowGroup, count - at), take);
}

}  // namespace

const ReferenceCodec kReferenceCodecs[kReferenceCount] = {
    {"gorilla", encode_column<encode_gorilla_values, kGranule>, decode_granules<decode_gorilla_values>},
    {"chimp", encode_column<encode_chimp, kGranule>, decode_granules<decode_chimp>},
    {"chimp128", encode_column<encode_chimp128, kGranule>, decode_granules<decode_chimp128>},
    {"alp", encode_column<encode_alp, kAlpRowGroup>, decode_row_groups},
};

std::size_t reference_bytes_max(std::size_t count) noexcept {
    const std::size_t granules = (count + kGranule - 1) / kGranule;
    const std::size_t streams = std::max(gorilla_bytes_max(0), chimp_bytes_max(0)) * granules + gorilla_bytes_max(count);
    return std::max(streams, alp_bytes_max(count) + 32 * (count / kAlpRowGroup)) + kSlackBytes;
}

}  // namespace historian::references
