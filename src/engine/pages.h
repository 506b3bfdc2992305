// Pinned and locked pages of a table, and the metapage.
//
// Lock order (rule R15): tail and segment pages by ascending block, then a directory page, then a map page, then the
// metapage. The first map page is the metapage: whoever has locked it locks nothing more, and does not call read_metapage().
// No heavyweight lock is requested while a page is locked.
#pragma once

#include "engine/server.h"
//
#include "engine/report.h"
#include "engine/wal.h"
#include "format/page_layout.h"

namespace historian::engine {

enum class PageLock : int { shared = BUFFER_LOCK_SHARE, exclusive = BUFFER_LOCK_EXCLUSIVE };

/// Pins and locks a block that exists.
/// errors  XX001 InvalidBlockNumber: an entry names fewer blocks than it says it uses (to ReadBuffer it would mean "a new block")
inline Buffer lock_page(Relation rel, BlockNumber block, PageLock mode) {
    if (unlikely(block == InvalidBlockNumber))
        report_damage(rel, format::kMetaBlock, "A directory entry uses more pages than it owns.");
    const Buffer buffer = ReadBuffer(rel, block);
    LockBuffer(buffer, static_cast<int>(mode));
    return buffer;
}

/// Reads the metapage into *meta.
///
/// returns  false when the table is empty: it has no blocks, or block 0 is all zeros (rule R14)
/// errors   XX001 not a historian table; 0A000 written by another version
bool read_metapage(Relation rel, format::Metapage *meta);

/// Checks a metapage in memory; errors as read_metapage().
void validate_metapage(Relation rel, const format::Metapage *meta);

inline format::Metapage *metapage_of(Page page) { return reinterpret_cast<format::Metapage *>(PageGetContents(page)); }

/// Stages changed fields of the metapage, given as the whole new metapage. The map's bits behind it stay as they are.
void patch_metapage(PageEdit &edit, int page_index, const format::Metapage &meta);

/// Changes the metapage, which exists: change(&meta) is called with it as it stands under its exclusive lock.
template <typename Change>
void edit_metapage(Relation rel, EditPurpose purpose, Change change) {
    const Buffer buffer = lock_page(rel, format::kMetaBlock, PageLock::exclusive);
    format::Metapage meta = *metapage_of(BufferGetPage(buffer));
    change(&meta);
    PageEdit edit(rel, purpose);
    patch_metapage(edit, edit.add_page(buffer), meta);
    edit.commit();
    UnlockReleaseBuffer(buffer);
}

/// What a table keeps, and so how it is sorted.
enum class TableKind : uint8 {
    tag,  // points, by tag and time
    log,  // records, by arrival time
};

/// The routine of an access method of ours: what it keeps stands beside the callbacks that PostgreSQL knows.
struct AccessMethod {
    TableAmRoutine routine;  // must be first
    TableKind kind;
};

/// Of a table of ours.
inline TableKind table_kind(Relation rel) { return reinterpret_cast<const AccessMethod *>(rel->rd_tableam)->kind; }
inline bool is_log_table(Relation rel) { return table_kind(rel) == TableKind::log; }

/// The column of a log table that its records are sorted by, of type timestamptz.
inline constexpr char kArrivalTime[] = "_arrival_time";

/// The key columns of a table: 1-based attribute numbers. A log table has no tag.
struct KeyColumns {
    AttrNumber tag = InvalidAttrNumber;
    AttrNumber time = InvalidAttrNumber;
};

/// Of a tag table the first timestamp column is the time, the first other column the tag; of a log table the column
/// _arrival_time is the time. Invalid numbers where there is none.
KeyColumns derive_key_columns(TupleDesc desc, TableKind kind);

/// The key columns of a table of ours. Derived each time, and the same each time: new columns come last, and these cannot be
/// dropped or renamed away; a change of a column's type that could change them rewrites the table.
KeyColumns key_columns(Relation rel);

/// The key columns that a table was written with (rule R19). They differ from the derived ones only while ALTER TABLE rewrites
/// it.
inline KeyColumns key_columns_of(const format::Metapage &meta) {
    return {static_cast<AttrNumber>(meta.tag_attnum), static_cast<AttrNumber>(meta.time_attnum)};
}

/// Raises XX001 when the metapage remembers other key columns (rule R19).
void check_key_columns(Relation rel, const format::Metapage &meta, const KeyColumns &keys);

/// Makes the metapage, which is the first map page, and the first directory page unless they exist. May extend the file.
void ensure_metapage(Relation rel);

}  // namespace historian::engine
