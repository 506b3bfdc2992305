#include "engine/key_conditions.h"

#include "engine/report.h"
#include "format/key_filter.h"

namespace historian::engine {

namespace {

// Sets of granules, one above the other.
struct GranuleStack {
    uint64 *sets;
    uint32 words;  // of a set
    uint32 depth;

    uint64 *push() { return sets + static_cast<Size>(words) * depth++; }
    uint64 *top() { return sets + static_cast<Size>(words) * (depth - 1); }
};

uint32 depth_needed(const KeyCondition &condition) {
    uint32 depth = 0;
    uint32 most = 0;
    for (uint32 i = 0; i < condition.step_count; i++) {
        const KeyStep &step = condition.steps[i];
        const bool combines = step.operation == KeyOperation::conjunction || step.operation == KeyOperation::disjunction;
        depth = combines ? depth - step.count + 1 : depth + 1;
        most = Max(most, depth);
    }
    return most;
}

// Looking a key up takes a microsecond or two, decoding a granule from tens of microseconds on.
constexpr uint64 kKeysPerGranule = 64;

bool is_worth_asking(const KeyCondition &condition, uint32 granule_count) {
    return condition.step_count <= kKeysPerGranule * (granule_count + uint64{1});
}

void fill(uint64 *set, uint32 words, bool value) { memset(set, value ? 0xFF : 0, sizeof(uint64) * words); }

// Granules whose range of a column excludes a number.
void narrow_by_range(const OpenSegment &segment, const KeyStep &step, uint64 *set) {
    for (uint32 g = 0; g < segment.header.granule_count; g++) {
        if (!format::may_have_number(*segment.index, g, step.column, step.number)) set[g / 64] &= ~(UINT64CONST(1) << (g % 64));
    }
}

// The granules that may have a key.
const uint64 *granules_of_key(Relation rel, const OpenSegment &segment, uint64 hash, uint32 words) {
    SegmentParts *parts = segment.parts;
    if (parts->key_granules != nullptr && parts->last_key == hash) return parts->key_granules;
    const format::KeyFilter &filter = open_filter(rel, segment);
    const format::ByteRange range = format::key_range(filter, hash);
    std::byte block[format::kFilterBlockBytes];
    if (range.byte_count > sizeof(block))
        elog(ERROR, "a filter's block has %llu bytes", static_cast<unsigned long long>(range.byte_count));
    const format::ByteRange blocks = format::filter_blocks_range(*segment.index);
    if (range.byte_count > 0)
        read_segment_range(rel, segment.slot, segment.entry, {blocks.offset + range.offset, range.byte_count}, block);
    uint64 *set = parts->key_granules;
    if (set == nullptr) set = static_cast<uint64 *>(MemoryContextAllocHuge(parts->context, sizeof(uint64) * Max(words, 1)));
    parts->key_granules = nullptr;  // an error leaves it unknown
    fill(set, words, true);
    check_status(format::narrow_granules(filter, hash, {block, range.byte_count}, {set, words}), rel,
                 "read the filter of a segment");
    parts->key_granules = set;
    parts->last_key = hash;
    return set;
}

void narrow_by_filter(Relation rel, const OpenSegment &segment, const KeyStep &step, std::span<uint64> set) {
    const uint64 *of_key = granules_of_key(rel, segment, step.hash, static_cast<uint32>(set.size()));
    for (Size w = 0; w < set.size(); w++) set[w] &= of_key[w];
}

void push_key(Relation rel, const OpenSegment &segment, const KeyStep &step, GranuleStack *stack) {
    uint64 *set = stack->push();
    fill(set, stack->words, true);
    if (step.has_number) narrow_by_range(segment, step, set);
    const bool has_keys = step.kind != codec::KeyKind::reserved && format::key_kind(*segment.index, step.column) == step.kind;
    if (has_keys) narrow_by_filter(rel, segment, step, {set, stack->words});
}

void combine(const KeyStep &step, GranuleStack *stack) {
    const bool is_conjunction = step.operation == KeyOperation::conjunction;
    if (step.count == 0) {
        fill(stack->push(), stack->words, is_conjunction);
        return;
    }
    for (uint32 i = 1; i < step.count; i++) {
        const uint64 *right = stack->top();
        stack->depth--;
        uint64 *left = stack->top();
        for (uint32 w = 0; w < stack->words; w++) left[w] = is_conjunction ? left[w] & right[w] : left[w] | right[w];
    }
}

}  // namespace

void narrow_by_keys(Relation rel, const OpenSegment &segment, const KeyCondition *conditions, uint32 condition_count,
                    uint64 *granules, uint64 *skipped) {
    const uint32 words = format::granule_words(segment.header.granule_count);
    for (uint32 c = 0; c < condition_count; c++) {
        const KeyCondition &condition = conditions[c];
        if (!is_worth_asking(condition, segment.header.granule_count)) continue;
        GranuleStack stack = {nullptr, words, 0};
        stack.sets =
            static_cast<uint64 *>(palloc_extended(sizeof(uint64) * words * Max(depth_needed(condition), 1), MCXT_ALLOC_HUGE));
        for (uint32 i = 0; i < condition.step_count; i++) {
            const KeyStep &step = condition.steps[i];
            switch (step.operation) {
                case KeyOperation::key: push_key(rel, segment, step, &stack); break;
                case KeyOperation::any: fill(stack.push(), words, true); break;
                default: combine(step, &stack); break;
            }
            if (i % 1024 == 0) CHECK_FOR_INTERRUPTS();
        }
        uint64 taken_out = 0;
        const uint64 *left = stack.top();
        for (uint32 w = 0; w < words; w++) {
            taken_out += static_cast<uint64>(pg_popcount64(granules[w] & ~left[w]));
            granules[w] &= left[w];
        }
        skipped[Min(c, kCountedConditionsMax - 1)] += taken_out;
        pfree(stack.sets);
    }
}

}  // namespace historian::engine
