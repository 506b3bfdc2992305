#include "engine/check.h"

#include "engine/delete_log.h"
#include "engine/granule.h"
#include "engine/maintenance_lock.h"
#include "engine/progress.h"
#include "engine/report.h"
#include "engine/row.h"
#include "engine/space.h"
#include "engine/tail.h"
#include "engine/tail_summary.h"
#include "engine/validate.h"
#include "engine/visibility.h"
#include "format/key_collector.h"
#include "format/page_summary.h"

namespace historian::engine {

using format::DirectoryEntry;
using format::EntryKind;
using format::Metapage;
using format::PageKind;

namespace {

// ------------------------------------------------------------------------------------------------------------ allocation

// One byte a block: whether the map says it is allocated.
uint8 *read_map(Relation rel, BlockNumber blocks) {
    uint8 *allocated =
        static_cast<uint8 *>(MemoryContextAllocExtended(CurrentMemoryContext, Max(blocks, 1), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO));
    uint8 bits[format::kMapBytes];
    for (uint32 map_index = 0; map_index < format::map_page_count(blocks); map_index++) {
        CHECK_FOR_INTERRUPTS();
        read_map_bits(rel, map_index, bits);
        const uint32 first = map_index * format::kMapBlocks;
        for (uint32 bit = 0; bit < format::kMapBlocks && first + bit < blocks; bit++) {
            allocated[first + bit] = bit_is_set(bits, bit);
        }
    }
    return allocated;
}

// What is wrong with the allocation of a block; detail is nullptr when nothing is.
struct Finding {
    BlockNumber block = InvalidBlockNumber;
    const char *detail = nullptr;
};

void note(Finding *finding, BlockNumber block, const char *detail) {
    if (finding->detail == nullptr) *finding = Finding{block, detail};
}

// A block beyond the end of the file is not looked at: another session is just growing the file, or a promotion lost its zeros;
// ensure_block().
void claim(Finding *finding, uint8 *owned, BlockNumber blocks, BlockNumber block) {
    if (block >= blocks) return;
    if (owned[block]) return note(finding, block, "Two owners claim the block.");
    owned[block] = 1;
}

void claim_entry(Finding *finding, uint8 *owned, BlockNumber blocks, const DirectoryEntry &entry) {
    const BlockNumber first = entry.extents[0].first_block;
    if (entry.extent_count == 0 || entry.extent_count > format::kEntryExtentsMax ||
        entry.log_extent_count > format::kEntryExtentsMax) {
        return note(finding, first, "An entry has an impossible number of extents.");
    }
    if (entry.kind > static_cast<uint8>(EntryKind::building)) note(finding, first, "An entry has an unknown kind.");
    if (entry.used_pages > entry_block_count(entry) && entry.kind != static_cast<uint8>(EntryKind::building)) {
        note(finding, first, "An entry uses more pages than it owns.");
    }
    if (entry.log_pages > entry_log_block_count(entry)) note(finding, first, "A delete log uses more pages than it owns.");
    for_each_extent(entry, [=](const format::Extent &extent) {
        for (uint32 b = 0; b < extent.block_count; b++) claim(finding, owned, blocks, extent.first_block + b);
    });
}

// One byte a block: whether somebody owns it.
uint8 *read_owners(Relation rel, const Metapage &meta, BlockNumber blocks, Finding *finding) {
    uint8 *owned =
        static_cast<uint8 *>(MemoryContextAllocExtended(CurrentMemoryContext, Max(blocks, 1), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO));
    // The metapage is the first of them.
    for (uint32 m = 0; m < format::map_page_count(blocks); m++) claim(finding, owned, blocks, format::map_page_block(m));
    for (uint32 e = 0; e < meta.directory_extent_count; e++) {
        for (uint32 page = 0; page < 1u << e; page++) claim(finding, owned, blocks, meta.directory_extents[e] + page);
    }
    for_each_entry(rel, meta, [=](uint32, const DirectoryEntry &entry) { claim_entry(finding, owned, blocks, entry); });
    return owned;
}

// Allocation and directory change together (rule R13), freeing waits for the maintenance lock that we hold, and others may
// allocate at any time. So: a bit seen first must have an owner seen later, and an owner seen must have a bit seen after that.
Finding compare_allocation(Relation rel, uint64 *free_blocks) {
    Finding finding;
    const BlockNumber old_blocks = RelationGetNumberOfBlocks(rel);
    const uint8 *allocated_before = read_map(rel, old_blocks);
    Metapage meta;
    read_metapage(rel, &meta);
    const BlockNumber blocks = RelationGetNumberOfBlocks(rel);
    const uint8 *owned = read_owners(rel, meta, blocks, &finding);
    const uint8 *allocated_after = read_map(rel, blocks);
    *free_blocks = 0;
    for (BlockNumber block = 0; block < blocks; block++) {
        if (block < old_blocks && allocated_before[block] && !owned[block])
            note(&finding, block, "The block is allocated, but nobody owns it.");
        if (owned[block] && !allocated_after[block]) note(&finding, block, "The block has an owner, but is not allocated.");
        if (!owned[block]) (*free_blocks)++;
    }
    return finding;
}

// On a standby nobody can take the maintenance lock, and replay may free blocks while we look: only what stays wrong is damage.
uint64 check_allocation(Relation rel, MemoryContext context) {
    constexpr int kAttempts = 20;
    constexpr long kPauseMicroseconds = 50000;
    uint64 free_blocks = 0;
    MemoryContext old = MemoryContextSwitchTo(context);
    for (int attempt = 1;; attempt++) {
        const Finding finding = compare_allocation(rel, &free_blocks);
        if (finding.detail == nullptr) break;
        if (!RecoveryInProgress() || attempt == kAttempts) report_damage(rel, finding.block, finding.detail);
        MemoryContextReset(context);
        pg_usleep(kPauseMicroseconds);
        CHECK_FOR_INTERRUPTS();
    }
    MemoryContextSwitchTo(old);
    MemoryContextReset(context);
    return free_blocks;
}

// ------------------------------------------------------------------------------------------------------------------ xids

// Every xid that is stored must have begun, and be no older than what VACUUM told the catalogs (rule R11): pg_xact is cut there.
// offset: of a tail row, or 0 for a directory entry that owns the block.
void check_xid(Relation rel, BlockNumber block, OffsetNumber offset, TransactionId xid) {
    if (!TransactionIdIsNormal(xid)) return;
    const char *where = offset == 0 ? "The owner of the block" : "A row";
    if (!TransactionIdPrecedes(xid, ReadNextTransactionId())) {
        report_damage(rel, block, psprintf("%s (offset %u) names transaction %u, which has not begun.", where, offset, xid));
    }
    const TransactionId oldest = rel->rd_rel->relfrozenxid;
    if (TransactionIdPrecedes(xid, oldest)) {
        report_damage(rel, block,
                      psprintf("%s (offset %u) names transaction %u, older than relfrozenxid %u.", where, offset, xid, oldest));
    }
}

// ------------------------------------------------------------------------------------------------------------ tail runs

void check_tail_tuple(Relation rel, BlockNumber block, Page page, OffsetNumber offset) {
    TailPage tail = {rel, block, page};
    HeapTupleData row;
    if (!tail_tuple_at(&tail, offset, &row)) return;
    validate_row(rel, &row);
    const HeapTupleHeader tuple = row.t_data;
    const int natts = HeapTupleHeaderGetNatts(tuple);
    // An aborted inserter may have added columns that never came to be.
    if (natts > RelationGetDescr(rel)->natts && xid_state(HeapTupleHeaderGetXmin(tuple)) == XidState::committed) {
        report_damage(rel, block, psprintf("The row at offset %u has too many columns.", offset));
    }
    if (ItemPointerGetBlockNumberNoCheck(&tuple->t_ctid) != block ||
        ItemPointerGetOffsetNumberNoCheck(&tuple->t_ctid) != offset) {
        report_damage(rel, block, psprintf("The row at offset %u does not point to itself.", offset));
    }
    const TransactionId xmin = HeapTupleHeaderGetXmin(tuple);
    if (!TransactionIdIsValid(xmin))
        report_damage(rel, block, psprintf("The row at offset %u was inserted by no transaction.", offset));
    check_xid(rel, block, offset, xmin);
    check_xid(rel, block, offset, HeapTupleHeaderGetRawXmax(tuple));
    const bool has_xmax = TransactionIdIsValid(HeapTupleHeaderGetRawXmax(tuple));
    if (has_xmax && (tuple->t_infomask & HEAP_XMAX_IS_MULTI) != 0)
        report_damage(rel, block, psprintf("The row at offset %u names a multixact.", offset));
    if (has_xmax && (page_trailer(page)->flags & format::kTailPageHasXmax) == 0)
        report_damage(rel, block, psprintf("The row at offset %u was deleted or locked, and its page does not say so.", offset));
}

void check_tail_page(Relation rel, uint32 slot, const DirectoryEntry &entry, uint32 page_index, CheckSummary *summary) {
    const BlockNumber block = entry_block(entry, page_index);
    const Buffer buffer = lock_page(rel, block, PageLock::shared);
    Page page = BufferGetPage(buffer);
    const format::PageTrailer trailer = *page_trailer(page);
    if (!page_is(page, PageKind::tail) || trailer.slot != slot || trailer.generation != entry.generation ||
        trailer.sequence != page_index) {
        report_damage(rel, block, "The block does not belong to the tail run that names it.");
    }
    const bool is_closed = (trailer.flags & format::kTailPageClosed) != 0;
    const bool must_be_closed = page_index + 1 < entry.used_pages || (entry.flags & format::kEntryTailClosed) != 0;
    if (must_be_closed && !is_closed)
        report_damage(rel, block, "The tail page is open, though a later one is or the run is closed.");
    if (PageGetMaxOffsetNumber(page) > format::kTailRowsMax) report_damage(rel, block, "The tail page has too many rows.");
    for (OffsetNumber offset = FirstOffsetNumber; offset <= PageGetMaxOffsetNumber(page); offset++) {
        if (!ItemIdIsNormal(PageGetItemId(page, offset))) continue;
        check_tail_tuple(rel, block, page, offset);
        summary->tail_rows++;
    }
    const format::TailSpecial *special = tail_special(page);
    const uint32 rows = Min(PageGetMaxOffsetNumber(page), format::kTailRowsMax);
    const format::PageSummary told = format::summarize_page(special->time_min, special->time_max, {special->fingerprints, rows});
    UnlockReleaseBuffer(buffer);
    if (page_index + 1 == entry.used_pages) return;
    if (!has_summary(entry, page_index)) report_damage(rel, block, "The tail page has no summary, though a later page is open.");
    SummaryReader reader = {};
    const format::PageSummary &found = read_summary(&reader, rel, slot, entry, page_index);
    // Nothing of it has changed since the page was closed, for VACUUM clears line pointers only.
    if (memcmp(&found, &told, sizeof(found)) != 0)
        report_damage(rel, summary_block(entry, page_index),
                      psprintf("The summary of tail page %u does not tell what the page holds.", page_index));
}

// ------------------------------------------------------------------------------------------------------------- segments

void check_order(Relation rel, Granule *granule, BlockNumber block) {
    const format::Granule &about = granule->about;
    const int64 *times = granule_times(granule);
    for (uint32 row = 0; times != nullptr && row < about.row_count; row++) {
        if (times[row] < about.time_min || times[row] > about.time_max)
            report_damage(rel, block, "A row's time is outside its granule's range.");
        if (row > 0 && about.tag_first == about.tag_last && times[row] < times[row - 1])
            report_damage(rel, block, "Times of a tag decrease.");
    }
}

// The numbers of a granule's column must lie in the range that the segment tells, or queries would pass over them.
void check_range(Relation rel, const OpenSegment &segment, uint32 granule, uint32 column, const format::ColumnVector &vector) {
    for (uint32 row = 0; row < vector.row_count && vector.numbers != nullptr; row++) {
        if (vector.nulls != nullptr && vector.nulls[row] != 0) continue;
        if (!format::may_have_number(*segment.index, granule, column, vector.numbers[row]))
            report_damage(rel, segment.entry.extents[0].first_block, "A number is outside the range that its segment tells.");
    }
}

// What the segment tells of a granule's column must be what its rows say, or queries that read no rows would lie.
void check_statistics(const Granule *granule, uint32 column, const format::ColumnVector &vector) {
    const OpenSegment &segment = *granule->segment;
    const std::span<const format::GranuleStatistics> granules = granule_statistics(granule->rel, segment, column);
    if (granules.empty() || !granules[granule->number].is_known) return;
    const format::ColumnVector &times = granule->columns[granule->keys.time - 1].vector;
    const format::GranuleRows rows = {vector.kind, vector.row_count, vector.numbers, vector.nulls, times.numbers, times.nulls};
    if (!format::is_same(granules[granule->number], format::summarize_granule(rows)))
        report_damage(granule->rel, segment.entry.extents[0].first_block,
                      "The statistics of a granule are not those of its rows.");
}

// What the values of a granule, all read, count. Those of dropped columns, which nobody else reads, count too. Their keys go to
// the collector, if there is one.
uint64 check_values(const Granule *granule, format::KeyCollector *collector) {
    const OpenSegment &segment = *granule->segment;
    uint64 bytes = 0;
    for (uint32 column = 0; column < segment.header.column_count; column++) {
        const bool is_read = column < static_cast<uint32>(granule->desc->natts) && !granule->columns[column].is_missing;
        format::ColumnVector dropped;
        if (!is_read) {
            format::OpenChunk chunk = read_chunk(granule->rel, segment, granule->number, column, granule->context);
            Arena arena = arena_in(granule->context);
            check_status(format::decode_chunk(*segment.index, granule->number, column, chunk, arena, &dropped), granule->rel,
                         "read a segment");
        }
        const format::ColumnVector &vector = is_read ? granule->columns[column].vector : dropped;
        const bool is_tag = column + 1 == static_cast<uint32>(granule->keys.tag);
        bytes += format::count_raw_bytes(vector, is_tag ? tag_number_bytes(granule->desc, granule->keys) : 0);
        check_range(granule->rel, segment, granule->number, column, vector);
        check_statistics(granule, column, vector);
        const codec::KeyKind keys = format::key_kind(*segment.index, column);
        if (collector == nullptr || keys == codec::KeyKind::reserved) continue;
        format::begin_values(*collector, granule->number, column);
        format::add_column(*collector, keys, vector);
    }
    return bytes;
}

// The filter must be the one that the segment's values make: a key that it lacks would hide rows.
void check_filter(Relation rel, const OpenSegment &segment, format::KeyCollector *collector, MemoryContext context) {
    format::KeyFilterBytes expected;
    check_status(format::finish_key_collector(*collector, &expected), rel, "check the filter of a segment");
    const format::ByteRange header = format::filter_header_range(*segment.index);
    const format::ByteRange blocks = format::filter_blocks_range(*segment.index);
    bool is_same = header.byte_count == expected.header.size() && blocks.byte_count == expected.blocks.size();
    if (is_same) {
        const std::span<const std::byte> stored_header = read_segment_part(rel, segment, header, context);
        const std::span<const std::byte> stored_blocks = read_segment_part(rel, segment, blocks, context);
        is_same = memcmp(stored_header.data(), expected.header.data(), header.byte_count) == 0 &&
                  memcmp(stored_blocks.data(), expected.blocks.data(), blocks.byte_count) == 0;
    }
    if (!is_same) report_damage(rel, segment.entry.extents[0].first_block, "The filter of a segment is not that of its values.");
}

void check_delete_log(Relation rel, uint32 slot, const DirectoryEntry &entry) {
    LogPage page;
    uint64 rows = 0;
    for (uint32 p = 0; p < entry.log_pages; p++) {
        CHECK_FOR_INTERRUPTS();
        const BlockNumber block = entry_log_block(entry, p);
        read_log_page(rel, slot, entry, p, &page);
        // Records that VACUUM has voided since the next page was opened count no more.
        if (page.rows_before < rows) report_damage(rel, block, "A delete log page forgets rows of the pages before it.");
        if (p + 1 < entry.log_pages && !page.is_closed)
            report_damage(rel, block, "A delete log page is open, though a later one is.");
        for (uint32 i = 0; i < page.record_count; i++) {
            const format::DeleteRecord &record = page.records[i];
            if (record.row_count == 0) continue;
            if (first_row_of(record) >= entry.row_count || record.row_count > entry.row_count - first_row_of(record))
                report_damage(rel, block, psprintf("Record %u of a delete log names rows that the segment does not have.", i));
            if (!TransactionIdIsValid(record.xid))
                report_damage(rel, block, psprintf("Record %u of a delete log names no transaction.", i));
            check_xid(rel, block, 0, record.xid);
            rows += record.row_count;
        }
    }
}

void check_segment(Relation rel, uint32 slot, const DirectoryEntry &entry, MemoryContext context, CheckSummary *summary) {
    const BlockNumber block = entry.extents[0].first_block;
    OpenSegment segment;
    open_segment(rel, slot, entry, context, &segment);
    if (segment.header.row_count != entry.row_count || segment.header.segment_bytes != entry.byte_count) {
        report_damage(rel, block, "The segment's header and its directory entry differ.");
    }
    Granule *granule = make_granule(rel, RelationGetDescr(rel), key_columns(rel), context);
    Arena arena = arena_in(context);
    format::KeyCollector *collector = nullptr;
    if (format::filter_header_range(*segment.index).byte_count > 0 && format::filter_is_known(*segment.index)) {
        check_status(format::create_key_collector(arena, segment.header.granule_count, &collector), rel,
                     "check the filter of a segment");
    }
    uint64 rows = 0;
    uint64 raw_bytes = 0;
    for (uint32 g = 0; g < segment.header.granule_count; g++) {
        CHECK_FOR_INTERRUPTS();
        open_granule(granule, &segment, g);
        if (granule->about.first_row != rows) report_damage(rel, block, "The granules of a segment do not follow each other.");
        rows += granule->about.row_count;
        for (int column = 0; column < RelationGetDescr(rel)->natts; column++) {
            Datum value;
            bool is_null;
            for (uint32 row = 0; row < granule->about.row_count; row++) granule_value(granule, column, row, &value, &is_null);
        }
        raw_bytes += check_values(granule, collector);
        note_progress(summary->tail_rows + summary->sealed_rows + rows);
        check_order(rel, granule, block);
        summary->granules++;
    }
    if (rows != entry.row_count)
        report_damage(rel, block, "The granules of a segment have another number of rows than the segment.");
    if (raw_bytes != segment.header.raw_bytes)
        report_damage(rel, block, "The segment's header tells another number of raw bytes than its values have.");
    if (collector != nullptr) check_filter(rel, segment, collector, context);
    summary->sealed_rows += rows;
}

// About how many rows the check will look at.
uint64 count_rows(Relation rel, const Metapage &meta) {
    uint64 rows = 0;
    for_each_entry(rel, meta, [rel, &rows](uint32, const DirectoryEntry &entry) {
        rows += is_tail(entry) ? rows_of_run(rel, entry) : entry.row_count;
    });
    return rows;
}

}  // namespace

CheckSummary check_table(Relation rel) {
    CheckSummary summary = {};
    Metapage meta;
    summary.blocks = RelationGetNumberOfBlocks(rel);
    if (!read_metapage(rel, &meta)) return summary;
    check_key_columns(rel, meta, key_columns(rel));
    const bool on_standby = RecoveryInProgress();
    if (!on_standby) lock_maintenance(rel, true);
    MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "historian check", ALLOCSET_DEFAULT_SIZES);
    summary.free_blocks = check_allocation(rel, context);
    read_metapage(rel, &meta);
    summary.blocks = RelationGetNumberOfBlocks(rel);
    begin_progress(rel, Work::checking, count_rows(rel, meta));
    for_each_entry(rel, meta, [&](uint32 slot, const DirectoryEntry &entry) {
        note_progress(summary.tail_rows + summary.sealed_rows);
        check_xid(rel, entry.extents[0].first_block, 0, entry.xmin);
        check_xid(rel, entry.extents[0].first_block, 0, entry.xmax);
        // On a standby replay may free, at any moment, what the snapshot does not protect.
        if (on_standby ? !entry_is_visible(entry, GetActiveSnapshot()) : xid_state(entry.xmin) == XidState::aborted) return;
        if (entry.kind == static_cast<uint8>(EntryKind::tail)) {
            summary.tail_runs++;
            for (uint32 page = 0; page < entry.used_pages; page++) check_tail_page(rel, slot, entry, page, &summary);
        } else if (entry.kind == static_cast<uint8>(EntryKind::segment)) {
            summary.segments++;
            check_segment(rel, slot, entry, context, &summary);
            check_delete_log(rel, slot, entry);
            MemoryContextReset(context);
        }
    });
    end_progress();
    MemoryContextDelete(context);
    if (!on_standby) unlock_maintenance(rel);
    return summary;
}

}  // namespace historian::engine
