#include "engine/bulk_load.h"

#include "engine/pages.h"
#include "engine/report.h"
#include "engine/row.h"
#include "engine/segment_shape.h"
#include "engine/segment_store.h"
#include "engine/tail.h"
#include "engine/tid.h"

namespace historian::engine {

using format::Cell;
using format::SegmentBuilder;

namespace {

// One open load. It and all it points to live in `context`, except the link.
struct BulkLoad {
    BulkLoad *next;
    MemoryContext context;          // the load
    MemoryContext staged_context;   // the staged rows' tuples
    MemoryContext segment_context;  // the segment being built; renewed for each segment; nullptr before the first
    Oid relid;
    SubTransactionId subid;
    TransactionId xid;
    CommandId cid;
    KeyColumns keys;
    TupleDesc desc;
    SegmentShape shape;
    Cell *cells;
    Datum *values;    // one row's flat values
    TailRow *staged;  // the first rows, until it is known whether they are few
    uint32 staged_count;
    uint32 staged_room;  // of `staged`
    uint32 rows_min;     // rows that make a segment
    Size staged_bytes;
    Arena *arena;
    SegmentBuilder *builder;  // nullptr while rows are staged
    bool is_writing;          // still set when an error interrupted the writing: what the load held is not all stored
};

// Backend-local: builders never outlive the transaction that opened them.
BulkLoad *open_loads = nullptr;

// Staged rows are bounded by bytes too; many large rows are better off in a builder.
constexpr Size kStagedBytesMax = 4 * 1024 * 1024;
constexpr uint32 kStagedRowsAtFirst = 128;

// A statement that fills many partitions at once holds back so many loads, as COPY has buffers, and so much memory; then the one
// that got no row for the longest time, or the largest, has to be stored.
constexpr int kOpenLoadsMax = 32;
constexpr uint64 kHeldBytesMin = UINT64CONST(64) * 1024 * 1024;

// The load is the first of the list then.
BulkLoad *find_load(Oid relid) {
    for (BulkLoad **link = &open_loads; *link != nullptr; link = &(*link)->next) {
        BulkLoad *load = *link;
        if (load->relid != relid) continue;
        *link = load->next;
        load->next = open_loads;
        open_loads = load;
        return load;
    }
    return nullptr;
}

void drop_load(BulkLoad *dropped) {
    for (BulkLoad **link = &open_loads; *link != nullptr; link = &(*link)->next) {
        if (*link == dropped) {
            *link = dropped->next;
            break;
        }
    }
    MemoryContextDelete(dropped->context);
}

bool holds_rows(const BulkLoad *load) { return load->staged_count > 0 || load->builder != nullptr; }

BulkLoad *open_load(Relation rel, CommandId cid) {
    MemoryContext context = AllocSetContextCreate(TopTransactionContext, "historian bulk load", ALLOCSET_DEFAULT_SIZES);
    MemoryContext old = MemoryContextSwitchTo(context);
    BulkLoad *load = static_cast<BulkLoad *>(palloc0(sizeof(BulkLoad)));
    load->context = context;
    load->staged_context = AllocSetContextCreate(context, "historian staged rows", ALLOCSET_DEFAULT_SIZES);
    load->relid = RelationGetRelid(rel);
    load->subid = GetCurrentSubTransactionId();
    load->xid = GetCurrentTransactionId();
    load->cid = cid;
    load->keys = key_columns(rel);
    load->desc = CreateTupleDescCopy(RelationGetDescr(rel));
    load->values = static_cast<Datum *>(palloc(sizeof(Datum) * load->desc->natts));
    load->staged_room = kStagedRowsAtFirst;
    load->staged = static_cast<TailRow *>(palloc(sizeof(TailRow) * load->staged_room));
    load->rows_min = rows_may_wait == RowsMayWait::insert ? kInsertRowsMin : kBulkRowsMin;
    MemoryContextSwitchTo(old);
    load->next = open_loads;
    open_loads = load;
    return load;
}

// What a load of few rows does without.
void prepare_for_segments(Relation rel, BulkLoad *load) {
    MemoryContext old = MemoryContextSwitchTo(load->context);
    load->shape = segment_shape(rel, load->desc, load->keys);
    load->cells = static_cast<Cell *>(palloc0(sizeof(Cell) * load->desc->natts));
    load->arena = static_cast<Arena *>(palloc(sizeof(Arena)));
    load->segment_context = AllocSetContextCreate(load->context, "historian segment builder", ALLOCSET_DEFAULT_SIZES);
    MemoryContextSwitchTo(old);
}

void start_builder(Relation rel, BulkLoad *load) {
    if (load->segment_context == nullptr) prepare_for_segments(rel, load);
    *load->arena = arena_in(load->segment_context);
    load->builder = start_builder(rel, load->shape, *load->arena);
}

void write_built_segment(Relation rel, BulkLoad *load) {
    if (load->builder == nullptr) return;
    SegmentBuilder *builder = load->builder;
    if (format::builder_row_count(*builder) > 0) {
        const bool is_full = builder_is_full(*builder);
        format::SegmentBytes segment;
        check_status(format::finish_builder(*builder, &segment), rel, "build a segment");
        write_segment(rel, segment, SegmentStamp{load->xid, load->cid, 0, is_full, false});
        count_loaded_rows(rel, segment.summary.row_count);
        CheckForSerializableConflictIn(rel, nullptr, InvalidBlockNumber);  // last: see append_rows()
    }
    load->builder = nullptr;
    MemoryContextReset(load->segment_context);
}

void add_to_builder(Relation rel, BulkLoad *load, const Datum *values, const bool *nulls) {
    uint8 tag_space[8];
    fill_cells(load->desc, load->keys, values, nulls, load->cells, tag_space);
    check_status(format::append_row(*load->builder, load->cells), rel, "build a segment");
    if (builder_is_full(*load->builder)) write_built_segment(rel, load);  // what follows is staged again: it may be few rows
}

void forget_staged(BulkLoad *load) {
    load->staged_count = 0;
    load->staged_bytes = 0;
    MemoryContextReset(load->staged_context);
}

// The staged rows turn out to be many: they go to a builder.
void promote_staged(Relation rel, BulkLoad *load) {
    bool *nulls = static_cast<bool *>(palloc(sizeof(bool) * load->desc->natts));
    for (uint32 i = 0; i < load->staged_count; i++) {
        heap_deform_tuple(load->staged[i].tuple, load->desc, load->values, nulls);
        if (load->builder == nullptr) start_builder(rel, load);
        add_to_builder(rel, load, load->values, nulls);
    }
    forget_staged(load);
}

void stage_row(Relation rel, BulkLoad *load, const bool *nulls) {
    if (load->staged_count == load->staged_room) {
        load->staged_room *= 2;
        load->staged = static_cast<TailRow *>(repalloc(load->staged, sizeof(TailRow) * load->staged_room));
    }
    MemoryContext old = MemoryContextSwitchTo(load->staged_context);
    TailRow row = form_tail_row(load->desc, load->keys, load->values, nulls, load->xid, load->cid, load->relid);
    MemoryContextSwitchTo(old);
    load->staged[load->staged_count++] = row;
    load->staged_bytes += row.tuple->t_len;
    if (load->staged_count == load->rows_min || load->staged_bytes >= kStagedBytesMax ||
        row.tuple->t_len > format::kTailRowBytesMax) {
        promote_staged(rel, load);
    }
}

void store_rows_of(Relation rel, BulkLoad *load) {
    load->is_writing = true;
    // This may be an inner subtransaction that has no xid yet. Its WAL must carry one that is no older than the rows' xmin: after
    // a crash PostgreSQL hands out again the xids that no record carries, and the rows would become another transaction's.
    GetCurrentTransactionId();
    if (load->builder != nullptr) {
        write_built_segment(rel, load);
    } else if (load->staged_count > 0) {
        append_rows(rel, load->staged, static_cast<int>(load->staged_count), load->cid);
        forget_staged(load);
    }
    load->is_writing = false;
}

// An error inside a statement's inner subtransaction may leave the outer one, and its load, alive.
void refuse_broken_load(const BulkLoad *load) {
    if (!load->is_writing) return;
    ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("an earlier error interrupted this bulk load"),
            errhint("Roll back and load the rows again."));
}

void finish_load(BulkLoad *load) {
    refuse_broken_load(load);
    if (holds_rows(load)) {
        // The command that opened the load still holds its lock on the table.
        const Relation rel = RelationIdGetRelation(load->relid);
        if (!RelationIsValid(rel)) elog(ERROR, "could not open relation with OID %u", load->relid);
        store_rows_of(rel, load);
        RelationClose(rel);
    }
    drop_load(load);
}

void at_transaction_end(XactEvent event, void *) {
    switch (event) {
        case XACT_EVENT_PRE_COMMIT:
        case XACT_EVENT_PARALLEL_PRE_COMMIT:
        case XACT_EVENT_PRE_PREPARE:
            for (const BulkLoad *load = open_loads; load != nullptr; load = load->next) {
                if (holds_rows(load)) elog(ERROR, "a bulk load into relation %u was not finished", load->relid);
            }
            break;
        default:
            // Their memory went, or goes, with the transaction's.
            open_loads = nullptr;
            break;
    }
}

void at_subtransaction_end(SubXactEvent event, SubTransactionId subid, SubTransactionId, void *) {
    if (event != SUBXACT_EVENT_ABORT_SUB && event != SUBXACT_EVENT_PRE_COMMIT_SUB) return;
    for (BulkLoad *load = open_loads, *next; load != nullptr; load = next) {
        next = load->next;
        if (load->subid != subid) continue;
        if (event == SUBXACT_EVENT_ABORT_SUB) {
            drop_load(load);
        } else if (holds_rows(load)) {
            elog(ERROR, "a bulk load into relation %u was not finished", load->relid);
        }
    }
}

// What the memory of a load comes to.
uint64 held_bytes(const BulkLoad *load) {
    if (load->builder != nullptr) return format::builder_bytes(*load->builder);
    return 2 * load->staged_bytes + load->staged_room * sizeof(TailRow);
}

// Keeps the loads within their limits; the first one, which rows are being added to, stays.
void bound_loads() {
    for (;;) {
        int count = 0;
        uint64 bytes = 0;
        BulkLoad *last = nullptr;
        BulkLoad *largest = nullptr;
        for (BulkLoad *load = open_loads; load != nullptr; load = load->next) {
            count++;
            bytes += held_bytes(load);
            if (load == open_loads) continue;
            last = load;
            if (largest == nullptr || held_bytes(load) > held_bytes(largest)) largest = load;
        }
        if (largest == nullptr) return;
        if (count > kOpenLoadsMax)
            finish_load(last);
        else if (bytes > Max(kHeldBytesMin, static_cast<uint64>(maintenance_work_mem) * 1024))
            finish_load(largest);
        else
            return;
    }
}

}  // namespace

