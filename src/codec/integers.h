// Integer streams: up to kStreamValuesMax 64-bit integers, in the smallest of seven forms.
//
// A stream is self-delimiting once its number of values is known. All arithmetic is modulo 2^64, so any bytes give some values.
//
//     constant_integers      value signed_varint
//     linear_integers        first signed_varint, step signed_varint: value i is first + i * step
//     packed_integers        packed_integers.h
//     run_length_integers    run_count varint, values stream, lengths stream (each >= 1, together the number of values)
//     few_integers           distinct_count varint, distinct values stream, indexes stream (each < distinct_count)
//     stepped_integers       stepped_integers.h
//     joined_integers        first_count varint, stream of so many values, stream of the others: where a step or a divisor
//                            changes, because a meter was exchanged or a scale is another from then on
//
// The streams inside run_length_integers and few_integers are constant, linear or packed; the one inside stepped_integers may be
// these and run_length_integers or few_integers; those inside joined_integers may be anything but joined again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "codec/arena.h"
#include "codec/byte_reader.h"
#include "codec/byte_writer.h"
#include "codec/general.h"
#include "codec/status.h"

namespace historian::codec {

/// What fits an encoder's working space; equal to a granule's largest row count.
inline constexpr std::size_t kStreamValuesMax = 4096;

/// Distinct values above which few_integers is not tried: an index must be much smaller than a value.
inline constexpr std::size_t kFewValuesMax = 64;

/// Working space of the encoders, so that they allocate nothing; every array has kStreamValuesMax elements.
struct EncodeSpace {
    Effort effort = Effort::normal;
    Compressor *compressor = nullptr;
    std::uint64_t *normal = nullptr;         // packed_integers: the values from the first one, divided
    std::uint64_t *residuals = nullptr;      // packed_integers
    std::byte *symbols = nullptr;            // packed_integers: the highest bits of each
    std::int64_t *nested_values = nullptr;   // run_length_integers, few_integers
    std::int64_t *nested_indexes = nullptr;  // run_length_integers, few_integers
    std::int64_t *counts = nullptr;          // stepped_integers
    std::int64_t *mapped = nullptr;          // floats: as integers; texts: indexes into the entries
    std::int64_t *float4s = nullptr;         // floats: float8 values that are such
    std::int64_t *ulps = nullptr;            // floats: how far they are from decimals
    std::int64_t *lengths = nullptr;         // texts
    std::uint32_t *positions = nullptr;      // floats: of the exceptions; texts: of the entries
};

/// errors   out_of_memory
Status make_encode_space(Arena &arena, EncodeSpace *space, Effort effort = Effort::normal) noexcept;

/// Room to encode count values: four forms of whole values beside one another, with the fields before them.
constexpr std::size_t integers_bytes_max(std::size_t count) noexcept { return 128 + 32 * count; }

/// values   at most kStreamValuesMax
/// errors   no_room
Status encode_integers(std::span<const std::int64_t> values, EncodeSpace &space, ByteWriter &out) noexcept;

/// values   output: exactly as many as were encoded, at most kStreamValuesMax
/// arena    for what must be unpacked on the way: at most 16 bytes a value
/// errors   truncated, corrupt, unsupported, out_of_memory
Status decode_integers(ByteReader &in, std::span<std::int64_t> values, Arena &arena) noexcept;

/// Neighbours that are wanted of a stream.
struct WantedValues {
    std::size_t count = 0;           // of the stream
    std::size_t first = 0;           // the first that is wanted
    std::span<std::int64_t> values;  // output: those from there on; first + values.size() <= count
};

/// What decode_integers() gives of some values, without decoding all of them where that is possible: of packed integers the part
/// that they are in, up to the last of them. The reader moves behind the stream.
///
/// arena    as for decode_integers()
/// errors   the same; what is wrong with other values need not be found
Status decode_integer_range(ByteReader &in, const WantedValues &wanted, Arena &arena) noexcept;

/// Any number of values, as consecutive streams of kStreamValuesMax.
Status encode_integer_list(std::span<const std::int64_t> values, EncodeSpace &space, ByteWriter &out) noexcept;
Status decode_integer_list(ByteReader &in, std::span<std::int64_t> values, Arena &arena) noexcept;
constexpr std::size_t integer_list_bytes_max(std::size_t count) noexcept {
    return integers_bytes_max(count) + 64 * (count / kStreamValuesMax);
}

}  // namespace historian::codec
