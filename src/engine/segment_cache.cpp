#include "engine/segment_cache.h"

namespace historian::engine {

using format::DirectoryEntry;

namespace {

/// A thousand segments of logs; those of tag tables, which have a directory of tags, may be larger.
constexpr Size kCacheBytesMax = Size{32} * 1024 * 1024;
constexpr uint32 kKeptMax = 256;

/// The header and, behind it, the checksum of the index.
constexpr uint32 kIdentityBytes = format::kSegmentHeaderBytes + sizeof(uint64);

struct Kept {  // all zeros: free
    MemoryContext context;
    FileLocator file;
    std::byte identity[kIdentityBytes];
    OpenSegment segment;
    uint64 last_use;
    Size bytes;
    uint32 loans;
};
Kept kept_segments[kKeptMax];
uint64 use_count = 0;

void drop(Kept *kept) {
    MemoryContextDelete(kept->context);
    *kept = Kept{};
}

// A loan, in the memory of the context that borrows: PostgreSQL calls back when that goes.
struct Loan {
    MemoryContextCallback callback;
    Kept *kept;
};

void end_loan(void *argument) { static_cast<Loan *>(argument)->kept->loans--; }

void lend(Kept *kept, MemoryContext borrower) {
    Loan *loan = static_cast<Loan *>(MemoryContextAllocZero(borrower, sizeof(Loan)));
    loan->kept = kept;
    loan->callback.func = end_loan;
    loan->callback.arg = loan;
    kept->loans++;
    kept->last_use = ++use_count;
    MemoryContextRegisterResetCallback(borrower, &loan->callback);
}

Kept *find(Relation rel, uint32 slot, const DirectoryEntry &entry) {
    for (Kept &kept : kept_segments) {
        if (kept.context != nullptr && kept.segment.slot == slot && kept.segment.entry.generation == entry.generation &&
            is_same_file(kept.file, file_of(rel)))
            return &kept;
    }
    return nullptr;
}

// A free place, after those were dropped that nobody borrows and whose last use is longest ago; nullptr: all are lent.
Kept *make_room() {
    for (;;) {
        Size bytes = 0;
        Kept *unused = nullptr;
        Kept *oldest = nullptr;
        for (Kept &kept : kept_segments) {
            if (kept.context == nullptr) {
                unused = &kept;
                continue;
            }
            if (kept.loans == 0) kept.bytes = MemoryContextMemAllocated(kept.context, false);
            bytes += kept.bytes;
            if (kept.loans == 0 && (oldest == nullptr || kept.last_use < oldest->last_use)) oldest = &kept;
        }
        if (unused != nullptr && (bytes < kCacheBytesMax || oldest == nullptr)) return unused;
        if (oldest == nullptr) return nullptr;
        drop(oldest);
    }
}

}  // namespace

void borrow_open_segment(Relation rel, uint32 slot, const DirectoryEntry &entry, MemoryContext borrower, OpenSegment *segment) {
    std::byte identity[kIdentityBytes] = {};
    if (entry.byte_count >= kIdentityBytes) read_segment_range(rel, slot, entry, {0, kIdentityBytes}, identity);
    Kept *kept = find(rel, slot, entry);
    if (kept != nullptr && memcmp(kept->identity, identity, kIdentityBytes) != 0) {
        if (kept->loans == 0) drop(kept);
        kept = nullptr;
    }
    if (kept == nullptr && (kept = make_room()) == nullptr) {
        open_segment(rel, slot, entry, borrower, segment);
        return;
    }
    if (kept->context == nullptr) {
        // Its place is taken when it is complete: an error leaves the memory to the borrower.
        MemoryContext context = AllocSetContextCreate(borrower, "historian kept segment", ALLOCSET_DEFAULT_SIZES);
        OpenSegment opened;
        open_segment(rel, slot, entry, context, &opened);
        MemoryContextSetParent(context, TopMemoryContext);
        kept->context = context;
        kept->file = file_of(rel);
        memcpy(kept->identity, identity, kIdentityBytes);
        kept->segment = opened;
    }
    lend(kept, borrower);
    *segment = kept->segment;
    segment->entry = entry;  // its log may have grown, its xmin may be frozen
}

}  // namespace historian::engine