RowsMayWait rows_may_wait = RowsMayWait::no;

bool may_bulk_load(Relation rel, BulkInsertStateData *bulk_state, bool single_row) {
    if (bulk_state == nullptr && rows_may_wait != RowsMayWait::insert) return false;
    const SubTransactionId subid = GetCurrentSubTransactionId();
    const bool is_new_file = rel->rd_createSubid == subid || new_file_subid(rel) == subid;
    if (single_row && rows_may_wait == RowsMayWait::no && !is_new_file) return false;
    const TriggerDesc *triggers = rel->trigdesc;
    return triggers == nullptr ||
           !(triggers->trig_insert_before_row || triggers->trig_insert_after_row || triggers->trig_insert_instead_row);
}

void bulk_load_rows(Relation rel, TupleTableSlot **slots, int slot_count, CommandId cid) {
    BulkLoad *load = find_load(RelationGetRelid(rel));
    if (load != nullptr && (load->cid != cid || load->subid != GetCurrentSubTransactionId())) {
        finish_load(load);
        load = nullptr;
    }
    if (load == nullptr) load = open_load(rel, cid);
    refuse_broken_load(load);
    load->is_writing = true;
    const int natts = load->desc->natts;
    for (int i = 0; i < slot_count; i++) {
        TupleTableSlot *slot = slots[i];
        slot_getallattrs(slot);
        memcpy(load->values, slot->tts_values, sizeof(Datum) * natts);
        flatten_values(load->desc, load->values, slot->tts_isnull);
        if (load->builder == nullptr) {
            stage_row(rel, load, slot->tts_isnull);
        } else {
            add_to_builder(rel, load, load->values, slot->tts_isnull);
        }
        slot->tts_tableOid = RelationGetRelid(rel);
        ItemPointerSetInvalid(&slot->tts_tid);
    }
    load->is_writing = false;
    if (load->next != nullptr) bound_loads();
    CHECK_FOR_INTERRUPTS();
}

