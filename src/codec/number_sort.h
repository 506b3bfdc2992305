// Sorting of plain numbers in time that does not depend on their values, so that nobody can choose data that takes long.
#pragma once

#include <cstddef>
#include <cstdint>

namespace historian::codec {

/// Sorts ascending, by counting digits of up to 11 bits, the lowest first.
///
/// values    count numbers below 2^bits; sorted in place
/// scratch   room for as many
/// bits      1 to 32: fewer bits, fewer passes
/// source    Knuth, The Art of Computer Programming 3, 5.2.5, algorithm R
void sort_numbers(std::uint32_t *values, std::uint32_t *scratch, std::size_t count, unsigned bits) noexcept;

}  // namespace historian::codec
