// The only file that writes WAL. What replays it: redo.cpp. The records: src/engine/README.md.
//
// There are three kinds of record:
//   EDIT     a few byte ranges of up to 16 pages, applied as they stand: allocation, directory, metapage, closing, freezing
//   APPEND   rows added to one tail page
//   SEGMENT  up to 32 fresh pages of a segment
//
// An edit is staged first, outside the critical section, and then applied, logged and stamped in one go by PageEdit::commit().
// Every page that an edit names is pinned and exclusively locked by the caller, who also releases it. It is named once.
#pragma once

#include "engine/server.h"
//
#include "format/page_layout.h"

namespace historian::engine {

/// Experimental until the first release reserves a number of its own.
inline constexpr RmgrId kResourceManagerId = RM_EXPERIMENTAL_ID;

inline constexpr uint8 kWalEdit = 0x10;
inline constexpr uint8 kWalAppend = 0x20;
inline constexpr uint8 kWalSegment = 0x30;

/// Why an edit was made; only pg_waldump and the tests look at it.
enum class EditPurpose : uint8 {
    reserved = 0,
    create_metapage = 1,
    create_entry = 2,
    add_extent = 3,
    grow_directory = 4,
    open_tail_page = 5,
    close_tail = 6,
    finish_segment = 7,
    supersede = 8,
    release = 9,
    freeze = 10,
    prune = 11,
    delete_rows = 12,
    open_log_page = 13,
    move_directory = 14,
};

/// An EDIT record's main data; a 16-bit special size per page follows: 0, or the page is initialised with that special area.
struct EditRecord {
    uint8 purpose;
    uint8 page_count;
    uint16 reserved;
    TransactionId conflict_xid;  // standby queries that still see what this xid removed are cancelled first (rule R6)
};
static_assert(sizeof(EditRecord) == 8);

/// A byte range of a page; its bytes follow.
struct Patch {
    uint16 offset;
    uint16 byte_count;
};

/// An APPEND record's block data: the page's new time range, then per row an AppendedRow and its bytes (bitmap, padding, values).
struct AppendHeader {
    int64 time_min;
    int64 time_max;
};
struct AppendedRow {
    uint16 fingerprint;
    uint16 byte_count;
    uint16 infomask2;
    uint16 infomask;
    uint8 hoff;
    uint8 reserved;
};
/// An APPEND record's main data.
struct AppendRecord {
    uint16 row_count;
    uint16 first_offset;  // of the first row's line pointer
    CommandId cid;
    TransactionId xmin;  // not the record's own xid: rows of a bulk load may be stored inside a later subtransaction
};

/// A SEGMENT record's block data: the trailer, then the payload.

inline constexpr int kEditPagesMax = 16;
inline constexpr int kSegmentPagesPerRecord = 32;

/// A staged edit. Plain memory in the current memory context, freed by commit(): an error needs no clean-up.
class PageEdit {
public:
    PageEdit(Relation rel, EditPurpose purpose);

    /// Names a page; the result is its index for patch(). special_bytes > 0: the page is initialised anew with that special area.
    int add_page(Buffer buffer, uint16 special_bytes = 0);

    /// Stages a byte range of a page: offset counts from the page's first byte.
    void patch(int page_index, uint32 offset, const void *bytes, uint32 byte_count);

    /// See EditRecord::conflict_xid.
    void set_conflict(TransactionId xid) { record_.conflict_xid = xid; }

    /// Applies, logs and stamps everything at once.
    void commit();

private:
    Relation rel_;
    EditRecord record_;
    Buffer buffers_[kEditPagesMax];
    uint16 special_bytes_[kEditPagesMax];
    StringInfoData patches_[kEditPagesMax];
};

/// Applies a run of patches to a page; used by PageEdit::commit() and by replay. False when a patch reaches outside the page.
bool apply_patches(Page page, const char *patches, Size byte_count);

/// Stages the page header's pd_lower, so that everything before it survives "hole" removal.
void patch_lower(PageEdit &edit, int page_index, uint16 lower);

/// Stages a whole trailer.
void patch_trailer(PageEdit &edit, int page_index, const format::PageTrailer &trailer);

/// Rows for one tail page; tuples carry their final headers but for t_ctid, which the append sets.
struct TailRow {
    HeapTuple tuple;
    uint16 fingerprint;
    bool has_time;
    int64 time;
};

/// Adds rows of one xmin to an open tail page that has room for them; buffer pinned and exclusively locked. Sets t_self of each
/// tuple.
void append_to_page(Relation rel, Buffer buffer, const TailRow *rows, int row_count, CommandId cid);

/// Adds one row to a page in memory: shared by append_to_page() and replay. False when it does not fit.
bool place_row(Page page, const TailRow &row, OffsetNumber expected_offset);

/// Writes pages of a segment. buffers: pinned, exclusively locked; payload: page i's part is at i * kPagePayloadBytes.
void write_segment_pages(Relation rel, const Buffer *buffers, int page_count, const format::PageTrailer &first_trailer,
                         const char *payload, Size payload_bytes);

/// Fills one segment page in memory: shared by write_segment_pages() and replay.
void fill_segment_page(Page page, const format::PageTrailer &trailer, const char *payload, Size payload_bytes);

/// Registers the resource manager; only while shared_preload_libraries is loaded.
void register_resource_manager();

/// The trailer of a page of ours.
inline format::PageTrailer *page_trailer(Page page) {
    return reinterpret_cast<format::PageTrailer *>(static_cast<char *>(page) + format::kTrailerOffset);
}

inline format::TailSpecial *tail_special(Page page) {
    return reinterpret_cast<format::TailSpecial *>(static_cast<char *>(page) + format::kPageBytes - sizeof(format::TailSpecial));
}

/// Whether a page is one of ours, of this kind, with a page header that fits it.
inline bool page_is(Page page, format::PageKind kind) {
    if (PageIsNew(page) || page_trailer(page)->kind != static_cast<uint16>(kind)) return false;
    const PageHeaderData *header = reinterpret_cast<const PageHeaderData *>(page);
    const uint32 special_bytes = kind == format::PageKind::tail         ? sizeof(format::TailSpecial)
                                 : kind == format::PageKind::delete_log ? sizeof(format::LogSpecial)
                                                                        : sizeof(format::PageTrailer);
    uint32 lower_min = format::kPageHeaderBytes;  // what lies beyond pd_lower does not survive in the WAL
    if (kind == format::PageKind::meta) lower_min += sizeof(format::Metapage) + format::kMapBytes;
    if (kind == format::PageKind::map) lower_min += format::kMapBytes;
    if (kind == format::PageKind::tail_summary) lower_min += format::kSummariesPerPage * sizeof(format::PageSummary);
    if (kind == format::PageKind::directory) lower_min += format::kEntriesPerPage * sizeof(format::DirectoryEntry);
    return header->pd_special == format::kPageBytes - special_bytes && header->pd_lower >= lower_min &&
           header->pd_lower <= header->pd_upper && header->pd_upper <= header->pd_special;
}

}  // namespace historian::engine
