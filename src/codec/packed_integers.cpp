#include "codec/packed_integers.h"

#include <algorithm>
#include <bit>
#include <numeric>

#include "codec/bit_packing.h"
#include "codec/classes.h"
#include "codec/codec_id.h"
#include "codec/prediction.h"
#include "codec/sampling.h"
#include "codec/stream_parts.h"
#include "codec/symbols.h"

namespace historian::codec {
namespace {

constexpr std::uint8_t kPredictionMask = 7;
constexpr std::uint8_t kHasDivisor = 1u << 3;
constexpr std::uint8_t kHasPatches = 1u << 4;
constexpr std::uint8_t kHasSymbols = 1u << 5;
constexpr std::uint8_t kHasClasses = 1u << 6;
constexpr std::uint8_t kHasSigns = 1u << 7;

// Fewer residuals than this hardly pay for the table of weights.
constexpr std::size_t kSymbolsCountMin = 64;
// Symbols decode at a quarter of the speed of packed bits: they must save a hundredth at least.
constexpr std::size_t kSymbolsGainMin = 100;
constexpr unsigned kSymbolBitsMax = 8;
// Classes decode slower than symbols with packed bits: they must save so much.
constexpr std::size_t kClassesGainMin = 32;
// The highest bits as symbols do as well where most residuals have nearly all bits: by less than this fewer.
constexpr unsigned kClassesBitsMin = 5;
// Of fewer values no other prediction saves a byte that matters, with high effort.
constexpr std::size_t kEveryPredictionMin = 16;
// Of wide residuals only the highest bits have a shape; more of them would only make the table of weights larger.
constexpr unsigned kSymbolBitsOfNoise = 5;

constexpr std::uint64_t low_mask(unsigned width) noexcept {
    return width >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << width) - 1;
}

/// The largest power of two that divides the distance of every value from the first, modulo 2^64.
std::uint64_t find_power_of_two(std::span<const std::int64_t> values) noexcept {
    std::uint64_t seen = 0;
    for (const std::int64_t value : values) seen |= static_cast<std::uint64_t>(value) - static_cast<std::uint64_t>(values[0]);
    return seen & (~seen + 1);
}

void normalise(std::span<const std::int64_t> values, std::uint64_t divisor, std::uint64_t *normal) noexcept {
    const auto first = static_cast<std::uint64_t>(values[0]);
    for (std::size_t i = 0; i < values.size(); ++i) normal[i] = static_cast<std::uint64_t>(values[i]) - first;
    if (divisor == 1) return;
    if (std::has_single_bit(divisor)) {
        const int shift = std::countr_zero(divisor);
        for (std::size_t i = 0; i < values.size(); ++i) {
            normal[i] = static_cast<std::uint64_t>(static_cast<std::int64_t>(normal[i]) >> shift);
        }
        return;
    }
    const auto signed_divisor = static_cast<std::int64_t>(divisor);
    for (std::size_t i = 0; i < values.size(); ++i) {
        normal[i] = static_cast<std::uint64_t>(static_cast<std::int64_t>(normal[i]) / signed_divisor);
    }
}

/// All residuals lie from low to high.
struct Range {
    std::int64_t low = INT64_MAX;
    std::int64_t high = INT64_MIN;

    std::uint64_t size() const noexcept { return static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low); }
};

Range range_of(const std::uint64_t *residuals, std::size_t count) noexcept {
    Range range;
    for (std::size_t i = 0; i < count; ++i) {
        const auto residual = static_cast<std::int64_t>(residuals[i]);
        range.low = std::min(range.low, residual);
        range.high = std::max(range.high, residual);
    }
    return range;
}

/// Of the residuals, by a sample.
struct Spread {
    std::int64_t low = 0;     // where the middle nine tenths begin
    std::uint64_t size = 0;   // of the middle nine tenths
    std::int64_t middle = 0;  // what most residuals are, or what half of them are not above
};

