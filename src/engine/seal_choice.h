// Which tail runs and segments the next step of seal and merge takes.
#pragma once

#include "engine/server.h"
//
#include "engine/pages.h"
#include "engine/report.h"
#include "engine/seal.h"
#include "engine/seal_carry.h"
#include "engine/space.h"
#include "engine/validate.h"

namespace historian::engine {

struct Choice {
    CarriedSource *sources;
    uint32 count;
    bool more;    // the bounds of one transaction left some out
    bool by_tag;  // the sources' rows are to be taken tag by tag
};

/// Closed runs whose rows are decided, segments that must be written again, and small ones of level 0 if there are enough of
/// them; oldest times first.
Choice choose_sources(Relation rel, const format::Metapage &meta, const SealRequest &request);

/// Segments to merge by tag: see merge_choice.cpp.
Choice choose_merge(Relation rel, const format::Metapage &meta, const SealRequest &request);

/// Segments to pack hard, each by itself.
Choice choose_repack(Relation rel, const format::Metapage &meta, const SealRequest &request);

/// Whether a segment was encoded with high effort.
inline bool is_packed_hard(const format::DirectoryEntry &entry) { return (entry.flags & format::kEntryPackedHard) != 0; }

inline CarriedSource source_of(uint32 slot, const format::DirectoryEntry &entry) {
    CarriedSource source = {};
    source.slot = slot;
    source.entry = entry;
    return source;
}

/// Whether an entry is a segment whose maker committed.
bool is_committed_segment(const format::DirectoryEntry &entry);

/// Whether somebody has superseded or dropped an entry, or may be about to.
bool is_superseded_or_doubtful(const format::DirectoryEntry &entry);

/// Calls visit(tuple) for each row of a tail page, with the page share-locked.
template <typename Visit>
void for_each_tail_row(Relation rel, const format::DirectoryEntry &entry, uint32 page_index, Visit visit) {
    const BlockNumber block = entry_block(entry, page_index);
    const Buffer buffer = lock_page(rel, block, PageLock::shared);
    Page page = BufferGetPage(buffer);
    const bool ours = page_is(page, format::PageKind::tail) && page_trailer(page)->generation == entry.generation &&
                      PageGetMaxOffsetNumber(page) <= format::kTailRowsMax;
    TailPage tail = {rel, block, page};
    for (OffsetNumber offset = FirstOffsetNumber; ours && offset <= PageGetMaxOffsetNumber(page); offset++) {
        HeapTupleData tuple = {};
        if (tail_tuple_at(&tail, offset, &tuple)) visit(&tuple);
    }
    UnlockReleaseBuffer(buffer);
    if (!ours) report_damage(rel, block, "The block does not belong to the tail run that names it.");
}

}  // namespace historian::engine
