#include "engine/delete_log.h"

#include "engine/report.h"
#include "engine/space.h"
#include "engine/validate.h"
#include "engine/visibility.h"

namespace historian::engine {

using format::DeleteRecord;
using format::DirectoryEntry;
using format::EntryKind;
using format::kLogPageRecordsMax;
using format::kPageHeaderBytes;
using format::LogSpecial;
using format::PageKind;
using format::PageTrailer;

// --------------------------------------------------------------------------------------------------------------- reading

void read_log_page(Relation rel, uint32 slot, const DirectoryEntry &entry, uint32 page_index, LogPage *copy) {
    const BlockNumber block = entry_log_block(entry, page_index);
    const Buffer buffer = lock_page(rel, block, PageLock::shared);
    Page page = BufferGetPage(buffer);
    validate_log_page(rel, slot, entry, page_index, block, page);
    copy->record_count = log_record_count(page);
    copy->rows_before = log_special(page)->rows_before;
    copy->is_closed = (page_trailer(page)->flags & format::kLogPageClosed) != 0;
    memcpy(copy->records, log_records(page), copy->record_count * sizeof(DeleteRecord));
    UnlockReleaseBuffer(buffer);
}

uint64 rows_named(const DeleteRecord *records, uint32 record_count) {
    uint64 rows = 0;
    for (uint32 i = 0; i < record_count; i++) rows += records[i].row_count;
    return rows;
}

uint64 rows_named_by_log(Relation rel, uint32 slot, const DirectoryEntry &entry) {
    if (entry.log_pages == 0) return 0;
    LogPage page;
    read_log_page(rel, slot, entry, entry.log_pages - 1, &page);
    return page.rows_before + rows_named(page.records, page.record_count);
}

RowSet make_row_set(uint32 row_count, MemoryContext context) {
    RowSet set = {nullptr, row_count, 0};
    set.words = static_cast<uint64 *>(MemoryContextAllocZero(context, sizeof(uint64) * (row_count / 64 + 1)));
    return set;
}

void clear_rows(RowSet *set) {
    memset(set->words, 0, sizeof(uint64) * (set->row_count / 64 + 1));
    set->member_count = 0;
}

namespace {

// Calls visit(word, mask) for each word of a set that has bits of the rows [first, end), until it returns false.
template <typename Visit>
void for_each_word(uint32 first, uint32 end, Visit visit) {
    for (uint32 row = first; row < end;) {
        const uint32 bit = row % 64;
        const uint32 count = Min(64 - bit, end - row);
        const uint64 mask = (count == 64 ? ~UINT64CONST(0) : (UINT64CONST(1) << count) - 1) << bit;
        if (!visit(row / 64, mask)) return;
        row += count;
    }
}

}  // namespace

bool has_any(const RowSet &set, RowRange rows) {
    bool found = false;
    if (set.words == nullptr) return found;
    for_each_word(rows.first, rows.first + rows.count, [&](uint32 word, uint64 mask) {
        found = (set.words[word] & mask) != 0;
        return !found;
    });
    return found;
}

void add_rows(RowSet *set, uint32 first, uint32 count) {
    const uint32 end = first + Min(count, set->row_count - Min(first, set->row_count));
    for_each_word(first, end, [set](uint32 word, uint64 mask) {
        set->member_count += static_cast<uint32>(__builtin_popcountll(mask & ~set->words[word]));
        set->words[word] |= mask;
        return true;
    });
}

namespace {

// Adds the rows of a record to a set that is made when it gets its first.
void add_record(RowSet *set, const DeleteRecord &record, MemoryContext context) {
    if (set->words == nullptr) *set = make_row_set(set->row_count, context);
    add_rows(set, first_row_of(record), record.row_count);
}

}  // namespace

RowSet deleted_rows(Relation rel, uint32 slot, const DirectoryEntry &entry, Snapshot snapshot, MemoryContext context) {
    RowSet deleted = {nullptr, entry.row_count, 0};
    if (entry.log_pages == 0) return deleted;
    const bool reports = IsolationIsSerializable() && CheckForSerializableConflictOutNeeded(rel, snapshot);
    DeleteRecord last = {0, 0, InvalidTransactionId, 0};  // adjacent records mostly have one xid and one cid
    bool last_counts = false;
    for_each_log_record(rel, slot, entry, [&](const DeleteRecord &record) {
        if (is_lock(record)) return;
        if (record.xid != last.xid || record.cid != last.cid) {
            last = record;
            last_counts = counts_for(record.xid, record.cid, snapshot);
            if (!last_counts && reports) report_unseen(rel, record.xid, snapshot);
        }
        if (last_counts) add_record(&deleted, record, context);
    });
    return deleted;
}

bool row_is_deleted(Relation rel, const LogPart &log, uint32 row, Snapshot snapshot) {
    if (snapshot->snapshot_type == SNAPSHOT_ANY) return false;
    const bool reports = IsolationIsSerializable() && CheckForSerializableConflictOutNeeded(rel, snapshot);
    bool deleted = false;
    for_each_log_record(rel, log, [&](const DeleteRecord &record) {
        if (deleted || is_lock(record) || !names_row(record, row)) return;
        deleted = counts_for(record.xid, record.cid, snapshot);
        if (!deleted && reports) report_unseen(rel, record.xid, snapshot);
    });
    return deleted;
}

LogState settled_rows(Relation rel, uint32 slot, const DirectoryEntry &entry, TransactionId oldest, MemoryContext context) {
    LogState log = {{nullptr, entry.row_count, 0}, true, 0, 0};
    TransactionId last_xid = InvalidTransactionId;
    XidState last_state = XidState::aborted;
    for_each_log_record(rel, slot, entry, [&](const DeleteRecord &record) {
        if (record.xid != last_xid) {
            last_xid = record.xid;
            last_state = xid_state(record.xid);
        }
        log.record_count++;
        if (last_state != XidState::in_progress) log.done_count++;
        if (last_state != XidState::committed || is_lock(record)) return;
        add_record(&log.settled, record, context);
        if (TransactionIdIsNormal(record.xid) && !TransactionIdPrecedes(record.xid, oldest)) log.all_before_oldest = false;
    });
    return log;
}

// --------------------------------------------------------------------------------------------------------------- writing

namespace {

// Extents of 1, 4, 16, ... pages: few deletions take one page, and eight extents hold eleven million records.
constexpr uint32 next_extent_pages(uint32 extent_count) { return 1u << (2 * extent_count); }

void stage_record(PageEdit &edit, int page_index, uint32 place, const DeleteRecord &record) {
    edit.patch(page_index, kPageHeaderBytes + place * sizeof(record), &record, sizeof(record));
}

}  // namespace

void add_log_extent(Relation rel, uint32 slot, const DirectoryEntry &expected) {
    if (expected.log_extent_count >= format::kEntryExtentsMax) {
        ereport(ERROR, errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                errmsg("too many rows of table \"%s\" were deleted and rolled back", RelationGetRelationName(rel)),
                errhint("End old transactions and CALL compact(...)."));
    }
    // Another session may be faster; the caller looks again anyway.
    add_extent(rel, slot, expected, next_extent_pages(expected.log_extent_count), ExtentList::delete_log);
}

bool open_log_page(Relation rel, uint32 slot, const DirectoryEntry &expected, Buffer last_buffer, uint64 rows_before,
                   Buffer *new_buffer) {
    format::Metapage meta;
    read_metapage(rel, &meta);
    const BlockNumber block = entry_log_block(expected, expected.log_pages);
    *new_buffer = lock_page(rel, block, PageLock::exclusive);
    const EntryPlace place = entry_place(meta, slot);
    const Buffer directory_buffer = lock_page(rel, place.block, PageLock::exclusive);
    DirectoryEntry entry = entry_on_page(BufferGetPage(directory_buffer), place.offset);
    const bool same = entry.generation == expected.generation && entry.kind == expected.kind && entry.xmax == expected.xmax &&
                      entry.log_pages == expected.log_pages;
    if (same) {
        PageEdit edit(rel, EditPurpose::open_log_page);
        const int page = edit.add_page(*new_buffer, sizeof(LogSpecial));
        edit.patch(page, format::kPageBytes - sizeof(LogSpecial), &rows_before, sizeof(rows_before));
        patch_trailer(edit, page,
                      PageTrailer{static_cast<uint16>(PageKind::delete_log), 0, slot, entry.generation, entry.log_pages});
        if (BufferIsValid(last_buffer)) {
            PageTrailer trailer = *page_trailer(BufferGetPage(last_buffer));
            trailer.flags |= format::kLogPageClosed;
            patch_trailer(edit, edit.add_page(last_buffer), trailer);
        }
        entry.log_pages++;
        edit.patch(edit.add_page(directory_buffer), place.offset + offsetof(DirectoryEntry, log_pages), &entry.log_pages,
                   sizeof(entry.log_pages));
        edit.commit();
    }
    UnlockReleaseBuffer(directory_buffer);
    if (BufferIsValid(last_buffer)) UnlockReleaseBuffer(last_buffer);
    if (!same) UnlockReleaseBuffer(*new_buffer);
    return same;
}

void write_record(Relation rel, Buffer buffer, const DeleteRecord &record) {
    Page page = BufferGetPage(buffer);
    const uint32 count = log_record_count(page);
    PageEdit edit(rel, EditPurpose::delete_rows);
    const int index = edit.add_page(buffer);
    const DeleteRecord *last = count > 0 ? &log_records(page)[count - 1] : nullptr;
    const bool goes_on = last != nullptr && last->row_count > 0 && last->xid == record.xid && last->cid == record.cid &&
                         is_lock(*last) == is_lock(record) && first_row_of(*last) + last->row_count == first_row_of(record);
    if (goes_on) {
        DeleteRecord grown = *last;
        grown.row_count += record.row_count;
        stage_record(edit, index, count - 1, grown);
    } else {
        if (count >= kLogPageRecordsMax) elog(ERROR, "a delete log page has no room for the record chosen for it");
        stage_record(edit, index, count, record);
        patch_lower(edit, index, static_cast<uint16>(kPageHeaderBytes + (count + 1) * sizeof(record)));
    }
    edit.commit();
}

void append_records(Relation rel, uint32 slot, const DeleteRecord *records, uint32 record_count) {
    format::Metapage meta;
    uint64 rows_before = 0;
    while (record_count > 0) {
        CHECK_FOR_INTERRUPTS();
        read_metapage(rel, &meta);
        DirectoryEntry entry = read_entry(rel, meta, slot);
        if (entry.log_pages == entry_log_block_count(entry)) {
            add_log_extent(rel, slot, entry);
            entry = read_entry(rel, meta, slot);
        }
        ensure_block(rel, entry_log_block(entry, entry.log_pages));
        const Buffer last_buffer = entry.log_pages == 0
                                       ? InvalidBuffer
                                       : lock_page(rel, entry_log_block(entry, entry.log_pages - 1), PageLock::exclusive);
        Buffer buffer;
        if (!open_log_page(rel, slot, entry, last_buffer, rows_before, &buffer))
            elog(ERROR, "slot %u changed while it was being made", slot);
        const uint32 count = Min(record_count, kLogPageRecordsMax);
        PageEdit edit(rel, EditPurpose::delete_rows);
        const int index = edit.add_page(buffer);
        edit.patch(index, kPageHeaderBytes, records, count * sizeof(DeleteRecord));
        patch_lower(edit, index, static_cast<uint16>(kPageHeaderBytes + count * sizeof(DeleteRecord)));
        edit.commit();
        UnlockReleaseBuffer(buffer);
        rows_before += rows_named(records, count);
        records += count;
        record_count -= count;
    }
}

}  // namespace historian::engine