Spread spread_of(const std::uint64_t *residuals, std::size_t count) noexcept {
    constexpr std::size_t kSampleMax = 64;
    if (count == 0) return {};
    std::int64_t sample[kSampleMax];
    const std::size_t sample_count = std::min(count, kSampleMax);
    for (std::size_t i = 0; i < sample_count; ++i)
        sample[i] = static_cast<std::int64_t>(residuals[sample_position(i, sample_count, count)]);
    std::sort(sample, sample + sample_count);
    const std::int64_t low = sample[sample_count / 20];
    const std::int64_t high = sample[sample_count - 1 - sample_count / 20];
    Spread spread{low, static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low), sample[sample_count / 2]};
    std::size_t longest = sample_count / 8;
    for (std::size_t begin = 0, end = 0; begin < sample_count; begin = end) {
        while (end < sample_count && sample[end] == sample[begin]) ++end;
        if (end - begin <= longest) continue;
        longest = end - begin;
        spread.middle = sample[begin];
    }
    return spread;
}

struct Frame {
    std::int64_t base = 0;
    unsigned width = 0;  // residuals that do not fit it are patched
    std::uint64_t patch_bits = 0;
};

/// The width that is cheapest over all residuals from this base, with its cost in bits.
struct WidthCost {
    unsigned width = 0;
    std::uint64_t bits = 0;
    std::uint64_t patch_bits = 0;
};
WidthCost cheapest_width(const std::uint64_t *residuals, std::size_t count, std::int64_t base) noexcept {
    std::uint32_t of_width[65] = {};
    for (std::size_t i = 0; i < count; ++i) ++of_width[std::bit_width(residuals[i] - static_cast<std::uint64_t>(base))];
    unsigned widest = 64;
    while (widest > 0 && of_width[widest] == 0) --widest;
    WidthCost best{widest, std::uint64_t{widest} * count, 0};
    std::uint64_t patches = 0;
    for (unsigned width = widest; width-- > 0;) {
        patches += of_width[width + 1];
        const std::uint64_t patch_bits = patches * (8 + 8 * ((widest - width + 6) / 7));
        const std::uint64_t bits = std::uint64_t{width} * count + patch_bits;
        if (bits < best.bits) best = {width, bits, patch_bits};
    }
    return best;
}

Frame choose_frame(const std::uint64_t *residuals, std::size_t count, const Range &range, const Spread &spread) noexcept {
    const auto width = static_cast<unsigned>(std::bit_width(range.size()));
    if (width <= static_cast<unsigned>(std::bit_width(spread.size)) + 2) return {range.low, width, 0};

    // Outliers: below them all, or only where most residuals are.
    const WidthCost whole = cheapest_width(residuals, count, range.low);
    const auto usual_low = static_cast<std::int64_t>(static_cast<std::uint64_t>(spread.low) - spread.size);
    if (usual_low <= range.low || usual_low > spread.low) return {range.low, whole.width, whole.patch_bits};
    const WidthCost usual = cheapest_width(residuals, count, usual_low);
    if (usual.bits < whole.bits) return {usual_low, usual.width, usual.patch_bits};
    return {range.low, whole.width, whole.patch_bits};
}

struct Symbols {
    unsigned bits = 0;  // the highest of each residual; 0: packing them all is as good
    std::uint32_t counts[1u << kSymbolBitsMax] = {};
};

void count_symbols(const std::uint64_t *residuals, std::size_t count, unsigned width, unsigned bits, Symbols *symbols) noexcept {
    *symbols = {};
    symbols->bits = bits;
    const unsigned shift = width - bits;
    const std::uint64_t mask = low_mask(bits);
    for (std::size_t i = 0; i < count; ++i) ++symbols->counts[residuals[i] >> shift & mask];
}

/// How many of the highest bits are worth an entropy code; gives about the bytes that all take then.
std::size_t choose_symbols(const std::uint64_t *residuals, std::size_t count, unsigned width, Effort effort,
                           Symbols *best) noexcept {
    const std::size_t all_packed = packed_bytes(count, width);
    if (count < kSymbolsCountMin || width == 0) return all_packed;
    std::size_t best_bytes = all_packed - all_packed / kSymbolsGainMin;
    const unsigned most = std::min(width, kSymbolBitsMax);
    for (unsigned bits = most; bits > 0; --bits) {
        if (effort == Effort::normal && bits != most && bits != kSymbolBitsOfNoise) continue;
        Symbols candidate;
        count_symbols(residuals, count, width, bits, &candidate);
        const std::size_t bytes = estimate_symbols_bytes(candidate.counts, count) + packed_bytes(count, width - bits);
        if (bytes >= best_bytes) continue;
        best_bytes = bytes;
        *best = candidate;
    }
    return best->bits == 0 ? all_packed : best_bytes;
}

