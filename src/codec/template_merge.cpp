// Merging templates that differ in few words (template_builder.h): "session opened for user <>" and "session closed for user <>".
//
// Not all that could be: a template with many messages has columns that pay for themselves, and knows more about its values than
// a merged one; so does one of few that differ ("opened" and "closed"), while many are a name or another value.
//
// source   He et al., "Drain: An Online Log Parsing Approach with Fixed Depth Tree", ICWS 2017, section III.D (similarity)
#include <algorithm>
#include <new>

#include "codec/template_builder.h"

namespace historian::codec {
namespace {

// A template that has this share of the messages keeps to itself: 64 messages of a granule.
constexpr std::uint32_t kOwnTemplateShare = 64;

// Fewer templates than this that would become one do not, but for those with at most kRareMessagesMax messages.
constexpr std::uint32_t kVariantsMin = 8;
constexpr std::uint32_t kRareMessagesMax = 3;

// Clusters of one shape that a template is compared with at most: bounds the time.
constexpr std::uint32_t kComparedMax = 32;

bool same_text(const Element &a, const Element &b) noexcept {
    return a.byte_count == b.byte_count && std::memcmp(a.text, b.text, a.byte_count) == 0;
}

/// A hash of everything but the words.
std::uint64_t hash_shape(std::span<const Element> elements) noexcept {
    std::uint64_t hash = elements.size();
    for (const Element &element : elements) {
        const std::uint64_t part = element.kind == Element::Kind::letters
                                       ? 1
                                       : hash_bytes({reinterpret_cast<const std::byte *>(element.text), element.byte_count});
        hash = (hash ^ part) * 0x9E3779B97F4A7C15u;
        hash ^= hash >> 29;
    }
    return hash;
}

/// Whether at least half of the words are the same, and everything else is.
bool alike(const Cluster &cluster, std::span<const Element> elements) noexcept {
    if (cluster.element_count != elements.size()) return false;
    std::uint32_t different = 0;
    for (std::uint32_t i = 0; i < cluster.element_count; ++i) {
        const Element &own = cluster.elements[i];
        if (own.kind != elements[i].kind) return false;
        if (own.kind != Element::Kind::letters) {
            if (!same_text(own, elements[i])) return false;
        } else if (own.varies || !same_text(own, elements[i])) {
            if (2 * ++different > cluster.word_count) return false;
        }
    }
    return cluster.word_count > 0;
}

/// How many holes a cluster would have together with these elements.
std::uint32_t count_holes(const Cluster &cluster, std::span<const Element> elements) noexcept {
    std::uint32_t holes = 0;
    for (std::uint32_t i = 0; i < cluster.element_count; ++i) {
        const Element &own = cluster.elements[i];
        holes +=
            own.kind == Element::Kind::hole || own.varies || (own.kind == Element::Kind::letters && !same_text(own, elements[i]));
    }
    return holes;
}

/// The pieces of a skeleton; only counts them when elements is nullptr.
std::uint32_t split_skeleton(const RawTemplate &raw, Element *elements) noexcept {
    const std::uint8_t *next = raw.skeleton;
    const std::uint8_t *end = raw.skeleton + raw.skeleton_bytes;
    std::uint32_t count = 0;
    while (next < end) {
        const std::uint8_t *start = next;
        auto kind = Element::Kind::hole;
        if (*next == kHoleMark) {
            next += kMarkBytes;
        } else {
            const bool letters = is_word_letter(*next);
            kind = letters ? Element::Kind::letters : Element::Kind::between;
            while (next < end && *next != kHoleMark && is_word_letter(*next) == letters) ++next;
        }
        if (elements != nullptr) elements[count] = {start, static_cast<std::uint32_t>(next - start), kind, false};
        ++count;
    }
    return count;
}

struct Merge {
    TemplateBuilder &builder;
    std::uint32_t *order = nullptr;  // raw templates, those with most messages first
    NumberTable shapes;              // the first cluster of each shape
};

std::span<const Element> elements_of(const RawTemplate &raw) noexcept { return {raw.elements, raw.element_count}; }

/// Joins the first cluster that is alike; false when there is none.
bool join_cluster(Merge &merge, RawTemplate &raw, std::uint32_t first) noexcept {
    const TemplateBuilder &builder = merge.builder;
    const std::uint64_t large = builder.message_count / kOwnTemplateShare;
    if (raw.message_count >= large || raw.stays_alone) return false;
    std::uint32_t compared = 0;
    for (std::uint32_t c = first; c != kNoNumber && compared < kComparedMax;
         c = builder.clusters.items[c].next_of_shape, ++compared) {
        Cluster &cluster = builder.clusters.items[c];
        if (cluster.first_count >= large || !alike(cluster, elements_of(raw))) continue;
        if (count_holes(cluster, elements_of(raw)) > kHolesMax + 1) continue;
        for (std::uint32_t i = 0; i < cluster.element_count; ++i) {
            Element &own = cluster.elements[i];
            if (own.kind == Element::Kind::letters && !same_text(own, raw.elements[i])) own.varies = true;
        }
        cluster.message_count += raw.message_count;
        ++cluster.variant_count;
        raw.cluster = c;
        return true;
    }
    return false;
}

Status add_to_cluster(Merge &merge, RawTemplate &raw) noexcept {
    GrowingArray<Cluster> &clusters = merge.builder.clusters;
    const auto hash_of = [&](std::uint32_t other) { return clusters.items[other].shape_hash; };
    const std::uint32_t first = merge.shapes.find(raw.shape_hash, [&](std::uint32_t c) { return hash_of(c) == raw.shape_hash; });
    if (join_cluster(merge, raw, first)) return Status::success();
    Arena &arena = *merge.builder.arena;
    if (!clusters.reserve(arena) || !merge.shapes.reserve(arena, hash_of)) return no_builder_memory();
    Cluster &cluster = *new (&clusters.items[clusters.count]) Cluster;
    cluster.elements = raw.elements;
    cluster.element_count = raw.element_count;
    cluster.shape_hash = raw.shape_hash;
    cluster.first_count = raw.message_count;
    cluster.message_count = raw.message_count;
    cluster.variant_count = 1;
    for (const Element &element : elements_of(raw)) cluster.word_count += element.kind == Element::Kind::letters;
    if (first == kNoNumber) {
        merge.shapes.add(raw.shape_hash, clusters.count);
    } else {
        cluster.next_of_shape = clusters.items[first].next_of_shape;
        clusters.items[first].next_of_shape = clusters.count;
    }
    raw.cluster = clusters.count++;
    return Status::success();
}

Status add_all(Merge &merge) noexcept {
    merge.shapes = {};
    merge.builder.clusters.count = 0;
    for (std::uint32_t i = 0; i < merge.builder.raw_templates.count; ++i) {
        const Status status = add_to_cluster(merge, merge.builder.raw_templates.items[merge.order[i]]);
        if (!status.ok()) return status;
    }
    return Status::success();
}

Status split_all(TemplateBuilder &builder) noexcept {
    for (std::uint32_t i = 0; i < builder.raw_templates.count; ++i) {
        RawTemplate &raw = builder.raw_templates.items[i];
        raw.element_count = split_skeleton(raw, nullptr);
        raw.elements = builder.arena->array<Element>(raw.element_count);
        if (raw.elements == nullptr) return no_builder_memory();
        split_skeleton(raw, raw.elements);
        raw.shape_hash = hash_shape(elements_of(raw));
    }
    return Status::success();
}

}  // namespace

Status merge_templates(TemplateBuilder &builder) noexcept {
    const std::uint32_t count = builder.raw_templates.count;
    RawTemplate *raw = builder.raw_templates.items;
    Merge merge{builder, builder.arena->array<std::uint32_t>(count), {}};
    if (merge.order == nullptr) return no_builder_memory();
    for (std::uint32_t i = 0; i < count; ++i) merge.order[i] = i;
    std::sort(merge.order, merge.order + count, [&](std::uint32_t a, std::uint32_t b) {
        return raw[a].message_count != raw[b].message_count ? raw[a].message_count > raw[b].message_count : a < b;
    });
    if (const Status status = split_all(builder); !status.ok()) return status;

    // Once to see how many variants there are of each, and again without those that are few.
    if (const Status status = add_all(merge); !status.ok()) return status;
    for (std::uint32_t i = 0; i < count; ++i) {
        const bool few = builder.clusters.items[raw[i].cluster].variant_count < kVariantsMin;
        raw[i].stays_alone = few && raw[i].message_count > kRareMessagesMax;
        for (std::uint32_t e = 0; e < raw[i].element_count; ++e) raw[i].elements[e].varies = false;
    }
    return add_all(merge);
}

}  // namespace historian::codec
