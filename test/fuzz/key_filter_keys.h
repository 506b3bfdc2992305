// Keys for the fuzzers of filters: few bytes describe many granules and duplicates.
#pragma once

#include "format/key_filter.h"
#include "fuzz_input.h"

namespace historian::fuzz {

using namespace historian::format;

struct FuzzKey {
    std::uint32_t granule = 0;
    std::uint64_t hash = 0;
};

struct FuzzKeys {
    KeyFilterSize size;
    std::vector<FuzzKey> keys;
};

/// Each step adds one key to a run of granules, or goes on to a later granule.
inline FuzzKeys make_keys(FuzzInput &input) {
    FuzzKeys made;
    const std::uint32_t counts[] = {1u + input.u8(), 1u + input.u16(), 2048, 5000};
    made.size.granule_count = counts[input.u8() % 4];
    made.size.places_per_pair = 1 + static_cast<std::uint32_t>(input.u16());
    std::uint32_t granule = 0;
    std::uint64_t hash = 0;
    while (!input.empty() && made.keys.size() < 4000) {
        const std::uint8_t step = input.u8();
        if (step < 32) {
            granule = static_cast<std::uint32_t>(std::min<std::uint64_t>(made.size.granule_count - 1, granule + step + 1));
        } else if (step < 64) {
            for (std::uint32_t i = 0; i < 400u; ++i) made.keys.push_back({granule, hash + (std::uint64_t{i} << (step - 16))});
        } else {
            hash = step < 128 ? hash + (std::uint64_t{step} << 30) : input.number(step % 8 + 1) << 8 * (step / 8 % 8);
            made.keys.push_back({granule, hash});
        }
    }
    return made;
}

}  // namespace historian::fuzz
