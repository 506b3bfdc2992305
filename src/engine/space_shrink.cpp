// How full the file is, and giving its free end back.
#include "engine/pages.h"
#include "engine/space.h"

namespace historian::engine {

namespace {

// A smaller share of the file is not worth an exclusive lock.
constexpr BlockNumber kShrinkShare = 16;

// The end of the last extent that an entry owns.
BlockNumber end_of_entries(Relation rel, const format::Metapage &meta) {
    BlockNumber end = format::kFixedBlocks;
    for_each_entry(rel, meta, [&end](uint32, const format::DirectoryEntry &entry) {
        for_each_extent(entry, [&end](const format::Extent &extent) { end = Max(end, extent.first_block + extent.block_count); });
    });
    return end;
}

// What the map says is free is cut off for ever: the directory has to agree.
void refuse_to_cut_entries(Relation rel, BlockNumber end) {
    format::Metapage meta;
    if (!read_metapage(rel, &meta)) return;
    BlockNumber owned_end = end_of_entries(rel, meta);
    for (uint32 e = 1; e < meta.directory_extent_count; e++) owned_end = Max(owned_end, meta.directory_extents[e] + (1u << e));
    if (owned_end > end) report_damage(rel, end, "The map says that no block from here on is in use, the directory names one.");
}

}  // namespace

SpaceUse measure_space(Relation rel) {
    SpaceUse use = {RelationGetNumberOfBlocks(rel), 0, 0, 0, 0, InvalidBlockNumber};
    format::Metapage meta;
    if (!read_metapage(rel, &meta)) return use;
    use.tight_end = use.movable_end = end_of_entries(rel, meta);
    for (uint32 e = 1; e < meta.directory_extent_count; e++) {
        if (meta.directory_extents[e] >= use.movable_end) use.tight_end += 1u << e;
    }
    uint8 bits[format::kMapBytes];
    for (uint32 map_index = 0; map_index < format::map_page_count(use.blocks); map_index++) {
        CHECK_FOR_INTERRUPTS();
        read_map_bits(rel, map_index, bits);
        const uint32 first = map_index * format::kMapBlocks;
        for (uint32 bit = 0; bit < format::kMapBlocks && first + bit < use.blocks; bit++) {
            if (!bit_is_set(bits, bit)) continue;
            if (first + bit >= use.end + kHoleBlocksMin) use.first_hole = Min(use.first_hole, use.end);
            use.allocated++;
            // A map page alone does not keep the file long: beyond the end it is all zeros, which is what it means then.
            if (bit > 0 || map_index == 0) use.end = first + bit + 1;
        }
    }
    return use;
}

bool has_free_end(const SpaceUse &use, BlockNumber at_least) {
    const BlockNumber free_at_end = use.blocks - Min(use.tight_end, use.end);
    return use.end > 0 && free_at_end >= at_least && free_at_end >= use.blocks / kShrinkShare;
}

BlockNumber shrink_file(Relation rel, BlockNumber at_least) {
    if (!has_free_end(measure_space(rel), at_least)) return 0;
    if (!ConditionalLockRelation(rel, AccessExclusiveLock)) return 0;
    // Nobody else can allocate now; what was allocated since the first look counts.
    pull_directory_down(rel);
    const SpaceUse now = measure_space(rel);
    const BlockNumber gone = now.blocks - now.end;
    refuse_to_cut_entries(rel, now.end);
    if (gone > 0) RelationTruncate(rel, now.end);
    UnlockRelation(rel, AccessExclusiveLock);
    return gone;
}

}  // namespace historian::engine
