#include <cstdint>

#include "codec_fixture.h"

namespace historian::test {
namespace {

using IntegersTest = CodecTest;

TEST_F(IntegersTest, ConstantTakesAHandfulOfBytes) {
    EXPECT_EQ(check_integers(Numbers(4096, 7)).size(), 2u);
    EXPECT_EQ(check_integers(Numbers(4096, INT64_MIN)).size(), 11u);
}

TEST_F(IntegersTest, SteadyPeriodTakesAHandfulOfBytes) {
    const Bytes bytes = check_integers(
        make_numbers(4096, [](std::size_t i) { return 820454400000000 + static_cast<std::int64_t>(i) * 1000000; }));
    EXPECT_EQ(id_of(bytes), CodecId::linear_integers);
    EXPECT_LE(bytes.size(), 16u);
}

TEST_F(IntegersTest, KeepsNothingAndOneAndTwoValues) {
    check_integers({});
    check_integers({INT64_MAX});
    check_integers({INT64_MIN, INT64_MAX});
    check_integers({INT64_MAX, INT64_MIN, 0});
}

TEST_F(IntegersTest, KeepsBothEndsOfTheRange) {
    std::mt19937_64 random{1};
    for (const std::size_t count : {3u, 64u, 1000u, 4096u}) {
        check_integers(make_numbers(count, [](std::size_t i) { return i % 2 == 0 ? INT64_MIN : INT64_MAX; }));
        check_integers(
            make_numbers(count, [](std::size_t i) { return i % 3 == 0 ? INT64_MIN : INT64_MAX - static_cast<std::int64_t>(i); }));
        check_integers(make_numbers(count, [&](std::size_t) { return static_cast<std::int64_t>(random()); }));
    }
}

TEST_F(IntegersTest, KeepsEveryWidth) {
    std::mt19937_64 random{2};
    for (unsigned width = 1; width <= 64; ++width) {
        for (const std::size_t count : {2u, 7u, 9u, 100u, 1001u}) {
            check_integers(make_numbers(count, [&](std::size_t) { return static_cast<std::int64_t>(random() >> (64 - width)); }));
        }
    }
}

TEST_F(IntegersTest, FindsACommonDivisor) {
    std::mt19937_64 random{3};
    const Bytes bytes =
        check_integers(make_numbers(4096, [&](std::size_t) { return static_cast<std::int64_t>(random() % 16) * 1000000 + 17; }));
    EXPECT_LT(bytes.size(), 4096 / 2 + 100u);
}

TEST_F(IntegersTest, OutliersDoNotWidenTheRest) {
    std::mt19937_64 random{4};
    for (const std::int64_t outlier : {INT64_MAX, INT64_MIN, std::int64_t{-1} << 40}) {
        const Bytes bytes = check_integers(make_numbers(
            4096, [&](std::size_t i) { return i % 512 == 5 ? outlier : static_cast<std::int64_t>(random() % 1024); }));
        EXPECT_LT(bytes.size(), 4096 * 10 / 8 + 400u);
    }
}

TEST_F(IntegersTest, CountersArePredictedByTheirLastValue) {
    std::mt19937_64 random{5};
    std::int64_t counter = 123456789;
    const Bytes bytes =
        check_integers(make_numbers(4096, [&](std::size_t) { return counter += static_cast<std::int64_t>(random() % 8); }));
    EXPECT_LT(bytes.size(), 4096 * 3 / 8 + 32u);
}

TEST_F(IntegersTest, JitterOfASteadyClockCostsOnlyItsWidth) {
    std::mt19937_64 random{6};
    const Bytes bytes =
        check_integers(make_numbers(4096, [&](std::size_t i) { return static_cast<std::int64_t>(i * 10000 + random() % 400); }));
    EXPECT_LT(bytes.size(), 4096 * 9 / 8 + 64u);
}

/// Multiples of numerator / denominator, rounded half up; their counts walk at random.
Numbers rounded_steps(std::size_t count, std::int64_t numerator, std::int64_t denominator, std::int64_t first, unsigned seed) {
    std::mt19937_64 random{seed};
    std::int64_t steps = first;
    return make_numbers(count, [&](std::size_t) {
        steps += static_cast<std::int64_t>(random() % 17) - 8;
        const std::int64_t twice = 2 * steps * numerator + denominator;
        return twice >= 0 ? twice / (2 * denominator) : -((2 * denominator - 1 - twice) / (2 * denominator));
    });
}

TEST_F(IntegersTest, StepsCostWhatTheirCountsDo) {
    struct Case {
        std::int64_t numerator, denominator, first;
    };
    // Hundredths of a degree by sixteenths; five decimals of 60/79; 3.6; around 0; a step of 2^21.
    for (const auto [numerator, denominator, first] :
         {Case{100, 16, 400}, Case{6000000, 79, 50000}, Case{36, 10, 900}, Case{100, 16, 0}, Case{6291457, 3, -20000}}) {
        for (const std::size_t count : {100u, 1000u, 4096u}) {
            const Bytes bytes = check_integers(rounded_steps(count, numerator, denominator, first, 21));
            const Bytes counts = check_integers(rounded_steps(count, 1, 1, first, 21));
            if (count >= 1000)
                EXPECT_EQ(id_of(bytes), CodecId::stepped_integers) << numerator << "/" << denominator << ", " << count;
            EXPECT_LE(bytes.size(), counts.size() + 32) << numerator << "/" << denominator << ", " << count;
        }
    }
}

TEST_F(IntegersTest, WholeStepsAreADivisor) {
    EXPECT_EQ(id_of(check_integers(rounded_steps(1000, 25, 1, 400, 22))), CodecId::packed_integers);
}

TEST_F(IntegersTest, AStepThatChangesPartsTheStream) {
    for (const std::size_t cut : {300u, 2000u, 3500u}) {
        Numbers values = rounded_steps(cut, 6000000, 79, 50000, 23);
        const Numbers later = rounded_steps(4096 - cut, 6000000, 83, 52000, 24);
        const std::size_t apart = encode_integers_of(values).size() + encode_integers_of(later).size();
        values.insert(values.end(), later.begin(), later.end());
        const Bytes bytes = check_integers(values);
        EXPECT_EQ(id_of(bytes), CodecId::joined_integers) << cut;
        EXPECT_LE(bytes.size(), apart + 16) << cut;
    }
}

TEST_F(IntegersTest, AStepThatEndsOrBeginsPartsTheStream) {
    std::mt19937_64 random{25};
    const Numbers noise = make_numbers(1000, [&](std::size_t) { return static_cast<std::int64_t>(random() % (1u << 30)); });
    const Numbers stepped = rounded_steps(3000, 6000000, 79, 50000, 26);
    for (const bool is_first : {true, false}) {
        Numbers values = is_first ? stepped : noise;
        const Numbers &others = is_first ? noise : stepped;
        values.insert(values.end(), others.begin(), others.end());
        EXPECT_EQ(id_of(check_integers(values)), CodecId::joined_integers) << is_first;
    }
}

TEST_F(IntegersTest, OneValueBesideTheStepsPartsThem) {
    for (const std::size_t at : {0u, 500u, 999u}) {
        Numbers values = rounded_steps(1000, 6000000, 79, 50000, 27);
        values[at] += 40000;
        const CodecId id = id_of(check_integers(values));
        EXPECT_TRUE(id == CodecId::joined_integers || id == CodecId::packed_integers) << at;
    }
}

TEST_F(IntegersTest, RejectsImpossibleJoins) {
    Numbers values = rounded_steps(2000, 6000000, 79, 50000, 28);
    const Numbers later = rounded_steps(2000, 6000000, 83, 52000, 29);
    values.insert(values.end(), later.begin(), later.end());
    const Bytes bytes = encode_integers_of(values);
    ASSERT_EQ(id_of(bytes), CodecId::joined_integers);
    Bytes too_long = bytes;
    too_long[2] = std::byte{0x7f};  // the high bits of how many values the first stream has
    Bytes nested = {bytes[0], std::byte{10}};
    nested.insert(nested.end(), bytes.begin(), bytes.end());
    for (const Bytes &broken : {too_long, nested}) EXPECT_FALSE(decode_integers_of(broken, values).ok());
}

TEST_F(IntegersTest, ValuesThatMostlyStayCostTheirChanges) {
    std::mt19937_64 random{30};
    std::int64_t level = 10000;
    const Bytes bytes = check_integers(make_numbers(4096, [&](std::size_t) {
        if (random() % 20 == 0) level += static_cast<std::int64_t>(random() % 2000) - 1000;
        return level;
    }));
    EXPECT_LT(bytes.size(), 700u);
}

TEST_F(IntegersTest, SpikesAboveZeroTakeTheirOwnBits) {
    std::mt19937_64 random{31};
    const Bytes bytes = check_integers(make_numbers(
        4096, [&](std::size_t) { return random() % 4 != 0 ? 0 : static_cast<std::int64_t>(random() >> (34 + random() % 28)); }));
    EXPECT_EQ(id_of(bytes), CodecId::packed_integers);
    EXPECT_LT(bytes.size(), 4096 / 4 * 3u + 500u);
}

TEST_F(IntegersTest, WideAndNarrowNumbersOfAnySignAreKept) {
    std::mt19937_64 random{32};
    for (int trial = 0; trial < 300; ++trial) {
        const unsigned widest = 1 + random() % 63;
        check_integers(make_numbers(64 + random() % 1500, [&](std::size_t) {
            const auto size = static_cast<std::int64_t>(random() >> (64 - (1 + random() % widest)));
            return trial % 2 == 0 && random() % 2 == 0 ? -size : size;
        }));
    }
}

TEST_F(IntegersTest, StepsKeepAnyValues) {
    std::mt19937_64 random{24};
    for (int trial = 0; trial < 2000; ++trial) {
        const auto denominator = static_cast<std::int64_t>(1 + random() % 1000);
        const std::int64_t numerator = denominator * 2 + static_cast<std::int64_t>(random() % (1u << random() % 24));
        Numbers values =
            rounded_steps(32 + random() % 300, numerator, denominator, static_cast<std::int64_t>(random() % 100000), trial);
        if (trial % 3 == 0) {
            for (std::int64_t &value : values) value += static_cast<std::int64_t>(random() % 3) - 1;
        }
        check_integers(values);
    }
}

TEST_F(IntegersTest, LongRunsCostTheirChanges) {
    const Bytes bytes =
        check_integers(make_numbers(4096, [](std::size_t i) { return static_cast<std::int64_t>(i / 100 * 7919 % 1000); }));
    EXPECT_EQ(id_of(bytes), CodecId::run_length_integers);
    EXPECT_LT(bytes.size(), 150u);
}

TEST_F(IntegersTest, FewWideValuesBecomeIndexes) {
    std::mt19937_64 random{7};
    Numbers few(10);
    for (std::int64_t &value : few) value = static_cast<std::int64_t>(random());
    const Bytes bytes = check_integers(make_numbers(1000, [&](std::size_t) { return few[random() % few.size()]; }));
    EXPECT_EQ(id_of(bytes), CodecId::few_integers);
    EXPECT_LT(bytes.size(), 650u);
}

TEST_F(IntegersTest, RejectsRunsInsideRuns) {
    Bytes bytes =
        check_integers(make_numbers(4096, [](std::size_t i) { return static_cast<std::int64_t>(i / 100 * 7919 % 1000); }));
    ASSERT_EQ(id_of(bytes), CodecId::run_length_integers);
    bytes[2] = static_cast<std::byte>(CodecId::run_length_integers);  // after the codec number and a run count below 128
    Numbers decoded(4096);
    EXPECT_EQ(decode_integers_of(bytes, decoded).code, StatusCode::unsupported);
}

TEST_F(IntegersTest, EveryCutOffStreamIsRefused) {
    std::mt19937_64 random{8};
    for (const Numbers &values :
         {make_numbers(200, [&](std::size_t) { return static_cast<std::int64_t>(random() % 50); }),
          make_numbers(200, [&](std::size_t i) { return static_cast<std::int64_t>(i / 50) << 40; }),
          make_numbers(200, [&](std::size_t i) { return i % 40 == 3 ? INT64_MAX : static_cast<std::int64_t>(i % 7); })}) {
        const Bytes bytes = encode_integers_of(values);
        for (std::size_t size = 0; size < bytes.size(); ++size) {
            Numbers decoded(values.size());
            EXPECT_FALSE(
                decode_integers_of(Bytes(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)), decoded).ok());
        }
    }
}

TEST_F(IntegersTest, TooLittleRoomIsSaid) {
    std::mt19937_64 random{9};
    const Numbers values = make_numbers(1000, [&](std::size_t) { return static_cast<std::int64_t>(random() % 1000); });
    const std::size_t size = encode_integers_of(values).size();
    for (std::size_t room = 0; room < size; room += 7) {
        Bytes bytes(room);
        ByteWriter out{bytes};
        EXPECT_EQ(encode_integers(values, space_, out).code, StatusCode::no_room);
    }
}

TEST_F(IntegersTest, ListsOfAnyLengthComeBack) {
    const Numbers values = make_numbers(10000, [](std::size_t i) { return static_cast<std::int64_t>(i * i); });
    const Bytes bytes =
        encode(integer_list_bytes_max(values.size()), [&](ByteWriter &out) { return encode_integer_list(values, space_, out); });
    Numbers decoded(values.size());
    ByteReader in{bytes};
    ASSERT_TRUE(decode_integer_list(in, decoded, arena_).ok());
    EXPECT_TRUE(in.status_at_end().ok());
    EXPECT_EQ(decoded, values);
}

}  // namespace
}  // namespace historian::test
