// Bytes per value and speed of the float codecs on real sets, tag by tag, beside what zstd and published codecs
// (reference_codecs) make of the same columns.
//
// usage: codec_sets_bench FILE.csv...     lines "name,time,value" after a header; lines without a value are left out
//
// What is compared, in bytes a value:
//     ours      granules of 4,096 values, each of which decodes alone; after the tags of a set also with high effort
//     doubles   zstd -19 of all of a tag's doubles, byte planes or not, whichever is shorter
//     decimals  zstd -19 of all of them as whole numbers, in the fewest decimals that are exact: themselves, their differences or
//               the differences of these, in the smallest width, byte planes or not, whichever is shortest
//     gorilla, chimp, chimp128, alp
//               reference_codecs/reference_codec.h; after the tags of a set also their speeds, measured as ours are
#include <zstd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "codec/floats.h"

#include "../unit/test_arena.h"
#include "reference_codecs/reference_codec.h"

namespace {

using namespace historian;
using test::TestArena;

constexpr std::size_t kChunk = codec::kStreamValuesMax;
constexpr int kRepeats = 5;

struct Point {
    std::string time;
    double value;
};
using Tags = std::map<std::string, std::vector<Point>>;

/// What a codec takes, in bytes, and how long, in seconds.
struct Timed {
    std::size_t bytes = 0;
    double encode = 0;
    double decode = 0;

    void add(const Timed &other) {
        bytes += other.bytes;
        encode += other.encode;
        decode += other.decode;
    }
};

/// What one tag's values take.
struct Measured {
    std::size_t count = 0;
    Timed ours;
    Timed high;
    std::array<Timed, references::kReferenceCount> published;
    std::size_t doubles = 0;
    std::size_t decimals = 0;

