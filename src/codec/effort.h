// Effort: how much an encoder tries before it chooses. What comes out is decoded alike, and as fast.
#pragma once

#include <cstdint>

namespace historian::codec {

enum class Effort : std::uint8_t {
    normal,  // what a sample says is best
    high,    // every form, and the shortest is kept; texts at zstd's highest level that decodes like the others
};

}  // namespace historian::codec
