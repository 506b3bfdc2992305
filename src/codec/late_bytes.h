// Late bytes: a stream of which only the beginning is in memory at first. Who decodes it asks for the rest when it is needed.
#pragma once

#include <cstddef>

#include "codec/status.h"

namespace historian::codec {

struct LateBytes {
    /// Brings the rest to its place; nullptr: all bytes are there. It may leave by longjmp: no frame that calls it has a
    /// destructor.
    Status (*load)(void *owner) noexcept = nullptr;
    void *owner = nullptr;
    std::size_t loaded = 0;  // bytes of the stream that are there
};

}  // namespace historian::codec
