#include "format/granule_statistics.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <new>

#include "codec/byte_reader.h"
#include "codec/floats.h"
#include "codec/hash.h"
#include "format/granule_statistics_block.h"
#include "format/segment_index.h"

namespace historian::format {

struct SegmentStatistics {
    const SegmentIndex *index = nullptr;
    const std::span<const std::byte> *parts = nullptr;      // one a column; empty: no statistics
    std::span<const GranuleStatistics> *columns = nullptr;  // one a column; empty: not decoded yet
};

namespace {

using codec::ByteReader;
using codec::FloatSize;

constexpr Status no_statistics_memory() noexcept {
    return {StatusCode::out_of_memory, "no memory for the statistics of a segment"};
}
constexpr Status corrupt_statistics(const char *message) noexcept { return {StatusCode::corrupt, message}; }

bool may_have_statistics(const SegmentIndex &index, std::uint32_t column) noexcept {
    return column != index.header.tag_column && column != index.header.time_column && is_number(index.types[column].kind);
}

/// Reads the lists of a column into the fields of those granules that have them.
class ColumnReader {
public:
    ColumnReader(std::span<const std::byte> part, PhysicalKind kind, std::span<GranuleStatistics> granules,
                 std::span<std::int64_t> scratch, Arena &arena) noexcept
        : in_(part), kind_(kind), granules_(granules), scratch_(scratch), arena_(arena) {}

    Status read(std::span<const Granule> about) noexcept {
        const auto about_of = [&](const GranuleStatistics &of) -> const Granule & { return about[&of - granules_.data()]; };
        const auto any = [](auto &) { return true; };
        const auto known = [](auto &of) { return of.is_known; };
        const auto put_nulls = [&](auto &of, auto, std::int64_t number) { put_count(of, about_of(of), number); };
        const auto put_time = [&](auto &of, std::uint32_t figure, std::int64_t number) {
            const std::int64_t time = time_after(about_of(of), number);
            if (figure == 0 && of.has_time_of_min) of.time_of_min = time;
            if (figure == 1 && of.has_time_of_max) of.time_of_max = time;
        };
        Status status = integers(1, any, [&](auto &of, auto, std::int64_t number) { put_flags(of, number); });
        if (status.ok()) status = integers(1, known, put_nulls);
        if (status.ok() && !is_valid_) status = corrupt_statistics("the statistics of a granule have impossible counts");
        if (status.ok()) status = read_values();
        if (status.ok()) status = integers(kStatisticsTimes, has_values, put_time);
        if (status.ok()) status = is_float(kind_) ? read_float_sums() : read_integer_sums();
        return status.ok() ? in_.status_at_end() : status;
    }

private:
    static bool has_values(const GranuleStatistics &of) noexcept { return of.value_count != 0; }

    Status read_values() noexcept {
        const auto put = [](GranuleStatistics &of, std::uint32_t figure, std::int64_t number) {
            std::int64_t *const fields[kStatisticsValues] = {&of.min, &of.max, &of.first, &of.last};
            *fields[figure] = number;
        };
        if (!is_float(kind_)) return integers(kStatisticsValues, has_values, put);
        return floats(kind_ == PhysicalKind::float4 ? FloatSize::four : FloatSize::eight, kStatisticsValues, put);
    }

    Status read_float_sums() noexcept {
        const auto put_sum = [](auto &of, auto, std::int64_t bits) { of.float_sum = std::bit_cast<double>(bits); };
        const auto put_sxx = [](auto &of, auto, std::int64_t bits) { of.float_sxx = std::bit_cast<double>(bits); };
        const Status status = floats(FloatSize::eight, 1, put_sum);
        return status.ok() ? floats(FloatSize::eight, 1, put_sxx) : status;
    }

    Status read_integer_sums() noexcept {
        const auto put_sum = [](auto &of, auto, std::int64_t low) { of.sum.low = static_cast<std::uint64_t>(low); };
        const auto put_squares = [](auto &of, auto, std::int64_t low) { of.squares.low = static_cast<std::uint64_t>(low); };
        const auto put_excess = [](auto &of, std::uint32_t figure, std::int64_t excess) {
            WideInteger &wide = figure == 0 ? of.sum : of.squares;
            wide = with_excess(static_cast<std::int64_t>(wide.low), excess);
        };
        Status status = integers(1, has_values, put_sum);
        if (status.ok()) status = integers(1, has_values, put_squares);
        return status.ok() ? integers(kStatisticsWides, has_values, put_excess) : status;
    }

    void put_flags(GranuleStatistics &of, std::int64_t flags) noexcept {
        constexpr std::int64_t kAll = kStatisticsKnown | kStatisticsSquares | kStatisticsTimeOfMin | kStatisticsTimeOfMax;
        of.is_known = (flags & kStatisticsKnown) != 0;
        of.has_squares = (flags & kStatisticsSquares) != 0;
        of.has_time_of_min = (flags & kStatisticsTimeOfMin) != 0;
        of.has_time_of_max = (flags & kStatisticsTimeOfMax) != 0;
        is_valid_ &= (flags & ~kAll) == 0 && (of.is_known || flags == 0);
    }

    void put_count(GranuleStatistics &of, const Granule &granule, std::int64_t nulls) noexcept {
        const bool fits = nulls >= 0 && nulls <= granule.row_count;
        of.value_count = fits ? granule.row_count - static_cast<std::uint32_t>(nulls) : 0;
        const bool has_time = of.has_time_of_min || of.has_time_of_max;
        is_valid_ &= fits && !(has_time && (of.value_count == 0 || granule.time_min > granule.time_max));
    }

    static std::int64_t time_after(const Granule &granule, std::int64_t since) noexcept {
        return static_cast<std::int64_t>(static_cast<std::uint64_t>(granule.time_min) + static_cast<std::uint64_t>(since));
    }

