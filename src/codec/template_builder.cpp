#include "codec/template_builder.h"

#include <new>

namespace historian::codec {
namespace {

// Values are kept in blocks of this size.
constexpr std::size_t kValueBlockBytes = 64 * 1024;

// Messages whose fine templates are more than this many, and more than this share of them, vary in their words: cut coarsely.
constexpr std::uint32_t kFineTemplatesMin = 384;
constexpr std::uint32_t kFineTemplateShare = 16;

// New templates beyond this many, and this share of the messages, are not learned: prose has none, and they take memory.
constexpr std::uint32_t kTemplatesMin = 4096;
constexpr std::uint32_t kTemplateShare = 4;
constexpr std::uint32_t kTemplatesMax = 1u << 16;

/// Memory for the values and widths of one message.
std::int64_t *take_values(TemplateBuilder &builder, std::uint32_t count) noexcept {
    const std::size_t bytes = (std::size_t{count} * 9 + 7) / 8 * 8;
    if (bytes > builder.values_left) {
        builder.values_next = static_cast<std::byte *>(builder.arena->allocate(kValueBlockBytes));
        builder.values_left = builder.values_next == nullptr ? 0 : kValueBlockBytes;
        if (builder.values_next == nullptr) return nullptr;
        builder.memory_bytes += kValueBlockBytes;
    }
    auto *values = reinterpret_cast<std::int64_t *>(builder.values_next);
    builder.values_next += bytes;
    builder.values_left -= bytes;
    return values;
}

/// The raw template of the parsed message, made if it is new; kNoNumber when no more are learned.
Status find_raw_template(TemplateBuilder &builder, std::uint32_t *number) noexcept {
    const ParsedMessage &parsed = *builder.parsed;
    const std::span skeleton{reinterpret_cast<const std::byte *>(parsed.skeleton), parsed.skeleton_bytes};
    const std::uint64_t hash = hash_bytes(skeleton);
    GrowingArray<RawTemplate> &all = builder.raw_templates;
    *number = builder.raw_numbers.find(hash, [&](std::uint32_t other) {
        return all.items[other].skeleton_bytes == parsed.skeleton_bytes &&
               std::memcmp(all.items[other].skeleton, parsed.skeleton, parsed.skeleton_bytes) == 0;
    });
    if (*number != NumberTable::kNone) return Status::success();
    const bool many = all.count >= kTemplatesMin && all.count > builder.message_count / kTemplateShare;
    if (many || all.count == kTemplatesMax) return Status::success();
    const auto hash_of = [&](std::uint32_t other) {
        return hash_bytes({reinterpret_cast<const std::byte *>(all.items[other].skeleton), all.items[other].skeleton_bytes});
    };
    auto *copy = builder.arena->array<std::uint8_t>(parsed.skeleton_bytes);
    if (copy == nullptr || !all.reserve(*builder.arena) || !builder.raw_numbers.reserve(*builder.arena, hash_of)) {
        return no_builder_memory();
    }
    std::memcpy(copy, parsed.skeleton, parsed.skeleton_bytes);
    RawTemplate &raw = *new (&all.items[all.count]) RawTemplate;
    raw.skeleton = copy;
    raw.skeleton_bytes = parsed.skeleton_bytes;
    raw.hole_count = parsed.hole_count;
    builder.raw_numbers.add(hash, all.count);
    builder.memory_bytes += parsed.skeleton_bytes + sizeof(RawTemplate);
    *number = all.count++;
    return Status::success();
}

/// Cuts a message that is in its place already.
Status cut_message(TemplateBuilder &builder, Message &message) noexcept {
    message.raw_template = kNoNumber;
    message.values = nullptr;
    const ParseResult result =
        parse_message({message.data, message.size}, builder.cut, builder.words, *builder.arena, builder.parsed);
    if (result == ParseResult::out_of_memory) return no_builder_memory();
    if (result == ParseResult::raw) return Status::success();
    std::uint32_t number = kNoNumber;
    if (const Status status = find_raw_template(builder, &number); !status.ok()) return status;
    if (number == kNoNumber) return Status::success();
    const std::uint32_t holes = builder.parsed->hole_count;
    if (holes != 0) {
        message.values = take_values(builder, holes);
        if (message.values == nullptr) return no_builder_memory();
        std::memcpy(message.values, builder.parsed->values, holes * sizeof(std::int64_t));
        std::memcpy(message.values + holes, builder.parsed->widths, holes);
    }
    message.raw_template = number;
    ++builder.raw_templates.items[number].message_count;
    return Status::success();
}

bool cut_too_fine(const TemplateBuilder &builder) noexcept {
    const std::uint32_t count = builder.message_count;
    return builder.cut == Cut::fine && count >= 1024 && (count & (count - 1)) == 0 &&
           builder.raw_templates.count > kFineTemplatesMin + count / kFineTemplateShare;
}

/// Cuts all messages again. What was learned from the fine cut is forgotten.
Status cut_coarsely(TemplateBuilder &builder) noexcept {
    builder.cut = Cut::coarse;
    builder.words = {};
    builder.raw_templates = {};
    builder.raw_numbers = {};
    for (std::uint32_t i = 0; i < builder.message_count; ++i) {
        if (const Status status = cut_message(builder, builder.message(i)); !status.ok()) return status;
    }
    return Status::success();
}

}  // namespace

Status create_template_builder(Arena &arena, TemplateBuilder **builder) noexcept {
    void *memory = arena.allocate(sizeof(TemplateBuilder));
    auto *parsed = arena.array<ParsedMessage>(1);
    if (memory == nullptr || parsed == nullptr) return no_builder_memory();
    *builder = new (memory) TemplateBuilder(arena);
    (*builder)->parsed = parsed;
    return Status::success();
}

Status add_message(TemplateBuilder &builder, Text message) noexcept {
    if (builder.message_count == kModelMessagesMax) return {StatusCode::too_large, "a model has too many messages"};
    if (message.size > kTextBytesMax) return {StatusCode::too_large, "a message has more than 1 GiB"};
    Message *&block = builder.blocks[builder.message_count / TemplateBuilder::kBlockMessages];
    if (block == nullptr) {
        block = builder.arena->array<Message>(TemplateBuilder::kBlockMessages);
        if (block == nullptr) return no_builder_memory();
        builder.memory_bytes += TemplateBuilder::kBlockMessages * sizeof(Message);
    }
    Message &place = builder.message(builder.message_count);
    place.data = message.data;
    place.size = message.size;
    if (const Status status = cut_message(builder, place); !status.ok()) return status;
    ++builder.message_count;
    builder.content_bytes += message.size;
    return cut_too_fine(builder) ? cut_coarsely(builder) : Status::success();
}

std::uint64_t template_builder_bytes(const TemplateBuilder &builder) noexcept {
    return builder.memory_bytes + builder.words.words.capacity * sizeof(Word) +
           builder.words.numbers.slot_count * sizeof(NumberTable::Slot);
}

Status choose_templates(TemplateBuilder &builder, EncodeSpace &space) noexcept {
    if (const Status status = merge_templates(builder); !status.ok()) return status;
    if (const Status status = make_columns(builder); !status.ok()) return status;
    if (const Status status = write_template_texts(builder); !status.ok()) return status;
    if (const Status status = find_followers(builder); !status.ok()) return status;
    if (const Status status = make_dictionary(builder); !status.ok()) return status;
    builder.gathered.columns = builder.arena->array<ColumnValues>(builder.column_count);
    if (builder.gathered.columns == nullptr) return no_builder_memory();
    return choose_guesses(builder, space);
}

}  // namespace historian::codec
