// The plant whose readings the benchmarks store: tags, their names, and the next value of each. Deterministic.
//
// A third of the tags are walks with two decimals that rest three readings of four, a third are integers (half counters, half
// slow walks), and a third are a sine with Gaussian noise at a double's full precision. Names have about 22 bytes.
#pragma once

#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <vector>

namespace bench {

// SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
class Random {
public:
    explicit Random(std::uint64_t seed) : state_(seed) {}
    std::uint64_t bits() {
        std::uint64_t z = state_ += 0x9E3779B97F4A7C15u;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
        return z ^ (z >> 31);
    }
    double uniform() { return static_cast<double>(bits() >> 11) * 0x1p-53; }
    double gaussian() {  // Box and Muller, 1958; one of the pair is enough here
        return std::sqrt(-2.0 * std::log(1.0 - uniform())) * std::cos(6.283185307179586 * uniform());
    }

private:
    std::uint64_t state_;
};

enum class Kind { decimal_walk, integer, noise };

struct Tag {
    char name[32];
    Kind kind;
    bool counts;  // an integer that only grows
    double value;
    double phase;
};

inline constexpr std::uint64_t kSeed = 20260101;
inline constexpr std::int64_t kStartSeconds = 1767225600;  // 2026-01-01 00:00:00 UTC

inline std::vector<Tag> make_tags(int count, Random &random) {
    static const char *const kNames[] = {"temp", "count", "vib"};
    std::vector<Tag> tags(count);
    for (int i = 0; i < count; ++i) {
        Tag &tag = tags[i];
        tag.kind = static_cast<Kind>(i % 3);
        std::snprintf(tag.name, sizeof(tag.name), "site%d.line%02d.%s_%05d", i % 4, i / 20 % 100, kNames[i % 3], i % 100000);
        tag.counts = i % 2 == 1;
        tag.value = tag.kind == Kind::decimal_walk ? 20 + 60 * random.uniform() : static_cast<double>(random.bits() % 1000);
        tag.phase = 6.283185307179586 * random.uniform();
    }
    return tags;
}

inline double next_value(Tag &tag, std::int64_t second, Random &random) {
    switch (tag.kind) {
        case Kind::decimal_walk:
            if (random.bits() % 4 == 0) tag.value += 0.05 * random.gaussian();
            return std::round(tag.value * 100) / 100;
        case Kind::integer:
            if (tag.counts) return tag.value += static_cast<double>(random.bits() % 8);
            if (random.bits() % 8 == 0) tag.value += random.bits() % 2 == 0 ? 1 : -1;
            return tag.value;
        case Kind::noise: return 50 + 10 * std::sin(tag.phase + static_cast<double>(second) / 95.5) + 1.5 * random.gaussian();
    }
    return 0;
}

// Writes a value as its sensor would, without a NUL; gives the end. 32 bytes are enough.
inline char *write_value(char *at, char *end, Kind kind, double value) {
    if (kind == Kind::decimal_walk) return std::to_chars(at, end, value, std::chars_format::fixed, 2).ptr;
    if (kind == Kind::integer) return std::to_chars(at, end, static_cast<std::int64_t>(value)).ptr;
    return std::to_chars(at, end, value).ptr;  // the shortest text that reads back as the same double
}

}  // namespace bench
