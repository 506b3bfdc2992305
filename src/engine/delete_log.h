// The delete log of a segment: which of its rows were deleted or locked, by which transaction and command.
//
// A segment never changes, so its deleted rows are noted beside it: records of adjacent rows, in the order in which they were
// deleted, on pages that the segment's directory entry owns. Bytes: src/format/README.md, "Delete log pages".
//
// Invariants:
//   1. A log only grows while its segment lives; it goes with it. Merging leaves deleted rows out, so no log becomes long-lived.
//   2. Of the records that name a row, those of others whose transaction is neither aborted nor a finished locker's are one at
//      most: who appends looks first, with the last page locked.
//   3. What changes in place: the last record grows by the row behind it (same transaction, same command), and VACUUM freezes
//      records and voids those of aborted transactions.
//   4. A reader who knows the number of pages at its snapshot's time misses nothing that its snapshot sees.
#pragma once

#include "engine/server.h"
//
#include "engine/pages.h"
#include "engine/space.h"
#include "engine/validate.h"
#include "engine/wal.h"
#include "format/page_layout.h"

namespace historian::engine {

/// Records copied from a page, in order.
struct LogPage {
    format::DeleteRecord records[format::kLogPageRecordsMax];
    uint32 record_count;
    uint64 rows_before;
    bool is_closed;
};

/// Copies a page of a log, share-locked meanwhile.
/// errors  XX001 the block is not that page
void read_log_page(Relation rel, uint32 slot, const format::DirectoryEntry &entry, uint32 page_index, LogPage *copy);

/// A segment's delete log from one of its pages on.
struct LogPart {
    uint32 slot;
    const format::DirectoryEntry &entry;
    uint32 first_page;
};

/// Calls visit(record) for every record that is not void of those pages that the entry knows.
template <typename Visit>
void for_each_log_record(Relation rel, const LogPart &log, Visit visit) {
    LogPage page;
    for (uint32 p = log.first_page; p < log.entry.log_pages; p++) {
        CHECK_FOR_INTERRUPTS();
        read_log_page(rel, log.slot, log.entry, p, &page);
        for (uint32 i = 0; i < page.record_count; i++) {
            if (page.records[i].row_count > 0) visit(page.records[i]);
        }
    }
}

/// The same for the whole log.
template <typename Visit>
void for_each_log_record(Relation rel, uint32 slot, const format::DirectoryEntry &entry, Visit visit) {
    for_each_log_record(rel, LogPart{slot, entry, 0}, visit);
}

inline bool is_lock(const format::DeleteRecord &record) { return (record.first_row & format::kRowLocked) != 0; }
inline uint32 first_row_of(const format::DeleteRecord &record) { return record.first_row & ~format::kRowLocked; }
inline bool names_row(const format::DeleteRecord &record, uint32 row) {
    return row - first_row_of(record) < record.row_count;  // unsigned: a row before the first is far behind the last
}

/// Adjacent rows of a segment.
struct RowRange {
    uint32 first;
    uint32 count;
};
inline bool overlaps(RowRange a, RowRange b) { return a.first < b.first + b.count && b.first < a.first + a.count; }

/// The sum of the records' row counts.
uint64 rows_named(const format::DeleteRecord *records, uint32 record_count);

/// At least as many rows as were deleted: what the records name, voided and aborted ones and locks included. Reads one page.
uint64 rows_named_by_log(Relation rel, uint32 slot, const format::DirectoryEntry &entry);

// --------------------------------------------------------------------------------------------------------------- readers

/// A set of rows of one segment.
struct RowSet {
    uint64 *words;  // nullptr: empty
    uint32 row_count;
    uint32 member_count;
};

RowSet make_row_set(uint32 row_count, MemoryContext context);
inline bool has_row(const RowSet &set, uint32 row) {
    return set.words != nullptr && ((set.words[row / 64] >> (row % 64)) & 1) != 0;
}
bool has_any(const RowSet &set, RowRange rows);
void add_rows(RowSet *set, uint32 first, uint32 count);
void clear_rows(RowSet *set);

/// The rows that are deleted for a snapshot (SnapshotAny, which only ANALYZE brings: by others that committed, or by us); no
/// memory is taken when there are none. Reports conflicts of SERIALIZABLE readers.
RowSet deleted_rows(Relation rel, uint32 slot, const format::DirectoryEntry &entry, Snapshot snapshot, MemoryContext context);

/// Whether one row is, by the records of a part of the log; never for SnapshotAny, by which a statement comes back to a row that
/// it has deleted.
bool row_is_deleted(Relation rel, const LogPart &log, uint32 row, Snapshot snapshot);

/// What all records of a log come to, whoever looks.
struct LogState {
    RowSet settled;          // rows deleted by transactions that committed
    bool all_before_oldest;  // every one of those is older than `oldest`
    uint64 record_count;
    uint64 done_count;  // records of transactions that are over: merging needs none of them
};
LogState settled_rows(Relation rel, uint32 slot, const format::DirectoryEntry &entry, TransactionId oldest,
                      MemoryContext context);

// --------------------------------------------------------------------------------------------------------------- writers

/// Appends records to the log of a segment that nobody else can see or change: merging carries deletions over.
void append_records(Relation rel, uint32 slot, const format::DeleteRecord *records, uint32 record_count);

/// How one record of VACUUM's walk is to change.
enum class RecordFate : uint8 { keep, freeze, clear };

/// Lets judge(record) decide about each record of a log and logs what changed, page by page; the newest xid frozen on a page is
/// what standby snapshots must be past (rule R6). How many pages changed.
template <typename Judge>
uint32 freeze_log(Relation rel, uint32 slot, const format::DirectoryEntry &entry, Judge judge);

/// Opens the first or next page of a log, whose block exists: the caller holds the last one exclusively locked in last_buffer
/// (invalid when there is none), and gets the new one likewise, empty. last_buffer is released.
///
/// returns  false, with nothing locked, when the entry is not as expected any more
bool open_log_page(Relation rel, uint32 slot, const format::DirectoryEntry &expected, Buffer last_buffer, uint64 rows_before,
                   Buffer *new_buffer);

/// Gives a log whose extents are used up one more, unless another session was faster.
/// errors  54000 it has all it can have
void add_log_extent(Relation rel, uint32 slot, const format::DirectoryEntry &expected);

inline format::LogSpecial *log_special(Page page) {
    return reinterpret_cast<format::LogSpecial *>(static_cast<char *>(page) + format::kPageBytes - sizeof(format::LogSpecial));
}

inline format::DeleteRecord *log_records(Page page) {
    return reinterpret_cast<format::DeleteRecord *>(static_cast<char *>(page) + format::kPageHeaderBytes);
}

inline uint32 log_record_count(Page page) {
    return (reinterpret_cast<PageHeader>(page)->pd_lower - format::kPageHeaderBytes) / sizeof(format::DeleteRecord);
}

/// Adds a record to a locked page that has room, or lets its last one grow when it goes on there; one WAL record.
void write_record(Relation rel, Buffer buffer, const format::DeleteRecord &record);

template <typename Judge>
uint32 freeze_log(Relation rel, uint32 slot, const format::DirectoryEntry &entry, Judge judge) {
    uint32 changed_pages = 0;
    for (uint32 p = 0; p < entry.log_pages; p++) {
        vacuum_delay_point_compat();
        const Buffer buffer = lock_page(rel, entry_log_block(entry, p), PageLock::exclusive);
        Page page = BufferGetPage(buffer);
        PageEdit edit(rel, EditPurpose::freeze);
        const int index = edit.add_page(buffer);
        TransactionId newest = InvalidTransactionId;
        bool changed = false;
        validate_log_page(rel, slot, entry, p, BufferGetBlockNumber(buffer), page);
        for (uint32 i = 0; i < log_record_count(page); i++) {
            format::DeleteRecord record = log_records(page)[i];
            if (record.row_count == 0) continue;
            const RecordFate fate = judge(record);
            if (fate == RecordFate::keep) continue;
            if (fate == RecordFate::freeze) {
                if (!TransactionIdIsValid(newest) || TransactionIdFollows(record.xid, newest)) newest = record.xid;
                record.xid = FrozenTransactionId;
            } else {
                record = format::DeleteRecord{0, 0, InvalidTransactionId, 0};
            }
            edit.patch(index, format::kPageHeaderBytes + i * sizeof(record), &record, sizeof(record));
            changed = true;
        }
        if (changed) {
            edit.set_conflict(newest);
            edit.commit();
            changed_pages++;
        }
        UnlockReleaseBuffer(buffer);
    }
    return changed_pages;
}

}  // namespace historian::engine
