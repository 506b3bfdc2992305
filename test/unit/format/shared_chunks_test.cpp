// Granules that have the same chunk: which share it, and what a reader makes of references that cannot be.
#include <bit>
#include <cstring>
#include <random>

#include "codec/byte_writer.h"
#include "codec/hash.h"
#include "format/segment_index.h"
#include "segment_model.h"

namespace historian::test {
namespace {

const std::vector<ColumnType> kPointTypes = {{PhysicalKind::bytes}, {PhysicalKind::int8}, {PhysicalKind::float8}};
constexpr SortKey kPointKey{0, 1};

Value number(double value) { return Value::of(std::bit_cast<std::int64_t>(value)); }
Row point(const std::string &tag, std::int64_t time, double value) { return {Value::of(tag), Value::of(time), number(value)}; }

/// Whether two granules have one chunk of a column.
bool share(const OpenSegment &segment, std::uint32_t column, std::uint32_t a, std::uint32_t b) {
    return chunk_range(*segment.index, a, column).offset == chunk_range(*segment.index, b, column).offset;
}

TEST(SharedChunks, TagsThatReportTogetherShareTheirTimes) {
    std::mt19937_64 random{20261129};
    std::vector<Row> together;
    std::vector<Row> apart;
    for (int step = 0; step < 6000; ++step) {
        const auto jitter = static_cast<std::int64_t>(random() % 1000000);
        for (int tag = 0; tag < 4; ++tag) {
            const std::string name = "tag" + std::to_string(tag);
            // The last tag misses one report.
            if (tag < 3 || step != 4000) together.push_back(point(name, step * 30000000LL + jitter, step % 9));
            apart.push_back(point(name, step * 30000000LL + static_cast<std::int64_t>(random() % 1000000), step % 9));
        }
    }
    const std::string bytes = check_round_trip(kPointTypes, kPointKey, together);
    EXPECT_LT(bytes.size(), check_round_trip(kPointTypes, kPointKey, apart).size() * 6 / 10);
    const OpenSegment segment{bytes};
    const std::uint32_t granules = granules_of_tag(*segment.index, 0).last + 1;
    ASSERT_GE(granules, 2u);
    for (std::uint32_t g = 0; g < segment.header.granule_count; ++g) {
        const std::uint64_t offset = chunk_range(*segment.index, g, 1).offset;
        const std::uint64_t of_first_tag = chunk_range(*segment.index, g % granules, 1).offset;
        if (g < 3 * granules || g == 3 * granules) {
            EXPECT_EQ(offset, of_first_tag) << "granule " << g;
        }
        EXPECT_NE(chunk_range(*segment.index, g, 2).offset, offset);
    }
}

TEST(SharedChunks, OfNothingButTimesAreNone) {
    std::vector<Row> rows(10000, Row{Value::of(7)});
    const std::string bytes = check_round_trip({{PhysicalKind::int8}}, {kNoColumn, 0}, rows);
    const OpenSegment segment{bytes};
    EXPECT_NE(chunk_range(*segment.index, 0, 0).offset, chunk_range(*segment.index, 1, 0).offset);
}

// Every kind of column, with and without NULLs and a model, of tags that say the same at other times.
TEST(SharedChunks, TagsThatSayTheSameShareTheirValues) {
    const std::vector<ColumnType> types = {{PhysicalKind::bytes},  {PhysicalKind::int8},  {PhysicalKind::float8},
                                           {PhysicalKind::int4},   {PhysicalKind::bytes}, {PhysicalKind::fixed, 3},
                                           {PhysicalKind::float4}, {PhysicalKind::absent}};
    std::vector<ColumnTraits> traits(types.size());
    traits[3].has_range = true;
    traits[4] = {codec::KeyKind::word, false, true};
    std::mt19937_64 random{20261129};
    std::vector<Row> rows;
    std::int64_t next_time = 0;
    for (int step = 0; step < 1500; ++step) {
        Row row(types.size(), Value::null());
        row[2] = number(static_cast<double>(random() % 1000) / 10);
        row[3] = Value::of(static_cast<std::int64_t>(random() % 77777));
        row[4] = Value::of("pump " + std::to_string(random() % 90) + " failed after " + std::to_string(random() % 5000) + " ms");
        row[5] = Value::of(std::to_string(100 + random() % 900));
        row[6] = Value::of(std::bit_cast<std::int32_t>(static_cast<float>(random() % 500) / 4));
        for (std::uint32_t c = 2; c < 6; ++c) {
            if (random() % 10 == 0) row[c] = Value::null();
        }
        for (const char *const tag : {"a", "b", "c"}) {
            row[0] = Value::of(std::string(tag));
            row[1] = Value::of(next_time += 1 + static_cast<std::int64_t>(random() % 1000));
            rows.push_back(row);
        }
    }
    const std::string bytes = check_round_trip(types, kPointKey, rows, traits);
    const OpenSegment segment{bytes};
    ASSERT_EQ(segment.header.granule_count, 3u);
    EXPECT_NE(model_range(*segment.index, 4).byte_count, 0u);
    for (std::uint32_t c = 2; c < 7; ++c) {
        EXPECT_TRUE(share(segment, c, 0, 1)) << "column " << c;
        EXPECT_TRUE(share(segment, c, 0, 2)) << "column " << c;
    }
    EXPECT_FALSE(share(segment, 0, 0, 1));
    EXPECT_FALSE(share(segment, 1, 0, 1));
}

// A constant's bytes do not tell how often it is there: the granule's number of rows does.
TEST(SharedChunks, HaveTheRowsOfEachGranule) {
    std::vector<Row> rows;
    for (int tag = 0; tag < 40; ++tag) {
        for (int i = 0; i < 600 + tag * 17; ++i) {
            rows.push_back({Value::of("tag" + std::to_string(100 + tag)), Value::of(i * 1000), Value::of(7), Value::null()});
        }
    }
    const std::string bytes = check_round_trip(
        {{PhysicalKind::bytes}, {PhysicalKind::int8}, {PhysicalKind::int4}, {PhysicalKind::float8}}, kPointKey, rows);
    const OpenSegment segment{bytes};
    ASSERT_EQ(segment.header.granule_count, 40u);
    for (std::uint32_t g = 1; g < 40; ++g) {
        EXPECT_NE(granule_at(*segment.index, g).row_count, granule_at(*segment.index, 0).row_count);
        for (const std::uint32_t c : {1u, 2u, 3u}) EXPECT_TRUE(share(segment, c, 0, g));
    }
    // Tags of one chunk each, and what the index has of them.
    EXPECT_LT(bytes.size(), 40u * 16);
}

// Chunks that begin alike are two.
TEST(SharedChunks, AreEqualToTheLastByte) {
    std::vector<Row> rows;
    std::mt19937_64 random{7};
    for (int i = 0; i < 2000; ++i) {
        const auto value = static_cast<double>(random() % 65536);
        rows.push_back(point("a", i, value));
        rows.push_back(point("b", i, i == 1999 ? value + 1 : value));
    }
    const std::string bytes = check_round_trip(kPointTypes, kPointKey, rows);
    const OpenSegment segment{bytes};
    ASSERT_EQ(segment.header.granule_count, 2u);
    EXPECT_FALSE(share(segment, 2, 0, 1));
}

TEST(SharedChunks, AreNoneWhereTheListsWouldTakeMore) {
    std::mt19937_64 random{8};
    std::vector<Row> rows;
    for (int tag = 0; tag < 400; ++tag) {
        const bool is_idle = tag == 77 || tag == 278;
        for (int i = 0; i < 512; ++i) {
            const std::int64_t time = tag * 512 * 1000 + i * 1000;
            rows.push_back(point("tag" + std::to_string(1000 + tag), time, is_idle ? 5 : static_cast<double>(random() % 3)));
        }
    }
    const std::string bytes = check_round_trip(kPointTypes, kPointKey, rows);
    const OpenSegment segment{bytes};
    ASSERT_EQ(segment.header.granule_count, 400u);
    const ByteRange one = chunk_range(*segment.index, 77, 2);
    const ByteRange other = chunk_range(*segment.index, 278, 2);
    ASSERT_EQ(one.byte_count, other.byte_count);
    EXPECT_EQ(std::memcmp(segment.bytes.data() + one.offset, segment.bytes.data() + other.offset, one.byte_count), 0);
    EXPECT_NE(one.offset, other.offset);
}

// A segment of few bytes has few granules and columns: columns share their chunks as long as enough is left.
TEST(SharedChunks, LeaveAByteForSomeColumns) {
    constexpr std::uint32_t kColumns = 100;
    constexpr std::uint32_t kTags = 200;
    std::vector<ColumnType> types(kColumns, ColumnType{PhysicalKind::int2});
    types[0] = types[1] = {PhysicalKind::int8};
    TestArena arena;
    SegmentBuilder *builder = nullptr;
    ASSERT_TRUE(create_builder(arena, types, {0, 1}, &builder).ok());
    std::vector<Cell> row(kColumns, Cell{.number = 3});
    for (row[0].number = 0; row[0].number < kTags; ++row[0].number) {
        for (row[1].number = 0; row[1].number < kGranuleRowsLonely; ++row[1].number)
            ASSERT_TRUE(append_row(*builder, row.data()).ok());
    }
    SegmentBytes made;
    ASSERT_TRUE(finish_builder(*builder, &made).ok());
    const std::string bytes{reinterpret_cast<const char *>(made.bytes.data()), made.bytes.size()};
    OpenSegment segment{bytes};
    ASSERT_TRUE(segment.status.ok()) << segment.status.message;
    ASSERT_EQ(segment.header.granule_count, kTags);
    std::uint64_t chunk_bytes = 0;
    std::uint32_t shared = 0;
    for (std::uint32_t c = 0; c < kColumns; ++c) {
        const bool is_shared = share(segment, c, 0, kTags - 1);
        const ByteRange range = chunk_range(*segment.index, kTags - 1, c);
        shared += is_shared;
        chunk_bytes += range.byte_count * (is_shared ? 1 : kTags);
        ColumnVector decoded;
        ASSERT_TRUE(segment.decode(kTags - 1, c, &decoded).ok());
        EXPECT_EQ(decoded.numbers[9], c == 0 ? kTags - 1 : c == 1 ? 9 : 3);
    }
    EXPECT_GE(chunk_bytes, chunks_bytes_min(kTags, kColumns));
    EXPECT_LT(chunk_bytes, chunks_bytes_min(kTags, kColumns) + 6 * kTags);
    EXPECT_LT(shared, kColumns - 1);
    EXPECT_GT(shared, kColumns / 2);
}

/// A segment of two granules that have one chunk of values, with these bytes of its index in place of others, and a checksum that
/// fits.
std::string with_index_bytes(std::string bytes, const std::string &from, const std::string &to) {
    const std::size_t place = bytes.find(from);
    EXPECT_NE(place, std::string::npos);
    EXPECT_EQ(from.size(), to.size());
    bytes.replace(place, to.size(), to);
    SegmentHeader header;
    EXPECT_TRUE(open_segment(bytes_of(bytes).first(kSegmentHeaderBytes), &header).ok());
    const std::span<const std::byte> checked =
        bytes_of(bytes).subspan(header.index.offset + kIndexChecksumBytes, header.index.byte_count - kIndexChecksumBytes);
    const std::uint64_t checksum = codec::hash_bytes(checked);
    std::memcpy(bytes.data() + header.index.offset, &checksum, sizeof checksum);
    return bytes;
}

std::string twins() {
    std::vector<Row> rows;
    for (int i = 0; i < 2048; ++i) rows.push_back(point(i % 2 == 0 ? "left" : "right", i * i, i / 2 % 2 == 0 ? 1.5 : i / 2));
    return build(kPointTypes, kPointKey, rows);
}

TEST(SharedChunks, OfNoEarlierGranuleAreRefused) {
    const std::string bytes = twins();
    const OpenSegment whole{bytes};
    ASSERT_TRUE(share(whole, 2, 0, 1));
    // As linear_integers: the sizes of the column's chunks, s and 0, and behind them the distances, 0 and 1.
    std::byte room[64];
    codec::ByteWriter out{room};
    const auto size = static_cast<std::int64_t>(chunk_range(*whole.index, 0, 2).byte_count);
    out.u8(4);
    out.signed_varint(size);
    out.signed_varint(-size);
    const std::string sizes{reinterpret_cast<const char *>(room), out.size()};
    const std::string distances = sizes + std::string{4, 0, 2};
    EXPECT_EQ(with_index_bytes(bytes, distances, distances), bytes);
    const std::string refused[] = {
        {4, 0, 4},  // 0, 2: before the first
        {4, 0, 1},  // 0, -1: a later one
        {4, 1, 4},  // -1, 1
        {4, 2, 0},  // 1, 1: the first, of none
        {4, 2, 1},  // 1, 0: the first, and the other one has no size
        {4, 0, 0},  // 0, 0: itself
    };
    for (const std::string &other : refused) {
        const std::string damaged = with_index_bytes(bytes, distances, sizes + other);
        const OpenSegment segment{damaged};
        EXPECT_EQ(segment.status.code, StatusCode::corrupt) << int{other[1]} << " " << int{other[2]};
    }
}

// Whatever the index says, a chunk lies in its segment, and that of tags is the granule's own.
TEST(SharedChunks, LieInTheirSegment) {
    const std::string bytes = twins();
    const std::size_t end = kSegmentHeaderBytes + OpenSegment{bytes}.header.index.byte_count;
    std::uint32_t opened = 0;
    for (std::size_t at = kSegmentHeaderBytes + kIndexChecksumBytes; at < end; ++at) {
        for (int other = 0; other < 256; ++other) {
            std::string damaged = bytes;
            damaged[at] = static_cast<char>(other);
            damaged = with_index_bytes(damaged, {}, {});
            const OpenSegment segment{damaged};
            if (!segment.status.ok()) continue;
            opened += 1;
            for (std::uint32_t g = 0; g < 2; ++g) {
                for (std::uint32_t c = 0; c < 3; ++c) {
                    const ByteRange range = chunk_range(*segment.index, g, c);
                    ASSERT_LE(range.offset + range.byte_count, bytes.size());
                    ASSERT_GE(range.byte_count, kChunkBytesMin);
                }
            }
            ASSERT_FALSE(share(segment, 0, 0, 1));
        }
    }
    EXPECT_GT(opened, 100u);
}

}  // namespace
}  // namespace historian::test
