// What every segment must do: give back its rows, sorted, whatever they are.
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <random>

#include "segment_model.h"

namespace historian::test {
namespace {

const std::vector<ColumnType> kPointTypes = {{PhysicalKind::bytes}, {PhysicalKind::int8}, {PhysicalKind::float8}};
constexpr SortKey kPointKey{0, 1};

Value number(double value) { return Value::of(std::bit_cast<std::int64_t>(value)); }
Row point(const std::string &tag, std::int64_t time, double value) { return {Value::of(tag), Value::of(time), number(value)}; }

TEST(Segment, GivesBackOneRow) {
    const std::string bytes = check_round_trip(kPointTypes, kPointKey, {point("a", 1, 1.5)});
    EXPECT_LT(bytes.size(), 200u);
}

TEST(Segment, OfTenRowsTakesAFewHundredBytes) {
    std::vector<Row> rows;
    for (int i = 0; i < 10; ++i) rows.push_back(point("site0.line00.temp_000" + std::to_string(i), 1000000 * i, 20.25 + i));
    EXPECT_LT(check_round_trip(kPointTypes, kPointKey, rows).size(), 350u);
}

TEST(Segment, SortsInterleavedTags) {
    std::vector<Row> rows;
    for (int step = 0; step < 700; ++step) {
        for (int tag = 9; tag >= 0; --tag)
            rows.push_back(point("tag" + std::to_string(tag), step * 1000000 + tag * 1000, step * 0.25));
    }
    check_round_trip(kPointTypes, kPointKey, rows);
}

TEST(Segment, KeepsArrivalOrderOfEqualTimes) {
    std::vector<Row> rows;
    for (int i = 0; i < 3000; ++i) rows.push_back(point("a", 1000 - i % 7, i));
    check_round_trip(kPointTypes, kPointKey, rows);
}

TEST(Segment, PutsNullTagsAndNullTimesFirst) {
    std::vector<Row> rows;
    for (int i = 0; i < 2000; ++i) {
        Row row = point(i % 3 == 0 ? "" : "b", i % 5 == 0 ? std::numeric_limits<std::int64_t>::min() : -i, i);
        if (i % 4 == 0) row[0] = Value::null();
        if (i % 7 == 0) row[1] = Value::null();
        if (i % 11 == 0) row[2] = Value::null();
        rows.push_back(row);
    }
    check_round_trip(kPointTypes, kPointKey, rows);
}

TEST(Segment, SignExtendsNumbersOfFewBytes) {
    const std::vector<ColumnType> types = {
        {PhysicalKind::int4}, {PhysicalKind::int8}, {PhysicalKind::int1}, {PhysicalKind::int4}};
    const std::string bytes =
        build(types, {0, 1}, {{Value::of(4000000000), Value::of(1), Value::of(200), Value::of(4294967295)}});
    OpenSegment segment{bytes};
    const std::int64_t expected[] = {4000000000 - 4294967296, 1, 200 - 256, -1};
    for (std::uint32_t c = 0; c < 4; ++c) {
        ColumnVector column;
        ASSERT_TRUE(segment.decode(0, c, &column).ok());
        EXPECT_EQ(column.numbers[0], expected[c]);
    }
}

TEST(Segment, HoldsOnlyNulls) {
    std::vector<Row> rows(100, Row(3, Value::null()));
    const std::string bytes = check_round_trip(kPointTypes, kPointKey, rows);
    EXPECT_EQ(OpenSegment{bytes}.header.raw_bytes, 0u);
}

std::uint64_t raw_bytes_of_segment(const std::vector<ColumnType> &types, SortKey key, const std::vector<Row> &rows) {
    const std::string bytes = check_round_trip(types, key, rows);
    return OpenSegment{bytes}.header.raw_bytes;
}

TEST(Segment, CountsTheBytesOfItsValues) {
    const std::vector<ColumnType> types = {
        {PhysicalKind::bytes},  {PhysicalKind::int8},   {PhysicalKind::int1},   {PhysicalKind::int2},      {PhysicalKind::int4},
        {PhysicalKind::float4}, {PhysicalKind::float8}, {PhysicalKind::absent}, {PhysicalKind::fixed, 12}, {PhysicalKind::bytes}};
    const Row full = {Value::of(std::string("tag")),
                      Value::of(5),
                      Value::of(1),
                      Value::of(2),
                      Value::of(3),
                      Value::of(4),
                      number(5),
                      Value::of(6),
                      Value::of(std::string(12, 'f')),
                      Value::of(std::string("text"))};
    constexpr std::uint64_t kBytes[] = {3, 8, 1, 2, 4, 4, 8, 0, 12, 4};
    constexpr std::uint64_t kAll = 46;
    EXPECT_EQ(raw_bytes_of_segment(types, kPointKey, {full}), kAll);
    for (std::size_t c = 0; c < types.size(); ++c) {
        Row row = full;
        row[c] = Value::null();
        EXPECT_EQ(raw_bytes_of_segment(types, kPointKey, {full, row}), 2 * kAll - kBytes[c]) << "column " << c;
    }
    Row empty = full;
    empty[9] = Value::of(std::string());
    EXPECT_EQ(raw_bytes_of_segment(types, kPointKey, {empty}), kAll - 4);
    // Each text counts, though equal ones are stored once.
    EXPECT_EQ(raw_bytes_of_segment(types, kPointKey, std::vector<Row>(5000, full)), 5000 * kAll);
}

TEST(Segment, CountsATagThatStandsForANumberAsTheNumber) {
    const std::vector<ColumnType> types = {{PhysicalKind::bytes}, {PhysicalKind::int8}};
    const std::string tag(kNumberTagBytes, 'n');
    const std::vector<Row> rows = {{Value::of(tag), Value::of(1)}, {Value::null(), Value::of(1)}};
    EXPECT_EQ(raw_bytes_of_segment(types, {0, 1, 2}, rows), 2u + 8 + 8);
    EXPECT_EQ(raw_bytes_of_segment(types, {0, 1}, rows), 8u + 8 + 8);
    EXPECT_EQ(raw_bytes_of_segment({{PhysicalKind::int4}, {PhysicalKind::int8}}, {0, 1}, {{Value::of(7), Value::of(1)}}), 4u + 8);
}

TEST(Segment, OfAnotherVersionIsRefused) {
    std::string bytes = build(kPointTypes, kPointKey, {point("a", 1, 1.5)});
    bytes[4] = 1;
    OpenSegment segment{bytes};
    EXPECT_EQ(segment.status.code, StatusCode::unsupported);
    EXPECT_STREQ(segment.status.message, "a segment has a format version that this build does not know");
}

TEST(Segment, KeepsEveryBitOfAFloat) {
    const double infinity = std::numeric_limits<double>::infinity();
    const std::vector<std::int64_t> special = {std::bit_cast<std::int64_t>(-0.0),
                                               std::bit_cast<std::int64_t>(0.0),
                                               std::bit_cast<std::int64_t>(infinity),
                                               std::bit_cast<std::int64_t>(-infinity),
                                               0x7ff8000000000001,
                                               0x7ff0000000000001,
                                               static_cast<std::int64_t>(0xfff8dead0000beef),
                                               1,
                                               std::bit_cast<std::int64_t>(1.7976931348623157e308),
                                               std::bit_cast<std::int64_t>(0.1),
                                               std::bit_cast<std::int64_t>(-123.456)};
    for (const std::size_t share : {1u, 3u, 40u}) {
        std::vector<Row> rows;
        for (int i = 0; i < 1500; ++i) {
            Row row = point("a", i, i * 0.01);
            if (i % share == 0) row[2] = Value::of(special[static_cast<std::size_t>(i) / share % special.size()]);
            rows.push_back(row);
        }
        check_round_trip(kPointTypes, kPointKey, rows);
    }
}

TEST(Segment, KeepsIntegersAtBothEnds) {
    std::vector<Row> rows;
    const std::vector<ColumnType> types = {{PhysicalKind::int8}, {PhysicalKind::int8}, {PhysicalKind::int8}};
    for (int i = 0; i < 1200; ++i) {
        const std::int64_t extreme =
            i % 2 == 0 ? std::numeric_limits<std::int64_t>::min() : std::numeric_limits<std::int64_t>::max();
        rows.push_back({Value::of(extreme), Value::of(extreme - (i % 2 == 0 ? -i : i)), Value::of(extreme)});
    }
    check_round_trip(types, kPointKey, rows);
}

TEST(Segment, KeepsBinaryTagsWithZeroBytes) {
    std::vector<Row> rows;
    for (int i = 0; i < 300; ++i) {
        std::string tag(static_cast<std::size_t>(i % 17), '\0');
        if (i % 3 == 0) tag += '\xff';
        rows.push_back(point(tag, i, i));
    }
    check_round_trip(kPointTypes, kPointKey, rows);
}

TEST(Segment, HoldsAHundredThousandTags) {
    std::vector<Row> rows;
    for (int i = 0; i < 100000; ++i) rows.push_back(point("sensor/" + std::to_string(i * 7919 % 100000), i, i % 10));
    check_round_trip(kPointTypes, kPointKey, rows);
}

TEST(Segment, KeepsLargeTexts) {
    const std::vector<ColumnType> types = {{PhysicalKind::bytes}, {PhysicalKind::int8}, {PhysicalKind::bytes}};
    std::mt19937_64 random{7};
    std::vector<Row> rows;
    for (int i = 0; i < 20; ++i) {
        std::string text(1u << 20, 'x');
        if (i % 2 == 0) {
            for (char &letter : text) letter = static_cast<char>(random());
        }
        rows.push_back({Value::of("a"), Value::of(i), Value::of(text)});
    }
    check_round_trip(types, kPointKey, rows);
}

TEST(Segment, SplitsATagIntoEvenGranules) {
    std::vector<Row> rows;
    for (int i = 0; i < 10000; ++i) rows.push_back(point("a", i, i));
    const std::string bytes = check_round_trip(kPointTypes, kPointKey, rows);
    OpenSegment segment{bytes};
    ASSERT_EQ(segment.header.granule_count, 3u);
    EXPECT_EQ(granule_at(*segment.index, 0).row_count, 3333u);
    EXPECT_EQ(granule_at(*segment.index, 2).row_count, 3334u);
}

TEST(Segment, ATagWithManyRowsSharesNoGranule) {
    std::vector<Row> rows;
    for (int tag = 0; tag < 30; ++tag) {
        const int count = tag % 3 == 0 ? 600 : 100;
        for (int i = 0; i < count; ++i) rows.push_back(point("tag" + std::to_string(100 + tag), i, i));
    }
    const std::string bytes = check_round_trip(kPointTypes, kPointKey, rows);
    OpenSegment segment{bytes};
    for (std::uint32_t g = 0; g < segment.header.granule_count; ++g) {
        const Granule granule = granule_at(*segment.index, g);
        for (std::uint32_t tag = granule.tag_first; tag <= granule.tag_last; ++tag) {
            if (tag % 3 == 0) {
                EXPECT_EQ(granule.tag_first, granule.tag_last);
            }
        }
    }
}

TEST(Segment, WithoutATagColumnIsSortedByTime) {
    std::vector<Row> rows;
    for (int i = 0; i < 9000; ++i) rows.push_back(point("line " + std::to_string(i % 10), i * 7919 % 9001, i));
    for (int i = 0; i < 10; ++i) rows.push_back(point("same time", 5000, i));
    const std::string bytes = check_round_trip(kPointTypes, {kNoColumn, 1}, rows);
    OpenSegment segment{bytes};
    EXPECT_EQ(segment.header.tag_column, kNoColumn);
    EXPECT_EQ(segment.header.granule_count, 3u);
    EXPECT_EQ(segment.header.tag_count, 0u);
    EXPECT_TRUE(has_null_tag(*segment.index));
}

TEST(Segment, DoesNotFindTagsThatAreNotThere) {
    std::vector<Row> rows;
    for (int i = 0; i < 1000; ++i) rows.push_back(point("tag" + std::to_string(2 * i), i, i));
    const std::string bytes = check_round_trip(kPointTypes, kPointKey, rows);
    OpenSegment segment{bytes};
    for (const std::string &tag :
         {std::string(), std::string("tag"), std::string("tag1"), std::string("tag1999"), std::string("zzz"),
          std::string("tag0\0", 5), std::string("tag00"), std::string(1000, '\xff')}) {
        bool found = true;
        std::uint32_t position = 0;
        ASSERT_TRUE(find_tag(*segment.index, bytes_of(tag), &found, &position).ok());
        EXPECT_FALSE(found) << tag;
    }
}

// Of a tag that is not there the place of the first one after it: every tag of three characters is looked for.
TEST(Segment, FindsWhereAMissingTagWouldStand) {
    for (const bool with_null : {false, true}) {
        std::vector<Row> rows;
        std::vector<std::string> tags;
        for (char a = 'a'; a <= 'e'; ++a) {
            for (char b = 'a'; b <= 'y'; b += 2) tags.push_back(std::string{a, b});
        }
        for (const std::string &tag : tags) rows.push_back(point(tag, 1, 1));
        if (with_null) {
            rows.push_back(point("", 1, 1));
            rows.back()[kPointKey.tag_column] = Value::null();
        }
        const std::string bytes = check_round_trip(kPointTypes, kPointKey, rows);
        OpenSegment segment{bytes};
        const std::uint32_t nulls = with_null ? 1 : 0;
        ASSERT_EQ(tag_positions(*segment.index), tags.size() + nulls);
        for (int a = 'a' - 1; a <= 'f'; ++a) {
            for (int b = 'a' - 1; b <= 'z'; ++b) {
                const std::string tag{static_cast<char>(a), static_cast<char>(b)};
                const auto place = std::lower_bound(tags.begin(), tags.end(), tag);
                bool found = false;
                std::uint32_t position = 0;
                ASSERT_TRUE(find_tag(*segment.index, bytes_of(tag), &found, &position).ok());
                EXPECT_EQ(found, place != tags.end() && *place == tag) << tag;
                EXPECT_EQ(position, place - tags.begin() + nulls) << tag;
            }
        }
    }
}

TEST(Segment, ListsTagsFromAnyPosition) {
    std::vector<Row> rows;
    std::vector<std::string> tags;
    for (int i = 0; i < 100; ++i) tags.push_back("tag" + std::to_string(1000 + i * i));
    for (const std::string &tag : tags) rows.push_back(point(tag, 1, 1));
    const std::string bytes = check_round_trip(kPointTypes, kPointKey, rows);
    OpenSegment segment{bytes};
    TestArena memory;
    std::sort(tags.begin(), tags.end());
    for (std::uint32_t first = 0; first < tags.size(); ++first) {
        const std::uint32_t count = std::min<std::uint32_t>(1 + first % 40, static_cast<std::uint32_t>(tags.size()) - first);
        TagList list;
        ASSERT_TRUE(tags_at(*segment.index, first, count, memory, &list).ok());
        for (std::uint32_t i = 0; i < count; ++i) {
            const std::string tag(reinterpret_cast<const char *>(list.data) + list.offsets[i],
                                  list.offsets[i + 1] - list.offsets[i]);
            EXPECT_EQ(tag, tags[first + i]);
        }
    }
}

TEST(Segment, ADamagedByteIsFound) {
    std::vector<Row> rows;
    for (int i = 0; i < 700; ++i) rows.push_back(point("tag" + std::to_string(i % 7), i * 1000, i * 0.5));
    const std::string bytes = check_round_trip(kPointTypes, kPointKey, rows);
    for (std::size_t at = 0; at < bytes.size(); ++at) {
        std::string damaged = bytes;
        damaged[at] = static_cast<char>(damaged[at] ^ (1 << at % 8));
        OpenSegment segment{damaged};
        bool found = !segment.status.ok();
        for (std::uint32_t g = 0; !found && g < segment.header.granule_count; ++g) {
            for (std::uint32_t c = 0; c < 3; ++c) {
                ColumnVector column;
                found |= !segment.decode(g, c, &column).ok();
            }
        }
        EXPECT_TRUE(found) << "byte " << at;
    }
}

TEST(Segment, ManyColumnsOfWhichSomeAreAbsent) {
    std::vector<ColumnType> types = {{PhysicalKind::bytes}, {PhysicalKind::int8}};
    for (std::size_t c = 2; c < 1600; ++c) types.push_back({c % 3 == 0 ? PhysicalKind::absent : PhysicalKind::int4});
    std::vector<Row> rows;
    for (int i = 0; i < 20; ++i) {
        Row row(types.size(), Value::of(i));
        row[0] = Value::of(std::string("a"));
        rows.push_back(row);
    }
    check_round_trip(types, kPointKey, rows);
}

TEST(Segment, RefusesWhatItCannotBuild) {
    TestArena arena;
    SegmentBuilder *builder = nullptr;
    EXPECT_EQ(create_builder(arena, {}, {0, 1}, &builder).code, StatusCode::too_large);
    EXPECT_EQ(create_builder(arena, std::vector<ColumnType>(1601, {PhysicalKind::int8}), {0, 1}, &builder).code,
              StatusCode::too_large);
    EXPECT_EQ(create_builder(arena, kPointTypes, {0, 2}, &builder).code, StatusCode::unsupported);
    EXPECT_EQ(create_builder(arena, kPointTypes, {1, 1}, &builder).code, StatusCode::unsupported);
    EXPECT_EQ(create_builder(arena, kPointTypes, {3, 1}, &builder).code, StatusCode::unsupported);
    EXPECT_EQ(create_builder(arena, kPointTypes, {kNoColumn, 3}, &builder).code, StatusCode::unsupported);
    EXPECT_EQ(create_builder(arena, kPointTypes, {kNoColumn, 0}, &builder).code, StatusCode::unsupported);
}

TEST(Segment, ABuilderIsFullAtItsLimit) {
    TestArena arena;
    SegmentBuilder *builder = nullptr;
    const std::vector<ColumnType> types = {{PhysicalKind::int4}, {PhysicalKind::int8}};
    ASSERT_TRUE(create_builder(arena, types, {0, 1}, &builder).ok());
    Cell row[2];
    for (std::uint32_t i = 0; i < kSegmentRowsMax; ++i) {
        row[1].number = i;
        ASSERT_TRUE(append_row(*builder, row).ok());
    }
    EXPECT_EQ(append_row(*builder, row).code, StatusCode::too_large);
    SegmentBytes segment;
    ASSERT_TRUE(finish_builder(*builder, &segment).ok());
    EXPECT_EQ(segment.summary.row_count, kSegmentRowsMax);
    EXPECT_EQ(segment.summary.granule_count, 256u);
}

/// Random columns of every kind, in random order of arrival.
TEST(Segment, GivesBackRandomRowsOfEveryKind) {
    const std::uint64_t seed = std::random_device{}();
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random{seed};
    for (int trial = 0; trial < 30; ++trial) {
        const PhysicalKind tag_kinds[] = {PhysicalKind::bytes, PhysicalKind::fixed, PhysicalKind::int4, PhysicalKind::float8};
        const PhysicalKind tag_kind = tag_kinds[random() % 4];
        const std::vector<ColumnType> types = {{PhysicalKind::int1},
                                               {PhysicalKind::int2},
                                               {PhysicalKind::int4},
                                               {PhysicalKind::int8},
                                               {tag_kind, static_cast<std::uint16_t>(tag_kind == PhysicalKind::fixed ? 16 : 0)},
                                               {PhysicalKind::float4},
                                               {PhysicalKind::float8},
                                               {PhysicalKind::fixed, 12},
                                               {PhysicalKind::bytes},
                                               {PhysicalKind::absent}};
        const SortKey key{trial % 5 == 0 ? kNoColumn : 4, 3};
        const std::uint64_t tags = 1 + random() % 200;
        const std::uint64_t nulls = random() % 3 == 0 ? 1000000 : 1 + random() % 20;
        const std::uint64_t range = std::uint64_t{1} << (random() % 30);
        std::vector<Row> rows;
        for (std::uint64_t i = 0, count = 1 + random() % 6000; i < count; ++i) {
            const std::uint64_t tag = random() % tags;
            const auto small = static_cast<std::int64_t>(random() % range);
            Row row = {
                Value::of(static_cast<std::int8_t>(small)),
                Value::of(static_cast<std::int16_t>(small)),
                Value::of(static_cast<std::int32_t>(random() % 4 == 0 ? random() : small)),
                Value::of(static_cast<std::int64_t>(i * 1000 + random() % range)),
                is_number(tag_kind) ? Value::of(static_cast<std::int32_t>(tag) - 50)
                                    : Value::of(std::string(16, static_cast<char>(tag))),
                Value::of(std::bit_cast<std::int32_t>(static_cast<float>(small) / 10)),
                number(trial % 2 == 0 ? static_cast<double>(small) / 1000 : std::sin(static_cast<double>(random() % 10000))),
                Value::of(std::string(12, static_cast<char>(random() % range))),
                Value::of(std::string(random() % 30, static_cast<char>('a' + random() % 3))),
                Value::of(5)};
            for (Value &value : row) {
                if (random() % nulls == 0) value = Value::null();
            }
            rows.push_back(row);
        }
        check_round_trip(types, key, rows);
        if (HasFailure()) return;
    }
}

}  // namespace
}  // namespace historian::test
