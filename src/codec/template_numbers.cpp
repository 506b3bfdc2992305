#include "codec/template_numbers.h"

#include <algorithm>
#include <cstring>

namespace historian::codec {
namespace {

class Expectation {
public:
    Expectation(const Followers &followers, std::uint8_t order) noexcept : latest_(followers.latest), order_(order) {
        if (!followers.usual.empty()) std::memcpy(latest_, followers.usual.data(), followers.usual.size_bytes());
        if (order_ == 2) std::memset(after_pair_, 0, sizeof after_pair_);
    }

    std::uint32_t number() const noexcept {
        return order_ == 2 && after_pair_[pair_] != 0 ? after_pair_[pair_] - 1 : latest_[last_];
    }
    void learn(std::uint32_t number) noexcept {
        latest_[last_] = number;
        if (order_ == 2) {
            after_pair_[pair_] = number + 1;
            const std::uint64_t both = number + last_ * std::uint64_t{0x9E3779B1};
            pair_ = static_cast<std::size_t>(both * 0x9E3779B97F4A7C15u >> (64 - kPairSlotBits));
        }
        last_ = number;
    }

private:
    std::uint32_t *latest_;
    std::uint32_t after_pair_[kPairSlots];  // number + 1; 0: nothing yet
    std::size_t pair_ = 0;
    std::uint32_t last_ = 0;
    std::uint8_t order_;
};

}  // namespace

Status encode_template_numbers(std::span<const std::uint32_t> numbers, const Followers &followers, EncodeSpace &space,
                               ByteWriter &out, std::uint8_t *order) noexcept {
    const std::size_t mark = out.size();
    std::size_t best = 0;
    for (std::uint8_t candidate = 0; candidate <= kNumberOrderMax; ++candidate) {
        const std::size_t rival = out.size();
        Expectation expected{followers, candidate};
        for (std::size_t i = 0; i < numbers.size(); ++i) {
            space.mapped[i] = numbers[i];
            if (candidate == 0) continue;
            space.mapped[i] = numbers[i] == expected.number() ? 0 : std::int64_t{numbers[i]} + 1;
            expected.learn(numbers[i]);
        }
        if (const Status status = encode_integers({space.mapped, numbers.size()}, space, out); !status.ok()) return status;
        const std::size_t size = out.size() - rival;
        if (candidate == 0 || size < best) {
            best = size;
            *order = candidate;
        }
        if (candidate != 0) out.keep_shorter(mark, rival);
    }
    return out.status();
}

Status decode_template_numbers(ByteReader &in, std::uint8_t order, const Followers &followers, Arena &arena,
                               std::span<std::uint32_t> numbers) noexcept {
    auto *codes = arena.array<std::int64_t>(numbers.size());
    if (codes == nullptr) return {StatusCode::out_of_memory, "no memory to decode template numbers"};
    if (const Status status = decode_integers(in, {codes, numbers.size()}, arena); !status.ok()) return status;
    const Status outside{StatusCode::corrupt, "a template number lies outside the model"};
    const std::size_t number_count = followers.usual.size();
    if (order == 0) {
        std::uint64_t high_bits = 0;
        std::uint32_t largest = 0;
        for (std::size_t i = 0; i < numbers.size(); ++i) {
            high_bits |= static_cast<std::uint64_t>(codes[i]) >> 32;
            numbers[i] = static_cast<std::uint32_t>(codes[i]);
            largest = std::max(largest, numbers[i]);
        }
        return high_bits != 0 || largest >= number_count ? outside : Status::success();
    }
    Expectation expected{followers, order};
    for (std::size_t i = 0; i < numbers.size(); ++i) {
        const auto code = static_cast<std::uint64_t>(codes[i]);
        const std::uint64_t number = code == 0 ? expected.number() : code - 1;
        if (number >= number_count) return outside;
        numbers[i] = static_cast<std::uint32_t>(number);
        expected.learn(numbers[i]);
    }
    return Status::success();
}

}  // namespace historian::codec
