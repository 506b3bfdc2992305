// Pages: what historian keeps in PostgreSQL's 8 kB blocks. Bytes: src/format/README.md, "Pages".
//
// Every page is a standard PostgreSQL page: 24 bytes of page header, contents up to pd_lower, a hole, and a special area whose
// last 16 bytes are a PageTrailer. So full-page images, checksums, pg_rewind and CREATE DATABASE copy it like any other page.
//
// Invariants:
//   1. A page of zeros is legal everywhere: a file that grew and then crashed has such pages. It means "nothing here".
//   2. Nothing in a page names its database, tablespace or file: those change under CREATE DATABASE and TRUNCATE.
//   3. Numbers are little-endian; big-endian machines are refused when the library loads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace historian::format {

inline constexpr std::uint32_t kPageBytes = 8192;
inline constexpr std::uint32_t kPageHeaderBytes = 24;

inline constexpr std::uint32_t kMetapageMagic = 0x54534948;  // "HIST"
inline constexpr std::uint16_t kPageFormatVersion = 5;

enum class PageKind : std::uint16_t {
    reserved = 0,  // a zeroed trailer is never valid
    meta = 1,
    map = 2,           // which blocks are allocated; the metapage says it of the first ones
    directory = 3,     // entries of tail runs and segments
    tail = 4,          // fresh rows
    segment = 5,       // a piece of a segment's bytes
    delete_log = 6,    // which rows of a segment were deleted, by whom
    tail_summary = 7,  // what 63 closed tail pages of a run hold
};

/// The last 16 bytes of every page.
struct PageTrailer {
    std::uint16_t kind;        // PageKind
    std::uint16_t flags;       // kTailPage..., kLogPageClosed
    std::uint32_t slot;        // directory: its first slot; of an entry's pages: the directory entry that owns them
    std::uint32_t generation;  // of an entry's pages: the owner's generation
    std::uint32_t sequence;    // of an entry's pages: the place in its list of pages, from 0; map: which map page it is
};
static_assert(sizeof(PageTrailer) == 16);
static_assert(std::has_unique_object_representations_v<PageTrailer>, "no padding on disk");

/// A tail page that takes no more rows, for ever (rule R2).
inline constexpr std::uint16_t kTailPageClosed = 1;
/// Some row of the tail page was deleted or locked, successfully or not: seal has to look at the rows again before it swaps.
inline constexpr std::uint16_t kTailPageHasXmax = 2;
/// A page of a delete log that is full; a later one takes the records.
inline constexpr std::uint16_t kLogPageClosed = 1;

inline constexpr std::uint32_t kTrailerOffset = kPageBytes - sizeof(PageTrailer);
inline constexpr std::uint32_t kPagePayloadBytes = kTrailerOffset - kPageHeaderBytes;  // 8152: a segment page's share
static_assert(kPagePayloadBytes == 8152);

// ------------------------------------------------------------------------------------------------------------- metapage

inline constexpr std::uint32_t kMetaBlock = 0;
inline constexpr std::uint32_t kFirstDirectoryBlock = 1;
inline constexpr std::uint32_t kFixedBlocks = 2;

inline constexpr std::uint32_t kNoSlot = 0xFFFFFFFF;

/// Extent e of the directory has 2^e pages, so 16 block numbers reach 2^16 - 1 pages: 1.5 million entries.
inline constexpr std::uint32_t kDirectoryExtentsMax = 16;

/// Block 0, from byte 24; the first map page's bits follow.
struct Metapage {
    std::uint32_t magic;
    std::uint16_t version;
    std::uint16_t tag_attnum;  // attribute numbers of the key columns, fixed when the metapage is made (rule R19)
    std::uint16_t time_attnum;
    std::uint16_t reserved;
    std::uint32_t active_slot;     // the tail run that takes new rows, or kNoSlot
    std::uint32_t slot_count;      // entries at or beyond it were never used
    std::uint32_t free_slot_hint;  // no free slot is below it (a hint: may be too low, never too high)
    std::uint32_t directory_extent_count;
    std::uint32_t directory_extents[kDirectoryExtentsMax];  // first block of each
    std::uint32_t last_swap_xid;                            // the newest seal or merge, or 0 when every snapshot sees it
    std::uint64_t rows_stored;                              // written to segments for the first time, by loading and sealing
    std::uint64_t rows_rewritten;                           // written to segments again, by merging
};
static_assert(sizeof(Metapage) == 112);
static_assert(std::has_unique_object_representations_v<Metapage>, "no padding on disk");

// ------------------------------------------------------------------------------------------------------- allocation map

