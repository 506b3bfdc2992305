// Effort::high: other choices, the same forms.
#include <functional>

#include "codec_fixture.h"

namespace historian::test {
namespace {

/// Numbers of very different shapes, of most lengths that something depends on.
std::vector<Numbers> make_shapes(std::uint64_t seed) {
    std::mt19937_64 random{seed};
    std::int64_t level = 0;
    const std::function<std::int64_t(std::size_t)> shapes[] = {
        [&](std::size_t) { return static_cast<std::int64_t>(random() % 1000); },
        [&](std::size_t) { return level += static_cast<std::int64_t>(random() % 7) - 3; },
        [&](std::size_t i) { return static_cast<std::int64_t>(i * 1'000'000 + random() % 400); },
        [&](std::size_t i) { return static_cast<std::int64_t>(i * i / 64 + random() % 3); },
        [&](std::size_t) { return random() % 4 == 0 ? static_cast<std::int64_t>(1ull << random() % 20) : 0; },
        [&](std::size_t) { return static_cast<std::int64_t>(random()); },
        [&](std::size_t i) { return i % 700 == 0 ? INT64_MIN : INT64_MAX; },
    };
    std::vector<Numbers> made;
    for (const auto &shape : shapes) {
        for (const std::size_t count : {1u, 2u, 15u, 16u, 200u, 1023u, 1024u, 1025u, 4096u})
            made.push_back(make_numbers(count, shape));
    }
    return made;
}

class EffortTest : public testing::Test {
protected:
    Bytes encode(const Numbers &values, Effort effort) {
        TestArena arena;
        EncodeSpace space;
        EXPECT_TRUE(make_encode_space(arena, &space, effort).ok());
        Bytes bytes(integers_bytes_max(values.size()));
        ByteWriter out{bytes};
        EXPECT_TRUE(encode_integers(values, space, out).ok());
        bytes.resize(out.size());
        return bytes;
    }
};

TEST_F(EffortTest, HighGivesTheSameValuesInFewerBytes) {
    const std::uint64_t seed = std::random_device{}();
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::size_t normal_bytes = 0;
    std::size_t high_bytes = 0;
    for (const Numbers &values : make_shapes(seed)) {
        normal_bytes += encode(values, Effort::normal).size();
        const Bytes bytes = encode(values, Effort::high);
        high_bytes += bytes.size();
        TestArena arena;
        ByteReader in{bytes};
        Numbers decoded(values.size());
        ASSERT_TRUE(decode_integers(in, decoded, arena).ok());
        EXPECT_TRUE(in.status_at_end().ok());
        EXPECT_EQ(decoded, values);
    }
    EXPECT_LT(high_bytes, normal_bytes);
}

/// The sample of a stream whose first half has another shape than its second one misleads, now and then.
TEST_F(EffortTest, HighFindsThePredictionThatASampleMisses) {
    std::mt19937_64 random{3};
    std::int64_t level = 0;
    const Numbers values = make_numbers(4096, [&](std::size_t i) {
        level += static_cast<std::int64_t>(random() % 33) - 16;
        return i % 5 == 0 ? level + static_cast<std::int64_t>(random() % 200) : level;
    });
    EXPECT_LT(encode(values, Effort::high).size(), encode(values, Effort::normal).size());
}

}  // namespace
}  // namespace historian::test
