// Statistics of granules: what a segment tells of its columns is what a slow reference finds in the rows that it gives back.
#include "format/granule_statistics.h"

#include <bit>
#include <cmath>
#include <limits>
#include <random>

#include "segment_model.h"

namespace historian::test {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kGreatest = std::numeric_limits<double>::max();
constexpr SortKey kKey{0, 1};

Value number(double value) { return Value::of(std::bit_cast<std::int64_t>(value)); }
Value number(float value) { return Value::of(std::bit_cast<std::int32_t>(value)); }

bool is_float(PhysicalKind kind) { return kind == PhysicalKind::float4 || kind == PhysicalKind::float8; }

double to_double(std::int64_t bits, PhysicalKind kind) {
    if (kind == PhysicalKind::float8) return std::bit_cast<double>(bits);
    return std::bit_cast<float>(static_cast<std::int32_t>(bits));
}

/// PostgreSQL's order of floats: -1, 0, 1.
int compare(double a, double b) {
    if (std::isnan(a) || std::isnan(b)) return std::isnan(a) - std::isnan(b);
    return (a > b) - (a < b);
}

/// One value after the other, as PostgreSQL's float8_accum() and float8pl() do it.
struct FloatState {
    double count = 0;
    double sum = 0;
    double sum_of_sum = -0.0;  // of sum(float8), which begins with its first value
    double sxx = 0;
    bool sum_fails = false;
    bool squares_fail = false;

