// Times of payloads: nanoseconds since 1970, exactly. Pure: decimal arithmetic, no floating point.
#pragma once

#include <cstdint>
#include <string_view>

namespace historian::bgworker {

enum class TimeFault : std::uint8_t { none, not_integral, out_of_range };

/// Converts a JSON number, nanoseconds since 1970-01-01 UTC, to microseconds since 2000-01-01 UTC (PostgreSQL's timestamptz).
///
/// number   as JSON writes it: 1700000000123456789, also 1.7e18 when that is integral; anything else is not_integral
/// rounds   down to the microsecond: -1 ns is -1 us
/// errors   out_of_range: not a 64-bit number of nanoseconds, years 1677 to 2262
TimeFault parse_nanoseconds(std::string_view number, std::int64_t *microseconds) noexcept;

}  // namespace historian::bgworker
