// The codecs of other people's papers that ours are compared with, each as a codec of a whole column of float8 values.
//
// Written by us from the papers, for test/bench and the unit tests; nothing of the extension uses them. A column is cut into what
// decodes without the rest: granules of 4,096 values as those of our codecs (Gorilla, Chimp, Chimp128), or the paper's row groups
// (ALP), of which each vector of 1,024 values decodes alone once the group's head is known. Every byte that a decoder needs is
// there but the number of values, which whoever keeps the column knows, as with ours.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "reference_codecs/alp.h"

namespace historian::references {

inline constexpr std::size_t kGranule = 4096;

struct ReferenceCodec {
    const char *name;
    /// values   floats' bits
    /// out      reference_bytes_max() bytes
    /// returns  bytes written; out is longer by what a decoder may touch behind them
    std::size_t (*encode)(std::span<const std::int64_t> values, std::byte *out);
    /// in       what encode() wrote of count values, as long as its out
    void (*decode)(const std::byte *in, std::size_t count, const TakeValues &take);
};

inline constexpr std::size_t kReferenceCount = 4;
extern const ReferenceCodec kReferenceCodecs[kReferenceCount];

/// Of any of them.
std::size_t reference_bytes_max(std::size_t count) noexcept;

}  // namespace historian::references
