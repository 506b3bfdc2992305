// The directory of a table: where an entry lies, and reading it.
#include "engine/space.h"

#include "engine/pages.h"
#include "engine/report.h"
#include "engine/validate.h"

namespace historian::engine {

using format::DirectoryEntry;
using format::Extent;
using format::kEntriesPerPage;
using format::kPageHeaderBytes;
using format::Metapage;
using format::PageKind;
using format::PageTrailer;

EntryPlace entry_place(const Metapage &meta, uint32 slot) {
    const uint32 page = slot / kEntriesPerPage;
    // Extent e holds pages [2^e - 1, 2^(e+1) - 1).
    const uint32 extent = 31 - __builtin_clz(page + 1);
    Assert(extent < meta.directory_extent_count);
    return {meta.directory_extents[extent] + (page + 1 - (1u << extent)),
            kPageHeaderBytes + slot % kEntriesPerPage * static_cast<uint32>(sizeof(DirectoryEntry))};
}

uint32 directory_capacity(const Metapage &meta) { return ((1u << meta.directory_extent_count) - 1) * kEntriesPerPage; }

bool directory_page_is_fresh(const Metapage &meta, uint32 slot) { return slot - slot % kEntriesPerPage >= meta.slot_count; }

DirectoryEntry entry_on_page(Page page, uint32 offset) {
    DirectoryEntry entry;
    memcpy(&entry, static_cast<char *>(page) + offset, sizeof(entry));
    return entry;
}

DirectoryEntry read_entry(Relation rel, const Metapage &meta, uint32 slot) {
    if (slot >= meta.slot_count) {
        // It may have been used since.
        Metapage now;
        read_metapage(rel, &now);
        return slot < now.slot_count ? read_entry(rel, now, slot) : DirectoryEntry{};
    }
    const EntryPlace place = entry_place(meta, slot);
    const Buffer buffer = lock_directory_page(rel, meta, slot, PageLock::shared);
    const DirectoryEntry entry = entry_on_page(BufferGetPage(buffer), place.offset);
    UnlockReleaseBuffer(buffer);
    validate_entry(rel, meta, place.block, entry, RelationGetNumberOfBlocks(rel));
    return entry;
}

DirectoryEntry read_entry_again(Relation rel, const Metapage &meta, uint32 slot) {
    const EntryPlace place = entry_place(meta, slot);
    const Buffer buffer = lock_page(rel, place.block, PageLock::shared);
    const DirectoryEntry entry = entry_on_page(BufferGetPage(buffer), place.offset);
    UnlockReleaseBuffer(buffer);
    return entry;
}

Buffer lock_directory_page(Relation rel, const Metapage &meta, uint32 slot, PageLock mode) {
    const BlockNumber block = entry_place(meta, slot).block;
    if (block >= RelationGetNumberOfBlocks(rel)) report_damage(rel, block, "A directory page is beyond the end of the file.");
    const Buffer buffer = lock_page(rel, block, mode);
    Page page = BufferGetPage(buffer);
    // Of a page that never held an entry, which slot_count tells, the bytes are anybody's.
    const bool is_ours = directory_page_is_fresh(meta, slot) ||
                         (page_is(page, PageKind::directory) && page_trailer(page)->slot == slot - slot % kEntriesPerPage);
    if (unlikely(!is_ours)) {
        UnlockReleaseBuffer(buffer);
        report_damage(rel, block, "The block should be a directory page.");
    }
    return buffer;
}

void read_directory_page(Relation rel, const Metapage &meta, uint32 first_slot, DirectoryEntry *entries) {
    const Buffer buffer = lock_directory_page(rel, meta, first_slot, PageLock::shared);
    const BlockNumber block = BufferGetBlockNumber(buffer);
    for (uint32 i = 0; i < kEntriesPerPage; i++) {
        entries[i] = entry_on_page(BufferGetPage(buffer), kPageHeaderBytes + i * static_cast<uint32>(sizeof(DirectoryEntry)));
    }
    UnlockReleaseBuffer(buffer);
    const BlockNumber blocks = RelationGetNumberOfBlocks(rel);
    for (uint32 i = 0; i < kEntriesPerPage && first_slot + i < meta.slot_count; i++) {
        validate_entry(rel, meta, block, entries[i], blocks);
    }
}

void stage_directory_page(PageEdit &edit, int page_index, uint32 first_slot) {
    patch_lower(edit, page_index, kPageHeaderBytes + kEntriesPerPage * sizeof(DirectoryEntry));
    patch_trailer(edit, page_index, PageTrailer{static_cast<uint16>(PageKind::directory), 0, first_slot, 0, 0});
}

int add_directory_page(PageEdit &edit, Buffer buffer, const Metapage &meta, uint32 slot) {
    const bool fresh = directory_page_is_fresh(meta, slot);
    const int index = edit.add_page(buffer, fresh ? sizeof(PageTrailer) : 0);
    if (fresh) stage_directory_page(edit, index, slot - slot % kEntriesPerPage);
    return index;
}

namespace {

BlockNumber block_in(const Extent *extents, uint32 extent_count, uint32 page_index) {
    for (uint32 e = 0; e < extent_count && e < format::kEntryExtentsMax; e++) {
        if (page_index < extents[e].block_count) return extents[e].first_block + page_index;
        page_index -= extents[e].block_count;
    }
    return InvalidBlockNumber;
}

uint32 count_blocks(const Extent *extents, uint32 extent_count) {
    uint32 blocks = 0;
    for (uint32 e = 0; e < extent_count && e < format::kEntryExtentsMax; e++) blocks += extents[e].block_count;
    return blocks;
}

}  // namespace

BlockNumber entry_block(const DirectoryEntry &entry, uint32 page_index) {
    return block_in(entry.extents, entry.extent_count, page_index);
}

BlockNumber entry_log_block(const DirectoryEntry &entry, uint32 page_index) {
    return block_in(entry.log_extents, entry.log_extent_count, page_index);
}

uint32 entry_block_count(const DirectoryEntry &entry) { return count_blocks(entry.extents, entry.extent_count); }

uint32 entry_log_block_count(const DirectoryEntry &entry) { return count_blocks(entry.log_extents, entry.log_extent_count); }

}  // namespace historian::engine
