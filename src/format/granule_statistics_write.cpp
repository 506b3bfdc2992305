#include <bit>

#include "codec/floats.h"
#include "format/granule_statistics_block.h"

namespace historian::format {
namespace {

using codec::ByteWriter;
using codec::EncodeSpace;
using codec::FloatSize;

std::int64_t flags_of(const GranuleStatistics &statistics) noexcept {
    if (!statistics.is_known) return 0;
    return kStatisticsKnown | (statistics.has_squares ? kStatisticsSquares : 0) |
           (statistics.has_time_of_min ? kStatisticsTimeOfMin : 0) | (statistics.has_time_of_max ? kStatisticsTimeOfMax : 0);
}

Status write_float_list(std::span<const std::int64_t> values, FloatSize size, EncodeSpace &space, ByteWriter &out) noexcept {
    for (std::size_t done = 0; done < values.size(); done += codec::kStreamValuesMax) {
        const std::size_t count = std::min(codec::kStreamValuesMax, values.size() - done);
        if (const Status status = codec::encode_floats(values.subspan(done, count), size, space, out); !status.ok())
            return status;
    }
    return out.status();
}

/// Since the granule's earliest time.
std::int64_t time_since(std::int64_t time, const Granule &granule) noexcept {
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(time) - static_cast<std::uint64_t>(granule.time_min));
}

}  // namespace

std::size_t column_statistics_bytes_max(std::size_t granule_count) noexcept {
    const std::size_t values = kStatisticsFiguresMax * granule_count;
    const std::size_t streams = values / codec::kStreamValuesMax + kStatisticsFiguresMax;
    return codec::floats_bytes_max(values) + streams * codec::floats_bytes_max(0);
}

Status write_column_statistics(const ColumnStatistics &column, std::span<std::int64_t> numbers, EncodeSpace &space,
                               ByteWriter &out) noexcept {
    // The first figure of all granules that have it, then the second of all, and so on.
    const auto gather = [&](std::uint32_t figures, auto has, auto figure_of) {
        std::size_t count = 0;
        for (std::uint32_t figure = 0; figure < figures; ++figure) {
            for (std::size_t g = 0; g < column.granules.size(); ++g) {
                const GranuleStatistics &of = column.statistics[g];
                if (has(of)) numbers[count++] = figure_of(of, column.granules[g], figure);
            }
        }
        return std::span<const std::int64_t>{numbers.first(count)};
    };
    const auto any = [](const GranuleStatistics &) { return true; };
    const auto known = [](const GranuleStatistics &of) { return of.is_known; };
    const auto counted = [](const GranuleStatistics &of) { return of.value_count != 0; };
    const auto flags = [](auto &of, auto &, auto) { return flags_of(of); };
    const auto nulls = [](auto &of, auto &granule, auto) { return std::int64_t{granule.row_count} - of.value_count; };
    const auto value = [](auto &of, auto &, auto figure) {
        const std::int64_t values[kStatisticsValues] = {of.min, of.max, of.first, of.last};
        return values[figure];
    };
    const auto time = [](auto &of, auto &granule, auto figure) {
        if (!(figure == 0 ? of.has_time_of_min : of.has_time_of_max)) return std::int64_t{0};
        return time_since(figure == 0 ? of.time_of_min : of.time_of_max, granule);
    };
    const auto integers = [&](std::span<const std::int64_t> list) { return codec::encode_integer_list(list, space, out); };
    Status status = integers(gather(1, any, flags));
    if (status.ok()) status = integers(gather(1, known, nulls));
    const std::span<const std::int64_t> values = status.ok() ? gather(kStatisticsValues, counted, value) : numbers.first(0);
    if (status.ok() && is_float(column.kind)) {
        const FloatSize size = column.kind == PhysicalKind::float4 ? FloatSize::four : FloatSize::eight;
        status = write_float_list(values, size, space, out);
    } else if (status.ok()) {
        status = integers(values);
    }
    if (status.ok()) status = integers(gather(kStatisticsTimes, counted, time));
    if (!status.ok()) return status;
    if (is_float(column.kind)) {
        const auto sum = [](auto &of, auto &, auto) { return std::bit_cast<std::int64_t>(of.float_sum); };
        const auto sxx = [](auto &of, auto &, auto) { return std::bit_cast<std::int64_t>(of.float_sxx); };
        status = write_float_list(gather(1, counted, sum), FloatSize::eight, space, out);
        return status.ok() ? write_float_list(gather(1, counted, sxx), FloatSize::eight, space, out) : status;
    }
    const auto sum = [](auto &of, auto &, auto) { return static_cast<std::int64_t>(of.sum.low); };
    const auto squares = [](auto &of, auto &, auto) { return static_cast<std::int64_t>(of.squares.low); };
    const auto excess = [](auto &of, auto &, auto figure) { return high_excess(figure == 0 ? of.sum : of.squares); };
    status = integers(gather(1, counted, sum));
    if (status.ok()) status = integers(gather(1, counted, squares));
    return status.ok() ? integers(gather(kStatisticsWides, counted, excess)) : status;
}

}  // namespace historian::format
