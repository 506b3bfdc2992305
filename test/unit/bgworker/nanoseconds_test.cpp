#include "bgworker/nanoseconds.h"

#include <cstdint>
#include <limits>
#include <random>
#include <string>

#include <gtest/gtest.h>

namespace historian::bgworker {
namespace {

constexpr std::int64_t kEpoch = 946'684'800'000'000;

std::int64_t microseconds_since_1970(std::string_view number) {
    std::int64_t result = 0;
    EXPECT_EQ(parse_nanoseconds(number, &result), TimeFault::none) << number;
    return result + kEpoch;
}

TimeFault fault_of(std::string_view number) {
    std::int64_t result;
    return parse_nanoseconds(number, &result);
}

TEST(Nanoseconds, RoundsDown) {
    EXPECT_EQ(microseconds_since_1970("0"), 0);
    EXPECT_EQ(microseconds_since_1970("-0"), 0);
    EXPECT_EQ(microseconds_since_1970("999"), 0);
    EXPECT_EQ(microseconds_since_1970("1000"), 1);
    EXPECT_EQ(microseconds_since_1970("-1"), -1);
    EXPECT_EQ(microseconds_since_1970("-1000"), -1);
    EXPECT_EQ(microseconds_since_1970("-1001"), -2);
    EXPECT_EQ(microseconds_since_1970("1700000000123456789"), 1'700'000'000'123'456);
}
TEST(Nanoseconds, TakesIntegralNumbersInAnyForm) {
    for (const char *same : {"1.7e18", "1.7E+18", "17e17", "1700000000000000000", "1700000000000000000.000", "0.17e19",
                             "1700000000000000000000e-3", "170000000000000000000000000000e-11"}) {
        EXPECT_EQ(microseconds_since_1970(same), 1'700'000'000'000'000) << same;
    }
    EXPECT_EQ(microseconds_since_1970("0e999999999999"), 0);
    EXPECT_EQ(microseconds_since_1970("0.000e-5"), 0);
}
TEST(Nanoseconds, RejectsFractions) {
    for (const char *bad :
         {"1.5", "1e-1", "0.1", "1700000000123456789.5", "1.00000000000000000000000000001", "1e-999999999999", "12.34e1"}) {
        EXPECT_EQ(fault_of(bad), TimeFault::not_integral) << bad;
    }
}
TEST(Nanoseconds, RejectsWhatIsNoNumber) {
    for (const char *bad : {"", "-", "x", "1x", " 1", "1e1x", "--1", ".5"})
        EXPECT_EQ(fault_of(bad), TimeFault::not_integral) << bad;
}
TEST(Nanoseconds, RejectsOutOfRange) {
    EXPECT_EQ(microseconds_since_1970("9223372036854775807"), 9'223'372'036'854'775);
    EXPECT_EQ(microseconds_since_1970("-9223372036854775808"), -9'223'372'036'854'776);
    for (const char *bad :
         {"9223372036854775808", "-9223372036854775809", "1e19", "1e999999999999", "99999999999999999999999999999999999999999"}) {
        EXPECT_EQ(fault_of(bad), TimeFault::out_of_range) << bad;
    }
}
TEST(Nanoseconds, AgreesWithIntegerArithmetic) {
    std::mt19937_64 random(20260101);
    for (int i = 0; i < 200'000; ++i) {
        const auto number = static_cast<std::int64_t>(random()) >> (random() % 64);
        const std::int64_t floor = number / 1000 - (number % 1000 < 0 ? 1 : 0);
        ASSERT_EQ(microseconds_since_1970(std::to_string(number)), floor) << number;
    }
}

}  // namespace
}  // namespace historian::bgworker
