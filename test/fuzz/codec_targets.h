// One struct a codec: how to make its values from a fuzzer's bytes, to encode, to decode and to compare them; and the three
// fuzzers that every codec gets.
#pragma once

#include <bit>
#include <string>

#include "codec/classes.h"
#include "codec/floats.h"
#include "codec/integers.h"
#include "codec/nulls.h"
#include "codec/stream_parts.h"
#include "codec/symbols.h"
#include "codec/templates.h"
#include "codec/texts.h"
#include "fuzz_input.h"

namespace historian::fuzz {

using codec::ByteReader;
using codec::ByteWriter;
using codec::EncodeSpace;

/// Integers of a width and shape that the input chooses.
inline std::vector<std::int64_t> make_integers(FuzzInput &input) {
    const unsigned bytes = 1 + input.u8() % 8;
    const unsigned shape = input.u8();
    const auto scale = static_cast<std::uint64_t>(1 + (shape >> 4) * 125);
    // Rounded multiples of a step that is no whole number; later of another one.
    const std::uint64_t divisor = (shape & 4) != 0 ? 7 : 1;
    const std::uint64_t later_divisor = (shape & 12) == 12 ? 11 : divisor;
    const std::size_t repeats = shape % 4 == 3 ? 1 + input.u8() : 1;
    std::vector<std::int64_t> values;
    std::uint64_t last = 0;
    while (!input.empty() && values.size() < codec::kStreamValuesMax) {
        std::uint64_t value = input.number(bytes) * scale / (values.size() < 600 ? divisor : later_divisor);
        if (shape % 4 == 1) value += last;                         // a walk
        if (shape % 4 == 2) value += last + 1000 * values.size();  // a steep walk
        last = value;
        for (std::size_t i = 0; i < repeats && values.size() < codec::kStreamValuesMax; ++i) {
            values.push_back(static_cast<std::int64_t>(value));
        }
    }
    return values;
}

struct Integers {
    using Values = std::vector<std::int64_t>;
    static Values make(FuzzInput &input) { return make_integers(input); }
    static Values make_empty(std::size_t count) { return Values(count); }
    static std::size_t bytes_max(const Values &values) { return codec::integers_bytes_max(values.size()); }
    static Status encode(const Values &values, EncodeSpace &space, ByteWriter &out) {
        return codec::encode_integers(values, space, out);
    }
    static Status decode(ByteReader &in, Arena &arena, Values &values) {
        const ByteReader begin = in;
        const Status status = codec::decode_integers(in, values, arena);
        const std::size_t bytes_left = in.remaining();
        for (std::size_t first = 0; first < values.size(); first = 2 * first + 1) {
            Values range(1 + values.size() % std::min<std::size_t>(values.size() - first, first % 4 == 3 ? 4096 : 40));
            ByteReader again = begin;
            const Status of_range = codec::decode_integer_range(again, {values.size(), first, range}, arena);
            if (!status.ok() || of_range.code == StatusCode::out_of_memory) continue;
            check(of_range.ok(), "what decodes as a whole decodes in parts");
            check(again.remaining() == bytes_left, "a range ends where the stream ends");
            const auto begin_of_range = values.begin() + static_cast<std::ptrdiff_t>(first);
            check(std::equal(range.begin(), range.end(), begin_of_range), "a range has the values of the whole");
        }
        return status;
    }
};

template <codec::FloatSize Size>
struct Floats : Integers {
    static Values make(FuzzInput &input) {
        const unsigned form = input.u8();
        Values values = make_integers(input);
        double power = 1;
        for (unsigned i = 0; i < form % 8; ++i) power *= 10;
        const std::int64_t ulps = (form & 8) != 0 ? 1 + form / 16 % 4 : 0;  // how far off the decimals are
        for (std::int64_t &value : values) {
            const std::int64_t off = ulps == 0 ? 0 : value % (2 * ulps + 1);
            const bool as_bits = form >= 128 && value % 16 == 0;
            if constexpr (Size == codec::FloatSize::four) {
                const auto number = static_cast<float>(static_cast<double>(value) / power);
                value = as_bits ? static_cast<std::int32_t>(value)
                                : std::bit_cast<std::int32_t>(number) + static_cast<std::int32_t>(off);
            } else {
                const double number = static_cast<double>(value) / power;
                const bool was_float4 = (form & 0x60) == 0x60;
                if (!as_bits)
                    value =
                        std::bit_cast<std::int64_t>(was_float4 ? static_cast<double>(static_cast<float>(number)) : number) + off;
            }
        }
        return values;
    }
    static std::size_t bytes_max(const Values &values) { return codec::floats_bytes_max(values.size()); }
    static Status encode(const Values &values, EncodeSpace &space, ByteWriter &out) {
        return codec::encode_floats(values, Size, space, out);
    }
    static Status decode(ByteReader &in, Arena &arena, Values &values) { return codec::decode_floats(in, Size, values, arena); }
};

struct Texts {
    using Values = std::vector<std::string>;
    static Values make(FuzzInput &input) {
        Values values;
        while (!input.empty() && values.size() < codec::kStreamValuesMax) {
            const std::uint8_t kind = input.u8();
            if (kind % 2 == 0 && !values.empty()) {
                values.push_back(values[kind / 2 % values.size()]);
                continue;
            }
            std::string text(kind % 32, '\0');
            for (char &letter : text) letter = static_cast<char>(input.u8());
            values.push_back(text);
        }
        if (values.empty()) values.emplace_back();
        return values;
    }
    static Values make_empty(std::size_t count) { return Values(std::max<std::size_t>(count, 1)); }
    static std::size_t bytes_max(const Values &values) {
        std::size_t content = 0;
        for (const std::string &value : values) content += value.size();
        return codec::texts_bytes_max(values.size(), content);
    }
    static Status encode(const Values &values, EncodeSpace &space, ByteWriter &out) {
        std::vector<codec::Text> texts;
        for (const std::string &value : values) {
            texts.push_back({reinterpret_cast<const std::byte *>(value.data()), static_cast<std::uint32_t>(value.size())});
        }
        return codec::encode_texts(texts, space, out);
    }
    static Status decode(ByteReader &in, Arena &arena, Values &values) {
        codec::DecodedTexts texts;
        const Status status = codec::decode_texts(in, static_cast<std::uint32_t>(values.size()), arena, &texts);
        if (!status.ok()) return status;
        for (std::size_t i = 0; i < values.size(); ++i) {
            check(texts.entry_of_row[i] < texts.entry_count, "an entry is one of the entries");
            const std::uint64_t begin = texts.offsets[texts.entry_of_row[i]];
            const std::uint64_t end = texts.offsets[texts.entry_of_row[i] + 1];
            check(begin <= end, "offsets do not decrease");
            // A corrupt stream may repeat one long entry 4096 times: read it, but copy little of it.
            const std::uint64_t size = end - begin;
            if (size != 0)
                values[i].assign(reinterpret_cast<const char *>(texts.data) + begin, std::min<std::uint64_t>(size, 64));
            if (size == 0) values[i].clear();
            if (size != 0) check(static_cast<int>(texts.data[end - 1]) >= 0, "the last byte can be read");
        }
        return status;
    }
};

/// A model and one granule of all messages: bytes of the model, model, granule.
struct Templates : Texts {
    static constexpr const char *kShapes[] = {
        "n % of %",          "10.0.0.%", "x=% y",     "at 10:11:% on",   "0x%",
        "id a%bc%d",         "-% %.%",   "%\"/a/%\"", "Feb  % 10:11:12", "u 01234567-89ab-cdef-0123-45678%",
        "aa:bb:0%:01:02:03", "\x01%"};
    static Values make(FuzzInput &input) {
        Values values;
        while (!input.empty() && values.size() < codec::kStreamValuesMax) {
            const std::uint8_t kind = input.u8();
            std::string text;
            if (kind < 200) {
                for (const char *at = kShapes[kind % std::size(kShapes)]; *at != '\0'; ++at) {
                    if (*at == '%')
                        text += std::to_string(input.number(1 + kind / 64));
                    else
                        text += *at;
                }
                if (kind % 16 == 15) text += static_cast<char>('a' + input.u8() % 16);
            } else {
                text.resize(kind % 32);
                for (char &letter : text) letter = static_cast<char>(input.u8());
            }
            const std::size_t repeats = kind % 8 == 7 ? 1 + input.u8() % 16 : 1;
            for (std::size_t i = 0; i < repeats && values.size() < codec::kStreamValuesMax; ++i) values.push_back(text);
        }
        if (values.empty()) values.emplace_back();
        return values;
    }
    static codec::TemplateBuilder *build(const Values &values, EncodeSpace &space, Arena &arena,
                                         std::vector<std::uint32_t> &rows) {
        codec::TemplateBuilder *builder = nullptr;
        check(codec::create_template_builder(arena, &builder).ok(), "there is memory");
        for (const std::string &value : values) {
            rows.push_back(static_cast<std::uint32_t>(rows.size()));
            const codec::Text text{reinterpret_cast<const std::byte *>(value.data()), static_cast<std::uint32_t>(value.size())};
            check(codec::add_message(*builder, text).ok(), "there is memory");
        }
        check(codec::choose_templates(*builder, space).ok(), "there is memory");
        return builder;
    }
    static std::size_t bytes_max(const Values &values) {
        TestArena arena;
        EncodeSpace space;
        check(codec::make_encode_space(arena, &space).ok(), "there is memory");
        std::vector<std::uint32_t> rows;
        const codec::TemplateBuilder *builder = build(values, space, arena, rows);
        return 4 + codec::template_model_bytes_max(*builder) + codec::template_granule_bytes_max(*builder, rows);
    }
    static Status encode(const Values &values, EncodeSpace &space, ByteWriter &out) {
        TestArena arena;
        std::vector<std::uint32_t> rows;
        codec::TemplateBuilder *builder = build(values, space, arena, rows);
        std::byte *size = out.take(4);
        const std::size_t start = out.size();
        if (const Status status = codec::encode_template_model(*builder, space, out); !status.ok()) return status;
        const auto model_bytes = static_cast<std::uint32_t>(out.size() - start);
        std::memcpy(size, &model_bytes, 4);
        return codec::encode_template_granule(*builder, rows, space, out);
    }
    static Status decode(ByteReader &in, Arena &arena, Values &values) {
        codec::TemplateModel *model = nullptr;
        const std::uint32_t model_bytes = in.u32();
        if (const Status status = codec::parse_template_model(in.bytes(model_bytes), arena, &model); !status.ok()) return status;
        codec::TemplateGranule *granule = nullptr;
        const auto count = static_cast<std::uint32_t>(values.size());
        Status status = codec::open_template_granule(*model, in.bytes(in.remaining()), count, arena, &granule);
        if (!status.ok()) return status;
        codec::DecodedTexts texts;
        const std::uint32_t row = count / 2;
        status = codec::decode_template_rows(*granule, {&row, 1}, &texts);
        if (!status.ok()) return status;
        const std::string alone = text_at(texts, 0);
        status = codec::decode_template_granule(*granule, &texts);
        if (!status.ok()) return status;
        for (std::uint32_t i = 0; i < count; ++i) values[i] = text_at(texts, i);
        check(alone == values[row], "a row alone is the row");
        return status;
    }

private:
    static std::string text_at(const codec::DecodedTexts &texts, std::uint32_t row) {
        check(texts.entry_of_row[row] < texts.entry_count, "an entry is one of the entries");
        const std::uint64_t begin = texts.offsets[texts.entry_of_row[row]];
        const std::uint64_t end = texts.offsets[texts.entry_of_row[row] + 1];
        check(begin <= end, "offsets do not decrease");
        // A corrupt stream may repeat one long entry: read it, but copy little of it.
        const std::uint64_t size = end - begin;
        if (size == 0) return {};
        check(static_cast<int>(texts.data[end - 1]) >= 0, "the last byte can be read");
        return {reinterpret_cast<const char *>(texts.data) + begin, static_cast<std::size_t>(std::min<std::uint64_t>(size, 256))};
    }
};

struct Nulls {
    using Values = std::vector<std::uint8_t>;
    static Values make(FuzzInput &input) {
        const std::size_t run = 1 + input.u8() % 64;
        Values values;
        while (!input.empty() && values.size() + run <= codec::kStreamValuesMax) values.insert(values.end(), run, input.u8() & 1);
        return values;
    }
    static Values make_empty(std::size_t count) { return Values(count); }
    static std::size_t bytes_max(const Values &values) { return codec::nulls_bytes_max(values.size()); }
    static Status encode(const Values &values, EncodeSpace &, ByteWriter &out) { return codec::encode_nulls(values, out); }
    static Status decode(ByteReader &in, Arena &, Values &values) {
        std::uint32_t count = 0;
        const Status status = codec::decode_nulls(in, values, &count);
        std::uint32_t nulls = 0;
        for (const std::uint8_t value : values) nulls += value;
        if (status.ok()) check(count == nulls, "the nulls are counted");
        return status;
    }
};

struct Symbols {
    using Values = std::vector<std::byte>;
    static Values make(FuzzInput &input) {
        const unsigned mask = input.u8();
        const std::size_t repeats = 1 + input.u8() % 32;
        Values values;
        while (!input.empty() && values.size() + repeats <= codec::kStreamValuesMax) {
            values.insert(values.end(), repeats, static_cast<std::byte>(input.u8() & mask));
        }
        if (values.empty()) values.push_back(std::byte{7});
        return values;
    }
    static Values make_empty(std::size_t count) { return Values(std::max<std::size_t>(count, 1)); }
    static std::size_t bytes_max(const Values &values) { return 256 + 32 + 2 * values.size(); }
    static Status encode(const Values &values, EncodeSpace &, ByteWriter &out) {
        std::uint32_t counts[256] = {};
        for (const std::byte value : values) ++counts[static_cast<unsigned>(value)];
        return codec::encode_symbols(values, counts, out);
    }
    static Status decode(ByteReader &in, Arena &, Values &values) {
        const ByteReader begin = in;
        const Status status = codec::decode_symbols(in, values.size(), 0, values);
        for (std::size_t first = 0; first < values.size(); first = 2 * first + 1) {
            Values range(1 + values.size() % std::min<std::size_t>(values.size() - first, first % 4 == 3 ? 4096 : 40));
            ByteReader again = begin;
            const Status of_range = codec::decode_symbols(again, values.size(), first, range);
            if (!status.ok()) continue;
            check(of_range.ok(), "what decodes as a whole decodes in parts");
            const auto begin_of_range = values.begin() + static_cast<std::ptrdiff_t>(first);
            check(std::equal(range.begin(), range.end(), begin_of_range), "a range has the symbols of the whole");
        }
        return status;
    }
};

/// Numbers of many magnitudes.
struct Classes {
    using Values = std::vector<std::uint64_t>;
    static Values make(FuzzInput &input) {
        Values values;
        while (!input.empty() && values.size() < codec::kStreamValuesMax) {
            const unsigned kind = input.u8();
            const std::uint64_t number = input.number(1 + kind % 8) & ((std::uint64_t{1} << (codec::kClassWidthMax + 3)) - 1);
            const std::size_t repeats = std::min<std::size_t>(1 + kind / 16, codec::kStreamValuesMax - values.size());
            values.insert(values.end(), repeats, number);
        }
        if (values.empty()) values.push_back(7);
        return values;
    }
    static Values make_empty(std::size_t count) { return Values(std::max<std::size_t>(count, 1)); }
    static std::size_t bytes_max(const Values &values) { return 256 + 32 + 80 + 9 * values.size(); }
    static Status encode(const Values &values, EncodeSpace &space, ByteWriter &out) {
        return codec::encode_classes(values, {space.symbols, values.size()}, out);
    }
    static Status decode(ByteReader &in, Arena &, Values &values) {
        const ByteReader begin = in;
        const Status status = codec::decode_classes(in, values.size(), 0, values);
        const codec::StreamParts parts{values.size()};
        for (std::size_t p = 1; p < parts.count(); ++p) {
            Values range(p % 2 == 0 ? 1 : values.size() - parts.begin(p));
            ByteReader again = begin;
            const Status of_range = codec::decode_classes(again, values.size(), parts.begin(p), range);
            if (!status.ok()) continue;
            check(of_range.ok(), "what decodes as a whole decodes in parts");
            const auto begin_of_range = values.begin() + static_cast<std::ptrdiff_t>(parts.begin(p));
            check(std::equal(range.begin(), range.end(), begin_of_range), "a range has the numbers of the whole");
        }
        return status;
    }
};

/// decode(encode(x)) == x, in the promised room, and nothing is left over; with either effort.
template <typename Codec>
int round_trip(const std::uint8_t *data, std::size_t size) {
    FuzzInput input{data, size};
    const typename Codec::Values values = Codec::make(input);
    for (const codec::Effort effort : {codec::Effort::normal, codec::Effort::high}) {
        TestArena arena;
        EncodeSpace space;
        check(codec::make_encode_space(arena, &space, effort).ok(), "there is memory");
        const ExactBytes room{Codec::bytes_max(values)};
        ByteWriter out{room.span()};
        check(Codec::encode(values, space, out).ok(), "the promised room is enough");
        const ExactBytes encoded{out.written()};
        ByteReader in{encoded.span()};
        typename Codec::Values decoded = Codec::make_empty(values.size());
        TestArena decode_arena{kArenaBytes};
        check(Codec::decode(in, decode_arena, decoded).ok(), "what was encoded decodes");
        check(in.status_at_end().ok(), "a stream is read to its end");
        check(decoded == values, "decoded values are the encoded ones");
    }
    return 0;
}

/// Any bytes give values or a Status. The first two bytes say how many values are expected.
template <typename Codec>
int decode_any(const std::uint8_t *data, std::size_t size) {
    FuzzInput input{data, size};
    const std::size_t count = input.u16() % (codec::kStreamValuesMax + 1);
    const ExactBytes encoded{input.rest()};
    ByteReader in{encoded.span()};
    typename Codec::Values decoded = Codec::make_empty(count);
    TestArena arena{kArenaBytes};
    static_cast<void>(Codec::decode(in, arena, decoded));
    return 0;
}

/// Too little room to encode, or too little memory to decode, gives that Status and harms nothing.
template <typename Codec>
int no_room(const std::uint8_t *data, std::size_t size) {
    FuzzInput input{data, size};
    const std::size_t share = input.u8();
    const typename Codec::Values values = Codec::make(input);
    TestArena arena;
    EncodeSpace space;
    const codec::Effort effort = share % 2 == 0 ? codec::Effort::normal : codec::Effort::high;
    check(codec::make_encode_space(arena, &space, effort).ok(), "there is memory");
    const std::size_t enough = Codec::bytes_max(values);
    const ExactBytes room{enough};
    ByteWriter whole{room.span()};
    check(Codec::encode(values, space, whole).ok(), "the promised room is enough");

    const ExactBytes little{whole.size() * share / 256};
    ByteWriter out{little.span()};
    check(Codec::encode(values, space, out).code == StatusCode::no_room, "what does not fit is refused");

    ByteReader in{whole.written()};
    typename Codec::Values decoded = Codec::make_empty(values.size());
    TestArena dry{share * 64};
    const Status status = Codec::decode(in, dry, decoded);
    check(status.ok() || status.code == StatusCode::out_of_memory, "a dry arena is said to be one");
    return 0;
}

}  // namespace historian::fuzz
