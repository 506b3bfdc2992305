#include "reference_codecs/alp.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <cstring>

#include "codec/bit_packing.h"
#include "reference_codecs/alp_sampling.h"

namespace historian::references {
namespace {

constexpr std::uint8_t kDecimals = 0;
constexpr std::uint8_t kRealDoubles = 1;

class Writer {
public:
    explicit Writer(std::byte *out) : begin_(out), out_(out) {}
    template <typename Number>
    void put(Number number) {
        put_all(&number, 1);
    }
    template <typename Number>
    void put_all(const Number *numbers, std::size_t count) {
        std::memcpy(out_, numbers, count * sizeof(Number));
        out_ += count * sizeof(Number);
    }
    void pack(const std::uint64_t *numbers, std::size_t count, unsigned width) {
        codec::pack_bits(numbers, count, width, out_);
        out_ += codec::packed_bytes(count, width);
    }
    std::size_t size() const { return static_cast<std::size_t>(out_ - begin_); }

private:
    std::byte *begin_;
    std::byte *out_;
};

class Reader {
public:
    explicit Reader(const std::byte *in) : begin_(in), in_(in) {}
    template <typename Number>
    Number take() {
        Number number;
        take_all(&number, 1);
        return number;
    }
    template <typename Number>
    void take_all(Number *numbers, std::size_t count) {
        std::memcpy(numbers, in_, count * sizeof(Number));
        in_ += count * sizeof(Number);
    }
    void unpack(std::size_t count, unsigned width, std::uint64_t *numbers) {
        codec::unpack_bits(in_, count, width, numbers);
        in_ += codec::packed_bytes(count, width);
    }
    std::size_t bytes_read() const { return static_cast<std::size_t>(in_ - begin_); }

private:
    const std::byte *begin_;
    const std::byte *in_;
};

template <typename Number>
using OfVector = std::array<Number, kAlpVector>;

void encode_decimals(std::span<const std::int64_t> values, std::span<const Exponents> candidates, Writer &out) {
    OfVector<double> doubles;
    std::memcpy(doubles.data(), values.data(), values.size_bytes());
    const std::size_t count = values.size();
    const Exponents pair = choose_of_vector({doubles.data(), count}, candidates);
    OfVector<std::uint64_t> numbers;
    OfVector<std::uint64_t> differs;
    for (std::size_t i = 0; i < count; ++i) {
        numbers[i] = to_number(doubles[i], pair);
        differs[i] = std::bit_cast<std::uint64_t>(to_double(numbers[i], pair)) ^ std::bit_cast<std::uint64_t>(doubles[i]);
    }
    OfVector<std::uint16_t> positions;
    OfVector<std::uint64_t> exceptions;
    std::size_t exception_count = 0;
    for (std::size_t i = 0; i < count; ++i) {
        positions[exception_count] = static_cast<std::uint16_t>(i);
        exception_count += differs[i] != 0;
    }
    // Exceptions come in order, so the first value that is none has the first position that differs from its own index.
    std::size_t exact = 0;
    while (exact < exception_count && positions[exact] == exact) ++exact;
    const std::uint64_t filler = exact < count ? numbers[exact] : 0;
    for (std::size_t i = 0; i < exception_count; ++i) {
        exceptions[i] = static_cast<std::uint64_t>(values[positions[i]]);
        numbers[positions[i]] = filler;
    }
    const auto less = [](std::uint64_t a, std::uint64_t b) {
        return static_cast<std::int64_t>(a) < static_cast<std::int64_t>(b);
    };
    const auto [least, greatest] = std::minmax_element(numbers.data(), numbers.data() + count, less);
    const std::uint64_t base = *least;
    const auto width = static_cast<unsigned>(std::bit_width(*greatest - base));
    for (std::size_t i = 0; i < count; ++i) numbers[i] -= base;
    out.put(pair.exponent);
    out.put(pair.factor);
    out.put(static_cast<std::uint8_t>(width));
    out.put(static_cast<std::uint16_t>(exception_count));
    out.put(base);
    out.pack(numbers.data(), count, width);
    out.put_all(exceptions.data(), exception_count);
    out.put_all(positions.data(), exception_count);
}

void decode_decimals(Reader &in, std::span<std::int64_t> values) {
    Exponents pair;
    pair.exponent = in.take<std::uint8_t>();
    pair.factor = in.take<std::uint8_t>();
    const unsigned width = in.take<std::uint8_t>();
    const std::size_t exception_count = in.take<std::uint16_t>();
    const auto base = in.take<std::uint64_t>();
    OfVector<std::uint64_t> numbers;
    in.unpack(values.size(), width, numbers.data());
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = std::bit_cast<std::int64_t>(to_double(numbers[i] + base, pair));
    OfVector<std::uint16_t> positions;
    in.take_all(numbers.data(), exception_count);
    in.take_all(positions.data(), exception_count);
    for (std::size_t i = 0; i < exception_count; ++i) values[positions[i]] = static_cast<std::int64_t>(numbers[i]);
}

void encode_real_doubles(std::span<const std::int64_t> values, const Cut &cut, Writer &out) {
    OfVector<std::uint64_t> codes;
    OfVector<std::uint64_t> rights;
    OfVector<std::uint16_t> exceptions;
    OfVector<std::uint16_t> positions;
    std::size_t exception_count = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
        const auto value = static_cast<std::uint64_t>(values[i]);
        rights[i] = value;  // packing leaves the left bits away
        const auto left = static_cast<std::uint16_t>(value >> cut.right_width);
        std::size_t code = cut.dictionary.size();
        for (std::size_t entry = 0; entry < cut.dictionary.size(); ++entry) code = cut.dictionary[entry] == left ? entry : code;
        exceptions[exception_count] = left;
        positions[exception_count] = static_cast<std::uint16_t>(i);
        exception_count += code == cut.dictionary.size();
        codes[i] = code == cut.dictionary.size() ? 0 : code;
    }
    out.put(static_cast<std::uint16_t>(exception_count));
    out.pack(codes.data(), values.size(), cut.code_width);
    out.pack(rights.data(), values.size(), cut.right_width);
    out.put_all(exceptions.data(), exception_count);
    out.put_all(positions.data(), exception_count);
}

/// What a decoder needs of a Cut, the left bits where they are in a value.
struct Lefts {
    unsigned right_width;
    unsigned code_width;
    std::array<std::uint64_t, 8> dictionary;
};

void decode_real_doubles(Reader &in, const Lefts &lefts, std::span<std::int64_t> values) {
    const std::size_t exception_count = in.take<std::uint16_t>();
    OfVector<std::uint64_t> codes;
    OfVector<std::uint64_t> rights;
    in.unpack(values.size(), lefts.code_width, codes.data());
    in.unpack(values.size(), lefts.right_width, rights.data());
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<std::int64_t>(lefts.dictionary[codes[i]] | rights[i]);
    OfVector<std::uint16_t> exceptions;
    OfVector<std::uint16_t> positions;
    in.take_all(exceptions.data(), exception_count);
    in.take_all(positions.data(), exception_count);
    for (std::size_t i = 0; i < exception_count; ++i) {
        const std::uint64_t left = std::uint64_t{exceptions[i]} << lefts.right_width;
        values[positions[i]] = static_cast<std::int64_t>(left | rights[positions[i]]);
    }
}

}  // namespace

