#include "codec/floats.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "codec/codec_id.h"
#include "codec/sampling.h"

namespace historian::codec {
namespace {

constexpr std::size_t kSampleCount = 32;

// Of those that are decimals by some exponent, to find a shorter one.
constexpr std::size_t kMissesSampleCount = 64;

// With so many bytes a value every exponent is tried by which few are exceptions: what saves more than its decimals, because
// other values have steps or divisors, no estimate tells.
constexpr std::size_t kBytesWorthMore = 3;

// Whether a float must be its decimal, or may be a few units in the last place off, as sums and means of decimals are.
enum class Nearness : std::uint8_t { exact, near };

constexpr std::int64_t kUlpsMax = 7;

// Decimals are at least 64 units in the last place apart below these: of noise, one in four lies near one.
template <FloatSize Size>
constexpr std::int64_t kNearLimit = std::int64_t{1} << (Size == FloatSize::four ? 17 : 46);

// An exception takes 9 bytes and more, a decimal more a bit or three a value, and so do distances: from one exception in so many
// on they are tried.
constexpr std::size_t kExceptionsWorthMore = 32;

// With one in fewer than this the floats are no decimals.
constexpr std::size_t kExceptionsMax = 8;

// A decimal stream with this many bytes a value may be noise.
template <FloatSize Size>
constexpr std::size_t kNoiseBytes = Size == FloatSize::four ? 2 : 5;

template <FloatSize Size>
double to_double(std::int64_t value) noexcept {
    if constexpr (Size == FloatSize::four) {
        return static_cast<double>(std::bit_cast<float>(static_cast<std::uint32_t>(value)));
    } else {
        return std::bit_cast<double>(value);
    }
}

/// The integer nearest to number * power, or kScaledLimit when there is none that decodes.
std::int64_t to_scaled(double number, double power) noexcept {
    const double twice = number * (2 * power);
    // False for NaN too.
    if (!(twice > -2.0 * static_cast<double>(kScaledLimit) && twice < 2.0 * static_cast<double>(kScaledLimit)))
        return kScaledLimit;
    // Rounded in integers: half of the truncated double, away from zero.
    const auto halves = static_cast<std::int64_t>(twice);
    return (halves + (halves < 0 ? -1 : 1)) / 2;
}

/// A float as a decimal: what it is scaled, and how far the bits are from what the decoder makes of that.
struct Decimal {
    std::int64_t scaled;
    std::int64_t ulps;
};

template <FloatSize Size, Nearness N>
bool is_decimal(std::int64_t value, double power, Decimal *decimal) noexcept {
    constexpr std::int64_t kLimit = N == Nearness::near ? kNearLimit<Size> : kScaledLimit;
    constexpr std::int64_t kFar = N == Nearness::near ? kUlpsMax : 0;
    decimal->scaled = to_scaled(to_double<Size>(value), power);
    const auto exact = static_cast<std::uint64_t>(from_scaled<Size>(decimal->scaled, power));
    decimal->ulps = static_cast<std::int64_t>(static_cast<std::uint64_t>(value) - exact);
    return decimal->scaled > -kLimit && decimal->scaled < kLimit && decimal->ulps >= -kFar && decimal->ulps <= kFar;
}

/// The smallest exponent that does for a whole sample, or for most of it; more than kExponentMax when none does.
template <FloatSize Size, Nearness N>
unsigned choose_exponent(std::span<const std::int64_t> values) noexcept {
    const std::size_t count = std::min(values.size(), kSampleCount);
    std::size_t best_misses = count / 4 + 1;
    unsigned best = kExponentMax + 1;
    for (unsigned exponent = 0; exponent <= kExponentMax && best_misses > 0; ++exponent) {
        std::size_t misses = 0;
        Decimal decimal;
        for (std::size_t i = 0; i < count && misses < best_misses; ++i) {
            misses += !is_decimal<Size, N>(values[sample_position(i, count, values.size())], kPowersOfTen[exponent], &decimal);
        }
        if (misses < best_misses) {
            best_misses = misses;
            best = exponent;
        }
    }
    return best;
}

/// Fills space.mapped, space.ulps and space.positions; returns the number of exceptions.
template <FloatSize Size, Nearness N>
std::size_t scale_all(std::span<const std::int64_t> values, unsigned exponent, EncodeSpace &space) noexcept {
    const double power = kPowersOfTen[exponent];
    std::size_t exceptions = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
        space.positions[exceptions] = static_cast<std::uint32_t>(i);
        Decimal decimal;
        const bool fits = is_decimal<Size, N>(values[i], power, &decimal);
        exceptions += !fits;
        space.mapped[i] = decimal.scaled;
        space.ulps[i] = fits ? decimal.ulps : 0;
    }
    // An exception's slot repeats its neighbour: nothing that the integer codec would see. Those at the front repeat the first
    // value.
    std::size_t leading = 0;
    while (leading < exceptions && space.positions[leading] == leading) ++leading;
    std::int64_t neighbour = leading < values.size() ? space.mapped[leading] : 0;
    for (std::size_t e = 0; e < exceptions; ++e) {
        const std::uint32_t at = space.positions[e];
        if (at > 0) neighbour = space.mapped[at - 1];
        space.mapped[at] = neighbour;
    }
    return exceptions;
}

template <FloatSize Size>
void write_exceptions(std::span<const std::int64_t> values, std::size_t exceptions, const EncodeSpace &space,
                      ByteWriter &out) noexcept {
    out.varint(exceptions);
    std::uint32_t next = 0;
    for (std::size_t e = 0; e < exceptions; ++e) {
        out.varint(space.positions[e] - next);
        next = space.positions[e] + 1;
    }
    for (std::size_t e = 0; e < exceptions; ++e) {
        const std::int64_t value = values[space.positions[e]];
        if constexpr (Size == FloatSize::four) {
            out.u32(static_cast<std::uint32_t>(value));
        } else {
            out.u64(static_cast<std::uint64_t>(value));
        }
    }
}

/// Negative floats are stored as sign and magnitude: as integers in the floats' order they are the negative magnitude, which
/// keeps zeros at the end of the bits. -0, which then has no place beside 0, stays where it is, below all others. Its own
/// inverse.
template <FloatSize Size>
constexpr std::int64_t ordered(std::int64_t bits) noexcept {
    constexpr std::int64_t kMinusZero = Size == FloatSize::four ? INT32_MIN : INT64_MIN;
    const auto flipped = static_cast<std::int64_t>(static_cast<std::uint64_t>(kMinusZero) - static_cast<std::uint64_t>(bits));
    // Without a branch: the signs of noise are random.
    const std::int64_t mask = -static_cast<std::int64_t>((bits < 0) & (bits != kMinusZero));
    return (flipped & mask) | (bits & ~mask);
}
static_assert(ordered<FloatSize::eight>(INT64_MIN + 5) == -5 && ordered<FloatSize::eight>(-5) == INT64_MIN + 5);

/// What decimals take, but for a sum that is the same by each exponent: a decimal is log2(10) bits.
constexpr std::size_t decimals_bytes(std::size_t count, std::size_t exceptions, unsigned exponent) noexcept {
    return exceptions > count / kExceptionsMax ? 8 * count : 10 * exceptions + count * exponent * 10 / 24;
}

/// How many of a sample are no decimals by each exponent up to one; how many the sample has.
template <FloatSize Size>
std::size_t count_misses(std::span<const std::int64_t> values, unsigned exponent_max, std::size_t *misses) noexcept {
    const std::size_t count = std::min(values.size(), kMissesSampleCount);
    for (unsigned exponent = 0; exponent <= exponent_max; ++exponent) {
        misses[exponent] = 0;
        Decimal decimal;
        for (std::size_t i = 0; i < count; ++i) {
            const std::int64_t value = values[sample_position(i, count, values.size())];
            misses[exponent] += !is_decimal<Size, Nearness::exact>(value, kPowersOfTen[exponent], &decimal);
        }
    }
    return count;
}

/// The exponent by which a sample takes least: few values of many decimals may be better off as exceptions.
unsigned lightest_exponent(std::span<const std::size_t> misses, std::size_t sample_count) noexcept {
    unsigned lightest = 0;
    for (unsigned exponent = 1; exponent < misses.size(); ++exponent) {
        if (decimals_bytes(sample_count, misses[exponent], exponent) < decimals_bytes(sample_count, misses[lightest], lightest))
            lightest = exponent;
    }
    return lightest;
}

/// The exponent of values that are exceptions by another one; more than kExponentMax when there is none.
template <FloatSize Size, Nearness N>
unsigned choose_exponent_of_exceptions(std::span<const std::int64_t> values, std::size_t exceptions,
                                       const EncodeSpace &space) noexcept {
    std::int64_t sample[kSampleCount];
    const std::size_t count = std::min(exceptions, kSampleCount);
    for (std::size_t i = 0; i < count; ++i) sample[i] = values[space.positions[sample_position(i, count, exceptions)]];
    return choose_exponent<Size, N>({sample, count});
}

/// Scales all; returns the number of exceptions, or that of the values when no exponent will do.
template <FloatSize Size, Nearness N>
std::size_t find_decimals(std::span<const std::int64_t> values, EncodeSpace &space, unsigned *exponent) noexcept {
    *exponent = choose_exponent<Size, N>(values);
    if (*exponent > kExponentMax) return values.size();
    const std::size_t exceptions = scale_all<Size, N>(values, *exponent, space);
    if (exceptions * kExceptionsWorthMore <= values.size()) return exceptions;
    // A sample of values that are mostly 0 may have missed all others.
    const unsigned longer = choose_exponent_of_exceptions<Size, N>(values, exceptions, space);
    if (longer <= *exponent || longer > kExponentMax) return exceptions;
    const std::size_t fewer = scale_all<Size, N>(values, longer, space);
    if (decimals_bytes(values.size(), fewer, longer) < decimals_bytes(values.size(), exceptions, *exponent)) {
        *exponent = longer;
        return fewer;
    }
    return scale_all<Size, N>(values, *exponent, space);
}

template <FloatSize Size>
Status write_decimals(std::span<const std::int64_t> values, CodecId id, unsigned exponent, std::size_t exceptions,
                      EncodeSpace &space, ByteWriter &out) noexcept {
    out.u8(static_cast<std::uint8_t>(id));
    out.u8(static_cast<std::uint8_t>(exponent));
    write_exceptions<Size>(values, exceptions, space, out);
    const Status status = encode_integers({space.mapped, values.size()}, space, out);
    if (!status.ok() || id == CodecId::decimal_floats) return status;
    return encode_integers({space.ulps, values.size()}, space, out);
}

/// False, with nothing written, when too many of the floats are no decimals, nor near one.
template <FloatSize Size>
bool encode_decimals(std::span<const std::int64_t> values, EncodeSpace &space, ByteWriter &out, unsigned *found,
                     Status *status) noexcept {
    unsigned exponent = 0;
    std::size_t exceptions = find_decimals<Size, Nearness::exact>(values, space, &exponent);
    bool is_near = false;
    if (exceptions * kExceptionsWorthMore > values.size()) {
        unsigned near_exponent = 0;
        const std::size_t near_exceptions = find_decimals<Size, Nearness::near>(values, space, &near_exponent);
        is_near = near_exceptions < exceptions;
        if (is_near) {
            exceptions = near_exceptions;
            exponent = near_exponent;
        } else if (exponent <= kExponentMax) {
            scale_all<Size, Nearness::exact>(values, exponent, space);
        }
    }
    if (exceptions > values.size() / kExceptionsMax) return false;
    *found = exponent;
    *status = write_decimals<Size>(values, is_near ? CodecId::near_decimal_floats : CodecId::decimal_floats, exponent, exceptions,
                                   space, out);
    return true;
}

/// Decimals were written from mark on; those of fewer digits, with more exceptions, may be shorter.
template <FloatSize Size>
Status try_fewer_digits(std::span<const std::int64_t> values, unsigned exponent, std::size_t mark, EncodeSpace &space,
                        ByteWriter &out) noexcept {
    std::size_t misses[kExponentMax + 1];
    const std::size_t sample_count = count_misses<Size>(values, exponent, misses);
    const unsigned lightest = lightest_exponent({misses, exponent + 1}, sample_count);
    const bool all = space.effort == Effort::high || out.size() - mark > kBytesWorthMore * values.size();
    for (unsigned fewer = 0; fewer < exponent; ++fewer) {
        if (all ? misses[fewer] > sample_count / kExceptionsMax : fewer != lightest) continue;
        const std::size_t exceptions = scale_all<Size, Nearness::exact>(values, fewer, space);
        if (exceptions > values.size() / kExceptionsMax) continue;
        const std::size_t rival = out.size();
        const Status status = write_decimals<Size>(values, CodecId::decimal_floats, fewer, exceptions, space, out);
        if (!status.ok()) return status;
        out.keep_shorter(mark, rival);
    }
    return Status::success();
}

template <FloatSize Size>
Status encode_ordered(std::span<const std::int64_t> values, EncodeSpace &space, ByteWriter &out) noexcept {
    out.u8(static_cast<std::uint8_t>(CodecId::ordered_floats));
    for (std::size_t i = 0; i < values.size(); ++i) space.mapped[i] = ordered<Size>(values[i]);
    return encode_integers({space.mapped, values.size()}, space, out);
}

/// False, when some are none, or not finite; else fills `float4s` with their bits.
bool narrow_to_float4s(std::span<const std::int64_t> values, std::int64_t *float4s) noexcept {
    constexpr std::uint64_t kLostBits = (std::uint64_t{1} << 29) - 1;
    for (std::size_t i = 0; i < values.size(); ++i) {
        const double number = to_double<FloatSize::eight>(values[i]);
        if ((static_cast<std::uint64_t>(values[i]) & kLostBits) != 0 || !(std::abs(number) <= std::numeric_limits<float>::max()))
            return false;
        const auto narrow = static_cast<float>(number);
        if (std::bit_cast<std::int64_t>(static_cast<double>(narrow)) != values[i]) return false;
        float4s[i] = std::bit_cast<std::int32_t>(narrow);
    }
    return true;
}

template <FloatSize Size>
Status encode(std::span<const std::int64_t> values, EncodeSpace &space, ByteWriter &out) noexcept;

/// Floats that are no decimals; float8 values that float4s were have the decimals that these have.
template <FloatSize Size>
Status encode_others(std::span<const std::int64_t> values, EncodeSpace &space, ByteWriter &out) noexcept {
    if (Size == FloatSize::four || !narrow_to_float4s(values, space.float4s)) return encode_ordered<Size>(values, space, out);
    out.u8(static_cast<std::uint8_t>(CodecId::widened_floats));
    return encode<FloatSize::four>({space.float4s, values.size()}, space, out);
}

template <FloatSize Size>
Status encode(std::span<const std::int64_t> values, EncodeSpace &space, ByteWriter &out) noexcept {
    if (std::all_of(values.begin(), values.end(), [&](std::int64_t value) { return value == values[0]; })) {
        return encode_integers(values, space, out);
    }
    const std::size_t mark = out.size();
    Status status;
    unsigned exponent = 0;
    if (!encode_decimals<Size>(values, space, out, &exponent, &status)) return encode_others<Size>(values, space, out);
    if (!status.ok()) return status;
    // Noise has a decimal form too (every float4 has one of 9 digits), but its bits are shorter.
    const bool may_be_noise = space.effort == Effort::high || out.size() - mark >= values.size() * kNoiseBytes<Size>;
    status = try_fewer_digits<Size>(values, exponent, mark, space, out);
    if (!status.ok() || !may_be_noise || values.size() < 2) return status;
    const std::size_t rival = out.size();
    status = encode_others<Size>(values, space, out);
    if (status.ok()) out.keep_shorter(mark, rival);
    return status;
}

/// Moves each float by what the stream tells.
template <FloatSize Size>
Status decode_ulps(ByteReader &in, const WantedValues &wanted, Arena &arena) noexcept {
    const std::size_t count = wanted.values.size();
    auto *ulps = arena.array<std::int64_t>(count);
    if (ulps == nullptr) return {StatusCode::out_of_memory, "no memory to decode floats near decimals"};
    if (const Status status = decode_integer_range(in, {wanted.count, wanted.first, {ulps, count}}, arena); !status.ok())
        return status;
    for (std::size_t i = 0; i < count; ++i) {
        const std::uint64_t moved = static_cast<std::uint64_t>(wanted.values[i]) + static_cast<std::uint64_t>(ulps[i]);
        wanted.values[i] = Size == FloatSize::four ? static_cast<std::int32_t>(moved) : static_cast<std::int64_t>(moved);
    }
    return Status::success();
}

template <FloatSize Size, Nearness N>
Status decode_decimals(ByteReader &in, const WantedValues &wanted, Arena &arena) noexcept {
    const std::uint8_t exponent = in.u8();
    const std::uint64_t exceptions = in.varint();
    if (exponent > kExponentMax) return {StatusCode::corrupt, "decimal floats have an impossible exponent"};
    if (exceptions > wanted.count) return {StatusCode::corrupt, "there are more exceptions than floats"};
    ByteReader positions = in;
    for (std::uint64_t e = 0; e < exceptions; ++e) in.varint();
    ByteReader bits{in.bytes(exceptions * static_cast<std::uint64_t>(Size))};
    if (in.failed()) return in.status();
    if (const Status status = decode_integer_range(in, wanted, arena); !status.ok()) return status;

    unscale_all<Size>(wanted.values, exponent);
    if constexpr (N == Nearness::near) {
        if (const Status status = decode_ulps<Size>(in, wanted, arena); !status.ok()) return status;
    }
    std::uint64_t next = 0;
    for (std::uint64_t e = 0; e < exceptions; ++e) {
        const std::uint64_t skipped = positions.varint();
        if (next >= wanted.count || skipped >= wanted.count - next)
            return {StatusCode::corrupt, "an exception lies outside the floats"};
        next += skipped;
        const std::int64_t value =
            Size == FloatSize::four ? static_cast<std::int32_t>(bits.u32()) : static_cast<std::int64_t>(bits.u64());
        if (next >= wanted.first && next - wanted.first < wanted.values.size()) wanted.values[next - wanted.first] = value;
        ++next;
    }
    return Status::success();
}

template <FloatSize Size>
Status decode(ByteReader &in, const WantedValues &wanted, Arena &arena) noexcept {
    ByteReader after = in;
    const auto id = static_cast<CodecId>(after.u8());
    if (id == CodecId::decimal_floats || id == CodecId::near_decimal_floats) {
        in = after;
        return id == CodecId::decimal_floats ? decode_decimals<Size, Nearness::exact>(in, wanted, arena)
                                             : decode_decimals<Size, Nearness::near>(in, wanted, arena);
    }
    if (id != CodecId::ordered_floats) return decode_integer_range(in, wanted, arena);
    in = after;
    if (const Status status = decode_integer_range(in, wanted, arena); !status.ok()) return status;
    for (std::int64_t &value : wanted.values) value = ordered<Size>(value);
    return Status::success();
}

Status decode_float8s(ByteReader &in, const WantedValues &wanted, Arena &arena) noexcept {
    ByteReader after = in;
    if (static_cast<CodecId>(after.u8()) != CodecId::widened_floats) return decode<FloatSize::eight>(in, wanted, arena);
    in = after;
    if (const Status status = decode<FloatSize::four>(in, wanted, arena); !status.ok()) return status;
    for (std::int64_t &value : wanted.values) value = std::bit_cast<std::int64_t>(to_double<FloatSize::four>(value));
    return Status::success();
}

}  // namespace

Status encode_floats(std::span<const std::int64_t> values, FloatSize size, EncodeSpace &space, ByteWriter &out) noexcept {
    return size == FloatSize::four ? encode<FloatSize::four>(values, space, out) : encode<FloatSize::eight>(values, space, out);
}

Status decode_float_range(ByteReader &in, FloatSize size, const WantedValues &wanted, Arena &arena) noexcept {
    return size == FloatSize::four ? decode<FloatSize::four>(in, wanted, arena) : decode_float8s(in, wanted, arena);
}

Status decode_floats(ByteReader &in, FloatSize size, std::span<std::int64_t> values, Arena &arena) noexcept {
    return decode_float_range(in, size, {values.size(), 0, values}, arena);
}

}  // namespace historian::codec
