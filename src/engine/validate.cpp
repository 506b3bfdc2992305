#include "engine/validate.h"

#include "engine/delete_log.h"
#include "engine/row.h"
#include "format/segment.h"

namespace historian::engine {

using format::DirectoryEntry;
using format::EntryKind;
using format::Extent;
using format::kMapBlocks;
using format::Metapage;

bool xid_is_possible(Relation rel, TransactionId xid) {
    if (!TransactionIdIsNormal(xid)) return true;
    const TransactionId oldest = rel->rd_rel->relfrozenxid;
    if (TransactionIdIsNormal(oldest) && TransactionIdPrecedes(xid, oldest)) return false;
    static TransactionId next = InvalidTransactionId;  // asking takes a lock that every new transaction needs
    if (TransactionIdIsNormal(next) && TransactionIdPrecedes(xid, next)) return true;
    next = ReadNextTransactionId();
    return TransactionIdPrecedes(xid, next);
}

namespace {

bool extents_overlap(const Extent &a, const Extent &b) {
    return a.first_block < b.first_block + b.block_count && b.first_block < a.first_block + a.block_count;
}

const char *damage_of_free_entry(const DirectoryEntry &entry) {
    DirectoryEntry empty = {};
    empty.generation = entry.generation;
    const bool is_empty = memcmp(&entry, &empty, sizeof(entry)) == 0;
    return is_empty && entry.generation > 0 ? nullptr : "A free entry is not as its last owner left it.";
}

// What can be wrong with a list of extents.
struct ListDamage {
    const char *count;
    const char *extent;
    const char *beyond;
    const char *too_few;
};
constexpr ListDamage kContentDamage = {"An entry has an impossible number of extents.", "An entry has an impossible extent.",
                                       "An entry uses pages beyond the end of the file.",
                                       "An entry uses more pages than it owns."};
constexpr ListDamage kLogDamage = {"A delete log has an impossible number of extents.", "A delete log has an impossible extent.",
                                   "A delete log uses pages beyond the end of the file.",
                                   "A delete log uses more pages than it owns."};

// The pages that an entry says it uses must exist.
const char *damage_of_list(const Metapage &meta, const Extent *extents, uint32 extent_count, uint64 used_pages,
                           BlockNumber blocks, const ListDamage &damage) {
    if (extent_count > format::kEntryExtentsMax) return damage.count;
    uint64 pages_left = used_pages;
    for (uint32 e = 0; e < extent_count; e++) {
        if (!extent_is_possible(meta, extents[e])) return damage.extent;
        const uint64 used = Min(pages_left, static_cast<uint64>(extents[e].block_count));
        pages_left -= used;
        if (used > 0 && extents[e].first_block + used > blocks) return damage.beyond;
    }
    return pages_left > 0 ? damage.too_few : nullptr;
}

// Of an entry being built nobody reads a page: they need not exist yet.
const char *damage_of_extents(const Metapage &meta, const DirectoryEntry &entry, BlockNumber blocks) {
    if (entry.extent_count == 0) return kContentDamage.count;
    const bool is_building = entry.kind == static_cast<uint8>(EntryKind::building);
    return damage_of_list(meta, entry.extents, entry.extent_count, is_building ? 0 : entry.used_pages, blocks, kContentDamage);
}

// A segment's delete log, or a run's summaries.
const char *damage_of_log(const Metapage &meta, const DirectoryEntry &entry, BlockNumber blocks) {
    return damage_of_list(meta, entry.log_extents, entry.log_extent_count, entry.log_pages, blocks, kLogDamage);
}

const char *damage_of_segment(const DirectoryEntry &entry) {
    if (entry.row_count == 0 || entry.row_count > format::kSegmentRowsMax) return "A segment has an impossible number of rows.";
    const uint64 pages = entry.byte_count / format::kPagePayloadBytes + (entry.byte_count % format::kPagePayloadBytes != 0);
    if (entry.byte_count < format::kSegmentHeaderBytes || pages != entry.used_pages)
        return "A segment has an impossible number of bytes.";
    if (entry.tag_first_bytes > format::kEntryTagBytes || entry.tag_last_bytes > format::kEntryTagBytes)
        return "A segment's first or last tag has an impossible size.";
    if (!TransactionIdIsValid(entry.xmin)) return "A segment was made by no transaction.";
    return nullptr;
}

}  // namespace

bool extent_is_possible(const Metapage &meta, const Extent &extent) {
    const uint32 place = extent.first_block % kMapBlocks;  // block 0 of each range is a map page
    if (extent.first_block < format::kFixedBlocks || place == 0) return false;
    if (extent.block_count == 0 || extent.block_count > kMapBlocks - place) return false;
    for (uint32 e = 0; e < meta.directory_extent_count; e++) {
        if (extents_overlap(extent, Extent{meta.directory_extents[e], 1u << e})) return false;
    }
    return true;
}

void validate_entry(Relation rel, const Metapage &meta, BlockNumber directory_block, const DirectoryEntry &entry,
                    BlockNumber blocks) {
    const char *damage = nullptr;
    if (entry.kind == static_cast<uint8>(EntryKind::free))
        damage = damage_of_free_entry(entry);
    else if (entry.kind > static_cast<uint8>(EntryKind::building))
        damage = "An entry has an unknown kind.";
    else
        damage = damage_of_extents(meta, entry, blocks);
    if (damage == nullptr) damage = damage_of_log(meta, entry, blocks);
    if (damage == nullptr && entry.kind == static_cast<uint8>(EntryKind::segment)) damage = damage_of_segment(entry);
    if (damage == nullptr && is_tail(entry) && entry.xmin != FrozenTransactionId)
        damage = "A tail run was made by a transaction.";
    if (damage == nullptr && (!xid_is_possible(rel, entry.xmin) || !xid_is_possible(rel, entry.xmax)))
        damage = "An entry names a transaction that has not begun, or is older than relfrozenxid.";
    if (unlikely(damage != nullptr)) report_damage(rel, directory_block, damage);
}

// --------------------------------------------------------------------------------------------------------------- delete logs

void validate_log_page(Relation rel, uint32 slot, const DirectoryEntry &entry, uint32 page_index, BlockNumber block, Page page,
                       uint32 first_record) {
    const format::PageTrailer *trailer = page_trailer(page);
    if (!page_is(page, format::PageKind::delete_log) || trailer->slot != slot || trailer->generation != entry.generation ||
        trailer->sequence != page_index) {
        report_damage(rel, block, "The block does not belong to the delete log that names it.");
    }
    const uint32 lower = reinterpret_cast<PageHeader>(page)->pd_lower;
    if (lower < format::kPageHeaderBytes || (lower - format::kPageHeaderBytes) % sizeof(format::DeleteRecord) != 0 ||
        lower > format::kPageHeaderBytes + format::kLogPageRecordsMax * sizeof(format::DeleteRecord)) {
        report_damage(rel, block, "The delete log page has an impossible number of records.");
    }
    TransactionId known = InvalidTransactionId;
    for (uint32 i = first_record; i < log_record_count(page); i++) {
        const format::DeleteRecord &record = log_records(page)[i];
        if (record.row_count == 0) continue;
        const uint32 first = first_row_of(record);
        if (first >= entry.row_count || record.row_count > entry.row_count - first)
            report_damage(rel, block, psprintf("Record %u of a delete log names rows that the segment does not have.", i));
        if (record.xid == known) continue;
        if (!TransactionIdIsValid(record.xid) || !xid_is_possible(rel, record.xid)) {
            report_damage(
                rel, block,
                psprintf("Record %u of a delete log names a transaction that has not begun, or is older than relfrozenxid.", i));
        }
        known = record.xid;
    }
}

// ---------------------------------------------------------------------------------------------------------------- tail rows

bool tail_tuple_at(TailPage *tail, OffsetNumber offset, HeapTuple tuple) {
    const ItemId item_id = PageGetItemId(tail->page, offset);
    if (!ItemIdIsNormal(item_id)) return false;
    const uint32 start = ItemIdGetOffset(item_id);
    const uint32 length = ItemIdGetLength(item_id);
    const uint32 upper = reinterpret_cast<PageHeader>(tail->page)->pd_upper;
    const char *damage = nullptr;
    tuple->t_data = reinterpret_cast<HeapTupleHeader>(static_cast<char *>(tail->page) + start);
    if (start < upper || start != MAXALIGN(start) || length < SizeofHeapTupleHeader ||
        start + length > format::kPageBytes - sizeof(format::TailSpecial)) {
        report_damage(tail->rel, tail->block, psprintf("The row at offset %u does not lie within its page.", offset));
    }
    const HeapTupleHeader header = tuple->t_data;
    const uint32 null_bytes = (header->t_infomask & HEAP_HASNULL) != 0 ? BITMAPLEN(HeapTupleHeaderGetNatts(header)) : 0;
    // What our rows never have: values that are elsewhere, multixacts (rule R11), marks of VACUUM FULL before PostgreSQL 9.0.
    constexpr uint16 kNever = HEAP_HASEXTERNAL | HEAP_XMAX_IS_MULTI | HEAP_MOVED;
    if (header->t_hoff != MAXALIGN(SizeofHeapTupleHeader + null_bytes) || header->t_hoff + format::kRowChecksumBytes > length)
        damage = "The header of the row at offset %u has an impossible size.";
    else if ((header->t_infomask & kNever) != 0)
        damage = "The row at offset %u has flags that no row has.";
    const TransactionId xmin = HeapTupleHeaderGetRawXmin(header);
    if (damage == nullptr && xmin != tail->known) {
        if (!TransactionIdIsValid(xmin) || (!HeapTupleHeaderXminFrozen(header) && !xid_is_possible(tail->rel, xmin)))
            damage = "The row at offset %u names a transaction that has not begun, or is older than relfrozenxid.";
        else if (!HeapTupleHeaderXminFrozen(header))
            tail->known = xmin;
    }
    if (damage == nullptr && !xid_is_possible(tail->rel, HeapTupleHeaderGetRawXmax(header)))
        damage = "The row at offset %u is deleted by a transaction that has not begun, or is older than relfrozenxid.";
    if (unlikely(damage != nullptr)) report_damage(tail->rel, tail->block, psprintf(damage, offset));
    tuple->t_len = length;
    tuple->t_tableOid = RelationGetRelid(tail->rel);
    ItemPointerSet(&tuple->t_self, tail->block, offset);
    return true;
}

void validate_row(Relation rel, HeapTuple tuple) {
    uint32 stored;
    memcpy(&stored, reinterpret_cast<char *>(tuple->t_data) + tuple->t_len - sizeof(stored), sizeof(stored));
    if (likely(stored == row_checksum(tuple->t_data, tuple->t_len))) return;
    const OffsetNumber offset = ItemPointerGetOffsetNumberNoCheck(&tuple->t_self);
    report_damage(rel, ItemPointerGetBlockNumberNoCheck(&tuple->t_self),
                  psprintf("The row at offset %u does not match its checksum.", offset));
}

}  // namespace historian::engine
