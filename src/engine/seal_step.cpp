#include "engine/seal_step.h"

#include "engine/progress.h"
#include "engine/report.h"
#include "engine/row.h"

namespace historian::engine {

SealStep make_step(Relation rel, MemoryContext context) {
    SealStep step = {};
    step.rel = rel;
    step.desc = RelationGetDescr(rel);
    step.keys = key_columns(rel);
    step.context = context;
    step.segment_context = AllocSetContextCreate(context, "historian segment builder", ALLOCSET_DEFAULT_SIZES);
    step.source_context = AllocSetContextCreate(context, "historian seal source", ALLOCSET_DEFAULT_SIZES);
    step.shape = segment_shape(rel, step.desc, step.keys);
    step.cells = static_cast<format::Cell *>(palloc0(sizeof(format::Cell) * step.desc->natts));
    step.values = static_cast<Datum *>(palloc(sizeof(Datum) * step.desc->natts));
    step.nulls = static_cast<bool *>(palloc(sizeof(bool) * step.desc->natts));
    step.arena = static_cast<Arena *>(palloc(sizeof(Arena)));
    step.segment_room = 8;
    step.segments = static_cast<WrittenSegment *>(palloc(sizeof(WrittenSegment) * step.segment_room));
    return step;
}

namespace {

void note_written(SealStep *step, uint32 slot, std::span<const uint32> row_of_arrival) {
    if (step->outcome.segments == step->segment_room) {
        step->segment_room *= 2;
        step->segments = static_cast<WrittenSegment *>(repalloc(step->segments, sizeof(WrittenSegment) * step->segment_room));
    }
    const uint32 row_count = static_cast<uint32>(row_of_arrival.size());
    uint32 *rows = static_cast<uint32 *>(MemoryContextAlloc(step->context, sizeof(uint32) * row_count));
    memcpy(rows, row_of_arrival.data(), sizeof(uint32) * row_count);
    step->segments[step->outcome.segments++] = {slot, step->outcome.rows - row_count, row_count, rows};
}

}  // namespace

void finish_segment(SealStep *step) {
    if (step->builder == nullptr) return;
    const bool is_full = step->stays_full || builder_is_full(*step->builder);
    format::SegmentBytes segment;
    check_status(format::finish_builder(*step->builder, &segment), step->rel, "seal rows");
    const SegmentStamp stamp = {GetCurrentTransactionId(), GetCurrentCommandId(true), step->level,     is_full,
                                step->tag_goes_on,         step->shape.effort,        step->place_from};
    note_written(step, write_segment(step->rel, segment, stamp), segment.row_of_arrival);
    step->builder = nullptr;
    MemoryContextReset(step->segment_context);
}

namespace {

void ensure_builder(SealStep *step) {
    if (step->builder != nullptr) return;
    *step->arena = arena_in(step->segment_context);
    step->builder = start_builder(step->rel, step->shape, *step->arena);
    step->tag_goes_on = step->within_tag;
}

constexpr uint64 kRowsPerProgressNote = 4096;

// Rows were added to the builder.
void count_rows(SealStep *step, uint32 count) {
    const uint64 notes_before = step->outcome.rows / kRowsPerProgressNote;
    step->outcome.rows += count;
    if (step->outcome.rows / kRowsPerProgressNote != notes_before) note_progress(step->outcome.rows);
    if (builder_is_full(*step->builder)) finish_segment(step);
}

}  // namespace

void add_row(SealStep *step, CarriedSource *source, uint32 place) {
    ensure_builder(step);
    take_rows(source, place, 1, step->outcome.rows);
    uint8 tag_space[8];
    fill_cells(step->desc, step->keys, step->values, step->nulls, step->cells, tag_space);
    check_status(format::append_row(*step->builder, step->cells), step->rel, "seal rows");
    count_rows(step, 1);
}

void add_rows(SealStep *step, CarriedSource *source, const GranuleRows &rows) {
    for (uint32 done = 0; done < rows.count;) {
        ensure_builder(step);
        const uint32 first = rows.first + done;
        const uint32 count = Min(rows.count - done, static_cast<uint32>(segment_rows_max) - rows_in_builder(*step));
        take_rows(source, rows.granule->about.first_row + first, count, step->outcome.rows);
        check_status(format::append_rows(*step->builder, rows.tag, rows.columns, first, count), step->rel, "seal rows");
        count_rows(step, count);
        step->within_tag = true;
        done += count;
    }
}

bool copied_columns(Granule *granule, const format::ColumnVector **columns) {
    for (int i = 0; i < granule->desc->natts; i++) {
        columns[i] = nullptr;
        if (TupleDescAttr(granule->desc, i)->attisdropped) continue;
        const GranuleColumn &column = granule_column(granule, i);
        if (column.is_missing || column.vector.kind == format::PhysicalKind::absent) return false;
        columns[i] = &column.vector;
    }
    return true;
}

uint32 rows_in_builder(const SealStep &step) { return step.builder == nullptr ? 0 : format::builder_row_count(*step.builder); }

// A further lock is then not to be had, though we hold one. (LockHasWaitersRelation would crash: our lock may have been taken on
// the fast path, where PostgreSQL keeps no lock object for it.)
bool ddl_is_waiting(Relation rel) {
    if (!ConditionalLockRelation(rel, RowShareLock)) return true;
    UnlockRelation(rel, RowShareLock);
    return false;
}

}  // namespace historian::engine
