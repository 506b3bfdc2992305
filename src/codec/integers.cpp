#include "codec/integers.h"

#include <algorithm>
#include <cassert>
#include <new>

#include "codec/codec_id.h"
#include "codec/packed_integers.h"
#include "codec/stepped_integers.h"

namespace historian::codec {
namespace {

// A run costs about as much as four packed values.
constexpr std::size_t kRunRowsMin = 4;
// Below a byte a value an index into few values saves too little.
constexpr std::size_t kFewValuesRowsMin = 64;
// What stepped_integers write beside the counts, about.
constexpr std::size_t kStepsBytes = 24;
// Two streams are tried where so many values at the beginning, or at the end, have a step that all of them do not have.
constexpr std::size_t kJoinedProbe = 256;
// Or a divisor so many times that of all: below that a part saves two bits a value at most.
constexpr std::uint64_t kJoinedDivisorGain = 3;

void write_id(CodecId id, ByteWriter &out) noexcept { out.u8(static_cast<std::uint8_t>(id)); }

/// The forms that cost a handful of bytes; false when the values have neither.
bool encode_simple(std::span<const std::int64_t> values, ByteWriter &out) noexcept {
    const std::int64_t first = values.empty() ? 0 : values[0];
    const std::uint64_t step = values.size() < 2 ? 0 : static_cast<std::uint64_t>(values[1]) - static_cast<std::uint64_t>(first);
    for (std::size_t i = 2; i < values.size(); ++i) {
        if (static_cast<std::uint64_t>(values[i]) - static_cast<std::uint64_t>(values[i - 1]) != step) return false;
    }
    write_id(step == 0 ? CodecId::constant_integers : CodecId::linear_integers, out);
    out.signed_varint(first);
    if (step != 0) out.signed_varint(static_cast<std::int64_t>(step));
    return true;
}

/// A stream that nests nothing.
Status encode_flat(std::span<const std::int64_t> values, EncodeSpace &space, ByteWriter &out) noexcept {
    if (encode_simple(values, out)) return out.status();
    return encode_packed_integers(values, space, out);
}

std::size_t count_runs(std::span<const std::int64_t> values) noexcept {
    std::size_t changes = 0;
    for (std::size_t i = 1; i < values.size(); ++i) changes += values[i] != values[i - 1];
    return changes + 1;
}

Status encode_runs(std::span<const std::int64_t> values, std::size_t run_count, EncodeSpace &space, ByteWriter &out) noexcept {
    std::size_t run = 0;
    std::size_t start = 0;
    for (std::size_t i = 1; i <= values.size(); ++i) {
        if (i < values.size() && values[i] == values[start]) continue;
        space.nested_values[run] = values[start];
        space.nested_indexes[run] = static_cast<std::int64_t>(i - start);
        ++run;
        start = i;
    }
    write_id(CodecId::run_length_integers, out);
    out.varint(run_count);
    if (const Status status = encode_flat({space.nested_values, run_count}, space, out); !status.ok()) return status;
    return encode_flat({space.nested_indexes, run_count}, space, out);
}

/// Fills nested_values with the distinct values and nested_indexes with each value's place there; 0 when there are too many.
std::size_t find_few(std::span<const std::int64_t> values, EncodeSpace &space) noexcept {
    constexpr unsigned kSlotBits = 8;
    std::uint8_t slots[1u << kSlotBits] = {};  // index + 1; 0 is free
    static_assert(kFewValuesMax * 2 <= (1u << kSlotBits));
    std::size_t distinct = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
        // Fibonacci hashing: the high bits of the product depend on every bit of the value.
        auto slot = static_cast<std::size_t>(static_cast<std::uint64_t>(values[i]) * 0x9E3779B97F4A7C15u >> (64 - kSlotBits));
        while (slots[slot] != 0 && space.nested_values[slots[slot] - 1] != values[i]) slot = (slot + 1) % (1u << kSlotBits);
        if (slots[slot] == 0) {
            if (distinct == kFewValuesMax) return 0;
            space.nested_values[distinct] = values[i];
            slots[slot] = static_cast<std::uint8_t>(++distinct);
        }
        space.nested_indexes[i] = slots[slot] - 1;
    }
    return distinct;
}

Status encode_few(std::size_t distinct, std::size_t count, EncodeSpace &space, ByteWriter &out) noexcept {
    write_id(CodecId::few_integers, out);
    out.varint(distinct);
    if (const Status status = encode_flat({space.nested_values, distinct}, space, out); !status.ok()) return status;
    return encode_flat({space.nested_indexes, count}, space, out);
}

}  // namespace

