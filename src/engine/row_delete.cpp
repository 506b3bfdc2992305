#include "engine/row_delete.h"

#include "engine/gate.h"
#include "engine/report.h"
#include "engine/space.h"
#include "engine/stop_points.h"
#include "engine/tid.h"
#include "engine/validate.h"
#include "engine/visibility.h"

namespace historian::engine {

using format::DeleteRecord;
using format::DirectoryEntry;
using format::EntryKind;
using format::PageKind;
using format::PageTrailer;

namespace {

// What is known after a look at a row.
struct Verdict {
    TM_Result result = TM_Ok;  // TM_BeingModified: by `xid`, another transaction in progress
    TransactionId xid = InvalidTransactionId;
    CommandId cid = InvalidCommandId;  // of our own earlier delete
};

[[noreturn]] void report_moved(Relation rel) {
    ereport(
        ERROR, errcode(ERRCODE_T_R_SERIALIZATION_FAILURE), errmsg("could not serialize access due to compaction"),
        errdetail("A row of table \"%s\" was moved after the transaction's snapshot was taken.", RelationGetRelationName(rel)),
        errhint("The transaction might succeed if retried."));
    pg_unreachable();
}

// A delete of our own transaction, seen by a later command or by the same one.
Verdict own_delete(TransactionId xid, CommandId deleted_by, CommandId cid) {
    return {deleted_by >= cid ? TM_SelfModified : TM_Invisible, xid, deleted_by};
}

// Waits for another transaction; false: it is not over, and the caller shall not wait.
bool wait_for(Relation rel, ItemPointer tid, TransactionId xid, const RowChange &change) {
    switch (change.wait) {
        case LockWaitBlock: XactLockTableWait(xid, rel, tid, change.lock_only ? XLTW_Lock : XLTW_Delete); return true;
        case LockWaitSkip: return is_over_without_waiting(xid);
        case LockWaitError:
            if (is_over_without_waiting(xid)) return true;
            ereport(ERROR, errcode(ERRCODE_LOCK_NOT_AVAILABLE),
                    errmsg("could not obtain lock on row in relation \"%s\"", RelationGetRelationName(rel)));
    }
    return true;
}

TM_Result fail(ItemPointer tid, const Verdict &verdict, TM_FailureData *failure) {
    if (verdict.result == TM_Invisible)
        ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("attempted to delete invisible row"));
    failure->ctid = *tid;
    failure->xmax = verdict.xid;
    failure->cmax = verdict.result == TM_SelfModified ? verdict.cid : InvalidCommandId;
    failure->traversed = false;
    return verdict.result;
}

// ------------------------------------------------------------------------------------------------------------- tail rows

// The row's header as the change leaves it: see compute_new_xmax_infomask() of heapam.c, for an exclusive lock and a delete.
HeapTupleHeaderData stamped_header(HeapTupleHeader tuple, const RowChange &change, TransactionId xid) {
    CommandId cid = change.cid;
    bool is_combo = false;
    if (!change.lock_only) HeapTupleHeaderAdjustCmax(tuple, &cid, &is_combo);
    HeapTupleHeaderData header;
    memcpy(&header, tuple, SizeofHeapTupleHeader);
    header.t_infomask &= ~(HEAP_XMAX_BITS | HEAP_MOVED);
    header.t_infomask2 |= HEAP_KEYS_UPDATED;
    if (change.lock_only)
        header.t_infomask |= HEAP_XMAX_LOCK_ONLY | HEAP_XMAX_EXCL_LOCK;
    else
        HeapTupleHeaderSetCmax(&header, cid, is_combo);
    HeapTupleHeaderSetXmax(&header, xid);
    return header;
}

void stamp_row(Relation rel, Buffer buffer, HeapTuple tuple, const RowChange &change, TransactionId xid) {
    Page page = BufferGetPage(buffer);
    const HeapTupleHeaderData header = stamped_header(tuple->t_data, change, xid);
    PageEdit edit(rel, EditPurpose::delete_rows);
    const int index = edit.add_page(buffer);
    edit.patch(index, static_cast<uint32>(reinterpret_cast<char *>(tuple->t_data) - static_cast<char *>(page)), &header,
               SizeofHeapTupleHeader);
    PageTrailer trailer = *page_trailer(page);
    if ((trailer.flags & format::kTailPageHasXmax) == 0) {
        trailer.flags |= format::kTailPageHasXmax;
        patch_trailer(edit, index, trailer);
    }
    edit.commit();
}

// Whether the run that a tail page belongs to is still in force.
bool run_was_moved(Relation rel, Page page) {
    format::Metapage meta;
    const PageTrailer *trailer = page_trailer(page);
    if (!read_metapage(rel, &meta) || trailer->slot >= meta.slot_count) return true;
    const DirectoryEntry entry = read_entry(rel, meta, trailer->slot);
    return !format::is_tail(entry) || entry.generation != trailer->generation || xid_state(entry.xmax) != XidState::aborted;
}

Verdict judge_tail_row(HeapTuple tuple, Buffer buffer, const RowChange &change) {
    Verdict verdict;
    verdict.result = HeapTupleSatisfiesUpdate(tuple, change.cid, buffer);
    verdict.xid = HeapTupleHeaderGetRawXmax(tuple->t_data);
    if (verdict.result == TM_BeingModified && TransactionIdIsCurrentTransactionId(verdict.xid))
        verdict.result = TM_Ok;  // our lock
    if (verdict.result == TM_SelfModified) verdict.cid = HeapTupleHeaderGetCmax(tuple->t_data);
    if (verdict.result == TM_Ok && change.crosscheck != InvalidSnapshot &&
        !HeapTupleSatisfiesVisibility(tuple, change.crosscheck, buffer)) {
        verdict.result = TM_Updated;
    }
    return verdict;
}

TM_Result change_tail_row(Relation rel, ItemPointer tid, const RowChange &change, TM_FailureData *failure) {
    const BlockNumber block = ItemPointerGetBlockNumber(tid);
    const OffsetNumber offset = ItemPointerGetOffsetNumber(tid);
    const TransactionId xid = GetCurrentTransactionId();  // may take a heavyweight lock: before the page's
    for (;;) {
        CHECK_FOR_INTERRUPTS();
        const Buffer buffer = lock_page(rel, block, PageLock::exclusive);
        Page page = BufferGetPage(buffer);
        if (!page_is(page, PageKind::tail) || run_was_moved(rel, page)) {
            UnlockReleaseBuffer(buffer);
            report_moved(rel);
        }
        Verdict verdict;
        verdict.result = TM_Deleted;  // pruned
        HeapTupleData tuple;
        TailPage tail = {rel, block, page};
        if (offset >= FirstOffsetNumber && offset <= PageGetMaxOffsetNumber(page) && tail_tuple_at(&tail, offset, &tuple))
            verdict = judge_tail_row(&tuple, buffer, change);
        if (verdict.result == TM_Ok) stamp_row(rel, buffer, &tuple, change, xid);
        UnlockReleaseBuffer(buffer);
        if (verdict.result == TM_Ok) return TM_Ok;
        if (verdict.result != TM_BeingModified) return fail(tid, verdict, failure);
        if (!wait_for(rel, tid, verdict.xid, change)) {
            verdict.result = TM_WouldBlock;
            return fail(tid, verdict, failure);
        }
    }
}

// ----------------------------------------------------------------------------------------------------------- sealed rows

// What this transaction has read of a segment's log: an aid, so that deleting n rows does not mean reading the log n times.
struct LogReader {
    FileLocator file;  // a TRUNCATE of this transaction gives the table another
    uint32 slot;
    format::Metapage meta;   // tells where the directory is, unless this session moves it
    uint64 directory_moves;  // when it was read
    DirectoryEntry entry;    // as read last; unless it is stamped, its slot is not used again while this transaction lives (R5)
    uint64 last_use;
    MemoryContext context;
    RowSet named;  // rows that some record read so far names, but for those of failed deleters and of lockers that are over
    RowSet gone;   // those of them that were deleted by transactions that committed
    RowSet own;    // those of them that the newest command read of this transaction deleted: a join may bring each many times
    TransactionId own_xid;  // that command
    CommandId own_cid;
    uint32 page_index;    // the last page read ...
    uint32 record_count;  // ... how many of its records ...
    uint32 last_rows;     // ... and how many rows the last of those named: it may grow
    int64 fresh_lock;     // the row we have locked last, if nobody had named it before: no need to look it up; or -1
};

constexpr int kLogReadersMax = 16;
LogReader *log_readers[kLogReadersMax];  // their memory is the transaction's
uint64 log_reader_uses = 0;

void drop_reader(LogReader **place) {
    if (*place != nullptr) MemoryContextDelete((*place)->context);
    *place = nullptr;
}

LogReader *find_reader(Relation rel, uint32 slot) {
    for (LogReader *reader : log_readers) {
        if (reader == nullptr || reader->slot != slot || !is_same_file(reader->file, file_of(rel))) continue;
        reader->last_use = ++log_reader_uses;
        return reader;
    }
    return nullptr;
}

// A reader in a free place, or in that of the one whose last use is longest ago.
LogReader *make_reader(Relation rel, uint32 slot, uint32 row_count) {
    LogReader **place = &log_readers[0];
    for (LogReader *&reader : log_readers) {
        if (*place == nullptr) break;
        if (reader == nullptr || reader->last_use < (*place)->last_use) place = &reader;
    }
    drop_reader(place);
    MemoryContext context = AllocSetContextCreate(TopTransactionContext, "historian delete log", ALLOCSET_SMALL_SIZES);
    LogReader *reader = static_cast<LogReader *>(MemoryContextAllocZero(context, sizeof(LogReader)));
    reader->file = file_of(rel);
    reader->slot = slot;
    reader->context = context;
    reader->named = make_row_set(row_count, context);
    reader->gone = make_row_set(row_count, context);
    reader->own = make_row_set(row_count, context);
    reader->fresh_lock = -1;
    reader->last_use = ++log_reader_uses;
    *place = reader;
    return reader;
}

// The reader of a segment, its entry read anew when there was none, when it was stamped, or when asked for.
LogReader *use_reader(Relation rel, uint32 slot, RowRange rows, bool read_again) {
    LogReader *reader = find_reader(rel, slot);
    // Who stamped it may have done so before our transaction began: then the segment may be gone since our last command.
    const bool is_stamped = reader != nullptr && TransactionIdIsValid(reader->entry.xmax);
    const bool has_moved = reader != nullptr && reader->directory_moves != directory_moves;
    if (reader == nullptr || read_again || is_stamped || has_moved) {
        format::Metapage meta;
        if (!read_metapage(rel, &meta) || slot >= meta.slot_count) report_moved(rel);
        const DirectoryEntry entry = read_entry(rel, meta, slot);
        if (entry.kind != static_cast<uint8>(EntryKind::segment)) report_moved(rel);
        if (reader != nullptr && reader->entry.generation != entry.generation) {
            if (read_again) report_moved(rel);
            forget_delete_logs();
            reader = nullptr;
        }
        if (reader == nullptr) reader = make_reader(rel, slot, entry.row_count);
        reader->meta = meta;
        reader->directory_moves = directory_moves;
        reader->entry = entry;
    }
    if (rows.first >= reader->entry.row_count || rows.count > reader->entry.row_count - rows.first) report_moved(rel);
    return reader;
}

// Takes in a deletion of our own; those of earlier commands are left to judge_by_log().
void note_own(LogReader *reader, const DeleteRecord &record, RowRange rows) {
    if (record.xid != reader->own_xid || record.cid != reader->own_cid) clear_rows(&reader->own);
    reader->own_xid = record.xid;
    reader->own_cid = record.cid;
    add_rows(&reader->own, rows.first, rows.count);
}

// Takes in the records of a page that are new; true when one of them names some of the rows and is no lock of ours.
bool learn(LogReader *reader, uint32 page_index, const DeleteRecord *records, uint32 record_count, RowRange rows) {
    const bool goes_on = page_index == reader->page_index && reader->record_count > 0;
    bool names = false;
    TransactionId last_xid = InvalidTransactionId;
    XidState last_state = XidState::aborted;
    bool last_is_own = false;
    for (uint32 i = goes_on ? reader->record_count - 1 : 0; i < record_count; i++) {
        // Of the last one read, what it has grown by.
        const uint32 known_rows = goes_on && i == reader->record_count - 1 ? reader->last_rows : 0;
        if (records[i].row_count <= known_rows) continue;
        if (records[i].xid != last_xid) {
            last_xid = records[i].xid;
            last_state = xid_state(last_xid);
            last_is_own = TransactionIdIsCurrentTransactionId(last_xid);
        }
        // For ever, so these need no second look.
        if (last_state == XidState::aborted || (last_state == XidState::committed && is_lock(records[i]))) continue;
        const RowRange fresh = {first_row_of(records[i]) + known_rows, records[i].row_count - known_rows};
        add_rows(&reader->named, fresh.first, fresh.count);
        if (last_state == XidState::committed) add_rows(&reader->gone, fresh.first, fresh.count);
        if (is_lock(records[i]) && last_is_own) continue;
        if (last_is_own) note_own(reader, records[i], fresh);
        if (overlaps(fresh, rows)) names = true;
        if (reader->fresh_lock >= 0 && overlaps(fresh, {static_cast<uint32>(reader->fresh_lock), 1})) reader->fresh_lock = -1;
    }
    reader->page_index = page_index;
    reader->record_count = record_count;
    reader->last_rows = record_count > 0 ? records[record_count - 1].row_count : 0;
    return names;
}

bool learn_pages(LogReader *reader, Relation rel, RowRange rows) {
    bool names = false;
    LogPage page;
    // The last page is learnt when it is locked.
    for (uint32 p = reader->page_index; p + 1 < reader->entry.log_pages; p++) {
        CHECK_FOR_INTERRUPTS();
        read_log_page(rel, reader->slot, reader->entry, p, &page);
        names |= learn(reader, p, page.records, page.record_count, rows);
    }
    return names;
}

// The part of the log that may name the row in a record that counts for some snapshot.
LogPart log_part_for(const LogReader *reader, uint32 row) {
    return {reader->slot, reader->entry, has_row(reader->named, row) ? 0 : reader->page_index};
}

// What the log says of a row, from its first page on. Own locks hinder nobody.
Verdict judge_by_log(Relation rel, uint32 slot, const DirectoryEntry &entry, uint32 row, const RowChange &change) {
    Verdict verdict;
    for_each_log_record(rel, slot, entry, [&](const DeleteRecord &record) {
        if (!names_row(record, row) || verdict.result == TM_Deleted) return;
        if (TransactionIdIsCurrentTransactionId(record.xid)) {
            if (!is_lock(record)) verdict = own_delete(record.xid, record.cid, change.cid);
            return;
        }
        const XidState state = xid_state(record.xid);
        if (state == XidState::in_progress) verdict = {TM_BeingModified, record.xid, InvalidCommandId};
        if (state == XidState::committed && !is_lock(record)) verdict = {TM_Deleted, record.xid, InvalidCommandId};
    });
    return verdict;
}

// What the segment's entry says of all its rows.
Verdict judge_by_entry(Relation rel, const DirectoryEntry &entry, const RowChange &change) {
    if (TransactionIdIsCurrentTransactionId(entry.xmin) && entry.cmin >= change.cid)
        return {TM_Invisible, entry.xmin, entry.cmin};
    if (!TransactionIdIsValid(entry.xmax)) return {};
    if (TransactionIdIsCurrentTransactionId(entry.xmax)) return own_delete(entry.xmax, entry.cmax, change.cid);
    switch (xid_state(entry.xmax)) {
        case XidState::aborted: return {};
        case XidState::in_progress: return {TM_BeingModified, entry.xmax, InvalidCommandId};
        case XidState::committed: break;
    }
    if ((entry.flags & format::kEntryDropped) == 0) report_moved(rel);
    return {TM_Deleted, entry.xmax, InvalidCommandId};
}

enum class Append : uint8 { done, look_again, look_up };

// With the rows' bits known to be clear or looked up already: takes the log's last page, learns what is new there, and appends.
// `is_cleared` turns false when a new record names one of them.
Append append_to_log(LogReader *reader, Relation rel, const DeleteRecord &record, bool *is_cleared) {
    const uint32 slot = reader->slot;
    const DirectoryEntry &entry = reader->entry;
    // If a page may have to be opened, its block must exist: growing the file takes a lock, so it comes before a page is locked.
    const bool may_open = entry.log_pages < entry_log_block_count(entry) &&
                          (entry.log_pages == 0 || reader->record_count + 1 >= format::kLogPageRecordsMax);
    if (may_open) ensure_block(rel, entry_log_block(entry, entry.log_pages));
    const RowRange rows = {first_row_of(record), record.row_count};
    Buffer buffer = InvalidBuffer;
    uint64 rows_before = 0;
    bool has_room = false;
    if (entry.log_pages > 0) {
        const uint32 last_page = entry.log_pages - 1;
        buffer = lock_page(rel, entry_log_block(entry, last_page), PageLock::exclusive);
        Page page = BufferGetPage(buffer);
        const uint32 first_new = reader->page_index == last_page && reader->record_count > 0 ? reader->record_count - 1 : 0;
        validate_log_page(rel, slot, entry, last_page, BufferGetBlockNumber(buffer), page, first_new);
        const bool is_closed = (page_trailer(page)->flags & format::kLogPageClosed) != 0;
        const uint32 count = log_record_count(page);
        if (learn(reader, last_page, log_records(page), count, rows)) *is_cleared = false;
        if (is_closed || (!*is_cleared && has_any(reader->named, rows))) {
            UnlockReleaseBuffer(buffer);
            return is_closed ? Append::look_again : Append::look_up;
        }
        has_room = count < format::kLogPageRecordsMax;
        rows_before = has_room ? 0 : log_special(page)->rows_before + rows_named(log_records(page), count);
    }
    if (has_room) {
        // Whoever drops the whole segment stamps its entry and reads the log after that.
        const DirectoryEntry now = read_entry_again(rel, reader->meta, slot);
        if (now.xmax != entry.xmax || now.generation != entry.generation || now.kind != entry.kind) {
            UnlockReleaseBuffer(buffer);
            return Append::look_again;
        }
    } else if (entry.log_pages == entry_log_block_count(entry)) {
        if (BufferIsValid(buffer)) UnlockReleaseBuffer(buffer);
        add_log_extent(rel, slot, entry);
        return Append::look_again;
    } else if (!may_open) {  // others have filled the page since it was seen
        UnlockReleaseBuffer(buffer);
        return Append::look_again;
    } else {
        Buffer next;
        if (!open_log_page(rel, slot, entry, buffer, rows_before, &next)) return Append::look_again;
        buffer = next;
        reader->entry.log_pages++;
    }
    write_record(rel, buffer, record);
    UnlockReleaseBuffer(buffer);
    return Append::done;
}

TM_Result change_sealed_row(Relation rel, ItemPointer tid, const RowChange &change, TM_FailureData *failure) {
    const SealedAddress address = sealed_address(tid);
    const RowRange rows = {address.row, 1};
    const TransactionId xid = GetCurrentTransactionId();
    bool is_cleared = false;  // what the log says of the row, as far as we have read it, hinders nobody
    for (bool read_again = false;; read_again = true) {
        CHECK_FOR_INTERRUPTS();
        LogReader *reader = use_reader(rel, address.slot, rows, read_again);
        const DirectoryEntry entry = reader->entry;
        Verdict verdict = judge_by_entry(rel, entry, change);
        if (verdict.result == TM_Ok) {
            if (learn_pages(reader, rel, rows)) is_cleared = false;
            if (reader->fresh_lock == static_cast<int64>(address.row)) is_cleared = true;
            if (has_row(reader->own, address.row)) {
                verdict = own_delete(reader->own_xid, reader->own_cid, change.cid);
            } else if (has_row(reader->gone, address.row)) {
                verdict.result = TM_Deleted;
            } else if (has_row(reader->named, address.row) && !is_cleared) {
                verdict = judge_by_log(rel, address.slot, entry, address.row, change);
                is_cleared = verdict.result == TM_Ok;
            }
        }
        if (verdict.result == TM_Ok && change.crosscheck != InvalidSnapshot &&
            (!entry_is_visible(entry, change.crosscheck) ||
             row_is_deleted(rel, log_part_for(reader, address.row), address.row, change.crosscheck))) {
            verdict.result = TM_Updated;
        }
        if (verdict.result == TM_Ok) {
            const bool was_named = has_row(reader->named, address.row);
            const DeleteRecord record = {address.row | (change.lock_only ? format::kRowLocked : 0), 1, xid, change.cid};
            if (append_to_log(reader, rel, record, &is_cleared) != Append::done) continue;
            reader->fresh_lock = change.lock_only && !was_named ? static_cast<int64>(address.row) : -1;
            return TM_Ok;
        }
        if (verdict.result != TM_BeingModified) return fail(tid, verdict, failure);
        if (!wait_for(rel, tid, verdict.xid, change)) {
            verdict.result = TM_WouldBlock;
            return fail(tid, verdict, failure);
        }
        // It is over: of what was in progress when it was read, all is known now.
        forget_delete_logs();
        is_cleared = false;
    }
}

}  // namespace

