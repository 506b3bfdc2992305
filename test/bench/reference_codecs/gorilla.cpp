#include "reference_codecs/gorilla.h"

#include <algorithm>
#include <bit>

#include "reference_codecs/bit_stream.h"

namespace historian::references {
namespace {

constexpr unsigned kLeadingBits = 5;
constexpr unsigned kLengthBits = 6;
constexpr unsigned kLeadingMax = (1u << kLeadingBits) - 1;

constexpr std::uint64_t mask_of(unsigned width) noexcept { return ~std::uint64_t{0} >> (64 - width); }

/// Where the meaningful bits of an XOR lie.
struct Window {
    unsigned leading;
    unsigned trailing;
    unsigned length() const noexcept { return 64 - leading - trailing; }
    bool holds(const Window &other) const noexcept { return other.leading >= leading && other.trailing >= trailing; }
};
constexpr Window kNoWindow{64, 64};  // holds no XOR but 0, which has a code of its own

/// The classes of times, by how many ones their prefix has: bits, and what is added so that their numbers begin at 0.
struct TimeClass {
    unsigned prefix_width;
    unsigned width;
    std::uint64_t offset;
};
constexpr TimeClass kTimeClasses[] = {{1, 0, 0}, {2, 7, 63}, {3, 9, 255}, {4, 12, 2047}, {5, 32, 0x7fffffff}, {5, 64, 0}};
constexpr unsigned kLastTimeClass = 5;

}  // namespace

std::size_t encode_gorilla_values(std::span<const std::int64_t> values, std::byte *out) noexcept {
    BitWriter writer{out};
    auto previous = static_cast<std::uint64_t>(values[0]);
    writer.write(previous, 64);
    Window window = kNoWindow;
    for (const std::int64_t number : values.subspan(1)) {
        const auto value = static_cast<std::uint64_t>(number);
        const std::uint64_t change = value ^ previous;
        previous = value;
        if (change == 0) {
            writer.write(0, 1);
            continue;
        }
        const auto leading = static_cast<unsigned>(std::countl_zero(change));
        const Window own{std::min(leading, kLeadingMax), static_cast<unsigned>(std::countr_zero(change))};
        if (window.holds(own)) {
            writer.write(0b01, 2);
        } else {
            window = own;
            writer.write(0b11 | window.leading << 2 | (window.length() - 1) << (2 + kLeadingBits),
                         2 + kLeadingBits + kLengthBits);
        }
        writer.write(change >> window.trailing, window.length());
    }
    return writer.finish();
}

std::size_t decode_gorilla_values(const std::byte *in, std::span<std::int64_t> values) noexcept {
    BitReader reader{in};
    std::uint64_t value = reader.read(64);
    values[0] = static_cast<std::int64_t>(value);
    unsigned length = 64;
    unsigned trailing = 0;
    for (std::int64_t &decoded : values.subspan(1)) {
        const std::uint64_t word = reader.peek();
        if ((word & 1) == 0) {
            reader.skip(1);
        } else {
            if ((word & 2) == 0) {
                reader.skip(2);
            } else {
                length = static_cast<unsigned>(word >> (2 + kLeadingBits) & mask_of(kLengthBits)) + 1;
                trailing = 64 - length - static_cast<unsigned>(word >> 2 & mask_of(kLeadingBits));
                reader.skip(2 + kLeadingBits + kLengthBits);
            }
            value ^= reader.read(length) << trailing;
        }
        decoded = static_cast<std::int64_t>(value);
    }
    return reader.bytes_read();
}

std::size_t encode_gorilla_times(std::span<const std::int64_t> times, std::byte *out) noexcept {
    BitWriter writer{out};
    auto previous = static_cast<std::uint64_t>(times[0]);
    writer.write(previous, 64);
    std::uint64_t step = 0;
    for (const std::int64_t number : times.subspan(1)) {
        const auto time = static_cast<std::uint64_t>(number);
        const std::uint64_t change = time - previous - step;
        step = time - previous;
        previous = time;
        unsigned ones = change == 0 ? 0 : 1;
        while (ones != 0 && ones < kLastTimeClass && change + kTimeClasses[ones].offset > mask_of(kTimeClasses[ones].width))
            ++ones;
        const TimeClass &time_class = kTimeClasses[ones];
        writer.write((1u << ones) - 1, time_class.prefix_width);
        writer.write(change + time_class.offset, time_class.width);
    }
    return writer.finish();
}

std::size_t decode_gorilla_times(const std::byte *in, std::span<std::int64_t> times) noexcept {
    BitReader reader{in};
    std::uint64_t time = reader.read(64);
    times[0] = static_cast<std::int64_t>(time);
    std::uint64_t step = 0;
    for (std::int64_t &decoded : times.subspan(1)) {
        const std::uint64_t word = reader.peek();
        if ((word & 1) == 0) {
            reader.skip(1);  // the usual case, guessed by the CPU before the load is there
        } else {
            const TimeClass &time_class = kTimeClasses[std::min(static_cast<unsigned>(std::countr_one(word)), kLastTimeClass)];
            reader.skip(time_class.prefix_width);
            step += reader.read(time_class.width) - time_class.offset;
        }
        time += step;
        decoded = static_cast<std::int64_t>(time);
    }
    return reader.bytes_read();
}

}  // namespace historian::references