Status make_encode_space(Arena &arena, EncodeSpace *space, Effort effort) noexcept {
    space->effort = effort;
    auto *compressor = static_cast<Compressor *>(arena.allocate(sizeof(Compressor)));
    space->normal = arena.array<std::uint64_t>(kStreamValuesMax);
    space->residuals = arena.array<std::uint64_t>(kStreamValuesMax);
    space->symbols = arena.array<std::byte>(kStreamValuesMax);
    space->nested_values = arena.array<std::int64_t>(kStreamValuesMax);
    space->nested_indexes = arena.array<std::int64_t>(kStreamValuesMax);
    space->counts = arena.array<std::int64_t>(kStreamValuesMax);
    space->mapped = arena.array<std::int64_t>(kStreamValuesMax);
    space->float4s = arena.array<std::int64_t>(kStreamValuesMax);
    space->ulps = arena.array<std::int64_t>(kStreamValuesMax);
    space->lengths = arena.array<std::int64_t>(kStreamValuesMax);
    space->positions = arena.array<std::uint32_t>(kStreamValuesMax);
    if (compressor == nullptr || space->normal == nullptr || space->residuals == nullptr || space->symbols == nullptr ||
        space->nested_values == nullptr || space->nested_indexes == nullptr || space->counts == nullptr ||
        space->mapped == nullptr || space->float4s == nullptr || space->ulps == nullptr || space->lengths == nullptr ||
        space->positions == nullptr) {
        return {StatusCode::out_of_memory, "no memory for the encoders"};
    }
    space->compressor = new (compressor) Compressor(arena, effort);
    return Status::success();
}

namespace {

/// Any form but stepped_integers.
Status encode_whole(std::span<const std::int64_t> values, EncodeSpace &space, ByteWriter &out) noexcept {
    if (encode_simple(values, out)) return out.status();
    const std::size_t mark = out.size();
    if (const Status status = encode_packed_integers(values, space, out); !status.ok()) return status;

    const std::size_t rival = out.size();
    const bool is_high = space.effort == Effort::high;
    const std::size_t run_count = count_runs(values);
    if (run_count * kRunRowsMin <= values.size()) {
        if (const Status status = encode_runs(values, run_count, space, out); !status.ok()) {
            return status;
        }
        out.keep_shorter(mark, rival);
    } else if (values.size() >= kFewValuesRowsMin && (is_high || rival - mark > values.size())) {
        const std::size_t distinct = find_few(values, space);
        if (distinct == 0) return out.status();
        if (const Status status = encode_few(distinct, values.size(), space, out); !status.ok()) return status;
        out.keep_shorter(mark, rival);
    }
    return out.status();
}

/// Any form but joined_integers; sets whether the values have a step.
Status encode_unjoined(std::span<const std::int64_t> values, EncodeSpace &space, ByteWriter &out, bool *are_steps) noexcept {
    *are_steps = false;
    const std::size_t mark = out.size();
    if (const Status status = encode_whole(values, space, out); !status.ok()) return status;
    const std::size_t rival = out.size();
    if (space.effort == Effort::normal && rival - mark <= kStepsBytes) return out.status();
    Steps steps;
    *are_steps = find_steps(values, space, &steps);
    if (!*are_steps) return out.status();
    write_steps(steps, out);
    if (const Status status = encode_whole({space.counts, values.size()}, space, out); !status.ok()) return status;
    out.keep_shorter(mark, rival);
    return out.status();
}

std::span<const std::int64_t> end_of(std::span<const std::int64_t> values, bool is_first, std::size_t count) noexcept {
    return is_first ? values.first(count) : values.last(count);
}

/// How many of the first values, or of the last, have a divisor: as many as the probe at least.
std::size_t count_divisible(std::span<const std::int64_t> values, bool is_first, std::uint64_t divisor) noexcept {
    std::size_t known = kJoinedProbe;
    std::size_t beyond = values.size();
    while (beyond - known > 1) {
        const std::size_t middle = known + (beyond - known) / 2;
        (find_divisor(end_of(values, is_first, middle)) % divisor == 0 ? known : beyond) = middle;
    }
    return known;
}

/// Where a step or a divisor ends or begins, when the first or the last values have one that not all have; 0 when they have none.
std::size_t find_cut(std::span<const std::int64_t> values, EncodeSpace &space) noexcept {
    for (const bool is_first : {true, false}) {
        const std::uint64_t divisor = find_divisor(end_of(values, is_first, kJoinedProbe));
        std::size_t count = 0;
        if (divisor >= kJoinedDivisorGain && divisor / kJoinedDivisorGain >= find_divisor(values))
            count = count_divisible(values, is_first, divisor);
        if (count == 0) count = count_stepped(values, is_first, kJoinedProbe, space);
        if (count > 0 && count < values.size()) return is_first ? count : values.size() - count;
    }
    return 0;
}

}  // namespace

