// What a TemplateBuilder knows: messages as they were cut, and what choose_templates() makes of them. For the template codec
// alone.
//
//     raw template   one skeleton, as the parser cut it
//     cluster        raw templates that became one template (template_merge.cpp)
//     node           a hole in the tree of texts; those that vary are columns (template_columns.cpp)
//
// Invariants:
//   1. Rows of a raw template have hole_count values, followed by as many widths.
//   2. A node's parent has a lower number; every message that has a node has its parent.
#pragma once

#include "codec/column_guess.h"
#include "codec/message_parser.h"

namespace historian::codec {

inline constexpr std::uint32_t kNoNumber = UINT32_MAX;

struct Message {
    const std::byte *data = nullptr;
    std::int64_t *values = nullptr;  // nullptr when the raw template has none
    std::uint32_t size = 0;
    std::uint32_t raw_template = kNoNumber;  // kNoNumber: the message was not cut
};

/// Where a hole of a template gets its value from in messages of one raw template.
struct HoleSource {
    std::int32_t place = 0;  // of the value in the message; below 0: ~place is a word that all messages of the raw template have
    std::uint32_t column = 0;  // a node while templates are chosen, afterwards its column
};

/// A piece of a skeleton: a run of letters, a mark, or what stands between.
struct Element {
    enum class Kind : std::uint8_t { between, letters, hole };
    const std::uint8_t *text = nullptr;
    std::uint32_t byte_count = 0;
    Kind kind = Kind::between;
    bool varies = false;  // letters of a cluster: a hole there
};

struct RawTemplate {
    const std::uint8_t *skeleton = nullptr;
    Element *elements = nullptr;
    HoleSource *holes = nullptr;   // of the final template; hole_source_count of them
    std::uint64_t shape_hash = 0;  // of everything but the words
    std::uint32_t element_count = 0;
    std::uint32_t skeleton_bytes = 0;
    std::uint32_t hole_count = 0;  // values of a message
    std::uint32_t hole_source_count = 0;
    std::uint32_t message_count = 0;
    std::uint32_t cluster = kNoNumber;
    std::uint32_t number = 0;  // of the final template; 0: none
    bool stays_alone = false;  // it joins no other's cluster
};

struct Cluster {
    Element *elements = nullptr;  // of its first raw template
    std::uint32_t element_count = 0;
    std::uint32_t word_count = 0;
    std::uint32_t first_count = 0;    // messages of the first raw template
    std::uint32_t variant_count = 0;  // raw templates
    std::uint64_t shape_hash = 0;
    std::uint32_t message_count = 0;
    std::uint32_t next_of_shape = kNoNumber;
    std::uint32_t number = 0;
    std::uint32_t *nodes = nullptr;  // of its holes; once it is in the tree
    std::uint32_t node_count = 0;
};

struct Node {
    std::uint32_t parent = kNoNumber;
    const std::uint8_t *text = nullptr;  // between the parent's hole and this one
    std::uint32_t text_bytes = 0;
    HoleType type;
    std::uint32_t column = kNoNumber;  // kNoNumber: every message has the same value here, which is text

    std::uint32_t value_count = 0;
    std::int64_t first_value = 0;
    std::uint8_t first_width = 0;
    bool varies = false;
    bool widths_vary = false;
    bool has_leading_zero = false;
    bool has_negative = false;
    bool becomes_word = false;  // numbers that no type of number can hold
};

struct BuilderColumn {
    HoleType type;
    std::uint32_t node = 0;
    std::uint32_t source = kNoNumber;
    std::uint32_t context = kNoNumber;
    std::uint32_t guess_depth = 0;
    bool judged = false;  // whether a guess was looked for
};

struct FinalTemplate {
    Text text;  // a byte 1 for each hole
    const std::uint32_t *columns = nullptr;
    std::uint32_t column_count = 0;
};

/// Room that is used again and grows; what it grew out of is lost until the arena is dropped.
template <typename T>
struct Room {
    T *items = nullptr;
    std::size_t capacity = 0;
    bool ensure(Arena &arena, std::size_t count) noexcept {
        if (count <= capacity) return true;
        const std::size_t larger = count + count / 2;
        items = arena.array<T>(larger);
        capacity = items == nullptr ? 0 : larger;
        return items != nullptr;
    }
};

/// The messages of one granule by column.
struct GatheredGranule {
    std::uint32_t numbers[kStreamValuesMax];  // each message's template
    ColumnValues *columns = nullptr;          // column_count; of word columns the words' numbers in the dictionary

