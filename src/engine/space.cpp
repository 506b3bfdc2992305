#include "engine/space.h"

#include "engine/pages.h"
#include "engine/report.h"
#include "engine/validate.h"

namespace historian::engine {

using format::DirectoryEntry;
using format::EntryKind;
using format::Extent;
using format::kEntriesPerPage;
using format::kMapBlocks;
using format::kPageHeaderBytes;
using format::Metapage;
using format::PageKind;
using format::PageTrailer;

// -------------------------------------------------------------------------------------------------------- allocation map

namespace {

// Free runs are searched first-fit, so that a table's blocks stay together at its beginning.
struct FreeRun {
    bool found;
    Extent extent;
};

// The first run of block_count clear bits in [from, limit): limit is where bits stand for existing blocks no more.
FreeRun find_free_run(const uint8 *bits, uint32 map_index, uint32 from, uint32 limit, uint32 block_count) {
    uint32 run = 0;
    for (uint32 bit = from; bit < limit; bit++) {
        if (bit % 64 == 0 && bit + 64 <= limit) {  // skip 64 allocated blocks at once
            uint64 word;
            memcpy(&word, bits + bit / 8, sizeof(word));
            if (word == ~UINT64CONST(0)) {
                run = 0;
                bit += 63;
                continue;
            }
        }
        run = bit_is_set(bits, bit) ? 0 : run + 1;
        if (run == block_count) return {true, {map_index * kMapBlocks + bit + 1 - block_count, block_count}};
    }
    return {false, {0, 0}};
}

bool is_map_page(Page page, uint32 map_index) {
    if (map_index == 0) return page_is(page, PageKind::meta);
    return PageIsNew(page) || (page_is(page, PageKind::map) && page_trailer(page)->sequence == map_index);
}

Buffer lock_map_page(Relation rel, uint32 map_index, PageLock mode, uint8 *bits) {
    const BlockNumber block = format::map_page_block(map_index);
    const Buffer buffer = lock_page(rel, block, mode);
    Page page = BufferGetPage(buffer);
    if (unlikely(!is_map_page(page, map_index))) report_damage(rel, block, "The block should be an allocation map page.");
    if (PageIsNew(page)) {
        memset(bits, 0, format::kMapBytes);
        bits[0] = 1;
    } else {
        memcpy(bits, static_cast<char *>(page) + format::map_bits_offset(map_index), format::kMapBytes);
    }
    return buffer;
}

// A map page under its exclusive lock and, once lock_metapage_with() was called, the metapage. The first map page is the
// metapage: one buffer then, which is locked once, named once in an edit and released once.
struct LockedMap {
    uint32 index = 0;
    Buffer buffer = InvalidBuffer;
    Buffer meta_buffer = InvalidBuffer;
    Metapage meta = {};             // as on the page; the caller changes it and stages it
    uint8 bits[format::kMapBytes];  // as they count: a page of zeros has only its own block taken
};

bool is_metapage(const LockedMap &map) { return map.index == 0; }

void lock_map(Relation rel, uint32 map_index, LockedMap *map) {
    map->index = map_index;
    map->buffer = lock_map_page(rel, map_index, PageLock::exclusive, map->bits);
    map->meta_buffer = InvalidBuffer;
}

// Nothing more is locked until unlock_map(): the metapage is the last in the order (rule R15).
void lock_metapage_with(Relation rel, LockedMap *map) {
    map->meta_buffer = is_metapage(*map) ? map->buffer : lock_page(rel, format::kMetaBlock, PageLock::exclusive);
    map->meta = *metapage_of(BufferGetPage(map->meta_buffer));
}

void unlock_map(const LockedMap &map) {
    if (BufferIsValid(map.meta_buffer) && !is_metapage(map)) UnlockReleaseBuffer(map.meta_buffer);
    UnlockReleaseBuffer(map.buffer);
}

// Sets or clears an extent's bits and stages the bytes that changed of a map page that is named in the edit.
void stage_named_bits(PageEdit &edit, int index, LockedMap *map, const Extent &extent, bool allocated) {
    const uint32 offset = format::map_bits_offset(map->index);
    const uint32 first = extent.first_block % kMapBlocks;
    const uint32 last = first + extent.block_count - 1;
    for (uint32 bit = first; bit <= last; bit++) {
        const uint8 mask = static_cast<uint8>(1u << (bit % 8));
        map->bits[bit / 8] = allocated ? (map->bits[bit / 8] | mask) : (map->bits[bit / 8] & ~mask);
    }
    edit.patch(index, offset + first / 8, map->bits + first / 8, last / 8 - first / 8 + 1);
}

// The same of one that is not; returns its index in the edit. A map page of zeros is initialised, with its own block taken.
int stage_bits(PageEdit &edit, LockedMap *map, const Extent &extent, bool allocated) {
    const bool fresh = PageIsNew(BufferGetPage(map->buffer));
    const int index = edit.add_page(map->buffer, fresh ? sizeof(PageTrailer) : 0);
    if (fresh) {
        const uint32 offset = format::map_bits_offset(map->index);
        patch_lower(edit, index, offset + format::kMapBytes);
        patch_trailer(edit, index, PageTrailer{static_cast<uint16>(PageKind::map), 0, 0, 0, map->index});
        edit.patch(index, offset, map->bits, 1);
    }
    stage_named_bits(edit, index, map, extent, allocated);
    return index;
}

// Stages map.meta; map_page is what stage_bits() returned.
void stage_metapage(PageEdit &edit, const LockedMap &map, int map_page) {
    patch_metapage(edit, is_metapage(map) ? map_page : edit.add_page(map.meta_buffer), map.meta);
}

// Finds block_count adjacent free blocks from place_from on among the first existing_blocks. When there are any, their map page
// and the metapage stay locked.
FreeRun lock_free_run(Relation rel, uint32 existing_blocks, uint32 block_count, LockedMap *map, BlockNumber place_from = 0) {
    for (uint32 map_index = place_from / kMapBlocks; map_index < format::map_page_count(existing_blocks); map_index++) {
        const BlockNumber first = map_index * kMapBlocks;
        lock_map(rel, map_index, map);
        const uint32 from = place_from > first ? place_from - first : 0;
        const FreeRun run = find_free_run(map->bits, map_index, from, Min(existing_blocks - first, kMapBlocks), block_count);
        if (run.found) {
            lock_metapage_with(rel, map);
            if (!extent_is_possible(map->meta, run.extent))
                report_damage(rel, format::map_page_block(map_index), "The map says that the table's own pages are free.");
            return run;
        }
        unlock_map(*map);
    }
    return {false, {0, 0}};
}

// Adds zeroed blocks to the end of the file; the caller holds the extension lock.
void extend_to(Relation rel, BlockNumber target) {
    for (BlockNumber blocks = RelationGetNumberOfBlocks(rel); blocks < target; blocks++) {
        extend_by_one_block(rel);
        if (blocks % 256 == 255) CHECK_FOR_INTERRUPTS();
    }
}

// Grows the file so that block_count adjacent blocks at its end are free, unless others take them first.
void extend_for_run(Relation rel, uint32 block_count) {
    LockRelationForExtension(rel, ExclusiveLock);
    const BlockNumber blocks = RelationGetNumberOfBlocks(rel);
    BlockNumber target = blocks + block_count;
    // An extent lies within one map page's range, whose first block is the map page itself.
    if (blocks / kMapBlocks != (target - 1) / kMapBlocks) target = (blocks / kMapBlocks + 1) * kMapBlocks + 1 + block_count;
    if (target > format::kSealedBlockBit) {
        ereport(ERROR, errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                errmsg("cannot extend table \"%s\" beyond %u blocks", RelationGetRelationName(rel), format::kSealedBlockBit),
                errhint("Partition the table by time."));
    }
    extend_to(rel, target);
    UnlockRelationForExtension(rel, ExclusiveLock);
}

// Makes room for more entries: one more extent of directory pages, twice as large as the last.
void grow_directory(Relation rel, uint32 extent_count) {
    if (extent_count >= format::kDirectoryExtentsMax) {
        ereport(ERROR, errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                errmsg("table \"%s\" has too many segments", RelationGetRelationName(rel)),
                errhint("Partition the table by time."));
    }
    LockedMap map;
    const uint32 page_count = 1u << extent_count;
    for (;;) {
        Metapage meta;
        read_metapage(rel, &meta);
        if (meta.directory_extent_count != extent_count) return;  // another session did it
        const FreeRun run = lock_free_run(rel, RelationGetNumberOfBlocks(rel), page_count, &map);
        if (!run.found) {
            extend_for_run(rel, page_count);
            continue;
        }
        if (map.meta.directory_extent_count == extent_count) {
            // The new pages hold anybody's bytes; see directory_page_is_fresh().
            PageEdit edit(rel, EditPurpose::grow_directory);
            const int map_page = stage_bits(edit, &map, run.extent, true);
            map.meta.directory_extents[extent_count] = run.extent.first_block;
            map.meta.directory_extent_count = extent_count + 1;
            stage_metapage(edit, map, map_page);
            edit.commit();
        }
        unlock_map(map);
        return;
    }
}

// The first slot that looks free from the hint on: slot_count when none below it is.
uint32 find_free_slot(Relation rel, const Metapage &meta) {
    DirectoryEntry entries[kEntriesPerPage];
    for (uint32 first = meta.free_slot_hint - meta.free_slot_hint % kEntriesPerPage; first < meta.slot_count;
         first += kEntriesPerPage) {
        read_directory_page(rel, meta, first, entries);
        for (uint32 i = 0; i < kEntriesPerPage && first + i < meta.slot_count; i++) {
            if (first + i < meta.free_slot_hint) continue;
            if (entries[i].kind == static_cast<uint8>(EntryKind::free)) return first + i;
        }
    }
    if (meta.slot_count >= format::kSlotsMax) {
        ereport(ERROR, errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                errmsg("table \"%s\" has too many segments", RelationGetRelationName(rel)),
                errhint("Partition the table by time."));
    }
    return meta.slot_count;
}

// With the entry's directory page, the map page and the metapage locked: writes all three. False when the request to become the
// active run came too late.
bool commit_new_entry(Relation rel, const Metapage &seen, uint32 slot, const EntryPlace &place, Buffer directory_buffer,
                      LockedMap *map, const NewEntry &request) {
    Metapage &meta = map->meta;
    if (request.activate && meta.active_slot != request.expected_active) return false;
    PageEdit edit(rel, EditPurpose::create_entry);
    const int directory = add_directory_page(edit, directory_buffer, meta, slot);
    edit.patch(directory, place.offset, &request.entry, sizeof(DirectoryEntry));
    const int map_page = stage_bits(edit, map, request.entry.extents[0], true);
    meta.slot_count = Max(meta.slot_count, slot + 1);
    if (meta.free_slot_hint == seen.free_slot_hint) meta.free_slot_hint = slot + 1;  // else an entry below was freed meanwhile
    if (request.activate) meta.active_slot = slot;
    stage_metapage(edit, *map, map_page);
    edit.commit();
    return true;
}

}  // namespace

void read_map_bits(Relation rel, uint32 map_index, uint8 *bits) {
    UnlockReleaseBuffer(lock_map_page(rel, map_index, PageLock::shared, bits));
}

void ensure_block(Relation rel, BlockNumber block) {
    if (block < RelationGetNumberOfBlocks(rel)) return;
    LockRelationForExtension(rel, ExclusiveLock);
    extend_to(rel, block + 1);
    UnlockRelationForExtension(rel, ExclusiveLock);
}

uint32 create_entry(Relation rel, NewEntry *request) {
    ensure_metapage(rel);
    LockedMap map;
    for (;;) {
        CHECK_FOR_INTERRUPTS();
        Metapage meta;
        read_metapage(rel, &meta);
        const uint32 slot = find_free_slot(rel, meta);
        if (slot >= directory_capacity(meta)) {
            grow_directory(rel, meta.directory_extent_count);
            continue;
        }
        const EntryPlace place = entry_place(meta, slot);
        ensure_block(rel, place.block);
        const BlockNumber existing_blocks = RelationGetNumberOfBlocks(rel);
        const Buffer directory_buffer = lock_directory_page(rel, meta, slot, PageLock::exclusive);
        Metapage now;
        read_metapage(rel, &now);  // another session may have used the page first
        DirectoryEntry old = {};
        if (!directory_page_is_fresh(now, slot)) old = entry_on_page(BufferGetPage(directory_buffer), place.offset);
        if (old.kind != static_cast<uint8>(EntryKind::free)) {  // another session took the slot
            UnlockReleaseBuffer(directory_buffer);
            if (slot >= now.slot_count) report_damage(rel, format::kMetaBlock, "The metapage counts too few entries.");
            continue;
        }
        const FreeRun run = lock_free_run(rel, existing_blocks, request->page_count, &map, request->place_from);
        if (!run.found) {
            UnlockReleaseBuffer(directory_buffer);
            extend_for_run(rel, request->page_count);
            continue;
        }
        request->entry.generation = old.generation + 1;
        request->entry.extent_count = 1;
        request->entry.extents[0] = run.extent;
        const bool done = commit_new_entry(rel, meta, slot, place, directory_buffer, &map, *request);
        unlock_map(map);
        UnlockReleaseBuffer(directory_buffer);
        return done ? slot : format::kNoSlot;
    }
}

namespace {

// Whether an entry, read again under its page's lock, still is what the caller wants to give an extent to.
bool may_grow(const DirectoryEntry &entry, const DirectoryEntry &expected, ExtentList list) {
    if (entry.generation != expected.generation || entry.kind != expected.kind) return false;
    if (list == ExtentList::delete_log)
        return entry.log_extent_count == expected.log_extent_count && entry.log_extent_count < format::kEntryExtentsMax;
    return entry.extent_count == expected.extent_count && entry.extent_count < format::kEntryExtentsMax &&
           (entry.flags & format::kEntryTailClosed) == 0;
}

void push_extent(DirectoryEntry *entry, ExtentList list, const Extent &extent) {
    if (list == ExtentList::delete_log)
        entry->log_extents[entry->log_extent_count++] = extent;
    else
        entry->extents[entry->extent_count++] = extent;
}

}  // namespace

bool add_extent(Relation rel, uint32 slot, const DirectoryEntry &expected, uint32 page_count, ExtentList list) {
    LockedMap map;
    for (;;) {
        CHECK_FOR_INTERRUPTS();
        Metapage meta;
        read_metapage(rel, &meta);
        const BlockNumber existing_blocks = RelationGetNumberOfBlocks(rel);
        const EntryPlace place = entry_place(meta, slot);
        const Buffer directory_buffer = lock_page(rel, place.block, PageLock::exclusive);
        DirectoryEntry entry = entry_on_page(BufferGetPage(directory_buffer), place.offset);
        if (!may_grow(entry, expected, list)) {
            UnlockReleaseBuffer(directory_buffer);
            return false;
        }
        const FreeRun run = lock_free_run(rel, existing_blocks, page_count, &map);
        if (!run.found) {
            UnlockReleaseBuffer(directory_buffer);
            extend_for_run(rel, page_count);
            continue;
        }
        push_extent(&entry, list, run.extent);
        PageEdit edit(rel, EditPurpose::add_extent);
        const int directory = edit.add_page(directory_buffer);
        edit.patch(directory, place.offset, &entry, sizeof(entry));
        stage_bits(edit, &map, run.extent, true);
        edit.commit();
        unlock_map(map);
        UnlockReleaseBuffer(directory_buffer);
        return true;
    }
}

namespace {

// Takes the last extent out of a copy of an entry, its delete log's extents first.
Extent pop_extent(DirectoryEntry *entry) {
    Extent *last =
        entry->log_extent_count > 0 ? &entry->log_extents[--entry->log_extent_count] : &entry->extents[--entry->extent_count];
    const Extent extent = *last;
    *last = Extent{0, 0};
    return extent;
}

// Takes the last extent from an entry and clears its bits; without a further extent the entry is free.
void release_last_extent(Relation rel, uint32 slot, const Metapage &old_meta, TransactionId conflict_xid) {
    const EntryPlace place = entry_place(old_meta, slot);
    const Buffer directory_buffer = lock_page(rel, place.block, PageLock::exclusive);
    DirectoryEntry entry = entry_on_page(BufferGetPage(directory_buffer), place.offset);
    const Extent extent = pop_extent(&entry);
    if (entry.extent_count == 0) {
        const uint32 generation = entry.generation;
        entry = DirectoryEntry{};
        entry.generation = generation;
    } else {
        // Owned by nobody from here on: a crash between two extents leaves an entry that VACUUM frees.
        entry.kind = static_cast<uint8>(EntryKind::building);
        entry.xmin = InvalidTransactionId;
        entry.xmax = InvalidTransactionId;
        entry.log_pages = 0;
    }
    LockedMap map;
    lock_map(rel, extent.first_block / kMapBlocks, &map);
    lock_metapage_with(rel, &map);

    PageEdit edit(rel, EditPurpose::release);
    edit.set_conflict(conflict_xid);
    const int directory = edit.add_page(directory_buffer);
    edit.patch(directory, place.offset, &entry, sizeof(entry));
    const int map_page = stage_bits(edit, &map, extent, false);
    map.meta.free_slot_hint = Min(map.meta.free_slot_hint, slot);
    if (map.meta.active_slot == slot) map.meta.active_slot = format::kNoSlot;
    stage_metapage(edit, map, map_page);
    edit.commit();
    unlock_map(map);
    UnlockReleaseBuffer(directory_buffer);
}

}  // namespace

void release_entry(Relation rel, uint32 slot, TransactionId conflict_xid) {
    Metapage meta;
    read_metapage(rel, &meta);
    const DirectoryEntry entry = read_entry(rel, meta, slot);
    for (uint32 left = entry.extent_count + entry.log_extent_count; left > 0; left--) {
        release_last_extent(rel, slot, meta, conflict_xid);
        conflict_xid = InvalidTransactionId;  // the first record cancelled them all
    }
}

namespace {

// Copies the pages of a directory extent that were ever written to free blocks. Whatever happens then, these are nobody's, or the
// directory's with these bytes.
void copy_directory_pages(Relation rel, const Metapage &meta, uint32 extent, BlockNumber target) {
    for (uint32 page = 0; page < 1u << extent; page++) {
        const uint32 first_slot = ((1u << extent) - 1 + page) * kEntriesPerPage;
        if (directory_page_is_fresh(meta, first_slot)) return;
        const Buffer from = lock_directory_page(rel, meta, first_slot, PageLock::shared);
        char bytes[format::kPageBytes];
        memcpy(bytes, BufferGetPage(from), sizeof(bytes));
        UnlockReleaseBuffer(from);
        const Buffer to = lock_page(rel, target + page, PageLock::exclusive);
        PageEdit edit(rel, EditPurpose::move_directory);
        const int index = edit.add_page(to, sizeof(PageTrailer));
        stage_directory_page(edit, index, first_slot);
        edit.patch(index, kPageHeaderBytes, bytes + kPageHeaderBytes, kEntriesPerPage * sizeof(DirectoryEntry));
        edit.commit();
        UnlockReleaseBuffer(to);
    }
}

// Makes a copied extent the directory's, and frees the old one.
void switch_directory_extent(Relation rel, uint32 number, const Extent &from, const Extent &to) {
    LockedMap to_map;
    LockedMap from_map;
    const bool is_one_map = to.first_block / kMapBlocks == from.first_block / kMapBlocks;
    lock_map(rel, to.first_block / kMapBlocks, &to_map);
    if (!is_one_map) lock_map(rel, from.first_block / kMapBlocks, &from_map);
    lock_metapage_with(rel, &to_map);
    PageEdit edit(rel, EditPurpose::move_directory);
    const int to_page = stage_bits(edit, &to_map, to, true);
    if (is_one_map)
        stage_named_bits(edit, to_page, &to_map, from, false);
    else
        stage_bits(edit, &from_map, from, false);
    to_map.meta.directory_extents[number] = to.first_block;
    stage_metapage(edit, to_map, to_page);
    edit.commit();
    unlock_map(to_map);
    if (!is_one_map) unlock_map(from_map);
}

}  // namespace

uint64 directory_moves = 0;

void pull_directory_down(Relation rel) {
    Metapage meta;
    // A cursor of this session may be in the middle of a scan, and knows where the directory was.
    if (rel->rd_refcnt > 1 || !read_metapage(rel, &meta)) return;
    const BlockNumber movable_end = measure_space(rel).movable_end;
    for (uint32 e = 1; e < meta.directory_extent_count; e++) {
        const Extent from = {meta.directory_extents[e], 1u << e};
        if (from.first_block < movable_end) continue;
        LockedMap map;
        const FreeRun run = lock_free_run(rel, from.first_block, from.block_count, &map);
        if (!run.found) continue;
        unlock_map(map);
        copy_directory_pages(rel, meta, e, run.extent.first_block);
        switch_directory_extent(rel, e, from, run.extent);
        directory_moves++;
        read_metapage(rel, &meta);
    }
}

}  // namespace historian::engine
