// Which values an encoder looks at, when it does not look at all.
#pragma once

#include <cstddef>
#include <cstdint>

namespace historian::codec {

/// Position of sample i of sample_count: one in each of as many equal parts, at places that follow no rhythm. At equal distances
/// a sample of a day's rows would show the same minute of every hour.
///
/// i              below sample_count, which is at most value_count
/// value_count    below 2^32
constexpr std::size_t sample_position(std::size_t i, std::size_t sample_count, std::size_t value_count) noexcept {
    const std::size_t begin = i * value_count / sample_count;
    const std::size_t size = (i + 1) * value_count / sample_count - begin;
    // The multiples of the golden ratio modulo 1 are spread evenly.
    const std::uint64_t fraction = (i * 0x9E3779B97F4A7C15u) >> 32;
    return begin + static_cast<std::size_t>(fraction * size >> 32);
}

}  // namespace historian::codec
