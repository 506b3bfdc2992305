#include "bgworker/row_buffer.h"

#include "bgworker/plain_value.h"

namespace historian::bgworker {

namespace {

bool is_time(Oid type) { return type == TIMESTAMPTZOID || type == TIMESTAMPOID; }

[[noreturn]] void report_time_fault(TimeFault fault, TimeUnit unit, const char *text) {
    const char *unit_name = time_unit_name(unit);
    if (fault == TimeFault::out_of_range) {
        ereport(ERROR, errcode(ERRCODE_DATETIME_FIELD_OVERFLOW),
                errmsg("time %s is out of range for %s since 1970", text, unit_name));
    }
    if (unit == TimeUnit::text) {
        ereport(ERROR, errcode(ERRCODE_INVALID_DATETIME_FORMAT), errmsg("time %s is a number where a text is expected", text));
    }
    if (fault == TimeFault::not_integral) {
        ereport(ERROR, errcode(ERRCODE_INVALID_DATETIME_FORMAT),
                errmsg("time %s is not an integral number of nanoseconds since 1970", text));
    }
    ereport(ERROR, errcode(ERRCODE_INVALID_DATETIME_FORMAT), errmsg("time %s is not a number of %s since 1970", text, unit_name));
    pg_unreachable();
}

/// A time from its text, as PostgreSQL reads it, in the message's zone where it names none.
Datum read_time_text(TargetColumn *column, char *text, pg_tz *zone) {
    if (zone == nullptr) return InputFunctionCall(&column->input, text, column->io_param, column->typmod);
    pg_tz *volatile before = session_timezone;
    volatile Datum value = 0;
    session_timezone = zone;
    PG_TRY();
    { value = InputFunctionCall(&column->input, text, column->io_param, column->typmod); }
    PG_FINALLY();
    { session_timezone = before; }
    PG_END_TRY();
    return value;
}

std::string_view trim_spaces(std::string_view text) {
    while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
    while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
    return text;
}

/// True for what may be a time in figures alone: digits, signs, a point, an exponent.
bool looks_like_number(std::string_view text) {
    return !text.empty() && text.find_first_not_of("0123456789+-.eE") == std::string_view::npos &&
           text.find_first_of("-+", 1) == std::string_view::npos;
}

Datum convert_time(TargetColumn *column, const Cell &cell, const MessageTimes &times) {
    const std::string_view text = trim_spaces({cell.text, cell.bytes});
    const bool is_number = cell.kind == CellKind::number || (cell.kind == CellKind::raw && looks_like_number(text));
    if (is_number && (cell.kind == CellKind::number || times.unit != TimeUnit::text)) {
        int64 microseconds = 0;
        const TimeFault fault =
            times.unit == TimeUnit::text ? TimeFault::not_a_number : parse_time(text, times.unit, &microseconds);
        if (fault != TimeFault::none) report_time_fault(fault, times.unit, cell.text);
        return TimestampTzGetDatum(microseconds);
    }
    return read_time_text(column, pg_any_to_server(cell.text, static_cast<int>(cell.bytes), PG_UTF8), times.zone);
}

/// A JSON string as JSON again, for json and jsonb columns.
char *quote_json(const char *text) {
    StringInfoData quoted;
    initStringInfo(&quoted);
    escape_json(&quoted, text);
    return quoted.data;
}

/// One cell as the value that its column sends. Not for nulls.
Datum convert_cell(TargetColumn *column, const Cell &cell, const MessageTimes &times) {
    if (is_time(column->type)) {
        if (cell.kind == CellKind::arrival) return TimestampTzGetDatum(times.arrival);
        return convert_time(column, cell, times);
    }
    Datum value;
    if (convert_plainly(column->type, cell, &value)) return value;
    char *text = cell.kind == CellKind::arrival ? pstrdup(timestamptz_to_str(times.arrival))
                                                : pg_any_to_server(cell.text, static_cast<int>(cell.bytes), PG_UTF8);
    if (column->sent_type == TEXTOID) return CStringGetTextDatum(text);
    const bool is_json = column->type == JSONOID || column->type == JSONBOID;
    if (is_json && cell.kind == CellKind::text) text = quote_json(text);
    return InputFunctionCall(&column->input, text, column->io_param, column->typmod);
}

/// A null as its column sends it. A domain may refuse it, and INSERT would not ask: the parameter is of the domain already.
Datum check_null(TargetColumn *column) {
    const bool is_domain = column->sent_type == column->type && !column->input.fn_strict;
    return is_domain ? InputFunctionCall(&column->input, nullptr, column->io_param, column->typmod) : static_cast<Datum>(0);
}

const Cell *find_cell(const RowBinding &binding, const Cell *cells, int column) {
    const int index = binding.cell_of_column[column];
    return index < 0 || cells[index].kind == CellKind::absent ? nullptr : &cells[index];
}

const Cell *row_cells(const Payload &payload, uint32 row) { return payload.cells + (row == 0 ? 0 : payload.row_ends[row - 1]); }

char *name_to_server(std::string_view name) { return pg_any_to_server(name.data(), static_cast<int>(name.size()), PG_UTF8); }

}  // namespace

RowBinding bind_payload(const TargetTable &target, const Payload &payload) {
    RowBinding binding{};
    binding.payload = &payload;
    const bool keyed = payload.names != nullptr;
    binding.cell_count = keyed ? payload.name_count : static_cast<uint32>(target.positional_count);
    binding.cell_of_column = static_cast<int *>(palloc(sizeof(int) * Max(target.column_count, 1)));
    for (int i = 0; i < target.column_count; ++i) binding.cell_of_column[i] = keyed || i >= target.positional_count ? -1 : i;
    if (!keyed) return binding;
    auto *stray_cells = static_cast<uint32 *>(palloc(sizeof(uint32) * Max(payload.name_count, 1)));
    for (uint32 i = 0; i < payload.name_count; ++i) {
        const int column = find_column(target.shape, payload.names[i]);
        // Of two names for one column the second is a stray: a row may have one of them.
        if (column < 0 || binding.cell_of_column[column] >= 0) {
            stray_cells[binding.stray_cell_count++] = i;
        } else {
            binding.cell_of_column[column] = static_cast<int>(i);
        }
    }
    binding.stray_cells = stray_cells;
    return binding;
}

const char *find_row_fault(const TargetTable &target, const RowBinding &binding, uint32 row, int *sqlstate) {
    const Payload &payload = *binding.payload;
    const Cell *cells = row_cells(payload, row);
    const auto count = static_cast<uint32>(payload.cells + payload.row_ends[row] - cells);
    *sqlstate = ERRCODE_INVALID_PARAMETER_VALUE;
    if (payload.names != nullptr && count == 0) {
        return psprintf("row %u names no column of table %s", row + 1, target.display_name);
    }
    if (count != binding.cell_count) {
        return psprintf("row %u has %u values, table %s takes %u", row + 1, count, target.display_name, binding.cell_count);
    }
    for (uint32 i = 0; i < binding.stray_cell_count; ++i) {
        const uint32 index = binding.stray_cells[i];
        if (cells[index].kind == CellKind::absent) continue;
        const int column = find_column(target.shape, payload.names[index]);
        const char *name = name_to_server(payload.names[index]);
        if (column == kNoColumn) {
            *sqlstate = ERRCODE_UNDEFINED_COLUMN;
            return psprintf("row %u: table %s has no column \"%s\" that messages may fill", row + 1, target.display_name, name);
        }
        *sqlstate = ERRCODE_AMBIGUOUS_COLUMN;
        return psprintf("row %u: column \"%s\" of table %s is ambiguous", row + 1, name, target.display_name);
    }
    return nullptr;
}

void RowBuffer::begin(TargetTable *target, CellPosition *position) {
    target_ = target;
    position_ = position;
    context_ = CurrentMemoryContext;
    rows_ = AllocSetContextCreate(CurrentMemoryContext, "historian MQTT rows", ALLOCSET_DEFAULT_SIZES);
    arrays_ = AllocSetContextCreate(CurrentMemoryContext, "historian MQTT arrays", ALLOCSET_DEFAULT_SIZES);
    sent_ = static_cast<bool *>(palloc0(sizeof(bool) * Max(target->column_count, 1)));
    values_ = static_cast<Datum **>(palloc(sizeof(Datum *) * Max(target->column_count, 1)));
    nulls_ = static_cast<bool **>(palloc(sizeof(bool *) * Max(target->column_count, 1)));
    for (int i = 0; i < target->column_count; ++i) {
        values_[i] = static_cast<Datum *>(palloc(sizeof(Datum) * kRowsPerInsert));
        nulls_[i] = static_cast<bool *>(palloc(sizeof(bool) * kRowsPerInsert));
    }
    source_rows_ = static_cast<uint32 *>(palloc(sizeof(uint32) * kRowsPerInsert));
    row_count_ = 0;
}

/// The statement for a row: it names the columns that the row brings, and those whose null it may as well bring. False: the rows
/// that wait have another.
bool RowBuffer::choose_statement(const RowBinding &binding, const Cell *cells) {
    bool any = false;
    for (int i = 0; i < target_->column_count; ++i) {
        const bool brought = find_cell(binding, cells, i) != nullptr;
        const TargetColumn &column = target_->columns[i];
        sent_[i] = brought || column.takes_arrival || (target_->sends_nulls && !column.may_default);
        any = any || brought;
    }
    if (!any) {
        ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                errmsg("row names no column of table %s", target_->display_name));
    }
    if (statement_ != nullptr && memcmp(statement_->sent, sent_, sizeof(bool) * target_->column_count) == 0) return true;
    if (row_count_ > 0) return false;
    finish();
    statement_ = find_statement(target_, sent_);
    is_direct_tried_ = false;
    return true;
}