    // Words that the dictionary lacks, by column, and how many of them each word column with values has.
    Room<Text> other_words;
    std::uint32_t other_word_count = 0;
    Room<std::int64_t> other_counts;
    std::uint32_t word_column_count = 0;
    std::uint64_t other_word_bytes = 0;

    std::uint32_t *latest_followers = nullptr;
    Room<std::int64_t> values;
    Room<std::uint16_t> rows;
    Room<std::int64_t> sizes;      // of the columns' streams
    Text texts[kStreamValuesMax];  // of the messages that have no template
};

struct TemplateBuilder {
    explicit TemplateBuilder(Arena &owner) noexcept : arena(&owner) {}

    static constexpr std::uint32_t kBlockMessages = 4096;
    static constexpr std::uint32_t kBlockCount = kModelMessagesMax / kBlockMessages;

    Arena *arena;
    ParsedMessage *parsed = nullptr;
    Message *blocks[kBlockCount] = {};
    std::uint32_t message_count = 0;
    std::uint64_t content_bytes = 0;
    std::uint64_t memory_bytes = 0;
    std::byte *values_next = nullptr;
    std::size_t values_left = 0;

    Cut cut = Cut::fine;
    WordTable words;
    GrowingArray<RawTemplate> raw_templates;
    NumberTable raw_numbers;

    // What choose_templates() makes.
    GrowingArray<Cluster> clusters;
    GrowingArray<Node> nodes;
    BuilderColumn *columns = nullptr;
    std::uint32_t column_count = 0;
    FinalTemplate *templates = nullptr;  // template 1 is the first
    std::uint32_t template_count = 0;
    std::uint32_t *followers = nullptr;  // of templates 0 to template_count
    Text *dictionary = nullptr;          // word 1 is the first
    std::uint32_t word_count = 0;

    GatheredGranule gathered;

    Message &message(std::uint32_t i) noexcept { return blocks[i / kBlockMessages][i % kBlockMessages]; }
    const Message &message(std::uint32_t i) const noexcept { return blocks[i / kBlockMessages][i % kBlockMessages]; }
    const RawTemplate *raw_template_of(const Message &of) const noexcept {
        return of.raw_template == kNoNumber ? nullptr : &raw_templates.items[of.raw_template];
    }
};

inline const std::uint8_t *widths_of(const Message &message, const RawTemplate &raw) noexcept {
    return reinterpret_cast<const std::uint8_t *>(message.values + raw.hole_count);
}

inline Status no_builder_memory() noexcept { return {StatusCode::out_of_memory, "no memory to build templates"}; }

// The steps of choose_templates(), in this order.
Status merge_templates(TemplateBuilder &builder) noexcept;
Status make_columns(TemplateBuilder &builder) noexcept;
Status write_template_texts(TemplateBuilder &builder) noexcept;
Status find_followers(TemplateBuilder &builder) noexcept;
Status make_dictionary(TemplateBuilder &builder) noexcept;
Status choose_guesses(TemplateBuilder &builder, EncodeSpace &space) noexcept;

/// Fills builder.gathered, once the dictionary is made.
///
/// messages   at most kStreamValuesMax
Status gather_granule(TemplateBuilder &builder, std::span<const std::uint32_t> messages) noexcept;

}  // namespace historian::codec
