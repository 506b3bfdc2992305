#include "engine/tail_summary.h"

#include "engine/report.h"
#include "engine/tail.h"

namespace historian::engine {

using format::DirectoryEntry;
using format::kSummariesPerPage;
using format::PageKind;
using format::PageSummary;
using format::PageTrailer;

namespace {

bool is_summary_page(Page page, uint32 slot, const DirectoryEntry &entry, uint32 summary_page) {
    const PageTrailer *trailer = page_trailer(page);
    return page_is(page, PageKind::tail_summary) && trailer->slot == slot && trailer->generation == entry.generation &&
           trailer->sequence == summary_page;
}

[[noreturn]] void report_foreign_page(Relation rel, BlockNumber block) {
    report_damage(rel, block, "The block does not belong to the tail run that names it.");
}

}  // namespace

// 1, 4, 16 and 12.
void add_summary_extent(Relation rel, uint32 slot, const DirectoryEntry &seen) {
    constexpr uint32 kPagesMax = (kTailRunPagesMax + kSummariesPerPage - 1) / kSummariesPerPage;
    const uint32 pages_wanted = kPagesMax - Min(entry_log_block_count(seen), kPagesMax - 1);
    add_extent(rel, slot, seen, Min(1u << (2 * seen.log_extent_count), pages_wanted), ExtentList::delete_log);
}

void stage_summary(Relation rel, PageEdit &edit, Buffer summary_buffer, Page closed, uint32 slot, DirectoryEntry *entry) {
    const uint32 tail_page = entry->used_pages - 1;
    const uint32 summary_page = tail_page / kSummariesPerPage;
    const bool is_new = summary_page == entry->log_pages;
    if (!is_new && !is_summary_page(BufferGetPage(summary_buffer), slot, *entry, summary_page))
        report_foreign_page(rel, BufferGetBlockNumber(summary_buffer));
    const int page = edit.add_page(summary_buffer, is_new ? sizeof(PageTrailer) : 0);
    if (is_new) {  // of zeros: no page has a summary yet
        patch_lower(edit, page, format::kPageHeaderBytes + kSummariesPerPage * sizeof(PageSummary));
        patch_trailer(edit, page,
                      PageTrailer{static_cast<uint16>(PageKind::tail_summary), 0, slot, entry->generation, summary_page});
        entry->log_pages++;
    }
    const format::TailSpecial *special = tail_special(closed);
    const uint32 rows = Min(PageGetMaxOffsetNumber(closed), format::kTailRowsMax);
    const PageSummary summary = format::summarize_page(special->time_min, special->time_max, {special->fingerprints, rows});
    const uint32 place = tail_page % kSummariesPerPage * static_cast<uint32>(sizeof(summary));
    edit.patch(page, format::kPageHeaderBytes + place, &summary, sizeof(summary));
}

const PageSummary &read_summary(SummaryReader *reader, Relation rel, uint32 slot, const DirectoryEntry &entry, uint32 tail_page) {
    const uint32 summary_page = tail_page / kSummariesPerPage;
    const BlockNumber block = summary_block(entry, tail_page);
    if (reader->slot != slot || reader->generation != entry.generation || reader->page != summary_page) {
        const Buffer buffer = lock_page(rel, block, PageLock::shared);
        Page page = BufferGetPage(buffer);
        const bool ours = is_summary_page(page, slot, entry, summary_page);
        if (ours) memcpy(reader->summaries, PageGetContents(page), sizeof(reader->summaries));
        UnlockReleaseBuffer(buffer);
        if (!ours) report_foreign_page(rel, block);
        reader->slot = slot;
        reader->generation = entry.generation;
        reader->page = summary_page;
    }
    const PageSummary &summary = reader->summaries[tail_page % kSummariesPerPage];
    if (summary.checksum != summary_checksum(summary))
        report_damage(rel, block, psprintf("The summary of tail page %u does not match its checksum.", tail_page));
    return summary;
}

}  // namespace historian::engine
