#include "engine/pages.h"

#include "engine/report.h"
#include "engine/space.h"
#include "engine/wal.h"

namespace historian::engine {

using format::Metapage;
using format::PageKind;
using format::PageTrailer;

void validate_metapage(Relation rel, const Metapage *meta) {
    if (meta->magic != format::kMetapageMagic)
        report_damage(rel, format::kMetaBlock, "The metapage does not begin with the magic number.");
    if (meta->version != format::kPageFormatVersion) {
        ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                errmsg("table \"%s\" has on-disk format version %u", RelationGetRelationName(rel), meta->version),
                errdetail("This historian reads version %u.", format::kPageFormatVersion),
                errhint("Dump the table with the version that wrote it and restore it here."));
    }
    if (meta->directory_extent_count > format::kDirectoryExtentsMax || meta->directory_extent_count == 0) {
        report_damage(rel, format::kMetaBlock, "The metapage has an impossible number of directory extents.");
    }
    if (meta->slot_count > directory_capacity(*meta))
        report_damage(rel, format::kMetaBlock, "The directory is too small for its entries.");
    const uint32 columns = RelationGetDescr(rel)->natts;
    if (meta->tag_attnum > columns || meta->time_attnum == 0 || meta->time_attnum > columns ||
        meta->tag_attnum == meta->time_attnum) {
        report_damage(rel, format::kMetaBlock, "The metapage names key columns that the table does not have.");
    }
    bool directory_is_possible = meta->directory_extents[0] == format::kFirstDirectoryBlock;
    for (uint32 e = 1; e < meta->directory_extent_count; e++) {
        const uint32 place = meta->directory_extents[e] % format::kMapBlocks;
        directory_is_possible &= meta->directory_extents[e] >= format::kFixedBlocks && place != 0;
    }
    if (!directory_is_possible) report_damage(rel, format::kMetaBlock, "The metapage names impossible directory pages.");
}

namespace {

bool page_is_new(Relation rel, BlockNumber block) {
    const Buffer buffer = lock_page(rel, block, PageLock::shared);
    const bool is_new = PageIsNew(BufferGetPage(buffer));
    UnlockReleaseBuffer(buffer);
    return is_new;
}

// A metapage of zeros stands for an empty table. But the two fixed pages are written at once, and nothing else before them: when
// the directory page is there, the metapage was written and is lost.
bool metapage_is_lost(Relation rel) {
    if (RelationGetNumberOfBlocks(rel) < format::kFixedBlocks || page_is_new(rel, format::kFirstDirectoryBlock)) return false;
    // Another session may just have made them, both under their locks: look again.
    return page_is_new(rel, format::kMetaBlock);
}

// Metapages of other versions had no map behind them. Their reader is told the version, not that the page is damaged.
bool is_metapage_of_other_version(Page page) {
    return !PageIsNew(page) && page_trailer(page)->kind == static_cast<uint16>(PageKind::meta) &&
           metapage_of(page)->magic == format::kMetapageMagic && metapage_of(page)->version != format::kPageFormatVersion;
}

}  // namespace

bool read_metapage(Relation rel, Metapage *meta) {
    if (RelationGetNumberOfBlocks(rel) == 0) return false;
    const Buffer buffer = lock_page(rel, format::kMetaBlock, PageLock::shared);
    Page page = BufferGetPage(buffer);
    const bool exists = !PageIsNew(page);
    const bool is_metapage = page_is(page, PageKind::meta) || is_metapage_of_other_version(page);
    if (is_metapage) *meta = *metapage_of(page);
    UnlockReleaseBuffer(buffer);
    if (exists && !is_metapage) report_damage(rel, format::kMetaBlock, "The block should be the metapage.");
    if (exists)
        validate_metapage(rel, meta);
    else if (metapage_is_lost(rel))
        report_damage(rel, format::kMetaBlock, "The metapage is all zeros, though the table has rows.");
    return exists;
}

void patch_metapage(PageEdit &edit, int page_index, const Metapage &meta) {
    edit.patch(page_index, format::kPageHeaderBytes, &meta, sizeof(meta));
}

KeyColumns derive_key_columns(TupleDesc desc, TableKind kind) {
    KeyColumns keys;
    for (int i = 0; i < desc->natts; i++) {
        const Form_pg_attribute column = TupleDescAttr(desc, i);
        if (column->attisdropped) continue;
        if (kind == TableKind::log) {
            if (column->atttypid == TIMESTAMPTZOID && strcmp(NameStr(column->attname), kArrivalTime) == 0)
                keys.time = column->attnum;
            continue;
        }
        const bool is_time = column->atttypid == TIMESTAMPOID || column->atttypid == TIMESTAMPTZOID;
        if (is_time && keys.time == InvalidAttrNumber) {
            keys.time = column->attnum;
        } else if (keys.tag == InvalidAttrNumber) {
            keys.tag = column->attnum;
        }
    }
    return keys;
}

KeyColumns key_columns(Relation rel) { return derive_key_columns(RelationGetDescr(rel), table_kind(rel)); }

void check_key_columns(Relation rel, const Metapage &meta, const KeyColumns &keys) {
    if (meta.tag_attnum == keys.tag && meta.time_attnum == keys.time) return;
    report_damage(rel, format::kMetaBlock, "The table's key columns are not those it was written with.");
}

namespace {

// The two fixed pages, both locked by the caller, become a table without rows.
void write_fixed_pages(Relation rel, Buffer meta_buffer, Buffer directory_buffer) {
    const KeyColumns keys = key_columns(rel);
    Metapage meta = {};
    meta.magic = format::kMetapageMagic;
    meta.version = format::kPageFormatVersion;
    meta.tag_attnum = keys.tag;
    meta.time_attnum = keys.time;
    meta.active_slot = format::kNoSlot;
    meta.directory_extent_count = 1;
    meta.directory_extents[0] = format::kFirstDirectoryBlock;

    PageEdit edit(rel, EditPurpose::create_metapage);
    const int directory = edit.add_page(directory_buffer, sizeof(PageTrailer));
    stage_directory_page(edit, directory, 0);
    const int page = edit.add_page(meta_buffer, sizeof(PageTrailer));
    patch_lower(edit, page, format::map_bits_offset(0) + format::kMapBytes);
    patch_trailer(edit, page, PageTrailer{static_cast<uint16>(PageKind::meta), 0, 0, 0, 0});
    patch_metapage(edit, page, meta);
    const uint8 fixed_blocks = (1 << format::kFixedBlocks) - 1;
    edit.patch(page, format::map_bits_offset(0), &fixed_blocks, sizeof(fixed_blocks));
    edit.commit();
}

}  // namespace

void ensure_metapage(Relation rel) {
    Metapage meta;
    if (read_metapage(rel, &meta)) return;
    LockRelationForExtension(rel, ExclusiveLock);
    while (RelationGetNumberOfBlocks(rel) < format::kFixedBlocks) extend_by_one_block(rel);
    const Buffer directory_buffer = lock_page(rel, format::kFirstDirectoryBlock, PageLock::exclusive);
    const Buffer meta_buffer = lock_page(rel, format::kMetaBlock, PageLock::exclusive);
    if (PageIsNew(BufferGetPage(meta_buffer))) write_fixed_pages(rel, meta_buffer, directory_buffer);
    UnlockReleaseBuffer(meta_buffer);
    UnlockReleaseBuffer(directory_buffer);
    UnlockRelationForExtension(rel, ExclusiveLock);
}

}  // namespace historian::engine
