// Stepped integers: multiples of a step that is no whole number, each rounded down.
//
// A sensor with a converter of 1/16 degree tells 24.94, 25.00, 25.06, 25.13 in hundredths: its values are few, but no divisor is
// common to them. A meter whose pulse is 1/79 of 60 units tells five decimals that mean nothing. Counting steps takes away the
// bits of the rounding.
//
// Layout, after the codec number (varints as in byte_writer.h):
//     fraction_bits u8              1 to 61
//     step          varint          in units of 2^-fraction_bits
//     phase         signed_varint   the same
//     origin        signed_varint
//     counts        stream of integers, of any other form
//
//     value[i]      origin + floor((counts[i] * step + phase) / 2^fraction_bits), all modulo 2^64
#pragma once

#include "codec/integers.h"

namespace historian::codec {

/// How values are steps from the smallest of them.
struct Steps {
    unsigned fraction_bits = 0;
    std::uint64_t step = 0;
    std::int64_t phase = 0;
    std::int64_t origin = 0;
};

/// Whether the values are such; fills space.counts then. Most others are refused after a look at some of them.
bool find_steps(std::span<const std::int64_t> values, EncodeSpace &space, Steps *steps) noexcept;

/// How many of the first values, or of the last, have one step: probe_count of them at least, or 0. Of those that it counts
/// find_steps() mostly finds the step.
///
/// probe_count   32 to values.size()
std::size_t count_stepped(std::span<const std::int64_t> values, bool is_first, std::size_t probe_count,
                          EncodeSpace &space) noexcept;

/// What comes before the counts, the codec number included.
void write_steps(const Steps &steps, ByteWriter &out) noexcept;

/// After the codec number.
///
/// errors   truncated, corrupt
Status read_steps(ByteReader &in, Steps *steps) noexcept;

/// From counts to values.
void undo_steps(const Steps &steps, std::span<std::int64_t> values) noexcept;

}  // namespace historian::codec
