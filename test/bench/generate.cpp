// generate: the rows that test/bench/run loads, as COPY text on standard output. The same arguments give the same bytes anywhere.
//
//     generate ROWS [LATE_SHARE [TAGS [PERIOD]]]
//         LATE_SHARE  of the points, 0 to 1: 0
//         TAGS        1000; names are their own up to 100,000
//         PERIOD      seconds between two readings of a tag: 1
//
// The readings of one period are interleaved, in the order of the tags within one second: of 1,000 tags, tag i (points.h) comes i
// milliseconds after the full second. A late point comes where it would come in time, but is an hour to 30 days older, at random.
// Rows are (name, time, value).
#include <cstdlib>
#include <ctime>

#include "points.h"

namespace {

constexpr int kTagCount = 1000;
constexpr int kTagCountMax = 100000;
constexpr std::uint64_t kLateSeed = 3;
constexpr std::int64_t kLateSecondsMin = 3600;
constexpr std::int64_t kLateSecondsMax = 30 * 86400;

// The text of a second; the last one is kept, as most rows have the same.
const char *clock_text(std::time_t seconds) {
    static char text[32];
    static std::time_t text_seconds = 0;
    if (seconds != text_seconds) {
        std::tm parts;
        gmtime_r(&seconds, &parts);
        std::strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &parts);
        text_seconds = seconds;
    }
    return text;
}

}  // namespace

int main(int argument_count, char **arguments) {
    if (argument_count < 2) {
        std::fprintf(stderr, "usage: generate ROWS [LATE_SHARE [TAGS [PERIOD]]]\n");
        return 2;
    }
    const std::int64_t rows = std::atoll(arguments[1]);
    const double late_share = argument_count > 2 ? std::atof(arguments[2]) : 0;
    const int tag_count = argument_count > 3 ? std::atoi(arguments[3]) : kTagCount;
    const std::int64_t period = argument_count > 4 ? std::atoll(arguments[4]) : 1;
    if (tag_count < 1 || tag_count > kTagCountMax) {
        std::fprintf(stderr, "generate: TAGS is 1 to %d\n", kTagCountMax);
        return 2;
    }
    if (late_share > 0) {
        std::fprintf(stderr, "generate: a share of %g is late, seed %llu\n", late_share,
                     static_cast<unsigned long long>(kLateSeed));
    }
    bench::Random random(bench::kSeed);
    bench::Random late(kLateSeed);
    std::vector<bench::Tag> tags = bench::make_tags(tag_count, random);
    static char buffer[1 << 20];
    char *at = buffer;
    for (std::int64_t row = 0; row < rows; ++row) {
        const int i = static_cast<int>(row % tag_count);
        const std::int64_t second = row / tag_count * period;
        bench::Tag &tag = tags[i];
        std::int64_t seconds = bench::kStartSeconds + second;
        if (late_share > 0 && late.uniform() < late_share)
            seconds -= kLateSecondsMin + static_cast<std::int64_t>(late.bits() % (kLateSecondsMax - kLateSecondsMin));
        at += std::snprintf(at, 128, "%s\t%s.%03d+00\t", tag.name, clock_text(seconds),
                            static_cast<int>(i * std::int64_t{1000} / tag_count));
        at = bench::write_value(at, at + 64, tag.kind, bench::next_value(tag, second, random));
        *at++ = '\n';
        if (at > buffer + sizeof(buffer) - 256) {
            std::fwrite(buffer, 1, at - buffer, stdout);
            at = buffer;
        }
    }
    std::fwrite(buffer, 1, at - buffer, stdout);
    return std::fflush(stdout) == 0 ? 0 : 1;
}