std::size_t encode_alp(std::span<const std::int64_t> values, std::byte *out) {
    assert(values.size() <= kAlpRowGroup);
    const RowGroupChoice choice = choose_of_row_group(values);
    Writer writer{out};
    writer.put(choice.are_decimals ? kDecimals : kRealDoubles);
    if (!choice.are_decimals) {
        writer.put(static_cast<std::uint8_t>(choice.cut.right_width));
        writer.put(static_cast<std::uint8_t>(choice.cut.dictionary.size()));
        writer.put_all(choice.cut.dictionary.data(), choice.cut.dictionary.size());
    }
    for (std::size_t at = 0; at < values.size(); at += kAlpVector) {
        const std::span vector = values.subspan(at, std::min(kAlpVector, values.size() - at));
        if (choice.are_decimals) {
            encode_decimals(vector, choice.candidates, writer);
        } else {
            encode_real_doubles(vector, choice.cut, writer);
        }
    }
    return writer.size();
}

std::size_t decode_alp(const std::byte *in, std::size_t count, const TakeValues &take) {
    Reader reader{in};
    const bool are_decimals = reader.take<std::uint8_t>() == kDecimals;
    Lefts lefts{};
    if (!are_decimals) {
        lefts.right_width = reader.take<std::uint8_t>();
        const unsigned size = reader.take<std::uint8_t>();
        lefts.code_width = static_cast<unsigned>(std::countr_zero(size));
        for (unsigned i = 0; i < size; ++i)
            lefts.dictionary[i] = std::uint64_t{reader.take<std::uint16_t>()} << lefts.right_width;
    }
    OfVector<std::int64_t> decoded;
    for (std::size_t at = 0; at < count; at += kAlpVector) {
        const std::span vector{decoded.data(), std::min(kAlpVector, count - at)};
        if (are_decimals) {
            decode_decimals(reader, vector);
        } else {
            decode_real_doubles(reader, lefts, vector);
        }
        take(vector);
    }
    return reader.bytes_read();
}

}  // namespace historian::references
