#include "codec/symbols.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>

#include "codec/bit_packing.h"

namespace historian::codec {
namespace {

constexpr unsigned kTableBits = 10;
constexpr std::uint32_t kTotal = 1u << kTableBits;
constexpr std::uint32_t kStateMin = 1u << 16;
constexpr unsigned kWeightBits = 6;
constexpr std::size_t kSymbolsMax = 4096;
constexpr std::size_t kLanesMax = 4;

constexpr std::size_t lanes_of(std::size_t symbol_count) noexcept { return symbol_count >= kManyLanesCount ? kLanesMax : 1; }

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

/// Pushes the symbols into the states, last first; words are written from the end of the room to the front.
template <std::size_t Lanes>
std::uint16_t *push_symbols(std::span<const std::byte> symbols, const Push *pushes, std::uint32_t *states,
                            std::uint16_t *words_end) noexcept {
    std::fill_n(states, Lanes, kStateMin);
    std::uint16_t *word = words_end;
    for (std::size_t i = symbols.size(); i-- > 0;) {
        std::uint32_t &state = states[i % Lanes];
        const auto symbol = static_cast<unsigned>(symbols[i]);
        const Push &push = pushes[symbol];
        // No branch: whether a word leaves is as random as the symbols.
        const bool full = state >= push.limit;
        word[-1] = static_cast<std::uint16_t>(state);
        word -= full ? 1 : 0;
        state >>= full ? 16 : 0;
        const auto quotient = static_cast<std::uint32_t>(state * push.inverse >> kInverseBits);
        state = quotient * (kTotal - push.frequency) + state + push.start;
    }
    return word;
}

/// What a slot of the table says, in one load: the symbol (8 bits), the slot's distance from the start of its range (12), and the
/// symbol's frequency (12).
using Slot = std::uint32_t;
constexpr Slot make_slot(unsigned symbol, std::uint32_t distance, std::uint32_t frequency) noexcept {
    return symbol | distance << 8 | frequency << 20;
}

struct Pull {
    const std::byte *next;
    const std::byte *end;
};

/// Decodes one symbol; the caller has made sure that a word can be read.
inline std::byte pull_symbol(const Slot *table, std::uint32_t &state, Pull &pull) noexcept {
    const Slot slot = table[state % kTotal];
    state = (slot >> 20) * (state >> kTableBits) + (slot >> 8 & 0xfff);
    std::uint16_t word;
    std::memcpy(&word, pull.next, sizeof word);
    // No branch, and nothing that a compiler takes for one: whether a word is needed is as random as the symbols.
    const std::uint32_t more = 0 - static_cast<std::uint32_t>((std::uint64_t{state} - kStateMin) >> 63);
    state = state << (more & 16) | (word & more);
    pull.next += more & sizeof word;
    return static_cast<std::byte>(slot);
}

template <std::size_t Lanes>
Status pull_symbols(const Slot *table, std::uint32_t *given_states, std::span<const std::byte> words,
                    std::span<std::byte> symbols) noexcept {
    std::uint32_t states[Lanes];
    std::copy_n(given_states, Lanes, states);
    Pull pull{words.data(), words.data() + words.size()};
    std::size_t i = 0;
    for (; i + Lanes <= symbols.size() && static_cast<std::size_t>(pull.end - pull.next) >= 2 * Lanes; i += Lanes) {
        for (std::size_t lane = 0; lane < Lanes; ++lane) symbols[i + lane] = pull_symbol(table, states[lane], pull);
    }
    // The end goes through a padded copy, so that reading a word is always allowed.
    std::byte padded[4 * Lanes + 4] = {};
    const auto left = static_cast<std::size_t>(pull.end - pull.next);
    const std::size_t left_copied = std::min<std::size_t>(left, 2 * Lanes);
    if (left_copied != 0) std::memcpy(padded, pull.next, left_copied);
    const std::byte *words_end = padded + left_copied;
    pull = {padded, words_end};
    for (; i < symbols.size(); ++i) {
        if (pull.next > words_end) return {StatusCode::corrupt, "a stream of symbols has too few words"};
        symbols[i] = pull_symbol(table, states[i % Lanes], pull);
    }
    if (pull.next != words_end || left != left_copied) return {StatusCode::corrupt, "a stream of symbols has too many words"};
    for (const std::uint32_t state : states) {
        if (state != kStateMin) return {StatusCode::corrupt, "a stream of symbols does not end as it began"};
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
    return static_cast<std::size_t>(total / (256 * 8)) + packed_bytes(last - first + 1, kWeightBits) + 4 +
           3 * lanes_of(symbol_count);
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

    const std::size_t lanes = lanes_of(symbols.size());
    std::uint32_t states[kLanesMax];
    Push pushes[256];
    make_pushes(frequencies, first, last, pushes);
    std::uint16_t words[kSymbolsMax + 1];  // one more than can leave: a word is written before it is known to
    std::uint16_t *words_end = words + kSymbolsMax + 1;
    const std::uint16_t *word = lanes == 1 ? push_symbols<1>(symbols, pushes, states, words_end)
                                           : push_symbols<kLanesMax>(symbols, pushes, states, words_end);
    out.u8(static_cast<std::uint8_t>(first));
    out.u8(static_cast<std::uint8_t>(last));
    std::byte *packed = out.take(packed_bytes(count, kWeightBits));
    if (packed != nullptr) pack_bits(codes, count, kWeightBits, packed);
    for (std::size_t lane = 0; lane < lanes; ++lane) out.u32(states[lane]);
    out.varint(static_cast<std::uint64_t>(words_end - word));
    out.bytes(std::as_bytes(std::span<const std::uint16_t>{word, words_end}));
    return out.status();
}

Status decode_symbols(ByteReader &in, std::span<std::byte> symbols) noexcept {
    Frequencies frequencies;
    if (const Status status = read_frequencies(in, &frequencies); !status.ok()) return status;
    const std::size_t lanes = lanes_of(symbols.size());
    std::uint32_t states[kLanesMax] = {};
    for (std::size_t lane = 0; lane < lanes; ++lane) {
        states[lane] = in.u32();
        if (states[lane] < kStateMin && !in.failed()) return {StatusCode::corrupt, "a stream of symbols has an impossible state"};
    }
    const std::uint64_t word_count = in.varint();
    if (word_count > symbols.size()) return {StatusCode::corrupt, "a stream of symbols has too many words"};
    const std::span<const std::byte> words = in.bytes(2 * word_count);
    if (in.failed()) return in.status();

    Slot table[kTotal];
    std::size_t at = 0;
    for (unsigned s = 0; s < 256; ++s) {
        for (std::uint32_t d = 0; d < frequencies.of[s]; ++d) table[at++] = make_slot(s, d, frequencies.of[s]);
    }
    assert(at == kTotal);
    return lanes == 1 ? pull_symbols<1>(table, states, words, symbols) : pull_symbols<kLanesMax>(table, states, words, symbols);
}

void skip_symbols(ByteReader &in, std::size_t symbol_count) noexcept {
    const unsigned first = in.u8();
    const unsigned last = in.u8();
    if (last >= first) in.bytes(packed_bytes(last - first + 1, kWeightBits));
    in.bytes(4 * lanes_of(symbol_count));
    in.bytes(2 * std::min<std::uint64_t>(in.varint(), SIZE_MAX / 4));
}

}  // namespace historian::codec