Status encode_integers(std::span<const std::int64_t> values, EncodeSpace &space, ByteWriter &out) noexcept {
    const std::size_t mark = out.size();
    bool are_steps = false;
    if (const Status status = encode_unjoined(values, space, out, &are_steps); !status.ok()) return status;
    const std::size_t rival = out.size();
    if (are_steps || values.size() < 2 * kJoinedProbe) return out.status();
    if (space.effort == Effort::normal && rival - mark <= values.size() / 4) return out.status();
    const std::size_t cut = find_cut(values, space);
    if (cut == 0) return out.status();
    write_id(CodecId::joined_integers, out);
    out.varint(cut);
    for (const auto part : {values.first(cut), values.subspan(cut)}) {
        if (const Status status = encode_unjoined(part, space, out, &are_steps); !status.ok()) return status;
    }
    out.keep_shorter(mark, rival);
    return out.status();
}

namespace {

Status decode_joined(ByteReader &in, const WantedValues &wanted, Arena &arena) noexcept;
Status decode_runs(ByteReader &in, const WantedValues &wanted, Arena &arena) noexcept;
Status decode_few(ByteReader &in, const WantedValues &wanted, Arena &arena) noexcept;

/// Where a stream is: by itself, where any form may be; a part of joined_integers; inside stepped_integers; or inside runs or few
/// values.
enum class Place : std::uint8_t { outermost, part, counts, innermost };

Status decode_stream(ByteReader &in, const WantedValues &wanted, Arena &arena, Place place) noexcept {
    const auto id = static_cast<CodecId>(in.u8());
    if (in.failed()) return in.status();
    switch (id) {
        case CodecId::constant_integers: {
            const std::int64_t value = in.signed_varint();
            std::fill(wanted.values.begin(), wanted.values.end(), value);
            return in.status();
        }
        case CodecId::linear_integers: {
            auto value = static_cast<std::uint64_t>(in.signed_varint());
            const auto step = static_cast<std::uint64_t>(in.signed_varint());
            value += wanted.first * step;
            for (std::int64_t &slot : wanted.values) {
                slot = static_cast<std::int64_t>(value);
                value += step;
            }
            return in.status();
        }
        case CodecId::packed_integers: return decode_packed_integers(in, wanted, arena);
        case CodecId::run_length_integers:
            if (place == Place::innermost) break;
            return decode_runs(in, wanted, arena);
        case CodecId::few_integers:
            if (place == Place::innermost) break;
            return decode_few(in, wanted, arena);
        case CodecId::stepped_integers: {
            if (place > Place::part) break;
            Steps steps;
            if (const Status status = read_steps(in, &steps); !status.ok()) return status;
            if (const Status status = decode_stream(in, wanted, arena, Place::counts); !status.ok()) return status;
            undo_steps(steps, wanted.values);
            return Status::success();
        }
        case CodecId::joined_integers:
            if (place != Place::outermost) break;
            return decode_joined(in, wanted, arena);
        default: break;
    }
    return {StatusCode::unsupported, "a stream of integers has a codec number that cannot be here"};
}

Status decode_joined(ByteReader &in, const WantedValues &wanted, Arena &arena) noexcept {
    const std::uint64_t cut = in.varint();
    if (cut >= wanted.count) return {StatusCode::corrupt, "joined integers have an impossible length"};
    const std::size_t end = wanted.first + wanted.values.size();
    const std::size_t in_first = wanted.first < cut ? std::min<std::size_t>(end, cut) - wanted.first : 0;
    const WantedValues first{cut, in_first == 0 ? 0 : wanted.first, wanted.values.first(in_first)};
    const WantedValues second{wanted.count - cut, std::max<std::size_t>(wanted.first, cut) - cut,
                              wanted.values.subspan(in_first)};
    if (const Status status = decode_stream(in, first, arena, Place::part); !status.ok()) return status;
    return decode_stream(in, second, arena, Place::part);
}

Status decode_nested(ByteReader &in, std::span<std::int64_t> values, Arena &arena) noexcept {
    return decode_stream(in, {values.size(), 0, values}, arena, Place::innermost);
}

/// Most runs are short: those are filled without a look at their length, where what follows has room and is filled later.
void fill_run(std::span<std::int64_t> values, std::size_t length, std::int64_t value) noexcept {
    constexpr std::size_t kShort = 4;
    if (values.size() < kShort) {
        std::fill_n(values.data(), length, value);
        return;
    }
    for (std::size_t i = 0; i < kShort; ++i) values[i] = value;
    if (length > kShort) std::fill_n(values.data() + kShort, length - kShort, value);
}

Status decode_runs(ByteReader &in, const WantedValues &wanted, Arena &arena) noexcept {
    const std::uint64_t run_count = in.varint();
    if (run_count > wanted.count) return {StatusCode::corrupt, "there are more runs than values"};
    auto *runs = arena.array<std::int64_t>(2 * run_count);
    if (runs == nullptr) return {StatusCode::out_of_memory, "no memory to decode runs"};
    const std::span<std::int64_t> of_run{runs, run_count};
    const std::span<std::int64_t> lengths{runs + run_count, run_count};
    if (const Status status = decode_nested(in, of_run, arena); !status.ok()) return status;
    if (const Status status = decode_nested(in, lengths, arena); !status.ok()) return status;
    const std::size_t end = wanted.first + wanted.values.size();
    std::size_t done = 0;
    for (std::size_t run = 0; run < run_count; ++run) {
        if (lengths[run] < 1 || static_cast<std::uint64_t>(lengths[run]) > wanted.count - done) {
            return {StatusCode::corrupt, "a run has an impossible length"};
        }
        const std::size_t run_end = done + static_cast<std::size_t>(lengths[run]);
        const std::size_t from = std::max(done, wanted.first);
        const std::size_t to = std::min(run_end, end);
        if (from < to) fill_run(wanted.values.subspan(from - wanted.first), to - from, of_run[run]);
        done = run_end;
    }
    if (done != wanted.count) return {StatusCode::corrupt, "the runs are too short together"};
    return Status::success();
}

Status decode_few(ByteReader &in, const WantedValues &wanted, Arena &arena) noexcept {
    const std::uint64_t distinct = in.varint();
    if (distinct == 0 || distinct > kFewValuesMax) return {StatusCode::corrupt, "a list of few values has an impossible length"};
    std::int64_t few[kFewValuesMax];
    if (const Status status = decode_nested(in, {few, static_cast<std::size_t>(distinct)}, arena); !status.ok()) return status;
    if (const Status status = decode_stream(in, wanted, arena, Place::innermost); !status.ok()) return status;
    std::uint64_t index_max = 0;
    for (const std::int64_t index : wanted.values) index_max = std::max(index_max, static_cast<std::uint64_t>(index));
    if (index_max >= distinct) return {StatusCode::corrupt, "an index lies outside the list of few values"};
    for (std::int64_t &value : wanted.values) value = few[value];
    return Status::success();
}

}  // namespace