bool delete_untouched_rows(Relation rel, uint32 slot, RowRange rows, CommandId cid) {
    const RowChange change = {false, cid, InvalidSnapshot, LockWaitBlock};
    const DeleteRecord record = {rows.first, rows.count, GetCurrentTransactionId(), cid};
    for (bool read_again = false;; read_again = true) {
        CHECK_FOR_INTERRUPTS();
        LogReader *reader = use_reader(rel, slot, rows, read_again);
        if (judge_by_entry(rel, reader->entry, change).result != TM_Ok) return false;
        bool is_cleared = false;
        learn_pages(reader, rel, rows);
        if (has_any(reader->named, rows)) return false;
        switch (append_to_log(reader, rel, record, &is_cleared)) {
            case Append::done: return true;
            case Append::look_up: return false;
            case Append::look_again: break;
        }
    }
}

namespace {

void at_transaction_end(XactEvent event, void *) {
    if (event == XACT_EVENT_PRE_COMMIT || event == XACT_EVENT_PARALLEL_PRE_COMMIT || event == XACT_EVENT_PRE_PREPARE) return;
    for (LogReader *&reader : log_readers) reader = nullptr;
}

// A segment that the subtransaction had made is free now: its slot may be used again.
void at_subtransaction_end(SubXactEvent event, SubTransactionId, SubTransactionId, void *) {
    if (event == SUBXACT_EVENT_ABORT_SUB) forget_delete_logs();
}

}  // namespace

TM_Result change_row(Relation rel, ItemPointer tid, const RowChange &change, TM_FailureData *failure) {
    const TM_Result result =
        is_sealed_tid(tid) ? change_sealed_row(rel, tid, change, failure) : change_tail_row(rel, tid, change, failure);
    // Last: see append_rows().
    if (result == TM_Ok && !change.lock_only) CheckForSerializableConflictIn(rel, nullptr, InvalidBlockNumber);
    return result;
}

void forget_delete_logs() {
    for (LogReader *&reader : log_readers) drop_reader(&reader);
}

void register_row_delete_callbacks() {
    RegisterXactCallback(at_transaction_end, nullptr);
    RegisterSubXactCallback(at_subtransaction_end, nullptr);
}

}  // namespace historian::engine