bool RowBuffer::convert(const RowBinding &binding, const MessageTimes &times, uint32 row) {
    if (row_count_ == kRowsPerInsert || MemoryContextMemAllocated(rows_, false) > kBytesPerInsert) return false;
    const Cell *cells = row_cells(*binding.payload, row);
    position_->row = row + 1;
    position_->column = nullptr;
    if (!choose_statement(binding, cells)) return false;
    MemoryContext before = MemoryContextSwitchTo(rows_);
    for (int s = 0; s < statement_->column_count; ++s) {
        const int i = statement_->columns[s];
        TargetColumn *column = &target_->columns[i];
        const Cell *cell = find_cell(binding, cells, i);
        const bool arrives = cell == nullptr && column->takes_arrival;
        const bool is_null = !arrives && (cell == nullptr || cell->kind == CellKind::null);
        position_->column = column->name;
        nulls_[i][row_count_] = is_null;
        if (arrives) {
            values_[i][row_count_] = TimestampTzGetDatum(times.arrival);
        } else {
            values_[i][row_count_] = is_null ? check_null(column) : convert_cell(column, *cell, times);
        }
    }
    MemoryContextSwitchTo(before);
    source_rows_[row_count_++] = row;
    position_->row = 0;
    return true;
}

void RowBuffer::insert(int first, int count) {
    position_->row = 0;
    MemoryContext before = MemoryContextSwitchTo(arrays_);
    auto *arrays = static_cast<Datum *>(palloc(sizeof(Datum) * Max(statement_->column_count, 1)));
    for (int s = 0; s < statement_->column_count; ++s) {
        const int i = statement_->columns[s];
        const TargetColumn &column = target_->columns[i];
        int size = count;
        int lower_bound = 1;
        arrays[s] =
            PointerGetDatum(construct_md_array(values_[i] + first, nulls_[i] + first, 1, &size, &lower_bound, column.sent_type,
                                               column.sent_length, column.sent_by_value, column.sent_align));
    }
    MemoryContextSwitchTo(before);
    const int result = SPI_execute_plan(statement_->plan, arrays, nullptr, false, 0);
    if (result != SPI_OK_INSERT) elog(ERROR, "SPI_execute_plan failed: %s", SPI_result_code_string(result));
    MemoryContextReset(arrays_);
}

