// Filters of keys: nothing that was added is missed, little is found for nothing, and no changed byte goes unnoticed.
#include "format/key_filter.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "codec/hash.h"
#include "test_arena.h"

namespace historian::test {
namespace {

using codec::KeyKind;
using format::ByteRange;
using format::KeyFilter;
using format::KeyFilterBuilder;
using format::KeyFilterBytes;
using format::KeyFilterSize;

using Granules = std::vector<std::uint64_t>;

/// A filter together with the memory that it lies in.
struct Filter {
    std::unique_ptr<TestArena> arena = std::make_unique<TestArena>();
    KeyFilterBuilder *builder = nullptr;
    KeyFilterBytes bytes;
    KeyFilter opened;

    explicit Filter(KeyFilterSize size) { EXPECT_TRUE(create_key_filter(*arena, size, &builder).ok()); }
    void add(std::uint32_t granule, std::uint64_t hash) { add_key(*builder, granule, hash); }
    void finish() {
        ASSERT_TRUE(finish_key_filter(*builder, &bytes).ok());
        const Status status = open_key_filter(bytes.header, &opened);
        ASSERT_TRUE(status.ok()) << status.message;
    }

    std::span<const std::byte> block_of(std::uint64_t hash) const {
        const ByteRange range = key_range(opened, hash);
        return bytes.blocks.subspan(range.offset, range.byte_count);
    }
    Granules find(std::uint64_t hash) const {
        Granules granules(format::granule_words(opened.granule_count), ~std::uint64_t{0});
        const Status status = narrow_granules(opened, hash, block_of(hash), granules);
        EXPECT_TRUE(status.ok()) << status.message;
        return granules;
    }
    std::uint32_t count(std::uint64_t hash) const {
        const Granules granules = find(hash);
        std::uint32_t found = 0;
        for (std::uint32_t g = 0; g < opened.granule_count; ++g) found += granules[g / 64] >> g % 64 & 1;
        return found;
    }
    std::size_t byte_count() const { return bytes.header.size() + bytes.blocks.size(); }
};

bool has(const Granules &granules, std::uint32_t granule) { return (granules[granule / 64] >> granule % 64 & 1) != 0; }

/// What was added, to be found again.
struct Model {
    std::map<std::uint64_t, std::set<std::uint32_t>> granules_of_key;
    Filter filter;

