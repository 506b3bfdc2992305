// Status: the one error type of the pure layers.
//
// Pure code never throws, logs or aborts on bad bytes: it returns a Status, and the engine's report.cpp turns it into ereport.
#pragma once

#include <cstdint>

namespace historian {

enum class StatusCode : std::uint8_t {
    ok,             ///< All went well.
    truncated,      ///< The input ends before the value does.
    corrupt,        ///< The input contradicts itself or its checksum.
    no_room,        ///< The output does not fit the space that the caller gave.
    unsupported,    ///< A version or codec number this build does not know.
    out_of_memory,  ///< The arena gave nothing.
    too_large,      ///< A limit of format/version.h is exceeded.
};

/// What happened; `message` is a static text: a lower-case phrase without a full stop, for errdetail.
struct [[nodiscard]] Status {
    StatusCode code = StatusCode::ok;
    const char *message = "";

    bool ok() const noexcept { return code == StatusCode::ok; }
    static Status success() noexcept { return {}; }
};

}  // namespace historian
