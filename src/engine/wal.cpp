#include "engine/wal.h"

namespace historian::engine {

using format::kPageBytes;
using format::kPageHeaderBytes;
using format::PageKind;
using format::PageTrailer;
using format::TailSpecial;

PageEdit::PageEdit(Relation rel, EditPurpose purpose) : rel_(rel) {
    record_ = EditRecord{static_cast<uint8>(purpose), 0, 0, InvalidTransactionId};
}

int PageEdit::add_page(Buffer buffer, uint16 special_bytes) {
    if (record_.page_count >= kEditPagesMax) elog(ERROR, "an edit names more than %d pages", kEditPagesMax);
    const int index = record_.page_count++;
    buffers_[index] = buffer;
    special_bytes_[index] = special_bytes;
    patches_[index] = StringInfoData{};
    return index;
}

void PageEdit::patch(int page_index, uint32 offset, const void *bytes, uint32 byte_count) {
    Assert(offset + byte_count <= kPageBytes);
    const Patch patch = {static_cast<uint16>(offset), static_cast<uint16>(byte_count)};
    if (patches_[page_index].data == nullptr) initStringInfo(&patches_[page_index]);
    appendBinaryStringInfo(&patches_[page_index], reinterpret_cast<const char *>(&patch), sizeof(patch));
    appendBinaryStringInfo(&patches_[page_index], static_cast<const char *>(bytes), static_cast<int>(byte_count));
}

void PageEdit::commit() {
    const bool logged = RelationNeedsWAL(rel_);
    if (logged) XLogEnsureRecordSpace(record_.page_count, 4 + 2 * record_.page_count);

    START_CRIT_SECTION();
    for (int i = 0; i < record_.page_count; i++) {
        Page page = BufferGetPage(buffers_[i]);
        if (special_bytes_[i] > 0) PageInit(page, kPageBytes, special_bytes_[i]);
        apply_patches(page, patches_[i].data, patches_[i].len);
        MarkBufferDirty(buffers_[i]);
    }
    if (logged) {
        XLogBeginInsert();
        XLogRegisterData(reinterpret_cast<char *>(&record_), sizeof(record_));
        XLogRegisterData(reinterpret_cast<char *>(special_bytes_), sizeof(uint16) * record_.page_count);
        for (int i = 0; i < record_.page_count; i++) {
            XLogRegisterBuffer(i, buffers_[i], special_bytes_[i] > 0 ? REGBUF_WILL_INIT : REGBUF_STANDARD);
            if (patches_[i].len > 0) XLogRegisterBufData(i, patches_[i].data, patches_[i].len);
        }
        const XLogRecPtr lsn = XLogInsert(kResourceManagerId, kWalEdit);
        for (int i = 0; i < record_.page_count; i++) PageSetLSN(BufferGetPage(buffers_[i]), lsn);
    }
    END_CRIT_SECTION();
    // VACUUM edits page after page in one context.
    for (int i = 0; i < record_.page_count; i++) {
        if (patches_[i].data != nullptr) pfree(patches_[i].data);
    }
}

bool apply_patches(Page page, const char *patches, Size byte_count) {
    const char *next = patches;
    const char *end = patches + byte_count;
    while (next < end) {
        Patch patch;
        if (static_cast<Size>(end - next) < sizeof(patch)) return false;
        memcpy(&patch, next, sizeof(patch));
        next += sizeof(patch);
        if (end - next < patch.byte_count || patch.offset + patch.byte_count > static_cast<int>(kPageBytes)) return false;
        memcpy(static_cast<char *>(page) + patch.offset, next, patch.byte_count);
        next += patch.byte_count;
    }
    return true;
}

void patch_lower(PageEdit &edit, int page_index, uint16 lower) {
    edit.patch(page_index, offsetof(PageHeaderData, pd_lower), &lower, sizeof(lower));
}

void patch_trailer(PageEdit &edit, int page_index, const PageTrailer &trailer) {
    edit.patch(page_index, format::kTrailerOffset, &trailer, sizeof(trailer));
}

bool place_row(Page page, const TailRow &row, OffsetNumber expected_offset) {
    // The place is named, or a page that claims to have unused line pointers would choose another.
    const OffsetNumber offset =
        PageAddItem(page, reinterpret_cast<Item>(row.tuple->t_data), row.tuple->t_len, expected_offset, false, true);
    if (offset == InvalidOffsetNumber || offset != expected_offset || offset > format::kTailRowsMax) return false;
    tail_special(page)->fingerprints[offset - 1] = row.fingerprint;
    return true;
}

namespace {

// Rows of one APPEND record, flattened before the critical section.
StringInfoData flatten_rows(const AppendHeader &header, const TailRow *rows, int row_count) {
    StringInfoData data;
    initStringInfo(&data);
    appendBinaryStringInfo(&data, reinterpret_cast<const char *>(&header), sizeof(header));
    for (int i = 0; i < row_count; i++) {
        const HeapTupleHeader tuple = rows[i].tuple->t_data;
        const uint32 byte_count = rows[i].tuple->t_len - SizeofHeapTupleHeader;
        const AppendedRow row = {
            rows[i].fingerprint, static_cast<uint16>(byte_count), tuple->t_infomask2, tuple->t_infomask, tuple->t_hoff, 0};
        appendBinaryStringInfo(&data, reinterpret_cast<const char *>(&row), sizeof(row));
        appendBinaryStringInfo(&data, reinterpret_cast<const char *>(tuple) + SizeofHeapTupleHeader,
                               static_cast<int>(byte_count));
    }
    return data;
}

}  // namespace

void append_to_page(Relation rel, Buffer buffer, const TailRow *rows, int row_count, CommandId cid) {
    Page page = BufferGetPage(buffer);
    const BlockNumber block = BufferGetBlockNumber(buffer);
    const OffsetNumber first_offset = OffsetNumberNext(PageGetMaxOffsetNumber(page));
    const bool logged = RelationNeedsWAL(rel);

    AppendHeader header = {tail_special(page)->time_min, tail_special(page)->time_max};
    for (int i = 0; i < row_count; i++) {
        ItemPointerSet(&rows[i].tuple->t_self, block, first_offset + i);
        // A tuple that points to itself is nobody's older version: HeapTupleSatisfiesUpdate relies on it.
        rows[i].tuple->t_data->t_ctid = rows[i].tuple->t_self;
        if (!rows[i].has_time) continue;
        header.time_min = Min(header.time_min, rows[i].time);
        header.time_max = Max(header.time_max, rows[i].time);
    }
    StringInfoData data = {};
    if (logged) data = flatten_rows(header, rows, row_count);
    AppendRecord record = {static_cast<uint16>(row_count), first_offset, cid, HeapTupleHeaderGetRawXmin(rows[0].tuple->t_data)};

    START_CRIT_SECTION();
    for (int i = 0; i < row_count; i++) {
        if (!place_row(page, rows[i], first_offset + i)) elog(PANIC, "a row does not fit the tail page chosen for it");
    }
    tail_special(page)->time_min = header.time_min;
    tail_special(page)->time_max = header.time_max;
    PageSetPrunable(page, record.xmin);
    MarkBufferDirty(buffer);
    if (logged) {
        XLogBeginInsert();
        XLogRegisterData(reinterpret_cast<char *>(&record), sizeof(record));
        XLogRegisterBuffer(0, buffer, REGBUF_STANDARD);
        XLogRegisterBufData(0, data.data, data.len);
        const XLogRecPtr lsn = XLogInsert(kResourceManagerId, kWalAppend);
        PageSetLSN(page, lsn);
    }
    END_CRIT_SECTION();
    if (logged) pfree(data.data);
}

void fill_segment_page(Page page, const PageTrailer &trailer, const char *payload, Size payload_bytes) {
    PageInit(page, kPageBytes, sizeof(PageTrailer));
    memcpy(static_cast<char *>(page) + kPageHeaderBytes, payload, payload_bytes);
    reinterpret_cast<PageHeader>(page)->pd_lower = static_cast<LocationIndex>(kPageHeaderBytes + payload_bytes);
    *page_trailer(page) = trailer;
}

void write_segment_pages(Relation rel, const Buffer *buffers, int page_count, const PageTrailer &first_trailer,
                         const char *payload, Size payload_bytes) {
    Assert(page_count <= kSegmentPagesPerRecord);
    const bool logged = RelationNeedsWAL(rel);
    if (logged) XLogEnsureRecordSpace(page_count, 2 * page_count + 4);
    PageTrailer trailers[kSegmentPagesPerRecord];

    START_CRIT_SECTION();
    if (logged) XLogBeginInsert();
    for (int i = 0; i < page_count; i++) {
        const Size offset = static_cast<Size>(i) * format::kPagePayloadBytes;
        const Size byte_count = Min(payload_bytes - offset, static_cast<Size>(format::kPagePayloadBytes));
        trailers[i] = first_trailer;
        trailers[i].sequence += i;
        fill_segment_page(BufferGetPage(buffers[i]), trailers[i], payload + offset, byte_count);
        MarkBufferDirty(buffers[i]);
        if (!logged) continue;
        XLogRegisterBuffer(i, buffers[i], REGBUF_WILL_INIT);
        XLogRegisterBufData(i, reinterpret_cast<char *>(&trailers[i]), sizeof(PageTrailer));
        XLogRegisterBufData(i, const_cast<char *>(payload + offset), byte_count);
    }
    if (logged) {
        const XLogRecPtr lsn = XLogInsert(kResourceManagerId, kWalSegment);
        for (int i = 0; i < page_count; i++) PageSetLSN(BufferGetPage(buffers[i]), lsn);
    }
    END_CRIT_SECTION();
}

}  // namespace historian::engine