    void add(const Measured &other) {
        count += other.count;
        ours.add(other.ours);
        high.add(other.high);
        for (std::size_t i = 0; i < published.size(); ++i) published[i].add(other.published[i]);
        doubles += other.doubles;
        decimals += other.decimals;
    }
};

[[noreturn]] void fail(const std::string &what) {
    std::fprintf(stderr, "codec_sets_bench: %s\n", what.c_str());
    std::exit(1);
}

Tags read_tags(const char *path) {
    std::ifstream file{path};
    std::string line;
    Tags tags;
    if (!std::getline(file, line)) fail(std::string{"cannot read "} + path);
    while (std::getline(file, line)) {
        const std::size_t value = line.rfind(',');
        const std::size_t time = value == std::string::npos ? value : line.rfind(',', value - 1);
        if (time == std::string::npos) fail("a line has no three fields: " + line);
        double number = 0;
        const char *const end = line.data() + line.size();
        if (std::from_chars(line.data() + value + 1, end, number).ptr != end || value + 1 == line.size()) continue;
        tags[line.substr(0, time)].push_back({line.substr(time + 1, value - time - 1), number});
    }
    for (auto &[name, points] : tags) {
        std::stable_sort(points.begin(), points.end(), [](const Point &a, const Point &b) { return a.time < b.time; });
    }
    return tags;
}

double seconds_since(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

Timed measure_ours(const std::vector<std::int64_t> &bits, codec::Effort effort) {
    TestArena arena;
    codec::EncodeSpace space;
    if (!make_encode_space(arena, &space, effort).ok()) fail("no memory");
    std::vector<std::byte> room(codec::floats_bytes_max(kChunk) * (bits.size() / kChunk + 1));
    std::vector<std::int64_t> decoded(kChunk);
    Timed timed{0, 1e9, 1e9};
    for (int repeat = 0; repeat < kRepeats; ++repeat) {
        codec::ByteWriter out{room};
        auto start = std::chrono::steady_clock::now();
        for (std::size_t done = 0; done < bits.size(); done += kChunk) {
            const std::span chunk{bits.data() + done, std::min(kChunk, bits.size() - done)};
            if (!encode_floats(chunk, codec::FloatSize::eight, space, out).ok()) fail("no room");
        }
        timed.encode = std::min(timed.encode, seconds_since(start));
        timed.bytes = out.size();
        codec::ByteReader in{{room.data(), out.size()}};
        start = std::chrono::steady_clock::now();
        for (std::size_t done = 0; done < bits.size(); done += kChunk) {
            const std::span values{decoded.data(), std::min(kChunk, bits.size() - done)};
            TestArena decode_arena;
            if (!decode_floats(in, codec::FloatSize::eight, values, decode_arena).ok() ||
                !std::equal(values.begin(), values.end(), bits.begin() + static_cast<std::ptrdiff_t>(done)))
                fail("decoded values differ");
        }
        timed.decode = std::min(timed.decode, seconds_since(start));
    }
    return timed;
}

Timed measure_published(const references::ReferenceCodec &codec, const std::vector<std::int64_t> &bits) {
    std::vector<std::byte> room(references::reference_bytes_max(bits.size()));
    Timed timed{0, 1e9, 1e9};
    for (int repeat = 0; repeat < kRepeats; ++repeat) {
        auto start = std::chrono::steady_clock::now();
        timed.bytes = codec.encode(bits, room.data());
        timed.encode = std::min(timed.encode, seconds_since(start));
        auto expected = bits.begin();
        const auto compare = [&](std::span<const std::int64_t> values) {
            if (!std::equal(values.begin(), values.end(), expected)) fail(std::string{"decoded values differ: "} + codec.name);
            expected += static_cast<std::ptrdiff_t>(values.size());
        };
        start = std::chrono::steady_clock::now();
        codec.decode(room.data(), bits.size(), compare);
        timed.decode = std::min(timed.decode, seconds_since(start));
        if (expected != bits.end()) fail(std::string{"values are missing: "} + codec.name);
    }
    return timed;
}

// ------------------------------------------------------------------------------------------------- what zstd makes of it

std::size_t zstd_bytes(const std::vector<char> &bytes) {
    std::vector<char> room(ZSTD_compressBound(bytes.size()));
    const std::size_t size = ZSTD_compress(room.data(), room.size(), bytes.data(), bytes.size(), 19);
    return ZSTD_isError(size) ? fail("zstd failed"), 0 : size;
}

/// The shorter of plain and byte planes, of the `width` low bytes of each number.
std::size_t zstd_bytes_of(const std::vector<std::uint64_t> &numbers, std::size_t width) {
    std::vector<char> plain(numbers.size() * width);
    std::vector<char> planes(plain.size());
    for (std::size_t i = 0; i < numbers.size(); ++i) {
        for (std::size_t b = 0; b < width; ++b)
            plain[i * width + b] = planes[b * numbers.size() + i] = static_cast<char>(numbers[i] >> (8 * b));
    }
    return std::min(zstd_bytes(plain), zstd_bytes(planes));
}

/// The numbers as multiples of the fewest decimals that are exact; empty when there are none.
std::vector<std::int64_t> scaled(const std::vector<double> &doubles) {
    double power = 1;
    for (int exponent = 0; exponent <= 15; ++exponent, power *= 10) {
        std::vector<std::int64_t> numbers;
        for (const double number : doubles) {
            const double whole = std::nearbyint(number * power);
            if (!(std::fabs(whole) < 9e15) || whole / power != number) break;
            numbers.push_back(static_cast<std::int64_t>(whole));
        }
        if (numbers.size() == doubles.size()) return numbers;
    }
    return {};
}

std::size_t width_of(const std::vector<std::int64_t> &numbers) {
    std::size_t width = 1;
    for (const std::int64_t number : numbers) {
        while (width < 8 && (number << (64 - 8 * width) >> (64 - 8 * width)) != number) ++width;
    }
    return width;
}

std::size_t decimals_bytes(const std::vector<double> &doubles) {
    std::vector<std::int64_t> numbers = scaled(doubles);
    std::size_t shortest = SIZE_MAX;
    for (int order = 0; order <= 2 && !numbers.empty(); ++order) {
        const std::vector<std::uint64_t> bits{numbers.begin(), numbers.end()};
        shortest = std::min(shortest, zstd_bytes_of(bits, width_of(numbers)));
        for (std::size_t i = numbers.size() - 1; i > 0; --i) numbers[i] -= numbers[i - 1];
    }
    return shortest;
}

Measured measure(const std::vector<Point> &points) {
    std::vector<double> doubles;
    std::vector<std::int64_t> bits;
    for (const Point &point : points) {
        doubles.push_back(point.value);
        bits.push_back(std::bit_cast<std::int64_t>(point.value));
    }
    Measured measured;
    measured.count = points.size();
    measured.ours = measure_ours(bits, codec::Effort::normal);
    measured.high = measure_ours(bits, codec::Effort::high);
    for (std::size_t i = 0; i < measured.published.size(); ++i)
        measured.published[i] = measure_published(references::kReferenceCodecs[i], bits);
    measured.doubles = zstd_bytes_of({bits.begin(), bits.end()}, 8);
    measured.decimals = std::min(measured.doubles, decimals_bytes(doubles));
    return measured;
}

// ------------------------------------------------------------------------------------------------- tables

void print_heads() {
    std::printf("%-52s %9s %7s %8s %8s %8s %8s", "bytes a value; million values a second", "values", "ours", "doubles",
                "decimals", "encode", "decode");
    for (const references::ReferenceCodec &codec : references::kReferenceCodecs) std::printf(" %8s", codec.name);
    std::printf("\n");
}

void print(const std::string &name, const Measured &measured) {
    const auto count = static_cast<double>(measured.count);
    const auto bytes_a_value = [&](std::size_t bytes) { return static_cast<double>(bytes) / count; };
    std::printf("%-52.52s %9zu %7.3f %8.3f %8.3f %8.0f %8.0f", name.c_str(), measured.count, bytes_a_value(measured.ours.bytes),
                bytes_a_value(measured.doubles), bytes_a_value(measured.decimals), count / measured.ours.encode / 1e6,
                count / measured.ours.decode / 1e6);
    for (const Timed &published : measured.published) std::printf(" %8.3f", bytes_a_value(published.bytes));
    std::printf("\n");
}

void print_rival(const char *name, std::size_t values, const Timed &rival) {
    const auto count = static_cast<double>(values);
    std::printf("    %-48s %9zu %7.3f %8s %8s %8.0f %8.0f\n", name, values, static_cast<double>(rival.bytes) / count, "", "",
                count / rival.encode / 1e6, count / rival.decode / 1e6);
}

/// Of a whole set, below ours: high effort and the published codecs, bytes and speeds.
void print_rivals(const Measured &measured) {
    print_rival("high effort", measured.count, measured.high);
    for (std::size_t i = 0; i < measured.published.size(); ++i)
        print_rival(references::kReferenceCodecs[i].name, measured.count, measured.published[i]);
}

}  // namespace

int main(int argc, char **argv) {
    print_heads();
    for (int i = 1; i < argc; ++i) {
        Measured all;
        for (const auto &[name, points] : read_tags(argv[i])) {
            const Measured measured = measure(points);
            print(name, measured);
            all.add(measured);
        }
        print(std::string{"all of "} + argv[i], all);
        print_rivals(all);
    }
}
