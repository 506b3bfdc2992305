#include "reference_codecs/chimp.h"

#include <array>
#include <bit>
#include <cassert>

#include "reference_codecs/bit_stream.h"

namespace historian::references {
namespace {

enum Flag : unsigned { kSame = 0, kBetweenZeros = 1, kSameLeading = 2, kOtherLeading = 3 };
constexpr unsigned kFlagBits = 2;
constexpr unsigned kLeadingBits = 3;
constexpr unsigned kLengthBits = 6;
constexpr unsigned kNoLeading = 8;

constexpr unsigned kLeadingZeros[] = {0, 8, 12, 16, 18, 20, 22, 24};

/// By the zeros that lead, of which there are fewer than 64: the code of the most that are not more.
constexpr auto kLeadingCodes = [] {
    std::array<std::uint8_t, 64> codes{};
    for (unsigned zeros = 0; zeros < codes.size(); ++zeros) {
        while (codes[zeros] + 1u < std::size(kLeadingZeros) && kLeadingZeros[codes[zeros] + 1] <= zeros) ++codes[zeros];
    }
    return codes;
}();

constexpr std::uint64_t mask_of(unsigned width) noexcept { return (std::uint64_t{1} << width) - 1; }

/// Where more zeros than these end an XOR, it pays to leave them out: the length and the index take about as many bits.
template <unsigned IndexBits>
constexpr unsigned kTrailingMax = 6 + IndexBits;

/// Finds the last value with the same low bits: more of them than kTrailingMax, so an XOR with it ends in as many zeros.
template <unsigned IndexBits>
class References {
public:
    /// The reference of values[at], which is remembered for those that follow.
    std::size_t find(std::uint64_t value, std::size_t at) noexcept {
        std::uint16_t &last = last_[value & mask_of(kKeyBits)];
        const std::size_t found = last;
        last = static_cast<std::uint16_t>(at + 1);
        return found != 0 && at - found <= mask_of(IndexBits) ? found - 1 : at - 1;
    }

private:
    static constexpr unsigned kKeyBits = kTrailingMax<IndexBits> + 1;
    std::array<std::uint16_t, std::size_t{1} << kKeyBits> last_{};  // one more than the value's number; 0: none
};

template <>
class References<0> {
public:
    std::size_t find(std::uint64_t, std::size_t at) noexcept { return at - 1; }
};

template <unsigned IndexBits>
std::size_t encode(std::span<const std::int64_t> values, std::byte *out) noexcept {
    assert(values.size() <= kChimpValuesMax);
    BitWriter writer{out};
    References<IndexBits> references;
    writer.write(static_cast<std::uint64_t>(values[0]), 64);
    if constexpr (IndexBits != 0) references.find(static_cast<std::uint64_t>(values[0]), 0);
    unsigned leading_before = kNoLeading;
    for (std::size_t i = 1; i < values.size(); ++i) {
        const auto value = static_cast<std::uint64_t>(values[i]);
        const std::size_t reference = references.find(value, i);
        const std::uint64_t change = value ^ static_cast<std::uint64_t>(values[reference]);
        const std::uint64_t index = reference & mask_of(IndexBits);
        if (change == 0) {
            writer.write(kSame | index << kFlagBits, kFlagBits + IndexBits);
            leading_before = kNoLeading;
            continue;
        }
        const unsigned leading = kLeadingCodes[static_cast<std::size_t>(std::countl_zero(change))];
        const auto trailing = static_cast<unsigned>(std::countr_zero(change));
        const unsigned behind = 64 - kLeadingZeros[leading];
        if (trailing > kTrailingMax<IndexBits>) {
            const std::uint64_t place = leading | (behind - trailing) << kLeadingBits;
            writer.write(kBetweenZeros | index << kFlagBits | place << (kFlagBits + IndexBits),
                         kFlagBits + IndexBits + kLeadingBits + kLengthBits);
            writer.write(change >> trailing, behind - trailing);
            leading_before = kNoLeading;
        } else if (leading == leading_before) {
            writer.write(kSameLeading, kFlagBits);
            writer.write(change, behind);
        } else {
            writer.write(kOtherLeading | leading << kFlagBits, kFlagBits + kLeadingBits);
            writer.write(change, behind);
            leading_before = leading;
        }
    }
    return writer.finish();
}

template <unsigned IndexBits>
std::size_t decode(const std::byte *in, std::span<std::int64_t> values) noexcept {
    BitReader reader{in};
    std::uint64_t value = reader.read(64);
    values[0] = static_cast<std::int64_t>(value);
    unsigned behind = 64;
    for (std::size_t i = 1; i < values.size(); ++i) {
        const std::uint64_t word = reader.peek();
        const auto reference = [&] {
            // The last number before i that is the index, modulo 128.
            const std::size_t back = (i - 1 - (word >> kFlagBits)) & mask_of(IndexBits);
            return static_cast<std::uint64_t>(values[i - 1 - back]);
        };
        switch (word & mask_of(kFlagBits)) {
            case kSame:
                reader.skip(kFlagBits + IndexBits);
                value = reference();
                break;
            case kBetweenZeros: {
                const std::uint64_t place = word >> (kFlagBits + IndexBits);
                const auto length = static_cast<unsigned>(place >> kLeadingBits & mask_of(kLengthBits));
                const unsigned trailing = 64 - kLeadingZeros[place & mask_of(kLeadingBits)] - length;
                reader.skip(kFlagBits + IndexBits + kLeadingBits + kLengthBits);
                value = reference() ^ reader.read(length) << trailing;
                break;
            }
            case kSameLeading:
                reader.skip(kFlagBits);
                value ^= reader.read(behind);
                break;
            case kOtherLeading:
                behind = 64 - kLeadingZeros[word >> kFlagBits & mask_of(kLeadingBits)];
                reader.skip(kFlagBits + kLeadingBits);
                value ^= reader.read(behind);
                break;
        }
        values[i] = static_cast<std::int64_t>(value);
    }
    return reader.bytes_read();
}

}  // namespace

std::size_t encode_chimp(std::span<const std::int64_t> values, std::byte *out) noexcept { return encode<0>(values, out); }
std::size_t encode_chimp128(std::span<const std::int64_t> values, std::byte *out) noexcept { return encode<7>(values, out); }
std::size_t decode_chimp(const std::byte *in, std::span<std::int64_t> values) noexcept { return decode<0>(in, values); }
std::size_t decode_chimp128(const std::byte *in, std::span<std::int64_t> values) noexcept { return decode<7>(in, values); }

}  // namespace historian::references