    /// Decodes a list of `figures` numbers of each granule that has them, and puts each into its granule.
    template <typename Has, typename Decode, typename Put>
    Status list(std::uint32_t figures, Has has, Decode decode, Put put) noexcept {
        const auto count = figures * static_cast<std::size_t>(std::count_if(granules_.begin(), granules_.end(), has));
        for (std::size_t done = 0; done < count; done += codec::kStreamValuesMax) {
            const std::size_t part = std::min(codec::kStreamValuesMax, count - done);
            if (const Status status = decode(scratch_.subspan(done, part)); !status.ok()) return status;
        }
        std::size_t next = 0;
        for (std::uint32_t figure = 0; figure < figures; ++figure) {
            for (GranuleStatistics &of : granules_) {
                if (has(of)) put(of, figure, scratch_[next++]);
            }
        }
        return Status::success();
    }

    template <typename Has, typename Put>
    Status integers(std::uint32_t figures, Has has, Put put) noexcept {
        const auto decode = [this](std::span<std::int64_t> numbers) { return codec::decode_integers(in_, numbers, arena_); };
        return list(figures, has, decode, put);
    }

    template <typename Put>
    Status floats(FloatSize size, std::uint32_t figures, Put put) noexcept {
        const auto decode = [&](std::span<std::int64_t> numbers) { return codec::decode_floats(in_, size, numbers, arena_); };
        return list(figures, has_values, decode, put);
    }

    ByteReader in_;
    PhysicalKind kind_;
    std::span<GranuleStatistics> granules_;
    std::span<std::int64_t> scratch_;
    Arena &arena_;
    bool is_valid_ = true;
};

}  // namespace

bool is_same(const GranuleStatistics &a, const GranuleStatistics &b) noexcept {
    const auto bits = [](double figure) { return std::bit_cast<std::uint64_t>(figure); };
    return a.is_known == b.is_known && a.has_squares == b.has_squares && a.has_time_of_min == b.has_time_of_min &&
           a.has_time_of_max == b.has_time_of_max && a.value_count == b.value_count && a.min == b.min && a.max == b.max &&
           a.time_of_min == b.time_of_min && a.time_of_max == b.time_of_max && a.first == b.first && a.last == b.last &&
           a.sum == b.sum && a.squares == b.squares && bits(a.float_sum) == bits(b.float_sum) &&
           bits(a.float_sxx) == bits(b.float_sxx);
}

ByteRange statistics_range(const SegmentIndex &index) noexcept { return index.statistics; }

Status open_statistics(const SegmentIndex &index, std::span<const std::byte> bytes, Arena &arena,
                       SegmentStatistics **statistics) noexcept {
    if (bytes.size() != index.statistics.byte_count || bytes.size() < kStatisticsChecksumBytes)
        return {StatusCode::truncated, "the statistics of a segment have another size than its index says"};
    ByteReader in{bytes.first(bytes.size() - kStatisticsChecksumBytes)};
    ByteReader tail{bytes.last(kStatisticsChecksumBytes)};
    [[maybe_unused]] const std::uint32_t checksum = tail.u32();
#ifndef HISTORIAN_FUZZING  // a fuzzer cannot guess checksums; without them it reaches the decoders
    if (checksum != static_cast<std::uint32_t>(codec::hash_bytes(bytes.first(bytes.size() - kStatisticsChecksumBytes))))
        return corrupt_statistics("the checksum of a segment's statistics does not match their bytes");
#endif
    const std::uint32_t column_count = index.header.column_count;
    auto *made = arena.array<SegmentStatistics>(1);
    auto *parts = arena.array<std::span<const std::byte>>(column_count);
    auto *columns = arena.array<std::span<const GranuleStatistics>>(column_count);
    if (made == nullptr || parts == nullptr || columns == nullptr) return no_statistics_memory();
    std::fill_n(parts, column_count, std::span<const std::byte>{});
    std::fill_n(columns, column_count, std::span<const GranuleStatistics>{});
    ByteReader sizes = in;
    for (std::uint32_t c = 0; c < column_count; ++c) {
        if (may_have_statistics(index, c)) in.varint();
    }
    for (std::uint32_t c = 0; c < column_count; ++c) {
        if (may_have_statistics(index, c)) parts[c] = in.bytes(sizes.varint());
    }
    if (const Status status = in.status_at_end(); !status.ok()) return status;
    *(new (made) SegmentStatistics()) = {&index, parts, columns};
    *statistics = made;
    return Status::success();
}

bool has_statistics(const SegmentStatistics &statistics, std::uint32_t column) noexcept {
    return column < statistics.index->header.column_count && !statistics.parts[column].empty();
}

Status column_statistics(SegmentStatistics &statistics, std::uint32_t column, Arena &arena,
                         std::span<const GranuleStatistics> *granules) noexcept {
    assert(has_statistics(statistics, column));
    const SegmentIndex &index = *statistics.index;
    if (statistics.columns[column].empty()) {
        const std::uint32_t count = index.header.granule_count;
        auto *made = arena.array<GranuleStatistics>(count);
        auto *scratch = arena.array<std::int64_t>(std::size_t{kStatisticsValues} * count);
        if (made == nullptr || scratch == nullptr) return no_statistics_memory();
        std::fill_n(made, count, GranuleStatistics{});
        ColumnReader reader{statistics.parts[column],
                            index.types[column].kind,
                            {made, count},
                            {scratch, std::size_t{kStatisticsValues} * count},
                            arena};
        if (const Status status = reader.read({index.granules, count}); !status.ok()) return status;
        statistics.columns[column] = {made, count};
    }
    *granules = statistics.columns[column];
    return Status::success();
}

}  // namespace historian::format