/// Residuals as classes: from the least of them on, or from the middle with their signs.
struct ClassesChoice {
    std::int64_t base = 0;
    bool has_signs = false;
    std::size_t bytes = SIZE_MAX;  // about

    std::uint64_t number_of(std::uint64_t residual) const noexcept {
        const std::uint64_t distance = residual - static_cast<std::uint64_t>(base);
        return has_signs ? zigzag(static_cast<std::int64_t>(distance)) : distance;
    }
};

/// Residuals of few bits, or of many that most do not need.
ClassesChoice choose_classes(const std::uint64_t *residuals, std::size_t count, const Range &range, const Spread &spread,
                             std::uint32_t bits) noexcept {
    ClassesChoice best;
    const auto width = static_cast<unsigned>(std::bit_width(range.size()));
    if (count < kSymbolsCountMin || width >= kClassWidthMax + 3) return best;
    const bool is_narrow = width <= kSymbolBitsMax;
    if (!is_narrow && width * kBitUnits < bits + kClassesBitsMin * kBitUnits) return best;
    std::uint32_t of_value[1u << kSymbolBitsMax] = {};
    for (std::size_t i = 0; is_narrow && i < count; ++i) ++of_value[residuals[i] - static_cast<std::uint64_t>(range.low)];
    for (ClassesChoice choice : {ClassesChoice{range.low, false}, ClassesChoice{spread.middle, true}}) {
        std::uint32_t counts[256] = {};
        for (std::size_t value = 0; is_narrow && value <= range.size(); ++value)
            counts[class_of(choice.number_of(static_cast<std::uint64_t>(range.low) + value))] += of_value[value];
        for (std::size_t i = 0; !is_narrow && i < count; ++i) ++counts[class_of(choice.number_of(residuals[i]))];
        choice.bytes = estimate_classes_bytes(counts, count);
        if (choice.bytes < best.bytes) best = choice;
    }
    return best;
}

void write_patches(const std::uint64_t *residuals, std::size_t count, unsigned width, ByteWriter &out) noexcept {
    std::size_t patches = 0;
    for (std::size_t i = 0; i < count; ++i) patches += residuals[i] >> width != 0;
    out.varint(patches);
    std::size_t next = 0;
    for (std::size_t i = 0; i < count; ++i) {
        const std::uint64_t high = residuals[i] >> width;
        if (high == 0) continue;
        out.varint(i - next);
        out.varint(high);
        next = i + 1;
    }
}

/// What each part but the first needs of the values before it.
void write_anchors(const Predictor &predictor, const std::uint64_t *normal, StreamParts parts, ByteWriter &out) noexcept {
    const std::size_t start = predicted_from(predictor.prediction);
    PredictionState state = first_state(predictor);
    PredictionState before = {0, predictor.step};
    for (std::size_t p = 1; p < parts.count(); ++p) {
        move_state(predictor.prediction, normal, start + parts.begin(p - 1), start + parts.begin(p), &state);
        out.signed_varint(static_cast<std::int64_t>(state.value - before.value));
        if (predictor.prediction == Prediction::slope) out.signed_varint(static_cast<std::int64_t>(state.step - before.step));
        before = state;
    }
}

/// Everything from low_width on. space.residuals are relative to the base here.
Status write_residuals(std::size_t count, const Predictor &predictor, const Frame &frame, const Symbols &symbols,
                       EncodeSpace &space, ByteWriter &out) noexcept {
    const unsigned low_width = frame.width - symbols.bits;
    out.u8(static_cast<std::uint8_t>(low_width));
    if (symbols.bits != 0) out.u8(static_cast<std::uint8_t>(symbols.bits));
    if (has_state(predictor.prediction)) write_anchors(predictor, space.normal, StreamParts{count}, out);
    if (frame.patch_bits != 0) write_patches(space.residuals, count, frame.width, out);
    if (symbols.bits != 0) {
        const std::uint64_t mask = low_mask(symbols.bits);
        for (std::size_t i = 0; i < count; ++i) space.symbols[i] = static_cast<std::byte>(space.residuals[i] >> low_width & mask);
        if (const Status status = encode_symbols({space.symbols, count}, symbols.counts, out); !status.ok()) return status;
    }
    std::byte *packed = out.take(packed_bytes(count, low_width));
    if (packed != nullptr) pack_bits(space.residuals, count, low_width, packed);
    return out.status();
}

