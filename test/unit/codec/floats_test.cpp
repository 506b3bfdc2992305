#include <cmath>
#include <limits>

#include "codec_fixture.h"

namespace historian::test {
namespace {

using FloatsTest = CodecTest;
using Double = std::numeric_limits<double>;

TEST_F(FloatsTest, DecimalsAreScaledIntegers) {
    for (int decimals = 0; decimals <= 12; ++decimals) {
        const double power = std::pow(10.0, decimals);
        const Bytes bytes =
            check_floats(make_numbers(1000, [&](std::size_t i) { return bits(static_cast<double>(i * 7919 % 1000) / power); }));
        EXPECT_EQ(id_of(bytes), CodecId::decimal_floats) << decimals;
        EXPECT_LT(bytes.size(), 1300u) << decimals;
    }
}

TEST_F(FloatsTest, TheSmallestExponentIsFound) {
    const Bytes bytes =
        encode_floats_of(make_numbers(100, [](std::size_t i) { return bits(static_cast<double>(i) / 100); }), FloatSize::eight);
    EXPECT_EQ(static_cast<int>(bytes.at(1)), 2);
}

TEST_F(FloatsTest, EveryBitOfSpecialValuesIsKept) {
    const Numbers special = {bits(0.0),
                             bits(-0.0),
                             bits(Double::infinity()),
                             bits(-Double::infinity()),
                             bits(Double::denorm_min()),
                             bits(-Double::denorm_min()),
                             bits(Double::min()),
                             bits(Double::max()),
                             bits(Double::lowest()),
                             0x7ff8000000000000,
                             0x7ff0000000000001,  // a signalling NaN
                             0x7fffffffffffffff,
                             static_cast<std::int64_t>(0xfff8000000000123),
                             bits(9007199254740993.0),
                             bits(0.1),
                             bits(-1e-300)};
    check_floats(special);
    for (const std::int64_t value : special) {
        check_floats({value});
        check_floats(Numbers(4096, value));
        for (const std::size_t every : {2u, 9u, 100u}) {
            check_floats(
                make_numbers(1000, [&](std::size_t i) { return i % every == 1 ? value : bits(static_cast<double>(i) / 10); }));
        }
    }
}

TEST_F(FloatsTest, EveryBitOfSpecialFloat4sIsKept) {
    using Float = std::numeric_limits<float>;
    const Numbers special = {bits(0.0f),
                             bits(-0.0f),
                             bits(Float::infinity()),
                             bits(-Float::infinity()),
                             bits(Float::denorm_min()),
                             bits(Float::max()),
                             0x7fc00000,
                             0x7f800001,
                             std::int64_t{INT32_MIN} + 0x7fc01234,
                             bits(0.1f)};
    check_floats(special, FloatSize::four);
    for (const std::int64_t value : special) {
        check_floats({value}, FloatSize::four);
        check_floats(make_numbers(1000, [&](std::size_t i) { return i % 9 == 1 ? value : bits(static_cast<float>(i) / 10); }),
                     FloatSize::four);
    }
}

/// Means of five decimals, which miss the nearest decimal by a few units in the last place.
template <typename Float>
Numbers means_of_five(std::size_t count, unsigned seed) {
    std::mt19937_64 random{seed};
    return make_numbers(count, [&](std::size_t) {
        Float sum = 0;
        for (int i = 0; i < 5; ++i) sum += static_cast<Float>(static_cast<int>(random() % 2000) - 1000) / 100;
        return bits(sum / 5);
    });
}

TEST_F(FloatsTest, DecimalsThatASampleMissesAreScaledIntegers) {
    std::mt19937_64 random{8};
    for (const std::size_t every : {3u, 6u, 20u}) {
        // Each 96th value is 0: midnight, of values each quarter of an hour.
        const Bytes bytes = check_floats(make_numbers(3072, [&](std::size_t i) {
            return bits(i % 96 == 0 || random() % every != 0 ? 0.0 : static_cast<double>(random() % 5000) / 100);
        }));
        EXPECT_EQ(id_of(bytes), CodecId::decimal_floats) << every;
        EXPECT_LT(bytes.size(), 3072 * 3 / every + 3072 / 8 + 300) << every;
    }
}

TEST_F(FloatsTest, MeansOfDecimalsAreNearDecimals) {
    const Bytes bytes = check_floats(means_of_five<double>(4096, 4));
    EXPECT_EQ(id_of(bytes), CodecId::near_decimal_floats);
    EXPECT_LT(bytes.size(), 4096 * 9 / 4u);
    check_float_ranges(bytes, means_of_five<double>(4096, 4), FloatSize::eight);
    const Numbers float4s = means_of_five<float>(4096, 5);
    check_float_ranges(check_floats(float4s, FloatSize::four), float4s, FloatSize::four);
}

TEST_F(FloatsTest, ExceptionsBesideNearDecimalsAreKept) {
    Numbers values = means_of_five<double>(1000, 6);
    values[0] = bits(-0.0);
    values[500] = 0x7ff0000000000001;
    values[501] = bits(-1e300);
    values[999] = bits(Double::infinity());
    const Bytes bytes = check_floats(values);
    EXPECT_EQ(id_of(bytes), CodecId::near_decimal_floats);
    check_float_ranges(bytes, values, FloatSize::eight);
}

TEST_F(FloatsTest, AnyDistanceFromADecimalIsKept) {
    std::mt19937_64 random{7};
    for (const std::int64_t farthest : {0, 1, 7, 8, 40}) {
        for (const double sign : {1.0, -1.0}) {
            check_floats(make_numbers(1000, [&](std::size_t) {
                const double decimal = sign * static_cast<double>(random() % 100000) / 1000;
                return bits(decimal) + static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(2 * farthest + 1)) -
                       farthest;
            }));
        }
    }
}

TEST_F(FloatsTest, Float4DecimalsAreScaledIntegers) {
    const Bytes bytes = check_floats(
        make_numbers(1000, [](std::size_t i) { return bits(static_cast<float>(i % 300) / 10 + 5.5f); }), FloatSize::four);
    EXPECT_EQ(id_of(bytes), CodecId::decimal_floats);
}

TEST_F(FloatsTest, NoiseOfFullPrecisionIsKept) {
    std::mt19937_64 random{1};
    std::normal_distribution<double> gauss;
    const Bytes bytes = check_floats(make_numbers(
        4096, [&](std::size_t i) { return bits(50 + 10 * std::sin(static_cast<double>(i) / 95) + 1.5 * gauss(random)); }));
    EXPECT_EQ(id_of(bytes), CodecId::ordered_floats);
    EXPECT_LT(bytes.size(), 4096 * 6.35);
}

TEST_F(FloatsTest, DoublesOfFloat4PrecisionTakeFourBytes) {
    std::mt19937_64 random{2};
    std::normal_distribution<double> gauss;
    const Bytes bytes = check_floats(
        make_numbers(4096, [&](std::size_t) { return bits(static_cast<double>(static_cast<float>(gauss(random)))); }));
    EXPECT_LT(bytes.size(), 4096 * 4u);
}

TEST_F(FloatsTest, DoublesOfFloat4DecimalsTakeWhatTheDecimalsTake) {
    std::mt19937_64 random{9};
    for (const double scale : {1.0, 100.0, -300.0}) {
        const Numbers values = make_numbers(4096, [&](std::size_t) {
            return bits(static_cast<double>(static_cast<float>(static_cast<double>(random() % 1000) * scale / 1000)));
        });
        const Bytes bytes = check_floats(values);
        EXPECT_EQ(id_of(bytes), CodecId::widened_floats) << scale;
        EXPECT_LT(bytes.size(), 4096 * 11 / 8u) << scale;
        check_float_ranges(bytes, values, FloatSize::eight);
    }
}

TEST_F(FloatsTest, DoublesThatAreNoFloat4sAmongOthersAreKept) {
    const Numbers special = {bits(-0.0), bits(Double::infinity()), 0x7ff0000000000001, bits(1e300), bits(1e-40), bits(0.1)};
    for (const std::int64_t value : special) {
        Numbers values = make_numbers(500, [](std::size_t i) { return bits(static_cast<double>(static_cast<float>(i) / 10)); });
        values[250] = value;
        check_floats(values);
    }
}

TEST_F(FloatsTest, RandomBitsAreKept) {
    std::mt19937_64 random{3};
    for (const std::size_t count : {1u, 2u, 3u, 100u, 4096u}) {
        check_floats(make_numbers(count, [&](std::size_t) { return static_cast<std::int64_t>(random()); }));
        check_floats(make_numbers(count, [&](std::size_t) { return static_cast<std::int32_t>(random()); }), FloatSize::four);
    }
}

/// However the CPU divides.
template <FloatSize Size>
void expect_quotients(std::span<const std::int64_t> scaled) {
    for (unsigned exponent = 0; exponent <= kExponentMax; ++exponent) {
        Numbers values(scaled.begin(), scaled.end());
        unscale_all<Size>(values, exponent);
        for (std::size_t i = 0; i < values.size(); ++i) {
            const double quotient = static_cast<double>(scaled[i]) / kPowersOfTen[exponent];
            ASSERT_EQ(values[i], float_bits<Size>(quotient)) << scaled[i] << " / 1e" << exponent;
        }
    }
}

TEST(Decimals, AreTheCorrectlyRoundedQuotients) {
    const std::uint64_t seed = std::random_device{}();
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937_64 random{seed};
    Numbers scaled = {0, 1, -1, kScaledLimit - 1, 1 - kScaledLimit};
    while (scaled.size() < 200'003) {
        const auto number = static_cast<std::int64_t>(random() >> (13 + random() % 51));
        scaled.push_back(random() % 2 == 0 ? number : -number);
    }
    // Those whose quotients lie nearest to the middle between two doubles: a = 5^e M / 2^k, rounded, for odd M of 54 bits.
    for (std::int64_t power = 5, e = 1; e <= 15; ++e, power *= 5) {
        for (int i = 0; i < 1000; ++i) {
            const std::uint64_t middle = (random() >> 10) | (std::uint64_t{1} << 53) | 1;
            const auto product = static_cast<unsigned __int128>(middle) * static_cast<std::uint64_t>(power);
            for (int k = 54; k < 90; ++k) {
                const auto near = static_cast<std::uint64_t>(product >> k);
                if (near < static_cast<std::uint64_t>(kScaledLimit) - 1) {
                    scaled.push_back(static_cast<std::int64_t>(near));
                    scaled.push_back(static_cast<std::int64_t>(near + 1));
                    break;
                }
            }
        }
    }
    expect_quotients<FloatSize::eight>(scaled);
    expect_quotients<FloatSize::four>(scaled);
}

}  // namespace
}  // namespace historian::test
