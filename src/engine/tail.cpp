#include "engine/tail.h"

#include "engine/report.h"
#include "engine/space.h"
#include "engine/tail_summary.h"

namespace historian::engine {

using format::DirectoryEntry;
using format::EntryKind;
using format::Metapage;
using format::PageKind;
using format::PageTrailer;
using format::TailSpecial;

namespace {

bool is_open_run(const DirectoryEntry &entry) {
    return entry.kind == static_cast<uint8>(EntryKind::tail) && (entry.flags & format::kEntryTailClosed) == 0;
}

bool is_open_page(Page page) {
    return page_is(page, PageKind::tail) && (page_trailer(page)->flags & format::kTailPageClosed) == 0;
}

// Makes a fresh run the active one, unless another session was faster; the caller looks again either way.
void start_run(Relation rel, uint32 expected_active) {
    NewEntry request;
    request.entry.kind = static_cast<uint8>(EntryKind::tail);
    request.entry.xmin = FrozenTransactionId;  // rule R1: a run outlives whoever happened to start it
    request.entry.time_min = PG_INT64_MAX;
    request.entry.time_max = PG_INT64_MIN;
    request.page_count = kTailExtentPages[0];
    request.activate = true;
    request.expected_active = expected_active;
    create_entry(rel, &request);
}

void stage_new_tail_page(PageEdit &edit, Buffer buffer, uint32 slot, const DirectoryEntry &entry) {
    const int page = edit.add_page(buffer, sizeof(TailSpecial));
    const int64 empty_range[2] = {PG_INT64_MAX, PG_INT64_MIN};
    edit.patch(page, format::kPageBytes - sizeof(TailSpecial), empty_range, sizeof(empty_range));
    patch_trailer(edit, page, PageTrailer{static_cast<uint16>(PageKind::tail), 0, slot, entry.generation, entry.used_pages});
}

void stage_closed_page(PageEdit &edit, Buffer buffer) {
    const int page = edit.add_page(buffer);
    PageTrailer trailer = *page_trailer(BufferGetPage(buffer));
    trailer.flags |= format::kTailPageClosed;
    patch_trailer(edit, page, trailer);
}

// Two pages in block order (rule R15); `first` may be invalid.
void lock_two_pages(Relation rel, BlockNumber first, BlockNumber second, Buffer *first_buffer, Buffer *second_buffer) {
    *first_buffer = InvalidBuffer;
    if (first != InvalidBlockNumber && first < second) *first_buffer = lock_page(rel, first, PageLock::exclusive);
    *second_buffer = lock_page(rel, second, PageLock::exclusive);
    if (first != InvalidBlockNumber && first > second) *first_buffer = lock_page(rel, first, PageLock::exclusive);
}

// Opens the next page of a run and closes the one before; nothing happens when the run changed meanwhile.
void open_next_page(Relation rel, const Metapage &meta, uint32 slot, const DirectoryEntry &seen) {
    const BlockNumber last = seen.used_pages == 0 ? InvalidBlockNumber : entry_block(seen, seen.used_pages - 1);
    const BlockNumber next = entry_block(seen, seen.used_pages);
    ensure_block(rel, next);
    BlockNumber summary = InvalidBlockNumber;
    if (seen.used_pages > 0) {
        summary = summary_block(seen, seen.used_pages - 1);
        ensure_block(rel, summary);
    }
    Buffer last_buffer;
    Buffer next_buffer;
    lock_two_pages(rel, last, next, &last_buffer, &next_buffer);
    const Buffer summary_buffer = summary == InvalidBlockNumber ? InvalidBuffer : lock_page(rel, summary, PageLock::exclusive);
    const EntryPlace place = entry_place(meta, slot);
    const Buffer directory_buffer = lock_page(rel, place.block, PageLock::exclusive);
    DirectoryEntry entry = entry_on_page(BufferGetPage(directory_buffer), place.offset);

    if (is_open_run(entry) && entry.generation == seen.generation && entry.used_pages == seen.used_pages) {
        Page page = BufferGetPage(next_buffer);
        if (page_is(page, PageKind::tail) && page_trailer(page)->slot == slot &&
            page_trailer(page)->generation == entry.generation) {
            report_damage(rel, next, "The page is in use already: the run's entry counts too few pages.");
        }
        PageEdit edit(rel, EditPurpose::open_tail_page);
        stage_new_tail_page(edit, next_buffer, slot, entry);
        if (BufferIsValid(last_buffer)) {
            stage_closed_page(edit, last_buffer);
            stage_summary(rel, edit, summary_buffer, BufferGetPage(last_buffer), slot, &entry);
        }
        const int directory = edit.add_page(directory_buffer);
        entry.used_pages++;
        edit.patch(directory, place.offset + offsetof(DirectoryEntry, used_pages), &entry.used_pages, sizeof(entry.used_pages));
        edit.patch(directory, place.offset + offsetof(DirectoryEntry, log_pages), &entry.log_pages, sizeof(entry.log_pages));
        edit.commit();
    }
    UnlockReleaseBuffer(directory_buffer);
    if (BufferIsValid(summary_buffer)) UnlockReleaseBuffer(summary_buffer);
    UnlockReleaseBuffer(next_buffer);
    if (BufferIsValid(last_buffer)) UnlockReleaseBuffer(last_buffer);
}

// The block that takes new rows: the active run's newest page, after the run or the page was made when there was none. `full` is
// a block that has no room; it will not be the answer unless another session emptied the run.
BlockNumber find_open_block(Relation rel, BlockNumber full) {
    for (;;) {
        CHECK_FOR_INTERRUPTS();
        ensure_metapage(rel);
        Metapage meta;
        read_metapage(rel, &meta);
        if (meta.active_slot == format::kNoSlot) {
            start_run(rel, format::kNoSlot);
            continue;
        }
        const uint32 slot = meta.active_slot;
        const DirectoryEntry entry = read_entry(rel, meta, slot);
        if (!is_open_run(entry)) {
            start_run(rel, slot);
            continue;
        }
        const BlockNumber last = entry.used_pages == 0 ? InvalidBlockNumber : entry_block(entry, entry.used_pages - 1);
        if (last != InvalidBlockNumber && last != full) return last;
        if (entry.used_pages < entry_block_count(entry)) {
            if (entry.used_pages == 0 || summary_block(entry, entry.used_pages - 1) != InvalidBlockNumber)
                open_next_page(rel, meta, slot, entry);
            else
                add_summary_extent(rel, slot, entry);
        } else if (entry.extent_count < format::kEntryExtentsMax) {
            add_extent(rel, slot, entry, kTailExtentPages[entry.extent_count]);
        } else if (close_tail_run(rel, slot) && on_full_run != nullptr) {
            on_full_run();
        }
    }
}

// How many of the rows the page takes.
int rows_that_fit(Page page, const TailRow *rows, int row_count) {
    Size free_bytes = PageGetExactFreeSpace(page);
    const int line_pointers = PageGetMaxOffsetNumber(page);
    int fit = 0;
    while (fit < row_count && line_pointers + fit < static_cast<int>(format::kTailRowsMax)) {
        const Size needed = MAXALIGN(rows[fit].tuple->t_len) + sizeof(ItemIdData);
        if (needed > free_bytes) break;
        free_bytes -= needed;
        fit++;
    }
    return fit;
}

}  // namespace

void (*on_full_run)() = nullptr;

void append_rows(Relation rel, const TailRow *rows, int row_count, CommandId cid) {
    BlockNumber full = InvalidBlockNumber;
    while (row_count > 0) {
        BlockNumber block = RelationGetTargetBlock(rel);
        if (block == InvalidBlockNumber) block = find_open_block(rel, full);
        const Buffer buffer = lock_page(rel, block, PageLock::exclusive);
        Page page = BufferGetPage(buffer);
        const int fit = is_open_page(page) ? rows_that_fit(page, rows, row_count) : 0;
        if (fit == 0) {
            full = block;
            UnlockReleaseBuffer(buffer);
            RelationSetTargetBlock(rel, InvalidBlockNumber);
            continue;
        }
        append_to_page(rel, buffer, rows, fit, cid);
        UnlockReleaseBuffer(buffer);
        RelationSetTargetBlock(rel, block);
        rows += fit;
        row_count -= fit;
    }
    // Last: a reader locks the table before it looks at a page, so either its lock is seen here or it has seen our rows. Asked
    // first, a reader that came between the question and the rows would be missed by both.
    CheckForSerializableConflictIn(rel, nullptr, InvalidBlockNumber);
}

uint64 rows_of_run(Relation rel, const DirectoryEntry &entry) {
    if (entry.used_pages == 0) return 0;
    const Buffer buffer = lock_page(rel, entry_block(entry, 0), PageLock::shared);
    Page page = BufferGetPage(buffer);
    const uint32 rows = page_is(page, PageKind::tail) ? Min(PageGetMaxOffsetNumber(page), format::kTailRowsMax) : 0;
    UnlockReleaseBuffer(buffer);
    return static_cast<uint64>(entry.used_pages) * rows;
}

bool close_tail_run(Relation rel, uint32 slot) {
    Metapage meta;
    if (!read_metapage(rel, &meta)) return false;
    bool closed = false;
    for (bool again = true; again;) {
        CHECK_FOR_INTERRUPTS();
        again = false;
        const DirectoryEntry seen = read_entry(rel, meta, slot);
        if (!is_open_run(seen) || seen.used_pages == 0) return false;
        const Buffer last_buffer = lock_page(rel, entry_block(seen, seen.used_pages - 1), PageLock::exclusive);
        const EntryPlace place = entry_place(meta, slot);
        const Buffer directory_buffer = lock_page(rel, place.block, PageLock::exclusive);
        DirectoryEntry entry = entry_on_page(BufferGetPage(directory_buffer), place.offset);
        if (is_open_run(entry) && entry.generation == seen.generation) {
            again = entry.used_pages != seen.used_pages;  // a page was opened meanwhile: look again
            if (!again) {
                PageEdit edit(rel, EditPurpose::close_tail);
                stage_closed_page(edit, last_buffer);
                const int directory = edit.add_page(directory_buffer);
                entry.flags |= format::kEntryTailClosed;
                edit.patch(directory, place.offset + offsetof(DirectoryEntry, flags), &entry.flags, sizeof(entry.flags));
                edit.commit();
                closed = true;
            }
        }
        UnlockReleaseBuffer(directory_buffer);
        UnlockReleaseBuffer(last_buffer);
    }
    return closed;
}

}  // namespace historian::engine