/// One bit a block, 1 = allocated. Map page m tells of blocks [m * kMapBlocks, (m + 1) * kMapBlocks): 503 MB. It lies in the
/// first block of this range, which is never free. Map page 0 is the metapage: small tables are many, and a page is much of one.
/// Every map page has the bits that the metapage has room for.
inline constexpr std::uint32_t kMapBytes = kTrailerOffset - kPageHeaderBytes - sizeof(Metapage);
inline constexpr std::uint32_t kMapBlocks = kMapBytes * 8;
static_assert(kMapBytes == 8040 && kMapBlocks == 64'320);
static_assert((1u << (kDirectoryExtentsMax - 1)) < kMapBlocks, "an extent lies within one map page's range");

constexpr std::uint32_t map_page_block(std::uint32_t map_index) noexcept { return map_index * kMapBlocks; }
static_assert(map_page_block(0) == kMetaBlock);

/// Where a map page's bits begin; whatever the page, its pd_lower is their end.
constexpr std::uint32_t map_bits_offset(std::uint32_t map_index) noexcept {
    return kPageHeaderBytes + (map_index == 0 ? std::uint32_t{sizeof(Metapage)} : 0);
}
static_assert(map_bits_offset(0) == 136 && map_bits_offset(0) + kMapBytes == kTrailerOffset);

/// How many map pages tell of a file's blocks.
constexpr std::uint32_t map_page_count(std::uint32_t block_count) noexcept {
    return block_count / kMapBlocks + (block_count % kMapBlocks != 0);
}

// ------------------------------------------------------------------------------------------------------------ directory

enum class EntryKind : std::uint8_t {
    free = 0,  // a zeroed entry is a free one
    tail = 1,  // a tail run: the extents of one future segment
    segment = 2,
    building = 3,  // extents that belong to transaction xmin, or to nobody when it is over without a commit
};

inline constexpr std::uint8_t kEntryTailClosed = 1;    // no page of the run is opened any more
inline constexpr std::uint8_t kEntryNullTag = 2;       // a segment that holds NULL tags: tag_first does not bound them
inline constexpr std::uint8_t kEntryNullTime = 4;      // a segment that holds NULL times: time_min, time_max do not bound them
inline constexpr std::uint8_t kEntryTagsUnknown = 8;   // tag_first and tag_last say nothing (all tags are NULL)
inline constexpr std::uint8_t kEntryFull = 16;         // a segment that reached its limit of rows or bytes: merging gains nothing
inline constexpr std::uint8_t kEntryDropped = 32;      // xmax deleted the rows (delete_before) rather than moved them
inline constexpr std::uint8_t kEntryPackedHard = 128;  // a segment encoded with high effort
inline constexpr std::uint8_t kEntryTagGoesOn = 64;    // merging parted the first tag's rows: earlier ones are in another segment

inline constexpr std::uint32_t kEntryExtentsMax = 8;
inline constexpr std::uint32_t kEntryTagBytes = 64;  // MQTT topics are long and begin alike

/// A run of adjacent blocks.
struct Extent {
    std::uint32_t first_block;
    std::uint32_t block_count;
};

struct DirectoryEntry {
    std::uint8_t kind;   // EntryKind
    std::uint8_t flags;  // kEntry...
    std::uint8_t level;  // 0: sealed or loaded; higher: merged
    std::uint8_t extent_count;
    std::uint32_t generation;  // goes up each time the slot is reused
    std::uint32_t xmin;        // tail: FrozenTransactionId (rule R1); segment, building: who made it
    std::uint32_t xmax;        // who superseded or dropped it, or 0
    std::uint32_t cmin;        // the command of xmin that made it
    std::uint32_t free_after;  // with xmax: the next xid when it was set (rule R5)
    Extent extents[kEntryExtentsMax];
    std::uint32_t used_pages;  // tail: pages opened so far; segment: pages of the segment
    std::uint32_t row_count;   // segment: its rows; tail: 0 (count them)
    std::uint64_t byte_count;  // segment: its bytes, of which page p holds [p * 8152, (p + 1) * 8152)
    std::int64_t time_min;     // segment: over times that are not NULL, both ends inclusive
    std::int64_t time_max;
    std::uint32_t tag_count;
    std::uint8_t tag_first_bytes;  // segment: bytes of tag_first, at most kEntryTagBytes: a prefix of the first tag
    std::uint8_t tag_last_bytes;
    std::uint16_t reserved16;
    std::uint8_t tag_first[kEntryTagBytes];
    std::uint8_t tag_last[kEntryTagBytes];
    std::uint32_t cmax;       // the command of xmax that dropped it; 0 when it was superseded
    std::uint32_t log_pages;  // segment: pages of its delete log opened so far; tail: summary pages
    std::uint32_t log_extent_count;
    Extent log_extents[kEntryExtentsMax];
    std::uint32_t short_run_count;  // segment: tags with fewer rows than a granule may have; merged: but the first and the last
};
static_assert(sizeof(DirectoryEntry) == 336);
static_assert(offsetof(DirectoryEntry, used_pages) == 88);
static_assert(offsetof(DirectoryEntry, time_min) == 104);
static_assert(offsetof(DirectoryEntry, tag_first) == 128);
static_assert(std::has_unique_object_representations_v<DirectoryEntry>, "no padding on disk");

/// Whether an entry is a tail run.
constexpr bool is_tail(const DirectoryEntry &entry) noexcept { return entry.kind == static_cast<std::uint8_t>(EntryKind::tail); }

inline constexpr std::uint32_t kEntriesPerPage = 24;
static_assert(kPageHeaderBytes + kEntriesPerPage * sizeof(DirectoryEntry) <= kTrailerOffset);

// ----------------------------------------------------------------------------------------------------------- tail pages

/// The most rows of a tail page: 24 bytes of tuple header, 8 of data, a checksum and a line pointer each fill it at 176.
inline constexpr std::uint32_t kTailRowsMax = 176;

/// The special area of a tail page; rows are heap tuples behind ordinary line pointers.
struct TailSpecial {
    std::int64_t time_min;  // over the rows' times that are not NULL; time_min > time_max when there is none
    std::int64_t time_max;
    std::uint16_t fingerprints[kTailRowsMax];  // one a line pointer: the low bits of the tag's hash, 0 for NULL
    PageTrailer trailer;
};
static_assert(sizeof(TailSpecial) == 384);
static_assert(std::has_unique_object_representations_v<TailSpecial>, "no padding on disk");

/// A tail row's item is its heap tuple and a checksum of what never changes of it.
inline constexpr std::uint32_t kRowChecksumBytes = 4;

/// The largest heap tuple (header included) that a tail page takes; a longer row becomes a segment of its own (rule R17).
inline constexpr std::uint32_t kTailRowBytesMax = ((kPageBytes - kPageHeaderBytes - sizeof(TailSpecial) - 4) & ~7u) - 8;
static_assert(kTailRowBytesMax == 7768);

// ------------------------------------------------------------------------------------------------ tail summary pages

inline constexpr std::uint32_t kSummaryTagBytes = 108;

/// What a closed tail page holds; written when the page is closed, zeros until then.
struct PageSummary {
    std::int64_t time_min;  // as in TailSpecial
    std::int64_t time_max;
    std::uint8_t tags[kSummaryTagBytes];  // a Bloom filter of the fingerprints: format/page_summary.h
    std::uint32_t checksum;               // of the bytes before
};
static_assert(sizeof(PageSummary) == 128);
static_assert(std::has_unique_object_representations_v<PageSummary>, "no padding on disk");

/// Summary page s of a run tells of its tail pages [63 s, 63 s + 63), from byte 24 on.
inline constexpr std::uint32_t kSummariesPerPage = 63;
static_assert(kPageHeaderBytes + kSummariesPerPage * sizeof(PageSummary) <= kTrailerOffset);

// -------------------------------------------------------------------------------------------------- delete log pages

/// Transaction xid deleted, or only locked, adjacent rows of a segment by its command cid.
struct DeleteRecord {
    std::uint32_t first_row;  // kRowLocked added: locked, not deleted
    std::uint32_t row_count;  // 0: the record is void
    std::uint32_t xid;        // FrozenTransactionId: deleted for everybody
    std::uint32_t cid;
};
static_assert(sizeof(DeleteRecord) == 16);
static_assert(std::has_unique_object_representations_v<DeleteRecord>, "no padding on disk");

inline constexpr std::uint32_t kRowLocked = 0x80000000;

/// The special area of a delete log page; records fill the page from byte 24 to pd_lower.
struct LogSpecial {
    std::uint64_t
        rows_before;  // rows that the records of all earlier pages name: with this page's, an upper bound of the deleted
    PageTrailer trailer;
};
static_assert(sizeof(LogSpecial) == 24);
static_assert(std::has_unique_object_representations_v<LogSpecial>, "no padding on disk");

inline constexpr std::uint32_t kLogPageRecordsMax = (kPageBytes - sizeof(LogSpecial) - kPageHeaderBytes) / sizeof(DeleteRecord);
static_assert(kLogPageRecordsMax == 509);

// ----------------------------------------------------------------------------------------------------- row addresses

/// A sealed row's TID: block 0x80000000 | v >> 15, offset (v & 0x7FFF) + 1 with v = slot << 22 | row. A tail row has its own TID.
inline constexpr std::uint32_t kSealedBlockBit = 0x80000000;
inline constexpr std::uint32_t kSlotsMax = (1u << 24) - 1;  // the last slot is kept out: its TIDs would reach InvalidBlockNumber

}  // namespace historian::format