Status decode_integers(ByteReader &in, std::span<std::int64_t> values, Arena &arena) noexcept {
    return decode_stream(in, {values.size(), 0, values}, arena, Place::outermost);
}

Status decode_integer_range(ByteReader &in, const WantedValues &wanted, Arena &arena) noexcept {
    assert(wanted.first <= wanted.count && wanted.values.size() <= wanted.count - wanted.first);
    return decode_stream(in, wanted, arena, Place::outermost);
}

Status encode_integer_list(std::span<const std::int64_t> values, EncodeSpace &space, ByteWriter &out) noexcept {
    for (std::size_t done = 0; done < values.size(); done += kStreamValuesMax) {
        const std::size_t count = std::min(kStreamValuesMax, values.size() - done);
        if (const Status status = encode_integers(values.subspan(done, count), space, out); !status.ok()) return status;
    }
    return out.status();
}

Status decode_integer_list(ByteReader &in, std::span<std::int64_t> values, Arena &arena) noexcept {
    for (std::size_t done = 0; done < values.size(); done += kStreamValuesMax) {
        const std::size_t count = std::min(kStreamValuesMax, values.size() - done);
        if (const Status status = decode_integers(in, values.subspan(done, count), arena); !status.ok()) return status;
    }
    return in.status();
}

}  // namespace historian::codec