/// With this prediction. space.normal has the normal values.
Status encode_predicted(std::span<const std::int64_t> values, std::uint64_t divisor, const ChosenPrediction &chosen,
                        EncodeSpace &space, ByteWriter &out) noexcept {
    const Predictor &predictor = chosen.predictor;
    const std::size_t count = values.size() - predicted_from(predictor.prediction);
    make_residuals(predictor, space.normal, values.size(), space.residuals);
    const Range range = range_of(space.residuals, count);
    const Spread spread = spread_of(space.residuals, count);
    const Frame frame = choose_frame(space.residuals, count, range, spread);
    const ClassesChoice classes = choose_classes(space.residuals, count, range, spread, chosen.bits);
    for (std::size_t i = 0; i < count; ++i) space.residuals[i] -= static_cast<std::uint64_t>(frame.base);
    Symbols symbols;
    const std::size_t bytes = frame.patch_bits / 8 + choose_symbols(space.residuals, count, frame.width, space.effort, &symbols);
    const bool has_classes = classes.bytes < bytes - bytes / kClassesGainMin;

    std::uint8_t flags = static_cast<std::uint8_t>(predictor.prediction);
    if (divisor > 1) flags |= kHasDivisor;
    if (has_classes) flags |= classes.has_signs ? kHasClasses | kHasSigns : kHasClasses;
    if (!has_classes && frame.patch_bits != 0) flags |= kHasPatches;
    if (!has_classes && symbols.bits != 0) flags |= kHasSymbols;
    out.u8(static_cast<std::uint8_t>(CodecId::packed_integers));
    out.u8(flags);
    out.signed_varint(values[0]);
    if (has_step(predictor.prediction)) out.signed_varint(static_cast<std::int64_t>(predictor.step));
    out.signed_varint(has_classes ? classes.base : frame.base);
    if (divisor > 1) out.varint(divisor);
    if (!has_classes) return write_residuals(count, predictor, frame, symbols, space, out);
    for (std::size_t i = 0; i < count; ++i)
        space.residuals[i] = classes.number_of(space.residuals[i] + static_cast<std::uint64_t>(frame.base));
    if (has_state(predictor.prediction)) write_anchors(predictor, space.normal, StreamParts{count}, out);
    return encode_classes({space.residuals, count}, {space.symbols, count}, out);
}

}  // namespace

std::uint64_t find_divisor(std::span<const std::int64_t> values) noexcept {
    const auto [low, high] = std::minmax_element(values.begin(), values.end());
    const std::uint64_t range = static_cast<std::uint64_t>(*high) - static_cast<std::uint64_t>(*low);
    if (range > static_cast<std::uint64_t>(INT64_MAX)) return find_power_of_two(values);
    std::uint64_t divisor = 0;
    for (const std::int64_t value : values) {
        const std::int64_t distance = value - values[0];
        const std::uint64_t size = static_cast<std::uint64_t>(distance < 0 ? -distance : distance);
        if (divisor != 0 && (divisor == 1 || size % divisor == 0)) continue;
        divisor = std::gcd(divisor, size);
        if (divisor == 1) return 1;
    }
    return divisor == 0 ? 1 : divisor;
}

Status encode_packed_integers(std::span<const std::int64_t> values, EncodeSpace &space, ByteWriter &out) noexcept {
    const std::uint64_t divisor = find_divisor(values);
    normalise(values, divisor, space.normal);
    const ChosenPrediction chosen = choose_prediction(space.normal, values.size(), space.residuals);
    const std::size_t mark = out.size();
    if (const Status status = encode_predicted(values, divisor, chosen, space, out); !status.ok()) return status;
    if (space.effort == Effort::normal || values.size() < kEveryPredictionMin) return out.status();
    for (const auto prediction : {Prediction::none, Prediction::level, Prediction::slope, Prediction::drift, Prediction::line}) {
        ChosenPrediction other;  // of 0 bits: classes are always looked at
        if (prediction == chosen.predictor.prediction) continue;
        if (!make_predictor(prediction, space.normal, values.size(), &other.predictor)) continue;
        const std::size_t rival = out.size();
        if (const Status status = encode_predicted(values, divisor, other, space, out); !status.ok()) return status;
        out.keep_shorter(mark, rival);
    }
    return out.status();
}

