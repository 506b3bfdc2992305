#include "codec/template_numbers.h"

namespace historian::codec {
namespace {

class Followers {
public:
    explicit Followers(std::uint8_t order) noexcept : order_(order) {}

    /// What the next number probably is.
    std::uint32_t expected() const noexcept { return table_[slot_]; }
    void learn(std::uint32_t number) noexcept {
        table_[slot_] = number;
        const std::uint64_t past = number + (order_ == 2 ? last_ * std::uint64_t{0x9E3779B1} : 0);
        slot_ = static_cast<std::size_t>(past * 0x9E3779B97F4A7C15u >> (64 - kFollowerSlotBits));
        last_ = number;
    }

private:
    std::uint32_t table_[kFollowerSlots] = {};
    std::size_t slot_ = 0;
    std::uint32_t last_ = 0;
    std::uint8_t order_;
};

}  // namespace

Status encode_template_numbers(std::span<const std::uint32_t> numbers, EncodeSpace &space, ByteWriter &out,
                               std::uint8_t *order) noexcept {
    const std::size_t mark = out.size();
    std::size_t best = 0;
    for (std::uint8_t candidate = 0; candidate <= kNumberOrderMax; ++candidate) {
        const std::size_t rival = out.size();
        Followers followers{candidate};
        for (std::size_t i = 0; i < numbers.size(); ++i) {
            space.mapped[i] = numbers[i];
            if (candidate == 0) continue;
            space.mapped[i] = numbers[i] == followers.expected() ? 0 : std::int64_t{numbers[i]} + 1;
            followers.learn(numbers[i]);
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

Status decode_template_numbers(ByteReader &in, std::uint8_t order, std::uint32_t number_max, Arena &arena,
                               std::span<std::uint32_t> numbers) noexcept {
    auto *codes = arena.array<std::int64_t>(numbers.size());
    if (codes == nullptr) return {StatusCode::out_of_memory, "no memory to decode template numbers"};
    if (const Status status = decode_integers(in, {codes, numbers.size()}, arena); !status.ok()) return status;
    Followers followers{order};
    bool outside = false;
    for (std::size_t i = 0; i < numbers.size(); ++i) {
        const auto code = static_cast<std::uint64_t>(codes[i]);
        const std::uint64_t number = order == 0 ? code : code == 0 ? followers.expected() : code - 1;
        outside |= number > number_max;
        numbers[i] = static_cast<std::uint32_t>(number);
        if (order != 0) followers.learn(numbers[i]);
    }
    if (outside) return {StatusCode::corrupt, "a template number lies outside the model"};
    return Status::success();
}

}  // namespace historian::codec
