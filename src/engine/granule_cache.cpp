#include "engine/granule_cache.h"

#include "engine/delete_log.h"
#include "engine/segment_store.h"

extern "C" {
#include "utils/inval.h"
}

namespace historian::engine {

using format::DirectoryEntry;

struct CachedSegment {
    Oid relid;         // the key: these,
    FileLocator file;  // this,
    TupleDesc desc;    // this, and the segment's slot and generation
    Relation rel;      // as opened by who borrows it
    OpenSegment segment;
    KeyColumns keys;
    Granule **granules;  // one a granule of the segment, nullptr: not asked for yet
    RowSet named;        // by records, whatever their transactions, on the first ...
    uint32 pages_read;   // ... this many pages of the delete log, all of them closed
    MemoryContext context;
};

namespace {

/// A hundred granules of five columns; the cache is emptied when it is exceeded.
constexpr Size kCacheBytesMax = Size{16} * 1024 * 1024;

/// One granule alone may take more: its content is 4 MB (format::kGranuleContentBytes) or one row, but its segment's index grows
/// with the number of tags.
constexpr Size kLastGranuleBytesMax = Size{64} * 1024 * 1024;

/// A loop over partitions comes back to the same few segments.
constexpr uint32 kCachedSegmentsMax = 32;

struct GranuleCache {
    MemoryContext context;  // the transaction's; nullptr: nothing is kept
    CachedSegment segments[kCachedSegmentsMax];
    uint32 segment_count;
    uint32 granule_count;
    bool is_lent;   // or an error came in between
    bool is_stale;  // not to be lent again
    bool has_grown;
};
GranuleCache cache;

bool is_cached_as(const CachedSegment &cached, Relation rel, uint32 slot, const DirectoryEntry &entry) {
    return cached.segment.slot == slot && cached.segment.entry.generation == entry.generation &&
           cached.relid == RelationGetRelid(rel) && is_same_file(cached.file, file_of(rel));
}

CachedSegment *add_segment(Relation rel, uint32 slot, const DirectoryEntry &entry) {
    if (cache.context == nullptr)
        cache.context = AllocSetContextCreate(TopTransactionContext, "historian granule cache", ALLOCSET_SMALL_SIZES);
    CachedSegment *added = &cache.segments[cache.segment_count++];
    *added = CachedSegment{};
    cache.has_grown = true;
    added->context = AllocSetContextCreate(cache.context, "historian cached segment", ALLOCSET_DEFAULT_SIZES);
    added->relid = RelationGetRelid(rel);
    added->file = file_of(rel);
    open_segment(rel, slot, entry, added->context, &added->segment);
    added->granules = static_cast<Granule **>(
        MemoryContextAllocZero(added->context, sizeof(Granule *) * Max(added->segment.header.granule_count, 1)));
    return added;
}

}  // namespace

CachedSegment *borrow_segment(Relation rel, uint32 slot, const DirectoryEntry &entry, const KeyColumns &keys, TupleDesc desc) {
    CachedSegment *found = nullptr;
    for (uint32 i = 0; i < cache.segment_count && found == nullptr; i++) {
        if (is_cached_as(cache.segments[i], rel, slot, entry)) found = &cache.segments[i];
    }
    const bool is_full = found == nullptr && cache.segment_count == kCachedSegmentsMax;
    if (cache.is_lent || cache.is_stale || is_full || (found != nullptr && found->desc != desc)) {
        forget_granules();
        found = nullptr;
    }
    cache.is_lent = true;
    cache.is_stale = desc != RelationGetDescr(rel);  // who keeps that shape, and how long, is not known
    if (found == nullptr) found = add_segment(rel, slot, entry);
    found->rel = rel;
    found->desc = desc;
    found->keys = keys;
    found->segment.entry = entry;  // its log may have grown, its xmin may be frozen
    return found;
}

Granule *granule_with_row(CachedSegment *cached, uint32 row, uint32 *row_in_granule) {
    const OpenSegment *segment = &cached->segment;
    uint32 low = 0;  // granules before it end before the row
    for (uint32 high = segment->header.granule_count; low < high;) {
        const uint32 middle = low + (high - low) / 2;
        const format::Granule about = format::granule_at(*segment->index, middle);
        if (about.first_row + about.row_count <= row)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == segment->header.granule_count) return nullptr;
    Granule **granule = &cached->granules[low];
    if (*granule == nullptr) {
        *granule = make_granule(cached->rel, cached->desc, cached->keys, cached->context, GranuleMemory::given_back);
        open_granule(*granule, segment, low);
        cache.granule_count++;
        cache.has_grown = true;
    }
    (*granule)->rel = cached->rel;
    *row_in_granule = row - (*granule)->about.first_row;
    return *granule;
}

uint32 first_log_page_for(CachedSegment *cached, uint32 row) {
    const DirectoryEntry &entry = cached->segment.entry;
    if (entry.log_pages <= 1) return 0;
    if (cached->named.words == nullptr) cached->named = make_row_set(entry.row_count, cached->context);
    LogPage page;
    while (cached->pages_read + 1 < entry.log_pages) {
        CHECK_FOR_INTERRUPTS();
        read_log_page(cached->rel, cached->segment.slot, entry, cached->pages_read, &page);
        if (!page.is_closed) break;
        for (uint32 i = 0; i < page.record_count; i++) {
            if (page.records[i].row_count > 0 && !is_lock(page.records[i]))
                add_rows(&cached->named, first_row_of(page.records[i]), page.records[i].row_count);
        }
        cached->pages_read++;
    }
    return has_row(cached->named, row) ? 0 : cached->pages_read;
}

void give_back_segment() {
    cache.is_lent = false;
    if (!cache.has_grown) return;
    cache.has_grown = false;
    // Texts that get their Datums when more rows are asked for at most double it.
    const Size bytes_max = cache.granule_count > 1 ? kCacheBytesMax : kLastGranuleBytesMax;
    if (MemoryContextMemAllocated(cache.context, true) > bytes_max) forget_granules();
}

void forget_granules() {
    MemoryContext context = cache.context;
    cache.context = nullptr;
    cache.segment_count = cache.granule_count = 0;
    cache.is_lent = cache.is_stale = cache.has_grown = false;
    if (context != nullptr) MemoryContextDelete(context);
}

namespace {

// The memory goes with the transaction.
void at_transaction_end(XactEvent event, void *) {
    if (event == XACT_EVENT_PRE_COMMIT || event == XACT_EVENT_PARALLEL_PRE_COMMIT || event == XACT_EVENT_PRE_PREPARE) return;
    cache.context = nullptr;
    forget_granules();
}

void at_subtransaction_end(SubXactEvent event, SubTransactionId, SubTransactionId, void *) {
    if (event == SUBXACT_EVENT_ABORT_SUB) forget_granules();
}

// May be called in the middle of anything.
void at_relation_change(Datum, Oid relid) {
    for (uint32 i = 0; i < cache.segment_count; i++) {
        if (relid == InvalidOid || cache.segments[i].relid == relid) cache.is_stale = true;
    }
}

}  // namespace

void register_granule_cache_callbacks() {
    RegisterXactCallback(at_transaction_end, nullptr);
    RegisterSubXactCallback(at_subtransaction_end, nullptr);
    CacheRegisterRelcacheCallback(at_relation_change, 0);
}

}  // namespace historian::engine
