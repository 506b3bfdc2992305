// Conditions on columns that a table is not sorted by: which granules of a segment may have rows for them, by the segment's
// filter of keys (format/key_filter.h) and by its columns' ranges.
//
// A condition is a program in postfix order: each step puts a set of granules on a stack, or combines those on it. So `a = 1 OR
// b IN (2, 3)` and the words of a search are the same thing. What a segment cannot tell about is "any granule".
#pragma once

#include "engine/server.h"
//
#include "codec/hash.h"
#include "engine/segment_store.h"

namespace historian::engine {

enum class KeyOperation : uint8 {
    key,          // granules that may have this key
    any,          // all granules
    conjunction,  // of the last `count` sets; of none: all granules
    disjunction,  // of the last `count` sets; of none: no granule
};

struct KeyStep {
    KeyOperation operation;
    codec::KeyKind kind;  // key: what its column must keep, or nothing is known; reserved: only its range is asked
    bool has_number;      // key: it stands for a number, which a column's range may exclude too
    uint32 count;         // conjunction, disjunction
    uint32 column;        // key: from 0
    uint64 hash;          // key: of word_key(), number_key() or bytes_key()
    int64 number;
};

struct KeyCondition {
    const KeyStep *steps;
    uint32 step_count;
};

/// Conditions whose skipped granules are counted one by one; those of further ones with the last.
inline constexpr uint32 kCountedConditionsMax = 8;

/// Takes the granules of a segment that have no row for the conditions out of a set. A condition with so many keys that asking
/// for them would take longer than reading the granules takes out none.
///
/// granules   format::granule_words() words
/// skipped    kCountedConditionsMax sums: to the n-th is added what the n-th condition took out
void narrow_by_keys(Relation rel, const OpenSegment &segment, const KeyCondition *conditions, uint32 condition_count,
                    uint64 *granules, uint64 *skipped);

}  // namespace historian::engine
