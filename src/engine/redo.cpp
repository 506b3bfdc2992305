// The only file that replays WAL, and what wal_consistency_checking and pg_waldump ask of a resource manager.
//
// Replay trusts nothing: a record that does not fit its page is a PANIC with the place, never a write outside the page.
#include "engine/wal.h"

extern "C" {
#include "access/bufmask.h"
}

namespace historian::engine {

namespace {

[[noreturn]] void report_bad_record(const char *what) {
    elog(PANIC, "cannot replay a historian record: %s", what);
    pg_unreachable();
}

void redo_edit(XLogReaderState *record) {
    EditRecord edit;
    if (XLogRecGetDataLen(record) < sizeof(edit)) report_bad_record("its header is cut short");
    memcpy(&edit, XLogRecGetData(record), sizeof(edit));
    if (edit.page_count > kEditPagesMax) report_bad_record("it names too many pages");
    if (XLogRecGetDataLen(record) < sizeof(edit) + sizeof(uint16) * edit.page_count)
        report_bad_record("its page list is cut short");

    if (InHotStandby && TransactionIdIsValid(edit.conflict_xid)) {
        FileLocator locator;
        xlog_block_locator(record, 0, &locator);
        resolve_standby_conflict(edit.conflict_xid, locator);
    }
    const XLogRecPtr lsn = record->EndRecPtr;
    Buffer buffers[kEditPagesMax];
    for (int i = 0; i < edit.page_count; i++) {
        uint16 special_bytes;
        memcpy(&special_bytes, XLogRecGetData(record) + sizeof(edit) + sizeof(uint16) * i, sizeof(special_bytes));
        buffers[i] = InvalidBuffer;
        if (special_bytes > 0) {
            buffers[i] = XLogInitBufferForRedo(record, i);
            PageInit(BufferGetPage(buffers[i]), format::kPageBytes, special_bytes);
        } else if (XLogReadBufferForRedo(record, i, &buffers[i]) != BLK_NEEDS_REDO) {
            continue;
        }
        Size byte_count = 0;
        const char *patches = XLogRecGetBlockData(record, i, &byte_count);
        if (patches != nullptr && !apply_patches(BufferGetPage(buffers[i]), patches, byte_count)) {
            report_bad_record("a patch reaches outside its page");
        }
        PageSetLSN(BufferGetPage(buffers[i]), lsn);
        MarkBufferDirty(buffers[i]);
    }
    // All pages stay locked to the end: a standby's reader never sees half an edit.
    for (int i = 0; i < edit.page_count; i++) {
        if (BufferIsValid(buffers[i])) UnlockReleaseBuffer(buffers[i]);
    }
}

// Rebuilds one row of an APPEND record in `space`, which has room for kPageBytes. Gives the bytes consumed.
Size rebuild_row(const char *data, Size left, const AppendRecord &append, ItemPointerData tid, HeapTuple tuple,
                 uint16 *fingerprint) {
    AppendedRow row;
    if (left < sizeof(row)) report_bad_record("a row is cut short");
    memcpy(&row, data, sizeof(row));
    if (left - sizeof(row) < row.byte_count || row.byte_count > format::kTailRowBytesMax) report_bad_record("a row is cut short");

    HeapTupleHeader header = tuple->t_data;
    memset(header, 0, SizeofHeapTupleHeader);
    memcpy(reinterpret_cast<char *>(header) + SizeofHeapTupleHeader, data + sizeof(row), row.byte_count);
    header->t_infomask2 = row.infomask2;
    header->t_infomask = row.infomask;
    header->t_hoff = row.hoff;
    HeapTupleHeaderSetXmin(header, append.xmin);
    HeapTupleHeaderSetCmin(header, append.cid);
    header->t_ctid = tid;
    tuple->t_len = SizeofHeapTupleHeader + row.byte_count;
    tuple->t_self = tid;
    *fingerprint = row.fingerprint;
    return sizeof(row) + row.byte_count;
}

void redo_append(XLogReaderState *record) {
    AppendRecord append;
    if (XLogRecGetDataLen(record) < sizeof(append)) report_bad_record("its header is cut short");
    memcpy(&append, XLogRecGetData(record), sizeof(append));

    Buffer buffer;
    if (XLogReadBufferForRedo(record, 0, &buffer) == BLK_NEEDS_REDO) {
        Page page = BufferGetPage(buffer);
        Size left = 0;
        const char *data = XLogRecGetBlockData(record, 0, &left);
        AppendHeader header;
        if (data == nullptr || left < sizeof(header)) report_bad_record("its time range is cut short");
        memcpy(&header, data, sizeof(header));
        data += sizeof(header);
        left -= sizeof(header);

        alignas(8) char space[format::kPageBytes + SizeofHeapTupleHeader];
        HeapTupleData tuple = {};
        tuple.t_data = reinterpret_cast<HeapTupleHeader>(space);
        for (int i = 0; i < append.row_count; i++) {
            ItemPointerData tid;
            const OffsetNumber offset = append.first_offset + i;
            ItemPointerSet(&tid, BufferGetBlockNumber(buffer), offset);
            TailRow row = {&tuple, 0, false, 0};
            const Size used = rebuild_row(data, left, append, tid, &tuple, &row.fingerprint);
            if (!place_row(page, row, offset)) report_bad_record("a row does not fit its page");
            data += used;
            left -= used;
        }
        tail_special(page)->time_min = header.time_min;
        tail_special(page)->time_max = header.time_max;
        PageSetPrunable(page, append.xmin);
        PageSetLSN(page, record->EndRecPtr);
        MarkBufferDirty(buffer);
    }
    if (BufferIsValid(buffer)) UnlockReleaseBuffer(buffer);
}

void redo_segment(XLogReaderState *record) {
    for (int i = 0; i <= XLogRecMaxBlockId(record); i++) {
        Buffer buffer = XLogInitBufferForRedo(record, i);
        Size byte_count = 0;
        const char *data = XLogRecGetBlockData(record, i, &byte_count);
        if (data == nullptr || byte_count < sizeof(format::PageTrailer) ||
            byte_count > sizeof(format::PageTrailer) + format::kPagePayloadBytes) {
            report_bad_record("a segment page has a wrong size");
        }
        format::PageTrailer trailer;
        memcpy(&trailer, data, sizeof(trailer));
        fill_segment_page(BufferGetPage(buffer), trailer, data + sizeof(trailer), byte_count - sizeof(trailer));
        PageSetLSN(BufferGetPage(buffer), record->EndRecPtr);
        MarkBufferDirty(buffer);
        UnlockReleaseBuffer(buffer);
    }
}

void redo(XLogReaderState *record) {
    switch (XLogRecGetInfo(record) & ~XLR_INFO_MASK) {
        case kWalEdit: return redo_edit(record);
        case kWalAppend: return redo_append(record);
        case kWalSegment: return redo_segment(record);
        default: report_bad_record("its kind is not known to this version");
    }
}

const char *purpose_name(uint8 purpose) {
    static const char *const names[] = {"reserved",       "create metapage", "create entry",   "add extent",    "grow directory",
                                        "open tail page", "close tail",      "finish segment", "supersede",     "release",
                                        "freeze",         "prune",           "delete rows",    "open log page", "move directory"};
    return purpose < lengthof(names) ? names[purpose] : "?";
}

void describe(StringInfo text, XLogReaderState *record) {
    const char *data = XLogRecGetData(record);
    switch (XLogRecGetInfo(record) & ~XLR_INFO_MASK) {
        case kWalEdit: {
            EditRecord edit;
            memcpy(&edit, data, sizeof(edit));
            appendStringInfo(text, "%s, %u pages", purpose_name(edit.purpose), edit.page_count);
            if (TransactionIdIsValid(edit.conflict_xid)) appendStringInfo(text, ", conflict xid %u", edit.conflict_xid);
            break;
        }
        case kWalAppend: {
            AppendRecord append;
            memcpy(&append, data, sizeof(append));
            appendStringInfo(text, "%u rows from offset %u", append.row_count, append.first_offset);
            break;
        }
        case kWalSegment: appendStringInfo(text, "%d pages", XLogRecMaxBlockId(record) + 1); break;
        default: break;
    }
}

const char *identify(uint8 info) {
    switch (info & ~XLR_INFO_MASK) {
        case kWalEdit: return "EDIT";
        case kWalAppend: return "APPEND";
        case kWalSegment: return "SEGMENT";
        default: return nullptr;
    }
}

// Blanks what may differ between a replayed page and the original: hint bits, command ids, hint fields of the metapage.
void mask(char *raw_page, BlockNumber block) {
    Page page = raw_page;
    mask_page_lsn_and_checksum(page);
    mask_page_hint_bits(page);
    mask_unused_space(page);
    if (!page_is(page, format::PageKind::tail)) return;
    for (OffsetNumber offset = FirstOffsetNumber; offset <= PageGetMaxOffsetNumber(page); offset++) {
        const ItemId item = PageGetItemId(page, offset);
        if (!ItemIdHasStorage(item)) continue;
        HeapTupleHeader tuple = reinterpret_cast<HeapTupleHeader>(raw_page + ItemIdGetOffset(item));
        if (!HeapTupleHeaderXminFrozen(tuple))
            tuple->t_infomask &= ~HEAP_XACT_MASK;
        else
            tuple->t_infomask &= ~(HEAP_XMAX_COMMITTED | HEAP_XMAX_INVALID);
        tuple->t_choice.t_heap.t_field3.t_cid = MASK_MARKER;
    }
}

}  // namespace

void register_resource_manager() {
    static RmgrData manager;
    manager = RmgrData{};
    manager.rm_name = "historian";
    manager.rm_redo = redo;
    manager.rm_desc = describe;
    manager.rm_identify = identify;
    manager.rm_mask = mask;
    RegisterCustomRmgr(kResourceManagerId, &manager);
}

}  // namespace historian::engine