void finish_bulk_load(Oid relid) {
    BulkLoad *load = find_load(relid);
    if (load != nullptr) finish_load(load);
}

void finish_bulk_loads_of(const List *relids) {
    for (BulkLoad *load = open_loads, *next; load != nullptr; load = next) {
        next = load->next;
        if (list_member_oid(relids, load->relid)) finish_load(load);
    }
}

void finish_all_bulk_loads() {
    while (open_loads != nullptr) finish_load(open_loads);
}

void discard_bulk_load(Oid relid) {
    BulkLoad *load = find_load(relid);
    if (load != nullptr) drop_load(load);
}

void register_bulk_load_callbacks() {
    RegisterXactCallback(at_transaction_end, nullptr);
    RegisterSubXactCallback(at_subtransaction_end, nullptr);
}

void store_large_row(Relation rel, TupleTableSlot *slot, CommandId cid, ItemPointer tid) {
    const TupleDesc desc = RelationGetDescr(rel);
    const KeyColumns keys = key_columns(rel);
    MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "historian large row", ALLOCSET_DEFAULT_SIZES);
    MemoryContext old = MemoryContextSwitchTo(context);
    Cell *cells = static_cast<Cell *>(palloc0(sizeof(Cell) * desc->natts));
    Datum *values = static_cast<Datum *>(palloc(sizeof(Datum) * desc->natts));
    memcpy(values, slot->tts_values, sizeof(Datum) * desc->natts);
    flatten_values(desc, values, slot->tts_isnull);
    uint8 tag_space[8];
    fill_cells(desc, keys, values, slot->tts_isnull, cells, tag_space);

    Arena arena = arena_in(context);
    SegmentBuilder *builder = start_builder(rel, segment_shape(rel, desc, keys), arena);
    check_status(format::append_row(*builder, cells), rel, "store a large row");
    const bool is_full = builder_is_full(*builder);
    format::SegmentBytes segment;
    check_status(format::finish_builder(*builder, &segment), rel, "store a large row");
    const uint32 slot_number = write_segment(rel, segment, SegmentStamp{GetCurrentTransactionId(), cid, 0, is_full, false});
    count_loaded_rows(rel, 1);
    CheckForSerializableConflictIn(rel, nullptr, InvalidBlockNumber);  // last: see append_rows()
    set_sealed_tid(tid, slot_number, 0);
    MemoryContextSwitchTo(old);
    MemoryContextDelete(context);
}

}  // namespace historian::engine
