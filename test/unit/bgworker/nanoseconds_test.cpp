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
        EXPECT_EQ(fault_of(bad), TimeFault::not_a_number) << bad;
}
TEST(Nanoseconds, RejectsOutOfRange) {
    EXPECT_EQ(microseconds_since_1970("9223372036854775807"), 9'223'372'036'854'775);
    EXPECT_EQ(microseconds_since_1970("-9223372036854775808"), -9'223'372'036'854'776);
    for (const char *bad :
         {"9223372036854775808", "-9223372036854775809", "1e19", "1e999999999999", "99999999999999999999999999999999999999999"}) {
        EXPECT_EQ(fault_of(bad), TimeFault::out_of_range) << bad;
    }
}
std::int64_t counted_in(TimeUnit unit, std::string_view number) {
    std::int64_t result = 0;
    EXPECT_EQ(parse_time(number, unit, &result), TimeFault::none) << number;
    return result + kEpoch;
}
TimeFault fault_in(TimeUnit unit, std::string_view number) {
    std::int64_t result;
    return parse_time(number, unit, &result);
}

TEST(TimeUnits, CountFrom1970) {
    EXPECT_EQ(counted_in(TimeUnit::seconds, "1700000000"), 1'700'000'000'000'000);
    EXPECT_EQ(counted_in(TimeUnit::milliseconds, "1700000000001"), 1'700'000'000'001'000);
    EXPECT_EQ(counted_in(TimeUnit::microseconds, "1700000000000001"), 1'700'000'000'000'001);
    EXPECT_EQ(counted_in(TimeUnit::seconds, "-1"), -1'000'000);
    EXPECT_EQ(counted_in(TimeUnit::seconds, "0"), 0);
}
TEST(TimeUnits, TakeFractionsThatAreNanoseconds) {
    EXPECT_EQ(counted_in(TimeUnit::seconds, "1700000000.25"), 1'700'000'000'250'000);
    EXPECT_EQ(counted_in(TimeUnit::seconds, "1700000000.123456789"), 1'700'000'000'123'456);
    EXPECT_EQ(counted_in(TimeUnit::seconds, "-0.000000001"), -1);
    EXPECT_EQ(counted_in(TimeUnit::milliseconds, "0.5"), 500);
    EXPECT_EQ(counted_in(TimeUnit::microseconds, "1.999"), 1);
    EXPECT_EQ(fault_in(TimeUnit::seconds, "1700000000.1234567891"), TimeFault::not_integral);
    EXPECT_EQ(fault_in(TimeUnit::microseconds, "1.0001"), TimeFault::not_integral);
    EXPECT_EQ(fault_in(TimeUnit::nanoseconds, "1.5"), TimeFault::not_integral);
}
TEST(TimeUnits, ReachAsFarAsTimestamptz) {
    EXPECT_EQ(counted_in(TimeUnit::seconds, "9224318015999") - kEpoch, 9'223'371'331'199'000'000);
    EXPECT_EQ(fault_in(TimeUnit::seconds, "9224318016000"), TimeFault::out_of_range);
    EXPECT_EQ(counted_in(TimeUnit::seconds, "-210866803200") - kEpoch, -211'813'488'000'000'000);
    EXPECT_EQ(fault_in(TimeUnit::seconds, "-210866803201"), TimeFault::out_of_range);
    EXPECT_EQ(fault_in(TimeUnit::seconds, "1e15"), TimeFault::out_of_range);
    EXPECT_EQ(fault_in(TimeUnit::seconds, "1e999999999"), TimeFault::out_of_range);
    EXPECT_EQ(fault_in(TimeUnit::milliseconds, "99999999999999999999999999999999999999"), TimeFault::out_of_range);
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