namespace {

struct PackedFields {
    Predictor predictor;
    std::uint8_t flags = 0;
    std::uint64_t first = 0;
    std::uint64_t base = 0;
    std::uint64_t divisor = 1;
    unsigned low_width = 0;
    unsigned symbol_bits = 0;
};

Status read_fields(ByteReader &in, PackedFields *fields) noexcept {
    fields->flags = in.u8();
    const bool has_classes = (fields->flags & kHasClasses) != 0;
    if ((fields->flags & (has_classes ? kHasPatches | kHasSymbols : kHasSigns)) != 0)
        return {StatusCode::corrupt, "packed integers have flags that exclude one another"};
    fields->predictor.prediction = static_cast<Prediction>(fields->flags & kPredictionMask);
    if (fields->predictor.prediction > Prediction::line)
        return {StatusCode::unsupported, "packed integers have a prediction of a later version"};
    fields->first = static_cast<std::uint64_t>(in.signed_varint());
    if (has_step(fields->predictor.prediction)) fields->predictor.step = static_cast<std::uint64_t>(in.signed_varint());
    fields->base = static_cast<std::uint64_t>(in.signed_varint());
    if ((fields->flags & kHasDivisor) != 0) fields->divisor = in.varint();
    if (has_classes) return in.status();
    fields->low_width = in.u8();
    if ((fields->flags & kHasSymbols) != 0) {
        fields->symbol_bits = in.u8();
        if (fields->symbol_bits == 0 || fields->symbol_bits > kSymbolBitsMax) {
            return {StatusCode::corrupt, "packed integers have an impossible symbol width"};
        }
    }
    if (fields->low_width + fields->symbol_bits > kBitWidthMax) {
        return {StatusCode::corrupt, "packed integers have an impossible width"};
    }
    return in.status();
}

/// The states before each part.
void read_anchors(ByteReader &in, const Predictor &predictor, StreamParts parts, PredictionState *states) noexcept {
    states[0] = first_state(predictor);
    if (!has_state(predictor.prediction)) return;
    PredictionState before = {0, predictor.step};
    for (std::size_t p = 1; p < parts.count(); ++p) {
        states[p].value = before.value + static_cast<std::uint64_t>(in.signed_varint());
        if (predictor.prediction == Prediction::slope)
            states[p].step = before.step + static_cast<std::uint64_t>(in.signed_varint());
        before = states[p];
    }
}

/// Residuals [begin, begin + values.size()) of a stream.
struct ResidualRange {
    std::size_t begin = 0;
    std::span<std::uint64_t> values;
};

/// Walks over the patches; range: where their high bits go, or nullptr to only find where they end.
Status read_patches(ByteReader &in, unsigned width, std::size_t count, const ResidualRange *range) noexcept {
    const std::uint64_t patches = in.varint();
    if (patches > count || width >= kBitWidthMax) return {StatusCode::corrupt, "packed integers have impossible patches"};
    std::uint64_t next = 0;
    for (std::uint64_t i = 0; i < patches; ++i) {
        const std::uint64_t skipped = in.varint();
        const std::uint64_t high = in.varint();
        if (skipped >= count - next) return {StatusCode::corrupt, "a patch lies outside the packed integers"};
        next += skipped;
        if (range != nullptr && next - range->begin < range->values.size()) range->values[next - range->begin] |= high << width;
        if (++next == count && i + 1 < patches) return {StatusCode::corrupt, "a patch lies outside the packed integers"};
    }
    return in.status();
}

/// Unpacks residuals of a stream of `count`; the reader is behind the fields, and ends behind the stream.
Status read_residuals(ByteReader &in, const PackedFields &fields, std::size_t count, const ResidualRange &range) noexcept {
    if ((fields.flags & kHasClasses) != 0) {
        if (count == 0) return {StatusCode::corrupt, "packed integers have classes of nothing"};
        if (const Status status = decode_classes(in, count, range.begin, range.values); !status.ok()) return status;
        if ((fields.flags & kHasSigns) != 0) {
            for (std::uint64_t &residual : range.values) residual = static_cast<std::uint64_t>(unzigzag(residual));
        }
        return Status::success();
    }
    const unsigned width = fields.low_width + fields.symbol_bits;
    ByteReader patches = in;
    if ((fields.flags & kHasPatches) != 0) {
        if (const Status status = read_patches(in, width, count, nullptr); !status.ok()) return status;
    }
    std::byte symbols[kStreamValuesMax];
    if (fields.symbol_bits != 0) {
        if (count == 0) return {StatusCode::corrupt, "packed integers have symbols of nothing"};
        if (const Status status = decode_symbols(in, count, range.begin, {symbols, range.values.size()}); !status.ok())
            return status;
    }
    const std::span<const std::byte> packed = in.bytes(packed_bytes(count, fields.low_width));
    if (in.failed()) return in.status();
    if (fields.low_width == 0 && fields.symbol_bits != 0) {
        for (std::size_t i = 0; i < range.values.size(); ++i) range.values[i] = static_cast<std::uint64_t>(symbols[i]);
    } else {
        const std::byte *first = packed.data() + range.begin / 8 * fields.low_width;
        unpack_bits(first, range.values.size(), fields.low_width, range.values.data());
        for (std::size_t i = 0; fields.symbol_bits != 0 && i < range.values.size(); ++i)
            range.values[i] |= static_cast<std::uint64_t>(symbols[i]) << fields.low_width;
    }
    return (fields.flags & kHasPatches) != 0 ? read_patches(patches, width, count, &range) : Status::success();
}

/// From residuals to normal values, part by part.
void undo_parts(const PackedFields &fields, StreamParts parts, const PredictionState *states,
                const ResidualRange &range) noexcept {
    const std::size_t start = predicted_from(fields.predictor.prediction);
    const std::size_t end = range.begin + range.values.size();
    for (std::size_t at = range.begin; at < end;) {
        const std::size_t part = parts.part_of(at);
        const std::size_t part_end = std::min(end, parts.end(part));
        undo_prediction(fields.predictor, fields.base, start + at, states[part], range.values.data() + (at - range.begin),
                        part_end - at);
        at = part_end;
    }
}

}  // namespace

