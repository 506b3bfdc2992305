// What the closed pages of a tail run hold, in a run's summary pages (format/page_summary.h): a query for one tag looks at 128
// bytes a page instead of the page. Summary pages take the place in the entry that a segment's delete log has.
//
// Invariants:
//   1. A page's summary is written by the WAL record that closes the page, under the locks of both. A closed page gets no row,
//      and nobody takes fingerprints or times away, so the summary tells of all rows that are on the page whenever it is read.
//   2. The newest page of a run has no summary. A reader whose copy of the entry is older than a summary page looks at the page
//      itself.
#pragma once

#include "engine/server.h"
//
#include "engine/pages.h"
#include "engine/space.h"
#include "format/page_summary.h"

namespace historian::engine {

/// The block of the summary page that tells of a tail page; InvalidBlockNumber: the run owns none for it yet.
inline BlockNumber summary_block(const format::DirectoryEntry &entry, uint32 tail_page) {
    return entry_log_block(entry, tail_page / format::kSummariesPerPage);
}

/// Gives a run room for more summary pages, unless another session was faster.
void add_summary_extent(Relation rel, uint32 slot, const format::DirectoryEntry &seen);

/// Stages the summary of a run's newest page, `closed`, which the edit closes; both pages are locked. When that takes a new
/// summary page, entry->log_pages counts it.
/// errors  XX001 the block is not the run's
void stage_summary(Relation rel, PageEdit &edit, Buffer summary_buffer, Page closed, uint32 slot, format::DirectoryEntry *entry);

/// Whether a page has a summary, as far as this copy of its entry tells.
inline bool has_summary(const format::DirectoryEntry &entry, uint32 tail_page) {
    return tail_page + 1 < entry.used_pages && tail_page / format::kSummariesPerPage < entry.log_pages;
}

/// A copy of the summary page that was read last; all zeros: none.
struct SummaryReader {
    uint32 slot;
    uint32 generation;  // of no entry 0
    uint32 page;        // of the run's summary pages
    format::PageSummary summaries[format::kSummariesPerPage];
};

/// The summary of a page that has one; the reference lives until the next call.
/// errors  XX001 the block is not the run's, or the summary does not match its checksum
const format::PageSummary &read_summary(SummaryReader *reader, Relation rel, uint32 slot, const format::DirectoryEntry &entry,
                                        uint32 tail_page);

}  // namespace historian::engine