void RowBuffer::note_times(int first, int count) {
    const int i = target_->time_column;
    if (count == 0) return;
    if (i < 0 || !statement_->sent[i]) {
        newest_time_ = Max(newest_time_, GetCurrentTimestamp());
        return;
    }
    const bool has_zone = target_->columns[i].type == TIMESTAMPTZOID;
    for (int row = first; row < first + count; ++row) {
        if (nulls_[i][row]) continue;
        int overflow;
        const TimestampTz time = has_zone ? DatumGetTimestampTz(values_[i][row])
                                          : timestamp2timestamptz_opt_overflow(DatumGetTimestamp(values_[i][row]), &overflow);
        newest_time_ = Max(newest_time_, time);
    }
}

/// Columns that are sent as text want the cast of an INSERT.
void RowBuffer::begin_direct_insert() {
    is_direct_tried_ = true;
    const int count = statement_->column_count;
    if (direct_numbers_ == nullptr) {
        const Size room = Max(target_->column_count, 1);
        direct_numbers_ = static_cast<AttrNumber *>(palloc(sizeof(AttrNumber) * room));
        direct_values_ = static_cast<Datum **>(palloc(sizeof(Datum *) * room));
        direct_nulls_ = static_cast<bool **>(palloc(sizeof(bool *) * room));
    }
    for (int s = 0; s < count; ++s) {
        const int i = statement_->columns[s];
        const TargetColumn &column = target_->columns[i];
        if (column.sent_type != column.type) return;
        direct_numbers_[s] = column.number;
        direct_values_[s] = values_[i];
        direct_nulls_[s] = nulls_[i];
    }
    direct_.begin(target_->table, direct_numbers_, count);
}

void RowBuffer::insert_all() {
    if (row_count_ > 0) {
        position_->row = 0;
        MemoryContext before = MemoryContextSwitchTo(context_);
        if (!is_direct_tried_) begin_direct_insert();
        MemoryContextSwitchTo(rows_);
        if (direct_.is_open()) {
            direct_.insert(direct_values_, direct_nulls_, row_count_);
        } else {
            insert(0, row_count_);
        }
        MemoryContextSwitchTo(before);
        note_times(0, row_count_);
    }
    clear();
}

void RowBuffer::finish() {
    if (direct_.is_open()) direct_.finish();
}

void RowBuffer::clear() {
    MemoryContextReset(rows_);
    row_count_ = 0;
}

}  // namespace historian::bgworker
