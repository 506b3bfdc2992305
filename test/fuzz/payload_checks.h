// What holds of a payload's rows whatever its bytes were, for the fuzzers of payload formats.
#pragma once

#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "bgworker/nanoseconds.h"
#include "bgworker/payload.h"

namespace historian::bgworker {

inline void check(bool holds) {
    if (!holds) std::abort();
}

struct Blocks {
    std::vector<void *> blocks;
    ~Blocks() {
        for (void *block : blocks) std::free(block);
    }
    static void *grow(void *self, std::size_t bytes) noexcept {
        static_cast<Blocks *>(self)->blocks.push_back(std::malloc(bytes));
        return static_cast<Blocks *>(self)->blocks.back();
    }
};

inline void check_text(const char *text, std::size_t bytes) {
    check(std::strlen(text) == bytes);
    check(find_invalid_utf8({text, bytes}) == std::string_view::npos);
}

// Invariants 2 and 3 of payload.h, rows that cover the cells exactly, bad rows in order.
inline void check_rows(const Payload &payload) {
    std::uint32_t cell = 0;
    std::uint32_t bad = 0;
    for (std::uint32_t row = 0; row < payload.row_count; ++row) {
        check(payload.row_ends[row] >= cell);
        if (bad < payload.bad_row_count && payload.bad_rows[bad].row == row) {
            check(payload.row_ends[row] == cell && payload.bad_rows[bad++].error.fault != PayloadFault::none);
        }
        for (; cell < payload.row_ends[row]; ++cell) {
            const Cell &each = payload.cells[cell];
            check_text(each.text, each.bytes);
            std::int64_t microseconds;
            for (const TimeUnit unit : {TimeUnit::seconds, TimeUnit::nanoseconds}) {
                if (each.kind == CellKind::number) (void)parse_time({each.text, each.bytes}, unit, &microseconds);
            }
        }
    }
    check(bad == payload.bad_row_count);
    for (std::uint32_t i = 0; i < payload.name_count; ++i) check_text(payload.names[i].data(), payload.names[i].size());
}

inline void check_same_cell(const Cell &a, const Cell &b) {
    check(a.kind == b.kind && a.bytes == b.bytes && std::memcmp(a.text, b.text, a.bytes) == 0);
}

// The one row of `alone` is row `row` of `whole`: by name, where the names' order may be another, else cell by cell.
inline void check_same_row(const Payload &whole, std::uint32_t row, const Payload &alone) {
    const std::uint32_t begin = row == 0 ? 0 : whole.row_ends[row - 1];
    const std::uint32_t count = whole.row_ends[row] - begin;
    bool same_names = whole.name_count == alone.name_count;
    for (std::uint32_t i = 0; same_names && i < whole.name_count; ++i) same_names = whole.names[i] == alone.names[i];
    if (same_names) {
        check(count == alone.row_ends[0]);
        for (std::uint32_t i = 0; i < count; ++i) check_same_cell(whole.cells[begin + i], alone.cells[i]);
        return;
    }
    std::uint32_t given = 0;
    for (std::uint32_t i = 0; i < count; ++i) given += whole.cells[begin + i].kind != CellKind::absent;
    check(given == alone.row_ends[0]);
    for (std::uint32_t i = 0; i < given; ++i) {
        std::uint32_t j = 0;
        while (j < whole.name_count && whole.names[j] != alone.names[i]) ++j;
        check(j < count);
        check_same_cell(whole.cells[begin + j], alone.cells[i]);
    }
}

// A row that write_row() gives back the same: it has as many cells as names, of which none stands twice.
inline bool can_stand_alone(const Payload &payload, std::uint32_t row, const ParseContext &context) {
    if (payload.sources != nullptr) return true;
    if (!context.topic.empty()) return false;  // a number
    const std::uint32_t count = payload.row_ends[row] - (row == 0 ? 0 : payload.row_ends[row - 1]);
    if (payload.names != nullptr && count != payload.name_count) return false;
    for (std::uint32_t i = 0; i < payload.name_count; ++i) {
        for (std::uint32_t j = 0; j < i; ++j) {
            if (payload.names[i] == payload.names[j]) return false;
        }
    }
    return true;
}

// Parses bytes, checks the rows or the error, and that rows written as payloads of their own are the same rows again.
inline void check_payload(std::string_view bytes, const ParseContext &context) {
    Blocks blocks;
    Arena arena(Blocks::grow, &blocks);
    Payload payload;
    const PayloadError error = parse_payload(bytes, context, arena, &payload);
    if (error.fault != PayloadFault::none) {
        check(error.offset <= bytes.size());
        char text[160];
        describe_payload_error(error, text, sizeof text);
        check(std::strlen(payload_error_sqlstate(error.fault)) == 5);
        return;
    }
    check_rows(payload);
    std::uint32_t bad = 0;
    for (std::uint32_t row = 0; row < payload.row_count && row < 64; ++row) {
        const std::string_view one = write_row(bytes, payload, row, arena);
        check(one.data() != nullptr);
        if (bad < payload.bad_row_count && payload.bad_rows[bad].row == row) {
            ++bad;
            continue;
        }
        if (!can_stand_alone(payload, row, context)) continue;
        Payload alone;
        check(parse_payload(one, context, arena, &alone).fault == PayloadFault::none);
        check(alone.row_count == 1);
        check_same_row(payload, row, alone);
    }
}

inline ParseContext in_format(PayloadFormat format) {
    ParseContext context;
    context.options.format = format;
    return context;
}

}  // namespace historian::bgworker
