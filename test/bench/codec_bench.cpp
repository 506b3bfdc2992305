// Bytes per value and speed of every codec, and of a whole segment of the plant workload. No arguments; about ten seconds.
// Under times and floats stands what the published codecs (reference_codecs) make of them.
//
// Everything is timed on one thread over data in memory; each number is the best of several runs, because another process can
// only make a run slower.
#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "codec/floats.h"
#include "codec/integers.h"
#include "codec/texts.h"
#include "format/granule_statistics.h"
#include "format/segment.h"

#include "../unit/test_arena.h"
#include "reference_codecs/bit_stream.h"
#include "reference_codecs/gorilla.h"
#include "reference_codecs/reference_codec.h"

namespace {

using namespace historian;
using test::TestArena;

constexpr std::size_t kChunk = 4096;
constexpr std::size_t kChunks = 64;
constexpr std::size_t kValues = kChunk * kChunks;

double seconds_of(const std::function<void()> &work, int repeats = 5) {
    double best = 1e9;
    for (int i = 0; i < repeats; ++i) {
        const auto start = std::chrono::steady_clock::now();
        work();
        best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
    return best;
}

[[noreturn]] void fail(const char *what, Status status) {
    std::printf("%s: %s\n", what, status.message);
    std::exit(1);
}

enum class Kind { integers, times, floats };

void print_line(const char *name, std::size_t size, double encode, double decode) {
    std::printf("%-34s %8.3f %10.0f %10.0f\n", name, static_cast<double>(size) / kValues, kValues / encode / 1e6,
                kValues / decode / 1e6);
}

[[noreturn]] void fail_of_differing_values(const char *name) { fail(name, {StatusCode::corrupt, "decoded values differ"}); }

/// Gorilla's delta of delta.
void bench_gorilla_times(const std::vector<std::int64_t> &times) {
    std::vector<std::byte> room(references::gorilla_bytes_max(kChunk) * kChunks + references::kSlackBytes);
    std::size_t size = 0;
    const double encode = seconds_of([&] {
        size = 0;
        for (std::size_t c = 0; c < kChunks; ++c)
            size += references::encode_gorilla_times({times.data() + c * kChunk, kChunk}, room.data() + size);
    });
    std::vector<std::int64_t> decoded(kChunk);
    const double decode = seconds_of([&] {
        const std::byte *in = room.data();
        for (std::size_t c = 0; c < kChunks; ++c) {
            in += references::decode_gorilla_times(in, decoded);
            if (!std::equal(decoded.begin(), decoded.end(), times.begin() + static_cast<std::ptrdiff_t>(c * kChunk)))
                fail_of_differing_values("gorilla");
        }
    });
    print_line("    gorilla", size, encode, decode);
}

void bench_published_floats(const references::ReferenceCodec &codec, const std::vector<std::int64_t> &values) {
    std::vector<std::byte> room(references::reference_bytes_max(values.size()));
    std::size_t size = 0;
    const double encode = seconds_of([&] { size = codec.encode(values, room.data()); });
    const double decode = seconds_of([&] {
        auto expected = values.begin();
        codec.decode(room.data(), values.size(), [&](std::span<const std::int64_t> decoded) {
            if (!std::equal(decoded.begin(), decoded.end(), expected)) fail_of_differing_values(codec.name);
            expected += static_cast<std::ptrdiff_t>(decoded.size());
        });
    });
    print_line((std::string{"    "} + codec.name).c_str(), size, encode, decode);
}

void bench_numbers(const char *name, Kind kind, const std::vector<std::int64_t> &values) {
    TestArena arena;
    codec::EncodeSpace space;
    if (const Status status = codec::make_encode_space(arena, &space); !status.ok()) fail(name, status);
    std::vector<std::byte> room(codec::floats_bytes_max(kChunk) * kChunks);
    std::size_t size = 0;
    const double encode = seconds_of([&] {
        codec::ByteWriter out{room};
        for (std::size_t c = 0; c < kChunks; ++c) {
            const std::span<const std::int64_t> chunk{values.data() + c * kChunk, kChunk};
            const Status status = kind == Kind::floats ? codec::encode_floats(chunk, codec::FloatSize::eight, space, out)
                                                       : codec::encode_integers(chunk, space, out);
            if (!status.ok()) fail(name, status);
        }
        size = out.size();
    });
    std::vector<std::int64_t> decoded(kChunk);
    const double decode = seconds_of([&] {
        codec::ByteReader in{{room.data(), size}};
        TestArena decode_arena;
        for (std::size_t c = 0; c < kChunks; ++c) {
            const Status status = kind == Kind::floats ? codec::decode_floats(in, codec::FloatSize::eight, decoded, decode_arena)
                                                       : codec::decode_integers(in, decoded, decode_arena);
            if (!status.ok()) fail(name, status);
            if (!std::equal(decoded.begin(), decoded.end(), values.begin() + static_cast<std::ptrdiff_t>(c * kChunk)))
                fail_of_differing_values(name);
        }
    });
    print_line(name, size, encode, decode);
    if (kind == Kind::times) bench_gorilla_times(values);
    if (kind != Kind::floats) return;
    for (const references::ReferenceCodec &codec : references::kReferenceCodecs) bench_published_floats(codec, values);
}

void bench_texts(const char *name, const std::vector<std::string> &texts) {
    TestArena arena;
    codec::EncodeSpace space;
    if (const Status status = codec::make_encode_space(arena, &space); !status.ok()) fail(name, status);
    std::vector<codec::Text> views;
    std::size_t content = 0;
    for (const std::string &text : texts) {
        views.push_back({reinterpret_cast<const std::byte *>(text.data()), static_cast<std::uint32_t>(text.size())});
        content += text.size();
    }
    std::vector<std::byte> room(codec::texts_bytes_max(kChunk, content) * 2 + kChunks * codec::texts_bytes_max(kChunk, 0));
    std::size_t size = 0;
    const std::size_t chunks = texts.size() / kChunk;
    const double encode = seconds_of([&] {
        codec::ByteWriter out{room};
        for (std::size_t c = 0; c < chunks; ++c) {
            if (const Status status = codec::encode_texts({views.data() + c * kChunk, kChunk}, space, out); !status.ok())
                fail(name, status);
        }
        size = out.size();
    });
    const double decode = seconds_of([&] {
        codec::ByteReader in{{room.data(), size}};
        TestArena decode_arena;
        codec::DecodedTexts decoded;
        for (std::size_t c = 0; c < chunks; ++c) {
            if (const Status status = codec::decode_texts(in, kChunk, decode_arena, &decoded); !status.ok()) fail(name, status);
        }
    });
    const auto count = static_cast<double>(texts.size());
    std::printf("%-34s %8.3f %10.1f %10.1f\n", name, static_cast<double>(size) / count, count / encode / 1e6,
                count / decode / 1e6);
}

std::vector<std::int64_t> make(const std::function<std::int64_t(std::size_t)> &value_at) {
    std::vector<std::int64_t> values(kValues);
    for (std::size_t i = 0; i < kValues; ++i) values[i] = value_at(i);
    return values;
}

void bench_codecs() {
    std::mt19937_64 random{42};
    std::normal_distribution<double> gauss;
    std::printf("%-34s %8s %10s %10s\n", "64 chunks of 4096 values", "bytes", "encode M/s", "decode M/s");
    bench_numbers("integer: constant", Kind::integers, make([](std::size_t) { return 7; }));
    bench_numbers("time: every second", Kind::times, make([](std::size_t i) { return static_cast<std::int64_t>(i) * 1000000; }));
    bench_numbers("time: 10 ms, jitter of 400 us", Kind::times,
                  make([&](std::size_t i) { return static_cast<std::int64_t>(i * 10000 + random() % 400); }));
    bench_numbers("time: whole ms, irregular", Kind::times, [&] {
        std::int64_t time = 0;
        return make([&](std::size_t) { return time += 1000 * static_cast<std::int64_t>(random() % 5000); });
    }());
    bench_numbers("integer: uniform 12 bits", Kind::integers,
                  make([&](std::size_t) { return static_cast<std::int64_t>(random() % 4096); }));
    bench_numbers("integer: uniform 40 bits", Kind::integers,
                  make([&](std::size_t) { return static_cast<std::int64_t>(random() >> 24); }));
    bench_numbers("integer: counter", Kind::integers, [&] {
        std::int64_t count = 0;
        return make([&](std::size_t) { return count += static_cast<std::int64_t>(random() % 8); });
    }());
    bench_numbers("integer: 12 bits, 1 % outliers", Kind::integers, make([&](std::size_t) {
                      return static_cast<std::int64_t>(random() % 100 == 0 ? random() >> 20 : random() % 4096);
                  }));
    bench_numbers("integer: states, long runs", Kind::integers, [&] {
        std::int64_t state = 0;
        return make([&](std::size_t) { return state = random() % 50 == 0 ? static_cast<std::int64_t>(random() % 1000) : state; });
    }());
    bench_numbers("integer: few of 64 bits", Kind::integers, [&] {
        std::vector<std::int64_t> few(20);
        for (auto &value : few) value = static_cast<std::int64_t>(random());
        return make([&](std::size_t) { return few[random() % few.size()]; });
    }());
    bench_numbers("integer: 3 of 4 are 0, else spikes", Kind::integers, make([&](std::size_t) {
                      return random() % 4 != 0 ? 0 : static_cast<std::int64_t>(random() >> (44 + random() % 20));
                  }));
    bench_numbers("float8: walk of 2 decimals", Kind::floats, [&] {
        double level = 50;
        return make([&](std::size_t) {
            if (random() % 4 == 0) level += gauss(random) * 0.05;
            return std::bit_cast<std::int64_t>(std::round(level * 100) / 100);
        });
    }());
    bench_numbers("float8: whole numbers", Kind::floats, [&] {
        double count = 0;
        return make([&](std::size_t) { return std::bit_cast<std::int64_t>(count += static_cast<double>(random() % 8)); });
    }());
    bench_numbers("float8: steps of 1/16, 2 decimals", Kind::floats, [&] {
        double steps = 400;
        return make([&](std::size_t) {
            steps += static_cast<double>(random() % 9) - 4;
            return std::bit_cast<std::int64_t>(std::round(steps * 100 / 16) / 100);
        });
    }());
    bench_numbers("float8: steps of 60/79, 5 decimals", Kind::floats, [&] {
        double steps = 40000;
        return make([&](std::size_t) {
            steps += std::round(gauss(random) * 300);
            return std::bit_cast<std::int64_t>(std::round(steps * 6000000 / 79) / 100000);
        });
    }());
    bench_numbers("float8: another step in each half", Kind::floats, [&] {
        double steps = 40000;
        return make([&](std::size_t i) {
            steps += std::round(gauss(random) * 300);
            return std::bit_cast<std::int64_t>(std::round(steps * 6000000 / (i % kChunk < kChunk / 2 ? 79 : 83)) / 100000);
        });
    }());
    bench_numbers("float8: means of 5 of 2 decimals", Kind::floats, make([&](std::size_t) {
                      double sum = 0;
                      for (int i = 0; i < 5; ++i) sum += static_cast<double>(random() % 2000) / 100;
                      return std::bit_cast<std::int64_t>(sum / 5);
                  }));
    bench_numbers("float8: float4s of 1 decimal", Kind::floats, make([&](std::size_t) {
                      return std::bit_cast<std::int64_t>(
                          static_cast<double>(static_cast<float>(std::round(200 + gauss(random) * 20) / 10)));
                  }));
    bench_numbers("float8: float4 precision", Kind::floats, make([&](std::size_t) {
                      return std::bit_cast<std::int64_t>(static_cast<double>(static_cast<float>(20 + gauss(random))));
                  }));
    bench_numbers("float8: sine and noise", Kind::floats, make([&](std::size_t i) {
                      return std::bit_cast<std::int64_t>(50 + 10 * std::sin(static_cast<double>(i) * 6.283185307 / 600) +
                                                         gauss(random) * 1.5);
                  }));
    bench_numbers("float8: random bits", Kind::floats, make([&](std::size_t) { return static_cast<std::int64_t>(random()); }));

    std::vector<std::string> states;
    std::vector<std::string> messages;
    std::vector<std::string> keys;
    for (std::size_t i = 0; i < kValues; ++i) {
        static const char *const kStates[] = {"running", "stopped", "waiting for parts", "fault"};
        states.push_back(kStates[random() % 4]);
        if (i >= kValues / 4) continue;
        messages.push_back("pump " + std::to_string(random() % 500) + " failed at 10.0." + std::to_string(random() % 256) +
                           ".3 after " + std::to_string(random() % 5000) + " ms");
        std::string key(16, ' ');
        for (char &letter : key) letter = static_cast<char>(random());
        keys.push_back(key);
    }
    bench_texts("text: 4 states", states);
    bench_texts("text: messages of about 40 bytes", messages);
    bench_texts("text: random 16 bytes", keys);
}

/// The plant: 1000 tags, one reading a second each, interleaved; thirds of 2-decimal walks, whole numbers and noisy full doubles.
struct Plant {
    static constexpr std::size_t kTags = 1000;
    std::vector<std::string> names;
    std::vector<double> values;  // row after row

    explicit Plant(std::size_t rows) : values(rows) {
        static const char *const kKinds[] = {"temp", "count", "vib"};
        std::mt19937_64 random{1001};
        std::normal_distribution<double> gauss;
        std::vector<double> level(kTags);
        for (std::size_t tag = 0; tag < kTags; ++tag) {
            char name[40];
            std::snprintf(name, sizeof name, "site%zu.line%02zu.%s_%04zu", tag % 4, tag / 20 % 50, kKinds[tag % 3], tag);
            names.push_back(name);
            level[tag] = static_cast<double>(random() % 1000) / 10;
            if (tag % 3 == 1) level[tag] = std::floor(level[tag] * 10);
        }
        for (std::size_t row = 0; row < rows; ++row) {
            const std::size_t tag = row % kTags;
            double &value = level[tag];
            if (tag % 3 == 0) {
                if (random() % 4 == 0) value += gauss(random) * 0.05;
                values[row] = std::round(value * 100) / 100;
            } else if (tag % 3 == 1) {
                const auto step = static_cast<int>(random() % 16);
                value += tag % 2 == 1 ? step / 2 : step == 0 ? 1 : step == 1 ? -1 : 0;
                values[row] = value;
            } else {
                values[row] = 50 +
                              10 * std::sin(static_cast<double>(tag) + static_cast<double>(row / kTags) * 6.283185307 / 600) +
                              gauss(random) * 1.5;
            }
        }
    }
};

/// Appends the plant's rows to a builder.
void append_plant(const Plant &plant, format::SegmentBuilder &builder) {
    constexpr std::int64_t kStart = 820454400000000;  // 2026-01-01 in PostgreSQL's microseconds
    format::Cell row[3];
    for (std::size_t i = 0; i < plant.values.size(); ++i) {
        const std::string &name = plant.names[i % Plant::kTags];
        row[0].data = reinterpret_cast<const std::byte *>(name.data());
        row[0].byte_count = static_cast<std::uint32_t>(name.size());
        row[1].number = kStart + static_cast<std::int64_t>(i / Plant::kTags * 1000000 + i % Plant::kTags * 1000);
        row[2].number = std::bit_cast<std::int64_t>(plant.values[i]);
        if (const Status status = append_row(builder, row); !status.ok()) fail("segment", status);
    }
}

/// The plant as one segment.
std::string bench_build(const Plant &plant) {
    const std::vector<format::ColumnType> types = {
        {format::PhysicalKind::bytes}, {format::PhysicalKind::int8}, {format::PhysicalKind::float8}};
    const auto rows = static_cast<double>(plant.values.size());
    double append = 1e9;
    double finish = 1e9;
    double memory = 0;
    std::string bytes;
    for (int repeat = 0; repeat < 3; ++repeat) {
        TestArena arena;
        format::SegmentBuilder *builder = nullptr;
        if (const Status status = create_builder(arena, types, {0, 1}, &builder); !status.ok()) fail("segment", status);
        append = std::min(append, seconds_of([&] { append_plant(plant, *builder); }, 1));
        memory = static_cast<double>(builder_bytes(*builder));
        format::SegmentBytes segment;
        const auto work = [&] {
            if (const Status status = finish_builder(*builder, &segment); !status.ok()) fail("segment", status);
        };
        finish = std::min(finish, seconds_of(work, 1));
        bytes.assign(reinterpret_cast<const char *>(segment.bytes.data()), segment.bytes.size());
    }
    std::printf("\nplant segment: %.0f rows, builder memory %.1f bytes a row\n", rows, memory / rows);
    std::printf("append %.0f ns a row, finish %.0f ns a row, %.3f bytes a row\n", append / rows * 1e9, finish / rows * 1e9,
                static_cast<double>(bytes.size()) / rows);
    return bytes;
}

/// Decodes every chunk of a column.
void bench_column(const format::SegmentIndex &index, const format::SegmentHeader &header, std::span<const std::byte> all,
                  std::uint32_t column) {
    std::uint64_t size = 0;
    const double decode = seconds_of([&] {
        size = 0;
        for (std::uint32_t g = 0; g < header.granule_count; ++g) {
            TestArena arena;
            format::ColumnVector decoded;
            const format::ByteRange range = chunk_range(index, g, column);
            format::OpenChunk chunk{all.subspan(range.offset, range.byte_count)};
            if (const Status status = decode_chunk(index, g, column, chunk, arena, &decoded); !status.ok())
                fail("segment", status);
            size += range.byte_count;
        }
    });
    std::printf("column %u: %.3f bytes a row, decoded at %.0f M rows/s\n", column, static_cast<double>(size) / header.row_count,
                header.row_count / decode / 1e6);
}

/// Opens and decodes the statistics of a column; and computes them from its rows.
void bench_statistics(const format::SegmentIndex &index, const format::SegmentHeader &header, std::span<const std::byte> all,
                      std::uint32_t column) {
    const format::ByteRange range = statistics_range(index);
    const auto read = [&] {
        TestArena arena;
        format::SegmentStatistics *statistics = nullptr;
        std::span<const format::GranuleStatistics> granules;
        Status status = open_statistics(index, all.subspan(range.offset, range.byte_count), arena, &statistics);
        if (status.ok()) status = column_statistics(*statistics, column, arena, &granules);
        if (!status.ok()) fail("statistics", status);
    };
    const double decode = seconds_of(read, 20);
    TestArena arena;
    format::ColumnVector values;
    format::ColumnVector times;
    for (format::ColumnVector *decoded : {&values, &times}) {
        const std::uint32_t c = decoded == &values ? column : header.time_column;
        const format::ByteRange chunk = chunk_range(index, 0, c);
        format::OpenChunk open;
        open.bytes = all.subspan(chunk.offset, chunk.byte_count);
        const Status status = decode_chunk(index, 0, c, open, arena, decoded);
        if (!status.ok()) fail("statistics", status);
    }
    std::uint64_t known = 0;
    const auto summarize = [&] {
        known +=
            format::summarize_granule({values.kind, values.row_count, values.numbers, values.nulls, times.numbers, times.nulls})
                .is_known;
    };
    const double compute = seconds_of(summarize, 20);
    std::printf("statistics %llu bytes, %.3f a row; column %u decoded in %.1f us, computed in %.1f ns a value\n",
                static_cast<unsigned long long>(range.byte_count), static_cast<double>(range.byte_count) / header.row_count,
                column, decode * 1e6, known == 0 ? 0 : compute / values.row_count * 1e9);
}

void bench_segment() {
    const Plant plant{format::kSegmentRowsMax};
    const std::string bytes = bench_build(plant);
    const std::span all{reinterpret_cast<const std::byte *>(bytes.data()), bytes.size()};
    format::SegmentHeader header;
    if (const Status status = open_segment(all.first(format::kSegmentHeaderBytes), &header); !status.ok())
        fail("segment", status);
    const std::span index_bytes = all.subspan(header.index.offset, header.index.byte_count);
    const auto parse = [&](TestArena &arena) {
        format::SegmentIndex *index = nullptr;
        if (const Status status = parse_index(header, index_bytes, arena, &index); !status.ok()) fail("segment", status);
        return index;
    };
    const auto parse_once = [&] {
        TestArena arena;
        parse(arena);
    };
    const double seconds = seconds_of(parse_once, 20);
    std::printf("index %zu bytes, parsed in %.1f us, %u granules\n", index_bytes.size(), seconds * 1e6, header.granule_count);
    TestArena arena;
    const format::SegmentIndex *index = parse(arena);
    for (std::uint32_t column = 0; column < header.column_count; ++column) bench_column(*index, header, all, column);
    bench_statistics(*index, header, all, 2);
    const double find = seconds_of([&] {
        for (const std::string &name : plant.names) {
            bool found = false;
            std::uint32_t position = 0;
            const std::span tag{reinterpret_cast<const std::byte *>(name.data()), name.size()};
            const Status status = find_tag(*index, tag, &found, &position);
            if (!status.ok() || !found) fail("segment", status);
        }
    });
    std::printf("find_tag %.0f ns\n", find / Plant::kTags * 1e9);
}

}  // namespace

int main() {
    bench_codecs();
    bench_segment();
}
