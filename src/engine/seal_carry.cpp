#include "engine/seal_carry.h"

#include "engine/report.h"
#include "engine/space.h"
#include "engine/validate.h"
#include "engine/visibility.h"

namespace historian::engine {

using format::DeleteRecord;
using format::DirectoryEntry;
using format::PageKind;

void begin_source(CarriedSource *source, MemoryContext context) {
    const uint32 places = format::is_tail(source->entry) ? tail_place(source->entry.used_pages, 0) : source->entry.row_count;
    source->taken = make_row_set(places, context);
    source->taken_before = nullptr;
    source->taken_count = 0;
    source->run_count = 0;
    source->run_room = 16;
    source->runs = static_cast<TakenRun *>(MemoryContextAlloc(context, sizeof(TakenRun) * source->run_room));
    source->context = context;
}

void take_rows(CarriedSource *source, uint32 place, uint32 count, uint64 arrival) {
    add_rows(&source->taken, place, count);
    const uint32 n = source->taken_count;
    source->taken_count += count;
    const TakenRun *last = source->run_count > 0 ? &source->runs[source->run_count - 1] : nullptr;
    if (last != nullptr && static_cast<uint64>(last->arrival) + (n - last->n) == arrival) return;
    if (source->run_count == source->run_room) {
        source->run_room *= 2;
        source->runs = static_cast<TakenRun *>(repalloc_huge(source->runs, sizeof(TakenRun) * source->run_room));
    }
    source->runs[source->run_count++] = TakenRun{n, static_cast<uint32>(arrival)};
}

void end_source(CarriedSource *source) {
    const uint32 words = source->taken.row_count / 64 + 1;
    source->taken_before = static_cast<uint32 *>(MemoryContextAlloc(source->context, sizeof(uint32) * words));
    uint32 count = 0;
    for (uint32 word = 0; word < words; word++) {
        source->taken_before[word] = count;
        count += static_cast<uint32>(__builtin_popcountll(source->taken.words[word]));
    }
}

namespace {

// Who deleted or locked a tail row, if that still means something.
struct TailChange {
    XidState state = XidState::aborted;  // aborted: nobody
    bool is_lock = false;
    TransactionId xid = InvalidTransactionId;
    CommandId cid = FirstCommandId;
};

TailChange change_of(HeapTupleHeader tuple) {
    TailChange change;
    if ((tuple->t_infomask & HEAP_XMAX_INVALID) != 0) return change;
    change.xid = HeapTupleHeaderGetRawXmax(tuple);
    change.is_lock = HEAP_XMAX_IS_LOCKED_ONLY(tuple->t_infomask);
    change.state = xid_state(change.xid);
    // The row's inserter is over, so its deleter is another transaction and needed no combo command id.
    change.cid = HeapTupleHeaderGetRawCommandId(tuple);
    return change;
}

}  // namespace

bool tail_row_lives(HeapTupleHeader tuple) {
    if (xid_state(HeapTupleHeaderGetXmin(tuple)) != XidState::committed) return false;
    const TailChange change = change_of(tuple);
    return change.state != XidState::committed || change.is_lock;
}

namespace {

// Records on their way to one of the written segments.
struct Carried {
    uint32 segment;
    DeleteRecord record;
};

struct Carrier {
    const WrittenSegment *segments;
    uint32 segment_count;
    Carried *items;
    Size count;
    Size room;
};

// Which of the step's rows a taken row became.
uint64 arrival_of(const CarriedSource &source, uint32 place) {
    const uint64 below = source.taken.words[place / 64] & ((UINT64CONST(1) << (place % 64)) - 1);
    const uint32 n = source.taken_before[place / 64] + static_cast<uint32>(__builtin_popcountll(below));
    uint32 low = 0;  // the last run that begins at or before it
    for (uint32 high = source.run_count; high - low > 1;) {
        const uint32 middle = low + (high - low) / 2;
        if (source.runs[middle].n <= n)
            low = middle;
        else
            high = middle;
    }
    return static_cast<uint64>(source.runs[low].arrival) + (n - source.runs[low].n);
}

void carry(Carrier *carrier, const CarriedSource &source, uint32 place, TransactionId xid, CommandId cid, bool is_lock) {
    if (place >= source.taken.row_count || !has_row(source.taken, place)) return;  // left out: deleted before it was read
    const uint64 number = arrival_of(source, place);
    uint32 low = 0;  // the last segment that begins at or before the row
    for (uint32 high = carrier->segment_count; high - low > 1;) {
        const uint32 middle = low + (high - low) / 2;
        if (carrier->segments[middle].first_taken <= number)
            low = middle;
        else
            high = middle;
    }
    const WrittenSegment &segment = carrier->segments[low];
    if (low >= carrier->segment_count || number - segment.first_taken >= segment.row_count)
        elog(ERROR, "row %llu of a merge is in none of its segments", static_cast<unsigned long long>(number));
    if (carrier->count == carrier->room) {
        carrier->room = carrier->room == 0 ? 256 : carrier->room * 2;
        const Size bytes = carrier->room * sizeof(Carried);
        carrier->items = static_cast<Carried *>(carrier->items == nullptr ? palloc_extended(bytes, MCXT_ALLOC_HUGE)
                                                                          : repalloc_huge(carrier->items, bytes));
    }
    const uint32 row = segment.row_of_arrival[number - segment.first_taken];
    carrier->items[carrier->count++] = {low, {row | (is_lock ? format::kRowLocked : 0), 1, xid, cid}};
}

void carry_tail_page(Relation rel, Carrier *carrier, const CarriedSource &source, uint32 page_index) {
    const BlockNumber block = entry_block(source.entry, page_index);
    const Buffer buffer = lock_page(rel, block, PageLock::shared);
    Page page = BufferGetPage(buffer);
    // Rows are judged where they are: nothing here waits, and 176 rows at most come from one page.
    const bool changed = page_is(page, PageKind::tail) && (page_trailer(page)->flags & format::kTailPageHasXmax) != 0;
    TailPage tail = {rel, block, page};
    for (OffsetNumber offset = FirstOffsetNumber; changed && offset <= PageGetMaxOffsetNumber(page); offset++) {
        HeapTupleData tuple;
        if (!tail_tuple_at(&tail, offset, &tuple)) continue;
        const TailChange change = change_of(tuple.t_data);
        if (change.state == XidState::aborted || (change.is_lock && change.state == XidState::committed)) continue;
        carry(carrier, source, tail_place(page_index, offset), change.xid, change.cid, change.is_lock);
    }
    UnlockReleaseBuffer(buffer);
}

void carry_log(Relation rel, Carrier *carrier, const CarriedSource &source, const DirectoryEntry &now) {
    for_each_log_record(rel, source.slot, now, [&](const DeleteRecord &record) {
        const XidState state = xid_state(record.xid);
        if (state == XidState::aborted || (is_lock(record) && state == XidState::committed)) return;
        const uint32 first = first_row_of(record);
        for (uint32 row = first; row - first < record.row_count && row < now.row_count; row++)
            carry(carrier, source, row, record.xid, record.cid, is_lock(record));
    });
}

int compare_carried(const void *a, const void *b) {
    const Carried *left = static_cast<const Carried *>(a);
    const Carried *right = static_cast<const Carried *>(b);
    if (left->segment != right->segment) return left->segment < right->segment ? -1 : 1;
    if (left->record.xid != right->record.xid) return left->record.xid < right->record.xid ? -1 : 1;
    if (left->record.cid != right->record.cid) return left->record.cid < right->record.cid ? -1 : 1;
    if (left->record.first_row != right->record.first_row) return left->record.first_row < right->record.first_row ? -1 : 1;
    return 0;
}

bool goes_on(const DeleteRecord &last, const DeleteRecord &next) {
    return last.xid == next.xid && last.cid == next.cid && last.first_row + last.row_count == next.first_row;
}

// Writes what was collected, adjacent rows of one command as one record.
void write_carried(Relation rel, Carrier *carrier) {
    qsort(carrier->items, carrier->count, sizeof(Carried), compare_carried);
    DeleteRecord *records =
        static_cast<DeleteRecord *>(palloc_extended(sizeof(DeleteRecord) * Max(carrier->count, 1), MCXT_ALLOC_HUGE));
    for (Size i = 0; i < carrier->count;) {
        const uint32 segment = carrier->items[i].segment;
        uint32 count = 0;
        for (; i < carrier->count && carrier->items[i].segment == segment; i++) {
            const DeleteRecord &record = carrier->items[i].record;
            if (count > 0 && goes_on(records[count - 1], record))
                records[count - 1].row_count++;
            else
                records[count++] = record;
        }
        append_records(rel, carrier->segments[segment].slot, records, count);
    }
    pfree(records);
}

}  // namespace

bool carry_changes(Relation rel, const CarriedSource *sources, uint32 source_count, const WrittenSegment *segments,
                   uint32 segment_count, MemoryContext context) {
    format::Metapage meta;
    read_metapage(rel, &meta);
    MemoryContext old = MemoryContextSwitchTo(context);
    Carrier carrier = {segments, segment_count, nullptr, 0, 0};
    bool in_force = true;
    for (uint32 i = 0; i < source_count && in_force; i++) {
        CHECK_FOR_INTERRUPTS();
        const CarriedSource &source = sources[i];
        const DirectoryEntry now = read_entry(rel, meta, source.slot);
        in_force = now.kind == source.entry.kind && now.generation == source.entry.generation &&
                   xid_state(now.xmax) == XidState::aborted;
        if (!in_force) break;
        if (format::is_tail(now)) {
            for (uint32 page = 0; page < source.entry.used_pages; page++) carry_tail_page(rel, &carrier, source, page);
        } else {
            carry_log(rel, &carrier, source, now);
        }
    }
    if (in_force) write_carried(rel, &carrier);
    MemoryContextSwitchTo(old);
    return in_force;
}

}  // namespace historian::engine