    void add(double value) {
        const double sum_before = sum;
        sum_of_sum += value;
        sum += value;
        if (std::isinf(sum) && !std::isinf(sum_before) && !std::isinf(value)) sum_fails = true;
        const double count_before = count;
        count += 1;
        if (count_before > 0) {
            const volatile double product = value * count;  // no fused multiply-add
            const double difference = product - sum;
            sxx += difference * difference / (count * count_before);
            if (std::isinf(sum) || std::isinf(sxx)) {
                if (!std::isinf(sum_before) && !std::isinf(value)) squares_fail = true;
                sxx = kNan;
            }
        } else if (!std::isfinite(value)) {
            sxx = kNan;
        }
    }
};

/// The index of the least (sign 1) or the greatest (sign -1) value that is not NULL, the first of equals.
std::size_t find_extreme(PhysicalKind kind, const std::vector<Value> &values, int sign) {
    std::size_t found = values.size();
    for (std::size_t row = 0; row < values.size(); ++row) {
        if (values[row].is_null) continue;
        if (found == values.size()) found = row;
        const std::int64_t a = values[row].number;
        const std::int64_t b = values[found].number;
        const int order = is_float(kind) ? compare(to_double(a, kind), to_double(b, kind)) : (a > b) - (a < b);
        if (sign * order < 0) found = row;
    }
    return found;
}

/// Every NaN as the same one: statistics keep no other in sums.
std::uint64_t bits(double value) { return std::bit_cast<std::uint64_t>(std::isnan(value) ? kNan : value); }

/// False when the sum would need more than 127 bits.
bool add_square(std::int64_t value, __int128 *squares) {
    const __int128 square = static_cast<__int128>(value) * value;
    constexpr __int128 kMax = static_cast<__int128>(~static_cast<unsigned __int128>(0) >> 1);
    if (*squares > kMax - square) return false;
    *squares += square;
    return true;
}

void check_sums(PhysicalKind kind, const std::vector<Value> &values, const GranuleStatistics &found) {
    if (is_float(kind)) {
        FloatState state;
        for (const Value &value : values) {
            if (!value.is_null) state.add(to_double(value.number, kind));
        }
        EXPECT_FALSE(state.sum_fails);
        EXPECT_EQ(found.has_squares, !state.squares_fail);
        if (found.value_count != 0) {
            EXPECT_EQ(bits(found.float_sum), bits(state.sum_of_sum)) << found.float_sum;
        }
        if (!state.squares_fail) {
            EXPECT_EQ(bits(found.float_sxx), bits(state.sxx)) << found.float_sxx << " is not " << state.sxx;
        }
        for (const double figure : {found.float_sum, found.float_sxx}) {
            if (std::isnan(figure)) {
                EXPECT_EQ(std::bit_cast<std::uint64_t>(figure), std::bit_cast<std::uint64_t>(kNan));
            }
        }
        return;
    }
    __int128 sum = 0;
    __int128 squares = 0;
    bool fits = true;
    for (const Value &value : values) {
        if (value.is_null) continue;
        sum += value.number;
        fits = fits && add_square(value.number, &squares);
    }
    EXPECT_TRUE(found.sum.value() == sum);
    EXPECT_EQ(found.has_squares, fits);
    if (fits) {
        EXPECT_TRUE(found.squares.value() == squares);
    }
}

bool sum_overflows(PhysicalKind kind, const std::vector<Value> &values) {
    FloatState state;
    for (const Value &value : values) {
        if (is_float(kind) && !value.is_null) state.add(to_double(value.number, kind));
    }
    return state.sum_fails;
}

void check_figures(PhysicalKind kind, const std::vector<Value> &values, const std::vector<Value> &times,
                   const GranuleStatistics &found) {
    std::vector<std::int64_t> there;
    for (const Value &value : values) {
        if (!value.is_null) there.push_back(value.number);
    }
    EXPECT_EQ(found.value_count, there.size());
    check_sums(kind, values, found);
    const std::size_t min = find_extreme(kind, values, 1);
    const std::size_t max = find_extreme(kind, values, -1);
    const auto time_at = [&](std::size_t row) { return row < times.size() && !times[row].is_null ? times[row].number : 0; };
    EXPECT_EQ(found.first, there.empty() ? 0 : there.front());
    EXPECT_EQ(found.last, there.empty() ? 0 : there.back());
    EXPECT_EQ(found.min, there.empty() ? 0 : values[min].number);
    EXPECT_EQ(found.max, there.empty() ? 0 : values[max].number);
    EXPECT_EQ(found.has_time_of_min, !there.empty() && !times[min].is_null);
    EXPECT_EQ(found.has_time_of_max, !there.empty() && !times[max].is_null);
    EXPECT_EQ(found.time_of_min, time_at(min));
    EXPECT_EQ(found.time_of_max, time_at(max));
}

std::vector<Value> values_of(OpenSegment &segment, std::uint32_t granule, std::uint32_t column) {
    ColumnVector decoded;
    EXPECT_TRUE(segment.decode(granule, column, &decoded).ok());
    std::vector<Value> values;
    for (std::uint32_t row = 0; row < decoded.row_count; ++row) values.push_back(value_at(decoded, row));
    return values;
}

Status open_block(OpenSegment &segment, SegmentStatistics **statistics) {
    const ByteRange range = statistics_range(*segment.index);
    return open_statistics(*segment.index, segment.bytes.subspan(range.offset, range.byte_count), segment.arena, statistics);
}

/// Builds a segment, and compares all statistics with the reference. Returns how many granules' columns have some.
std::uint32_t check_statistics(const std::vector<ColumnType> &types, SortKey key, const std::vector<Row> &rows) {
    const std::string bytes = check_round_trip(types, key, rows);
    OpenSegment segment{bytes};
    if (statistics_range(*segment.index).byte_count == 0) {
        for (std::uint32_t g = 0; g < segment.header.granule_count; ++g) {
            for (std::uint32_t c = 0; c < types.size(); ++c) {
                if (c == key.tag_column || c == key.time_column || !is_number(types[c].kind)) continue;
                EXPECT_TRUE(!wants_statistics(granule_at(*segment.index, g)) ||
                            sum_overflows(types[c].kind, values_of(segment, g, c)));
            }
        }
        return 0;
    }
    SegmentStatistics *statistics = nullptr;
    EXPECT_TRUE(open_block(segment, &statistics).ok());
    std::uint32_t known = 0;
    for (std::uint32_t c = 0; c < types.size(); ++c) {
        std::span<const GranuleStatistics> granules;
        const bool is_key = c == key.tag_column || c == key.time_column;
        if (is_key || !is_number(types[c].kind)) {
            EXPECT_FALSE(has_statistics(*statistics, c));
            continue;
        }
        if (has_statistics(*statistics, c)) {
            const Status status = column_statistics(*statistics, c, segment.arena, &granules);
            EXPECT_TRUE(status.ok()) << status.message;
            if (!status.ok()) return 0;
            EXPECT_EQ(granules.size(), segment.header.granule_count);
        }
        for (std::uint32_t g = 0; g < segment.header.granule_count; ++g) {
            SCOPED_TRACE("granule " + std::to_string(g) + ", column " + std::to_string(c));
            const std::vector<Value> values = values_of(segment, g, c);
            const bool expected = wants_statistics(granule_at(*segment.index, g)) && !sum_overflows(types[c].kind, values);
            EXPECT_EQ(!granules.empty() && granules[g].is_known, expected);
            if (!expected || granules.empty()) continue;
            check_figures(types[c].kind, values, values_of(segment, g, key.time_column), granules[g]);
            ++known;
        }
    }
    EXPECT_FALSE(has_statistics(*statistics, static_cast<std::uint32_t>(types.size())));
    return known;
}

/// One tag, one column: its values in the order of the rows, a second apart; a time may be made NULL.
std::uint32_t check_column(PhysicalKind kind, const std::vector<Value> &values, std::size_t null_times = 0) {
    std::vector<Row> rows;
    for (std::size_t i = 0; i < values.size(); ++i) {
        const Value time = i < null_times ? Value::null() : Value::of(static_cast<std::int64_t>(i) * 1000000);
        rows.push_back({Value::of(std::string("tag")), time, values[i]});
    }
    return check_statistics({{PhysicalKind::bytes}, {PhysicalKind::int8}, {kind}}, kKey, rows);
}

/// 200 values of which some are special.
std::vector<Value> with(std::vector<std::pair<std::size_t, double>> special) {
    std::vector<Value> values;
    for (int i = 0; i < 200; ++i) values.push_back(number(i * 0.25 - 7));
    for (const auto &[at, value] : special) values[at] = number(value);
    return values;
}

TEST(GranuleStatistics, OfFewRowsAreNotKept) {
    EXPECT_EQ(check_column(PhysicalKind::float8, std::vector<Value>(kStatisticsRowsMin - 1, number(1.0))), 0u);
    EXPECT_EQ(check_column(PhysicalKind::float8, std::vector<Value>(kStatisticsRowsMin, number(1.0))), 1u);
}

TEST(GranuleStatistics, OfGranulesWithTwoTagsAreNotKept) {
    std::vector<Row> rows;
    for (int i = 0; i < 400; ++i) rows.push_back({Value::of(std::string(i % 2 == 0 ? "a" : "b")), Value::of(i), number(1.5)});
    EXPECT_EQ(check_statistics({{PhysicalKind::bytes}, {PhysicalKind::int8}, {PhysicalKind::float8}}, kKey, rows), 0u);
    EXPECT_EQ(check_statistics({{PhysicalKind::bytes}, {PhysicalKind::int8}, {PhysicalKind::float8}}, {kNoColumn, 1}, rows), 1u);
}

TEST(GranuleStatistics, OfFloatsPropagateInfinityAndNan) {
    EXPECT_EQ(check_column(PhysicalKind::float8, with({})), 1u);
    EXPECT_EQ(check_column(PhysicalKind::float8, with({{0, kInfinity}})), 1u);
    EXPECT_EQ(check_column(PhysicalKind::float8, with({{199, -kInfinity}})), 1u);
    EXPECT_EQ(check_column(PhysicalKind::float8, with({{50, kInfinity}, {60, -kInfinity}})), 1u);
    EXPECT_EQ(check_column(PhysicalKind::float8, with({{0, kNan}})), 1u);
    EXPECT_EQ(check_column(PhysicalKind::float8, with({{100, -kNan}, {101, kNan}, {102, kInfinity}})), 1u);
    EXPECT_EQ(check_column(PhysicalKind::float8, std::vector<Value>(200, number(kNan))), 1u);
    EXPECT_EQ(check_column(PhysicalKind::float8, std::vector<Value>(200, number(-kInfinity))), 1u);
}

TEST(GranuleStatistics, OfZerosKeepTheEarliest) {
    EXPECT_EQ(check_column(PhysicalKind::float8, std::vector<Value>(200, number(-0.0))), 1u);
    std::vector<Value> values(200, number(0.0));
    for (std::size_t i = 0; i < 200; i += 2) values[i] = number(-0.0);
    EXPECT_EQ(check_column(PhysicalKind::float8, values), 1u);
    values[0] = number(0.0);
    EXPECT_EQ(check_column(PhysicalKind::float8, values), 1u);
}

TEST(GranuleStatistics, AreNotKeptWhereASumOverflows) {
    EXPECT_EQ(check_column(PhysicalKind::float8, with({{3, kGreatest}, {4, kGreatest}, {5, -kGreatest}})), 0u);
    EXPECT_EQ(check_column(PhysicalKind::float8, with({{3, kGreatest}, {4, kGreatest}, {5, kInfinity}})), 0u);
    // An infinity before makes it one that is not of finite values.
    EXPECT_EQ(check_column(PhysicalKind::float8, with({{2, kInfinity}, {3, kGreatest}, {4, kGreatest}})), 1u);
    // Only the squares overflow.
    EXPECT_EQ(check_column(PhysicalKind::float8, with({{3, 1e200}})), 1u);
    EXPECT_EQ(check_column(PhysicalKind::float8, with({{3, 1e200}, {4, kInfinity}})), 1u);
}

TEST(GranuleStatistics, OfIntegersAreExact) {
    constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min();
    constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
    EXPECT_EQ(check_column(PhysicalKind::int8, std::vector<Value>(200, Value::of(kMax))), 1u);
    EXPECT_EQ(check_column(PhysicalKind::int8, std::vector<Value>(200, Value::of(kMin))), 1u);
    EXPECT_EQ(check_column(PhysicalKind::int4, std::vector<Value>(4096, Value::of(INT32_MIN))), 1u);
    EXPECT_EQ(check_column(PhysicalKind::int2, std::vector<Value>(4096, Value::of(INT16_MIN))), 1u);
    EXPECT_EQ(check_column(PhysicalKind::int1, std::vector<Value>(4096, Value::of(-128))), 1u);
    // The last square is the one that overflows 2^127: two of 2^126 do.
    std::vector<Value> values(200, Value::of(0));
    values[7] = Value::of(kMin);
    EXPECT_EQ(check_column(PhysicalKind::int8, values), 1u);
    values[9] = Value::of(kMax);
    EXPECT_EQ(check_column(PhysicalKind::int8, values), 1u);
    values[8] = Value::of(kMin);
    EXPECT_EQ(check_column(PhysicalKind::int8, values), 1u);
    for (const std::int64_t limit : {std::int64_t{1} << 25, (std::int64_t{1} << 25) + 1}) {
        EXPECT_EQ(check_column(PhysicalKind::int8, std::vector<Value>(4096, Value::of(limit))), 1u);
        EXPECT_EQ(check_column(PhysicalKind::int8, std::vector<Value>(4096, Value::of(-limit))), 1u);
    }
}

TEST(GranuleStatistics, OfNullsTellTheirNumber) {
    EXPECT_EQ(check_column(PhysicalKind::float4, std::vector<Value>(200, Value::null())), 1u);
    std::vector<Value> values(200, Value::null());
    values[77] = number(1.5f);
    EXPECT_EQ(check_column(PhysicalKind::float4, values), 1u);
}

TEST(GranuleStatistics, OfARowWithoutATimeHaveNone) {
    std::vector<Value> values;
    for (int i = 0; i < 300; ++i) values.push_back(Value::of(i == 3 ? 1000 : i == 200 ? -1000 : i));
    for (const std::size_t null_times : {0u, 3u, 4u, 299u, 300u})
        EXPECT_EQ(check_column(PhysicalKind::int4, values, null_times), 1u);
}

/// Columns of every kind, with NULLs, special values, any times.
TEST(GranuleStatistics, OfRandomRowsAreTheReferences) {
    const std::uint64_t seed = std::random_device{}();
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random{seed};
    const std::vector<ColumnType> types = {{PhysicalKind::bytes},  {PhysicalKind::int8},   {PhysicalKind::int1},
                                           {PhysicalKind::int2},   {PhysicalKind::int4},   {PhysicalKind::int8},
                                           {PhysicalKind::float4}, {PhysicalKind::float8}, {PhysicalKind::bytes},
                                           {PhysicalKind::absent}, {PhysicalKind::float8}};
    const double special[] = {kInfinity, -kInfinity, kNan, -0.0, 0.0, kGreatest, -kGreatest, 1e-310, 1e160};
    std::uint32_t known = 0;
    for (int trial = 0; trial < 40; ++trial) {
        const std::uint64_t tags = trial % 3 == 0 ? 1 : 1 + random() % 20;
        const std::uint64_t nulls = random() % 3 == 0 ? 1000000 : 1 + random() % 20;
        const std::uint64_t specials = random() % 2 == 0 ? 1000000 : 1 + random() % 3000;
        const std::uint64_t range = std::uint64_t{1} << (1 + random() % 63);
        const std::uint64_t steps = 1 + random() % 100;
        const std::uint64_t count = 1 + random() % 12000;
        std::vector<Row> rows;
        for (std::uint64_t i = 0; i < count; ++i) {
            const auto any = static_cast<std::int64_t>(random());
            const auto in_range = static_cast<std::int64_t>(random() % range) - static_cast<std::int64_t>(range / 2);
            const bool is_special = random() % specials == 0;
            const double of_special = special[random() % std::size(special)];
            const double value = is_special ? of_special : static_cast<double>(in_range) * 0.01;
            Row row = {Value::of("tag" + std::to_string(random() % tags)),
                       Value::of(is_special && random() % 8 == 0 ? any : static_cast<std::int64_t>(i / steps * 1000000)),
                       Value::of(static_cast<std::int8_t>(any)),
                       Value::of(static_cast<std::int16_t>(any)),
                       Value::of(static_cast<std::int32_t>(in_range)),
                       Value::of(is_special ? any : in_range),
                       number(static_cast<float>(value)),
                       number(value),
                       Value::of(std::string("text")),
                       Value::null(),
                       number(static_cast<double>(any) / 3)};
            for (Value &cell : row) {
                if (random() % nulls == 0) cell = Value::null();
            }
            rows.push_back(row);
        }
        known += check_statistics(types, {trial % 5 == 0 ? kNoColumn : 0, 1}, rows);
        if (HasFailure()) return;
    }
    EXPECT_GT(known, 100u);
}

TEST(GranuleStatistics, OfManyGranulesFillSeveralStreams) {
    std::vector<Row> rows;
    for (int i = 0; i < 4200 * 512; ++i) {
        if (rows.size() == kSegmentRowsMax) break;
        rows.push_back({Value::of(std::to_string(i / 600)), Value::of(i), Value::of(i % 100)});
    }
    const std::vector<ColumnType> types = {{PhysicalKind::bytes}, {PhysicalKind::int8}, {PhysicalKind::int4}};
    const std::string bytes = build(types, kKey, rows);
    OpenSegment segment{bytes};
    EXPECT_EQ(segment.header.granule_count, (kSegmentRowsMax + 599) / 600);
    SegmentStatistics *statistics = nullptr;
    ASSERT_TRUE(open_block(segment, &statistics).ok());
    std::span<const GranuleStatistics> granules;
    ASSERT_TRUE(column_statistics(*statistics, 2, segment.arena, &granules).ok());
    __int128 sum = 0;
    for (const GranuleStatistics &granule : granules) sum += granule.sum.value();
    __int128 expected = 0;
    for (const Row &row : rows) expected += row[2].number;
    EXPECT_TRUE(sum == expected);
}

std::string one_tag_segment(std::vector<ColumnType> *types) {
    *types = {{PhysicalKind::bytes}, {PhysicalKind::int8}, {PhysicalKind::float8}, {PhysicalKind::int4}};
    std::vector<Row> rows;
    for (int i = 0; i < 9000; ++i)
        rows.push_back({Value::of(std::string("a")), Value::of(i * 1000), number(std::sin(i)), Value::of(i * i % 1001)});
    return build(*types, kKey, rows);
}

TEST(GranuleStatistics, ADamagedByteIsFound) {
    std::vector<ColumnType> types;
    std::string bytes = one_tag_segment(&types);
    ByteRange range;
    {
        OpenSegment segment{bytes};
        range = statistics_range(*segment.index);
    }
    ASSERT_GT(range.byte_count, 0u);
    for (std::uint64_t at = range.offset; at < range.offset + range.byte_count; ++at) {
        std::string damaged = bytes;
        damaged[at] = static_cast<char>(damaged[at] ^ (1 << at % 8));
        OpenSegment segment{damaged};
        ASSERT_TRUE(segment.status.ok());
        SegmentStatistics *statistics = nullptr;
        EXPECT_EQ(open_block(segment, &statistics).code, StatusCode::corrupt);
    }
}

TEST(GranuleStatistics, BytesOfAnotherSizeAreRefused) {
    std::vector<ColumnType> types;
    const std::string bytes = one_tag_segment(&types);
    OpenSegment segment{bytes};
    const ByteRange range = statistics_range(*segment.index);
    SegmentStatistics *statistics = nullptr;
    EXPECT_EQ(
        open_statistics(*segment.index, segment.bytes.subspan(range.offset, range.byte_count - 1), segment.arena, &statistics)
            .code,
        StatusCode::truncated);
    EXPECT_EQ(open_statistics(*segment.index, {}, segment.arena, &statistics).code, StatusCode::truncated);
}

TEST(GranuleStatistics, AreDecodedOnce) {
    std::vector<ColumnType> types;
    const std::string bytes = one_tag_segment(&types);
    OpenSegment segment{bytes};
    SegmentStatistics *statistics = nullptr;
    ASSERT_TRUE(open_block(segment, &statistics).ok());
    std::span<const GranuleStatistics> first;
    std::span<const GranuleStatistics> second;
    ASSERT_TRUE(column_statistics(*statistics, 2, segment.arena, &first).ok());
    ASSERT_TRUE(column_statistics(*statistics, 2, segment.arena, &second).ok());
    EXPECT_EQ(first.data(), second.data());
}

}  // namespace
}  // namespace historian::test
