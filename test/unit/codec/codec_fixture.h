// What the codec tests share: encode, decode, compare, and say how many bytes it took.
#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <random>
#include <string>
#include <vector>

#include "codec/codec_id.h"
#include "codec/floats.h"
#include "codec/integers.h"
#include "codec/texts.h"
#include "test_arena.h"

namespace historian::test {

using namespace historian::codec;
using Numbers = std::vector<std::int64_t>;
using Bytes = std::vector<std::byte>;

/// Numbers made by a function of their index.
template <typename ValueAt>
Numbers make_numbers(std::size_t count, ValueAt value_at) {
    Numbers numbers(count);
    for (std::size_t i = 0; i < count; ++i) numbers[i] = value_at(i);
    return numbers;
}

inline std::int64_t bits(double value) { return std::bit_cast<std::int64_t>(value); }
inline std::int64_t bits(float value) { return std::bit_cast<std::int32_t>(value); }

class CodecTest : public testing::Test {
protected:
    CodecTest() { EXPECT_TRUE(make_encode_space(arena_, &space_).ok()); }

    template <typename Encode>
    Bytes encode(std::size_t room, Encode encode) {
        Bytes bytes(room);
        ByteWriter out{bytes};
        const Status status = encode(out);
        EXPECT_TRUE(status.ok()) << status.message;
        bytes.resize(out.size());
        return bytes;
    }
    Bytes encode_integers_of(const Numbers &values) {
        return encode(integers_bytes_max(values.size()), [&](ByteWriter &out) { return encode_integers(values, space_, out); });
    }
    Bytes encode_floats_of(const Numbers &values, FloatSize size) {
        return encode(floats_bytes_max(values.size()), [&](ByteWriter &out) { return encode_floats(values, size, space_, out); });
    }

    Status decode_integers_of(const Bytes &bytes, Numbers &values) {
        ByteReader in{bytes};
        const Status status = decode_integers(in, values, arena_);
        return status.ok() ? in.status_at_end() : status;
    }

    /// Encodes, decodes and compares; returns the encoded bytes.
    Bytes check_integers(const Numbers &values) {
        const Bytes bytes = encode_integers_of(values);
        Numbers decoded(values.size());
        const Status status = decode_integers_of(bytes, decoded);
        EXPECT_TRUE(status.ok()) << status.message;
        EXPECT_EQ(decoded, values);
        check_ranges(bytes, values);
        return bytes;
    }
    /// A range is what decoding all gives: single values, neighbours, wide ranges, both ends.
    void check_ranges(const Bytes &bytes, const Numbers &values) {
        check_ranges_by(bytes, values,
                        [&](ByteReader &in, const WantedValues &wanted) { return decode_integer_range(in, wanted, arena_); });
    }
    void check_float_ranges(const Bytes &bytes, const Numbers &values, FloatSize size) {
        check_ranges_by(bytes, values,
                        [&](ByteReader &in, const WantedValues &wanted) { return decode_float_range(in, size, wanted, arena_); });
    }
    template <typename Decode>
    void check_ranges_by(const Bytes &bytes, const Numbers &values, Decode decode) {
        std::mt19937_64 random{values.size()};
        for (int repeat = 0; repeat < 16 && !values.empty(); ++repeat) {
            const std::size_t first = repeat == 0 ? 0 : repeat == 1 ? values.size() - 1 : random() % values.size();
            const std::size_t widest = repeat < 6 ? 1 : repeat < 11 ? 20 : values.size();
            Numbers decoded(1 + random() % std::min(widest, values.size() - first));
            ByteReader in{bytes};
            Status status = decode(in, {values.size(), first, decoded});
            if (status.ok()) status = in.status_at_end();
            EXPECT_TRUE(status.ok()) << status.message << ", " << decoded.size() << " from " << first;
            const auto begin = values.begin() + static_cast<std::ptrdiff_t>(first);
            EXPECT_TRUE(std::equal(decoded.begin(), decoded.end(), begin)) << decoded.size() << " from " << first;
        }
    }
    Bytes check_floats(const Numbers &values, FloatSize size = FloatSize::eight) {
        const Bytes bytes = encode_floats_of(values, size);
        Numbers decoded(values.size());
        ByteReader in{bytes};
        Status status = decode_floats(in, size, decoded, arena_);
        if (status.ok()) status = in.status_at_end();
        EXPECT_TRUE(status.ok()) << status.message;
        EXPECT_EQ(decoded, values);
        return bytes;
    }

    static CodecId id_of(const Bytes &bytes) { return static_cast<CodecId>(bytes.at(0)); }

    TestArena arena_;
    EncodeSpace space_;
};

}  // namespace historian::test
