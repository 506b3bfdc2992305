// The tree of template texts and its holes: which hold the same value everywhere and are text after all, which type holds the
// values of the others, and which words the dictionary gets (template_builder.h).
#include <algorithm>
#include <bit>
#include <new>

#include "codec/hole_text.h"
#include "codec/template_builder.h"

namespace historian::codec {
namespace {

// A template or a word that is used once costs less where it is used.
constexpr std::uint32_t kClusterMessagesMin = 2;
constexpr std::uint32_t kWordUsesMin = 2;

std::uint64_t hash_node(const Node &node) noexcept {
    const std::uint64_t text = hash_bytes({reinterpret_cast<const std::byte *>(node.text), node.text_bytes});
    const std::uint64_t type = static_cast<std::uint64_t>(node.type.kind) << 16 | node.type.width;
    return (text ^ (std::uint64_t{node.parent} << 32 | type)) * 0x9E3779B97F4A7C15u;
}

bool same_node(const Node &a, const Node &b) noexcept {
    return a.parent == b.parent && a.type == b.type && a.text_bytes == b.text_bytes &&
           std::memcmp(a.text, b.text, a.text_bytes) == 0;
}

HoleType type_of(const Element &element) noexcept {
    if (element.kind == Element::Kind::letters) return {HoleKind::word, 0};
    HoleType type{static_cast<HoleKind>(element.text[1]), 0};
    std::memcpy(&type.width, element.text + 2, sizeof type.width);
    return type;
}

bool is_hole(const Element &element) noexcept { return element.kind == Element::Kind::hole || element.varies; }

/// Puts the holes of a cluster into the tree.
Status plant(TemplateBuilder &builder, NumberTable &table, Cluster &cluster) noexcept {
    const std::span<const Element> elements{cluster.elements, cluster.element_count};
    const auto holes = static_cast<std::uint32_t>(std::count_if(elements.begin(), elements.end(), is_hole));
    cluster.nodes = builder.arena->array<std::uint32_t>(holes);
    if (cluster.nodes == nullptr) return no_builder_memory();
    const std::uint8_t *text = elements.empty() ? nullptr : elements.front().text;
    std::uint32_t parent = kNoNumber;
    for (const Element &element : elements) {
        if (!is_hole(element)) continue;
        Node node;
        node.parent = parent;
        node.text = text;
        node.text_bytes = static_cast<std::uint32_t>(element.text - text);
        node.type = type_of(element);
        const std::uint64_t hash = hash_node(node);
        Node *nodes = builder.nodes.items;
        std::uint32_t number = table.find(hash, [&](std::uint32_t other) { return same_node(nodes[other], node); });
        if (number == NumberTable::kNone) {
            const auto hash_of = [&](std::uint32_t other) { return hash_node(nodes[other]); };
            if (!table.reserve(*builder.arena, hash_of) || !builder.nodes.reserve(*builder.arena)) return no_builder_memory();
            number = builder.nodes.count++;
            new (&builder.nodes.items[number]) Node(node);
            table.add(hash, number);
        }
        cluster.nodes[cluster.node_count++] = number;
        parent = number;
        text = element.text + element.byte_count;
    }
    return Status::success();
}

/// Where each hole of the cluster gets its value from in messages of this raw template.
Status find_sources(TemplateBuilder &builder, const Cluster &cluster, RawTemplate &raw) noexcept {
    raw.holes = builder.arena->array<HoleSource>(cluster.node_count);
    if (raw.holes == nullptr) return no_builder_memory();
    const Element *own = raw.elements;
    std::int32_t place = 0;
    for (std::uint32_t i = 0; i < cluster.element_count; ++i) {
        if (!is_hole(cluster.elements[i])) continue;
        HoleSource &source = raw.holes[raw.hole_source_count];
        source.column = cluster.nodes[raw.hole_source_count++];
        if (own[i].kind == Element::Kind::hole) {
            source.place = place++;
            continue;
        }
        const std::uint32_t word =
            builder.words.intern(reinterpret_cast<const std::byte *>(own[i].text), own[i].byte_count, *builder.arena);
        if (word >= static_cast<std::uint32_t>(INT32_MAX)) return no_builder_memory();
        source.place = ~static_cast<std::int32_t>(word);
    }
    return Status::success();
}

/// Calls use(message, source) for each hole of each message that has a template.
template <typename Use>
Status for_each_hole(TemplateBuilder &builder, Use use) noexcept {
    for (std::uint32_t i = 0; i < builder.message_count; ++i) {
        Message &message = builder.message(i);
        const RawTemplate *raw = builder.raw_template_of(message);
        if (raw == nullptr) continue;
        for (std::uint32_t h = 0; h < raw->hole_source_count; ++h) {
            if (const Status status = use(message, *raw, raw->holes[h]); !status.ok()) return status;
        }
    }
    return Status::success();
}

std::int64_t value_of(const Message &message, const HoleSource &source) noexcept {
    return source.place < 0 ? ~source.place : message.values[source.place];
}

void look_at_value(Node &node, std::int64_t value, std::uint8_t width) noexcept {
    if (node.value_count++ == 0) {
        node.first_value = value;
        node.first_width = width;
    }
    node.varies |= value != node.first_value || width != node.first_width;
    node.widths_vary |= ((width ^ node.first_width) & ~kLeadingZero) != 0;
    node.has_leading_zero |= (width & kLeadingZero) != 0;
    node.has_negative |= value < 0;
}

/// Number and hex marks have no width: here it is found.
void choose_type(Node &node) noexcept {
    const std::uint16_t width = node.first_width & ~kLeadingZero;
    if (node.type.kind == HoleKind::number) {
        if (!node.has_leading_zero) return;
        if (node.widths_vary || node.has_negative)
            node.becomes_word = true;
        else
            node.type = {HoleKind::padded, width};
    } else if (node.type.kind == HoleKind::hex_lower || node.type.kind == HoleKind::hex_upper) {
        if (!node.widths_vary)
            node.type.width = width;
        else if (node.has_leading_zero)
            node.becomes_word = true;
    }
}

/// The text that a number or hex value was cut from.
std::uint32_t write_value(const Node &node, std::int64_t value, std::uint8_t width, std::uint8_t *text) noexcept {
    HoleType type = node.type;
    width &= ~kLeadingZero;
    if (type.kind == HoleKind::number && value >= 0)
        type = {HoleKind::padded, width};
    else if (type.kind == HoleKind::hex_lower || type.kind == HoleKind::hex_upper)
        type.width = width;
    return static_cast<std::uint32_t>(write_hole(type, value, text) - text);
}

Status number_columns(TemplateBuilder &builder) noexcept {
    builder.columns = builder.arena->array<BuilderColumn>(builder.nodes.count);
    if (builder.columns == nullptr) return no_builder_memory();
    for (std::uint32_t n = 0; n < builder.nodes.count; ++n) {
        Node &node = builder.nodes.items[n];
        choose_type(node);
        if (!node.varies) continue;
        node.column = builder.column_count;
        BuilderColumn &column = *new (&builder.columns[builder.column_count++]) BuilderColumn;
        column.type = node.becomes_word ? HoleType{HoleKind::word, 0} : node.type;
        column.node = n;
    }
    return Status::success();
}

/// The bytes of a hole that never varies.
std::uint32_t write_constant(const TemplateBuilder &builder, const Node &node, std::uint8_t *text) noexcept {
    if (node.type.kind != HoleKind::word) return write_value(node, node.first_value, node.first_width, text);
    const Word &word = builder.words.words.items[node.first_value];
    std::memcpy(text, word.data, word.size);
    return word.size;
}

/// The text with a byte 1 for each hole that varies.
Status write_text(TemplateBuilder &builder, const Cluster &cluster, std::uint8_t *room, FinalTemplate *made) noexcept {
    std::uint8_t *end = room;
    std::uint32_t columns = 0;
    std::uint32_t hole = 0;
    auto *numbers = builder.arena->array<std::uint32_t>(cluster.node_count);
    if (numbers == nullptr) return no_builder_memory();
    for (std::uint32_t i = 0; i < cluster.element_count; ++i) {
        const Element &element = cluster.elements[i];
        if (!is_hole(element)) {
            std::memcpy(end, element.text, element.byte_count);
            end += element.byte_count;
            continue;
        }
        const Node &node = builder.nodes.items[cluster.nodes[hole++]];
        if (node.column == kNoNumber) {
            end += write_constant(builder, node, end);
            continue;
        }
        *end++ = kHoleMark;
        numbers[columns++] = node.column;
    }
    const auto size = static_cast<std::uint32_t>(end - room);
    auto *text = builder.arena->array<std::byte>(size);
    if (text == nullptr) return no_builder_memory();
    std::memcpy(text, room, size);
    *made = {{text, size}, numbers, columns};
    return Status::success();
}

/// Frequent templates first, by powers of two; similar texts side by side, because zstd looks not far.
bool template_before(const Cluster &a, const Cluster &b) noexcept {
    const int a_uses = std::bit_width(a.message_count);
    const int b_uses = std::bit_width(b.message_count);
    if (a_uses != b_uses) return a_uses > b_uses;
    for (std::uint32_t i = 0; i < a.element_count && i < b.element_count; ++i) {
        const Element &one = a.elements[i];
        const Element &other = b.elements[i];
        const int order = std::memcmp(one.text, other.text, std::min(one.byte_count, other.byte_count));
        if (order != 0) return order < 0;
        if (one.byte_count != other.byte_count) return one.byte_count < other.byte_count;
    }
    if (a.element_count != b.element_count) return a.element_count < b.element_count;
    return false;
}

/// Raw templates know columns from here on, not nodes.
void finish_sources(TemplateBuilder &builder, RawTemplate &raw) noexcept {
    std::uint32_t kept = 0;
    for (std::uint32_t h = 0; h < raw.hole_source_count; ++h) {
        const std::uint32_t column = builder.nodes.items[raw.holes[h].column].column;
        if (column != kNoNumber) raw.holes[kept++] = {raw.holes[h].place, column};
    }
    raw.hole_source_count = kept;
}

Status count_words(TemplateBuilder &builder) noexcept {
    return for_each_hole(builder, [&](Message &message, const RawTemplate &raw, const HoleSource &source) {
        const BuilderColumn &column = builder.columns[source.column];
        if (column.type.kind != HoleKind::word) return Status::success();
        const Node &node = builder.nodes.items[column.node];
        if (node.becomes_word) {
            std::uint8_t text[kHoleBytesMax];
            const std::uint8_t width = widths_of(message, raw)[source.place];
            const std::uint32_t size = write_value(node, message.values[source.place], width, text);
            const std::uint32_t word = builder.words.intern_copy(reinterpret_cast<const std::byte *>(text), size, *builder.arena);
            if (word == NumberTable::kNone) return no_builder_memory();
            message.values[source.place] = word;
        }
        Word &word = builder.words.words.items[value_of(message, source)];
        if (word.use_count++ == 0 || source.column < word.column) word.column = source.column;
        return Status::success();
    });
}

/// Words of one column side by side, frequent ones first: their numbers then have a small range, and the high bits a skew.
bool dictionary_before(const Word &a, const Word &b) noexcept {
    if (a.column != b.column) return a.column < b.column;
    const int a_uses = std::bit_width(a.use_count);
    const int b_uses = std::bit_width(b.use_count);
    if (a_uses != b_uses) return a_uses > b_uses;
    const int order = std::memcmp(a.data, b.data, std::min(a.size, b.size));
    return order != 0 ? order < 0 : a.size < b.size;
}

}  // namespace

Status make_columns(TemplateBuilder &builder) noexcept {
    NumberTable table;
    for (std::uint32_t i = 0; i < builder.raw_templates.count; ++i) {
        RawTemplate &raw = builder.raw_templates.items[i];
        Cluster &cluster = builder.clusters.items[raw.cluster];
        if (cluster.message_count < kClusterMessagesMin) continue;
        if (cluster.nodes == nullptr) {
            if (const Status status = plant(builder, table, cluster); !status.ok()) return status;
        }
        if (const Status status = find_sources(builder, cluster, raw); !status.ok()) return status;
    }
    const Status looked = for_each_hole(builder, [&](Message &message, const RawTemplate &raw, const HoleSource &source) {
        const std::uint8_t width = source.place < 0 ? 0 : widths_of(message, raw)[source.place];
        look_at_value(builder.nodes.items[source.column], value_of(message, source), width);
        return Status::success();
    });
    return looked.ok() ? number_columns(builder) : looked;
}

Status write_template_texts(TemplateBuilder &builder) noexcept {
    const std::uint32_t count = builder.clusters.count;
    Cluster *clusters = builder.clusters.items;
    auto *order = builder.arena->array<std::uint32_t>(count);
    auto *room = builder.arena->array<std::uint8_t>(kSkeletonBytesMax);
    if (order == nullptr || room == nullptr) return no_builder_memory();
    for (std::uint32_t c = 0; c < count; ++c) {
        if (clusters[c].message_count >= kClusterMessagesMin) order[builder.template_count++] = c;
    }
    std::sort(order, order + builder.template_count,
              [&](std::uint32_t a, std::uint32_t b) { return template_before(clusters[a], clusters[b]); });
    builder.templates = builder.arena->array<FinalTemplate>(builder.template_count);
    if (builder.templates == nullptr) return no_builder_memory();
    for (std::uint32_t t = 0; t < builder.template_count; ++t) {
        clusters[order[t]].number = t + 1;
        const Status status = write_text(builder, clusters[order[t]], room, &builder.templates[t]);
        if (!status.ok()) return status;
    }
    for (std::uint32_t i = 0; i < builder.raw_templates.count; ++i) {
        RawTemplate &raw = builder.raw_templates.items[i];
        raw.number = clusters[raw.cluster].number;
        finish_sources(builder, raw);
    }
    return Status::success();
}

Status find_followers(TemplateBuilder &builder) noexcept {
    const std::size_t count = std::size_t{builder.template_count} + 1;
    builder.followers = builder.arena->array<std::uint32_t>(count);
    builder.gathered.latest_followers = builder.arena->array<std::uint32_t>(count);
    auto *votes = builder.arena->array<std::uint32_t>(count);
    if (builder.followers == nullptr || builder.gathered.latest_followers == nullptr || votes == nullptr)
        return no_builder_memory();
    std::fill_n(builder.followers, count, 0u);
    std::fill_n(votes, count, 0u);
    // The majority, by Boyer and Moore's vote; where there is none, one of many.
    std::uint32_t last = 0;
    for (std::uint32_t i = 0; i < builder.message_count; ++i) {
        const RawTemplate *raw = builder.raw_template_of(builder.message(i));
        const std::uint32_t number = raw == nullptr ? 0 : raw->number;
        if (votes[last] == 0) builder.followers[last] = number;
        if (builder.followers[last] == number)
            ++votes[last];
        else
            --votes[last];
        last = number;
    }
    return Status::success();
}

Status make_dictionary(TemplateBuilder &builder) noexcept {
    if (const Status status = count_words(builder); !status.ok()) return status;
    Word *words = builder.words.words.items;
    auto *order = builder.arena->array<std::uint32_t>(builder.words.words.count);
    if (order == nullptr) return no_builder_memory();
    for (std::uint32_t w = 0; w < builder.words.words.count; ++w) {
        if (words[w].use_count >= kWordUsesMin) order[builder.word_count++] = w;
    }
    std::sort(order, order + builder.word_count,
              [&](std::uint32_t a, std::uint32_t b) { return dictionary_before(words[a], words[b]); });
    builder.dictionary = builder.arena->array<Text>(builder.word_count);
    if (builder.dictionary == nullptr) return no_builder_memory();
    for (std::uint32_t i = 0; i < builder.word_count; ++i) {
        Word &word = words[order[i]];
        word.dictionary = i + 1;
        builder.dictionary[i] = {word.data, word.size};
    }
    return Status::success();
}

}  // namespace historian::codec