Status decode_packed_integers(ByteReader &in, const WantedValues &wanted, Arena &arena) noexcept {
    PackedFields fields;
    if (const Status status = read_fields(in, &fields); !status.ok()) return status;
    const std::size_t start = predicted_from(fields.predictor.prediction);
    if (wanted.count < start || wanted.count < 2) return {StatusCode::corrupt, "too few packed integers for their prediction"};
    const std::size_t residual_count = wanted.count - start;
    const StreamParts parts{residual_count};
    PredictionState states[kStreamParts];
    read_anchors(in, fields.predictor, parts, states);

    // The values that the prediction starts from.
    auto *out = reinterpret_cast<std::uint64_t *>(wanted.values.data());
    const std::size_t value_count = wanted.values.size();
    const std::size_t end = wanted.first + value_count;
    std::size_t done = 0;
    for (; wanted.first + done < std::min(start, end); ++done) out[done] = wanted.first + done == 0 ? 0 : states[0].value;

    // The residuals from where they can be decoded; in place when that is where they are wanted. One at least, to find their end.
    std::uint64_t none = 0;
    ResidualRange range{0, {&none, std::min<std::size_t>(residual_count, 1)}};
    const std::size_t at = wanted.first + done - start;
    if (done < value_count) {
        const bool in_order = has_state(fields.predictor.prediction) || (fields.flags & kHasClasses) != 0;
        range.begin = in_order ? parts.begin(parts.part_of(at)) : at / 8 * 8;
        const std::size_t range_count = end - start - range.begin;
        auto *residuals = range.begin == at ? out + done : arena.array<std::uint64_t>(range_count);
        if (residuals == nullptr) return {StatusCode::out_of_memory, "no memory to decode integers"};
        range.values = {residuals, range_count};
    }
    if (const Status status = read_residuals(in, fields, residual_count, range); !status.ok()) return status;
    // Without a prediction the base is added with the first value, in one pass or none.
    const bool is_plain = fields.predictor.prediction == Prediction::none;
    if (!is_plain) undo_parts(fields, parts, states, range);
    if (done < value_count && range.begin != at)
        std::copy(range.values.begin() + static_cast<std::ptrdiff_t>(at - range.begin), range.values.end(), out + done);
    const std::uint64_t addend = fields.first + (is_plain ? fields.base * fields.divisor : 0);
    if (fields.divisor != 1) {
        for (std::size_t i = 0; i < value_count; ++i) out[i] = out[i] * fields.divisor + addend;
    } else if (addend != 0) {
        for (std::size_t i = 0; i < value_count; ++i) out[i] += addend;
    }
    return Status::success();
}

}  // namespace historian::codec
