// Which columns get a guess (column_guess.h), judged by the first run of kStreamValuesMax messages that has enough of its values.
//
// Tried are: the column's own past, with one of the holes before it as context; the holes before it in the same message; and
// columns whose last value it repeats ("echoes"), alone or with a hole that both share as context.
#include <algorithm>
#include <bit>

#include "codec/template_builder.h"

namespace historian::codec {
namespace {

// A column is judged by so many values, if it has kJudgedValuesMin at least.
constexpr std::uint32_t kJudgedValuesMax = 512;
constexpr std::uint32_t kJudgedValuesMin = 64;

// Runs that are looked at.
constexpr std::uint32_t kRunsMax = 32;

// Holes before a column that are tried as its context.
constexpr std::uint32_t kContextsMax = 6;

// A column of less than a bit a value has nothing to gain.
constexpr std::uint32_t kValuesPerByte = 8;

constexpr unsigned kEchoSlotBits = 14;
constexpr std::uint64_t kEchoValueMin = 1000;  // smaller numbers meet by chance
constexpr std::uint32_t kEchoShare = 4;        // a source must have so large a share of the column's values

struct Candidate {
    std::uint32_t source = kNoNumber;
    std::uint32_t context = kNoNumber;
};

struct Judge {
    TemplateBuilder &builder;
    EncodeSpace &space;
    ByteWriter out;
    std::int64_t *differences = nullptr;
    // Who had a value last.
    std::int64_t *echo_values = nullptr;
    std::uint32_t *echo_columns = nullptr;
    // The likeliest source of each column's echoes.
    std::uint32_t *echo_sources = nullptr;
    std::uint32_t *echo_counts = nullptr;
};

/// Bits that small differences would need: cheap, and enough to see what is hopeless.
std::uint64_t estimate_bits(const std::int64_t *values, std::uint32_t count) noexcept {
    std::uint64_t bits = 0;
    for (std::uint32_t i = 0; i < count; ++i) bits += static_cast<std::uint64_t>(std::bit_width(zigzag(values[i])));
    return bits;
}

/// What the column costs without a guess, by the same measure: values above the smallest, or steps.
std::uint64_t estimate_plain_bits(const ColumnValues &column) noexcept {
    std::int64_t low = column.values[0];
    for (std::uint32_t i = 1; i < column.count; ++i) low = std::min(low, column.values[i]);
    std::uint64_t above = 0;
    std::uint64_t steps = 0;
    for (std::uint32_t i = 0; i < column.count; ++i) {
        const auto value = static_cast<std::uint64_t>(column.values[i]);
        above += static_cast<std::uint64_t>(std::bit_width(value - static_cast<std::uint64_t>(low)));
        const std::uint64_t last = i == 0 ? value : static_cast<std::uint64_t>(column.values[i - 1]);
        steps += static_cast<std::uint64_t>(std::bit_width(zigzag(static_cast<std::int64_t>(value - last))));
    }
    return std::min(above, steps);
}

std::size_t encoded_bytes(Judge &judge, const std::int64_t *values, std::uint32_t count) noexcept {
    judge.out.rewind(0);
    const Status status = encode_integers({values, count}, judge.space, judge.out);
    return status.ok() ? judge.out.size() : SIZE_MAX;
}

/// The columns of the holes before, nearest first.
std::uint32_t holes_before(const TemplateBuilder &builder, std::uint32_t column, std::uint32_t *before) noexcept {
    std::uint32_t count = 0;
    std::uint32_t node = builder.nodes.items[builder.columns[column].node].parent;
    while (node != kNoNumber && count < kContextsMax) {
        if (builder.nodes.items[node].column != kNoNumber) before[count++] = builder.nodes.items[node].column;
        node = builder.nodes.items[node].parent;
    }
    return count;
}

std::uint32_t depth_with(const TemplateBuilder &builder, std::uint32_t column, const Candidate &candidate) noexcept {
    std::uint32_t depth = 0;
    if (candidate.source != column) depth = builder.columns[candidate.source].guess_depth + 1;
    if (candidate.context != kNoNumber) depth = std::max(depth, builder.columns[candidate.context].guess_depth + 1);
    return depth;
}

/// A column on trial, and the best guess so far.
struct Trial {
    std::uint32_t column = 0;
    ColumnValues judged;
    std::uint64_t plain_bits = 0;
    Candidate best;
    std::size_t best_bytes = 0;
};

void try_candidate(Judge &judge, Trial &trial, const Candidate &candidate) noexcept {
    TemplateBuilder &builder = judge.builder;
    if (depth_with(builder, trial.column, candidate) > kGuessDepthMax) return;
    const ColumnValues &judged = trial.judged;
    const ColumnValues *context = candidate.context == kNoNumber ? nullptr : &builder.gathered.columns[candidate.context];
    const auto subtract = [&](std::uint32_t i, std::int64_t guess) {
        judge.differences[i] =
            static_cast<std::int64_t>(static_cast<std::uint64_t>(judged.values[i]) - static_cast<std::uint64_t>(guess));
        return judged.values[i];
    };
    if (candidate.source == trial.column) {
        guess_from_past(judged, context, subtract);
    } else {
        guess_from_source(judged, builder.gathered.columns[candidate.source], context, subtract);
    }
    const std::uint64_t bits = estimate_bits(judge.differences, judged.count);
    if (bits + bits / 8 >= trial.plain_bits) return;
    const std::size_t bytes = encoded_bytes(judge, judge.differences, judged.count);
    if (bytes >= trial.best_bytes) return;
    trial.best = candidate;
    trial.best_bytes = bytes;
}

/// What repeats values of other columns, over the whole run.
void find_echoes(Judge &judge, std::uint32_t message_count) noexcept {
    TemplateBuilder &builder = judge.builder;
    GatheredGranule &gathered = builder.gathered;
    std::memset(judge.echo_columns, 0xff, sizeof(std::uint32_t) << kEchoSlotBits);
    std::fill_n(judge.echo_sources, builder.column_count, kNoNumber);
    std::fill_n(judge.echo_counts, builder.column_count, 0);
    // Columns' values are taken row by row: a cursor a column, in the place of sizes.
    std::int64_t *cursors = gathered.sizes.items;
    std::fill_n(cursors, builder.column_count, 0);
    for (std::uint32_t i = 0; i < message_count; ++i) {
        if (gathered.numbers[i] == 0) continue;
        const FinalTemplate &made = builder.templates[gathered.numbers[i] - 1];
        for (std::uint32_t h = 0; h < made.column_count; ++h) {
            const std::uint32_t column = made.columns[h];
            const std::int64_t value = gathered.columns[column].values[cursors[column]++];
            const auto size = static_cast<std::uint64_t>(value < 0 ? ~value : value);
            if (size < kEchoValueMin) continue;
            const auto slot =
                static_cast<std::size_t>(static_cast<std::uint64_t>(value) * 0x9E3779B97F4A7C15u >> (64 - kEchoSlotBits));
            const std::uint32_t had = judge.echo_columns[slot];
            if (had != kNoNumber && had < column && judge.echo_values[slot] == value) {
                // The majority, by Boyer and Moore's vote.
                if (judge.echo_counts[column] == 0) judge.echo_sources[column] = had;
                if (judge.echo_sources[column] == had)
                    ++judge.echo_counts[column];
                else
                    --judge.echo_counts[column];
            }
            judge.echo_columns[slot] = column;
            judge.echo_values[slot] = value;
        }
    }
}

void try_echo(Judge &judge, Trial &trial) noexcept {
    const TemplateBuilder &builder = judge.builder;
    const std::uint32_t source = judge.echo_sources[trial.column];
    try_candidate(judge, trial, {source, kNoNumber});
    std::uint32_t of_source[kContextsMax];
    const std::uint32_t count = holes_before(builder, source, of_source);
    // All holes before the column, not just the nearest, that the source has too.
    std::uint32_t node = builder.nodes.items[builder.columns[trial.column].node].parent;
    for (; node != kNoNumber; node = builder.nodes.items[node].parent) {
        const std::uint32_t context = builder.nodes.items[node].column;
        const bool shared = context != kNoNumber && std::find(of_source, of_source + count, context) != of_source + count;
        if (shared) try_candidate(judge, trial, {source, context});
    }
}

void judge_column(Judge &judge, std::uint32_t c) noexcept {
    TemplateBuilder &builder = judge.builder;
    BuilderColumn &column = builder.columns[c];
    Trial trial{c, builder.gathered.columns[c], 0, {}, 0};
    ColumnValues &judged = trial.judged;
    if (column.judged || judged.count < kJudgedValuesMin) return;
    column.judged = true;
    const bool echoes =
        judge.echo_counts[c] >= judged.count / kEchoShare && column.type == builder.columns[judge.echo_sources[c]].type;
    judged.count = std::min(judged.count, kJudgedValuesMax);
    trial.plain_bits = estimate_plain_bits(judged);
    const std::size_t plain_bytes = encoded_bytes(judge, judged.values, judged.count);
    if (plain_bytes < judged.count / kValuesPerByte) return;

    trial.best_bytes = plain_bytes - plain_bytes / 16;
    std::uint32_t before[kContextsMax];
    const std::uint32_t before_count = holes_before(builder, c, before);
    for (std::uint32_t i = 0; i < before_count; ++i) {
        try_candidate(judge, trial, {c, before[i]});
        if (column.type == builder.columns[before[i]].type) try_candidate(judge, trial, {before[i], kNoNumber});
    }
    if (echoes) try_echo(judge, trial);
    if (trial.best.source == kNoNumber) return;
    column.source = trial.best.source;
    column.context = trial.best.context;
    column.guess_depth = depth_with(builder, c, trial.best);
}

}  // namespace

Status choose_guesses(TemplateBuilder &builder, EncodeSpace &space) noexcept {
    Arena &arena = *builder.arena;
    const std::size_t room = integers_bytes_max(kJudgedValuesMax);
    auto *bytes = arena.array<std::byte>(2 * room);
    if (bytes == nullptr) return no_builder_memory();
    Judge judge{builder, space, ByteWriter{{bytes, 2 * room}}};
    judge.differences = arena.array<std::int64_t>(kJudgedValuesMax);
    judge.echo_values = arena.array<std::int64_t>(std::size_t{1} << kEchoSlotBits);
    judge.echo_columns = arena.array<std::uint32_t>(std::size_t{1} << kEchoSlotBits);
    judge.echo_sources = arena.array<std::uint32_t>(builder.column_count);
    judge.echo_counts = arena.array<std::uint32_t>(builder.column_count);
    auto *run = arena.array<std::uint32_t>(kStreamValuesMax);
    if (judge.differences == nullptr || judge.echo_values == nullptr || judge.echo_columns == nullptr ||
        judge.echo_sources == nullptr || judge.echo_counts == nullptr || run == nullptr ||
        !builder.gathered.sizes.ensure(arena, builder.column_count)) {
        return no_builder_memory();
    }
    const auto runs = static_cast<std::uint32_t>((builder.message_count + kStreamValuesMax - 1) / kStreamValuesMax);
    const std::uint32_t step = (runs + kRunsMax - 1) / kRunsMax;
    for (std::uint32_t r = 0; r < runs; r += step) {
        const std::uint32_t first = r * kStreamValuesMax;
        const std::uint32_t count = std::min<std::uint32_t>(kStreamValuesMax, builder.message_count - first);
        for (std::uint32_t i = 0; i < count; ++i) run[i] = first + i;
        if (const Status status = gather_granule(builder, {run, count}); !status.ok()) return status;
        find_echoes(judge, count);
        for (std::uint32_t c = 0; c < builder.column_count; ++c) judge_column(judge, c);
    }
    return Status::success();
}

}  // namespace historian::codec
