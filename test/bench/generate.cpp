// generate: the rows that test/bench/run loads, as COPY text on standard output. The same arguments give the same bytes anywhere.
//
//     generate ROWS [TAGS]      TAGS: 1000
//
// Every tag has one reading a second; the rows of a second are interleaved, tag i comes i milliseconds after the full second. A
// third of the tags are walks with two decimals that rest three readings of four, a third are integers (half counters, half slow
// walks), and a third are a sine with Gaussian noise at a double's full precision. Rows are (name, time, value); names have about
// 22 bytes.
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>

namespace {

// SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
class Random {
public:
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
    std::uint64_t state_ = 20260101;
};

enum class Kind { decimal_walk, integer, noise };

struct Tag {
    char name[32];
    Kind kind;
    bool counts;  // an integer that only grows
    double value;
    double phase;
};

constexpr std::int64_t kStartSeconds = 1767225600;  // 2026-01-01 00:00:00 UTC

double next_value(Tag &tag, std::int64_t second, Random &random) {
    switch (tag.kind) {
        case Kind::decimal_walk:
            if (random.bits() % 4 == 0) tag.value += 0.05 * random.gaussian();
            return std::round(tag.value * 100) / 100;
        case Kind::integer:
            if (tag.counts) return tag.value += static_cast<double>(random.bits() % 8);
            if (random.bits() % 8 == 0) tag.value += random.bits() % 2 == 0 ? 1 : -1;
            return tag.value;
        case Kind::noise:
            return 50 + 10 * std::sin(tag.phase + static_cast<double>(second) / 95.5) + 1.5 * random.gaussian();
    }
    return 0;
}

char *write_value(char *at, char *end, Kind kind, double value) {
    if (kind == Kind::decimal_walk) return std::to_chars(at, end, value, std::chars_format::fixed, 2).ptr;
    if (kind == Kind::integer) return std::to_chars(at, end, static_cast<std::int64_t>(value)).ptr;
    return std::to_chars(at, end, value).ptr;  // the shortest text that reads back as the same double
}

}  // namespace

int main(int argument_count, char **arguments) {
    if (argument_count < 2) {
        std::fprintf(stderr, "usage: generate ROWS [TAGS]\n");
        return 2;
    }
    const std::int64_t rows = std::atoll(arguments[1]);
    const int tag_count = argument_count > 2 ? std::atoi(arguments[2]) : 1000;
    static const char *const kNames[] = {"temp", "count", "vib"};
    Random random;
    const auto tags = std::make_unique<Tag[]>(tag_count);
    for (int i = 0; i < tag_count; ++i) {
        Tag &tag = tags[i];
        tag.kind = static_cast<Kind>(i % 3);
        std::snprintf(tag.name, sizeof(tag.name), "site%d.line%02d.%s_%05d", i % 4, i / 20 % 100, kNames[i % 3], i % 100000);
        tag.counts = i % 2 == 1;
        tag.value = tag.kind == Kind::decimal_walk ? 20 + 60 * random.uniform() : static_cast<double>(random.bits() % 1000);
        tag.phase = 6.283185307179586 * random.uniform();
    }
    static char buffer[1 << 20];
    char *at = buffer;
    for (std::int64_t row = 0; row < rows; ++row) {
        const int i = static_cast<int>(row % tag_count);
        const std::int64_t second = row / tag_count;
        Tag &tag = tags[i];
        const std::time_t seconds = kStartSeconds + second + i / 1000;
        static char clock[32];
        static std::time_t clock_seconds = 0;
        if (seconds != clock_seconds) {
            std::tm parts;
            gmtime_r(&seconds, &parts);
            std::strftime(clock, sizeof(clock), "%Y-%m-%d %H:%M:%S", &parts);
            clock_seconds = seconds;
        }
        at += std::snprintf(at, 128, "%s\t%s.%03d+00\t", tag.name, clock, i % 1000);
        at = write_value(at, at + 64, tag.kind, next_value(tag, second, random));
        *at++ = '\n';
        if (at > buffer + sizeof(buffer) - 256) {
            std::fwrite(buffer, 1, at - buffer, stdout);
            at = buffer;
        }
    }
    std::fwrite(buffer, 1, at - buffer, stdout);
    return std::fflush(stdout) == 0 ? 0 : 1;
}
