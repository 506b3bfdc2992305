#include "bgworker/resolver.h"

#include <chrono>
#include <cstring>

#include <gtest/gtest.h>
#include <poll.h>

namespace historian::bgworker {
namespace {

using Clock = std::chrono::steady_clock;

bool wait_for(const Resolver &resolver, int milliseconds) {
    pollfd answer{resolver.wake_descriptor(), POLLIN, 0};
    return resolver.is_finished() || poll(&answer, 1, milliseconds) > 0;
}

TEST(Resolver, NumericAddressesNeedNoThread) {
    Resolver resolver;
    for (const char *address : {"127.0.0.1", "::1", "10.255.255.1"}) {
        ASSERT_TRUE(resolver.begin(address, 60'000));
        EXPECT_TRUE(resolver.is_finished());
        ASSERT_TRUE(resolver.finish());
        EXPECT_STREQ(resolver.address(0), address);
    }
}
TEST(Resolver, FindsNamesInAThread) {
    Resolver resolver;
    ASSERT_TRUE(resolver.begin("localhost", 50));
    EXPECT_FALSE(resolver.is_finished());
    ASSERT_TRUE(wait_for(resolver, 30'000));
    ASSERT_TRUE(resolver.is_finished());
    ASSERT_TRUE(resolver.finish()) << resolver.problem();
    EXPECT_TRUE(std::strcmp(resolver.address(0), "127.0.0.1") == 0 || std::strcmp(resolver.address(0), "::1") == 0);
}
TEST(Resolver, SaysWhyANameHasNoAddress) {
    Resolver resolver;
    ASSERT_TRUE(resolver.begin("", 0));
    ASSERT_TRUE(wait_for(resolver, 30'000));
    EXPECT_FALSE(resolver.finish());
    EXPECT_STRNE(resolver.problem(), "");
}
TEST(Resolver, DoesNotWaitForWhatItAbandons) {
    const auto begin = Clock::now();
    Resolver resolver;
    for (int i = 0; i < 4; ++i) ASSERT_TRUE(resolver.begin("localhost", 5'000));
    resolver.abandon();
    EXPECT_FALSE(resolver.begin("localhost", 0)) << "a fifth thread";
    EXPECT_STREQ(resolver.problem(), "earlier questions to the name server are still unanswered");
    EXPECT_LT(Clock::now() - begin, std::chrono::seconds(4));
    bool again = false;
    while (!again && Clock::now() - begin < std::chrono::seconds(30)) again = resolver.begin("localhost", 0);
    EXPECT_TRUE(again) << "the threads have ended";
    ASSERT_TRUE(wait_for(resolver, 30'000));
    EXPECT_TRUE(resolver.finish());
}

}  // namespace
}  // namespace historian::bgworker
