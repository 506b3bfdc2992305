#include "codec/classes.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>

#include "codec/stream_parts.h"
#include "codec/symbols.h"

namespace historian::codec {
namespace {

constexpr std::size_t kNumbersMax = 4096;

// Extra bits are read and written eight bytes at a time.
constexpr std::size_t kPadding = 8;

static_assert(class_of(0) == 0 && class_of(7) == 7 && class_of(8) == 8 && class_of(9) == 8 && class_of(10) == 9);
static_assert(class_of((std::uint64_t{1} << (kClassWidthMax + 3)) - 1) == kClassCount - 1 && kClassCount <= 256);

struct Class {
    std::uint64_t first = 0;
    std::uint64_t mask = 0;  // of its extra bits
    unsigned width = 0;
};

/// Classes without numbers have none, and no extra bits.
constexpr std::array<Class, 256> kClasses = [] {
    std::array<Class, 256> classes{};
    for (unsigned c = 0; c < kClassCount; ++c) {
        const unsigned width = class_width(c);
        classes[c] = {std::uint64_t{c - 4 * width} << width, (std::uint64_t{1} << width) - 1, width};
    }
    return classes;
}();

const Class &class_at(std::byte symbol) noexcept { return kClasses[static_cast<unsigned>(symbol)]; }

std::size_t extra_bits(std::span<const std::byte> symbols) noexcept {
    std::size_t bits = 0;
    for (const std::byte symbol : symbols) bits += class_at(symbol).width;
    return bits;
}

/// Extra bits of some parts, with what is read behind them.
class ExtraBits {
public:
    std::byte *zeroed(std::size_t byte_count) noexcept {
        assert(byte_count + kPadding <= sizeof space_);
        std::memset(space_, 0, byte_count + kPadding);
        return space_;
    }

    const std::byte *copy(std::span<const std::byte> bytes) noexcept {
        assert(bytes.size() + kPadding <= sizeof space_);
        if (!bytes.empty()) std::memcpy(space_, bytes.data(), bytes.size());
        std::memset(space_ + bytes.size(), 0, kPadding);
        return space_;
    }

private:
    std::byte space_[kNumbersMax * kClassWidthMax / 8 + kPadding];
};

/// Puts the numbers' extra bits into zeroed bytes.
void pack_extra(std::span<const std::uint64_t> numbers, std::span<const std::byte> symbols, std::byte *bytes) noexcept {
    std::size_t at = 0;
    for (std::size_t i = 0; i < numbers.size(); ++i) {
        const Class &of_number = class_at(symbols[i]);
        std::uint64_t word;
        std::memcpy(&word, bytes + at / 8, sizeof word);
        word |= (numbers[i] & of_number.mask) << at % 8;
        std::memcpy(bytes + at / 8, &word, sizeof word);
        at += of_number.width;
    }
}

void unpack_extra(const std::byte *bytes, std::span<const std::byte> symbols, std::uint64_t *numbers) noexcept {
    std::size_t at = 0;
    for (std::size_t i = 0; i < symbols.size(); ++i) {
        const Class &of_number = class_at(symbols[i]);
        std::uint64_t word;
        std::memcpy(&word, bytes + at / 8, sizeof word);
        numbers[i] = of_number.first | (word >> at % 8 & of_number.mask);
        at += of_number.width;
    }
}

}  // namespace

std::size_t estimate_classes_bytes(std::span<const std::uint32_t, 256> counts, std::size_t number_count) noexcept {
    std::size_t bits = 0;
    for (unsigned c = 0; c < kClassCount; ++c) bits += std::size_t{counts[c]} * class_width(c);
    return estimate_symbols_bytes(counts, number_count) + bits / 8 + 2 * StreamParts(number_count).count();
}

Status encode_classes(std::span<const std::uint64_t> numbers, std::span<std::byte> symbols, ByteWriter &out) noexcept {
    assert(!numbers.empty() && numbers.size() <= kNumbersMax && symbols.size() == numbers.size());
    std::uint32_t counts[256] = {};
    for (std::size_t i = 0; i < numbers.size(); ++i) {
        const unsigned of_number = class_of(numbers[i]);
        assert(of_number < kClassCount);
        symbols[i] = static_cast<std::byte>(of_number);
        ++counts[of_number];
    }
    if (const Status status = encode_symbols(symbols, counts, out); !status.ok()) return status;
    const StreamParts parts{numbers.size()};
    std::size_t sizes[kStreamParts];
    for (std::size_t p = 0; p < parts.count(); ++p) {
        sizes[p] = (extra_bits(symbols.subspan(parts.begin(p), parts.end(p) - parts.begin(p))) + 7) / 8;
        out.varint(sizes[p]);
    }
    ExtraBits extra;
    for (std::size_t p = 0; p < parts.count(); ++p) {
        const std::size_t size = parts.end(p) - parts.begin(p);
        std::byte *bytes = extra.zeroed(sizes[p]);
        pack_extra(numbers.subspan(parts.begin(p), size), symbols.subspan(parts.begin(p), size), bytes);
        out.bytes({bytes, sizes[p]});
    }
    return out.status();
}

Status decode_classes(ByteReader &in, std::size_t count, std::size_t first, std::span<std::uint64_t> numbers) noexcept {
    const StreamParts parts{count};
    assert(!numbers.empty() && first + numbers.size() <= count && count <= kNumbersMax);
    assert(first == parts.begin(parts.part_of(first)));
    std::byte space[kNumbersMax];
    const std::span<std::byte> symbols{space, numbers.size()};
    if (const Status status = decode_symbols(in, count, first, symbols); !status.ok()) return status;
    std::uint64_t sizes[kStreamParts];
    for (std::size_t p = 0; p < parts.count(); ++p) sizes[p] = in.varint();
    ExtraBits extra;
    for (std::size_t p = 0; p < parts.count(); ++p) {
        const std::span<const std::byte> bytes = in.bytes(sizes[p]);
        if (in.failed()) return in.status();
        if (parts.begin(p) < first || parts.begin(p) >= first + numbers.size()) continue;
        const std::size_t done = parts.begin(p) - first;
        const std::span<const std::byte> of_part = symbols.subspan(done, std::min(parts.end(p) - first, symbols.size()) - done);
        const std::size_t bits = extra_bits(of_part);
        const bool whole = of_part.size() == parts.end(p) - parts.begin(p);
        if (whole ? bytes.size() != (bits + 7) / 8 : bytes.size() < (bits + 7) / 8)
            return {StatusCode::corrupt, "a part of classes has another number of extra bits"};
        unpack_extra(extra.copy(bytes.first((bits + 7) / 8)), of_part, numbers.data() + done);
    }
    return Status::success();
}

}  // namespace historian::codec