    explicit Model(KeyFilterSize size) : filter(size) {}
    void add(std::uint32_t granule, std::uint64_t hash) {
        granules_of_key[hash].insert(granule);
        filter.add(granule, hash);
    }
    void finish_and_check() {
        filter.finish();
        for (const auto &[hash, granules] : granules_of_key) {
            const Granules found = filter.find(hash);
            for (const std::uint32_t granule : granules) ASSERT_TRUE(has(found, granule)) << hash << " in " << granule;
        }
    }
};

TEST(KeyFilter, MissesNothing) {
    const unsigned seed = std::random_device{}();
    SCOPED_TRACE(seed);
    std::mt19937_64 random{seed};
    for (int round = 0; round < 60; ++round) {
        const std::uint32_t granule_counts[] = {1, 2, 3, 63, 64, 65, 256, 257, 2048, 2049, 5000};
        const std::uint32_t places[] = {1, 7, 100, 333, 333, 65536};
        const KeyFilterSize size{granule_counts[random() % 11], places[random() % 6]};
        Model model{size};
        const std::uint64_t common = random() % 200;
        const std::uint64_t rare = random() % 300;
        const std::uint64_t spread = round % 5 == 0 ? random() % 40 : 0;  // keys that share their high bits
        for (std::uint32_t g = 0; g < size.granule_count; ++g) {
            if (random() % 8 == 0) continue;
            for (std::uint64_t i = 0; i < rare / (1 + size.granule_count / 64); ++i) model.add(g, random() >> spread);
            for (std::uint64_t i = 0; i < common; ++i) {
                if (random() % (i + 1) < 3) model.add(g, i * 0x9E3779B97F4A7C15);
            }
        }
        model.finish_and_check();
        if (HasFatalFailure() || HasFailure()) return;
    }
}

TEST(KeyFilter, WithoutKeysHasNothing) {
    for (const std::uint32_t granule_count : {1u, 100u, 1u << 20}) {
        Filter filter{{granule_count}};
        filter.finish();
        EXPECT_EQ(filter.bytes.blocks.size(), 0u);
        EXPECT_EQ(key_range(filter.opened, 12345).byte_count, 0u);
        EXPECT_EQ(filter.count(12345), 0u);
    }
}

TEST(KeyFilter, WithOneKeyFindsIt) {
    Filter filter{{1}};
    filter.add(0, 1);
    filter.add(0, 1);
    filter.finish();
    EXPECT_EQ(filter.opened.pair_count, 1u);
    EXPECT_EQ(filter.count(1), 1u);
    EXPECT_EQ(filter.count(~std::uint64_t{0}), 0u);
    EXPECT_LT(filter.byte_count(), 48u);
}

TEST(KeyFilter, FindsTheSmallestAndTheLargestKey) {
    Model model{{300}};
    for (const std::uint64_t hash : {std::uint64_t{0}, ~std::uint64_t{0}, std::uint64_t{1} << 32, ~std::uint64_t{0} << 33}) {
        model.filter.add(0, hash);
        model.granules_of_key[hash].insert(0);
    }
    for (const std::uint64_t hash : {std::uint64_t{0}, ~std::uint64_t{0}}) {
        model.filter.add(299, hash);
        model.granules_of_key[hash].insert(299);
    }
    model.finish_and_check();
}

TEST(KeyFilter, CodesAHoleInTheKeysAsOneDistance) {
    Model model{{256}};
    for (std::uint64_t i = 0; i < 100000; ++i) {
        model.add(static_cast<std::uint32_t>(i / 400), (i % 2 == 0 ? 0 : ~std::uint64_t{0}) ^ (i << 32));
    }
    model.finish_and_check();
    EXPECT_LT(model.filter.byte_count(), 100000u);
}

/// 1,000 keys in all of 256 granules, as a log's common words: little more than a bit for each pair.
TEST(KeyFilter, TakesABitForAGranuleOfACommonKey) {
    Filter filter{{256}};
    for (std::uint32_t g = 0; g < 256; ++g) {
        for (std::uint64_t key = 0; key < 1000; ++key) filter.add(g, key * 0x9E3779B97F4A7C15);
    }
    filter.finish();
    EXPECT_LT(filter.byte_count() * 8, 256000u * 14 / 10);
    for (std::uint64_t key = 0; key < 1000; ++key) EXPECT_EQ(filter.count(key * 0x9E3779B97F4A7C15), 256u);
}

/// Granules of 5,000 to 20,000 keys: one in 333 is found for nothing, and a pair takes less than ten bits.
TEST(KeyFilter, FindsFewForNothingInFewBits) {
    std::mt19937_64 random{1};
    Filter filter{{256}};
    std::uint64_t pairs = 0;
    for (std::uint32_t g = 0; g < 256; ++g) {
        const std::uint64_t count = 5000 + 15000 * g / 255;
        for (std::uint64_t i = 0; i < count; ++i) filter.add(g, random());
        pairs += count;
    }
    filter.finish();
    EXPECT_LT(static_cast<double>(filter.byte_count()) * 8 / static_cast<double>(pairs), 9.95);
    std::uint64_t found = 0;
    for (int i = 0; i < 20000; ++i) found += filter.count(random());
    EXPECT_LT(static_cast<double>(found) / 20000 / 256, 1.05 / 333);
    EXPECT_GT(static_cast<double>(found) / 20000 / 256, 0.95 / 333);
}

TEST(KeyFilter, KeepsMillionsOfKeys) {
    Filter filter{{256}};
    constexpr std::uint64_t kKeys = 10000000;
    const auto key = [](std::uint64_t i) { return (i + 1) * 0x9E3779B97F4A7C15; };
    for (std::uint64_t i = 0; i < kKeys; ++i) filter.add(static_cast<std::uint32_t>(i * 256 / kKeys), key(i));
    filter.finish();
    for (std::uint64_t i = 0; i < kKeys; i += 1009) {
        ASSERT_TRUE(has(filter.find(key(i)), static_cast<std::uint32_t>(i * 256 / kKeys)));
    }
    EXPECT_LT(filter.byte_count(), kKeys * 10 / 8);
}

TEST(KeyFilter, LeavesAGroupWithTooManyKeysUnfiltered) {
    Filter filter{{3}};
    filter.add(0, 7);
    for (std::uint64_t i = 0; i <= format::kFilterGroupKeysMax; ++i) filter.add(1, (i + 1) * 0x9E3779B97F4A7C15);
    filter.add(2, 9);
    filter.finish();
    EXPECT_EQ(filter.opened.pair_count, 2u);
    for (std::uint64_t hash = 0; hash < 100; ++hash) EXPECT_TRUE(has(filter.find(hash << 57), 1));
    EXPECT_TRUE(has(filter.find(7), 0));
    EXPECT_FALSE(has(filter.find(~std::uint64_t{0}), 0));
}

TEST(KeyFilter, LeavesAGranuleUnfilteredOnRequest) {
    Filter filter{{3}};
    add_key(*filter.builder, 1, 7);
    leave_unfiltered(*filter.builder, 1);
    add_key(*filter.builder, 1, 8);
    leave_unfiltered(*filter.builder, 2);
    filter.finish();
    EXPECT_EQ(filter.opened.pair_count, 0u);
    EXPECT_EQ(filter.find(7)[0] & 7, 6u);
    EXPECT_EQ(filter.find(~std::uint64_t{0})[0] & 7, 6u);
}

/// A group of granules is unfiltered as a whole.
TEST(KeyFilter, GroupsGranulesOfVerySmallRows) {
    Filter filter{{5000}};
    filter.add(0, 1);
    filter.add(3, std::uint64_t{1} << 63);
    leave_unfiltered(*filter.builder, 4999);
    filter.finish();
    EXPECT_EQ(filter.opened.group_count, 1250u);
    EXPECT_EQ(filter.count(1), 8u);
    EXPECT_EQ(filter.count(~std::uint64_t{0}), 4u);
    EXPECT_TRUE(has(filter.find(~std::uint64_t{0}), 4996));
    for (std::uint32_t granule = 0; granule < 4; ++granule) EXPECT_TRUE(has(filter.find(1), granule));
}

TEST(KeyFilter, NarrowsWhatOtherConditionsLeft) {
    Filter filter{{100}};
    filter.add(3, 1);
    filter.add(70, 1);
    filter.finish();
    Granules granules(2, 0);
    granules[1] = std::uint64_t{1} << (70 - 64);
    ASSERT_TRUE(narrow_granules(filter.opened, 1, filter.block_of(1), granules).ok());
    EXPECT_EQ(granules, (Granules{0, std::uint64_t{1} << 6}));
}

TEST(KeyFilter, RefusesEveryChangedBit) {
    std::mt19937_64 random{5};
    Filter filter{{40}};
    for (std::uint32_t g = 0; g < 40; ++g) {
        for (int i = 0; i < 100; ++i) filter.add(g, random());
        filter.add(g, 77);
    }
    filter.finish();
    ASSERT_GT(filter.opened.block_count, 1u);
    std::vector<std::byte> header(filter.bytes.header.begin(), filter.bytes.header.end());
    for (std::size_t bit = 0; bit < 8 * header.size(); ++bit) {
        header[bit / 8] ^= static_cast<std::byte>(1u << bit % 8);
        KeyFilter opened;
        ASSERT_FALSE(open_key_filter(header, &opened).ok()) << bit;
        header[bit / 8] ^= static_cast<std::byte>(1u << bit % 8);
    }
    for (std::size_t size = 0; size < header.size(); ++size) {
        KeyFilter opened;
        ASSERT_FALSE(open_key_filter(std::span{header}.first(size), &opened).ok());
    }
    const auto original = filter.block_of(77);
    std::vector<std::byte> block(original.begin(), original.end());
    Granules granules(1, ~std::uint64_t{0});
    for (std::size_t bit = 0; bit < 8 * block.size(); ++bit) {
        block[bit / 8] ^= static_cast<std::byte>(1u << bit % 8);
        ASSERT_EQ(narrow_granules(filter.opened, 77, block, granules).code, StatusCode::corrupt);
        block[bit / 8] ^= static_cast<std::byte>(1u << bit % 8);
    }
    for (std::size_t size = 0; size < block.size(); ++size) {
        ASSERT_EQ(narrow_granules(filter.opened, 77, std::span{block}.first(size), granules).code, StatusCode::corrupt);
    }
}

TEST(KeyFilter, RefusesTheBlockOfAnotherPlace) {
    std::mt19937_64 random{6};
    Filter filter{{40}};
    for (std::uint32_t g = 0; g < 40; ++g) {
        for (int i = 0; i < 300; ++i) filter.add(g, random());
    }
    filter.finish();
    ASSERT_GT(filter.opened.block_count, 3u);
    Granules granules(1, ~std::uint64_t{0});
    const auto other = filter.bytes.blocks.subspan(format::kFilterBlockBytes, format::kFilterBlockBytes);
    EXPECT_EQ(narrow_granules(filter.opened, 0, other, granules).code, StatusCode::corrupt);
}

TEST(KeyFilter, ReportsADryArena) {
    std::mt19937_64 random{7};
    int failed = 0;
    bool made = false;
    for (std::size_t bytes_max = 0; !made; bytes_max += 20000) {
        TestArena arena{bytes_max};
        KeyFilterBuilder *builder = nullptr;
        Status status = create_key_filter(arena, {20}, &builder);
        if (status.ok()) {
            for (std::uint32_t i = 0; i < 400000; ++i) add_key(*builder, i / 20000, random());
            KeyFilterBytes bytes;
            status = finish_key_filter(*builder, &bytes);
        }
        made = status.ok();
        if (!made) {
            EXPECT_EQ(status.code, StatusCode::out_of_memory);
            ++failed;
        }
    }
    EXPECT_GT(failed, 3);
}

TEST(KeyFilter, RefusesSizesBeyondItsLimits) {
    TestArena arena;
    KeyFilterBuilder *builder = nullptr;
    for (const KeyFilterSize size :
         {KeyFilterSize{0}, KeyFilterSize{(1u << 20) + 1}, KeyFilterSize{1, 0}, KeyFilterSize{1, 65537}}) {
        EXPECT_EQ(create_key_filter(arena, size, &builder).code, StatusCode::too_large);
    }
}

TEST(KeyHash, KeepsColumnsAndKindsApart) {
    std::set<std::uint64_t> hashes;
    std::size_t count = 0;
    for (const KeyKind kind : {KeyKind::word, KeyKind::value}) {
        for (std::uint32_t column = 0; column < 20; ++column) {
            for (std::uint32_t text = 0; text < 3 * 256; ++text) {
                const std::byte bytes[3] = {static_cast<std::byte>(text), static_cast<std::byte>(text),
                                            static_cast<std::byte>(text)};
                hashes.insert(codec::hash_key({bytes, text / 256 + 1}, {column, kind}) >> 32);
                ++count;
            }
        }
    }
    EXPECT_GE(hashes.size() + 3, count);
}

// --------------------------------------------------------------------------------------------------------------- golden

std::string hex_lines(std::span<const std::byte> bytes) {
    std::string hex;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        char digits[4];
        std::snprintf(digits, sizeof digits, "%02x", static_cast<unsigned>(bytes[i]));
        hex += digits;
        hex += i % 16 == 15 || i + 1 == bytes.size() ? '\n' : ' ';
    }
    return hex;
}

std::uint64_t hash_word(const std::string &word) {
    return codec::hash_key({reinterpret_cast<const std::byte *>(word.data()), word.size()}, {2, KeyKind::word});
}

void check_golden(const std::string &name, const Filter &filter) {
    const std::string path = std::string(HISTORIAN_GOLDEN_DIR) + "/" + name;
    const std::string hex = hex_lines(filter.bytes.header) + "\n" + hex_lines(filter.bytes.blocks);
    std::ifstream file{path};
    if (!file && std::getenv("HISTORIAN_WRITE_GOLDEN") != nullptr) {
        std::ofstream{path} << hex;
        file.open(path);
    }
    ASSERT_TRUE(file.good()) << path;
    EXPECT_EQ(hex, std::string(std::istreambuf_iterator<char>(file), {}));
}

/// The worked example of src/format/README.md.
TEST(GoldenKeyFilter, OfTheReadme) {
    Filter filter{{8}};
    for (std::uint32_t g = 0; g < 8; ++g) {
        if (g != 2) filter.add(g, hash_word("pump"));
        if (g == 5) filter.add(g, hash_word("e102"));
    }
    filter.finish();
    EXPECT_EQ(filter.find(hash_word("e102")), Granules{1 << 5});
    EXPECT_EQ(filter.find(hash_word("pump")), Granules{0xFB});
    EXPECT_EQ(hash_word("pump") >> 32, 2003124527u);
    EXPECT_EQ(hash_word("e102") >> 32, 512305897u);
    check_golden("key_filter.hex", filter);
}

/// Several blocks, distances, far distances, runs and an unfiltered group.
TEST(GoldenKeyFilter, OfAllCodes) {
    Filter filter{{30, 20}};
    for (std::uint32_t g = 0; g < 30; ++g) {
        if (g == 17) {
            for (std::uint64_t i = 0; i <= format::kFilterGroupKeysMax; ++i) filter.add(g, i << 32);
        }
        for (std::uint32_t i = 0; i < 100; ++i) filter.add(g, hash_word("id" + std::to_string(g * 100 + i)) / 2);
        for (std::uint32_t i = 1; i < 8; ++i) {
            if (g % i == 0) filter.add(g, hash_word("every" + std::to_string(i)));
        }
    }
    filter.add(29, ~std::uint64_t{0});
    filter.finish();
    ASSERT_GT(filter.opened.block_count, 1u);
    check_golden("key_filter_all_codes.hex", filter);
}

}  // namespace
}  // namespace historian::test
