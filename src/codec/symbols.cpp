#include "codec/symbols.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>

#include "codec/bit_packing.h"
#include "codec/stream_parts.h"

namespace historian::codec {
namespace {

constexpr unsigned kTableBits = 10;
constexpr std::uint32_t kTotal = 1u << kTableBits;
constexpr std::uint32_t kStateMin = 1u << 16;
constexpr unsigned kWeightBits = 6;
constexpr std::size_t kSymbolsMax = 4096;
/// 0, 1, 2, 3, then numbers of three significant bits: 4, 5, 6, 7, 8, 10, 12, 14, 16, ... to 7 << 14.
constexpr std::uint32_t weight_of(std::uint32_t code) noexcept { return code < 4 ? code : (4 + code % 4) << (code / 4 - 1); }
static_assert(weight_of(4) == 4 && weight_of(7) == 7 && weight_of(8) == 8 && weight_of(9) == 10 && weight_of(63) == 7u << 14);

/// The code of the weight nearest to a count; never 0 for a count above 0.
constexpr std::uint32_t code_of(std::uint32_t count) noexcept {
    if (count < 4) return count;
    assert(std::bit_width(count) >= 3);
    const auto shift = static_cast<std::uint32_t>(std::bit_width(count)) - 3;
    const std::uint32_t rounded = count + (shift == 0 ? 0 : 1u << (shift - 1));
    const auto up = static_cast<std::uint32_t>(std::bit_width(rounded)) - 3;
    return 4 * (up + 1) + (rounded >> up) % 4;
}
static_assert(code_of(4) == 4 && code_of(7) == 7 && code_of(15) == code_of(16) && weight_of(code_of(4096)) == 4096);

struct Frequencies {
    std::uint16_t of[256] = {};
    std::uint16_t start[256] = {};
};

/// Scales weights to kTotal: each at least 1 when its weight is; what rounding left over goes to the first of the largest, what
/// it took too much is taken one by one from those above 1, in the symbols' order. Part of the format.
void scale_weights(std::span<const std::uint32_t> weights, unsigned first_symbol, Frequencies *frequencies) noexcept {
    std::uint64_t weight_sum = 0;
    for (const std::uint32_t weight : weights) weight_sum += weight;
    assert(weight_sum > 0);
    std::uint32_t sum = 0;
    std::size_t largest = 0;
    std::uint16_t *of = frequencies->of + first_symbol;
    for (std::size_t s = 0; s < weights.size(); ++s) {
        if (weights[s] == 0) continue;
        of[s] = static_cast<std::uint16_t>(std::max<std::uint64_t>(1, std::uint64_t{weights[s]} * kTotal / weight_sum));
        sum += of[s];
        if (weights[s] > weights[largest]) largest = s;
    }
    if (sum < kTotal) of[largest] = static_cast<std::uint16_t>(of[largest] + kTotal - sum);
    while (sum > kTotal) {  // ends: there are at most 256 symbols
        for (std::size_t s = 0; s < weights.size() && sum > kTotal; ++s) {
            if (of[s] <= 1) continue;
            --of[s];
            --sum;
        }
    }
    std::uint32_t start = 0;
    for (unsigned s = 0; s < 256; ++s) {
        frequencies->start[s] = static_cast<std::uint16_t>(start);
        start += frequencies->of[s];
    }
}

/// 256 * log2(value), interpolated between powers of two: the same on every CPU, unlike libm.
std::uint32_t log2_256(std::uint32_t value) noexcept {
    assert(value > 0);
    const auto whole = static_cast<std::uint32_t>(std::bit_width(value) - 1);
    return whole * 256 + static_cast<std::uint32_t>((std::uint64_t{value} << 8 >> whole) - 256);
}

/// What pushing a symbol needs. The quotient state / frequency is state * inverse >> kInverseBits: inverse is 2^42 / frequency
/// rounded up, too large by less than 1, so the quotient is exact for states below 2^32; and as states are below frequency * 2^22
/// here, the product is below 2^64.
constexpr unsigned kInverseBits = 42;
struct Push {
    std::uint64_t inverse = 0;
    std::uint64_t limit = 0;  // from here on a word must leave first
    std::uint32_t frequency = 0;
    std::uint32_t start = 0;
};

void make_pushes(const Frequencies &frequencies, unsigned first, unsigned last, Push *pushes) noexcept {
    for (unsigned s = first; s <= last; ++s) {
        const std::uint32_t frequency = frequencies.of[s];
        if (frequency == 0) continue;
        pushes[s] = {((std::uint64_t{1} << kInverseBits) + frequency - 1) / frequency,
                     std::uint64_t{frequency} << (32 - kTableBits), frequency, frequencies.start[s]};
    }
}

/// Pushes a part's symbols into its state, last first; words are written from the end of the room to the front.
std::uint16_t *push_symbols(std::span<const std::byte> symbols, const Push *pushes, std::uint32_t *pushed,
                            std::uint16_t *words_end) noexcept {
    std::uint32_t state = kStateMin;
    std::uint16_t *word = words_end;
    for (std::size_t i = symbols.size(); i-- > 0;) {
        const Push &push = pushes[static_cast<unsigned>(symbols[i])];
        // No branch: whether a word leaves is as random as the symbols.
        const bool full = state >= push.limit;
        word[-1] = static_cast<std::uint16_t>(state);
        word -= full ? 1 : 0;
        state >>= full ? 16 : 0;
        const auto quotient = static_cast<std::uint32_t>(state * push.inverse >> kInverseBits);
        state = quotient * (kTotal - push.frequency) + state + push.start;
    }
    *pushed = state;
    return word;
}

/// What a slot of the table says, in one load: the symbol (8 bits), the slot's distance from the start of its range (12), and the
/// symbol's frequency (12).
using Slot = std::uint32_t;
constexpr Slot make_slot(unsigned symbol, std::uint32_t distance, std::uint32_t frequency) noexcept {
    return symbol | distance << 8 | frequency << 20;
}

/// A part that is being decoded.
struct Pull {
    std::uint32_t state = 0;
    const std::byte *next = nullptr;  // word
    const std::byte *end = nullptr;   // of the part's words
};

/// Decodes one symbol; reads a word whether one is needed or not.
inline std::byte pull_symbol(const Slot *table, std::uint32_t &state, const std::byte *&next) noexcept {
    const Slot slot = table[state % kTotal];
    state = (slot >> 20) * (state >> kTableBits) + (slot >> 8 & 0xfff);
    std::uint16_t word;
    std::memcpy(&word, next, sizeof word);
    // No branch, and nothing that a compiler takes for one: whether a word is needed is as random as the symbols.
    const std::uint32_t more = 0 - static_cast<std::uint32_t>((std::uint64_t{state} - kStateMin) >> 63);
    state = state << (more & 16) | (word & more);
    next += more & sizeof word;
    return static_cast<std::byte>(slot);
}

/// Words with as many zeros behind them as their last part has symbols. A symbol takes one word at most, so that none that is
/// read lies outside, and whether a part had enough is seen when it is done.
class PaddedWords {
public:
    const std::byte *copy(std::span<const std::byte> words, std::size_t symbol_count) noexcept {
        assert(words.size() + 2 * symbol_count <= sizeof space_);
        if (!words.empty()) std::memcpy(space_, words.data(), words.size());
        std::memset(space_ + words.size(), 0, 2 * symbol_count);
        return space_;
    }

private:
    std::byte space_[2 * 2 * kSymbolsMax];
};

/// The first symbols of one part.
///
/// whole   they are all of it
Status pull_part(const Slot *table, Pull pull, std::span<std::byte> symbols, bool whole) noexcept {
    PaddedWords words;
    const std::byte *begin = words.copy({pull.next, pull.end}, symbols.size());
    const std::byte *end = begin + (pull.end - pull.next);
    const std::byte *next = begin;
    for (std::byte &symbol : symbols) symbol = pull_symbol(table, pull.state, next);
    if (next > end) return {StatusCode::corrupt, "a stream of symbols has too few words"};
    if (whole && (next != end || pull.state != kStateMin))
        return {StatusCode::corrupt, "a stream of symbols does not end as it began"};
    return Status::success();
}

/// All parts of a long stream, side by side; the last one may have a few symbols less than the others.
Status pull_all_parts(const Slot *table, const Pull *pulls, StreamParts parts, std::byte *symbols) noexcept {
    PaddedWords words;
    const std::byte *begin = words.copy({pulls[0].next, pulls[kStreamParts - 1].end}, parts.end(0));
    std::uint32_t states[kStreamParts];
    const std::byte *nexts[kStreamParts];
    std::byte *outs[kStreamParts];
    for (std::size_t p = 0; p < kStreamParts; ++p) {
        states[p] = pulls[p].state;
        nexts[p] = begin + (pulls[p].next - pulls[0].next);
        outs[p] = symbols + parts.begin(p);
    }
    const std::size_t together = parts.end(kStreamParts - 1) - parts.begin(kStreamParts - 1);
    for (std::size_t i = 0; i < together; ++i) {
        for (std::size_t p = 0; p < kStreamParts; ++p) outs[p][i] = pull_symbol(table, states[p], nexts[p]);
    }
    for (std::size_t i = together; i < parts.end(0); ++i) {
        for (std::size_t p = 0; p + 1 < kStreamParts; ++p) outs[p][i] = pull_symbol(table, states[p], nexts[p]);
    }
    for (std::size_t p = 0; p < kStreamParts; ++p) {
        if (nexts[p] != begin + (pulls[p].end - pulls[0].next) || states[p] != kStateMin)
            return {StatusCode::corrupt, "a stream of symbols does not end as it began"};
    }
    return Status::success();
}

/// The fields before the states.
Status read_frequencies(ByteReader &in, Frequencies *frequencies) noexcept {
    const unsigned first = in.u8();
    const unsigned last = in.u8();
    if (in.failed()) return in.status();
    if (last < first) return {StatusCode::corrupt, "a stream of symbols has an impossible range"};
    const std::size_t count = last - first + 1;
    const std::span<const std::byte> packed = in.bytes(packed_bytes(count, kWeightBits));
    if (in.failed()) return in.status();
    std::uint64_t codes[256];
    std::uint32_t weights[256];
    unpack_bits(packed.data(), count, kWeightBits, codes);
    std::uint64_t sum = 0;
    for (std::size_t s = 0; s < count; ++s) sum += weights[s] = weight_of(static_cast<std::uint32_t>(codes[s]));
    if (sum == 0) return {StatusCode::corrupt, "a stream of symbols has no symbol"};
    scale_weights({weights, count}, first, frequencies);
    return Status::success();
}

}  // namespace

std::size_t estimate_symbols_bytes(std::span<const std::uint32_t, 256> counts, std::size_t symbol_count) noexcept {
    const std::uint32_t log_count = log2_256(static_cast<std::uint32_t>(symbol_count));
    std::uint64_t total = 0;
    std::size_t first = 256;
    std::size_t last = 0;
    for (std::size_t s = 0; s < counts.size(); ++s) {
        if (counts[s] == 0) continue;
        total += std::uint64_t{counts[s]} * (log_count - log2_256(counts[s]));
        first = std::min(first, s);
        last = s;
    }
    return static_cast<std::size_t>(total / (256 * 8)) + packed_bytes(last - first + 1, kWeightBits) + 2 +
           5 * StreamParts(symbol_count).count();
}

Status encode_symbols(std::span<const std::byte> symbols, std::span<const std::uint32_t, 256> counts, ByteWriter &out) noexcept {
    assert(!symbols.empty() && symbols.size() <= kSymbolsMax);
    unsigned first = 0;
    while (counts[first] == 0) ++first;
    unsigned last = 255;
    while (counts[last] == 0) --last;
    const std::size_t count = last - first + 1;
    std::uint64_t codes[256];
    std::uint32_t weights[256];
    for (std::size_t s = 0; s < count; ++s) {
        codes[s] = code_of(counts[first + s]);
        weights[s] = weight_of(static_cast<std::uint32_t>(codes[s]));
    }
    Frequencies frequencies;
    scale_weights({weights, count}, first, &frequencies);

    Push pushes[256];
    make_pushes(frequencies, first, last, pushes);
    std::uint16_t words[kSymbolsMax + kStreamParts];  // a part's words have one more: it is written before it is known to leave
    const std::uint16_t *begins[kStreamParts];
    std::uint16_t *ends[kStreamParts];
    std::uint32_t states[kStreamParts];
    const StreamParts parts{symbols.size()};
    for (std::size_t p = 0; p < parts.count(); ++p) {
        ends[p] = words + parts.end(p) + p + 1;
        const std::span<const std::byte> of_part = symbols.subspan(parts.begin(p), parts.end(p) - parts.begin(p));
        begins[p] = push_symbols(of_part, pushes, &states[p], ends[p]);
    }
    out.u8(static_cast<std::uint8_t>(first));
    out.u8(static_cast<std::uint8_t>(last));
    std::byte *packed = out.take(packed_bytes(count, kWeightBits));
    if (packed != nullptr) pack_bits(codes, count, kWeightBits, packed);
    for (std::size_t p = 0; p < parts.count(); ++p) out.u32(states[p]);
    for (std::size_t p = 0; p < parts.count(); ++p) out.varint(static_cast<std::uint64_t>(ends[p] - begins[p]));
    for (std::size_t p = 0; p < parts.count(); ++p) out.bytes(std::as_bytes(std::span<const std::uint16_t>{begins[p], ends[p]}));
    return out.status();
}

namespace {

/// The states and where the words of each part are.
Status read_pulls(ByteReader &in, StreamParts parts, Pull *pulls) noexcept {
    std::uint64_t word_counts[kStreamParts] = {};
    for (std::size_t p = 0; p < parts.count(); ++p) {
        pulls[p].state = in.u32();
        if (pulls[p].state < kStateMin && !in.failed())
            return {StatusCode::corrupt, "a stream of symbols has an impossible state"};
    }
    for (std::size_t p = 0; p < parts.count(); ++p) {
        word_counts[p] = in.varint();
        if (word_counts[p] > parts.end(p) - parts.begin(p))
            return {StatusCode::corrupt, "a stream of symbols has too many words"};
    }
    for (std::size_t p = 0; p < parts.count(); ++p) {
        const std::span<const std::byte> words = in.bytes(2 * word_counts[p]);
        pulls[p].next = words.data();
        pulls[p].end = words.data() + words.size();
    }
    return in.status();
}

void make_table(const Frequencies &frequencies, Slot *table) noexcept {
    std::size_t at = 0;
    for (unsigned s = 0; s < 256; ++s) {
        for (std::uint32_t d = 0; d < frequencies.of[s]; ++d) table[at++] = make_slot(s, d, frequencies.of[s]);
    }
    assert(at == kTotal);
}

}  // namespace

Status decode_symbols(ByteReader &in, std::size_t count, std::size_t first, std::span<std::byte> symbols) noexcept {
    assert(!symbols.empty() && first + symbols.size() <= count && count <= kSymbolsMax);
    Frequencies frequencies;
    if (const Status status = read_frequencies(in, &frequencies); !status.ok()) return status;
    const StreamParts parts{count};
    Pull pulls[kStreamParts];
    if (const Status status = read_pulls(in, parts, pulls); !status.ok()) return status;
    Slot table[kTotal];
    make_table(frequencies, table);

    std::byte space[kSymbolsMax];
    const std::size_t part = parts.part_of(first);
    const std::size_t begin = parts.begin(part);
    const std::size_t end = first + symbols.size();
    if (end <= parts.end(part)) {
        std::byte *target = first == begin ? symbols.data() : space;
        const Status status = pull_part(table, pulls[part], {target, end - begin}, end == parts.end(part));
        if (target == space && status.ok()) std::memcpy(symbols.data(), space + (first - begin), symbols.size());
        return status;
    }
    std::byte *target = symbols.size() == count ? symbols.data() : space;
    if (const Status status = pull_all_parts(table, pulls, parts, target); !status.ok()) return status;
    if (target == space) std::memcpy(symbols.data(), space + first, symbols.size());
    return Status::success();
}

}  // namespace historian::codec
