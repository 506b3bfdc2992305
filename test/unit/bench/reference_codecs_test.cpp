// The reference codecs give back what went in, bit for bit: a comparison with a codec that loses something would be none.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "reference_codecs/alp.h"
#include "reference_codecs/bit_stream.h"
#include "reference_codecs/gorilla.h"
#include "reference_codecs/reference_codec.h"

namespace historian::references {
namespace {

using Numbers = std::vector<std::int64_t>;
using Double = std::numeric_limits<double>;

constexpr std::size_t kLengths[] = {0, 1, 2, 31, 33, 1023, 1024, 1025, 4096, 4097, 3 * 4096 + 7};

const Numbers kSpecial = {std::bit_cast<std::int64_t>(0.0),
                          std::bit_cast<std::int64_t>(-0.0),
                          std::bit_cast<std::int64_t>(Double::infinity()),
                          std::bit_cast<std::int64_t>(-Double::infinity()),
                          std::bit_cast<std::int64_t>(Double::denorm_min()),
                          std::bit_cast<std::int64_t>(-Double::denorm_min()),
                          std::bit_cast<std::int64_t>(Double::min()),
                          std::bit_cast<std::int64_t>(Double::max()),
                          std::bit_cast<std::int64_t>(Double::lowest()),
                          std::bit_cast<std::int64_t>(0x1p51),
                          std::bit_cast<std::int64_t>(-0x1.8p52),
                          std::bit_cast<std::int64_t>(0x1p63),
                          0x7ff8000000000000,
                          0x7ff0000000000001,  // a signalling NaN
                          0x7fffffffffffffff,
                          static_cast<std::int64_t>(0xfff8000000000123),
                          -1};

std::int64_t decimal(std::int64_t number, double power) {
    return std::bit_cast<std::int64_t>(static_cast<double>(number) / power);
}

/// Encodes and decodes with each codec; room is exactly what it promises to need, for AddressSanitizer to watch.
void check(const Numbers &values, const std::string &what) {
    for (const ReferenceCodec &codec : kReferenceCodecs) {
        std::vector<std::byte> bytes(reference_bytes_max(values.size()));
        const std::size_t size = codec.encode(values, bytes.data());
        EXPECT_LE(size + kSlackBytes, bytes.size()) << codec.name << ", " << what;
        bytes.resize(size + kSlackBytes);
        bytes.shrink_to_fit();
        Numbers decoded;
        const auto take = [&](std::span<const std::int64_t> piece) { decoded.insert(decoded.end(), piece.begin(), piece.end()); };
        codec.decode(bytes.data(), values.size(), take);
        EXPECT_TRUE(decoded == values) << codec.name << ", " << what << ", " << values.size() << " values";
    }
}

/// Columns of each length, of the values that a function of their index makes.
void check_lengths(const std::string &what, const std::function<std::int64_t(std::size_t)> &value_at) {
    for (const std::size_t length : kLengths) {
        Numbers values(length);
        for (std::size_t i = 0; i < length; ++i) values[i] = value_at(i);
        check(values, what);
    }
}

unsigned new_seed() {
    const unsigned seed = std::random_device{}();
    std::printf("seed %u\n", seed);
    return seed;
}

TEST(ReferenceCodecs, GiveBackConstantsAndSpecialValues) {
    for (const std::int64_t value : kSpecial) {
        const std::string what = "special value " + std::to_string(value);
        check_lengths(what, [&](std::size_t) { return value; });
        for (const std::size_t every : {2u, 9u, 300u})
            check_lengths(what,
                          [&](std::size_t i) { return i % every == 1 ? value : decimal(static_cast<std::int64_t>(i), 10); });
    }
    check_lengths("all special values", [](std::size_t i) { return kSpecial[i % kSpecial.size()]; });
}

TEST(ReferenceCodecs, GiveBackDecimals) {
    std::mt19937_64 random{new_seed()};
    for (int decimals = 0; decimals <= 18; ++decimals) {
        const double power = std::pow(10.0, decimals);
        std::int64_t walk = static_cast<std::int64_t>(random() >> (20 + 2 * decimals));
        check_lengths(std::to_string(decimals) + " decimals",
                      [&](std::size_t) { return decimal(walk += static_cast<std::int64_t>(random() % 201) - 100, power); });
    }
}

TEST(ReferenceCodecs, GiveBackAnyBits) {
    std::mt19937_64 random{new_seed()};
    check_lengths("random bits", [&](std::size_t) { return static_cast<std::int64_t>(random()); });
    for (unsigned low = 1; low < 64; ++low) {
        check_lengths("changes of " + std::to_string(low) + " bits", [&](std::size_t) {
            return std::bit_cast<std::int64_t>(20.5) ^ static_cast<std::int64_t>(random() >> low << random() % low);
        });
    }
    std::normal_distribution<double> gauss;
    check_lengths("noise", [&](std::size_t) { return std::bit_cast<std::int64_t>(gauss(random)); });
}

TEST(ReferenceCodecs, GiveBackSeveralRowGroups) {
    std::mt19937_64 random{new_seed()};
    for (const std::size_t length : {kAlpRowGroup - 1, kAlpRowGroup, kAlpRowGroup + 1, 2 * kAlpRowGroup + 5000}) {
        Numbers values(length);  // decimals of two kinds, then real doubles
        for (std::size_t i = 0; i < length; ++i) {
            const double number = static_cast<double>(random() % 100000) / (i % 5000 < 2500 ? 10 : 1000);
            values[i] = std::bit_cast<std::int64_t>(i < kAlpRowGroup ? number : std::sqrt(number));
        }
        check(values, "row groups");
    }
}

TEST(ReferenceCodecs, TakeAboutWhatThePapersPromise) {
    std::mt19937_64 random{7};
    const auto bytes_of = [](std::size_t codec, const Numbers &values) {
        std::vector<std::byte> bytes(reference_bytes_max(values.size()));
        return kReferenceCodecs[codec].encode(values, bytes.data());
    };
    // One bit a value that stays; two and an index; one vector's head.
    const Numbers constant(4096, std::bit_cast<std::int64_t>(1.5));
    EXPECT_EQ(bytes_of(0, constant), 8u + 4096 / 8);
    EXPECT_EQ(bytes_of(1, constant), 8u + 4096 / 4);
    EXPECT_EQ(bytes_of(2, constant), 8u + (4095 * 9 + 7) / 8);
    EXPECT_EQ(bytes_of(3, constant), 1u + 4 * 13);
    // Decimals of 14 bits in vectors; noise of which sign, exponent and few bits of the mantissa are common.
    Numbers decimals(4096);
    for (auto &value : decimals) value = decimal(static_cast<std::int64_t>(random() % 16384), 100);
    EXPECT_EQ(bytes_of(3, decimals), 1u + 4 * (13 + 1024 * 14 / 8));
    Numbers noise(4096);
    for (auto &value : noise) value = std::bit_cast<std::int64_t>(20 + static_cast<double>(random() >> 11) * 0x1p-53);
    EXPECT_LT(bytes_of(3, noise), 4096u * 52 / 8);
}

TEST(ReferenceCodecs, GorillaGivesBackTimes) {
    std::mt19937_64 random{new_seed()};
    const auto check_times = [&](const std::function<std::int64_t(std::size_t)> &time_at) {
        for (const std::size_t length : kLengths) {
            if (length == 0) continue;
            Numbers times(length);
            for (std::size_t i = 0; i < length; ++i) times[i] = time_at(i);
            std::vector<std::byte> bytes(gorilla_bytes_max(length) + kSlackBytes);
            const std::size_t size = encode_gorilla_times(times, bytes.data());
            EXPECT_LE(size + kSlackBytes, bytes.size());
            Numbers decoded(length);
            EXPECT_EQ(decode_gorilla_times(bytes.data(), decoded), size);
            EXPECT_TRUE(decoded == times) << length << " times";
        }
    };
    check_times([](std::size_t i) { return static_cast<std::int64_t>(i) * 1000000; });
    check_times([&](std::size_t) { return static_cast<std::int64_t>(random()); });
    for (unsigned width = 1; width < 64; ++width) {
        check_times([&](std::size_t i) {
            return static_cast<std::int64_t>(i * 1000 + (random() >> (64 - width))) - (std::int64_t{1} << (width - 1));
        });
    }
    // Both ends of every class, and one beyond.
    std::int64_t time = 0;
    std::int64_t step = 0;
    for (const std::int64_t end : {64, 256, 2048, 32768}) {
        check_times(
            [&](std::size_t i) { return time += step += (i % 2 == 0 ? 1 : -1) * (end - 2 + static_cast<std::int64_t>(i % 5)); });
    }
}

}  // namespace
}  // namespace historian::references
