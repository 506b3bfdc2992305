// Space: which blocks belong to whom. Allocation map, directory entries, growth of the file.
//
// Invariants:
//   1. The map's bits and the entry that owns the blocks change in one WAL record (rule R13): no crash leaks a block or gives it
//   away twice.
//   2. The file grows before bits are set; blocks beyond the map's knowledge, and zero map pages, are free by definition.
//   3. An extent lies within the range of one map page.
//   4. The first map page is the metapage: one page, locked once.
#pragma once

#include "engine/server.h"
//
#include "engine/pages.h"
#include "engine/wal.h"
#include "format/page_layout.h"

namespace historian::engine {

/// A place in the directory.
struct EntryPlace {
    BlockNumber block;
    uint32 offset;  // of the entry's first byte in the page
};

/// Where an entry lies; the slot's directory page must exist.
EntryPlace entry_place(const format::Metapage &meta, uint32 slot);

/// Pins and locks the directory page of a slot.
/// errors  XX001 the page is beyond the file, or is no directory page though the slot or one before it on the page was used
Buffer lock_directory_page(Relation rel, const format::Metapage &meta, uint32 slot, PageLock mode);

/// How many slots the existing directory pages hold.
uint32 directory_capacity(const format::Metapage &meta);

/// Copies one entry; an entry of zeros (kind free) when its page was never written.
format::DirectoryEntry read_entry(Relation rel, const format::Metapage &meta, uint32 slot);

/// The same for an entry that was read and believed before: what is compared with it then needs no second validation.
format::DirectoryEntry read_entry_again(Relation rel, const format::Metapage &meta, uint32 slot);

/// Calls visit(slot, entry) for each entry in use, page by page; the page is share-locked only while it is copied.
template <typename Visit>
void for_each_entry(Relation rel, const format::Metapage &meta, Visit visit);

/// Copies the entries of the directory page that holds first_slot (a multiple of kEntriesPerPage) to `entries`.
void read_directory_page(Relation rel, const format::Metapage &meta, uint32 first_slot, format::DirectoryEntry *entries);

/// Stages an empty directory page.
void stage_directory_page(PageEdit &edit, int page_index, uint32 first_slot);

/// Whether no entry on a slot's directory page was ever used. All that are on it are free then, and its bytes are anybody's:
/// zeros, or what a former owner left, which may have been the directory itself.
///
/// meta   as it is while the page is locked
bool directory_page_is_fresh(const format::Metapage &meta, uint32 slot);

/// A directory page that is locked and named in an edit, initialised by the edit when it is fresh.
int add_directory_page(PageEdit &edit, Buffer buffer, const format::Metapage &meta, uint32 slot);

/// An entry as it stands on a locked directory page that is not fresh.
format::DirectoryEntry entry_on_page(Page page, uint32 offset);

struct NewEntry {
    format::DirectoryEntry entry = {};  // kind, xmin, cmin...; generation and extents are filled in
    uint32 page_count = 0;              // blocks wanted, in one extent unless they do not fit one map page
    BlockNumber place_from = 0;         // they lie here or beyond
    bool activate = false;              // make it the active tail run ...
    uint32 expected_active = 0;         // ... provided that this slot still is
};

/// Allocates blocks and the entry that owns them.
///
/// returns  the slot, or kNoSlot when activate is asked for and another session was faster
/// errors   54000 the table is full
uint32 create_entry(Relation rel, NewEntry *request);

/// An entry's two lists of extents.
enum class ExtentList : uint8 { content, delete_log };

/// Adds an extent of page_count blocks to an entry; false when the entry is not the same generation and kind any more, is a
/// closed run, or has another number of extents in that list than expected (another session was faster).
bool add_extent(Relation rel, uint32 slot, const format::DirectoryEntry &expected, uint32 page_count,
                ExtentList list = ExtentList::content);

/// Changes an entry: change(&entry) is called with the entry as it stands under its page's exclusive lock, and says whether it
/// changed anything. Others may open pages of its delete log at any time, so nobody writes a copy back that he read before.
template <typename Change>
bool edit_entry(Relation rel, uint32 slot, EditPurpose purpose, TransactionId conflict_xid, Change change);

/// Grows the file until the block exists. Growth is not WAL-logged, so an allocated block that was never written may lie beyond
/// the end of the file after a promotion, a restore or a power failure; it counts as a page of zeros.
void ensure_block(Relation rel, BlockNumber block);

/// Frees an entry and its blocks. conflict_xid: the newest xid whose standby snapshots may still read it, or invalid (rule R6).
void release_entry(Relation rel, uint32 slot, TransactionId conflict_xid);

/// Copies a map page's bits, kMapBytes of them, as they count: of a page of zeros only its own block is taken.
/// errors  XX001 the block is no map page
void read_map_bits(Relation rel, uint32 map_index, uint8 *bits);

/// Whether a block is allocated; bit: its number within its map page's range.
inline bool bit_is_set(const uint8 *bits, uint32 bit) { return (bits[bit / 8] >> (bit % 8)) & 1; }

/// Moves directory extents that lie behind all entries down, as far as there is room. The caller has the table for himself
/// (AccessExclusiveLock); nothing moves while the session has it open elsewhere.
void pull_directory_down(Relation rel);

/// How often this session did that: for whoever keeps a metapage from one call to the next.
extern uint64 directory_moves;

/// How full a table's file is.
struct SpaceUse {
    BlockNumber blocks;       // of the file
    BlockNumber allocated;    // blocks that somebody owns
    BlockNumber end;          // no block at or beyond it is owned
    BlockNumber movable_end;  // no block at or beyond it is owned by an entry
    BlockNumber tight_end;    // where the file could end: there, or behind the directory's pages that lie beyond
    BlockNumber first_hole;   // where kHoleBlocksMin adjacent blocks or more are free, if below `end`
};
SpaceUse measure_space(Relation rel);

/// Fewer free blocks are not worth moving a segment.
inline constexpr BlockNumber kHoleBlocksMin = 4;

// In the background a megabyte: a table that is written to will need less again soon.
inline constexpr BlockNumber kShrinkBlocksInBackground = 128;

/// Whether there are, or could be, so many free blocks at the end that shrink_file() gives them back: so many, and a sixteenth of
/// the file.
bool has_free_end(const SpaceUse &use, BlockNumber at_least);

/// Gives free blocks at the end of the file back to the operating system if they are many and nobody uses the table at this
/// moment, when directory pages that lie there have moved down; as PostgreSQL's VACUUM does, under a conditional
/// AccessExclusiveLock. How many blocks went. The caller holds the maintenance lock.
BlockNumber shrink_file(Relation rel, BlockNumber at_least);

/// The block of the n-th page of an entry, or InvalidBlockNumber beyond its extents.
BlockNumber entry_block(const format::DirectoryEntry &entry, uint32 page_index);

/// The block of the n-th page of an entry's delete log, or InvalidBlockNumber beyond its extents.
BlockNumber entry_log_block(const format::DirectoryEntry &entry, uint32 page_index);

/// The number of blocks in an entry's extents, without and of its delete log.
uint32 entry_block_count(const format::DirectoryEntry &entry);
uint32 entry_log_block_count(const format::DirectoryEntry &entry);

/// Calls visit(extent) for each extent that an entry owns, of its delete log too.
template <typename Visit>
void for_each_extent(const format::DirectoryEntry &entry, Visit visit) {
    for (uint32 e = 0; e < Min(static_cast<uint32>(entry.extent_count), format::kEntryExtentsMax); e++) visit(entry.extents[e]);
    for (uint32 e = 0; e < Min(entry.log_extent_count, format::kEntryExtentsMax); e++) visit(entry.log_extents[e]);
}

template <typename Change>
bool edit_entry(Relation rel, uint32 slot, EditPurpose purpose, TransactionId conflict_xid, Change change) {
    format::Metapage meta;
    read_metapage(rel, &meta);
    const EntryPlace place = entry_place(meta, slot);
    const Buffer buffer = lock_page(rel, place.block, PageLock::exclusive);
    format::DirectoryEntry entry = entry_on_page(BufferGetPage(buffer), place.offset);
    const bool changed = change(&entry);
    if (changed) {
        PageEdit edit(rel, purpose);
        edit.set_conflict(conflict_xid);
        const int page = edit.add_page(buffer);
        edit.patch(page, place.offset, &entry, sizeof(entry));
        edit.commit();
    }
    UnlockReleaseBuffer(buffer);
    return changed;
}

template <typename Visit>
void for_each_entry(Relation rel, const format::Metapage &meta, Visit visit) {
    format::DirectoryEntry entries[format::kEntriesPerPage];
    for (uint32 first = 0; first < meta.slot_count; first += format::kEntriesPerPage) {
        CHECK_FOR_INTERRUPTS();
        read_directory_page(rel, meta, first, entries);
        for (uint32 i = 0; i < format::kEntriesPerPage && first + i < meta.slot_count; i++) {
            if (entries[i].kind != static_cast<uint8>(format::EntryKind::free)) visit(first + i, entries[i]);
        }
    }
}

}  // namespace historian::engine
