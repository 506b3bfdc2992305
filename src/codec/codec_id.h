// Codec numbers as they are stored on disk: never reuse or renumber one.
//
// Every stream of a chunk begins with one of them. What follows is described in the header of the codec's own file.
#pragma once

#include <cstdint>

namespace historian::codec {

enum class CodecId : std::uint8_t {
    reserved = 0,  // zeroed bytes are never a valid stream

    // Around any other stream: nulls.h.
    all_null = 1,
    nullable = 2,

    // Integers: integers.h, packed_integers.h, stepped_integers.h (below).
    constant_integers = 3,
    linear_integers = 4,
    packed_integers = 5,
    run_length_integers = 6,
    few_integers = 7,

    // Floats: floats.h. A float column may also hold an integer stream, of the floats' bits.
    decimal_floats = 8,
    ordered_floats = 9,

    // Byte strings: texts.h.
    plain_texts = 10,
    dictionary_texts = 11,

    // The tag column of a granule: format/tag_runs.h.
    tag_runs = 12,

    // Log messages: templates.h. A granule of messages may also be a text stream.
    template_model = 13,
    template_texts = 14,

    stepped_integers = 15,
    near_decimal_floats = 16,
    joined_integers = 17,
    widened_floats = 18,
};

}  // namespace historian::codec
