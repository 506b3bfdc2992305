// Filters of keys: bits for each pair of key and granule, granules named for nothing, pages of a lookup and time to build, of
// what the format has (format/key_filter.h) and of what it could have had instead.
//
// Arguments: logs as plain text, each of which becomes a segment of 4,096 lines a granule, its words the keys. Without: two
// made-up segments of 1,048,576 rows. Each time is the best of three runs on one thread.
#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include "codec/hash.h"
#include "format/key_filter.h"
#include "format/page_layout.h"

#include "../unit/test_arena.h"

namespace {

using namespace historian;
using test::TestArena;

constexpr int kLookups = 20000;

double seconds_of(const std::function<void()> &work, int repeats = 3) {
    double best = 1e9;
    for (int i = 0; i < repeats; ++i) {
        const auto start = std::chrono::steady_clock::now();
        work();
        best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
    return best;
}

[[noreturn]] void fail(const char *what) {
    std::printf("%s\n", what);
    std::exit(1);
}

/// The end of splitmix64.
std::uint64_t mix(std::uint64_t hash) {
    hash = (hash ^ hash >> 30) * 0xBF58476D1CE4E5B9;
    hash = (hash ^ hash >> 27) * 0x94D049BB133111EB;
    return hash ^ hash >> 31;
}

constexpr double kNamed = 1.0 / format::kFilterPlacesPerPair;
constexpr int kBloomHashes = 8;

/// The keys of a segment, granule after granule: as they come, and once each.
struct Segment {
    std::string name;
    std::size_t row_count = 0;
    std::vector<std::vector<std::uint64_t>> occurrences;
    std::vector<std::vector<std::uint64_t>> keys;
    std::size_t occurrence_count = 0;
    std::size_t pair_count = 0;

    void count() {
        for (const auto &granule : occurrences) {
            std::vector<std::uint64_t> sorted = granule;
            std::sort(sorted.begin(), sorted.end());
            sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
            occurrence_count += granule.size();
            pair_count += sorted.size();
            keys.push_back(std::move(sorted));
        }
    }
    std::uint32_t granule_count() const { return static_cast<std::uint32_t>(keys.size()); }
    double per_pair(double value) const { return value / static_cast<double>(pair_count); }
};

/// 4,096 rows of ten words a granule: `rare` a row that occur once or twice in one granule, the rest from 3,000 with a few common
/// ones. Granules differ by four times in how many rare ones they have.
Segment make_segment(const char *name, double rare) {
    Segment segment{name, 1u << 20, {}, {}};
    std::mt19937_64 random{42};
    for (int g = 0; g < 256; ++g) {
        auto &granule = segment.occurrences.emplace_back();
        const double share = rare * (0.4 + 1.2 * (g * 37 % 256) / 255) / 10;
        std::uint64_t last = 0;
        for (int i = 0; i < 40960; ++i) {
            const double chance = static_cast<double>(random() >> 11) * 0x1p-53;
            if (chance < share) {
                last = random();
                granule.push_back(last);
            } else if (chance < share * 1.2) {
                granule.push_back(last);
            } else {
                const double place = std::pow(static_cast<double>(random() >> 11) * 0x1p-53, 4);
                granule.push_back(mix(1 + static_cast<std::uint64_t>(place * 3000)));
            }
        }
    }
    segment.count();
    return segment;
}

Segment read_segment(const char *path) {
    Segment segment{path, 0, {}, {}};
    segment.name = segment.name.substr(segment.name.rfind('/') + 1);
    std::ifstream file{path};
    std::string line;
    std::string word;
    while (segment.row_count < (1u << 20) && std::getline(file, line)) {
        if (segment.row_count++ % 4096 == 0) segment.occurrences.emplace_back();
        line += ' ';
        for (const char letter : line) {
            if (std::isalnum(static_cast<unsigned char>(letter)) != 0) {
                word += static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
            } else if (!word.empty()) {
                const std::span bytes{reinterpret_cast<const std::byte *>(word.data()), word.size()};
                segment.occurrences.back().push_back(codec::hash_key(bytes, {0, codec::KeyKind::word}));
                word.clear();
            }
        }
    }
    if (segment.row_count == 0) fail("a log has no lines");
    segment.count();
    return segment;
}

struct Result {
    const char *name = "";
    double bits = 0;         // a pair
    double named = 0;        // share of granules that are named for nothing
    double pages = 0;        // that a lookup touches, the header apart
    double nanoseconds = 0;  // to build, a pair, duplicates removed before; 0: not built, sizes are computed
};

void print(const Segment &segment, const Result &result) {
    std::printf("  %-46s %6.2f %8.2f %7.2f%% %7.2f %8.0f\n", result.name, result.bits,
                result.bits * static_cast<double>(segment.pair_count) / 8 / static_cast<double>(segment.row_count),
                100 * result.named, result.pages, result.nanoseconds);
}

// ------------------------------------------------------------------------------------------------- what the format has

void bench_key_filter(const Segment &segment, std::uint32_t places_per_pair, const char *name) {
    double add = 1e9;
    double finish = 1e9;
    double lookup = 0;
    Result result{name};
    for (int repeat = 0; repeat < 3; ++repeat) {
        TestArena arena;
        format::KeyFilterBuilder *builder = nullptr;
        if (!create_key_filter(arena, {segment.granule_count(), places_per_pair}, &builder).ok()) fail("no builder");
        const auto add_all = [&] {
            for (std::uint32_t g = 0; g < segment.granule_count(); ++g) {
                for (const std::uint64_t key : segment.occurrences[g]) add_key(*builder, g, key);
            }
        };
        add = std::min(add, seconds_of(add_all, 1));
        format::KeyFilterBytes bytes;
        const auto finish_all = [&] {
            if (!finish_key_filter(*builder, &bytes).ok()) fail("no filter");
        };
        finish = std::min(finish, seconds_of(finish_all, 1));
        format::KeyFilter filter;
        if (!open_key_filter(bytes.header, &filter).ok()) fail("no header");
        std::mt19937_64 random{7};
        std::uint64_t named = 0;
        const auto look = [&] {
            for (int i = 0; i < kLookups; ++i) {
                const std::uint64_t key = random();
                const format::ByteRange range = key_range(filter, key);
                std::uint64_t granules[32];
                const std::uint32_t words = format::granule_words(filter.granule_count);
                std::fill_n(granules, words, ~std::uint64_t{0});
                const auto block = bytes.blocks.subspan(range.offset, range.byte_count);
                if (!narrow_granules(filter, key, block, {granules, words}).ok()) fail("no lookup");
                for (std::uint32_t word = 0; word < words; ++word) named += static_cast<unsigned>(std::popcount(granules[word]));
            }
        };
        lookup = seconds_of(look, 1);
        result.named = static_cast<double>(named) / kLookups / segment.granule_count();
        result.bits = segment.per_pair(8.0 * static_cast<double>(bytes.header.size() + bytes.blocks.size()));
    }
    result.pages = 1 + (format::kFilterBlockBytes - 1.0) / format::kPagePayloadBytes;
    result.nanoseconds = segment.per_pair(finish) * 1e9;
    print(segment, result);
    const auto rows = static_cast<double>(segment.row_count);
    std::printf("      add_key %.1f ns a call, %.0f ns a row; all %.0f ns a row; a lookup %.2f us\n",
                add / static_cast<double>(segment.occurrence_count) * 1e9, add / rows * 1e9, (add + finish) / rows * 1e9,
                lookup / kLookups * 1e6);
}

// ---------------------------------------------------------------------------------------------- Bloom filters, bit-sliced

/// Rows that a granule's filter needs so that on the mean over the granules kNamed are named for nothing. Faloutsos and
/// Christodoulakis, ACM TOIS 2, 1984; Goodwin et al., SIGIR 2017.
std::size_t bloom_rows(const Segment &segment, const std::function<double(double keys, double rows)> &named) {
    std::size_t low = 8;
    std::size_t high = std::size_t{1} << 26;
    while (low < high) {
        const std::size_t middle = (low + high) / 2;
        double sum = 0;
        for (const auto &keys : segment.keys) sum += named(static_cast<double>(keys.size()), static_cast<double>(middle));
        if (sum / segment.granule_count() <= kNamed) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

double bloom_named(double keys, double rows) { return std::pow(1 - std::exp(-kBloomHashes * keys / rows), kBloomHashes); }

/// All rows of a key on one page: a page has as many rows as fit, and the keys that chance gives it.
double blocked_bloom_named(double keys, double rows, double page_rows) {
    const double mean = keys * page_rows / rows;
    double named = 0;
    double chance = std::exp(-mean);
    for (int n = 0; n < mean * 4 + 50; ++n) {
        named += chance * std::pow(1 - std::pow(1 - 1 / page_rows, kBloomHashes * n), kBloomHashes);
        chance *= mean / (n + 1);
    }
    return named;
}

void bench_bloom(const Segment &segment, bool blocked) {
    const double row_bytes = (segment.granule_count() + 7) / 8;
    const auto page_rows = std::floor(format::kPagePayloadBytes / row_bytes);
    const std::size_t row_count = bloom_rows(segment, [&](double keys, double rows) {
        return blocked ? blocked_bloom_named(keys, rows, page_rows) : bloom_named(keys, rows);
    });
    Result result{blocked ? "Bloom, bit-sliced, a key's rows on one page" : "Bloom, bit-sliced, 8 rows a key"};
    std::vector<std::uint8_t> bits(row_count * static_cast<std::size_t>(row_bytes));
    const auto row_of = [&](std::uint64_t key, unsigned i) {
        const std::uint64_t hash = mix(key + i * 0x9E3779B97F4A7C15);
        if (!blocked) return static_cast<std::size_t>((static_cast<unsigned __int128>(hash) * row_count) >> 64);
        const auto pages = std::max<std::size_t>(1, row_count / static_cast<std::size_t>(page_rows));
        const auto page = static_cast<std::size_t>((static_cast<unsigned __int128>(key) * pages) >> 64);
        const std::size_t row = page * static_cast<std::size_t>(page_rows) + (hash >> 40) % static_cast<std::size_t>(page_rows);
        return std::min(row, row_count - 1);
    };
    const double build = seconds_of(
        [&] {
            for (std::uint32_t g = 0; g < segment.granule_count(); ++g) {
                for (const std::uint64_t key : segment.keys[g]) {
                    for (unsigned i = 0; i < kBloomHashes; ++i) {
                        bits[row_of(key, i) * static_cast<std::size_t>(row_bytes) + g / 8] |=
                            static_cast<std::uint8_t>(1u << g % 8);
                    }
                }
            }
        },
        1);
    std::mt19937_64 random{7};
    std::uint64_t named = 0;
    for (int lookup = 0; lookup < kLookups; ++lookup) {
        const std::uint64_t key = random();
        for (std::uint32_t byte = 0; byte < static_cast<std::uint32_t>(row_bytes); ++byte) {
            unsigned all = 0xFF;
            for (unsigned i = 0; i < kBloomHashes; ++i) all &= bits[row_of(key, i) * static_cast<std::size_t>(row_bytes) + byte];
            named += static_cast<unsigned>(std::popcount(all));
        }
    }
    result.named = static_cast<double>(named) / kLookups / segment.granule_count();
    result.bits = segment.per_pair(8.0 * static_cast<double>(bits.size()));
    result.pages = blocked ? 1 : kBloomHashes;
    result.nanoseconds = segment.per_pair(build) * 1e9;
    print(segment, result);
}

// ----------------------------------------------------------------------------------------------------- binary fuse filter

/// Sizes of Graf and Lemire, "Binary Fuse Filters", ACM JEA 27, 2022, figure 1 and their code; 8 bits a slot.
void bench_fuse(const Segment &segment) {
    double slots = 0;
    for (const auto &keys : segment.keys) {
        const double n = std::max<double>(2, static_cast<double>(keys.size()));
        const double part = std::pow(2, std::floor(std::log(n) / std::log(2.91) - 0.5));
        const double factor = std::max(1.075, 0.77 + 0.305 * std::log(600000) / std::log(n));
        slots += std::ceil(n * factor / part) * part;
    }
    print(segment,
          {"binary fuse of 4, 8 bits, one a granule", segment.per_pair(8 * slots), 1.0 / 256, 4.0 * segment.granule_count(), 0});
}

// ------------------------------------------------------------------------------------------------------------ ribbon filter

/// A homogeneous ribbon filter (Dillinger and Walzer, arXiv 2103.02515; Dillinger et al., arXiv 2109.01892) of pairs, width 64,
/// 8 bits, in pages that the key chooses: a lookup asks one page for every granule.
class Ribbon {
public:
    static constexpr std::uint32_t kSlots = format::kPagePayloadBytes - 8;

    Ribbon(const Segment &segment, double load)
        : pages_(1 + static_cast<std::uint64_t>(static_cast<double>(segment.pair_count) / (load * (kSlots - 63)))),
          rows_(pages_ * kSlots) {}

    void add(std::uint64_t key, std::uint32_t granule) {
        std::uint64_t *rows = rows_.data() + page_of(key) * kSlots;
        std::uint64_t hash = pair_hash(key, granule);
        std::uint64_t row = start_of(hash);
        std::uint64_t bits = mix(hash) | 1;
        while (rows[row] != 0) {
            bits ^= rows[row];
            if (bits == 0) return;
            const int zeros = std::countr_zero(bits);
            bits >>= zeros;
            row += static_cast<unsigned>(zeros);
        }
        rows[row] = bits;
    }
    void solve() {
        solution_.assign(pages_ * 8 * (kSlots / 64 + 2), 0);
        std::mt19937_64 random{3};
        for (std::uint64_t page = 0; page < pages_; ++page) {
            std::uint64_t windows[8] = {};
            for (std::uint32_t row = kSlots; row-- > 0;) {
                const std::uint64_t bits = rows_[page * kSlots + row];
                const std::uint64_t free = bits == 0 ? random() : 0;
                for (unsigned c = 0; c < 8; ++c) {
                    const std::uint64_t shifted = windows[c] << 1;
                    const auto bit = bits == 0 ? free >> c & 1 : static_cast<std::uint64_t>(std::popcount(shifted & bits)) & 1;
                    windows[c] = shifted | bit;
                    if (bit != 0) column(page, c)[row / 64] |= std::uint64_t{1} << row % 64;
                }
            }
        }
    }
    bool has(std::uint64_t key, std::uint32_t granule) {
        const std::uint64_t hash = pair_hash(key, granule);
        const std::uint64_t row = start_of(hash);
        const std::uint64_t bits = mix(hash) | 1;
        for (unsigned c = 0; c < 8; ++c) {
            const std::uint64_t *words = column(page_of(key), c) + row / 64;
            const std::uint64_t window = row % 64 == 0 ? words[0] : words[0] >> row % 64 | words[1] << (64 - row % 64);
            if ((std::popcount(window & bits) & 1) != 0) return false;
        }
        return true;
    }
    double bits() const { return static_cast<double>(pages_) * format::kPagePayloadBytes * 8; }

private:
    static std::uint64_t pair_hash(std::uint64_t key, std::uint32_t granule) { return mix(key + granule * 0x9E3779B97F4A7C15); }
    static std::uint64_t start_of(std::uint64_t hash) { return (hash >> 32) * (kSlots - 63) >> 32; }
    std::uint64_t page_of(std::uint64_t key) const {
        return static_cast<std::uint64_t>((static_cast<unsigned __int128>(key) * pages_) >> 64);
    }
    std::uint64_t *column(std::uint64_t page, unsigned c) { return solution_.data() + (page * 8 + c) * (kSlots / 64 + 2); }

    std::uint64_t pages_;
    std::vector<std::uint64_t> rows_;
    std::vector<std::uint64_t> solution_;
};

/// A page cannot take all pairs of a key that is in many granules, so those are left out.
void bench_ribbon(const Segment &segment) {
    constexpr int kGranulesMax = 4;
    std::unordered_map<std::uint64_t, int> granules_of_key;
    for (const auto &keys : segment.keys) {
        for (const std::uint64_t key : keys) ++granules_of_key[key];
    }
    Segment rare{segment.name, segment.row_count, segment.keys, {}};
    for (auto &keys : rare.occurrences) {
        std::erase_if(keys, [&](std::uint64_t key) { return granules_of_key[key] > kGranulesMax; });
    }
    rare.count();
    Ribbon ribbon{rare, 0.95};
    const auto build_all = [&] {
        for (std::uint32_t g = 0; g < rare.granule_count(); ++g) {
            for (const std::uint64_t key : rare.keys[g]) ribbon.add(key, g);
        }
        ribbon.solve();
    };
    const double build = seconds_of(build_all, 1);
    for (const std::uint64_t key : rare.keys[0]) {
        if (!ribbon.has(key, 0)) fail("a ribbon filter misses a key");
    }
    std::mt19937_64 random{7};
    std::uint64_t named = 0;
    for (int i = 0; i < 2000; ++i) {
        const std::uint64_t key = random();
        for (std::uint32_t g = 0; g < rare.granule_count(); ++g) named += ribbon.has(key, g) ? 1 : 0;
    }
    print(rare, {"ribbon in pages, keys of 1 to 4 granules only", rare.per_pair(ribbon.bits()),
                 static_cast<double>(named) / 2000 / rare.granule_count(), 1, rare.per_pair(build) * 1e9});
    bench_key_filter(rare, 256, "key_filter of the same, 256 places a pair");
}

void bench(const Segment &segment) {
    const auto rows = static_cast<double>(segment.row_count);
    std::printf("%s: %.0f rows, %u granules, %.1f keys a row, %.2f pairs a row\n", segment.name.c_str(), rows,
                segment.granule_count(), static_cast<double>(segment.occurrence_count) / rows,
                static_cast<double>(segment.pair_count) / rows);
    std::printf("  %-46s %6s %8s %8s %7s %8s\n", "", "bits", "B a row", "named", "pages", "ns");
    bench_key_filter(segment, format::kFilterPlacesPerPair, "key_filter");
    bench_bloom(segment, false);
    bench_bloom(segment, true);
    bench_fuse(segment);
    bench_ribbon(segment);
}

}  // namespace

int main(int argument_count, char **arguments) {
    for (int i = 1; i < argument_count; ++i) bench(read_segment(arguments[i]));
    if (argument_count > 1) return 0;
    bench(make_segment("3 rare words a row", 3));
    bench(make_segment("half a rare word a row", 0.5));
}
