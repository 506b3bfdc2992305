#include "codec/packed_integers.h"

#include <algorithm>
#include <bit>
#include <numeric>

#include "codec/bit_packing.h"
#include "codec/codec_id.h"
#include "codec/prediction.h"

namespace historian::codec {
namespace {

constexpr std::uint8_t kHasDivisor = 1u << 2;
constexpr std::uint8_t kHasPatches = 1u << 3;
constexpr std::uint8_t kHasSymbols = 1u << 4;
constexpr std::uint8_t kFlagsMask = 0x1f;

// Fewer residuals than this never pay for the about 20 bytes of a frame and its code table.
constexpr std::size_t kSymbolsCountMin = 64;
constexpr unsigned kSymbolBitsMax = 8;
// Of wide residuals only the highest bits have a shape; more of them would only make the code table larger.
constexpr unsigned kSymbolBitsOfNoise = 5;

constexpr std::uint64_t low_mask(unsigned width) noexcept {
    return width >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << width) - 1;
}

/// The largest number that divides the distance of every value from the first; 1 when the distances overflow.
std::uint64_t find_divisor(std::span<const std::int64_t> values) noexcept {
    const auto [low, high] = std::minmax_element(values.begin(), values.end());
    const std::uint64_t range = static_cast<std::uint64_t>(*high) - static_cast<std::uint64_t>(*low);
    if (range > static_cast<std::uint64_t>(INT64_MAX)) return 1;
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

struct Frame {
    std::int64_t base = 0;
    unsigned width = 0;           // residuals that do not fit it are patched
    bool has_patches = false;
};

/// The width that is cheapest over all residuals from this base, with its cost in bits.
struct WidthCost {
    unsigned width = 0;
    std::uint64_t bits = 0;
    bool has_patches = false;
};
WidthCost cheapest_width(const std::uint64_t *residuals, std::size_t count, std::int64_t base) noexcept {
    std::uint32_t of_width[65] = {};
    for (std::size_t i = 0; i < count; ++i) ++of_width[std::bit_width(residuals[i] - static_cast<std::uint64_t>(base))];
    unsigned widest = 64;
    while (widest > 0 && of_width[widest] == 0) --widest;
    WidthCost best{widest, std::uint64_t{widest} * count, false};
    std::uint64_t patches = 0;
    for (unsigned width = widest; width-- > 0;) {
        patches += of_width[width + 1];
        const std::uint64_t patch_bits = 8 + 8 * ((widest - width + 6) / 7);
        const std::uint64_t bits = std::uint64_t{width} * count + patches * patch_bits;
        if (bits < best.bits) best = {width, bits, true};
    }
    return best;
}

Frame choose_frame(const std::uint64_t *residuals, std::size_t count, const Spread &spread) noexcept {
    std::int64_t low = INT64_MAX;
    std::int64_t high = INT64_MIN;
    for (std::size_t i = 0; i < count; ++i) {
        const auto residual = static_cast<std::int64_t>(residuals[i]);
        low = std::min(low, residual);
        high = std::max(high, residual);
    }
    const auto range = static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low);
    const auto width = static_cast<unsigned>(std::bit_width(range));
    if (width <= static_cast<unsigned>(std::bit_width(spread.size)) + 2) return {low, width, false};

    // Outliers: below them all, or only where most residuals are.
    const WidthCost whole = cheapest_width(residuals, count, low);
    const auto usual_low = static_cast<std::int64_t>(static_cast<std::uint64_t>(spread.low) - spread.size);
    if (usual_low <= low || usual_low > spread.low) return {low, whole.width, whole.has_patches};
    const WidthCost usual = cheapest_width(residuals, count, usual_low);
    if (usual.bits < whole.bits) return {usual_low, usual.width, usual.has_patches};
    return {low, whole.width, whole.has_patches};
}

/// 256 * log2(value), interpolated between powers of two: the same on every CPU, unlike libm.
std::uint32_t log2_256(std::uint32_t value) noexcept {
    const auto whole = static_cast<std::uint32_t>(std::bit_width(value) - 1);
    return whole * 256 + static_cast<std::uint32_t>((std::uint64_t{value} << 8 >> whole) - 256);
}

/// About the bytes that a zstd frame of these symbols would take.
std::size_t estimate_symbol_bytes(const std::uint64_t *residuals, std::size_t count, unsigned shift, unsigned bits) noexcept {
    std::uint32_t counts[1u << kSymbolBitsMax] = {};
    const std::uint64_t mask = low_mask(bits);
    for (std::size_t i = 0; i < count; ++i) ++counts[residuals[i] >> shift & mask];
    const std::uint32_t log_count = log2_256(static_cast<std::uint32_t>(count));
    std::uint64_t total = 0;
    std::size_t distinct = 0;
    for (std::size_t symbol = 0; symbol <= mask; ++symbol) {
        if (counts[symbol] == 0) continue;
        total += std::uint64_t{counts[symbol]} * (log_count - log2_256(counts[symbol]));
        ++distinct;
    }
    return static_cast<std::size_t>(total / (256 * 8)) + 16 + distinct / 2;
}

/// How many of the highest bits to give to zstd; 0 when packing them is as good.
unsigned choose_symbol_bits(const std::uint64_t *residuals, std::size_t count, unsigned width) noexcept {
    if (count < kSymbolsCountMin || width == 0) return 0;
    std::size_t best_bytes = packed_bytes(count, width) - packed_bytes(count, width) / 32;
    unsigned best_bits = 0;
    for (const unsigned bits : {std::min(width, kSymbolBitsMax), kSymbolBitsOfNoise}) {
        if (bits > width || (bits == best_bits)) continue;
        const std::size_t bytes =
            estimate_symbol_bytes(residuals, count, width - bits, bits) + packed_bytes(count, width - bits);
        if (bytes < best_bytes) {
            best_bytes = bytes;
            best_bits = bits;
        }
    }
    return best_bits;
}

/// The highest bits of the residuals as a frame behind the writer's end; 0 bytes when they are better packed.
std::size_t compress_symbols(std::size_t count, unsigned shift, unsigned bits, EncodeSpace &space, std::span<std::byte> room) noexcept {
    const std::uint64_t mask = low_mask(bits);
    for (std::size_t i = 0; i < count; ++i) space.symbols[i] = static_cast<std::byte>(space.residuals[i] >> shift & mask);
    const std::size_t limit = std::min(room.size(), packed_bytes(count, bits));
    return space.compressor->compress({space.symbols, count}, Effort::fast, room.first(limit));
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

/// Everything from low_width on. space.residuals are relative to the base here.
Status write_residuals(std::size_t count, const Frame &frame, unsigned symbol_bits, std::span<const std::byte> symbols,
                       EncodeSpace &space, ByteWriter &out) noexcept {
    const unsigned low_width = frame.width - symbol_bits;
    out.u8(static_cast<std::uint8_t>(low_width));
    if (symbol_bits != 0) out.u8(static_cast<std::uint8_t>(symbol_bits));
    if (frame.has_patches) write_patches(space.residuals, count, frame.width, out);
    if (symbol_bits != 0) {
        out.varint(symbols.size());
        out.bytes(symbols);
    }
    std::byte *packed = out.take(packed_bytes(count, low_width));
    if (packed != nullptr) pack_bits(space.residuals, count, low_width, packed);
    return out.status();
}

}  // namespace

Status encode_packed_integers(std::span<const std::int64_t> values, EncodeSpace &space, ByteWriter &out) noexcept {
    const std::uint64_t divisor = find_divisor(values);
    normalise(values, divisor, space.normal);
    Spread spread;
    const Prediction prediction = choose_prediction(space.normal, values.size(), space.residuals, &spread);
    const std::size_t count = values.size() - predicted_from(prediction);
    make_residuals(prediction, space.normal, values.size(), space.residuals);
    const Frame frame = choose_frame(space.residuals, count, spread);
    for (std::size_t i = 0; i < count; ++i) space.residuals[i] -= static_cast<std::uint64_t>(frame.base);

    // The frame is made where the packed bits will be, and moved aside when it pays.
    unsigned symbol_bits = choose_symbol_bits(space.residuals, count, frame.width);
    std::byte symbols[kStreamValuesMax];
    std::size_t symbols_size = 0;
    if (symbol_bits != 0) {
        symbols_size = compress_symbols(count, frame.width - symbol_bits, symbol_bits, space, symbols);
        if (symbols_size == 0) symbol_bits = 0;
    }

    out.u8(static_cast<std::uint8_t>(CodecId::packed_integers));
    out.u8(static_cast<std::uint8_t>(static_cast<unsigned>(prediction) | (divisor > 1 ? kHasDivisor : 0u) |
                                     (frame.has_patches ? kHasPatches : 0u) | (symbol_bits != 0 ? kHasSymbols : 0u)));
    out.signed_varint(values[0]);
    if (prediction == Prediction::slope) out.signed_varint(static_cast<std::int64_t>(space.normal[1]));
    out.signed_varint(frame.base);
    if (divisor > 1) out.varint(divisor);
    return write_residuals(count, frame, symbol_bits, {symbols, symbols_size}, space, out);
}

namespace {

struct PackedFields {
    Prediction prediction = Prediction::none;
    std::uint8_t flags = 0;
    std::uint64_t first = 0;
    std::uint64_t step = 0;
    std::uint64_t base = 0;
    std::uint64_t divisor = 1;
    unsigned low_width = 0;
    unsigned symbol_bits = 0;
};

Status read_fields(ByteReader &in, PackedFields *fields) noexcept {
    fields->flags = in.u8();
    if ((fields->flags & ~kFlagsMask) != 0) return {StatusCode::unsupported, "packed integers have a flag of a later version"};
    fields->prediction = static_cast<Prediction>(fields->flags & 3);
    fields->first = static_cast<std::uint64_t>(in.signed_varint());
    if (fields->prediction == Prediction::slope) fields->step = static_cast<std::uint64_t>(in.signed_varint());
    fields->base = static_cast<std::uint64_t>(in.signed_varint());
    if ((fields->flags & kHasDivisor) != 0) fields->divisor = in.varint();
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

/// Walks over the patches; add is where their high bits go, or nullptr to only find where they end.
Status read_patches(ByteReader &in, unsigned width, std::span<std::uint64_t> residuals, bool add) noexcept {
    const std::uint64_t patches = in.varint();
    if (patches > residuals.size() || width >= kBitWidthMax) return {StatusCode::corrupt, "packed integers have impossible patches"};
    std::uint64_t next = 0;
    for (std::uint64_t i = 0; i < patches; ++i) {
        const std::uint64_t skipped = in.varint();
        const std::uint64_t high = in.varint();
        if (skipped >= residuals.size() - next) return {StatusCode::corrupt, "a patch lies outside the packed integers"};
        next += skipped;
        if (add) residuals[next] |= high << width;
        if (++next == residuals.size() && i + 1 < patches) return {StatusCode::corrupt, "a patch lies outside the packed integers"};
    }
    return in.status();
}

Status read_symbols(std::span<const std::byte> frame, unsigned shift, std::span<std::uint64_t> residuals, Arena &arena) noexcept {
    auto *symbols = arena.array<std::byte>(residuals.size());
    if (symbols == nullptr) return {StatusCode::out_of_memory, "no memory to decode integers"};
    if (const Status status = decompress(frame, {symbols, residuals.size()}); !status.ok()) return status;
    for (std::size_t i = 0; i < residuals.size(); ++i) residuals[i] |= static_cast<std::uint64_t>(symbols[i]) << shift;
    return Status::success();
}

}  // namespace

Status decode_packed_integers(ByteReader &in, std::span<std::int64_t> values, Arena &arena) noexcept {
    PackedFields fields;
    if (const Status status = read_fields(in, &fields); !status.ok()) return status;
    const std::size_t start = predicted_from(fields.prediction);
    if (values.size() < start || values.size() < 2) return {StatusCode::corrupt, "too few packed integers for their prediction"};

    // Residuals are unpacked in place, behind the values that the prediction starts from.
    auto *whole = reinterpret_cast<std::uint64_t *>(values.data());
    const std::span<std::uint64_t> residuals{whole + start, values.size() - start};
    ByteReader patches = in;
    if ((fields.flags & kHasPatches) != 0) {
        if (const Status status = read_patches(in, fields.low_width + fields.symbol_bits, residuals, false); !status.ok()) return status;
    }
    std::span<const std::byte> frame;
    if (fields.symbol_bits != 0) frame = in.bytes(in.varint());
    const std::span<const std::byte> packed = in.bytes(packed_bytes(residuals.size(), fields.low_width));
    if (in.failed()) return in.status();

    unpack_bits(packed.data(), residuals.size(), fields.low_width, residuals.data());
    if (fields.symbol_bits != 0) {
        if (const Status status = read_symbols(frame, fields.low_width, residuals, arena); !status.ok()) return status;
    }
    if ((fields.flags & kHasPatches) != 0) {
        if (const Status status = read_patches(patches, fields.low_width + fields.symbol_bits, residuals, true); !status.ok()) return status;
    }
    undo_prediction({fields.prediction, fields.step, fields.base}, whole, values.size());
    if (fields.divisor == 1) {
        for (std::size_t i = 0; i < values.size(); ++i) whole[i] += fields.first;
    } else {
        for (std::size_t i = 0; i < values.size(); ++i) whole[i] = whole[i] * fields.divisor + fields.first;
    }
    return Status::success();
}

}  // namespace historian::codec
