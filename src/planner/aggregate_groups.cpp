#include "planner/aggregate_groups.h"

#include "codec/hash.h"

namespace historian::planner {

namespace {

constexpr uint32 kPlacesMin = 64;

uint64 hash_datum(Datum value, bool by_value, int length) {
    const void *bytes = by_value ? &value : static_cast<const void *>(DatumGetPointer(value));
    return codec::hash_bytes({static_cast<const std::byte *>(bytes), datumGetSize(value, by_value, length)});
}

uint64 hash_of(const GroupShape &shape, const GroupKey &key) {
    uint64 hash = 0;
    if (shape.by_tag && !key.tag_is_null) hash = codec::hash_bytes({key.tag.data, key.tag.byte_count});
    if (shape.by_bucket && !key.bucket_is_null)
        hash = hash_combine64(hash, hash_datum(key.bucket, shape.bucket_by_value, shape.bucket_length));
    for (uint32 i = 0; i < shape.other_count; i++) {
        const NullableDatum &other = key.others[i];
        const FormData_pg_attribute *column = shape.others[i];
        hash = hash_combine64(hash, other.isnull ? i : hash_datum(other.value, column->attbyval, column->attlen));
    }
    return hash;
}

bool is_same_tag(const GroupKey &a, const GroupKey &b) {
    if (a.tag_is_null || b.tag_is_null) return a.tag_is_null == b.tag_is_null;
    return a.tag.byte_count == b.tag.byte_count && memcmp(a.tag.data, b.tag.data, a.tag.byte_count) == 0;
}

bool is_same(const GroupShape &shape, const GroupKey &a, const GroupKey &b) {
    if (shape.by_tag && !is_same_tag(a, b)) return false;
    for (uint32 i = 0; i < shape.other_count; i++) {
        const FormData_pg_attribute *column = shape.others[i];
        if (a.others[i].isnull != b.others[i].isnull) return false;
        if (a.others[i].isnull) continue;
        if (!datumIsEqual(a.others[i].value, b.others[i].value, column->attbyval, column->attlen)) return false;
    }
    if (!shape.by_bucket) return true;
    if (a.bucket_is_null || b.bucket_is_null) return a.bucket_is_null == b.bucket_is_null;
    return datumIsEqual(a.bucket, b.bucket, shape.bucket_by_value, shape.bucket_length);
}

void make_places(GroupTable *table, uint32 count) {
    table->place_count = count;
    table->places = static_cast<Group **>(
        MemoryContextAllocExtended(table->memory, sizeof(Group *) * Size{count}, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO));
    // Places are at most half full.
    const Size bytes = sizeof(Group *) * Size{count / 2};
    table->groups = static_cast<Group **>(table->groups == nullptr ? MemoryContextAllocHuge(table->memory, bytes)
                                                                   : repalloc_huge(table->groups, bytes));
}

Group **place_of(const GroupTable *table, uint64 hash) { return &table->places[hash & (table->place_count - 1)]; }

void put(GroupTable *table, Group *group) {
    Group **place = place_of(table, group->hash);
    while (*place != nullptr) {
        if (++place == table->places + table->place_count) place = table->places;
    }
    *place = group;
}

Group *make_group(GroupTable *table, const GroupKey &key, uint64 hash) {
    MemoryContext old = MemoryContextSwitchTo(table->memory);
    const GroupShape &shape = table->shape;
    const Size bytes = sizeof(Group) + sizeof(MeasureState) * shape.measure_count;
    Group *group = static_cast<Group *>(palloc0(bytes));
    group->hash = hash;
    group->measures = reinterpret_cast<MeasureState *>(group + 1);
    if (shape.by_tag) {
        group->key.tag_is_null = key.tag_is_null;
        if (!key.tag_is_null) {
            auto *copy = static_cast<std::byte *>(palloc(Max(key.tag.byte_count, 1)));
            memcpy(copy, key.tag.data, key.tag.byte_count);
            group->key.tag = {copy, key.tag.byte_count};
        }
    }
    if (shape.by_bucket) {
        group->key.bucket_is_null = key.bucket_is_null;
        if (!key.bucket_is_null) group->key.bucket = datumCopy(key.bucket, shape.bucket_by_value, shape.bucket_length);
    }
    if (shape.other_count > 0) {
        auto *others = static_cast<NullableDatum *>(palloc0(sizeof(NullableDatum) * shape.other_count));
        for (uint32 i = 0; i < shape.other_count; i++) {
            others[i].isnull = key.others[i].isnull;
            const FormData_pg_attribute *column = shape.others[i];
            if (!others[i].isnull) others[i].value = datumCopy(key.others[i].value, column->attbyval, column->attlen);
        }
        group->key.others = others;
    }
    MemoryContextSwitchTo(old);
    return group;
}

}  // namespace

void begin_groups(GroupTable *table, const GroupShape &shape, MemoryContext memory) {
    *table = GroupTable{};
    table->shape = shape;
    table->memory = memory;
    make_places(table, kPlacesMin);
}

Group *group_of(GroupTable *table, const GroupKey &key) {
    const uint64 hash = hash_of(table->shape, key);
    for (Group **place = place_of(table, hash); *place != nullptr;) {
        if ((*place)->hash == hash && is_same(table->shape, (*place)->key, key)) return *place;
        if (++place == table->places + table->place_count) place = table->places;
    }
    if (table->group_count == table->place_count / 2) {
        pfree(table->places);
        make_places(table, table->place_count * 2);
        for (uint32 i = 0; i < table->group_count; i++) put(table, table->groups[i]);
    }
    Group *group = make_group(table, key, hash);
    table->groups[table->group_count++] = group;
    put(table, group);
    return group;
}

void forget_groups(GroupTable *table) {
    MemoryContextReset(table->memory);
    table->groups = nullptr;
    table->group_count = 0;
    make_places(table, kPlacesMin);
}

}  // namespace historian::planner
