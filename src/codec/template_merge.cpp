// Merging templates that differ in few words (template_builder.h): "session opened for user <>" and "session closed for user <>".
//
// Only templates with few messages are merged: one with many has columns that pay for themselves, and knows more about its
// values than a merged one.
//
// source   He et al., "Drain: An Online Log Parsing Approach with Fixed Depth Tree", ICWS 2017, section III.D (similarity)
#include <algorithm>
#include <new>

#include "codec/template_builder.h"

namespace historian::codec {
namespace {

// A template that has this share of the messages keeps to itself: 64 messages of a granule.
constexpr std::uint32_t kOwnTemplateShare = 64;

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
    std::uint32_t words = 0;
    std::uint32_t same = 0;
    for (std::uint32_t i = 0; i < cluster.element_count; ++i) {
        const Element &own = cluster.elements[i];
        if (own.kind != elements[i].kind) return false;
        if (own.kind == Element::Kind::letters) {
            ++words;
            same += !own.varies && same_text(own, elements[i]);
        } else if (!same_text(own, elements[i])) {
            return false;
        }
    }
    return words > 0 && 2 * same >= words;
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

struct Merge {
    TemplateBuilder &builder;
    NumberTable shapes;  // the first cluster of each shape
    std::uint64_t *shape_hashes = nullptr;
};

Status add_to_cluster(Merge &merge, RawTemplate &raw) noexcept {
    TemplateBuilder &builder = merge.builder;
    const std::uint32_t count = split_skeleton(raw, nullptr);
    auto *elements = builder.arena->array<Element>(count);
    if (elements == nullptr) return no_builder_memory();
    split_skeleton(raw, elements);
    const std::span<const Element> all{elements, count};
    const std::uint64_t hash = hash_shape(all);
    GrowingArray<Cluster> &clusters = builder.clusters;
    const std::uint32_t first = merge.shapes.find(hash, [&](std::uint32_t other) { return merge.shape_hashes[other] == hash; });

    const std::uint64_t large = builder.message_count / kOwnTemplateShare;
    std::uint32_t compared = 0;
    if (raw.message_count < large) {
        for (std::uint32_t c = first; c != kNoNumber && compared < kComparedMax;
             c = clusters.items[c].next_of_shape, ++compared) {
            Cluster &cluster = clusters.items[c];
            if (cluster.first_count >= large || !alike(cluster, all) || count_holes(cluster, all) > kHolesMax + 1) continue;
            for (std::uint32_t i = 0; i < count; ++i) {
                Element &own = cluster.elements[i];
                if (own.kind == Element::Kind::letters && !same_text(own, elements[i])) own.varies = true;
            }
            cluster.message_count += raw.message_count;
            raw.cluster = c;
            return Status::success();
        }
    }
    const auto hash_of = [&](std::uint32_t other) { return merge.shape_hashes[other]; };
    if (!clusters.reserve(*builder.arena) || !merge.shapes.reserve(*builder.arena, hash_of)) return no_builder_memory();
    Cluster &cluster = *new (&clusters.items[clusters.count]) Cluster;
    cluster.elements = elements;
    cluster.element_count = count;
    cluster.first_count = raw.message_count;
    cluster.message_count = raw.message_count;
    merge.shape_hashes[clusters.count] = hash;
    if (first == kNoNumber) {
        merge.shapes.add(hash, clusters.count);
    } else {
        cluster.next_of_shape = clusters.items[first].next_of_shape;
        clusters.items[first].next_of_shape = clusters.count;
    }
    raw.cluster = clusters.count++;
    return Status::success();
}

}  // namespace

std::uint32_t split_skeleton(const RawTemplate &raw, Element *elements) noexcept {
    const std::uint8_t *next = raw.skeleton;
    const std::uint8_t *end = raw.skeleton + raw.skeleton_bytes;
    std::uint32_t count = 0;
    while (next < end) {
        const std::uint8_t *start = next;
        auto kind = Element::Kind::between;
        if (*next == kHoleMark) {
            kind = Element::Kind::hole;
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

Status merge_templates(TemplateBuilder &builder) noexcept {
    const std::uint32_t count = builder.raw_templates.count;
    RawTemplate *raw = builder.raw_templates.items;
    auto *order = builder.arena->array<std::uint32_t>(count);
    Merge merge{builder, {}, builder.arena->array<std::uint64_t>(count)};
    if (order == nullptr || merge.shape_hashes == nullptr) return no_builder_memory();
    for (std::uint32_t i = 0; i < count; ++i) order[i] = i;
    std::sort(order, order + count, [&](std::uint32_t a, std::uint32_t b) {
        return raw[a].message_count != raw[b].message_count ? raw[a].message_count > raw[b].message_count : a < b;
    });
    for (std::uint32_t i = 0; i < count; ++i) {
        if (const Status status = add_to_cluster(merge, raw[order[i]]); !status.ok()) return status;
    }
    return Status::success();
}

}  // namespace historian::codec
