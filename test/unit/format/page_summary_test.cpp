// Summaries of tail pages: nothing is missed, little is found for nothing, and no changed byte goes unnoticed.
#include "format/page_summary.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <vector>

namespace historian::test {
namespace {

using format::PageSummary;

std::vector<std::uint16_t> random_fingerprints(std::mt19937 &random, std::size_t count) {
    std::vector<std::uint16_t> fingerprints(count);
    for (std::uint16_t &fingerprint : fingerprints) fingerprint = static_cast<std::uint16_t>(random());
    return fingerprints;
}

TEST(PageSummary, HoldsWhatItWasMadeOf) {
    const unsigned seed = std::random_device{}();
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    for (int round = 0; round < 200; ++round) {
        const auto fingerprints = random_fingerprints(random, 1 + random() % format::kTailRowsMax);
        const PageSummary summary = format::summarize_page(-5, 7, fingerprints);
        for (const std::uint16_t fingerprint : fingerprints) ASSERT_TRUE(format::may_hold(summary, fingerprint));
        EXPECT_EQ(summary.time_min, -5);
        EXPECT_EQ(summary.time_max, 7);
        EXPECT_EQ(summary.checksum, format::summary_checksum(summary));
    }
    EXPECT_NE(format::summary_checksum(PageSummary{}), PageSummary{}.checksum);
}

TEST(PageSummary, FindsFewForNothing) {
    std::mt19937 random(1);
    int found = 0;
    int asked = 0;
    for (int page = 0; page < 50; ++page) {
        const auto fingerprints = random_fingerprints(random, 100);
        const std::set<std::uint16_t> held(fingerprints.begin(), fingerprints.end());
        const PageSummary summary = format::summarize_page(0, 0, fingerprints);
        for (std::uint32_t fingerprint = 0; fingerprint <= 0xFFFF; ++fingerprint) {
            if (held.count(static_cast<std::uint16_t>(fingerprint)) != 0) continue;
            ++asked;
            found += format::may_hold(summary, static_cast<std::uint16_t>(fingerprint)) ? 1 : 0;
        }
    }
    EXPECT_LT(found, asked / 20);
}

TEST(PageSummary, ChecksumsEveryBit) {
    const std::uint16_t fingerprints[] = {1, 2, 3};
    const PageSummary summary = format::summarize_page(1, 2, fingerprints);
    for (std::size_t bit = 0; bit < 8 * offsetof(PageSummary, checksum); ++bit) {
        PageSummary changed = summary;
        reinterpret_cast<unsigned char *>(&changed)[bit / 8] ^= static_cast<unsigned char>(1u << bit % 8);
        ASSERT_NE(format::summary_checksum(changed), summary.checksum);
    }
}

}  // namespace
}  // namespace historian::test
